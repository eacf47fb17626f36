"""JSON of odd types is read as what it is meant as, and what nothing can be made of is refused."""

from typing import Any

import msgspec
import pytest

from holymon.protocols.lenient import parsed, read, type_of


class Inner(msgspec.Struct):
    content: str | list[Any] | None = None
    more: Any = None


class Part(msgspec.Struct):
    type: str = ""
    text: str = ""


class Outer(msgspec.Struct):
    status: str = ""
    inners: list[Inner] | None = None
    parts: list[Part] | None = None
    anything: Any = None
    number: int = 0


DECODER = msgspec.json.Decoder(Outer)
HI = Inner("hi")


@pytest.mark.parametrize(("data", "expected"), [
    (b"{}", Outer()), (b'{"status": "a", "number": 3}', Outer("a", number=3)),
    (b'{"inners": [{"content": [1]}]}', Outer(inners=[Inner([1])])),
    (b'{"status": "\\ud800"}', Outer("\ufffd")), (b'{"status": "\\ud83d\\ude00"}', Outer("\U0001f600")),
    (b'{"status": "\\ud83d\\ude00\\ude00"}', Outer("\U0001f600\ufffd")),
])  # fmt: skip
def test_what_is_json_to_the_letter_or_lacks_half_a_letter_takes_no_leniency(data, expected):
    assert read(data, DECODER) == (expected, False)


@pytest.mark.parametrize(("data", "expected"), [
    (b'[{"status": "a"}]', Outer("a")), (b'{"status": null}', Outer()), (b'{"status": 0}', Outer()),
    (b'{"status": 5}', Outer("5")), (b'{"status": true}', Outer("true")), (b'{"status": []}', Outer()),
    (b'{"status": {}}', Outer()), (b'{"status": {"text": "a"}}', Outer("a")),
    (b'{"status": {"x": 1, "type": {"value": "A"}}}', Outer("A")),
    (b'{"status": {"text": "", "name": "a"}}', Outer("a")),
    (b'{"status": ["a", {"text": "b"}, null, 3]}', Outer("ab3")), (b'{"status": "a\tb"}', Outer("a\tb")),
    (b'{"inners": {}}', Outer(inners=[])), (b'{"inners": ""}', Outer(inners=[])),
    (b'{"inners": false}', Outer(inners=[])), (b'{"inners": {"content": "hi"}}', Outer(inners=[HI])),
    (b'{"inners": {"0": {"content": "hi"}, "1": "hi"}}', Outer(inners=[HI, HI])),
    (b'{"inners": {"0": {"content": "hi"}, "content": "hi"}}', Outer(inners=[HI])),
    (b'{"inners": [null, {"content": "hi"}]}', Outer(inners=[HI])),
    (b'{"inners": [[]]}', Outer(inners=[Inner()])), (b'{"inners": [""]}', Outer(inners=[Inner()])),
    (b'{"inners": ["hi", [{"content": "hi"}]]}', Outer(inners=[HI, HI])),
    (b'{"inners": [{"content": 5}]}', Outer(inners=[Inner("5")])),
    (b'{"inners": [{"content": false, "more": 2}]}', Outer(inners=[Inner(more=2)])),
    (b'{"inners": [{"content": null, "more": Infinity}]}',
     Outer(inners=[Inner(more=float("inf"))])),
    (b'{"parts": "hi"}', Outer(parts=[Part("text", "hi")])), (b'{"parts": ""}', Outer(parts=[])),
    (b'{"parts": [{"text": null, "type": ["a"]}]}', Outer(parts=[Part("a")])),
    (b'{"number": null, "status": 1}', Outer("1")),
    (b'{"anything": {"a": [null]}, "status": 1}', Outer("1", anything={"a": [None]})),
    (b'{"anything": null, "status": 1}', Outer("1")),
])  # fmt: skip
def test_odd_types_are_read_as_what_they_are_meant_as(data, expected):
    assert read(data, DECODER) == (expected, True)


@pytest.mark.parametrize(("data", "words"), [
    (b"[]", "Expected `object`, got `array`"), (b"[{}, {}]", "Expected `object`, got `array`"),
    (b"null", "Expected `object`, got `null`"), (b"5", "Expected `object`, got `int`"),
    (b'{"inners": "x"}', "Expected `array | null`, got `str` - at `$.inners`"),
    (b'{"inners": 5}', "Expected `array | null`, got `int` - at `$.inners`"),
    (b'{"inners": [5]}', "Expected `object`, got `int` - at `$.inners[0]`"),
    (b'{"status": {"x": 1}}', "Expected `str`, got `object` - at `$.status`"),
    (b'{"number": "x"}', "Expected `int`, got `str` - at `$.number`"),
    (b'{"anything": NaN, "inners": 5}', "of no readable shape"),
])  # fmt: skip
def test_what_nothing_can_be_made_of_is_refused_in_the_words_of_its_first_reader(data, words):
    with pytest.raises(msgspec.ValidationError) as raised:
        read(data, DECODER)
    assert str(raised.value) == words


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"x", b'{"a": 1}x'])
def test_what_is_no_json_is_no_value_of_any_type(data):
    with pytest.raises(msgspec.DecodeError) as raised:
        read(data, DECODER)
    assert not isinstance(raised.value, msgspec.ValidationError)
    assert parsed(data) is None


def test_any_json_is_parsed():
    assert parsed(b'\xef\xbb\xbf{"a": [1, null]}') == {"a": [1, None]}
    assert parsed(b'["a\tb", Infinity, "\\ud800"]') == ["a\tb", float("inf"), "\ufffd"]
    assert parsed(b"[" * 5000) is None
    assert parsed(b"9" * 5000) is None


def test_what_a_part_says_that_it_is():
    parts = [{"type": "text"}, {"type": 5}, {"type": None}, {}, None, "text", ["type"]]
    assert [*map(type_of, parts)] == ["text", "5", "None", "None", "", "", ""]
