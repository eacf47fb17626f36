"""A run judges itself: each rule alone turns a valid measurement, and says why."""

from dataclasses import replace

import numpy as np
import pytest

from holymon.errors import LOST
from holymon.figures.summary import summarize
from holymon.figures.verdict import judge
from holymon.plan.plan import Open, Plan, Target
from holymon.plan.shapes import constant
from holymon.records.attempt import Marks
from holymon.records.client_health import ClientHealth
from holymon.records.records import from_marks

TARGET = Target(provider="url", model="m", base_url="http://host:1/v1", api_key_env="MY_KEY")
PLAN = Plan(targets=(TARGET,), load=Open(constant(20)), duration_s=20)
CALM = ClientHealth(
    t_s=np.arange(20.0), lag_s=np.full(400, 0.0003), cpu=np.full(20, 0.1), waited=np.full(20, 0.02),
    late_s=np.full(20, 0.0001), pause_s=np.zeros(20), in_flight=np.ones(20, int), rss_mb=np.full(20, 60.0),
)  # fmt: skip


def calls(n=400, *, late=0.0, errors=(), rate=20.0, ok=True, ttft=0.05, latency=0.1):
    made = []
    for number in range(n):
        one = Marks(number, 0, number / rate)
        one.start = one.due + late
        one.end = one.start + latency
        one.token(one.start + ttft, 1)
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
    records = from_marks(plan.targets, calls() if made is None else made)
    return judge(summarize(records, plan), plan, vitals, **more)


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
        (
            {"waited": np.array([np.nan, 0.4]), "late_s": np.array([np.nan, 0.002])},
            "suspect",
            "other processes had the client's core",
        ),
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
    assert "1 call was due but not sent" in found.reasons[0].text


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
        ("connection_refused", 4, "see whether a server runs at http://host:1/v1"),
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
    assert verdict(vitals=replace(CALM, late_s=np.full(20, np.nan))).measurement == "valid"


def test_a_large_share_of_next_to_nothing_is_no_reason():
    idle = replace(CALM, waited=np.full(20, 0.38), late_s=np.full(20, 0.0002))
    assert verdict(vitals=idle).measurement == "valid"


@pytest.mark.parametrize(("n", "level"), [(5, "suspect"), (6, "valid")])
def test_too_few_calls_for_the_interval_of_a_median_are_suspect(n, level):
    found = verdict(calls(n))
    assert found.measurement == level
    assert any("too small" in note for note in found.notes)


def test_calls_left_by_a_killed_worker_are_named():
    found = verdict(calls(50, errors=["unfinished"] * 3), state="interrupted")
    assert found.measurement == "suspect"
    assert "3 calls under way" in found.reasons[0].text


def waiting(share, late):
    return {"waited": np.array([share, np.nan]), "late_s": np.array([late, np.nan])}


def constant_lag(seconds):
    return {"lag_s": np.full(400, seconds)}


@pytest.mark.parametrize(
    ("made", "change", "level"),
    [
        # The event loop: 5 % of the median TTFT, 10 ms at most, and never less than 3 ms.
        ({"ttft": 0.01}, constant_lag(0.003), "valid"),
        ({"ttft": 0.01}, constant_lag(0.0031), "suspect"),
        ({"ttft": 0.1}, constant_lag(0.0049), "valid"),
        ({"ttft": 0.1}, constant_lag(0.0051), "suspect"),
        ({"ttft": 0.9, "latency": 1}, constant_lag(0.01), "valid"),
        ({"ttft": 0.9, "latency": 1}, constant_lag(0.0101), "suspect"),
        ({}, {"lag_s": np.array([0.0003] * 400 + [0.25])}, "valid"),
        ({}, {"lag_s": np.array([0.0003] * 400 + [0.2501])}, "suspect"),
        ({}, {"lag_s": np.empty(0)}, "valid"),
        ({}, {"cpu": np.array([0.1, 0.9])}, "valid"),
        ({}, {"cpu": np.array([0.9001, 0.1])}, "invalid"),
        ({}, {"cpu": np.empty(0)}, "valid"),
        ({}, waiting(0.25, 0.5), "valid"),
        ({}, waiting(0.2501, 0.00101), "suspect"),
        ({}, waiting(0.9, 0.001), "valid"),
        ({}, {"pause_s": np.array([0.01])}, "valid"),
        ({}, {"pause_s": np.array([0.0101, 0.0])}, "suspect"),
        ({}, {"pause_s": np.empty(0)}, "valid"),
        # Calls that left late: a tenth of the percentile that it falsifies, and never under 3 ms.
        ({"late": 0.0099}, {}, "valid"),
        ({"late": 0.0101}, {}, "invalid"),
        ({"late": 0.0029, "latency": 0.01, "ttft": 0.005}, {}, "valid"),
        ({"late": 0.0031, "latency": 0.01, "ttft": 0.005}, {}, "invalid"),
    ],
)
def test_a_measurement_is_fit_up_to_its_limits_and_not_beyond(made, change, level):
    found = verdict(calls(**made), replace(CALM, **change))
    assert (found.measurement, len(found.reasons)) == (level, level != "valid")


@pytest.mark.parametrize(("n", "stat"), [(400, "p99"), (99, "p95"), (19, "p90"), (9, "p50")])
def test_lateness_is_judged_by_the_highest_percentile_that_the_calls_carry(n, stat):
    (reason,) = verdict(calls(n, late=0.05)).reasons
    assert reason.text == f"url/m: calls were sent up to 50 ms late ({stat}; limit 10 ms)."


@pytest.mark.parametrize(
    ("n", "slower", "missed"), [(400, 1.015, False), (400, 1.025, True), (20, 1.025, True), (19, 1.025, False)]
)  # fmt: skip
def test_the_rate_is_reached_with_98_percent_of_it(n, slower, missed):
    made = calls(n)
    for one in made:
        one.start, one.end = one.due * slower, one.due * slower + 0.1
    texts = [reason.text for reason in verdict(made).reasons]
    assert any("were wanted" in text for text in texts) == missed


def test_a_run_that_still_runs_has_no_calls_yet_and_one_that_is_over_made_none():
    live, over = verdict([], state="running"), verdict([])
    assert (live.measurement, live.reasons[0].text) == ("suspect", "url/m: no call has ended yet.")
    assert (over.measurement, over.reasons[0].text) == ("invalid", "url/m: no call was made.")
    assert (live.exit_code, over.exit_code) == (0, 3)


def test_a_run_that_sent_less_than_was_planned_says_so():
    found = verdict(early="the spending limit was reached")
    assert found.measurement == "suspect"
    assert found.reasons[0].text == (
        "not all that was planned was sent: the spending limit was reached."
    )
    # How it was ended otherwise says more.
    assert [r.text for r in verdict(early="x", state="stopped").reasons] == [
        "the run was stopped before its end."
    ]


def test_what_the_api_did_says_nothing_of_the_client():
    down = verdict(calls(0, errors=["authentication"] * 10))
    assert (down.measurement, down.client, down.blocked) == ("invalid", "valid", 2)
    busy = verdict(calls(0, errors=["authentication"] * 10), replace(CALM, cpu=np.array([0.99])))
    assert busy.client == "invalid"


@pytest.mark.parametrize(
    ("errors", "blocked"),
    [
        (["authentication", "not_found"], 2),
        (["authentication", "server_error"], None),
        (["dns_failure", "connection_refused"], 4),
        (["dns_failure", "authentication"], None),
        (["authentication", "client_dropped", "cancelled"], 2),
        (["client_dropped"], None),
    ],
)
def test_a_target_is_blocked_where_all_that_was_answered_is_the_callers_to_mend(errors, blocked):
    assert verdict(calls(0, errors=errors)).blocked == blocked
    assert verdict(calls(1, errors=errors)).blocked is None, "one success is none"


@pytest.mark.parametrize(
    ("n", "slo", "met", "sure", "text"),
    [
        (400, "latency_mean<1", True, True, "met"),
        (400, "requests_per_s>=100", False, True, "MISSED"),
        (5, "latency_p50<1", True, False, "met, but there is no interval to go by"),
        (400, "error_rate<0.1%", True, False, "met, but the sample can't rule out the opposite"),
        (50, "latency_p99<1", None, False, "can't be judged, there is no such figure"),
    ],
)
def test_an_objective_says_how_sure_its_judgement_is(n, slo, met, sure, text):
    plan = Plan(targets=(TARGET,), load=Open(constant(20)), duration_s=20, slo=(slo,))
    found = verdict(calls(n), plan=plan)
    (check,) = found.checks
    assert (check.slo, check.target, check.met, check.sure) == (slo, "url/m", met, sure)
    assert check.text == f"{slo}: {text}"
    assert found.to_dict()["slo"] == [check.to_dict()]


def test_of_several_objectives_all_are_to_be_met():
    plan = Plan(targets=(TARGET,), load=Open(constant(20)), duration_s=20,
                slo=("latency_p50<1", "latency_p50<0.01"))  # fmt: skip
    found = verdict(plan=plan)
    assert ([check.met for check in found.checks], found.met) == ([True, False], False)


@pytest.mark.parametrize(
    ("n", "whose"), [(1, "url/m0"), (3, "url/m0, url/m1, url/m2"), (12, "all 12 targets")]
)
def test_what_is_to_be_known_of_several_targets_is_said_once(n, whose):
    targets = tuple(
        Target(provider="url", model=f"m{k}", base_url=TARGET.base_url) for k in range(n)
    )
    made = []
    for number in range(8 * n):
        one = Marks(number, number % n, number / 20)
        one.start, one.end = one.due, one.due + 0.1
        one.token(one.start + 0.05, 1)
        made.append(one)
    notes = verdict(made, plan=Plan(targets=targets, load=PLAN.load, duration_s=20)).notes
    assert f"{whose}: no TTFT, ITL and TPOT: the answers were not streamed." in notes
    assert f"{whose}: no cost: its price is not known (define its API in targets.toml, with prices of its models)." in notes  # fmt: skip
    assert len(notes) == len({note.partition(": ")[2] for note in notes})
