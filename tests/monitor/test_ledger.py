"""Rows in bounded memory: none is lost on the way to the sums, whoever adds them."""

import gc
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from holymon.monitor.ledger import Ledger
from holymon.plan.plan import Target
from holymon.records.attempt import Flag, Marks

TARGET = Target(provider="sim", model="a")


def attempt(ledger, *, error="", status=200, took=0.1):
    one = Marks(ledger.number(), ledger.index(TARGET), time.perf_counter())
    one.start, one.end = one.due, one.due + took
    one.error, one.status = error, status
    return one


def requests(ledger):
    found = ledger.totals().targets.get("sim/a")
    return 0 if found is None else sum(found.requests.values())


@pytest.mark.parametrize("keep", [1, 7, 100, 1000])
def test_memory_is_bounded_and_the_sums_are_whole(keep):
    ledger, many = Ledger(keep=keep), max(400, 2 * keep)
    for n in range(1, many + 1):
        ledger.add(attempt(ledger))
        if n % 97 == 0:
            assert len(ledger.records()) <= keep
            assert requests(ledger) == n
    numbers = ledger.records()["request"]
    assert list(numbers) == sorted(numbers)
    assert keep // 2 <= len(numbers) <= keep


def test_many_threads_add_and_look_at_once():
    ledger = Ledger(keep=500)

    def add(_):
        for n in range(2000):
            ledger.add(attempt(ledger))
            if n % 400 == 0:
                ledger.records()
                ledger.totals()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(8)))
    assert requests(ledger) == 16_000
    assert len(set(ledger.records()["request"])) == len(ledger.records()) <= 500


def test_streams_left_in_the_garbage_may_end_while_it_is_read():
    ledger = Ledger(keep=8)
    before = gc.get_threshold()

    def left():
        try:
            yield
        finally:
            ledger.add(attempt(ledger))

    def leave_and_look():
        for allocations in range(1, 200):
            gc.disable()
            garbage = [left()]
            next(garbage[0])
            garbage.append(garbage)
            del garbage
            gc.set_threshold(gc.get_count()[0] + allocations, 1, 1)
            gc.enable()
            ledger.records()
            ledger.totals()

    reader = threading.Thread(target=leave_and_look, daemon=True)
    try:
        reader.start()
        reader.join(20)
    finally:
        gc.set_threshold(*before)
        gc.enable()
    assert not reader.is_alive(), "it waits for itself"
    gc.collect()
    assert requests(ledger) == 199


def test_blocks_that_are_too_old_need_not_be_copied():
    ledger = Ledger(keep=80)
    for _ in range(77):
        ledger.add(attempt(ledger))
    every = ledger.records()
    for k in (0, 9, 40, 76):
        found = ledger.records(float(every["end_s"][k]))
        assert list(found["request"]) == list(range(k - k % 10, 77))
    assert len(ledger.records(1e9)) == 0


def test_old_rows_leave_by_their_age():
    ledger = Ledger(keep_s=0.2)
    for _ in range(50):
        ledger.add(attempt(ledger, took=0.0))
    assert len(ledger.records()) == 50
    time.sleep(0.3)
    assert len(ledger.records()) == 0
    assert requests(ledger) == 50


def test_what_is_held_open_is_seen_but_is_no_request_yet():
    ledger = Ledger()
    one = attempt(ledger, error="unavailable", status=503)
    ledger.hold(one, time.perf_counter() + 60)
    assert ledger.records()["flags"][0] & Flag.UNDECIDED
    assert requests(ledger) == 0
    ledger.settle(one.request, retried=True)
    assert ledger.records()["flags"][0] & Flag.RETRIED
    assert requests(ledger) == 0
    ledger.settle(one.request, retried=True)
    assert len(ledger.records()) == 1


def test_what_nobody_settles_is_settled_by_time():
    ledger = Ledger()
    ledger.hold(attempt(ledger, error="unavailable", status=503), time.perf_counter() + 0.05)
    assert requests(ledger) == 0
    time.sleep(0.06)
    assert requests(ledger) == 1


def test_sums_only_grow():
    ledger, before = Ledger(keep=50), 0
    for n in range(1000):
        one = attempt(ledger, error="unavailable", status=503)
        if n % 3:
            ledger.hold(one, time.perf_counter() + 60)
            ledger.settle(one.request, retried=bool(n % 2))
        else:
            ledger.add(one)
        if n % 50 == 0:
            now = requests(ledger)
            assert now >= before
            before = now


def test_a_disk_that_can_not_be_written_costs_no_memory_and_no_sum(tmp_path):
    (tmp_path / "file").write_text("")
    ledger = Ledger(keep=50, folder=tmp_path / "file" / "below")
    for _ in range(300):
        ledger.add(attempt(ledger))
    ledger.flush()
    assert (requests(ledger), ledger.spilled, ledger.lost) == (300, 0, 300)


def test_what_is_spilled_as_the_interpreter_ends_is_on_disk(tmp_path):
    script = (
        "import atexit, pathlib, sys; from holymon.monitor.ledger import Ledger; "
        "from holymon.records.attempt import Marks; from holymon.plan.plan import Target; "
        "ledger = Ledger(folder=pathlib.Path(sys.argv[1])); atexit.register(ledger.flush); "
        "target = ledger.index(Target(provider='sim', model='a')); "
        "ledger.add(Marks(ledger.number(), target, 0.0))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path], capture_output=True, text=True, timeout=60,
        check=True,
    )  # fmt: skip
    assert not done.stderr
    assert len(list(tmp_path.glob("calls-*.parquet"))) == 1
