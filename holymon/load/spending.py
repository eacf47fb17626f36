"""What calls of a load have cost, or can have cost at most, for the sake of its spending limit."""

import math
from collections.abc import Callable

import numpy as np

from holymon.figures.cost import costs
from holymon.plan.estimate import most_of_a_call
from holymon.plan.plan import Plan
from holymon.plan.price import Price
from holymon.records.attempt import DTYPE, Marks, row


def cost_of(marks: Marks, price: Price) -> float:
    """What an attempt cost by the server's count, in the price's currency; NaN if not known."""
    return float(costs(np.frombuffer(row(marks), DTYPE), price)[0])


def spent_on(plan: Plan, marks: Marks) -> float:
    """What a call has cost (USD); where the server did not count, what it can have cost at most."""
    money = cost_of(marks, plan.targets[marks.target].billed)
    if not math.isnan(money):
        return money
    return most_of_a_call(plan, marks.target, max(marks.events, 0))


def counter(plan: Plan) -> Callable[[Marks], float] | None:
    """What tells the cost of each call of a plan; None where no limit asks for it."""
    return None if plan.max_cost is None else lambda marks: spent_on(plan, marks)


def reserve(plan: Plan) -> float:
    """What one call of a plan can cost at most (USD); 0 where no limit asks for it."""
    if plan.max_cost is None:
        return 0.0
    return max(most_of_a_call(plan, i, 0) for i in range(len(plan.targets)))
