"""A comparison shows differences that are there, and hardly ever one that is not."""

from types import SimpleNamespace

import numpy as np
import pytest

from holymon.errors import CODES, PlanError
from holymon.figures.blocks import blocks
from holymon.figures.comparison import compare_pairs
from holymon.figures.comparison_notes import of_client
from holymon.figures.comparisons import Comparisons
from holymon.figures.pair_tests import error_difference
from holymon.figures.quantiles import wilson
from holymon.figures.reasons import Reason
from holymon.figures.summary import summarize_target
from holymon.language.said import say
from holymon.plan.plan import Open, Plan, Target
from holymon.plan.price import Price
from holymon.plan.shapes import constant
from holymon.records.attempt import DTYPE, GAP, Flag
from holymon.records.records import Records

PRICE = Price(input=1.0, output=1.0)
A, B = (Target(provider="p", model=m, base_url="http://127.0.0.1:1/v1", price=PRICE) for m in "ab")
PLAN = Plan(targets=(A, B), load=Open(constant(10)), duration_s=10)


def latencies(rng, n, rho, sigma=0.3):
    """Lognormal latencies around 0.5 s; the logs of successive ones are correlated by `rho`."""
    fresh = rng.normal(size=n) * np.sqrt(1 - rho**2)
    logs = np.empty(n)
    logs[0] = rng.normal()
    for i in range(1, n):
        logs[i] = rho * logs[i - 1] + fresh[i]
    return 0.5 * np.exp(sigma * logs)


def rows(latency, target, due, failed=None):
    made = np.zeros(len(latency), DTYPE)
    made["due_s"] = made["start_s"] = due
    made["end_s"] = made["last_s"] = due + latency
    made["first_s"] = due + 0.4 * latency
    made["target"], made["flags"] = target, Flag.STREAM | Flag.SERVER_TOKENS
    made["prompt_tokens"], made["output_tokens"] = 10, 10
    if failed is not None:
        made["error"][failed] = CODES["server_error"]
    return made


def records(*parts):
    found = Records(PLAN.targets)
    for part in parts:
        found.extend(part, np.zeros(0, GAP), np.zeros(len(part), np.int64))
    return found


def alternated(rng, *, rho, shift=1.0, offset=0.05, pairs=5, n=200, fails=(0.0, 0.0)):
    """A B A B ...: each run with a level of its own, as runs at different hours have."""
    made = []
    for _ in range(pairs):
        pair = []
        for target, scale in ((0, 1.0), (1, shift)):
            level = scale * np.exp(offset * rng.normal())
            failed = rng.random(n) < fails[target]
            pair.append(
                records(rows(level * latencies(rng, n, rho), target, np.arange(n) / 10, failed))
            )
        made.append(tuple(pair))
    return compare_pairs(made)


def interleaved(rng, *, rho, shift=1.0, n=600):
    """Two targets in one run, each with a server whose latencies follow one another."""
    due = np.arange(2 * n) / 20
    run = records(*(
        rows(scale * latencies(rng, n, rho), k, due[k::2]) for k, scale in enumerate((1.0, shift))
    ))  # fmt: skip
    return compare_pairs(blocks(run, 0, 1), one_run=True)


def test_sides_are_counted_as_their_summaries_have_them():
    rng = np.random.default_rng(1)
    made = records(*(
        rows(latencies(rng, 300, 0.3), k, np.arange(300.0), rng.random(300) < 0.1) for k in (0, 1)
    ))  # fmt: skip
    errors = compare_pairs(blocks(made, 0, 1), one_run=True).errors
    for k, rate in enumerate((errors.a, errors.b)):
        whole = summarize_target(made, k)
        assert (rate.value, rate.of) == (whole.error_rate.value, whole.error_rate.of)
        assert {name: pair[k] for name, pair in errors.types.items()} == whole.errors


def test_one_short_run_says_how_long_it_would_have_to_be():
    (said,) = interleaved(np.random.default_rng(1), rho=0.0, shift=3.0, n=149).notes
    assert "at least 150 calls of each target" in said
    assert interleaved(np.random.default_rng(1), rho=0.0, shift=3.0, n=160).notes == ()


@pytest.mark.parametrize(
    ("design", "rho"),
    [(alternated, 0.0), (alternated, 0.6), *((interleaved, rho) for rho in (0.0, 0.98))],
)
def test_at_most_5_percent_false_alarms_over_20_pairs_of_one_and_the_same(design, rho):
    """`tests.bench.comparison` counts them over thousands."""
    rng = np.random.default_rng(5)
    assert sum(design(rng, rho=rho).shown for _ in range(20)) <= 1


@pytest.mark.parametrize(
    ("design", "more", "power"),
    [(alternated, {"offset": 0.0, "n": 500}, 0.8), (alternated, {"offset": 0.03, "pairs": 12}, 0.9),
     (interleaved, {}, 0.5), (interleaved, {"n": 2000}, 0.95)],
)  # fmt: skip
def test_a_shift_of_10_percent_is_found_with_the_stated_power(design, more, power):
    rng = np.random.default_rng(8)
    found = [design(rng, rho=0.3, shift=1.1, **more) for _ in range(24)]
    shown = [any(one.metric == "latency_s" and one.result == "higher" for one in c.ratios) for c in found]  # fmt: skip
    assert np.mean(shown) >= power
    assert not any(one.result == "lower" for c in found for one in c.ratios)


def test_a_doubling_is_shown_with_its_size_and_its_direction():
    compared = alternated(np.random.default_rng(1), rho=0.6, shift=2.0)
    assert compared.shown
    first = compared.ratios[0]
    assert (first.metric, first.stat, first.result) == ("latency_s", "p50", "higher")
    assert first.interval[0] < 2 < first.interval[1]
    assert "a difference is shown" in str(compared)
    assert f"latency p50 × {first.ratio:.3g}" in compared.verdict
    assert compared.verdict.state == "worse"
    back = alternated(np.random.default_rng(1), rho=0.6, shift=0.5)
    assert back.verdict.state == "healthy"
    assert back.ratios[0].result == "lower"


def test_sameness_is_a_result_of_its_own():
    compared = interleaved(np.random.default_rng(1), rho=0.0, n=20_000)
    assert {one.result for one in compared.ratios} == {"same"}
    assert "the same within 5 %" in str(compared)
    assert compared.verdict.startswith("No difference of 5 % or more between ")
    unsure = alternated(np.random.default_rng(3), rho=0.6, offset=0.15)
    assert "no difference shown" in {one.result for one in unsure.ratios}
    assert "no difference shown" in unsure.headline
    assert unsure.verdict.startswith("No difference shown of 5 % or more between ")


def test_a_small_effect_is_no_alarm_however_sure_it_is():
    compared = interleaved(np.random.default_rng(1), rho=0.0, shift=1.03, n=20_000)
    assert compared.ratios[0].interval[0] > 1
    assert not compared.shown


@pytest.mark.parametrize("pairs", [1, 4])
def test_few_pairs_claim_nothing(pairs):
    compared = alternated(np.random.default_rng(1), rho=0.0, shift=3.0, pairs=pairs)
    assert not compared.shown
    assert {one.result for one in compared.ratios} == {"not comparable"}
    assert "at least 5" in compared.notes[0]


def test_runs_that_were_not_alternated_claim_nothing():
    rng = np.random.default_rng(1)
    pairs = [
        tuple(records(rows(latencies(rng, 100, 0), k, np.arange(100.0))) for k in (0, 1))
        for _ in range(6)
    ]
    compared = compare_pairs(pairs, interleaved=False)
    assert {one.result for one in compared.findings} == {"not comparable"}
    assert "alternately" in compared.notes[0]


@pytest.mark.parametrize("level", ["valid", "suspect", "invalid"])
def test_what_an_unfit_client_measured_is_doubted_or_not_claimed(level):
    rng = np.random.default_rng(2)
    pairs = [
        tuple(records(rows(latencies(rng, 100, 0) * (1 + k), k, np.arange(100.0))) for k in (0, 1))
        for _ in range(6)
    ]
    found = (Reason(level, "the client <was> busy."),) * (level != "valid")
    compared = compare_pairs(pairs, doubts={"ab/1": (), "ab/\x1b2": found})
    assert compared.shown == (level != "invalid")
    assert (f"ab/2 is {level}: the client <was> busy." in str(compared)) == (level != "valid")
    assert ("the client &lt;was&gt; busy." in compared._repr_html_()) == (level != "valid")
    assert "ab/1" not in str(compared)
    assert compared.verdict.endswith(" (the measurement is suspect)") == (level == "suspect")
    assert compared.to_dict()["suspect"] == (level == "suspect")


def test_of_several_targets_each_is_held_against_the_first_and_all_share_the_5_percent():
    rng = np.random.default_rng(4)
    b, c = (
        [tuple(records(rows(latencies(rng, 100, 0) * (1 + k * by), k, np.arange(100.0))) for k in (0, 1))
         for _ in range(6)]
        for by in (0.0, 1.0)
    )  # fmt: skip
    alone = compare_pairs(b, names=("a", "b")).ratios[0].interval
    both = Comparisons(compare_pairs(pairs, names=("a", name), beside=1)
                       for name, pairs in (("b", b), ("c", c)))  # fmt: skip
    low, high = both[0].ratios[0].interval
    assert low < alone[0] < alone[1] < high
    assert str(both.verdict).startswith("c against a: latency p50 × 2")
    assert (both.verdict.state, both.shown) == ("worse", True)
    assert "No difference" in both.verdict
    assert len(both.to_dict()["comparisons"]) == 2
    assert str(both).count("latency p50") == both._repr_html_().count("latency p50") == 2


def test_that_a_target_is_down_is_a_difference_and_not_the_clients_doing():
    rng = np.random.default_rng(3)
    down = np.arange(100)
    pairs = [
        (records(rows(latencies(rng, 100, 0), 0, np.arange(100.0))),
         records(rows(latencies(rng, 100, 0), 1, np.arange(100.0), failed=down)))
        for _ in range(5)
    ]  # fmt: skip
    compared = compare_pairs(
        pairs, doubts={"ab/1": (Reason("invalid", "no call succeeded", of_api=True),)}
    )
    assert (compared.errors.result, compared.notes) == ("higher", ())
    assert compared.errors.difference == 1
    assert compared.headline.endswith("a difference is shown")
    assert {ratio.result for ratio in compared.ratios} == {"higher"}, "it took for ever"
    assert {ratio.cells[2] for ratio in compared.ratios} == {"never"}
    assert "latency p95 never instead of " in compared.verdict
    assert compared.verdict.endswith("100 % of calls failed instead of 0 %")


def in_bursts(rng, series, n, rate, length):
    """Which of n calls fail in each series: a share of `rate`, about `length` one after another."""
    stops, starts = 1 / length, rate / (1 - rate) / length
    failed, fails = np.empty((n, series), bool), rng.random(series) < rate
    for i, draws in enumerate(rng.random((n, series))):
        failed[i] = fails
        fails = np.where(fails, draws >= stops, draws < starts)
    return failed.T


@pytest.mark.parametrize(("rate", "length"), [(0.02, 1), (0.02, 5), (0.05, 20), (0.1, 50)])
@pytest.mark.parametrize(("pairs", "n"), [(5, 200), (20, 30)], ids=["alternated", "interleaved"])
def test_failures_that_come_in_bursts_are_no_difference(rate, length, pairs, n):
    rng = np.random.default_rng(1)
    one_run, alarms = pairs == 20, 0
    # Blocks of one run follow one another, runs measured alternately don't.
    shape = (1000, pairs * n) if one_run else (1000 * pairs, n)
    counts = in_bursts(rng, *shape, rate, length).reshape(500, 2, pairs, n).sum(axis=3)
    rates = [SimpleNamespace(error_rate=wilson(k, n), errors={}) for k in range(n + 1)]
    for parts in counts.tolist():
        a, b = ([rates[k] for k in part] for part in parts)
        found = error_difference(
            list(zip(a, b, strict=True)), 0.99, claims=True, neighbours=one_run
        )
        alarms += found.result in {"higher", "lower"}
    assert alarms <= 25


def test_blocks_that_are_alike_are_said_to_be():
    slow = interleaved(np.random.default_rng(5), rho=0.99)
    (said,) = slow.cautions
    assert "a longer run tells more" in said
    assert said in str(slow)
    assert interleaved(np.random.default_rng(5), rho=0.0).cautions == ()
    assert alternated(np.random.default_rng(5), rho=0.99, pairs=12).cautions == ()


def test_too_few_blocks_are_said_to_be_instead_of_an_interval_that_holds_anything():
    """Five blocks that drift alike gave intervals such as 0.06 to 815."""
    few = [interleaved(np.random.default_rng(seed), rho=0.98, n=160) for seed in range(20)]
    bare = [(one, ratio) for one in few for ratio in one.ratios if ratio.interval is None]
    assert bare
    for one, ratio in bare:
        assert ratio.result == "too few blocks"
        assert "too few blocks" in ratio.text
        assert any("a longer run tells more" in caution for caution in one.cautions)
        assert one.to_dict()["ratios"][one.ratios.index(ratio)]["interval"] is None
    ends = [ratio.interval for one in few for ratio in one.ratios if ratio.interval]
    assert max(high / low for low, high in ends if low <= 1 <= high) <= 10
    large = interleaved(np.random.default_rng(1), rho=0.0, shift=3.0, n=160)
    assert large.ratios[0].result == "higher", "a difference that is shown is not left out"


def test_errors_are_compared_with_an_interval():
    rng = np.random.default_rng(4)
    worse = alternated(rng, rho=0.0, fails=(0.01, 0.08))
    assert worse.errors.result == "higher"
    assert worse.errors.difference == pytest.approx(0.07, abs=0.02)
    alike = alternated(rng, rho=0.0, fails=(0.05, 0.05))
    assert alike.errors.result == "no difference shown"


def test_costs_are_of_a_successful_call():
    compared = alternated(np.random.default_rng(4), rho=0.0, fails=(0.0, 0.5))
    assert compared.cost_ratio == pytest.approx(2.0, rel=0.1)


def test_blocks_hold_every_measured_call_once():
    due = np.arange(400) / 20
    run = records(*(rows(np.full(200, 0.1), k, due[k::2]) for k in (0, 1)))
    found = blocks(run, 0, 1)
    assert len(found) == 6
    assert sum(len(a) + len(b) for a, b in found) == 398, (
        "the first of one and the last of the other lie outside"
    )
    ends = [max(a["due_s"].max(), b["due_s"].max()) for a, b in found]
    starts = [min(a["due_s"].min(), b["due_s"].min()) for a, b in found]
    assert all(end < start for end, start in zip(ends, starts[1:], strict=False))
    assert blocks(run.select(run["due_s"] < 1), 0, 1) == []


def test_several_targets_at_once_are_refused():
    due = np.arange(10.0)
    both = records(*(rows(np.full(10, 0.1), k, due) for k in (0, 1)))
    with pytest.raises(PlanError, match="there are 2 here"):
        compare_pairs([(both, both)] * 5)
    with pytest.raises(PlanError, match="effect is 2"):
        compare_pairs([], effect=2)


def test_what_the_client_did_to_many_runs_is_said_once_with_a_count_and_the_worst():
    late = [
        Reason("suspect", say("it woke up to {ms} ms late.", ms=ms), late_s=ms) for ms in (1, 9, 4)
    ]
    doubts = {f"a/{k}": (reason,) for k, reason in enumerate(late)} | {"a/3": ()}
    assert of_client(doubts, "suspect") == (
        "3 of 4 runs are suspect, such as a/1: it woke up to 9 ms late.",
    )
    assert of_client({"a/0": (late[0],)}, "suspect") == (
        "a/0 is suspect: it woke up to 1 ms late.",
    )
    assert of_client(doubts, "invalid") == ()
