"""By a colleague: a folder of reports that was sent is data. Nothing in it leads out of it."""

import json
import os
import re
import shutil
import stat
import tempfile
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from holymon.catalogue import listing
from holymon.errors import HolymonError, RunError
from holymon.load.run import attach, start
from holymon.plan.plan import Open, Plan, Prompts, Target
from holymon.plan.shapes import constant
from holymon.records import run_folder, run_state
from holymon.records.attempt import Flag, Marks
from holymon.records.export import write_csv
from holymon.records.journal import Journal
from holymon.records.own_files import write_aside, write_page
from holymon.records.parquet import spill
from holymon.report import index
from holymon.report.report import Report, _write_json, write_report
from holymon.widgets.results_tab import BASELINE_FILE, baseline, set_baseline

SECRET = "private words that nobody sent"
PLAN = Plan(
    targets=(Target(provider="url", model="m", base_url="http://127.0.0.1:1/v1"),),
    load=Open(constant(1)), requests=1,
)  # fmt: skip


def received(out, name="sent", *, compacted=False):
    """The folder of a run that was measured elsewhere."""
    folder = run_folder.new_folder(out, name)
    write_aside(folder / "plan.json", PLAN.to_json())
    run_folder.write_state(folder, state="finished", started_at="2026-01-01T00:00:00+00:00")
    journal = Journal(folder, 0)
    for number in range(3):
        marks = Marks(number, 0, 0.0)
        marks.start, marks.end = 0.1, 0.2
        marks.flags = int(Flag.STREAM)
        journal.record(marks)
    journal.vital(b'{"t": 1.0, "lags": [0.0], "cpu": 0.1, "waited": 0.0, "pause": 0.0, '
                  b'"in_flight": 0, "rss_mb": 1.0}\n')  # fmt: skip
    journal.close()
    if compacted:
        run_folder.compact(folder, run_folder.load(folder))
    return folder


@pytest.fixture
def mine(tmp_path):
    """A file of one's own, elsewhere."""
    path = tmp_path / "home" / "mine.txt"
    path.parent.mkdir()
    path.write_text(SECRET)
    return path


def notebook(path, source="print('a page')"):
    import nbformat

    v4 = nbformat.v4
    parameters = v4.new_code_cell("run = ''", metadata={"tags": ["parameters"]})
    nbformat.write(v4.new_notebook(cells=[parameters, v4.new_code_cell(source)]), path)
    return path


def test_nothing_that_is_made_of_a_run_goes_through_its_links(tmp_path, mine):
    out = tmp_path / "out"
    folder, process = received(out), os.getpid()
    links = [
        *(folder / name for name in (
            ".report.ipynb", "report.ipynb", "report.html", "run.json", "stop", "compact.lock",
            "calls.csv", f".calls.parquet.{process}", f".gaps.parquet.{process}",
            f".report.html.{process}", f".run.json.{process}", "worker.log",
        )),
        folder.parent / "latest.html", folder.parent / f".latest.html.{process}",
        out / "index.html", out / f".index.html.{process}", out / BASELINE_FILE,
    ]  # fmt: skip
    for link in links:
        link.symlink_to(mine)
    run = attach(str(folder))
    run.stop()
    set_baseline(run)
    write_csv(run, folder / "calls.csv")
    with pytest.raises(RunError, match=r"compact\.lock can't be read: it is a link"):
        run_folder.compact(folder, run.records)
    (folder / "compact.lock").unlink()
    run.close()
    made = write_report(notebook(tmp_path / "own.ipynb"), run=run)
    assert mine.read_text() == SECRET
    assert {path.name for path in mine.parent.iterdir()} == {mine.name}
    assert made.error == ""
    assert made.status == "ok"
    assert "a page" in made.html.read_text()
    assert not made.html.is_symlink()
    assert run_folder.is_compacted(folder)
    notes = [note.removeprefix(f"{out}/") for note in made.notes]
    kept = "was not written by holymon, and stays as it is."
    assert notes == [f"sent/latest.html {kept}", f"index.html {kept}"]
    assert [note in made._repr_html_() for note in made.notes] == [True, True]


@pytest.mark.parametrize(
    "name",
    ["plan.json", "calls.0.journal", "calls.0.underway", "vitals.0.jsonl", "notes.0.jsonl",
     "calls.parquet", "gaps.parquet"],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["link", "pipe", "device", "folder"])
def test_what_is_no_file_of_the_run_is_one_sentence(tmp_path, mine, name, kind):
    folder = received(tmp_path / "out", compacted=name.endswith(".parquet"))
    path = folder / name
    original = path.read_bytes()
    path.unlink()
    if kind == "link":
        mine.write_bytes(original)  # what would be read, if only it lay there
        path.symlink_to(mine)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(RunError) as raised:
        run = attach(str(folder))
        run.notes, run.vitals  # noqa: B018
    assert re.fullmatch(r"[^\n]{1,300}", str(raised.value))


@pytest.mark.parametrize("name", ["state.json", "worker.log"])
def test_a_file_elsewhere_is_not_shown_as_what_the_worker_said(tmp_path, mine, name):
    folder = received(tmp_path / "out")
    run_folder.write_state(folder, state="failed")
    mine.write_text(json.dumps({"state": "failed", "detail": SECRET}))
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(mine)
    for path in folder.glob("calls.*"):
        path.unlink()
    run = attach(str(folder))
    assert SECRET not in run_state.why_failed(run.folder, run.status)
    assert SECRET not in str(run.to_dict())
    assert SECRET not in repr(listing.runs(tmp_path / "out"))


def test_a_run_json_elsewhere_is_no_row_of_the_list(tmp_path, mine):
    folder = received(tmp_path)
    mine.write_text(json.dumps({"targets": [{"target": SECRET}], "report": {"status": "ok"}}))
    (folder / "run.json").symlink_to(mine)
    assert index.write_index(tmp_path) == ""
    assert SECRET not in (tmp_path / "index.html").read_text()


@pytest.mark.parametrize("page", [b"<h1>my site</h1>", b"", b"<title>holymon: not by it</title>",
                                  b"\xff" * 10_000])  # fmt: skip
@pytest.mark.parametrize("name", ["index.html", "latest.html"])
def test_a_page_of_others_stays_and_is_named_once(tmp_path, page, name):
    path = tmp_path / name
    path.write_bytes(page)
    assert write_page(path, "ours").count(str(path)) == 1
    assert path.read_bytes() == page


def test_pages_of_our_own_are_replaced_of_earlier_versions_too(tmp_path):
    received(tmp_path)
    (tmp_path / "index.html").write_bytes(
        (Path(__file__).parents[3] / "reports" / "sample" / "report.html").read_bytes()
    )
    for _ in range(2):
        assert index.write_index(tmp_path) == ""
        assert "holymon: reports" in (tmp_path / "index.html").read_text()


STATES = [
    {"state": "\x1b[31mfinished"}, {"state": ["finished"]}, {"state": {"finished": 1}},
    {"state": "paused"}, {"state": None}, {"state": "finished", "ended": "\x1b]0;x\x07"},
    {"state": "finished", "ended": ["max_cost"]},
    {"state": "failed", "detail": "\x1b[2Jgone\u202e", "trouble": {"a": 1}},
    {"state": "finished", "started_at": "\x1b[1m2026", "ended_at": 3},
    {"state": "running", "pid": "1", "workers": [1], "proxies": ["x"], "first_calls": {"a": 1}},
    {"state": "finished", "first_calls": [{"target": "t", "error_type": "\x1b[5m"}, 3, None]},
    {"state": "finished", "proxies": {"t": ["\x1b[1m"]}},
]  # fmt: skip


@pytest.mark.parametrize("state", STATES)
def test_words_of_a_state_are_of_closed_lists_and_its_texts_inert(tmp_path, state):
    folder = received(tmp_path)
    (folder / "state.json").write_text(json.dumps(state))
    os.utime(folder / "state.json", (0, 0))
    run = attach(str(folder))
    shown = f"{run!r}{run._repr_html_()}{run.to_dict()}{listing.runs(tmp_path)!r}"
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert run.state in run_state.STATES
    assert run.status.get("ended", "finished") in {*run_state.ENDED, "unknown"}
    assert run.vitals is not None


NOTES = [
    b"[]", b"3", b"[" * 50_000, b'{"request": [1], "target": {}, "error_type": 3}',
    b'{"request": 0, "target": [0], "error_type": "server_error", "message": "x"}',
    b'{"request": 0, "target": 0, "error_type": "\\u001b[31m", "message": "x"}',
    b'{"request": 0, "target": 0, "error_type": "server_error", "message": {"a": 1}}',
]  # fmt: skip


@pytest.mark.parametrize("line", NOTES)
def test_a_line_that_is_no_note_is_none(tmp_path, line):
    folder = received(tmp_path)
    good = b'{"request": 1, "target": 0, "error_type": "server_error", "message": "kept"}'
    (folder / "notes.0.jsonl").write_bytes(b"\n".join([line, good, line]))
    run = attach(str(folder))
    assert [note["message"] for note in run.notes] == ["kept"]
    run.summary()


@pytest.mark.parametrize(
    ("file", "content", "wrong"),
    [
        ("plan.json", b'{"targets": [{"body": ' + b'{"a":' * 20_000, "not a plan"),
        ("figures.json", b'{"run_id": ' + b"[" * 20_000, "there are no calls"),
        (
            "state.json",
            b'{"state": "finished", "first_calls": [{"target": "url/m", '
            b'"error_type": "", "status": 429, "code": "", "message": "", "seconds": 0.0, "calls": 1, '
            b'"refused": [], "quirks": {}, "\\ud800": null, "ended": false}]}',
            "",
        ),
        ("../../.catalogue.json", b'{"format": 1, "x": ' + b"[" * 20_000, ""),
    ],
)
def test_json_that_is_deep_or_no_text_is_told_or_left_out(tmp_path, file, content, wrong):
    folder = received(tmp_path)
    (folder / file).write_bytes(content)
    assert len(listing.runs(tmp_path)) == 1
    with pytest.raises(HolymonError, match=wrong) if wrong else nullcontext():
        assert attach(str(folder)).to_dict()["targets"][0]["requests"] == 3


def test_a_share_of_400_digits_is_no_figure_of_the_index(tmp_path):
    folder = received(tmp_path)
    target = {"error_rate": {"value": 10**400}, "target": "x", "errors": {}}
    about = {"report": {"status": "ok"}, "targets": [target]}
    (folder / "run.json").write_text(json.dumps(about))
    index.write_index(tmp_path)
    assert "run.json can&#x27;t be read" in (tmp_path / "index.html").read_text()


FOLDERS = ["a*", "[a-z]b", "q?", "**", "request=9", "due_s=1", "it's", "x' OR 1", "{a,b}", "c:d",
           "s3:", "http:"]  # fmt: skip


@pytest.mark.parametrize("name", FOLDERS)
def test_no_name_of_a_folder_is_a_pattern_or_a_column_of_parquet(tmp_path, name):
    decoy = received(tmp_path / "ab", "x", compacted=True)
    other = received(tmp_path / name, "x", compacted=True)
    assert run_folder.count(other) == 3
    records = run_folder.load(other)
    assert np.array_equal(records["request"], np.arange(3))
    assert np.array_equal(records["due_s"], np.zeros(3))
    assert run_folder.count(decoy) == 3
    odd = tmp_path / name / "spilled"
    assert spill(records, odd).parent == odd
    assert [path.suffix for path in odd.iterdir()] == [".parquet"]


@pytest.mark.parametrize(
    "name",
    ["javascript:alert(1)", "data:text,x", "x\"onclick='y", "%2e%2e", "\udcff", "?a#b", "http:"],
)
def test_links_of_pages_stay_inside(tmp_path, name):
    folder = received(tmp_path)
    folder.parent.rename(tmp_path / name)
    folder = next((tmp_path / name).iterdir())
    (folder / "run.json").write_text("{}")
    index.write_index(tmp_path)
    (href,) = set(re.findall(r'href="([^"]*)"', (tmp_path / "index.html").read_text()))
    assert re.fullmatch(r"(?!\.\.)[A-Za-z0-9%._-]+/\d{8}T\d{6}Z/report\.html", href)
    shown = Report(folder, folder / "report.html", "ok", "", "x")._repr_html_()
    assert "javascript:" not in re.findall(r"href='([^']*)'", shown)[0]


@pytest.mark.parametrize("wanted", ["../../sent/x", "/etc/x", "a/../b", ".", ["a/b"], {"a": 1}, "a",
                                    "..\\x/y", "last"])  # fmt: skip
def test_a_baseline_names_a_run_of_its_own_folder(tmp_path, wanted):
    received(tmp_path / "out")
    (tmp_path / "out" / BASELINE_FILE).write_text(json.dumps({"run_id": wanted}))
    with pytest.raises(RunError, match="can't be read: set the baseline again"):
        baseline(tmp_path / "out")


def test_no_run_is_written_or_listed_through_a_link_out_of_the_folder(tmp_path):
    elsewhere, out = tmp_path / "elsewhere", tmp_path / "out"
    there = received(elsewhere, "theirs")
    received(out)
    (out / "m").symlink_to(elsewhere)
    (out / "sent" / "20260101T000000Z").symlink_to(there)
    assert [run["name"] for run in listing.runs(out)] == ["sent"]
    before = sorted(elsewhere.rglob("*"))
    with pytest.raises(RunError, match="is a link that leads out of"):
        start(PLAN, out=out)
    assert sorted(elsewhere.rglob("*")) == before
    (out / "m").unlink()
    (out / "m").symlink_to("sent")  # inside, it is one's own
    assert run_folder.new_folder(out, "m").is_dir()


def test_a_file_in_the_systems_temporary_folder_that_waits_for_the_rescue_is_not_followed(
    tmp_path, mine, monkeypatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = run_folder.new_folder(tmp_path / "out", "full")
    trap = tmp_path / f"holymon-full-{folder.name}-calls.0-rest.journal"
    trap.symlink_to(mine)
    journal = Journal(folder, 0)
    journal._calls.kept = [b"what waited"]
    journal._save(b"what waited")
    (rest,) = (
        path for path in tmp_path.glob("holymon-full-*-calls.0-rest.journal") if path != trap
    )
    assert mine.read_text() == SECRET
    assert rest.read_bytes().endswith(b"what waited")
    assert stat.S_IMODE(rest.stat().st_mode) == 0o600
    shutil.copy(rest, folder / rest.name[rest.name.index("calls.") :])
    assert [*folder.glob("calls.*.journal")] == sorted(folder.glob("calls.*.journal"))


@pytest.mark.parametrize(("prompts", "private"), [
    (Prompts(), False), (Prompts(texts=("what a customer wrote",)), True),
])  # fmt: skip
def test_prompts_of_ones_own_are_nobody_elses_to_read(tmp_path, prompts, private):
    before = os.umask(0o022)
    try:
        run = start(Plan(**{name: getattr(PLAN, name) for name in ("targets", "load", "requests")},
                         prompts=prompts, first_call=False), out=tmp_path, detached=False)  # fmt: skip
        run.wait()
        _write_json(run.folder, run, {}, run.to_dict())
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in run.folder.iterdir()}
    expected = 0o600 if private else 0o644
    assert {modes[name] for name in ("plan.json", "run.json", "state.json")} == {expected}
    assert (modes["calls.parquet"], modes["worker.log"]) == (0o644, 0o600)
