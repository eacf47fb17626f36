"""Pictures as parts of messages: an address that the server fetches, or a file sent along."""

from base64 import b64encode
from pathlib import Path
from typing import Any, Final

from holymon.errors import ConfigError
from holymon.plan.given_file import raw

MOST_BYTES: Final = 20 * 1024 * 1024
"""Of a file, as much as APIs take."""

_KINDS: Final = (
    (b"\x89PNG\r\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"),
    (b"RIFF", "image/webp"),
)  # fmt: skip


def part_of(where: str | Path) -> dict[str, Any]:
    """The part for a picture at an address or in a file. Raises ConfigError if it is none."""
    url = str(where) if str(where).startswith(("https://", "http://", "data:")) else _url(where)
    return {"type": "image_url", "image_url": {"url": url}}


def _url(where: str | Path) -> str:
    try:
        data = raw(Path(where), MOST_BYTES)
    except OSError as error:
        raise ConfigError(f"can't read a picture from {where}: {error}.") from None
    kind = next((kind for mark, kind in _KINDS if data.startswith(mark)), None)
    if kind is None or (kind == "image/webp" and data[8:12] != b"WEBP"):
        raise ConfigError(f"{where} is no picture: give a PNG, JPEG, GIF or WebP file.")
    return f"data:{kind};base64,{b64encode(data).decode('ascii')}"


def written(value: Any) -> dict[str, Any]:
    """What a path in a message stands for: its picture. Raises NotImplementedError for others."""
    if isinstance(value, Path):
        return part_of(value)
    raise NotImplementedError
