"""What each kind of event that is no piece of text does to an answer, to the letter."""

import pytest

from holymon.protocols.chat import CHAT
from holymon.records.attempt import Flag
from tests.protocols.streams import read

HI = b'data: {"choices": [{"index": 0, "delta": {"content": "hi"}}]}\n\n'
STOP = b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"
END = STOP + DONE
NO_FINISH, NO_DONE, AFTER, ALIVE, SKIPPED, LENIENT = (
    Flag.NO_FINISH, Flag.NO_DONE, Flag.AFTER_DONE, Flag.KEEP_ALIVE, Flag.SKIPPED, Flag.LENIENT,
)  # fmt: skip
FINE = [  # streams of one token, and their flags
    (HI + END, 0), (HI[:-1] + END, LENIENT), (HI[:-1] + DONE, NO_FINISH | LENIENT),
    (HI + b"event: ping\ndata: {}\n\n" + END, 0), (HI + b"data: {}\n\n" + END, ALIVE),
    (HI + b"data:  null \n\n" + END, ALIVE), (HI + b"data: []" + b" " * 20 + b"\n\n" + END, ALIVE),
    (HI + b"event: x\ndata: null" + b" " * 20 + b"\n\n" + END, 0),
    (HI + b'data: {"a": 1}\n\n' + END, SKIPPED), (HI + b'event: x\ndata: {"a": 1}\n\n' + END, 0),
    (HI + b'event: ping\ndata: {"a": 1}\n\n' + END, 0), (HI + b'data: {"choices": 5}\n\n' + END, SKIPPED),
    (HI + b"event: ping\ndata: 5\n\n" + END, 0), (HI + b'event: x\ndata: {"choices": 5}\n\n' + END, SKIPPED),
    (HI + b'data: "ping"\n\n' + END, ALIVE), (HI + b"data: ping\n\n" + END, ALIVE),
    (HI + b"event: ping\ndata: well, well\n\n" + END, 0),
    (HI + b"event: done\ndata: {}\n\n", NO_FINISH), (HI + b'event: done\ndata: {"a": 1}\n\n', NO_FINISH),
    (HI + b"event: done\ndata: 5\n\n" + DONE, NO_FINISH), (HI + b'data: "done"\n\n' + HI, NO_FINISH | AFTER),
    (HI + b"data: done\n\n" + STOP, NO_FINISH | AFTER), (HI + DONE + DONE, NO_FINISH),
    (HI + DONE + b'data: {"message": "x"}\n\n', NO_FINISH | AFTER), (HI + END + b"data: x\n\n", AFTER),
    (HI + b"data: [DONE]  \n\n", NO_FINISH), (HI + b"data: [DONE]", NO_FINISH), (HI + STOP, NO_DONE),
    (HI + STOP + b"data: an error\n\n" + DONE, SKIPPED), (HI + STOP + b"data: well, well\n\n" + DONE, SKIPPED),
    (HI + STOP + b"data: \xff\n\n" + DONE, SKIPPED), (HI + STOP + b"data: {\n\n" + DONE, SKIPPED),
    (HI + STOP + b"data: 5\n\n" + DONE, SKIPPED), (HI + b"some words\n" + END, 0), (HI + b"\xff\n" + END, 0),
    (HI + STOP + b"an error\n" + DONE, 0), (HI + b"done\n" + STOP, NO_DONE), (HI + b"ping\n" + END, 0),
    (b'event: message_start\ndata: {"type": "message_start"}\n\n' + HI + END, 0),
    (HI + b'data: {"choices": []}\n\n' + END, SKIPPED), (HI + b'data: {"id": "1", "choices": []}\n\n' + END, 0),
]  # fmt: skip


@pytest.mark.parametrize(("stream", "flags"), FINE)
def test_what_is_no_failure_is_noted(stream, flags):
    error, reading = read(CHAT, stream)
    marks = reading.marks
    assert (error, marks.message, marks.code, marks.events) == ("", "", "", 1)
    assert marks.flags == Flag.STREAM | flags


WRONG = b'data: {"error": {"message": "no", "code": "c"}}\n\n'
CUT = "it answers as {} does, not /chat/completions"
FAILED = [  # streams, their error, its words, its code
    (HI + WRONG, "stream_error_event", "no", "c"), (HI + b"event: error\n" + WRONG, "stream_error_event", "no", "c"),
    (HI + b"event: error\n" + HI, "stream_error_event", str({"choices": [{"index": 0, "delta": {"content": "hi"}}]}), ""),
    (HI + b'event: exception\ndata: {"choices": []}\n\n', "stream_error_event", "{'choices': []}", ""),
    (HI + b"event: error\ndata: {}\n\n", "stream_error_event", "", ""),
    (HI + b"event: my.error\ndata: {}\n\n", "stream_error_event", "", ""),
    (HI + b'event: my.error\ndata: {"code": "c", "x": 1}\n\n', "stream_error_event", "{'code': 'c', 'x': 1}", "c"),
    (HI + b'data: "boom error"\n\n', "stream_error_event", "boom error", ""),
    (HI + b"data: an <b>error</b>\n\n", "stream_error_event", "an error", ""),
    (HI + b"event: my.error\ndata: well\n\n", "stream_error_event", "well", ""),
    (HI + STOP + b"event: my.error\ndata: well\n\n", "stream_error_event", "well", ""),
    (HI + STOP + b"event: error\ndata: well\n\n", "stream_error_event", "well", ""),
    (HI + STOP + WRONG, "stream_error_event", "no", "c"), (HI + END + WRONG, "stream_error_event", "no", "c"),
    (HI + b"an <b>error</b>\n" + END, "stream_error_event", "an error", ""),
    (HI + b"data: 5\n\n" + END, "invalid_schema", "5", ""), (HI + b'data: "x"\n\n' + END, "invalid_schema", '"x"', ""),
    (HI + b"event: x\ndata: 5\n\n" + END, "invalid_schema", "5", ""),
    (b"data: [1]\n" + HI + END, "invalid_schema", "[1]", ""), (HI + b"data: [1] x\n\n" + END, "invalid_json", "[1] x", ""),
    (HI + b"data: [NaN]\n\n" + END, "invalid_schema", "[NaN]", ""),
    (HI + b"data: well, well\n\n" + END, "invalid_json", "well, well", ""),
    (HI + b"event: done\ndata: well\n\n" + END, "invalid_json", "well", ""),
    (HI + b"event: x\ndata: well\n\n" + END, "invalid_json", "well", ""),
    (HI + b"data: {" + b"x" * 300 + b"\n\n", "invalid_json", "{" + "x" * 118 + "…", ""),
    (HI + b"data: \xff\n\n" + END, "invalid_utf8", "\ufffd", ""),
    (HI + b"data: well", "invalid_json", "well", ""), (HI + b'data: {"a": 1', "stream_truncated", "", ""),
    (HI + b'data: "abc', "stream_truncated", "", ""), (HI + b"data: ", "stream_truncated", "", ""),
    (HI + b"event: x\n", "stream_truncated", "", ""), (HI + b"ping\n", "stream_truncated", "", ""),
    (HI + b"some words\nother words\n", "stream_truncated", "some words", ""),
    (HI + b"<html>an error</html>\n", "stream_truncated", "an error", ""),
    (HI + b"data:      [DONE]      x\n\n", "invalid_json", "[DONE] x", ""),
    (b'event: message_start\ndata: {"type": "a"}\n\n', "stream_truncated", CUT.format("/messages"), ""),
    (b'event: response.created\ndata: {"type": "a"}\n\nevent: message_start\ndata: {"type": "a"}\n\n',
     "stream_truncated", CUT.format("/responses"), ""),
    (b'words\nevent: message_start\ndata: {"type": "a"}\n\n', "stream_truncated", "words", ""),
    (b'event: message_start\ndata: {"type": "a"}\n\nwords\n', "stream_truncated", CUT.format("/messages"), ""),
    (HI + b'data: {"x": 1}\n\n', "invalid_schema", 'no event of this API: {"x": 1}', ""),
]  # fmt: skip


@pytest.mark.parametrize(("stream", "error", "words", "code"), FAILED)
def test_what_is_a_failure_has_its_words(stream, error, words, code):
    known, reading = read(CHAT, stream)
    marks = reading.marks
    assert (known, marks.message, marks.code) == (error, words, code)
    assert bool(marks.flags & Flag.AFTER_FIRST_TOKEN) == bool(marks.events)
