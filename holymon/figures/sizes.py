"""How durations grow with the sizes of prompts and answers, by which unlike answers compare.

    ttft   = a + b * prompt tokens           decode = c * (output tokens - 1)
    latency at p and q tokens = a + b * p + c * (q - 1)

Of successful streamed calls whose tokens are known; where a server tells what it had in a cache,
the prompt is what it had not. Decode is as TPOT has it (`tokens`). Prompts that are all about as
long tell no b: TTFT is then that of such a prompt.
"""

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from holymon.figures.quantiles import Floats, figure
from holymon.figures.size_fit import FEWEST, MOST, Positions, interval, left_out, line
from holymon.figures.size_fit import weighted_median as median_of
from holymon.figures.size_types import Fitted, SizeClass, SizeEffect, SizeEffects
from holymon.figures.tokens import streamed, time_per_token
from holymon.formatting import number_of
from holymon.language.said import say
from holymon.records.chosen import Chosen
from holymon.records.records import Recorded, Records, records_of

VARIED: Final = 1.5
"""Prompts whose 90th percentile is so many times their 10th tell what length does."""

FEWEST_FITTED: Final = 30
FITTED: Final = ("base_s", "per_prompt_token_s", "per_output_token_s", "at_reference_s")
EDGES: Final = (128, 512, 2_048, 8_192, 32_768, 131_072)
"""Where classes of prompts by their tokens begin, after the first."""


@dataclass(frozen=True, slots=True)
class Streams:
    """Successful streamed calls in the order of time: columns of shape (n,), NaN if not known.

    `prompt` is what was in no cache where `cached` says that servers told.
    """

    prompt: Floats
    output: Floats
    ttft: Floats
    tpot: Floats
    cached: bool
    step: int = 1
    """Of how many calls each is one."""


def streams_of(rows: Chosen) -> Streams:
    """The streams among successful calls in the order of time; of very many, every k-th."""
    step = max(1, math.ceil(len(rows) / MOST))
    rows = rows.only(np.arange(len(rows)) % step == 0)
    prompt, cached = counts_known(rows["prompt_tokens"]), rows["cached_tokens"]
    reported = bool((cached > 0).any())
    if reported:
        prompt = prompt - np.clip(cached, 0, prompt)
    return Streams(
        prompt, counts_known(streamed(rows)), rows["first_s"] - rows["start_s"],
        time_per_token(rows), reported, step,
    )  # fmt: skip


def sizes_of(of: Records | Recorded) -> SizeEffects:
    """How TTFT and decoding grow with tokens, target by target, warm-up and failures left out."""
    records = records_of(of)
    each = [
        records.chosen(records.mask(index) & records.ok).in_order_of("start_s")
        for index in range(len(records.targets))
    ]
    streams = [streams_of(rows) for rows in each]
    reference = _reference(streams)
    effects = tuple(
        _effect(target.name, rows, some, reference)
        for target, rows, some in zip(records.targets, each, streams, strict=True)
    )
    return SizeEffects(effects, reference, records.simulated)


def counts_known(tokens: Any) -> Floats:
    """Counts as floats, NaN where they are not known, shape (n,)."""
    return np.where(tokens < 0, np.nan, tokens.astype(np.float64))


def _reference(streams: list[Streams]) -> tuple[int, int] | None:
    """A prompt and an answer to compare at: the medians of all, each target's with one weight."""
    medians = [
        (float(np.nanmedian(some.prompt)), float(np.nanmedian(some.output)))
        for some in streams
        if np.isfinite(some.prompt).any() and np.isfinite(some.output).any()
    ]
    if not medians:
        return None
    prompt, output = (float(f"{np.median(of):.2g}") for of in zip(*medians, strict=True))
    return max(1, int(prompt)), max(1, int(output))


def _effect(
    name: str, rows: Chosen, some: Streams, reference: tuple[int, int] | None
) -> SizeEffect:
    kind = say("tokens in that were in no cache") if some.cached else say("tokens in")
    n = int(np.isfinite(some.ttft).sum())
    fitted: dict[str, Fitted] = dict.fromkeys(FITTED, Fitted())
    notes: list[str] = []
    if n < FEWEST_FITTED:
        notes.append(
            say(
                "no effect of sizes: {answers}, and it takes 30.",
                answers=number_of(n, "streamed answer"),
            )
        )
    else:
        fitted, notes = _fits(some, reference)
        if some.cached and fitted["per_prompt_token_s"].value is not None:
            notes.append(say("{kind} are counted.", kind=kind))
    return SizeEffect(
        target=name, n=n, of=kind, prompt_tokens=_median(some.prompt),
        output_tokens=_median(some.output), classes=_classes(rows), notes=tuple(notes), **fitted,
    )  # fmt: skip


def _fits(some: Streams, reference: tuple[int, int] | None) -> tuple[dict[str, Fitted], list[str]]:
    """TTFT of no prompt, for each token in, for each out, and the latency at the reference."""
    varied, why = varies(some.prompt)
    p, q = reference or (math.nan, math.nan)
    middle = _median(some.prompt)
    near = middle is not None and p / VARIED <= middle <= p * VARIED

    def fit(at: Positions) -> tuple[float, ...]:
        c = _decode(some, at)
        ttft = some.ttft[at]
        known = np.isfinite(some.prompt[at] + ttft)
        a, b = line(some.prompt[at][known], ttft[known]) if varied else (math.nan, math.nan)
        first = a + b * p if varied else float(np.nanmedian(ttft)) if near else math.nan
        return a, b, c, first + c * (q - 1)

    n = len(some.ttft)
    values = fit(np.arange(n))
    without = left_out(n, fit) if n >= FEWEST else None
    fitted = {
        name: Fitted(None if math.isnan(value) else value,
                     None if without is None else interval(value, without[:, k]))
        for k, (name, value) in enumerate(zip(FITTED, values, strict=True))
    }  # fmt: skip
    notes = [] if varied else [why]
    if without is None:
        notes.append(
            say(
                "effects of sizes without intervals: have {n:,} calls, need {fewest}.",
                n=n,
                fewest=FEWEST,
            )
        )
    if fitted["per_output_token_s"].value is None:
        notes.append(say("no time for each token out: none were counted, or all came at once."))
    return fitted, notes


def _decode(some: Streams, at: Positions) -> float:
    tpot, output = some.tpot[at], some.output[at]
    known = np.isfinite(tpot) & (output > 1)
    return median_of(tpot[known], output[known] - 1)


def varies(prompt: Floats) -> tuple[bool, str]:
    """Whether prompts are of so many lengths that these can be told from chance; why if not."""
    known = prompt[np.isfinite(prompt)]
    if not len(known):
        return False, say("no TTFT by size: prompts were not counted.")
    if len(known) < FEWEST_FITTED:
        few = say(
            "no TTFT by size: n too small (have {n}, need {fewest_fitted}).",
            n=len(known),
            fewest_fitted=FEWEST_FITTED,
        )
        return False, few
    low, high = (float(np.quantile(known, q)) for q in (0.1, 0.9))
    if high >= VARIED * max(low, 1.0):
        return True, ""
    if round(low) == round(high):
        return False, say("no TTFT by size: prompts are all about as long ({tokens}).",
                          tokens=number_of(round(low), "token"))  # fmt: skip
    return False, (
        say(
            "no TTFT by size: prompts are all about as long ({low:,.0f} to {high:,.0f} "
            "tokens from the 10th to the 90th percentile).",
            low=low,
            high=high,
        )
    )


def _classes(rows: Chosen) -> tuple[SizeClass, ...]:
    """Successful calls by the tokens of their prompts, cached ones too."""
    prompt = rows["prompt_tokens"]
    which = np.searchsorted(EDGES, prompt, side="right")
    made = []
    for k in np.unique(which[prompt >= 0]).tolist():
        some = rows.only((which == k) & (prompt >= 0))
        output = counts_known(some["output_tokens"])
        made.append(SizeClass(
            (0, *EDGES)[k], EDGES[k] - 1 if k < len(EDGES) else None, len(some),
            float(np.nanmean(output)) if np.isfinite(output).any() else None,
            figure(some["first_s"] - some["start_s"], some["start_s"]),
            figure(some["end_s"] - some["start_s"], some["start_s"]),
        ))  # fmt: skip
    return tuple(made)


def _median(values: Floats) -> float | None:
    return float(np.nanmedian(values)) if np.isfinite(values).any() else None
