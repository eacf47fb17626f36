"""Whether an API refuses a field of the request, told by any of the ways it names it. Pure.

Of the fields that every load sends (the longest answer, `stream_options`, `stream`) a refusal names
one as OpenAI's `param`, pydantic's `loc`, or in its words; its code or words say that it is not
taken. What complains of a value (too small, over a maximum) is no refusal of the field.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final, NamedTuple

from holymon.plan.quirks import LIMIT
from holymon.protocols.complaint import CODES, MORE_WORDS, WORDS
from holymon.protocols.lenient import parsed

_PLACES: Final = ("param", "loc", "parameter", "field", "path", "property", "argument")
_DEEPEST: Final = 8
_MOST: Final = 200
_LONGEST: Final = 4000
"""So many texts are looked at, and so many characters of each: a server may send any."""

_NEAR: Final = 90
"""Characters around a name in which a sentence on it stands."""

_NAMED: Final = 8
"""Times that a name is looked around: a text of nothing else would be read twenty times."""

_NOT_TAKEN: Final = re.compile(
    r"""(?ix) unsupported | unknown | un(?:recogni[sz]ed|expected)
    | extra(?:neous|\ input|\ field|_) | forbidden | additional\W+propert | deprecated
    | no\ longer | tokens\W+instead
    | (?:not|n't|cannot)\W+(?:be\W+|currently\W+|yet\W+|an?\W+)?(?:support|allow|permit|accept
      |recogni|valid|expected|available|enabled|implement|defined|exist|used) | must\ be\ verified
    | \b(?:remove|drop|omit)\b | 不支持 | 未知参数 | 无法识别"""
)
_CERTAIN: Final = re.compile(
    r"(?i)(?:unsupported|unknown|unrecogni[sz]ed)\W*_?param|unrecogni[sz]ed request arg|extra"
    r"|tokens\W+instead|deprecated"
)
_VALUE: Final = re.compile(
    r"(?ix) too\ (?:large|small|low|high|many|long) | at\ (?:most|least) | maximum | minimum"
    r"| range"
    r"| (?:less|greater|more|fewer|higher|lower|smaller)\b | exceed | above | below | between"
    r"| context | reached | positive | _value\b"
)
_LISTED: Final = re.compile(
    r"(?is)\bexpected one of\b.*|(?<!not )\b(?:supported|allowed|valid|accepted|known|permitted) "
    r"(?:fields|param\w*|keys|arg\w*|properties|options)\b.*"
)
"""What is taken, where a refusal lists it."""

_OPTIONS: Final = re.compile("stream_options?|include_usage")
_ASKS_FOR: Final = re.compile(
    r"(?i)\b(?:use|using|favou?r of|with|by|to|try|instead|as|mean)\W+(?:the\W+)?"
    rf"({LIMIT.pattern[4:]})"
)
_SUPPORTS: Final = r"(?:support|allow|permit|accept|implement|enable|available|valid|recogni)\w*"
_NO_STREAM: Final = re.compile(
    rf"""(?ix) (?:not|n't|cannot)\W+(?:\w+\W+)?{_SUPPORTS}\W+(?:\w+\W+){{0,4}}?stream(?:ing|ed|s)?\b
    | \bstream(?:ing|ed)?\b\W+(?:\w+\W+){{0,3}}?(?:not|n't|cannot)\W+(?:\w+\W+)?{_SUPPORTS}
    | \bstream(?:ing)?\b\W+(?:\w+\W+){{0,3}}?(?:unsupported|disabled)
    | (?:unsupported|disabled)\W+(?:for|in|with|value\W+)\W*stream(?:ing)?\b
    | (?:unknown|un(?:recogni[sz]ed|supported|expected)|extra\w*)\W+(?:\w+\W+){{0,3}}?
      (?:param|arg|field|input|propert|key|option|attribute|name)\w*\W+(?:\w+\W+){{0,3}}?stream\b
    | verified\ to\ stream | (?:only|remove|use)\W+(?:\w+\W+)?non-?\ ?stream | remove\W+stream\b
    | (?:set|with)\W+stream\W*(?:=|:|to)\W*false | 不支持流式"""
)
_WANTS_STREAM: Final = re.compile(
    r"""(?ix) \b(?:only|must|requires?|required|enable|needs?)\b.{0,60}\bstream
    | \bstream(?:ing)?\b.{0,40}\b(?:required|must|only|true)\b
    | non-?\ ?stream\w{0,9}\b.{0,60}(?:not|n't|unsupported|disabled) | 仅支持流式 | 只支持流式"""
)


class Refusal(NamedTuple):
    """What of a request is not taken.

    `limit`: the longest answer, under the name it was sent as; `instead`: another name for it
    (empty: none is named); `value`: it is taken, but not as large or as small as it was.
    """

    limit: bool = False
    instead: str = ""
    value: bool = False
    stream_options: bool = False
    stream: bool = False


def refusal(body: bytes, message: str, *, sent: str, streamed: bool) -> Refusal:
    """What an error refuses: its body, and its words where that is not at hand.

    `sent` is the name under which the longest answer was asked for; `streamed`: a stream was.
    """
    texts = [*islice(_texts(parsed(body)), _MOST)] or [("", body.decode("utf-8", "replace"))]
    return _merged(
        _judged(place, words, sent, streamed) for place, words in [*texts, ("", message)]
    )


def _merged(refusals: Iterator[Refusal]) -> Refusal:
    every = [*refusals]
    both = Refusal(*(max(values) for values in zip(*every, strict=True)))
    # Who speaks of the options speaks of streams as well.
    return both._replace(
        stream=both.stream and not both.stream_options, value=both.value and not both.limit
    )


def _judged(place: str, words: str, sent: str, streamed: bool) -> Refusal:
    at, words = set(re.split(r"\W+", place[:_LONGEST])), _LISTED.sub("", words[:_LONGEST])
    named = words if at & {sent, "stream", "stream_options"} else ""
    about = named if sent in at else _around(re.compile(rf"(?i)\b{re.escape(sent)}\b"), words)
    if sent and not about and not place:
        about = _around(LIMIT, words)  # under no name, or one of no case: MaxTokens
    limit = bool(sent and _NOT_TAKEN.search(about))
    value = bool(about and _VALUE.search(about) and not _CERTAIN.search(about))
    options = named if "stream_options" in at else _around(_OPTIONS, words)
    if not streamed:
        stream = bool(_WANTS_STREAM.search(words))
    else:
        stream = bool(("stream" in at and _NOT_TAKEN.search(named)) or _NO_STREAM.search(words))
    limit = limit and not value
    return Refusal(
        limit=limit, instead=_other(about, sent) if limit else "", value=bool(sent) and value,
        stream_options=streamed and bool(_NOT_TAKEN.search(options)), stream=stream,
    )  # fmt: skip


def _around(name: re.Pattern[str], words: str) -> str:
    """What stands around a name, the first times that it does."""
    spans = (match.span() for match in islice(name.finditer(words), _NAMED))
    return " ... ".join(words[max(0, start - _NEAR) : end + _NEAR] for start, end in spans)


def _other(words: str, sent: str) -> str:
    """Another name for the longest answer that the words ask for."""
    names = [match.group(1) for match in _ASKS_FOR.finditer(words)]
    return next((name for name in names if name != sent and name == name.lower()), "")


def _texts(value: Any, depth: int = 0) -> Iterator[tuple[str, str]]:
    """Every sentence of a body with the place that it is on; not what it repeats of a request."""
    if isinstance(value, list) and depth < _DEEPEST:
        for item in value:
            yield from _texts(item, depth + 1)
    elif isinstance(value, str):
        yield "", value
    elif isinstance(value, dict) and depth < _DEEPEST:
        place = next((_place(value[name]) for name in _PLACES if value.get(name)), "")
        texts = (value.get(name) for name in (*WORDS, *MORE_WORDS, "error", "raw", *CODES))
        words = " ".join(text for text in texts if isinstance(text, str))
        if words:
            yield place, words
        for name, inner in value.items():
            if isinstance(inner, dict | list) and name not in {"input", "ctx", *_PLACES}:
                yield from _texts(inner, depth + 1)


def _place(value: Any) -> str:
    return ".".join(map(str, value)) if isinstance(value, list) else str(value)
