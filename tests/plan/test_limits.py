"""Shapes at their limits: what is just allowed, where corners lie, and how a schedule begins and ends."""

import math

import numpy as np
import pytest

from holymon.errors import PlanError
from holymon.plan.arrivals import due
from holymon.plan.plan import Closed, Open, Plan, Target
from holymon.plan.price import Price
from holymon.plan.shapes import (
    MAX_SECONDS,
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

A, B, C = (Target(provider="url", model=m, base_url="http://127.0.0.1:1/v1") for m in "abc")
WEEK = 7 * 24 * 3600.0


def refused(make, said):
    with pytest.raises(PlanError, match=said):
        make()


def test_a_shape_may_last_a_week_and_go_from_almost_nothing_to_a_million():
    assert MAX_SECONDS == WEEK
    assert ramp(0, 1e6, WEEK).points == ((0, 0), (WEEK, 1e6))
    assert (constant(1e-4).peak, constant(1e6).peak) == (1e-4, 1e6)
    refused(lambda: ramp(0, 1, math.nextafter(WEEK, math.inf)), "time of a shape is")
    refused(lambda: constant(math.nextafter(1e6, math.inf)), "rate is 1e\\+06")
    refused(lambda: constant(0.99e-4), "rate is 9.9e-05")
    refused(lambda: ramp(-1e-9, 5, 1), "rate is -1e-09")
    refused(lambda: Shape(points=((0, 1), (-1e-9, 1))), "time of a shape is -1e-09")


def test_bursts_have_a_cv_from_a_twentieth_to_twenty():
    assert [constant(1).arriving("gamma", cv=cv).cv for cv in (0.05, 20)] == [0.05, 20]
    for wrong in (0.0499, 20.01):
        refused(lambda wrong=wrong: constant(1).arriving("gamma", cv=wrong), "cv is")


def test_two_points_of_one_time_are_a_jump():
    jump = Shape(points=((0, 1), (2, 1), (2, 5), (3, 5)))
    assert due(jump, end=3).tolist() == pytest.approx([0, 1, 2, 2.2, 2.4, 2.6, 2.8])
    assert (jump.ends, jump.peak) == (3, 5)
    assert constant(4).ends is None


def test_corners_of_each_shape():
    assert ramp(1, 9, 30).points == ((0, 1), (30, 9))
    assert steps((1, 2), 10).points == ((0, 1), (10, 1), (10, 2), (20, 2))
    assert spike(1, 9, at=4, seconds=2).points == ((0, 1), (4, 1), (4, 9), (6, 9), (6, 1), (10, 1))
    assert spike(1, 9, at=4, seconds=2, rest=0).points[-1] == (6, 1)
    assert spike(1, 9, at=4, seconds=2, rest=3).points[-1] == (9, 1)
    swing = sine(5, 4, 8)
    assert len(swing.points) == 65
    assert (swing.points[0], swing.points[-1]) == ((0, 5), (8, pytest.approx(5)))
    assert (swing.points[16], swing.points[48]) == ((2, 9), (6, pytest.approx(1)))
    assert (sine(5, 4, 8, periods=2).ends, len(sine(5, 4, 8, periods=2).points)) == (16, 129)
    assert len(sine(5, 4, 8, periods=0.01).points) == 2
    assert [s.kind for s in (ramp(1, 2, 3), steps((1,), 1), spike(1, 2, at=1, seconds=1), swing)] == (
        ["ramp", "steps", "spike", "sine"]
    )  # fmt: skip


def test_a_sine_swings_down_to_nothing_and_not_below():
    swing = sine(5, 5, 8)
    assert min(rate for _, rate in swing.points) == pytest.approx(0, abs=1e-12)
    assert swing.peak == pytest.approx(10)
    assert sine(5, 0, 8).peak == 5
    refused(lambda: sine(5, 5.01, 8), "amplitude is 5.01")
    refused(lambda: sine(5, -0.01, 8), "amplitude is -0.01")


def test_periods_have_limits():
    assert sine(5, 1, 1e-3).ends == 1e-3
    assert sine(5, 1, WEEK).ends == WEEK
    refused(lambda: sine(5, 1, 0.9e-3), "period is")
    refused(lambda: sine(5, 1, WEEK * 1.01), "period is")
    assert sine(5, 1, 1, periods=10_000).ends == pytest.approx(10_000)
    refused(lambda: sine(5, 1, 1, periods=0.009), "periods is")
    refused(lambda: sine(5, 1, 1, periods=10_001), "periods is")
    refused(lambda: parse("sine:5,1,0", rate=1, seconds=3), "period is 0")


def test_a_replay_begins_at_0_and_lasts_at_most_a_week():
    assert Replay(times=(0,)).peak == 1
    assert Replay(times=(0, WEEK)).times[-1] == WEEK
    assert Replay(times=(0, 0.5, 0.9, 1.0, 1.5)).peak == 3
    assert Replay(times=(0, 2.0)).ends == math.nextafter(2.0, 3)
    refused(lambda: Replay(times=()), "number of times is 0")
    refused(lambda: Replay(times=(0, WEEK * 1.01)), "last time")
    refused(lambda: Replay(times=(1e-9, 1)), "first time")
    refused(lambda: Replay(times=(-1, 1)), "first time")
    assert Replay(times=(0, 1, 1)).times == (0, 1, 1)


def test_calls_of_a_replay_at_its_end_are_cut_and_all_are_moved_by_a_warm_up():
    recorded = Replay(times=(0, 1, 2))
    assert due(recorded, end=2).tolist() == [0, 1]
    assert due(recorded, end=10, warm_up=3).tolist() == [3, 4, 5]


def test_a_polyline_is_cut_between_its_points_and_at_them():
    line = ((0, 10), (4, 10), (4, 30), (8, 50))
    shape = Shape(points=line)
    assert polyline(shape, end=6) == [(0, 10), (0, 10), (4, 10), (4, 30), (6, 40)]
    assert polyline(shape, end=4)[-1] == (4, 10), "a jump at the end is not reached"
    assert polyline(shape, end=8)[-1] == (8, 50)
    assert polyline(shape, end=9)[-2:] == [(8, 50), (9, 50)]
    assert polyline(shape, end=5, warm_up=3, times=2) == [(0, 20), (3, 20), (5, 20)]
    assert polyline(constant(7), end=2, warm_up=1) == [(0, 7), (1, 7), (2, 7)]
    assert polyline(constant(7), end=1, warm_up=1) == [(0, 7), (1, 7)]


def test_the_area_under_a_polyline_by_hand():
    t, area = cumulative([(0, 0), (2, 10), (2, 20), (5, 20)])
    assert (t.tolist(), area.tolist()) == ([0, 2, 2, 5], [0, 10, 10, 70])


def test_calls_on_a_ramp_are_where_the_area_reaches_them():
    """Rate t: the area is t^2 / 2, so call k is due at the root of 2 k."""
    assert due(ramp(0, 10, 10), end=10) == pytest.approx(np.sqrt(2 * np.arange(50)))
    falling = due(ramp(10, 0, 10), end=10)
    assert falling == pytest.approx(10 - np.sqrt(100 - 2 * np.arange(50)))


def test_times_are_those_that_people_write():
    assert due(constant(10), end=1).tolist() == [k / 10 for k in range(10)]
    assert due(constant(10), end=1, phase=0.5).tolist() == [(k + 0.5) / 10 for k in range(10)]
    # With a whole number of calls the end itself is no time of a call, however long it is.
    assert len(due(constant(0.1), end=1e5)) == 10_000
    assert len(due(constant(1 / 3), end=9)) == 3


def test_a_random_schedule_reaches_its_end_whatever_its_spread():
    for cv in (0.05, 1, 5, 20):
        shape = constant(50).arriving("gamma", cv=cv)
        for seed in range(20):
            times = due(shape, end=4, seed=seed)
            assert (times < 4).all()
            longer = due(shape, end=8, seed=seed)
            assert (longer[: len(times)] == times).all(), "more time changes nothing before"
            assert len(longer) == len(times) or longer[len(times)] >= 4


def test_arrivals_of_one_seed_are_not_the_order_of_the_targets():
    plan = Plan(targets=(A, B), load=Open(poisson(50)), duration_s=4, seed=7)
    other = Plan(targets=(A, B), load=Open(poisson(50)), duration_s=4, seed=8)
    assert plan.due().tolist() != other.due().tolist()
    assert plan.schedule()[1].tolist() != other.schedule()[1].tolist()


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        (constant(5), "5 calls/s, evenly spaced"),
        (poisson(2.5), "2.5 calls/s, at random (Poisson)"),
        (constant(5).arriving("gamma", cv=2), "5 calls/s, in bursts (gamma, cv 2)"),
        (ramp(1, 9, 30), "ramp 1 – 9 calls/s, evenly spaced"),
        (steps((1, 2, 3), 5), "steps 1 – 2 – 3 calls/s, evenly spaced"),
        (spike(1, 9, at=1, seconds=1), "spike 1 – 9 – 1 calls/s, evenly spaced"),
        (sine(5, 4, 8), "sine between 1 and 9 calls/s, evenly spaced"),
        (Replay(times=(0, 1, 12.5)), "replay of 3 calls in 12.5 s"),
    ],
)
def test_shapes_in_words(shape, words):
    assert shape.words == words


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ramp", "has 0 numbers"),
        ("ramp:1,2,3", "has 3 numbers"),
        ("spike:1", "write spike:BASE,PEAK"),
        ("spike:1,2,3", "has 3 numbers"),
        ("sine:1", "has 1 numbers"),
        ("sine:1,1,1,1", "has 4 numbers"),
        ("steps", "has 0 numbers"),
        ("gamma:x", "shape cv: 'x' is not a number"),
    ],
)
def test_words_with_too_few_or_too_many_numbers(text, said):
    refused(lambda: parse(text, rate=5, seconds=3), said)


def test_arrivals_have_words_of_their_own():
    assert parse("gamma:2", rate=5, seconds=None) == constant(5).arriving("gamma", cv=2)
    assert parse("gamma", rate=5, seconds=None) == constant(5).arriving("gamma")
    assert parse("constant", rate=5, seconds=None, arrivals="poisson") == poisson(5)
    assert len(parse("steps:" + ",".join(["1"] * 1000), rate=1, seconds=1000).points) == 2000
    refused(lambda: parse("steps:" + ",".join(["1"] * 1001), rate=1, seconds=1), "1001 numbers")


# ---------------------------------------------------------------------------- plans


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("timeout_s", 0.01, WEEK), ("connect_s", 0.01, WEEK), ("first_byte_s", 0.01, WEEK),
        ("duration_s", 0.01, WEEK), ("warmup_s", 0, WEEK), ("requests", 1, 100_000_000),
        ("max_errors", 1, 100_000_000), ("workers", 1, 64), ("seed", 0, 2**63 - 1),
    ],
)  # fmt: skip
def test_fields_of_a_plan_have_their_limits(name, low, high):
    def plan(value):
        return Plan(targets=(A,), load=Closed(users=1), **{"duration_s": 1.0, name: value})

    assert [getattr(plan(value), name) for value in (low, high)] == [low, high]
    more = 1 if isinstance(high, int) else 1e-6
    for wrong in (low - more, high + 1 + high * 1e-9 * (name != "seed")):
        refused(lambda wrong=wrong: plan(wrong if isinstance(more, float) else int(wrong)),
                name.removesuffix("_s"))  # fmt: skip


def test_loads_and_prompts_have_their_limits():
    assert [Closed(users=n).users for n in (1, 10_000)] == [1, 10_000]
    refused(lambda: Closed(users=10_001), "concurrency is 10001 users")
    assert [Open(constant(1), max_in_flight=n).max_in_flight for n in (1, 100_000)] == [1, 100_000]
    for wrong in (0, 100_001):
        refused(lambda wrong=wrong: Open(constant(1), max_in_flight=wrong), "max_in_flight is")
    assert [Target(provider="p", model="m", stall_s=s).stall_s for s in (0.01, WEEK)] == [
        0.01,
        WEEK,
    ]
    for wrong in (0.009, WEEK * 1.01):
        refused(lambda wrong=wrong: Target(provider="p", model="m", stall_s=wrong), "stall_s is")


def test_a_plan_has_up_to_255_targets():
    many = tuple(Target(provider="p", model=str(k)) for k in range(256))
    assert len(Plan(targets=many[:255], load=Closed(users=1), duration_s=1).targets) == 255
    refused(lambda: Plan(targets=many, load=Closed(users=1), duration_s=1), "too many: at most 255")


def test_a_plan_makes_up_to_a_hundred_million_calls():
    assert Plan(targets=(A,), load=Open(constant(1e6)), duration_s=100).seconds == 100
    refused(lambda: Plan(targets=(A,), load=Open(constant(1e6)), duration_s=100.1), "rate x dur")
    refused(lambda: Plan(targets=(A, B), load=Open(constant(1e6)), duration_s=100), "rate x dur")
    refused(
        lambda: Plan(targets=(A,), load=Open(constant(1e6)), duration_s=50, warmup_s=51),
        "rate x dur",
    )


def test_a_load_lasts_as_long_as_its_plan_says():
    def lasts(load, **more):
        return Plan(targets=(A,), load=load, **more).seconds

    assert lasts(Open(constant(5)), duration_s=10, warmup_s=2) == 12
    assert lasts(Open(constant(5)), requests=50, warmup_s=2) == 12
    assert lasts(Open(constant(5)), requests=50, duration_s=4) == 4
    assert lasts(Open(ramp(1, 9, 30)), warmup_s=2) == 32
    assert lasts(Open(ramp(1, 9, 30)), duration_s=50, warmup_s=2) == 52
    assert lasts(Closed(users=1), requests=5) == WEEK
    assert lasts(Closed(users=1), duration_s=5, warmup_s=1) == 6
    # A random schedule may need longer for its last call, by ten deviations and something.
    assert lasts(Open(poisson(5)), requests=100) == (100 + 10 * 10 + 30) / 5
    bursts = Open(constant(5).arriving("gamma", cv=3))
    assert lasts(bursts, requests=100, warmup_s=1) == 1 + (100 + 10 * 3 * 10 + 30 * 9) / 5
    calm = Open(constant(5).arriving("gamma", cv=0.5))
    assert lasts(calm, requests=100) == (100 + 10 * 0.5 * 10 + 30) / 5


def test_the_calls_of_a_warm_up_come_before_those_that_are_counted():
    plan = Plan(targets=(A, B, C), load=Open(constant(1)), requests=2, warmup_s=2.5)
    due_s, numbers = plan.schedule()
    assert [((due_s >= 2.5) & (numbers % 3 == j)).sum() for j in range(3)] == [2, 2, 2]
    assert [((due_s < 2.5) & (numbers % 3 == j)).sum() for j in range(3)] in (
        [[3, 3, 2], [3, 2, 3], [2, 3, 3]]
    )
    exact = Plan(targets=(A,), load=Open(constant(1)), requests=2, warmup_s=2)
    assert exact.due().tolist() == [0, 1, 2, 3], "the call at the end of the warm-up is the first"
    assert len(Plan(targets=(A,), load=Closed(users=1), requests=2).due()) == 0


def test_what_a_plan_is_unless_it_says_otherwise():
    plan = Plan(targets=(A,), load=Open(constant(1)), duration_s=1)
    assert (plan.load.max_in_flight, plan.prompts.max_tokens, plan.prompts.stream) == (
        2000,
        64,
        True,
    )
    assert (plan.timeout_s, plan.connect_s, plan.first_byte_s, plan.stall_s, A.stall_s) == (
        120,
        10,
        None,
        None,
        None,
    )
    assert (plan.warmup_s, plan.workers, plan.seed, plan.max_errors, plan.max_cost) == (0, 1, 0, None, None)  # fmt: skip


def test_a_spending_limit_goes_to_a_billion():
    priced = Target(provider="p", model="m", price=Price(input=1.0, output=1.0))

    def plan(most):
        return Plan(targets=(priced,), load=Closed(users=1), requests=1, max_cost=most)

    assert [plan(most).max_cost for most in (0, 1e9)] == [0, 1e9]
    for wrong in (-0.01, 1.001e9):
        refused(lambda wrong=wrong: plan(wrong), "max_cost is")
    refused(lambda: Plan(targets=(priced, A), load=Closed(users=1), requests=1, max_cost=1),
            "max_cost can't be kept for url/a, whose price is not known in USD")  # fmt: skip


def test_a_replay_has_no_warm_up():
    recorded = Open(Replay(times=(0, 1)))
    refused(
        lambda: Plan(targets=(A,), load=recorded, warmup_s=0.5), "warmup of a replay is 0.5 sec"
    )


def test_a_plan_from_json_that_can_not_be_says_what_one_in_python_would():
    made = Plan(targets=(A,), load=Closed(users=1), requests=1).to_json().decode()
    refused(lambda: Plan.from_json(made.replace('"requests": 1', '"requests": 0')),
            "^requests is 0: it must lie between 1 and 1e")  # fmt: skip


def test_a_number_out_of_its_limits_is_said_with_its_unit():
    refused(
        lambda: sine(5, 6, 1), "^amplitude is 6 calls per second: it must lie between 0 and 5.$"
    )
    refused(lambda: sine(5, 1, 0), "^period is 0 seconds: it must lie between 0.001 and 604800.$")
    refused(lambda: constant(-1), "^rate is -1 calls per second: it must lie between 0 and 1e.06.$")
    assert parse("sine:5,1,0.5", rate=1, seconds=2) == sine(5, 1, 0.5, periods=4)
