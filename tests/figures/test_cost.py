"""What calls have cost, as a whole and by class of tokens, where that is known."""

from datetime import UTC, datetime

import numpy as np
import pytest

from holymon.errors import CODES
from holymon.figures.cost import cost_of, costs
from holymon.figures.summary import summarize
from holymon.plan.known_prices import known_price
from holymon.plan.plan import Target
from holymon.plan.price import Price, Tier
from holymon.records.attempt import DTYPE, Flag
from holymon.records.records import Records

PRICE = Price(
    input=2.0, output=8.0, cached_input=0.5, cache_write=2.5, source="book", date="2026-01-02"
)
NOT_SAID = -1


def rows_of(*counts):
    """Answers with (prompt, output, cached, written, reasoning) tokens; None: without any count."""
    rows = np.zeros(len(counts), DTYPE)
    names = (
        "prompt_tokens",
        "output_tokens",
        "cached_tokens",
        "written_tokens",
        "reasoning_tokens",
    )
    for row, given in zip(rows, counts, strict=True):
        row["flags"] = 0 if given is None else Flag.SERVER_TOKENS
        row["events"] = 1
        for name, value in zip(names, given or (NOT_SAID,) * 5, strict=True):
            row[name] = value
    return rows


def cost(price, *counts, name="url/m"):
    provider, _, model = name.partition("/")
    records = Records((Target(provider=provider, model=model, price=price),))
    rows = rows_of(*counts)
    records.extend(rows, np.empty(0, records.gap_pairs.dtype), np.zeros(len(rows), np.int64))
    return cost_of(records.chosen(records.mask()), records.targets[0])


def parts(found):
    return (
        found.input_usd,
        found.cached_usd,
        found.written_usd,
        found.output_usd,
        found.reasoning_usd,
    )


def test_a_row_with_unknown_tokens_has_no_known_cost():
    rows = np.zeros(3, DTYPE)
    rows["prompt_tokens"], rows["output_tokens"], rows["cached_tokens"] = 10, 10, -1
    rows["flags"] = [Flag.SERVER_TOKENS, 0, 0]
    rows["error"] = [0, 0, CODES["rate_limited"]]
    found = costs(rows, Price(input=1.0, output=1.0))
    np.testing.assert_array_equal(found, [20 / 1e6, np.nan, 0.0])


def test_each_class_of_tokens_is_a_figure_and_they_add_up():
    """OpenAI, Anthropic: cached and written ones are parts of the prompt, reasoning of the output."""
    found, notes = cost(PRICE, (1000, 300, 600, 100, 200), (500, 100, 0, 0, 0))
    expected = (800 * 2.0, 600 * 0.5, 100 * 2.5, 200 * 8.0, 200 * 8.0)
    assert parts(found) == pytest.approx([usd / 1e6 for usd in expected])
    assert found.usd == found.at_least_usd == pytest.approx(sum(expected) / 1e6)
    assert (found.source, found.date, found.reason, notes) == ("book", "2026-01-02", "", ())
    assert found.words == (
        "cost 0.00535 USD (input 0.0016, cached 0.0003, written 0.00025, output 0.0016, "
        "reasoning 0.0016)"
    )


def test_a_tier_prices_all_tokens_of_a_call_whose_prompt_is_longer_than_it():
    """ai.google.dev, pricing: "prompts > 200k tokens"; the tokens below it cost more, too."""
    tiered = Price(input=1.25, output=10.0, cached_input=0.125,
                   tiers=(Tier(over=200_000, input=2.5, output=15.0, cached_input=0.25),))  # fmt: skip
    found = costs(rows_of((200_000, 10, 0, 0, 0), (200_001, 10, 1000, 0, 0)), tiered)
    assert found == pytest.approx([
        (200_000 * 1.25 + 10 * 10) / 1e6, (199_001 * 2.5 + 1000 * 0.25 + 10 * 15) / 1e6,
    ])  # fmt: skip
    assert cost(tiered, (200_000, 10, 0, 0, 0), (200_001, 10, 1000, 0, 0))[0].usd == pytest.approx(
        found.sum()
    )


def test_reasoning_may_have_a_price_of_its_own():
    found, _ = cost(Price(input=1.0, output=2.0, reasoning=3.0), (10, 10, 0, 0, 4))
    assert parts(found) == pytest.approx([10e-6, 0, 0, 12e-6, 12e-6])


def test_what_has_no_price_leaves_the_rest_as_at_least():
    found, notes = cost(Price(output=8.0), (1000, 300, 0, 0, 0), name="holysheep/gpt-4.1")
    where = ('put input and output, in USD per million tokens, under [holysheep.models."gpt-4.1"] '
             "in targets.toml")  # fmt: skip
    assert (found.usd, found.at_least_usd) == (None, pytest.approx(0.0024))
    assert (found.input_usd, found.output_usd) == (None, pytest.approx(0.0024))
    assert found.reason == f"the price of input tokens is not known ({where})"
    assert notes == (f"cost at least 0.0024 USD: {found.reason}.",)
    assert (found.cell, found.words) == ("≥ 0.0024", "cost at least 0.0024 USD (output 0.0024)")
    nothing, said = cost(Price(), (1000, 300, 0, 0, 0), name="holysheep/new")
    assert (nothing.usd, nothing.at_least_usd, nothing.cell) == (None, None, "–")
    assert said == (f"no cost: the price of new is not known ({where.replace('gpt-4.1', 'new')}).",)


def test_what_was_not_counted_leaves_the_rest_as_at_least_and_no_parts():
    found, notes = cost(PRICE, (1000, 100, 0, 0, 0), None)
    assert (found.usd, found.at_least_usd) == (None, pytest.approx(0.0028))
    assert set(parts(found)) == {None}
    assert notes == (
        "cost at least 0.0028 USD: 1 answer came without the server's token counts.",
    )  # fmt: skip


def test_what_the_server_never_counted_apart_is_no_zero():
    found, notes = cost(PRICE, (1000, 100, -1, -1, -1))
    assert found.usd == pytest.approx(0.0028)
    assert parts(found) == (pytest.approx(0.002), None, None, pytest.approx(0.0008), None)
    assert (
        found.reason == "the server counted no cached and no written and no reasoning tokens apart"
    )
    assert notes == ()


def test_cached_tokens_without_a_price_of_their_own_are_said_to_cost_what_input_does():
    found, notes = cost(Price(input=1.0, output=1.0), (10, 10, 4, 0, 0))
    assert found.usd == pytest.approx(20e-6)
    assert notes == ("cached tokens are priced as input: they have no price of their own.",)


def test_a_summary_holds_it_all_in_json():
    records = Records((Target(provider="url", model="m", price=PRICE),))
    rows = rows_of((1000, 300, 600, 100, 200))
    records.extend(rows, np.empty(0, records.gap_pairs.dtype), np.zeros(1, np.int64))
    shown = summarize(records).targets[0].to_dict()
    assert set(shown["cost"]) == {
        "input_usd", "cached_usd", "written_usd", "output_usd", "reasoning_usd", "at_least_usd",
        "of_calls",
        "source", "date", "reason",
    }  # fmt: skip
    assert shown["cost_usd"] == shown["cost"]["at_least_usd"] == pytest.approx(0.00355)


@pytest.mark.parametrize(
    ("address", "model", "counts"),
    [
        ("https://api.openai.com/v1", "gpt-5-mini", (10_000, 900, 6000, 0, 700)),
        ("https://api.anthropic.com/v1", "claude-sonnet-4-5", (9000, 500, 4000, 3000, 0)),
        ("https://generativelanguage.googleapis.com/v1beta", "gemini-2.5-pro", (250_000, 700, 90_000, 0, 0)),
        ("https://generativelanguage.googleapis.com/v1beta", "gemini-2.5-pro", (200_000, 700, 0, 0, 99)),
        ("https://api.deepseek.com/v1", "deepseek-chat", (5000, 300, 4096, 0, 0)),
        ("https://api.x.ai/v1", "grok-4", (150_000, 10, 70_000, 0, 5)),
        ("https://openrouter.ai/api/v1", "openai/gpt-5-mini", (100, 10, 0, 0, 0)),
        ("https://api.groq.com/openai/v1", "llama-3.3-70b-versatile", (100, 10, 0, 0, 0)),
    ],
)  # fmt: skip
def test_a_cost_is_what_the_library_of_prices_makes_of_the_same_tokens(address, model, counts):
    from genai_prices import Usage, calc_price

    moment = datetime(2026, 11, 1, 12, tzinfo=UTC)
    prompt, output, cached, written, _ = counts
    tokens = {"input_tokens": prompt, "output_tokens": output, "cache_read_tokens": cached,
              "cache_write_tokens": written}  # fmt: skip
    expected = calc_price(
        Usage(**{name: n for name, n in tokens.items() if n}), model, provider_api_url=address,
        genai_request_timestamp=moment,
    )  # fmt: skip
    found, _ = cost(known_price(address, model, moment), counts)
    assert found.usd == pytest.approx(float(expected.total_price))
    assert found.usd > 0


def test_embeddings_are_paid_by_what_is_asked_alone():
    target = Target(provider="url", model="m", endpoint="embeddings", price=Price(input=0.02))
    assert target.billed.known
    records = Records((target,))
    rows = rows_of((1000, *(NOT_SAID,) * 4), (500, *(NOT_SAID,) * 4), None)
    rows["flags"] = 0  # which is about what is put out
    rows["error"][2], rows["events"][2] = CODES["rate_limited"], 0
    records.extend(rows, np.empty(0, records.gap_pairs.dtype), np.zeros(len(rows), np.int64))
    found, notes = cost_of(records.chosen(records.mask()), target)
    assert (found.usd, found.input_usd, notes) == (pytest.approx(1500 * 0.02e-6),) * 2 + ((),)
    assert costs(rows, target.billed).tolist() == pytest.approx([0.02e-3, 0.01e-3, 0])
