"""What a model costs, what its price is per, and what calls can cost at most beforehand."""

from typing import Final

from holymon.language.said import Digits, glued, listed, say, vocabulary
from holymon.structs import Struct, check_range, replace, require

PER: float = 1e6
CLASSES: Final = ("input", "output", "cached_input", "cache_write", "reasoning")
"""The classes of tokens that may have prices of their own."""
NAMES: Final = dict(zip(CLASSES, vocabulary(
    "input", "output", "input from a cache", "written to a cache", "reasoning").values(),
    strict=True))  # fmt: skip

INVENTED: Final = say("invented, for the simulator")
"""What targets.toml says of the simulator's prices."""


class Tier(Struct, frozen=True):
    """What all tokens of a call cost whose prompt has more than `over`; None is as below it."""

    over: int
    input: float | None = None
    output: float | None = None
    cached_input: float | None = None
    cache_write: float | None = None
    reasoning: float | None = None

    def __post_init__(self) -> None:
        """Raise PlanError if a price is below 0 or above a million."""
        super().__post_init__()
        check_range("over", self.over, 0, 1e9, "tokens")
        _check(self)

    @property
    def words(self) -> str:
        """Where it begins, and what it costs."""
        return say("over {over:,} tokens of prompt {prices}", over=self.over, prices=_rates(self))


class Price(Struct, frozen=True):
    """What a model costs, in `currency` per million tokens; None is "not known", never free.

    Tokens read from a cache or written to one cost what input does where they have no price of
    their own, reasoning what output does. `tiers` hold for long prompts, in ascending order.
    """

    input: float | None = None
    output: float | None = None
    cached_input: float | None = None
    cache_write: float | None = None
    reasoning: float | None = None
    tiers: tuple[Tier, ...] = ()
    currency: str = "USD"
    source: str = ""
    date: str = ""

    @property
    def known(self) -> bool:
        """Whether calls can be counted in USD."""
        return self.input is not None and self.output is not None and self.currency == "USD"

    @property
    def stated(self) -> bool:
        """Whether anything of it is known."""
        return bool(self.tiers) or any(getattr(self, name) is not None for name in CLASSES)

    @property
    def words(self) -> str:
        """What tokens cost, and who says so."""
        rates = [each for each in (_rates(self), *(tier.words for tier in self.tiers)) if each]
        source = listed(", ", filter(None, (source_words(self.source), self.date)))
        return say(
            "{rates}, in {currency} per million tokens{listing}", rates=listed("; ", rates),
            currency=self.currency,
            listing=glued("; ", say("price list: {source}", source=source)) if source else "",
        )  # fmt: skip

    def __post_init__(self) -> None:
        """Raise PlanError if a price is below 0 or above a million, or tiers don't ascend."""
        super().__post_init__()
        _check(self)
        overs = [tier.over for tier in self.tiers]
        ascend = overs == sorted({*overs})
        require(ascend, "tiers", "don't ascend", "order them by the tokens that they are over")

    def at(self, prompt_tokens: float) -> "Price":
        """What a call with so long a prompt costs: itself where there are no tiers."""
        price = self
        for tier in self.tiers:
            if prompt_tokens > tier.over:
                given = {name: getattr(tier, name) for name in CLASSES}
                price = replace(price, **{k: v for k, v in given.items() if v is not None})
        return replace(price, tiers=()) if self.tiers else self


def source_words(source: str) -> str:
    """Where a price is from; what the simulator says of its own in the language of the reader."""
    return INVENTED if source == INVENTED else source


def _rates(prices: Struct) -> str:
    known = ((name, getattr(prices, name)) for name in CLASSES)
    return listed(", ", [glued(NAMES[name], " ", Digits(f"{value:g}"))
                         for name, value in known if value is not None])  # fmt: skip


def _check(prices: Struct) -> None:
    for name in CLASSES:
        if (value := getattr(prices, name)) is not None:
            check_range(f"price of {name}", value, 0, 1e6)


def most(
    price: Price, calls: int, prompt_tokens: int, max_tokens: int, longest: int | None = None
) -> float | None:
    """What so many calls can cost at most, in the price's currency; None if not known.

    `longest` is the longest prompt of any call, if `prompt_tokens` are those of several. Prompts
    may be written to a cache as a whole, and answers consist of reasoning.
    """
    size = prompt_tokens if longest is None else longest
    bands = [price.at(0), *(price.at(tier.over + 1) for tier in price.tiers if tier.over < size)]
    if price.input is None or price.output is None:
        return None
    prompt = max(max(band.input or 0, band.cache_write or 0) for band in bands)
    answer = max(max(band.output or 0, band.reasoning or 0) for band in bands)
    return calls * (prompt_tokens * prompt + max_tokens * answer) / PER
