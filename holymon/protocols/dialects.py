"""The dialects that a load can be sent in and a watched client be understood in, by their names."""

from typing import Final

from holymon.protocols.chat import CHAT
from holymon.protocols.completions import COMPLETIONS
from holymon.protocols.dialect import Dialect
from holymon.protocols.embeddings import EMBEDDINGS
from holymon.protocols.messages import MESSAGES
from holymon.protocols.responses import RESPONSES

DIALECTS: Final[dict[str, Dialect]] = {
    "chat": CHAT, "messages": MESSAGES, "responses": RESPONSES, "completions": COMPLETIONS,
    "embeddings": EMBEDDINGS,
}  # fmt: skip


_WATCHED: Final = {
    # Embeddings have as many looks as providers.
    **{dialect.path.rpartition("/")[2]: dialect for dialect in (CHAT, MESSAGES, RESPONSES)},
    "completion": COMPLETIONS,  # llama.cpp's own
}


def of_path(path: str) -> Dialect | None:
    """The dialect of an address that answers, by the last part of its path; None if unknown."""
    head, _, last = path.rpartition("/")
    return COMPLETIONS if last == "completions" and head[-5:] != "/chat" else _WATCHED.get(last)
