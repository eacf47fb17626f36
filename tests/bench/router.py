"""How often a move errs, how soon it goes back, and what a router adds to a call.

python -m tests.bench.router [moves] [overhead]
"""

import asyncio
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from holymon.figures import gate
from holymon.monitor.monitor import Monitor
from holymon.monitor.replies import body_of
from holymon.monitor.router import Router
from holymon.monitor.shadows import LATER_S
from holymon.plan.target import Target
from holymon.records.attempt import Marks
from holymon.sim.process import simulator

STEPS = (0.05, 0.2, 0.5, 1.0)
BLOCK_S = 10
SIGMA = 0.25  # the scale of the logistic of a latency's logarithm: its p90 is 1.73 times its p50
LEVEL = 0.1  # how far the level of that logarithm strays: its standard deviation
BURST_S, IN_BURSTS, BURST_ERRORS = 10.0, 0.02, 0.2  # bursts of errors: length, share of time, rate
TOGETHER = len(STEPS) + 1


@dataclass(frozen=True)
class World:
    """What is true of the candidate: by how much more of its calls fail, how slow and dear it is.

    At `fault`, a moment of the first half hour, so many of its calls begin to fail.
    """

    name: str
    more_errors: float = 0.0
    slower: float = 1.0
    dearer: float = 1.0
    fault: float | None = None
    rate: float = 20.0
    level_s: float = 10.0
    most_s: int = 20_000
    tick_s: int = 2


class Moves:
    """Moves that go on at once, an element each."""

    def __init__(self, world, n, rng):
        self.number = np.arange(n)
        self.step, self.seconds = np.zeros(n, int), np.zeros(n)
        self.sums = np.zeros((n, 2, len(gate.FIELDS)))
        self.remembered = np.zeros((n, len(gate.FIELDS)))
        self.limit = np.full(n, np.exp(SIGMA * np.log(9)))
        self.level = rng.normal(0, LEVEL, (n, 2))
        self.burst = rng.random((n, 2)) < IN_BURSTS
        self.age, self.in_step, self.of_step = np.zeros(n), np.zeros(n), np.zeros(n)
        self.lead = np.zeros((n, 2))
        self.total = np.zeros((n, 2))
        self.harmed, self.after = np.zeros(n), np.zeros(n)
        self.fault_at = rng.uniform(60, 1800, n) if world.fault else np.full(n, np.inf)
        for field, value in _parts(gate.Capital.new(len(gate.FIGURES), (n,))):
            setattr(self, field, value)

    def capital(self, which):
        return gate.Capital(*(getattr(self, field)[which] for field in _CAPITAL))

    def put(self, which, capital):
        for field, value in _parts(capital):
            getattr(self, field)[which] = value

    def keep(self, which):
        for name, value in vars(self).items():
            setattr(self, name, value[which])


_CAPITAL = [field.name for field in fields(gate.Capital)]


def _parts(capital):
    return [(field, getattr(capital, field)) for field in _CAPITAL]


def simulate(world, n, *, seed=0, margins=None, min_s=60, min_calls=100):
    """Let n moves run with the very gate that a router has.

    For each: whether it was promoted or went back, candidate's calls in all and since its fault,
    seconds, and the share of all calls that failed at the candidate.
    """
    rng, margins = np.random.default_rng(seed), margins or gate.Margins()
    going, shares, last = Moves(world, n, rng), np.array(STEPS), len(STEPS) - 1
    known = np.arange(len(gate.FIGURES)) < 3
    result = {name: np.zeros(n) for name in
              ("promoted", "back", "asked", "since_fault", "s_since_fault", "seconds", "harmed")}  # fmt: skip
    for second in range(world.tick_s, world.most_s + 1, world.tick_s):
        calls, failed = _tick(world, going, shares[going.step], second, rng, margins)
        over, alarm = np.zeros(len(calls), bool), _bursts(going, calls, failed, rng)
        at_last = going.step == last
        whole = going.sums[..., 0] >= gate.FEWEST
        due = np.flatnonzero((going.age >= BLOCK_S) & whole[:, 1] & (at_last | whole[:, 0]))
        alone = at_last[due]
        block, candidate = going.sums[due, 0], going.sums[due, 1]
        ours = np.where(alone[:, None], going.remembered[due], block)
        score = np.where(known, gate.scores(candidate, ours, margins), np.nan)
        capital = gate.bet(going.capital(due), score)
        going.put(due, capital)
        going.remembered[due] += np.where(alone[:, None], 0, block)
        going.limit[due] = np.where(
            alone, going.limit[due], gate.slow_limit(going.limit[due], block)
        )
        going.sums[due], going.age[due] = 0, 0
        alarm[due] |= gate.fails(capital, margins, TOGETHER).any(-1)
        up = gate.passes(capital, margins).all(-1) & (going.in_step[due] >= min_s)
        up &= (going.of_step[due] >= min_calls) & ~alarm[due]
        over[due[up & alone]] = True
        goes = due[up & ~alone]
        going.step[goes] += 1
        going.put(goes, gate.Capital.new(len(gate.FIGURES), (len(goes),)))
        going.in_step[goes] = going.of_step[goes] = 0
        # The last step is held against what the step before it knows of the baseline.
        going.remembered[goes] *= (going.step[goes] == last)[:, None]
        result["promoted"][going.number[over & ~alarm]] = 1
        result["back"][going.number[alarm]] = 1
        ended = over | alarm if second < world.most_s else np.ones(len(over), bool)
        if ended.any():
            who = going.number[ended]
            result["asked"][who] = going.total[ended, 1]
            result["since_fault"][who] = going.after[ended]
            result["s_since_fault"][who] = second - going.fault_at[ended]
            result["seconds"][who] = second
            result["harmed"][who] = going.harmed[ended] / going.total[ended].sum(-1)
            going.keep(~ended)
            if not len(going.number):
                break
    return result


def _tick(world, moves, share, second, rng, margins):
    """Calls of the next seconds, and the failed of them, shape (moves, 2)."""
    n = len(share)
    keep = np.exp(-world.tick_s / world.level_s)
    moves.level = keep * moves.level + rng.normal(0, LEVEL * np.sqrt(1 - keep**2), (n, 2))
    drawn, rare = rng.random((n, 2)), IN_BURSTS / (1 - IN_BURSTS)
    ends = world.tick_s / BURST_S
    moves.burst = np.where(moves.burst, drawn >= ends, drawn < rare * ends)
    calls = rng.poisson(world.rate * world.tick_s * np.stack([1 - share, share], -1))
    p = np.where(moves.burst, BURST_ERRORS, 0.01 - IN_BURSTS * BURST_ERRORS)
    faulty = second >= moves.fault_at
    p[:, 1] = np.maximum(p[:, 1] + world.more_errors, np.where(faulty, world.fault or 0, 0))
    failed = rng.binomial(calls, p)
    limits = np.log(moves.limit)[:, None] + np.array([0, np.log1p(margins.slower)])
    beyond = (limits - moves.level - np.array([0, np.log(world.slower)])) / SIGMA
    slow = rng.binomial(calls - failed, 1 / (1 + np.exp(np.clip(beyond, -50, 50))))
    # The cost of a call is lognormal, of several nearly normal: half of its mean is the spread.
    cost = calls + 0.5 * np.sqrt(calls) * rng.normal(size=(n, 2))
    cost = np.maximum(cost, 0.05 * calls) * np.array([1, world.dearer])
    for field, value in zip(("calls", "failed", "slow", "priced", "cost"),
                            (calls, failed, slow, calls, cost), strict=True):  # fmt: skip
        moves.sums[..., gate.FIELDS.index(field)] += value
    moves.age, moves.in_step = moves.age + world.tick_s, moves.in_step + world.tick_s
    moves.of_step += calls[:, 1]
    moves.total += calls
    moves.harmed += failed[:, 1]
    moves.after += np.where(faulty, calls[:, 1], 0)
    return calls, failed


def _bursts(moves, calls, failed, rng):
    """Where the candidate's failures lead as in a burst, and the baseline's don't."""
    before = moves.lead
    moves.lead = np.maximum(0, before + 2 * failed - calls)
    alarm = np.zeros(len(calls), bool)
    for k in np.flatnonzero(before[:, 1] + failed[:, 1] >= gate.BURST):  # in what order matters
        steps = np.ones(calls[k, 1], int)
        steps[failed[k, 1] :] = -1
        lead = int(before[k, 1])
        for step in rng.permutation(steps):
            lead = gate.walk(lead, step > 0)
            alarm[k] |= lead >= gate.BURST and before[k, 0] < gate.BURST / 2
        moves.lead[k, 1] = lead
    return alarm


WORLDS = (
    World("as good"),
    World("cheaper, faster", slower=0.9, dearer=0.5),
    World("as good, 1 call/s", rate=1.0, most_s=60_000, tick_s=10),
    World("as good, latency keeps its level for a minute", level_s=60.0),
    World("2 % more errors", more_errors=0.02),
    World("p90 1.2 times", slower=1.2),
    World("10 % dearer", dearer=1.1),
    World("errors from 1 to 10 %", fault=0.1),
    World("errors from 1 to 10 %, 1 call/s", fault=0.1, rate=1.0, most_s=60_000, tick_s=10),
    World("errors from 1 to 100 %", fault=1.0),
    World("twice the price", dearer=2.0),
)


def moves(n=10_000):
    """What becomes of 10,000 moves in each world; of some, which take long, a tenth of that."""
    print(f"| candidate | {' | '.join(HEADS)} |\n{'| --- ' * 9}|")
    for world in WORLDS:
        many = n if world.most_s <= 20_000 else n // 10
        r = simulate(world, many)
        back = r["back"] > 0
        after = (np.median(r[name][back]) for name in ("since_fault", "s_since_fault"))
        delay = " | ".join(f"{value:,.0f}" for value in after) if world.fault else " | "
        print(f"| {world.name} | {many:,} | {100 * r['promoted'].mean():.2f} % | {100 * back.mean():.2f} % "
              f"| {np.median(r['seconds']) / 60:,.0f} | {np.median(r['asked']):,.0f} | {delay} "
              f"| {100 * r['harmed'].mean():.2f} % |", flush=True)  # fmt: skip


HEADS = ("moves", "to 100 %", "back", "minutes", "candidate's calls", "calls from fault to rollback",
         "seconds", "of all calls failed at the candidate")  # fmt: skip


def overhead(rounds=300):
    """What a call takes longer by a router, in turns: an API that answers after 100 ms exactly.

    First with everything wherever the system puts it, then with both servers and all work on copies
    on another core than the application's. And what the decision, the record and the hand-over of
    a call take, of which that is made.
    """
    with ExitStack() as stack:
        served = [stack.enter_context(simulator(seed=seed)) for seed in (1, 2)]
        folder = Path(stack.enter_context(TemporaryDirectory()))
        runner = stack.enter_context(asyncio.Runner())
        old, new = (Target(provider=side, model="pinned", base_url=at.base_url)
                    for side, at in zip(("old", "new"), served, strict=True))  # fmt: skip

        def router(name, **options):
            return stack.enter_context(
                Router(old, new, state=folder / name, min_s=1e6, **options)
            )  # fmt: skip

        callers = {
            "monitor": stack.enter_context(Monitor(old)),
            BESIDE: stack.enter_context(Monitor(old)),
            "router": router("a.json", shadow=0.0, steps=(1e-9, 1.0)),
            "router, each call copied": router("b.json", shadow=1.0),
        }
        other = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.router", "beside", new.base_url],
            stdin=subprocess.PIPE,
        )  # fmt: skip
        stack.callback(other.wait)
        stack.callback(other.stdin.close)

        def prepare(name):
            if name == BESIDE:
                other.stdin.write(b".")
                other.stdin.flush()

        def chat(name):
            callers[name].chat("hi", max_tokens=1)

        def achat(name):
            runner.run(callers[name].achat("hi", max_tokens=1))

        latest = {}
        for name, caller in callers.items():
            _watch(getattr(caller, "monitor", caller).ledger, name, latest)
        ways = [(name, way) for name in callers for way in (chat, achat)]
        for title, apart in (("wherever", False), ("on another core", True)):
            for name, way in ways * 2:
                prepare(name)
                way(name)
            if apart:
                _part([*(at.pid for at in served), other.pid], callers["router, each call copied"])
            felt = {way: [] for way in ways}
            for k in range(rounds):
                for name, way in sorted(ways, key=lambda each: hash((each[0], each[1] is chat, k))):
                    prepare(name)
                    begun, worked = time.perf_counter(), time.process_time()
                    way(name)
                    ended, marks = time.perf_counter(), latest[name]
                    felt[name, way].append(
                        (ended - begun, marks.start - begun, ended - marks.end,
                         time.process_time() - worked)
                    )  # fmt: skip
            _show_overhead(title, felt)
        move, copies = callers["router"].move, callers["router, each call copied"]._shadows
        print(f"\nDecision and record of a call: {_each(lambda k: _decided(move, k)):.1f} us, "
              f"hand-over of a copy {_each(lambda _: copies._later.put(int)):.1f} us.")  # fmt: skip


BESIDE = "monitor, while another process makes the same copy"
"""What a copy takes from a call by what it needs of the machine alone."""


def beside(base_url):
    """Make a call for each byte that comes, as late as a router makes its copies."""
    target = Target(provider="new", model="pinned", base_url=base_url)
    with Monitor(target) as monitor:
        monitor.chat("hi", max_tokens=1)
        while sys.stdin.buffer.raw.read(1):
            time.sleep(1.5 * LATER_S)
            body = body_of(target, "hi", False, {"max_tokens": 1})
            monitor._begin(target, body, stream=False, into=lambda _: None)


def _watch(ledger, name, latest):
    """Note the marks of the latest call that somebody waited for."""
    add = ledger.add

    def add_and_note(marks):
        if marks.side != "shadow":
            latest[name] = marks
        add(marks)

    ledger.add = add_and_note


def _part(servers, router):
    """Keep this process on the first core, and servers and what makes copies on the others."""
    first, *others = sorted(os.sched_getaffinity(0))
    for task in Path("/proc/self/task").iterdir():
        os.sched_setaffinity(int(task.name), {first})
    threads = [router._candidate._calls._thread, router._shadows._later._thread]
    for task in [*servers, *(thread.native_id for thread in threads)]:
        os.sched_setaffinity(task, others or {first})


def _decided(move, k):
    marks = Marks(0, 0, 0.0)
    marks.side = "baseline"
    move.to_candidate(str(k))
    move.keeper.note(marks)


def _each(what, n=20_000):
    begun = time.perf_counter()
    for k in range(n):
        what(k)
    return (time.perf_counter() - begun) / n * 1e6


def _show_overhead(title, felt):
    """By how much a call took longer than a monitor's in its round, medians with intervals (us).

    As a whole, and before its request was sent and after its answer had come: in these parts alone
    a router has anything to do with it. And by how much more CPU all threads of this process took
    while it was under way, a copy's work among them.
    """
    heads = "more than a monitor's (us, 95 %) | before it is sent | after it came | more CPU"
    print(f"\n| {title}: call by | way | ms, p50 | p95 | {heads} |\n{'| --- ' * 8}|")
    rng = np.random.default_rng(0)
    for (name, way), times in felt.items():
        taken = np.array(times)
        more = (taken - np.array(felt["monitor", way])) * 1e6
        drawn = np.median(more[rng.integers(0, len(more), (2000, len(more)))], axis=1)
        low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
        p50, p95 = np.quantile(taken[:, 0], [0.5, 0.95]) * 1e3
        parts = (
            f"{middle:+.0f} ({a:+.0f} to {b:+.0f})"
            for middle, a, b in zip(np.median(more, axis=0), low, high, strict=True)
        )
        print(
            f"| {name} | {way.__name__} | {p50:.2f} | {p95:.2f} | {' | '.join(parts)} |", flush=True
        )


def main():
    if sys.argv[1:2] == ["beside"]:
        beside(sys.argv[2])
        return
    parts = {"moves": moves, "overhead": overhead}
    for name in sys.argv[1:] or parts:
        parts[name]()
        print()


if __name__ == "__main__":
    main()
