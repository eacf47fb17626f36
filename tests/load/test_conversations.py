"""Each turn says what was said before, in every dialect, and a conversation ends where it can't go on."""

import asyncio
import json

import pytest

from holymon.load.caller import Caller
from holymon.load.engine import Load
from holymon.load.run import attach, measure
from holymon.plan.conversations import thoughtful
from holymon.plan.lengths import Lengths
from holymon.plan.plan import Closed, Plan
from holymon.plan.prompts import Prompts
from holymon.plan.requests import Request
from holymon.plan.target import Target
from holymon.records.attempt import Flag, Marks
from holymon.records.datasets import dataset
from holymon.records.records import from_marks
from holymon.structs import replace
from tests.promises.faults.server import Server

TARGET = Target(provider="p", model="m", base_url="http://127.0.0.1:9/v1")
CALL = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]


def plain(body: dict | list) -> bytes:
    text = json.dumps(body).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (
        len(text), text)  # fmt: skip


def events(*texts: str) -> bytes:
    chunks = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in (
        {"role": "assistant", "content": ""}, {"reasoning_content": "hm"},
        *({"content": text} for text in texts))]  # fmt: skip
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
    head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: "
    return f"{head}{len(body)}\r\n\r\n{body}".encode()


def chat(text: str | None, **more) -> bytes:
    message = {"role": "assistant", "content": text, **more}
    return plain({"choices": [{"index": 0, "finish_reason": "stop", "message": message}]})


def anthropic(text: str) -> bytes:
    return plain({"type": "message", "role": "assistant", "stop_reason": "end_turn", "content": [
        {"type": "thinking", "thinking": "hm"}, {"type": "text", "text": text}]})  # fmt: skip


def response(text: str) -> bytes:
    part = {"type": "output_text", "text": text}
    return plain({"object": "response", "status": "completed", "output": [
        {"type": "message", "role": "assistant", "content": [part]}]})  # fmt: skip


def completion(text: str) -> bytes:
    return plain({"choices": [{"index": 0, "text": text, "finish_reason": "stop"}]})


def held(prompts: Prompts, *answers: bytes, number: int = 1, **more):
    """Hold conversations one after another: what a server was sent, and the records."""
    records = []

    async def go():
        async with Server(*([answer] for answer in answers)) as server:
            target = replace(TARGET, base_url=server.url, **more)
            plan = Plan(targets=(target,), load=Closed(users=1), requests=number, prompts=prompts)
            caller = Caller(plan)
            load = Load(plan, caller.send, records.append, follow=caller.follow)
            async with asyncio.timeout(30):
                await load.run()
            await caller.aclose()
            return [json.loads(seen.partition(b"\r\n\r\n")[2]) for seen in server.seen]

    bodies = asyncio.run(go())
    return bodies, records


def messages(*texts: str) -> list[dict]:
    return [
        {"role": "assistant" if k % 2 else "user", "content": text} for k, text in enumerate(texts)
    ]


THREE = Request("a", then=["b", Request("c", {"temperature": 0}, 5)])


@pytest.mark.parametrize(("answer", "stream"), [(chat, False), (lambda text: events(*text), True)])
def test_answers_are_said_again_in_their_order_without_their_reasoning(answer, stream):
    prompts = Prompts(
        dataset=dataset([THREE, "d"]), system="Be brief.", stream=stream, max_tokens=9
    )
    bodies, records = held(prompts, *map(answer, ("AA", "BB", "CC", "DD")), number=2)
    system = [{"role": "system", "content": "Be brief."}]
    assert [body["messages"] for body in bodies] == [
        system + messages("a"), system + messages("a", "AA", "b"),
        system + messages("a", "AA", "b", "BB", "c"), system + messages("d")]  # fmt: skip
    assert [(body["max_tokens"], body.get("temperature")) for body in bodies] == [
        (9, None), (9, None), (5, 0), (9, None)]  # fmt: skip
    assert [marks.request for marks in records] == [0, 1, 2, 3]
    follows = [bool(marks.flags & Flag.TURN_FOLLOWS) for marks in records]
    assert follows == [True, True, False, False]


def test_each_dialect_is_told_its_history_in_its_own_form():
    prompts = Prompts(dataset=dataset([THREE]), stream=False, max_tokens=9)
    bodies, _ = held(prompts, anthropic("AA"), anthropic("BB"), endpoint="messages")
    assert bodies[2]["messages"] == messages("a", "AA", "b", "BB", "c")
    bodies, _ = held(prompts, response("AA"), response("BB"), endpoint="responses")
    assert bodies[2]["input"] == messages("a", "AA", "b", "BB", "c")
    bodies, _ = held(prompts, completion("AA"), completion("BB"), endpoint="completions")
    assert bodies[2]["prompt"] == "a\n\nAA\n\nb\n\nBB\n\nc"


def test_recorded_answers_are_said_whatever_comes_and_a_whole_turn_alone():
    recorded = Request("a", then=[Request(messages("", "X", "b")[1:]), Request("c", whole=True)])
    prompts = Prompts(dataset=dataset([recorded]), stream=False)
    bodies, records = held(prompts, chat(None, tool_calls=CALL), chat("BB"), chat("CC"))
    assert [body["messages"] for body in bodies] == [
        messages("a"), messages("a", "X", "b"), messages("c")]  # fmt: skip
    assert [marks.error for marks in records] == ["", "", ""]


@pytest.mark.parametrize("answer", [
    chat("I call.", tool_calls=CALL), chat(None, reasoning_content="hm"), chat("", refusal="no"),
    plain({"error": {"message": "down", "type": "server_error"}})])  # fmt: skip
def test_what_can_not_be_answered_ends_a_conversation(answer):
    prompts = Prompts(dataset=dataset([THREE]), stream=False)
    bodies, (marks,) = held(prompts, answer)
    assert len(bodies) == 1
    assert marks.flags & Flag.TURN_FOLLOWS
    assert bool(marks.flags & Flag.NO_TEXT_TO_FOLLOW) == (marks.error == "")
    records = from_marks((TARGET,), [marks])
    assert records.turns == 1
    assert "turn" not in records.to_frame()


def test_a_conversation_that_is_unique_begins_as_no_other_in_all_its_turns():
    prompts = Prompts(dataset=dataset([THREE]), stream=False, unique=True)
    bodies, _ = held(prompts, chat("A"), number=2)
    begins = [body["messages"][0]["content"] for body in bodies]
    assert begins[0] == begins[1] == begins[2] != begins[3] == begins[4] == begins[5]
    made = Prompts(dataset=dataset([Request(prompt_tokens=9, then=[Request(prompt_tokens=9)])]),
                   stream=False, prefix_tokens=5)  # fmt: skip
    first, second = held(made, chat("A"))[0]
    assert first["messages"] == second["messages"][:1]
    assert len(second["messages"][0]["content"].split()) == 14
    assert len(second["messages"][2]["content"].split()) == 9


@pytest.mark.parametrize(("second", "end", "due"), [
    (Request("b"), 1.0, 1.0), (Request("b", think_s=0.5), 1.0, 1.5),
    (Request("b", at=7.0), 1.0, 12.0), (Request("b", at=7.0), 13.0, 13.0),
    (Request("b", at=7.0, think_s=0.5), 1.0, 1.5)])  # fmt: skip
def test_a_turn_is_due_after_a_thought_or_when_it_came_once_and_one_not_sent_is_forgotten(
    second, end, due
):
    prompts = Prompts(dataset=dataset([Request("a", at=5.0, then=[second])]))
    plan = Plan(targets=(TARGET,), load=Closed(users=1), requests=1, prompts=prompts)
    caller = Caller(plan)
    answered, dropped = Marks(0, 0, 10.0), Marks(1, 0, due)
    answered.end, dropped.error = end, "client_dropped"
    caller.conversations.answered(answered, "A", acted=False)
    assert caller.follow(answered) == due
    assert caller.follow(dropped) is None
    assert caller.follow(answered) is None


@pytest.fixture(scope="module")
def cached(shared_simulator, tmp_path_factory):
    """Conversations with a server that has a prompt cache."""
    first = [
        Request(prompt_tokens=120 + 20 * k, then=[Request(prompt_tokens=30)] * 3) for k in range(20)
    ]
    given = thoughtful(dataset(first), Lengths(first=5))
    plan = Plan(
        targets=(shared_simulator.target("cached"),), load=Closed(users=6), requests=40,
        prompts=Prompts(dataset=given, max_tokens=4, unique=True), timeout_s=20,
    )  # fmt: skip
    return measure(plan, out=tmp_path_factory.mktemp("out"))


def test_the_figure_by_turn_finds_what_a_token_costs_that_is_in_no_cache(cached):
    (turns,) = attach(cached.id, out=cached.folder.parents[1]).turns().targets
    assert (turns.conversations, turns.whole, turns.early, turns.cut) == (40, 40, 0, 0)
    low, high = turns.per_fresh_token_s.ci
    assert low <= 0.0002 <= high
    assert high - low < 0.0001
    assert turns.later_s.ci[1] < 0 < turns.saved_s.ci[0]
    assert [(t.first, t.last, t.calls) for t in turns.turns] == [
        (1, 1, 40), (2, 2, 40), (3, 3, 40), (4, 4, 40), (2, 4, 120)]  # fmt: skip
    assert "0 of 40 conversations ended early" in cached.turns().table.text()


def test_each_prompt_is_as_long_as_all_that_was_said_before(cached):
    frame = cached.records.to_frame().sort_values(["conversation", "turn"])
    assert sorted(set(frame["turn"])) == [1, 2, 3, 4]
    assert frame["conversation"].nunique() == 40
    for _, rows in frame.groupby("conversation"):
        prompt, output = rows["prompt_tokens"].to_numpy(), rows["output_tokens"].to_numpy()
        assert (prompt[1:] == prompt[:-1] + output[:-1] + 30).all()
        assert (rows["due_s"].to_numpy()[1:] >= rows["end_s"].to_numpy()[:-1] + 0.005 - 1e-5).all()
        assert (rows["cached_tokens"].to_numpy()[1:] > 90).all()
    judged = cached.to_dict()
    assert judged["turns"][0]["turns"][0]["calls"] == 40
    assert judged["plan"]["prompts"]["dataset"]["calls"] == 80
