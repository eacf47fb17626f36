"""What has ended is in the journal, whoever is killed and however full the disk is."""

import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holymon.errors import CODES
from holymon.plan.plan import Open, Plan, Target
from holymon.plan.shapes import constant
from holymon.records import run_folder
from holymon.records.appender import Appender
from holymon.records.attempt import Marks
from holymon.records.journal import (
    FEWEST_SLOTS,
    Follower,
    Journal,
    Underway,
)
from holymon.records.notes import FAILED_IDS, SLOWEST, WORDS_OF_A_KIND, lines, notes, request_ids
from holymon.records.records import Records

PLAN = Plan(
    targets=(Target(provider="url", model="m", base_url="http://127.0.0.1:1/v1"),),
    load=Open(constant(1)), requests=1,
)  # fmt: skip


def marks(number: int, error: str = "", message: str = "") -> Marks:
    made = Marks(number, 0, float(number))
    made.start, made.end, made.error, made.message = number + 0.1, number + 0.5, error, message
    return made


@pytest.fixture
def folder(tmp_path):
    run_folder.write_aside(tmp_path / "plan.json", PLAN.to_json())
    return tmp_path


def test_a_follower_sees_each_record_once(folder):
    written, records = Journal(folder, 0), Records(PLAN.targets)
    follower = Follower(folder, records)
    news = []
    for number in range(5):
        written.record(marks(number))
        news.append(follower.poll())
    assert news == [1] * 5
    assert follower.poll() == 0
    assert list(records["request"]) == list(range(5))
    written.close()


def test_journals_of_several_workers_are_one_run(folder):
    for worker in range(3):
        written = Journal(folder, worker)
        for number in range(worker, 30, 3):
            written.record(marks(number))
        written.close()
    assert sorted(run_folder.load(folder)["request"]) == list(range(30))


def test_times_are_counted_from_the_start_of_the_run(folder):
    written = Journal(folder, 0, zero=100.0)
    written.record(marks(101))
    written.close()
    (row,) = run_folder.load(folder).rows
    assert (row["due_s"], row["end_s"]) == (1.0, 1.5)


@pytest.mark.parametrize("cut", [1, 2, 60, 134])
def test_a_torn_last_record_costs_only_itself(folder, cut):
    written = Journal(folder, 0)
    for number in range(3):
        written.record(marks(number))
    written.close()
    path = folder / "calls.0.journal"
    path.write_bytes(path.read_bytes()[:-cut])
    assert list(run_folder.load(folder)["request"]) == [0, 1]


def test_a_full_disk_keeps_records_in_memory_and_says_so(tmp_path):
    # A limit on the size of files is what a process can be given of a full disk.
    script = textwrap.dedent("""
        import resource, sys
        from pathlib import Path
        from holymon.records.appender import Appender
        path = Path(sys.argv[1])
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
        file = Appender(path)
        for _ in range(15):
            file.write(b"x" * 99 + b"\\n")
        assert path.stat().st_size == 1000, path.stat().st_size
        assert "memory" in file.trouble, file.trouble
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        file.close()
    """)
    path = tmp_path / "file"
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert path.read_bytes() == (b"x" * 99 + b"\n") * 15


def left_under_way(folder) -> list[int]:
    """The numbers of the calls that a run that died now would leave unfinished."""
    records = Records(PLAN.targets)
    Follower(folder, records).unfinished(PLAN)
    assert set(records["error"]) <= {CODES["unfinished"]}
    return sorted(records["request"].tolist())


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 999))))
def test_what_was_sent_and_has_not_ended_is_on_disk_at_every_moment(steps):
    with tempfile.TemporaryDirectory() as name:
        slots, going = Underway(Path(name) / "calls.0.underway"), set()
        for begins, number in steps:
            if begins and number not in going:
                slots.begin(number, 0, 1.0, 1.5)
                going.add(number)
            elif not begins:
                slots.end(number)
                going.discard(number)
            assert left_under_way(Path(name)) == sorted(going)
        slots.close()


def test_there_is_room_for_any_number_of_calls_under_way(folder):
    slots = Underway(folder / "calls.0.underway")
    for number in range(3 * FEWEST_SLOTS):
        slots.begin(number, 0, 1.0, 1.5)
    assert left_under_way(folder) == list(range(3 * FEWEST_SLOTS))
    slots.close()


def test_calls_under_way_for_which_the_disk_has_no_room_are_left_out(folder):
    script = textwrap.dedent("""
        import resource, sys
        from pathlib import Path
        from holymon.records.journal import FEWEST_SLOTS, Underway
        resource.setrlimit(resource.RLIMIT_FSIZE, (FEWEST_SLOTS * 24, resource.RLIM_INFINITY))
        slots = Underway(Path(sys.argv[1]))
        for number in range(4 * FEWEST_SLOTS):
            slots.begin(number, 0, 1.0, 1.5)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        for number in range(4 * FEWEST_SLOTS - 1):
            slots.end(number)
        slots.begin(9999, 0, 1.0, 1.5)
        slots.begin(9998, 0, 1.0, 1.5)
    """)
    path = folder / "calls.0.underway"
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert left_under_way(folder) == [9998, 9999]


def test_no_file_is_written_over(tmp_path):
    Appender(tmp_path / "file").close()
    with pytest.raises(FileExistsError):
        Appender(tmp_path / "file")


def test_notes_are_bounded_by_kind(folder):
    written = Journal(folder, 0)
    for number in range(50):
        written.record(marks(number, "server_error", f"it broke {number}"))
    written.record(marks(50, "rate_limited", "slow down"))
    written.close()
    kinds = [note["error_type"] for note in notes(folder)]
    assert kinds == ["server_error"] * WORDS_OF_A_KIND + ["rate_limited"]


def test_ids_of_servers_are_kept_of_failures_and_of_the_slowest_and_are_bounded(folder):
    written = Journal(folder, 0)
    for number in range(3000):
        call = marks(number, "server_error" if number % 2 else "")
        call.end = call.start + (1 + number % 7) / 10
        call.request_id = f"req-{number}"
        written.record(call)
    written.close()
    ids = request_ids(folder)
    assert all(name == f"req-{number}" for number, name in ids.items())
    failed = [number for number in ids if number % 2]
    assert failed == list(range(1, 2 * FAILED_IDS, 2))
    slowest = [number for number in range(0, 3000, 2) if number % 7 == 6][:SLOWEST]
    assert set(slowest) <= set(ids)
    assert len(ids) - len(failed) < 5 * SLOWEST
    assert notes(folder) == [], "an id alone is no word"


def test_where_the_longest_gap_was_is_kept_of_a_server_that_gives_no_ids(folder):
    written = Journal(folder, 0)
    for number in range(3000):
        call = marks(number, "stream_stalled" if number % 100 == 99 else "")
        call.end = call.start + (1 + number % 7) / 10
        call.gap_at = call.start + 0.25
        written.record(call)
    written.close()
    at = {line["request"]: line["gap_at_s"] for line in lines(folder)}
    assert set(at.values()) == {0.25}
    slow = [number for number in range(6, 3000, 7) if number % 100 != 99]
    assert {*range(99, 3000, 100), *slow[:SLOWEST]} <= set(at)
    assert len(at) < 30 + 5 * SLOWEST


def test_calls_of_which_nothing_is_to_be_told_are_no_lines_and_take_no_room(folder):
    written = Journal(folder, 0)
    for number in range(2 * FAILED_IDS):
        written.record(marks(number, "server_error"))
    last = marks(5000, "server_error")
    last.request_id = "req-5000"
    written.record(last)
    written.close()
    assert [line["request"] for line in lines(folder)] == [5000]


def test_an_id_that_holds_a_key_is_kept_without_it(folder):
    key = "sk-canary-1234567890abcdef"
    written = Journal(folder, 0, masked=lambda text: text.replace("canary7", "***"))
    for number, sent in enumerate((f"req {key}", "a-canary7-b", "x" * 5000, "a\nb")):
        call = marks(number)
        call.request_id = sent
        written.record(call)
    written.close()
    ids = request_ids(folder)
    assert (ids[0], ids[1], len(ids[2]), ids[3]) == ("req ***", "a-***-b", 200, "a b")
