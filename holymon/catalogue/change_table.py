"""Changes of figures as a table."""

from typing import Final

from holymon.figures.change import KINDS, SHARE, Change
from holymon.formatting import Table, per_cent, rounded
from holymon.language.said import heads, say
from holymon.structs import shows_table

CHANGE_HEADS: Final = heads("figure", "target", "before", "now", "change", "since run")


@shows_table
class Changes(tuple[Change, ...]):
    """Changes of figures, oldest first."""

    __slots__ = ()

    @property
    def table(self) -> Table:
        """A row for each."""
        if not self:
            return Table(lead=(say("no change shown"),))
        return Table(CHANGE_HEADS, [change_cells(change) for change in self], "llrrrl")


def change_cells(change: Change) -> tuple[str, ...]:
    """The row of a change in a table."""
    kind = KINDS[change.figure]
    by: str
    if change.figure == SHARE or change.ratio is None:
        by = say("{gap:+.2g} points", gap=(change.after - change.before) * 100)
    else:
        sign = "+" if change.ratio > 1 else "-"
        by = sign + per_cent(rounded(abs(change.ratio - 1) * 100, 2))
    return (
        kind.title, change.target, kind.shown(change.before), kind.shown(change.after),
        say("{by} worse", by=by) if change.worse else say("{by} better", by=by), change.since_run,
    )  # fmt: skip
