"""A run judges itself: each rule alone turns a valid measurement, and says why."""

from dataclasses import replace

import numpy as np
import pytest

from holymon.errors import LOST
from holymon.figures.summary import summarize
from holymon.figures.verdict import judge
from holymon.plan.plan import Open, Plan, Target
from holymon.plan.shapes import constant
from holymon.records.attempt import Marks, measure
from holymon.records.client_health import Vitals
from holymon.records.frames import from_frames

TARGET = Target(provider="url", model="m", base_url="http://host:1/v1", api_key_env="MY_KEY")
PLAN = Plan(targets=(TARGET,), load=Open(constant(20)), duration_s=20)
CALM = Vitals(
    t_s=np.arange(20.0), lag_s=np.full(400, 0.0003), cpu=np.full(20, 0.1), waited=np.full(20, 0.02), pause_s=np.zeros(20),
    in_flight=np.ones(20, int), rss_mb=np.full(20, 60.0),
)  # fmt: skip


def calls(n=400, *, late=0.0, errors=(), rate=20.0, ok=True):
    made = []
    for number in range(n):
        one = Marks(number, 0, number / rate)
        one.start = one.due + late
        one.end = one.start + 0.1
        one.token(one.start + 0.05, 1)
        one.error = "" if ok else "server_error"
        made.append(one)
    for k, error in enumerate(errors):
        one = Marks(n + k, 0, (n + k) / rate)
        one.error, one.end = error, one.due
        if error != "client_dropped":
            one.start = one.due
        made.append(one)
    return made


def verdict(made=None, vitals=CALM, plan=PLAN, **more):
    frames = [measure(one) for one in (calls() if made is None else made)]
    return judge(summarize(from_frames(plan, frames)), plan, vitals, **more)


def test_a_calm_client_on_a_good_api_is_valid():
    found = verdict()
    assert (found.measurement, found.reasons, found.exit_code) == ("valid", (), 0)


def test_failures_of_the_api_do_not_make_the_measurement_invalid():
    assert verdict(calls(300, errors=["server_error"] * 100)).measurement == "valid"


@pytest.mark.parametrize(
    ("change", "level", "said"),
    [
        ({"lag_s": np.full(400, 0.02)}, "suspect", "event loop"),
        ({"lag_s": np.array([0.0003] * 400 + [0.5])}, "suspect", "stood still for 500 ms"),
        ({"lag_s": np.array([0.0003] * 400 + [2.5])}, "suspect", "stood still for 2,500 ms"),
        ({"cpu": np.array([0.1, 0.97])}, "invalid", "of a core"),
        ({"waited": np.array([np.nan, 0.4])}, "suspect", "other processes had the client's core"),
        ({"pause_s": np.array([0.0, 0.2])}, "suspect", "garbage"),
    ],
)
def test_a_client_that_is_not_fit_is_told(change, level, said):
    found = verdict(vitals=replace(CALM, **change))
    assert found.measurement == level
    assert said in found.reasons[0].text


def test_calls_that_left_late_make_it_invalid():
    found = verdict(calls(late=0.05))
    assert (found.measurement, found.exit_code) == ("invalid", 3)
    assert "late" in found.reasons[0].text


def test_one_dropped_call_makes_it_invalid():
    found = verdict(calls(errors=["client_dropped"]))
    assert found.measurement == "invalid"
    assert "1 calls were due but not sent" in found.reasons[0].text


def test_a_rate_that_was_not_reached_makes_it_invalid():
    made = calls()
    for one in made:
        one.start, one.end = one.due * 1.05, one.due * 1.05 + 0.1
    assert any("were wanted" in reason.text for reason in verdict(made).reasons)


def test_no_success_is_no_measurement():
    found = verdict(calls(50, ok=False))
    assert (found.measurement, found.exit_code) == ("invalid", 3)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        ("authentication", 2, "check the key in MY_KEY"),
        ("not_found", 2, "check the model's name"),
        ("connection_refused", 4, "does the server run at http://host:1/v1"),
        ("dns_failure", 4, "check the host name"),
        ("rate_limited", 3, "no call succeeded"),
    ],
)
def test_a_target_that_refuses_everything_says_what_to_do(error, code, said):
    found = verdict(calls(0, errors=[error] * 10))
    assert found.exit_code == code
    assert said in found.reasons[-1].text


@pytest.mark.parametrize(
    ("state", "level"),
    [
        ("finished", "valid"),
        ("stopped", "suspect"),
        ("interrupted", "suspect"),
        ("failed", "invalid"),
    ],
)
def test_how_the_run_ended_is_part_of_it(state, level):
    assert verdict(state=state).measurement == level


def test_trouble_with_writing_is_told():
    late, lost = verdict(trouble="No space left"), verdict(trouble=f"No space left: {LOST}")
    assert "No space left" in late.reasons[0].text
    assert "lost: No space left" in lost.reasons[0].text
    assert (late.measurement, lost.measurement) == ("suspect", "invalid")


@pytest.mark.parametrize(
    ("slo", "met", "sure", "code"),
    [
        ("latency_p50<0.2", True, True, 0),
        ("latency_p50<0.05", False, True, 1),
        ("error_rate<50%", True, True, 0),
        ("error_rate<0.1%", True, False, 0),
        ("tpot_p50<1", None, False, 1),
    ],
)
def test_objectives_are_judged_by_figure_and_interval(slo, met, sure, code):
    plan = Plan(targets=(TARGET,), load=Open(constant(20)), duration_s=20, slo=(slo,))
    found = verdict(plan=plan)
    (check,) = found.checks
    assert (check.met, check.sure, found.exit_code) == (met, sure, code)


def test_an_invalid_measurement_outweighs_a_missed_objective():
    plan = Plan(
        targets=(TARGET,), load=Open(constant(20)), duration_s=20, slo=("latency_p50<0.05",)
    )
    assert verdict(calls(late=0.05), plan=plan).exit_code == 3


def test_a_system_that_tells_nothing_of_waiting_is_no_reason():
    assert verdict(vitals=replace(CALM, waited=np.full(20, np.nan))).measurement == "valid"


@pytest.mark.parametrize(("n", "level"), [(5, "suspect"), (6, "valid")])
def test_too_few_calls_for_the_interval_of_a_median_are_suspect(n, level):
    found = verdict(calls(n))
    assert found.measurement == level
    assert any("too small" in note for note in found.notes)


def test_calls_left_by_a_killed_worker_are_named():
    found = verdict(calls(50, errors=["unfinished"] * 3), state="interrupted")
    assert found.measurement == "suspect"
    assert "3 calls under way" in found.reasons[0].text
