"""Files that hold conversations become conversations, turn by turn, and what they can cost is known."""

import json

import pytest

from holymon.errors import PlanError
from holymon.plan.conversations import capped, faster, thoughtful
from holymon.plan.estimate import estimate, most_of_a_call
from holymon.plan.lengths import Lengths, parse, parse_times
from holymon.plan.plan import Closed, Plan
from holymon.plan.price import Price
from holymon.plan.prompts import Prompts, limited, made
from holymon.plan.requests import Request
from holymon.plan.target import Target
from holymon.records.datasets import dataset

USER, BOT = ({"role": role, "content": ""} for role in ("user", "assistant"))


def say(message: dict, text: str) -> dict:
    return {**message, "content": text}


TALK = [say(USER, "a"), say(BOT, "A"), say(USER, "b"), say(BOT, "B"), say(USER, "c")]
SHAREGPT = {
    "conversations": [  # https://github.com/lm-sys/FastChat
        {"from": {"user": "human", "assistant": "gpt"}[m["role"]], "value": m["content"]}
        for m in TALK
    ]
}
CALLS = [
    say(USER, "a"),
    {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
    {"role": "tool", "tool_call_id": "1", "content": "3"},
    say(BOT, "three"),
    say(USER, "b"),
]
# docs.nvidia.com/aiperf, "Custom Dataset Guide"
TURNS = {
    "session_id": "chat_1",
    "turns": [
        {"role": "system", "text": "Be terse."},
        {"text": "a", "output_length": 7},
        {"text": "b", "delay": 1500, "extra": {"temperature": 0}},
    ],
}
# docs.nvidia.com/aiperf, "Trace Replay with Mooncake Traces": a history, and deltas
HISTORY = [
    {"session_id": "s", "messages": TALK[:1], "output_length": 50, "timestamp": 0},
    {"session_id": "s", "messages": TALK[:3], "output_length": 30, "timestamp": 2000},
]
DELTAS = [
    {"session_id": 7, "message_mode": "delta", "messages": [said], "output_length": 9, **when}
    for said, when in ((TALK[0], {"timestamp": 0}), (TALK[2], {"delay": 2000}))
]
# https://huggingface.co/datasets/Green-Lab/shared-prefix-e2
BLOCKS = [
    {
        "session_id": "g0",
        "input_length": 1024,
        "output_length": 256,
        "hash_ids": [1, 2],
        "delay": None,
    },
    {"session_id": "g0", "input_length": 512, "output_length": 256, "hash_ids": [3], "delay": 6824},
]
# https://github.com/alibaba-edu/qwen-bailian-usagetraces-anon
BAILIAN = [
    {"chat_id": 159, "parent_chat_id": -1, "timestamp": 61.114, "input_length": 521,
     "output_length": 132, "type": "text", "turn": 1, "hash_ids": [10, 11]},
    {"chat_id": 200, "parent_chat_id": -1, "timestamp": 62.0, "input_length": 9, "output_length": 1,
     "type": "text", "turn": 1, "hash_ids": [12]},
    {"chat_id": 160, "parent_chat_id": 159, "timestamp": 62.5, "input_length": 676,
     "output_length": 80, "type": "text", "turn": 2, "hash_ids": [10, 11, 13]}]  # fmt: skip


def turns(entries: list, **how) -> list[list]:
    """What is new in each turn of each conversation."""
    held = dataset(entries, conversations=True, **how)
    return [[turn.messages for turn in request.conversation] for request in held]


@pytest.mark.parametrize(
    "entry",
    [SHAREGPT, {"messages": TALK}, {"custom_id": "1", "url": "/v1", "body": {"messages": TALK}}],
)
def test_a_recorded_conversation_is_held_with_the_answers_that_come_or_its_own(entry):
    live, recorded = turns([entry]), turns([entry], recorded=True)
    assert live == [[[TALK[0]], [TALK[2]], [TALK[4]]]]
    assert recorded == [[[TALK[0]], TALK[1:3], TALK[3:5]]]
    whole = dataset([entry])
    assert (whole.turns, list(whole[0].messages)) == (1, TALK)


def test_calls_of_tools_are_answered_only_where_the_answers_are_recorded():
    assert turns([{"messages": CALLS}], recorded=True) == [[CALLS[:1], CALLS[1:3], CALLS[3:]]]
    left = dataset([{"messages": CALLS}, {"messages": TALK}], conversations=True)
    assert (left.requests, left.turns) == (1, 3)
    assert left.left_out == "1 with calls of tools, to which only recorded answers fit"


def test_sessions_that_list_their_turns_are_conversations_unasked():
    held = dataset([TURNS])
    first, second = held[0].conversation
    assert list(first.messages) == [{"role": "system", "content": "Be terse."}, say(USER, "a")]
    assert (first.max_tokens, second.messages, second.think_s) == (7, "b", 1.5)
    assert second.body == {"temperature": 0}
    assert "1 conversation of 2 turns" in held.words
    assert "turns" in held.table.text()


def test_lines_of_one_session_are_its_turns():
    assert turns(HISTORY) == [[TALK[:1], TALK[2:3]]]
    assert turns(HISTORY, recorded=True) == [[TALK[:1], TALK[1:3]]]
    assert [turn.at for turn in dataset(HISTORY, conversations=True)[0].conversation] == [0, 2]
    (deltas,) = dataset(DELTAS, conversations=True)
    assert [turn.messages for turn in deltas.conversation] == [[TALK[0]], [TALK[2]]]
    assert [turn.think_s for turn in deltas.conversation] == [None, 2]
    edited = [HISTORY[0], {**HISTORY[1], "messages": [say(USER, "other"), *TALK[1:3]]}]
    assert dataset(edited, conversations=True)[0].then[0].whole
    (sizes,) = dataset(BLOCKS, conversations=True)
    assert [(t.prompt_tokens, t.blocks, t.think_s, t.whole) for t in sizes.conversation] == [
        (1024, (1, 2), None, False), (512, (3,), 6.824, False)]  # fmt: skip


def test_a_trace_that_counts_histories_is_sent_as_it_was_in_the_order_of_its_chats():
    held = dataset(BAILIAN, conversations=True)
    assert [[(t.prompt_tokens, t.whole) for t in r.conversation] for r in held] == [
        [(521, False), (676, True)], [(9, False)]]  # fmt: skip
    assert (held.timed, held.calls, held.turns) == (True, 3, 2)
    assert held.replay(speed=2).times == pytest.approx((0, 0.443))
    assert faster(held, 2)[0].then[0].at == pytest.approx(31.25)
    assert dataset(BAILIAN).requests == 3


def test_turns_and_thoughts_are_drawn_by_a_seed():
    held = made(Lengths(first=9), Lengths(kind="uniform", first=2, second=5),
                turns=Lengths(kind="uniform", first=1, second=4), seed=3, number=50)  # fmt: skip
    counts = [1 + len(request.then) for request in held]
    assert set(counts) == {1, 2, 3, 4}
    assert sum(counts) == held.calls
    assert {turn.max_tokens for request in held for turn in request.conversation} == {2, 3, 4, 5}
    assert [len(r.then) for r in capped(held, Lengths(first=2))] == [min(n - 1, 1) for n in counts]
    thinking = thoughtful(held, parse_times("normal:1s,200ms", "think-time"), 3)
    waits = [turn.think_s for request in thinking for turn in request.then]
    assert 0.9 < sum(waits) / len(waits) < 1.1
    assert len(set(waits)) > 20
    assert all(request.think_s is None for request in thinking)
    assert limited(held, None).longest_limit == 0
    assert limited(held, None).turns == 4
    words = [turn.turns(7 + (k << 24))[0]["content"] for k, turn in enumerate(held[3].conversation)]
    assert len(set(words)) == len(words)


@pytest.mark.parametrize("text", ["soon", "normal:1", "uniform:3,1", "bell:1,2", "1,2"])
def test_what_is_no_time_to_think_is_refused(text):
    with pytest.raises(PlanError, match="think-time"):
        parse_times(text, "think-time")
    with pytest.raises(PlanError, match="number of turns"):
        parse("some", "turns", "turns")


@pytest.mark.parametrize(("then", "why"), [
    ([Request("b", then=["c"])], "no single turn"), ([3], "no single turn"),
    (["b"] * 1000, "turns of a conversation")])  # fmt: skip
def test_what_can_not_follow_is_refused(then, why):
    with pytest.raises(PlanError, match=why):
        Request("a", then=then)


def test_what_is_said_again_is_counted_in_sizes_and_costs():
    """Of 10 tokens asked and at most 5 answered, in 3 turns: 10, 10 + 5 + 10, 25 + 5 + 10."""
    held = dataset(
        [
            Request(
                prompt_tokens=10, max_tokens=5, then=[Request(prompt_tokens=10, max_tokens=5)] * 2
            )
        ]
    )
    assert (held.calls, held.about_tokens, held.limits) == (3, 10 + 25 + 40, 15)
    free = dataset([Request(prompt_tokens=10, then=[Request(prompt_tokens=10)] * 2)])
    price = Price(input=1.0, output=1.0)
    target = Target(provider="p", model="m", base_url="http://127.0.0.1:9/v1", price=price)
    for given in (held, free):
        prompts = Prompts(dataset=given, max_tokens=5)
        plan = Plan(targets=(target,), load=Closed(users=1), requests=4, prompts=prompts)
        known = estimate(plan)
        assert (known.calls, known.output_tokens) == (12, 60)
        assert known.prompt_tokens == 4 * 75
        assert most_of_a_call(plan, 0, 0) * 1e6 >= given.longest + 5
        # Answers that are said again are paid again.
        assert prompts.sizes.most == given.most_tokens + 5 * 3 * (given is free)


def test_a_plan_of_conversations_is_read_again_as_it_was():
    held = dataset([SHAREGPT, "alone"], conversations=True)
    target = Target(provider="p", model="m", base_url="http://127.0.0.1:9/v1")
    plan = Plan(targets=(target,), load=Closed(users=1), requests=4, prompts=Prompts(dataset=held))
    again = Plan.from_json(plan.to_json())
    assert again == plan
    assert again.prompts.turns == 3
    earlier = json.loads(plan.to_json())
    for name in ("turns", "calls", "repeats"):  # what earlier versions did not write
        del earlier["prompts"]["dataset"][name]
    earlier["prompts"]["dataset"]["unlimited"] = 2
    assert Plan.from_json(json.dumps(earlier)).prompts.turns == 1
    assert held[0].words == "1 message, such as 'a', and 2 turns more"
