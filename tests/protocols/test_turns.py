"""Messages of chat as other dialects want them, field by field; what is odd is never in the way."""

import pytest

from holymon.protocols.turns import claude, input_items, texts

LINK = {"type": "image_url", "image_url": {"url": "http://x/y.png"}}
DATA = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA\nA", "detail": "low"}}
A = {"type": "text", "text": "a"}
ODD = [A, "b", {"type": "image_url", "image_url": "http://z"}, {"type": "image_url", "image_url": 5},
       {"type": "text"}]  # fmt: skip
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
CALLS = [
    CALL,
    {"function": {"arguments": "{"}},
    "x",
    {"id": "c3", "function": {"name": "g", "arguments": {"b": 2}}},
]
USED = {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}}
CALLED = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a": 1}'}


def user(content):
    return {"role": "user", "content": content}


def assistant(content, calls):
    return {"role": "assistant", "content": content, "tool_calls": calls}


def result(content, identity="c1"):
    return {"role": "tool", "tool_call_id": identity, "content": content}


def of_tool(text, identity="c1"):
    return {"type": "tool_result", "tool_use_id": identity, "content": text}


# Messages; the one text of all; items of a response's input; the system's words, and the turns.
SAID = [
    ([user("hi"), {"role": "assistant", "content": "yo"}], "hi\n\nyo",
     [user("hi"), {"role": "assistant", "content": "yo"}],
     ("", [user("hi"), {"role": "assistant", "content": "yo"}])),
    ([{"content": "hi"}], "hi", [user("hi")], ("", [user("hi")])),
    ([{"role": "developer", "content": "S"}, {"role": "system", "content": [{"type": "text", "text": "T"}]}, user("a")],
     "S\n\nT\n\na",
     [{"role": "developer", "content": "S"},
      {"role": "system", "content": [{"type": "input_text", "text": "T"}]}, user("a")],
     ("S\n\nT", [user("a")])),
    ([user([A, LINK, DATA])], "a",
     [user([{"type": "input_text", "text": "a"}, {"type": "input_image", "image_url": "http://x/y.png"},
            {"type": "input_image", "image_url": "data:image/png;base64,AA\nA", "detail": "low"}])],
     ("", [user([A, {"type": "image", "source": {"type": "url", "url": "http://x/y.png"}},
                 {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA\nA"}}])])),
    ([user(ODD)], "a\nb",
     [user([{"type": "input_text", "text": "a"}, "b", {"type": "input_image", "image_url": "http://z"},
            ODD[3], {"type": "input_text", "text": ""}])],
     ("", [user([A, "b", {"type": "image", "source": {"type": "url", "url": "http://z"}}, ODD[3], ODD[4]])])),
    ([assistant(None, [CALL]), result("R"), result([A], "c2"), user("x")], "R\n\na\n\nx",
     [CALLED, {"type": "function_call_output", "call_id": "c1", "output": "R"},
      {"type": "function_call_output", "call_id": "c2", "output": "a"}, user("x")],
     ("", [{"role": "assistant", "content": [USED]}, user([of_tool("R"), of_tool("a", "c2")]), user("x")])),
    ([assistant("well", CALLS)], "well",
     [{"role": "assistant", "content": "well"}, CALLED,
      {"type": "function_call", "call_id": "", "name": "", "arguments": "{"},
      {"type": "function_call", "call_id": "", "name": "", "arguments": "{}"},
      {"type": "function_call", "call_id": "c3", "name": "g", "arguments": '{"b":2}'}],
     ("", [{"role": "assistant", "content": [
         {"type": "text", "text": "well"}, USED, {"type": "tool_use", "id": "", "name": "", "input": {}},
         {"type": "tool_use", "id": "", "name": "", "input": {}},
         {"type": "tool_use", "id": "c3", "name": "g", "input": {"b": 2}}]}])),
    ([assistant([A], [CALL])], "a", [{"role": "assistant", "content": [{"type": "output_text", "text": "a"}]}, CALLED],
     ("", [{"role": "assistant", "content": [A, USED]}])),
    ([assistant("", [CALL])], "", [{"role": "assistant", "content": ""}, CALLED],
     ("", [{"role": "assistant", "content": [USED]}])),
    ([assistant("hi", [])], "hi", [{"role": "assistant", "content": "hi"}],
     ("", [{"role": "assistant", "content": "hi"}])),
    ([{"role": "tool", "content": "R"}], "R", [{"type": "function_call_output", "call_id": "", "output": "R"}],
     ("", [user([of_tool("R", "")])])),
    ([user(["b"]), result("R")], "b\n\nR",
     [user(["b"]), {"type": "function_call_output", "call_id": "c1", "output": "R"}],
     ("", [user(["b"]), user([of_tool("R")])])),
    ([user([]), result("R"), user("x"), result("R")], "R\n\nx\n\nR",
     [{"type": "function_call_output", "call_id": "c1", "output": "R"}, user("x"),
      {"type": "function_call_output", "call_id": "c1", "output": "R"}],
     ("", [user([]), user([of_tool("R")]), user("x"), user([of_tool("R")])])),
    ([user([of_tool("Q")]), user("x")], "x", [user([of_tool("Q")]), user("x")],
     ("", [user([of_tool("Q")]), user("x")])),
    ([user(None), user("")], "", [user("")], ("", [user([]), user("")])),
    ([user((LINK,))], "", [user([{"type": "input_image", "image_url": "http://x/y.png"}])],
     ("", [user([{"type": "image", "source": {"type": "url", "url": "http://x/y.png"}}])])),
]  # fmt: skip


@pytest.mark.parametrize(("messages", "text", "items", "turns"), SAID)
def test_messages_are_said_in_each_other_form(messages, text, items, turns):
    before = repr(messages)
    assert texts(messages) == text
    assert input_items(messages) == items
    assert claude(messages) == turns
    assert repr(messages) == before
