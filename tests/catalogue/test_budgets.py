"""Error budgets and costs over the history: what counts, what is left out, and what is not known."""

import json

import pytest

import holymon as hm
from holymon.catalogue.budgets import error_budgets
from holymon.catalogue.spending import spending
from holymon.errors import PlanError
from holymon.load.entry import of_targets
from holymon.report.subject import Subject
from tests.catalogue.test_news import earlier, run

__all__ = ["run"]
GOALS = ("error_rate<1%", "ttft_p95<0.5", "latency_mean<9")


@pytest.fixture
def judged(run):
    """The run, with objectives."""
    about = json.loads((run.folder / "plan.json").read_text())
    (run.folder / "plan.json").write_text(json.dumps(about | {"slo": GOALS}))
    return hm.attach(str(run.folder))


def before(run, hours, *, events=None, cost=0.01, error_rate=0.0, **more):
    """An earlier run: calls that missed the second objective, its costs and its failures."""
    name = earlier(run, hours, **more)
    path = run.folder.parents[1] / name / "run.json"
    about = json.loads(path.read_text())
    for target in about["targets"]:
        target["slo_events"] = {} if events is None else {"ttft_p95 < 500ms": events}
        target["cost_usd"], target["requests"] = cost, 1000
        target["cost"] = {"at_least_usd": cost}
        target["error_rate"]["value"] = error_rate
        target["tokens"] |= {"prompt": 100, "cache_hit_rate": 0.25}
    path.write_text(json.dumps(about))


def test_what_is_left_is_that_of_all_runs_of_the_name_in_four_weeks(judged):
    before(judged, 30 * 24, events={"bad": 900, "valid": 1000}, error_rate=0.5)
    before(judged, 27 * 24, events={"bad": 10, "valid": 1000}, error_rate=0.002)
    before(judged, 50, error_rate=0.006)
    before(judged, 40, measurement="invalid", error_rate=0.9)
    before(judged, 30, name="other", error_rate=0.9)
    found = error_budgets(judged)
    mine = judged.summary().targets[0].slo_events
    failed, slow = (
        budget for budget in found.budgets if budget.target == judged.plan.targets[0].name
    )
    n, k = mine[GOALS[0]].valid, mine[GOALS[0]].bad
    assert (failed.slo, failed.runs, failed.missed.of) == (GOALS[0], 3, 2000 + n)
    assert failed.left == pytest.approx(1 - (2 + 6 + k) / (2000 + n) / 0.01)
    assert (slow.runs, slow.missed.of) == (2, 1000 + mine[GOALS[1]].valid)
    assert slow.left == pytest.approx(1 - (10 + mine[GOALS[1]].bad) / slow.missed.of / 0.05)
    assert found.over == "over 27 days with 3 runs"
    about = found.to_dict()
    least = min(found.budgets, key=lambda budget: budget.left)
    assert (about["left"], about["target"]) == (least.left, least.target)
    assert len(about["budgets"]) == len(found.budgets)
    said = " ".join(found.notes)
    assert "1 run left out, without figures or not valid" in said
    assert "how many calls missed it is not known of 1 run" in said
    section = Subject(judged).error_budget
    assert "95 % interval" in repr(section)
    assert "budget left" in section.html


def test_without_an_objective_there_is_no_budget(run):
    known = error_budgets(run)
    assert "No error budget: no objective was given" in str(known)
    about = known.to_dict()
    assert (about["left"], about["slo"], about["budgets"]) == (None, None, [])
    assert about["reasons"][0].startswith("no objective was given")


def test_a_month_is_told_from_a_day_of_runs_on_and_held_against_a_budget(judged):
    before(judged, 12, cost=0.5)
    assert spending(judged).per_month is None
    assert "that takes a day of runs" in str(spending(judged))
    about = spending(judged).to_dict()
    assert (about["per_day_usd"], about["per_month_usd"]) == (None, None)
    assert "that takes a day of runs" in about["reasons"][0]
    before(judged, 48, cost=0.5)
    known = spending(judged, 40)
    several = len(judged.plan.targets)
    assert known.per_day == pytest.approx(0.5 * several)
    assert known.per_month == pytest.approx(0.5 * several * 365.25 / 12)
    assert (known.verdict.state, spending(judged, 1).verdict.state) == ("healthy", "unhealthy")
    assert known.verdict.startswith(
        "Within the budget of 40 USD a month: 0.5 USD a day over 2 days"
    )
    days = ["2026-11-24", "2026-11-25", "2026-11-26"]
    assert [day for day, _ in known.days] == days
    about = known.to_dict()
    assert [of["day"] for of in about["days"]] == days
    assert (about["per_month_usd"], about["state"]) == (known.per_month, "healthy")
    assert known.days[0][1].cache_hit_rate == 0.25
    assert "Within the budget" in Subject(judged).spending(40).html
    with pytest.raises(PlanError, match="budget"):
        spending(judged, -1)


def test_a_cost_that_is_not_known_is_said_and_never_guessed(judged):
    before(judged, 48, cost=None)
    before(judged, 20, cost=0.5)
    known = spending(judged, 40)
    assert known.whole.unknown >= 1
    assert known.verdict.startswith("The budget of 40 USD a month can't be judged: at least ")
    assert known.verdict.state == "not judged"
    assert "not all of the cost of 1 of " in str(known)
    assert known.days[0][1].cells[2:4] == ("–", "–")
    about = known.to_dict()
    assert (about["usd"], about["per_month_usd"]) == (None, None), "not known is never 0"
    assert about["at_least_per_month_usd"] == known.per_month > 0
    assert about["days"][0]["at_least_usd"] is None
    assert spending(judged, 1).verdict.state == "unhealthy", "it is over in any case"


@pytest.mark.parametrize(
    "events",
    [[], 3, {"x": 3}, {"x": {"bad": 3}}, {"x": {"bad": 5, "valid": 3}}, {"x": {"bad": -1, "valid": 3}},
     {"x" * 200: {"bad": 1, "valid": 3}}, {"x": {"bad": True, "valid": 3}}],
)  # fmt: skip
def test_events_that_somebody_else_wrote_are_left_out(events):
    (known,) = of_targets([{"target": "a/b", "requests": 3, "ok": 3, "slo_events": events}])
    assert known.events == {}
