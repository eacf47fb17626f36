"""Clients that are watched behave as before, and every call of theirs is on record."""

import asyncio
import base64
import contextlib
import gc
import gzip
import importlib
import json
import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from math import isnan
from time import perf_counter

import httpx
import httpx2
import msgspec
import pytest

import holymon as hm
from holymon.errors import NAMES, PlanError
from holymon.monitor.clients import monitored
from holymon.monitor.monitor import Monitor
from holymon.plan.plan import Target
from holymon.prometheus.sources import monitor_of
from holymon.records.attempt import Marks
from holymon.widgets import panels_html
from tests.promises.faults.server import (
    CHUNKED,
    FIN,
    HELLO,
    LAST,
    RST,
    Server,
    answer,
    chunk,
    completion,
    event,
    stream,
)

ASK = {"model": "fast", "messages": [{"role": "user", "content": "one two three"}], "max_tokens": 6}
STREAMED = {**ASK, "stream": True, "stream_options": {"include_usage": True}}
LIBRARIES = pytest.mark.parametrize("lib", [httpx, httpx2], ids=["httpx", "httpx2"])
CREATED = b"event: response.created\n" + event({"type": "response.created", "response": {}})
KEY = "sk-canary-1234567890abcdef"


def only(monitor):
    (row,) = monitor.records.rows
    return row


def error_of(row):
    return NAMES[row["error"]]


def refused(text, status="401 Unauthorized"):
    return [answer({"error": {"message": text}}, status)]


@pytest.mark.parametrize(
    "given",
    [{"headers": {"authorization": "Bearer tiny-key"}}, {"headers": {"x-api-key": "tiny-key"}},
     {"headers": {"X-Goog-Api-Key": "tiny-key"}}, {"params": {"key": "tiny-key"}}, {"auth": ("me", "tiny-key")}],
    ids=["bearer", "anthropic", "google", "query", "basic"],
)  # fmt: skip
def test_the_first_words_of_each_failure_stand_where_people_look_without_the_key(server, given):
    """Also of a key that looks like none: what the request held is known."""
    sent = base64.b64encode(b"me:tiny-key").decode() if "auth" in given else "tiny-key"
    bad = f"no key {sent} here, \x1b[31m<b>bold</b> {KEY}"
    served = server(refused(bad), refused("another one"), refused("slow down", "429 Too Many"))
    with monitored(httpx.Client()) as client:
        for _ in range(3):
            client.post(f"{served.url}/chat/completions", json=ASK, **given)
        with contextlib.suppress(httpx.ConnectError):
            client.post("http://127.0.0.1:9/v1/chat/completions", json=ASK, **given)
    stats = client.monitor.stats()
    here, nobody = stats.targets.values()
    words = "no key *** here, [31m<b>bold</b> ***"
    assert here.messages == {"authentication": words, "rate_limited": "slow down"}
    assert "refused" in nobody.messages["connection_refused"]
    assert stats.messages == here.messages | nobody.messages == stats.to_dict()["messages"]
    shown, page = repr(stats), panels_html.calls(stats)
    assert f"{here.target}: authentication: {words}" in shown
    assert "&lt;b&gt;bold&lt;/b&gt;" in page
    assert "<b>bold" not in page
    assert stats.lines.index(f"{here.target}: rate_limited: slow down") > 0
    for text in (shown, page, stats._repr_html_(), str(stats.to_dict())):
        assert [form for form in (KEY, sent, "tiny-key", "\x1b") if form in text] == []


def test_a_call_of_a_monitor_keeps_its_words_too_and_a_hundred_types_are_a_dozen_lines():
    async def work():
        async with Server(refused("not yours")) as served:
            target = hm.target("sim/fast")
            target = msgspec.structs.replace(target, provider="url", base_url=served.url)
            with Monitor(target) as monitor, contextlib.suppress(hm.CallError):
                await monitor.achat("hi")
            return monitor

    monitor = asyncio.run(work())
    assert monitor.stats().messages == {"authentication": "not yours"}
    for k in range(100):
        marks = Marks(k, monitor.ledger.index(Target(provider="p", model=str(k % 20))), 0.0)
        marks.start = marks.end = 0.0
        marks.error, marks.message = "server_error", f"{k} {'long' * 1000}"
        monitor.ledger.add(marks)
    lines = [line for line in monitor.stats().lines if ": server_error: " in line]
    assert len(lines) == 12
    assert max(map(len, lines)) < 240
    assert (
        monitor.records.select(monitor.records.ok).messages()[1]["server_error"].startswith("0 l")
    )


@LIBRARIES
def test_a_plain_call_is_on_record_and_its_answer_is_the_same(lib, simulator):
    url = f"{simulator.base_url}/chat/completions"
    with monitored(lib.Client()) as client:
        found = client.post(url, json=ASK)
    assert type(found) is lib.Response
    assert len(found.json()["choices"][0]["message"]["content"].split()) == 6
    row = only(client.monitor)
    assert (row["status"], error_of(row), row["prompt_tokens"], row["output_tokens"]) == (
        200,
        "",
        3,
        6,
    )
    assert row["bytes"] == len(found.content)
    assert row["start_s"] <= row["headers_s"] <= row["end_s"]
    assert client.monitor.stats().simulated


@LIBRARIES
def test_a_stream_is_timed_piece_by_piece(lib, simulator):
    url = f"{simulator.base_url}/chat/completions"
    with (
        monitored(lib.Client()) as client,
        client.stream("POST", url, json={**STREAMED, "max_tokens": 16}) as found,
    ):
        pieces = list(found.iter_raw())
    row = only(client.monitor)
    assert row["bytes"] == sum(map(len, pieces))
    assert (row["events"], row["output_tokens"]) == (16, 16)
    assert row["start_s"] < row["first_s"] < row["last_s"] <= row["end_s"]
    assert client.monitor.records.gap_pairs["n"].sum() == row["chunks"] - 1


@LIBRARIES
def test_an_async_client_is_watched_too(lib, simulator):
    async def go():
        async with monitored(lib.AsyncClient()) as client:
            url = f"{simulator.base_url}/chat/completions"
            await client.post(url, json=ASK)
            async with client.stream("POST", url, json=STREAMED) as found:
                assert [line async for line in found.aiter_lines()][-2] == "data: [DONE]"
            return client.monitor

    stats = asyncio.run(go()).stats()
    assert (stats.requests, stats.ok, stats.tokens.output) == (2, 2, 12)


@LIBRARIES
def test_a_get_asks_no_model_and_every_post_is_recorded(lib, simulator):
    with monitored(lib.Client()) as client:
        assert client.get(f"{simulator.base_url}/models").status_code == 200
        assert len(client.monitor.records) == 0
        assert client.post(f"{simulator.base_url}/nothing", json={"a": 1}).status_code == 404
        assert client.post(f"{simulator.base_url}/nothing", content=b"x").status_code == 404
    assert [error_of(row) for row in client.monitor.records.rows] == ["not_found"] * 2
    assert [target.model for target in client.monitor.records.targets] == ["nothing"]


@LIBRARIES
def test_exceptions_stay_what_they_were(lib, server):
    dead = server([RST])
    bare, watched = lib.Client(), monitored(lib.Client())
    with bare, watched:
        for client in (bare, watched):
            with pytest.raises(lib.ReadError) as caught:
                client.post(f"{dead.url}/chat/completions", json=ASK)
            assert type(caught.value) is lib.ReadError
            assert caught.value.request.url.path == "/v1/chat/completions"
    assert error_of(only(watched.monitor)) == "connection_reset"


@LIBRARIES
@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ([CHUNKED, chunk(HELLO[0]), LAST], "stream_truncated"),
        ([CHUNKED, chunk(HELLO[0]), RST], "connection_reset"),
        ([CHUNKED, chunk(HELLO[0]), FIN], "stream_truncated"),
        ([CHUNKED, FIN], "server_disconnected"),
        ([CHUNKED, chunk(event({"error": {"message": "no"}})), LAST], "stream_error_event"),
        ([answer({"error": {"message": "x", "code": "insufficient_quota"}}, "429 No")],
         "quota_exhausted"),
        ([answer(b"<html>", "502 Bad", "text/html")], "bad_gateway"),
        (stream(*HELLO), ""),
    ],
)  # fmt: skip
def test_failures_are_named_as_in_a_load(lib, script, expected, server):
    one = server(script)
    with monitored(lib.Client()) as client:
        try:
            with client.stream("POST", f"{one.url}/chat/completions", json=STREAMED) as found:
                found.read()
        except lib.TransportError:
            assert script[-1] in {RST, FIN}
    row = only(client.monitor)
    assert error_of(row) == expected
    assert bool(row["flags"] & 128) == bool(expected and row["events"])


@LIBRARIES
def test_a_refused_connection_and_a_timeout_have_their_names(lib, server):
    slow = server([5.0])
    with monitored(lib.Client(timeout=lib.Timeout(30, read=0.2))) as client:
        with pytest.raises(lib.ConnectError):
            client.post("http://127.0.0.1:9/v1/chat/completions", json=ASK)
        with pytest.raises(lib.ReadTimeout):
            client.post(f"{slow.url}/chat/completions", json=ASK)
    assert [error_of(row) for row in client.monitor.records.rows] == [
        "connection_refused", "first_byte_timeout",
    ]  # fmt: skip


@LIBRARIES
def test_what_fails_while_another_failure_is_handled_has_its_own_name(lib, server):
    dead = server([RST])
    with monitored(lib.Client()) as client:
        try:
            client.post("http://127.0.0.1:9/v1/chat/completions", json=ASK)
        except lib.ConnectError:
            with pytest.raises(lib.ReadError):
                client.post(f"{dead.url}/chat/completions", json=ASK)
    assert [error_of(row) for row in client.monitor.records.rows] == [
        "connection_refused", "connection_reset",
    ]  # fmt: skip


@LIBRARIES
def test_a_stream_that_is_left_early_is_cancelled_by_us(lib, server):
    one = server([CHUNKED, chunk(HELLO[0]), 5.0])
    with monitored(lib.Client()) as client:
        with client.stream("POST", f"{one.url}/chat/completions", json=STREAMED) as found:
            next(found.iter_raw())
        row = only(client.monitor)
    assert (error_of(row), row["events"]) == ("cancelled", 1)
    assert client.monitor.stats().success.of == 0


@LIBRARIES
def test_a_stream_ends_when_its_end_comes_however_long_it_is_kept_open(lib, server):
    one = server([CHUNKED, chunk(HELLO[0]), 0.05, chunk(b"".join(HELLO[2:])), 30.0])
    with (
        monitored(lib.Client()) as client,
        client.stream("POST", f"{one.url}/chat/completions", json=STREAMED) as found,
    ):
        pieces = found.iter_raw()
        while b"[DONE]" not in next(pieces):
            pass
        came = perf_counter() - client.monitor.ledger.zero
    row = only(client.monitor)
    assert error_of(row) == ""
    assert row["last_s"] < row["end_s"] <= came


@LIBRARIES
def test_a_stream_that_nobody_reads_is_on_record_once_it_is_forgotten(lib, server):
    one = server([CHUNKED, chunk(HELLO[0]), 5.0])
    with monitored(lib.Client()) as client:
        request = client.build_request("POST", f"{one.url}/chat/completions", json=STREAMED)
        found = client.send(request, stream=True)
        assert found.status_code == 200
        del found
        gc.collect()
        assert error_of(only(client.monitor)) == "cancelled"


@LIBRARIES
@pytest.mark.parametrize("path", ["embeddings", "responses/compact", "audio/speech"])
@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ([answer({"object": "list", "data": [], "error": None})], ""),
        ([answer(b"\xff\xf3sound", "200 OK", "audio/mpeg")], ""),
        (stream(CREATED), ""),
        (stream(CREATED, event({"error": {"message": "no"}})), "stream_error_event"),
        ([answer({"error": {"message": "no"}}, "500 No")], "server_error"),
        ([answer({"id": "made"}, "201 Created")], ""),
        ([answer({"error": {"message": "no"}}, "202 Accepted")], "server_error"),
        ([CHUNKED, chunk(HELLO[0]), RST], "connection_reset"),
    ],
)  # fmt: skip
def test_an_answer_of_another_kind_than_chat_is_no_failure(lib, path, script, expected, server):
    one = server(script)
    with monitored(lib.Client()) as client, contextlib.suppress(lib.ReadError):
        client.post(f"{one.url}/{path}", json={"model": "m", "input": "x"})
    assert error_of(only(client.monitor)) == expected


@LIBRARIES
def test_a_redirected_call_is_one_request(lib, server):
    last = server([answer(completion())])
    gone = f"location: {last.url}/chat/completions"
    first = server([answer({}, "307 Elsewhere", "application/json", gone)])
    with monitored(lib.Client(follow_redirects=True)) as client:
        for _ in range(2):
            assert client.post(f"{first.url}/chat/completions", json=ASK).status_code == 200
        client.post(f"{first.url}/chat/completions", json=ASK, follow_redirects=False)
        client.post(f"{last.url}/chat/completions", json=ASK)
    stats = client.monitor.stats()
    assert (stats.requests, stats.ok, stats.attempts, stats.retries) == (4, 3, 6, 2)
    assert stats.errors == {"unexpected_status": 1}


@LIBRARIES
def test_azures_path_names_the_model_and_has_a_query(lib, server):
    one = server([answer(completion())])
    with monitored(lib.Client()) as client:
        url = f"{one.url}/openai/deployments/mine/chat/completions?api-version=1"
        client.post(url, json={"messages": ASK["messages"]})
    assert error_of(only(client.monitor)) == ""


@LIBRARIES
def test_a_client_that_shares_a_watched_transport_is_refused_as_a_whole(lib):
    shared, own = lib.HTTPTransport(), lib.HTTPTransport()
    with monitored(lib.Client(transport=shared)):
        with (
            lib.Client(transport=own, mounts={"http://x": shared}) as other,
            pytest.raises(PlanError),
        ):
            monitored(other)
        assert not hasattr(own, "holymon_monitor")


def _left_by_child(found, monitor, results):
    found.close()
    results.put(len(monitor.records))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_stream_that_goes_on_at_a_fork_is_counted_by_the_parent_alone(server):
    one = server([CHUNKED, chunk(HELLO[0]), 5.0])
    context = multiprocessing.get_context("fork")
    with monitored(httpx.Client()) as client:
        with client.stream("POST", f"{one.url}/chat/completions", json=STREAMED) as found:
            pieces = found.iter_raw()
            next(pieces)
            results = context.Queue()
            child = context.Process(target=_left_by_child, args=(found, client.monitor, results))
            child.start()
            assert results.get(timeout=20) == 0
            child.join(20)
        assert error_of(only(client.monitor)) == "cancelled"


@LIBRARIES
def test_a_cancelled_task_is_cancelled_and_on_record(lib, server):
    one = server([5.0])

    async def go():
        async with monitored(lib.AsyncClient()) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await client.post(f"{one.url}/chat/completions", json=ASK)
            return client.monitor

    assert error_of(only(asyncio.run(go()))) == "cancelled"


def test_a_transport_for_tests_is_watched():
    def reply(request):
        return httpx.Response(200, json=completion())

    with monitored(httpx.Client(transport=httpx.MockTransport(reply))) as client:
        found = client.post("http://x.invalid/v1/chat/completions", json={**ASK, "model": "a\nb"})
    assert found.json() == completion()
    assert client.monitor.stats().target == "x.invalid/a b"
    assert only(client.monitor)["output_tokens"] == 2


@LIBRARIES
def test_compressed_answers_are_read(lib, server):
    body = gzip.compress(json.dumps(completion()).encode())
    one = server([answer(body, "200 OK", "application/json", "content-encoding: gzip")])
    with monitored(lib.Client()) as client:
        assert client.post(f"{one.url}/chat/completions", json=ASK).json() == completion()
    row = only(client.monitor)
    assert (error_of(row), row["output_tokens"]) == ("", 2)


def test_providers_are_known_by_their_address(server):
    with monitored(
        httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(500)))
    ) as client:
        client.post(
            "https://api.holysheep.ai/v1/chat/completions", json={**ASK, "model": "gpt-4.1"}
        )
    assert client.monitor.records.targets[0].name == "holysheep/gpt-4.1"
    assert client.monitor.records.targets[0].price.output == 8.0


@LIBRARIES
def test_providers_on_one_host_are_told_apart_by_their_path(lib, server, tmp_path, monkeypatch):
    one = server(*[[answer(completion())]] * 4)
    other = server([answer(completion())])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "targets.toml").write_text(
        f"[first]\nbase_url = '{one.url}/first/v1'\n[second]\nbase_url = '{one.url}/second/v1/'\n"
        f"[deep]\nbase_url = '{one.url}/second/v1/deep'\n[alone]\nbase_url = '{other.url}/v1'\n"
        "[broken]\nbase_url = 'http://h:port/v1'\n"
    )
    with monitored(lib.Client()) as client:
        for path in ("first/v1", "second/v1", "second/v1/deep/er", "third"):
            client.post(f"{one.url}/{path}/chat/completions", json=ASK)
        client.post(f"{other.url}/elsewhere/chat/completions", json=ASK)
    names = [target.name for target in client.monitor.records.targets]
    assert names[:3] == ["first/fast", "second/fast", "deep/fast"]
    assert names[3] == f"{httpx.URL(one.url).netloc.decode()}/fast"
    assert names[4] == "alone/fast"


def test_ten_thousand_models_are_a_hundred_targets():
    reply = httpx.MockTransport(lambda _: httpx.Response(500))
    with monitored(httpx.Client(transport=reply)) as client:
        for k in range(300):
            client.post("http://h/v1/chat/completions", json={**ASK, "model": f"m{k}"})
    monitor = client.monitor
    assert len(monitor.records.targets) == 101
    assert monitor.tally().targets["other/other"].attempts == {(500, "server_error"): 200}


def test_no_key_reaches_a_record_or_a_repr():
    reply = httpx.MockTransport(lambda r: httpx.Response(401, json={"error": {"code": KEY}}))
    with monitored(
        httpx.Client(transport=reply, headers={"authorization": f"Bearer {KEY}"})
    ) as client:
        client.post("http://h/v1/chat/completions", json={**ASK, "model": KEY})
    monitor = client.monitor
    said_of_it = f"{monitor!r} {monitor.stats()} {monitor.to_frame().to_csv()} {monitor.tally()}"
    assert KEY[:12] not in said_of_it
    assert KEY.encode()[:12] not in monitor.records.rows.tobytes()


def test_only_clients_can_be_watched_and_only_once():
    with pytest.raises(PlanError, match="only clients"):
        monitored(object())
    with monitored(httpx.Client()) as client, pytest.raises(PlanError, match="already"):
        monitored(client)


# The SDKs.


@pytest.fixture
def openai():
    """The SDK, imported by whoever needs it: that takes seconds."""
    return importlib.import_module("openai")


@pytest.fixture
def anthropic():
    """The same of the other one."""
    return importlib.import_module("anthropic")


@pytest.fixture
def sdk(simulator, openai):
    """An OpenAI client, watched."""
    with openai.OpenAI(base_url=simulator.base_url, api_key=KEY) as client:
        yield monitored(client)


def test_the_openai_sdk_works_as_before(sdk):
    found = sdk.chat.completions.create(**ASK)
    assert len(found.choices[0].message.content.split()) == 6
    words = [
        one.choices[0].delta.content
        for one in sdk.chat.completions.create(**STREAMED)
        if one.choices
    ]
    assert len("".join(word or "" for word in words).split()) == 6
    stats = sdk.monitor.stats()
    assert (stats.requests, stats.ok, stats.retries, stats.tokens.output) == (2, 2, 0, 12)
    assert stats.ttft_s.n == 1
    assert stats.itl_s.n == 5


def test_a_stream_is_not_held_back(sdk):
    for _ in range(3):  # a busy machine may hold one back
        events = sdk.chat.completions.create(**{**STREAMED, "max_tokens": 16})
        times = [perf_counter() for one in events if one.choices and one.choices[0].delta.content]
        row = sdk.monitor.records.rows[-1]
        # Held back, they would all come at once.
        if times[-1] - times[0] > (row["last_s"] - row["first_s"]) / 2:
            break
    else:
        pytest.fail("each time they came at once")


def test_the_async_openai_sdk_works_as_before(simulator, openai):
    async def go():
        async with openai.AsyncOpenAI(base_url=simulator.base_url, api_key=KEY) as client:
            monitored(client)
            await client.chat.completions.create(**ASK)
            async for _ in await client.chat.completions.create(**STREAMED):
                pass
            return client.monitor

    stats = asyncio.run(go()).stats()
    assert (stats.requests, stats.ok, stats.itl_s.n) == (2, 2, 5)


def test_a_watched_client_may_be_handed_to_the_sdk(simulator, openai):
    monitor = Monitor()
    http = monitored(httpx2.Client(), monitor)
    with openai.OpenAI(base_url=simulator.base_url, api_key=KEY, http_client=http) as client:
        client.chat.completions.create(**ASK)
    assert monitor.stats().ok == 1


def test_the_anthropic_sdk_works_as_before(simulator, anthropic):
    root = simulator.base_url.removesuffix("/v1")
    with anthropic.Anthropic(base_url=root, api_key=KEY) as client:
        monitored(client)
        found = client.messages.create(**ASK)
        assert len(found.content[0].text.split()) == 6
        with client.messages.stream(**ASK) as events:
            assert len(events.get_final_text().split()) == 6
            assert events.get_final_message().usage.output_tokens == 6
    stats = client.monitor.stats()
    assert (stats.requests, stats.ok, stats.tokens.output, stats.tokens.prompt) == (2, 2, 12, 6)
    assert (stats.ttft_s.n, stats.itl_s.n) == (1, 5)
    assert simulator.counted()["fast"]["requests"] == 2


def test_the_async_anthropic_sdk_works_as_before(simulator, anthropic):
    async def go():
        root = simulator.base_url.removesuffix("/v1")
        async with anthropic.AsyncAnthropic(base_url=root, api_key=KEY) as client:
            monitored(client)
            async with client.messages.stream(**ASK) as events:
                assert len("".join([text async for text in events.text_stream]).split()) == 6
            return client.monitor

    assert asyncio.run(go()).stats().itl_s.n == 5


def test_responses_of_the_openai_sdk_are_timed_and_judged(server, openai):
    kinds = [
        {"type": "response.created", "response": RESPONSE | {"status": "in_progress"}},
        *({"type": "response.output_text.delta", "delta": text, **PLACE} for text in "abc"),
        {"type": "response.completed", "response": RESPONSE},
    ]
    broke = RESPONSE | {"status": "failed", "error": {"code": "server_error", "message": "no"}}
    failed = [*kinds[:-1], {"type": "response.failed", "response": broke}]
    one = server(
        [answer(RESPONSE)],
        stream(*(event({"sequence_number": 1, **kind}) for kind in kinds), pause=0.01),
        stream(*(event({"sequence_number": 1, **kind}) for kind in failed)),
        [answer(broke)],
    )
    with openai.OpenAI(base_url=one.url, api_key=KEY) as client:
        monitored(client)
        assert client.responses.create(model="m", input="x").output_text == "abc"
        for last in ("response.completed", "response.failed"):
            seen = list(client.responses.create(model="m", input="x", stream=True))
            assert [one.type for one in seen][-1] == last
            assert "".join(getattr(one, "delta", "") for one in seen) == "abc"
        assert client.responses.create(model="m", input="x").status == "failed"
    rows = client.monitor.records.rows
    assert [error_of(row) for row in rows] == ["", "", "stream_error_event", "server_error"]
    assert [row["output_tokens"] for row in rows] == [7, 7, 3, -1]
    assert rows["start_s"][1] < rows["first_s"][1] < rows["last_s"][1]
    assert [isnan(row["first_s"]) for row in rows] == [True, False, False, True]


PLACE = {"item_id": "i", "output_index": 0, "content_index": 0, "logprobs": []}
RESPONSE = {
    "id": "r", "object": "response", "created_at": 1, "status": "completed", "model": "m",
    "error": None, "incomplete_details": None, "parallel_tool_calls": True, "tools": [],
    "tool_choice": "auto",
    "output": [{"type": "message", "id": "i", "role": "assistant", "status": "completed",
                "content": [{"type": "output_text", "text": "abc", "annotations": []}]}],
    "usage": {"input_tokens": 5, "output_tokens": 7, "total_tokens": 12,
              "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
              "output_tokens_details": {"reasoning_tokens": 0}},
}  # fmt: skip
BUSY = answer({"error": {"message": "busy"}}, "503 Busy", "application/json", "retry-after-ms: 1")


def test_attempts_that_an_sdk_makes_are_one_request(server, openai):
    one = server([BUSY], [BUSY], [answer(completion())])
    with openai.OpenAI(base_url=one.url, api_key=KEY) as client:
        monitored(client).chat.completions.create(**ASK)
    stats = client.monitor.stats()
    assert (stats.requests, stats.ok, stats.attempts, stats.retries) == (1, 1, 3, 2)
    assert stats.first_attempts.value == 0.0
    assert stats.latency_s.max > stats.attempt_s.max
    assert stats.backoff_s > 0
    assert len(set(client.monitor.records["request"])) == 1


def test_a_request_that_an_sdk_gave_up_is_undecided_until_the_next(server, openai):
    one = server([BUSY], [BUSY], [BUSY], [answer(completion())])
    with openai.OpenAI(base_url=one.url, api_key=KEY) as client:
        monitored(client)
        with pytest.raises(openai.InternalServerError):
            client.chat.completions.create(**ASK)
        stats = client.monitor.stats()
        assert (stats.requests, stats.undecided, stats.attempts) == (0, 1, 3)
        client.chat.completions.create(**ASK)
    stats = client.monitor.stats()
    assert (stats.requests, stats.undecided, stats.attempts) == (2, 0, 4)
    assert stats.errors == {"unavailable": 1}


def test_sums_never_shrink_while_an_sdk_repeats(server, openai):
    one = server([BUSY], [answer(completion())])
    seen = []
    with openai.OpenAI(base_url=one.url, api_key=KEY) as client:
        monitored(client)
        send = client._client._transport.handle_request

        def look(request):
            seen.append(client.monitor.tally())
            return send(request)

        client._client._transport.handle_request = look
        client.chat.completions.create(**ASK)
        seen.append(client.monitor.tally())
    (name,) = seen[-1].targets
    counted = [one.targets[name] for one in seen if name in one.targets]
    assert [sum(one.requests.values()) for one in counted] == [0, 1]
    assert [sum(one.attempts.values()) for one in counted] == [1, 2]


def test_eight_threads_are_counted_to_the_request(simulator, sdk):
    def work(_):
        for k in range(20):
            made = sdk.chat.completions.create(**(STREAMED if k % 2 else ASK))
            if k % 2:
                list(made)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert simulator.counted()["fast"] == {"requests": 160, "faults": {"ok": 160}}
    stats = sdk.monitor.stats()
    assert (stats.requests, stats.ok, stats.tokens.output) == (160, 160, 960)
    assert sum(sdk.monitor.tally().targets[stats.target].requests.values()) == 160


def test_200_tasks_at_once_are_counted_to_the_request(simulator):
    async def go():
        limits = httpx2.Limits(max_connections=300)
        async with monitored(httpx2.AsyncClient(limits=limits, timeout=60)) as client:
            url = f"{simulator.base_url}/chat/completions"

            async def one(k):
                async with client.stream("POST", url, json={**STREAMED, "model": "flaky"}) as found:
                    if found.headers["x-sim-fault"] == "stream_stalled":
                        return
                    try:
                        await found.aread()
                    except httpx2.TransportError:
                        return

            await asyncio.gather(*(one(k) for k in range(200)), return_exceptions=True)
            return client.monitor

    monitor = asyncio.run(go())
    faults = simulator.counted()["flaky"]["faults"]
    stats = monitor.stats()
    assert stats.requests == sum(faults.values()) == 200
    assert stats.ok == faults["ok"]
    stalled = {"cancelled": faults.get("stream_stalled", 0)}
    expected = {**{k: v for k, v in faults.items() if k not in {"ok", "stream_stalled"}}, **stalled}
    assert {k: v for k, v in stats.errors.items() if v} == {k: v for k, v in expected.items() if v}


def test_the_time_of_connecting_is_not_known_here(simulator, sdk):
    sdk.chat.completions.create(**ASK)
    assert isnan(only(sdk.monitor)["connect_s"])


def test_a_watched_client_stands_for_its_monitor(simulator):
    with monitored(httpx.Client(base_url=simulator.base_url)) as client:
        assert client.post("chat/completions", json=ASK).status_code == 200
        with hm.expose(client, port=0) as served:
            page = httpx.get(served.url).text
        assert 'model="fast"' in page
        assert hm.rehearse(client).targets == hm.rehearse(client.monitor).targets != ()
    with httpx.Client() as bare, pytest.raises(PlanError, match="can't be exported"):
        hm.expose(bare, port=0)


def test_a_copy_of_a_watched_client_stands_for_the_same_monitor(sdk):
    copy = sdk.with_options(timeout=9)
    copy.chat.completions.create(**ASK)
    assert monitor_of(copy) is sdk.monitor
    only(sdk.monitor)
    view = hm.watch(copy)
    try:
        assert view.monitor is sdk.monitor
    finally:
        view.close()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_what_a_proxy_says_of_its_password_is_in_no_record(server, monkeypatch, scheme):
    password = "Proxy7fQ2x9Zb0123456789"
    said = answer({"error": {"message": f"no, {password}"}}, f"407 no {password}")
    monkeypatch.setenv(f"{scheme}_proxy", server([said]).url.replace("//", f"//me:{password}@"))
    with hm.monitored(httpx.Client()) as client, contextlib.suppress(httpx.ProxyError):
        client.post(f"{scheme}://far.example/v1/chat/completions", json={"model": "m"})
    row, messages = client.monitor.records, client.monitor.records.messages()
    assert len(row) == 1
    assert password not in f"{messages} {row.to_frame().to_string()}"
