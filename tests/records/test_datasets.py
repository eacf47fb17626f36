"""What was recorded is a load: a run's calls and what a monitor spilled, by sizes and arrivals."""

from pathlib import Path

import duckdb
import numpy as np
import pytest

from holymon.errors import ConfigError, HolymonError, PlanError, RunError
from holymon.plan.target import Target
from holymon.records.attempt import DTYPE, Flag, blank
from holymon.records.datasets import dataset
from holymon.records.parquet import spill
from holymon.records.records import Records

TARGETS = (Target(provider="p", model="m"),)


def recorded(began: float, dues, **columns) -> Records:
    """Records of calls that were due at these seconds."""
    rows = blank(len(dues))
    rows["due_s"] = rows["start_s"] = dues
    rows["request"] = np.arange(len(dues))
    for name, values in columns.items():
        rows[name] = values
    records = Records(TARGETS, began)
    records.extend(rows, np.empty(0, [("bin", "u2"), ("n", "u2")]), np.zeros(len(dues), np.int64))
    return records


def test_what_a_monitor_spilled_becomes_a_load_by_sizes_and_arrivals(tmp_path):
    spill(recorded(1000.0, [0.5, 3.0, 4.0, 4.5], prompt_tokens=[30, 40, -1, 50],
                   output_tokens=[5, 0, 6, 7], attempt=[0, 0, 0, 1]), tmp_path)  # fmt: skip
    spill(recorded(990.0, [12.0, 1.0], prompt_tokens=[60, 70], output_tokens=[-1, 8]), tmp_path)
    made = dataset(tmp_path)
    assert [(r.prompt_tokens, r.max_tokens) for r in made] == [
        (70, 8),
        (30, 5),
        (60, None),
        (40, None),
    ]
    assert made.replay().times == pytest.approx((0.0, 9.5, 11.0, 12.0), abs=1e-5)
    assert made.left_out == "1 that were asked again; 1 whose tokens no server counted"
    assert (made.kind, made.own) == ("recorded calls", False)
    (one, _) = sorted(tmp_path.glob("calls-*.parquet"), key=lambda path: -path.stat().st_size)
    assert len(dataset(one)) in {2, 3}


def test_a_folder_or_a_file_without_such_calls_is_said(tmp_path):
    with pytest.raises(ConfigError, match="is no run, and holds nothing that a monitor spilled"):
        dataset(tmp_path)
    spill(recorded(0.0, [1.0]), tmp_path)
    with pytest.raises(PlanError, match="no call of which a server counted the tokens"):
        dataset(tmp_path)
    (tmp_path / "x.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(RunError, match=r"x\.parquet"):
        dataset(tmp_path / "x.parquet")


@pytest.mark.parametrize(
    ("sql", "column", "expected"),
    [
        ("SELECT 'a' || i AS prompt, i AS id FROM range(3) t(i)", "", ["a0", "a1", "a2"]),
        ("SELECT 'a' AS prompt, 'b' AS text", "text", ["b"]),
        ("SELECT [{'role': 'user', 'content': 'hi'}] AS messages", "", ["hi"]),
        ("SELECT [{'from': 'human', 'value': 'go'}] AS conversations", "", ["go"]),
        ("SELECT NULL AS prompt UNION ALL SELECT 'x'", "", ["x"]),
    ],
)
def test_parquet_has_its_prompts_in_a_column(tmp_path, sql, column, expected):
    path = tmp_path / "p.bin"
    duckdb.execute(f"COPY ({sql}) TO '{path}' (FORMAT parquet)")
    assert sorted(request.text for request in dataset(path, column=column)) == expected


def test_a_table_of_parquet_without_one_column_to_ask_is_said(tmp_path):
    path = tmp_path / "p.parquet"
    duckdb.execute(f"COPY (SELECT 1 AS prompt, 2 AS text) TO '{path}' (FORMAT parquet)")
    with pytest.raises(PlanError, match="several columns that may be it"):
        dataset(path)
    with pytest.raises(PlanError, match="row 1 is no request"):
        dataset(path, column="text")
    with pytest.raises(PlanError, match="no column 'words'"):
        dataset(path, column="words")


def test_flags_and_attempts_are_columns_of_ours():
    assert {"due_s", "prompt_tokens", "output_tokens", "attempt"} <= set(DTYPE.names)
    assert Flag.WARMUP == 1


FIXTURES = Path(__file__).parent / "fixtures"


@pytest.mark.parametrize("name", ["finished", "two", "killed", "monitor_spill"])
def test_runs_and_spilled_files_of_earlier_versions_become_a_load(name):
    (place,) = [FIXTURES / name] if name == "monitor_spill" else (FIXTURES / name).iterdir()
    made = dataset(place)
    assert made.kind == "recorded calls"
    assert made.requests > 3
    assert made.replay().times[-1] > 0
    assert all(request.prompt_tokens and request.max_tokens for request in made)


def test_the_calls_of_a_run_are_the_same_from_its_folder_and_from_its_file():
    (folder,) = (FIXTURES / "finished").iterdir()
    of_folder, of_file = dataset(folder), dataset(folder / "calls.parquet")
    assert of_folder.digest == of_file.digest


# The name of a column, what it holds, and the name of a field inside.
@pytest.mark.parametrize("text", [b"prompt", b"a0", b"deep"])
def test_text_that_is_no_utf_8_in_parquet_is_told_in_a_sentence(tmp_path, text):
    path = tmp_path / "r.parquet"
    duckdb.execute(
        f"COPY (SELECT 'a' || i AS prompt, {{deep: i}} AS s FROM range(9) t(i)) TO '{path}'"
    )
    whole = path.read_bytes()
    assert text in whole
    path.write_bytes(whole.replace(text, b"\xff" * len(text)))
    with pytest.raises(HolymonError, match=r"r\.parquet"):
        [request.turns() for request in dataset(path)]
