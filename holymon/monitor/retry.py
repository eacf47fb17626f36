"""Whether a failed call is made again, and after how long: pure, for calls and never for loads.

    next_wait(policy, attempt, error, retry_after, u) -> seconds, or None: that was the last attempt

A generation that may have run may have been billed, so only failures that certainly left nothing
behind are repeated; those of unknown outcome (`ambiguous` in `errors`) only where asked for.
"""

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

from holymon.errors import ERRORS, PlanError

_HUNG_UP: Final = frozenset({"server_disconnected", "connection_reset", "write_error"})
_TOLD: Final = frozenset({"request_timeout", "conflict", "server_error", "bad_gateway",
                          "unavailable", "gateway_timeout", "overloaded", "http_5xx"})  # fmt: skip
_OUTAGE_S: Final = 60.0
_MOST_SEEN: Final = 200


@dataclass(frozen=True, slots=True)
class Policy:
    """How often and how patiently a call is repeated; times in seconds.

    `deadline_s` is the total of all attempts and waits. The n-th wait is drawn evenly from 0 to
    min(`wait_max_s`, `wait_s` * 2**n), and is at least what the server asks for; a server that
    asks for more than `retry_after_max_s`, or than is left, is not asked again. Of any n requests
    in a row at most n * `budget` are repeated, or `loan` where that is more; where calls are many,
    half of what a minute of them earns takes the place of `loan`, to `burst` at most.
    """

    attempts: int = 3
    deadline_s: float = 120.0
    wait_s: float = 0.5
    wait_max_s: float = 8.0
    retry_after_max_s: float = 60.0
    budget: float = 0.1
    burst: int = 10
    loan: int = 2
    retry_ambiguous: bool = False

    def __post_init__(self) -> None:
        """Raise PlanError if a number of the policy is out of range."""
        for name in ("attempts", "burst", "loan"):
            number = getattr(self, name)
            if not isinstance(number, int) or not 1 <= number <= 20:
                raise PlanError(f"{name} must be a whole number from 1 to 20, not {number}.")
        for name in ("deadline_s", "wait_s", "wait_max_s", "retry_after_max_s", "budget"):
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
    should_retry: str = "",
    stale: bool = False,
    left: float = math.inf,
) -> float | None:
    """Seconds to wait before the next attempt; None if `attempt` (from 0) was the last one.

    `retry_after` is what the server asks for (NaN: nothing), `u` a number from 0 to 1 drawn for
    this wait, `should_retry` the server's x-should-retry, `left` the seconds until the deadline.
    `stale` says that a reused connection was closed before a byte of the answer came: the request
    most likely met the close on its way, so it is sent once more, at once.
    """
    if attempt + 1 >= policy.attempts or should_retry == "false":
        return None
    if stale and error in _HUNG_UP:
        return 0.0 if left > 0 else None
    known = ERRORS.get(error)
    if known is None or known.retryable == "no":
        return None
    asked_for = should_retry == "true" and error in _TOLD
    if known.retryable == "ambiguous" and not (policy.retry_ambiguous or asked_for):
        return None
    floor = 0.0 if math.isnan(retry_after) else retry_after
    wait = max(floor, u * min(policy.wait_max_s, policy.wait_s * 2**attempt)) + u * 0.1 * floor
    return None if floor > policy.retry_after_max_s or wait >= left else wait


class Budget:
    """What the retries of one target may cost: of any n requests in a row, n * budget, or the loan.

    A retry is paid for by the requests after it, so that a calm time saves nothing up: an outage
    that follows an hour of calm is amplified no more than one at the first call. The loan grows
    with the rate, so that it saves most of scattered failures, and a minute of outage earns it
    twice: the rate may halve in it. `now` is by any clock that only goes forward.
    """

    __slots__ = ("_begun", "_paid", "_policy", "_requests")

    def __init__(self, policy: Policy) -> None:
        """Begin without debts."""
        self._policy, self._requests = policy, 0
        self._begun: deque[float] = deque(maxlen=_MOST_SEEN)
        # When each of the latest retries is paid for, in shares of all requests.
        self._paid = deque([-float(policy.burst)] * policy.burst, policy.burst)

    def earn(self, now: float) -> None:
        """A request begins."""
        self._requests += 1
        self._begun.append(now)

    def spend(self, now: float) -> bool:
        """Owe one retry more; False, and nothing owed, if that is too many."""
        policy = self._policy
        while self._begun and self._begun[0] <= now - _OUTAGE_S:
            self._begun.popleft()
        loan = min(policy.burst, max(policy.loan, int(len(self._begun) * policy.budget / 2)))
        earned = self._requests * policy.budget
        if earned + policy.budget < self._paid[-loan] + loan - 1e-6:  # ten tenths are one
            return False
        self._paid.append(max(self._paid[-1], earned) + 1)
        return True
