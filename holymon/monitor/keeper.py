"""What one process knows of a move and tells the others: outcomes go to a file, shares come back.

note(marks), at no cost for a call --> thread, once a second or at a failure --> file --> share
"""

import getpass
import logging
import os
import socket
import threading
import time
import weakref
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from math import isnan
from pathlib import Path
from typing import Final

from holymon.errors import NOT_THE_SERVER, HolymonError, PlanError, RunError
from holymon.figures.gate import BURST, walk
from holymon.load.spending import cost_of
from holymon.monitor import route_file
from holymon.monitor.course import MoveSteps, Outcome
from holymon.monitor.forks import in_children
from holymon.monitor.route import Route, new, observe
from holymon.plan.price import Price
from holymon.records.attempt import Flag, Marks
from holymon.records.own_files import BusyError
from holymon.safety import plain
from holymon.structs import replace

PAUSE_S: Final = 1.0
"""Between two looks at the file; a failure of the candidate is told at once, but for `_LEAST_S`."""

_LEAST_S: Final = 0.05
_MOST_WAITING: Final = 20_000
_PLAIN_ENDS: Final = frozenset({"", "stop", "tool_calls"})
_SIDES: Final = {"baseline": 0, "candidate": 1, "shadow": 1}
"""Where a call counts; what the baseline is asked again is not drawn like the rest of its calls."""

_LOG: Final = logging.getLogger("holymon")


def me() -> str:
    """Who changes a share: user, machine and process."""
    with suppress(OSError, KeyError, ImportError):
        return f"{plain(getpass.getuser())}@{plain(socket.gethostname())}, process {os.getpid()}"
    return f"process {os.getpid()}"


class Keeper:
    """The state of a move, as one process of several has it; begins anew in a forked child.

    `problem` says why only the baseline is called, if that is so. `moved` counts what this process
    itself did: `promotions`, `rollbacks`.
    """

    def __init__(
        self, path: Path, course: MoveSteps, names: tuple[str, str], price: Callable[[int], Price]
    ) -> None:
        """Begin the move, or go on with it. Raises PlanError if the file is of another one."""
        self.path, self.course, self._names, self._price = path, course, names, price
        self.problem = ""
        self.route = new(*names, course, time.time(), me())
        self._begin()
        in_children(self._begin)
        try:
            self._look(self._opened, bad=(RunError,))
        except BusyError as error:
            self.problem = str(error)

    def _begin(self) -> None:
        self.moved: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._fresh: deque[Marks] = deque(maxlen=_MOST_WAITING)
        self._stamp, self._turned = (-1, 0, 0), ""
        self._leads, self._calm, self._held = [0, 0], True, False
        self._wrote = self._warned = False
        self._wake, self._over = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def share(self) -> float:
        """The share of calls that are the candidate's now."""
        return 0.0 if self.problem or self._held else self.route.share

    @property
    def shadow(self) -> float:
        """The share of the baseline's calls that the candidate is to get, too."""
        return 0.0 if self.problem or self._held else self.route.shadow

    def start(self) -> None:
        """Keep on in a thread of its own, as there are calls."""
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(
                        target=_keep_on, args=(weakref.ref(self), self._wake, self._over),
                        name="holymon-route", daemon=True,
                    )  # fmt: skip
                    self._thread.start()

    def note(self, marks: Marks) -> None:
        """Take in an attempt that is over; a burst of failures ends the candidate's calls here."""
        self._fresh.append(marks)
        if not marks.error and self._calm:  # nearly all: the caller waits for this
            return
        side = _SIDES.get(marks.side)
        if side is None or marks.error in NOT_THE_SERVER:
            return
        self._leads[side] = lead = walk(self._leads[side], bool(marks.error))
        self._calm = not any(self._leads)
        if side and marks.error:
            self._held |= lead >= BURST and self._leads[0] < BURST // 2
            self._wake.set()

    def flush(self) -> None:
        """Tell the file what came, and learn from it how the move stands."""
        with self._lock, suppress(BusyError):
            if self.problem:
                self._look(self._opened, surely=True)
            if not self.problem:
                self._tell()

    def _tell(self) -> None:
        fresh = [self._fresh.popleft() for _ in range(len(self._fresh))]
        held = self._held
        if not fresh and route_file.stamp(self.path) == self._stamp:
            return
        outcomes = [known for known in map(self._outcome, fresh) if known is not None]
        counts = Counter(marks.side for marks in fresh if marks.side)
        self._turned = ""
        try:
            self._look(partial(self._observed, outcomes, counts) if fresh else self._opened)
            busy = False
        except BusyError:
            busy = True
        if busy or self.problem:  # the next time, then
            self._fresh.extendleft(reversed(fresh))
            return
        if held:  # what the file says of it holds now
            self._leads, self._calm, self._held = [0, 0], True, False
        if self._turned:
            self.moved[self._turned] += 1

    def close(self) -> None:
        """Tell the last of it; a call after that keeps on anew."""
        with self._lock:
            over, wake, self._thread = self._over, self._wake, None
            self._wake, self._over = threading.Event(), threading.Event()
        over.set()
        wake.set()
        self.flush()

    def _look(
        self, how: Callable[[Route | None, float], Route], *, surely: bool = False,
        bad: tuple[type[HolymonError], ...] = (RunError, PlanError),
    ) -> None:  # fmt: skip
        """Change the file; while that can't be done, only the baseline is called."""
        try:
            self.route = route_file.change(self.path, how, surely=surely)
        except BusyError:
            raise
        except bad as error:
            if not self.problem:
                _LOG.warning("%s", error)
            self.problem, self._stamp = str(error), (-1, 0, 0)
            return
        self.problem, self._stamp = "", route_file.stamp(self.path)

    def _opened(self, known: Route | None, now: float) -> Route:
        """The move as it stands, or a new one where there is no file. Raises PlanError."""
        if known is None:
            return new(*self._names, self.course, now, me())
        if (known.baseline, known.candidate) != self._names:
            raise PlanError(
                f"{plain(str(self.path))} is of the move from {plain(known.baseline)} to "
                f"{plain(known.candidate)}: name another file as state."
            )
        return known

    def _observed(
        self, outcomes: list[Outcome], counts: Counter[str], known: Route | None, now: float
    ) -> Route:
        """The move after some outcomes, and what this process did to it."""
        before = self._opened(known, now)
        if self._wrote and not self._warned and before.course not in (None, self.course):
            self._warned = True
            _LOG.warning(
                "%s is led by another process, too, with other steps, objectives or margins: the "
                "one that writes last decides. Give all of them the same.", plain(str(self.path)),
            )  # fmt: skip
        self._wrote = True
        after = observe(before, outcomes, self.course, now, me())
        if after.phase == "back" != before.phase:
            self._turned = "rollbacks"
        elif after.share > before.share:
            self._turned = "promotions"
        totals = Counter(before.totals)
        totals.update(counts)
        return replace(after, totals=dict(totals))

    def _outcome(self, marks: Marks) -> Outcome | None:
        """What became of an attempt; None for what says nothing of any side."""
        if not marks.side or marks.error in NOT_THE_SERVER:
            return None
        price, cost = self._price(marks.target), marks.cost  # what was charged, where it is told
        if isnan(cost) and price.known:
            cost = cost_of(marks, price)
        odd = marks.finish not in _PLAIN_ENDS or bool(marks.flags & Flag.EMPTY)
        return Outcome(
            side=_SIDES.get(marks.side, -1), failed=bool(marks.error),
            latency_s=marks.end - marks.due, ttft_s=marks.first - marks.start, cost=cost,
            tokens=marks.output_tokens, odd=odd, of=marks.side,
        )  # fmt: skip


def _keep_on(keeper: "weakref.ref[Keeper]", wake: threading.Event, over: threading.Event) -> None:
    """Flush until it is over, or nobody holds the keeper any more."""
    while not over.is_set():
        alive = keeper()
        if alive is None:
            return
        pause = max(_LEAST_S, min(PAUSE_S, alive.course.block_s))
        del alive
        if wake.wait(pause):
            if over.is_set():
                return
            time.sleep(_LEAST_S)
            wake.clear()
        alive = keeper()
        if alive is None:
            return
        try:
            alive.flush()
        except Exception:  # noqa: BLE001 - the next flush may work
            _LOG.exception("the state of a move could not be kept")
        del alive
