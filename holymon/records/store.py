"""A store of runs, such as `s3://bucket/prefix`, by fsspec: objects are whole or not there.

Keys of s3 come from the environment as AWS's own tools take them (also AWS_ENDPOINT_URL, for other
makers' stores), and nothing of them, nor of what a server answers, is in the sentences made here.
Every write is read back: its size and MD5 as the store says them, else all of it.
"""

import contextlib
import io
import os
import re
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from hashlib import md5
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from holymon.errors import ConfigError, PlanError, RunError, install
from holymon.records.own_files import aside
from holymon.safety import looks_secret, plain

LIMITS: Final = {"connect_timeout": 5, "read_timeout": 20}
RETRIES: Final = {"retries": {"max_attempts": 4, "mode": "standard"}}
"""A store that is busy is asked again within seconds; one that is not there is given up soon."""

_URL: Final = re.compile(r"([a-z][a-z0-9+.-]+):/+")
_PART: Final = ".part"
_SINCE: Final = datetime(2026, 1, 1, tzinfo=UTC)
_KEYS: Final = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
_SENTENCES: Final = {
    "NoSuchBucket": "has no such bucket: make it, or name another",
    "AccessDenied InvalidAccessKeyId SignatureDoesNotMatch ExpiredToken InvalidToken 401 403 "
    "PermissionError": f"refuses these credentials: {_KEYS}",
    "NoCredentialsError PartialCredentialsError ProfileNotFound "
    "CredentialRetrievalError": f"needs credentials: {_KEYS}",
    "RequestTimeTooSkewed": "refuses the clock of this machine, which is far off: set it",
    "SlowDown ServiceUnavailable RequestLimitExceeded Throttling 503": "is too busy (503)",
    "InternalError 500 502 504": "has a fault of its own (5xx)",
    "ConnectTimeoutError ProxyConnectionError SSLError": "can't be reached",
    "ReadTimeoutError FSTimeoutError TimeoutError": "did not answer in time",
    "EndpointConnectionError ConnectionClosedError ConnectionError ClientConnectionError "
    "ClientPayloadError IncompleteReadError "
    "ResponseStreamingError": "can't be reached, or broke the connection",
}  # fmt: skip
_WHY: Final = {name: why for names, why in _SENTENCES.items() for name in names.split()}
_GONE: Final = frozenset({"NoSuchKey", "404", "FileNotFoundError"})


def is_url(out: Path | str) -> bool:
    """Whether runs are to lie in a store, and not in a folder."""
    return bool(_URL.match(str(out)))


def check_url(url: str) -> str:
    """The address of a store, without a slash at its end. Raises PlanError without repeating it."""
    if "://" not in url:  # a Path has one slash there
        url = _URL.sub(r"\1:///" if url.startswith("file:") else r"\1://", url)
    parts = urlsplit(url)
    if "@" in url or any(looks_secret("", part) for part in url.split("/")):
        raise PlanError("the address of a store holds a key or a password: take it out, keys "
                        "come from the environment.")  # fmt: skip
    if parts.query or parts.fragment or not url.isprintable() or " " in url:
        raise PlanError("the address of a store has a ?, a # or a space: write s3://bucket/prefix.")
    rest = url.partition("://")[2].strip("/")
    if parts.scheme in {"memory", "http", "https"} or not rest or ".." in rest.split("/"):
        raise PlanError(f"{plain(url)} is no store: write it like s3://bucket/prefix.")
    return url.rstrip("/")


class Store:
    """Objects below an address, by their keys such as `runs/hourly/20261101T000000Z/plan.json`."""

    def __init__(self, url: str) -> None:
        """Open the store at `url`; nobody is asked yet. Raises ConfigError, PlanError."""
        self.url = check_url(url)
        options: dict[str, Any] = {"use_listings_cache": False, "skip_instance_cache": True}
        self._whole = url.startswith("s3:")  # what is being written is not to be seen there
        if self._whole:
            wishes = RETRIES if "AWS_MAX_ATTEMPTS" not in os.environ else {}
            options |= {"config_kwargs": LIMITS | wishes, "default_cache_type": "none"}
        else:
            options["auto_mkdir"] = True
        try:
            from fsspec.core import url_to_fs

            self._fs, root = url_to_fs(self.url, **options)
        except ImportError:
            raise ConfigError(
                f"{plain(self.url)} needs a library that is not here: {install('s3')}."
            ) from None
        except ValueError:
            raise PlanError(f"{plain(self.url)} is no store: write s3://bucket/prefix.") from None
        self._root = root.rstrip("/")
        if self._whole:
            self._fs.retries = 2  # of bodies that broke off; the rest is asked again by LIMITS

    def __repr__(self) -> str:
        return f"<Store {plain(self.url)}>"

    def put(self, key: str, source: Path | bytes) -> float | None:
        """Write an object and see that it is there, whole.

        By how many seconds the store's clock is ahead, to about one; None if it does not say.
        Raises RunError if it is not there in the end; OSError for a source that can't be read.
        """
        path, begun = self._path(key), time.time()
        size, digest = _known(source)
        with self._plainly():
            target = path if self._whole else f"{path}.{secrets.token_hex(4)}{_PART}"
            if isinstance(source, bytes):
                self._fs.pipe_file(target, source)
            else:
                self._fs.put_file(str(source), target)
            if target != path:
                self._fs.mv(target, path)
            about, ended = self._fs.info(path), time.time()
            good = about["size"] == size
            if good and str(about.get("ETag", "")).strip('"') != digest:
                with self._fs.open(path, "rb") as file:  # encrypted, or put in several parts
                    good = _digest(file) == digest
        if not good:
            raise RunError(f"{plain(self.url)} keeps something else than it was sent.")
        changed = about.get("LastModified")
        return None if changed is None else changed.timestamp() + 0.5 - (begun + ended) / 2

    def get(self, key: str, path: Path) -> None:
        """Write an object to a file of its own, private. Raises RunError, OSError."""
        with (
            self._plainly(key),
            aside(path, 0o600, lasting=False) as file,
            self._fs.open(self._path(key), "rb", block_size=2**24) as source,
        ):
            while data := source.read(2**24):
                file.write(data)

    def many(self, sizes: Mapping[str, int]) -> dict[str, bytes]:
        """Small objects by their keys, at once; those that are there. Raises RunError.

        Their sizes in bytes are known from `names`: nobody has to ask for them.
        """
        paths = {self._path(key): key for key in sizes if sizes[key]}
        known = {key: b"" for key in sizes if not sizes[key]}
        ends = [sizes[key] for key in paths.values()]
        with self._plainly():
            answers = self._fs.cat_ranges([*paths], [0] * len(ends), ends, on_error="return")
            for key, data in zip(paths.values(), answers, strict=True):
                if isinstance(data, bytes):
                    known[key] = data
                elif not _GONE & {*_names(data)}:
                    raise data
        return known

    def names(self, under: str) -> dict[str, int]:
        """The objects below `under`, by their keys from there on, and their sizes in bytes."""
        path = self._path(under)
        with self._plainly():
            try:
                below = self._fs.find(path, detail=True)
            except FileNotFoundError as error:
                if "NoSuchBucket" in _names(error) or "bucket" in str(error):
                    raise RunError(f"{plain(self.url)} {_WHY['NoSuchBucket']}.") from None
                return {}
        return {
            name[len(path) + 1 :]: about["size"] for name, about in sorted(below.items())
            if name.startswith(f"{path}/") and not name.endswith(_PART)
        }  # fmt: skip

    def drop(self, keys: Iterable[str]) -> None:
        """Delete objects; one that is not there is none. Raises RunError."""
        for key in keys:
            with self._plainly():
                try:
                    self._fs.rm_file(self._path(key))
                except FileNotFoundError:
                    continue

    def files(self, sizes: dict[str, int]) -> Any:
        """A file system of these objects for DuckDB, which reads of them only what it needs.

        They are named `holymon://KEY`; their sizes are known, so that none is asked for.
        """
        from fsspec import AbstractFileSystem

        store, path_of = self, self._path

        class Files(AbstractFileSystem):  # type: ignore[misc]  # it has no types
            protocol = "holymon"

            def glob(self, path: str, **_: Any) -> list[str]:
                return [path]

            def info(self, path: str, **_: Any) -> dict[str, Any]:
                key = path.removeprefix("holymon://")
                return {"name": path, "size": sizes[key], "type": "file"}

            def modified(self, _: str) -> datetime:
                return _SINCE  # an object is what it is

            def open(self, path: str, *_: Any, **__: Any) -> "_Ranges":
                key = path.removeprefix("holymon://")
                return _Ranges(store._fs, path_of(key), sizes[key])

        return Files(skip_instance_cache=True)

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"

    @contextlib.contextmanager
    def _plainly(self, key: str = "") -> Iterator[None]:
        """Whatever a library raises in here is one sentence, made of words of our own."""
        try:
            yield
        except (RunError, FileNotFoundError) as error:
            if isinstance(error, RunError) or not key:
                raise
            raise RunError(f"{plain(self.url)} has no {key} any more.") from None
        except Exception as error:  # noqa: BLE001 - those libraries' have no class in common
            raise RunError(f"{plain(self.url)} {why(error)}.") from None


class _Ranges(io.RawIOBase):
    """An object to be read in ranges, one request each."""

    def __init__(self, fs: Any, path: str, size: int) -> None:
        self._fs, self._path, self.size, self._at = fs, path, size, 0

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
        try:
            data: bytes = self._fs.cat_file(self._path, start=self._at, end=end)
        except Exception as error:  # noqa: BLE001 - as in `Store._plainly`
            raise OSError(f"the store {why(error)}") from None
        self._at += len(data)
        return data


def why(error: BaseException) -> str:
    """Why a store failed, in words of our own: a server's may hold anything."""
    named = next((_WHY[name] for name in _names(error) if name in _WHY), "")
    return named or f"failed ({type(error).__name__})"


def _names(error: BaseException | None) -> list[str]:
    """The codes and classes of an error and of those it came from."""
    names: list[str] = []
    for _ in range(8):
        if error is None:
            break
        response = getattr(error, "response", None)
        if isinstance(response, dict):
            names.append(str(response.get("Error", {}).get("Code", "")))
        names += [kind.__name__ for kind in type(error).__mro__[:3]]
        error = error.__cause__ or error.__context__
    return sorted(names, key=lambda name: name == "PermissionError")


def _known(source: Path | bytes) -> tuple[int, str]:
    if isinstance(source, bytes):
        return len(source), _digest(io.BytesIO(source))
    with source.open("rb") as file:
        return os.fstat(file.fileno()).st_size, _digest(file)


def _digest(file: Any) -> str:
    made = md5(usedforsecurity=False)
    while data := file.read(2**22):
        made.update(data)
    return made.hexdigest()


def opened(url: str) -> Store:
    """The store at `url`, one for all of this process. Raises ConfigError, PlanError."""
    return _opened(url, os.getpid())  # the loop of s3fs does not live on in a fork


@cache
def _opened(url: str, _: int) -> Store:
    return Store(url)
