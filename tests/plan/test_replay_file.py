"""Recorded traffic in the forms people have it becomes times from 0 on, order and gaps kept."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holymon.errors import ConfigError, PlanError
from holymon.plan.replay_file import replay

FILES = {
    "azure.csv": "TIMESTAMP,ContextTokens\n2023-11-16 18:17:03.5,4\n2023-11-16 18:17:04.0,2\n2023-11-16 18:17:05.5,2\n",
    "plain.csv": "100.5\n101\n102.5\n",
    "second.csv": "id,time\na,7\nb,7.5\nc,9\n",
    "lines.jsonl": '{"timestamp": 3}\n{"timestamp": 3.5, "x": 1}\n\n{"timestamp": 5}\n',
    "numbers.jsonl": "1e3\n1000.5\n1002\n",
    "dates.jsonl": '"2026-01-31T08:00:00Z"\n"2026-01-31T08:00:00.5Z"\n"2026-01-31T09:00:02+01:00"\n',
    "unsorted.csv": "t\n2\n0\n0.5\n",
    "mark.csv": "\ufefftimestamp\n0\n0.5\n2\n",
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_forms_of_files(tmp_path, name):
    (tmp_path / name).write_text(FILES[name], "utf-8")
    assert replay(tmp_path / name).times == pytest.approx((0, 0.5, 2))


def test_a_trace_in_milliseconds(tmp_path):
    (tmp_path / "mooncake.jsonl").write_text('{"timestamp": 27000}\n{"timestamp": 27500}\n')
    assert replay(str(tmp_path / "mooncake.jsonl"), speed=1000).times == (0, 0.5)


@given(st.lists(st.floats(0, 6e5), min_size=1, max_size=50))
def test_gaps_are_kept(times):
    played = replay(times).times
    ordered = sorted(times)
    assert played == tuple(t - ordered[0] for t in ordered)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no times"),
        ("name,age\na,1\n", "no column of times"),
        ("time\n1\nsoon\n", "line 3 holds no time"),
        ("time\n1\nnan\n", "not a finite number"),
    ],
)
def test_what_is_no_trace(tmp_path, text, said):
    path = tmp_path / "trace.csv"
    path.write_text(text)
    with pytest.raises(PlanError, match=said):
        replay(path)


def test_lines_that_are_not_json_and_files_that_are_not_there(tmp_path):
    path = tmp_path / "trace.jsonl"
    path.write_text(json.dumps({"time": 1}) + "\n{oops\n")
    with pytest.raises(PlanError, match="line 2 is not JSON"):
        replay(path)
    with pytest.raises(ConfigError, match="can't read times"):
        replay(tmp_path / "none.csv")
    with pytest.raises(PlanError, match="speed is 0"):
        replay([1, 2], speed=0)
