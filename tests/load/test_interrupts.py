"""A signal while something is begun, written or imported is handed on at its end."""

import signal
import subprocess
import sys

import pytest

from holymon.load.interrupts import deferred, interruptible


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_waits_for_the_end_and_goes_to_whom_it_was_meant_for(number):
    came, done = [], []
    before = signal.signal(number, lambda *_: came.append(number))
    try:
        with deferred():
            signal.raise_signal(number)
            done.append(list(came))
        assert (done, came) == ([[]], [number])
        signal.signal(number, signal.SIG_IGN)
        with deferred():
            signal.raise_signal(number)
        assert signal.getsignal(number) is signal.SIG_IGN, "who ignores it still does"
    finally:
        signal.signal(number, before)


def test_in_a_command_it_interrupts_after_what_is_deferred_and_a_second_one_at_once():
    done = []
    with pytest.raises(KeyboardInterrupt), interruptible():
        with deferred():
            signal.raise_signal(signal.SIGTERM)
            done.append("whole")
        done.append("not this")
    with pytest.raises(KeyboardInterrupt), interruptible(), deferred():
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        done.append("nor this")
    assert done == ["whole"]


IMPORTS = """
import importlib, os, signal, sys, threading, time
from holymon.load.interrupts import interruptible

def load(names):
    for name in names:
        sys.modules.pop(name, None)
        importlib.import_module(name)

def another(names):
    while True:
        load(names)

def shoot():
    while True:
        time.sleep(0.01)
        if begun:
            begun.clear()
            signal.raise_signal(signal.SIGTERM)

begun, hits, until = [], 0, time.monotonic() + 8
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for names in (["colorsys"], ["stat"], ["keyword"]):
    threading.Thread(target=another, args=(names,), daemon=True).start()
threading.Thread(target=shoot, daemon=True).start()
while hits < 25 and time.monotonic() < until:
    try:
        with interruptible():
            begun.append(1)
            while True:
                load(["opcode", "bdb"])
    except KeyboardInterrupt:
        hits += 1
    done = threading.Event()
    def one():
        load(["cmd"])
        done.set()
    threading.Thread(target=one, daemon=True).start()
    if not done.wait(30):
        print(f"no import ends after {hits} signals", flush=True)
        os._exit(1)
print(hits, flush=True)
os._exit(0)
"""


def test_a_signal_while_modules_are_imported_leaves_no_lock_for_which_all_wait_for_ever():
    done = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True,
                          timeout=60, check=False)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert int(done.stdout) > 0
