"""One run as the catalogue knows it: what it was, how it ended, and its figures by target."""

import math
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

import msgspec

from holymon.figures.cost import UNCOUNTED, per_call
from holymon.plan.plan import Plan
from holymon.records.run_state import is_moment
from holymon.safety import plain
from holymon.structs import Interval, to_builtins

FIGURES: Final[Mapping[str, tuple[str, ...]]] = {
    "error_rate": ("error_rate", "value"),
    **{
        f"{metric}_{stat}": (f"{metric}_s", stat)
        for metric in ("latency", "ttft", "ttfo", "itl", "tpot", "schedule_delay")
        for stat in ("p50", "p95", "p99")
    },
    "requests_per_s": ("throughput", "requests_per_s"),
    "output_tokens_per_s": ("throughput", "output_tokens_per_s"),
    "goodput_per_s": ("throughput", "goodput_per_s"),
    "cost_usd": ("cost_usd",),
    "cost_at_least_usd": ("cost", "at_least_usd"),
    "cost_of_calls": ("cost", "of_calls"),
    "prompt_tokens": ("tokens", "prompt"),
    "output_tokens": ("tokens", "output"),
    "cache_hit_rate": ("tokens", "cache_hit_rate"),
    "reasoning_share": ("tokens", "reasoning_share"),
}
"""What is kept of a target, and where a run's JSON has it. Durations are in seconds."""


MOST_OBJECTIVES: Final = 50
MOST_OF_TEXT: Final = 100
MOST_CALLS: Final = 10**12


class Known(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One figure and its 95 % interval, which may not be known."""

    value: float
    low: float | None = None
    high: float | None = None


class OfTarget(msgspec.Struct, frozen=True):
    """The figures of one target of a run, by the names in FIGURES; what is not known is left out.

    Percentiles are of the calls that succeeded.
    """

    target: str
    requests: int
    ok: int
    figures: dict[str, Known] = {}
    events: dict[str, tuple[int, int]] = {}
    """How many calls missed each objective that has an error budget, and of how many."""

    @property
    def cost_per_call(self) -> float | None:
        """In USD, of all calls that were made; None where that of too many is not known."""
        whole = self.figures.get("cost_usd")
        if whole:
            return per_call(whole.value, self.requests)
        least, of = (self.figures.get(f"cost_{name}") for name in ("at_least_usd", "of_calls"))
        if not (least and of and 0 < (1 - UNCOUNTED) * self.requests <= of.value):
            return None
        return per_call(least.value, int(of.value))


class Entry(msgspec.Struct, frozen=True):
    """One run. `changed` tells by its folder's time of change whether it is still so."""

    run_id: str
    changed: int
    state: str
    requests: int | None = None
    started_at: str | None = None
    ended: str | None = None
    detail: str = ""
    targets: tuple[str, ...] = ()
    simulated: bool = False
    has_report: bool = False
    measurement: str = ""
    of_targets: tuple[OfTarget, ...] | None = None
    """None until somebody has asked for the figures."""

    shapes: tuple[str, ...] = ()
    """For each target a fingerprint of what it was asked and when: see `shapes_of`."""

    calls_gone: bool = False
    """Whether its calls were deleted to make room, and only these figures are left."""

    place: str = ""
    """Where it was measured, as its owner calls it; empty if nobody said."""

    ahead_s: float | None = None
    """By how many seconds the clock of its store was ahead of that place's, to about one."""

    files: dict[str, int] = {}
    """Its files in a store, and their sizes in bytes."""

    @property
    def name(self) -> str:
        """The name under which it was measured."""
        return self.run_id.partition("/")[0]

    @property
    def shape_of(self) -> dict[str, str]:
        """The fingerprint of each target in `shapes`, by its name."""
        return dict(zip(self.targets, self.shapes, strict=False))

    @property
    def began(self) -> float | None:
        """When it began, in seconds since 1970; None if that is not known."""
        try:
            return datetime.fromisoformat(self.started_at or "").timestamp()
        except (ValueError, OverflowError, OSError):  # as somebody else may have written it
            return None


def shown(entry: Entry) -> Entry:
    """An entry as it may be shown: whoever wrote the file that it was in may have lied."""
    texts = (entry.detail, entry.ended or "", entry.measurement, entry.place, *entry.targets,
             *(of.target for of in entry.of_targets or ()))  # fmt: skip
    inert = all(plain(text) is text for text in texts)
    if inert and (entry.started_at is None or is_moment(entry.started_at)):
        return entry
    replace = msgspec.structs.replace
    of_all = tuple(replace(of, target=plain(of.target)) for of in entry.of_targets or ())
    return replace(
        entry, detail=plain(entry.detail), ended=plain(entry.ended or "") or None,
        targets=tuple(map(plain, entry.targets)), measurement=plain(entry.measurement),
        place=plain(entry.place),
        started_at=entry.started_at if is_moment(entry.started_at or "") else None,
        of_targets=None if entry.of_targets is None else of_all,
    )  # fmt: skip


def shapes_of(plan: Plan) -> tuple[str, ...]:
    """For each target a fingerprint of load, its length, prompts, endpoint and body.

    Runs in which it is the same are alike but for the service: their seed, their objectives, prices
    and addresses make no other run of them. How long a load goes on does: where calls queue, the
    figures of a longer one are those of a longer queue, as of two levels of a search.
    """
    about = to_builtins(plan)
    prompts, length = about["prompts"], about["duration_s"] or about["requests"]
    if prompts["tokens"] is not None:  # texts that were made up by a seed
        prompts["texts"] = ()
    return tuple(
        sha256(msgspec.json.encode(
            (about["load"], length, prompts, target["endpoint"], target["body"]), order="sorted"
        )).hexdigest()[:16]
        for target in about["targets"]
    )  # fmt: skip


def of_targets(targets: Any) -> tuple[OfTarget, ...]:
    """The figures in the `targets` of a run's JSON, as `Run.to_dict` and `run.json` have them.

    What is of another shape, as in a file that somebody else wrote, is left out.
    """
    known = [_of_target(target) for target in targets if isinstance(target, dict)]
    return tuple(target for target in known if target is not None)


def _of_target(about: dict[str, Any]) -> OfTarget | None:
    name, requests, ok = (about.get(key) for key in ("target", "requests", "ok"))
    if not (isinstance(name, str) and isinstance(requests, int) and isinstance(ok, int)):
        return None
    figures = {key: _known(about, path) for key, path in FIGURES.items()}
    known = {k: f for k, f in figures.items() if f is not None}
    return OfTarget(name, requests, ok, known, _events(about.get("slo_events")))


def _events(about: Any) -> dict[str, tuple[int, int]]:
    known: dict[str, tuple[int, int]] = {}
    for text, counts in list(about.items())[:MOST_OBJECTIVES] if isinstance(about, dict) else ():
        if len(text) <= MOST_OF_TEXT and isinstance(counts, dict):
            bad, valid = counts.get("bad"), counts.get("valid")
            if type(bad) is int and type(valid) is int and 0 <= bad <= valid < MOST_CALLS:
                known[text] = bad, valid
    return known


def _known(about: dict[str, Any], path: tuple[str, ...]) -> Known | None:
    inner: Any = about
    for key in path:
        about, inner = inner, inner.get(key) if isinstance(inner, dict) else None
    value = _number(inner)
    if value is None:
        return None
    if path[-1] == "value":  # a rate
        return Known(value, _number(about.get("low")), _number(about.get("high")))
    intervals = about.get("ci") if isinstance(about, dict) else None
    interval = intervals.get(path[-1]) if isinstance(intervals, dict) else None
    low, high = _ends(interval)
    return Known(value, low, high)


def _ends(interval: Any) -> Interval | tuple[None, None]:
    if isinstance(interval, list | tuple) and len(interval) == 2:
        low, high = map(_number, interval)
        if low is not None and high is not None:
            return low, high
    return None, None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e300 and math.isfinite(value) else None
