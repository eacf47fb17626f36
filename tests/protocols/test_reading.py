"""An error is an error in every dialect, whatever its shape, in a stream and in one piece."""

import pytest

from holymon.protocols import chat, messages, responses
from holymon.records.attempt import Marks

DIALECTS = pytest.mark.parametrize(
    ("dialect", "field"),
    [(chat, b"choices"), (messages, b"content"), (responses, b"output")],
    ids=["chat", "messages", "responses"],
)


def read(dialect, data: bytes):
    reader = dialect.StreamReader(Marks(0, 0, 0.0))
    reader.feed(0.0, data)
    return reader.close(1.0), reader


@DIALECTS
@pytest.mark.parametrize(
    "data",
    [
        b'[{"error": {"code": "busy", "message": "no"}}]',
        b'{"error": {"code": "busy", "message": "no"}, "FIELD": 3}',
        b'{"error": "no", "code": "busy", "FIELD": []}',
    ],
)
def test_an_error_is_one_whatever_its_shape(dialect, field, data):
    data = data.replace(b"FIELD", field)
    error, reader = read(dialect, b"data: " + data + b"\n\n")
    assert (error, reader.marks.code, reader.message) == ("stream_error_event", "busy", "no")
    marks = Marks(0, 0, 0.0)
    error, message = dialect.read_answer(data, marks)[:2]
    assert (error, marks.code, message) == ("server_error", "busy", "no")


@DIALECTS
def test_an_event_of_error_may_be_plain_text(dialect, field):
    error, reader = read(dialect, b"event: error\ndata: upstream <b>went</b> away\n\n")
    assert error == "stream_error_event"
    assert reader.message.split() == ["upstream", "went", "away"]


@DIALECTS
def test_what_is_no_utf_8_is_named(dialect, field):
    assert read(dialect, b'data: {"' + field + b'": "\xff"}\n\n')[0] == "invalid_utf8"
    assert dialect.read_answer(b'{"x": "\xff"}', Marks(0, 0, 0.0))[0] == "invalid_utf8"
