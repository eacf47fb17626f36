"""Whether a failed call is made again, and after how long: pure, for calls and never for loads.

    next_wait(policy, attempt, error, retry_after, u) -> seconds, or None: that was the last attempt

A generation that may have run may have been billed, so only failures that certainly left nothing
behind are repeated; those of unknown outcome (`ambiguous` in `errors`) only where asked for.
"""

import math
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

from holymon.errors import ERRORS, PlanError

_HUNG_UP: Final = frozenset({"server_disconnected", "connection_reset", "write_error"})
_TOLD: Final = frozenset({"request_timeout", "conflict", "server_error", "bad_gateway",
                          "unavailable", "gateway_timeout", "overloaded", "http_5xx"})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Policy:
    """How often and how patiently a call is repeated; times in seconds.

    `deadline_s` is the total of all attempts and waits. The n-th wait is drawn evenly from 0 to
    min(`wait_max_s`, `wait_s` * 2**n), and is at least what the server asks for; a server that
    asks for more than `retry_after_max_s`, or than is left, is not asked again. Over time at most
    `budget` retries are made per request, `burst` of them saved up at most, `loan` in advance.
    """

    attempts: int = 3
    deadline_s: float = 120.0
    wait_s: float = 0.5
    wait_max_s: float = 8.0
    retry_after_max_s: float = 60.0
    budget: float = 0.1
    burst: float = 10.0
    loan: float = 3.0
    retry_ambiguous: bool = False

    def __post_init__(self) -> None:
        """Raise PlanError for what can't be a policy."""
        if not 1 <= self.attempts <= 20:
            raise PlanError(f"attempts must lie between 1 and 20, not {self.attempts}.")
        for name in ("deadline_s", "wait_s", "wait_max_s", "retry_after_max_s", "budget", "burst",
                     "loan"):  # fmt: skip
            value = getattr(self, name)
            if not 0 <= value <= 1e6 or (name == "deadline_s" and value == 0):
                raise PlanError(f"{name} must be a number that is not negative, not {value}.")


def next_wait(
    policy: Policy,
    attempt: int,
    error: str,
    retry_after: float,
    u: float,
    *,
    told: str = "",
    stale: bool = False,
    left: float = math.inf,
) -> float | None:
    """Seconds to wait before the next attempt; None if `attempt` (from 0) was the last one.

    `retry_after` is what the server asks for (NaN: nothing), `u` a number from 0 to 1 drawn for
    this wait, `told` the server's x-should-retry, `left` the seconds until the deadline. `stale`
    says that a reused connection was closed before a byte of the answer came: the request most
    likely met the close on its way, so it is sent once more, at once.
    """
    if attempt + 1 >= policy.attempts or told == "false":
        return None
    if stale and error in _HUNG_UP:
        return 0.0 if left > 0 else None
    known = ERRORS.get(error)
    if known is None or known.retryable == "no":
        return None
    asked_for = told == "true" and error in _TOLD
    if known.retryable == "ambiguous" and not (policy.retry_ambiguous or asked_for):
        return None
    floor = 0.0 if math.isnan(retry_after) else retry_after
    wait = max(floor, u * min(policy.wait_max_s, policy.wait_s * 2**attempt)) + u * 0.1 * floor
    return None if floor > policy.retry_after_max_s or wait >= left else wait


class Budget:
    """What one target's retries may still cost: a share of its requests, saved up to a burst.

    The first few may be spent before they are earned; they are earned later.
    """

    __slots__ = ("_credit", "_owed", "_policy")

    def __init__(self, policy: Policy) -> None:
        """Begin with the loan."""
        self._policy = policy
        self._credit = self._owed = policy.loan

    def earn(self) -> None:
        """A request begins."""
        share = self._policy.budget
        paid = min(share, self._owed)
        self._owed -= paid
        self._credit = min(self._policy.burst, self._credit + share - paid)

    def spend(self) -> bool:
        """Pay for one retry; False, and nothing paid, if there is not enough."""
        if self._credit < 1 - 1e-9:  # ten tenths are one
            return False
        self._credit -= 1
        return True


def retry_after(asked: str, date: str, milliseconds: str = "") -> float:
    """Seconds that a server asks to wait, NaN if it asks for nothing that makes sense.

    `asked` and `date` are its headers Retry-After and Date, `milliseconds` is its retry-after-ms.
    A moment is compared with the server's own clock: ours may be wrong.
    """
    for text, scale in ((milliseconds, 1e-3), (asked, 1.0)):
        try:
            wait = float(text or "nan") * scale
        except ValueError:
            wait = _until(text, date)
        if 0 <= wait < 1e9:
            return wait
    return math.nan


def _until(moment: str, date: str) -> float:
    try:
        return (parsedate_to_datetime(moment) - parsedate_to_datetime(date)).total_seconds()
    except (ValueError, TypeError, OverflowError, IndexError):
        return math.nan
