"""A matrix is a list of plans with names; what it measured is one table, compared where it may be."""

import os
import re
import signal

import pytest

import holymon as hm
from holymon.experiments.matrix_result import MatrixResult
from holymon.load.at_once import places

CORES = len(os.sched_getaffinity(0))


@pytest.fixture(scope="module")
def made(shared_simulator):
    """Two targets in one plan, one that nobody answers for, and the two in a plan each."""
    fast, slow = shared_simulator.target("fast"), shared_simulator.target("slow")
    gone = hm.Target(provider="gone", model="m", base_url="http://127.0.0.1:9/v1")
    return hm.matrix(
        {"both": (fast, slow), "gone": gone, "fast": fast, "slow": slow}, [hm.Closed(users=4)],
        {"short": hm.Prompts(max_tokens=1)}, name="m", requests=160, duration_s=1,
    )  # fmt: skip


@pytest.fixture(scope="module")
def measured(made, tmp_path_factory):
    return made.measure(out=tmp_path_factory.mktemp("matrix"), at_once=min(2, CORES))


def test_its_plans_have_names_and_all_that_is_common(made):
    assert [plan.name for plan in made.plans] == ["m-both", "m-gone", "m-fast", "m-slow"]
    assert {(plan.requests, plan.load.users) for plan in made.plans} == {(160, 4)}
    text = repr(made)
    assert text.startswith("4 plans, at most 4 s in turn\n")
    assert "url/fast, url/slow" in text
    several = hm.matrix(["sim/fast"], [hm.constant(5), hm.poisson(7), hm.ramp(1, 9, 5)],
                        [hm.Prompts(), hm.dataset(["a", "b"])], duration_s=1)  # fmt: skip
    assert [plan.name for plan in several.plans][1::2] == [
        f"sim-fast-{load}-{several.cells[1].prompts}"
        for load in ("constant-5", "poisson-7", "ramp-9")
    ]


def test_what_fails_leaves_the_rest_and_each_has_a_row(made, measured):
    assert [run.plan.name for run in measured.runs] == [plan.name for plan in made.plans]
    assert measured.failed == {}
    rows = measured.table.rows
    assert [row[0] for row in rows] == ["url/fast", "url/slow", "gone/m", "url/fast", "url/slow"]
    good, target = rows[1], measured.runs[0].summary().targets[1]
    assert good[1:5] == ("4-users", "short", f"{target.requests}", f"{target.requests_per_s:.3g}")
    assert good[6] == target.latency_s.cell("p50")
    assert rows[2][-1] == "invalid"
    assert any("gone/m: the first call failed" in note for note in measured.table.notes)
    assert "<table" in measured._repr_html_()


def test_targets_of_one_plan_are_compared_and_those_of_several_in_five_rounds(measured):
    assert [(each.a, each.b) for each in measured.comparisons] == [("url/fast", "url/slow")]
    assert measured.to_dict()["comparisons"][0]["a"] == "url/fast"
    assert "B = url/slow against A = url/fast" in repr(measured)
    again = MatrixResult(measured.cells, 5 * measured.rounds)
    assert [(each.b, each.pairs) for each in again.comparisons][1:] == [("url/slow", 5)]


def test_what_could_not_be_measured_is_said_in_its_place(made, measured):
    first = (hm.RunError("the disk is full."), *measured.rounds[0][1:])
    lacking = MatrixResult(made.cells, (first,))
    assert lacking.table.lead == ("4 plans, 3 runs, 1 could not be measured",)
    assert lacking.table.notes[-1] == "m-both: the disk is full."
    assert lacking.comparisons == []
    assert lacking.to_dict()["failed"] == {"m-both": "the disk is full."}


@pytest.mark.skipif(CORES < 2, reason="it takes two cores")
def test_side_by_side_they_overlap_and_share_no_core(measured):
    """The first two begin together, as far apart as their workers were."""
    began = [run.records.began for run in measured.runs[:2]]
    assert abs(began[0] - began[1]) < measured.runs[0].summary().duration_s
    assert places(2, 1, [4, 5, 6, 7, 8]) == [[4, 5], [6, 7]]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [({"targets": "sim/fast"}, "targets are one str: give a list of them, or a dict."),
     ({"targets": []}, "targets are empty: give at least one."),
     ({"targets": [3]}, "a target is int: name it, as sim/fast."),
     ({"shapes": [5]}, "a shape is int: give hm.constant(5), hm.Closed and so on."),
     ({"shapes": [hm.constant(5), hm.constant(5)]}, "shapes hold 'constant-5' twice: give them names, as in shapes={'name': ...}."),
     ({"datasets": [3]}, "a dataset is int: give hm.Prompts, hm.dataset or a path."),
     ({"rate": 5}, "a matrix has no 'rate': give "),
     ({"shapes": [hm.constant(k + 1) for k in range(1001)]}, "the matrix has 1,001 plans: at most 1,000."),
     ({"duration_s": None}, "duration and requests are both missing")],
)  # fmt: skip
def test_what_makes_no_sense_is_one_sentence(given, sentence):
    usual = {"targets": ["sim/fast"], "shapes": [hm.constant(5)], "duration_s": 1}
    with pytest.raises(hm.PlanError, match=re.escape(sentence)):
        hm.matrix(**{**usual, **given})


def test_how_it_is_measured_is_checked_before_anything_begins(tmp_path):
    made = hm.matrix(["sim/fast"], [hm.constant(5)], duration_s=1)
    for wrong, sentence in (
        ({"at_once": 0}, "at_once is 0: with 1 worker a plan and"),
        ({"at_once": CORES + 1}, "so that no two plans share a core"),
        ({"rounds": 3}, "rounds is 3: 1, or from 5 on"),
    ):
        with pytest.raises(hm.PlanError, match=sentence):
            made.measure(out=tmp_path, **wrong)
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_stops_all_that_go_on_and_begins_no_further(shared_simulator, tmp_path, monkeypatch):
    from holymon.load import at_once

    made = hm.matrix([shared_simulator.target("fast")], [hm.Closed(users=k) for k in (1, 2, 3)],
                     requests=100_000)  # fmt: skip
    begun = at_once.start

    def interrupted(*arguments, **more):
        run = begun(*arguments, **more)
        os.kill(os.getpid(), signal.SIGINT)
        return run

    monkeypatch.setattr(at_once, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        made.measure(out=tmp_path)
    (run,) = hm.runs(tmp_path)
    assert run["state"] == "stopped"
