"""A store of runs, such as `s3://bucket/prefix`, by fsspec: objects are whole or not there.

Keys of s3 come from the environment as AWS's own tools take them (also AWS_ENDPOINT_URL, for other
makers' stores), and nothing of them, nor of what a server answers, is in the sentences made here.
Every write is read back: its size and MD5 as the store says them, else all of it. Nothing waits for
ever: what a server sends drop by drop has to come at LEAST_RATE, after PATIENCE_S.
"""

import contextlib
import os
import re
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from hashlib import md5
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from holymon.errors import ConfigError, PlanError, RunError, install
from holymon.records import store_files
from holymon.records.own_files import aside
from holymon.records.store_errors import has_no_bucket, is_gone, why
from holymon.safety import looks_secret, plain

LIMITS: Final = {"connect_timeout": 5, "read_timeout": 20}
RETRIES: Final = {"retries": {"max_attempts": 4, "mode": "standard"}}
"""A store that is busy is asked again within seconds; one that is not there is given up soon."""

CHECKSUMS: Final = {
    "request_checksum_calculation": "when_required",
    "response_checksum_validation": "when_required",
}
"""Every write is read back here. What newer SDKs add by themselves, GCS, Ceph and R2 refuse, with
SignatureDoesNotMatch or NotImplemented (boto/boto3#4400, cloudflare/cloudflare-docs#19236)."""

PATIENCE_S: Final = 45.0
LEAST_RATE: Final = 32_000
"""Bytes/s: a store may take so long for a request, and for what is sent with it either way."""

PIECE: Final = 2**24

_URL: Final = re.compile(r"([a-z][a-z0-9+.-]+):/+")
_PART: Final = ".part"


def is_url(out: Path | str) -> bool:
    """Whether runs are to lie in a store, and not in a folder."""
    return bool(_URL.match(str(out)))


def check_url(url: str) -> str:
    """The address of a store, without a slash at its end. Raises PlanError without repeating it."""
    if "://" not in url:  # a Path has one slash there
        url = _URL.sub(r"\1:///" if url.startswith("file:") else r"\1://", url, count=1)
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
            checks = CHECKSUMS if "AWS_REQUEST_CHECKSUM_CALCULATION" not in os.environ else {}
            options |= {"config_kwargs": LIMITS | wishes | checks, "default_cache_type": "none"}
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
                self._fs.pipe_file(target, source, **self._within(size))
            else:
                self._fs.put_file(str(source), target, **self._within(size))
            if target != path:
                self._fs.mv(target, path)
            about, ended = self._fs.info(path, **self._within()), time.time()
            good = about["size"] == size
            if good and str(about.get("ETag", "")).strip('"') != digest:
                good = _digest(self._pieces(key, size)) == digest  # encrypted, or put in parts
        if not good:
            raise RunError(f"{plain(self.url)} keeps something else than it was sent.")
        changed = about.get("LastModified")
        return None if changed is None else changed.timestamp() + 0.5 - (begun + ended) / 2

    def get(self, key: str, path: Path) -> None:
        """Write an object to a file of its own, private. Raises RunError, OSError."""
        with self._plainly(key):
            size = self._fs.info(self._path(key), **self._within())["size"]
        with aside(path, 0o600, lasting=False) as file:
            for data in self._pieces(key, size):
                file.write(data)

    def many(self, sizes: Mapping[str, int]) -> dict[str, bytes]:
        """Small objects by their keys, at once; those that are there. Raises RunError.

        Their sizes in bytes are known from `names`: nobody has to ask for them.
        """
        paths = {self._path(key): key for key in sizes if sizes[key]}
        known = {key: b"" for key in sizes if not sizes[key]}
        ends = [sizes[key] for key in paths.values()]
        with self._plainly():
            answers = self._fs.cat_ranges(
                [*paths], [0] * len(ends), ends, on_error="return", **self._within(sum(ends))
            )
            for key, data in zip(paths.values(), answers, strict=True):
                if isinstance(data, bytes):
                    known[key] = data
                elif not is_gone(data):
                    raise data
        return known

    def names(self, under: str) -> dict[str, int]:
        """The objects below `under`, by their keys from there on, and their sizes in bytes."""
        path = self._path(under)
        with self._plainly():
            try:
                below = self._fs.find(path, detail=True, **self._within())
            except FileNotFoundError as error:
                if has_no_bucket(error):
                    raise
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
                    self._fs.rm_file(self._path(key), **self._within())
                except FileNotFoundError:
                    continue

    def files(self, sizes: dict[str, int]) -> Any:
        """A file system of these objects for DuckDB, which reads of them only what it needs.

        They are named `holymon://KEY`; their sizes are known, so that none is asked for.
        """

        def read(key: str, start: int, end: int) -> bytes:
            try:
                return self._part(key, start, end)
            except Exception as error:  # noqa: BLE001 - as in `_plainly`
                raise OSError(f"the store {why(error)}") from None

        return store_files.files(sizes, read)

    def _within(self, size: int = 0) -> dict[str, float]:
        """How long a request with so many bytes may take; a folder here is asked without."""
        return {"timeout": PATIENCE_S + size / LEAST_RATE} if self._fs.async_impl else {}

    def _part(self, key: str, start: int, end: int) -> bytes:
        within = self._within(end - start)
        data: bytes = self._fs.cat_file(self._path(key), start=start, end=end, **within)
        return data

    def _pieces(self, key: str, size: int) -> Iterator[bytes]:
        """An object of so many bytes, piece by piece. Raises RunError if it is not as long."""
        for start in range(0, size, PIECE):
            end = min(start + PIECE, size)
            with self._plainly(key):
                data = self._part(key, start, end)
            if len(data) != end - start:
                raise RunError(f"{plain(self.url)} sent a part of what it keeps.")
            yield data

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"

    @contextlib.contextmanager
    def _plainly(self, key: str = "") -> Iterator[None]:
        """Whatever a library raises in here is one sentence, made of words of our own."""
        try:
            yield
        except RunError:
            raise
        except Exception as error:  # noqa: BLE001 - those libraries' have no class in common
            gone = bool(key) and is_gone(error) and not has_no_bucket(error)
            reason = f"has no {key} any more" if gone else why(error)
            raise RunError(f"{plain(self.url)} {reason}.") from None


def _known(source: Path | bytes) -> tuple[int, str]:
    if isinstance(source, bytes):
        return len(source), _digest([source])
    with source.open("rb") as file:
        pieces = iter(lambda: file.read(2**22), b"")
        return os.fstat(file.fileno()).st_size, _digest(pieces)


def _digest(pieces: Iterable[bytes]) -> str:
    made = md5(usedforsecurity=False)
    for data in pieces:
        made.update(data)
    return made.hexdigest()


def opened(url: str) -> Store:
    """The store at `url`, one for all of this process. Raises ConfigError, PlanError."""
    return _opened(url, os.getpid())  # the loop of s3fs does not live on in a fork


@cache
def _opened(url: str, _: int) -> Store:
    return Store(url)
