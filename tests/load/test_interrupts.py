"""A signal that comes while something is begun or written is handed on at its end."""

import signal

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
