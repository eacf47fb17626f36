"""Runs on the simulator: started, followed, stopped, killed, attached to, and never lost."""

import asyncio
import collections
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from holymon.errors import ConfigError, RunError
from holymon.load import run, worker
from holymon.plan.plan import Closed, Open, Plan, Prompts, Target
from holymon.plan.shapes import constant, poisson
from holymon.records import run_folder

ROOT = Path(__file__).parents[2]
SIM = Target(provider="sim", model="fast", stall_s=2)
SHORT = Prompts(max_tokens=4)


def soon(condition, seconds=30.0):
    """Wait until `condition()` holds."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


def test_a_plan_becomes_a_run_with_every_call(tmp_path):
    done = run.measure(
        Plan(targets=(SIM,), load=Open(constant(40)), duration_s=1, prompts=SHORT), out=tmp_path
    )
    assert done.state == "finished"
    assert sorted(done.records["request"]) == list(range(40))
    assert done.records.errors(done.records.mask()) == {}
    assert done.summary().simulated


def test_figures_are_computed_again_only_when_calls_were_added(tmp_path):
    plan = Plan(targets=(SIM,), load=Open(constant(40)), duration_s=1, prompts=SHORT)
    started = run.start(plan, out=tmp_path)
    soon(lambda: len(started.records) > 5)
    early = started.summary()
    assert early.targets[0].requests < 40
    done = started.wait()
    assert done.summary().targets[0].requests == 40
    assert done.summary() is done.summary()
    assert done.summary() == run.attach(str(done.folder)).summary(), "as the files say"


def test_counts_agree_with_the_server_to_the_call(tmp_path, simulator):
    # A busy machine may stall for a second itself.
    plan = Plan(targets=(simulator.target("flaky", stall_s=5),), load=Open(constant(100)),
                duration_s=2, prompts=SHORT)  # fmt: skip
    done = run.measure(plan, out=tmp_path)
    expected = {k: n for k, n in simulator.counted()["flaky"]["faults"].items() if n}
    expected.pop("ok")
    assert expected == done.records.errors(done.records.mask())
    assert len(expected) >= 4, "the simulator is to inject several kinds of faults"
    assert done.records.errors(done.records.mask()).get("_OTHER") is None


def test_failures_and_the_slowest_have_the_ids_by_which_their_server_knows_them(
    tmp_path, simulator
):
    plan = Plan(targets=(simulator.target("flaky", stall_s=1),), load=Closed(users=1),
                requests=40, prompts=SHORT)  # fmt: skip
    done = run.measure(plan, out=tmp_path)
    # One user calls in the order of the server's numbers.
    named = {number: f"sim-flaky-{number}" for number in range(40)}
    assert done.request_ids == named
    assert dict(done.records.to_frame()[["request", "request_id"]].to_numpy()) == named
    assert {note["request_id"] for note in done.notes} <= set(named.values())
    assert all(note["message"] for note in done.notes)


def test_a_simulated_run_has_the_servers_own_log_beside_it(tmp_path):
    # Long enough for answers of a machine whose cores others have: those that stall do so for ever.
    target = Target(provider="sim", model="flaky", stall_s=4)
    plan = Plan(targets=(target,), load=Open(constant(60)), duration_s=2, prompts=SHORT)
    done = run.measure(plan, out=tmp_path)
    noted = [json.loads(line) for line in (done.folder / "sim.jsonl").read_text().splitlines()]
    (found,) = done.summary().targets
    faults = collections.Counter(one["fault"] for one in noted)
    assert faults.pop("ok") == found.ok
    assert dict(faults) == found.errors
    assert len(noted) == found.requests == 120


def test_answers_of_the_simulator_are_known_as_such_at_any_address(tmp_path, simulator):
    plan = Plan(targets=(simulator.target(),), load=Closed(users=1), requests=2, prompts=SHORT)
    assert run.measure(plan, out=tmp_path).summary().simulated


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_together_make_the_plan(tmp_path, simulator, workers):
    targets = (simulator.target("fast"), simulator.target("slow"))
    plan = Plan(targets=targets, load=Open(poisson(20)), duration_s=1,
                workers=workers, prompts=SHORT)  # fmt: skip
    done = run.measure(plan, out=tmp_path)
    assert sorted(done.records["request"]) == sorted(plan.schedule()[1])
    counted = simulator.counted()
    assert [one.requests for one in done.summary().targets] == [
        counted["fast"]["requests"], counted["slow"]["requests"],
    ]  # fmt: skip


def test_a_closed_loop_makes_exactly_the_requests(tmp_path):
    plan = Plan(targets=(SIM,), load=Closed(users=3), requests=20, prompts=SHORT)
    (target,) = run.measure(plan, out=tmp_path).summary().targets
    assert (target.requests, target.ok, target.warmup) == (20, 20, 0)


def test_a_running_event_loop_is_no_obstacle(tmp_path):
    """As in a notebook, where one always runs."""
    plan = Plan(targets=(SIM,), load=Closed(users=2), requests=6, prompts=SHORT)

    async def cell():
        done = run.measure(plan, out=tmp_path)
        return done.verdict(), len(done.records)

    found, n = asyncio.run(cell())
    assert n == 6
    assert found.measurement in {"valid", "suspect", "invalid"}


def test_answers_that_are_not_streamed_have_no_ttft(tmp_path):
    plan = Plan(targets=(SIM,), load=Closed(users=2), requests=10,
                prompts=Prompts(max_tokens=4, stream=False))  # fmt: skip
    (target,) = run.measure(plan, out=tmp_path).summary().targets
    assert (target.ok, target.ttft_s.n, target.tokens.output) == (10, 0, 40)


def test_stopping_keeps_what_was_measured(tmp_path, simulator):
    plan = Plan(targets=(simulator.target("slow"),), load=Open(constant(50)), duration_s=600)
    going = run.start(plan, out=tmp_path)
    soon(lambda: len(going.records) > 20)
    going.stop()
    going.wait(timeout=30)
    assert going.state == "stopped"
    numbers = sorted(going.records["request"])
    assert numbers == list(range(len(numbers))), "each call that was due is a record"
    assert set(going.records.errors(going.records.mask())) == {"cancelled"}
    # What was stopped just as it began may not have reached the server.
    reached = (going.records["end_s"] - going.records["start_s"] > 0.2).sum()
    assert reached <= simulator.counted()["slow"]["requests"] <= len(numbers)
    assert reached > 20


def test_a_run_whose_folder_was_deleted_calls_no_more_and_keeps_nobody_waiting(tmp_path, simulator):
    plan = Plan(targets=(simulator.target("fast"),), load=Open(constant(50)), duration_s=600)
    going = run.start(plan, out=tmp_path)
    soon(lambda: len(going.records) > 5)
    shutil.rmtree(going.folder)
    process = going._process
    with pytest.raises(RunError, match="is lost: its folder was removed while it was measured"):
        going.wait(timeout=30)
    assert process.poll() is not None
    assert len(going.records) > 5


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_worker_stops_it_in_order(tmp_path, simulator, number):
    plan = Plan(targets=(simulator.target("slow"),), load=Open(constant(50)), duration_s=600)
    going = run.start(plan, out=tmp_path)
    soon(lambda: len(going.records) > 5)
    os.kill(going.status["pid"], number)
    going.wait(timeout=30)
    assert going.state == "stopped"
    assert going.records.errors(going.records.mask()).keys() == {"cancelled"}


def test_a_killed_worker_loses_no_finished_call(tmp_path, simulator):
    plan = Plan(targets=(simulator.target("fast"),), load=Open(constant(100)), duration_s=600,
                prompts=SHORT)  # fmt: skip
    going = run.start(plan, out=tmp_path)
    soon(lambda: len(going.records) > 50)
    seen = set(going.records["request"].tolist())
    os.kill(going.status["pid"], signal.SIGKILL)
    soon(lambda: not going.live)
    assert going.state == "interrupted"
    again = run.attach(going.id, out=tmp_path)
    again.close()
    kept = set(again.records["request"].tolist())
    assert seen <= kept
    # What the server finished is recorded, save the answers still on their way at that moment.
    assert simulator.counted()["fast"]["requests"] - len(kept) <= 20
    assert any("interrupted" in reason.text for reason in again.verdict().reasons)


def test_on_a_full_disk_the_last_word_is_written_over_the_state(tmp_path, monkeypatch):
    run_folder.write_state(tmp_path, state="running", sim_url="http://127.0.0.1:1/v1" * 9)

    def full(*_, **more):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(run_folder, "write_aside", full)
    worker.last_word(tmp_path, state="failed", detail="the rest is in /tmp")
    kept = {"state": "failed", "detail": "the rest is in /tmp"}
    assert run_folder.read_raw_state(tmp_path) == kept


@pytest.mark.parametrize("tie", ["attached", "detached"])
def test_a_killed_owner_ends_its_run_unless_it_was_detached(tmp_path, simulator, tie):
    plan = Plan(targets=(simulator.target(),), load=Open(constant(100)), duration_s=600)
    (tmp_path / "plan.json").write_bytes(plan.to_json())
    owner = subprocess.Popen(
        [sys.executable, "-m", "tests.promises.owner", tmp_path / "plan.json", tmp_path / "out", tie],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    found = run.attach(owner.stdout.readline().strip(), out=tmp_path / "out")
    soon(lambda: len(found.records) > 20)
    owner.kill()
    owner.wait()
    owner.stdout.close()
    if tie == "attached":
        soon(lambda: not found.live)
        assert found.state == "interrupted"
    else:
        before = len(found.records)
        soon(lambda: len(found.records) > before + 20)
        assert found.state == "running"
        found.stop()
        found.wait(timeout=30)
        assert found.state == "stopped"
    numbers = sorted(found.records["request"])
    assert numbers == list(range(len(numbers)))


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("workers", [1, 3])
def test_no_process_is_left_when_a_worker_is_killed(tmp_path, workers):
    plan = Plan(
        targets=(SIM,), load=Open(constant(30)), duration_s=600, workers=workers, prompts=SHORT
    )
    going = run.start(plan, out=tmp_path)
    soon(lambda: len(going.records) > 10)
    worker = psutil.Process(going.status["pid"])
    children = worker.children(recursive=True)
    assert len(children) == workers, "the simulator and the further workers"
    worker.kill()
    gone, alive = psutil.wait_procs(children, timeout=30)
    assert (len(gone), alive) == (workers, [])


@pytest.mark.usefixtures("fresh")
def test_the_simulator_ends_with_the_run(tmp_path):
    plan = Plan(targets=(SIM,), load=Open(constant(30)), duration_s=2, prompts=SHORT)
    going = run.start(plan, out=tmp_path)
    soon(lambda: len(going.records) > 5)
    children = psutil.Process(going.status["pid"]).children()
    assert len(children) == 1
    going.wait(timeout=60)
    gone, alive = psutil.wait_procs(children, timeout=30)
    assert (len(gone), alive) == (1, [])


def test_a_refused_key_ends_the_run_early_and_says_what_to_do(tmp_path, simulator, monkeypatch):
    monkeypatch.setenv("THIS_KEY", "sk-wrong-0123456789")
    target = simulator.target("fast", api_key_env="THIS_KEY")
    done = run.measure(
        Plan(targets=(target,), load=Open(constant(50)), duration_s=60, first_call=False),
        out=tmp_path,
    )
    assert done.status["ended"] == "hopeless"
    assert len(done.records) < 1000, "of 3,000: how many depends on how busy this machine is"
    assert done.verdict().exit_code == 2
    assert "THIS_KEY" in done.verdict().reasons[-1].text
    assert "sent: all calls failed with authentication." in str(done.verdict())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no such limit")
@pytest.mark.parametrize("hard", [False, True])
def test_a_limit_of_open_files_is_lifted_or_said_to_be_the_clients(holymon, simulator, hard):
    """Calls for which there was no socket are none of the API's failures."""
    import resource

    def limited():
        now = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (80, 80 if hard else now))

    done = holymon("load", "--base-url", simulator.base_url, "--model", "slow", "--json",
                   "--concurrency", "120", "--requests", "120", preexec_fn=limited)  # fmt: skip
    found = json.loads(done.stdout)
    target = found["targets"][0]
    assert (found["state"], target["requests"]) == ("finished", 120), done.stderr
    if hard:
        assert set(target["errors"]) == {"client_dropped"}
        assert target["error_rate"]["value"] == 0
        assert (found["verdict"]["measurement"], done.returncode) == ("invalid", 3)
    else:
        assert (target["ok"], target["errors"]) == (120, {})


def test_a_missing_key_is_said_before_anything_is_made(tmp_path, monkeypatch):
    monkeypatch.delenv("THIS_KEY", raising=False)
    target = Target(provider="url", model="m", base_url="http://127.0.0.1:1/v1",
                    api_key_env="THIS_KEY")  # fmt: skip
    with pytest.raises(ConfigError, match="THIS_KEY"):
        run.start(Plan(targets=(target,), load=Open(constant(1)), requests=1), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_run_that_can_not_be_measured_says_why(tmp_path):
    homeless = Target(provider="mine", model="m")
    with pytest.raises(RunError, match="mine/m has no base_url"):
        run.measure(Plan(targets=(homeless,), load=Open(constant(1)), requests=1), out=tmp_path)


def test_a_finished_run_is_compact_and_can_be_opened_again(tmp_path):
    plan = Plan(targets=(SIM,), load=Closed(users=2), requests=10, prompts=SHORT)
    done = run.measure(plan, out=tmp_path)
    again = run.attach(out=tmp_path)
    assert again.id == done.id
    assert again.to_dict() == done.to_dict()
    assert (done.folder / "calls.parquet").exists()
    assert list(done.folder.glob("*.journal")) == []


def test_whoever_followed_a_run_that_another_process_compacted_has_all_of_it(tmp_path):
    plan = Plan(targets=(SIM,), load=Open(constant(40)), duration_s=1, prompts=SHORT)
    going = run.start(plan, out=tmp_path)
    seen, late = (run.attach(going.id, out=tmp_path) for _ in range(2))
    soon(lambda: len(seen.records) > 3)
    going.wait()
    assert list(going.folder.glob("*.journal")) == []
    for other in (seen, late):
        assert sorted(other.records["request"].tolist()) == list(range(40))
        assert other.summary() == going.summary()


def test_the_json_form_has_what_the_contract_names(tmp_path):
    plan = Plan(targets=(SIM,), load=Open(constant(50)), duration_s=1, prompts=SHORT)
    found = run.measure(plan, out=tmp_path).to_dict()
    assert {"run_id", "plan", "started_at", "duration_s", "simulated", "verdict", "targets"} <= set(
        found
    )
    assert {"measurement", "reasons", "slo"} == set(found["verdict"])
    (target,) = found["targets"]
    assert {
        "target", "requests", "ok", "errors", "error_rate", "latency_s", "response_s",
        "schedule_delay_s", "ttft_s", "itl_s", "tpot_s", "throughput", "tokens", "cost_usd",
    } <= set(target)  # fmt: skip
    assert {"n", "mean", "p50", "p90", "p95", "p99", "max", "ci"} == set(target["latency_s"])
    assert {"prompt", "output", "source"} <= set(target["tokens"])
    assert run_folder.load(run_folder.find(tmp_path, "last")).targets == plan.targets
