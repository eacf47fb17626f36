"""Servers with a queue whose truth is known, simulated without a clock: calls in, records out.

M/M/c and M/D/c serve in the order of arrival (Kiefer and Wolfowitz 1955); a batching server takes
all that wait, up to so many, when it is free, and each batch lasts the longer the larger it is.
"""

import heapq
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from holymon.experiments.bisection import following
from holymon.experiments.bounds import Bounds, Step, time_of
from holymon.experiments.capacity import Capacity
from holymon.experiments.capacity_search import level_plan
from holymon.experiments.level import level_of
from holymon.figures.summary import summarize
from holymon.figures.verdict import judge
from holymon.plan.plan import Open, Plan, Target
from holymon.plan.shapes import constant
from holymon.records.attempt import GAP, Flag, blank
from holymon.records.client_health import ClientHealth
from holymon.records.records import Records

TARGET = Target(provider="p", model="m", base_url="http://127.0.0.1:1/v1")
BESIDE_S = 0.5
"""What a level takes beside its load."""


@dataclass(frozen=True)
class Queue:
    """`seats` answers of `service_s` on average each at a time; the first token when one begins.

    A server that batches takes up to `seats` at once and gives all their tokens at its end.
    """

    name: str
    kind: Literal["markov", "even", "batch"]
    seats: int
    service_s: float
    limit_s: float
    first_s: float = 0.005
    known: float | None = None
    """Its capacity, where that takes long to find out."""

    @property
    def most(self) -> float:
        """Calls per second that it can answer."""
        return self.seats / self.service_s

    def times(self, starts, rng):
        """When each call has its first token, and when its last; both of shape (n,)."""
        if self.kind == "batch":
            ends = self._batches(starts, rng)
            return ends, ends + 1e-4
        if self.kind == "even":
            begins = self._even(starts)
            return begins + self._first(rng, len(starts)), begins + self.service_s
        lasts = rng.exponential(self.service_s, len(starts))
        begins = _served(starts, lasts, self.seats)
        return begins + self._first(rng, len(starts)), begins + self.first_s + lasts

    def _first(self, rng, n):
        return self.first_s * rng.uniform(0.5, 1.5, n)

    def _even(self, starts):
        """With equal services each seat takes every c-th call, so Lindley's recursion will do."""
        begins = np.empty(len(starts))
        for seat in range(self.seats):
            mine = starts[seat :: self.seats]
            steps = self.service_s * np.arange(len(mine))
            begins[seat :: self.seats] = np.maximum.accumulate(mine - steps) + steps
        return begins

    def _batches(self, starts, rng):
        """A batch of n lasts (1 + n / seats) / 2 of `service_s`, give or take a fifth."""
        ends, at, i, n = np.empty(len(starts)), 0.0, 0, len(starts)
        factors = rng.uniform(0.8, 1.2, n)
        while i < n:
            at = max(at, starts[i])
            j = min(int(np.searchsorted(starts, at, side="right")), i + self.seats)
            at += factors[i] * self.service_s * (1 + (j - i) / self.seats) / 2
            ends[i:j] = at
            i = j
        return ends

    def records(self, due, seed):
        """Records of calls that were `due`, all of them sent in time."""
        rng = np.random.default_rng(seed)
        rows = blank(len(due))
        rows["due_s"] = rows["start_s"] = due
        rows["first_s"], rows["last_s"] = self.times(due, rng)
        rows["content_s"], rows["end_s"] = rows["first_s"], rows["last_s"]
        rows["output_tokens"], rows["chunks"] = 10, 1
        rows["flags"], rows["request"] = int(Flag.STREAM), np.arange(len(due))
        made = Records((TARGET,))
        made.extend(rows, np.zeros(0, GAP), np.zeros(len(rows), np.int64))
        return made

    @cache  # noqa: B019 - a handful of them
    def share_over(self, rate, n=400_000):
        """The share of calls whose first token takes longer than the limit, in the long run."""
        if self.kind == "markov":
            return _erlang_c(self.seats, rate * self.service_s) * np.exp(
                -(self.most - rate) * (self.limit_s - self.first_s)
            )
        rng = np.random.default_rng(99)
        starts = np.cumsum(rng.exponential(1, n)) / rate
        first, _ = self.times(starts, rng)
        return float(((first - starts)[n // 20 :] > self.limit_s).mean())

    @cache  # noqa: B019
    def capacity(self):
        """The highest rate at which no more than 5 % of the calls take longer than the limit."""
        if self.known is not None:
            return self.known
        low, high = 0.1 * self.most, 0.999 * self.most
        for _ in range(12):
            middle = (low + high) / 2
            low, high = (middle, high) if self.share_over(middle) <= 0.05 else (low, middle)
        return (low + high) / 2


def _served(starts, lasts, seats):
    free = [0.0] * seats
    begins = np.empty(len(starts))
    for i, (start, last) in enumerate(zip(starts.tolist(), lasts.tolist(), strict=True)):
        begin = max(start, free[0])
        begins[i] = begin
        heapq.heapreplace(free, begin + last)
    return begins


def _erlang_c(seats, load):
    """The chance that a call has to wait (Erlang 1917), by the recursion of the loss formula."""
    lost = 1.0
    for k in range(1, seats + 1):
        lost = load * lost / (k + load * lost)
    return lost / (1 - load / seats * (1 - lost))


def measured(queue, step, bounds, seed, levels=()):
    """One level of a search, judged as the product judges a run."""
    plan = Plan(targets=(TARGET,), load=Open(constant(1)), duration_s=1, seed=100_000 * seed)
    now = level_plan(plan, step, bounds, "poisson", levels)
    records = queue.records(now.due(), (seed, len(levels)))
    summary = summarize(records, now)
    judged = judge(summary, now, ClientHealth.of_loop(()))
    return level_of(records, summary, judged, step, took_s=step.seconds + BESIDE_S)


def searched(queue, seconds, seed, budget_s=600.0):
    """A search for the capacity of a queue, which begins near a sixth of it; maybe without budget."""
    begin = queue.capacity() / 6 * np.exp(np.random.default_rng((seed, 1)).uniform(-0.35, 0.35))
    whole_s, again = time_of(budget_s)
    bounds = Bounds(
        objectives=(f"ttft_p95<{queue.limit_s}",), start=float(f"{begin:.3g}"),
        most=10 * queue.most, seconds=seconds, budget_s=whole_s, again=again,
    )  # fmt: skip
    levels = []
    while isinstance(step := following(levels, bounds), Step):
        levels.append(measured(queue, step, bounds, seed, levels))
    return Capacity("x/y", bounds.objectives, tuple(levels), step, simulated=True)


QUEUES = (
    Queue("M/M/1", "markov", 1, 0.02, 0.3),
    Queue("M/M/8", "markov", 8, 0.13, 0.2),
    Queue("M/M/8, slack", "markov", 8, 0.13, 0.5),
    Queue("M/M/8, slow", "markov", 8, 1.0, 1.0),
    Queue("M/D/8", "even", 8, 0.16, 0.3, known=45.48),
    Queue("batches of 16", "batch", 16, 0.25, 0.5, known=52.6),
)
