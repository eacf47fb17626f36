"""An answer means the same in every dialect: one story, told by seven APIs, leaves the same marks.

And whatever stands in any of their fields, to read it never breaks.
"""

import json
from math import isnan
from types import SimpleNamespace

import pytest

from holymon.errors import NAMES
from holymon.protocols.chat import CHAT
from holymon.protocols.cohere import COHERE
from holymon.protocols.converse import CONVERSE
from holymon.protocols.gemini import GEMINI
from holymon.protocols.messages import MESSAGES
from holymon.protocols.ollama import OLLAMA
from holymon.protocols.responses import RESPONSES
from holymon.records.attempt import Flag, Marks
from tests.protocols.streams import begun

# Of each dialect: an event that opens an answer and one for each step of a story, a whole answer.
# A step is (kind, value): "text", "thought", "call" (of a tool, with its arguments), "end".


def _chat(kind, value):
    delta = {
        "open": {"role": "assistant", "content": ""}, "text": {"content": value},
        "thought": {"reasoning_content": value},
        "call": {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": value}}]},
    }.get(kind, {})  # fmt: skip
    reason = {"finish_reason": value} if kind == "end" else {}
    more = {"usage": {"prompt_tokens": 3, "completion_tokens": 2}} if kind == "end" else {}
    return {"choices": [{"index": 0, "delta": delta, **reason}], **more}


def _chat_whole(story):
    message = {"role": "assistant", "content": story.text or None}
    message |= {"reasoning_content": story.thought} if story.thought else {}
    message |= {"tool_calls": [{"function": {"arguments": story.call}}]} if story.call else {}
    return {"choices": [{"message": message, "finish_reason": story.end}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 2}}  # fmt: skip


def _messages(kind, value):
    delta = {
        "text": {"text": value}, "thought": {"thinking": value}, "call": {"partial_json": value},
    }  # fmt: skip
    if kind == "open":
        return {
            "type": "message_start",
            "message": {"usage": {"input_tokens": 3, "output_tokens": 9}},
        }
    if kind == "end":
        return {
            "type": "message_delta",
            "delta": {"stop_reason": value},
            "usage": {"output_tokens": 2},
        }
    return {"type": "content_block_delta", "index": 0, "delta": delta[kind]}


def _messages_whole(story):
    blocks = [{"type": "thinking", "thinking": story.thought}] if story.thought else []
    blocks += [{"type": "text", "text": story.text}] if story.text else []
    blocks += [{"type": "tool_use", "input": json.loads(story.call)}] if story.call else []
    return {"content": blocks, "stop_reason": story.end,
            "usage": {"input_tokens": 3, "output_tokens": 2}}  # fmt: skip


def _responses(kind, value):
    name = {"text": "output_text", "thought": "reasoning_text", "call": "function_call_arguments"}
    if kind == "open":
        return {"type": "response.created", "response": {"status": "in_progress"}}
    if kind == "end":
        end = _responses_whole(SimpleNamespace(text="", thought="", call="", end=value))
        return {"type": "response." + end["status"], "response": end}
    return {"type": f"response.{name[kind]}.delta", "output_index": 0, "delta": value}


def _responses_whole(story):
    items = [{"type": "reasoning", "summary": []}] if story.thought else []
    text = {"type": "output_text", "text": story.text}
    items += [{"type": "message", "content": [text]}] if story.text else []
    call = story.call or ("{}" if story.end == "tool_calls" else "")
    items += [{"type": "function_call", "arguments": call}] if call else []
    status = "incomplete" if story.end in {"max_output_tokens", "content_filter"} else "completed"
    return {"status": status, "output": items, "incomplete_details": {"reason": story.end},
            "usage": {"input_tokens": 3, "output_tokens": 2}}  # fmt: skip


def _gemini(kind, value):
    part = {"text": {"text": value}, "thought": {"text": value, "thought": True}}.get(kind)
    if kind == "call":
        part = {"functionCall": {"args": json.loads(value)}}
    candidate = {"content": {"parts": [part] if part else []}}
    if kind != "end":
        return {"candidates": [candidate]}
    counts = {"promptTokenCount": 3, "candidatesTokenCount": 2}
    return {"candidates": [candidate | {"finishReason": value}], "usageMetadata": counts}


def _gemini_whole(story):
    end = _gemini("end", story.end)
    steps = [("thought", story.thought), ("text", story.text), ("call", story.call)]
    parts = [_gemini(*step)["candidates"][0]["content"]["parts"] for step in steps if step[1]]
    end["candidates"][0]["content"]["parts"] = [part for some in parts for part in some]
    return end


def _cohere(kind, value):
    call = {"tool_calls": {"id": "c", "function": {"name": "f", "arguments": value}}}
    message = {"text": {"content": {"text": value}}, "thought": {"content": {"thinking": value}}}
    usage = {"billed_units": {"input_tokens": 1}, "tokens": {"input_tokens": 3, "output_tokens": 2}}
    delta = {"finish_reason": value, "usage": usage} if kind == "end" else {
        "message": message.get(kind, call if kind == "call" else {})}  # fmt: skip
    names = {"open": "message-start", "call": "tool-call-delta", "end": "message-end"}
    return {"type": names.get(kind, "content-delta"), "index": 0, "delta": delta}


def _cohere_whole(story):
    blocks = [{"type": "thinking", "thinking": story.thought}] if story.thought else []
    blocks += [{"type": "text", "text": story.text}] if story.text else []
    calls = [{"function": {"arguments": story.call}}] if story.call else []
    return {"message": {"content": blocks, "tool_calls": calls},
            "finish_reason": story.end, "usage": _cohere("end", "")["delta"]["usage"]}  # fmt: skip


def _converse(kind, value):
    delta = {"text": {"text": value}, "thought": {"reasoningContent": {"text": value}},
             "call": {"toolUse": {"input": value}}}  # fmt: skip
    if kind == "open":
        return {"role": "assistant"}
    if kind == "end":
        return {"stopReason": value, "usage": {"inputTokens": 3, "outputTokens": 2}}
    return {"contentBlockIndex": 0, "delta": delta[kind]}


def _converse_whole(story):
    blocks = [{"reasoningContent": {"text": story.thought}}] if story.thought else []
    blocks += [{"text": story.text}] if story.text else []
    blocks += [{"toolUse": {"input": json.loads(story.call)}}] if story.call else []
    return {"output": {"message": {"content": blocks}}, **_converse("end", story.end)}


def _ollama(kind, value):
    message = {"text": {"content": value}, "thought": {"thinking": value}}
    if kind == "call":
        message = {kind: {"tool_calls": [{"function": {"arguments": json.loads(value)}}]}}
    if kind == "end":
        return {"done": True, "done_reason": value, "prompt_eval_count": 3, "eval_count": 2}
    return {"message": {"content": ""} | message.get(kind, {}), "done": False}


def _ollama_whole(story):
    message = {"content": story.text, "thinking": story.thought}
    message |= _ollama("call", story.call)["message"] | message if story.call else {}
    return {"message": message, **_ollama("end", story.end)}


APIS = {
    "chat": (CHAT, _chat, _chat_whole, {}),
    "messages": (MESSAGES, _messages, _messages_whole,
                 {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use",
                  "content_filter": "refusal"}),
    "responses": (RESPONSES, _responses, _responses_whole, {"length": "max_output_tokens"}),
    "gemini": (GEMINI, _gemini, _gemini_whole,
               {"stop": "STOP", "length": "MAX_TOKENS", "tool_calls": "STOP", "content_filter": "SAFETY"}),
    "cohere": (COHERE, _cohere, _cohere_whole,
               {"stop": "COMPLETE", "length": "MAX_TOKENS", "tool_calls": "TOOL_CALL"}),
    "converse": (CONVERSE, _converse, _converse_whole,
                 {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use",
                  "content_filter": "guardrail_intervened"}),
    "ollama": (OLLAMA, _ollama, _ollama_whole, {}),
}  # fmt: skip

# Steps; what is left of them: first token, first text, first call, tokens, flags.
STORIES = {
    "text": ([("text", "Hel"), ("text", "lo"), ("end", "stop")], 1, 1, None, 2, 0),
    "text that is cut off": ([("text", "Hello"), ("end", "length")], 1, 1, None, 1, 0),
    "a thought, then text": (
        [("thought", "hm"), ("thought", "hm"), ("text", "Hello"), ("end", "stop")], 1, 3, None, 3, 0),
    "a thought alone": (
        [("thought", "hm"), ("end", "length")], 1, None, None, 1, Flag.EMPTY | Flag.THOUGHT),
    "nothing": ([("end", "stop")], None, None, None, 0, Flag.EMPTY),
    "what is filtered": ([("text", "Hel"), ("end", "content_filter")], 1, 1, None, 1, 0),
    "a call": ([("call", '{"a": 1}'), ("end", "tool_calls")], 1, None, 1, 1, Flag.TOOLS),
    "text, then a call": (
        [("text", "Hello"), ("call", '{"a": 1}'), ("end", "tool_calls")], 1, 1, 2, 2, Flag.TOOLS),
    "a call of a list": (
        [("call", "[1]"), ("end", "tool_calls")], 1, None, 1, 1, Flag.TOOLS | Flag.BAD_ARGUMENTS),
}  # fmt: skip
ENDS_OTHERWISE = {"gemini": {"tool_calls": "stop"}}


def same(a, b):
    return (b is None and isnan(a)) or a == b


def told(api, story):
    """The events of a story, and its reason in this dialect's words."""
    _, event, _, reasons = APIS[api]
    steps = [(kind, reasons.get(value, value) if kind == "end" else value) for kind, value in story]
    return [event("open", ""), *(event(*step) for step in steps)]


def whole(api, story):
    _, _, body, reasons = APIS[api]
    about = {
        kind: "".join(v for k, v in story if k == kind) for kind in ("text", "thought", "call")
    }
    end = dict(story)["end"]
    return body(SimpleNamespace(**about, end=reasons.get(end, end)))


def read(dialect, events):
    """A stream of which an event comes every second."""
    reading = begun(dialect, keep=True)
    for at, event in enumerate(events):
        if reading.piece(float(at), b"data: " + json.dumps(event).encode() + b"\n\n"):
            break
    return reading.end(float(len(events))), reading


# Cohere has no such end as a content filter's.
STREAMED = [(api, name) for name, (story, *_) in STORIES.items() for api in APIS
            if (api, story[-1][1]) != ("cohere", "content_filter")]  # fmt: skip


@pytest.mark.parametrize(("api", "name"), STREAMED)
def test_a_story_that_is_streamed_leaves_the_same_marks(api, name):
    story, first, content, tool, tokens, flags = STORIES[name]
    error, reading = read(APIS[api][0], told(api, story))
    marks, end = reading.marks, story[-1][1]
    assert (error, marks.message, marks.code) == ("", "", "")
    assert reading.text == "".join(value for kind, value in story if kind == "text")
    assert marks.finish == ENDS_OTHERWISE.get(api, {}).get(end, end)
    assert (marks.prompt_tokens, marks.output_tokens, marks.events) == (3, 2, tokens)
    assert same(marks.first, first)
    assert same(marks.content, content)
    assert same(marks.tool, tool)
    assert same(marks.last, tokens or None)
    assert marks.chunk == 0.0
    assert marks.flags & ~Flag.NO_DONE == flags | Flag.STREAM | Flag.SERVER_TOKENS


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("name", STORIES)
def test_a_story_in_one_piece_means_what_its_stream_does(api, name):
    story, *_, flags = STORIES[name]
    marks = Marks(0, 0, 0.0)
    answer = APIS[api][0].answer(json.dumps(whole(api, story)).encode(), marks)
    assert answer == ("", "", "".join(value for kind, value in story if kind == "text"))
    assert (marks.prompt_tokens, marks.output_tokens) == (3, 2)
    assert marks.flags == flags | Flag.SERVER_TOKENS
    end = story[-1][1]
    assert marks.finish == ENDS_OTHERWISE.get(api, {}).get(end, end)


@pytest.mark.parametrize(
    ("api", "word"), [("chat", "error"), ("gemini", "MALFORMED_FUNCTION_CALL"), ("cohere", "ERROR")]
)
def test_an_answer_that_ends_as_an_error_is_one_however_it_came(api, word):
    story = [("text", "Hel"), ("end", word)]
    error, reading = read(APIS[api][0], told(api, story))
    assert (error, reading.marks.finish) == ("stream_error_event", "error")
    assert reading.marks.message.endswith(word)
    marks = Marks(0, 0, 0.0)
    error, words, text = APIS[api][0].answer(json.dumps(whole(api, story)).encode(), marks)
    assert (error, words, text) == ("server_error", reading.marks.message, "")


ODD = (None, 5, "x", [], [5], {"a": 5}, [{"type": "text"}])
FULL = [("thought", "hm"), ("text", "Hello"), ("call", '{"a": 1}'), ("end", "tool_calls")]


def places(value, path=()):
    """Where anything stands in a JSON value, and what."""
    yield path, value
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*path, key))


def put(value, path, new):
    """A JSON value with something else in one place."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = put(copy[path[0]], path[1:], new)
    return copy


@pytest.mark.parametrize("api", APIS)
def test_whatever_stands_in_a_field_of_an_answer_the_others_are_read(api):
    about = whole(api, FULL)
    block = next(path for path, value in places(about) if value == "Hello")[:-1]
    for path, _ in places(about):
        for new in ODD:
            marks = Marks(0, 0, 0.0)
            body = json.dumps(put(about, path, new)).encode()
            error, message, text = APIS[api][0].answer(body, marks)
            assert error in NAMES or not error
            assert isinstance(message, str)
            if not error and block[: len(path)] != path[: len(block)] and path[-1] != "type":
                assert "Hello" in text


@pytest.mark.parametrize("api", APIS)
def test_whatever_stands_in_a_field_of_an_event_the_others_are_read(api):
    events = told(api, FULL)
    for number, event in enumerate(events):
        for path, value in places(event):
            for new in ODD:
                if new != value:
                    odd = put(event, path, new)
                    error, reading = read(
                        APIS[api][0], [*events[:number], odd, *events[number + 1 :]]
                    )
                    assert error in NAMES or not error
                    if not error and number != 2:
                        assert "Hello" in reading.text


def left(marks):
    """All that is in marks, as one can compare it."""
    return {name: str(getattr(marks, name)) for name in Marks.__slots__ if name[0] != "_"}


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("name", STORIES)
def test_a_story_in_odd_json_leaves_the_same_marks_and_says_so(api, name):
    story = STORIES[name][0]
    _, plain = read(APIS[api][0], told(api, story))
    _, odd = read(APIS[api][0], [[event] for event in told(api, story)])
    assert plain.text == odd.text
    about = {"flags": str(plain.marks.flags | Flag.LENIENT), "bytes": str(odd.marks.bytes)}
    assert left(odd.marks) == left(plain.marks) | about


@pytest.mark.parametrize("api", APIS)
def test_an_event_of_no_field_of_its_own_leaves_nothing_but_that_it_was_skipped(api):
    dialect, nothing = APIS[api][0], [{"nothing": "known"}, {"nothing": ["known"]}]
    error, reading = read(dialect, nothing)
    assert (error, isnan(reading.marks.chunk)) == ("invalid_schema", True)
    assert reading.marks.message == 'no event of this API: {"nothing": "known"}'
    first, *others = told(api, FULL)
    error, reading = read(dialect, [first, *nothing, *others])
    assert (error, reading.text) == ("", "Hello")
    assert reading.marks.flags & Flag.SKIPPED


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(
    "wrong", [{"message": "no", "code": "c"}, [{"message": "no", "code": "c"}]]
)
def test_an_error_beside_or_behind_a_piece_is_the_same_in_each_dialect(api, wrong):
    if api == "cohere":  # whose errors stand in a change
        return
    dialect, steps = APIS[api][0], told(api, FULL[:2])
    for story, flags in (
        ([*steps, {"error": wrong}], Flag.AFTER_FIRST_TOKEN),
        ([{"error": wrong}], 0),
    ):
        error, reading = read(dialect, story)
        marks = reading.marks
        assert (error, marks.message, marks.code) == ("stream_error_event", "no", "c")
        assert marks.flags & Flag.AFTER_FIRST_TOKEN == flags
        assert isnan(marks.chunk) is (not flags)
    for fine in (None, {}, [], "", {"code": 0}):
        error, reading = read(dialect, [event | {"error": fine} for event in told(api, FULL)])
        assert (error, reading.text, reading.marks.finish) == (
            "",
            "Hello",
            ENDS_OTHERWISE.get(api, {}).get("tool_calls", "tool_calls"),
        )
    marks = Marks(0, 0, 0.0)
    answer = dialect.answer(json.dumps(whole(api, FULL) | {"error": wrong}).encode(), marks)
    assert (answer, marks.code) == (("server_error", "no", ""), "c")
    for fine in (None, {}, [], "", {"code": 0}):
        answer = dialect.answer(json.dumps(whole(api, FULL) | {"error": fine}).encode(), marks)
        assert answer == ("", "", "Hello")


@pytest.mark.parametrize("api", APIS)
def test_what_no_answer_is_made_of_is_refused_in_each_dialect(api):
    dialect = APIS[api][0]
    for body, expected in {
        b"": ("empty_response", ""), b" ": ("empty_response", ""), b"{": ("invalid_json", "{"),
        b"\xff": ("invalid_utf8", "\ufffd"), b"{}": ("invalid_schema", "no answer of this API: {}"),
        b'{"a": 1}': ("invalid_schema", 'no answer of this API: {"a": 1}'),
        b'{"message": "no", "code": 503}': ("unavailable", "no"), b"5": ("invalid_schema", "no answer of this API: 5"),
        b'{"detail": "no"}': ("server_error", "no"),
    }.items():  # fmt: skip
        assert dialect.answer(body, Marks(0, 0, 0.0)) == (*expected, ""), body


@pytest.mark.parametrize("api", APIS)
def test_two_calls_side_by_side_are_each_judged_by_all_of_its_pieces(api):
    """Each call has a place of its own, whichever way the dialect numbers them."""
    dialect, event = APIS[api][0], APIS[api][1]
    if api in {"ollama", "gemini"}:  # a call comes as a whole
        return
    keys = {"chat": ("choices", 0, "delta", "tool_calls", 0, "index"), "messages": ("index",),
            "responses": ("output_index",), "cohere": ("index",), "converse": ("contentBlockIndex",)}  # fmt: skip
    pieces = [(1, '{"a": '), (2, '{"b": '), (1, "1}"), (2, "2}")]
    calls = [put(event("call", text), keys[api], place) for place, text in pieces]
    end = event("end", APIS[api][3].get("tool_calls", "tool_calls"))
    if api == "responses":
        end["response"]["output"] = []
    for story, flags in ((calls, Flag.TOOLS), (calls[:3], Flag.TOOLS | Flag.BAD_ARGUMENTS)):
        _, reading = read(dialect, [event("open", ""), *story, end])
        assert reading.marks.flags & (Flag.TOOLS | Flag.BAD_ARGUMENTS) == flags
        assert (reading.marks.tool, reading.marks.events) == (1.0, len(story))


def test_where_each_dialect_that_is_only_watched_is():
    paths = {api: APIS[api][0].path for api in ("gemini", "cohere", "converse", "ollama")}
    assert paths == {
        "gemini": "/models", "cohere": "/v2/chat", "converse": "/converse", "ollama": "/api/chat",
    }  # fmt: skip
