"""Objects of a store as DuckDB reads them: a file system of files whose sizes are known.

They are named `holymon://KEY`, and of each only what is needed is read, one request for each range.
"""

import io
import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

SCHEME: Final = "holymon://"
_SINCE: Final = datetime(2026, 1, 1, tzinfo=UTC)


def files(sizes: dict[str, int], read: Callable[[str, int, int], bytes]) -> Any:
    """A file system of objects by their keys and sizes in bytes.

    `read(key, start, end)` gives a part of one, and raises OSError in words that can be shown.
    """
    from fsspec import AbstractFileSystem

    class Files(AbstractFileSystem):  # type: ignore[misc]  # it has no types
        protocol = "holymon"

        def glob(self, path: str, **_: Any) -> list[str]:
            return [path]

        def info(self, path: str, **_: Any) -> dict[str, Any]:
            return {"name": path, "size": sizes[path.removeprefix(SCHEME)], "type": "file"}

        def modified(self, _: str) -> datetime:
            return _SINCE  # an object is what it is

        def open(self, path: str, *_: Any, **__: Any) -> "_Ranges":
            key = path.removeprefix(SCHEME)
            return _Ranges(key, sizes[key], read)

    return Files(skip_instance_cache=True)


class _Ranges(io.RawIOBase):
    """An object to be read in ranges, one request each."""

    def __init__(self, key: str, size: int, read: Callable[[str, int, int], bytes]) -> None:
        self._key, self.size, self._read, self._at = key, size, read, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + (0, self._at, self.size)[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        end = self.size if size < 0 else min(self._at + size, self.size)
        if end <= self._at:
            return b""
        data = self._read(self._key, self._at, end)
        self._at += len(data)
        return data
