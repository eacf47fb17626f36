"""A run as the page of its report carries it: `hm.open("report.html")`."""

import re
from pathlib import Path
from typing import Final

from holymon.errors import PlanError, RunError
from holymon.figures.summary_types import Summary
from holymon.figures.verdict import Verdict
from holymon.formatting import Table, Tables, number_of
from holymon.load.carried import Header, unpacked
from holymon.load.fetch import page
from holymon.plan.given_file import raw
from holymon.plan.plan import Plan
from holymon.records.records import Records
from holymon.records.run_state import checked
from holymon.safety import plain, short

BLOCK: Final = "holymon-run"
"""The id of the element that holds it: a template, which no browser shows, runs or loads."""

MOST_BYTES: Final = 2**26
_BLOCK: Final = re.compile(rb'<template id="%s">([A-Za-z0-9+/=\s]*)</template>' % BLOCK.encode())


class OpenedRun:
    """A run from the page of its report: its plan, figures and verdict, and a sample of its calls.

    It goes where a run goes that has ended: into `compare` and the plots.
    """

    def __init__(self, header: Header, plan: Plan, records: Records) -> None:
        """Hold what a page carried."""
        self.plan, self.records = plan, records
        self.id = short(header.run_id, 200)
        self.calls, self.every = header.calls, header.every
        self.status = checked({"state": "finished", **header.status})
        self._header = header

    @property
    def sample(self) -> str:
        """Which calls `records` holds, in words."""
        n = len(self.records)
        if n == self.calls:
            return f"all its {number_of(n, 'call')}"
        return f"a sample of {n:,} of its {self.calls:,} calls, 1 of {self.every:,} at random"

    def summary(self) -> Summary:
        """The figures as they were computed from all calls."""
        return self._header.summary

    def verdict(self) -> Verdict:
        """The verdict of then."""
        return self._header.verdict

    def require_end(self, use: str) -> None:
        """A report is of a run that has ended, for whatever `use`."""

    @property
    def table(self) -> Tables:
        """What it is, its figures and its verdict."""
        lead = (f"{self.id}: {self.sample}", "figures are of all calls, as the report has them")
        return Tables([Table(lead=lead), self.summary().table, self.verdict().table])

    def __repr__(self) -> str:
        return plain(f"<OpenedRun {self.id}: {self.sample}>")

    def _repr_html_(self) -> str:
        return self.table.html()


def open(path: Path | str) -> OpenedRun:  # noqa: A001 - read as hm.open
    """The run in the page of a report, such as `report.html`: its plan, figures, a sample of calls.

    The page may come from anybody: nothing of it is run, and its plan sends no key anywhere before
    `hm.trust(path)`. Prompts of one's own are not in it. Raises RunError for what is no such page.
    """
    try:
        blocks = _BLOCK.findall(raw(page(path), MOST_BYTES))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise RunError(f"can't read {plain(str(path))}: {reason}.") from None
    if not blocks:
        raise RunError(
            f"{plain(str(path))} carries no run: it is no report of holymon, or one of a version "
            "that put none in."
        )
    try:
        return OpenedRun(*unpacked(blocks[-1], str(path)))
    except (ValueError, PlanError, MemoryError) as error:
        raise RunError(f"{plain(str(path))} can't be opened: {short(str(error))}.") from None
