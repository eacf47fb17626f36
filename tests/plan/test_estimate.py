"""What a run will ask for is said before it starts, and it never costs more."""

import json

import numpy as np
import pytest

from holymon.errors import PlanError
from holymon.load import run
from holymon.plan import targets
from holymon.plan.estimate import estimate, most_of_a_call, over_limits
from holymon.plan.plan import Closed, Open, Plan, Prompts, Target
from holymon.plan.price import Price
from holymon.plan.shapes import Replay, constant, poisson, ramp
from holymon.plan.target import Allowance
from holymon.plan.targets import target

PRICED = Target(provider="a", model="m", price=Price(input=1.0, output=10.0))
BARE = Target(provider="a", model="n")


def plan(**more) -> Plan:
    given = {"targets": (PRICED,), "load": Open(constant(5)), "duration_s": 10,
             "prompts": Prompts(texts=("x" * 84,), max_tokens=50), **more}  # fmt: skip
    return Plan(**given)


@pytest.mark.parametrize(
    ("more", "calls"),
    [
        ({}, 50),
        ({"targets": (PRICED, BARE)}, 100),
        ({"warmup_s": 2}, 60),
        ({"requests": 7, "duration_s": None}, 7),
        ({"load": Open(ramp(0, 10, 10))}, 50),
        ({"load": Open(Replay(times=(0, 1, 2))), "duration_s": None}, 3),
        ({"load": Closed(users=2), "requests": 9, "duration_s": None}, 9),
        ({"load": Closed(users=2)}, None),
        ({"load": Closed(users=2), "requests": 9, "warmup_s": 1}, None),
        ({"load": Open(constant(1e6)), "duration_s": 90}, 90_000_000),
    ],
)
def test_the_calls_are_those_that_the_plan_makes(more, calls):
    assert estimate(plan(**more)).calls == calls


def test_a_random_schedule_is_counted_not_guessed():
    one = plan(load=Open(poisson(20)), seed=3)
    assert estimate(one).calls == len(one.due())


def test_tokens_and_money_by_hand():
    found = estimate(plan())
    assert found.prompt_tokens == 50 * 84 / 4
    assert (found.most_prompt_tokens, found.output_tokens) == (50 * 100, 50 * 50)
    assert found.cost_usd == pytest.approx((50 * 100 * 1 + 50 * 50 * 10) / 1e6)
    assert most_of_a_call(plan(), 0, 0) == pytest.approx(found.cost_usd / 50)
    assert found.words == (
        "50 calls, about 1,050 tokens asked, at most 2,500 answered; at most 0.03 USD"
    )


def test_prompts_asked_in_turn_are_not_all_as_long_as_the_longest():
    found = estimate(plan(prompts=Prompts(texts=("x" * 4, "x" * 804), max_tokens=1)))
    assert found.most_prompt_tokens == 25 * 808 + 50 * 16


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"targets": (PRICED, BARE)}, "no price is known for a/n."),
        ({"prompts": Prompts(max_tokens=None)}, "answers of any length may cost any sum."),
        ({"load": Closed(users=2)}, "the cost is not bounded."),
    ],
)
def test_a_cost_that_nothing_bounds_is_not_given(more, why):
    found = estimate(plan(**more))
    assert (found.cost_usd, found.why) == (None, why)
    assert found.words.endswith(why)


def test_a_real_run_costs_no_more_than_was_said(tmp_path):
    one = Plan(targets=(target("sim/fast"),), load=Open(constant(40)), requests=60,
               prompts=Prompts(max_tokens=6))  # fmt: skip
    spent = run.measure(one, out=tmp_path).summary().cost_usd
    assert 0 < spent <= estimate(one).cost_usd


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("load", [Open(constant(100)), Closed(users=8)])
def test_the_spending_limit_holds_for_calls_in_flight_and_all_workers(tmp_path, workers, load):
    one = Plan(targets=(target("sim/slow"), target("sim/fast")), load=load, duration_s=30,
               prompts=Prompts(max_tokens=12), max_cost=0.003, workers=workers)  # fmt: skip
    measured = run.measure(one, out=tmp_path)
    assert (measured.status["state"], measured.status["ended"]) == ("finished", "max_cost")
    assert measured.records.errors(measured.records.mask()) == {}
    assert 0.3 * one.max_cost < measured.summary().cost_usd <= one.max_cost


@pytest.mark.parametrize("stream", [True, False])
def test_calls_that_no_server_counted_are_charged_as_the_dearest(tmp_path, simulator, stream):
    """QuantumNous/new-api#7231: a client that times out is billed, streamed or not."""
    priced = simulator.target("fast", price=Price(input=0, output=100))
    one = Plan(targets=(priced,), load=Closed(users=1), duration_s=30, max_cost=0.05,
               prompts=Prompts(max_tokens=10, stream=stream), timeout_s=0.04, connect_s=0.04,
               first_byte_s=0.04)  # fmt: skip
    measured = run.measure(one, out=tmp_path)
    assert measured.status["ended"] == "max_cost"
    assert simulator.counted()["fast"]["requests"] <= 50, "each may be billed as ten tokens"
    (target,) = measured.summary().targets
    assert (target.cost.usd, "may be billed" in target.cost.reason) == (None, True)


def test_stop_does_not_wait_for_the_calls_that_a_limit_lets_end(tmp_path):
    one = Plan(targets=(target("sim/slow"),), load=Closed(users=4), duration_s=60,
               prompts=Prompts(max_tokens=400), max_cost=0.0075)  # fmt: skip
    going = run.start(one, out=tmp_path, detached=False)
    going.wait(lambda _: going.stop() if len(going.records) >= 1 else None, timeout=40)
    assert json.loads((going.folder / "state.json").read_text())["ended"] in {"max_cost", "stopped"}
    assert "cancelled" in going.records.errors(going.records.mask())


@pytest.mark.parametrize(
    ("more", "asked", "most", "answered"),
    [
        # Prompts of 84 bytes are about 21 tokens, and at most 84 and the 16 of a template.
        ({}, 1050, 50 * 100, 2500),
        ({"targets": (PRICED, BARE)}, 2100, 100 * 100, 5000),
        ({"prompts": Prompts(texts=("x" * 84,), tokens=30, max_tokens=50)}, 1500, 5000, 2500),
        ({"prompts": Prompts(texts=("x", "xyz"), max_tokens=1)}, 25, 100 + 50 * 16, 50),
        # Of three prompts in turn, fifty calls are seventeen rounds at most, or fifty of the longest.
        ({"prompts": Prompts(texts=("x", "y", "z" * 6), max_tokens=1)}, 34, 17 * 8 + 50 * 16, 50),
        ({"prompts": Prompts(texts=("x", "z" * 80), max_tokens=1), "requests": 1}, 11, 80 + 16, 1),
        ({"prompts": Prompts(texts=("é",), max_tokens=None)}, 25, 50 * (2 + 16), None),
    ],
)
def test_tokens_are_those_of_all_calls_in_turn(more, asked, most, answered):
    found = estimate(plan(**more))
    assert (found.prompt_tokens, found.most_prompt_tokens, found.output_tokens) == (
        asked, most, answered,
    )  # fmt: skip


def test_the_cost_of_several_targets_is_that_of_each():
    other = Target(provider="a", model="o", price=Price(input=3.0, output=0.0))
    found = estimate(plan(targets=(PRICED, other)))
    assert found.cost_usd == pytest.approx((50 * 100 * (1 + 3) + 50 * 50 * 10) / 1e6)
    # An odd number of calls: each target may get the one that is left over.
    odd = estimate(
        plan(targets=(PRICED, other), load=Open(Replay(times=(0,) * 1)), duration_s=None)
    )
    assert odd.cost_usd == pytest.approx((100 * (1 + 3) + 50 * 10) / 1e6)


def test_one_call_costs_at_most_its_longest_prompt_and_answer():
    texts = Prompts(texts=("x" * 10, "x" * 34), max_tokens=None)
    assert most_of_a_call(plan(prompts=texts), 0, 7) == pytest.approx((50 * 1 + 7 * 10) / 1e6)
    bounded = Prompts(texts=("x" * 34,), max_tokens=3)
    assert most_of_a_call(plan(prompts=bounded), 0, 7) == pytest.approx((50 * 1 + 3 * 10) / 1e6)
    with pytest.raises(PlanError, match="no price is known for a/n"):
        most_of_a_call(plan(targets=(PRICED, BARE)), 1, 7)


def test_a_price_in_part_or_in_another_currency_is_no_price():
    for price in (
        Price(input=1.0),
        Price(output=1.0),
        Price(input=1.0, output=1.0, currency="EUR"),
    ):
        bare = Target(provider="a", model="n", price=price)
        assert estimate(plan(targets=(PRICED, bare))).why == "no price is known for a/n."
        assert not price.known
    assert Price(input=0.0, output=0.0).known, "what is free has a price"
    with pytest.raises(PlanError, match="price of output is -1"):
        Price(output=-1.0)
    with pytest.raises(PlanError, match="price of cached_input is"):
        Price(cached_input=1e6 + 1)
    assert Price(input=1e6).input == 1e6


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"requests": 1, "duration_s": None}, "1 call, about 21 tokens asked, at most 50 answered; "
         "at most 0.0006 USD"),
        ({"prompts": Prompts(texts=("x" * 84,), max_tokens=None)}, "50 calls, about 1,050 tokens "
         "asked, answers of any length; answers of any length may cost any sum."),
        ({"load": Closed(users=2)}, "As many calls as there is time for; the cost is not bounded."),
    ],
)  # fmt: skip
def test_the_estimate_in_a_sentence(more, words):
    assert estimate(plan(**more)).words == words


def test_a_schedule_of_a_million_calls_is_counted_and_a_longer_one_measured_by_its_area():
    counted = plan(load=Open(poisson(999)), duration_s=1000, seed=1)
    assert estimate(counted).calls == len(counted.due()) != 999_000
    longer = plan(load=Open(poisson(1001)), duration_s=1000, seed=1)
    assert estimate(longer).calls == 1_001_000
    several = plan(targets=(PRICED, BARE), load=Open(poisson(600)), duration_s=1000, warmup_s=1)
    assert estimate(several).calls == 2 * 600 * 1001


def test_half_a_surrogate_pair_in_a_prompt_is_counted_as_a_byte():
    found = estimate(plan(prompts=Prompts(texts=("x\ud800",), max_tokens=1)))
    assert found.most_prompt_tokens == 50 * (2 + 16)


def test_limits_that_a_plan_would_pass_are_told_before_it_starts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "targets.toml").write_text(
        '[mine]\nbase_url = "http://127.0.0.1:9/v1"\nlimits = { requests = 500, tokens = 20000 }\n'
        "[mine.models.large]\nlimits = { requests = 2000 }\n"
    )
    small, large = targets.target("mine/small"), targets.target("mine/large")
    assert (small.limits.requests, large.limits.tokens) == (500, None)
    asked = Prompts(texts=("x" * 400,), max_tokens=20)
    whole = plan(targets=(small, large), load=Open(constant(20)), duration_s=120, prompts=asked)
    assert over_limits(whole) == [
        "mine/small allows 500 requests a minute by targets.toml, and this plan asks for up to 1,200.",
        "mine/small allows 20,000 tokens a minute by targets.toml, and this plan asks for up to 144,000.",
    ]
    assert over_limits(plan(targets=(small,), load=Open(constant(20)), duration_s=5)) == []
    assert over_limits(plan(targets=(small,), load=Closed(users=99), requests=900)) == []
    burst = Open(Replay(times=(*np.linspace(0, 50, 600).tolist(), 90.0)))
    assert over_limits(plan(targets=(small,), load=burst, duration_s=None))[0].endswith(
        "up to 600."
    )
    with pytest.raises(PlanError, match="limit of requests is 0"):
        Target(provider="a", model="b", limits=Allowance(requests=0))
