"""Whether what a model writes as JSON is JSON: what it hands to tools, and answers in a format.

    Arguments.take(place, id, piece), ... --> flags     those of one answer
    asks_for_json(body)                                 whether a request wants its answer in JSON

A client joins the pieces of a call by its index. Where servers give none, or give several calls the
same, a new id begins a new call. No arguments at all are none, as of a tool that takes none.
"""

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import msgspec

from holymon.records.attempt import Flag

if TYPE_CHECKING:
    from holymon.protocols.reading import Reading

MOST: Final = 2**22
"""Characters that are kept of one answer; of more it can't be told any more that they are JSON."""

TAIL: Final = 2**14
"""Bytes at the end of a request in which its format is looked for: long prompts stand before it."""

MOST_CALLS: Final = 128
"""Calls of tools in one answer, or in an event of it, that are looked at."""

_FORMATS: Final = frozenset({"json_schema", "json_object"})
_ANY: Final = msgspec.json.Decoder(msgspec.Raw)
_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encode: Final = msgspec.json.encode


class Arguments:
    """What an answer hands to the tools that it calls, piece by piece."""

    __slots__ = ("_kept", "_places")

    def __init__(self) -> None:
        """No tool was called yet."""
        self._places: dict[object, list[tuple[str, list[str]]]] = {}
        self._kept = 0

    def take(self, place: object, identity: Any, piece: Any) -> None:
        """A piece of the call in a `place`, with its id where it has one.

        Text is a part of the arguments, None is nothing of them, an object is all of them. What is
        no place, as servers may send anything, is one of its own.
        """
        name = identity if isinstance(identity, str) else ""
        calls = self._places.setdefault(None if isinstance(place, list | dict) else place, [])
        if not calls or name not in {"", calls[-1][0]}:
            calls.append((name, []))
        text = piece if isinstance(piece, str) else "" if piece is None else _encode(piece).decode()
        self._kept += len(text)
        if self._kept <= MOST:
            calls[-1][1].append(text)

    @property
    def flags(self) -> int:
        """That tools were called, and whether with arguments that are no JSON."""
        fine = self._kept <= MOST and all(map(_are_objects, self._places.values()))
        return Flag.TOOLS if fine else Flag.TOOLS | Flag.BAD_ARGUMENTS


def _are_objects(calls: list[tuple[str, list[str]]]) -> bool:
    """Whether all calls in a place are of objects; ids that change within a call are not heeded."""
    texts = ["".join(pieces) for _, pieces in calls]
    return all(map(_is_object, texts)) or (len(texts) > 1 and _is_object("".join(texts)))


def _is_object(text: str) -> bool:
    return not text.strip() or _reads(text, _OBJECT)


def is_json(text: str) -> bool:
    """Whether a text is JSON to the letter (RFC 8259)."""
    return len(text) <= MOST and _reads(text, _ANY)


def _reads(text: str, decoder: msgspec.json.Decoder[Any]) -> bool:
    try:
        decoder.decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False
    return True


def calls_in(tool_calls: Any, function_call: Any) -> list[tuple[object, Any, Any]]:
    """Each call in (a piece of) OpenAI's message: its index, else its place, its id, its arguments.

    `function_call` is what there was before tools.
    """
    made: list[tuple[object, Any, Any]] = []
    for place, call in enumerate(tool_calls[:MOST_CALLS] if isinstance(tool_calls, list) else ()):
        if isinstance(call, dict):
            index, function = call.get("index"), call.get("function")
            given = function.get("arguments") if isinstance(function, dict) else None
            made.append((index if isinstance(index, int) else place, call.get("id"), given))
    if isinstance(function_call, dict):
        made.append(("function_call", "", function_call.get("arguments")))
    return made


def called(reading: "Reading", now: float, place: object, identity: Any, piece: Any) -> None:
    """Note a piece of a call of a tool, as `Arguments.take` has it."""
    reading.acted = True
    if reading.marks.tool != reading.marks.tool:
        reading.marks.tool = now
    if reading.arguments is None:
        reading.arguments = Arguments()
    reading.arguments.take(place, identity, piece)


def written(reading: "Reading") -> int:
    """The flags of an answer that was read to its end, by what it wrote as JSON."""
    flags = 0 if reading.arguments is None else reading.arguments.flags
    flags |= reading.marks.flags & Flag.TOOLS  # of a whole answer
    if flags or not reading.wants_json or reading.marks.error:
        return flags
    good = is_json(reading.text)
    return Flag.JSON_ASKED if good else Flag.JSON_ASKED | Flag.NOT_JSON


def flags_of(arguments: list[Any]) -> int:
    """The flags of a whole answer by the arguments of each call; 0 without any call."""
    made = Arguments()
    for place, piece in enumerate(arguments[:MOST_CALLS]):
        made.take(place, "", piece)
    return made.flags if arguments else 0


def asks_for_json(body: bytes) -> bool:
    """Whether a request asks for JSON, as OpenAI's two dialects and Anthropic's have it."""
    # Where a text holds such a word, its quotes are escaped.
    return body.find(b'"json_', -TAIL) >= 0 and _asks(body)


@lru_cache(maxsize=256)
def _asks(body: bytes) -> bool:
    try:
        about: Any = msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError):
        return False
    if not isinstance(about, dict):
        return False
    inner = (about.get(name) for name in ("text", "output_config"))
    places = [about.get("response_format"), about.get("output_format")]
    places += [part.get("format") for part in inner if isinstance(part, dict)]
    kinds = [place.get("type") for place in places if isinstance(place, dict)]
    return any(isinstance(kind, str) and kind in _FORMATS for kind in kinds)
