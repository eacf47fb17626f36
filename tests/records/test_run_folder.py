"""The folder of runs tells which run is in which state, and Parquet holds what the journal held."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from holymon.catalogue import listing
from holymon.cli.main import main
from holymon.errors import RunError
from holymon.figures.summary import summarize
from holymon.load.run import attach
from holymon.plan.plan import Open, Plan, Target
from holymon.plan.shapes import constant
from holymon.records import run_folder
from holymon.records.attempt import DTYPE, GAP, Flag, Marks
from holymon.records.gaps import histogram
from holymon.records.journal import Journal
from holymon.records.own_files import last_line, opened, try_lock
from holymon.records.records import Records
from holymon.report.report import write_report

PLAN = Plan(
    targets=(Target(provider="url", model="m", base_url="http://127.0.0.1:1/v1"),),
    load=Open(constant(1)), requests=1,
)  # fmt: skip


def a_run(out, name="run", calls=3, state="finished"):
    folder = run_folder.new_folder(out, name)
    run_folder.write_aside(folder / "plan.json", PLAN.to_json())
    run_folder.write_state(folder, state=state, started_at="2026-01-01T00:00:00+00:00")
    written = Journal(folder, 0)
    for number in range(calls):
        marks = Marks(number, 0, 0.1 * number)
        marks.start = marks.due + 0.001
        marks.code = "some_code" if number % 2 else ""
        marks.flags = int(Flag.STREAM)
        for k in range(number + 1):
            marks.token(marks.start + 0.05 * (k + 1), 1)
        marks.end = marks.last
        written.record(marks)
    written.close()
    return folder


def test_parquet_holds_what_the_journal_held(tmp_path):
    folder = a_run(tmp_path, calls=40)
    before = run_folder.load(folder)
    run_folder.compact(folder, before)
    after = run_folder.load(folder)
    assert list(folder.glob("calls.*.journal")) == []
    for name in before.rows.dtype.names:
        np.testing.assert_array_equal(before[name], after[name], err_msg=name)
    np.testing.assert_array_equal(before.gap_counts, after.gap_counts)
    np.testing.assert_array_equal(before.gap_pairs, after.gap_pairs)


def test_compaction_moves_times_by_30_ns_at_most_and_figures_stay_what_the_files_say(tmp_path):
    folder = a_run(tmp_path, calls=200)
    raw, kept = run_folder.load(folder), run_folder.load(folder)
    before = summarize(raw).targets[0].latency_s
    run_folder.compact(folder, kept)
    again = run_folder.load(folder)
    for name in (name for name in DTYPE.names if DTYPE[name].kind == "f"):
        np.testing.assert_allclose(again[name], raw[name], rtol=0, atol=2**-25)
    assert summarize(kept) == summarize(again)
    after = summarize(again).targets[0].latency_s
    assert after.n == before.n
    for stat in ("mean", "p50", "p90", "p95", "max"):
        assert getattr(after, stat) == pytest.approx(getattr(before, stat), abs=2**-24)


def test_gaps_of_long_even_streams_survive_compaction(tmp_path):
    records = Records(PLAN.targets)
    pairs = np.array([(700, 5000), (3, 1), (700, 16), (2799, 65535), (9, 17)], GAP)
    records.extend(np.zeros(4, DTYPE), pairs, np.array([2, 0, 2, 1]))
    folder = a_run(tmp_path, calls=0)
    run_folder.compact(folder, records)
    again = run_folder.load(folder)
    for i, wanted in enumerate([{700: 5000, 3: 1}, {}, {700: 16, 2799: 65535}, {9: 17}]):
        found = histogram(again.gaps(np.arange(4) == i))
        assert {int(k): int(found[k]) for k in np.nonzero(found)[0]} == wanted


def test_a_run_of_an_earlier_version_is_read(tmp_path):
    """Parquet as 0.1.0 first wrote it: times of all bits, up to 65,535 gaps in a pair, no chunk_s."""
    import duckdb

    folder = a_run(tmp_path, calls=3)
    before = run_folder.load(folder)
    names = [name for name in DTYPE.names if name not in {"code", "chunk_s"}]
    calls = {name: np.ascontiguousarray(before[name]) for name in names}
    calls["code"] = before["code"].astype("U24").astype(object)
    gaps = {"row": np.array([0, 2, 2], np.uint32), "bin": np.array([5, 6, 5], np.uint16),
            "n": np.array([1, 300, 2], np.uint16)}  # fmt: skip
    with duckdb.connect() as connection:
        for name, table in (("gaps", gaps), ("calls", calls)):
            connection.register("cols", table)
            path = folder / f"{name}.parquet"
            connection.execute(
                f"COPY (SELECT * FROM cols) TO '{path}' (FORMAT parquet, COMPRESSION zstd)"
            )
    for path in folder.glob("calls.0.*"):
        path.unlink()
    again = run_folder.load(folder)
    for name in (*names, "code"):
        np.testing.assert_array_equal(again[name], before[name], err_msg=name)
    assert np.isnan(again["chunk_s"]).all()
    assert histogram(again.gaps(np.array([True, False, False])))[5] == 1
    assert histogram(again.gaps(np.array([False, False, True])))[[5, 6]].tolist() == [2, 300]


def test_what_was_not_measured_is_null_in_parquet(tmp_path):
    import duckdb

    folder = a_run(tmp_path, calls=2)
    run_folder.compact(folder, run_folder.load(folder))
    with duckdb.connect() as connection:
        query = f"SELECT count(headers_s), count(first_s) FROM '{folder / 'calls.parquet'}'"
        assert connection.execute(query).fetchone() == (0, 2)


def test_a_run_without_calls_can_be_compacted(tmp_path):
    folder = a_run(tmp_path, calls=0)
    run_folder.compact(folder, run_folder.load(folder))
    assert len(run_folder.load(folder)) == 0


def test_parquet_can_be_read_by_anyone(tmp_path):
    import duckdb

    folder = a_run(tmp_path, calls=4)
    run_folder.compact(folder, run_folder.load(folder))
    with duckdb.connect() as connection:
        query = f"SELECT request, code FROM '{folder / 'calls.parquet'}' ORDER BY request"
        assert connection.execute(query).fetchall() == [
            (0, ""), (1, "some_code"), (2, ""), (3, "some_code"),
        ]  # fmt: skip


def test_runs_that_start_in_the_same_second_do_not_meet(tmp_path):
    made = []
    threads = [
        threading.Thread(target=lambda: made.append(run_folder.new_folder(tmp_path, "same")))
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 20


def test_a_run_whose_worker_is_gone_is_interrupted(tmp_path):
    folder = a_run(tmp_path, state="running")
    assert run_folder.read_state(folder)["state"] == "interrupted"
    with run_folder.take_lock(folder):
        assert run_folder.read_state(folder)["state"] == "running"
    assert run_folder.read_state(folder)["state"] == "interrupted"


def test_one_run_has_one_worker(tmp_path):
    folder = a_run(tmp_path, state="running")
    with run_folder.take_lock(folder), pytest.raises(RunError, match="already being measured"):
        run_folder.take_lock(folder)


def test_who_looks_at_a_run_that_begins_is_not_taken_for_its_worker(tmp_path):
    folder = a_run(tmp_path, state="starting")
    run_folder.take_lock(folder).close()
    look = opened(folder / "run.lock")
    assert try_lock(look, shared=True), "as is_locked does"
    end = threading.Timer(0.1, look.close)
    end.start()
    run_folder.take_lock(folder).close()
    end.join()


def test_a_run_that_never_began_is_interrupted_after_a_while(tmp_path):
    folder = a_run(tmp_path, state="starting")
    assert run_folder.read_state(folder)["state"] == "starting"
    long_ago = (folder / "state.json").stat().st_mtime - run_folder.START_S - 1
    os.utime(folder / "state.json", (long_ago, long_ago))
    assert run_folder.read_state(folder)["state"] == "interrupted"


def test_runs_are_listed_oldest_first_with_what_scripts_need(tmp_path):
    folders = [a_run(tmp_path, name) for name in ("b", "a", "c")]
    listed = listing.runs(tmp_path)
    assert sorted(run_folder.run_id(folder) for folder in folders) == sorted(
        r["run_id"] for r in listed
    )
    assert {"run_id", "name", "state", "requests", "started_at", "targets"} <= listed[0].keys()
    assert [run["requests"] for run in listed] == [3, 3, 3]


@pytest.mark.parametrize("state", ["[1, 2]", "{}", '{"state": 3}', "torn", "null", "[" * 100_000])
def test_a_state_that_is_none_does_not_hide_the_other_runs(tmp_path, state):
    a_run(tmp_path, "good")
    odd = a_run(tmp_path, "odd") / "state.json"
    odd.write_text(state)
    os.utime(odd, (0, 0))
    states = {one["name"]: one["state"] for one in listing.runs(tmp_path)}
    assert states == {"good": "finished", "odd": "interrupted"}


def test_a_broken_plan_does_not_hide_the_other_runs(tmp_path):
    a_run(tmp_path, "good")
    broken = a_run(tmp_path, "broken")
    (broken / "plan.json").write_text("{")
    states = {run["name"]: run["state"] for run in listing.runs(tmp_path)}
    assert states == {"good": "finished", "broken": "unreadable"}


def test_a_run_of_a_later_version_is_named_and_said_to_be_one(tmp_path):
    folder = a_run(tmp_path, "later")
    plan = json.loads((folder / "plan.json").read_bytes())
    (folder / "plan.json").write_text(json.dumps({**plan, "unheard_of": 1}))
    with pytest.raises(RunError, match=r"^later/.* another version of holymon .*`unheard_of`"):
        run_folder.read_plan(folder)


@pytest.mark.parametrize("wanted", ["name/UTC", "name", "last", "folder"])
def test_a_run_is_found_by_id_name_folder_or_as_the_last(tmp_path, wanted):
    folder = a_run(tmp_path, "name")
    asked = {"name/UTC": run_folder.run_id(folder), "folder": str(folder)}.get(wanted, wanted)
    assert run_folder.find(tmp_path, asked) == folder


def test_a_run_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(RunError, match="there is no run 'nothing'"):
        run_folder.find(tmp_path, "nothing")
    with pytest.raises(RunError, match="no run"):
        run_folder.find(tmp_path, "n" * 5000)


def test_of_a_log_however_long_its_last_line_is_read(tmp_path):
    with (tmp_path / "worker.log").open("wb") as log:
        log.truncate(2**33)
        log.seek(2**33)
        log.write(b"\nwhy it ended\n")
    assert last_line(tmp_path / "worker.log") == "why it ended"


@pytest.mark.parametrize("name", ["../../etc/x", "a/b:free", "CON", "x" * 300, "<script>"])
def test_no_name_leaves_the_folder_of_runs(tmp_path, name):
    folder = run_folder.new_folder(tmp_path / "out", name)
    assert folder.parent.parent == tmp_path / "out"


def test_a_reader_never_sees_half_a_file(tmp_path):
    path = tmp_path / "file.json"
    run_folder.write_aside(path, json.dumps([0] * 30_000))
    stop, broken = threading.Event(), []

    def read():
        while not stop.is_set():
            try:
                json.loads(path.read_bytes())
            except ValueError as error:
                broken.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for k in range(50):
        run_folder.write_aside(path, json.dumps([k] * 30_000))
    stop.set()
    reader.join()
    assert broken == []
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture
def as_another_user():
    """For a while this process is `nobody`, in a folder that all may read; for root alone."""
    if os.name == "nt" or os.geteuid() != 0:
        pytest.skip("only root may become another user")

    @contextlib.contextmanager
    def become():
        os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(0)

    with tempfile.TemporaryDirectory() as out:
        Path(out).chmod(0o755)
        yield Path(out), become


OTHERS = "can't be read: it belongs to another user, who alone may read it"


@pytest.mark.parametrize("compacted", [False, True])
def test_another_users_run_is_one_sentence_and_exit_code_4(as_another_user, compacted):
    out, become = as_another_user
    folder = a_run(out)
    if compacted:
        run_folder.compact(folder, run_folder.load(folder))
    command = ["compare", *2 * [f"run/{folder.name}"], "--out", str(out)]
    CliRunner().invoke(main, command)  # what it imports may be closed to others, too
    with become():
        done = CliRunner().invoke(main, command)
    assert (done.exit_code, done.output.count("\n")) == (4, 1), done.output
    assert done.output.startswith(f"holymon: run/{folder.name}: ")
    assert OTHERS in done.output


def test_another_users_run_is_listed_with_the_reason_and_is_no_exception_of_pythons(
    as_another_user,
):
    out, become = as_another_user
    a_run(out)
    with become():
        (run,) = listing.runs(out)
        with pytest.raises(RunError, match=OTHERS):
            attach("last", out=out)
    assert run["state"] == "unreadable"
    assert OTHERS in run["detail"]


def test_another_users_run_is_not_reported_and_no_kernel_is_started_for_it(as_another_user):
    out, become = as_another_user
    folder = a_run(out)
    run_folder.compact(folder, run_folder.load(folder))
    with become(), pytest.raises(RunError, match=r"can't be written to .*: it may only be read"):
        write_report("no such notebook", run=attach("last", out=out))


def test_a_run_in_a_folder_that_is_closed_is_one_sentence(as_another_user):
    out, become = as_another_user
    a_run(out).chmod(0o700)
    with become(), pytest.raises(RunError, match=OTHERS):
        run_folder.find(out, str(next(out.glob("run/*"))))


FORK = """
import os, sys
from pathlib import Path
from holymon.records import run_folder
folder = Path(sys.argv[1])
print(run_folder.count(folder), flush=True)
if child := os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(len(run_folder.load(folder)), flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_a_forked_child_reads_what_its_parent_has_read_and_ends(tmp_path):
    """With DuckDB's connection of its parent it hung here, and crashed at its end."""
    folder = a_run(tmp_path, calls=4)
    run_folder.compact(folder, run_folder.load(folder))
    done = subprocess.run(
        [sys.executable, "-c", FORK, folder],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout.split()) == (0, ["4", "4"]), done.stderr


def test_threads_read_and_write_runs_at_once(tmp_path):
    folders = [a_run(tmp_path, f"run{n}", calls=3 + n) for n in range(8)]

    def compacted(folder):
        run_folder.compact(folder, run_folder.load(folder))
        return len(run_folder.load(folder)), run_folder.count(folder)

    with ThreadPoolExecutor(8) as pool:
        assert [*pool.map(compacted, folders)] == [(3 + n, 3 + n) for n in range(8)]
