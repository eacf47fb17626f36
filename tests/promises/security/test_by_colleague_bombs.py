"""What a colleague hands over is read within bounds, or refused in a sentence; never a traceback."""

import os
import time

import duckdb
import pytest

import holymon as hm
from holymon.errors import PlanError
from holymon.monitor.route import ShareChange
from holymon.plan import dataset_files, given_file, replay_file, targets
from holymon.plan.replay_file import replay
from holymon.plan.request_fields import variables_in
from holymon.records import journal, notes, parquet, run_folder
from holymon.records.records import Records
from holymon.report.harmless import harmless
from holymon.report.index import write_index
from holymon.report.move_words import reason
from holymon.safety import escape, plain

from .readers import QUICK, READERS, made, reader_of, reads
from .test_by_colleague_folder import received


@pytest.mark.parametrize("name", READERS)
def test_nothing_that_is_read_ends_in_a_traceback(name, tmp_path):
    """`tests.bench.fuzz` goes on from here, for ten minutes each."""
    reader = reader_of(name)
    for sample in reader.samples:
        reads(reader, tmp_path, sample)
    for seed in range(12 if name in QUICK else 1):
        reads(reader, tmp_path, made(reader, seed))


@pytest.mark.parametrize("read", [dataset_files.read, replay_file.replay, targets.providers_in])
def test_what_is_no_file_is_refused_at_once(read, tmp_path):
    fifo, huge = tmp_path / "fifo", tmp_path / "huge"
    os.mkfifo(fifo)
    with huge.open("wb") as file:
        file.truncate(2**40)
    begun = time.process_time()
    for path in ("/dev/zero", tmp_path, huge):
        with pytest.raises(hm.HolymonError, match="can't read"):
            read(type(tmp_path)(path))
    if read is not targets.providers_in:
        with pytest.raises(hm.HolymonError, match="holds no"):
            read(fifo)
    assert time.process_time() - begun < 5


def test_a_pipe_of_a_shell_is_read_and_a_silent_one_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(given_file, "PATIENCE_S", 0.2)
    there, here = os.pipe()
    os.write(here, b'"one"\n')
    with pytest.raises(hm.ConfigError, match="nothing came"):
        dataset_files.read(type(tmp_path)(f"/dev/fd/{there}"))
    os.write(here, b'"one"\n')
    os.close(here)
    (request,) = dataset_files.read(type(tmp_path)(f"/dev/fd/{there}"))
    assert request.messages == "one"
    os.close(there)


@pytest.mark.parametrize("what", ["calls", "gaps"])
def test_parquet_that_unpacks_to_far_more_than_a_run_is_refused(tmp_path, what):
    folder = tmp_path / "x" / "20260101T000000Z"
    folder.mkdir(parents=True)
    for name, rows in (("calls", 1), ("gaps", 1)):
        n = 20_000_000 if name == what else rows
        duckdb.execute(
            "COPY (SELECT 1::UINTEGER AS request, 1::UINTEGER AS row, 1::USMALLINT AS bin, "
            f"1::UINTEGER AS n FROM range({n})) TO '{folder}/{name}.parquet' "
            "(FORMAT parquet, COMPRESSION zstd)"
        )
    with pytest.raises(hm.RunError, match="far more than any run"):
        parquet.read(folder, Records(()))


@pytest.mark.parametrize(("sql", "sample"), [
    ("repeat('a', 1000000) AS prompt", 0),
    ("[{'role': 'user', 'content': repeat('a', 1000000)}] AS messages", 1000),
])  # fmt: skip
def test_prompts_that_are_one_again_and_again_are_not_taken_in(tmp_path, sql, sample, bounded):
    """A file of 1.4 kB: it took 3 GB, most of them before its size was looked at."""
    path = tmp_path / "r.parquet"
    duckdb.execute(f"COPY (SELECT {sql} FROM range(300)) TO '{path}' (COMPRESSION zstd)")
    assert path.stat().st_size < 2000
    with pytest.raises(hm.ConfigError, match="unpacks to over 256 MB: take a part of it"):
        hm.dataset(path, sample=sample)


def test_a_list_of_nothing_is_as_long_as_a_file_can_hold(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "FREE", 0)
    path = tmp_path / "r.parquet"
    duckdb.execute(
        "COPY (SELECT list_transform(range(100000), lambda x: 0::BIGINT) AS prompt) "
        f"TO '{path}' (COMPRESSION zstd)"
    )
    with pytest.raises(hm.RunError, match="100000 values, far more than any run of its size"):
        hm.dataset(path)


def test_a_name_that_no_folder_can_have_is_no_run(tmp_path):
    with pytest.raises(hm.RunError, match="there is no run"):
        hm.attach(f"sent/{'9' * 300}", out=tmp_path)


def test_a_run_s_file_has_an_end(tmp_path):
    folder = tmp_path / "x" / "20260101T000000Z"
    folder.mkdir(parents=True)
    with (folder / "plan.json").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(hm.HolymonError, match="is over"):
        run_folder.read_plan(folder)


def test_styles_without_an_end_are_looked_at_once():
    begun = time.process_time()
    assert "visible" in harmless("visible" + "<style " * 100_000)
    assert time.process_time() - begun < 5


def test_a_journal_without_an_end_is_read_as_far_as_it_goes(tmp_path):
    folder = received(tmp_path)
    with (folder / "calls.0.journal").open("ab") as file:
        file.truncate(2**40)
    begun = time.process_time()
    assert len(run_folder.load(folder)) == 3
    assert time.process_time() - begun < 2


def test_no_more_seconds_of_a_worker_are_read_than_any_run_has(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "MOST_SECONDS", 5)
    folder = received(tmp_path)
    (line,) = (folder / "vitals.0.jsonl").read_bytes().splitlines()
    (folder / "vitals.0.jsonl").write_bytes(b"\n" * 4 + line + b"\n" + line)
    assert len(journal.vitals(folder).t_s) == 1
    (folder / "vitals.0.jsonl").write_bytes(line[:-1] + b" " * 2**16 + b"}\n" + line)
    assert len(journal.vitals(folder).t_s) == 1


@pytest.mark.parametrize(
    ("name", "piece"),
    [("state.json", b"[],"), ("notes.0.jsonl", b"[],"), ("calls.0.underway", b"\1" * 24)],
)
def test_a_file_that_none_of_a_run_is_as_long_as_is_not_taken_in(tmp_path, name, piece, bounded):
    folder = received(tmp_path)
    (folder / name).write_bytes(b"[" + piece * (12_000_000 // len(piece)))
    try:
        run_folder.load(folder), notes.notes(folder), run_folder.read_state(folder)
    except hm.RunError as error:
        assert "is over" in str(error)  # noqa: PT017 - a state is passed over instead


def test_of_a_run_json_only_what_is_shown_is_read(tmp_path, bounded):
    folder = received(tmp_path)
    good, vast = b'{"targets": [{"target": "a/b"}]', b"[" + b"[]," * 1_000_000 + b"0]"
    for text, shown in (
        (good + b', "plan": ' + vast + b"}", "a/b"),
        (good + b', "verdict": ' + vast + b"}", "run.json can't be read"),
    ):
        (folder / "run.json").write_bytes(text)
        write_index(tmp_path)
        assert escape(shown) in (tmp_path / "index.html").read_text()


@pytest.mark.parametrize(
    "key", ["[" + "a." * 60_000 + "a]", "a." * 60_000 + "a = 1", "a" * 300_000]
)
def test_keys_of_many_parts_are_no_targets(tmp_path, key):
    path = tmp_path / "targets.toml"
    path.write_text(f"# a\n{key}\n")
    begun = time.process_time()
    with pytest.raises(hm.ConfigError, match=r"over 100 dots|is over [\d,]+ bytes"):
        targets.providers_in(path)
    assert time.process_time() - begun < 1


def test_texts_without_an_end_are_looked_at_once():
    begun = time.process_time()
    long = "worse than it may be: x (" + " against " * 20_000 + ", by 1 calls"
    reason(ShareChange("2026", 0.1, 0.0, "back", long, "me", by="gate"))
    for value in ("${" * 100_000, "${a" * 60_000, "$" * 200_000):
        variables_in(value)
    plain("\n" * 300_000 + "::")
    assert time.process_time() - begun < 5


@pytest.mark.parametrize(
    ("times", "speed"), [([0, 1e308], 1), ([-1e308, 1e308], 1), ([0, 1], 1e-320)]
)
def test_times_that_lie_too_far_apart_are_one_sentence(times, speed):
    with pytest.raises(PlanError, match="too far apart"):
        replay(times, speed=speed)
