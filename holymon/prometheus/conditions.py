"""What an alert waits for: counts over sliding windows, as data.

    Burn     a share of requests, against an error budget, until it is shown to be well again
    Share    a share over one window
    Failing  all of the last calls failed
    Hanging  several calls are in flight, and none has ended within a window
    Seen     anything at all within a window
    Slower   a ratio, against the same ratio before
    Silent   nothing within a window, where there was more before

Where calls are few, one failure among eleven is 9 % and says little. A share k / n counts as over
a limit L once Wilson's lower bound of it is (1927): with z standard errors that is where k / n - L
> z sqrt(L (1 - L) / n), which PromQL can say. The Site Reliability Workbook (Google 2018, chapter
5) has no rule for few calls: it would make more of them, or look for longer.

Burn, Share and Failing have hysteresis: what fires goes on until the share is back at its limit.
"""

import math
from dataclasses import dataclass
from typing import Final, Literal

from holymon.plan import slo

Kind = Literal[
    "requests", "errors", "timed", "slow", "attempts", "ok", "begun", "retries", "dropped",
    "tokens", "streaming",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Count:
    """What is counted over a window.

    `requests` that ended and `errors` among them; successes that an objective finds `timed`, and
    those that were `slow` by it or failed: one that failed took for ever, unless the objective is
    of successes. `attempts` (of error types `types`, if any), those that were `ok`,
    and those that have `begun`; `retries`, calls `dropped` by the client; output `tokens` and the
    seconds that streams spent `streaming`.
    """

    kind: Kind
    types: tuple[str, ...] = ()
    objective: slo.Slo | None = None


REQUESTS: Final = Count("requests")
ERRORS: Final = Count("errors")
ATTEMPTS: Final = Count("attempts")
SUCCESSES: Final = Count("ok")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What shows that a share is over its limit: `fewest` bad calls, `sure` standard errors."""

    fewest: float
    sure: float

    def margin(self, over: float) -> float:
        """How far over its limit a share must be, times the root of the number of calls."""
        return self.sure * math.sqrt(over * (1 - over))


@dataclass(frozen=True, slots=True)
class Burn:
    """`part / whole` is surely over `over` in the long window; then until it no longer is over.

    Or until it is as surely under it in the short window, which is sooner where calls are many;
    the silence of a service that is seldom called is no recovery.
    """

    part: Count
    whole: Count
    over: float
    long_s: float
    short_s: float
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Share:
    """`part / whole` is surely over `over` in the window; then until it no longer is over."""

    part: Count
    whole: Count
    over: float
    window_s: float
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Failing:
    """In one of the windows at least `fewest` calls failed, and no attempt succeeded.

    Then until `burn`, a share of failures, is over.
    """

    fewest: float
    windows_s: tuple[float, ...]
    burn: Burn


@dataclass(frozen=True, slots=True)
class Hanging:
    """More than `few` calls were in flight when the window began, and none has ended in it.

    One alone may be one that thinks for long.
    """

    window_s: float
    few: int = 1


@dataclass(frozen=True, slots=True)
class Seen:
    """Anything was counted in the window."""

    what: Count
    window_s: float


@dataclass(frozen=True, slots=True)
class Slower:
    """`part / whole` is under `under` times what it was in the `before_s` before the window."""

    part: Count
    whole: Count
    under: float
    window_s: float
    before_s: float
    fewest: float


@dataclass(frozen=True, slots=True)
class Silent:
    """Nothing was counted in one of the windows, where `usual` was to be expected.

    By the time before it, `BEFORE` times as long. If calls come by chance, ten are expected and
    none comes in 0.005 % of windows (Poisson); of three, none comes in 5 %.
    """

    what: Count
    windows_s: tuple[float, ...]
    usual: float


BEFORE: Final = 6
Condition = Burn | Share | Failing | Hanging | Seen | Slower | Silent
