"""The dialect of Bedrock's Converse (`/converse`, `/converse-stream`), where a client is watched.

Pure, as `chat`. Its stream is Amazon's, which `framing` makes events of; they are known by their
fields, since their names stand in headers. Counts come behind the reason of the end. Source:
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html.
"""

from typing import Any, Final

import msgspec

from holymon.protocols.complaint import reports
from holymon.protocols.dialect import NOT_MINE, Dialect, began, decoded, not_sent, noted, whole
from holymon.protocols.error_body import read_body, refused
from holymon.protocols.finish import finish_of
from holymon.protocols.reading import Reading
from holymon.protocols.sse import Event
from holymon.protocols.usage import read_usage
from holymon.protocols.written_json import called, flags_of
from holymon.records.attempt import Marks


class _Event(msgspec.Struct):
    """One event of a stream, or a whole answer."""

    role: Any = None
    start: Any = None
    delta: Any = None
    contentBlockIndex: Any = None  # noqa: N815 - as it is spelled there
    stopReason: Any = None  # noqa: N815
    usage: Any = None
    output: Any = None
    error: Any = None


_EVENT: Final = msgspec.json.Decoder(_Event)


def _read(reading: Reading, now: float, event: Event) -> int:
    """Tokens (0 or 1) in one event."""
    marks = reading.marks
    about = decoded(marks, event.data, _EVENT)
    parts = (about.role, about.contentBlockIndex, about.stopReason, about.usage)
    if reports(about.error) or all(part is None for part in parts):
        return NOT_MINE
    began(marks, now)
    if reason := finish_of(about.stopReason):
        reading.finished, marks.finish = True, reason
    if read_usage(about.usage, marks):
        reading.done = reading.finished
    for given in _calls([about.start, about.delta]):
        called(reading, now, about.contentBlockIndex, "", given)
    text, thought, acted = _output([about.start, about.delta])
    return noted(reading, now, text, thought=thought, acted=acted)


def _calls(blocks: Any) -> list[Any]:
    """What each tool that is called in blocks of content is handed, or a piece of it."""
    uses = (block.get("toolUse") for block in blocks if isinstance(block, dict))
    return [use.get("input") for use in uses if isinstance(use, dict)]


def _output(blocks: Any) -> tuple[str, bool, bool]:
    """The text in blocks of content, whether they hold thought, and whether they call tools."""
    known = [block for block in blocks if isinstance(block, dict)]
    texts = [block.get("text") for block in known]
    text = "".join(text for text in texts if isinstance(text, str))
    thought = any(block.get("reasoningContent") for block in known)
    return text, thought, any(block.get("toolUse") for block in known)


def _answer(body: bytes, marks: Marks) -> tuple[str, str, str]:
    """Error type, message and text of a 200 in one piece; fills in the marks' counts."""
    about, error, message = read_body(body, _EVENT, marks)
    if about is None:
        return error, message, ""
    inner = about.output.get("message") if isinstance(about.output, dict) else None
    content = inner.get("content") if isinstance(inner, dict) else None
    if not isinstance(content, list) or reports(about.error):
        return *refused(body, marks), ""
    read_usage(about.usage, marks)
    marks.finish = finish_of(about.stopReason)
    marks.flags |= flags_of(_calls(content))
    text, thought, acted = _output(content)
    return whole(marks, text, thought=thought, acted=acted)


CONVERSE: Final = Dialect("/converse", not_sent, _read, _answer)
