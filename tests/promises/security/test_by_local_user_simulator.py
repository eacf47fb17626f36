"""By another program of this machine: the simulator is a server too, though one that knows nothing."""

import json
import re
from pathlib import Path

import httpx
import pytest

from holymon.sim.simulator import MOST_BODY

GOOD = {"model": "fast", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}
BODIES = [
    b"[" * 100_000, b'{"a":' * 50_000, b"1" * 5000, b"null", b"\xff", b"", b"3", b'"fast"',
    json.dumps({**GOOD, "max_tokens": 1e999}).encode(),
    *(json.dumps({**GOOD, name: value}).encode() for name, value in [
        ("max_tokens", "9" * 5000), ("max_tokens", -1), ("max_tokens", 10**9), ("max_tokens", [1]),
        ("messages", {"a": 1}), ("messages", [3]), ("messages", []),
        ("model", ["fast"]), ("stream_options", [1]),
    ]),
]  # fmt: skip


@pytest.mark.parametrize("path", ["chat/completions", "messages", "responses"])
def test_whatever_is_sent_is_answered_as_a_wrong_request(shared_simulator, path):
    with httpx.Client(base_url=shared_simulator.base_url) as client:
        statuses = [client.post(path, content=body).status_code for body in BODIES]
        assert statuses == [400] * len(BODIES)
        assert client.post(path, content=b" " * (MOST_BODY + 1)).status_code == 413
        assert client.post(path, json={**GOOD, "model": "../../etc/passwd"}).status_code == 404


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd",
             "/_sim/../../etc/passwd", "/_sim/log/x", "/v1/models/%2fetc%2fpasswd", "/static/x"]
)  # fmt: skip
def test_it_hands_out_no_file(shared_simulator, path):
    root = shared_simulator.base_url.removesuffix("/v1")
    answer = httpx.get(httpx.URL(root, raw_path=path.encode()))
    assert answer.status_code == 404
    assert "root:" not in answer.text


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="only Linux lists its sockets there")
def test_it_listens_to_this_machine_alone(shared_simulator):
    port = int(re.findall(r":(\d+)", shared_simulator.base_url)[0])
    listening = [
        line.split()[1] for name in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
        if line.split()[3] == "0A" and int(line.split()[1].partition(":")[2], 16) == port
    ]  # fmt: skip
    assert listening == [f"0100007F:{port:04X}"]
