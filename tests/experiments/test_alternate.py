"""Runs measured alternately become pairs; runs measured otherwise claim nothing."""

import json
import re

import pytest

import holymon as hm
from holymon.cli.report import _findings
from holymon.experiments.alternate import alternate, compare, named
from holymon.plan.plan import Closed, Open, Plan, Prompts, Target
from holymon.plan.shapes import constant


def plan(simulator, model="fast", *, users=8, requests=24, **more):
    return Plan(
        targets=(simulator.target(model),), load=Closed(users=users), requests=requests,
        prompts=Prompts(max_tokens=2), **more,
    )  # fmt: skip


def test_alternated_runs_show_that_slow_is_slower(tmp_path, simulator):
    fast, slow = alternate(
        plan(simulator, name="a"), plan(simulator, "slow", name="b"), out=tmp_path
    )
    compared = compare(fast, slow)
    assert (compared.a, compared.b, compared.pairs) == ("url/fast", "url/slow", 5)
    unfit = [run.id for run in (*fast, *slow) if run.verdict().measurement == "invalid"]
    assert compared.ratios[0].result == ("not comparable" if unfit else "higher")
    assert compared.ratios[0].ratio > 4
    # All of one, then all of the other: the same runs in another order of time.
    odd = compare([*fast[:3], *slow[:2]], [*fast[3:], *slow[2:]])
    assert not odd.shown
    assert named("a", out=tmp_path)[0].id == fast[0].id
    assert len(named("b", out=tmp_path)) == 5
    with pytest.raises(hm.RunError, match="no pairs"):
        compare(fast, slow[:2])


def test_the_command_compares_two_targets_of_one_run(holymon, tmp_path):
    holymon("load", "sim/fast", "sim/slow", "--rate", "40", "--requests", "160", "--max-tokens", "2", "--name", "ab", "--slo", "error_rate<9%")  # fmt: skip
    done = holymon("compare", "ab", "--json")
    found = json.loads(done.stdout)
    unfit = any(" is invalid: " in note for note in found["notes"])
    assert done.returncode == (3 if unfit else 0)
    assert found["shown"] is not unfit
    assert (found["a"], found["b"], found["pairs"]) == ("sim/fast", "sim/slow", 5)
    assert found["simulated"]
    table = holymon("compare", "ab", "--target", "sim/slow", "--target", "sim/fast").stdout
    assert "B = sim/fast against A = sim/slow (simulated), 5 pairs: " in table
    assert ("B is lower" in table) is not unfit
    said = _findings(hm.attach("ab", out=tmp_path / "reports"))
    assert [line.partition(": ")[0] for line in said[-2:]] == ["sim/fast", "sim/slow"]


def test_two_single_runs_are_shown_but_nothing_is_claimed(holymon, tmp_path):
    for name in ("one", "two"):
        holymon("load", "sim/fast", "--concurrency", "4", "--requests", "30", "--max-tokens", "2", "--name", name)  # fmt: skip
    done = holymon("compare", "one", "two")
    assert done.returncode == 3
    assert done.stdout.count("not comparable") == 1
    assert re.search(r"latency p50 +[\d.,]+ ms +[\d.,]+ ms +[\d.,]+", done.stdout), done.stdout
    alone = holymon("compare", "one")
    assert alone.returncode == 2
    assert "has one target: name another run" in alone.stderr
    wrong = holymon("compare", "one", "two", "--target", "sim/fast", "--target", "sim/nope")
    assert wrong.returncode == 2
    assert "has no target 'sim/nope': it has sim/fast" in wrong.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("x",), "there is no run 'x'"), (("x", "y", "z"), "one or two RUNs"),
     (("x", "--target", "sim/fast"), "--target not at all or twice"), (("",), "no run ''")],
)  # fmt: skip
def test_what_cannot_be_compared_is_one_sentence(holymon, arguments, said):
    done = holymon("compare", *arguments)
    assert done.returncode in {2, 4}
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_target_that_is_down_is_shown_to_fail_more(simulator, tmp_path, unused_tcp_port):
    gone = Target(provider="gone", model="fast", base_url=f"http://127.0.0.1:{unused_tcp_port}/v1")
    one = Plan(targets=(simulator.target("fast"), gone), load=Open(constant(60)), requests=160,
               prompts=Prompts(max_tokens=2), first_call=False)  # fmt: skip
    run = hm.measure(one, out=tmp_path)
    compared = compare(run)
    client = [r for r in run.verdict().reasons if r.level == "invalid" and not r.of_api]
    # Of a client that was not fit nothing is claimed, and where it sent nothing there is nothing.
    assert compared.errors.difference in ({1, None} if client else {1})
    assert compared.errors.result == ("not comparable" if client else "higher")
    assert "lower the rate" not in str(compared) or client


def test_what_is_made_of_a_run_waits_for_its_end(simulator, tmp_path):
    going = hm.start(plan(simulator, users=1, requests=100_000), out=tmp_path)
    try:
        with pytest.raises(hm.RunError, match="still going on: report it when"):
            hm.write_report(run=going)
        with pytest.raises(hm.RunError, match="still going on: compare it when"):
            compare(going, going)
    finally:
        going.stop()
        going.wait()
