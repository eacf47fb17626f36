"""What a provider's credit costs those who buy it: exchange, fees, least top-up, what expires."""

import math
from typing import Final, TypeVar

import numpy as np

from holymon.figures.quantiles import Floats
from holymon.formatting import CLOSE, percent, rounded
from holymon.language.said import listed, say
from holymon.structs import Struct, check_range

MONTH_DAYS: Final = 30.4375
"""The mean month of the Gregorian calendar."""

_Money = TypeVar("_Money", float, Floats)


class Terms(Struct, frozen=True):
    """How credit is bought with which a provider is paid.

    `fx` is what one unit of its price list costs in USD: 0.14 for prices in CNY, or for a credit of
    one dollar that is sold for one yuan; None is 1, if that list is in USD. `fee` is added to each
    top-up, as a share. A top-up is at least `min_topup`, in units of the list; what is unused after
    `credit_days` is lost.
    """

    fx: float | None = None
    fee: float = 0.0
    min_topup: float = 0.0
    credit_days: float | None = None

    def __post_init__(self) -> None:
        """Raise PlanError for a rate, a share or a number of days that can't be."""
        super().__post_init__()
        check_range("fx", self.fx, 1e-9, 1e6, "USD for one unit of the price list")
        check_range("fee", self.fee, 0, 1, "as a share")
        check_range("min_topup", self.min_topup, 0, 1e9)
        check_range("credit_days", self.credit_days, 1, 36_525, "days")

    @property
    def words(self) -> str:
        """How credit is bought; empty where nothing was said of it."""
        parts: list[str] = []
        if self.fx is not None:
            parts.append(
                say("one unit of its price list costs {usd} USD", usd=rounded(self.fx, CLOSE))
            )
        if self.fee:
            parts.append(say("{fee} are added to each top-up", fee=percent(self.fee)))
        if self.min_topup:
            parts.append(say("a top-up is {least} at least", least=rounded(self.min_topup, CLOSE)))
        if self.credit_days is not None:
            parts.append(say("credit is lost after {days} days", days=rounded(self.credit_days)))
        return listed(", ", parts)

    @property
    def factor(self) -> float:
        """USD for one unit of credit, fee included."""
        return (1.0 if self.fx is None else self.fx) * (1 + self.fee)

    @property
    def floor(self) -> float:
        """Units of credit that are bought each month at the least, or they would expire.

        Whoever uses less before it expires buys the smallest top-up anew each time that it does.
        """
        return self.min_topup * MONTH_DAYS / (self.credit_days or math.inf)

    def paid(self, used: _Money) -> _Money:
        """USD a month for so many units of credit used in a month."""
        money: _Money = np.maximum(used, self.floor) * self.factor
        return money

    def lost(self, used: float) -> float:
        """Units of credit that expire in a month in which so many are used."""
        return max(self.floor - used, 0.0)
