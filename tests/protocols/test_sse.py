"""However the bytes are cut and lines are ended, the events are the same."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from holymon.protocols.sse import Decoder, Event, EventTooLarge

STREAM = (
    b"\xef\xbb\xbf: hello\n\ndata: one\n\nevent: error\ndata: two\ndata: 2\nid: 7\n\nretry: 10\n\n"
    b"data:three\ndata\ndata:  x\n\nevent: lost\n\ndata: \xe2\x80\xa8\xc3\xa4\n\ndata: [DONE]\n\n"
)
EVENTS = [
    Event(b"one"), Event(b"two\n2", b"error"), Event(b"three\n\n x"), Event(b"", b"lost"),
    Event(b"\xe2\x80\xa8\xc3\xa4"), Event(b"[DONE]"),
]  # fmt: skip


def decode(*chunks: bytes) -> list[Event]:
    decoder = Decoder()
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    return events + decoder.close()


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in zip(edges, edges[1:], strict=False)]


def test_a_stream_is_read_as_the_standard_says():
    assert decode(STREAM) == EVENTS


@pytest.mark.parametrize("ending", [b"\n", b"\r", b"\r\n"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_line_ends_and_pieces_do_not_matter(ending, size):
    data = STREAM.replace(b"\n", ending)
    assert decode(*(data[i : i + size] for i in range(0, len(data), size))) == EVENTS


PLACES = st.lists(st.integers(0, 10**6))
ENDINGS = st.sampled_from([b"\n", b"\r", b"\r\n"])


@given(PLACES, st.lists(ENDINGS))
def test_any_cut_of_any_mixture_of_line_ends_gives_the_same(places, endings):
    *lines, last = STREAM.split(b"\n")
    kinds = (endings + [b"\n"] * len(lines))[: len(lines)]
    for i in range(1, len(lines)):
        if (kinds[i - 1], lines[i], kinds[i]) == (b"\r", b"", b"\n"):
            kinds[i] = b"\r"  # CR, an empty line and LF would read as one CRLF
    data = b"".join(line + end for line, end in zip(lines, kinds, strict=True)) + last
    assert decode(*cut(data, places)) == EVENTS


WORDS = st.sampled_from(
    [b"data:", b"data", b"event:", b"event", b"id:", b":", b" ", b"x", b"\r", b"\n", b"\r\n",
     b"\xef\xbb\xbf", b"\xef", b"\xe2\x80\xa8", b"\0"]
)  # fmt: skip


@given(st.lists(WORDS, max_size=60).map(b"".join), PLACES)
def test_any_cut_of_any_bytes_gives_the_same(data, places):
    assert decode(*cut(data, places)) == decode(data)


@given(st.lists(WORDS, max_size=60).map(b"".join), PLACES)
def test_too_large_is_too_large_however_it_is_cut(data, places):
    def refused(*chunks):
        decoder = Decoder(max_event=12)
        try:
            for chunk in chunks:
                decoder.feed(chunk)
        except EventTooLarge:
            return True
        return False

    assert refused(*cut(data, places)) == refused(data)


TEXT = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]))


@given(st.lists(st.tuples(st.lists(TEXT, min_size=1), TEXT)), st.lists(st.integers(0, 10**6)))
def test_what_was_written_is_read(written, places):
    data = b""
    expected = []
    assume(not any(line.startswith("{") for lines, _ in written for line in lines))
    for lines, name in written:
        data += f"event: {name}\n".encode() if name else b""
        data += "".join(f"data: {line}\n" for line in lines).encode() + b"\n"
        expected.append(Event("\n".join(lines).encode(), name.encode()))
    assert decode(*cut(data, places)) == expected


@given(st.lists(st.binary(max_size=200)))
def test_any_bytes_are_events_or_nothing(chunks):
    for event in decode(*chunks):
        assert b"\r" not in event.data


@pytest.mark.parametrize(
    ("before", "event"),
    [
        (b"data: one\n", Event(b"one\ndata")),
        (b"event: error\n", Event(b"data", b"error")),
        (b"data: one\r", Event(b"one\ndata")),
        (b"data: one\ndata: two\r\n", Event(b"one\ntwo\ndata")),
        (b": ", None),
        (b"x", None),
    ],
)
def test_a_piece_that_looks_like_a_whole_event_may_be_the_rest_of_one(before, event):
    assert decode(before, b"data: data\n\n") == ([event] if event else [])


def test_an_event_without_its_empty_line_is_handed_out_at_the_end():
    assert decode(b"data: a\n\ndata: [DONE]") == [Event(b"a"), Event(b"[DONE]")]
    assert decode(b"data: a\n\n: only a comment") == [Event(b"a")]


@pytest.mark.parametrize("piece", [b"x" * 1000, b"data: y\n" * 100, b"data\n" * 100, b": c" * 300])
@pytest.mark.parametrize("at_once", [1, 10_000])
def test_an_endless_line_or_event_is_stopped(piece, at_once):
    decoder = Decoder(max_event=100_000)
    with pytest.raises(EventTooLarge):
        for _ in range(10_000 // at_once):
            decoder.feed(piece * at_once)


def test_an_event_of_the_largest_size_is_still_read():
    line = b"data: " + b"x" * 94
    for chunks in ([line + b"\n\n"], [line, b"\n", b"\n"], each_byte(line + b"\n\n")):
        decoder = Decoder(max_event=100)
        assert [one for chunk in chunks for one in decoder.feed(chunk)] == [Event(b"x" * 94)]


def test_what_passed_is_not_kept():
    """A stream of any length leaves nothing behind but its unfinished event."""
    decoder = Decoder()
    for _ in range(10_000):
        decoder.feed(b": keep-alive\n\ndata: x\n\nid: 7\nretry: 1\n")
    kept = [getattr(decoder, name) for name in Decoder.__slots__]
    assert sum(len(one) for one in kept if isinstance(one, bytes | list)) == 0


def each_byte(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


def test_many_events_are_not_one_large_one():
    decoder = Decoder(max_event=1000)
    for _ in range(1000):
        assert decoder.feed(b"data: " + b"x" * 500 + b"\n\n") == [Event(b"x" * 500)]


def test_only_the_torn_events_of_a_piece_are_looked_at_line_by_line(monkeypatch):
    looked_at = []
    by_line = Decoder._lines
    monkeypatch.setattr(
        Decoder, "_lines", lambda self, lines, most: looked_at.extend(lines) or by_line(self, lines, most)
    )  # fmt: skip
    stream = b"".join(b'data: {"n":%d}\n\n' % k for k in range(1000))
    decoder = Decoder()
    events = [
        event for k in range(0, len(stream), 5003) for event in decoder.feed(stream[k : k + 5003])
    ]
    assert [event.data for event in events] == [b'{"n":%d}' % k for k in range(1000)]
    assert len(looked_at) <= 3 * (len(stream) // 5003)
