"""The gate of a move: bets on what is known, bounded errors however often one looks."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holymon.errors import PlanError
from holymon.figures import gate
from tests.bench import router

MARGINS = gate.Margins()


def sums(**known):
    return np.array([float(known.get(field, 0)) for field in gate.FIELDS])


def even(**more):
    return sums(**{"calls": 100, "failed": 1, "slow": 10, "priced": 100, "cost": 5, "sized": 100,
                   "long": 50, **more})  # fmt: skip


def test_scores_are_how_much_worse_than_it_may_be_a_side_is():
    score = gate.scores(even(failed=11, slow=15, cost=11, long=80, odd=2), even(), MARGINS)
    expected = [
        0.10 - 0.02,
        15 / 89 - 10 / 99,
        (11 - 5.5) / (11 + 5.5),
        0.30 - 0.25,
        -0.30 - 0.25,
        0.02 - 0.25,
    ]
    assert score == pytest.approx(expected)


def test_what_is_not_known_is_no_score_and_objectives_have_their_budgets():
    side = np.append(sums(calls=10), [10.0, 2.0])
    score = gate.scores(side, np.append(sums(calls=10), [0.0, 0.0]), MARGINS, (0.05,))
    assert np.isnan(score).tolist() == [False, False, True, True, True, True, False]
    assert score[-1] == pytest.approx(0.15)


def test_a_bet_wins_as_much_as_it_says_and_nothing_on_what_is_unknown():
    capital = gate.bet(gate.Capital.new(2), np.array([0.15, math.nan]))
    assert np.exp(capital.worse[0]) == pytest.approx((1 + gate.SHARES) / 2)
    assert np.exp(capital.well[0]) == pytest.approx(1 - 0.6 * gate.SHARES)
    assert (capital.worse[1] - capital.well[1]).tolist() == [-math.log(2)] * len(gate.SHARES)
    assert capital.blocks.tolist() == [1, 0]
    assert gate.evidence(capital.worse)[0] == pytest.approx(math.log(np.mean(1 + gate.SHARES) / 2))


def test_only_what_is_unknown_need_not_be_shown():
    capital = gate.Capital.new(2)
    for _ in range(60):
        capital = gate.bet(capital, np.array([-0.1, math.nan]))
    assert gate.passes(capital, MARGINS).tolist() == [True, True]
    assert gate.fails(capital, MARGINS, 5).tolist() == [False, False]
    assert gate.passes(gate.bet(capital, np.array([0.0, 0.0])), MARGINS).tolist() == [True, False]


def test_a_fault_is_noticed_as_soon_after_a_long_calm():
    calm = gate.Capital.new(1)
    for _ in range(1000):
        calm = gate.bet(calm, np.array([-0.1]))

    def until_failing(capital):
        for n in range(1000):
            if gate.fails(capital, MARGINS, 5).any():
                return n
            capital = gate.bet(capital, np.array([0.1]))
        return None

    assert until_failing(calm) <= 3 * until_failing(gate.Capital.new(1))


@settings(max_examples=20)
@given(st.lists(st.floats(-1, 1), min_size=1, max_size=60))
def test_no_block_ruins_a_bettor_and_no_score_wins_both_bets(score):
    capital = gate.Capital.new(1)
    for value in score:
        before, capital = capital, gate.bet(capital, np.array([value]))
        assert np.isfinite(capital.worse).all()
        assert np.isfinite(capital.well).all()
        worse = (capital.worse > before.worse).any() and capital.blocks % gate.INFLOW != 1
        assert not (worse and (capital.well > before.well).any())
        assert capital.best >= before.best


def test_the_limit_of_what_is_slow_follows_the_baseline():
    rng, limit = np.random.default_rng(1), 1.0
    for _ in range(400):
        latency = rng.exponential(3.0, 50)
        limit = float(gate.slow_limit(limit, sums(calls=50, slow=(latency > limit).sum())))
    assert 0.8 * 3 * math.log(10) < limit < 1.25 * 3 * math.log(10)
    assert gate.long_limit(10.0, sums(sized=4, long=4)) > 10 > gate.long_limit(10.0, sums(sized=4))
    assert gate.long_limit(10.0, sums()) == gate.slow_limit(10.0, sums()) == 10


def test_a_burst_is_a_walk_that_never_goes_below_zero():
    lead = 0
    for failed in (False, True, True, False, True):
        lead = gate.walk(lead, failed)
    assert lead == 2


@pytest.mark.parametrize(
    "wrong", [{"errors": 2}, {"slower": -1}, {"alpha": 0}, {"drift": math.nan}]
)
def test_margins_that_make_no_sense_are_refused(wrong):
    with pytest.raises(PlanError, match=f"{next(iter(wrong))} must"):
        gate.Margins(**wrong)


def test_of_moves_few_err_and_a_fault_takes_them_back():
    """A small part of `python -m tests.bench.router`: bursts, and latencies like those before."""

    def shares(n=40, **world):
        result = router.simulate(router.World("", tick_s=10, **world), n, seed=3)
        return result["promoted"].mean(), result["back"].mean(), result

    promoted, back, _ = shares()
    assert back <= 0.05
    assert promoted >= 0.95
    promoted, back, result = shares(fault=0.1)
    assert (promoted, back) == (0, 1)
    assert np.median(result["since_fault"]) < 2000
    promoted, back, result = shares(dearer=2.0)
    assert (promoted, back) == (0, 1)
    assert np.median(result["asked"]) < 200
