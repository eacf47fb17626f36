"""Schedules of several targets: each has its own, with numbers that say which call of it is which."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holymon.plan.arrivals import due, merged, phases
from holymon.plan.plan import Open, Plan, Target
from holymon.plan.shapes import Replay, constant, poisson, ramp

MANY = tuple(
    Target(provider="p", model=f"m{k}", base_url="http://127.0.0.1:1/v1") for k in range(4)
)


def of_each(plan):
    """The times of each target's calls, as the plan has them."""
    times, numbers = plan.schedule()
    k = len(plan.targets)
    return [times[numbers % k == j] for j in range(k)]


@given(st.lists(st.lists(st.floats(0, 100), max_size=20).map(sorted), min_size=1, max_size=5),
       st.integers(0, 99))  # fmt: skip
def test_merged_streams_are_all_their_calls_in_order_with_their_numbers(streams, seed):
    arrays = [np.array(times, dtype=np.float64) for times in streams]
    times, numbers = merged(arrays, seed)
    assert (np.diff(times) >= 0).all()
    for j, expected in enumerate(arrays):
        here = numbers % len(arrays) == j
        assert times[here].tolist() == expected.tolist()
        assert (np.sort(numbers[here]) == np.arange(len(expected)) * len(arrays) + j).all()


def test_the_first_target_is_called_as_it_would_be_alone():
    load = Open(poisson(20))
    alone = Plan(targets=MANY[:1], load=load, duration_s=20, seed=4)
    together = Plan(targets=MANY, load=load, duration_s=20, seed=4)
    assert of_each(together)[0].tolist() == alone.due().tolist()
    streams = of_each(together)
    assert len({tuple(times) for times in streams}) == 4, "and the others on their own"


@pytest.mark.parametrize("many", [1, 2, 3, 4])
def test_evenly_spaced_streams_are_as_far_apart_as_can_be(many):
    assert sorted(phases(many, 7)) == [k / many for k in range(many)]
    plan = Plan(targets=MANY[:many], load=Open(constant(10)), duration_s=3, seed=7)
    assert np.diff(plan.due()) == pytest.approx(0.1 / many)
    assert plan.due()[0] == 0
    assert [len(times) for times in of_each(plan)] == [30] * many


def test_none_of_the_targets_is_always_the_first():
    orders = {tuple(phases(3, seed)) for seed in range(60)}
    assert len(orders) == 6
    plan = Plan(targets=MANY[:2], load=Open(Replay(times=tuple(map(float, range(400))))), seed=1)
    times, numbers = plan.schedule()
    assert times.tolist() == np.repeat(np.arange(400.0), 2).tolist()
    assert 150 < (numbers[::2] % 2).sum() < 250
    assert (numbers[::2] // 2 == numbers[1::2] // 2).all(), "a moment of the trace, a round"


@pytest.mark.parametrize("shape", [constant(5), ramp(1, 9, 8), poisson(5)])
@pytest.mark.parametrize("warmup_s", [0, 1.3])
def test_requests_are_exact_for_each_target(shape, warmup_s):
    plan = Plan(targets=MANY[:3], load=Open(shape), requests=17, warmup_s=warmup_s, seed=2)
    assert [(times >= warmup_s).sum() for times in of_each(plan)] == [17, 17, 17]


def test_bursts_begin_anywhere_so_as_many_calls_come_at_first_as_later():
    shape = constant(50).arriving("gamma", cv=4)
    counts = [np.histogram(due(shape, end=8, seed=seed), 8, (0, 8))[0] for seed in range(1500)]
    assert np.mean(counts, axis=0) == pytest.approx(np.full(8, 50.0), rel=0.08)
