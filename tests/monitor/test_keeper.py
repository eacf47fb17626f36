"""One file keeps a move for all its processes, and whatever becomes of the file, calls go on."""

import logging
import resource
import time

import msgspec
import pytest

import holymon as hm
from holymon.figures.gate import Margins
from holymon.monitor import keeper as module
from holymon.monitor import route_file
from holymon.monitor.course import MoveSteps
from holymon.monitor.keeper import Keeper
from holymon.monitor.route import FORMAT
from holymon.monitor.route_file import decode
from holymon.plan.price import Price
from holymon.plan.target import Target
from holymon.records.attempt import Flag, Marks
from tests.promises.faults.server import answer, completion

NAMES = ("old/m", "new/m")


def keeper(path, names=NAMES, **course):
    made = {
        "shadow": 0.0,
        "steps": (0.5, 1.0),
        "min_calls": 10,
        "min_s": 0,
        "block_s": 0.0,
    } | course
    margins = Margins(errors=0.5, slower=5.0, drift=1.0)
    return Keeper(path, MoveSteps(margins=margins, **made), names, lambda _: Price())


def blocks(kept, n=1):
    """So many blocks of ten good calls of each side, and what the file says of them."""
    for _ in range(n):
        for side in ("baseline", "candidate") * 10:
            marks = Marks(0, 0, 0.0)
            marks.side, marks.start, marks.first, marks.end = side, 0.0, 0.05, 0.1
            marks.output_tokens, marks.finish, marks.flags = 9, "stop", int(Flag.SERVER_TOKENS)
            kept.note(marks)
        kept.flush()
    return kept.route


def test_two_machines_whose_clocks_are_an_hour_apart_keep_one_time(tmp_path, monkeypatch):
    """The file's: neither passes a step too early, and neither waits for the other's future."""
    ours = keeper(tmp_path / "r.json", min_s=30.0)
    blocks(ours, 2)
    now = time.time
    for apart in (3600, -3600):
        monkeypatch.setattr(module.time, "time", lambda apart=apart: now() + apart)
        theirs = keeper(tmp_path / "r.json", min_s=30.0)
        assert blocks(theirs).waits.endswith(" of 30 s")
        monkeypatch.undo()
    assert blocks(ours).totals == {"baseline": 50, "candidate": 50}
    assert ours.route.history[0].at[:13] == time.strftime("%Y-%m-%dT%H", time.gmtime())


def test_a_clock_that_was_set_back_stops_no_move(tmp_path):
    kept = keeper(tmp_path / "r.json")
    blocks(kept, 3)  # the first ones tell what is slow
    at = msgspec.structs.replace(kept.route.gate, since=9e9, block_since=9e9)
    route_file.change(kept.path, lambda route, _: msgspec.structs.replace(route, gate=at))
    assert blocks(kept).gate.blocks[0] == at.blocks[0] + 1


def test_what_an_older_holymon_wrote_is_read_and_what_a_later_one_wrote_is_left(tmp_path, caplog):
    kept = keeper(tmp_path / "r.json")
    written = msgspec.json.decode(kept.path.read_bytes())
    old = {k: written[k] for k in ("baseline", "candidate", "phase", "share", "shadow", "gate")}
    kept.path.write_bytes(msgspec.json.encode(old))
    assert blocks(kept).totals == {"baseline": 10, "candidate": 10}
    later = msgspec.json.encode(written | {"format": FORMAT + 1, "news": []})
    kept.path.write_bytes(later)
    with caplog.at_level(logging.WARNING, "holymon"):
        blocks(kept, 3)
    assert (kept.share, kept.path.read_bytes()) == (0.0, later)
    assert [record.message for record in caplog.records] == [
        f"{kept.path} was written by a later holymon: only the baseline is called by this one, "
        "until it is as new."
    ]
    kept.path.write_bytes(msgspec.json.encode(old))
    assert blocks(kept).totals == {"baseline": 40, "candidate": 40}  # nothing was lost meanwhile


def test_a_file_that_became_that_of_another_move_is_a_problem_and_no_crash(tmp_path, caplog):
    kept, other = keeper(tmp_path / "r.json"), keeper(tmp_path / "o.json", ("old/m", "third/m"))
    other.path.replace(kept.path)
    with caplog.at_level(logging.WARNING, "holymon"):
        blocks(kept, 3)
    assert (kept.share, len(caplog.records)) == (0.0, 1)
    assert "is of the move from old/m to third/m: name another file" in kept.problem


def test_two_that_want_it_by_other_steps_are_told_once_and_one_that_follows_another_is_not(
    tmp_path, caplog
):
    with caplog.at_level(logging.WARNING, "holymon"):
        ours = keeper(tmp_path / "r.json")
        blocks(ours, 2)
        theirs = keeper(tmp_path / "r.json", steps=(0.2, 1.0))  # as after a new release
        blocks(theirs, 2)
        assert caplog.records == []
        for each in (ours, theirs) * 2:
            blocks(each)
    words = f"{ours.path} is led by another process, too, with other steps, objectives or margins"
    assert [record.message.partition(":")[0] for record in caplog.records] == [words] * 2


def test_a_full_disk_means_the_baseline_only_and_loses_no_count(tmp_path, caplog):
    kept, before = keeper(tmp_path / "r.json"), (tmp_path / "r.json").read_bytes
    known, free = before(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, free[1]))
    try:
        with caplog.at_level(logging.WARNING, "holymon"):
            for _ in range(3):
                blocks(kept)
                assert (kept.share, kept.shadow) == (0.0, 0.0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, free)
    assert before() == known
    assert list(tmp_path.glob(".r.json.*")) == [tmp_path / ".r.json.lock"]
    assert [record.message for record in caplog.records] == [
        f"{kept.path} can't be written: File too large; only the baseline is called until that is "
        "mended."
    ]
    assert (blocks(kept).totals, kept.problem) == ({"baseline": 40, "candidate": 40}, "")
    assert kept.share == 0.5


@pytest.mark.parametrize("where", ["folder", "nowhere/route.json", "link.json"])
def test_a_state_that_cannot_be_kept_leaves_calls_to_the_baseline(server, tmp_path, where, caplog):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.json").symlink_to(tmp_path / "other.json")
    old, new = server([answer(completion())]), server([answer(completion())])
    sides = (Target(provider=name, model="m", base_url=at.url)
             for name, at in (("old", old), ("new", new)))  # fmt: skip
    with (
        caplog.at_level(logging.WARNING, "holymon"),
        hm.Router(*sides, state=tmp_path / where, shadow=1.0) as r,
    ):
        assert [r.chat("hi").text for _ in range(3)] == ["Hello"] * 3
        r.move.keeper.flush()
        assert r.share == 0.0
        assert "baseline only" in repr(r)
        assert "only the baseline is called" in r.problem
        assert "baseline only: " in r.table.text()
    assert (len(old.seen), len(new.seen), len(caplog.records)) == (3, 0, 1)


def test_a_call_after_the_end_keeps_on(server, tmp_path):
    old, new = server([answer(completion())]), server([answer(completion())])
    sides = (Target(provider=name, model="m", base_url=at.url)
             for name, at in (("old", old), ("new", new)))  # fmt: skip
    r = hm.Router(*sides, state=tmp_path / "r.json", shadow=0.0, steps=(1.0,), block_s=0.05)
    for n in (1, 2):
        assert r.chat("hi").text == "Hello"
        until = time.monotonic() + 10
        while decode((tmp_path / "r.json").read_bytes()).totals != {"candidate": n}:
            assert time.monotonic() < until
            time.sleep(0.01)
        r.close()
        r.close()
