"""What answers told of limits is kept in a small file, and read back as data."""

import json

import pytest

from holymon.records.headroom import (
    LINES,
    MOST_BYTES,
    Headroom,
    HeadroomFile,
    Tally,
    headroom,
    in_a_line,
)


def written(folder, worker, *steps, hits=0):
    tally = Tally()
    file = HeadroomFile(folder, worker, tally)
    for k, remaining in enumerate(steps):
        tally.take(0, {"tokens": (1000.0, remaining, 6.0)})
        file.write(float(k))
    for _ in range(hits):
        tally.hit(0, "tokens")
    file.close(100.0 + worker)


def test_the_last_line_is_the_whole_truth_and_workers_are_put_together(tmp_path):
    written(tmp_path, 0, 900.0, 300.0, 700.0, hits=2)
    written(tmp_path, 1, 800.0, 600.0, hits=1)
    expected = Headroom(1000.0, 600.0, 300.0, 6.0, hits=3)
    assert headroom(tmp_path) == {0: {"tokens": expected}}
    assert in_a_line(headroom(tmp_path)[0]) == (
        "600 of 1,000 tokens left, 300 at the least, 3 refused for tokens"
    )


def test_where_no_answer_tells_there_is_no_file(tmp_path):
    written(tmp_path, 0)
    assert list(tmp_path.iterdir()) == []
    assert headroom(tmp_path) == {}


def test_where_no_file_can_be_made_the_run_goes_on_and_it_is_made_the_next_time(tmp_path):
    place, tally = tmp_path / "limits.0.jsonl", Tally()
    place.mkdir()
    file = HeadroomFile(tmp_path, 0, tally)
    tally.take(0, {"tokens": (1000.0, 900.0, 6.0)})
    file.write(0.0)
    place.rmdir()
    file.close(1.0)
    assert headroom(tmp_path)[0]["tokens"].remaining == 900.0


def test_a_week_takes_few_lines_and_a_flood_of_targets_few_bytes(tmp_path):
    tally = Tally()
    file = HeadroomFile(tmp_path, 0, tally)
    for second in range(10_000):
        tally.news = True
        tally.known.setdefault(0, {"tokens": Headroom(1.0, 1.0, 1.0, 1.0)})
        file.write(float(second))
    file.close(1e4)
    assert LINES * 4 < len((tmp_path / "limits.0.jsonl").read_bytes().splitlines()) < LINES * 6
    many = Tally()
    file = HeadroomFile(tmp_path, 1, many)
    for target in range(255):
        many.take(target, {f"kind_{'a' * k}": (1e15, 1e15, 1e15) for k in range(40)})
    for second in range(300):
        many.news = True
        file.write(float(second))
    file.close(300.0)
    assert (tmp_path / "limits.1.jsonl").stat().st_size < 3 * MOST_BYTES


@pytest.mark.parametrize(
    "line",
    [
        b"", b"\xff\xfe", b"[" * 5000, b"1", b"{}", b'{"t": 1}', b'{"t": 1, "limits": 5}',
        b'{"t": 1, "limits": {"x": {}}}', b'{"t": 1, "limits": {"0": 5}}',
        b'{"t": 1, "limits": {"0": {"tokens": [1]}}}', b'{"t": NaN, "limits": {}}',
        b'{"t": 1, "limits": {"0": {"tokens": 7}}}', b'{"t": 2, "limits": {"0": {"to',
    ],
)  # fmt: skip
def test_a_line_that_others_wrote_or_that_was_torn_is_passed_over(tmp_path, line):
    written(tmp_path, 0, 900.0)
    with (tmp_path / "limits.0.jsonl").open("ab") as file:
        file.write(line)
    assert headroom(tmp_path)[0]["tokens"].remaining == 900.0


def test_no_number_and_no_name_of_others_gets_through(tmp_path):
    bad = {"<b>": [1, 1, 1, 1, 1], "tokens": [1e300, -5, "9", None, True]}
    line = {"t": 1, "limits": {"0": bad}}
    (tmp_path / "limits.0.jsonl").write_text(json.dumps(line) + "\n")
    assert headroom(tmp_path) == {0: {"tokens": Headroom()}}
