"""The client's own trouble is seen: a starved core makes a run suspect, a wall clock nothing."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from holymon.load import run
from holymon.plan.plan import Open, Plan, Prompts
from holymon.plan.shapes import constant

cores = sorted(os.sched_getaffinity(0))


@contextmanager
def busy_loop(core):
    """A process that wants one core for itself."""
    code = f"import os; os.sched_setaffinity(0, {{{core}}})\nwhile True: pass"
    process = subprocess.Popen([sys.executable, "-c", code])
    try:
        yield
    finally:
        process.kill()
        process.wait()


@pytest.mark.skipif(len(cores) < 2, reason="the server needs a core of its own")
def test_a_starved_client_is_never_valid(tmp_path, simulator):
    plan = Plan(targets=(simulator.target("fast"),), load=Open(constant(50)), duration_s=2,
                prompts=Prompts(max_tokens=8))  # fmt: skip
    os.sched_setaffinity(simulator.process.pid, {cores[-1]})
    going = run.start(plan, out=tmp_path)
    while not len(going.records):
        time.sleep(0.02)
    for thread in Path(f"/proc/{going.status['pid']}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {cores[0]})
    with busy_loop(cores[0]), busy_loop(cores[0]):
        found = going.wait().verdict()
    assert found.measurement in {"suspect", "invalid"}
    assert any("core" in one.text or "late" in one.text for one in found.reasons)


def test_a_client_that_stood_still_for_half_a_second_is_suspect(tmp_path, simulator):
    plan = Plan(targets=(simulator.target("fast"),), load=Open(constant(2)), duration_s=4,
                prompts=Prompts(max_tokens=4))  # fmt: skip
    going = run.start(plan, out=tmp_path)
    while not len(going.records):
        time.sleep(0.05)
    os.kill(going.status["pid"], signal.SIGSTOP)
    time.sleep(0.6)
    os.kill(going.status["pid"], signal.SIGCONT)
    found = going.wait().verdict()
    assert found.measurement in {"suspect", "invalid"}
    assert going.vitals.to_dict()["loop_lag_max_s"] > 0.5
    assert any("stood still" in one.text or "late" in one.text for one in found.reasons)


def test_what_a_client_can_not_send_is_counted_and_makes_it_invalid(tmp_path, simulator):
    load = Open(constant(500), max_in_flight=20)
    plan = Plan(targets=(simulator.target("slow"),), load=load, duration_s=1.5,
                prompts=Prompts(max_tokens=8))  # fmt: skip
    measured = run.measure(plan, out=tmp_path)
    (target,) = measured.summary().targets
    dropped = target.errors["client_dropped"]
    assert target.requests == 750
    assert dropped > 400
    assert simulator.counted()["slow"]["requests"] == 750 - dropped
    assert target.response_s.p50 > 0.3, "it is the schedule's view that is shown beside"
    found = measured.verdict()
    assert (found.measurement, found.exit_code) == ("invalid", 3)
    assert f"{dropped} calls were due but not sent" in " ".join(one.text for one in found.reasons)


STEP = """
import os, time
real = time.time, time.time_ns

def step():
    return STEP if os.path.exists(FLAG) else 0

time.time = lambda: real[0]() + step()
time.time_ns = lambda: real[1]() + step() * 10**9
"""


@pytest.mark.parametrize(("step", "words"), [(-3600, "set back"), (3600, "set forward")])
def test_a_wall_clock_that_steps_by_an_hour_changes_no_duration_and_it_is_told(
    tmp_path, simulator, monkeypatch, step, words
):
    """The clock of this machine can't be set in a test, so that of the worker is."""
    plan = Plan(
        targets=(simulator.target("fast"),), load=Open(constant(50)), duration_s=2,
        prompts=Prompts(max_tokens=4),
    )  # fmt: skip
    before = run.measure(plan, out=tmp_path / "a")
    hook = tmp_path / "hook"
    hook.mkdir()
    flag = tmp_path / "now"
    (hook / "sitecustomize.py").write_text(
        STEP.replace("STEP", f"{step}").replace("FLAG", repr(str(flag)))
    )
    monkeypatch.setenv("PYTHONPATH", str(hook), prepend=os.pathsep)
    after = run.start(plan, out=tmp_path / "b")
    while not len(after.records):
        time.sleep(0.02)
    flag.touch()
    after.wait()
    for one in (before, after):
        records = one.records
        assert sorted(records["request"].tolist()) == list(range(100))
        assert records.ok.all()
        assert (records["due_s"] <= records["start_s"]).all()
        assert (records["start_s"] < records["first_s"]).all()
        assert (records["first_s"] <= records["end_s"]).all()
        assert records["end_s"].max() < 60
    (x,), (y,) = before.summary().targets, after.summary().targets
    # An hour would be seen; a few milliseconds of this machine's noise are not the clock's.
    assert abs(x.latency_s.max - y.latency_s.max) < 1
    assert abs(x.ttft_s.p50 - y.ttft_s.p50) < 0.5
    assert not any("clock of this machine" in note for note in before.verdict().notes)
    (told,) = [note for note in after.verdict().notes if "clock of this machine" in note]
    assert f"was {words} by 3,600 s meanwhile" in told
