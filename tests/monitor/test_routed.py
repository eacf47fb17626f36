"""Clients of SDKs that move: what they ask is carried over, or is said to stay."""

import asyncio
import importlib
import json
import logging
import socket
import subprocess
import sys
import time

import httpx
import openai
import pytest

import holymon as hm
from holymon.errors import PlanError
from holymon.monitor import route_file
from tests.promises.faults.server import HELLO, answer, completion, event, stream, usage

GENEROUS = hm.Policy(budget=1.0, loan=20, burst=20)
FAILS = [answer({"error": {"message": "no such luck"}})]
MESSAGES = [{"role": "user", "content": "hi"}]
CHAT = {"model": "m", "messages": MESSAGES}


def bodies(server):
    return [json.loads(seen.partition(b"\r\n\r\n")[2]) for seen in server.seen]


def paths(server):
    return [seen.partition(b" HTTP")[0].decode() for seen in server.seen]


def test_calls_of_an_sdk_are_carried_over_without_its_key(server, tmp_path):
    old, new = server([answer(completion("old"))]), server([answer(completion("new"))])
    a = openai.OpenAI(
        api_key="sk-old-1234567890", base_url=old.url, organization="mine", max_retries=0
    )
    b = openai.OpenAI(api_key="sk-new-1234567890", base_url=f"{new.url}/deep", max_retries=0)
    client = hm.routed(a, b, models={"m": "n"}, state=tmp_path / "r.json", steps=(1.0,), shadow=0.0)
    messages = [{"role": "user", "content": "hi"}]
    reply = client.chat.completions.create(
        model="m", messages=messages, extra_headers={"x-holymon-key": "k"}
    )
    assert (reply.choices[0].message.content, len(old.seen), len(new.seen)) == ("new", 0, 1)
    (seen,) = new.seen
    assert seen.startswith(b"POST /v1/deep/chat/completions HTTP/1.1\r\n")
    assert b"Bearer sk-new-1234567890" in seen
    assert json.loads(seen.partition(b"\r\n\r\n")[2]) == {"messages": messages, "model": "n"}
    assert not any(word in seen.lower() for word in (b"sk-old", b"mine", b"x-holymon-key"))
    for used in (client.router, a, b):
        used.close()
    assert client.router.route.totals == {"candidate": 1}


@pytest.mark.parametrize("kind", [httpx.Client, httpx.AsyncClient])
def test_a_client_whose_candidate_fails_gets_the_baselines_answer(server, tmp_path, kind):
    old, new = server([answer(completion("old"))]), server(FAILS)
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    made = {"state": tmp_path / "r.json", "steps": (1.0,), "shadow": 0.0, "policy": GENEROUS}
    other = kind(base_url=new.url)
    client = hm.routed(kind(base_url=old.url), other, **made)

    async def go():
        async with client, other:
            return [await client.post("/chat/completions", json=body) for _ in range(12)]

    if kind is httpx.AsyncClient:
        replies = asyncio.run(go())
    else:
        with client, other:
            replies = [client.post("/chat/completions", json=body) for _ in range(12)]
    assert {r.json()["choices"][0]["message"]["content"] for r in replies} == {"old"}
    client.router.close()
    assert client.router.route.totals["fallback"] == len(new.seen)
    assert len(old.seen) == 12
    assert client.router.share == (0.0 if len(new.seen) >= 8 else 1.0)


def test_clients_that_cannot_take_each_others_calls_are_refused():
    a = httpx.Client(base_url="http://127.0.0.1:1/v1")
    with pytest.raises(PlanError, match="can't take each other's calls"):
        hm.routed(a, httpx.AsyncClient(base_url="http://127.0.0.1:2/v1"))
    with pytest.raises(PlanError, match="each one of its own"):
        hm.routed(a, httpx.Client(base_url="http://127.0.0.1:1/v1"))


RESPONSE = {
    "id": "resp_1", "object": "response", "created_at": 1, "model": "n", "status": "completed",
    "output": [{"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
                "content": [{"type": "output_text", "text": "Hello", "annotations": []}]}],
    "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
    "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5},
}  # fmt: skip
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def test_all_that_the_openai_sdk_asks_is_carried_over_or_said_to_stay(server, tmp_path, caplog):
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    acts = completion(None)
    acts["choices"][0]["message"]["tool_calls"] = [call]
    scripts = [stream(*HELLO), [answer(completion("raw"))], [answer(completion('{"a": 1}'))],
               [answer(acts)], [answer(RESPONSE)], [answer(completion("opt"))],
               [answer({"object": "list", "model": "n", "data": [
                   {"object": "embedding", "index": 0, "embedding": [0.5]}], "usage": usage(1, 0)})]]  # fmt: skip
    old, new = server([answer(RESPONSE)]), server(*scripts)
    a, b = (openai.OpenAI(api_key=f"sk-{at.port}-1234567890", base_url=at.url, max_retries=0,
                          default_query={"version": str(at.port)}) for at in (old, new))  # fmt: skip
    client = hm.routed(a, b, models={"m": "n"}, state=tmp_path / "r.json", steps=(1.0,), shadow=0.0)
    create = client.chat.completions.create
    texts = [chunk.choices[0].delta.content for chunk in create(**CHAT, stream=True)]
    assert "".join(filter(None, texts)) == "Hello"
    raw = client.chat.completions.with_raw_response.create(**CHAT)
    assert raw.parse().choices[0].message.content == "raw"
    shape = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}}
    parsed = client.chat.completions.parse(**CHAT, response_format=shape)
    assert parsed.choices[0].message.content == '{"a": 1}'
    calls = create(**CHAT, tools=[TOOL]).choices[0].message.tool_calls
    assert calls[0].function.name == "f"
    assert client.responses.create(model="m", input="hi", store=False).output_text == "Hello"
    slow = client.with_options(timeout=9, default_headers={"x-tenant": "ours"})
    assert slow.chat.completions.create(**CHAT).choices[0].message.content == "opt"
    assert client.embeddings.create(model="m", input="a", encoding_format="float").data
    assert [body["model"] for body in bodies(new)] == ["n"] * len(scripts)
    assert bodies(new)[3]["tools"] == [TOOL]
    assert set(paths(new)) == {f"POST /v1/{path}?version={new.port}" for path in (
        "chat/completions", "responses", "embeddings")}  # fmt: skip
    assert not any(
        word in seen for seen in new.seen for word in (b"x-tenant", str(old.port).encode())
    )
    with caplog.at_level(logging.WARNING, "holymon"):
        for _ in range(2):
            client.responses.create(model="m", input="hi")
            client.responses.create(model="m", input="hi", store=False, previous_response_id="r")
        client.post("/moderations", body={"input": "hi"}, cast_to=object)
    assert len(old.seen) == 5
    assert [record.message.partition(" that are of ")[2] for record in caplog.records] == [
        "responses that are stored there: with store=False they are carried over.",
        "responses with previous_response_id, which is known there only.",
        "moderations: only chat/completions, completions, responses, messages, embeddings are "
        "carried over.",
    ]
    assert list(client.router.stays.values()) == [2, 2, 1]
    for used in (client.router, a, b):
        used.close()
    assert client.router.route.totals == {"candidate": len(scripts)}


def test_the_anthropic_sdk_moves_too_streamed_or_not(server, tmp_path):
    anthropic = importlib.import_module("anthropic")
    message = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "n", "stop_sequence": None,
        "stop_reason": "end_turn", "content": [{"type": "text", "text": "Hello"}],
        "usage": {"input_tokens": 3, "output_tokens": 2},
    }  # fmt: skip
    begun = message | {"content": [], "stop_reason": None}
    events = (
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
        {"type": "message_stop"},
    )  # fmt: skip
    streamed = stream(*(f"event: {e['type']}\n".encode() + event(e) for e in events))
    old, new = server([answer(message)]), server([answer(message)], streamed, FAILS)
    a, b = (anthropic.Anthropic(api_key=f"key-{at.port}-1234567890", max_retries=0,
                                base_url=at.url.removesuffix("/v1")) for at in (old, new))  # fmt: skip
    client = hm.routed(a, b, models={"m": "n"}, state=tmp_path / "r.json", steps=(1.0,),
                       shadow=0.0, policy=GENEROUS)  # fmt: skip
    ask = {"model": "m", "max_tokens": 9, "messages": MESSAGES}
    assert client.messages.create(**ask).content[0].text == "Hello"
    with client.messages.stream(**ask) as answers:
        assert answers.get_final_text() == "Hello"
    assert (len(old.seen), paths(new)) == (0, ["POST /v1/messages"] * 2)
    assert client.messages.create(**ask).content[0].text == "Hello"  # it failed at the candidate
    assert ([body["model"] for body in bodies(new)], bodies(old)[0]["model"]) == (["n"] * 3, "m")
    assert not any(str(old.port).encode() + b"-123" in seen for seen in new.seen)
    for used in (client.router, a, b):
        used.close()
    assert client.router.route.totals == {"candidate": 3, "fallback": 1}


@pytest.mark.parametrize("kind", [httpx.Client, httpx.AsyncClient])
def test_copies_of_a_clients_calls_are_the_candidates_and_counted(server, tmp_path, kind):
    old, new = server([answer(completion("old"))]), server([answer(completion("new"))])
    other = kind(base_url=new.url)
    client = hm.routed(kind(base_url=old.url), other, state=tmp_path / "r.json", shadow=1.0)

    def copied():
        client.router.keeper.flush()
        return client.router.route.totals.get("shadow", 0)

    async def go():
        async with client, other:
            replies = [await client.post("/chat/completions", json=CHAT) for _ in range(5)]
            while copied() < 5:  # noqa: ASYNC110 - the file is looked at
                await asyncio.sleep(0.01)
            return replies

    if kind is httpx.AsyncClient:
        replies = asyncio.run(go())
    else:
        with client, other:
            replies = [client.post("/chat/completions", json=CHAT) for _ in range(5)]
            while copied() < 5:
                time.sleep(0.01)
    assert {r.json()["choices"][0]["message"]["content"] for r in replies} == {"old"}
    client.router.close()
    assert client.router.route.totals == {"baseline": 5, "shadow": 5}
    assert (len(old.seen), len(new.seen)) == (5, 5)


ENDS = """
import sys, time
import httpx
import holymon as hm

old, new, state = sys.argv[1:]
client = hm.routed(
    httpx.Client(base_url=old), httpx.Client(base_url=new), state=state, steps=(1.0,), shadow=1.0,
    patience_s=3600,
)
for _ in range(3):
    client.post("/chat/completions", json={"model": "m", "messages": []}, timeout=3600)
while len(client.monitor.ledger.open.begun()) < 3:
    time.sleep(0.01)
"""


def test_an_application_ends_while_its_copies_hang_and_its_move_knows_all_its_calls(
    server, tmp_path
):
    old, state = server([answer(completion("old"))]), tmp_path / "r.json"
    with socket.create_server(("127.0.0.1", 0)) as hangs:
        new = f"http://127.0.0.1:{hangs.getsockname()[1]}/v1"
        # An hour is what it would wait for these copies.
        done = subprocess.run([sys.executable, "-c", ENDS, old.url, new, state], timeout=300,
                              capture_output=True, text=True, check=False)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert route_file.read(state).totals == {"baseline": 3}


def test_clients_whose_calls_cannot_be_carried_over_are_refused_in_a_sentence(tmp_path):
    made = {"api_key": "sk-1234567890", "base_url": "http://127.0.0.1:1/v1"}
    plain = openai.OpenAI(**made)
    there = {**made, "base_url": "http://127.0.0.1:2/v1"}
    anthropic = importlib.import_module("anthropic")
    azure = openai.AzureOpenAI(
        api_key="k-1234567890", api_version="1", azure_endpoint="http://127.0.0.1:3"
    )
    for candidate, words in (
        (openai.AsyncOpenAI(**there), "can't take each other's calls"),
        (anthropic.Anthropic(**there), "can't take each other's calls"),
        (openai.OpenAI(**there | {"api_key": lambda: "sk-1234567890"}), "made anew for each call"),
        (plain.with_options(base_url=there["base_url"]), "one and the same connections"),
        (azure, "the calls of a AzureOpenAI can't be carried over"),
        (hm.monitored(openai.OpenAI(**there)), "is watched already"),
        (openai.OpenAI(**made), "each one of its own"),
    ):
        with pytest.raises(PlanError, match=words):
            hm.routed(plain, candidate, state=tmp_path / "r.json")
    with pytest.raises(PlanError, match="steps don't rise to 1"):
        hm.routed(plain, openai.OpenAI(**there), state=tmp_path / "r.json", steps=(0.5,))
    with pytest.raises(PlanError, match="patience_s is out of range"):
        hm.routed(plain, openai.OpenAI(**there), state=tmp_path / "r.json", patience_s=0)
    assert not hasattr(plain, "monitor")  # and it may be tried again
    own = openai.OpenAI(**there, http_client=openai.DefaultHttpx2Client())
    assert hm.routed(plain, own, state=tmp_path / "r.json").router.share == 0.0
