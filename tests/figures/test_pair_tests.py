"""What pairs say of the error rate and of a percentile, by hand."""

import math

import numpy as np
import pytest

from holymon.errors import PlanError
from holymon.figures.comparison import compare_pairs
from holymon.figures.pair_tests import error_difference, words
from holymon.figures.quantiles import mean_interval, newcombe, wilson
from holymon.figures.summary import summarize
from holymon.plan.plan import Open, Plan, Target
from holymon.plan.shapes import constant
from holymon.records.attempt import Flag, Marks
from holymon.records.records import from_marks
from holymon.structs import Rate

A, B = (Target(provider="p", model=m, base_url="http://127.0.0.1:1/v1") for m in "ab")
PLAN = Plan(targets=(A, B), load=Open(constant(10)), duration_s=10)


def side(target, *, fails=0, n=100, latency=0.5, error="server_error"):
    """Records of one target: `fails` of `n` calls failed, the others took `latency`."""
    made = []
    for k in range(n):
        one = Marks(k, target, k / 10)
        one.start, one.end, one.flags = one.due, one.due + latency, int(Flag.STREAM)
        one.error = error if k < fails else ""
        if not one.error:
            one.token(one.start + latency / 2, 1)
        made.append(one)
    return from_marks(PLAN.targets, made)


def pairs(fails, **more):
    return [(side(0, fails=a, **more), side(1, fails=b, **more)) for a, b in fails]


def summaries(fails, **more):
    return [tuple(summarize(records).targets[i] for i, records in enumerate(pair))
            for pair in pairs(fails, **more)]  # fmt: skip


def test_few_failures_have_newcombes_interval_of_all_calls():
    """Pairs that are all alike tell less than the calls: the wider interval is Newcombe's."""
    found = error_difference(summaries([(0, 1)] * 5), 0.99, claims=True)
    both = newcombe(wilson(0, 500), wilson(5, 500), 2.5758293)
    assert (found.a, found.b) == (Rate(0, None, None, 500), Rate(0.01, None, None, 500))
    assert found.difference == pytest.approx(0.01)
    assert found.interval == pytest.approx(both)
    assert found.result == "no difference shown"
    assert found.types == {"server_error": (0, 5)}
    compared = compare_pairs(pairs([(0, 1)] * 5)).errors
    assert (compared.a, compared.b, compared.types) == (found.a, found.b, found.types)


def test_failures_in_bursts_have_students_interval_over_the_pairs():
    fails = [(0, 0), (0, 60), (0, 0), (0, 0), (0, 0)]
    found = error_difference(summaries(fails), 0.95, claims=True)
    low, high = mean_interval(np.array([0, 0.6, 0, 0, 0]), 0.95)
    assert found.interval == pytest.approx((low, high))
    assert found.result == "no difference shown", "one burst is no difference"
    wide = error_difference(summaries(fails), 0.95, claims=True, neighbours=True)
    assert wide.interval == pytest.approx(
        mean_interval(np.array([0, 0.6, 0, 0, 0]), 0.95, neighbours=True)
    )


def test_a_difference_of_rates_has_its_direction():
    worse = error_difference(summaries([(1, 30), (0, 33), (2, 31)]), 0.95, claims=True)
    better = error_difference(summaries([(30, 1), (33, 0), (31, 2)]), 0.95, claims=True)
    assert (worse.result, better.result) == ("higher", "lower")
    assert worse.interval == pytest.approx((-better.interval[1], -better.interval[0]))
    assert worse.text.startswith("error rate: +30.3 points (+")
    assert worse.text.endswith("), B is higher")
    unclaimed = error_difference(summaries([(1, 30), (0, 33)]), 0.95, claims=False)
    assert unclaimed.result == "not comparable"
    assert unclaimed.interval is not None


def test_an_interval_of_rates_does_not_leave_what_rates_can_be():
    found = error_difference(summaries([(0, 100), (100, 100), (0, 100)]), 0.999, claims=True)
    assert found.interval[1] == 1.0
    back = error_difference(summaries([(100, 0), (100, 100), (100, 0)]), 0.999, claims=True)
    assert back.interval[0] == -1.0


def test_calls_that_say_nothing_of_the_api_are_nothing_to_compare():
    found = error_difference(summaries([(5, 5)], n=5, error="cancelled"), 0.95, claims=True)
    assert (found.difference, found.interval, found.result) == (None, None, "not comparable")
    assert found.a == Rate(None, None, None, 0)


def test_types_of_errors_are_counted_over_all_pairs_the_most_frequent_first():
    made = summaries([(1, 2), (1, 2)]) + summaries([(9, 4)], error="rate_limited")
    found = error_difference(made, 0.95, claims=True)
    assert list(found.types.items()) == [("rate_limited", (9, 4)), ("server_error", (2, 4))]


def test_results_in_words():
    results = ("same", "higher", "lower", "not comparable", "no difference shown")
    assert [words(result, 0.05) for result in results] == [
        "the same within 5 %", "B is higher", "B is lower", "not comparable",
        "no difference of 5 % or more shown",
    ]  # fmt: skip
    assert words("no difference shown", 0) == "no difference shown", "that of error rates"


def ratio(latencies, **more):
    made = [(side(0, latency=a), side(1, latency=b)) for a, b in latencies]
    return compare_pairs(made, **more).ratios[0]


def test_a_ratio_is_the_geometric_mean_of_the_pairs_and_all_tests_share_the_5_percent():
    latencies = [(0.5, 0.5 * r) for r in (1.9, 2.0, 2.1, 2.2, 2.3)]
    found = ratio(latencies)
    logs = np.log([1.9, 2.0, 2.1, 2.2, 2.3])
    assert found.ratio == pytest.approx(math.exp(logs.mean()))
    # Latency and TTFT at p50 and p95, and the error rate: five tests.
    assert found.interval == pytest.approx(tuple(np.exp(mean_interval(logs, 1 - 0.05 / 5))))
    assert (found.a, found.b) == (pytest.approx(0.5), pytest.approx(1.05))
    assert (found.pairs, found.result) == (5, "higher")
    assert found.text.startswith("latency p50: 500 ms and 1,050 ms, ratio 2.1 (")
    back = ratio([(b, a) for a, b in latencies])
    assert (back.result, back.ratio) == ("lower", pytest.approx(1 / found.ratio))


@pytest.mark.parametrize(
    ("spread", "effect", "result"),
    [
        ((1.04, 1.04, 1.04, 1.04, 1.04001), 0.05, "same"),
        ((1.04, 1.04, 1.04, 1.04, 1.04001), 0.03, "higher"),
        ((0.96, 0.96, 0.96, 0.96, 0.96001), 0.05, "same"),
        ((0.96, 0.96, 0.96, 0.96, 0.96001), 0.03, "lower"),
        # Larger than the effect, and the interval has 1 in it; smaller, and it reaches beyond.
        ((0.8, 1.4, 0.9, 1.5, 1.1), 0.05, "no difference shown"),
        ((1.0, 1.08, 0.94, 1.06, 0.95), 0.05, "no difference shown"),
        ((1.0, 1.0, 1.0, 1.0, 1.00001), 0.0, "no difference shown"),
    ],
)
def test_what_a_ratio_shows_is_by_its_interval_and_the_smallest_effect(spread, effect, result):
    assert ratio([(0.5, 0.5 * r) for r in spread], effect=effect).result == result


def test_pairs_without_the_figure_are_left_out():
    """Calls of which none says anything of the API; ones that failed took for ever."""
    known = [(side(0, latency=0.5), side(1, latency=1.0 + k / 100)) for k in range(5)]
    without = (side(0, fails=100, error="cancelled"), side(1))
    found = compare_pairs([*known, without])
    assert (found.pairs, found.ratios[0].pairs) == (6, 5)
    assert found.ratios[0].result == "higher"
    few = compare_pairs([*known[:4], without])
    assert (few.ratios[0].pairs, few.ratios[0].interval) == (4, None)
    assert few.ratios[0].result == "not comparable"


def test_a_comparison_names_its_sides_counts_its_pairs_and_takes_an_effect_up_to_1():
    made = pairs([(0, 0)] * 5)
    assert compare_pairs(made).headline == "B = p/b against A = p/a, 5 pairs: no difference shown"
    named = compare_pairs(made[:1], names=("old", "new"))
    assert named.headline == "B = new against A = old, 1 pair: not comparable"
    assert compare_pairs(made, effect=0.0).effect == 0
    for wrong in (1, -0.01, math.nan):
        with pytest.raises(PlanError, match="effect is"):
            compare_pairs(made, effect=wrong)
    assert compare_pairs([]).headline == "B = B against A = A, 0 pairs: not comparable"
