"""Many reports at once: each has a process of its own, and one that fails takes no other with it."""

import re
import subprocess
import sys
import time

import psutil
import pytest

import holymon as hm
from holymon.report.fan_out import Reports, make
from tests.report.test_report import notebook, recorded


class Worker:
    """A Dask client as far as it is used: it makes what is submitted when it is asked for."""

    def __init__(self):
        self.wishes = []

    def submit(self, work, *arguments, pure, retries):
        assert (pure, retries) == (False, 0), "else what was paid for is made again"
        self.wishes.append(arguments[0])
        self.work, self.arguments = work, arguments
        worker, number = self, len(self.wishes)

        class Task:
            def result(self):
                if number == 2:
                    raise OSError("lost")
                return work(*arguments)

        assert worker
        return Task()


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs, and a notebook that fails on the second of them."""
    out = tmp_path_factory.mktemp("fanned")
    made = [recorded(out, f"run-{k}") for k in range(2)]
    cell = "assert not run.partition('/run-1/')[1], 'this one fails'\nprint('seen', other)"
    return out, made, notebook(out / "mine.ipynb", cell)


@pytest.fixture(scope="module")
def reports(runs):
    _, made, path = runs
    parameters = [{"other": k} for k in range(2)]
    return hm.write_report(path, run=made, parameters=parameters, timeout_s=60, at_once=2)


def test_one_that_fails_takes_no_other_with_it(runs, reports):
    _, made, _ = runs
    assert [each.status for each in reports] == ["ok", "failed"]
    assert [each.run_id for each in reports] == [run.id for run in made]
    assert "this one fails" in reports[1].error
    assert "seen 0" in reports[0].html.read_text()
    assert not reports.whole
    assert reports.table.lead == ("1 of 2 reports complete",)
    assert "this one fails" in repr(reports)


def test_the_list_of_all_has_all_and_is_written_last(runs, reports):
    out, made, _ = runs
    page = (out / "index.html").read_text()
    assert all(f"{run.id}/report.html" in page for run in made)


def test_on_a_cluster_a_lost_worker_takes_one_report_only(runs, reports):
    out, made, path = runs
    client = Worker()
    again = hm.write_report(path, run=made[:2], parameters={"other": 7}, on=client)
    assert isinstance(again, Reports)
    assert "seen 7" in again[0].html.read_text()
    assert str(again[1]) == "its Dask worker failed: lost"
    unseen = client.work(client.wishes[0], str(out / "elsewhere"), 0)
    assert "need a folder that all of its workers share" in unseen["why"]
    (out / "0").touch()
    begun = client.work(client.wishes[0], str(out), 0)
    assert begun["why"].startswith("its Dask worker was lost"), "Dask tries it on another one"


def test_a_process_that_dies_is_a_sentence(monkeypatch):
    monkeypatch.setattr("holymon.report.fan_out.PYTHON_M", ("sh", "-c", "echo no room >&2; exit 9"))
    assert make({}) == {"why": "its process ended with 9: no room"}


def test_a_report_ends_with_whoever_wanted_it(tmp_path):
    """As on a Dask worker that is killed: no kernel goes on making calls that nobody waits for."""
    started = tmp_path / "started"
    cell = f"import time; open({str(started)!r}, 'w').close(); time.sleep(600)"
    path = notebook(tmp_path / "mine.ipynb", cell)
    wish = {"notebook": str(path), "run": None, "parameters": {}, "out": str(tmp_path)}
    script = f"from holymon.report.fan_out import make; make({wish!r})"
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command) as owner:
        until = time.monotonic() + 90
        while not started.exists():
            assert time.monotonic() < until, "its notebook never began"
            time.sleep(0.05)
        below = psutil.Process(owner.pid).children(recursive=True)
        owner.kill()
    _, alive = psutil.wait_procs(below, timeout=90)
    assert len(below) >= 2, "the report and its kernel"
    assert alive == []
    (page,) = tmp_path.glob("mine/2*/report.html")
    assert "This report is not complete" in page.read_text()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [({"run": []}, "run are lists of no or of different length"),
     ({"parameters": [{}], "run": "both"}, "run and parameters are lists"),
     ({"run": "twice"}, "is named twice: a run has one report."),
     ({"parameters": [{"nothing": 1}]}, "mine.ipynb has no parameter nothing"),
     ({"on": 1}, "at_once and on are of several reports"),
     ({"parameters": [{}], "at_once": 0}, "at_once is 0: at least 1.")],
)  # fmt: skip
def test_what_makes_no_sense_is_one_sentence(runs, given, sentence):
    _, made, path = runs
    known = {"both": made[:2], "twice": made[:1] * 2}
    given = {
        key: known.get(value, value) if isinstance(value, str) else value
        for key, value in given.items()
    }
    with pytest.raises(hm.HolymonError, match=re.escape(sentence)):
        hm.write_report(path, **given)
