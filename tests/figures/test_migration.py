"""What a move saves, from calls whose tokens, prices and failures are known."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from holymon.errors import CODES, PlanError
from holymon.figures.bills import Amount, bill_of
from holymon.figures.blocks import blocks
from holymon.figures.comparison import compare_pairs
from holymon.figures.deciding import between, decide, earned
from holymon.figures.hours import by_hour, spans, table_of
from holymon.figures.migration import Stated, break_even, cost_row, saving, unpriced
from holymon.figures.summary import summarize
from holymon.figures.terms import MONTH_DAYS, Terms
from holymon.figures.verdict import check_objective
from holymon.plan import slo
from holymon.plan.known_prices import known_price
from holymon.plan.plan import Target
from holymon.plan.price import Price
from holymon.records.attempt import Flag
from holymon.records.records import Records
from tests.figures.test_cost import rows_of

LIST = Price(input=2.0, output=8.0)
HALF = Price(input=1.0, output=4.0)
MOVE = Stated(calls_per_month=1e6, one_off=2000.0)
PLAIN = (Terms(), Terms())


def called(
    prices,
    tokens,
    *,
    fails=(0.0, 0.0),
    took=(1.0, 1.0),
    spread=0.1,
    seed=0,
    n=400,
    failed="server_error",
):
    """Interleaved calls of two targets: (prompt, output) of each, shares that fail, seconds taken."""
    draw = np.random.default_rng(seed)
    records = Records(
        tuple(Target(provider="url", model="ab"[k], price=p) for k, p in enumerate(prices))
    )
    which = np.arange(2 * n) % 2
    rows = rows_of(*[(*tokens(k, draw), 0, -1, -1) for k in which.tolist()])
    rows["request"], rows["target"] = np.arange(2 * n), which
    rows["due_s"] = rows["start_s"] = np.arange(2 * n) * 0.1
    rows["end_s"] = rows["start_s"] + np.array(took)[which] * np.exp(
        spread * draw.normal(size=2 * n)
    )
    rows["first_s"] = rows["end_s"]
    bad = draw.random(2 * n) < np.array(fails)[which]
    rows["error"][bad] = CODES[failed]
    rows["flags"][bad] = 0
    rows["events"][bad] = 0 if failed == "server_error" else 3
    for name in ("prompt_tokens", "output_tokens", "cached_tokens"):
        rows[name][bad] = -1
    records.extend(rows, np.empty(0, records.gap_pairs.dtype), np.zeros(2 * n, np.int64))
    return records


def drawn_tokens(k, draw):
    return 1000, max(1, round(draw.normal(200, 60)))


def bills(records):
    return bill_of(records, 0), bill_of(records, 1), blocks(records, 0, 1, scheduled=True)


def judged(records, *, goals=(), move=MOVE, terms=PLAIN):
    a, b, pairs = bills(records)
    first, second = summarize(records).targets
    known = saving(a, b, pairs, terms, move)
    whys = "; ".join(filter(None, (unpriced(a, terms[0]), unpriced(b, terms[1]))))
    checks = [
        tuple(check_objective(slo.parse(goal), of) for of in (second, first)) for goal in goals
    ]
    return decide(second, first, whys if known is None else known, move, checks,
                  compare_pairs(pairs, one_run=True))  # fmt: skip


def test_intervals_hold_what_is_true_of_costs_saving_and_break_even():
    """A call costs 2 x 1000 + 8 x 200 = 3600 millionths; B half as much, but 5 % of it fail for free."""
    covered = np.zeros(4)
    for seed in range(24):
        a, b, pairs = bills(called((LIST, HALF), drawn_tokens, fails=(0, 0.05), seed=seed))
        known, row = saving(a, b, pairs, PLAIN, MOVE), cost_row(a, b, pairs, Terms(), MOVE)
        truths = (
            (row.per_thousand, 3.6),
            (known.per_month, 1800),
            (known.share, 0.5),
            (known.break_even, 2000 / 1800),
        )
        covered += [amount.low <= truth <= amount.high for amount, truth in truths]
    assert covered.min() >= 20  # of 24 at 95 %: fewer come in six of a thousand


def test_failures_that_were_paid_for_are_in_the_cost_of_those_that_succeed():
    records = called((LIST, LIST), lambda *_: (1000, 200), fails=(0, 0.2), seed=3)
    bad = (records["error"] != 0) & (records["target"] == 1)
    for name, value in (
        ("flags", Flag.SERVER_TOKENS),
        ("prompt_tokens", 1000),
        ("output_tokens", 0),
    ):
        records.rows[name][bad] = value
    _, b, _ = bills(records)
    share = bad.sum() / 400
    assert b.attempts == pytest.approx(1 / (1 - share))
    per_good = b.whole[:6].sum() / b.whole[6]
    assert per_good == pytest.approx((1000 * 2 + 200 * 8 + 2000 * share / (1 - share)) / 1e6)


def test_a_call_whose_tokens_were_never_counted_cost_between_nothing_and_a_whole_answer():
    records = called(
        (LIST, LIST), lambda *_: (1000, 200), fails=(0, 0.2), failed="stream_truncated", seed=1
    )
    a, b, pairs = bills(records)
    row = cost_row(b, a, [(y, x) for x, y in pairs], Terms(), MOVE)
    assert row.per_thousand.value == pytest.approx(3.6 * b.attempts)
    assert row.per_thousand.low == pytest.approx(3.6)
    assert row.uncounted.value == pytest.approx(3.6 * (b.attempts - 1))
    assert "each is reckoned as a whole answer" in b.notes[0]
    assert saving(a, b, pairs, PLAIN, MOVE).per_month.high >= 0


@pytest.mark.parametrize(
    ("terms", "used", "paid"),
    [
        (Terms(), 100.0, 100.0),
        (Terms(fx=0.14), 100.0, 14.0),
        (Terms(fee=0.04), 100.0, 104.0),
        (Terms(fx=0.5, fee=0.1), 100.0, 55.0),
        (Terms(min_topup=50.0), 10.0, 10.0),  # it lasts for five months, and does not expire
        (Terms(min_topup=50.0, credit_days=MONTH_DAYS), 10.0, 50.0),
        (Terms(min_topup=50.0, credit_days=3 * MONTH_DAYS), 10.0, 50 / 3),
        (Terms(min_topup=50.0, credit_days=3 * MONTH_DAYS), 20.0, 20.0),
    ],
)  # fmt: skip
def test_what_credit_costs_in_a_month(terms, used, paid):
    assert terms.paid(used) == pytest.approx(paid)
    assert terms.lost(used) == pytest.approx(max(paid / terms.factor - used, 0))


def test_terms_and_moves_that_cannot_be_are_refused():
    for wrong in ({"fee": 4.0}, {"fx": 0.0}, {"credit_days": 0.0}):
        with pytest.raises(PlanError, match=next(iter(wrong))):
            Terms(**wrong)
    with pytest.raises(PlanError, match="calls_per_month is 0"):
        Stated(calls_per_month=0)


def test_break_even_has_no_upper_end_where_there_may_be_no_saving():
    assert break_even(Amount(100.0, 50.0, 200.0), 1000.0) == Amount(10.0, 5.0, 20.0)
    assert break_even(Amount(100.0, -5.0, 200.0), 1000.0) == Amount(10.0, 5.0, None)
    assert break_even(Amount(-1.0, -5.0, 2.0), 1000.0) is None
    wide = break_even(Amount(100.0, -5.0, 200.0), 1000.0)
    assert (earned(wide), between(wide)) == ("10 months", "5–never")
    assert (earned(None), earned(Amount(0.0, 0.0, 0.0)), between(None)) == (
        "never reached",
        "at once",
        "",
    )


def test_what_it_depends_on_most_comes_first():
    a, b, pairs = bills(called((LIST, HALF), drawn_tokens))
    bars = saving(a, b, pairs, PLAIN, MOVE).bars
    assert [bar.name for bar in bars[:2]] == ["calls a month", "work of moving"]
    assert {bar.name for bar in bars} >= {
        "prices of url/a",
        "prices of url/b",
        "USD a month of url/a",
    }
    by_name = {bar.name: bar for bar in bars}
    work = by_name["work of moving"]
    assert work.at_high / work.at_low == pytest.approx(1.25 / 0.75)
    alone = saving(a, b, pairs, PLAIN, replace_work(0.0)).bars
    assert "work of moving" not in {bar.name for bar in alone}


def replace_work(usd):
    return Stated(calls_per_month=MOVE.calls_per_month, one_off=usd)


def test_cheaper_and_slower_is_said_and_is_a_go_as_long_as_objectives_hold():
    records = called((LIST, HALF), drawn_tokens, took=(1.0, 1.15), n=600)
    found = judged(records, goals=("latency_p95<2", "error_rate<=1%"))
    assert (found.decision, found.more) == ("go", 0)
    assert found.line.startswith("url/b is cheaper by ")
    assert ", but slower at latency p95 by " in found.line
    assert "url/b meets latency_p95<2" in found.reasons
    missed = judged(records, goals=("latency_p95<1",))
    assert missed.decision == "no-go"
    assert missed.line.startswith("url/b misses latency_p95<1: it is 1,")
    assert missed.line.endswith("; url/a misses it, too")


def test_dearer_and_too_little_are_a_no_go():
    dearer = judged(called((HALF, LIST), drawn_tokens))
    assert dearer.decision == "no-go"
    assert dearer.line.startswith("url/b is dearer by ")
    little = judged(called((LIST, Price(input=1.9, output=7.6)), lambda *_: (1000, 200)))
    assert (little.decision, little.line) == (
        "no-go", "url/b saves 5 % (5 to 5 %), and at least 10 % are wanted")  # fmt: skip


def test_what_is_not_decidable_says_how_many_calls_would_decide():
    near = Price(input=1.78, output=7.1)
    found = judged(called((LIST, near), drawn_tokens, n=300, seed=5))
    assert found.decision == "not shown"
    assert found.line.startswith("Whether url/b saves 10 % is not shown: it saves 1")
    assert found.more is None or found.more >= 10
    rate = judged(called((LIST, HALF), drawn_tokens, n=200), goals=("error_rate<=1%",))
    assert (rate.decision, rate.line) == (
        "not shown", "Whether url/b meets error_rate<=1% is not shown: it is 0 %")  # fmt: skip
    assert 180 <= rate.more <= 260  # Wilson's upper end of none is under 1 % from 380 calls on
    enough = judged(
        called((LIST, HALF), drawn_tokens, n=200 + rate.more), goals=("error_rate<=1%",)
    )
    assert enough.decision == "go"
    few = judged(called((LIST, HALF), drawn_tokens, n=60))
    assert (few.decision, few.reasons[-1]) == (
        "not shown", "So few calls give no intervals: at least 150 of each target are needed")  # fmt: skip


def test_a_price_that_is_not_known_is_said_and_never_guessed():
    for price, why in (
        (Price(), "the price of b is not known (define its API in targets.toml"),
        (Price(input=1.0), "the price of output tokens is not known"),
        (Price(input=1.0, output=2.0, currency="CNY"), "its price is in CNY: say by fx (--fx)"),
    ):  # fmt: skip
        found = judged(called((LIST, price), drawn_tokens))
        assert found.decision == "not shown"
        assert found.line.startswith(f"What url/b would save is not known: {why}")
    yuan = called((LIST, Price(input=14.0, output=56.0, currency="CNY")), lambda *_: (1000, 200))
    assert judged(yuan, terms=(Terms(), Terms(fx=1 / 14))).line.startswith(
        "url/b is cheaper by 50 %"
    )


def test_where_no_call_succeeds_it_is_a_no_go():
    found = judged(called((LIST, HALF), drawn_tokens, fails=(0, 1.0)), goals=("error_rate<=1%",))
    assert (found.decision, found.line) == ("no-go", "url/b misses error_rate<=1%: it is 100 %")
    assert "What url/b would save is not known: no call succeeded" in found.reasons


@pytest.mark.parametrize(
    ("address", "model", "counts", "usd"),
    [   # By hand from the makers' lists as of November 2026: (prompt, output, cached, written).
        ("https://api.openai.com/v1", "gpt-6-luna", (10_000, 900, 6_000, 0), 4_000 * 0.1 + 6_000 * 0.01 + 900 * 0.5),
        ("https://api.anthropic.com/v1", "claude-haiku-5-5", (10_000, 900, 6_000, 1_000), 3_000 * 0.1 + 6_000 * 0.01 + 1_000 * 0.125 + 900 * 0.5),
        ("https://api.anthropic.com/v1", "claude-haiku-5-5", (120_000, 900, 0, 0), 120_000 * 0.5 + 900 * 2.5),
        ("https://generativelanguage.googleapis.com/v1beta", "gemini-3.8-flash", (10_000, 900, 6_000, 0), 4_000 * 0.75 + 6_000 * 0.075 + 900 * 3.75),
    ],
)  # fmt: skip
def test_a_thousand_calls_at_the_price_lists_of_current_models(address, model, counts, usd):
    price = known_price(address, model, datetime(2026, 11, 20, tzinfo=UTC))
    records = Records(tuple(Target(provider="url", model=name, price=price) for name in "ab"))
    rows = rows_of(*[(*counts, 0)] * 400)
    rows["request"], rows["target"] = np.arange(400), np.arange(400) % 2
    rows["due_s"] = rows["start_s"] = np.arange(400) / 10
    rows["end_s"] = rows["start_s"] + 1
    records.extend(rows, np.empty(0, records.gap_pairs.dtype), np.zeros(400, np.int64))
    a, b, pairs = bills(records)
    row = cost_row(a, b, pairs, Terms(fee=0.04), MOVE)
    assert row.per_thousand.value == pytest.approx(usd / 1e6 * 1000 * 1.04)
    assert (row.per_thousand.low, row.per_thousand.high) == pytest.approx(
        [row.per_thousand.value] * 2
    )
    assert sum(part.value for part in row.parts.values() if part) == pytest.approx(
        row.per_thousand.value
    )


def test_hours_are_those_that_both_have():
    hour, day = 3600.0, 86400.0
    at = np.array([9 * hour, 9 * hour + day, 14 * hour, 20 * hour, 3 * hour])
    other = np.array([9 * hour, 14 * hour, 20 * hour])
    a, b = by_hour(
        [("a", at, np.array([1.0, 3.0, 4.0, 1.0, 9.0])), ("b", other, np.array([1.0, 1.0, 2.0]))]
    )
    assert (a.runs, a.hours, a.low, a.high) == (4, 3, (20, 1.0), (14, 4.0))
    assert b.cells == ("b", "3", "3", "09:00", "1,000", "20:00", "2,000", "2")
    assert by_hour([("a", at, at), ("b", other[:2], other[:2])]) == ()
    assert replace(a, low=(20, 0.0)).cells[-1] == ""
    assert "(UTC): 09:00–10:00, 14:00–15:00, 20:00–21:00; of the rest" in table_of([a, b]).text()
    assert spans([0, 1, 2, 9, 22, 23]) == "00:00–03:00, 09:00–10:00, 22:00–24:00"
    whole = np.arange(24) * hour
    assert "in every hour of the day" in table_of(by_hour([("a", whole, whole + 1)])).text()
