"""Answers/s are given where they can be told, and near the truth; a line says where they can't."""

import numpy as np
import pytest

from holymon.figures.summary import summarize
from holymon.plan.plan import Closed, Open, Plan, Target
from holymon.plan.shapes import poisson
from holymon.records.attempt import GAP, Flag, blank
from holymon.records.records import Records

SECONDS, RUNS = 10.0, 40
TARGET = Target(provider="p", model="m", base_url="http://127.0.0.1:1/v1")


def summary_of(starts, ends, plan, numbers=None):
    rows = blank(len(starts))
    rows["due_s"] = rows["start_s"] = starts
    rows["end_s"] = rows["first_s"] = rows["last_s"] = ends
    rows["output_tokens"], rows["chunks"], rows["flags"] = 10, 1, int(Flag.STREAM)
    rows["request"] = np.arange(len(starts)) if numbers is None else numbers
    records = Records((TARGET,))
    records.extend(rows, np.zeros(0, GAP), np.zeros(len(rows), np.int64))
    return summarize(records, plan).targets[0]


def opened(rate, seed, slo=()):
    return Plan(targets=(TARGET,), load=Open(poisson(rate)), duration_s=SECONDS, seed=seed, slo=slo)


def of_length(share, rate, seed):
    """A server without a queue whose answers last `share` of the run on the average."""
    plan = opened(rate, seed)
    starts = plan.due()
    lengths = np.random.default_rng((7, seed)).lognormal(-0.125, 0.5, len(starts))
    return summary_of(starts, starts + share * SECONDS * lengths, plan)


def of_queue(rate, capacity, servers, seed):
    """A server that is asked for more than it can do, first come, first served."""
    plan = opened(rate, seed, slo=("latency_p95<1000",))
    rng, free, ends = np.random.default_rng((8, seed)), np.zeros(servers), []
    starts = plan.due()
    for start in starts:
        k = int(free.argmin())
        free[k] = max(start, free[k]) + rng.exponential(servers / capacity)
        ends.append(free[k])
    return summary_of(starts, np.array(ends), plan)


def of_some(part, seed):
    """Of so many a part of the answers lasts as long as the run, the others a tenth of a second."""
    plan = opened(50, seed)
    starts = plan.due()
    long = np.random.default_rng((10, seed)).random(len(starts)) < part
    return summary_of(starts, starts + np.where(long, SECONDS, 0.1), plan)


def doubts(found):
    return [note for note in found.notes if "send for" in note]


def of_long():
    given = [found.requests_per_s for found in (of_length(1.0, 50, seed) for seed in range(RUNS))]
    known = [rate / 50 for rate in given if rate is not None]
    return f"{np.median(known):.2f}" if known else "not given, with a line"


def of_fifth():
    given = [found.requests_per_s for found in (of_some(0.2, seed) for seed in range(RUNS))]
    known = [rate / 50 for rate in given if rate is not None]
    return f"{np.median(known):.2f}" if known else "not given, with a line"


def of_overload():
    rates = [of_queue(90.0, 30.0, 8, seed).requests_per_s for seed in range(RUNS)]
    return f"{np.median([rate / 30 for rate in rates if rate is not None]):.2f}"


FINDINGS = (
    ("10", "answers/s of the true rate, where answers last as long as the run", "0.38", of_long,
     "1, or a line"),
    ("10", "the same where every fifth does, and the others take a tenth of a second", "0.82",
     of_fifth, "1, or a line"),
    ("10", "answers/s of what a server can do that is asked for three times as much", "1.02",
     of_overload, "1"),
)  # fmt: skip


@pytest.mark.parametrize("rate", [5, 50])
@pytest.mark.parametrize("share", [0.5, 1.0, 2.0])
def test_answers_as_long_as_the_run_have_no_rate_and_a_line_says_why(share, rate):
    runs = [of_length(share, rate, seed) for seed in range(RUNS)]
    given = [found for found in runs if found.requests_per_s is not None]
    assert len(given) <= RUNS * 0.05
    for found in runs:
        assert bool(doubts(found)) == (found.requests_per_s is None)
        assert (found.output_tokens_per_s is None) == (found.requests_per_s is None)
    assert "send for" in doubts(runs[0])[0]


@pytest.mark.parametrize(("part", "given"), [(0.02, True), (0.08, False), (0.2, False)])
def test_where_some_answers_take_as_long_as_the_run_so_many_are_not_passed_over(part, given):
    for seed in range(8):
        found = of_some(part, seed)
        assert (found.requests_per_s is not None, bool(doubts(found))) == (given, not given)
    if not given:
        (line,) = doubts(found)
        assert line.startswith("some answers took too long to come while calls were sent (")
        assert "would be missing: no answers/s, tokens/s and goodput; send for" in line


@pytest.mark.parametrize(("share", "rate"), [(0.02, 5), (0.1, 50), (0.2, 50)])
def test_shorter_ones_have_a_rate_near_the_truth(share, rate):
    rates = [of_length(share, rate, seed).requests_per_s for seed in range(RUNS)]
    assert None not in rates
    assert np.median(rates) / rate == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("servers", [1, 8])
@pytest.mark.parametrize("times", [1.3, 3, 10])
def test_a_server_that_is_overloaded_has_its_rate_however_long_its_queue(times, servers):
    capacity = 30.0
    runs = [of_queue(capacity * times, capacity, servers, seed) for seed in range(RUNS)]
    rates = [found.requests_per_s for found in runs if found.requests_per_s is not None]
    assert len(rates) >= RUNS * 0.9
    assert np.median(rates) / capacity == pytest.approx(1, abs=0.06)
    assert runs[0].goodput_per_s is not None


@pytest.mark.parametrize("share", [0.3, 1.0, 3.0])
def test_a_closed_loop_counts_whole_answers_so_their_length_matters_little(share):
    users, rates = 20, []
    plan = Plan(targets=(TARGET,), load=Closed(users=users), duration_s=SECONDS)
    for seed in range(RUNS):
        rng, rows = np.random.default_rng((9, seed)), []
        for user in range(users):
            at, turn = 0.0, 0
            while at < SECONDS:
                took = rng.exponential(share * SECONDS)
                rows.append((at, at + took, user + turn * users))
                at, turn = at + took, turn + 1
        starts, ends, numbers = map(np.array, zip(*rows, strict=True))
        found = summary_of(starts, ends, plan, numbers)
        rates.append(found.requests_per_s)
        assert not doubts(found)
    assert np.median(rates) * share * SECONDS / users == pytest.approx(1, abs=0.1)
