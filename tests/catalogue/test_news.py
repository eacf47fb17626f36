"""What changed at a run: which runs it is compared with, and what a report says of it."""

import io
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from click.testing import CliRunner
from matplotlib.collections import LineCollection

import holymon as hm
from holymon.catalogue.history import History
from holymon.catalogue.news import News, check_baseline, news
from holymon.cli.main import main
from holymon.errors import PlanError, RunError
from holymon.report import notebooks, report
from holymon.report.health import health, shown
from holymon.report.index import write_index
from tests.bench.history import EXPLAINED, alarms, fortnight, judged

FIXTURES = Path(__file__).parents[1] / "records" / "fixtures"
NOW = datetime(2026, 11, 26, 3, 42, 9, tzinfo=UTC)


@pytest.fixture
def run(tmp_path):
    """A run that was measured, in a folder of its own."""
    (source,) = (FIXTURES / "reported").iterdir()
    folder = tmp_path / "hourly" / NOW.strftime("%Y%m%dT%H%M%SZ")
    folder.mkdir(parents=True)
    for path in source.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    state = json.loads((folder / "state.json").read_text())
    (folder / "state.json").write_text(json.dumps(state | {"started_at": NOW.isoformat()}))
    return hm.attach("hourly", out=tmp_path)


def earlier(run, hours, *, name="hourly", factor=1.0, measurement="valid", **plan):
    """A run of before whose calls are gone: its times are those of `run` by a factor."""
    began = NOW - timedelta(hours=hours)
    folder = run.folder.parents[1] / name / began.strftime("%Y%m%dT%H%M%SZ")
    folder.mkdir(parents=True)
    about = json.loads((run.folder / "plan.json").read_text()) | plan
    (folder / "plan.json").write_text(json.dumps(about))
    state = {"state": "finished", "started_at": began.isoformat()}
    (folder / "state.json").write_text(json.dumps(state))
    targets = [target.to_dict() for target in run.summary().targets]
    for target in targets:
        for metric in ("latency_s", "ttft_s"):
            for stat in ("p50", "p95", "p99"):
                target[metric][stat] = (target[metric][stat] or 0) * factor or None
                if target[metric]["ci"][stat]:
                    target[metric]["ci"][stat] = [e * factor for e in target[metric]["ci"][stat]]
    verdict = {"measurement": measurement}
    (folder / "run.json").write_text(json.dumps({"targets": targets, "verdict": verdict}))
    moment = folder.stat().st_mtime_ns - int(3600e9)
    os.utime(folder, ns=(moment, moment))
    return f"{name}/{folder.name}"


def test_the_first_run_of_its_kind_is_compared_with_nothing_and_says_so(run):
    known = news(run)
    assert (known.against, known.changes) == ("", ())
    assert known.line == "not compared: no earlier run of its kind in the last 7 days"
    assert news(run, "last").line == "not compared: no earlier run is a match"
    assert not known.worse


def test_without_a_change_it_says_what_would_have_been_found(run):
    for hours in (1, 2, 3):
        earlier(run, hours)
    for baseline, against in (("7d", "3 earlier runs of the last 7 days"), ("90m", "1 earlier run of the last 90 min")):  # fmt: skip
        known = news(run, baseline)
        assert (known.changes, known.against) == ((), against)
        assert known.line.startswith("no change shown (one of ")
        assert known.line.endswith(" points in failed calls would have been found)")
    assert {least.figure for least in known.least} >= {"latency_p50", "error_rate", "ttft_p95"}


def test_slower_than_before_is_worse_and_faster_is_not(run):
    for hours in (1, 2, 3):
        earlier(run, hours, factor=1 / 3)
    for baseline in ("7d", "last"):
        known = news(run, baseline)
        assert known.worse
        assert {c.figure for c in known.changes} >= {"latency_p50", "ttft_p50"}
        assert {c.since_run for c in known.changes} == {run.id}
        first = known.changes[0].to_dict()
        assert set(first) >= {"figure", "target", "before", "after", "ratio", "interval", "since_run"}  # fmt: skip
        assert health(run, known).state in {"worse", "unhealthy"}
    fast = earlier(run, 0.5, name="other", factor=3)
    known = news(run, fast)
    assert known.against == f"run {fast}"
    assert known.changes
    assert not known.worse
    assert health(run, known).line.count("lower since") >= 1


def test_runs_of_another_kind_are_left_out_and_counted(run):
    earlier(run, 1, prompts={"texts": ["something else"]}, factor=9)
    earlier(run, 2, measurement="invalid", factor=9)
    earlier(run, 3, seed=5, slo=["latency_p50<9"], name="hourly")
    earlier(run, 4, name="other", factor=9)
    earlier(run, 5, duration_s=9999, factor=9)
    known = news(run)
    assert known.against == "1 earlier run of the last 7 days"
    assert known.changes == ()
    assert known.notes == (
        "left out of the comparison: 3 earlier runs, 2 with another load or length, other prompts "
        "or another body, 1 not valid",
    )


def test_two_levels_of_a_search_are_no_trend(run):
    """A rate that was measured once more and for longer, by when its queue had grown."""
    for hours, seconds, factor in ((2, 10, 1), (1, 30, 3)):
        earlier(run, hours, name="search", duration_s=seconds, factor=factor)
    known = hm.history(run.folder.parents[1], name="search")
    assert len(known.measured) == 2 * len(run.plan.targets)
    assert len(known.changes) == 0
    assert known.verdict.startswith("No trend: no two valid runs of one kind")
    earlier(run, 0.5, name="search", duration_s=30, factor=3)
    known = hm.history(run.folder.parents[1], name="search")
    assert known.verdict.startswith("No change shown")


def test_what_others_left_in_the_folder_is_data(run):
    good = earlier(run, 1)
    for hours, text in ((2, "{"), (3, "[]"), (4, '{"targets": [{"target": 5}]}')):
        (run.folder.parents[1] / earlier(run, hours) / "run.json").write_text(text)
    folder = run.folder.parents[1] / earlier(run, 5)
    state = {"state": "finished", "started_at": "<script>"}
    (folder / "state.json").write_text(json.dumps(state))
    folder = run.folder.parents[1] / earlier(run, 6)
    (folder / "plan.json").write_text("{")
    known = news(run, good)
    assert known.against == f"run {good}"
    assert known.changes == ()
    assert news(run, "7d").against.startswith("1 earlier run")


@pytest.mark.parametrize("baseline", ["0d", "nothing", "7", "hourly/nothing", "\x1b[31m"])
def test_a_baseline_that_can_not_be_one_is_refused(run, baseline):
    with pytest.raises((PlanError, RunError), match="baseline") as refused:
        check_baseline(baseline, run.folder.parents[1])
    assert "\x1b" not in str(refused.value)


def test_a_name_is_the_latest_run_before_of_that_name(run):
    later = earlier(run, -1)
    before = earlier(run, 2)
    earlier(run, 3)
    assert news(run, "hourly").against == f"run {before}"
    assert later > run.id
    assert news(run, "none").line == "not compared: no baseline was asked for"
    check_baseline("none", "nowhere")


def test_the_index_says_of_a_run_what_its_report_says_first(run):
    earlier(run, 1)
    first = health(run, news(run))
    out = run.folder.parents[1]
    about = run.to_dict() | first.to_dict()
    (run.folder / "run.json").write_text(json.dumps({**about, "report": {"status": "ok"}}))
    (run.folder / "report.html").write_text("")
    assert write_index(out) == ""
    page = (out / "index.html").read_text()
    assert page.count(f"<p>{first.line}</p>") == 1
    for odd in ({"health": 5}, {"health": {"line": [1]}}, {}):
        assert shown(odd) == ""
    assert "\x1b" not in shown({"health": {"line": "\x1b[31m" + "x" * 10_000}})


def test_news_shows_itself_as_a_table(run):
    earlier(run, 1, factor=1 / 3)
    known = news(run)
    assert known.changes[0].since_run in repr(known)
    assert "<table" in known._repr_html_()
    assert repr(News("a/b", "7d", "")).startswith("not compared")


def test_of_ten_days_of_hourly_runs_each_change_is_found_on_its_run_or_the_next():
    """Ten repetitions of a fortnight, and other methods beside it, are in tests/bench/history.py."""
    world = fortnight(2, hours=240)
    delays, false = judged(alarms(world.rows), world.begun)
    assert {what: delay in (0, 1) for what, delay in delays.items()} == dict.fromkeys(
        EXPLAINED, True
    )
    assert len({hour // 24 for _, hour in false}) <= 1


@pytest.fixture(scope="module")
def short_history(tmp_path_factory):
    """Thirty hourly runs of which those since the 25th are dearer, with one of another kind."""
    world = fortnight(3, hours=192)
    rows = [*world.rows[:25], *world.rows[world.begun["price"] : world.begun["price"] + 5]]
    entries = []
    for hour, row in enumerate(rows):
        began = (NOW + timedelta(hours=hour)).isoformat()
        entries.append(msgspec.structs.replace(
            row.entry, run_id=f"hourly/{hour:03}", started_at=began, targets=("sim/fast",),
            shapes=("other" if hour == 7 else "same",), of_targets=(row.of,),
        ))  # fmt: skip
    return History(tmp_path_factory.mktemp("out"), tuple(entries))


def test_a_history_shows_its_changes_as_a_table_and_in_a_picture(short_history):
    (change,) = [c for c in short_history.changes if c.figure == "cost_per_call"]
    assert change.since_run == "hourly/025"
    assert short_history.verdict.startswith("Changed in 30 runs of 1 target")
    assert f"sim/fast: {change.brief} since hourly/025" in short_history.verdict
    assert short_history.verdict.state == "worse"
    assert change.ratio == pytest.approx(1.2, abs=0.06)
    assert "hourly/025" in repr(short_history.changes)
    ax = hm.plot_trend(short_history, "cost_per_call")
    lines = [line for line in ax.lines if line.get_linestyle() == "--" and len(line.get_xdata())]
    assert [line.get_xdata()[0] for line in lines] == [NOW + timedelta(hours=25)]
    assert [text.get_text() for text in ax.texts] == [f"{(change.ratio - 1) * 100:+.2g} %"]
    assert "changed for the worse" in {t.get_text() for t in ax.get_legend().get_texts()}
    drawn = [len(line.get_xdata()) for line in ax.lines if line.get_marker() == "o"]
    assert drawn == [29, 1]  # that of another kind is joined to none
    first = History(short_history.out, short_history.entries[:1])
    low, high = hm.plot_trend(first, "cost_per_call").get_xlim()
    assert high - low == pytest.approx(1 / 24)  # an hour: the only run's moment can be read


def test_thousands_of_runs_are_a_picture_of_some_kilobytes_in_which_points_are_seen(short_history):
    entries = tuple(
        msgspec.structs.replace(
            short_history.entries[hour % 25], run_id=f"hourly/{hour:05}", shapes=("same",),
            started_at=(NOW + timedelta(hours=hour)).isoformat(),
        )
        for hour in range(2000)
    )  # fmt: skip
    ax = hm.plot_trend(History(short_history.out, entries), "latency_p50")
    assert sum(isinstance(each, LineCollection) for each in ax.collections) == 0
    (line,) = (line for line in ax.lines if len(line.get_xdata()) == 2000)
    assert (line.get_linestyle(), line.get_marker()) == ("None", "o")
    written = io.BytesIO()
    ax.figure.savefig(written, format="svg")
    assert len(written.getvalue()) < 200_000, "of two million bytes, as each had a path or two"


def test_runs_of_which_the_kind_is_not_known_are_joined_by_no_line(short_history):
    entries = tuple(msgspec.structs.replace(e, shapes=()) for e in short_history.entries)
    ax = hm.plot_trend(History(short_history.out, entries), "cost_per_call")
    assert {line.get_linestyle() for line in ax.lines if line.get_marker() == "o"} == {"None"}


def test_a_history_says_which_runs_did_not_come(short_history):
    assert short_history.table.notes == ()
    entries = short_history.entries
    one, more = entries[:10] + entries[11:], entries[:10] + entries[13:]
    assert History(short_history.out, one).table.notes == (
        "1 run of hourly missing between hourly/009 and hourly/011.",
    )
    assert "3 runs of hourly missing" in repr(History(short_history.out, more))


@pytest.mark.parametrize("figure", ["error_rate", "latency_p99", "requests_per_s", "output_tokens"])
def test_any_figure_has_a_picture(short_history, figure):
    ax = hm.plot_trend(short_history, figure)
    known = figure in short_history.measured[0].of.figures
    assert bool(ax.lines) is known
    assert bool(ax.texts) or known


def test_a_figure_that_is_none_has_no_picture(short_history):
    with pytest.raises(PlanError, match="latency_p96"):
        hm.plot_trend(short_history, "latency_p96")


def test_a_regression_fails_the_command_where_that_is_asked_for(run, monkeypatch):
    """The notebook itself is spared: what it shows has tests of its own."""
    for module in (report, notebooks):
        known = {"run": "", "baseline": {"default": "'7d'"}}
        monkeypatch.setattr(module, "check_parameters", lambda *_, known=known: known)
    blank = SimpleNamespace(metadata={}, cells=[])
    monkeypatch.setattr(report, "execute", lambda *_: (blank, "ok", "", None))
    monkeypatch.setattr(report, "html_of", lambda *_: "")
    monkeypatch.setattr(report, "_publish", lambda folder, *_: (folder / "report.html").touch())
    slower = earlier(run, 1, factor=1 / 3)
    faster = earlier(run, 2, factor=3)
    for baseline, more, code in ((slower, ["--fail-on-change"], 1), (slower, [], 0), (faster, ["--fail-on-change"], 0)):  # fmt: skip
        command = ["report", "--run", run.id, "--baseline", baseline, *more]
        done = CliRunner().invoke(main, [*command, "--out", str(run.folder.parents[1])])
        assert done.exit_code == code + run.exit_code, done.output
        about = json.loads((run.folder / "run.json").read_text())
        assert about["baseline"]["against"] == f"run {baseline}"
        assert about["health"]["line"] in done.stderr
        assert [c["text"] in done.stderr for c in about["changes"]].count(False) == 0
        assert about["changes"]
