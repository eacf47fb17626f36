"""The price book: what a price is per, and what calls can cost at most before they are made."""

from holymon.plan.plan import Price

PER: float = 1e6


def most(price: Price, calls: int, prompt_tokens: int, max_tokens: int) -> float | None:
    """What so many calls can cost at most, in the price's currency; None if not known."""
    if price.input is None or price.output is None:
        return None
    return calls * (prompt_tokens * price.input + max_tokens * price.output) / PER
