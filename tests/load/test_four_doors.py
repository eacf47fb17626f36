"""OpenAI's GPT-5, Azure, a company's gateway and Anthropic, each as it wants to be asked: the
dashboard's load, a report's text and a monitor have their answers, and no secret is kept or shown.

The forms are those of OpenAI's API reference (`max_completion_tokens`), of Azure OpenAI's (api-key,
api-version, deployments), of gateways such as Cloudflare's (headers beside the provider's key) and
Kong's (mTLS), and of Anthropic's (x-api-key, anthropic-version). A refusal repeats all it was sent.
"""

import json
import ssl
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from ipywidgets.widgets.widget import _instances

import holymon as hm
from holymon.load.shown_request import shown_request
from holymon.report import sections
from holymon.safety import spellings
from holymon.widgets.set_up_tab import CALLS
from tests.load.test_ways_to_ask import KEY, LOGIN, SECRETS, TEAM, client_certificate
from tests.promises.field.cases import WHOLE, whole
from tests.protocols import test_messages as anthropic
from tests.widgets.test_dashboard import idle, until
from tests.widgets.test_dashboard import shown as explored

__all__ = ["client_certificate"]

TARGETS = """
[gpt]
base_url = "{root}/v1"
api_key_env = "ASK_KEY"
ca_file = "{ca}"
[azure]
base_url = "{root}/openai/deployments/{{model}}"
api_key_env = "ASK_KEY"
auth = "api-key"
query = {{ api-version = "2024-10-21" }}
ca_file = "{ca}"
[gateway]
base_url = "{root}/gateway/v1"
api_key_env = "ASK_KEY"
headers = {{ x-team = "$ASK_TEAM", x-login = "Basic $ASK_LOGIN" }}
ca_file = "{ca}"
cert_file = "{client}"
cert_password_env = "ASK_LOGIN"
[claude]
base_url = "{root}/v1"
endpoint = "messages"
api_key_env = "ASK_KEY"
ca_file = "{ca}"
"""
NAMES = ["gpt/m", "azure/m", "gateway/m", "claude/m"]
MESSAGE = {"type": "message", "content": [{"type": "text", "text": "Hello"}],
           "stop_reason": "end_turn", "usage": anthropic.USAGE}  # fmt: skip


class Doors(BaseHTTPRequestHandler):
    """Four APIs on one port: who is let in where is written in `opens`."""

    protocol_version, wbufsize = "HTTP/1.1", -1
    heard: list[str]

    def opens(self, body) -> str:
        """Which door it is, if all is there that is wanted."""
        given = {name.lower(): value for name, value in self.headers.items()}
        bearer = given.get("authorization") == f"Bearer {KEY}"
        if self.path == "/v1/chat/completions":
            return "gpt" * (bearer and "max_tokens" not in body)
        if self.path == "/openai/deployments/m/chat/completions?api-version=2024-10-21":
            return "azure" * (given.get("api-key") == KEY and "authorization" not in given)
        if self.path == "/gateway/v1/chat/completions":
            both = given.get("x-team") == TEAM and given.get("x-login") == f"Basic {LOGIN}"
            return "gateway" * (bearer and both and bool(self.connection.getpeercert()))
        keyed = given.get("x-api-key") == KEY and given.get("anthropic-version") == "2023-06-01"
        return "claude" * (self.path == "/v1/messages" and keyed and "max_tokens" in body)

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        door = self.opens(body)
        self.heard.append(door)
        stream, claude = body.get("stream"), door == "claude"
        if not door:
            self.answer(400, {"error": {"message": f"Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead. {self.path} {self.headers}",
                                        "param": "max_tokens", "code": "unsupported_parameter"}})  # fmt: skip
        elif stream:
            self.answer(200, b"".join(anthropic.WHOLE) if claude else WHOLE)
        else:
            self.answer(200, MESSAGE if claude else whole())

    def answer(self, status, value):
        raw = value if isinstance(value, bytes) else json.dumps(value).encode()
        kind = "text/event-stream" if isinstance(value, bytes) else "application/json"
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("x-request-id", self.headers.get("authorization", "none"))
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_):
        pass


@pytest.fixture
def doors(tls, certificate, client_certificate, tmp_path, monkeypatch):
    """What was heard at which door; the folder's targets.toml leads to them, and is trusted."""
    tls.verify_mode = ssl.CERT_OPTIONAL
    tls.load_verify_locations(client_certificate.with_name("cert.pem"))
    handler = type("Handler", (Doors,), {"heard": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        file = tmp_path / "targets.toml"
        root = f"https://127.0.0.1:{server.server_port}"
        file.write_text(TARGETS.format(root=root, ca=certificate[0], client=client_certificate))
        monkeypatch.chdir(tmp_path)
        for name, value in SECRETS.items():
            monkeypatch.setenv(name, value)
        hm.trust("targets.toml")
        yield handler.heard
        server.shutdown()


def test_at_four_doors_everything_is_answered_and_no_secret_is_kept(doors, tmp_path, files_below):
    run, shown = run_of_a_dashboard()
    assert run.first_calls[0].quirks.max_tokens == "max_completion_tokens"
    assert Counter(doors) == {"": 1, "gpt": 5, "azure": 5, "gateway": 5, "claude": 5}, (
        "a first call each, the refused one among them, and the load"
    )
    for name in NAMES:
        with hm.Monitor(name) as monitor:
            assert monitor.chat("hi", max_tokens=9).text == "Hello"
            assert len([*monitor.chat("hi", stream=True, max_tokens=9)]) > 2
            assert len(monitor.requests) == 2, "whatever the longest answer is called there"
            shown += [repr(monitor), monitor.records.to_frame().to_string()]
    assert Counter(doors) == {"": 2, "gpt": 7, "azure": 7, "gateway": 7, "claude": 7}
    shown += [
        sections.run_text(run),
        sections.method(run).html,
        repr(run),
        run._repr_html_(),
        run.plan.to_json().decode(),
    ]
    files = files_below(tmp_path / "reports")
    assert {"plan.json", "state.json", "calls.parquet"} <= {path.name for path, _ in files}
    for secret in (KEY, TEAM, LOGIN):
        forms = [form.encode() for form in spellings(secret)]
        assert [text for text in shown if any(form in text.encode() for form in forms)] == []
        assert [path for path, raw in files if any(form in raw for form in forms)] == []


def run_of_a_dashboard():
    """A run that a dashboard started, and all that the dashboard showed."""
    others = {*_instances}
    with explored(targets=NAMES) as made:
        fields = made._set_up
        fields._loop.value, fields._users.value = "closed", 1
        fields._ends.value, fields._length.value = CALLS, 4
        plan = fields.plan()
        assert [target.name for target in plan.targets] == NAMES
        looks = [shown_request(plan, target) for target in plan.targets]
        assert ["$ASK_KEY" in look for look in looks] == [True] * 4
        made._start.click()
        until(lambda: made.run is not None and not made.run.live)
        idle(made)
        states = [_instances[key].get_state() for key in {*_instances} - others]
        assert len(states) > 50
    assert [target.ok for target in made.run.summary().targets] == [4] * 4
    return made.run, [*looks, json.dumps(states, default=repr)]
