"""A field for a path that offers the files of data that lie near."""

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

import ipywidgets as w

from holymon.widgets.fields import LABEL, WIDE

SUFFIXES: Final = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".txt", ".parquet", ".gz")
_DEPTH, _LOOKED_AT, _OFFERED = 3, 5_000, 200


def file_field(label: str, placeholder: str = "") -> w.Combobox:
    """A line of text for a path, with a list of the files near that narrows as one types."""
    return w.Combobox(description=label, placeholder=placeholder, layout=WIDE, style=LABEL)


def offer(fields: Any) -> None:
    """Offer in those of `fields` that take a path the files that are there now."""
    paths = data_files()
    for field in fields:
        if isinstance(field, w.Combobox):
            field.options = paths


def data_files(folder: Path = Path()) -> tuple[str, ...]:
    """Paths of files of data in `folder` and a little below it, newest first.

    At most 200, of at most 5,000 that are looked at; none in hidden folders, runs or environments,
    and no link is followed.
    """
    entries = islice(_entries(folder, _DEPTH), _LOOKED_AT)
    named = [entry for entry in entries if entry.name.lower().endswith(SUFFIXES)]
    newest = sorted(named, key=_age, reverse=True)[:_OFFERED]
    return tuple(Path(entry.path).relative_to(folder).as_posix() for entry in newest)


def _entries(folder: Path, depth: int) -> Iterator[os.DirEntry[str]]:
    below = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.is_symlink():
                    continue
                if entry.is_dir():
                    below.append(Path(entry.path))
                else:
                    yield entry
    except OSError:  # A folder that may not be read has nothing to offer.
        return
    if depth == 1:
        return
    for path in below:
        if not any((path / mark).exists() for mark in ("plan.json", "pyvenv.cfg", "package.json")):
            yield from _entries(path, depth - 1)


def _age(entry: os.DirEntry[str]) -> float:
    try:
        return entry.stat().st_mtime
    except OSError:
        return 0.0
