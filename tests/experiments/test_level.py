"""What a level says when the client was late, and when it was unfit otherwise."""

import numpy as np
import pytest

from holymon.experiments.bounds import Step
from holymon.experiments.level import level_of
from holymon.figures.summary import summarize
from holymon.figures.verdict import judge
from holymon.plan.plan import Open, Plan, Target
from holymon.plan.shapes import constant
from holymon.records.attempt import GAP, blank
from holymon.records.client_health import ClientHealth
from holymon.records.records import Records

TARGET = Target(provider="x", model="y", base_url="http://127.0.0.1:9")
SECONDS, N = 10.0, 400


def level(latency_s, *, lag_s=0.0, slo="latency_p50<0.4", state="finished"):
    rows = blank(N)
    rows["due_s"] = rows["start_s"] = np.arange(N) * SECONDS / N
    rows["end_s"] = rows["start_s"] + latency_s * np.tile([0.99, 1.0, 1.01, 1.0], N // 4)
    rows["status"] = 200
    records = Records((TARGET,))
    records.extend(rows, np.zeros(0, GAP), np.zeros(N, np.int64))
    plan = Plan(targets=(TARGET,), load=Open(constant(N / SECONDS)), duration_s=SECONDS, slo=(slo,))
    summary = summarize(records, plan)
    judged = judge(summary, plan, ClientHealth.of_loop([lag_s] * 100), state)
    found = level_of(records, summary, judged, Step(N / SECONDS, SECONDS, 0.01), took_s=SECONDS)
    return judged.client, found.met, found.sure


@pytest.mark.parametrize(
    ("latency_s", "lag_s", "expected"),
    [
        (0.5, 0.0, ("valid", False, True)),
        (0.5, 0.02, ("suspect", False, True)),  # by more than its clocks were late
        (0.42, 0.02, ("suspect", None, False)),
        (0.5, 0.06, ("suspect", None, False)),
        (0.3, 0.06, ("suspect", True, True)),
    ],
)
def test_a_late_client_can_not_have_made_a_miss_that_is_greater_than_its_lateness(
    latency_s, lag_s, expected
):
    assert level(latency_s, lag_s=lag_s) == expected


def test_what_else_is_wrong_with_a_client_shows_no_miss():
    assert level(0.5, lag_s=0.02, state="interrupted") == ("suspect", None, False)
