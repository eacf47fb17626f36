"""Figures in plain lines that a file can keep, and a run whose calls meet all that calls can meet."""

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from holymon.errors import CODES
from holymon.plan.plan import Closed, Open, Plan
from holymon.plan.price import Price
from holymon.plan.shapes import constant
from holymon.plan.target import Target
from holymon.records.attempt import FINISH, GAP, Flag, blank, gap_bin
from holymon.records.records import Records

PRICES = (
    Price(
        input=2.0, output=8.0, cached_input=0.5, cache_write=2.5, source="a list", date="2026-11-01"
    ),
    Price(input=1.0, output=4.0, currency="EUR", source="another list", date="2026-11-02"),
    Price(),
)
TARGETS = tuple(
    Target(provider="p", model=model, base_url="http://127.0.0.1:1/v1", price=price)
    for model, price in zip(("dear", "cheap", "free"), PRICES, strict=True)
)
SLO = ("latency_p95<1.5", "ttft_p50<0.3", "error_rate<=2%", "requests_per_s>=5")
PLAN = Plan(targets=TARGETS, load=Open(constant(10)), requests=260, slo=SLO)
CLOSED = Plan(targets=TARGETS, load=Closed(3), requests=260, slo=SLO)
ERRORS = ("server_error", "rate_limited", "cancelled", "deadline_exceeded", "client_dropped")


def chance(n: int, seed: int) -> np.ndarray:
    """Numbers between 0 and 1 that no release of numpy makes otherwise, shape (n,)."""
    x = np.arange(1, n + 1, dtype=np.uint64) * np.uint64(2654435761) + np.uint64(seed * 40503)
    for shift in (33, 29):
        x ^= x >> np.uint64(shift)
        x *= np.uint64(0xFF51AFD7ED558CCD)
    return ((x >> np.uint64(11)).astype(float) + 0.5) / 2.0**53


def messy(requests: int = 260, *, turns: int = 1, slow_if_long: bool = False) -> Records:
    """Streams and whole answers of three targets, in turns; some fail, some are not counted."""
    n = requests * len(TARGETS)
    u = [chance(n, seed) for seed in range(16)]
    rows, which = blank(n), np.arange(n) % len(TARGETS)
    rows["request"], rows["target"] = np.arange(n), which
    rows["due_s"] = np.arange(n) // len(TARGETS) / 10.0 + which * 1e-3
    rows["start_s"] = rows["due_s"] + np.where(u[0] < 0.02, 0.02, 2e-4)
    rows["output_tokens"] = 4 + (u[1] * 60).astype(int)
    rows["prompt_tokens"] = 40 + (u[2] ** 3 * 4000).astype(int)
    rows["cached_tokens"] = np.where(u[3] < 0.4, rows["prompt_tokens"] // 2, 0)
    rows["written_tokens"] = np.where((which == 0) & (u[3] > 0.8), 20, 0)
    rows["reasoning_tokens"] = np.where(u[4] < 0.3, rows["output_tokens"] // 3, 0)
    speed = np.array([1.0, 0.7, 1.6])[which] * np.exp(0.4 * (u[5] + u[6] - u[7] - 0.5))
    if slow_if_long:
        rows["output_tokens"] = 4 + (u[1] ** 4 * 300).astype(int)
        speed = speed * (0.3 + rows["output_tokens"] / 50)
    rows["headers_s"] = rows["start_s"] + 0.05 * speed
    rows["chunk_s"] = rows["headers_s"] + 0.01
    rows["first_s"] = rows["chunk_s"] + speed * (0.1 + rows["prompt_tokens"] * 5e-5)
    rows["content_s"] = rows["first_s"] + np.where(rows["reasoning_tokens"] > 0, 0.1, 0.0)
    rows["last_s"] = rows["first_s"] + speed * 0.012 * rows["output_tokens"]
    rows["end_s"] = rows["last_s"] + 0.005
    rows["connect_s"] = np.where(u[8] < 0.1, 0.03, np.nan)
    rows["flags"] = int(Flag.STREAM | Flag.SERVER_TOKENS) + np.where(
        u[8] < 0.1, int(Flag.NEW_CONNECTION), 0
    )
    rows["chunks"] = rows["events"] = rows["output_tokens"]
    rows["bytes"], rows["status"] = rows["output_tokens"] * 60, 200
    rows["finish"] = FINISH.index("stop")
    _oddities(rows, u)
    _failures(rows, u)
    counts = np.where(
        (rows["flags"] & Flag.STREAM) != 0, np.maximum(rows["chunks"].astype(int) - 1, 0), 0
    )
    each = (rows["last_s"] - rows["first_s"]) / np.maximum(counts, 1)
    pairs = [
        (gap_bin(gap), many)
        for gap, many in zip(each.tolist(), counts.tolist(), strict=True)
        if many
    ]
    rows["gap_max_s"] = np.where(counts > 0, each, np.nan)
    made = Records(TARGETS, turns=turns, began=1_772_000_000.0)
    made.extend(rows, np.array(pairs, GAP), (counts > 0).astype(np.int64))
    return made


def _oddities(rows: Any, u: list[np.ndarray]) -> None:
    """Whole answers, tools, JSON, and what is not counted, empty, cut or broken."""
    for seed, flags in (
        (9, Flag.COALESCED), (9, Flag.LENIENT), (10, Flag.NO_DONE), (10, Flag.TOOLS),
        (11, Flag.JSON_ASKED),
    ):  # fmt: skip
        rows["flags"][(u[seed] * 37 % 1) < 0.2] |= int(flags)
    rows["flags"][((rows["flags"] & Flag.TOOLS) != 0) & (u[11] < 0.3)] |= int(Flag.BAD_ARGUMENTS)
    rows["flags"][((rows["flags"] & Flag.JSON_ASKED) != 0) & (u[12] < 0.4)] |= int(Flag.NOT_JSON)
    rows["tool_call_s"] = np.where((rows["flags"] & Flag.TOOLS) != 0, 0.3, np.nan)
    rows["finish"] = np.where(u[9] < 0.15, FINISH.index("length"), rows["finish"])
    whole = (rows["target"] == 0) & (u[13] < 0.1)
    rows["flags"][whole] &= 2**32 - 1 - int(Flag.STREAM)
    for name in ("chunk_s", "first_s", "content_s", "last_s"):
        rows[name][whole] = np.nan
    rows["chunks"][whole] = 0
    uncounted = (rows["target"] == 2) & (u[13] > 0.9)
    rows["flags"][uncounted] &= 2**32 - 1 - int(Flag.SERVER_TOKENS)
    for name in ("prompt_tokens", "cached_tokens", "written_tokens", "reasoning_tokens"):
        rows[name][uncounted] = -1
    empty = (rows["target"] == 1) & (u[14] < 0.03)
    rows["flags"][empty] |= int(Flag.EMPTY)
    rows["flags"][empty & (u[4] < 0.3)] |= int(Flag.THOUGHT)


def _failures(rows: Any, u: list[np.ndarray]) -> None:
    """Failures in bursts, some after a few tokens; some calls are asked again, or never sent."""
    burst = np.sin(rows["due_s"] / 2) > 0.9
    bad = u[15] < np.where(burst, 0.3, 0.02) * np.array([1, 0.3, 1])[rows["target"]]
    kind = (u[12] * len(ERRORS)).astype(int)
    rows["error"][bad] = np.array([CODES[name] for name in ERRORS])[kind[bad]]
    rows["status"][bad] = np.array([500, 429, 0, 0, 0])[kind[bad]]
    rows["flags"][bad] &= int(Flag.STREAM)
    rows["code"][bad & (kind == 1)] = b"slow_down"
    rows["retry_after_s"][bad & (kind == 1)] = 2.0
    rows["finish"][bad] = 0
    for name in (
        "prompt_tokens",
        "output_tokens",
        "cached_tokens",
        "written_tokens",
        "reasoning_tokens",
    ):
        rows[name][bad] = -1
    early = bad & (kind != 2)
    for name in ("first_s", "content_s", "last_s"):
        rows[name][early] = np.nan
    rows["chunks"][early] = rows["events"][early] = 0
    unsent = bad & (kind == 4)
    for name in ("start_s", "headers_s", "chunk_s", "connect_s"):
        rows[name][unsent] = np.nan
    rows["end_s"][unsent] = rows["due_s"][unsent]
    rows["attempt"][u[14] > 0.97] = 1
    rows["flags"][rows["request"] < 9] |= int(Flag.WARMUP)


def squeezed(text: str) -> list[str]:
    """Lines of a table, with one blank between cells."""
    return [" ".join(part.split()) for part in text.splitlines()]


def plain(value: Any, name: str = "") -> Iterator[str]:
    """A value as lines, `name: value`, floats with six figures; what is None is left out."""
    value = _taken_apart(value)
    if isinstance(value, dict):
        flat = {key: _flat(each) for key, each in value.items()}
        if known := [f"{key} {text}" for key, text in flat.items() if text]:
            yield f"{name}: {', '.join(known)}"
        for key, each in value.items():
            if flat[key] is None:
                yield from plain(each, f"{name}.{key}" if name else str(key))
    elif (text := _flat(value)) is None:
        for k, each in enumerate(value):
            yield from plain(each, f"{name}[{k}]")
    else:
        yield f"{name}: {text}"


def _taken_apart(value: Any) -> Any:
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if dataclasses.is_dataclass(value):
        return {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
    if hasattr(value, "_asdict"):
        return value._asdict()
    return value.tolist() if isinstance(value, np.ndarray) else value


def _flat(value: Any) -> str | None:
    """A value that fits in a line; None of one that has parts."""
    value = _taken_apart(value)
    if isinstance(value, dict):
        return None if value else "{}"
    if isinstance(value, list | tuple):
        if all(isinstance(each, int | float | None) for each in value):
            return f"[{' '.join(map(_number, value))}]"
        return None
    return "" if value is None else _number(value)


def _number(value: Any) -> str:
    if isinstance(value, bool | np.bool_) or not isinstance(value, float | np.floating):
        return str(value)
    return f"{value:.6g}" if math.isfinite(value) else str(float(value))


def shown(title: str, result: Any) -> list[str]:
    """A result as its tables, as its data and by its properties, after its title."""
    table = getattr(result, "table", None)
    tables = squeezed(table.text()) if table is not None else []
    return [f"== {title}", *tables, *plain(result), *properties(result)]


def properties(result: Any) -> Iterator[str]:
    """What a result of ours, or those in a list, say beside their data."""
    if isinstance(result, list | tuple) and not hasattr(result, "_asdict"):
        for each in result:
            yield from properties(each)
    elif type(result).__module__.startswith("holymon"):
        for name, kind in sorted(vars(type(result)).items()):
            if isinstance(kind, property) and not name.startswith("_"):
                if (text := _flat(getattr(result, name))) is not None:
                    yield f"{name}: {text}"
                elif isinstance(value := getattr(result, name), list | tuple) and (
                    all(isinstance(each, str | tuple) for each in value)
                ):
                    yield f"{name}: {' | '.join(map(str, value))}"


def differing(title: str, result: Any, other: Any) -> list[str]:
    """What of a result is not as it is in another one."""
    there = {*shown("", other)}
    return [f"== {title}", *(each for each in shown("", result) if each not in there)]
