"""Whether this machine was quiet: what a test asks before it calls a client's trouble a fault.

Others use the machine that the tests run on, and a client that they disturb must say so: that is
what holymon promises. So a test that wants a fit client looks at the machine beside it, tries
again, and blames the product only for what happens again and again while the others rest.
"""

import time

import psutil
import pytest

# Of one core's time: more than that for others, and a client may wait or wake late for them.
NOISE = 0.05
# A quiet machine's own services wake now and then: only what happens again is the product's.
TRIES = 3


class Machine:
    """The cores of this machine, watched since this was made."""

    def __init__(self):
        self._begun, self._busy, self._ours = time.monotonic(), busy_s(), ours_s()

    def others(self) -> float:
        """The share of one core that others had: not this process, nor what it started."""
        theirs = busy_s() - self._busy - (ours_s() - self._ours)
        return theirs / (time.monotonic() - self._begun)


def busy_s() -> float:
    """Seconds that all cores have worked, or were kept from us by the host."""
    names = ("user", "nice", "system", "irq", "softirq", "steal")
    return sum(getattr(psutil.cpu_times(), name, 0.0) for name in names)


def ours_s() -> float:
    """Seconds that this process and all below it have worked, ended ones included."""
    own, spent = psutil.Process(), 0.0
    for process in (own, *own.children(recursive=True)):
        try:
            spent += sum(process.cpu_times()[:4])
        except psutil.NoSuchProcess:  # its parent, which waited for it, counts it from now on
            continue
    return spent


def fit(measure, holds, *, seconds=45, machine=Machine):
    """What `measure()` gives, as soon as `holds` of it is true.

    It is measured again while it isn't, for so many seconds; the last one is handed back, for the
    test to fail on, if it was so in quiet each of three times. A machine that never was quiet
    shows neither: the test is then marked as one that could not be decided, with the reason.
    """
    until, seen, blamed = time.monotonic() + seconds, [], 0
    while True:
        watched = machine()
        found = measure()
        if holds(found):
            return found
        seen.append(watched.others())
        blamed += seen[-1] < NOISE
        if blamed == TRIES:
            return found
        if time.monotonic() > until:
            shares = ", ".join(f"{share:.0%}" for share in seen)
            pytest.xfail(f"not decided, others had this machine ({shares} of a core): {found}")
