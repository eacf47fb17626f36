"""What the calls of a level say of each kind of objective, and how long would be enough."""

import numpy as np
import pytest

from holymon.errors import CODES
from holymon.experiments.objectives import CLOSE, Errors, hold
from holymon.figures.steady import Stretch
from holymon.plan.plan import Target
from holymon.plan.slo import parse
from holymon.records.attempt import GAP, Flag, blank, gap_bin
from holymon.records.records import Records

TARGET = Target(provider="p", model="m", base_url="http://127.0.0.1:1/v1")
STEADY = Stretch(since_s=0.0, until_s=100.0, memory_s=1.0, grows=False)
ERRORS = Errors(0.0025, 0.00125)
N = 2000


def level(latency=0.2, *, failed=0.0, gaps=None, error="server_error", seed=1):
    """Calls over 100 s that take `latency` (s, or shape (n,)), a share of them failed at random."""
    rng = np.random.default_rng(seed)
    rows = blank(N)
    rows["due_s"] = rows["start_s"] = np.sort(rng.uniform(0, 100, N))
    rows["first_s"] = rows["start_s"] + 0.1
    rows["last_s"] = rows["end_s"] = rows["start_s"] + latency
    rows["output_tokens"], rows["chunks"], rows["flags"] = 11, 11, int(Flag.STREAM)
    rows["error"] = np.where(rng.random(N) < failed, CODES[error], 0)
    pairs = np.zeros(0 if gaps is None else N, GAP)
    if gaps is not None:
        pairs["bin"], pairs["n"] = [gap_bin(gap) for gap in gaps], 10
    made = Records((TARGET,))
    made.extend(rows, pairs, np.full(N, int(gaps is not None)))
    return made


def held(text, records, stretch=STEADY):
    found = hold(parse(text), records, stretch, ERRORS)
    return found.met, found.sure


def mixed(share, slow=1.0):
    """Latencies of which about that share are slow."""
    return np.where(np.random.default_rng(2).random(N) < share, slow, 0.2)


@pytest.mark.parametrize(
    ("text", "latency", "expected"),
    [("latency_p95<0.5", mixed(0.01), (True, True)), ("latency_p95<0.5", mixed(0.2), (False, True)),
     ("latency_p95<0.5", mixed(0.047), (True, False)), ("response_p50<0.5", mixed(0.4), (True, True)),
     ("latency_p99<0.5", mixed(0.03), (False, True)), ("ttft_p99<0.11", 0.2, (True, True)),
     ("tpot_p50<0.02", 0.2, (True, True)), ("tpot_p50<0.002", 0.2, (False, True)),
     ("latency_mean<0.5", mixed(0.1), (True, True)), ("latency_mean<0.21", mixed(0.1), (False, True)),
     ("latency_p50>0.1", 0.2, (True, True)), ("latency_p50>0.5", 0.2, (False, True)),
     ("schedule_delay_p95<0.1", 0.2, (True, True))],
)  # fmt: skip
def test_a_duration_is_held_against_its_limit(text, latency, expected):
    assert held(text, level(latency)) == expected


def test_a_value_at_the_limit_meets_what_includes_it():
    rows = level()
    rows.rows["end_s"] = rows.rows["start_s"] = rows.rows["due_s"] = 1.0
    assert held("latency_p95<=0", rows)[0]
    assert not held("latency_p95<0", rows)[0]


def test_a_call_that_failed_took_for_ever():
    assert held("latency_p95<0.5", level(failed=0.2)) == (False, True)
    assert held("latency_p50<0.5", level(failed=0.2)) == (True, True)
    assert held("latency_p95<0.5", level(failed=0.2, error="unfinished")) == (True, True)


@pytest.mark.parametrize(
    ("text", "failed", "error", "expected"),
    [("error_rate<1%", 0.0, "server_error", (True, True)), ("error_rate<1%", 0.1, "server_error", (False, True)),
     ("error_rate<10%", 0.03, "server_error", (True, True)), ("error_rate<5%", 0.045, "server_error", (True, False)),
     ("error_rate_without_429<1%", 0.3, "rate_limited", (True, True))],
)  # fmt: skip
def test_an_error_rate_is_held_against_its_limit(text, failed, error, expected):
    assert held(text, level(failed=failed, error=error)) == expected


@pytest.mark.parametrize(("limit", "expected"), [(0.05, (True, True)), (0.01, (False, True))])
def test_gaps_are_held_against_a_limit_call_by_call(limit, expected):
    gaps = np.random.default_rng(3).uniform(0.018, 0.022, N)
    found = hold(parse(f"itl_p95<{limit}"), level(gaps=gaps), STEADY, ERRORS)
    assert (found.met, found.sure) == expected
    assert f"of {10 * N:,} gaps took longer" in found.text


def test_what_flatters_must_last_and_what_grew_is_missed():
    short = Stretch(since_s=0.0, until_s=100.0, memory_s=6.0, grows=False)
    grown = Stretch(since_s=0.0, until_s=100.0, memory_s=1.0, grows=True)
    assert held("latency_p95<0.5", level(), short) == (True, False)
    assert held("latency_p95<0.5", level(1.0), short) == (False, True)
    assert held("latency_p95<0.5", level(), grown) == (True, False)
    assert held("latency_p95<0.5", level(mixed(0.055)), grown) == (False, True)


def test_a_miss_that_the_start_undoes_is_not_sure():
    records = level()
    late = records["due_s"] > 60
    records.rows["end_s"][late] = records.rows["start_s"][late] + mixed(0.105)[late]
    assert held("latency_p95<0.5", records, Stretch(60.0, 100.0, 0.5, grows=False))[0] is False
    whole = held("latency_p95<0.5", records)
    cut = held("latency_p95<0.5", records, Stretch(60.0, 100.0, 0.5, grows=False))
    assert (whole[0], cut) == (True, (False, False))


def test_it_says_how_long_would_be_enough_unless_it_is_too_close():
    few = hold(parse("error_rate<1%"), level(), Stretch(0.0, 100.0, 10.0, grows=False), ERRORS)
    assert (few.met, few.sure) == (True, False)
    assert few.need_s >= 200, "twenty memories of ten seconds"
    near = hold(parse("latency_p95<0.5"), level(mixed(0.0505)), STEADY, ERRORS)
    assert (near.sure, near.need_s) == (False, None)
    assert CLOSE > 1


@pytest.mark.parametrize("text", ["latency_max<1", "requests_per_s>3", "cost_usd<1"])
def test_what_is_not_on_single_calls_is_left_to_the_verdict(text):
    assert hold(parse(text), level(), STEADY, ERRORS) is None


def test_no_call_says_nothing():
    assert hold(parse("latency_p95<1"), Records((TARGET,)), STEADY, ERRORS) is None
    assert hold(parse("itl_p95<1"), level(), STEADY, ERRORS) is None
