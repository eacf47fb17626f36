"""However the bytes are cut and lines are ended, the events are the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holymon.sse import Decoder, Event, EventTooLarge

STREAM = (
    b"\xef\xbb\xbf: hello\n\ndata: one\n\nevent: error\ndata: two\ndata: 2\nid: 7\n\nretry: 10\n\n"
    b"data:three\ndata\ndata:  x\n\nevent: lost\n\ndata: \xe2\x80\xa8\xc3\xa4\n\ndata: [DONE]\n\n"
)
EVENTS = [
    Event(b"one"), Event(b"two\n2", b"error"), Event(b"three\n\n x"),
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


@given(st.lists(st.integers(0, 10**6)), st.lists(st.sampled_from([b"\n", b"\r", b"\r\n"])))
def test_any_cut_of_any_mixture_of_line_ends_gives_the_same(places, endings):
    lines = STREAM.split(b"\n")
    kinds = (endings + [b"\n"] * len(lines))[: len(lines) - 1]
    data = b"".join(line + end for line, end in zip(lines, kinds, strict=False))
    # A CR before an empty line that ends in LF would read as CRLF: then there are fewer lines.
    if b"\r\n" in data and any(
        a == b"\r" and b == b"\n" for a, b in zip(kinds, kinds[1:], strict=False)
    ):
        return
    assert decode(*cut(data, places)) == EVENTS


TEXT = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]))


@given(st.lists(st.tuples(st.lists(TEXT, min_size=1), TEXT)), st.lists(st.integers(0, 10**6)))
def test_what_was_written_is_read(written, places):
    data = b""
    expected = []
    for lines, name in written:
        data += f"event: {name}\n".encode() if name else b""
        data += "".join(f"data: {line}\n" for line in lines).encode() + b"\n"
        expected.append(Event("\n".join(lines).encode(), name.encode()))
    assert decode(*cut(data, places)) == expected


@given(st.lists(st.binary(max_size=200)))
def test_any_bytes_are_events_or_nothing(chunks):
    for event in decode(*chunks):
        assert b"\r" not in event.data


def test_an_event_without_its_empty_line_is_handed_out_at_the_end():
    assert decode(b"data: a\n\ndata: [DONE]") == [Event(b"a"), Event(b"[DONE]")]
    assert decode(b"data: a\n\n: only a comment") == [Event(b"a")]


@pytest.mark.parametrize("piece", [b"x" * 1000, b"data: y\n" * 100], ids=["a line", "an event"])
def test_an_endless_line_or_event_is_stopped(piece):
    decoder = Decoder(max_event=100_000)
    with pytest.raises(EventTooLarge):
        for _ in range(10_000):
            decoder.feed(piece)


def test_many_events_are_not_one_large_one():
    decoder = Decoder(max_event=1000)
    for _ in range(1000):
        assert decoder.feed(b"data: " + b"x" * 500 + b"\n\n") == [Event(b"x" * 500)]
