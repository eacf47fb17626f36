"""A simulator that a notebook starts by one call serves, and ends with whoever started it."""

import os
import signal
import subprocess
import sys

import httpx
import psutil
import pytest

import holymon as hm

KEEPS_IT = (
    "import holymon as hm, time; made = hm.simulator(); print(made.pid, flush=True); time.sleep(60)"
)


def test_one_call_serves_the_models_until_the_block_ends():
    with hm.simulator() as served:
        found = httpx.get(f"{served.base_url}/models").json()["data"]
        assert {one["id"] for one in found} == {
            "fast", "slow", "flaky", "busy", "pinned", "cached", "reasoning", "tools", "strict", "limited",
                "gateway", "quantized", "other", "odd",
        }  # fmt: skip
        assert served.base_url in repr(served)
    assert not psutil.pid_exists(served.pid)
    served.close()
    assert "closed" in repr(served)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{served.base_url}/models")


def test_it_ends_when_nothing_holds_it():
    pid = hm.simulator().pid
    assert not psutil.pid_exists(pid)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_with_a_kernel_that_is_killed(number):
    kernel = subprocess.Popen([sys.executable, "-c", KEEPS_IT], stdout=subprocess.PIPE, text=True)
    served = psutil.Process(int(kernel.stdout.readline()))
    kernel.send_signal(number)
    kernel.wait(20)
    kernel.stdout.close()
    served.wait(20)


def test_ctrl_c_that_is_meant_for_the_kernel_leaves_it_alone():
    with hm.simulator() as served:
        assert os.getpgid(served.pid) != os.getpgrp()


def test_one_that_can_not_start_is_one_sentence(tmp_path, capfd):
    with pytest.raises(ChildProcessError, match="the simulator did not start"):
        hm.simulator(log=tmp_path / "nowhere" / "log")
    assert "can't write to" in capfd.readouterr().err


def test_its_log_and_its_seed_are_those_given(tmp_path):
    log = tmp_path / "sim.jsonl"
    with hm.simulator(seed=3, log=log) as served:
        body = {"model": "fast", "max_tokens": 2, "messages": [{"role": "user", "content": "hi"}]}
        httpx.post(f"{served.base_url}/chat/completions", json=body).raise_for_status()
    assert log.read_text().count("\n") == 1
