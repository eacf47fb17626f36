"""A plan is the same after a journey through JSON, and what can't be is one sentence."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holymon.errors import PlanError
from holymon.plan.plan import Closed, Open, Plan, Prompts, Target
from holymon.plan.price import Price
from holymon.plan.shapes import Replay, constant, poisson, ramp
from holymon.structs import from_builtins, replace

A = Target(provider="url", model="a", base_url="http://127.0.0.1:1/v1")
B = Target(provider="url", model="b/c:free", base_url="https://host/v1", api_key_env="KEY")
KEY = "sk-canary-0123456789abcdef"

plans = st.builds(
    Plan,
    targets=st.sampled_from([(A,), (B,), (A, B)]),
    load=st.one_of(
        st.builds(Open, st.builds(constant, st.floats(0.1, 100))),
        st.builds(Open, st.builds(poisson, st.floats(0.1, 100))),
        st.builds(Open, st.builds(ramp, st.floats(0, 50), st.floats(1, 50), st.floats(1, 100))),
        st.builds(Closed, users=st.integers(1, 50)),
    ),
    prompts=st.builds(Prompts, texts=st.tuples(st.text(st.characters(exclude_categories=["Cs"]))),
                      max_tokens=st.none() | st.integers(1, 100), stream=st.booleans()),
    duration_s=st.floats(0.1, 1000), requests=st.none() | st.integers(1, 1000),
    warmup_s=st.floats(0, 10), seed=st.integers(0, 2**31), name=st.text(st.characters(exclude_categories=["Cs"])),
)  # fmt: skip


@given(plans)
def test_json_both_ways(plan):
    assert Plan.from_json(plan.to_json()) == plan


@given(plans)
def test_each_target_has_a_schedule_with_numbers_of_its_own(plan):
    due, numbers = plan.schedule()
    k = len(plan.targets)
    assert (np.diff(due) >= 0).all()
    assert len(set(numbers.tolist())) == len(due)
    for j in range(k):
        of = numbers % k == j
        assert (numbers[of] == np.arange(of.sum()) * k + j).all(), "in the order of its time"
        if plan.requests is not None and isinstance(plan.load, Open):
            assert (due[of] >= plan.warmup_s).sum() <= plan.requests


def test_requests_are_counted_after_the_warm_up_and_for_each_target():
    plan = Plan(targets=(A, B), load=Open(constant(10)), requests=30, warmup_s=1)
    due = plan.due()
    assert ((due < 1).sum(), (due >= 1).sum()) == (20, 60)


def test_n_poisson_requests_are_n_whatever_the_seed():
    for seed in range(200):
        plan = Plan(targets=(A,), load=Open(poisson(10)), requests=5, seed=seed)
        assert len(plan.due()) == 5


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Open(constant(0)), "rate is 0"),
        (lambda: Open(constant(float("nan"))), "rate is nan"),
        (lambda: Closed(users=0), "concurrency is 0"),
        (lambda: Prompts(texts=()), "prompts are empty"),
        (lambda: Prompts(max_tokens=0), "max_tokens is 0"),
        (lambda: Target(provider="p", model=" "), "model is empty"),
        (lambda: Plan(targets=(), load=Open(constant(1)), duration_s=1), "targets are missing"),
        (lambda: Plan(targets=(A, A), load=Open(constant(1)), duration_s=1), "twice"),
        (lambda: Plan(targets=(A,), load=Open(constant(1))), "say when the load is to end"),
        (lambda: Plan(targets=(A,), load=Open(constant(1)), duration_s=-1), "duration is -1"),
        (lambda: Plan(targets=(A,), load=Open(constant(1)), requests=0), "requests is 0"),
        (lambda: Plan(targets=(A,), load=Open(constant(1e6)), duration_s=1e5), "rate x duration"),
        (lambda: Plan(targets=(A,), load=Open(constant(1)), requests=1, max_cost=1), "price"),
        (lambda: Plan(targets=(A,), load=Open(constant(1)), requests=1, slo=("x<1",)), "x<1"),
    ],
)
def test_what_can_not_be_is_one_sentence_that_names_the_field(make, said):
    with pytest.raises(PlanError, match=said) as caught:
        make()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "host/v1", "ftp://host/v1", "http://", "http://h:99999/v1", "http://h:x/v1", "",
        f"http://user:{KEY}@host/v1", f"http://host/v1?api_key={KEY}", f"http://host/v1?x={KEY}",
        "http://host/v1/chat/completions",
    ],
)  # fmt: skip
def test_an_address_that_can_not_be_is_refused_without_its_secret(url):
    if not url:
        return
    with pytest.raises(PlanError, match="base_url") as caught:
        Target(provider="p", model="m", base_url=url)
    assert KEY not in str(caught.value)


def test_a_key_in_place_of_a_name_is_refused_and_not_repeated():
    with pytest.raises(PlanError, match="api_key_env") as caught:
        Target(provider="p", model="m", base_url="http://h/v1", api_key_env=KEY)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"targets":3}', '{"nonsense":1}'])
def test_json_that_is_no_plan_is_a_plan_error(text):
    with pytest.raises(PlanError, match="not a plan"):
        Plan.from_json(text)


def test_an_unknown_field_is_named():
    said = json.loads(Plan(targets=(A,), load=Open(constant(1)), duration_s=1).to_json())
    with pytest.raises(PlanError, match="speed"):
        Plan.from_json(json.dumps({**said, "speed": 1}))


def test_a_part_that_can_not_be_names_its_place():
    with pytest.raises(PlanError, match=r"\[mine\].*input"):
        from_builtins({"input": "cheap"}, Price, "[mine]")


def test_a_plan_can_not_be_changed():
    with pytest.raises(AttributeError):
        A.model = "other"


def test_a_load_with_an_end_of_its_own_needs_no_other():
    plan = Plan(targets=(A, B), load=Open(ramp(0, 20, 10)), warmup_s=0)
    assert (plan.seconds, len(plan.due())) == (10, 200)
    recorded = Plan(targets=(A, B), load=Open(Replay(times=(0, 0.5, 7))))
    assert recorded.due().tolist() == [0, 0, 0.5, 0.5, 7, 7]
    assert Plan.from_json(recorded.to_json()) == recorded


def test_a_replay_lasts_as_long_as_its_trace_or_less():
    def lasts(seconds):
        plan = Plan(targets=(A,), load=Open(Replay(times=(0.0, 1.0, 3.0))), duration_s=seconds)
        return plan.seconds, len(plan.due())

    assert lasts(30.0) == (pytest.approx(3.0), 3)
    assert lasts(2.0) == (2.0, 2)


def test_a_sweep_is_a_plan_for_each_level():
    plan = Plan(targets=(A,), load=Open(constant(1)), duration_s=5, seed=4)
    levels = plan.sweep(Open(constant(5)), Closed(users=3))
    assert [level.load for level in levels] == [Open(constant(5)), Closed(users=3)]
    assert all(level.seed == 4 and level.duration_s == 5 for level in levels)


def test_a_target_speaks_chat_unless_it_names_another_endpoint():
    spoken = replace(A, endpoint="messages")
    plan = Plan(targets=(spoken,), load=Closed(users=1), requests=1)
    assert Plan.from_json(plan.to_json()) == plan
    assert ("endpoint", "messages") in spoken.facts
    assert "endpoint" not in dict(A.facts)
    assert all(dict(A.facts).values())
    before = json.loads(replace(plan, targets=(A,)).to_json())
    del before["targets"][0]["endpoint"]  # as plans were written before there was a choice
    assert Plan.from_json(json.dumps(before)).targets == (A,)


def test_an_endpoint_that_nobody_knows_is_refused_with_those_there_are():
    with pytest.raises(PlanError, match="endpoint 'chit' is none: name one of chat, messages, r"):
        replace(A, endpoint="chit")


def test_a_plan_in_plain_text_is_a_line():
    plan = Plan(
        targets=(Target(provider="sim", model="fast"),), load=Open(constant(5)), duration_s=3,
        prompts=Prompts(texts=("word " * 1000, "b")), slo=("ttft_p95<1",),
    )  # fmt: skip
    assert repr(plan.targets[0]) == "<Target sim/fast>"
    assert repr(plan.load) == "<Open open loop, 5 calls/s, evenly spaced>"
    assert repr(plan.prompts).startswith("<Prompts 2, such as 'word word")
    assert len(repr(plan)) < 250
    for piece in ("sim/fast", "5 calls/s, evenly spaced", "duration_s 3", "ttft_p95<1"):
        assert piece in repr(plan)
    assert repr(constant(5)) == "<Shape 5 calls/s, evenly spaced>"
