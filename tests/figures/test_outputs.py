"""What answers held besides text, by hand: TTFO, calls of tools, and the shares of JSON that parses."""

import json
import math

import pytest

from holymon.figures.summary import summarize
from holymon.plan.slo import parse
from holymon.plan.target import Target
from holymon.records.attempt import Flag, Marks
from holymon.records.records import from_marks
from holymon.structs import Rate

TARGET = Target(provider="p", model="m", base_url="http://127.0.0.1:1/v1")


def call(
    number: int, flags: int = 0, *, error: str = "", content: float = 0.2, tool: float = 0.3
) -> Marks:
    one = Marks(number, 0, float(number))
    one.start, one.status, one.error = float(number), 200, error
    one.first, one.last, one.end = number + 0.1, number + 0.4, number + 0.5
    if flags & Flag.TOOLS:
        one.tool = number + tool
    else:
        one.content = number + content
    one.chunks = one.events = one.output_tokens = 4
    one.prompt_tokens = 10
    one.flags = int(Flag.STREAM | Flag.SERVER_TOKENS | flags)
    return one


def summary(*calls: Marks):
    (of,) = summarize(from_marks((TARGET,), calls)).targets
    return of


BAD = Flag.TOOLS | Flag.BAD_ARGUMENTS


def test_arguments_that_parse_are_a_share_of_the_answers_that_called_tools():
    calls = [call(k, BAD if k == 7 else Flag.TOOLS) for k in range(40)]
    of = summary(*calls, call(40), call(41, BAD, error="stream_truncated"))
    rate = of.held.tool_arguments
    assert (rate.of, rate.value) == (40, 39 / 40)
    assert rate.low == pytest.approx(0.8712, abs=1e-4)  # Wilson's, by hand
    assert rate.high == pytest.approx(0.9956, abs=1e-4)
    assert "arguments of tools that parse: 39 of 40, 87 % to 99.56 %" in of.facts
    assert of.held.json_output == Rate(None, None, None, 0)
    assert of.to_dict()["tool_arguments"] == {
        "value": 39 / 40,
        "low": rate.low,
        "high": rate.high,
        "of": 40,
    }


def test_answers_in_json_that_parse_are_a_share_of_those_that_were_to_be():
    calls = [call(k, Flag.JSON_ASKED | (Flag.NOT_JSON if k < 3 else 0)) for k in range(10)]
    of = summary(*calls, call(10, Flag.TOOLS))
    assert (of.held.json_output.of, of.held.json_output.value) == (10, 0.7)
    assert any(line.startswith("answers in JSON that parse: 7 of 10, ") for line in of.facts)


def test_without_any_nothing_is_said_of_them():
    of = summary(*map(call, range(3)))
    assert not [line for line in of.facts if "parse" in line]
    assert not [row for row in of.table.rows if row[0] == "first tool call"]
    found = json.loads(json.dumps(of.to_dict()))
    assert (
        found["tool_arguments"]
        == found["json_output"]
        == {"value": None, "low": None, "high": None, "of": 0}
    )
    assert found["tool_call_s"]["p50"] is None


def test_the_first_output_and_the_first_call_of_a_tool_stand_beside_the_first_token():
    of = summary(
        *(call(k, content=0.2 + k / 100) for k in range(4)), call(4, Flag.TOOLS, tool=0.35)
    )
    assert of.ttft_s.p50 == pytest.approx(0.1)
    assert (of.ttfo_s.n, of.ttfo_s.p50) == (4, pytest.approx(0.215))
    assert (of.tool_call_s.n, of.tool_call_s.max) == (1, pytest.approx(0.35))
    titles = [row[0] for row in of.table.rows]
    assert titles[1:4] == ["TTFT", "TTFO", "first tool call"]


def test_where_text_comes_first_its_time_is_that_of_the_first_token_and_has_no_row_of_its_own():
    of = summary(*(call(k, content=0.1) for k in range(4)))
    assert of.ttfo_s == of.ttft_s
    assert "TTFO" not in [row[0] for row in of.table.rows]
    assert of.to_dict()["ttfo_s"]["p50"] == pytest.approx(0.1)


def test_where_every_answer_is_a_call_its_first_token_is_ttft_and_has_no_row_of_its_own():
    of = summary(*(call(k, Flag.TOOLS, tool=0.1) for k in range(4)))
    assert of.tool_call_s.p50 == pytest.approx(0.1)
    assert [row[0] for row in of.table.rows][1:3] == ["TTFT", "TPOT"]


def test_an_objective_on_content_passes_tools_by_and_counts_failures():
    """TTFT tells of reasoning, TTFO of what a user reads; a call of a tool has no such moment."""
    calls = [call(k, content=0.4) for k in range(6)] + [call(k, Flag.TOOLS) for k in (6, 7)]
    quick = summary(*calls)
    assert quick.value(parse("ttfo_p50<1"))[0] == pytest.approx(0.4)
    assert quick.value(parse("ttft_p50<1"))[0] == pytest.approx(0.1)
    failing = summary(*calls, *(call(k, error="server_error") for k in (8, 9)))
    assert failing.value(parse("ttfo_max<1"))[0] == math.inf
    assert failing.value(parse("ttfo_max_of_successes<1"))[0] == pytest.approx(0.4)
    assert failing.to_dict()["of_all"]["ttfo_s"]["p50"] == pytest.approx(0.4)
    (within,) = summarize(from_marks((TARGET,), calls), objectives=("ttfo_p95<0.3",)).targets
    assert within.goodput.value == 0.25, "the two calls of tools keep it"
