"""What calls cost, by the server's token counts and the target's prices: the one home of costs.

    cost_of(rows, target) -> Cost      costs(rows, price) -> what each row cost
                                       spent(rows, price) -> and by class of tokens

Prompt tokens that were read from a cache, or written to one, cost their own prices if there are
any, and so do those spent on reasoning, which are part of the output. Where a price has tiers, the
prompt of a call decides which prices all of its tokens have (as OpenAI, Anthropic and Google bill).
"""

import math
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from holymon.formatting import DASH, number_of, rounded
from holymon.language.said import glued, listed, say, vocabulary
from holymon.plan.price import PER, Price
from holymon.plan.target import Target
from holymon.records.attempt import Flag, Rows, kinds
from holymon.records.chosen import Chosen
from holymon.safety import plain

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

PARTS: Final = ("input", "cached", "written", "output", "reasoning")
UNCOUNTED: Final = 0.02
"""Up to this share of calls without the server's counts, they are taken to cost as others do."""

_SHOWN: Final = vocabulary("input", "cached", "written", "output", "reasoning")
_PRICED_AS: Final = {
    "input": ("input",), "cached": ("cached_input", "input"), "written": ("cache_write", "input"),
    "output": ("output",), "reasoning": ("reasoning", "output"),
}  # fmt: skip
"""By class of tokens, the prices that hold for it, the first one that is known."""

_BROKEN_OFF: Final = kinds((
    "cancelled", "first_byte_timeout", "connection_reset", "server_disconnected",
    "deadline_exceeded", "empty_response", "invalid_json", "invalid_utf8", "invalid_schema",
    "decoding_error", "response_too_large", "stream_truncated", "stream_stalled",
    "event_too_large", "unfinished",
))  # fmt: skip
"""Of each error code, whether the server may have done the work: it did not say that it failed."""

_COUNTED_IN: Final = {
    "cached": "cached_tokens", "written": "written_tokens", "reasoning": "reasoning_tokens",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cost:
    """What the calls of a target cost in USD, as a whole and by class of tokens.

    `usd` is the whole, and the sum of its parts: `input_usd` of prompt tokens that were neither
    read from a cache (`cached_usd`) nor written to one (`written_usd`), `output_usd` of all output
    but reasoning. What can't be given is None, and `reason` says why; the parts that the server
    never counted apart are None, too. `at_least_usd` is what is known to have been spent: the
    whole, if that is known; `of_calls` is how many calls that is of. `source` and `date` are those
    of the price.
    """

    usd: float | None = None
    input_usd: float | None = None
    cached_usd: float | None = None
    written_usd: float | None = None
    output_usd: float | None = None
    reasoning_usd: float | None = None
    at_least_usd: float | None = None
    of_calls: int = 0
    source: str = ""
    date: str = ""
    reason: str = ""

    @property
    def cell(self) -> str:
        """The whole for a table, or what it is at least."""
        return usd_cell(self.usd, self.at_least_usd)

    @property
    def words(self) -> str:
        """The whole and its parts in words."""
        if self.at_least_usd is None:
            return say("cost {dash}", dash=DASH)
        least = say("at least ") if self.usd is None else ""
        shown = [(name, getattr(self, f"{name}_usd")) for name in PARTS]
        parts = listed(", ", (glued(_SHOWN[name], " ", rounded(usd)) for name, usd in shown if usd))
        return say(
            "cost {least}{at_least_usd} USD",
            least=least,
            at_least_usd=rounded(self.at_least_usd),
        ) + glued(" (", parts, ")") * bool(parts)


def usd_cell(usd: float | None, at_least: float | None) -> str:
    """USD for a table; at least so much, where not all is known."""
    if usd is not None:
        return rounded(usd)
    return glued("≥ ", rounded(at_least)) if at_least else DASH


def per_call(usd: float | None, calls: int) -> float | None:
    """What a call cost on average, of all that were made; None where that is not known."""
    return usd / calls if usd is not None and calls else None


def costs(rows: Rows | Chosen, price: Price) -> Floats:
    """What each row cost, in the price's currency, shape (n,); NaN where it is not known.

    A row that failed costs nothing where it was refused or never sent, and else it is not known.
    """
    if price.input is None or price.output is None:
        return np.full(len(rows), np.nan)
    known, free = _known(rows, price)
    parts = [part for part in _parts(rows, price).values() if part is not None]
    money: Floats = np.where(known, sum(parts) / PER, np.where(free, 0.0, np.nan))
    return money


def spent(rows: Rows | Chosen, price: Price) -> tuple[Floats, Bools, Bools]:
    """What each row cost by the classes of PARTS, in the price's currency, shape (n, 5).

    And whether that is known, and whether it cost nothing, refused or never sent, shapes
    (n,). What is not known is 0 there. Input and output must have prices.
    """
    known, free = _known(rows, price)
    parts = [money for money in _parts(rows, price).values() if money is not None]
    return np.where(known, np.array(parts) / PER, 0.0).T, known, free


def cost_of(rows: Chosen, target: Target) -> tuple[Cost, tuple[str, ...]]:
    """What the rows of a target cost, and in sentences what that lacks."""
    price = target.billed
    cost = Cost(source=price.source, date=price.date)
    if why := _unpriced(target):
        return replace(cost, reason=why), (say("no cost: {why}.", why=_in_a_note(why, target)),)
    known, free = _known(rows, price)
    sums = {
        name: None if money is None else float(money[known].sum() / PER)
        for name, money in _parts(rows, price).items()
    }
    least = math.fsum(value for value in sums.values() if value is not None)
    uncounted = _uncounted(rows, ~(known | free))
    lacking, notes = [*uncounted, *_lacking(target)], _shared(sums, price)
    if lacking:
        start = say("cost at least {least} USD", least=rounded(least)) if least else say("no cost")
        notes = (glued(start, ": ", listed(say(", and "), lacking), "."), *notes)
    reasons = lacking or _never_counted(rows, known, sums)
    given: dict[str, Any] = {
        f"{name}_usd": None if uncounted else value for name, value in sums.items()
    }
    if not _lacking(target):
        given["of_calls"] = int((known | free).sum())
    return replace(
        cost, **given, reason=listed("; ", reasons),
        usd=None if lacking else least, at_least_usd=None if lacking and not least else least,
    ), notes  # fmt: skip


def _unpriced(target: Target) -> str:
    """Why no cost at all can be given; empty if some can."""
    price = target.price
    if price.input is None and price.output is None:
        return say(
            "the price of {model} is not known ({target})",
            model=plain(target.model),
            target=_where(target),
        )
    return (
        ""
        if price.currency == "USD"
        else say("its price is in {currency}, not in USD", currency=plain(price.currency))
    )


def _in_a_note(why: str, target: Target) -> str:
    """The same behind the target's name, so that it is one sentence for several of one API."""
    if target.provider != "url" or target.price.stated:
        return why
    return say("its price is not known ({target})", target=_where(target))


def _lacking(target: Target) -> list[str]:
    lacks = [name for name in ("input", "output") if getattr(target.billed, name) is None]
    return [
        say("the price of {name} tokens is not known ({target})", name=name, target=_where(target))
        for name in lacks
    ]


def _where(target: Target) -> str:
    """Where its price goes: in the user's book, whose tables are named by provider and model."""
    if target.provider == "url":
        return say("define its API in targets.toml, with prices of its models")
    table = plain(f'{target.provider}.models."{target.model}"')
    return say(
        "put input and output, in USD per million tokens, under [{table}] in targets.toml",
        table=table,
    )


def _uncounted(rows: Chosen, unknown: Bools) -> list[str]:
    """Why what rows cost is not known, in words."""
    failed = int((unknown & (rows["error"] != 0)).sum())
    lacking = int(unknown.sum()) - failed
    whys = (
        (lacking, say("{answers} came without the server's token counts",
                      answers=number_of(lacking, "answer"))),
        (failed, say("{calls} broke off before a count came, and may be billed",
                     calls=number_of(failed, "call"))),
    )  # fmt: skip
    return [what for n, what in whys if n]


def _never_counted(rows: Chosen, known: Bools, sums: dict[str, float | None]) -> list[str]:
    """Take out the parts that the server counted apart in no answer, and say which."""
    never = [name for name, field in _COUNTED_IN.items()
             if known.any() and (rows[field][known] < 0).all()]  # fmt: skip
    sums.update(dict.fromkeys(never))
    return (
        [
            say(
                "the server counted no {kinds} tokens apart",
                kinds=listed(say(" and no "), (_SHOWN[name] for name in never)),
            )
        ]
        if never
        else []
    )


def _shared(sums: dict[str, float | None], price: Price) -> tuple[str, ...]:
    """Which tokens were priced as others are, having no price of their own."""
    ways = (("cached", price.cached_input), ("written", price.cache_write))
    return tuple(
        say("{what} tokens are priced as input: they have no price of their own.",
            what=_SHOWN[what])
        for what, own in ways if own is None and sums[what]
    )  # fmt: skip


def may_be_billed(rows: Rows | Chosen) -> Bools:
    """Which rows failed when the server may have begun its work, and bills that, shape (n,).

    Those that were cut off, stopped or broken off after they were sent, and not refused: a server
    bills what it made for a client that went away (novita.ai/docs/guides/llm-billing: 499 is
    charged, 4xx and 5xx are not; QuantumNous/new-api#7231, Wei-Shaw/sub2api#4408).
    """
    begun = _BROKEN_OFF[rows["error"]] & (rows["status"] < 400) & ~np.isnan(rows["start_s"])
    failed: Bools = (rows["error"] != 0) & (begun | (rows["events"] > 0))
    return failed


def _known(rows: Rows | Chosen, price: Price) -> tuple[Bools, Bools]:
    """Which rows have the server's counts of what costs something, and which failed before."""
    counted = (rows["flags"] & Flag.SERVER_TOKENS) != 0
    free = (rows["error"] != 0) & ~may_be_billed(rows) & ~counted
    enough = (counted & (rows["output_tokens"] >= 0)) | (price.output == 0)
    return enough & (rows["prompt_tokens"] >= 0), free


def _parts(rows: Rows | Chosen, price: Price) -> dict[str, Floats | None]:
    """What the tokens of each row cost by class, times `PER`; None where it has no price."""
    prompt = rows["prompt_tokens"].astype(np.float64)
    output = np.maximum(rows["output_tokens"], 0).astype(np.float64)
    cached = np.clip(rows["cached_tokens"], 0, prompt)  # a server may claim more than there were
    written = np.clip(rows["written_tokens"], 0, prompt - cached)
    thought = np.clip(rows["reasoning_tokens"], 0, output)
    tokens = (prompt - cached - written, cached, written, output - thought, thought)
    return {
        name: None if (rate := _rate(price, name, prompt)) is None else counts * rate
        for name, counts in zip(PARTS, tokens, strict=True)
    }


def _rate(price: Price, part: str, prompt: Floats) -> Floats | float | None:
    """What a token of a class costs, for each row if that depends on its prompt."""
    bands = [price.at(0), *(price.at(tier.over + 1) for tier in price.tiers)]
    rates: list[float | None] = [
        next((rate for name in _PRICED_AS[part] if (rate := getattr(band, name)) is not None), None)
        for band in bands
    ]
    numbers = [rate for rate in rates if rate is not None]
    if len(numbers) < len(rates):
        return None
    if len(rates) == 1:
        return numbers[0]
    edges = [tier.over for tier in price.tiers]
    by_row: Floats = np.array(numbers)[np.searchsorted(edges, prompt, side="left")]
    return by_row
