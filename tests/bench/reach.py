"""How far this goes: a laptop, a host, ten and a hundred nodes, from what one core was seen to do.

    python -m tests.bench.reach      (1 minute)

Measured: calls/s of a worker on a core, bytes of an answer and of a record, what it takes to follow
journals, to make a schedule, and to pass messages through a scheduler. Computed: all the rest. No
cluster was used: nodes are cores times what one core did, and a link is what its name says.
"""

import tempfile
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from time import process_time

import numpy as np

from holymon.load.pieces import MOST, Replica
from holymon.plan.plan import MAX_CALLS
from holymon.records.frames import header
from holymon.records.journal import Follower
from holymon.records.records import Records
from holymon.records.run_folder import MOST_SHARES
from tests.bench.million import peak_of, plan_of, records_of, write_journal

MINUTE = 60.0
LOOKS_PER_S = 4
"""How often a worker sends what it has, and a client looks at it."""
POD_BYTES = 2**30
"""Memory of a worker that its schedule may take."""
LEVEL = 0.8
"""Of a core that is busier than this nothing is promised."""


@dataclass(frozen=True)
class Place:
    """Machines: how many, with how many cores, how many of which others need, and their link."""

    name: str
    nodes: int
    cores: int
    others: int
    link: float

    @property
    def workers(self):
        return self.nodes * (self.cores - self.others)


PLACES = (
    Place("a laptop, 8 cores, 1 Gbit/s", 1, 8, 2, 1e9),
    Place("a host, 16 cores, 10 Gbit/s", 1, 16, 2, 10e9),
    Place("10 such nodes", 10, 16, 1, 10e9),
    Place("100 such nodes", 100, 16, 1, 10e9),
)


@dataclass(frozen=True)
class Limits:
    """What one core was seen to do with streams of so many tokens; times are of a core."""

    tokens: int
    calls_per_core: float
    answer_bytes: float
    journal_bytes: float
    wire_bytes: float
    take_s: float
    look_s: float
    schedule_s: float
    schedule_bytes: float
    message_s: float


CALLS_PER_CORE = {16: 14_000, 256: 3_466}
"""Of the README: the highest valid rate, and what a closed loop measured, on a quiet machine."""

CALLS = 100_000


def measured(tokens):
    """What can be measured here in a minute; CPU time, so that others on the machine matter less."""
    records = records_of(CALLS, tokens=tokens)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_journal(folder, records)
        raw = (folder / "calls.0.journal").read_bytes()
        packed = [zlib.compress(raw[at : at + MOST], 1) for at in range(0, len(raw), MOST)]
        other = folder / "other"
        other.mkdir()
        take_s = cpu(lambda: taken(other, packed)) / len(records)
        looked = folder / "looked"
        looked.mkdir()
        for k in range(FILES):
            (looked / f"calls.{k}.journal").write_bytes(header(k))
        follower = Follower(looked, Records(records.targets))
        look_s = min(cpu(follower.poll) for _ in range(5)) / FILES
    plan = plan_of(1_000_000)
    return Limits(
        tokens=tokens, calls_per_core=CALLS_PER_CORE[tokens],
        answer_bytes=float(records["bytes"].mean()), journal_bytes=len(raw) / len(records),
        wire_bytes=sum(map(len, packed)) / len(records), take_s=take_s, look_s=look_s,
        schedule_s=cpu(plan.schedule) / 1e6, schedule_bytes=peak_of(plan.schedule) / 1e6,
        message_s=message_s(),
    )  # fmt: skip


FILES = 200


def taken(folder, packed):
    """What a run's leader and its follower do with what comes from a worker."""
    replica, at = Replica(folder, 0), 0
    records = Records(plan_of(1000).targets)
    follower = Follower(folder, records)
    for piece in packed:
        replica.take({"grown": {"calls.0.journal": (at, piece)}, "underway": b""})
        at = replica.have["calls.0.journal"]
        follower.poll()
    replica.close()
    for path in folder.iterdir():
        path.unlink()


def cpu(work):
    """Seconds of a core that something takes."""
    before = process_time()
    work()
    return process_time() - before


@cache
def message_s():
    """Seconds of a core that the scheduler and its client need for one question to one worker."""
    from distributed import Client, LocalCluster

    with LocalCluster(
        n_workers=1, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
    ) as cluster, Client(cluster) as client:  # fmt: skip
        client.run(bytes, 16_384)
        number = 200
        return cpu(lambda: [client.run(bytes, 16_384) for _ in range(number)]) / number


MENDS = {
    "cores": "more of them",
    "64 shares of a plan": "a higher limit, once shares draw their own schedule",
    "links of the nodes": "more or faster ones, shorter answers",
    "its leader takes records in": "asking each worker once a second, or a Job",
    "link of the leader": "a faster one, or a Job",
    "schedule of a minute in 1 GB": "a schedule that each share draws for itself",
    "100 million calls in a minute": "a shorter run, or two plans",
}
"""What would move each wall."""


def walls(place, seen, *, live=True):
    """The highest rate (calls/s) that each part of the whole allows, by its name.

    `live`: with a leader on Dask, who has all records while it goes on; pods of a Job have none.
    """
    shares = min(place.workers, MOST_SHARES)
    each = seen.look_s + seen.message_s
    led = {
        "its leader takes records in": max(0.0, LEVEL - LOOKS_PER_S * shares * each) / seen.take_s,
        "link of the leader": place.link / 8 / seen.wire_bytes,
    }
    return (led if live else {}) | {
        "cores": place.workers * seen.calls_per_core,
        "64 shares of a plan": MOST_SHARES * seen.calls_per_core,
        "links of the nodes": place.nodes * place.link / 8 / seen.answer_bytes,
        "schedule of a minute in 1 GB": POD_BYTES / seen.schedule_bytes / MINUTE,
        "100 million calls in a minute": MAX_CALLS / MINUTE,
    }


def lag(place, seen, rate, seconds=MINUTE, seed=0):
    """By simulation: how late live figures are, p50 and p99 in s, at that rate.

    Batches come from each worker at its own phase, with a Poisson number of records, to one client
    that takes them in one after the other (Lindley's recursion).
    """
    rng = np.random.default_rng(seed)
    shares = min(place.workers, MOST_SHARES)
    each = rng.random(shares) / LOOKS_PER_S
    beats = np.arange(int(seconds * LOOKS_PER_S)) / LOOKS_PER_S
    at = np.sort((beats[:, None] + each).ravel())
    rows = rng.poisson(rate / shares / LOOKS_PER_S, len(at))
    work = seen.look_s + seen.message_s + rows * seen.take_s
    done = np.cumsum(work)
    # The end of batch k is the latest begin of a busy period before it, plus all work since.
    end = np.maximum.accumulate(at - np.concatenate([[0], done[:-1]])) + done
    late = end - at + 0.5 / LOOKS_PER_S  # and a record has waited for its batch
    return np.quantile(late, [0.5, 0.99])


def row(*cells):
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def head(*cells):
    print()
    row(*cells)
    row(*("---" for _ in cells))


def main():
    known = [measured(tokens) for tokens in CALLS_PER_CORE]
    head("measured, on one core", *(f"streams of {seen.tokens} tokens" for seen in known))
    for words, form, of in (
        ("calls/s of a worker (above)", "{:,.0f}", lambda seen: seen.calls_per_core),
        ("bytes of an answer", "{:,.0f}", lambda seen: seen.answer_bytes),
        ("bytes of a record in a journal", "{:.0f}", lambda seen: seen.journal_bytes),
        ("bytes of a record on the wire", "{:.0f}", lambda seen: seen.wire_bytes),
        ("us to take a record in", "{:.2f}", lambda seen: seen.take_s * 1e6),
        ("us to look at a worker's journal", "{:.0f}", lambda seen: seen.look_s * 1e6),
        ("us to ask a worker through the scheduler", "{:,.0f}", lambda seen: seen.message_s * 1e6),
        ("us to schedule a call", "{:.2f}", lambda seen: seen.schedule_s * 1e6),
        ("bytes to schedule a call, at most", "{:.0f}", lambda seen: seen.schedule_bytes),
    ):
        row(words, *(form.format(of(seen)) for seen in known))
    for seen in known:
        head(f"computed, streams of {seen.tokens} tokens", "workers", "calls/s", "the wall",
             "what moves it", "live figures late p50, p99, s", "calls/s as a Job", "its wall")  # fmt: skip
        for place in PLACES:
            (most, wall), (alone, of_job) = (
                min((rate, name) for name, rate in walls(place, seen, live=live).items())
                for live in (True, False)
            )
            late = ", ".join(f"{s:.2f}" for s in lag(place, seen, most))
            row(place.name, place.workers, f"{most:,.0f}", wall, MENDS[wall], late,
                f"{alone:,.0f}", of_job)  # fmt: skip


if __name__ == "__main__":
    main()
