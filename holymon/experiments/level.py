"""What a level of a search says: its objectives, by the part of it that was steady. Pure."""

from holymon.experiments.bounds import Step
from holymon.experiments.load_level import LoadLevel
from holymon.experiments.objectives import Errors, Held, hold
from holymon.figures.steady import Stretch, stretch_of
from holymon.figures.summary_types import Summary, TargetSummary
from holymon.figures.verdict import Verdict
from holymon.plan.slo import parse
from holymon.records.records import Records


def level_of(
    records: Records, summary: Summary, judged: Verdict, step: Step, *, took_s: float,
    whole: bool = True, run_id: str = "", added: tuple[str, ...] = (),
) -> LoadLevel:  # fmt: skip
    """What a level says, by its records and its verdict; `whole` if it was not cut short.

    Objectives that were `added` can be missed, but what is met is certain without them.
    """
    (target,) = summary.targets
    sent = records.sent & records.mask()
    # That all are met takes all to be met by chance; that one is missed, any of them.
    errors = Errors(step.error, step.error / 2 / len(judged.checks))
    stretch = stretch_of(
        records["start_s"][sent], records["end_s"][sent], step.seconds, errors.missed
    )
    outcomes = [
        hold(parse(check.slo), records, stretch, errors)
        or Held(bool(check.met), check.sure, None, check.text)
        for check in judged.checks
    ]
    missed = [held for held in outcomes if not held.met]
    given = [
        held for held, check in zip(outcomes, judged.checks, strict=True) if check.slo not in added
    ]
    fit = judged.client == "valid" or _missed_anyway(judged, records, stretch, errors)
    sure = any(held.sure for held in missed) if missed else all(held.sure for held in given)
    needs = [held.need_s for held in (missed or given) if not held.sure]
    return LoadLevel(
        rate=step.rate, seconds=step.seconds, took_s=took_s, calls=target.requests,
        met=_met(judged, target, missed=bool(missed), whole=whole, fit=fit),
        # A suspect client makes times longer, never shorter: what it met is met for certain.
        sure=sure and (fit or (not missed and judged.client == "suspect")),
        answers_per_s=target.requests_per_s, goodput_per_s=target.goodput_per_s,
        cost_usd=summary.cost_usd, run_id=run_id,
        words=(*(held.text for held in outcomes), *(reason.text for reason in judged.reasons)),
        shares={check.slo: held.share for held, check in zip(outcomes, judged.checks, strict=True)
                if held.share},
        failed=target.error_rate, skipped_s=stretch.since_s, memory_s=stretch.memory_s,
        need_s=None if not needs or None in needs else max(need or 0.0 for need in needs),
    )  # fmt: skip


def _missed_anyway(judged: Verdict, records: Records, stretch: Stretch, errors: Errors) -> bool:
    """Whether an objective is missed for certain although the client was late.

    It noted no moment later than it is known to have been, so what is missed by more is the API's.
    """
    late_s = judged.late_s
    if judged.client != "suspect" or late_s is None:
        return False
    for check in judged.checks:
        objective = parse(check.slo)
        held = hold(objective, records, stretch, errors, late_s=late_s)
        if held is not None and held.sure and not held.met:
            return True
    return False


def _met(
    judged: Verdict, target: TargetSummary, *, missed: bool, whole: bool, fit: bool
) -> bool | None:
    """Whether the objectives were met; None if that says more of the client than of the API.

    A client that is slow makes every time longer, never shorter: what was met with a suspect one
    is met, and what was missed by more than it was late is missed. Calls that could not be sent
    because thousands were unanswered are the API's doing.
    Of a level that was cut short (by the budget, by its limits) the slowest calls may be missing.
    """
    dropped = target.errors.get("client_dropped", 0) > 0
    if missed:
        return False if fit or dropped else None
    return True if whole and judged.client != "invalid" else None
