"""What a client that nobody disturbs can show: its runs are valid, and a capacity is found."""

import json

import pytest

import holymon as hm
from tests import quiet

pytestmark = pytest.mark.quiet
SLO = ("ttft_p95<0.4", "error_rate<20%")


def plan(target, **more):
    return hm.Plan(targets=(target,), load=hm.Open(hm.constant(1)), requests=1, **more)


def test_a_client_that_nobody_disturbs_is_valid(holymon, simulator):
    def verdict():
        done = holymon(
            "load", "--base-url", simulator.base_url, "--model", "fast", "--rate", "50",
            "--duration", "2", "--max-tokens", "8", "--json",
        )  # fmt: skip
        return json.loads(done.stdout)["verdict"]

    judged = quiet.fit(verdict, lambda judged: judged["measurement"] == "valid")
    assert judged["measurement"] == "valid", judged["reasons"]


def test_a_server_with_eight_seats_is_limited_and_the_limit_is_bracketed(tmp_path, simulator):
    """Each answer holds a seat for about 0.165 s, so 48 calls/s are all that eight can give."""

    def search():
        seen.clear()
        return hm.capacity(
            plan(simulator.target("busy")), slo=SLO, start=30, most=240, seconds=1, precision=1,
            budget_s=9, out=tmp_path, seen=seen.append,
        )  # fmt: skip

    seen = []
    found = quiet.fit(search, lambda found: found.best is not None, seconds=45)
    assert [len(one.levels) for one in seen] == list(range(1, len(found.levels) + 1))
    assert (seen[-1].levels, found.objectives) == (found.levels, SLO)
    assert found.best is not None
    runs = [hm.attach(level.run_id, out=tmp_path) for level in found.levels]
    for level, run in zip(found.levels, runs, strict=True):
        (target,) = run.summary().targets
        assert (level.calls, level.goodput_per_s) == (target.requests, target.goodput_per_s)
        # What a slow client met is met; what it missed may be its own doing, unless it is known
        # how late it was at most.
        judged = run.verdict()
        known = level.met or judged.late_s is not None
        assert not level.sure or judged.client in ({"valid", "suspect"} if known else {"valid"})
        # At five times what the server can give, no level is ever taken for met.
        assert not (level.rate >= 240 and level.met)
    assert sum(level.took_s for level in found.levels) <= 9


def test_the_command_says_what_was_found(holymon):
    arguments = (
        "capacity", "sim/fast", "--slo", "latency_p50<5", "--slo", "error_rate<20%", "--from", "40",
        "--to", "40", "--duration", "1", "--budget", "8", "--json",
    )  # fmt: skip
    done = quiet.fit(
        lambda: holymon(*arguments),
        lambda done: done.returncode == 0 and json.loads(done.stdout)["ended"] == "all met",
    )
    said = json.loads(done.stdout)
    assert (done.returncode, said["highest_met_per_s"], said["ended"]) == (0, 40, "all met")
    assert (said["lowest_missed_per_s"], said["simulated"]) == (None, True)
