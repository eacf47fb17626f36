"""What models cost, by whom it is stated and since when, and what calls can cost at most."""

import subprocess
import sys
from datetime import UTC, datetime

import pytest

from holymon.errors import PlanError
from holymon.plan import targets
from holymon.plan.known_prices import known_price, priced
from holymon.plan.plan import Open, Plan, Target
from holymon.plan.price import Price, Tier, most
from holymon.plan.shapes import constant

NOW = datetime(2026, 11, 1, tzinfo=UTC)
OPENAI, GOOGLE = (
    "https://api.openai.com/v1",
    "https://generativelanguage.googleapis.com/v1beta/openai",
)
TIERED = Price(
    input=1.0, output=10.0, tiers=(Tier(over=100, input=2.0), Tier(over=200, output=30.0))
)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(targets.FILE_ENV, raising=False)
    return tmp_path


def test_the_most_that_calls_can_cost():
    price = Price(input=1.0, output=10.0)
    assert most(price, 1000, 100, 64) == pytest.approx(1000 * (100 + 640) / 1e6)
    assert most(Price(output=1.0), 1, 1, 1) is None


def test_the_most_is_by_the_dearest_price_that_any_call_can_have():
    dear = Price(input=1.0, output=10.0, cache_write=1.25, cached_input=0.1, reasoning=12.0)
    assert most(dear, 1, 100, 10) == pytest.approx((125 + 120) / 1e6)
    assert most(TIERED, 1, 100, 1) == pytest.approx((100 + 10) / 1e6)
    assert most(TIERED, 1, 101, 1) == pytest.approx((202 + 10) / 1e6)
    assert most(TIERED, 1, 1000, 10, longest=50) == pytest.approx((1000 + 100) / 1e6)
    assert most(TIERED, 1, 1000, 10, longest=201) == pytest.approx((2000 + 300) / 1e6)


def test_a_tier_holds_from_its_first_token_on_and_hands_on_what_it_leaves_out():
    assert (TIERED.at(100).input, TIERED.at(101).input, TIERED.at(101).output) == (1.0, 2.0, 10.0)
    assert (TIERED.at(201).input, TIERED.at(201).output) == (2.0, 30.0)
    with pytest.raises(PlanError, match="tiers don't ascend"):
        Price(tiers=(Tier(over=2), Tier(over=1)))
    with pytest.raises(PlanError, match="price of output is -1"):
        Tier(over=1, output=-1.0)


@pytest.mark.parametrize("model", ["gpt-5-mini", "gpt-5-mini-2025-08-07"])
def test_a_model_that_no_book_states_is_priced_by_its_address(model):
    """genai-prices 0.2.3: input 0.25, cache read 0.025, output 2; flex is half of that."""
    found = known_price(OPENAI, model, NOW)
    assert (found.input, found.cached_input, found.output) == (0.25, 0.025, 2.0)
    assert found.source.startswith("genai-prices 0.")
    assert found.date == "2026-11-01"
    half = known_price(OPENAI, model, NOW, "flex")
    assert (half.input, half.output) == (0.125, 1.0)
    assert half.source.endswith(", flex")


def test_prices_of_long_prompts_and_of_another_day_are_known():
    pro = known_price(GOOGLE, "gemini-2.5-pro", NOW)
    assert (pro.input, pro.at(200_000).input, pro.at(200_001).input) == (1.25, 1.25, 2.5)
    assert pro.at(200_001).output == 15.0
    o3 = [known_price(OPENAI, "o3", datetime(2025, 6, day, tzinfo=UTC)).input for day in (1, 30)]
    assert o3 == [10.0, 2.0]


@pytest.mark.parametrize(
    ("address", "model"),
    [("", "gpt-5-mini"), ("http://127.0.0.1:8000/v1", "gpt-5-mini"), (OPENAI, "no-such"),
     ("https://gateway.example/v1", "gpt-5-mini"), ("https://api.perplexity.ai", "sonar")],
)  # fmt: skip
def test_what_is_not_known_has_no_price(address, model):
    assert known_price(address, model, NOW) == Price()


def test_a_book_wins_and_what_it_says_is_never_looked_up(elsewhere):
    (elsewhere / "targets.toml").write_text(
        '[mine]\nbase_url = "https://api.openai.com/v1"\n[mine.models.gpt-5-mini]\noutput = 3.0\n'
        "tiers = [{ over = 1000, output = 4.0 }]\n"
    )
    mine = targets.target("mine/gpt-5-mini")
    assert mine.price == Price(output=3.0, tiers=(Tier(over=1000, output=4.0),))
    other = targets.target("mine/gpt-5-nano")
    assert other.price.source.startswith("genai-prices")
    assert targets.sibling(mine, "gpt-5-nano").price == other.price
    assert targets.one_off("https://api.openai.com/v1", "gpt-5-nano").price == other.price
    assert targets.unpriced("mine/gpt-5-nano").price == Price()


def test_a_price_is_kept_in_the_plan_and_looked_up_anew_only_by_a_new_run():
    old = priced(
        Target(provider="openai", model="o3", base_url=OPENAI), datetime(2025, 6, 1, tzinfo=UTC)
    )
    plan = Plan(targets=(old,), load=Open(constant(1)), requests=1)
    (read,) = Plan.from_json(plan.to_json()).targets
    assert read.price == old.price
    assert read.price.date == "2025-06-01"
    assert priced(read, NOW).price.input == 2.0


def test_an_import_of_holymon_and_a_worker_leave_the_library_of_prices_alone():
    code = (
        "import sys, holymon as hm, holymon.load.worker, holymon.load.run\n"
        "hm.target('sim/fast'); hm.target('local/x'); hm.target('openai/gpt-4.1')\n"
        "print([name for name in sys.modules if name.startswith(('genai_prices', 'httpx2'))])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
