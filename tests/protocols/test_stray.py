"""What an event means that is no piece of an answer, by its name, its text or its JSON; and a body."""

import pytest

from holymon.protocols.sniff import MOST, Body, kind_of
from holymon.protocols.stray import (
    FEW_WORDS,
    LONGEST,
    Meaning,
    keeps_alive,
    of_json,
    of_name,
    of_text,
)

ERROR, END, ALIVE, KNOWN, UNKNOWN = Meaning


@pytest.mark.parametrize(("name", "meaning", "alive"), [
    (b"", UNKNOWN, False), (b"message", UNKNOWN, False), (b"x", KNOWN, False), (b"\xff", KNOWN, False),
    (b"error", ERROR, False), (b"my.error", ERROR, False), (b"response.failed", ERROR, False),
    (b"serverError", ERROR, False), (b"errors", KNOWN, False), (b"error.x", KNOWN, False),
    (b"done", END, False), (b"[DONE]", END, False), (b"stream_end", END, False),
    (b"done".ljust(FEW_WORDS), END, False), (b"done".ljust(FEW_WORDS + 1), KNOWN, False),
    (b"ping", KNOWN, True), (b"keep-alive", KNOWN, True), (b"pinged", KNOWN, False),
    (b"ping".ljust(FEW_WORDS), KNOWN, True), (b"ping".ljust(FEW_WORDS + 1), KNOWN, False),
])  # fmt: skip
def test_what_a_name_says_alone(name, meaning, alive):
    assert (of_name(name), keeps_alive(name)) == (meaning, alive)


@pytest.mark.parametrize(("text", "meaning"), [
    ("done", END), ("[DONE]", END), ("eof.", END), ("done".ljust(FEW_WORDS), END),
    ("done".ljust(FEW_WORDS + 1), UNKNOWN), ("ping", ALIVE), (" OK", ALIVE),
    ("ping".ljust(FEW_WORDS), ALIVE), ("ping".ljust(FEW_WORDS + 1), UNKNOWN), ("", UNKNOWN),
    ("upstream timed out", ERROR), ("all is well", UNKNOWN), ("请求超时", ERROR),
    ("error".rjust(LONGEST, "x"), ERROR), ("error".rjust(LONGEST + 1, "x"), UNKNOWN),
    ('{"error": "x', ERROR), ('{"error": null', UNKNOWN), ('{"errors": {}', UNKNOWN),
    ('{"detail": 5', ERROR), ('{"say": "invalid"', UNKNOWN), ('["invalid"', UNKNOWN),
    ('"invalid', UNKNOWN), (' {"say": "invalid"', UNKNOWN), ("{".rjust(LONGEST) + "invalid", UNKNOWN),
    ("{".rjust(LONGEST + 1) + "invalid", UNKNOWN),
])  # fmt: skip
def test_what_bare_text_says(text, meaning):
    assert of_text(text) is meaning
    assert of_json(text, strict=False) is of_json(text, strict=True) is meaning


@pytest.mark.parametrize(("value", "meaning", "strictly"), [
    ({}, ALIVE, ALIVE), ([], ALIVE, ALIVE), (None, ALIVE, ALIVE), (5, UNKNOWN, UNKNOWN),
    ([1], UNKNOWN, UNKNOWN), (0, UNKNOWN, UNKNOWN), ([{"error": "x"}], ERROR, ERROR),
    ({"error": "x"}, ERROR, ERROR), ({"type": "ping"}, ALIVE, ALIVE), ({"event": "done"}, END, END),
    ({"object": "end"}, END, END), ({"status": "processing"}, ALIVE, ALIVE),
    ({"message": "ok"}, ALIVE, ALIVE), ({"object": "x"}, KNOWN, KNOWN), ({"id": None}, KNOWN, KNOWN),
    ({"a": 1}, UNKNOWN, UNKNOWN), ({"type": 5, "event": "ping"}, ALIVE, ALIVE),
    ({"type": "", "event": "done"}, END, END), ({"type": "x", "event": "done"}, END, END),
    ({"message": "no way"}, ERROR, UNKNOWN), ({"id": 1, "message": "no way"}, ERROR, KNOWN),
    ({"code": 500}, ERROR, UNKNOWN),
])  # fmt: skip
def test_what_json_says(value, meaning, strictly):
    assert of_json(value, strict=False) is meaning
    assert of_json(value, strict=True) is strictly


BODY = {
    Body.UNKNOWN: [b"", b" ", b" " * (MOST - 1), b"\xef", b"\xef\xbb\xbf\r\n\t"],
    Body.PAGE: [b"<", b" <", b"\xef\xbb\xbf<html>"],
    Body.JSON: [b"{", b"[", b" \n{", b" " * (MOST - 1) + b"{"],
}
UNDECLARED = {
    Body.EVENTS: [b"data:", b"data :", b"DATA\t:", b"event:", b"id:", b"retry:", b"error:", b":",
                  b"\xef\xbb\xbfdata: x"],
    Body.UNKNOWN: [b"d", b"D", b"data", b"data ", b"data\t", b"e", b"error", b"i", b"ret"],
    Body.TEXT: [b"x", b"datum", b"data  ", b"errors", b'"x"', b" " * MOST,
                b" " * MOST + b"{"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "body"), [(kind, body) for kind, some in BODY.items() for body in some]
)
def test_how_a_body_begins_says_what_it_is_whatever_it_was_declared_to_be(kind, body):
    assert kind_of(body, declared=False) is kind_of(body, declared=True) is kind


@pytest.mark.parametrize(
    ("kind", "body"), [(kind, body) for kind, some in UNDECLARED.items() for body in some]
)
def test_a_stream_begins_with_a_field_unless_it_was_declared(kind, body):
    assert kind_of(body, declared=False) is kind
    assert kind_of(body, declared=True) is Body.EVENTS
