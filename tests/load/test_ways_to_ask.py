"""Whoever an API wants to hear of, and whatever it wants to be told, it is asked so: keys under any
header, secrets in headers and queries, a model in the path, fields of its own, a client's certificate.

The forms are those of Azure OpenAI's REST reference (api-key, api-version, deployments), Anthropic's
(x-api-key, anthropic-version), and of gateways such as Cloudflare's (cf-aig-authorization beside the
provider's key) and Kong's mTLS.
"""

import asyncio
import json
import re
import ssl
import subprocess
import threading

import pytest

from holymon.errors import ConfigError, PlanError
from holymon.load.caller import Caller
from holymon.load.requests import prepared_of
from holymon.load.run import measure
from holymon.plan import consent, targets
from holymon.plan.plan import Closed, Plan, Prompts
from holymon.plan.target import Target
from holymon.plan.ways import with_ways
from holymon.protocols.dialects import DIALECTS
from holymon.structs import to_builtins
from tests.promises.faults.server import Server

KEY, TEAM, LOGIN = (
    "sk-canary-0123456789abcdef",
    "team-canary-9876543210fedcba",
    "canary/pass+word=42",
)
SECRETS = {"ASK_KEY": KEY, "ASK_TEAM": TEAM, "ASK_LOGIN": LOGIN}
CHAT = json.dumps(
    {"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}],
     "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
).encode()  # fmt: skip
OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (
    len(CHAT), CHAT,
)  # fmt: skip


@pytest.fixture(autouse=True)
def in_the_environment(monkeypatch):
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)


def echo(request: bytes) -> bytes:
    """A refusal that says again all that it was sent, as some gateways do."""
    body = json.dumps({"error": {"message": request.decode("latin-1")}}).encode()
    head = b"HTTP/1.1 403 No\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return head % len(body) + body


def called(target: Target, *, tls=None, answer=OK, path="", **prompts):
    """One call to a target at a server of our own: what it heard, and the marks."""

    async def go():
        server = Server([answer], tls=tls)
        if answer is echo:
            server.scripts = (lambda: [echo(server.seen[-1])],)
        async with server:
            at = Target(**{**to_builtins(target), "base_url": server.url + path})
            plan = Plan(targets=(at,), load=Closed(users=1), requests=1,
                        prompts=Prompts(texts=("hi",), stream=False, **prompts))  # fmt: skip
            caller = Caller(plan)
            try:
                marks = await caller.send(0, 0, 0.0)
            finally:
                await caller.aclose()
            return (server.seen or [b""])[0], marks

    return asyncio.run(go())


def heard(target: Target, **more) -> tuple[list[str], dict]:
    """The lines of the head, and the body."""
    seen, marks = called(target, **more)
    assert marks.error == "", marks.message
    head, _, body = seen.partition(b"\r\n\r\n")
    return head.decode().split("\r\n"), json.loads(body)


def target(base_url: str = "", **more) -> Target:
    return Target(**{"provider": "p", "model": "m", "base_url": base_url, **more})


def test_azure_is_asked_as_azure_wants_it():
    lines, _ = heard(target(model="our gpt/5", auth="api-key", api_key_env="ASK_KEY",
                            query={"api-version": "2024-10-21"}),
                     path="/openai/deployments/{model}")  # fmt: skip
    assert lines[0] == (
        "POST /v1/openai/deployments/our%20gpt%2F5/chat/completions?api-version=2024-10-21 HTTP/1.1"
    )
    assert f"api-key: {KEY}" in lines
    assert not [line for line in lines if line.lower().startswith("authorization")]


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ({}, f"authorization: Bearer {KEY}"),
        ({"auth": "bearer", "endpoint": "messages"}, f"authorization: Bearer {KEY}"),
        ({"endpoint": "messages"}, f"x-api-key: {KEY}"),
        ({"auth": "x-goog-api-key"}, f"x-goog-api-key: {KEY}"),
        ({"auth": "none"}, None),
    ],
)
def test_a_key_goes_under_the_header_that_is_asked_for(more, line):
    seen, _ = called(target(api_key_env="ASK_KEY", **more))
    lines = seen.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    assert [one for one in lines if KEY in one] == [line] * (line is not None)


def test_headers_and_queries_hold_literals_variables_and_dollars():
    lines, _ = heard(target(
        headers={"X-Team": "$ASK_TEAM", "Authorization": "Basic ${ASK_LOGIN}", "x-price": "5$$",
                 "user-agent": "ours/1"},
        query={"key": "$ASK_LOGIN", "a b": "c&d"},
    ))  # fmt: skip
    assert lines[0] == (
        "POST /v1/chat/completions?key=canary%2Fpass%2Bword%3D42&a%20b=c%26d HTTP/1.1"
    )
    assert {
        f"x-team: {TEAM}",
        f"authorization: Basic {LOGIN}",
        "x-price: 5$",
        "user-agent: ours/1",
    } <= {*lines}
    assert sum(line.startswith("user-agent") for line in lines) == 1


def test_fields_are_set_changed_inside_and_taken_out():
    asked = target(body={"temperature": 0, "max_tokens": None, "reasoning": {"effort": "low"}})
    assert heard(asked)[1] == {
        "model": "m", "messages": [{"role": "user", "content": "hi"}], "temperature": 0,
        "reasoning": {"effort": "low"},
    }  # fmt: skip


def test_what_a_server_says_again_holds_no_secret_and_neither_does_a_plan():
    asked = target(
        api_key_env="ASK_KEY", headers={"x-team": "$ASK_TEAM"}, query={"k": "$ASK_LOGIN"}
    )
    seen, marks = called(asked, answer=echo)
    assert all(text.encode() in seen for text in (KEY, TEAM, "canary%2Fpass%2Bword%3D42"))
    plan = Plan(targets=(asked,), load=Closed(users=1), requests=1)
    for text in (
        marks.message,
        marks.code,
        repr(marks.message),
        plan.to_json().decode(),
        repr(plan),
    ):
        assert not [secret for secret in (KEY, TEAM, LOGIN, "canary%2F") if secret in text]
    assert "ASK_TEAM" in plan.to_json().decode()


@pytest.fixture
def client_certificate(tmp_path, debian):
    """A certificate with its key, which a password locks, in one file."""
    folder = tmp_path / "client"
    folder.mkdir()
    subprocess.run(
        [debian("openssl", "openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:prime256v1", "-passout", f"pass:{LOGIN}", "-keyout", "key.pem",
         "-out", "cert.pem", "-days", "2", "-subj", "/CN=client"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    both = folder / "both.pem"
    both.write_bytes((folder / "cert.pem").read_bytes() + (folder / "key.pem").read_bytes())
    return both


def test_a_gateway_that_wants_two_headers_and_a_certificate_gets_them(
    client_certificate, certificate, tls
):
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_verify_locations(client_certificate.with_name("cert.pem"))
    with_all = target(
        api_key_env="ASK_KEY", headers={"x-team": "$ASK_TEAM"}, ca_file=str(certificate[0]),
        cert_file=str(client_certificate), cert_password_env="ASK_LOGIN",
    )  # fmt: skip
    lines, _ = heard(with_all, tls=tls)
    assert {f"authorization: Bearer {KEY}", f"x-team: {TEAM}"} <= {*lines}
    without = target(api_key_env="ASK_KEY", ca_file=str(certificate[0]))
    seen, marks = called(without, tls=tls)
    assert (seen, bool(marks.error)) == (b"", True)


@pytest.mark.parametrize(
    ("file", "password", "said"),
    [
        ("both.pem", "ASK_KEY", "no password that opens that"),
        ("both.pem", "", "no password that opens that"),
        ("both.pem", "ASK_NOWHERE", "set the environment variable ASK_NOWHERE"),
        ("none.pem", "", "No such file"),
    ],
)
def test_a_certificate_that_can_not_be_used_is_said_before_anything_is_sent(
    client_certificate, tmp_path, file, password, said
):
    asked = target("https://127.0.0.1:9/v1", cert_file=str(client_certificate.with_name(file)),
                   cert_password_env=password)  # fmt: skip
    with pytest.raises(ConfigError, match=said):
        measure(Plan(targets=(asked,), load=Closed(users=1), requests=1), out=tmp_path)


@pytest.mark.parametrize(
    "wrong",
    [
        {"headers": {"x-api-key": KEY}}, {"headers": {"x-team": KEY}}, {"query": {"api_key": "abc"}},
        {"headers": {"a b": "c"}}, {"headers": {"Host": "c"}}, {"headers": {"x": "a\r\nb: c"}},
        {"headers": {"x": "$"}}, {"headers": {"x": "${a b}"}}, {"query": {"": "c"}},
        {"auth": "a b"}, {"auth": "content-length"}, {"headers": {"x": "$sk-canary-0123456789abcdef"}},
        {"cert_password_env": KEY},
    ],
)  # fmt: skip
def test_what_no_request_can_carry_is_refused_without_its_value(wrong):
    with pytest.raises(PlanError) as refused:
        target(**wrong)
    assert KEY not in str(refused.value)
    assert "canary" not in str(refused.value)


def test_a_variable_that_is_not_set_is_named(monkeypatch):
    monkeypatch.delenv("ASK_TEAM")
    with pytest.raises(ConfigError, match="p/m needs ASK_TEAM: set the environment variable"):
        called(target(headers={"x-team": "$ASK_TEAM"}))


FILE = """
[gate]
base_url = "https://gate.example/{model}"
auth = "api-key"
api_key_env = "ASK_KEY"
headers = { x-team = "$ASK_TEAM", x-plain = "yes" }
query = { api-version = "1" }
body = '{"max_tokens": null, "user": "u"}'

[gate.models."m"]
input = 1.0
output = 2.0
body = { user = "v", top_k = 1 }
"""


@pytest.fixture
def in_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "targets.toml").write_text(FILE)
    return tmp_path


def test_a_file_of_targets_can_say_all_of_it(in_a_file):
    found = targets.target("gate/m")
    assert found.address == "https://gate.example/m"
    assert (found.auth, found.headers, found.query) == (
        "api-key", {"x-team": "$ASK_TEAM", "x-plain": "yes"}, {"api-version": "1"},
    )  # fmt: skip
    assert found.body == {"max_tokens": None, "user": "v", "top_k": 1}
    assert found.price.input == 1.0
    assert targets.target("gate/other").body == {"max_tokens": None, "user": "u"}
    plan = Plan(targets=(found,), load=Closed(users=1), requests=1)
    assert Plan.from_json(plan.to_json()) == plan


def test_whatever_a_file_sends_of_the_environment_needs_its_owners_word(in_a_file):
    found = targets.target("gate/m")
    assert [sending.variable for sending in consent.unasked([found])] == ["ASK_KEY", "ASK_TEAM"]
    with pytest.raises(ConfigError, match="would send the key in ASK_KEY"):
        consent.require([found])
    consent.remember(consent.unasked([found]))
    consent.require([targets.target("gate/other")])


@pytest.fixture
def azure():
    """A server that wants what Azure does, on a thread of its own."""
    seen = []
    ready, over = threading.Event(), []

    async def serve():
        async def handle(reader, writer):
            try:
                while True:
                    head = await reader.readuntil(b"\r\n\r\n")
                    lines = head.decode().lower().split("\r\n")
                    size = sum(
                        int(line[15:]) for line in lines if line.startswith("content-length")
                    )
                    body = await reader.readexactly(size)
                    good = "?api-version=2024-10-21 " in lines[0] and f"api-key: {KEY}" in lines
                    seen.append((head.decode(), body))
                    answer = OK if good else echo(head)
                    if good and lines[0].startswith("get "):
                        page = b'{"data": [{"id": "dep"}]}'
                        answer = OK[: OK.index(b"content-length")] + b"content-length: %d\r\n\r\n%s" % (
                            len(page), page)  # fmt: skip
                    writer.write(answer)
                    await writer.drain()
            except (OSError, asyncio.IncompleteReadError):
                writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        over.extend([asyncio.get_running_loop(), asyncio.Event()])
        over.append(server.sockets[0].getsockname()[1])
        ready.set()
        async with server:
            await over[1].wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(30)
    yield f"http://127.0.0.1:{over[2]}/openai/deployments/{{model}}", seen
    over[0].call_soon_threadsafe(over[1].set)
    thread.join()


@pytest.mark.parametrize(("field", "mend"), [
    ("temperature=", "temperature= has no value: write null to take the field out, or"),
    ("a..b=1", "a..b has a part without a name: a dot reaches inside"),
    (".a=1", ".a has a part without a name"),
])  # fmt: skip
def test_a_field_that_says_nothing_is_refused(field, mend):
    with pytest.raises(PlanError, match=f"^--set {re.escape(mend)}"):
        with_ways((Target(provider="p", model="m"),), field=(field,))


def test_the_command_asks_as_it_is_told_and_keeps_every_secret(
    azure, holymon, files_below, tmp_path
):
    url, seen = azure
    ways = ["--base-url", url, "--model", "dep", "--api-key-env", "ASK_KEY", "--auth", "api-key",
            "--query", "api-version=2024-10-21", "--header", "x-team=Team $ASK_TEAM"]  # fmt: skip
    done = holymon("load", *ways, "--set", "temperature=0.5", "--set", "a.b=text", "--no-stream",
                   "--requests", "3", "--rate", "50", "--json", env=SECRETS)  # fmt: skip
    assert json.loads(done.stdout)["targets"][0]["ok"] == 3, done.stderr
    assert "ASK_KEY goes to http://127.0.0.1" in done.stderr
    assert "/openai/deployments/{model}." in done.stderr
    assert "ASK_TEAM goes to" in done.stderr
    head, body = seen[-1]
    assert f"x-team: Team {TEAM}" in head
    assert json.loads(body)["temperature"] == 0.5
    assert json.loads(body)["a"] == {"b": "text"}
    doctor = holymon("doctor", *ways[:2], *ways[4:], env=SECRETS)
    assert "answers; 1 model: dep" in doctor.stdout
    wrong = holymon(
        "load", *ways[:-4], "--header", "x-team=$ASK_TEAM", "--requests", "3", env=SECRETS
    )
    assert wrong.returncode == 2
    for secret in (KEY, TEAM):
        for end in (done, doctor, wrong):
            assert secret not in end.stdout + end.stderr
        assert not [path for path, raw in files_below(tmp_path) if secret.encode() in raw]


def test_a_key_that_the_shell_has_put_in_is_refused_and_not_shown(holymon):
    done = holymon("load", "sim/fast", "--header", f"x-api-key={KEY}", "--requests", "1")
    assert done.returncode == 2
    assert "headers hold a key in 'x-api-key': put it into an environment variable" in done.stderr
    assert KEY not in done.stderr


PROVIDERS = {  # where a call goes, how the key stands there, and the page that says so (2026-11-26)
    "openai": ("https://api.openai.com/v1/chat/completions", "authorization: Bearer ",
               "platform.openai.com/docs/api-reference/authentication"),
    "anthropic": ("https://api.anthropic.com/v1/messages", "x-api-key: ", "platform.claude.com/docs/en/api/versioning"),
    "gemini": ("https://generativelanguage.googleapis.com/v1beta/openai/chat/completions", "authorization: Bearer ",
               "ai.google.dev/gemini-api/docs/openai"),
    "openrouter": ("https://openrouter.ai/api/v1/chat/completions", "authorization: Bearer ",
                   "openrouter.ai/openai/gpt-4-32k//api"),
    "deepseek": ("https://api.deepseek.com/v1/chat/completions", "authorization: Bearer ",
                 "api-docs.deepseek.com (with or without /v1)"),
    "groq": ("https://api.groq.com/openai/v1/chat/completions", "authorization: Bearer ", "console.groq.com/docs/api-reference"),
    "mistral": ("https://api.mistral.ai/v1/chat/completions", "authorization: Bearer ", "docs.mistral.ai/api"),
    "xai": ("https://api.x.ai/v1/chat/completions", "authorization: Bearer ", "docs.x.ai/api"),
    "together": ("https://api.together.xyz/v1/chat/completions", "authorization: Bearer ",
                 "docs.together.ai/docs/inference/openai-compatibility (api.together.ai there)"),
    "fireworks": ("https://api.fireworks.ai/inference/v1/chat/completions", "authorization: Bearer ",
                  "docs.fireworks.ai/tools-sdks/openai-compatibility"),
    "cohere": ("https://api.cohere.ai/compatibility/v1/chat/completions", "authorization: Bearer ",
               "docs.cohere.com/docs/compatibility-api"),
    "holysheep": ("https://api.holysheep.ai/v1/chat/completions", "authorization: Bearer ",
                  "holysheep.ai/articles, OpenAI-compatible protocol, 2026-06-15"),
    "holysheep-messages": ("https://api.holysheep.ai/v1/messages", "x-api-key: ",
                           "holysheep.ai/articles, Claude Code (ANTHROPIC_BASE_URL), 2026-04-11"),
    "llamacpp": ("http://127.0.0.1:8080/v1/chat/completions", "", "github.com/ggml-org/llama.cpp, tools/server/README.md"),
    "ollama": ("http://127.0.0.1:11434/v1/chat/completions", "", "docs.ollama.com/api/openai-compatibility"),
    "lmstudio": ("http://127.0.0.1:1234/v1/chat/completions", "", "lmstudio.ai/docs/api/openai-api"),
    "local": ("http://127.0.0.1:8000/v1/chat/completions", "", "docs.vllm.ai/en/v0.8.1/serving/openai_compatible_server.html"),
}  # fmt: skip


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_packaged_provider_is_asked_where_and_as_its_documentation_says(name, monkeypatch):
    url, key_header, _ = PROVIDERS[name]
    asked = targets.unpriced(f"{name}/m")
    path = DIALECTS[asked.endpoint].path
    assert asked.address + path == url
    assert bool(asked.api_key_env) == bool(key_header)
    if key_header:
        assert prepared_of(asked, path).key_header == key_header.encode()


def test_every_packaged_provider_has_its_page():
    assert {*targets.packaged()} - {"sim"} == {*PROVIDERS}


def test_a_target_can_stand_in_sets_and_be_a_key():
    one, other = target(headers={"x-a": "1"}), target(headers={"x-a": "2"})
    assert {one: 1}[target(headers={"x-a": "1"})] == 1
    assert len({one, other, target(headers={"x-a": "1"})}) == 2
    assert isinstance(hash(Plan(targets=(one,), load=Closed(users=1), requests=1)), int)
