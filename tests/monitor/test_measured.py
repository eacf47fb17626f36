"""What a move measured adds up to all calls, whatever comes, and stays bounded."""

import math

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from holymon.figures.log_counts import counts_of
from holymon.monitor.course import MoveSteps, Outcome
from holymon.monitor.measured import MOST, MOST_OF_STEP, MoveSpan, recorded, together

COURSE = MoveSteps(block_s=1, slo=("ttft_p95<1",))
SIDES = ("baseline", "candidate", "shadow", "fallback", "")
calls = st.lists(
    st.builds(
        Outcome, st.sampled_from([0, 1, -1]), st.booleans(), st.floats(0, 1e3),
        st.just(math.nan) | st.floats(0, 9), st.just(math.nan) | st.floats(0, 9),
        st.just(7), st.booleans(), st.sampled_from(SIDES),
    ), max_size=6,
)  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(calls, st.floats(0, 50), st.booleans()), max_size=60))
def test_all_calls_are_in_it_by_side_and_it_survives_a_file(events):
    spans, now, step, every = (), 0.0, 0.0, []
    for outcomes, passed, begins in events:
        now += passed
        step = now if begins else step
        spans = recorded(spans, outcomes, step, now, COURSE)
        every += outcomes
    for side in SIDES[:4]:
        mine = [call for call in every if call.of == side]
        whole = together([span.sides[side] for span in spans if side in span.sides])
        well = [call for call in mine if not call.failed]
        assert (whole.calls, whole.failed) == (len(mine), len(mine) - len(well))
        assert whole.priced == sum(not math.isnan(call.cost) for call in mine)
        assert counts_of(whole.latency).sum() == len(well)
        assert counts_of(whole.ttft).sum() == sum(not math.isnan(call.ttft_s) for call in well)
    assert all(a.end <= b.end and b.begin <= b.end for a, b in zip(spans, spans[1:], strict=False))
    assert msgspec.json.decode(msgspec.json.encode(spans), type=tuple[MoveSpan, ...]) == spans


def test_it_stays_bounded_and_the_latest_steps_keep_most():
    one, spans = [Outcome(0, False, 0.1, of="baseline")], ()
    for now in range(2000):
        spans = recorded(spans, one, 0.0, float(now), COURSE)
    assert MOST_OF_STEP // 2 <= len(spans) <= MOST_OF_STEP
    assert sum(span.sides["baseline"].calls for span in spans) == 2000
    for step in range(1, 2 * MOST):
        for now in (0.0, 2.0, 4.0):
            spans = recorded(spans, one, 1e4 * step, 1e4 * step + now, COURSE)
    assert len(spans) == MOST
    assert [span.step for span in spans[-3:]] == [1e4 * (2 * MOST - 1)] * 3
    assert len(msgspec.json.encode(spans)) < 100_000
