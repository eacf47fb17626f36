"""A run whose calls meet all that calls can meet, and what is made of it once for many tests."""

from functools import cache
from typing import Any

import numpy as np

from holymon.errors import CODES
from holymon.errors import NAMES as NAMES_OF_ERRORS
from holymon.figures.blocks import blocks
from holymon.figures.comparison import compare_pairs
from holymon.figures.comparisons import Comparisons
from holymon.figures.migration import Stated
from holymon.figures.summary import summarize
from holymon.figures.terms import Terms
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
    early = bad & (kind != 2) & ~((kind == 3) & (u[13] < 0.6))
    for name in ("first_s", "content_s", "last_s"):
        rows[name][early] = np.nan
    rows["chunks"][early] = rows["events"][early] = 0
    unsent = bad & (kind == 4)
    for name in ("start_s", "headers_s", "chunk_s", "connect_s"):
        rows[name][unsent] = np.nan
    rows["end_s"][unsent] = rows["due_s"][unsent]
    rows["attempt"][u[14] > 0.97] = 1
    rows["flags"][rows["request"] < 9] |= int(Flag.WARMUP)


NAMES = [target.name for target in TARGETS]


MOVE = Stated(calls_per_month=1e6, one_off=2000.0)


TERMS = (
    Terms(), Terms(fx=1.1, fee=0.05, min_topup=50.0, credit_days=30.0), Terms(),
)  # fmt: skip


@cache
def records():
    made = messy()
    ids = [f"id-{k}" * (1 + 30 * (k % 2)) for k in range(len(made))]
    made.asides = lambda: [
        {"request": k, "request_id": ids[k], "error_type": NAMES_OF_ERRORS[error], "gap_at_s": 0.25,
         "message": "it was said " * 20 if error else ""}
        for k, error in enumerate(made["error"].tolist())
    ]  # fmt: skip
    made.unfit = lambda: np.array([[3.0, 5.5], [20.0, 21.0]])
    made.messages = lambda: {0: {"server_error": "it broke", "rate_limited": "slow down"}}
    return made


@cache
def summary():
    return summarize(records(), PLAN)


@cache
def pairs(other=1):
    return blocks(records(), 0, other, scheduled=True)


@cache
def compared():
    return Comparisons(
        compare_pairs(pairs(k), names=(NAMES[0], NAMES[k]), one_run=True, beside=1) for k in (1, 2)
    )
