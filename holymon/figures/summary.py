"""The one place that computes: records in, figures with their intervals out.

A figure that the sample can't carry is None, and `notes` says why, and which intervals are too
narrow.

    service latency = end - start          ttft = first token - start
    response latency = end - due           tpot = (last - first token) / (output tokens - 1)
    schedule delay = start - due           itl = gaps between received pieces with tokens

Reasoning that was not streamed is in no tpot and no tokens/s (`tokens`).
All of them are of successful calls only (schedule delay: of all that were sent); beside them stand
those of all calls (`all_calls`), by which objectives are judged. Calls of the warm-up are in none.
"""

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from holymon.errors import CODES
from holymon.figures.alike import about_alike, about_course, about_failures
from holymon.figures.all_calls import AllCalls, OfAll, with_failures
from holymon.figures.cost import cost_of
from holymon.figures.durations import durations, watched
from holymon.figures.effective import effective_number
from holymon.figures.oddities import REASONED, count_oddities, sentences
from holymon.figures.outputs import outputs
from holymon.figures.quantiles import (
    PERCENTILES,
    Figure,
    Floats,
    fewest,
    fewest_for_interval,
    figure,
    figure_and_order,
    share_of,
    wilson,
)
from holymon.figures.slo_events import slo_events
from holymon.figures.summary_types import Summary, TargetSummary
from holymon.figures.throughput import Users, counted, rate_interval
from holymon.figures.token_gaps import gap_figure
from holymon.figures.tokens import about_veiled, streamed, token_sums
from holymon.formatting import number_of
from holymon.language.said import say
from holymon.plan import slo
from holymon.plan.plan import Closed, Open, Plan
from holymon.plan.shapes import Shape
from holymon.records.attempt import FINISH, JUDGED, Flag
from holymon.records.chosen import Chosen
from holymon.records.records import Recorded, Records, plan_of, records_of

Bools = npt.NDArray[np.bool_]

ALIKE: Final = ((say("latency"), "latency_s"), ("TTFT", "ttft_s"), ("TPOT", "tpot_s"))
BESIDE: Final = (
    (say("response"), "response_s"), (say("schedule delay"), "schedule_delay_s"),
)  # fmt: skip
"""Durations of which is said that successive ones are alike; those of the client too, if it cost
them an interval."""


def summarize(
    of: Records | Recorded, plan: Plan | None = None, *, objectives: tuple[str, ...] | None = None
) -> Summary:
    """The figures of a run, or of records that were made by `plan`, warm-up left out.

    Records alone know no schedule: without a plan there is no wanted rate, schedule delay or
    response time. `objectives` (by default the plan's) only matter for goodput: the calls that
    succeeded and kept every upper limit on a duration, per second and as a share of all calls.
    """
    records = records_of(of)
    plan = plan_of(of) if plan is None else plan
    texts = objectives if objectives is not None else plan.slo if plan else ()
    goals = tuple(map(slo.parse, texts))
    load, ends = plan.load if plan else None, records["end_s"]
    targets = tuple(summarize_target(records, i, load, goals) for i in range(len(records.targets)))
    money = [target.cost_usd for target in targets]
    return Summary(
        targets=targets,
        simulated=records.simulated,
        duration_s=float(np.nanmax(ends)) if np.isfinite(ends).any() else 0.0,
        cost_usd=None if None in money else math.fsum(m for m in money if m is not None),
    )


def summarize_target(
    records: Records,
    index: int,
    load: Open | Closed | None = None,
    objectives: tuple[slo.Slo, ...] = (),
) -> TargetSummary:
    """The figures of the `index`-th target; goodput counts what keeps all limits on a call."""
    target = records.targets[index]
    every, mask = records.mask(index, warmup=True), records.mask(index)
    rows = records.chosen(mask).in_order_of("start_s")
    ok = rows["error"] == 0
    good = rows.only(ok)
    judged = rows.only(JUDGED[rows["error"]])
    limited = judged["error"] == CODES["rate_limited"]
    scheduled = isinstance(load, Open)
    apart = len(records.targets) * records.turns
    users = Users(load.users, apart) if isinstance(load, Closed) else None
    cost, why = cost_of(rows, target)
    seconds_of, steady = durations(rows), _is_steady(load)
    vectors = target.endpoint == "embeddings"
    within = _within(seconds_of, ok, objectives)
    rates, no_rate = _throughput(rows, users, within, steady=steady, vectors=vectors)
    sent = judged["start_s"] if steady else None
    failed = judged["error"] != 0
    times, about_gaps = _times(
        records, mask, rows, seconds_of, failed, scheduled=scheduled, steady=steady
    )
    return TargetSummary(
        target=target.name,
        requests=len(rows),
        ok=len(good),
        errors=(errors := records.errors(mask)),
        error_rate=share_of(failed, sent),
        error_rate_without_429=share_of(failed[~limited], sent if sent is None else sent[~limited]),
        **times,
        **rates,
        tokens=token_sums(good),
        cost=cost,
        wanted_per_s=_per_second(rows["due_s"]) if scheduled else None,
        sent_per_s=_per_second(rows["start_s"]),
        warmup=int(every.sum() - mask.sum()),
        finish=_finishes(good),
        oddities=(odd := count_oddities(good)),
        empty=wilson(odd.get("empty", 0), len(good)),
        empty_after_reasoning=wilson(odd.get(REASONED, 0), odd.get("empty", 0)),
        new_connections=int(((rows["flags"] & Flag.NEW_CONNECTION) != 0).sum()),
        notes=(
            *_notes(good, vectors=vectors),
            *times["of_all"].notes,
            *sentences(odd, len(good)),
            *about_veiled(good),
            *about_gaps,
            *about_alike(*({name: times[field] for name, field in of} for of in (ALIKE, BESIDE))),
            *(about_failures(failed) if steady else about_course(seconds_of["latency"][ok])),
            *no_rate,
            *why,
        ),
        messages=_messages(records, index, errors),
        slo_events=slo_events(rows, seconds_of, objectives),
    )


def _times(
    records: Records, mask: Bools, rows: Chosen, seconds: dict[str, Floats], failed: Bools, *,
    scheduled: bool, steady: bool,
) -> tuple[dict[str, Any], tuple[str, ...]]:  # fmt: skip
    """All durations of the calls that succeeded and `of_all`, by field; what to know of gaps.

    Of a load that was to change, without a look at time. `failed` are those that say something of
    the API, in the order of time.
    """
    ok, cut, sent = rows["error"] == 0, watched(rows), rows["start_s"]
    part = effective_number(failed) / len(failed) if steady and failed.sum() > 1 else 1.0
    if np.array_equal(seconds["ttfo"], seconds["ttft"], equal_nan=True):
        seconds = {name: values for name, values in seconds.items() if name != "ttfo"}
    times: dict[str, Any] = {"response_s": Figure(0)}
    every: dict[str, Any] = {"response_s": OfAll(Figure(0))}
    for name, values in seconds.items():
        if name != "response" or scheduled:
            good, ordered = figure_and_order(values[ok], sent[ok] if steady else None)
            lost = int(np.isinf(values).sum())
            times[f"{name}_s"] = good
            every[f"{name}_s"] = with_failures(good, ordered, lost, cut[name], part)
    every.setdefault("ttfo_s", every["ttft_s"])
    delay = figure(sent - rows["due_s"], sent if steady else None) if scheduled else Figure(0)
    times["itl_s"], every["itl_s"], notes = gap_figure(
        records, mask & records.ok, rows.only(ok), alike=steady,
        lost=int(np.isinf(seconds["ttft"]).sum()), part=part,
    )  # fmt: skip
    first_cut = min(cut["latency"].tolist(), default=None)
    of_all = AllCalls(len(failed), int(failed.sum()), len(cut["latency"]), first_cut, **every)
    held = outputs(rows.only(ok), times.pop("ttfo_s", times["ttft_s"]), steady=steady)
    return {**times, "schedule_delay_s": delay, "of_all": of_all, "held": held}, notes


def _is_steady(load: Open | Closed | None) -> bool:
    """Whether calls were to come at one rate, so that what changes is not the plan's doing."""
    shape = load.shape if isinstance(load, Open) else None
    return not isinstance(shape, Shape) or len({rate for _, rate in shape.points}) == 1


def _messages(records: Records, index: int, errors: dict[str, int]) -> dict[str, str]:
    words = records.messages().get(index, {}) if errors else {}
    return {name: words[name] for name in errors if name in words}


def _throughput(
    rows: Chosen, users: Users | None, within: Bools | None, *, steady: bool, vectors: bool
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Answers, tokens and calls `within` the limits, each per second with an interval; or why not.

    The last ones as a share of all calls, too. Of embeddings also the `vectors`.
    """
    during, seconds, why = counted(rows, users)
    taken = (rows["error"] == 0) & during
    good = rows.only(taken)
    tokens, prompt = streamed(good), good["prompt_tokens"]
    weights = {
        "requests_per_s": np.ones(len(good)),
        "output_tokens_per_s": tokens if (tokens >= 0).all() else None,
        "goodput_per_s": None if within is None else within[taken],
        "prompt_tokens_per_s": prompt if (prompt >= 0).all() else None,
        "items_per_s": good["events"] if vectors else None,
    }
    given = {name: weight.astype(np.float64) for name, weight in weights.items()
             if weight is not None and seconds > 0}  # fmt: skip
    rates = {name: float(weight.sum()) / seconds for name, weight in given.items()}
    ends = {
        name: rate_interval(good, weight, seconds, closed=users is not None)
        for name, weight in given.items() if steady and (vectors or name != "prompt_tokens_per_s")
    }  # fmt: skip
    judged, sent = JUDGED[rows["error"]], rows["start_s"]
    share = wilson(0, 0)
    if within is not None:
        share = share_of(within[judged], sent[judged] if steady else None)
    more = {"throughput_ci": dict.fromkeys(weights) | ends, "goodput": share}
    return {**dict.fromkeys(weights), **rates, **more}, why


def _within(seconds: dict[str, Floats], ok: Bools, objectives: tuple[slo.Slo, ...]) -> Bools | None:
    """Which calls keep each limit on a call, shape (n,); None without limits or without figures.

    As in vLLM bench an answer of one token, which has no TPOT, keeps any limit on it; and so does
    one of a tool's call alone, which has no TTFO.
    """
    met, limits = ok.copy(), tuple(limit for limit in objectives if limit.per_request)
    for limit in limits:
        value = seconds[limit.metric]
        if ok.any() and np.isnan(value[ok]).all():
            return None
        kept = (value < limit.limit) if limit.op == "<" else (value <= limit.limit)
        met &= kept | np.isnan(value) if limit.metric in {"tpot", "ttfo"} else kept
    return met if limits else None


def _per_second(times: Floats) -> float | None:
    """Calls per second by their times: n - 1 gaps between the first and the last."""
    times = times[~np.isnan(times)]
    span = float(times.max() - times.min()) if len(times) > 1 else 0.0
    return (len(times) - 1) / span if span > 0 else None


def _finishes(good: Chosen) -> dict[str, int]:
    counted = np.bincount(good["finish"], minlength=len(FINISH))
    return {name or "none": int(n) for name, n in zip(FINISH, counted, strict=True) if n}


def _notes(good: Chosen, *, vectors: bool) -> list[str]:
    """Why figures are missing, in sentences."""
    notes: list[str] = []
    ok = len(good)
    if ok == 0:
        return [say("no latency: no call succeeded.")]
    if vectors:
        notes.append(say("no TTFT, ITL and TPOT: vectors come at once, and no tokens."))
    elif not (good["flags"] & Flag.STREAM).any():
        notes.append(say("no TTFT, ITL and TPOT: the answers were not streamed."))
    if (unknown := int((good["output_tokens"] < 0).sum())) and not vectors:
        notes.append(
            say(
                "no sum of output tokens: {answers} came without a count.",
                answers=number_of(unknown, "answer"),
            )
        )
    lacking = [name for name, q in PERCENTILES.items() if ok < fewest(q)]
    bare = [name for name, q in PERCENTILES.items() if fewest(q) <= ok < fewest_for_interval(q)]
    if lacking:
        need = fewest(PERCENTILES[lacking[0]])
        why = say(
            "n too small (have {ok:,}, need {need} for {lacking})",
            ok=ok,
            need=need,
            lacking=lacking[0],
        )
        notes.append(say("no {lacking}: {why}.", lacking=", ".join(lacking), why=why))
    if bare:
        need = fewest_for_interval(PERCENTILES[bare[0]])
        notes.append(
            say(
                "{bare} without interval: have {ok:,}, need {need} for {first}.",
                bare=", ".join(bare),
                ok=ok,
                need=need,
                first=bare[0],
            )
        )
    return notes
