"""The simulator does what it says it does, and says what it did."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest

from holymon.sim.models import FAULTS, MODELS

ASK = {"messages": [{"role": "user", "content": "one two three"}], "max_tokens": 6}


def ask(base_url, model="fast", **more):
    return httpx.post(f"{base_url}/chat/completions", json={**ASK, "model": model, **more})


def events(text):
    return [line.removeprefix("data: ") for line in text.split("\n\n") if line]


def faults_of(base_url, n):
    found = []
    with httpx.Client(timeout=30.0) as client:
        for _ in range(n):
            body = {**ASK, "model": "flaky", "stream": True}
            try:
                with client.stream("POST", f"{base_url}/chat/completions", json=body) as answer:
                    found.append(answer.headers["x-sim-fault"])
                    if found[-1] != "stream_stalled":
                        answer.read()
            except httpx.TransportError:
                continue
    return found


def test_it_lists_its_models(simulator):
    answer = httpx.get(f"{simulator.base_url}/models").json()
    assert sorted(model["id"] for model in answer["data"]) == sorted(MODELS)


def test_a_plain_answer_has_text_usage_and_its_truth_in_headers(simulator):
    answer = ask(simulator.base_url)
    body = answer.json()
    assert body["usage"] == {"prompt_tokens": 3, "completion_tokens": 6, "total_tokens": 9}
    assert len(body["choices"][0]["message"]["content"].split()) == 6
    assert answer.headers["x-sim-fault"] == "ok"
    assert float(answer.headers["x-sim-ttft-ms"]) > 0
    assert answer.headers["x-holymon-sim"] == "1"


def test_a_stream_begins_with_a_role_and_ends_with_usage_and_done(simulator):
    answer = ask(simulator.base_url, stream=True, stream_options={"include_usage": True})
    *said, done = events(answer.text)
    parsed = [json.loads(one) for one in said]
    assert done == "[DONE]"
    assert parsed[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert all(one["choices"][0]["delta"]["content"] for one in parsed[1:7])
    assert parsed[7]["choices"][0]["finish_reason"] == "length"
    assert parsed[8]["choices"] == []
    assert parsed[8]["usage"]["completion_tokens"] == 6


def test_usage_is_sent_only_when_asked_for(simulator):
    assert "usage" not in ask(simulator.base_url, stream=True).text


def test_the_same_seed_has_the_same_faults(simulator):
    first = faults_of(simulator.base_url, 60)
    with subprocess.Popen(
        [sys.executable, "-m", "holymon.sim", "--port", "0", "--until-eof"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as other:  # fmt: skip
        second = faults_of(json.loads(other.stdout.readline())["base_url"], 60)
        other.stdin.close()
    assert first == second
    assert len(set(first)) >= 4


def test_it_counts_what_it_did(simulator):
    seen = faults_of(simulator.base_url, 80)
    counted = simulator.counted()["flaky"]
    assert counted["requests"] == 80
    assert {k: n for k, n in counted["faults"].items() if n} == {
        fault: seen.count(fault) for fault in set(seen)
    }


def test_the_stated_rates_of_faults_are_a_fifth():
    assert sum(FAULTS.values()) == pytest.approx(0.20, abs=0.03)


def test_busy_has_a_knee(simulator):
    async def median(users):
        async with httpx.AsyncClient(timeout=60) as client:

            async def one():
                begun = time.perf_counter()
                await client.post(f"{simulator.base_url}/chat/completions",
                                  json={**ASK, "model": "busy"})  # fmt: skip
                return time.perf_counter() - begun

            times = await asyncio.gather(*(one() for _ in range(users)))
        return sorted(times)[len(times) // 2]

    assert asyncio.run(median(40)) > 2 * asyncio.run(median(1))


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [({"model": "nosuch"}, 404, "model_not_found"), ({"messages": []}, 400, None),
     ({"max_tokens": -1}, 400, None), ({"max_tokens": 10**9}, 400, None)],
)  # fmt: skip
def test_a_request_that_can_not_be_is_answered_like_the_real_ones(simulator, change, status, code):
    answer = ask(simulator.base_url, **change)
    assert answer.status_code == status
    assert answer.json()["error"]["message"]
    assert code is None or answer.json()["error"]["code"] == code


def test_broken_json_and_wrong_paths_are_answered_in_json(simulator):
    answer = httpx.post(f"{simulator.base_url}/chat/completions", content=b"{")
    assert (answer.status_code, "error" in answer.json()) == (400, True)
    answer = httpx.get(f"{simulator.base_url}/nothing")
    assert (answer.status_code, "error" in answer.json()) == (404, True)


def test_a_wrong_key_is_refused_and_echoed_as_real_providers_do(simulator):
    key = "sk-wrong-0123456789"
    answer = httpx.post(f"{simulator.base_url}/chat/completions", json={**ASK, "model": "fast"},
                        headers={"authorization": f"Bearer {key}"})  # fmt: skip
    assert answer.status_code == 401
    assert key in answer.json()["error"]["message"]


def test_its_log_holds_the_true_times(tmp_path):
    log = tmp_path / "log.jsonl"
    with subprocess.Popen(
        [sys.executable, "-m", "holymon.sim", "--port", "0", "--until-eof", "--log", str(log)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        base_url = json.loads(process.stdout.readline())["base_url"]
        for _ in range(3):
            ask(base_url, stream=True)
        process.stdin.close()
    noted = [json.loads(line) for line in log.read_text().splitlines()]
    assert [one["tokens_sent"] for one in noted] == [6, 6, 6]
    for one in noted:
        assert 0 < one["first_token_s"] < one["last_token_s"] <= one["end_s"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_quietly_even_with_an_open_stream(number):
    with subprocess.Popen(
        [sys.executable, "-m", "holymon.sim", "--port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        base_url = json.loads(process.stdout.readline())["base_url"]
        body = {**ASK, "model": "slow", "stream": True, "max_tokens": 5000}
        with httpx.stream("POST", f"{base_url}/chat/completions", json=body) as answer:
            next(answer.iter_raw())
            process.send_signal(number)
            assert process.wait(30) == 0
        assert process.stderr.read() == ""


def test_a_port_in_use_is_one_sentence():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = subprocess.run(
            [sys.executable, "-m", "holymon.sim", "--port", str(taken.getsockname()[1])],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "Traceback" not in done.stderr
