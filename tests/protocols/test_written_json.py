"""What a model writes as JSON is judged as its client would read it: arguments of tools in all the
forms in which servers stream them, and answers that were asked for in JSON.

Each form has its source: a provider's documentation, or a public report of those who met it.
"""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holymon.protocols.cohere import COHERE
from holymon.protocols.converse import CONVERSE
from holymon.protocols.dialects import DIALECTS
from holymon.protocols.gemini import GEMINI
from holymon.protocols.ollama import OLLAMA
from holymon.protocols.reading import Reading
from holymon.protocols.written_json import MOST, asks_for_json, flags_of, is_json
from holymon.records.attempt import Flag, Marks
from tests.protocols.streams import HEADERS, read

GOOD, BAD = Flag.TOOLS, Flag.TOOLS | Flag.BAD_ARGUMENTS
JUDGED = Flag.TOOLS | Flag.BAD_ARGUMENTS | Flag.JSON_ASKED | Flag.NOT_JSON


def delta(*calls, finish=None, **more) -> bytes:
    about = {"tool_calls": [*calls], **more} if calls else more
    event = {"choices": [{"index": 0, "delta": about, "finish_reason": finish}]}
    return b"data: " + json.dumps(event).encode() + b"\n\n"


def call(arguments=None, index=0, name=None, key=None):
    function = {"name": name, "arguments": arguments}
    about = {
        "index": index,
        "id": key,
        "function": {k: v for k, v in function.items() if v is not None},
    }
    return {k: v for k, v in about.items() if v is not None}


END = delta(finish="tool_calls") + b"data: [DONE]\n\n"

CHAT = {
    "in pieces (platform.openai.com/docs/guides/function-calling, streaming)":
        ([delta(call("", name="f", key="c1")), delta(call('{"city":')), delta(call(' "Hue"}'))], GOOD),
    "in one piece (docs.mistral.ai/capabilities/function_calling)":
        ([delta(call('{"city": "Hue"}', name="f", key="c1"), finish="tool_calls")], GOOD),
    "cut off at the limit of tokens":
        ([delta(call("", name="f", key="c1")), delta(call('{"city": "H'), finish="length")], BAD),
    "no index (openai/openai-python#2806, Gemini; ollama/ollama#7881)":
        ([delta(call('{"a": 1}', index=None, name="f", key="c1"))], GOOD),
    "no index, and each call in an event of its own (langchain-ai/langchain#40392)":
        ([delta(call('{"a": 1}', index=None, name="f", key="c1")), delta(call('{"b": 2}', index=None, name="g", key="c2"))],
         GOOD),
    "no index and no ids, calls side by side":
        ([delta(call('{"a": 1}', index=None, name="f"), call("{}", index=None, name="g"))], GOOD),
    "the same index for calls in parallel (BerriAI/litellm#16188, mcowger/plexus#691)":
        ([delta(call('{"a": 1}', name="f", key="c1")), delta(call('{"a": 2}', name="f", key="c2"))], GOOD),
    "the same index, and one of them broken":
        ([delta(call('{"a": 1}', name="f", key="c1")), delta(call('{"a": ', name="f", key="c2"))], BAD),
    "the id in every piece (JetBrains/koog#2002)":
        ([delta(call('{"a"', name="f", key="c1")), delta(call(": 1}", key="c1"))], GOOD),
    "another id in every piece (poolsideai/pool#9)":
        ([delta(call('{"a"', name="f", key="c1")), delta(call(": 1", key="c2")), delta(call("}", key="c3"))], GOOD),
    "an empty id behind the first piece (JetBrains/koog#1915)":
        ([delta(call('{"a"', name="f", key="c1")), delta(call(": 1}", key=""))], GOOD),
    "nothing for a tool that takes nothing (openai/openai-agents-js#664)":
        ([delta(call("", name="f", key="c1"))], GOOD),
    "no arguments at all": ([delta(call(name="f", key="c1"))], GOOD),
    "an object instead of a text (huggingface/smolagents#1003, ml-explore/mlx-lm#271)":
        ([delta(call({"a": 1}, name="f", key="c1"))], GOOD),
    "JSON that is no object (langchain-ai/langchain#35990)": ([delta(call("[1]", name="f", key="c1"))], BAD),
    "written twice over (a text in a text)": ([delta(call('"{}"', name="f", key="c1"))], BAD),
    "an empty object before the pieces": ([delta(call("{}", name="f", key="c1")), delta(call('{"a": 1}'))], BAD),
    "calls in parallel, piece by piece":
        ([delta(call("", 0, "f", "c1"), call("", 1, "g", "c2")), delta(call('{"a":', 0), call("{", 1)),
          delta(call("1}", 0), call("}", 1))], GOOD),
    "the older function_call": ([delta(function_call={"name": "f"}), delta(function_call={"arguments": "{}"})], GOOD),
    "beside text in one event": ([delta(call("{", name="f", key="c1"), content="Let me see.")], BAD),
    "no calls, as vLLM and others say": ([delta(content="Hi", tool_calls=[])], 0),
    "calls that are null": ([delta(content="Hi", tool_calls=None)], 0),
    "calls of odd types": ([delta("x", 3, None, call("{}", index="0", name="f", key=7))], GOOD),
    "a function of an odd type": ([delta({"index": 0, "function": "f"})], GOOD),
}  # fmt: skip


@pytest.mark.parametrize("case", CHAT)
def test_arguments_of_tools_in_chat_in_every_form_in_which_they_are_streamed(case):
    pieces, expected = CHAT[case]
    error, reading = read(DIALECTS["chat"], *pieces, END)
    assert (error, reading.marks.flags & JUDGED) == ("", expected)
    assert (reading.marks.tool == 0.0) == bool(expected)


def test_the_first_token_of_a_call_has_its_time_beside_those_of_reasoning_and_text():
    pieces = (
        delta(reasoning_content="hm"),
        delta(content="Let me see."),
        delta(call("{", name="f", key="c")),
    )
    error, reading = read(DIALECTS["chat"], *pieces, delta(call("}")), END)
    marks = reading.marks
    assert (error, marks.first, marks.content, marks.tool, marks.last) == ("", 0.0, 1.0, 2.0, 3.0)


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        ([call('{"a": 1}', name="f")], GOOD), ([call("{", name="f")], BAD), ([], 0), (None, 0),
        ([call("{}", name="f"), call("{", name="g")], BAD), ([call({"a": 1}, name="f")], GOOD),
    ],
)  # fmt: skip
def test_arguments_in_a_whole_answer(calls, expected):
    body = {
        "choices": [{"message": {"content": None, "tool_calls": calls}, "finish_reason": "stop"}]
    }
    marks = Marks(0, 0, 0.0)
    assert DIALECTS["chat"].answer(json.dumps(body).encode(), marks)[0] == ""
    assert marks.flags & JUDGED == expected


def event(kind: str, **more) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **more})}\n\n".encode()


def of_messages(*pieces: str, kind="tool_use", given=None, stop="tool_use") -> list[bytes]:
    """platform.claude.com/docs/en/build-with-claude/streaming, "Streaming request with tool use"."""
    return [
        event("message_start", message={"content": [], "usage": {"input_tokens": 3}}),
        event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        event("content_block_delta", index=0, delta={"type": "text_delta", "text": "Okay"}),
        event("content_block_start", index=1, content_block={"type": kind, "name": "f", "input": given or {}}),
        *(event("content_block_delta", index=1, delta={"type": "input_json_delta", "partial_json": piece})
          for piece in pieces),
        event("message_delta", delta={"stop_reason": stop}, usage={"output_tokens": 9}),
        event("message_stop"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (of_messages("", '{"city":', ' "Hue"}'), GOOD), (of_messages(""), GOOD), (of_messages(), GOOD),
        (of_messages('{"city": "H', stop="max_tokens"), BAD), (of_messages(given={"a": 1}), GOOD),
        (of_messages('{"query": "x"}', kind="server_tool_use"), GOOD),
    ],
)  # fmt: skip
def test_what_a_tool_is_handed_in_messages(stream, expected):
    error, reading = read(DIALECTS["messages"], *stream)
    marks = reading.marks
    assert (error, marks.flags & JUDGED) == ("", expected)
    assert (marks.first, marks.content, marks.tool) == (2.0, 2.0, 3.0)


def item(arguments=None, kind="function_call"):
    return {
        "type": kind,
        "name": "f",
        "call_id": "c",
        **({} if arguments is None else {"arguments": arguments}),
    }


def of_responses(*pieces: str, final=None, kind="function_call") -> list[bytes]:
    """platform.openai.com/docs/guides/function-calling, streaming with the Responses API."""
    of = {"function_call": "function_call_arguments", "custom_tool_call": "custom_tool_call_input"}[
        kind
    ]
    text = "".join(pieces) if final is None else final
    return [
        event("response.created", response={"status": "in_progress", "output": []}),
        event("response.output_item.added", output_index=0, item=item("", kind)),
        *(event(f"response.{of}.delta", output_index=0, item_id="fc", delta=piece) for piece in pieces),
        event(f"response.{of}.done", output_index=0, arguments=text),
        event("response.completed", response={
            "status": "completed", "output": [item(text if kind == "function_call" else None, kind)],
            "usage": {"input_tokens": 3, "output_tokens": 9}}),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (of_responses('{"city":', ' "Hue"}'), GOOD), (of_responses('{"city":'), BAD), (of_responses("{}"), GOOD),
        (of_responses(final='{"a": 1'), BAD), (of_responses(final=""), GOOD),
        (of_responses("any text", " at all", kind="custom_tool_call"), GOOD),
    ],
)  # fmt: skip
def test_what_a_tool_is_handed_in_responses(stream, expected):
    error, reading = read(DIALECTS["responses"], *stream)
    marks = reading.marks
    assert (error, marks.finish, marks.flags & JUDGED) == ("", "tool_calls", expected)
    assert (marks.first, marks.tool) == (1.0, 1.0)
    assert marks.content != marks.content


@pytest.mark.parametrize(
    ("dialect", "body", "expected"),
    [
        ("messages", {"content": [{"type": "tool_use", "input": {"a": 1}}], "stop_reason": "tool_use"}, GOOD),
        ("messages", {"content": [{"type": "tool_use", "input": "{"}], "stop_reason": "tool_use"}, BAD),
        ("messages", {"content": [{"type": "text", "text": "x"}], "stop_reason": "end_turn"}, 0),
        ("responses", {"status": "completed", "output": [item('{"a": 1}')]}, GOOD),
        ("responses", {"status": "incomplete", "output": [item('{"a": ')]}, BAD),
    ],
)  # fmt: skip
def test_arguments_in_a_whole_answer_of_another_dialect(dialect, body, expected):
    marks = Marks(0, 0, 0.0)
    assert DIALECTS[dialect].answer(json.dumps(body).encode(), marks)[0] == ""
    assert marks.flags & JUDGED == expected


SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"response_format": {"type": "json_object"}}, True),  # platform.openai.com, JSON mode
        ({"response_format": SCHEMA}, True),
        ({"text": {"format": {"type": "json_schema", "name": "x", "schema": {}}}}, True),  # Responses
        ({"output_config": {"format": {"type": "json_schema", "schema": {}}}}, True),  # Anthropic
        ({"output_format": {"type": "json_schema", "schema": {}}}, True),  # Anthropic, at first
        ({"response_format": {"type": "text"}}, False),
        ({"messages": [{"role": "user", "content": 'write "json_object"'}]}, False),
        ({"metadata": {"type": "json_object"}}, False),
        ({"response_format": "json_object"}, False),
        ({}, False),
    ],
)  # fmt: skip
def test_whether_json_was_asked_for_is_read_in_the_request(fields, expected):
    assert asks_for_json(json.dumps({"model": "m", **fields}).encode()) is expected


@pytest.mark.parametrize(
    "body", [b'"json_object"', b'["json_schema"]', b'{"json_schema"', b'\xff"json_object"']
)
def test_what_is_no_request_asks_for_nothing(body):
    assert not asks_for_json(body)


def answered(text: str, finish="stop", *, stream: bool, wants=True, **more) -> Marks:
    message = {"content": text, **more}
    if stream:
        body = delta(finish=None, **message) + delta(finish=finish) + b"data: [DONE]\n\n"
    else:
        body = json.dumps({"choices": [{"message": message, "finish_reason": finish}]}).encode()
    marks = Marks(0, 0, 0.0)
    reading = Reading(marks, DIALECTS["chat"], stream=stream, wants_json=wants)
    headers = HEADERS if stream else {"content-type": "application/json"}
    reading.head(0.0, 200, lambda name: headers.get(name, ""))
    reading.piece(1.0, body)
    assert reading.end(2.0) == ""
    return marks


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("text", "good"),
    [
        ('{"a": 1}', True), (" [1, 2]\n", True), ("3", True), ('{"a": ', False), ("", False),
        ("```json\n{}\n```", False), ("Here it is: {}", False), ('{"a": NaN}', False), ("{'a': 1}", False),
    ],
)  # fmt: skip
def test_an_answer_in_json_is_json_to_the_letter(text, good, stream):
    marks = answered(text, stream=stream)
    assert marks.flags & JUDGED == (Flag.JSON_ASKED if good else Flag.JSON_ASKED | Flag.NOT_JSON)


@pytest.mark.parametrize("stream", [True, False])
def test_where_no_json_was_asked_for_or_a_tool_was_called_no_text_is_judged(stream):
    assert answered("plain", stream=stream, wants=False).flags & JUDGED == 0
    tools = [call("{}", name="f", key="c1")]
    assert answered("plain", stream=stream, tool_calls=tools).flags & JUDGED == GOOD


@settings(max_examples=20, deadline=None)
@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(
    st.sampled_from(["index", "id", "function", "arguments", "type"]), inner), max_leaves=8))  # fmt: skip
def test_calls_of_any_shape_are_read(shape):
    for pieces in ([delta(shape)], [delta(tool_calls=shape)], [delta(function_call=shape)]):
        error, _ = read(DIALECTS["chat"], *pieces, END)
        assert error in {"", "invalid_schema", "stream_truncated", "empty_response"}
    for event_ in (event("content_block_start", index=shape, content_block={"type": "tool_use", "input": shape}),
                   event("content_block_delta", index=shape, delta={"partial_json": "{"})):  # fmt: skip
        read(DIALECTS["messages"], event_, event("message_stop"))
    read(DIALECTS["responses"], event("response.output_item.added", output_index=shape, item=shape),
         event("response.function_call_arguments.delta", output_index=shape, delta="{"))  # fmt: skip


def test_endless_and_deep_arguments_are_none_and_take_no_room():
    assert flags_of(["[" * 100_000]) == BAD
    assert flags_of(['{"a":' * 100_000]) == BAD
    assert not is_json("[" * 100_000)
    assert flags_of(['{"a": "' + "x" * MOST + '"}']) == BAD
    assert flags_of(["\ud800"]) == BAD


def cohere(kind, **about):
    return {"type": f"tool-call-{kind}", "index": 0, "delta": {"message": {"tool_calls": about}}}


def converse(**about):
    return {"contentBlockIndex": 1, **about}


FUNCTION = {"function": {"name": "f", "arguments": {"city": "Hue"}}}
WATCHED = {
    "ollama (ollama/docs/api.md, chat request with tools, streaming)": (OLLAMA, [
        {"message": {"role": "assistant", "content": "", "tool_calls": [FUNCTION]}, "done": False},
        {"message": {"content": "", "tool_calls": [FUNCTION]}, "done": False},
        {"message": {"content": ""}, "done_reason": "stop", "done": True}], GOOD),
    "gemini (ai.google.dev/gemini-api/docs/function-calling, in parallel)": (GEMINI, [
        {"candidates": [{"content": {"parts": [{"functionCall": {"name": "f", "args": {"a": 1}}},
                                               {"functionCall": {"name": "g"}}]}, "finishReason": "STOP"}]}], GOOD),
    "cohere (docs.cohere.com/v2/docs/tool-use-streaming)": (COHERE, [
        cohere("start", id="f_1", type="function", function={"name": "f", "arguments": ""}),
        cohere("delta", function={"arguments": '{"city":'}), cohere("delta", function={"arguments": ' "Hue"}'}),
        {"type": "tool-call-end", "index": 0}, {"type": "message-end", "delta": {"finish_reason": "TOOL_CALL"}}], GOOD),
    "cohere, cut off at the limit of tokens": (COHERE, [
        cohere("start", id="f_1", type="function", function={"name": "f", "arguments": ""}),
        cohere("delta", function={"arguments": '{"city":'}),
        {"type": "message-end", "delta": {"finish_reason": "MAX_TOKENS"}}], BAD),
    "converse (docs.aws.amazon.com/bedrock, ToolUseBlockDelta)": (CONVERSE, [
        converse(start={"toolUse": {"toolUseId": "t", "name": "f"}}),
        converse(delta={"toolUse": {"input": '{"city":'}}), converse(delta={"toolUse": {"input": ' "Hue"}'}}),
        {"stopReason": "tool_use"}, {"usage": {"inputTokens": 3, "outputTokens": 2}}], GOOD),
    "converse, broken": (CONVERSE, [
        converse(start={"toolUse": {"toolUseId": "t", "name": "f"}}),
        converse(delta={"toolUse": {"input": '{"city":'}}), {"stopReason": "tool_use"},
        {"usage": {"inputTokens": 3, "outputTokens": 2}}], BAD),
}  # fmt: skip


@pytest.mark.parametrize("name", WATCHED)
def test_calls_in_a_stream_of_a_watched_client_are_timed_and_judged(name):
    dialect, events, expected = WATCHED[name]
    pieces = [b"data: " + json.dumps(event).encode() + b"\n\n" for event in events]
    error, reading = read(dialect, *pieces)
    assert (error, reading.marks.flags & JUDGED, reading.marks.tool) == ("", expected, 0.0)


@pytest.mark.parametrize(
    ("dialect", "answer"),
    [
        (OLLAMA, {"message": {"content": "", "tool_calls": [FUNCTION]}, "done": True}),
        (GEMINI, WATCHED[[*WATCHED][1]][1][0]),
        (COHERE, {"message": {"tool_calls": [{"id": "f_1", "function": {"name": "f", "arguments": "{}"}}]},
                  "finish_reason": "TOOL_CALL"}),
        (CONVERSE, {"output": {"message": {"content": [{"toolUse": {"name": "f", "input": {"a": 1}}}]}},
                    "stopReason": "tool_use"}),
    ],
)  # fmt: skip
def test_calls_in_an_answer_of_a_watched_client_are_judged(dialect, answer):
    marks = Marks(0, 0, 0.0)
    assert dialect.answer(json.dumps(answer).encode(), marks)[0] == ""
    assert marks.flags & JUDGED == GOOD
