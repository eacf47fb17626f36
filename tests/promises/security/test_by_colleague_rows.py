"""By a colleague: the records of a run that was sent are what a run can have measured, or refused."""

import json
import shutil
import tracemalloc
from datetime import datetime

import duckdb
import numpy as np
import pytest

from holymon.catalogue import listing
from holymon.errors import RunError
from holymon.load.run import attach
from holymon.records import parquet, run_folder
from holymon.records.attempt import DTYPE, blank
from holymon.records.frames import Frames, header
from holymon.records.journal import _SLOT
from holymon.records.records import Records

from . import samples
from .test_by_colleague_folder import received

ROWS = [
    ("target", 200, "a target that its plan has not"), ("error", 255, "does not know"),
    ("finish", 99, "does not know"), ("due_s", np.nan, "never due"), ("due_s", 1e300, "times that are none"),
    ("start_s", np.inf, "times that are none"), ("end_s", -1e12, "times that are none"),
    ("end_s", np.nan, "never ended"), ("start_s", np.nan, "never ended"), ("gap_max_s", 1e30, "times that are none"),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value", "said"), ROWS)
def test_a_row_that_no_run_measures_is_refused_in_a_journal_and_in_parquet(
    tmp_path, field, value, said
):
    row = blank(1)
    for name in ("due_s", "start_s", "end_s"):
        row[name] = 0.1
    row[field] = value
    folder = received(tmp_path)
    with (folder / "calls.0.journal").open("ab") as file:
        file.write(DTYPE.itemsize.to_bytes(2, "little") + row.tobytes())
    with pytest.raises(RunError, match=said):
        attach(str(folder))
    records = Records(run_folder.read_plan(folder).targets)
    records.append(row.tobytes(), b"", [0])
    parquet.write(folder, records)
    with pytest.raises(RunError, match=said):
        attach(str(folder))


KINDS = ["O", "U9", "V8", "(2,)f8", "f8,f8", "M8[ns]", "f16", "S300", "S0", "?", "c16", "(2000000000,)f8",
         "{'names': ['a'], 'formats': ['O']}", ["f8", 2], 8, None]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_journal_has_fields_of_known_kinds(kind):
    about = json.loads(header(0))
    for name in ("due_s", "request", "code"):
        fields = [[n, kind if n == name else k] for n, k in about["dtype"]]
        with pytest.raises(RunError, match="another version of holymon"):
            Frames().feed(json.dumps({**about, "dtype": fields}).encode() + b"\n")


def test_calls_under_way_are_those_that_can_be(tmp_path):
    folder = received(tmp_path)
    slots = [(11, 0, 0.1, 0.2), (12, 9, 0.1, 0.2), (13, 0, float("nan"), 0.2), (14, 0, 0.1, 1e300)]
    (folder / "calls.0.underway").write_bytes(b"".join(_SLOT.pack(*slot) for slot in slots))
    assert run_folder.load(folder)["request"].tolist() == [0, 1, 2, 10]


COLUMNS = [
    "'x'",
    "[1]",
    "{'a': 1}",
    "'\\xff'::BLOB",
    "-1",
    "1e300",
    "DATE '2026-01-01'",
    "1e999::DOUBLE",
]


@pytest.mark.parametrize("value", COLUMNS)
def test_columns_of_other_types_are_one_sentence(tmp_path, value):
    folder = received(tmp_path, compacted=True)
    for file, column in (("calls", "request"), ("gaps", '"row"')):
        path, kept = folder / f"{file}.parquet", folder / "kept.parquet"
        shutil.copy(path, kept)
        duckdb.execute(
            f"COPY (SELECT * REPLACE ({value} AS {column}) FROM (FROM '{kept}' UNION ALL BY NAME "
            f"SELECT 0 AS {column})) TO '{path}'"
        )
        with pytest.raises(RunError, match=f"{file}.parquet can't be read"):
            attach(str(folder))
        shutil.copy(kept, path)


def test_a_code_is_as_long_as_a_code_is(tmp_path):
    folder = received(tmp_path, compacted=True)
    path = folder / "calls.parquet"
    duckdb.execute(
        "CREATE OR REPLACE TEMP TABLE t AS SELECT * REPLACE (repeat('x', 100000) AS code) "
        f"FROM '{path}', range(100); COPY t TO '{path}' (COMPRESSION zstd)"
    )
    tracemalloc.start()
    records = run_folder.load(folder)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (len(records), set(records["code"].tolist())) == (300, {b"x" * 34})
    assert most < 300 * 100_000 * 0.6, "each of them once"


def test_codes_that_are_no_text_are_one_sentence(tmp_path):
    folder = received(tmp_path, compacted=True)
    path = folder / "calls.parquet"
    duckdb.execute(
        "CREATE OR REPLACE TEMP TABLE t AS SELECT * REPLACE ('ä' || request || 'longer than 12' AS code) "
        f"FROM '{path}'; COPY t TO '{path}' (COMPRESSION uncompressed)"
    )
    with pytest.raises(RunError, match="codes that are not ASCII"):
        attach(str(folder))
    path.write_bytes(path.read_bytes().replace("ä".encode(), b"\xff\xff"))
    with pytest.raises(RunError, match=r"calls\.parquet can't be read"):
        attach(str(folder))


@pytest.mark.parametrize("moment", ["9999-12-31T00:00:00+00:00", "0001-01-01T00:00:00+14:00", "2026-01-01",
                                    "1600-01-01T00:00:00+00:00"])  # fmt: skip
def test_a_moment_is_one_of_this_age_and_says_where(tmp_path, moment):
    folder = received(tmp_path)
    run_folder.write_state(folder, state="finished", started_at=moment, ended_at=moment)
    run = attach(str(folder))
    assert (run.status.get("started_at"), run.records.began) == (None, None)
    assert len(run.records.to_frame()) == 3
    assert listing.runs(tmp_path, since=datetime.now()) == []  # noqa: DTZ005 - a naive one, on purpose


def test_the_samples_of_fuzzing_are_those_of_a_run():
    assert {"plan.json", "state.json", "calls.0.journal", "calls.0.underway", "vitals.0.jsonl",
            "notes.0.jsonl", "run.json"} <= samples.run_files(compacted=False).keys()  # fmt: skip
