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
def test_gaps_are_kept_to_the_microsecond(times):
    played = replay(times).times
    ordered = sorted(times)
    assert played == pytest.approx([t - ordered[0] for t in ordered], rel=0, abs=0.51e-6)
    assert played == tuple(round(t, 6) for t in played)


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


@pytest.mark.parametrize(
    ("name", "text", "times"),
    [
        ("one.csv", "5\n", (0,)),
        ("blank.csv", "time\n\n1\n\n3\n", (0, 2)),
        ("head.csv", " Time , x\n1,9\n3,9\n", (0, 2)),
        ("two.csv", "start_s,timestamp\n9,1\n9,3\n", (0, 2)),  # the better known name wins
        ("first.csv", "1,9\n3,8\n", (0, 2)),
        ("naive.csv", "t\n2026-01-31T08:00:00\n2026-01-31T08:00:02Z\n", (0, 2)),
        ("odd.json", '{"start_s": 9, "time": 1}\n{"time": 3}\n', (0, 2)),
        ("lines.NDJSON", "1\n3\n", (0, 2)),
        ("text.jsonl", '"1"\n"3.5"\n', (0, 2.5)),
    ],
)
def test_more_forms_of_files(tmp_path, name, text, times):
    (tmp_path / name).write_text(text)
    assert replay(tmp_path / name).times == times


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("short.csv", "x,time\n1,1\n2\n", "line 3 holds no time"),
        ("blank.csv", "time\n\n1\nsoon\n", "line 4 holds no time"),
        ("bare.csv", "1\n2\nx\n", "line 3 holds no time"),
        ("bool.jsonl", "1\ntrue\n", "line 2 holds no time"),
        ("none.jsonl", '\n{"x": 1}\n', "line 2 holds no time"),
        ("list.jsonl", "[1]\n", "line 1 holds no time"),
    ],
)
def test_the_line_without_a_time_is_named(tmp_path, name, text, said):
    (tmp_path / name).write_text(text)
    with pytest.raises(PlanError, match=said):
        replay(tmp_path / name)


def test_times_are_played_faster_or_slower_by_any_finite_speed():
    assert replay([1, 2, 5], speed=2).times == (0, 0.5, 2)
    assert replay([1, 2, 5], speed=0.5).times == (0, 2, 8)
    for wrong in (0, -1, float("inf"), float("nan")):
        with pytest.raises(PlanError, match="speed is"):
            replay([1, 2], speed=wrong)
