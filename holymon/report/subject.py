"""What a report is about: a run, and the parts of its page, each of which shows itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

from holymon.catalogue.budgets import error_budgets
from holymon.catalogue.handed import handed
from holymon.catalogue.news import BASELINE, News, check_baseline, news
from holymon.catalogue.spending import spending
from holymon.experiments.alternate import compare_all
from holymon.figures.comparison import EFFECT
from holymon.figures.comparisons import Comparisons
from holymon.formatting import Html, element, join
from holymon.load.run import Run, attach, measure
from holymon.plan import shapes
from holymon.plan.plan import Open, Plan
from holymon.plan.prompts import Prompts
from holymon.plan.targets import target
from holymon.records.datasets import dataset
from holymon.records.records import Records
from holymon.report import handed_run, sections
from holymon.report.health import health
from holymon.report.move_subject import MoveSubject
from holymon.report.moved import moved
from holymon.report.sections import Section


@dataclass(frozen=True, slots=True)
class Subject:
    """A run that a notebook reports on."""

    run: Run
    baseline: str = BASELINE

    @property
    def plan(self) -> Plan:
        """What the run was to measure."""
        return self.run.plan

    @property
    def records(self) -> Records:
        """Its calls; plots take the subject itself, which knows the plan too."""
        return self.run.records

    @property
    def verdict(self) -> Section:
        """Health and what changed; then the verdict, the objectives, and the main figures."""
        first = health(self.run, self.changed)
        part = sections.verdict(self.run, first.html)
        beside = {**handed(first.news), **handed_run.handed(self.run)}
        return Section(part.html, f"{first.line}\n\n{part.text}", beside)

    @property
    def changed(self) -> News:
        """What is different from earlier runs of its kind, and what would have been found."""
        return news(self.run, self.baseline)

    def comparison(self, of: Sequence[str] = (), *, effect: float = EFFECT) -> Comparisons:
        """Each of the targets `of` it, or of all, against the first. Raises RunError, PlanError."""
        return compare_all(self.run, of, effect=effect)

    @property
    def figures(self) -> Section:
        """All figures of all targets, with intervals."""
        return sections.figures(self.run)

    @property
    def error_budget(self) -> Section:
        """What is left of the error budgets of its objectives, over four weeks of its runs."""
        return sections.of_table(error_budgets(self.run).table)

    def spending(self, budget: float | None = None) -> Section:
        """What runs of its name cost by day, and a month at that rate, held against a budget."""
        spent = spending(self.run, budget)
        line = Html(spent.verdict._repr_html_())
        if budget is None:
            line = element("p", element("b", spent.verdict.sentence))
        return Section(join(line, spent.table.html("figures")), repr(spent))

    @property
    def sizes(self) -> Section:
        """What a token in and out costs in time, and the figures by size of the prompts."""
        return sections.sizes(self.run)

    @property
    def errors(self) -> Section:
        """Each error type: how often, whose fault, what it means, and what was said."""
        return sections.errors(self.run)

    @property
    def slowest(self) -> Section:
        """The slowest calls and some of those that failed: phases, request ids, words."""
        return sections.slowest(self.run)

    @property
    def method(self) -> Section:
        """How it was measured: plan, client and, folded, the definitions of all figures."""
        return sections.method(self.run)

    def _repr_html_(self) -> str:
        return self.verdict.html


@overload
def subject(
    run: str = "", *, targets: list[str] | None = None, rate: float = 5.0,
    duration_s: float = 20.0, slo: list[str] | None = None, out: str = "reports",
    prompts: str = "", baseline: str = BASELINE,
) -> Subject:  # fmt: skip
    pass


@overload
def subject(*, route: str, calls_per_month: float = 0.0, alerts: str = "") -> MoveSubject:
    pass


def subject(
    run: str = "", *, targets: list[str] | None = None, rate: float = 5.0,
    duration_s: float = 20.0, slo: list[str] | None = None, out: str = "reports",
    prompts: str = "", baseline: str = BASELINE, route: str = "", calls_per_month: float = 0.0,
    alerts: str = "",
) -> Subject | MoveSubject:  # fmt: skip
    """The subject of a report: the finished run of that name, or one that is measured now.

    `prompts` is a file of what is asked then, as `dataset` reads it. `baseline` is what the run is
    compared with: `last`, a run, a time back such as `7d`, or `none`. With `route`, the file of a
    router, it is that move of traffic: `calls_per_month` is what a month's saving is reckoned with
    (0: by its own traffic, of a day at least), `alerts` says whom alerts reach. Raises PlanError,
    RunError, ConfigError for one that can't be.
    """
    if route:
        return MoveSubject(moved(route, calls_per_month=calls_per_month or None, alerts=alerts))
    if run:
        return Subject(attach(run, out=out), baseline)
    check_baseline(baseline, out)
    plan = Plan(
        targets=tuple(target(name) for name in targets or ["sim/fast"]),
        load=Open(shapes.constant(rate)), duration_s=duration_s, slo=tuple(slo or ()),
        prompts=Prompts(dataset=dataset(prompts) if prompts else None),
    )  # fmt: skip
    return Subject(measure(plan, out=out), baseline)
