"""Figures of calls that may be repeated: requests and their attempts, kept apart.

A request is what an application asked for; each time it was sent is an attempt. A request has the
outcome of its last attempt, and lasted from when it was asked for to the end of that one, with all
failed attempts and waits. Of a router's targets each is shown what it did with what was asked of
it: a request that failed at one and went on at another counts at both, and once in all; copies
for a candidate count there, and in all as attempts only. Single figures are `summary`'s and
`totals`'.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import chain
from typing import Any, Final

import numpy as np

from holymon.figures.all_calls import MANY, AllCalls, OfAll, live_cell
from holymon.figures.cost import usd_cell
from holymon.figures.hints import SHOWN
from holymon.figures.quantiles import Figure, figure, share_of
from holymon.figures.request_times import dues_of, moves, waited
from holymon.figures.summary import summarize
from holymon.figures.summary_types import ALL_TITLE
from holymon.figures.token_sums import Tokens
from holymon.figures.totals import totals
from holymon.formatting import Cell, Table, Tables, count, number_of, rate_cell, rounded
from holymon.plan.price import Price
from holymon.plan.target import Target
from holymon.records.attempt import Flag, begun_there, ended_there
from holymon.records.headroom import Known, in_a_line
from holymon.records.records import Records
from holymon.safety import short
from holymon.structs import Rate, shows_table

REQUESTS: Final = (
    "requests, as felt", "made", "succeeded", "at once", "latency p50, ms", "p95", "p99",
    "failures p50, ms", "waits in all, s",
)  # fmt: skip
ATTEMPTS: Final = (
    "attempts, as sent", "sent", "per request", "latency p50, ms", "p95", "TTFT p50", "p95",
    "ITL p50", "tokens in / out", "USD / on failures",
)  # fmt: skip

MOST_WORDS: Final = 12
"""Lines of words at most: those of what failed most often."""


@shows_table
@dataclass(frozen=True, slots=True)
class RequestStats:
    """The figures of the attempts that a monitor has in memory; times in seconds.

    `success` and `first_attempts` are the shares of requests that succeeded in the end, and at
    once. `latency_s` is of successful requests as their callers felt them, `attempt_s` of
    successful attempts alone, `failure_s` of failed requests; `..._of_all` have those that failed
    as ones that took for ever. `amplification` is attempts per
    request, `backoff_s` the sum of all waits, `cost_of_failures_usd` the part of `cost_usd` that
    failed attempts cost; `known_...` are the same of the attempts whose cost is known, where that
    is not all of them. `undecided` attempts failed, and may yet be repeated by their caller.
    `messages` are the first words of each type of `attempt_errors`, as data. `limits` is what
    remains of the API's limits, where answers tell it. `targets` holds the same for each target, of
    what it was asked. What can't be told is None, and `notes` says why.
    """

    target: str
    requests: int
    ok: int
    success: Rate
    first_attempts: Rate
    attempts: int
    retries: int
    amplification: float | None
    undecided: int
    errors: dict[str, int]
    attempt_errors: dict[str, int]
    messages: dict[str, str]
    latency_s: Figure
    latency_of_all: OfAll
    attempts_of_all: AllCalls
    attempt_s: Figure
    failure_s: Figure
    ttft_s: Figure
    itl_s: Figure
    tpot_s: Figure
    backoff_s: float
    tokens: Tokens
    cost_usd: float | None
    cost_of_failures_usd: float | None
    known_cost_usd: float | None
    known_cost_of_failures_usd: float | None
    simulated: bool
    notes: tuple[str, ...]
    limits: Known = field(default_factory=dict)
    targets: dict[str, "RequestStats"] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As dicts, lists and scalars."""
        return asdict(self)

    @property
    def rows(self) -> tuple["RequestStats", ...]:
        """What has a row of its own in a table: all together, and each target if there are more."""
        return (self, *self.targets.values()) if len(self.targets) > 1 else (self,)

    def _felt(self, times: Sequence[Cell]) -> tuple[Cell, ...]:
        """Its row under `REQUESTS`."""
        return (
            self.target, count(self.requests), rate_cell(self.success),
            rate_cell(self.first_attempts), *times, self.failure_s.cell("p50"),
            rounded(self.backoff_s),
        )  # fmt: skip

    def _sent(self, times: Sequence[Cell]) -> tuple[Cell, ...]:
        """Its row under `ATTEMPTS`."""
        tokens = self.tokens
        return (
            self.target, count(self.attempts), rounded(self.amplification), *times,
            f"{count(tokens.prompt)} / {count(tokens.output)}", " / ".join(self.money),
        )  # fmt: skip

    def _rows(self, *, live: bool) -> tuple[list[tuple[Cell, ...]], list[tuple[Cell, ...]]]:
        """Under `REQUESTS` and `ATTEMPTS`: where many failed two, or one with both if `live`."""
        success, of = self.success.value, self.attempts_of_all
        felt = [(self.latency_s, self.latency_of_all, stat) for stat in ("p50", "p95", "p99")]
        sent = [
            (self.attempt_s, of.latency_s, "p50"), (self.attempt_s, of.latency_s, "p95"),
            (self.ttft_s, of.ttft_s, "p50"), (self.ttft_s, of.ttft_s, "p95"),
            (self.itl_s, of.itl_s, "p50"),
        ]  # fmt: skip
        unsure = success is not None and success < 1 - MANY
        return (_both(self._felt, felt, unsure, live), _both(self._sent, sent, of.many, live))

    @property
    def money(self) -> tuple[str, str]:
        """What was spent, and on failures, in USD; at least so much, where not all is known."""
        return (usd_cell(self.cost_usd, self.known_cost_usd),
                usd_cell(self.cost_of_failures_usd, self.known_cost_of_failures_usd))  # fmt: skip

    @property
    def lines(self) -> list[str]:
        """What no column holds: errors by type, of requests and of attempts, and what is amiss."""
        lines = [f"failed {what}: {', '.join(f'{name} {n:,}' for name, n in errors.items())}"
                 for what, errors in (("requests", self.errors), ("attempts", self.attempt_errors))
                 if errors]  # fmt: skip
        if self.undecided:
            lines.append(
                f"{number_of(self.undecided, 'failed attempt')} may yet be repeated by their caller"
            )
        return [*lines, *self._of_limits, *self._words, *self.notes]

    @property
    def _of_limits(self) -> list[str]:
        """What remains of the limits of each target that tells."""
        parts = self.targets.values() or (self,)
        return [f"{stats.target}: {in_a_line(stats.limits)}" for stats in parts if stats.limits]

    @property
    def _words(self) -> list[str]:
        """What was said first of each error type, by target where there are several."""
        several = len(self.targets) > 1
        parts = self.targets.values() if several else (self,)
        words = [
            (-stats.attempt_errors[error],
             f"{f'{stats.target}: ' if several else ''}{error}: {short(text, SHOWN)}")
            for stats in parts for error, text in stats.messages.items()
        ]  # fmt: skip
        return [line for _, line in sorted(words)[:MOST_WORDS]]

    @property
    def table(self) -> Tables:
        """Requests as they were felt, attempts as they were sent, and what no column holds."""
        return self._tables(live=False)

    @property
    def live_table(self) -> Tables:
        """The same, with as many rows whatever fails, for a page that is looked at."""
        return self._tables(live=True)

    def _tables(self, *, live: bool) -> Tables:
        felt, sent = zip(*(stats._rows(live=live) for stats in self.rows), strict=True)
        return Tables([
            Table(REQUESTS, [*chain(*felt)], lead=("SIMULATED",) * self.simulated),
            Table(ATTEMPTS, [*chain(*sent)], notes=self.lines),
        ])  # fmt: skip


def _both(
    row: Callable[[Sequence[Cell]], tuple[Cell, ...]],
    times: list[tuple[Figure, OfAll, str]], many: bool, live: bool,
) -> list[tuple[Cell, ...]]:  # fmt: skip
    """A row with times of successes and, where many failed, those of all: below it, or in it."""
    if live:
        return [row([live_cell(*time, many=many) for time in times])]
    of_all = [every.cell(stat) for _, every, stat in times]
    before = len(row(())) - 2
    return [
        row([of_good.cell(stat) for of_good, _, stat in times]),
        (ALL_TITLE, *[""] * (before - 1), *of_all, "", ""),
    ][: 1 + many]


def request_stats(records: Records, limits: Mapping[str, Known] | None = None) -> RequestStats:
    """The figures of `records`, all together and target by target, with what is known of limits."""
    used = set(np.unique(records["target"]).tolist())
    single = len(used) == 1
    by_name = {
        target.name: _of_target(
            records.select(records["target"] == index),
            target,
            records.messages().get(index, {}),
            (limits or {}).get(target.name, {}),
            whole=single,
        )
        for index, target in enumerate(records.targets)
        if index in used
    }
    if single:
        (only,) = by_name.values()
        return _with(only, by_name)
    every = Target(provider="all", model="targets", price=Price(input=0.0, output=0.0))
    first: dict[str, str] = {}
    for stats in by_name.values():
        first = {**stats.messages, **first}
    return _with(_of_target(records, every, first), by_name)


def _of_target(
    chosen: Records, target: Target, words: dict[str, str], limits: Known | None = None,
    *, whole: bool = True,
) -> RequestStats:  # fmt: skip
    """Of what a target was asked, or with `whole` of requests as their callers felt them."""
    records = Records((target,))
    records.messages = lambda: {0: words}
    rows = chosen.rows.copy()
    rows["target"] = 0
    records.extend(rows, chosen.gap_pairs, chosen.gap_counts)
    summary = summarize(records)
    (attempts,), (sums,) = summary.targets, totals(records).targets.values()
    ends = records.final if whole else ended_there(records)
    mine = (rows["flags"] & Flag.SHADOW == 0) | (not whole)  # a copy is no caller's
    first = mine & (records["attempt"] == 0 if whole else begun_there(records))
    final, due, judged, sent = rows[ends], dues_of(records)[ends], records.judged, records.sent
    ended, good = judged & ends, final["error"] == 0
    took = final["end_s"] - due
    of_all = np.where(judged[ends], np.where(good, took, np.inf), np.nan)
    known = attempts.cost_usd is not None
    priced = sums.currency == "USD" and sums.unpriced < sent.sum()
    return RequestStats(
        target=target.name,
        requests=len(final),
        ok=int(good.sum()),
        success=share_of(records.ok[ended], records["due_s"][ended]),
        first_attempts=share_of(records.ok[first & judged], records["due_s"][first & judged]),
        attempts=int(sent.sum()),
        retries=int((sent & mine & ~first).sum()),
        amplification=float(sent.sum() / n) if (n := int((first & sent).sum())) else None,
        undecided=int((rows["flags"] & Flag.UNDECIDED != 0).sum()),
        errors=records.errors(ends),
        attempt_errors=attempts.errors,
        messages=attempts.messages,
        latency_s=figure(took[good], due[good]),
        latency_of_all=OfAll(figure(of_all, due)),
        attempts_of_all=attempts.of_all,
        attempt_s=attempts.latency_s,
        failure_s=figure(took[~good], due[~good]),
        ttft_s=attempts.ttft_s,
        itl_s=attempts.itl_s,
        tpot_s=attempts.tpot_s,
        backoff_s=waited(records),
        tokens=attempts.tokens,
        cost_usd=attempts.cost_usd,
        cost_of_failures_usd=sums.cost_of_failures if known else None,
        known_cost_usd=attempts.cost.at_least_usd,
        known_cost_of_failures_usd=sums.cost_of_failures if priced else None,
        simulated=summary.simulated,
        notes=attempts.notes + moves(records) * whole,
        limits=limits or {},
    )


def _with(whole: RequestStats, by_name: dict[str, RequestStats]) -> RequestStats:
    """`whole` with its parts, and with the money that they add up to."""
    values = {name: getattr(whole, name) for name in RequestStats.__slots__} | {"targets": by_name}
    for name in ("cost_usd", "cost_of_failures_usd"):
        values[name] = _sum([getattr(stats, name) for stats in by_name.values()])
        known = [getattr(stats, f"known_{name}") for stats in by_name.values()]
        values[f"known_{name}"] = _sum([value for value in known if value is not None])
    return RequestStats(**values)


def _sum(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) if values and len(known) == len(values) else None
