"""A move as a value: what changes its share, and that nothing else does."""

import math
from contextlib import suppress
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holymon.errors import PlanError
from holymon.figures.gate import BURST, Margins
from holymon.monitor import route as move
from holymon.monitor.course import MoveSteps, Outcome
from holymon.monitor.route_file import decode

COURSE = MoveSteps(min_calls=10, min_s=5, block_s=1, margins=Margins(errors=0.2, slower=1.0))
SHARES = {0.0, *COURSE.steps}


def outcomes(n, side, failed=0, latency=0.1, cost=1.0, tokens=10):
    """So many calls of a side, the failed ones evenly among them; latencies and sizes spread."""
    return [
        Outcome(side, k * failed // n < (k + 1) * failed // n, latency * (1 + k % 10 / 10), 0.05, cost,
                tokens + k % 10)
        for k in range(n)
    ]  # fmt: skip


def begun(course=COURSE):
    return move.new("a/x", "b/y", course, 0.0, "me")


def after(route, blocks, course=COURSE, at=1.0, **candidate):
    for _ in range(blocks):
        route = move.observe(
            route, outcomes(20, 0) + outcomes(20, 1, **candidate), course, at, "me"
        )
        at += 2
    return route, at


def test_a_move_goes_step_by_step_to_the_end_and_says_why():
    route, at = begun(), 1.0
    assert (route.phase, route.share, route.shadow) == ("shadow", 0, 0.05)
    while route.phase != "done":
        route, at = after(route, 1, at=at)
        assert at < 500
    assert [change.after for change in route.history] == [0, 0.05, 0.2, 0.5, 1, 1]
    assert route.history[1].reason.startswith("no figure is worse than it may be, by ")
    assert route.history[1].at == "1970-01-01T00:00:57Z"
    assert {change.who for change in route.history} == {"me"}


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"failed": 9}, "errors (45.0 % against 0.0 %)"),
        ({"latency": 0.5}, "latency ("),
        ({"cost": 2.0}, "cost (2 against 1)"),
        ({"tokens": 30}, "longer ("),
    ],
)  # fmt: skip
def test_what_is_worse_takes_it_back_with_its_reason(wrong, why):
    route, at = after(begun(), 20, **({"failed": 0} | wrong))
    assert (route.phase, route.share, route.shadow) == ("back", 0, 0)
    assert why in route.history[-1].reason
    assert after(route, 50, at=at)[0] == route  # from there only by hand


def test_a_burst_takes_it_back_at_once_unless_the_baseline_fails_too():
    failing = outcomes(BURST, 1, failed=BURST)
    back = move.observe(begun(), failing, COURSE, 0.5, "me")
    assert back.history[-1].reason.startswith("8 more of the candidate's calls failed")
    both = outcomes(BURST, 0, failed=BURST) + failing
    assert move.observe(begun(), both, COURSE, 0.5, "me").phase == "shadow"
    assert move.observe(begun(), failing[1:], COURSE, 0.5, "me").phase == "shadow"


def test_an_objective_is_watched_and_burns_at_once():
    course = MoveSteps(slo=("ttft_p95<0.2", "latency_p50<9"), min_calls=10, min_s=5, block_s=1)
    slow = [Outcome(1, False, 1.0, 0.9, 1.0, 10)] * BURST
    back = move.observe(begun(course), slow, course, 0.5, "me")
    assert "missed ttft_p95<0.2 than met it" in back.history[-1].reason
    fast, _ = after(begun(course), 12, course)
    assert fast.phase == "shadow"
    assert "not shown yet" in move.waits_for(fast, course, 100.0)


def test_after_its_end_a_move_is_still_taken_back_by_a_burst():
    done = move.by_hand(begun(), 0.0, "me", "try", share=1.0)
    done = msgspec.structs.replace(done, phase="done", slow_s=1.0)
    assert move.observe(done, outcomes(50, 1), COURSE, 9.0, "me").phase == "done"
    assert move.observe(done, outcomes(BURST, 1, failed=BURST), COURSE, 9.0, "me").share == 0


def test_by_hand_it_is_paused_set_and_taken_back():
    paused = move.by_hand(begun(), 0.0, "ann", "lunch", paused=True)
    still, at = after(paused, 60)
    assert (still.phase, still.share, still.paused) == ("shadow", 0, True)
    on, at = after(move.by_hand(still, at, "ann", "go on", share=0.2), 40, at=at)
    assert on.share in {0.5, 1.0}
    back = move.by_hand(on, at, "ann", "bad answers", share=0.0)
    assert (back.phase, back.share) == ("back", 0)
    assert (back.history[-1].who, back.history[-1].reason) == ("ann", "bad answers")
    with pytest.raises(PlanError, match=r"share 1\.5 is none"):
        move.by_hand(on, at, "ann", "more", share=1.5)


call = st.builds(
    Outcome, st.sampled_from([0, 1]), st.booleans(), st.floats(0, 1e6), st.just(math.nan) | st.floats(0, 9),
    st.just(math.nan) | st.floats(0, 1e6), st.integers(-1, 10**6), st.booleans(),
)  # fmt: skip
event = st.tuples(st.lists(call, max_size=30), st.floats(0, 100)) | st.sampled_from(
    [{"share": 0.0}, {"share": 0.2}, {"share": 1.0}, {"paused": True}]
)


@settings(max_examples=30, deadline=None)
@given(st.lists(event, max_size=15))
def test_whatever_comes_each_change_of_a_share_is_on_record_and_it_survives_a_file(events):
    route, now = begun(), 0.0
    for happens in events:
        before = route
        if isinstance(happens, dict):
            with suppress(PlanError):  # a pause of what is back
                route = move.by_hand(route, now, "ann", "so", **happens)
        else:
            calls, passed = happens
            now += passed
            route = move.observe(route, calls, COURSE, now, "me")
        assert route.share in SHARES
        assert (route.phase == "back") <= (route.share == 0)
        assert (route.share == before.share) or len(route.history) == len(before.history) + 1
        if before.phase == "back" and not isinstance(happens, dict):
            assert msgspec.structs.replace(route, spans=before.spans) == before
        if before.paused and not isinstance(happens, dict):
            assert route.share in {0.0, before.share}
        assert decode(msgspec.json.encode(route)) == route
    changes = route.history
    assert all(a.after == b.before for a, b in pairwise(changes))
    assert changes[-1].after == route.share


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"steps": (0.5, 0.2, 1)}, "steps don't rise to 1"),
        ({"steps": (0.5,)}, "steps don't rise to 1"),
        ({"shadow": 2}, "shadow is no share"),
        ({"min_s": -1}, "min_s is out of range"),
        ({"slo": ("cost_usd<1",)}, "can't be watched call by call"),
        ({"slo": ("latency_mean<1",)}, "can't be watched call by call"),
    ],
)
def test_a_course_that_leads_nowhere_is_refused(wrong, words):
    with pytest.raises(PlanError, match=words):
        MoveSteps(**wrong)


ODD = [None, [], {}, [[]], -1, 5, 1e308, "x", [1e308], [[0] * 8] * 3, [[-1] * 8, []], True]


@pytest.mark.parametrize(
    "part",
    ["share", "shadow", "history", "leads", "remembered", "warm", *begun().gate.__struct_fields__],
)
def test_what_others_wrote_of_a_move_is_none_or_can_be_gone_on_with(part):
    good = msgspec.to_builtins(after(begun(), 2)[0])
    home = good["gate"] if part in good["gate"] else good
    kept, rows = home[part], home[part] if isinstance(home[part], tuple | list) else ()
    for odd in ODD:
        for value in (odd, *([*rows[:k], odd, *rows[k + 1 :]] for k in range(len(rows)))):
            home[part] = value
            try:
                route = decode(msgspec.json.encode(good))
            except (ValueError, PlanError):
                continue
            assert 0 <= route.share <= 1
            assert after(route, 2, at=1e9)[0]
    home[part] = kept
    assert decode(msgspec.json.encode(good)) == after(begun(), 2)[0]
