"""How long prompts and answers are: a number of tokens for all, or one drawn for each request.

    parse("512")                all of 512 tokens
    parse("normal:512,128")     mean and standard deviation
    parse("lognormal:512,400")  the same, as lengths of real traffic lie: with a long tail above
    parse("uniform:100,2000")   lowest and highest

Drawn by a seed.
"""

import math
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from holymon.errors import PlanError
from holymon.plan.requests import MOST_TOKENS
from holymon.safety import plain
from holymon.structs import Struct, check_range, require, seconds_of

Ints = npt.NDArray[np.int64]

_FORMS: Final = {
    "normal": ("mean", "standard deviation"), "lognormal": ("mean", "standard deviation"),
    "uniform": ("lowest", "highest"),
}  # fmt: skip


class Lengths(Struct, frozen=True):
    """A number of tokens for each request: what it is drawn from, and its two numbers."""

    first: float
    second: float = 0.0
    kind: Literal["fixed", "normal", "lognormal", "uniform"] = "fixed"

    def __post_init__(self) -> None:
        """Raise PlanError if no length can be drawn so."""
        super().__post_init__()
        names = _FORMS.get(self.kind, ("number of tokens", ""))
        check_range(f"{names[0]} of {self.kind}", self.first, 1, MOST_TOKENS, "tokens")
        check_range(f"{names[1]} of {self.kind}", self.second, 0, MOST_TOKENS, "tokens")
        if self.kind == "uniform":
            fine = self.second >= self.first
            require(fine, "uniform", "ends before it begins", "give the lowest first")

    @property
    def words(self) -> str:
        """Of which length they are, in words."""
        if self.kind == "fixed":
            return f"{self.first:g} tokens"
        if self.kind == "uniform":
            return f"{self.first:g} to {self.second:g} tokens"
        return f"{self.first:g} tokens ({self.kind}, standard deviation {self.second:g})"

    def drawn(self, many: int, seed: int, stream: int = 0) -> Ints:
        """So many lengths of at least 1, the same for a seed and a stream; shape (n,)."""
        # The second number keeps these draws apart from those of arrivals.
        rng = np.random.default_rng((seed, 3, stream))
        drawn: npt.NDArray[Any]
        if self.kind == "normal":
            drawn = rng.normal(self.first, self.second, many)
        elif self.kind == "lognormal":
            # Its mean and standard deviation, not those of the logarithms.
            s2 = math.log1p((self.second / self.first) ** 2)
            drawn = rng.lognormal(math.log(self.first) - s2 / 2, math.sqrt(s2), many)
        elif self.kind == "uniform":
            drawn = rng.integers(round(self.first), round(self.second) + 1, many)
        else:
            drawn = np.full(many, self.first)
        return np.clip(np.rint(drawn), 1, MOST_TOKENS).astype(np.int64)


def parse(text: str, field: str, unit: str = "tokens") -> Lengths:
    """Lengths as people write them. Raises PlanError, naming the field."""
    kind, colon, rest = text.strip().partition(":")
    try:
        numbers = [float(part) for part in (rest if colon else kind).split(",")]
    except ValueError:
        numbers = []
    form = _FORMS.get(kind)
    if not colon and len(numbers) == 1:
        check_range(field, numbers[0], 1, MOST_TOKENS)
        return Lengths(first=numbers[0])
    if form is None or len(numbers) != 2:
        raise PlanError(
            f"{field} {plain(text)!r} is no length: write a number of {unit}, normal:MEAN,SD, "
            "lognormal:MEAN,SD or uniform:LOWEST,HIGHEST."
        )
    return Lengths(kind=kind, first=numbers[0], second=numbers[1])  # type: ignore[arg-type]


def parse_times(text: str, field: str) -> Lengths:
    """Times as people write them, in milliseconds of at least 1. Raises PlanError."""
    kind, colon, rest = text.strip().partition(":")
    try:
        numbers = [seconds_of(part) * 1e3 for part in (rest if colon else kind).split(",")]
        first, second = (*numbers, 0.0)[:2]
        if not colon and len(numbers) == 1:
            return Lengths(first=max(first, 1.0))
        good = colon and kind in _FORMS and len(numbers) == 2
        return Lengths(kind=kind if good else "", first=first, second=second)  # type: ignore[arg-type]
    except PlanError:
        raise PlanError(
            f"{field} {plain(text)!r} is no time: write seconds, or such as 500ms, normal:MEAN,SD, "
            "lognormal:MEAN,SD or uniform:LOWEST,HIGHEST."
        ) from None
