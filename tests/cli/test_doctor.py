"""The doctor finds what is missing and says how to mend it, and shows no key."""

import json
import socket
import threading
import time
from contextlib import contextmanager, suppress

import pytest
from click.testing import CliRunner

from holymon.cli import doctor
from holymon.cli.doctor import examine
from holymon.cli.main import main

KEY = "sk-wrong-canary-0123456789"


def found(done) -> dict[str, dict]:
    return {check["what"]: check for check in json.loads(done.stdout)}


def test_a_fresh_machine_is_fine(holymon):
    done = holymon("doctor", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    checks = found(done)
    assert {"Python", "packages", "folder", "targets", "chromium"} <= set(checks)
    assert checks["key of holysheep"]["state"] == "note"
    assert "HOLYSHEEP_API_KEY" in checks["key of holysheep"]["mend"]


def test_a_server_that_answers_is_good_and_tells_its_models(holymon, simulator):
    done = holymon("doctor", "--base-url", simulator.base_url, "--json")
    check = found(done)[f"url at {simulator.base_url}"]
    assert (done.returncode, check["state"]) == (0, "good")
    assert "busy, cached, fast, flaky, gateway" in check["found"]


def test_a_server_that_is_not_there_is_bad(holymon):
    done = holymon("doctor", "--base-url", "http://127.0.0.1:9/v1", "--json")
    check = found(done)["url at http://127.0.0.1:9/v1"]
    assert (done.returncode, check["state"]) == (2, "bad")
    assert "connection_refused" in check["found"]


def test_a_server_is_asked_by_the_way_that_calls_go(holymon, simulator):
    """No call to this machine goes to a proxy, and a proxy of another kind is said to be one."""
    proxy = {"HTTP_PROXY": "http://127.0.0.1:9", "ALL_PROXY": "socks5://127.0.0.1:9"}
    done = holymon("doctor", "--base-url", simulator.base_url, "--json", env=proxy)
    assert found(done)[f"url at {simulator.base_url}"]["state"] == "good"
    done = holymon("doctor", "--base-url", "https://far.example/v1", "--json", env=proxy)
    check = found(done)["url at https://far.example/v1"]
    assert (done.returncode, check["state"]) == (2, "bad")
    assert "only http proxies are known" in check["mend"]


def test_a_refused_key_is_bad_and_is_not_shown(holymon, simulator):
    done = holymon("doctor", "--base-url", simulator.base_url, "--api-key-env", "MY_KEY",
                   env={"MY_KEY": KEY})  # fmt: skip
    assert done.returncode == 2
    assert "check the key in MY_KEY" in done.stdout
    assert KEY not in done.stdout + done.stderr


@pytest.mark.parametrize("key", [KEY + "\n", "", "sk-shor…tened", "two words"])
def test_a_key_that_can_not_be_sent_is_found(holymon, key):
    done = holymon("doctor", env={"OPENAI_API_KEY": key})
    assert done.returncode == 2
    assert "BAD key of openai" in done.stdout
    assert KEY not in done.stdout + done.stderr


def test_a_header_that_lacks_its_variable_is_found_beside_all_else_and_before_a_load(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GATE_KEY", KEY)
    monkeypatch.delenv("GATE_TEAM", raising=False)
    (tmp_path / "targets.toml").write_text(
        "[gate]\nbase_url = 'http://127.0.0.1:9/v1'\napi_key_env = 'GATE_KEY'\n"
        "headers = { x-team = '$GATE_TEAM' }\n"
    )
    checks = {finding.what: finding for finding in examine(("gate/m",))}
    lacking = checks["gate at http://127.0.0.1:9/v1"]
    assert (lacking.state, "set the environment variable GATE_TEAM" in lacking.mend) == (
        "bad",
        True,
    )
    assert checks["key of gate"].state == "good"
    load = [*"load gate/m --requests 1 --trust GATE_KEY=http://127.0.0.1:9/v1".split()]
    done = CliRunner().invoke(main, load, env={"HOLYMON_TRUST": ""})
    assert (done.exit_code, "set the environment variable GATE_TEAM" in done.stderr) == (2, True)
    assert not (tmp_path / "reports").exists()


def test_a_broken_targets_file_is_found(holymon, tmp_path):
    (tmp_path / "targets.toml").write_text("[mine")
    done = holymon("doctor")
    assert done.returncode == 2
    assert "targets.toml is not TOML" in done.stdout


TARGETS = """
[mine]
base_url = "{url}"
endpoint = "{endpoint}"
"""


@pytest.mark.parametrize(
    ("model", "endpoint", "code", "state", "words"),
    [
        ("fast", "messages", 0, "good", "answered after"),
        ("strict", "chat", 0, "good", "the longest answer is asked for as max_completion_tokens"),
        ("strict", "completions", 2, "bad", "not supported in the v1/completions endpoint"),
        ("gone", "chat", 2, "bad", "The model does not exist"),
    ],
)
def test_the_first_call_to_a_target_tells_what_it_learns(
    shared_simulator, tmp_path, monkeypatch, model, endpoint, code, state, words
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "targets.toml").write_text(
        TARGETS.format(url=shared_simulator.base_url, endpoint=endpoint)
    )
    checks = {check.what: check for check in examine((f"mine/{model}",))}
    check = checks[f"first call to mine/{model}"]
    assert (check.state, 2 if check.state == "bad" else 0) == (state, code)
    assert words in check.result
    assert checks[f"price of mine/{model}"].mend.endswith(
        "prices under [mine] in your targets.toml"
    )


def test_without_a_model_there_is_no_first_call_and_it_says_so(shared_simulator):
    checks = {check.what: check for check in examine(base_url=shared_simulator.base_url)}
    check = checks["first call to url/any"]
    assert (check.state, check.result) == ("note", "not made: no model was named")


@contextmanager
def dripping(head: bytes, rest: bytes):
    """The port of a server that sends `head` at once, then a byte each tenth of a second."""

    def serve(visitor):
        with visitor, suppress(OSError):
            visitor.recv(65536)
            visitor.sendall(head)
            for byte in rest:
                visitor.sendall(bytes([byte]))
                time.sleep(0.1)
            visitor.recv(1)  # until it hangs up

    def accept():
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=listener.accept()[:1], daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n"


@pytest.mark.parametrize(
    ("scheme", "head", "rest", "words", "mend"),
    [
        ("http", b"", HEAD, "within 1 s: not even its head came", "and how busy that is"),
        ("http", HEAD + b"{", b"", "within 1 s: only its head (status 200) and 1 byte came", "busy"),
        ("http", HEAD, b" " * 900, "within 1 s: only its head (status 200) and ", "how busy that is"),
        ("https", b"", b"", "no answer to the greeting of TLS in time", "write http://127.0.0.1"),
    ],
)  # fmt: skip
def test_of_a_server_that_drips_it_says_what_came_and_where_to_look(
    monkeypatch, scheme, head, rest, words, mend
):
    """It said "first_byte_timeout: CancelledError", also where bytes had come all the time."""
    monkeypatch.setattr(doctor, "PATIENCE_S", 1.0)
    with dripping(head, rest) as port:
        checks = {
            check.what: check for check in examine(base_url=f"{scheme}://127.0.0.1:{port}/v1")
        }
    check = checks[f"url at {scheme}://127.0.0.1:{port}/v1"]
    assert check.state == "bad"
    assert words in check.result
    assert mend in check.mend
