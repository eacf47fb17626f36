"""What a notebook reports on when it is about a move of traffic: each section of its page."""

from dataclasses import dataclass
from typing import Final

from holymon.formatting import Html
from holymon.report import move_page, runbook
from holymon.report.move_facts import handed
from holymon.report.move_tables import changes_table, gates_table, objectives_table, steps_table
from holymon.report.moved import Moved
from holymon.report.sections import Section, of_table

MOVES: Final = "figures moves"


@dataclass(frozen=True, slots=True)
class MoveSubject:
    """A move of traffic that a notebook reports on; `hm.plot_trend` draws it."""

    move: Moved

    @property
    def verdict(self) -> Section:
        """How it stands and what to do next, in a line, with the main figures."""
        part = move_page.verdict(self.move)
        return Section(part.html, part.text, handed(self.move))

    @property
    def runbook(self) -> Section:
        """What to watch and what to do, each with its line."""
        return Section(runbook.as_html(self.move), runbook.as_text(self.move))

    @property
    def steps(self) -> Section:
        """What was measured of both sides in each step."""
        return of_table(steps_table(self.move), MOVES)

    @property
    def gates(self) -> Section:
        """How the gate of each step stood at its end, and what came of it."""
        return of_table(gates_table(self.move), MOVES)

    @property
    def changes(self) -> Section:
        """Every change of the share: when, by whom, why."""
        return of_table(changes_table(self.move), MOVES)

    @property
    def harm(self) -> Section:
        """Failures of the candidate, and which of them reached callers."""
        return move_page.harm(self.move)

    @property
    def bill(self) -> Section:
        """What both sides cost, and what was saved."""
        return move_page.bill(self.move)

    @property
    def objectives(self) -> Section:
        """How many calls missed each objective, step by step."""
        return of_table(objectives_table(self.move), MOVES)

    @property
    def method(self) -> Section:
        """What the figures are made of."""
        return move_page.method()

    def _repr_html_(self) -> Html:
        return self.verdict.html
