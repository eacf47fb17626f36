"""Runs measured by the code before the rooms are read, and their figures are what they were.

`fixtures` holds what `load` (one target; two), `report` and a run whose worker was killed had
written, the file of calls that left a monitor's memory, and in `figures.json` what that code said;
but for one verdict, since a core that others had for next to nothing makes nobody suspect any more,
and the intervals of ITL, which now reach to the edges of their bins.
"""

import json
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import duckdb
import pytest

from holymon.catalogue.listing import runs
from holymon.experiments.alternate import compare
from holymon.load.run import attach
from holymon.records.export import write_csv

ROOT = Path(__file__).parents[2]
FIXTURES = Path(__file__).parent / "fixtures"
FIGURES = json.loads((FIXTURES / "figures.json").read_text())


@pytest.fixture
def earlier(tmp_path):
    """A copy of all of them: a folder as `--out` names it."""
    return Path(shutil.copytree(FIXTURES, tmp_path / "reports"))


def agree(found, expected):
    """Compare figures; times of a run that was compacted were rounded to 60 ns."""
    if isinstance(expected, dict):
        assert found.keys() >= expected.keys()
        for name, value in expected.items():
            agree(found[name], value)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for mine, theirs in zip(found, expected, strict=True):
            agree(mine, theirs)
    else:
        assert found == (
            pytest.approx(expected, rel=1e-6, abs=1e-7) if type(expected) is float else expected
        )


@pytest.mark.parametrize("run_id", FIGURES)
def test_the_figures_of_an_earlier_run_are_what_they_were(earlier, run_id):
    expected = FIGURES[run_id]
    found = attach(run_id, out=earlier).to_dict()
    assert found["verdict"]["measurement"] == expected.pop("measurement")
    agree(json.loads(json.dumps(found)), expected)


def test_failures_of_an_earlier_run_count_when_it_is_judged_again(earlier):
    path = next((earlier / "two").glob("*/plan.json"))
    plan = json.loads(path.read_text())
    plan["slo"] = ["latency_p90<60", "latency_p90_of_successes<60"]
    path.write_text(json.dumps(plan))
    checks = attach("two", out=earlier).verdict().checks
    assert [(check.target, check.met) for check in checks] == [
        ("sim/fast", True), ("sim/flaky", False), ("sim/fast", True), ("sim/flaky", True),
    ]  # fmt: skip
    assert "12 of 40 calls failed" in checks[1].text


def test_the_calls_of_an_earlier_run_have_their_moments(earlier, tmp_path):
    run = attach("finished", out=earlier)
    at = run.records.to_frame()["at"]
    started = datetime.fromisoformat(run.status["started_at"])
    ended = datetime.fromisoformat(run.status["ended_at"])
    assert started <= at.min() < at.max() < ended
    written = write_csv(run, tmp_path / "calls.csv").read_text()
    assert str(at.iloc[0]) in written


def test_earlier_runs_are_listed_with_their_states_and_calls(earlier):
    listed = {run["run_id"]: run for run in runs(earlier)}
    assert listed.keys() == FIGURES.keys()
    assert {name: run["state"] for name, run in listed.items()} == {
        name: expected["state"] for name, expected in FIGURES.items()
    }
    assert {run["name"]: run["requests"] for run in listed.values() if run["name"] != "killed"} == {
        "finished": 20, "two": 80, "reported": 30,
    }  # fmt: skip


def test_earlier_runs_are_compared(earlier):
    found = compare(attach("two", out=earlier))
    assert (found.a, found.b) == ("sim/fast", "sim/flaky")
    assert found.ratios[0].ratio == pytest.approx(1.3, abs=0.005), "with those that failed"
    both = compare(attach("finished", out=earlier), attach("reported", out=earlier))
    assert both.pairs == 1


def test_opening_runs_writes_nothing(earlier):
    """A folder on a read-only file system can be opened; and not a byte of any other changes."""

    def held():
        return {p: (p.stat().st_mtime_ns, p.is_dir() or p.read_bytes()) for p in earlier.rglob("*")}

    before = held()
    names = [run_id.partition("/")[0] for run_id in FIGURES]
    found = subprocess.run(
        [sys.executable, "-m", "tests.records.read_only", str(earlier), *names], cwd=ROOT,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert "killed interrupted 25" in found.stdout
    assert held() == before


def test_an_interrupted_run_is_compacted_by_an_explicit_close_alone(earlier):
    run = attach("killed", out=earlier)
    before = run.summary()
    assert run.state == "interrupted"
    assert list(run.folder.glob("calls.*.journal"))
    run.close()
    assert {path.name for path in run.folder.glob("calls.*")} == {"calls.parquet"}
    again = attach("killed", out=earlier)
    assert again.summary() == run.summary()
    assert [one.errors for one in again.summary().targets] == [one.errors for one in before.targets]
    assert again.summary().targets[0].latency_s.p50 == pytest.approx(
        before.targets[0].latency_s.p50, abs=1e-7
    )


def test_an_earlier_run_becomes_a_report(earlier, holymon):
    made = holymon("report", "--run", "killed", "--out", str(earlier))
    assert made.returncode == 4, "it could not finish, and the page says how far it came"
    (page,) = earlier.glob("killed/*/report.html")
    assert "sim/" in page.read_text("utf-8")


def test_the_command_lists_and_compares_earlier_runs(earlier, holymon):
    listed = holymon("runs", "--json", "--out", str(earlier))
    assert {run["run_id"] for run in json.loads(listed.stdout)} == FIGURES.keys()
    compared = holymon("compare", "two", "--out", str(earlier))
    assert compared.returncode == 3, "40 calls of each can't be compared"
    assert "B = sim/flaky against A = sim/fast" in compared.stdout


def test_calls_that_left_an_earlier_monitors_memory_are_read_by_any_tool():
    (path,) = (FIXTURES / "monitor_spill").glob("*.parquet")
    query = f"""SELECT count(*), min(target), count("at") FROM '{path}'"""
    with duckdb.connect() as connection:
        assert connection.execute(query).fetchone() == (14, "sim/flaky", 14)
