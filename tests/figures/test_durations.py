"""Which calls count as having taken for ever, in which of their durations."""

import math

import numpy as np
import pytest

from holymon.errors import NOT_THE_SERVER
from holymon.figures.durations import CUT, durations, watched
from holymon.figures.summary import summarize
from holymon.plan.plan import Closed, Open, Plan, Target
from holymon.plan.shapes import constant
from holymon.records.attempt import Flag, Marks
from holymon.records.records import from_marks

TARGET = Target(provider="p", model="m", base_url="http://127.0.0.1:1/v1")
INF, NAN = math.inf, math.nan


def call(number, error="", *, stream=True, first=0.2, end=1.0, tokens=3, late=0.0):
    marks = Marks(number, 0, float(number))
    marks.start = marks.due + late
    marks.flags |= Flag.STREAM * stream
    if first is not None:
        for k in range(tokens):
            marks.token(marks.start + first + 0.1 * k, 1)
        marks.content = marks.start + first
    marks.output_tokens = tokens if first is not None else -1
    marks.end, marks.error = marks.start + end, error
    return marks


def of(*calls):
    records = from_marks((TARGET,), calls)
    rows = records.chosen(records.mask())
    return durations(rows), watched(rows)


@pytest.mark.parametrize("error", ["rate_limited", "stream_truncated", "deadline_exceeded"])
@pytest.mark.parametrize("first", [None, 0.2])
def test_a_failed_call_took_for_ever_also_where_its_first_token_had_come(error, first):
    seconds, _ = of(call(0), call(1, error, first=first))
    assert {name: values.tolist()[1] for name, values in seconds.items()} == {
        "latency": INF, "response": INF, "ttft": INF, "ttfo": INF, "tpot": INF,
    }  # fmt: skip
    assert seconds["latency"][0] == pytest.approx(1)


@pytest.mark.parametrize("error", sorted(NOT_THE_SERVER))
def test_what_says_nothing_of_the_api_has_no_duration(error):
    seconds, _ = of(call(0), call(1, error))
    assert all(math.isnan(values[1]) for values in seconds.values())


def test_a_call_that_asked_for_no_stream_has_no_first_token_to_wait_for():
    seconds, _ = of(*(call(k, first=None, stream=False) for k in range(3)),
                    call(3, "server_error", first=None, stream=False))  # fmt: skip
    assert seconds["latency"][3] == INF
    assert np.isnan(seconds["ttft"]).all()
    mixed, _ = of(call(0), call(1, "server_error", first=None, stream=False),
                  call(2, stream=False, first=None))  # fmt: skip
    assert math.isnan(mixed["ttft"][1])


def test_where_it_is_not_known_what_was_asked_it_is_as_with_those_that_came():
    seconds, _ = of(call(0, stream=False), call(1, "connection_refused", first=None, stream=False))
    assert seconds["ttft"].tolist() == [pytest.approx(0.2), INF]


def test_an_answer_of_one_token_has_no_tpot_and_a_failed_one_always():
    seconds, _ = of(call(0), call(1, tokens=1), call(2, "server_error", first=None))
    assert seconds["tpot"].tolist() == [pytest.approx(0.1), pytest.approx(NAN, nan_ok=True), INF]


def test_where_no_answer_has_a_duration_no_failure_has_it_either():
    one_token = [call(k, tokens=1) for k in range(20)]
    found = summary([*one_token, *(call(20 + k, "server_error", first=None) for k in range(20))])
    assert found.of_all.tpot_s.figure.n == found.of_all.itl_s.figure.n == 0
    assert found.of_all.ttft_s.figure.n == 40
    titles = [row[0].strip() for row in found.table.rows]
    assert titles[3:6] == ["of all calls", "TPOT", "ITL"]


def test_calls_are_watched_until_a_limit_cuts_them_off():
    _, seen = of(call(0), call(1, "deadline_exceeded", end=3, first=None, late=0.5),
                 call(2, "stream_stalled", end=2), call(3, "server_error", end=9))  # fmt: skip
    assert seen["latency"] == pytest.approx([3, 2])
    assert seen["response"] == pytest.approx([3.5, 2])
    assert seen["ttft"] == pytest.approx([3, 0.2]), "a first token that came was not cut off"
    assert set(CUT) >= {"deadline_exceeded", "stream_stalled", "first_byte_timeout"}


def summary(calls, load=None, slo=("latency_p95<2", "ttft_p95<0.5", "tpot_p95<1")):
    plan = Plan(targets=(TARGET,), load=load or Open(constant(1)), duration_s=100, slo=slo)
    return summarize(from_marks(plan.targets, calls), plan).targets[0]


def test_goodput_is_a_share_of_all_calls_of_which_failed_ones_are_none():
    calls = [call(k) for k in range(60)]
    calls += [call(60 + k, end=2.5) for k in range(10)] + [
        call(70 + k, first=0.6) for k in range(5)
    ]
    calls += [call(75 + k, "rate_limited", first=None, end=0.01) for k in range(20)]
    found = summary([*calls, call(95, "client_dropped", first=None), call(96, tokens=1)])
    assert (found.goodput.value, found.goodput.of) == (pytest.approx(61 / 96), 96)
    assert found.goodput_per_s / found.requests_per_s == pytest.approx(61 / 76, rel=0.05)
    assert found.to_dict()["goodput"]["of"] == 96


def test_goodput_is_not_given_where_a_limit_is_on_what_was_not_measured():
    unknown = summary([call(k, stream=False, first=None) for k in range(50)])
    assert (unknown.goodput.value, unknown.goodput_per_s) == (None, None)
    alone = summary([call(k) for k in range(50)], slo=("error_rate<1%",))
    assert (alone.goodput.value, alone.goodput_per_s) == (None, None)


def test_where_nothing_succeeded_goodput_is_none_of_them():
    found = summary([call(k, "rate_limited", first=None) for k in range(50)])
    assert (found.goodput.value, found.goodput.of) == (0, 50)


def test_gaps_of_a_failed_call_are_as_many_as_an_answer_has():
    failed = {int(k) for k in np.random.default_rng(1).permutation(100)[:20]}
    found = summary([
        call(k, "server_error", first=None) if k in failed else call(k, tokens=5)
        for k in range(100)
    ])  # fmt: skip
    itl = found.of_all.itl_s.figure
    assert (found.itl_s.n, itl.n) == (320, 400)
    assert found.itl_s.p90 == itl.p50 == pytest.approx(0.1)
    assert (itl.p90, itl.max, itl.mean) == (INF, INF, INF)
    assert found.itl_s.max == pytest.approx(0.1)
    low, high = itl.ci["p90"]
    assert low == high == INF
    nothing = summary([call(k, "server_error", first=None) for k in range(50)])
    assert nothing.of_all.itl_s.figure.p50 == INF


def test_a_closed_loop_has_no_response_time_of_all_either():
    found = summary([call(0), call(1, "server_error")], Closed(users=1), ())
    assert found.of_all.response_s.figure.n == found.response_s.n == 0
    assert found.of_all.latency_s.figure.n == 2
