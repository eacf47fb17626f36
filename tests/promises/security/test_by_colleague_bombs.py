"""What a colleague hands over is read within bounds, or refused in a sentence; never a traceback."""

import os
import time

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import holymon as hm
from holymon.plan import given_file, prompts, replay_file, targets
from holymon.records import parquet, run_folder
from holymon.records.records import Records
from holymon.report.report import _harmless

from .readers import READERS, reads, written


@pytest.mark.parametrize("name", READERS)
def test_nothing_that_is_read_ends_in_a_traceback(name, tmp_path):
    few = 4 if name == "a notebook" else 60

    @settings(max_examples=few, deadline=None, database=None,
              suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
    @given(data=st.deferred(lambda: written(name)))
    def read(data):
        reads(name, tmp_path, data)

    read()


@pytest.mark.parametrize("read", [prompts.from_file, replay_file.replay, targets.providers_in])
def test_what_is_no_file_is_refused_at_once(read, tmp_path):
    fifo, huge = tmp_path / "fifo", tmp_path / "huge"
    os.mkfifo(fifo)
    with huge.open("wb") as file:
        file.truncate(2**40)
    begun = time.perf_counter()
    for path in ("/dev/zero", tmp_path, huge):
        with pytest.raises(hm.HolymonError, match="can't read"):
            read(type(tmp_path)(path))
    if read is not targets.providers_in:
        with pytest.raises(hm.HolymonError, match="holds no"):
            read(fifo)
    assert time.perf_counter() - begun < 5


def test_a_pipe_of_a_shell_is_read_and_a_silent_one_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(given_file, "PATIENCE_S", 0.2)
    there, here = os.pipe()
    os.write(here, b'"one"\n')
    with pytest.raises(hm.ConfigError, match="nothing came"):
        prompts.from_file(type(tmp_path)(f"/dev/fd/{there}"))
    os.write(here, b'"one"\n')
    os.close(here)
    assert prompts.from_file(type(tmp_path)(f"/dev/fd/{there}")) == ("one",)
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


def test_a_run_s_file_has_an_end(tmp_path):
    folder = tmp_path / "x" / "20260101T000000Z"
    folder.mkdir(parents=True)
    with (folder / "plan.json").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(hm.HolymonError, match="is over"):
        run_folder.read_plan(folder)


def test_styles_without_an_end_are_looked_at_once():
    begun = time.perf_counter()
    assert "visible" in _harmless("visible" + "<style " * 100_000)
    assert time.perf_counter() - begun < 5
