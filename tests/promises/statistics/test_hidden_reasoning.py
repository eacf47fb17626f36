"""Reasoning that was not streamed is no decoded time: 1,000 hidden tokens hide behind no TPOT.

Answers are made of the bytes that servers send, 0.0202 s between two tokens of content.
"""

import json

import pytest

from holymon.figures.summary import summarize
from holymon.plan.plan import Open, Plan, Target
from holymon.plan.shapes import constant
from holymon.protocols.chat import CHAT
from holymon.protocols.dialect import Dialect
from holymon.protocols.messages import MESSAGES
from holymon.protocols.reading import Reading
from holymon.protocols.responses import RESPONSES
from holymon.records.attempt import Flag, Marks
from holymon.records.records import from_marks

TRUE = 0.0202
VISIBLE, HIDDEN, CALLS = 100, 1000, 40
TARGET = Target(provider="p", model="m", base_url="http://127.0.0.1:1/v1")
PLAN = Plan(targets=(TARGET,), load=Open(constant(1)), duration_s=40)
Timed = list[tuple[float, bytes]]


def sse(name: str, **data) -> bytes:
    return (f"event: {name}\n" * bool(name) + f"data: {json.dumps(data)}\n\n").encode()


def chat_piece(**delta) -> bytes:
    return sse("", choices=[{"index": 0, "delta": delta}])


def chat_end(reasoning: int | None = HIDDEN, counted: int = VISIBLE + HIDDEN) -> bytes:
    usage = {"prompt_tokens": 7, "completion_tokens": counted}
    if reasoning is not None:
        usage["completion_tokens_details"] = {"reasoning_tokens": reasoning}
    ended = sse("", choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}], usage=usage)
    return ended + b"data: [DONE]\n\n"


def paced(begin: float, n: int, piece: bytes, step: float = TRUE) -> Timed:
    return [(begin + k * step, piece) for k in range(n)]


def chat(*, before: Timed = [], **delta) -> Timed:  # noqa: B006 - read only
    """100 pieces from 2 s on, with `before` ahead of them."""
    content = paced(2.0, VISIBLE, chat_piece(**(delta or {"content": "a"})))
    return [*before, *content, (4.1, chat_end())]


def beside_the_output() -> Timed:
    """1,000 tokens of reasoning can be no part of the 100 that it says it wrote."""
    return [*chat()[:-1], (4.1, chat_end(counted=VISIBLE))]


def call_of_a_tool() -> Timed:
    return chat(tool_calls=[{"index": 0, "function": {"arguments": "{"}}])


def messages(*blocks: dict[str, object], counted: bool = True) -> Timed:
    more = {"output_tokens_details": {"thinking_tokens": HIDDEN}} if counted else {}
    usage = {"output_tokens": VISIBLE + HIDDEN, **more}
    start = sse("message_start", type="message_start", message={"usage": {"input_tokens": 7}})
    ahead = [(1.0 + 0.1 * k, sse(str(b["type"]), **b)) for k, b in enumerate(blocks)]
    text = sse("content_block_delta", type="content_block_delta", index=1,
               delta={"type": "text_delta", "text": "a"})  # fmt: skip
    end = sse("message_delta", type="message_delta", delta={"stop_reason": "end_turn"}, usage=usage)
    stop = sse("message_stop", type="message_stop")
    return [(0.1, start), *ahead, *paced(2.0, VISIBLE, text), (4.1, end + stop)]


def responses(*, summary: bool) -> Timed:
    def event(kind: str, **more: object) -> bytes:
        return sse(kind, type=kind, **more)

    usage = {"input_tokens": 7, "output_tokens": VISIBLE + HIDDEN,
             "output_tokens_details": {"reasoning_tokens": HIDDEN}}  # fmt: skip
    said = paced(0.5, 10, event("response.reasoning_summary_text.delta", delta="hm"), 0.1)
    end = event(
        "response.completed", response={"status": "completed", "output": [], "usage": usage}
    )
    text = event("response.output_text.delta", delta="a")
    return [*said * summary, *paced(2.0, VISIBLE, text), (4.1, end)]


def block(kind: str, **more: object) -> dict[str, object]:
    return {"type": "content_block_start", "index": 0, "content_block": {"type": kind, **more}}


def part(**delta: object) -> dict[str, object]:
    return {"type": "content_block_delta", "index": 0, "delta": delta}


THOUGHT = paced(0.5, 50, chat_piece(reasoning_content="hm"), 0.03)
SIGNED = part(type="signature_delta", signature="x")
THINKS = part(type="thinking_delta", thinking="hm")


def summary_of(dialect: Dialect, timed: Timed):
    made = []
    for k in range(CALLS):
        marks = Marks(k, 0, float(k))
        marks.start = zero = float(k)
        reading = Reading(marks, dialect, stream=True)
        reading.head(zero + 0.01, 200, lambda name: "text/event-stream" * (name == "content-type"))
        for at, piece in timed:
            reading.piece(zero + at, piece)
        assert reading.end(zero + timed[-1][0]) == ""
        made.append(marks)
    records = from_marks(PLAN.targets, made)
    return summarize(records, PLAN).targets[0], records


def of_hidden():
    found, _ = summary_of(CHAT, chat())
    return f"{found.tpot_s.p50 * 1e3:.1f} ms and {found.output_tokens_per_s:,.0f}/s"


FINDINGS = (
    ("4", "TPOT, and tokens/s at one answer a second, with 1,000 hidden and 100 visible tokens",
     "1.8 ms and 1,100/s", of_hidden, "20.2 ms and 100/s"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("dialect", "timed", "veiled", "streamed"),
    [
        pytest.param(CHAT, chat(), True, VISIBLE, id="chat-nothing-of-it"),
        pytest.param(CHAT, beside_the_output(), True, VISIBLE, id="chat-beside-the-output"),
        pytest.param(CHAT, call_of_a_tool(), True, VISIBLE, id="chat-before-a-tool"),
        pytest.param(CHAT, chat(before=THOUGHT), False, VISIBLE + HIDDEN, id="chat-streamed"),
        pytest.param(CHAT, chat(before=[(1.0, chat_piece(reasoning="hm " * HIDDEN))]), False,
                     VISIBLE + HIDDEN, id="chat-all-at-once"),
        pytest.param(RESPONSES, responses(summary=False), True, VISIBLE, id="responses"),
        pytest.param(RESPONSES, responses(summary=True), False, VISIBLE + HIDDEN,
                     id="responses-summary"),
        pytest.param(MESSAGES, messages(block("thinking", thinking=""), SIGNED), True, VISIBLE,
                     id="messages-omitted"),
        pytest.param(MESSAGES, messages(block("redacted_thinking", data="x")), True, VISIBLE,
                     id="messages-redacted"),
        pytest.param(MESSAGES, messages(block("thinking", thinking=""), THINKS, SIGNED), False,
                     VISIBLE + HIDDEN, id="messages-streamed"),
    ],
)  # fmt: skip
def test_tokens_of_content_have_their_own_time(dialect, timed, veiled, streamed):
    found, _ = summary_of(dialect, timed)
    assert found.tpot_s.n == CALLS
    assert found.tpot_s.p50 == pytest.approx(TRUE, rel=1e-6)
    assert found.requests_per_s == pytest.approx(1)
    assert found.output_tokens_per_s == pytest.approx(streamed)
    assert (found.tokens.output, found.tokens.reasoning) == (CALLS * 1100, CALLS * 1000)
    kept = [note for note in found.notes if "kept reasoning to themselves" in note]
    assert bool(kept) == veiled


def test_what_was_hidden_and_not_counted_leaves_nothing_to_say():
    found, records = summary_of(MESSAGES, messages(block("thinking", thinking=""), counted=False))
    assert (found.tpot_s.n, found.output_tokens_per_s) == (0, None)
    assert (records["flags"] & Flag.VEILED).all()
    (note,) = (note for note in found.notes if "kept reasoning" in note)
    assert "not given for the 40 whose server did not count it" in note


def test_rows_of_earlier_versions_tell_by_their_content():
    _, records = summary_of(CHAT, chat())
    records.rows["flags"] ^= int(Flag.VEILED)
    found = summarize(records, PLAN).targets[0]
    assert found.tpot_s.p50 == pytest.approx(TRUE, rel=1e-6)
    assert found.output_tokens_per_s == pytest.approx(VISIBLE)


def test_an_answer_without_reasoning_is_as_it_was():
    plain = [*paced(2.0, VISIBLE + HIDDEN, chat_piece(content="a"), 0.002), (4.5, chat_end(None))]
    found, records = summary_of(CHAT, plain)
    assert found.tpot_s.p50 == pytest.approx(0.002, rel=1e-6)
    assert not (records["flags"] & Flag.VEILED).any()
    assert not any("kept reasoning" in note for note in found.notes)
