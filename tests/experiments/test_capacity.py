"""The search finds the knee of a system that has one, within its budget, and says what it knows."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from holymon.errors import PlanError
from holymon.experiments.bisection import LOWEST, MOST_OFTEN, following, found_s, needs
from holymon.experiments.bounds import (
    BUDGET_S,
    ERROR,
    FEW,
    START_S,
    Bounds,
    Step,
    error_of,
    time_of,
)
from holymon.experiments.capacity import Capacity, LoadLevel, latest

SLO = ("ttft_p95<1", "error_rate<5%")


def searched(bounds, judge, most=200, beside=0.0, need=None):
    """All levels of a search in which `judge(rate, seconds)` is (met, sure), and why it ended.

    Each takes `beside` seconds more than its load, and would need `need(rate)` seconds to be sure.
    """
    levels = []
    for _ in range(most):
        step = following(levels, bounds)
        if isinstance(step, str):
            return Capacity(
                "x/y", bounds.objectives, tuple(levels), step, simulated=False,
                needs=needs(levels, bounds),
            )  # fmt: skip
        met, sure = judge(step.rate, step.seconds)
        calls = round(step.rate * step.seconds)
        levels.append(
            LoadLevel(
                rate=step.rate,
                seconds=step.seconds,
                took_s=step.seconds + beside,
                calls=calls,
                met=met,
                sure=sure,
                answers_per_s=step.rate,
                goodput_per_s=None,
                cost_usd=calls * 1e-3,
                words=(),
                run_id="r",
                need_s=None if sure or need is None else need(step.rate),
            )
        )
    raise AssertionError("the search does not end")


RATES = st.floats(0.5, 400)


@given(knee=RATES, start=st.floats(0.5, 50), precision=st.floats(0.02, 0.5))
def test_a_knee_is_bracketed_as_closely_as_was_asked(knee, start, precision):
    assume(start / LOWEST < knee / 2)
    bounds = Bounds(SLO, start=start, most=1000, precision=precision, budget_s=6e5)
    found = searched(bounds, lambda rate, _: (rate <= knee, True))
    assert found.ended == "found"
    assert found.best.rate <= knee < found.limit.rate
    # Rates have three figures, so they can't be told apart more closely than that.
    assert found.limit.rate / found.best.rate <= (1 + precision) * 1.011
    assert len(found.levels) < 30


@given(knee=RATES, noise=st.floats(0, 0.3), seed=st.integers(0, 1000))
def test_a_noisy_knee_is_found_near_where_it_is(knee, noise, seed):
    rng = np.random.default_rng(seed)

    def judge(rate, _):
        felt = knee * np.exp(noise * rng.normal())
        return bool(rate <= felt), abs(np.log(rate / felt)) > noise

    found = searched(Bounds(SLO, start=1, budget_s=6e5), judge)
    assert found.ended == "found"
    assert np.exp(-6 * noise) / 1.2 < found.best.rate / knee < np.exp(6 * noise) * 1.2


@given(
    knee=RATES, budget=st.floats(12, 500), calls=st.none() | st.integers(1, 5000),
    money=st.none() | st.floats(0.1, 5), beside=st.floats(0, 2),
)  # fmt: skip
def test_no_search_spends_more_than_its_budget(knee, budget, calls, money, beside):
    bounds = Bounds(
        SLO, start=2, seconds=10, budget_s=budget, max_calls=calls, max_cost=money
    )  # fmt: skip
    found = searched(
        bounds, lambda rate, _: (rate <= knee, not 0.9 * knee <= rate <= 1.1 * knee), beside=beside
    )
    assert sum(level.took_s for level in found.levels) <= budget
    assert sum(level.calls for level in found.levels) <= (calls or 1e9)
    if money is not None and len(found.levels) > 1:
        assert sum(level.cost_usd for level in found.levels) <= money


@given(RATES, st.floats(0.5, 50))
def test_a_client_that_gives_up_first_leaves_a_lower_bound(limit, start):
    assume(start / LOWEST < limit / 2)
    bounds = Bounds(SLO, start=start, budget_s=6e5)
    found = searched(bounds, lambda rate, _: (True if rate <= limit else None, True))
    assert found.ended == "client"
    assert found.limit is None
    assert limit / 1.12 <= found.best.rate <= limit


def test_the_highest_rate_allowed_is_the_last_one():
    found = searched(Bounds(SLO, start=1, most=50, budget_s=6e5), lambda *_: (True, True))
    assert (found.ended, found.best.rate, found.limit) == ("all met", 50, None)


def test_what_is_never_met_ends_in_finite_time():
    found = searched(Bounds(SLO, start=8, budget_s=6e5), lambda *_: (False, True))
    assert (found.ended, found.best) == ("none met", None)
    assert found.limit.rate == pytest.approx(8 / LOWEST, rel=0.1)


def test_the_two_levels_that_the_answer_is_made_of_are_measured_again_and_longer():
    seen = []

    def judge(rate, seconds):
        seen.append((rate, seconds))
        return rate <= 3, False

    searched(Bounds(SLO, start=2, most=4, seconds=200, precision=1, budget_s=6e5), judge)
    assert seen == [(2, 50), (4, 50), (4, 200), (2, 600)]


@given(knee=RATES, need=st.none() | st.floats(10, 500), beside=st.floats(0, 5))
def test_without_a_budget_certainty_takes_no_longer_than_was_expected_of_it(knee, need, beside):
    whole_s, again = time_of(None)
    bounds = Bounds(SLO, start=knee / 6, most=2000, budget_s=whole_s, again=again)
    assert bounds.given_s is None
    found = searched(
        bounds,
        lambda rate, seconds: (rate <= knee, need is not None and seconds >= need),
        beside=beside,
        need=lambda _: need,
    )
    took = found_s(found.levels, bounds)
    spent = math.fsum(level.took_s for level in found.levels)
    assert found.ended == "found"
    assert took <= spent <= took + bounds.certainty_s(took) + 1e-6
    assert spent <= BUDGET_S
    assert found_s(found.levels[:2], bounds) is None


@pytest.mark.parametrize("answer_s", [0.1, 2.5, 5.0])
def test_how_long_finding_a_limit_takes_is_known_of_slow_answers_too(answer_s):
    """By an objective on whole answers before it begins, by two levels where there is none."""
    whole_s, again = time_of(None)
    of_answers = f"latency_p95<{answer_s}"
    for objective in (of_answers, "ttft_p95<0.5"):
        bounds = Bounds((objective,), budget_s=whole_s, again=again)
        found = searched(bounds, lambda rate, _: (rate <= 45, True), beside=START_S + answer_s)
        known = found.levels[:2] if objective != of_answers else ()
        assert 1 <= bounds.usual_s(known) / found_s(found.levels, bounds) < 1.5


def test_who_waits_is_told_where_the_limit_is_by_then():
    found = searched(Bounds(SLO, start=4, precision=1), lambda rate, _: (rate <= 10, True))
    told = [replace(found, levels=found.levels[:k]).so_far for k in (1, 3)]
    assert told[0].endswith("; the limit is above 4 calls/s; 4 s so far")
    assert told[1].endswith("; the limit is between 8 calls/s and 16 calls/s; 12 s so far")
    none = searched(Bounds(SLO, start=4), lambda *_: (False, True))
    assert "the limit is below 4 calls/s" in replace(none, levels=none.levels[:1]).so_far


def test_what_a_level_needs_to_be_certain_is_what_it_gets_if_the_budget_allows():
    seen = []

    def judge(rate, seconds):
        seen.append((rate, seconds))
        return rate <= 10, seconds >= 100 or rate > 12

    bounds = Bounds(SLO, start=8, seconds=10, budget_s=600)
    found = searched(bounds, judge, need=lambda _: 100)
    assert found.surely_met == found.best
    assert (found.best.rate, 125) in seen
    assert max(seconds for rate, seconds in seen if rate > 12) == 4
    poor = searched(replace(bounds, budget_s=130), judge, need=lambda _: 100)
    assert poor.surely_met is None
    assert poor.needs == (
        "to be certain that 9.51 calls/s are met takes a level of about 100 s (951 calls).",
        "to be certain that 10.4 calls/s are too many takes a level of about 100 s (1,040 calls).",
    )


def test_what_can_not_be_certain_gives_way_to_a_lower_rate_that_can():
    def judge(rate, seconds):
        return rate <= 10, (rate <= 9 and seconds >= 60) or rate > 12

    found = searched(
        Bounds(SLO, start=1, budget_s=600), judge, need=lambda rate: 60 if rate <= 9 else None
    )
    assert found.best.rate > 9 >= found.surely_met.rate > 7
    assert f"certain that {found.best.rate:g} calls/s are met is hardly possible" in str(found)


def test_a_rate_between_that_can_not_be_measured_is_not_tried_for_ever():
    def judge(rate, _):
        return (None if 3 < rate < 3.5 else rate <= 4.1), rate < 3

    found = searched(Bounds(SLO, start=1, budget_s=6e4), judge)
    assert (found.best.rate, found.surely_met.rate) == (4, 2)
    assert [level.rate for level in found.levels].count(3.31) == 2


def test_levels_are_short_far_from_the_limit_and_long_near_it():
    steps = []

    def judge(rate, seconds):
        steps.append((rate, seconds))
        return rate <= 40, True

    searched(Bounds(("ttft_p99<1", "error_rate<1%"), start=1, budget_s=600), judge)
    climb = [seconds for rate, seconds in steps if rate in {1, 2, 4, 8, 16, 32, 64}]
    assert climb == [10, 5, 4, 4, 4, 4, 4], "ten calls, and the time in which a queue shows"
    rate, seconds = steps[7]
    assert rate * seconds > 500


def test_no_search_errs_more_than_it_may_however_many_levels_it_has():
    assert sum(error_of(k) for k in range(1000)) == pytest.approx(ERROR)
    bounds = Bounds(SLO, start=1, budget_s=6e5)
    levels = searched(bounds, lambda rate, _: (rate <= 9, False)).levels
    errors = [following(levels[:k], bounds).error for k in range(len(levels))]
    assert errors == [error_of(k) for k in range(len(levels))]
    rates = [level.rate for level in levels]
    assert max(map(rates.count, rates)) <= MOST_OFTEN


def test_an_invalid_measurement_is_tried_again_before_it_is_believed():
    outcomes = iter([(None, True), (True, True), (False, True), (False, True)])
    levels = searched(
        Bounds(SLO, start=4, precision=1, budget_s=6e5), lambda *_: next(outcomes)
    ).levels
    assert [(one.rate, one.met) for one in levels] == [(4, None), (4, True), (8, False), (8, False)]
    assert [one.met for one in latest(levels)] == [True, False]


def test_a_level_has_some_calls_at_any_rate():
    bounds = Bounds(("ttft_p99<1",), start=0.1, seconds=1)
    assert following([], bounds) == Step(0.1, FEW / 0.1)
    assert Bounds(SLO).calls(0.0025) == pytest.approx(117 + 33, abs=1)
    assert Bounds(("error_rate<0.1%",)).calls(0.0025) == 2000 + 135


def test_a_search_that_ran_out_of_budget_says_what_it_would_need():
    found = searched(Bounds(SLO, start=1, budget_s=35), lambda *_: (True, True), beside=1.0)
    assert found.ended == "budget"
    assert found.needs == (
        "next would be 32 calls/s for 4 s (128 calls): that takes a budget of 37 s.",
    )
    few = searched(Bounds(SLO, start=1, budget_s=6e5, max_calls=50), lambda *_: (True, True))
    assert few.needs[0].endswith("that takes more calls, or more money, than are allowed.")


@pytest.mark.parametrize(
    ("bad", "said"),
    [({"objectives": ()}, "objective"), ({"start": 0}, "from"), ({"most": 0.5}, "to"),
     ({"precision": 0}, "precision"), ({"budget_s": 1}, "budget"), ({"seconds": float("nan")}, "duration"),
     ({"objectives": ("speed>1",)}, "speed")],
)  # fmt: skip
def test_a_search_that_can_not_be_is_one_sentence(bad, said):
    with pytest.raises(PlanError, match=said):
        Bounds(**{"objectives": SLO, **bad})


def test_the_answer_is_said_in_words():
    found = searched(Bounds(SLO, start=1, budget_s=6e5), lambda rate, _: (rate <= 10, rate < 9))
    assert f"met up to {found.best.rate:g} calls/s (for certain up to 8 calls/s)" in str(found)
    assert f"missed from {found.limit.rate:g} calls/s on (not for certain)" in str(found)
    assert "MISSED, but not for certain" in str(found)
    assert found.to_dict()["highest_met_per_s"] == found.best.rate
    assert "What lies between the two is not known." in str(found)


def test_the_answer_says_which_part_of_it_is_certain():
    # Close to the knee nothing is certain.
    found = searched(
        Bounds(SLO, start=1, budget_s=6e5), lambda rate, _: (rate <= 10, not 5 < rate < 15)
    )
    assert found.surely_met.rate < found.best.rate < found.limit.rate < found.surely_missed.rate
    assert f"{found.best.rate:g} calls/s (for certain up to {found.surely_met.rate:g}" in str(found)
    assert f"on (for certain from {found.surely_missed.rate:g} calls/s)" in str(found)
    doubtful = searched(Bounds(SLO, start=1, budget_s=6e5), lambda rate, _: (rate <= 10, False))
    assert (doubtful.surely_met, doubtful.surely_missed) == (None, None)
    assert str(doubtful).count("(not for certain)") == 2
    assert doubtful.to_dict()["highest_surely_met_per_s"] is None


@pytest.mark.parametrize("met_to", [20, 1e9])
def test_an_answer_without_a_miss_is_a_lower_bound_and_says_so(met_to):
    found = searched(
        Bounds(SLO, start=1, most=100, budget_s=6e5),
        lambda rate, _: (True if rate <= met_to else None, True),
    )
    assert found.limit is None
    assert "so this is a lower bound." in str(found)
    assert ("this computer, not the API, may be the limit" in str(found)) == (met_to == 20)


def test_a_certain_answer_is_never_above_a_rate_that_missed():
    outcomes = iter([(True, True), (False, False), (False, False), (True, True), (True, True)])
    levels = searched(Bounds(SLO, start=4, precision=1, budget_s=6e5), lambda *_: next(outcomes))
    assert (levels.surely_met.rate, levels.limit.rate, levels.surely_missed) == (4, 8, None)


def test_a_search_says_what_it_spent_where():
    found = searched(Bounds(SLO, start=2, precision=1, seconds=200, budget_s=6e5),
                     lambda rate, _: (rate <= 3, rate != 2), beside=3.0)  # fmt: skip
    table = replace(found, budget_s=6e5).table
    took = sum(level.took_s for level in found.levels)
    assert table.lead[2].startswith(f"spent: {took:.3g} s of 6e+05 s: {len(found.levels)} levels")
    assert "2 levels measured again" in table.lead[2]
    assert [row[2] for row in table.rows] == [f"{level.took_s:.3g}" for level in found.levels]
