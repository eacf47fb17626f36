"""Figures of a few calls, each worked out by hand; what is not known is None, with its sentence."""

import numpy as np
import pytest

from holymon.errors import CODES
from holymon.figures.cost import costs
from holymon.figures.summary import summarize
from holymon.load.entry import of_targets
from holymon.plan.plan import Closed, Open, Plan, Target
from holymon.plan.price import Price
from holymon.plan.shapes import constant
from holymon.records.attempt import Flag, Marks, blank
from holymon.records.records import from_marks

URL = "http://127.0.0.1:1/v1"
PRICE = Price(input=1.0, output=10.0, cached_input=0.5)
TARGET = Target(provider="url", model="m", base_url=URL, price=PRICE)
OTHER = Target(provider="url", model="n", base_url=URL, price=PRICE)


def plan(*targets, **more):
    return Plan(targets=targets or (TARGET,), load=Open(constant(20)), duration_s=10, **more)


def call(number, *, at=None, latency=0.5, error="", tokens=5, gap=0.01, flags=0, **more):
    one = Marks(number, 0, number / 20 if at is None else at)
    one.start, one.end, one.error = one.due, one.due + latency, error
    one.flags = int(Flag.STREAM) | flags
    if not error and tokens:
        for k in range(tokens):
            one.token(one.end - gap * (tokens - 1 - k), 1)
        one.content = one.first
        one.output_tokens, one.prompt_tokens = tokens, 7
        one.flags |= Flag.SERVER_TOKENS
    for name, value in more.items():
        setattr(one, name, value)
    return one


def summary(calls, of=None):
    of = of or plan()
    return summarize(from_marks(of.targets, calls), of)


def first(calls, of=None):
    return summary(calls, of).targets[0]


def test_a_run_lasts_to_the_end_of_its_last_call_and_costs_what_its_targets_cost():
    both = plan(TARGET, OTHER)
    found = summary([call(0), call(1, latency=3, target=1), call(2, error="cancelled")], both)
    assert found.duration_s == pytest.approx(3.05)
    assert found.cost_usd is None, "a call that was stopped may be billed"
    assert found.targets[0].cost.at_least_usd == pytest.approx(57e-6)
    assert summary([call(0), call(1, target=1)], both).cost_usd == pytest.approx(2 * 57e-6)
    assert (summary([]).duration_s, summary([]).cost_usd) == (0.0, 0.0)
    unpriced = Target(provider="url", model="x", base_url=URL)
    assert summary([call(0)], plan(TARGET, unpriced)).cost_usd is None


def test_one_simulated_call_or_target_makes_a_summary_simulated():
    assert not summary([call(0)]).simulated
    assert summary([call(0), call(1, flags=int(Flag.SIMULATED))]).simulated
    sim = Target(provider="sim", model="fast", price=PRICE)
    assert summary([], plan(TARGET, sim)).simulated
    assert "SIMULATED" in str(summary([], plan(sim)))
    assert "SIMULATED" not in str(summary([call(0)]))


def test_rates_of_calls_are_by_the_gaps_between_them():
    calls = [call(0, at=3), call(1, at=4), call(2, at=7)]
    calls[2].start += 1.0
    found = first(calls)
    assert (found.wanted_per_s, found.sent_per_s) == (pytest.approx(2 / 4), pytest.approx(2 / 5))
    assert first(calls[:1]).wanted_per_s is None
    assert first([call(0, at=3), call(1, at=3)]).sent_per_s is None
    unsent = Marks(3, 0, 9.0)
    unsent.error, unsent.end = "client_dropped", 9.0
    found = first([*calls, unsent])
    assert (found.wanted_per_s, found.sent_per_s) == (pytest.approx(3 / 6), pytest.approx(2 / 5))
    closed = Plan(targets=(TARGET,), load=Closed(users=1), requests=3)
    assert first(calls, closed).sent_per_s == pytest.approx(2 / 5)


def test_finishes_connections_and_warm_up_are_counted():
    calls = [
        call(0, finish="stop", flags=int(Flag.NEW_CONNECTION)),
        call(1, finish="stop"),
        call(2, finish="length", flags=int(Flag.NEW_CONNECTION)),
        call(3),
        call(4, error="server_error", finish="error", flags=int(Flag.NEW_CONNECTION)),
        call(5, finish="stop", flags=int(Flag.WARMUP | Flag.NEW_CONNECTION)),
    ]
    found = first(calls)
    assert found.finish == {"stop": 2, "length": 1, "none": 1}
    assert (found.new_connections, found.warmup) == (3, 1)
    assert (found.requests, found.ok) == (5, 4)


def test_failures_for_a_rate_that_was_exceeded_can_be_left_out():
    calls = [call(k) for k in range(6)]
    calls += [call(6 + k, error=error) for k, error in enumerate(
        ["rate_limited", "rate_limited", "server_error", "cancelled"])]  # fmt: skip
    found = first(calls)
    assert (found.error_rate.value, found.error_rate.of) == (3 / 9, 9)
    assert (found.error_rate_without_429.value, found.error_rate_without_429.of) == (1 / 7, 7)


def test_time_per_token_is_over_the_gaps_between_tokens():
    found = first([call(0, tokens=5, gap=0.01), call(1, tokens=2, gap=0.05)])
    assert (found.tpot_s.n, found.tpot_s.mean) == (2, pytest.approx((0.01 + 0.05) / 2))
    # A server may count more tokens than there were pieces.
    assert first([call(0, tokens=3, gap=0.06, output_tokens=13)]).tpot_s.mean == pytest.approx(0.01)


def test_gaps_have_percentiles_by_rank_among_all_of_them():
    """Thirty gaps of 10 ms, fifteen of 20 and five of 40, in bins of 1 %."""
    gaps = [0.01] * 30 + [0.02] * 15 + [0.04] * 5
    calls = [call(k, tokens=2, gap=gaps[k * 7 % 50]) for k in range(50)]
    itl = first(calls).itl_s
    assert itl.n == 50
    assert itl.mean == pytest.approx((30 * 0.01 + 15 * 0.02 + 5 * 0.04) / 50, rel=0.006)
    assert itl.p50 == pytest.approx(0.01, rel=0.006)
    # position 50 q + (q + 1) / 3: 45.63 between the 45th (20 ms) and the 46th (40 ms).
    assert itl.p90 == pytest.approx(0.02 + 0.6333 * 0.02, rel=0.006)
    assert itl.p95 == pytest.approx(0.04, rel=0.006)
    assert (itl.p99, itl.max) == (None, pytest.approx(0.04, rel=1e-4))
    # To the outer edges of the bins, which are 1 % wide.
    assert 0.0099 < itl.ci["p50"][0] <= 0.01
    assert 0.02 <= itl.ci["p50"][1] < 0.0202
    assert itl.p95 <= itl.max
    assert itl.ci["p99"] is None


@pytest.mark.parametrize(("n", "p50"), [(1, None), (2, 0.01)])
def test_one_gap_has_no_median(n, p50):
    itl = first([call(k, tokens=2) for k in range(n)]).itl_s
    assert (itl.n, itl.max) == (n, pytest.approx(0.01, rel=1e-4))
    assert itl.p50 == (p50 and pytest.approx(p50, rel=0.006))


def test_no_gap_is_said_to_be_longer_than_the_longest():
    """The middle of a bin may lie above the longest gap in it: no figure does."""
    for gap in np.linspace(0.0100, 0.0102, 21):
        itl = first([call(k, tokens=2, gap=float(gap)) for k in range(40)]).itl_s
        assert max(itl.p50, itl.p90, itl.ci["p50"][1]) <= itl.max


@pytest.mark.parametrize(
    ("n", "notes"),
    [
        (1, ("no p50, p90, p95, p99: n too small (have 1, need 2 for p50).",)),
        (2, ("no p90, p95, p99: n too small (have 2, need 10 for p90).",
             "p50 without interval: have 2, need 6 for p50.")),
        (5, ("no p90, p95, p99: n too small (have 5, need 10 for p90).",
             "p50 without interval: have 5, need 6 for p50.")),
        (6, ("no p90, p95, p99: n too small (have 6, need 10 for p90).",)),
        (35, ("no p99: n too small (have 35, need 100 for p99).",
              "p90, p95 without interval: have 35, need 36 for p90.")),
        (36, ("no p99: n too small (have 36, need 100 for p99).",
              "p95 without interval: have 36, need 72 for p95.")),
        (100, ("p99 without interval: have 100, need 368 for p99.",)),
        (368, ()),
    ],
)  # fmt: skip
def test_what_is_missing_for_the_number_of_calls_is_said(n, notes):
    found = first([call(k, latency=0.02 if n < 7 else 0.5, tokens=2) for k in range(n)])
    assert tuple(note for note in found.notes if "ITL" not in note) == notes


def test_why_other_figures_are_missing_is_said():
    whole = [call(k, tokens=0) for k in range(400)]
    for one in whole:
        one.flags, one.output_tokens, one.prompt_tokens = int(Flag.SERVER_TOKENS), 3, 7
    assert first(whole).notes == ("no TTFT, ITL and TPOT: the answers were not streamed.",)
    assert first([call(0, error="server_error")]).notes[0] == "no latency: no call succeeded."
    some = [call(k) for k in range(400)]
    for one in some[:2]:
        one.output_tokens, one.flags = -1, int(Flag.STREAM)
    assert first(some).notes == (
        "no sum of output tokens: 2 answers came without a count.",
        "cost at least 0.0227 USD: 2 answers came without the server's token counts.",
    )
    some[0].error = some[1].error = "stream_truncated"
    assert (
        first(some).notes[-1]
        == "cost at least 0.0227 USD: 2 calls broke off before a count came, and may be billed."
    )
    some[2].output_tokens, some[2].flags = -1, int(Flag.STREAM)
    assert first(some).notes[-1] == (
        "cost at least 0.0226 USD: 1 answer came without the server's token counts, and 2 calls broke off before "
        "a count came, and may be billed."
    )


def test_a_price_that_gives_no_dollars_is_said():
    euros = Target(provider="url", model="m", base_url=URL,
                   price=Price(input=1.0, output=1.0, currency="EUR"))  # fmt: skip
    part = Target(provider="url", model="m", base_url=URL, price=Price(input=1.0))
    for target, said in (
        (euros, "no cost: its price is in EUR, not in USD."),
        (
            part,
            "cost at least 0.000007 USD: the price of output tokens is not known (define its API in "
            "targets.toml, with prices of its models).",
        ),
    ):
        found = first([call(0)], plan(target))
        assert (found.cost_usd, found.notes[-1]) == (None, said)


def test_sums_of_tokens_need_every_count():
    def tokens(*calls):
        found = first(calls).tokens
        return found.prompt, found.output, found.source

    counted, uncounted = call(0), call(1, flags=0, output_tokens=4, prompt_tokens=-1)
    uncounted.flags = int(Flag.STREAM)
    assert tokens(counted) == (7, 5, "server")
    assert tokens(uncounted) == (None, 4, "chunks")
    assert tokens(counted, uncounted) == (None, 9, "mixed")
    assert tokens(counted, call(1, output_tokens=-1)) == (14, None, "server")
    assert tokens(call(0, output_tokens=0, prompt_tokens=0)) == (0, 0, "server")
    assert tokens(call(0, output_tokens=-1)) == (7, None, "server")  # as of embeddings
    assert tokens() == (None, None, None)


def rows(**fields):
    made = blank(1)
    about = {"prompt_tokens": 7, "output_tokens": 5, "start_s": 1.0, **fields}
    for name, value in about.items():
        made[name] = value
    return made


@pytest.mark.parametrize(("cut", "each"), [(0, 57e-6), (2, 57e-6), (3, None)])
def test_what_a_call_costs_is_followed_where_a_few_broke_off(cut, each):
    calls = [call(k, error="deadline_exceeded" if k < cut else "") for k in range(100)]
    for one in calls[:cut]:
        one.flags, one.events, one.output_tokens, one.prompt_tokens = int(Flag.STREAM), 0, -1, -1
    about = summary(calls).targets[0].to_dict()
    assert about["cost"]["of_calls"] == 100 - cut
    (of,) = of_targets([about])
    assert of.cost_per_call == (each and pytest.approx(each))


BY_SERVER = int(Flag.SERVER_TOKENS)


@pytest.mark.parametrize(
    ("fields", "price", "micros"),
    [
        ({"flags": BY_SERVER}, PRICE, 7 * 1 + 5 * 10),
        ({"flags": BY_SERVER, "cached_tokens": 3}, PRICE, 4 * 1 + 3 * 0.5 + 5 * 10),
        ({"flags": BY_SERVER, "cached_tokens": 3}, Price(input=1.0, output=10.0), 57),
        (
            {"flags": BY_SERVER, "written_tokens": 3},
            Price(input=1.0, output=10.0, cache_write=2.0),
            4 * 1 + 3 * 2 + 5 * 10,
        ),
        (
            {"flags": BY_SERVER, "cached_tokens": 6, "written_tokens": 3},
            Price(input=1.0, output=10.0, cached_input=0.5, cache_write=2.0),
            6 * 0.5 + 2 + 5 * 10,
        ),
        ({"flags": BY_SERVER, "prompt_tokens": 0, "output_tokens": 0}, PRICE, 0),
        ({"flags": BY_SERVER}, Price(input=0.0, output=0.0), 0),
        ({"flags": BY_SERVER, "error": 3}, PRICE, 57),  # a failed call was billed all the same
        ({"flags": BY_SERVER, "prompt_tokens": -1}, PRICE, None),
        ({"flags": BY_SERVER, "output_tokens": -1}, PRICE, None),
        ({"flags": 0}, PRICE, None),  # counted here, not there
        ({"flags": 0, "error": 3, "events": 0}, PRICE, 0),
        ({"flags": 0, "error": 3, "events": 2}, PRICE, None),  # it began to answer
        # novita.ai/docs/guides/llm-billing: whoever hangs up is charged (499), 4xx and 5xx are not;
        # Wei-Shaw/sub2api#4408: so it is before the first token.
        *(
            ({"flags": 0, "error": CODES[name], "status": status}, PRICE, None)
            for name, status in (
                ("deadline_exceeded", 0),
                ("first_byte_timeout", 0),
                ("cancelled", 0),
                ("server_disconnected", 0),
                ("stream_stalled", 200),
                ("invalid_schema", 200),
                ("response_too_large", 200),
            )
        ),
        *(
            ({"flags": 0, "error": CODES[name], "status": status}, PRICE, 0)
            for name, status in (
                ("connect_timeout", 0),
                ("write_error", 0),
                ("rate_limited", 429),
                ("server_error", 500),
                ("server_error", 200),
                ("invalid_json", 502),
            )
        ),
        ({"flags": 0, "error": CODES["cancelled"], "start_s": np.nan}, PRICE, 0),  # never sent
        ({"flags": BY_SERVER}, Price(input=1.0), None),
        ({"flags": BY_SERVER}, Price(output=1.0), None),
    ],
)
def test_what_one_call_cost(fields, price, micros):
    (found,) = costs(rows(**fields), price)
    assert found * 1e6 == (pytest.approx(micros) if micros is not None else pytest.approx(np.nan, nan_ok=True))  # fmt: skip


@pytest.mark.parametrize(("n", "said"), [(11, False), (12, True)])
def test_twelve_calls_tell_whether_they_are_alike(n, said):
    """A slow rise: every call is like the one before."""
    notes = first([call(k, latency=0.5 + k / 1000) for k in range(n)]).notes
    assert any("successive calls are alike" in note for note in notes) is said
