"""A dataset is asked as it stands in its file, in its order, in any dialect, and can be asked again."""

import asyncio
import json
import shutil
import stat
from collections import Counter
from hashlib import blake2b

import pytest
from click.testing import CliRunner

from holymon.cli.main import main
from holymon.errors import ConfigError, PlanError
from holymon.load.caller import Caller
from holymon.load.requests import Bodies
from holymon.load.run import attach, measure
from holymon.plan.dataset import Dataset
from holymon.plan.estimate import estimate, most_of_a_call
from holymon.plan.images import part_of
from holymon.plan.lengths import Lengths
from holymon.plan.plan import Closed, Plan
from holymon.plan.price import Price
from holymon.plan.prompts import Prompts, made
from holymon.plan.requests import Request
from holymon.plan.target import Target
from holymon.records import request_store
from holymon.records.datasets import dataset
from holymon.structs import replace
from tests.promises.faults.server import Server

HI = {"role": "user", "content": "hi"}
BRIEF = {"role": "system", "content": "be brief"}
PICTURE = {"role": "user", "content": [
    {"type": "text", "text": "What is it?"},
    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    {"type": "image_url", "image_url": {"url": "https://h/i.png", "detail": "low"}}]}  # fmt: skip
CALL = {"role": "assistant", "content": None, "tool_calls": [
    {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}},
    {"id": "c2", "type": "function", "function": {"name": "g", "arguments": "{}"}}]}  # fmt: skip
RESULTS = [{"role": "tool", "tool_call_id": "c1", "content": "one"},
           {"role": "tool", "tool_call_id": "c2", "content": "two"}]  # fmt: skip
TARGET = Target(provider="p", model="m", base_url="http://127.0.0.1:9/v1")


def plan(prompts: Prompts, *targets: Target, **more) -> Plan:
    return Plan(**{"targets": targets or (TARGET,), "load": Closed(users=1), "requests": 4,
                   "prompts": prompts, **more})  # fmt: skip


def bodies(prompts: Prompts, turns: int = 1, **more) -> list[dict]:
    """What is sent to a target in its first turns."""
    ready = Bodies(plan(prompts), replace(TARGET, **more), {})
    return [json.loads(ready[turn].content) for turn in range(turns)]


def test_messages_fields_and_limits_are_those_of_each_request_and_the_target_has_the_last_word():
    given = dataset([Request([BRIEF, PICTURE], {"temperature": 1, "tools": [{"x": 1}]}, 7), "hi"])
    prompts = Prompts(dataset=given, max_tokens=9, stream=False)
    first, second, again = bodies(prompts, 3, body={"temperature": 0, "tools": None})
    assert first == {"model": "m", "messages": [BRIEF, PICTURE], "temperature": 0, "max_tokens": 7}
    assert second == {"model": "m", "messages": [HI], "temperature": 0, "max_tokens": 9}
    assert again == first


def test_each_dialect_is_told_the_same_in_its_own_form():
    given = dataset([Request([BRIEF, PICTURE, CALL, *RESULTS])])
    prompts = Prompts(dataset=given, stream=False)
    (claude,) = bodies(prompts, endpoint="messages")
    assert claude["system"] == "be brief"
    assert claude["messages"] == [
        {"role": "user", "content": [
            {"type": "text", "text": "What is it?"},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
            {"type": "image", "source": {"type": "url", "url": "https://h/i.png"}}]},
        {"role": "assistant", "content": [
            {"type": "tool_use", "id": "c1", "name": "f", "input": {"x": 1}},
            {"type": "tool_use", "id": "c2", "name": "g", "input": {}}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "c1", "content": "one"},
            {"type": "tool_result", "tool_use_id": "c2", "content": "two"}]},
    ]  # fmt: skip
    (response,) = bodies(prompts, endpoint="responses")
    assert response["input"] == [
        BRIEF,
        {"role": "user", "content": [
            {"type": "input_text", "text": "What is it?"},
            {"type": "input_image", "image_url": "data:image/png;base64,AAAA"},
            {"type": "input_image", "image_url": "https://h/i.png", "detail": "low"}]},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"x": 1}'},
        {"type": "function_call", "call_id": "c2", "name": "g", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "one"},
        {"type": "function_call_output", "call_id": "c2", "output": "two"},
    ]  # fmt: skip
    (completion,) = bodies(prompts, endpoint="completions")
    assert completion["prompt"] == "be brief\n\nWhat is it?\n\none\n\ntwo"
    (embedding,) = bodies(prompts, endpoint="embeddings")
    assert embedding["input"] == completion["prompt"]


def test_a_system_prompt_takes_the_place_of_one_and_a_common_beginning_is_common():
    prompts = Prompts(dataset=dataset([[BRIEF, PICTURE], "hi"]), system="be long", prefix_tokens=40)
    first, second = ([*body["messages"]] for body in bodies(prompts, 2))
    assert [len(first), len(second), first[0]] == [2, 2, second[0]]
    begin, _, end = first[0]["content"].rpartition(" be long")
    assert (len(begin.split()), end, first[1], second[1]) == (40, "", PICTURE, HI)
    (alone,) = bodies(Prompts(dataset=dataset([[PICTURE]]), prefix_tokens=40))
    assert len(alone["messages"][0]["content"][0]["text"].split()) == 40
    assert alone["messages"][0]["content"][1:] == PICTURE["content"]


def test_unique_prompts_never_begin_alike_not_even_in_another_run_or_at_another_target():
    prompts = Prompts(texts=("the same",), unique=True)
    texts = [body["messages"][0]["content"] for _ in range(2) for body in bodies(prompts, 50)]
    assert {text[-9:] for text in texts} == {" the same"}
    assert len({text[:24] for text in texts}) == 100
    with pytest.raises(PlanError, match="unique does not go with prefix_tokens"):
        Prompts(unique=True, prefix_tokens=1)


def test_exact_answers_are_asked_for_where_a_limit_is():
    prompts = Prompts(dataset=dataset([Request("a", max_tokens=5), "b"]), exact_tokens=True)
    first, second = bodies(prompts, 2)
    assert (first["min_tokens"], first["ignore_eos"], second["min_tokens"]) == (5, True, 64)
    assert "min_tokens" not in bodies(replace(prompts, max_tokens=None), 2)[1]
    assert "min_tokens" not in bodies(prompts, endpoint="messages")[0]


def test_made_prompts_have_the_lengths_asked_for_and_none_begins_as_another():
    given = made(Lengths(60, 20, "normal"), Lengths(5, 9, "uniform"), seed=3, number=200)
    sent = bodies(Prompts(dataset=given), 201)
    words = [body["messages"][0]["content"].split() for body in sent]
    assert [len(text) for text in words[:200]] == [request.prompt_tokens for request in given]
    assert len({tuple(text[:8]) for text in words}) == 200
    assert words[200] == words[0]
    assert {body["max_tokens"] for body in sent} == {5, 6, 7, 8, 9}
    assert made(Lengths(60, 20, "normal"), seed=3) == made(Lengths(60, 20, "normal"), seed=3)
    assert made(Lengths(60, 20, "normal"), seed=3) != made(Lengths(60, 20, "normal"), seed=4)


def test_shared_blocks_are_shared_and_the_rest_is_not():
    given = dataset([Request(prompt_tokens=1200, blocks=[7, 8, 1]), Request(prompt_tokens=700, blocks=[7, 9]),
                     Request(prompt_tokens=30, blocks=[7]), Request(prompt_tokens=600, blocks=[7])])  # fmt: skip
    one, two, three, four = (
        b["messages"][0]["content"].split() for b in bodies(Prompts(dataset=given), 4)
    )
    assert [len(one), len(two), len(three), len(four)] == [1200, 700, 30, 600]
    assert one[:512] == two[:512] == four[:512]
    assert one[:30] == three
    assert len({tuple(text[512:520]) for text in (one, two, four)}) == 3


def heard(prompts: Prompts, numbers, *, targets: int = 1) -> list[list]:
    """The messages that a server hears of calls with these numbers."""
    answer = b'{"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}]}'
    reply = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"

    async def go():
        async with Server([reply % (len(answer), answer)]) as server:
            at = [replace(TARGET, base_url=server.url, model=f"m{k}") for k in range(targets)]
            caller = Caller(plan(replace(prompts, stream=False), *at))
            for number in numbers:
                marks = await caller.send(number, number % targets, 0.0)
                assert not marks.error, marks.message
            await caller.aclose()
            return [json.loads(seen.partition(b"\r\n\r\n")[2]) for seen in server.seen]

    return [(body["model"], body["messages"][0]["content"]) for body in asyncio.run(go())]


def test_all_targets_are_asked_the_same_in_the_same_round():
    prompts = Prompts(dataset=dataset(["a", "b", "c"]))
    assert heard(prompts, range(8), targets=2) == [
        (f"m{number % 2}", "abc"[number // 2 % 3]) for number in range(8)
    ]


def test_a_run_keeps_what_it_asked_once_for_its_owner_alone_and_can_be_repeated(
    tmp_path, simulator
):
    given = dataset(["what a customer wrote", {"prompt": "another", "max_tokens": 2}])
    asks = plan(Prompts(dataset=given, max_tokens=2), simulator.target("fast"), first_call=False,
                load=Closed(users=2), workers=2, name="a")  # fmt: skip
    first = measure(asks, out=tmp_path)
    again = measure(attach("last", out=tmp_path).plan, out=tmp_path)
    for run in (first, again):
        assert (len(run.records), run.records.errors(run.records.mask())) == (4, {})
    (kept,) = (tmp_path / ".requests").iterdir()
    files = [run.folder / request_store.NAME for run in (first, again)]
    assert len({path.stat().st_ino for path in [kept, *files]}) == 1
    assert {stat.S_IMODE(path.stat().st_mode) for path in (kept, first.folder / "plan.json")} == {
        0o600
    }
    assert "customer" not in (first.folder / "plan.json").read_text()
    assert list(attach("last", out=tmp_path).plan.prompts.dataset) == list(given)
    assert again.plan == asks
    # What no run has any more goes when the next one comes.
    for path in files:
        path.unlink()
    request_store.keep(replace(asks, prompts=Prompts(dataset=dataset(["x"]))), first.folder)
    assert [path for path in (tmp_path / ".requests").iterdir() if path == kept] == []


def test_requests_that_are_gone_or_were_changed_are_not_asked(tmp_path):
    asks = plan(Prompts(dataset=dataset(["one", "two"])))
    folder = tmp_path / "a" / "20260101T000000Z"
    folder.mkdir(parents=True)
    request_store.keep(asks, folder)
    read = Plan.from_json(asks.to_json())
    with pytest.raises(ConfigError, match="only its plan"):
        _ = read.prompts.dataset.packed
    request_store.lend(read, folder)
    assert [request.messages for request in read.prompts.dataset] == ["one", "two"]
    path = folder / request_store.NAME
    path.write_bytes(path.read_bytes().replace(b"two", b"tow"))
    changed = Plan.from_json(asks.to_json())
    request_store.lend(changed, folder)
    with pytest.raises(ConfigError, match="are not those that were asked"):
        _ = changed.prompts.dataset.packed
    # The store had the same file: it is not taken for what it no longer is.
    other = folder.with_name("20260101T000001Z")
    other.mkdir()
    request_store.keep(asks, other)
    assert b"two" in (other / request_store.NAME).read_bytes()


def test_what_only_deleted_runs_asked_goes_when_room_is_made(tmp_path):
    for number, text in enumerate(("kept", "gone")):
        folder = tmp_path / "a" / f"2026010{number + 1}T000000Z"
        folder.mkdir(parents=True)
        request_store.keep(plan(Prompts(dataset=dataset([text]))), folder)
    shutil.rmtree(folder)
    assert len([*(tmp_path / ".requests").iterdir()]) == 2
    made = CliRunner().invoke(main, ["prune", "--keep", "9", "--out", str(tmp_path)])
    assert (made.exit_code, len([*(tmp_path / ".requests").iterdir()])) == (0, 2), "only said"
    CliRunner().invoke(main, ["prune", "--keep", "9", "--yes", "--out", str(tmp_path)])
    (left,) = (tmp_path / ".requests").iterdir()
    assert b"kept" in left.read_bytes()


def test_a_store_that_leads_elsewhere_is_left_alone(tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / f"{'a' * 64}.jsonl").write_text("a file of mine")
    out = tmp_path / "reports"
    folder = out / "a" / "20260101T000000Z"
    folder.mkdir(parents=True)
    (out / ".requests").symlink_to(mine)
    request_store.keep(plan(Prompts(dataset=dataset(["x"]))), folder)
    assert (folder / request_store.NAME).is_file()
    assert [path.name for path in mine.iterdir()] == [f"{'a' * 64}.jsonl"]


def test_an_estimate_knows_how_long_each_request_is():
    priced = replace(TARGET, price=Price(input=1.0, output=10.0))
    given = dataset(
        [Request("x" * 40, max_tokens=100), Request("y" * 400), Request(prompt_tokens=50)]
    )
    asks = plan(Prompts(dataset=given, max_tokens=10), priced, requests=3)
    known = estimate(asks)
    assert (known.prompt_tokens, known.output_tokens) == (10 + 100 + 50, 100 + 10 + 10)
    assert 40 + 400 + 50 < known.most_prompt_tokens < 40 + 400 + 50 * 8 + 3 * 60
    assert most_of_a_call(asks, 0, 0) > (400 + 100 * 10) / 1e6
    endless = replace(asks, prompts=Prompts(dataset=given, max_tokens=None))
    assert estimate(endless).output_tokens is None
    pictured = estimate(plan(Prompts(dataset=dataset([[PICTURE]])), priced, requests=1))
    assert pictured.most_prompt_tokens > 100_000


def test_a_large_dataset_leaves_a_plan_small():
    given = dataset(f"request {k} " + "words " * 40 for k in range(20_000))
    asks = plan(Prompts(dataset=given))
    assert len(asks.to_json()) < 4000
    assert Plan.from_json(asks.to_json()) == asks
    ready = Bodies(asks, TARGET, {})
    assert Counter(type(made).__name__ for made in ready._made.values()) == {"Prepared": 10_000}
    assert json.loads(ready[19_999].content)["messages"][0]["content"].startswith("request 19999")
    assert isinstance(asks.prompts.dataset, Dataset)


PNG = b"\x89PNG\r\n\x1a\n" + bytes(9)


def test_a_picture_is_sent_along_and_what_is_none_is_not(tmp_path):
    path = tmp_path / "cat.png"
    path.write_bytes(PNG)
    part = {
        "type": "image_url",
        "image_url": {"url": "data:image/png;base64,iVBORw0KGgoAAAAAAAAAAAA="},
    }
    given = dataset(
        [Request([{"role": "user", "content": [{"type": "text", "text": "What?"}, path]}])]
    )
    (body,) = bodies(Prompts(dataset=given))
    assert body["messages"][0]["content"][1] == part == part_of(str(path))
    assert given[0].images == 1
    assert part_of("https://h/i.png")["image_url"]["url"] == "https://h/i.png"
    (tmp_path / "key.pem").write_text("a secret")
    for wrong, said in (
        (tmp_path / "key.pem", "is no picture"),
        (tmp_path / "no.png", "can't read"),
    ):
        with pytest.raises(ConfigError, match=said):
            part_of(wrong)


def test_a_line_that_was_damaged_before_it_was_hashed_fails_alone():
    data = b'{"messages":"hi"}\n{"oops":1}\n[]\n{"messages":"\xff"}\n'
    damaged = Dataset(digest=blake2b(data, digest_size=32).hexdigest(), requests=4)
    damaged.kept_by(lambda: data)
    caller = Caller(plan(Prompts(dataset=damaged)))

    async def go():
        marks = [await caller.send(number, 0, 0.0) for number in range(4)]
        await caller.aclose()
        return marks

    assert [bool(caller.words(marks)) for marks in asyncio.run(go())] == [True] * 4
