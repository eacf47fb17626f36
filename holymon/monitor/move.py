"""A move as one process has it: which side each call goes to, and how it stands."""

import threading
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from holymon.figures.gate import Margins
from holymon.formatting import Tables
from holymon.monitor.course import MoveSteps
from holymon.monitor.forks import in_children
from holymon.monitor.keeper import Keeper
from holymon.monitor.ledger import Ledger
from holymon.monitor.retry import Budget, Policy
from holymon.monitor.route import Route
from holymon.monitor.route_table import route_table
from holymon.monitor.split import EvenTurns, of_key
from holymon.structs import require

STATE: Final = Path("route.json")

FALLBACKS: Final = Policy(loan=20, burst=20)
"""By what a baseline is asked what failed at a candidate, if nobody says else: a burst of failures
ends after eight and those on their way, all of which are to be answered; a tenth of all calls."""


def require_patience(patience_s: float) -> None:
    """Raise PlanError for a time in which no candidate could answer, or one without end."""
    require(0 < patience_s <= 3600, "patience_s", "is out of range", "name up to 3600 seconds")


class Moving:
    """How a move stands, as its `keeper` knows it: what every face of it has."""

    keeper: Keeper

    @property
    def route(self) -> Route:
        """How the move stands, as this process knows it: a second old at most while calls come."""
        return self.keeper.route

    @property
    def share(self) -> float:
        """The share of calls that go to the candidate, 0 to 1."""
        return self.keeper.share

    @property
    def problem(self) -> str:
        """Why only the baseline is called, if the state can't be used."""
        return self.keeper.problem

    @property
    def table(self) -> Tables:
        """How the move stands, and every change of its share."""
        return route_table(self.route, self.problem)

    def _repr_html_(self) -> str:
        return self.table.html()


class LiveMove(Moving):
    """The move of the calls in a ledger from one side to the other; what routers share."""

    def __init__(
        self,
        ledger: Ledger,
        names: tuple[str, str],
        policy: Policy | None,
        *,
        state: Path | str = STATE,
        shadow: float = 0.05,
        steps: Iterable[float] = (0.05, 0.2, 0.5, 1.0),
        slo: Iterable[str] = (),
        more_errors: float = 0.02,
        slower: float = 0.2,
        dearer: float = 0.1,
        drift: float = 0.25,
        min_calls: int = 100,
        min_s: float = 300.0,
        block_s: float = 10.0,
    ) -> None:
        """Begin it, or go on with it; options as of `Router`. Raises PlanError."""
        margins = Margins(errors=more_errors, slower=slower, dearer=dearer, drift=drift)
        course = MoveSteps(
            steps=tuple(steps) if isinstance(steps, Iterable) else (steps,), shadow=shadow,
            slo=(slo,) if isinstance(slo, str) else tuple(slo), min_calls=min_calls, min_s=min_s,
            block_s=block_s, margins=margins,
        )  # fmt: skip
        self.stays: Counter[str] = Counter()
        """Calls of clients that are not carried over, by why."""
        self.policy = policy = FALLBACKS if policy is None else policy
        self.keeper = Keeper(
            Path(state), course, names, lambda index: ledger._targets[index].billed
        )
        ledger.ended = self.keeper.note
        self._budget, self._lock = Budget(policy), threading.Lock()
        self._turns, self._copies = EvenTurns(), EvenTurns()
        in_children(self._begin)

    def _begin(self) -> None:
        self._lock = threading.Lock()  # another thread may have held it at the fork

    @property
    def shadow(self) -> float:
        """The share of the baseline's calls that go to the candidate, too."""
        return self.keeper.shadow

    def close(self) -> None:
        """Tell the state what came last."""
        self.keeper.close()

    def to_candidate(self, key: str) -> bool:
        """Whether a call is the candidate's; `key` keeps it there while the share grows."""
        self.keeper.start()
        share = self.keeper.share
        if share <= 0:
            return False
        with self._lock:
            self._budget.earn(time.perf_counter())
        return (of_key(key) if key else self._turns.next()) < share

    def copied(self) -> bool:
        """Whether a call of the baseline's goes to the candidate, too."""
        shadow = self.keeper.shadow
        return shadow > 0 and self._copies.next() < shadow

    def may_fall_back(self, error_type: str, begun: float) -> bool:
        """Whether a call that failed at the candidate is made at the baseline."""
        now = time.perf_counter()
        if error_type == "cancelled" or now - begun > self.policy.deadline_s:
            return False
        with self._lock:
            return self._budget.spend(now)
