"""All runs of a folder: listed without opening them, followed over time, asked, kept in bounds."""

import json
import os
import shutil
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

import holymon as hm
from holymon.catalogue import entries as catalogue
from holymon.catalogue.entries import FILE, entries
from holymon.catalogue.retention import drop_calls, excess
from holymon.cli.main import main
from holymon.errors import PlanError, RunError
from holymon.load.entry import OfTarget, of_targets
from holymon.records import run_folder

FIXTURES = Path(__file__).parents[1] / "records" / "fixtures"
FIRST = datetime(2026, 11, 1, tzinfo=UTC)


def a_run(out: Path, hours: int, name: str = "hourly") -> Path:
    """A run that ended so many hours after the first: its calls are those of a run of before."""
    began = FIRST + timedelta(hours=hours)
    folder = out / name / began.strftime("%Y%m%dT%H%M%SZ")
    (source,) = (FIXTURES / "reported").iterdir()
    shutil.copytree(source, folder)
    state = json.loads((folder / "state.json").read_text())
    (folder / "state.json").write_text(json.dumps(state | {"started_at": began.isoformat()}))
    (folder / "run.json").unlink()
    old(folder)
    return folder


def old(folder: Path) -> None:
    """Have it changed an hour ago: what has changed just now is looked at again."""
    moment = folder.stat().st_mtime_ns - int(3600e9)
    os.utime(folder, ns=(moment, moment))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    for hours in range(3):
        a_run(tmp_path, hours)
    a_run(tmp_path, 1, "other")
    return tmp_path


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the runs whose folders were opened."""
    ids = []
    real = catalogue._entry
    monkeypatch.setattr(
        catalogue,
        "_entry",
        lambda place: (ids.append(run_folder.run_id(place.folder)), real(place))[1],
    )
    return ids


def test_a_run_that_is_known_is_not_opened_again_and_one_that_changed_is(out, opened):
    listed = hm.runs(out)
    assert [run["run_id"] for run in listed] == [
        "hourly/20261101T000000Z", "hourly/20261101T010000Z", "other/20261101T010000Z",
        "hourly/20261101T020000Z",
    ]  # fmt: skip
    assert sorted(opened) == sorted(run["run_id"] for run in listed)
    opened.clear()
    assert hm.runs(out) == listed
    assert opened == []
    (out / "other" / "20261101T010000Z" / "report.html").write_text("")
    new = a_run(out, 5)
    assert hm.runs(out)[-1]["run_id"] == run_folder.run_id(new)
    assert sorted(opened) == ["hourly/20261101T050000Z", "other/20261101T010000Z"]
    shutil.rmtree(new)
    assert len(hm.runs(out)) == 4


def test_a_first_listing_that_is_interrupted_goes_on_where_it_was(out, monkeypatch, opened):
    monkeypatch.setattr(catalogue, "SAVED_EACH_S", -1.0)
    noting, most = catalogue._entry, 3

    def interrupted(place):
        if len(opened) == most:
            raise KeyboardInterrupt
        return noting(place)

    with monkeypatch.context() as patch:
        patch.setattr(catalogue, "_entry", interrupted)
        with pytest.raises(KeyboardInterrupt):
            hm.runs(out)
    assert len(hm.runs(out)) == 4
    assert len(set(opened)) == len(opened) == 4


@pytest.mark.parametrize("data", [b"", b"{", b'{"format": 1, "entries": []}', b"\xff", b'{"format": 3, "entries": [{"run_id": 1}]}'])  # fmt: skip
def test_a_catalogue_that_is_lost_or_broken_is_made_anew_from_the_folders(out, opened, data):
    before = hm.runs(out)
    (out / FILE).write_bytes(data)
    opened.clear()
    assert hm.runs(out) == before
    assert len(opened) == 4
    (out / FILE).unlink()
    assert hm.runs(out) == before


def test_two_who_write_it_at_once_lose_nothing(out):
    def list_and_add(k):
        a_run(out, 10 + k)
        hm.runs(out)

    threads = [threading.Thread(target=list_and_add, args=(k,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(hm.runs(out)) == 10
    assert len(entries(out)) == 10


def test_a_folder_that_is_another_users_is_left_as_it_is(out, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: out.stat().st_uid + 1)
    assert len(hm.runs(out)) == 4
    assert not (out / FILE).exists()


@pytest.mark.parametrize(("asked", "n"), [
    ({"name": "hourly"}, 3), ({"target": "nowhere"}, 0), ({"since": "2026-11-01T01:00+00:00"}, 3),
    ({"state": "finished"}, 4), ({"state": "running"}, 0), ({"name": "other", "since": "2026-11-02"}, 0),
])  # fmt: skip
def test_runs_are_chosen_by_name_target_state_and_time(out, asked, n):
    assert len(hm.runs(out, **asked)) == n


def test_the_figures_of_a_run_are_those_of_its_records_and_worked_out_once(out, monkeypatch):
    run = hm.attach("other", out=out)
    history = hm.history(out, name="other")
    assert len(history) == 1
    (row, *_) = history.measured
    target = run.summary().targets[0]
    assert (row.of.requests, row.of.ok) == (target.requests, target.ok)
    assert row.figure("latency_p50").value == pytest.approx(target.latency_s.p50)
    assert row.figure("error_rate").low == pytest.approx(target.error_rate.low)
    low, high = target.latency_s.ci["p50"]
    assert (row.figure("latency_p50").low, row.figure("latency_p50").high) == pytest.approx(
        (low, high)
    )
    monkeypatch.setattr(catalogue, "Run", None)
    assert hm.history(out, name="other").measured == history.measured
    frame = history.to_frame()
    assert frame["latency_p50"][0] == pytest.approx(target.latency_s.p50)
    assert str(frame["started_at"].dtype).endswith("UTC]")
    assert "hourly" not in repr(history)


def test_a_figure_over_time_is_one_series_for_each_name_and_target(out):
    series = hm.history(out).series("latency_p95")
    names = {(part.name, part.target): len(part.value) for part in series}
    targets = hm.attach("other", out=out).plan.targets
    assert names == {
        (name, t.name): n for name, n in (("hourly", 3), ("other", 1)) for t in targets
    }
    assert all((part.at[1:] > part.at[:-1]).all() for part in series)
    with pytest.raises(PlanError, match="latency_p95"):
        hm.history(out).series("latency_p96")


@pytest.mark.parametrize("targets", [
    {}, None, [], [1], [{}], [{"target": 1, "requests": 1, "ok": 1}],
    [{"target": "t", "requests": "1", "ok": 1}],
])  # fmt: skip
def test_figures_that_somebody_else_wrote_are_none(targets):
    assert of_targets(targets or []) == ()


def test_of_odd_figures_only_numbers_are_taken():
    odd = {"target": "t", "requests": 1, "ok": 1, "latency_s": {"p50": "1", "p95": True, "p99": 1e400},
           "ttft_s": [], "error_rate": 5, "tokens": {"prompt": 3}, "itl_s": {"p50": 1, "ci": {"p50": [1]}}}  # fmt: skip
    (known,) = of_targets([odd])
    assert {name: figure.value for name, figure in known.figures.items()} == {
        "prompt_tokens": 3, "itl_p50": 1,
    }  # fmt: skip
    assert isinstance(known, OfTarget)


def test_calls_of_all_runs_are_asked_in_a_line(out):
    calls = sum(run["requests"] for run in hm.runs(out))
    answer = hm.sql(
        "select count(*) n, count(distinct run_id) runs, min(sent_at) first from calls", out=out
    )
    assert (answer["n"][0], answer["runs"][0]) == (calls, 4)
    assert answer["first"][0].tz_localize("UTC").to_pydatetime() - FIRST < timedelta(minutes=5)
    frame = hm.attach("other", out=out).records.to_frame()
    mine = hm.sql("select * from calls where name = 'other' order by due_s", out=out)
    for column in ("target", "error_type", "finish", "request", "latency_s", "stream", "warmup"):
        assert mine[column].tolist() == frame[column].tolist() or column == "latency_s"
    assert mine["latency_s"].sum() == pytest.approx(frame["latency_s"].sum())
    assert len(hm.sql("select * from runs", out=out, name="hourly")) == 3 * len(
        mine["target"].unique()
    )


def test_what_can_not_be_asked_is_one_sentence(out, tmp_path_factory):
    for query in ("select", "select nothing from calls", "select * from nowhere"):
        with pytest.raises(PlanError, match="the query can't be answered"):
            hm.sql(query, out=out)
    with pytest.raises(RunError, match="there are no calls"):
        hm.sql("select 1", out=tmp_path_factory.mktemp("empty"))


def test_the_name_of_a_folder_is_no_pattern_and_no_sql(tmp_path):
    for name in ("hou*ly", "it's", "a=b"):
        a_run(tmp_path, 0, name)
    a_run(tmp_path, 0)
    counted = hm.sql("select name, count(*) n from calls group by name", out=tmp_path)
    assert sorted(counted["name"]) == ["a=b", "hou*ly", "hourly", "it's"]
    assert counted["n"].nunique() == 1


def test_what_is_to_go_is_what_passes_a_limit(out):
    ids = [entry.run_id for entry in entries(out)]
    assert [e.run_id for e in excess(out, most_runs=1)] == ids[:-1]
    assert [e.run_id for e in excess(out, most_bytes=0)] == ids
    assert excess(out, most_bytes=1e9, most_runs=10) == []
    since = (datetime.now(UTC) - FIRST - timedelta(minutes=90)).total_seconds()
    assert [e.run_id for e in excess(out, older_s=since)] == ids[:3]
    with pytest.raises(PlanError, match="most_runs"):
        excess(out, most_runs=-1)


def test_of_a_run_whose_calls_are_gone_its_figures_stay(out):
    (entry,) = excess(out, most_runs=3)
    folder, before = out / entry.run_id, hm.history(out).measured
    drop_calls(out, entry)
    assert not any(folder.glob("calls*"))
    assert {path.name for path in folder.iterdir()} >= {"plan.json", "figures.json", "state.json"}
    (out / FILE).unlink()
    after = hm.history(out)
    assert [row.of for row in after.measured] == [row.of for row in before]
    assert "(figures only)" in repr(after)
    assert [run["requests"] for run in hm.runs(out)] == [hm.runs(out)[-1]["requests"]] * 4
    assert excess(out, most_runs=3) == []
    listed = hm.sql("select run_id, state, target from runs", out=out)
    assert [*listed["run_id"]] == [e.run_id for e in entries(out) for _ in e.targets]
    assert entry.run_id not in {*hm.sql("select run_id from calls", out=out)["run_id"]}
    with pytest.raises(RunError, match="there are no calls of"):
        hm.attach(entry.run_id, out=out)


@pytest.mark.parametrize("written", ["{}", "not JSON", "of another"])
def test_figures_that_lie_beside_the_calls_hide_none_of_them(out, written):
    first, second = entries(out)[:2]
    drop_calls(out, first)
    other = (out / first.run_id / "figures.json").read_text()
    (out / second.run_id / "figures.json").write_text(other if written == "of another" else written)
    run = hm.attach(second.run_id, out=out)
    assert len(run.records) == second.requests
    (out / FILE).unlink()
    assert [e.calls_gone for e in entries(out)[:2]] == [True, False]
    assert excess(out, most_runs=2)[0].run_id == second.run_id, "an interrupted prune goes on"


def test_the_commands_list_show_and_make_room(out):
    def said(*words):
        done = CliRunner().invoke(main, [*words, "--out", str(out)])
        return done.exit_code, done.output

    code, text = said("runs", "--name", "hourly", "--json")
    assert (code, len(json.loads(text))) == (0, 3)
    code, text = said("runs", "--figures", "--json")
    assert {row["name"] for row in json.loads(text)} == {"hourly", "other"}
    assert said("runs", "--name", "x")[1].startswith("no runs that fit in")
    assert said("prune")[0] == 2
    for wrong in ("--keep", "--max-mb"):
        code, text = said("prune", wrong, "-3")
        assert (code, f"'{wrong}'" in text) == (2, True), text
    code, text = said("prune", "--keep", "3")
    assert "would be deleted" in text
    assert (out / "hourly" / "20261101T000000Z" / "calls.parquet").exists()
    assert "are kept" in said("prune", "--keep", "3", "--yes")[1]
    assert not (out / "hourly" / "20261101T000000Z" / "calls.parquet").exists()


def test_what_a_received_run_says_of_itself_is_no_other_run(out):
    folder = a_run(out, 9, "sent")
    (out / FILE).unlink(missing_ok=True)
    (folder / "figures.json").write_text(
        json.dumps({"run_id": "hourly/x", "changed": 0, "state": "finished"})
    )
    assert {run["name"] for run in hm.runs(out)} == {"hourly", "other", "sent"}
    (folder / "figures.json").unlink()
    (folder / "figures.json").write_text('{"run_id": 1}')
    old(folder)
    assert [run["run_id"] for run in hm.runs(out, name="sent")] == [run_folder.run_id(folder)]
    assert len(hm.history(out, name="sent")) == 1


def test_calls_of_which_no_figures_can_be_made_are_not_deleted(out):
    folder = out / "hourly" / "20261101T000000Z"
    (folder / "gaps.parquet").write_bytes(b"damaged")
    done = CliRunner().invoke(main, ["prune", "--keep", "2", "--yes", "--out", str(out)])
    assert done.exit_code == 0
    assert "hourly/20261101T000000Z keeps its calls" in done.stderr
    assert "the calls of 1 run," in done.stdout
    assert (folder / "calls.parquet").exists()
    assert not (folder / "figures.json").exists()
