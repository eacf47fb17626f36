"""The dialects that a load can be sent in and a watched client be understood in, by their names."""

from typing import Final

from holymon.protocols.chat import CHAT
from holymon.protocols.dialect import Dialect
from holymon.protocols.messages import MESSAGES
from holymon.protocols.responses import RESPONSES

DIALECTS: Final[dict[str, Dialect]] = {"chat": CHAT, "messages": MESSAGES, "responses": RESPONSES}


def of_path(path: str) -> Dialect | None:
    """The dialect of an address that answers, by the last part of its path; None if unknown."""
    last = path.rpartition("/")[2]
    known = {dialect.path.rpartition("/")[2]: dialect for dialect in DIALECTS.values()}
    return known.get(last)
