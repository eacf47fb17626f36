"""An objective is a figure, a comparison and a limit; anything else is one sentence."""

import pytest

from holymon.errors import PlanError
from holymon.plan.slo import ERROR_LIMIT, missing_error_limit, parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ttft_p95<0.5", ("ttft", "p95", "<", 0.5)),
        ("ttft_p95 < 500ms", ("ttft", "p95", "<", 0.5)),
        ("latency_p99<=2s", ("latency", "p99", "<=", 2.0)),
        ("latency_s_mean<3", ("latency", "mean", "<", 3.0)),
        ("schedule_delay_max<1e-2", ("schedule_delay", "max", "<", 0.01)),
        ("error_rate<1%", ("error_rate", "", "<", 0.01)),
        ("error_rate_without_429<0.01", ("error_rate_without_429", "", "<", 0.01)),
        ("output_tokens_per_s>=100", ("output_tokens_per_s", "", ">=", 100.0)),
        ("cost_usd<0", ("cost_usd", "", "<", 0.0)),
        ("error_rate<=100%", ("error_rate", "", "<=", 1.0)),
        ("error_rate<=1", ("error_rate", "", "<=", 1.0)),
        ("requests_per_s>1000", ("requests_per_s", "", ">", 1000.0)),
        ("itl_max<250ms", ("itl", "max", "<", 0.25)),
        ("response_p50>0s", ("response", "p50", ">", 0.0)),
    ],
)
def test_forms_that_are_understood(text, expected):
    found = parse(text)
    assert (found.metric, found.stat, found.op, pytest.approx(found.limit)) == expected


@pytest.mark.parametrize(
    "text",
    ["ttft_p95<-1", "ttft_p95<inf", "ttft_p95<1e999", "ttft_p95<nan", "error_rate<101%", "error_rate<1.01",
     "requests_per_s>5s", "requests_per_s>5%", "cost_usd<1ms", "ttft<1", "error_rate_p95<1", "", "ttft", "ttft_p95", "ttft_p95=1", "ttft_p42<1", "speed_p95<1", "ttft_p95<x", "error_rate<5ms",
     "error_rate_of_successes<1%", "schedule_delay_p95_of_successes<1", "cost_usd_of_successes<1",
     "ttft_of_successes_p95<1", "_of_successes<1", "ttft_p95_of_failures<1", "ttft_p95<5%", "ttft_p95<1 day", "p95<1", "__class__<1", "ttft_p95<1;error_rate<1", "error_rate<--1"],
)  # fmt: skip
def test_forms_that_are_not(text):
    with pytest.raises(PlanError, match="slo") as caught:
        parse(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "value", "holds"),
    [("ttft_p95<1", 0.9, True), ("ttft_p95<1", 1.0, False), ("ttft_p95<=1", 1.0, True),
     ("ttft_p95<=1", 1.1, False), ("requests_per_s>5", 5.0, False), ("requests_per_s>5", 5.1, True),
     ("requests_per_s>=5", 5.0, True), ("requests_per_s>=5", 5.1, True), ("requests_per_s>=5", 4.9, False)],
)  # fmt: skip
def test_a_limit_holds_or_does_not(text, value, holds):
    assert parse(text).holds(value) is holds


@pytest.mark.parametrize(
    ("text", "single"),
    [("latency_p95<1", True), ("response_max<=1", True), ("ttft_p50<1", True), ("tpot_mean<1", True),
     ("latency_p95>1", False), ("itl_p95<1", False), ("schedule_delay_p95<1", False),
     ("error_rate<1%", False), ("requests_per_s>=1", False)],
)  # fmt: skip
def test_a_single_call_can_meet_an_upper_limit_on_its_own_durations(text, single):
    assert parse(text).per_request is single


def test_an_objective_keeps_its_words_without_the_blanks_around_them():
    assert parse("  ttft_p95 < 500 ms ").text == "ttft_p95 < 500 ms"


@pytest.mark.parametrize(
    "figure", ["latency_p95", "response_max", "ttft_mean", "itl_p50", "tpot_p99"]
)
def test_an_objective_is_on_all_calls_unless_it_says_of_successes(figure):
    every, good = parse(f"{figure}<3"), parse(f"{figure}_of_successes < 3s")
    assert (every.of_successes, good.of_successes) == (False, True)
    assert (every.metric, every.stat, every.limit) == (good.metric, good.stat, good.limit)


@pytest.mark.parametrize("op", ["<", "<=", ">", ">="])
def test_what_took_for_ever_meets_nothing(op):
    assert not parse(f"latency_p95{op}3").holds(float("inf"))


@pytest.mark.parametrize(
    ("given", "added"),
    [(("ttft_p95<1",), (ERROR_LIMIT,)), (("ttft_p95<1", "error_rate<5%"), ()),
     (("error_rate_without_429<1%",), ()), ((), (ERROR_LIMIT,))],
)  # fmt: skip
def test_a_limit_on_errors_is_added_where_there_is_none(given, added):
    assert missing_error_limit(given) == added
