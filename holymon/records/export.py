"""Records as files for other programs: CSV that no spreadsheet runs."""

import csv
import io
from pathlib import Path
from typing import Final

from holymon.errors import RunError
from holymon.records.own_files import write_aside
from holymon.records.records import Recorded, Records, records_of
from holymon.safety import plain, short

# OWASP, "CSV Injection"; some spreadsheets also take the full-width signs.
_FORMULA: Final = tuple("=+-@\uff1d\uff0b\uff0d\uff20")


def write_csv(of: Records | Recorded, path: Path | str) -> Path:
    """Write a line for each call of a run, or of records, with the columns of `Records.to_frame`.

    Text is quoted, on one line, without control characters, and never begins like a formula: then
    an apostrophe stands before it. Returns the path. Raises RunError if the file can't be written.
    """
    frame = records_of(of).to_frame()
    for name in frame.columns:
        if frame[name].dtype == object or frame[name].dtype == "string":
            frame[name] = frame[name].map(cell, na_action="ignore")
    text = io.StringIO()
    frame.to_csv(text, index=False, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n")
    try:
        write_aside(Path(path), text.getvalue().encode())
    except OSError as error:
        reason = short(f"{path}: {error.strerror}")
        raise RunError(f"the CSV can't be written: {reason}.") from None
    return Path(path)


def cell(value: object) -> str:
    """Text for one cell of a spreadsheet."""
    text = " ".join(plain(str(value)).split())
    return f"'{text}" if text.startswith(_FORMULA) else text
