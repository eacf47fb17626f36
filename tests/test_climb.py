"""The highest rate that still meets objectives, measured for real on a server with a knee."""

import json

import pytest

import holymon as hm
from holymon.plan import Closed, Open, Plan, Prompts, Target
from holymon.shapes import constant

SLO = ("ttft_p50<0.3",)


def plan_for(*targets) -> Plan:
    return Plan(targets=targets, load=Open(constant(1)), duration_s=1,
                prompts=Prompts(max_tokens=4))  # fmt: skip


def test_a_server_of_eight_seats_is_found_to_have_a_limit(tmp_path, simulator):
    """About 100 ms and 4 tokens a call on 8 seats: less than 80 calls/s, and more than 20."""
    seen = []
    found = hm.capacity(
        plan_for(simulator.target("busy")), slo=SLO, start=20, most=320, seconds=2, precision=1.0,
        budget_s=60, out=tmp_path, seen=seen.append,
    )  # fmt: skip
    assert [len(one.levels) for one in seen] == list(range(1, len(found.levels) + 1))
    # A busy machine may keep any level from being valid, so what is held together is what was said.
    best = found.best.rate if found.best else 0.0
    assert best < 120, "eight seats can't do more"
    assert [one for one in found.levels if one.rate > best] or found.ended == "budget"
    for level in found.levels:
        run = hm.attach(level.run_id, out=tmp_path)
        (target,) = run.summary().targets
        assert (target.requests, target.goodput_per_s) == (level.calls, level.goodput_per_s)
        if level.met is not None and run.verdict().measurement == "valid":
            assert level.met == all(check.met for check in run.verdict().checks)
    assert len(hm.runs(tmp_path)) == len(found.levels)
    assert {run["run_id"] for run in hm.runs(tmp_path)} == {one.run_id for one in found.levels}
    assert ("met at no rate tried" in repr(found)) == (found.best is None)
    assert "url/busy" in found._repr_html_()


def test_a_refused_server_ends_the_search_with_the_reason(tmp_path):
    gone = Target(provider="url", model="m", base_url="http://127.0.0.1:9/v1")
    with pytest.raises(hm.RunError, match="does the server run"):
        hm.capacity(plan_for(gone), slo=SLO, start=50, seconds=1, out=tmp_path)


def test_several_targets_have_no_one_capacity(tmp_path, simulator):
    both = plan_for(simulator.target("fast"), simulator.target("slow"))
    with pytest.raises(hm.PlanError, match="one target"):
        hm.capacity(both, slo=SLO, out=tmp_path)


def test_the_plans_own_objectives_and_prompts_are_taken(tmp_path, simulator):
    plan = hm.Plan(targets=(simulator.target("fast"),), load=Closed(users=1), requests=1,
                   prompts=Prompts(max_tokens=2), slo=("error_rate<50%",))  # fmt: skip
    found = hm.capacity(plan, start=40, most=40, seconds=1, out=tmp_path)
    assert found.objectives == ("error_rate<50%",)
    run = hm.attach(found.levels[-1].run_id, out=tmp_path)
    assert run.plan.prompts.max_tokens == 2
    assert run.plan.load.shape.arrivals == "poisson"


def test_the_command_prints_the_answer(holymon, tmp_path):
    done = holymon("capacity", "sim/fast", "--slo", "latency_p50<5", "--from", "30", "--to", "30",
                   "--duration", "1", "--max-tokens", "4", "--json")  # fmt: skip
    said = json.loads(done.stdout)
    assert done.returncode == (0 if said["highest_met_per_s"] else 3)
    assert said["levels"][0]["rate"] == 30
    assert said["simulated"] is True


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [(("--slo", "speed<1"), 2, "not a figure"), ((), 2, "--slo"),
     (("--slo", "ttft_p95<1", "--from", "0"), 2, "must lie between"),
     (("--slo", "ttft_p95<1", "--base-url", "http://127.0.0.1:9/v1"), 2, "--model")],
)  # fmt: skip
def test_what_can_not_be_is_one_sentence(holymon, words, code, said):
    done = holymon("capacity", *(() if "--base-url" in words else ("sim/fast",)), *words)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
