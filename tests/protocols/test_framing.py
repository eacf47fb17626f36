"""Streams of other framings become the same events, byte for byte, however they are cut."""

import struct

import pytest

from holymon.protocols.framing import BadFrame, events_of

LINES, AMAZON = "application/x-ndjson", "application/vnd.amazon.eventstream"


@pytest.mark.parametrize(("content_type", "framed"), [
    (LINES, True), ("application/ndjson; charset=utf-8", True), ("application/jsonl", True),
    ("application/stream+json", True), (AMAZON, True), (f"{AMAZON}; x=1", True),
    ("application/json", False), ("text/event-stream", False), ("", False),
])  # fmt: skip
def test_which_streams_are_turned_into_events(content_type, framed):
    assert (events_of(content_type) is not None) is framed


def test_each_line_is_an_event_and_the_last_one_waits_for_more():
    take = events_of(LINES)
    assert take(b'{"a": 1}\n{"b"') == b'data: {"a": 1}\n\ndata: {"b"'
    assert take(b": 2}\n") == b": 2}\n\ndata: "


def message(payload: bytes, headers: bytes = b"", length: int = 0, head: int = -1) -> bytes:
    """A message of Amazon's, as its description draws it; its check sums are not looked at."""
    whole = 12 + len(headers) + len(payload) + 4
    begin = struct.pack(">II", length or whole, len(headers) if head < 0 else head)
    return begin + b"CRC!" + headers + payload + b"SUM!"


def header(name: bytes, value: bytes) -> bytes:
    return bytes([len(name)]) + name + b"\x07" + struct.pack(">H", len(value)) + value


def read(*pieces: bytes) -> bytes:
    take = events_of(AMAZON)
    return b"".join(map(take, pieces))


LIMITED = header(b":exception-type", b"throttling") + header(b":content-type", b"x/y")
FAILED = header(b":error-code", b"Internal")


@pytest.mark.parametrize(("stream", "events"), [
    (message(b'{"a": 1}') + message(b"{}"), b'data: {"a": 1}\n\ndata: {}\n\n'),
    (message(b'{"a":\n1}', header(b":event-type", b"chunk")), b'data: {"a": 1}\n\n'),
    (message(b""), b"data: \n\n"), (message(b"[1]"), b"data: [1]\n\n"),
    (message(b'{"bytes": "eyJhIjogMX0="}'), b'data: {"a": 1}\n\n'),
    (message(b'{"bytes": "a"}'), b"data: {}\n\n"), (message(b'{"bytes": 5}'), b'data: {"bytes": 5}\n\n'),
    (message(b'{"message": "slow"}', LIMITED),
     b'event: error\ndata: {"error": {"type": "throttling", "message": "slow"}}\n\n'),
    (message(b"n\xffo", FAILED),
     b'event: error\ndata: {"error": {"type": "Internal", "message": "n\\ufffdo"}}\n\n'),
    (message(b"{}", FAILED),
     b'event: error\ndata: {"error": {"type": "Internal", "message": "{}"}}\n\n'),
    (message(b"{}", header(b":error-code", b"\xff")),
     b'event: error\ndata: {"error": {"type": "\\ufffd", "message": "{}"}}\n\n'),
])  # fmt: skip
def test_messages_become_events_however_they_are_cut(stream, events):
    assert read(stream) == events
    assert read(*(stream[k : k + 1] for k in range(len(stream)))) == events
    assert read(stream[:-1], stream[-1:] + stream[:5], stream[5:]) == events * 2


LARGEST = 24 * 1024 * 1024


@pytest.mark.parametrize("stream", [
    message(b"", length=15), message(b"", head=1), b"<html>no mes",
    struct.pack(">III", LARGEST + 1, 0, 0),
])  # fmt: skip
def test_what_is_no_message_is_not_waited_for(stream):
    with pytest.raises(BadFrame) as raised:
        read(stream)
    assert str(raised.value) == "no message of an event stream"
    take = events_of(AMAZON)
    assert take(message(b"{}") + stream) == b"data: {}\n\n", "what came before it counts"
    with pytest.raises(BadFrame):
        take(b"")


@pytest.mark.parametrize("stream", [b"<html>no me", struct.pack(">III", LARGEST, 0, 0)])
def test_what_may_become_a_message_is_waited_for(stream):
    assert read(stream) == b""
