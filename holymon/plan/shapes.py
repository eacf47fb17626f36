"""Load shapes: how many calls are wanted over time, and how single ones are spread around that.

A shape is a polyline of (time, rate) and an arrival process, of which `arrivals` makes due times;
`Replay` is the due times themselves.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from holymon.errors import PlanError
from holymon.formatting import number_of
from holymon.language.said import Digits, listed, say, vocabulary
from holymon.safety import plain
from holymon.structs import Struct, check_range, replace, require, seconds_of

Floats = npt.NDArray[np.float64]
Arrivals = Literal["constant", "poisson", "gamma"]
_KINDS: Final = vocabulary("ramp", "steps", "spike", "sine")
ARRIVALS: Final = ("constant", "poisson", "gamma")
MAX_RATE: Final = 1e6
MAX_TIMES: Final = 10_000_000
MAX_SECONDS: Final = 7 * 24 * 3600.0
CORNERS: Final = 64
"""Corners of a polyline for one period of a sine: its rate is off by 0.12 % of the amplitude."""


class Shape(Struct, frozen=True, tag="shape"):
    """Calls per second over time, and how single calls are spread around it.

    `points` are (t in s, rate in 1/s), t not decreasing; two points of one t are a jump. After
    the last point its rate holds, for as long as the plan says; a shape of one point has no end
    of its own. `cv` is the coefficient of variation of the gaps of `gamma` arrivals: 1 is Poisson,
    above 1 they come in bursts (what others call burstiness is 1 / cv^2).
    """

    points: tuple[tuple[float, float], ...]
    arrivals: Arrivals = "constant"
    cv: float = 1.0
    kind: str = "constant"

    def __post_init__(self) -> None:
        """Raise PlanError if its points are out of range or order, or its spread is."""
        super().__post_init__()
        require(bool(self.points), "shape", "has no points", "give (seconds, calls per second)")
        for t, rate in self.points:
            check_range("time of a shape", t, 0, MAX_SECONDS, "seconds")
            check_range("rate", rate, 0, MAX_RATE, "calls per second")
        steps = pairwise(t for t, _ in self.points)
        require(self.points[0][0] == 0, "shape", "does not begin at 0", "its first time is 0")
        require(all(a <= b for a, b in steps), "shape", "goes back in time", "sort its points")
        highest = max(rate for _, rate in self.points)
        check_range("rate", highest, 1e-4, MAX_RATE, "calls per second")
        check_range("cv", self.cv, 0.05, 20)

    def arriving(self, arrivals: str, *, cv: float = 1.0) -> "Shape":
        """The same rates, with calls spread around them as `constant`, `poisson` or `gamma`."""
        return replace(self, arrivals=arrivals, cv=cv)

    @property
    def ends(self) -> float | None:
        """Where the shape ends by itself, in seconds; None if it only has one rate."""
        return self.points[-1][0] or None

    @property
    def peak(self) -> float:
        """The highest rate, in calls per second."""
        return max(rate for _, rate in self.points)

    @property
    def words(self) -> str:
        """The shape in a few words."""
        rates = [f"{rate:g}" for _, rate in self.points]
        how = {"constant": say("evenly spaced"), "poisson": say("at random (Poisson)"),
               "gamma": say("in bursts (gamma, cv {cv:g})", cv=self.cv)}[self.arrivals]  # fmt: skip
        if len(set(rates)) == 1:
            return say("{rates} calls/s, {how}", rates=Digits(rates[0]), how=how)
        if self.kind == "sine":
            low = min(rate for _, rate in self.points)
            return say(
                "sine between {low:.4g} and {peak:.4g} calls/s, {how}",
                low=low,
                peak=self.peak,
                how=how,
            )
        levels = [rate for rate, after in pairwise([*rates, ""]) if rate != after]
        return say("{kind} {levels} calls/s, {how}", kind=_KINDS.get(self.kind, plain(self.kind)),
                   levels=listed(" – ", map(Digits, levels)), how=how)  # fmt: skip


class Replay(Struct, frozen=True, tag="replay"):
    """Calls at given times: those of a recorded traffic, for instance. The first is at 0."""

    times: tuple[float, ...]
    kind: str = "replay"

    def __post_init__(self) -> None:
        """Raise PlanError if the times are none, too many, or not in order from 0."""
        super().__post_init__()
        check_range("number of times", len(self.times), 1, MAX_TIMES)
        check_range("first time", self.times[0], 0, 0)
        check_range("last time", self.times[-1], 0, MAX_SECONDS, "seconds")
        ordered = bool((np.diff(self.times) >= 0).all())
        require(ordered, "times", "go back", "sort them")

    @property
    def ends(self) -> float | None:
        """Just after the last time, in seconds."""
        return math.nextafter(self.times[-1], math.inf)

    @property
    def peak(self) -> float:
        """The most calls in any second."""
        counts = np.bincount(np.asarray(self.times).astype(np.int64))
        return float(counts.max())

    @property
    def words(self) -> str:
        """The shape in a few words."""
        return say(
            "replay of {calls} in {times:.4g} s",
            calls=number_of(len(self.times), "call"),
            times=self.times[-1],
        )


def constant(rate: float) -> Shape:
    """`rate` calls per second, evenly spaced."""
    return Shape(points=((0, rate),))


def poisson(rate: float) -> Shape:
    """`rate` calls per second on average, each independent of the others."""
    return constant(rate).arriving("poisson")


def ramp(first: float, last: float, seconds: float) -> Shape:
    """From `first` to `last` calls per second, in a straight line."""
    return Shape(points=((0, first), (seconds, last)), kind="ramp")


def steps(rates: Sequence[float], seconds: float) -> Shape:
    """One rate after another, `seconds` for each of them."""
    corners = [(seconds * k, rate) for i, rate in enumerate(rates) for k in (i, i + 1)]
    return Shape(points=tuple(corners), kind="steps")


def spike(
    base: float, peak: float, *, at: float, seconds: float, rest: float | None = None
) -> Shape:
    """`base` calls per second, `peak` from `at` on for `seconds`, and `base` again for `rest` s.

    `rest` is as long as what came before the peak, unless it is given.
    """
    after = at + seconds + (at if rest is None else rest)
    points = ((0, base), (at, base), (at, peak), (at + seconds, peak), (at + seconds, base),
              (after, base))  # fmt: skip
    return Shape(points=points, kind="spike")


def sine(mean: float, amplitude: float, period: float, *, periods: float = 1.0) -> Shape:
    """A rate that swings around `mean` by `amplitude`, once in `period` seconds."""
    check_range("amplitude", amplitude, 0, mean, "calls per second")
    check_range("period", period, 1e-3, MAX_SECONDS, "seconds")
    check_range("periods", periods, 0.01, 10_000)
    t = np.linspace(0, period * periods, max(2, math.ceil(CORNERS * periods) + 1))
    rates = np.maximum(mean + amplitude * np.sin(2 * np.pi * t / period), 0)
    return Shape(points=tuple(zip(t.tolist(), rates.tolist(), strict=True)), kind="sine")


_FORMS: Final = {
    "ramp": (2, 2, "ramp:FROM,TO"), "steps": (1, 1000, "steps:R1,R2,..."),
    "spike": (2, 2, "spike:BASE,PEAK"), "sine": (2, 3, "sine:MEAN,AMPLITUDE[,PERIOD]"),
}  # fmt: skip


def parse(text: str, *, rate: float, seconds: float | None, arrivals: str = "") -> Shape:
    """The shape that a word on a command line means.

    `constant`, `poisson`, `gamma:CV`, `ramp:FROM,TO`, `steps:R1,R2,...`, `spike:BASE,PEAK` (its
    peak is the middle fifth), `sine:MEAN,AMPLITUDE[,PERIOD]`; what has an end of its own fills
    `seconds`. `arrivals` is `constant`, `poisson` or `gamma:CV`. Raises PlanError.
    """
    name, _, given = text.partition(":")
    if name in {"poisson", "gamma"}:
        arrivals = text
    how, _, cv = arrivals.partition(":")
    if how not in {"", *ARRIVALS}:
        raise PlanError(f"arrivals {plain(how)!r} is none of: constant, poisson, gamma:CV.")
    shape = _parse(name, given, rate, seconds)
    return shape.arriving(how or "constant", cv=_number(cv, "cv") if cv else 1.0)


def _parse(name: str, given: str, rate: float, seconds: float | None) -> Shape:
    if name in ARRIVALS:
        return constant(rate)
    if name not in _FORMS:
        raise PlanError(
            f"shape {plain(name)!r} is none of: constant, poisson, gamma:CV, "
            + ", ".join(form for _, _, form in _FORMS.values())
            + ", replay:FILE, closed."
        )
    values = [
        seconds_of(number) if (name, k) == ("sine", 2) else _number(number, name)
        for k, number in enumerate(given.split(",") if given else ())
    ]
    least, most, form = _FORMS[name]
    good = least <= len(values) <= most
    require(good, f"shape {name}", f"has {len(values)} numbers", f"write {form}")
    if seconds is None:
        raise PlanError(f"shape {name} needs a duration: say how long it is to last.")
    if name == "ramp":
        return ramp(values[0], values[1], seconds)
    if name == "steps":
        return steps(values, seconds / len(values))
    if name == "spike":
        return spike(values[0], values[1], at=0.4 * seconds, seconds=0.2 * seconds)
    period = values[2] if len(values) > 2 else seconds
    check_range("period", period, 1e-3, MAX_SECONDS, "seconds")
    return sine(values[0], values[1], period, periods=seconds / period)


def _number(text: str, field: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise PlanError(f"shape {field}: {plain(text)!r} is not a number.") from None


def polyline(
    shape: Shape, *, end: float, warm_up: float = 0.0, times: int = 1
) -> list[tuple[float, float]]:
    """The points of a shape from 0 to `end`: warm-up before it, its last rate after it."""
    first, last = shape.points[0][1], shape.points[-1][1]
    points = [(0.0, first), *((t + warm_up, rate) for t, rate in shape.points)]
    kept = [point for point in points if point[0] < end]
    cut = next((i for i, (t, _) in enumerate(points) if t >= end), None)
    if cut is None:
        kept.append((end, last))
    else:
        (a, low), (b, high) = points[cut - 1], points[cut]
        share = (end - a) / (b - a) if b > a else 1.0
        kept.append((end, low + (high - low) * share))
    return [(t, rate * times) for t, rate in kept]


def cumulative(points: Sequence[tuple[float, float]]) -> tuple[Floats, Floats]:
    """Times of the polyline's corners, and the number of calls wanted by each; both shape (k,)."""
    t = np.array([p[0] for p in points], dtype=np.float64)
    rate = np.array([p[1] for p in points], dtype=np.float64)
    area = np.concatenate([[0.0], np.cumsum(np.diff(t) * (rate[1:] + rate[:-1]) / 2)])
    return t, area
