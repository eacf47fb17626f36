"""Conversations turn by turn: what the first and the later ones wait, and how many were held whole.

    TTFT = a + b * tokens that were in no cache      the cache saves b * the tokens that were in it

Of successful streamed calls, by medians, where a server tells what was in its cache. Lines and
intervals are those of `size_fit`.
"""

import math
from collections import Counter
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from holymon.errors import NAMES
from holymon.figures.quantiles import Floats, figure
from holymon.figures.size_fit import FEWEST, Positions, interval, left_out, line
from holymon.figures.size_types import Fitted
from holymon.figures.sizes import counts_known, varies
from holymon.figures.tokens import token_sums
from holymon.figures.turn_types import ConversationFigures, TurnFigures, Turns
from holymon.formatting import number_of
from holymon.language.said import say
from holymon.records.attempt import JUDGED, Flag, kinds
from holymon.records.chosen import Chosen
from holymon.records.records import Recorded, Records, records_of

SINGLE: Final = 5
"""So many turns have a row each; further ones share one."""

UNTOLD: Final = say("what the cache saves is not known: the server does not tell what it had.")

_CUT: Final = kinds(("cancelled", "unfinished"))
_NO_TEXT: Final = say("an answer without text to go on from")


def turns_of(of: Records | Recorded) -> Turns:
    """The figures by turn, target by target, without warm-up; of nothing where none were held."""
    records = records_of(of)
    if records.turns == 1:
        return Turns((), records.simulated)
    return Turns(
        tuple(_target(records, index) for index in range(len(records.targets))), records.simulated
    )


def _target(records: Records, index: int) -> ConversationFigures:
    rows = records.chosen(records.mask(index)).in_order_of("due_s")
    _, turn = records.conversations(rows["request"])
    last = int(turn.max(initial=0))
    classes = [(k, k) for k in range(min(last + 1, SINGLE))]
    classes += [(SINGLE, last)] if last >= SINGLE else []
    classes += [(1, last)] if len(classes) > 2 else []
    made = [_figures(rows.only((turn >= a) & (turn <= b)), a, b) for a, b in classes]
    held = _outcomes(records.chosen(records.mask(index, warmup=True)), records)
    good = rows.only((rows["error"] == 0) & ~np.isnan(rows["first_s"])).in_order_of("start_s")
    fitted, notes = _fits(good, records)
    return ConversationFigures(
        target=records.targets[index].name, turns=tuple(made), notes=tuple(notes), **held,
        later_s=fitted["later_s"], per_fresh_token_s=fitted["per_fresh_token_s"],
        saved_s=fitted["saved_s"],
    )  # fmt: skip


def _figures(rows: Chosen, first: int, last: int) -> TurnFigures:
    good = rows.only(rows["error"] == 0)
    failed = rows.only(JUDGED[rows["error"]] & (rows["error"] != 0))
    sent = good["start_s"]
    return TurnFigures(
        first=first + 1, last=last + 1, calls=len(rows), failed=len(failed),
        prompt_tokens=_median(good["prompt_tokens"]), cached_tokens=_median(good["cached_tokens"]),
        cache_hit_rate=token_sums(good).cache_hit_rate,
        ttft_s=figure(good["first_s"] - sent, sent), latency_s=figure(good["end_s"] - sent, sent),
    )  # fmt: skip


def _median(tokens: npt.NDArray[np.int32]) -> float | None:
    known = tokens[tokens >= 0]
    return float(np.median(known)) if len(known) else None


def _outcomes(rows: Chosen, records: Records) -> dict[str, Any]:
    """How many conversations were held whole, ended early and why, or were cut by the run's end."""
    which, turn = records.conversations(rows["request"])
    order = np.lexsort((turn, which))
    begins = np.flatnonzero(np.diff(which[order], prepend=-1))
    first = order[begins]
    last = order[np.append(begins[1:], len(order)) - 1] if len(order) else order
    measured = rows["flags"][first] & Flag.WARMUP == 0
    last = last[measured]
    error, flags = rows["error"][last], rows["flags"][last]
    cut = _CUT[error] | ((error == 0) & (flags & Flag.TURN_FOLLOWS > 0))
    mute = (error == 0) & (flags & Flag.NO_TEXT_TO_FOLLOW > 0)
    failed = (error != 0) & ~cut
    reasons = Counter(NAMES[code] for code in error[failed].tolist())
    reasons += Counter({_NO_TEXT: int(mute.sum())})
    return {
        "conversations": len(last), "whole": int(((error == 0) & ~cut).sum()),
        "early": int((failed | mute).sum()), "cut": int((cut & ~mute).sum()),
        "reasons": dict(reasons.most_common()),
    }  # fmt: skip


def _fits(rows: Chosen, records: Records) -> tuple[dict[str, Fitted], list[str]]:
    """What later turns wait more than first ones, each fresh token, and what the cache saves."""
    later = records.conversations(rows["request"])[1] > 0
    ttft = rows["first_s"] - rows["start_s"]
    prompt, cached = (counts_known(rows[name]) for name in ("prompt_tokens", "cached_tokens"))
    fresh = prompt - np.clip(cached, 0, prompt)
    varied, why = varies(fresh) if np.isfinite(cached).any() else (False, UNTOLD)

    def fit(at: Positions) -> tuple[float, ...]:
        behind, known = later[at], np.isfinite(fresh[at])
        apart = _middle(ttft[at][behind]) - _middle(ttft[at][~behind])
        each = line(fresh[at][known], ttft[at][known])[1] if varied else math.nan
        return apart, each, each * _middle(cached[at][behind])

    names = ("later_s", "per_fresh_token_s", "saved_s")
    n = len(ttft)
    if min(int(later.sum()), n - int(later.sum())) == 0:
        return dict.fromkeys(names, Fitted()), [
            say(
                "first and later turns can't be told apart: of one of them no streamed answer came."
            )
        ]
    values = fit(np.arange(n))
    without = left_out(n, fit) if n >= FEWEST else None
    fitted = {
        name: Fitted(None if math.isnan(value) else value,
                     None if without is None else interval(value, without[:, k]))
        for k, (name, value) in enumerate(zip(names, values, strict=True))
    }  # fmt: skip
    notes = [why] * (not varied)
    if without is None:
        notes.append(
            say(
                "no intervals of what later turns wait: {calls}, and it takes {fewest}.",
                calls=number_of(n, "call"),
                fewest=FEWEST,
            )
        )
    return fitted, notes


def _middle(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else math.nan
