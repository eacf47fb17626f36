"""A test that wants a quiet machine blames the product in quiet only, and is never passed over in silence."""

import subprocess
import sys
import time

import pytest

from tests.quiet import NOISE, Machine, busy_s, fit, ours_s


def machine(*shares):
    """Others that had these shares of a core, one measurement after the other."""
    left = iter(shares)
    return type("Watched", (), {"others": lambda _: next(left)})


def test_what_holds_is_taken_at_once():
    assert fit(lambda: 3, lambda found: found == 3, machine=machine()) == 3


def test_noise_is_tried_again():
    found = iter((1, 2, 3, 4))
    assert fit(found.__next__, lambda n: n == 4, machine=machine(0.9, 0.0, 0.0)) == 4


def test_what_never_holds_in_quiet_is_handed_back_to_fail_on():
    found = iter(range(9))
    assert fit(found.__next__, lambda n: False, machine=machine(0.01, 0.5, 0.02, 0.03)) == 3


def test_a_machine_that_is_never_quiet_is_said_in_words():
    with pytest.raises(pytest.xfail.Exception, match=r"not decided.*\(90% of a core\): late"):
        fit(lambda: "late", lambda _: False, seconds=-1, machine=machine(0.9))


def test_another_process_is_seen_and_our_own_work_is_not_taken_for_its():
    spin = "import time\nend = time.process_time() + 0.5\nwhile time.process_time() < end: pass"
    before, ours = busy_s(), ours_s()
    subprocess.run([sys.executable, "-c", spin], check=True)
    assert ours_s() - ours >= 0.4
    assert busy_s() - before >= 0.4
    # Whose parent is no one of ours: nobody below this process.
    watched, begun = Machine(), time.monotonic()
    subprocess.run(["setsid", "--fork", sys.executable, "-c", spin], check=True)
    while watched.others() * (time.monotonic() - begun) < 0.3:
        assert time.monotonic() - begun < 30
        time.sleep(0.02)
    assert watched.others() > 0
    assert NOISE < 1
