"""The dashboard without a browser: its run is undisturbed, and what came of it can be kept."""

import json
import os
import shutil
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from holymon.errors import PlanError, RunError
from holymon.figures.reasons import Reason
from holymon.load import publish
from holymon.load import run as runs
from holymon.plan.plan import Closed, Open, Plan, Prompts
from holymon.plan.shapes import constant, poisson
from holymon.plan.targets import target
from holymon.records import run_folder, spool
from holymon.widgets.dashboard import LIVE_TAB, explore
from holymon.widgets.live_tab import _FollowedRun, _when
from holymon.widgets.panels import last_due
from holymon.widgets.results_tab import BASELINE_FILE, about, baseline, set_baseline
from holymon.widgets.set_up_tab import FILE

HOST = f"{'elsewhere.' * 9}example"


def plan(**more) -> Plan:
    given = {"targets": (target("sim/fast"),), "load": Open(constant(20)), "duration_s": 1.0,
             "prompts": Prompts(max_tokens=4), **more}  # fmt: skip
    return Plan(**given)


def until(true, seconds=120.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.02)


@contextmanager
def shown(*arguments, **more):
    made = explore(*arguments, **more)
    try:
        yield made
    finally:
        if made.run is not None:
            made.run.stop()
            until(lambda: not made.run.live)
        made.close()
        until(lambda: not ours(made))


def ours(made) -> bool:
    return made._jobs.is_alive()


def idle(made) -> None:
    """Wait until all that was asked for is done."""
    done = threading.Event()
    made._jobs.do(done.set)
    assert done.wait(300)  # whoever draws has what others leave of a busy machine


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Runs that have ended, by name; `done` and `both` are of the same two targets."""
    fast, slow = target("sim/fast"), target("sim/slow")
    out = tmp_path_factory.mktemp("measured")
    return {
        name: runs.measure(plan(targets=targets, name=name), out=out)
        for name, targets in (("before", (fast,)), ("done", (fast, slow)), ("both", (slow, fast)))
    }


@pytest.fixture
def ended(here, measured):
    """Gives a run that has ended, in a folder of its own below `out`."""

    def give(name, out="reports"):
        day, own = measured[name].folder.parts[-2:]
        return runs.Run(shutil.copytree(measured[name].folder, here / out / day / own))

    return give


def test_a_run_that_was_started_here_is_not_set_aside_like_the_drawing(here):
    with shown() as made:
        made._set_up._length.value = 600  # on a busy machine its first picture takes half a minute
        made._start.click()
        until(lambda: made.run is not None and made.run.state == "running")
        worker = psutil.Process(made.run.status["pid"])
        assert made._tabs.selected_index == LIVE_TAB
        if hasattr(os, "SCHED_OTHER"):
            policies = {os.sched_getscheduler(one.pid)
                        for one in (worker, *worker.children(recursive=True))}  # fmt: skip
            assert policies == {os.SCHED_OTHER}
        until(lambda: bytes(made._live.image.value[:4]) == b"\x89PNG")
        assert (made._start.disabled, made._stop.disabled) == (True, False)
        made._stop.click()
        until(lambda: made.run.state == "stopped" and not made._start.disabled)
        idle(made)
        until(lambda: run_folder.is_compacted(made.run.folder))


def test_a_new_dashboard_takes_the_place_and_the_run_goes_on(here):
    with shown() as first:
        first._set_up._length.value = 600
        first._start.click()
        until(lambda: first.run is not None and first.run.state == "running")
        with shown() as second:
            until(lambda: second.run is not None)
            assert second.run.id == first.run.id
            assert second.run.live
            until(lambda: not ours(first))
            assert "taken the place" in first._notice.value
            names = [one.name for one in threading.enumerate()]
            assert names.count("holymon-works") == 1


def test_a_run_that_has_ended_can_be_shown_and_kept(here, ended):
    done, before, both = map(ended, ("done", "before", "both"))
    set_baseline(before)
    with shown(run="done") as made:
        until(lambda: not made._results.buttons["Compare"].disabled)
        assert made.run.id == done.id
        assert "s in all, 40 calls" in made._live.progress.value
        for name in (
            "Export CSV",
            "Export Parquet",
            "Support bundle",
            "Set as baseline",
            "Compare",
        ):
            made._results.buttons[name].click()
            idle(made)
            assert made._errors.value == "", name
        lines = (done.folder / "calls.csv").read_text().splitlines()
        assert len(lines) == 1 + len(done.records)
        assert json.loads((done.folder / "support.json").read_text())["run_id"] == done.id
        assert len(list((here / "reports").glob("*.parquet"))) == 1
        assert baseline().id == done.id
        assert "B = sim/slow against A = sim/fast" in made._results._message.value
        made._results._other.value = before.id
        made._results.buttons["Compare"].click()
        idle(made)
        said = made._results._message.value
        assert "B = done: sim/fast against A = before: sim/fast (simulated), 1 pair" in said
        assert said.count("against A") == 1
        made._results._other.value = both.id
        made._results.buttons["Compare"].click()
        idle(made)
        for name in ("sim/fast", "sim/slow"):
            assert f"B = done: {name} against A = both: {name}" in made._results._message.value
        shutil.rmtree(done.folder)
        for button in made._results.buttons.values():
            button.click()
            idle(made)
            assert f"the folder of {done.id} is gone" in made._errors.value
            assert "Making" not in made._results._message.value


def test_what_goes_wrong_in_a_callback_is_shown_and_the_next_one_works(here):
    with shown() as made:
        idle(made)
        made._results.buttons["Export CSV"].disabled = False
        made._results.buttons["Export CSV"].click()
        idle(made)
        assert "no run has ended yet" in made._errors.value
        made._do(lambda: {}["<b>"])
        idle(made)
        assert "KeyError: &#x27;&lt;b&gt;&#x27;" in made._errors.value
        made._do(lambda: None)
        idle(made)
        assert made._errors.value == ""


def test_start_says_which_key_goes_where_and_sends_none_on_the_word_of_others(here, monkeypatch):
    monkeypatch.setenv("MY_KEY", "canary-0123456789")
    text = f'[h]\nbase_url = "https://{HOST}/v1"\napi_key_env = "MY_KEY"\n'
    (here / "targets.toml").write_text(text)
    with shown(targets=("h/m",)) as made:
        idle(made)
        assert f"the key in MY_KEY goes to https://{HOST}/v1" in made._notice.value
        assert made._set_up.targets._list.children[0].description == "h/m"
        assert made._set_up.plan().targets[0].name == "h/m"
        made._do(made._begin)
        idle(made)
        assert "nobody has agreed to that" in made._errors.value
        assert "hm.trust(" in made._errors.value
        assert made.run is None


def test_start_says_what_it_would_do_or_why_it_can_not(here):
    with shown() as made:
        idle(made)
        assert "Start makes 150 calls" in made._notice.value
        preview = made._set_up.preview
        assert bytes(preview.value[:4]) == b"\x89PNG"
        seen = bytes(preview.value)
        made._set_up._length.value = 600_000
        idle(made)
        assert bytes(preview.value) != seen, "of too many calls to draw, too, the rate is seen"
        made._set_up._length.value = 15
        made._set_up._money.value = "0.01"
        idle(made)
        assert "are invented). It stops before 0.01 USD" in made._notice.value
        made._set_up._length.value = -1
        idle(made)
        assert "duration" in made._notice.value
        assert made._start.disabled


def test_a_run_that_could_not_be_measured_is_an_error_in_the_dashboard(here):
    folder = run_folder.new_folder(here / "reports", "broken")
    run_folder.write_aside(folder / "plan.json", plan().to_json())
    run_folder.write_state(folder, state="failed", detail="no such <luck>")
    with shown(run="broken") as made:
        until(lambda: "no such &lt;luck&gt;" in made._errors.value)


@pytest.mark.parametrize("place", ["/proc/self", "/dev/fd/none"])
def test_where_nothing_can_be_written_the_next_try_is_possible(here, place):
    (here / "reports").symlink_to(place)
    with shown() as made:
        made._start.click()
        idle(made)
        assert "out= in Python" in made._errors.value
        assert (made._start.disabled, made._stop.disabled) == (False, True)


def test_what_can_not_be_shown_is_an_error_at_once(here):
    with pytest.raises(PlanError, match="not known"):
        explore(targets=("nowhere",))
    with pytest.raises(RunError, match="no run"):
        explore("none/such")
    until(lambda: "holymon-works" not in [one.name for one in threading.enumerate()])


def test_a_baseline_that_is_gone_or_broken_is_said(here):
    assert baseline() is None
    (here / "reports").mkdir()
    (here / "reports" / BASELINE_FILE).write_text("{}")
    with pytest.raises(RunError, match="set the baseline again"):
        baseline()
    (here / "reports" / BASELINE_FILE).write_text(json.dumps({"run_id": "a/b"}))
    with pytest.raises(RunError, match="no run"):
        baseline()
    with (here / "reports" / BASELINE_FILE).open("wb") as huge:
        huge.truncate(2**33)
    with pytest.raises(RunError, match=r"baseline\.json"):
        baseline()


def test_another_run_that_goes_on_is_shown_and_no_second_one_is_started(here, ended):
    before = ended("before")
    with shown(run=before) as made:
        idle(made)
        going = runs.start(plan(duration_s=60, name="going"))
        try:
            assert made.run.id == before.id
            made._start.click()
            idle(made)
            assert f"{going.id} is going on, it is shown here" in made._errors.value
            assert made.run.id == going.id
            assert (made._start.disabled, made._stop.disabled) == (True, False)
            assert len(run_folder.folders(here / "reports")) == 2
        finally:
            going.stop()
            going.wait()


def test_what_is_made_of_a_run_from_elsewhere_stays_with_it(here, ended):
    mine, other, beside = ended("done"), ended("before", "elsewhere"), ended("both", "elsewhere")
    set_baseline(mine)
    with shown(run=str(other.folder)) as made:
        until(lambda: not made._results.buttons["Compare"].disabled)
        assert [one for _, one in made._results._other.options] == [beside.id]
        for name in ("Set as baseline", "Export Parquet", "Compare"):
            made._results.buttons[name].click()
            idle(made)
            assert made._errors.value == "", name
    assert baseline().id == mine.id
    assert baseline(here / "elsewhere").id == other.id
    assert len(list((here / "elsewhere").glob("*.parquet"))) == 1
    assert not list((here / "reports").glob("*.parquet"))


def test_runs_of_a_store_are_shown_and_compared(here, ended, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(here / "state"))
    url = f"file://{here}/store"
    out = spool.folder_of(url)
    names = [shutil.move(ended(name, "made").folder, out / name / "20260101T000000Z")
             for name in ("done", "before")]  # fmt: skip
    ids = [run_folder.run_id(Path(name)) for name in names]
    assert publish.send(out, runs.Run) == ""
    shutil.rmtree(out)
    with shown(run="done", out=url) as made:
        until(lambda: not made._results.buttons["Compare"].disabled)
        assert (made.run.id, made._start.disabled) == (ids[0], False)
        assert [one for _, one in made._results._other.options][1:] == [ids[1]]
        assert not (out / ids[1]).exists()
        made._results._other.value = ids[1]
        for name in ("Compare", "Set as baseline", "Export CSV"):
            made._results.buttons[name].click()
            idle(made)
            assert made._errors.value == "", name
        assert baseline(out).id == ids[0]
    with shown(out=url) as made:
        idle(made)
        assert made.run is None


def test_what_can_not_be_read_leaves_nothing_to_start(here):
    (here / "deep.jsonl").write_text("[" * 100_000)
    with shown() as made:
        idle(made)
        assert not made._start.disabled
        made._set_up._file.value = "deep.jsonl"
        made._set_up._kind.value = FILE
        idle(made)
        assert "deep.jsonl, line 1 is not JSON" in made._notice.value
        assert made._start.disabled
        made._set_up.plan = lambda: {}["<b>"]
        made._changed()
        idle(made)
        assert "KeyError: &#x27;&lt;b&gt;&#x27;" in made._notice.value
        assert made._start.disabled


@pytest.mark.parametrize(
    ("more", "ends_s"),
    [
        ({"duration_s": 30.0}, 30.0),
        ({"duration_s": 30.0, "warmup_s": 5.0}, 35.0),
        ({"duration_s": 3600.0, "requests": 40}, 1.95),
        ({"load": Closed(users=1), "requests": 5, "duration_s": 9.0}, 9.0),
    ],
)
def test_the_time_that_is_left_is_up_to_the_last_call(here, more, ends_s):
    folder = run_folder.new_folder(here / "reports", "left")
    run_folder.write_aside(folder / "plan.json", plan(**more).to_json())
    run_folder.write_state(folder, state="starting")
    following = _FollowedRun(runs.Run(folder), runs.Run(folder))
    assert following.ends_s == pytest.approx(ends_s)
    following._zero, following._status = time.perf_counter() - 1.2, {"state": "running"}
    left = round(ends_s - 1.2)
    assert _when(following, "running") in {f"1 s elapsed, {left + k} s left" for k in (-1, 0)}
    following._zero -= 3600
    assert "waiting for the last answers" in _when(following, "running")


def test_random_arrivals_end_when_their_last_call_is_due(here):
    random = plan(load=Open(poisson(20)), requests=100, duration_s=None)
    assert last_due(random) == random.due()[-1] < random.seconds


def test_how_far_a_run_of_one_call_is_can_be_told(here):
    folder = run_folder.new_folder(here / "reports", "one")
    run_folder.write_aside(folder / "plan.json", plan(requests=1, duration_s=None).to_json())
    run_folder.write_state(folder, state="starting")
    following = _FollowedRun(runs.Run(folder), runs.Run(folder))
    following._zero, following._status = time.perf_counter() - 1.2, {"state": "running"}
    assert following.about()["share"] >= 1
    assert "waiting for the last answers" in following.about()["words"]


def test_calls_in_flight_say_that_they_are_of_all_targets(here):
    for n, title in ((1, "Calls in flight"), (2, "Calls in flight, of all targets")):
        targets = tuple(target(name) for name in ("sim/fast", "sim/slow")[:n])
        folder = run_folder.new_folder(here / "reports", f"n{n}")
        run_folder.write_aside(folder / "plan.json", plan(targets=targets).to_json())
        run_folder.write_state(folder, state="starting")
        made = _FollowedRun(runs.Run(folder), runs.Run(folder))._figure
        assert title in [ax.get_title(loc="left") for ax in made.figure.axes]


def test_a_run_without_calls_says_why_there_are_none():
    judged = SimpleNamespace(reasons=(Reason("invalid", "the first call <b>failed</b>."),))
    run = SimpleNamespace(id="a/1", records=(), verdict=lambda: judged)
    assert about(run) == (
        "<p>No call was made in a/1: the first call &lt;b&gt;failed&lt;/b&gt;.</p>"
    )
