"""An error is an error in every dialect, whatever its shape, in a stream and in one piece."""

import pytest

from holymon.plan.target import ENDPOINTS
from holymon.protocols.bounds import LOOSE
from holymon.protocols.dialects import DIALECTS
from holymon.protocols.sniff import Body, kind_of
from holymon.records.attempt import Marks
from tests.protocols.streams import read

FIELDS = {
    "chat": b"choices", "messages": b"content", "responses": b"output", "completions": b"choices",
    "embeddings": b"data",
}  # fmt: skip
EACH = pytest.mark.parametrize(
    ("dialect", "field"), [(DIALECTS[name], FIELDS[name]) for name in DIALECTS], ids=list(DIALECTS)
)


def test_a_target_may_speak_every_dialect_and_no_other():
    assert list(ENDPOINTS) == list(DIALECTS)


@EACH
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
    error, reading = read(dialect, b"data: " + data + b"\n\n")
    assert (error, reading.marks.code, reading.message) == ("stream_error_event", "busy", "no")
    marks = Marks(0, 0, 0.0)
    error, message = dialect.answer(data, marks)[:2]
    assert (error, marks.code, message) == ("server_error", "busy", "no")


@EACH
def test_an_event_of_error_may_be_plain_text(dialect, field):
    error, reading = read(dialect, b"event: error\ndata: upstream <b>went</b> away\n\n")
    assert error == "stream_error_event"
    assert reading.message.split() == ["upstream", "went", "away"]


@EACH
def test_what_is_no_utf_8_is_named(dialect, field):
    assert read(dialect, b'data: {"' + field + b'": "\xff"}\n\n')[0] == "invalid_utf8"
    assert dialect.answer(b'{"x": "\xff"}', Marks(0, 0, 0.0))[0] == "invalid_utf8"


@pytest.mark.parametrize(
    "body", [b"data: {}\n\n", b"data : {}\n\n", b"data\n: {}\n\n", b"data\t:", b"id x"]
)
def test_what_a_body_is_depends_on_no_cut(body):
    whole = kind_of(body, declared=False)
    first = (kind_of(body[:n], declared=False) for n in range(1, len(body) + 1))
    assert next(kind for kind in first if kind is not Body.UNKNOWN) is whole


def test_json_that_is_not_strict_is_read_up_to_a_size_that_keeps_nobody_waiting():
    def error_of(more):
        body = b'{"choices":[{"message":{"content":"hi"}}],"x":[NaN' + b",1" * more + b"]}"
        return DIALECTS["chat"].answer(body, Marks(0, 0, 0.0))[0]

    assert (error_of(10), error_of(LOOSE // 2)) == ("", "invalid_json")
