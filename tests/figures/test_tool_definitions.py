"""Each tool's formula gives what it would have printed, on calls that can be worked out by hand."""

import json
import math
import re

import pytest

import holymon as hm
from holymon.figures.tool_definitions import OURS
from holymon.plan.plan import Open, Plan, Target
from holymon.plan.shapes import constant
from holymon.records.attempt import Flag, Marks
from holymon.records.records import from_marks

PLAN = Plan(targets=(Target(provider="url", model="m", base_url="http://127.0.0.1:1/v1"),),
            load=Open(constant(1)), requests=30)  # fmt: skip
TOKENS = (0.3, 0.4, 0.6)


def call(number, error="", *, role=0.1, tokens=TOKENS, end=0.7):
    one = Marks(number, 0, float(number))
    one.start = one.due + 0.01
    one.chunk, one.end = one.start + role, one.start + end
    for at in tokens:
        one.token(one.start + at, 1)
    one.output_tokens, one.error, one.flags = len(tokens), error, int(Flag.STREAM)
    return one


def values(calls):
    records = from_marks(PLAN.targets, calls)
    found = hm.definitions(records, summary=hm.summarize(records, PLAN))
    return {(one.tool, one.name): one.p50 if one.unit == "s" else one.value for one in found}


def test_every_formula_by_hand():
    found = values([call(k) for k in range(30)])
    expected = {
        (OURS, "TTFT"): 0.3, ("vLLM bench", "TTFT"): 0.1, ("GuideLLM", "TTFT"): 0.3,
        ("AIPerf", "TTFT"): 0.3, ("OpenRouter", "latency"): 0.3,
        (OURS, "latency"): 0.7, ("vLLM bench", "E2EL"): 0.7, ("GuideLLM", "request latency"): 0.7,
        ("AIPerf", "request latency"): 0.6,
        # Ours: 0.1 and 0.2. vLLM: those, 0.2 from the role on, and 0.1 to the end.
        (OURS, "ITL"): 0.15, ("vLLM bench", "ITL"): 0.15, ("GuideLLM", "ITL"): 0.15,
        ("AIPerf", "ITL"): 0.15, ("AIPerf", "ICL"): 0.15,
        (OURS, "TPOT"): 0.15, ("vLLM bench", "TPOT"): 0.3, ("GuideLLM", "TPOT"): 0.2,
        (OURS, "response"): 0.71, (OURS, "schedule delay"): 0.01,
        (OURS, "error rate"): 0.0, ("vLLM bench", "failed"): 0.0, ("GuideLLM", "errored"): 0.0,
        ("AIPerf", "error requests"): 0.0, ("OpenRouter", "uptime"): 1.0,
        ("vLLM bench", "request throughput"): 30 / 29.7, ("AIPerf", "request throughput"): 30 / 29.7,
        (OURS, "answers/s"): 1.0,
    }  # fmt: skip
    assert set(found) == set(expected)
    for key, value in expected.items():
        assert found[key] == pytest.approx(value, rel=0.006), key


def test_streams_cut_short_are_failures_here_and_successes_there():
    calls = [call(k) for k in range(20)]
    calls += [call(20 + k, "stream_truncated", end=0.65) for k in range(6)]
    calls += [call(26 + k, "stream_error_event", end=0.65) for k in range(2)]
    calls += [call(28 + k, "rate_limited", role=math.nan, tokens=()) for k in range(2)]
    found = values(calls)
    assert found[OURS, "error rate"] == pytest.approx(10 / 30)
    assert found["vLLM bench", "failed"] == pytest.approx(2 / 30)
    assert found["GuideLLM", "errored"] == pytest.approx(2 / 30)
    assert found["AIPerf", "error requests"] == pytest.approx(4 / 30)
    assert found["OpenRouter", "uptime"] == pytest.approx(20 / 28)


def test_long_answers_weigh_more_in_guidellm():
    slow = [call(k, tokens=(0.1, 0.2)) for k in range(20)]
    quick = [call(20 + k, tokens=[0.1 + 0.001 * i for i in range(200)]) for k in range(10)]
    found = values(slow + quick)
    assert found[OURS, "TPOT"] == pytest.approx(0.1)
    assert found["AIPerf", "ITL"] == pytest.approx(0.1)
    assert found["GuideLLM", "ITL"] == pytest.approx(0.001)


def test_without_records_there_are_formulas_and_without_calls_no_values():
    bare = hm.definitions()
    assert {"TTFT", "latency", "ITL", "TPOT", "throughput", "error rate"} <= {
        one.figure for one in bare
    }
    assert all(one.formula and not one.values for one in bare)
    empty = hm.definitions(from_marks(PLAN.targets, []))
    assert not any(one.values for one in empty)
    assert "vLLM bench" in repr(bare)


def test_a_run_on_a_server_that_opens_with_a_role_says_so(simulator, tmp_path):
    plan = Plan(targets=(simulator.target("fast"),), load=Open(constant(20)), requests=30)
    run = hm.measure(plan, out=tmp_path)
    found = {(one.tool, one.name): one for one in hm.definitions(run)}
    ours, theirs = found[OURS, "TTFT"].p50, found["vLLM bench", "TTFT"].p50
    assert theirs < 0.7 * ours  # the role comes at once, the first token after some 20 ms
    assert re.search(r"vLLM bench +p50\u00a0\S+, p95\u00a0\S+\u00a0ms", repr(hm.definitions(run)))
    assert json.dumps([one.formula for one in found.values()])
