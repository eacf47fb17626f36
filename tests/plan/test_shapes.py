"""Schedules are arrays with the counts, rates and gaps that their theory says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from holymon.errors import PlanError
from holymon.plan.arrivals import due
from holymon.plan.shapes import (
    Replay,
    Shape,
    constant,
    cumulative,
    parse,
    poisson,
    polyline,
    ramp,
    sine,
    spike,
    steps,
)

SHAPES = (
    ramp(0, 80, 20), steps((5, 40, 10), 6), spike(5, 100, at=6, seconds=3), sine(40, 30, 10, periods=2),
)  # fmt: skip
shapes = st.one_of(
    st.builds(ramp, st.floats(0, 50), st.floats(1, 50), st.floats(0.5, 10)),
    st.builds(steps, st.lists(st.floats(1, 50), min_size=1, max_size=5), st.floats(0.5, 4)),
    st.builds(spike, st.floats(0, 20), st.floats(1, 90), at=st.floats(0.1, 5), seconds=st.floats(0.1, 5)),
    st.builds(sine, st.floats(20, 50), st.floats(0, 20), st.floats(1, 10)),
)  # fmt: skip
arrivals = st.sampled_from(["constant", "poisson", "gamma"])


def area_upto(shape, times):
    """The integral of a shape's rate, by brute force."""
    corners, area = cumulative(polyline(shape, end=shape.ends))
    rates = np.array([rate for _, rate in polyline(shape, end=shape.ends)])
    k = np.clip(np.searchsorted(corners, times, side="right") - 1, 0, len(corners) - 2)
    width = corners[k + 1] - corners[k]
    at = rates[k] + (rates[k + 1] - rates[k]) * np.divide(times - corners[k], width, out=np.zeros_like(times), where=width > 0)  # fmt: skip
    return area[k] + (times - corners[k]) * (rates[k] + at) / 2


@given(st.floats(0.1, 500), st.floats(0.1, 20))
def test_a_constant_rate_is_one_call_each_interval_from_the_start(rate, seconds):
    times = due(constant(rate), end=seconds)
    assert len(times) == pytest.approx(np.ceil(rate * seconds), abs=1)
    np.testing.assert_allclose(times, np.arange(len(times)) / rate, atol=1e-9)
    assert times[-1] < seconds


@pytest.mark.parametrize(("rate", "seconds", "n"), [(20, 10, 200), (5, 30, 150), (3, 1, 3)])
def test_whole_products_give_exactly_so_many_calls(rate, seconds, n):
    assert len(due(constant(rate), end=seconds)) == n


@pytest.mark.parametrize("cv", [0.3, 1.0, 2.5])
def test_gamma_gaps_have_their_mean_and_their_spread(cv):
    gaps = np.diff(due(constant(100).arriving("gamma", cv=cv), end=400, seed=5))
    assert gaps.mean() == pytest.approx(0.01, rel=0.05)
    assert gaps.std() / gaps.mean() == pytest.approx(cv, rel=0.05)


@pytest.mark.parametrize(("how", "dispersion"), [("poisson", 1.0), ("gamma", 4.0)])
def test_counts_have_the_mean_and_the_variance_of_their_process(how, dispersion):
    """For renewal processes the variance of counts tends to cv^2 times their mean."""
    shape = constant(50).arriving(how, cv=dispersion**0.5)
    counts = np.array([len(due(shape, end=4, seed=seed)) for seed in range(800)])
    assert counts.mean() == pytest.approx(200, rel=0.02)
    assert counts.var() == pytest.approx(200 * dispersion, rel=0.2)


def kolmogorov(x, theory):
    x = np.sort(x)
    return np.abs(theory(x) - np.arange(1, len(x) + 1) / len(x)).max()


def test_poisson_gaps_are_exponential():
    gaps = np.diff(due(poisson(100), end=100, seed=1), prepend=0)
    distance = kolmogorov(gaps, lambda x: 1 - np.exp(-100 * x))
    assert distance < 1.63 / np.sqrt(len(gaps)), "Kolmogorov and Smirnov at 1 %"


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.kind)
def test_on_any_shape_poisson_gaps_are_exponential_in_the_time_of_its_area(shape):
    """The time change theorem: that is what makes it a Poisson process of this rate."""
    far = 0
    for seed in range(20):
        times = due(shape.arriving("poisson"), end=shape.ends, seed=seed)
        gaps = np.diff(area_upto(shape, times), prepend=0)
        far += kolmogorov(gaps, lambda x: 1 - np.exp(-x)) > 1.36 / np.sqrt(len(gaps))
        assert len(times) == pytest.approx(cumulative(shape.points)[1][-1], rel=0.2)
    assert far <= 4, "Kolmogorov and Smirnov at 5 %: one of twenty"


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.kind)
def test_the_number_of_calls_up_to_any_time_is_the_area_under_the_rate(shape):
    times = due(shape, end=shape.ends)
    for t in np.linspace(0.3, shape.ends - 0.1, 40):
        assert abs((times < t).sum() - area_upto(shape, np.array([t]))[0]) <= 1.001


@given(shapes)
def test_evenly_spaced_calls_are_one_unit_of_area_apart(shape):
    times = due(shape, end=shape.ends)
    np.testing.assert_allclose(area_upto(shape, times), np.arange(len(times)), atol=1e-3)


@given(shapes, arrivals, st.integers(0, 1000))
def test_a_seed_is_a_schedule_and_its_times_are_in_order(shape, how, seed):
    spread = shape.arriving(how, cv=1.7)
    times = due(spread, end=shape.ends, seed=seed)
    np.testing.assert_array_equal(times, due(spread, end=shape.ends, seed=seed))
    assert (np.diff(times) >= -1e-9).all()
    assert ((times >= 0) & (times <= shape.ends + 1e-9)).all()


def test_warm_up_holds_the_first_rate_and_the_last_rate_holds_to_the_end():
    line = polyline(ramp(10, 20, 5), end=12, warm_up=3)
    assert line == [(0, 10), (3, 10), (8, 20), (12, 20)]
    times = due(ramp(10, 20, 5), end=12, warm_up=3)
    assert ((times < 3).sum(), ((times >= 8) & (times < 12)).sum()) == (30, 80)


def test_a_shape_is_cut_where_the_plan_ends():
    assert polyline(ramp(0, 10, 10), end=5) == [(0, 0), (0, 0), (5, 5)]
    assert len(due(ramp(0, 10, 10), end=4)) == 8


sorted_times = nps.arrays(float, st.integers(1, 60), elements=st.floats(0, 1e4)).map(
    lambda t: np.sort(t) - t.min()
)


@given(sorted_times)
def test_a_replay_keeps_order_and_gaps(times):
    shape = Replay(times=tuple(times.tolist()))
    np.testing.assert_array_equal(due(shape, end=shape.ends), times)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("constant", constant(7)),
        ("poisson", poisson(7)),
        ("gamma:2", constant(7).arriving("gamma", cv=2)),
        ("ramp:1,9", ramp(1, 9, 30)),
        ("steps:1,2,3", steps((1, 2, 3), 10)),
        ("spike:1,9", spike(1, 9, at=12, seconds=6)),
        ("sine:5,4", sine(5, 4, 30)),
        ("sine:5,4,10", sine(5, 4, 10, periods=3)),
    ],
)
def test_words_of_the_command_line(text, expected):
    assert parse(text, rate=7, seconds=30) == expected


def test_any_shape_can_have_any_arrivals():
    assert parse("ramp:1,9", rate=5, seconds=3, arrivals="gamma:3") == ramp(1, 9, 3).arriving("gamma", cv=3)  # fmt: skip


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: parse("ramp:1", rate=5, seconds=3), "write ramp:FROM,TO"),
        (lambda: parse("ramp:1,x", rate=5, seconds=3), "'x' is not a number"),
        (lambda: parse("ramp:1,2", rate=5, seconds=None), "needs a duration"),
        (lambda: parse("stairs", rate=5, seconds=3), "'stairs' is none of"),
        (lambda: parse("ramp:1,2", rate=5, seconds=3, arrivals="weibull"), "'weibull' is none of"),
        (lambda: sine(5, 6, 1), "amplitude is 6"),
        (lambda: ramp(-1, 5, 1), "rate is -1"),
        (lambda: ramp(0, 0, 1), "rate is 0"),
        (lambda: ramp(1, 2, float("nan")), "time of a shape is nan"),
        (lambda: constant(5).arriving("gamma", cv=0), "cv is 0"),
        (lambda: Shape(points=((0, 1), (2, 1), (1, 1))), "goes back in time"),
        (lambda: Shape(points=((1, 1),)), "does not begin at 0"),
        (lambda: Shape(points=()), "no points"),
        (lambda: Replay(times=(0, 2, 1)), "go back"),
        (lambda: Replay(times=(1,)), "first time is 1"),
    ],
)
def test_what_cannot_be_is_one_sentence(make, said):
    with pytest.raises(PlanError, match=said):
        make()
