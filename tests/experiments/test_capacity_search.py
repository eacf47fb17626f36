"""The capacity of real servers is found by real loads, within every budget, and can be interrupted."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from click.testing import CliRunner

import holymon as hm
from holymon.cli.main import main
from holymon.experiments.capacity_search import EVEN, even

SLO = ("ttft_p95<0.4", "error_rate<20%")


def plan(target, **more):
    return hm.Plan(targets=(target,), load=hm.Open(hm.constant(1)), requests=1, **more)


def test_no_more_calls_are_made_than_allowed(tmp_path, simulator):
    found = hm.capacity(
        plan(simulator.target("fast")), slo=("latency_p50<5",), start=20, seconds=1,
        max_calls=70, out=tmp_path,
    )  # fmt: skip
    assert found.ended == "budget"
    assert 0 < sum(level.calls for level in found.levels) <= 70
    assert simulator.counted()["fast"]["requests"] <= 70
    # Where something else took the processor, no level may be fit to be judged.
    assert ("this is a lower bound" in str(found)) == any(level.met for level in found.levels)


def test_answers_that_never_come_can_not_hold_up_the_end(tmp_path, simulator):
    """At 800 calls/s the queue of `busy` is a minute long: the level is stopped in time."""
    begun = time.monotonic()
    found = hm.capacity(
        plan(simulator.target("busy")), slo=("latency_p50<0.3",), start=800, seconds=4,
        budget_s=6.1, out=tmp_path,
    )  # fmt: skip
    assert found.ended == "budget"
    assert {hm.attach(one.run_id, out=tmp_path).state for one in found.levels} == {"stopped"}
    assert [level.met for level in found.levels] == [None]
    assert time.monotonic() - begun < 50  # not a bench: without the stop it waits for each answer


def test_a_budget_too_small_for_one_level_is_one_sentence(tmp_path):
    with pytest.raises(hm.PlanError, match=r"does not suffice for a first level: 100 s at 0\.1"):
        hm.capacity(
            plan(hm.target("sim/fast")), slo=("ttft_p99<1",), start=0.1, budget_s=20, out=tmp_path
        )
    words = (
        f"capacity sim/fast --slo ttft_p99<0.1 --from 2000 --to 5000 --max-calls 9 --out {tmp_path}"
    )
    done = CliRunner().invoke(main, words.split())
    assert "does not suffice for a first level: 2.5 s at 2000 calls/s" in done.output
    assert hm.runs(tmp_path) == []


def test_capacity_is_of_one_target_and_needs_an_objective(tmp_path):
    two = hm.Plan(
        targets=(hm.target("sim/fast"), hm.target("sim/slow")), load=hm.Open(hm.constant(1)),
        requests=1,
    )  # fmt: skip
    with pytest.raises(hm.PlanError, match="one target, and the plan has 2"):
        hm.capacity(two, slo=SLO, out=tmp_path)
    with pytest.raises(hm.PlanError, match="needs an objective"):
        hm.capacity(plan(hm.target("sim/fast")), out=tmp_path)


def test_a_server_that_is_not_there_has_no_capacity(tmp_path):
    nobody = hm.Target(provider="url", model="m", base_url="http://127.0.0.1:1/v1")
    with pytest.raises(hm.RunError, match="see whether a server runs"):
        hm.capacity(plan(nobody), slo=SLO, start=40, seconds=2, out=tmp_path)


class Broken(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(500)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def test_a_server_that_answers_nothing_misses_and_the_client_is_not_to_blame(tmp_path):
    with ThreadingHTTPServer(("127.0.0.1", 0), Broken) as server:
        threading.Thread(target=server.serve_forever).start()
        base_url = f"http://127.0.0.1:{server.server_port}/v1"
        target = hm.Target(provider="url", model="m", base_url=base_url)
        found = hm.capacity(plan(target), slo=SLO, start=30, seconds=1, max_calls=40, out=tmp_path)
        server.shutdown()
    for level in found.levels:
        judged = hm.attach(level.run_id, out=tmp_path).verdict()
        assert judged.measurement == "invalid"
        # A client that was late and no more has not made calls fail.
        fit = judged.client == "valid" or (judged.client == "suspect" and judged.late_s is not None)
        assert (level.met, level.sure) == ((False, True) if fit else (None, False))


def test_the_plans_own_objectives_and_prompts_are_taken(tmp_path, simulator):
    asked = plan(
        simulator.target("fast"), prompts=hm.Prompts(max_tokens=2), slo=("error_rate<50%",)
    )
    # A busy machine, on which no level is fit to be judged, is not searched for minutes.
    found = hm.capacity(asked, start=40, most=40, seconds=1, max_calls=100, out=tmp_path)
    assert found.objectives == ("error_rate<50%",)
    run = hm.attach(found.levels[-1].run_id, out=tmp_path)
    assert run.plan.prompts.max_tokens == 2
    assert run.plan.load.shape.arrivals == "poisson"


@pytest.mark.parametrize("rate", [5, 50, 500])
def test_a_level_has_as_many_calls_as_its_rate_stands_for(rate):
    shape = hm.constant(rate).arriving("poisson")
    wanted = 3 * rate
    for seed in range(0, 640, 64):
        found = even(
            hm.Plan(targets=(hm.target("sim/fast"),), load=hm.Open(shape), duration_s=3, seed=seed)
        )
        assert abs(len(found.due()) - wanted) <= max(1, EVEN * wanted)
        assert seed <= found.seed < seed + 64


def test_the_command_tells_a_miss_from_bad_usage(holymon):
    # What no server can do; a busy machine may make the measurement suspect, which shows nothing.
    done = holymon(
        "capacity", "sim/fast", "--slo", "latency_p50<0.001", "--duration", "1", "--from", "20",
        "--budget", "8", "--json",
    )  # fmt: skip
    said = json.loads(done.stdout)
    assert done.returncode == (1 if said["lowest_missed_per_s"] else 3)
    assert said["highest_met_per_s"] is None
    for bad in (("--slo", "speed>1"), ("--slo", "ttft_p50<1", "--budget", "1")):
        wrong = holymon("capacity", "sim/fast", *bad)
        assert wrong.returncode == 2
        assert "Traceback" not in wrong.stderr


def test_ctrl_c_ends_the_search_and_what_was_found_is_said(tmp_path):
    command = [
        sys.executable, "-m", "holymon", "capacity", "sim/fast", "--slo", "latency_p50<5",
        "--from", "20", "--duration", "30", "--json",
    ]  # fmt: skip
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    until = time.monotonic() + 60
    while time.monotonic() < until:
        going = hm.runs(tmp_path / "reports")
        if going and going[0]["requests"]:
            break
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert json.loads(said)["ended"] == "interrupted"
    (left,) = hm.runs(tmp_path / "reports")
    assert left["state"] == "stopped"
    assert left["requests"] > 0


def test_no_more_is_spent_than_allowed_and_a_level_cut_short_claims_nothing(tmp_path):
    found = hm.capacity(
        plan(hm.target("sim/fast")), slo=("latency_p50<5",), start=20, seconds=2,
        max_cost=0.0002, out=tmp_path,
    )  # fmt: skip
    assert sum(level.cost_usd for level in found.levels) <= 0.0002
    cut = found.levels[0]
    assert cut.calls < 40
    assert (cut.met, found.best, found.ended) == (None, None, "budget")
