"""Whoever is killed, whenever, and however full the disk is: no call is lost without a word."""

import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from holymon.load import run
from holymon.plan.plan import Open, Plan, Prompts
from holymon.plan.shapes import constant, poisson

ROOT = Path(__file__).parents[2]
POINTS = 50
AT_ONCE = 5


def until(is_so, seconds=60):
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def owned(tmp_path):
    """Starts runs that belong to a process each, as those of a notebook's kernel do."""
    started = []

    def start(plan):
        path = tmp_path / f"{len(started)}.json"
        path.write_bytes(plan.to_json())
        command = [sys.executable, "-m", "tests.promises.owner", path, tmp_path / "out"]
        owner = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        started.append(owner)
        return owner

    yield start
    for owner in started:
        owner.kill()
        owner.wait()
        owner.stdout.close()


def test_of_50_runs_killed_at_random_points_no_call_is_lost(tmp_path, simulator, owned):
    """In an open loop call k follows call k - 1: whatever is lost would leave a hole."""
    dice = random.Random(50)
    recorded = left = 0
    for first in range(0, POINTS, AT_ONCE):
        owners = [
            owned(Plan(targets=(simulator.target("fast"),), load=Open(poisson(20)), duration_s=600,
                       prompts=Prompts(max_tokens=4), seed=k, name=f"killed-{k}"))
            for k in range(first, first + AT_ONCE)
        ]  # fmt: skip
        runs = [
            run.attach(owner.stdout.readline().strip(), out=tmp_path / "out") for owner in owners
        ]
        for owner, going in zip(owners, runs, strict=True):
            until(lambda: len(going.records) > 3)  # noqa: B023 - called at once
            seen = set(going.records["request"].tolist())
            time.sleep(dice.uniform(0, 0.1))
            of_worker = dice.random() < 0.5
            os.kill(going.status["pid"] if of_worker else owner.pid, signal.SIGKILL)
            until(lambda: not going.live)  # noqa: B023
            found = run.attach(going.id, out=tmp_path / "out")
            numbers = sorted(found.records["request"].tolist())
            assert found.state == "interrupted", found.status
            assert numbers == list(range(len(numbers)))
            assert seen <= set(numbers)
            errors = found.records.errors(found.records.mask())
            left += errors.get("unfinished", 0)
            recorded += len(numbers)
            if not of_worker:
                # The worker saw its owner die, and ended in order: its calls are `cancelled`.
                assert "unfinished" not in errors
    assert left, "some call was under way at some of the points"
    assert simulator.counted()["fast"]["requests"] <= recorded


def test_unfinished_calls_are_shown_and_are_no_failures_of_the_api(tmp_path, simulator):
    plan = Plan(
        targets=(simulator.target("slow"),), load=Open(constant(30)), duration_s=600, workers=2
    )
    going = run.start(plan, out=tmp_path)
    until(lambda: simulator.counted().get("slow", {}).get("requests", 0) >= 40)
    others = psutil.Process(going.status["pid"]).children(recursive=True)
    os.kill(going.status["pid"], signal.SIGKILL)
    # The other worker sees that the first one died, and writes what it cancels.
    psutil.wait_procs(others, timeout=60)
    until(lambda: not going.live)
    again = run.attach(going.id, out=tmp_path)
    rows = again.records.rows[again.records["error"] != 0]
    (target,) = again.summary().targets
    assert target.errors["unfinished"] >= 5
    assert (rows["start_s"] >= rows["due_s"]).all()
    assert target.error_rate.value in {0.0, None}
    assert any("under way" in reason.text for reason in again.verdict().reasons)
    assert simulator.counted()["slow"]["requests"] <= len(again.records)
    # What was compacted says the same as what was not.
    assert run.attach(going.id, out=tmp_path).summary() == again.summary()


def start_on_a_full_disk(tmp_path, plan, limit):
    (tmp_path / "plan.json").write_bytes(plan.to_json())
    (tmp_path / "spare").mkdir()
    return subprocess.Popen(
        [sys.executable, "-m", "tests.promises.owner", str(tmp_path / "plan.json"),
         str(tmp_path / "out"), str(limit)], cwd=ROOT,
        stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(tmp_path / "spare")},
    )  # fmt: skip


def load_of(simulator, calls):
    return Plan(targets=(simulator.target("fast"),), load=Open(constant(100)), requests=calls,
                prompts=Prompts(max_tokens=2))  # fmt: skip


def test_when_a_full_disk_has_room_again_nothing_is_missing(tmp_path, simulator):
    owner = start_on_a_full_disk(tmp_path, load_of(simulator, 400), 20_000)
    going = run.attach(owner.stdout.readline().strip(), out=tmp_path / "out")
    until(lambda: simulator.counted().get("fast", {}).get("requests", 0) > 250)
    assert len(going.records) < 200, "the disk is full, and the run goes on"
    resource.prlimit(going.status["pid"], resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    assert owner.wait(60) == 0
    owner.stdout.close()
    found = run.attach(going.id, out=tmp_path / "out")
    assert sorted(found.records["request"].tolist()) == list(range(400))
    assert found.state == "finished"
    judged = found.verdict()
    assert judged.measurement != "valid"
    assert any("memory" in reason.text for reason in judged.reasons)


def test_when_the_disk_stays_full_the_rest_is_saved_elsewhere_and_can_be_put_back(
    tmp_path, simulator
):
    owner = start_on_a_full_disk(tmp_path, load_of(simulator, 220), 20_000)
    going = run.attach(owner.stdout.readline().strip(), out=tmp_path / "out")
    until(lambda: not going.live)
    (rest,) = (tmp_path / "spare").glob("holymon-*-rest.journal")
    (said,) = [r.text for r in going.verdict().reasons if "stayed full" in r.text]
    assert str(rest) in said
    owner.wait(60)
    owner.stdout.close()
    kept = run.attach(going.id, out=tmp_path / "out")
    assert 0 < len(kept.records) < 220
    put_back(rest, kept.folder)
    whole = run.attach(going.id, out=tmp_path / "out")
    assert sorted(whole.records["request"].tolist()) == list(range(220))


def test_when_nowhere_is_room_for_finished_calls_the_run_says_that_they_are_lost(
    tmp_path, simulator
):
    owner = start_on_a_full_disk(tmp_path, load_of(simulator, 250), 8_000)
    going = run.attach(owner.stdout.readline().strip(), out=tmp_path / "out")
    owner.wait(60)
    owner.stdout.close()
    assert len(going.records) < 250
    judged = going.verdict()
    assert judged.measurement == "invalid"
    assert any("calls that had finished are lost" in reason.text for reason in judged.reasons)
    assert judged.exit_code == 3


def put_back(rest: Path, folder: Path) -> None:
    rest.rename(folder / ("calls" + rest.name.partition("-calls")[2]))
