"""What a model costs, what its price is per, and what calls can cost at most beforehand."""

from holymon.structs import Struct, check_range

PER: float = 1e6


class Price(Struct, frozen=True):
    """What a model costs, in `currency` per million tokens; None is "not known", never free."""

    input: float | None = None
    output: float | None = None
    cached_input: float | None = None
    cache_write: float | None = None
    currency: str = "USD"
    source: str = ""
    date: str = ""

    @property
    def known(self) -> bool:
        """Whether calls can be counted in USD."""
        return self.input is not None and self.output is not None and self.currency == "USD"

    def __post_init__(self) -> None:
        """Raise PlanError if a price is below 0 or above a million."""
        super().__post_init__()
        for name in ("input", "output", "cached_input", "cache_write"):
            if (value := getattr(self, name)) is not None:
                check_range(f"price of {name}", value, 0, 1e6)


def most(price: Price, calls: int, prompt_tokens: int, max_tokens: int) -> float | None:
    """What so many calls can cost at most, in the price's currency; None if not known."""
    if price.input is None or price.output is None:
        return None
    return calls * (prompt_tokens * price.input + max_tokens * price.output) / PER
