"""The one place that computes: records in, figures with their intervals out.

A figure that the sample can't carry is None, and `notes` says why, and which intervals are too
narrow.

    service latency = end - start          ttft = first token - start
    response latency = end - due           tpot = (last - first token) / (output tokens - 1)
    schedule delay = start - due           itl = gaps between received pieces with tokens

Reasoning that was not streamed is in no tpot and no tokens/s (`tokens`).
All of them are of successful calls only (schedule delay: of all that were sent); failures are
counted beside them. Calls of the warm-up are in none.
"""

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from holymon.errors import CODES
from holymon.figures.cost import costs
from holymon.figures.oddities import REASONED, count_oddities, sentences
from holymon.figures.quantiles import (
    PERCENTILES,
    Figure,
    Floats,
    autocorrelation,
    fewest,
    fewest_for_interval,
    figure,
    wilson,
)
from holymon.figures.summary_types import Summary, TargetSummary
from holymon.figures.throughput import counted
from holymon.figures.token_gaps import gap_figure
from holymon.figures.tokens import about_veiled, streamed, time_per_token, token_sums
from holymon.formatting import number_of
from holymon.plan import slo
from holymon.plan.plan import Closed, Open, Plan
from holymon.plan.price import Price
from holymon.records.attempt import FINISH, Flag
from holymon.records.records import Chosen, Recorded, Records, plan_of, records_of

ALIKE: Final = 0.2
"""From this autocorrelation on it is said: intervals should be a fifth wider by then."""

FEWEST_ALIKE: Final = 50
MOST_ALIKE: Final = 50_000
CALLS_ALIKE: Final = (
    "successive calls are alike (autocorrelation {:.2g}): the intervals of durations take calls "
    "for independent, and are too narrow."
)
FAILURES_ALIKE: Final = (
    "failures come one after another (autocorrelation {:.2g}): the interval of the error rate "
    "takes them for independent, and is too narrow."
)


def summarize(
    of: Records | Recorded, plan: Plan | None = None, *, objectives: tuple[str, ...] | None = None
) -> Summary:
    """The figures of a run, or of records that were made by `plan`, warm-up left out.

    Records alone know no schedule: without a plan there is no wanted rate, schedule delay or
    response time. `objectives` (by default the plan's) only matter for goodput, which counts the
    successful calls that meet every upper limit on a duration.
    """
    records = records_of(of)
    plan = plan_of(of) if plan is None else plan
    texts = objectives if objectives is not None else plan.slo if plan else ()
    limits = tuple(objective for objective in map(slo.parse, texts) if objective.per_request)
    load, ends = plan.load if plan else None, records["end_s"]
    targets = tuple(summarize_target(records, i, load, limits) for i in range(len(records.targets)))
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
    limits: tuple[slo.Slo, ...] = (),
) -> TargetSummary:
    """The figures of the `index`-th target; goodput counts what keeps all `limits`."""
    target = records.targets[index]
    every = records.mask(index, warmup=True)
    mask = records.mask(index)
    rows = records.chosen(mask)
    ok = rows["error"] == 0
    good = rows.only(ok)
    sent = records.judged[mask]
    judged = rows["error"][sent]
    fails = int((judged != 0).sum())
    limited = int((judged == CODES["rate_limited"]).sum())
    scheduled = isinstance(load, Open)
    users = load.users * len(records.targets) if isinstance(load, Closed) else None
    during, seconds, no_rate = counted(rows, users)
    cost, why = _cost(rows, target.price)
    durations = _durations(good)
    gaps, about_gaps = gap_figure(records, mask & records.ok, good)
    return TargetSummary(
        target=target.name,
        requests=len(rows),
        ok=len(good),
        errors=(errors := records.errors(mask)),
        error_rate=wilson(fails, len(judged)),
        error_rate_without_429=wilson(fails - limited, len(judged) - limited),
        latency_s=figure(durations["latency"]),
        response_s=figure(durations["response"]) if scheduled else Figure(0),
        schedule_delay_s=figure(rows["start_s"] - rows["due_s"]) if scheduled else Figure(0),
        ttft_s=figure(durations["ttft"]),
        itl_s=gaps,
        tpot_s=figure(durations["tpot"]),
        **_throughput(rows.only(ok & during), seconds, limits),
        tokens=token_sums(good),
        cost_usd=cost,
        wanted_per_s=_per_second(rows["due_s"]) if scheduled else None,
        sent_per_s=_per_second(rows["start_s"]),
        warmup=int(every.sum() - mask.sum()),
        finish=_finishes(good),
        oddities=(odd := count_oddities(good)),
        empty=wilson(odd.get("empty", 0), len(good)),
        empty_after_reasoning=wilson(odd.get(REASONED, 0), odd.get("empty", 0)),
        new_connections=int(((rows["flags"] & Flag.NEW_CONNECTION) != 0).sum()),
        notes=(
            *_notes(good),
            *sentences(odd, len(good)),
            *about_veiled(good),
            *about_gaps,
            *_alike(good["start_s"], durations["latency"], CALLS_ALIKE),
            *(_alike(rows["start_s"][sent], judged != 0, FAILURES_ALIKE) if fails else ()),
            *no_rate,
            *why,
        ),
        messages=_messages(records, index, errors),
    )


def _messages(records: Records, index: int, errors: dict[str, int]) -> dict[str, str]:
    words = records.messages().get(index, {}) if errors else {}
    return {name: words[name] for name in errors if name in words}


def _durations(good: Chosen) -> dict[str, Floats]:
    """Per successful call, in seconds; NaN where it was not measured."""
    return {
        "latency": good["end_s"] - good["start_s"],
        "response": good["end_s"] - good["due_s"],
        "ttft": good["first_s"] - good["start_s"],
        "tpot": time_per_token(good),
    }


def _throughput(
    good: Chosen, seconds: float, limits: tuple[slo.Slo, ...]
) -> dict[str, float | None]:
    """Successful calls, tokens and calls within the limits, each per second."""
    if seconds <= 0:
        return dict.fromkeys(("requests_per_s", "output_tokens_per_s", "goodput_per_s"))
    tokens = streamed(good)
    return {
        "requests_per_s": len(good) / seconds,
        "output_tokens_per_s": float(tokens.sum() / seconds) if (tokens >= 0).all() else None,
        "goodput_per_s": float(_meets(good, limits).sum() / seconds) if limits else None,
    }


def _meets(good: Chosen, limits: tuple[slo.Slo, ...]) -> npt.NDArray[np.bool_]:
    durations = _durations(good)
    met = np.ones(len(good), bool)
    for limit in limits:
        value = durations[limit.metric]
        met &= (value < limit.limit) if limit.op == "<" else (value <= limit.limit)
    return met


def _per_second(times: Floats) -> float | None:
    """Calls per second by their times: n - 1 gaps between the first and the last."""
    times = times[~np.isnan(times)]
    span = float(times.max() - times.min()) if len(times) > 1 else 0.0
    return (len(times) - 1) / span if span > 0 else None


def _cost(rows: Chosen, price: Price) -> tuple[float | None, tuple[str, ...]]:
    if price.input is None or price.output is None:
        return None, ("no cost: the price of this model is not known (targets.toml).",)
    if price.currency != "USD":
        return None, (f"no cost in USD: the price is in {price.currency}.",)
    each = costs(rows, price)
    unknown = np.isnan(each)
    if unknown.any():
        failed = int((unknown & (rows["error"] != 0)).sum())
        lacking = int(unknown.sum()) - failed
        whys = (
            (lacking, "answer", "came without the server's token counts"),
            (failed, "call", "ended between tokens and their count"),
        )
        reason = ", and ".join(f"{number_of(n, noun)} {what}" for n, noun, what in whys if n)
        return None, (f"no cost: {reason}.",)
    return float(each.sum()), ()


def _finishes(good: Chosen) -> dict[str, int]:
    counted = np.bincount(good["finish"], minlength=len(FINISH))
    return {name or "none": int(n) for name, n in zip(FINISH, counted, strict=True) if n}


def _alike(starts: Floats, values: npt.NDArray[Any], text: str) -> tuple[str, ...]:
    """Whether successive calls are more alike than calls for which intervals hold, by ranks.

    Calls lie about in the order of their time: of very many, those in the middle will do.
    """
    off = max(len(values) - MOST_ALIKE, 0) // 2
    starts, values = starts[off : off + MOST_ALIKE], values[off : off + MOST_ALIKE]
    n = len(values)
    if n < FEWEST_ALIKE:
        return ()
    # Ranks, so that one very slow call does not hide that the others are alike.
    ranks = np.unique(values, return_inverse=True)[1].astype(np.float64)
    likeness = autocorrelation(ranks[np.argsort(starts, kind="stable")])
    # Of independent values, one in 700 is over three standard errors.
    alike = likeness is not None and likeness > max(ALIKE, 3 / math.sqrt(n))
    return (text.format(likeness),) if alike else ()


def _notes(good: Chosen) -> list[str]:
    """Why figures are missing, in sentences."""
    notes: list[str] = []
    ok = len(good)
    if ok == 0:
        return ["no latency: no call succeeded."]
    if not (good["flags"] & Flag.STREAM).any():
        notes.append("no TTFT, ITL and TPOT: the answers were not streamed.")
    if unknown := int((good["output_tokens"] < 0).sum()):
        notes.append(
            f"no sum of output tokens: {number_of(unknown, 'answer')} came without a count."
        )
    lacking = [name for name, q in PERCENTILES.items() if ok < fewest(q)]
    bare = [name for name, q in PERCENTILES.items() if fewest(q) <= ok < fewest_for_interval(q)]
    if lacking:
        need = fewest(PERCENTILES[lacking[0]])
        why = f"n too small (have {ok:,}, need {need} for {lacking[0]})"
        notes.append(f"no {', '.join(lacking)}: {why}.")
    if bare:
        need = fewest_for_interval(PERCENTILES[bare[0]])
        notes.append(f"{', '.join(bare)} without interval: have {ok:,}, need {need} for {bare[0]}.")
    return notes
