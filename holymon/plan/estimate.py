"""What a plan will ask for before it runs: calls, tokens, and what they cost at most."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from holymon.errors import PlanError
from holymon.formatting import number_of, rounded
from holymon.plan import price
from holymon.plan.plan import Closed, Plan
from holymon.plan.prompts import Sizes
from holymon.plan.shapes import Replay, cumulative, polyline

COUNTED: Final = 1_000_000
"""Up to so many calls a schedule is made to count them; above, the area under it will do."""

MINUTE: Final = 60.0
AROUND: Final = 16
"""Tokens that a server's chat template may put around one prompt."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Over all targets, warm-up included; None where nothing in the plan bounds it.

    `prompt_tokens` is a guess (4 bytes a token); the cost is at most what `most_prompt_tokens` (a
    token is at least a byte) and `output_tokens` (max_tokens of each call) cost. `why` says why
    there is no cost.
    """

    calls: int | None
    prompt_tokens: int | None
    most_prompt_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None
    why: str = ""

    @property
    def words(self) -> str:
        """The estimate in a sentence."""
        if self.calls is None:
            return f"As many calls as there is time for; {self.why}"
        calls = number_of(self.calls, "call")
        prompts = f"about {self.prompt_tokens:,} tokens asked"
        answered = "answers of any length"
        if self.output_tokens is not None:
            answered = f"at most {self.output_tokens:,} answered"
        money = self.why
        if self.cost_usd is not None:
            money = f"at most {rounded(self.cost_usd)} USD"
        return f"{calls}, {prompts}, {answered}; {money}"


def estimate(plan: Plan) -> Estimate:
    """The estimate of a plan."""
    counted = _calls(plan)
    if counted is None:
        return Estimate(None, None, None, None, None, "the cost is not bounded.")
    calls, each = counted
    sizes = plan.prompts.sizes
    answered = _answers(sizes, each)
    cost, why = _cost(plan, each)
    return Estimate(
        calls=calls,
        prompt_tokens=math.ceil(calls * sizes.about / sizes.number),
        most_prompt_tokens=len(plan.targets) * _prompts(sizes, each),
        output_tokens=None
        if answered is None
        else min(calls * (sizes.longest_answer or 0), len(plan.targets) * answered),
        cost_usd=cost,
        why=why,
    )


def most_of_a_call(plan: Plan, target: int, guess: int) -> float:
    """What one call of a target can cost at most, in USD.

    Where no max_tokens bounds the answer, `guess` tokens stand for it. Raises PlanError if there is
    no price.
    """
    sizes = plan.prompts.sizes
    size = sizes.longest + AROUND
    longest = None if plan.targets[target].quirks.max_tokens == "" else sizes.longest_answer
    cost = price.most(plan.targets[target].billed, 1, size, guess if longest is None else longest)
    if cost is None:
        raise PlanError(f"no price is known for {plan.targets[target].name}.")
    return cost


def over_limits(plan: Plan) -> list[str]:
    """A sentence for each target whose declared limits a plan would pass in some minute.

    Of an open loop only: nobody knows the rate of a closed one. Tokens are about those of the
    prompts, and the longest answers, which APIs count beforehand.
    """
    counted = _calls(plan)
    if isinstance(plan.load, Closed) or counted is None:
        return []
    sizes, held = plan.prompts.sizes, plan.prompts.sizes.number / plan.prompts.number
    calls = min(plan.load.shape.peak * MINUTE * held, counted[1])
    if isinstance(plan.load.shape, Replay):
        times = np.asarray(plan.load.shape.times)
        calls = int((np.searchsorted(times, times + MINUTE) - np.arange(len(times))).max() * held)
    wanted = {
        "requests": calls, "tokens": calls * (sizes.about + (sizes.answers or 0)) / sizes.number
    }  # fmt: skip
    return [
        f"{target.name} allows {rounded(limit, 6)} {what} a minute by targets.toml, and this plan "
        f"asks for up to {rounded(wanted[what], 6)}."
        for target in plan.targets for what in wanted
        if (limit := getattr(target.limits, what)) is not None and wanted[what] > limit
    ]  # fmt: skip


def _calls(plan: Plan) -> tuple[int, int] | None:
    """Calls in all, and of the target that has most of them; of conversations, at most so many."""
    counted, known = _begun(plan), plan.prompts.dataset
    if counted is None or known is None or known.turns == 1:
        return counted
    each = _in_turn(counted[1], known.requests, known.calls, known.turns)
    return min(each * len(plan.targets), counted[0] * known.turns), each


def _begun(plan: Plan) -> tuple[int, int] | None:
    """Calls in all, and of the target that has most of them, or conversations."""
    k, load = len(plan.targets), plan.load
    if isinstance(load, Closed):
        n = plan.requests
        return (n * k, n) if n and not plan.warmup_s else None
    if not isinstance(load.shape, Replay):
        line = polyline(load.shape, end=plan.seconds, warm_up=plan.warmup_s, times=k)
        area = float(cumulative(line)[1][-1])
        if area > COUNTED:
            return math.ceil(area), math.ceil(area / k)
    numbers = plan.schedule()[1]
    return len(numbers), int(np.bincount(numbers % k, minlength=k).max())


def _in_turn(calls: int, number: int, total: int, longest: int) -> int:
    """Of so many calls in turn, the most that they come to."""
    return min(math.ceil(calls / number) * total, calls * longest)


def _prompts(sizes: Sizes, calls: int) -> int:
    """Tokens of the prompts of so many calls at most, and of what may be put around them."""
    return _in_turn(calls, sizes.number, sizes.most, sizes.longest) + AROUND * calls


def _answers(sizes: Sizes, calls: int) -> int | None:
    """Tokens of the answers to so many calls at most; None without a limit."""
    if sizes.answers is None:
        return None
    return _in_turn(calls, sizes.number, sizes.answers, sizes.longest_answer or 0)


def _cost(plan: Plan, each: int) -> tuple[float | None, str]:
    unpriced = [target.name for target in plan.targets if not target.billed.known]
    if unpriced:
        return None, f"no price is known for {', '.join(unpriced)}."
    answered = _answers(plan.prompts.sizes, each)
    if answered is None:
        return None, "answers of any length may cost any sum."
    sizes = plan.prompts.sizes
    tokens, longest = _prompts(sizes, each), sizes.longest + AROUND
    costs = [price.most(target.billed, 1, tokens, answered, longest) for target in plan.targets]
    return math.fsum(cost for cost in costs if cost is not None), ""
