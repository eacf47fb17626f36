"""The first line of a report: healthy or not, and what changed. Here alone it is judged."""

from typing import Any, Final, Literal, NamedTuple

from holymon.catalogue.budgets import error_budgets
from holymon.catalogue.news import INVALID, News
from holymon.catalogue.spending import spending
from holymon.figures.summary_types import Summary
from holymon.figures.verdict import Verdict
from holymon.formatting import Html, bullets, element, join, percent
from holymon.language.said import glued, say
from holymon.load.run import Run
from holymon.safety import short

State = Literal["healthy", "worse", "unhealthy", "not judged"]
MOST_OF_LINE: Final = 300


class Health(NamedTuple):
    """Whether an API is healthy, and in one line why, and what changed.

    `worse` is healthy, but changed for the worse; `unhealthy` misses an objective, or fails many
    calls where no objective is on them.
    """

    state: State
    line: str
    news: News

    @property
    def html(self) -> Html:
        """The line, and below it a sentence for each change, and what was left out."""
        if self.news.baseline == "none":
            return element("p", self.line, kind=f"health {self.state}")
        compared = (
            (say("Compared with {against}.", against=self.news.against),)
            if self.news.against
            else ()
        )
        texts = [change.text for change in self.news.changes]
        notes = [note for note in self.news.notes if note not in self.line]
        return join(
            element("p", self.line, kind=f"health {self.state}"), bullets(texts),
            bullets([*compared, *notes], "notes"),
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """As `run.json` has it."""
        return {"health": {"state": self.state, "line": self.line}, **self.news.to_dict()}


def health(run: Run, changed: News) -> Health:
    """The health of the API that a run measured."""
    state, words = _judged(run.summary(), run.verdict(), worse=changed.worse)
    news = "" if changed.baseline == "none" else glued("; ", changed.line)
    if changed.notes[:1] == (INVALID,) and changed.baseline != "none":
        return Health(
            state, say("Not judged and not compared: the measurement is invalid"), changed
        )
    doubt = say(" (the measurement is suspect)") * (run.verdict().measurement == "suspect")
    return Health(state, glued(words, doubt, news), changed)


def over_time(run: Run, budget: object) -> dict[str, Any]:
    """What `run.json` has of the runs of a name: what is left of error budgets, what they cost.

    `budget` is that of a month in USD; what is none, or 0, is no limit.
    """
    limit = budget if isinstance(budget, int | float) and budget > 0 else None
    return {
        "error_budget": error_budgets(run).to_dict(),
        "spending": spending(run, limit).to_dict(),
    }


def shown(about: dict[str, Any]) -> str:
    """The line in a run's JSON, whoever wrote it; empty in those of before."""
    known = about.get("health")
    line = known.get("line") if isinstance(known, dict) else None
    return short(line, MOST_OF_LINE) if isinstance(line, str) else ""


def _judged(summary: Summary, judged: Verdict, *, worse: bool) -> tuple[State, str]:
    if judged.early or judged.measurement == "invalid":
        return "not judged", say("Not judged: the measurement is invalid")
    missed = sum(check.met is False for check in judged.checks)
    if missed:
        return "unhealthy", say(
            "Not healthy: {missed} of {n} objectives missed", missed=missed, n=len(judged.checks)
        )
    on_failures = {check.target for check in judged.checks if check.slo.startswith("error_rate")}
    failing = [t for t in summary.targets if t.of_all.many and t.target not in on_failures]
    if failing:
        worst = max(failing, key=lambda target: target.error_rate.value or 0.0)
        of = say(" to {target}", target=worst.target) * (len(summary.targets) > 1)
        return "unhealthy", say(
            "Not healthy: {share} of calls{of} failed", share=percent(worst.error_rate.value), of=of
        )
    if worse:
        return "worse", say("Healthy, but worse than before")
    return "healthy", say("Healthy")
