"""One key through every path: it is sent to the server, and found nowhere else."""

import base64
import contextlib
import copy
import http.server
import json
import logging
import pickle
import threading
import traceback
from itertools import count
from urllib.parse import parse_qs, quote, urlsplit

import pytest

import holymon as hm
from holymon.errors import ConfigError
from holymon.load.caller import Caller
from holymon.plan.plan import Open, Plan, Prompts, Target
from holymon.plan.shapes import constant
from holymon.safety import MASK, spellings

# No prefix that a pattern would know: only knowing this very key can mask it.
KEY = "Canary/7fQ2+x9Zb=0123&456%789abcdef"
TEAM = "Team/9hT4+z1Bd=2345&678%901bcdefa"
HOOK = "T00000000/B00000000/Hook7fQ2x9Zb0123456789ab"
QUERY = "Query/6eP1+w8Ya=9012&345%678cdefab"

LOGGING = """
import logging, os, sys
logging.basicConfig(level=logging.DEBUG, filename=os.environ["CANARY_LOG"])
logging.captureWarnings(True)
"""
LOOK = """
import copy, logging, pickle, traceback
import holymon as hm
from holymon.load.caller import Caller
subject = hm.attach(run)
print(subject, subject.plan, repr(subject.plan), subject.notes, subject.status, vars(subject))
print(subject.summary(), subject.verdict(), hm.definitions(subject.records))
caller = Caller(subject.plan)
print(caller, vars(caller), [vars(type(caller))], caller._keys, f"{caller._keys[0]:>40}")
logging.getLogger("look").debug("%s %r %r %s", caller, vars(caller), caller._keys, caller._keys[0])
for way in (pickle.dumps, copy.deepcopy, copy.copy):
    try:
        print(way(caller._keys[0]))
    except TypeError as error:
        print(error)
print(subject.records.to_frame().to_string())
print(hm.write_csv(subject.records, subject.folder / "calls.csv").read_text())
"""


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers with the key that it was sent, in every spelling, in every place there is."""

    protocol_version = "HTTP/1.1"
    turn = count()
    seen: list[str]

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        if HOOK in self.path:  # a receiver that says no, and where it was asked
            self.seen.append(HOOK)
            self.answer(404, {"error": self.path, "again": self.path[::-1]}, reason=self.path)
            return
        number = next(self.turn)
        given = self.headers["authorization"].removeprefix("Bearer ")
        self.seen.append(given)
        if basic := self.headers["proxy-authorization"]:
            self.seen.append(basic)
            given += f" {basic} {base64.b64decode(basic[6:]).decode()}"
        if team := self.headers["x-team"]:
            (query,) = parse_qs(urlsplit(self.path).query, strict_parsing=True)["k"]
            self.seen.extend([team, query])
            given += f" {team} {query} {self.path}"
        forms = spellings(given)
        said = f"wrong key {forms[number % len(forms)]} (Bearer {given})"
        if number % 3 == 0:
            self.answer(401, {"error": {"message": said, "code": given, "type": given}})
        elif number % 3 == 1:
            delta = {"choices": [{"delta": {"content": said}, "index": 0}]}
            events = [json.dumps(delta), json.dumps({"error": {"message": said, "code": given}})]
            self.stream("".join(f"data: {event}\n\n" for event in events))
        else:
            self.answer(400, {"detail": [{"msg": said, "input": given}]}, reason=given)

    def answer(self, status, body, reason=None):
        data = json.dumps(body).encode()
        self.send_response(status, reason)
        self.send_header("content-type", "application/json")
        self.send_header("x-echo", self.headers["authorization"])
        self.send_header("x-request-id", self.headers["authorization"])
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def stream(self, text):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def echo():
    handler = type("Handler", (Echo,), {"turn": count(), "seen": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1", handler.seen
        server.shutdown()


@contextlib.contextmanager
def logged_to(path):
    """All that any library logs and warns of in this process, down to the last word, in a file."""
    handler, before = logging.FileHandler(path), logging.root.level
    handler.setFormatter(logging.Formatter(logging.BASIC_FORMAT))
    logging.root.addHandler(handler)
    logging.root.setLevel(logging.DEBUG)
    logging.captureWarnings(capture=True)
    try:
        yield
    finally:
        logging.captureWarnings(capture=False)
        logging.root.setLevel(before)
        logging.root.removeHandler(handler)
        handler.close()


def leaks(data: bytes, secret: str = KEY) -> list[str]:
    return [form for form in spellings(secret) if form.encode() in data]


def all_leaks(data: bytes) -> list[str]:
    return [form for secret in (KEY, TEAM, QUERY, HOOK) for form in leaks(data, secret)]


def test_one_key_through_every_path(holymon, echo, tmp_path, files_below, monkeypatch, capsys):
    base_url, seen = echo
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(LOGGING)
    env = {"MY_KEY": KEY, "MY_TEAM": TEAM, "MY_QUERY": QUERY}
    hook = {"MY_HOOK": base_url.replace("/v1", f"/{HOOK}")}
    logged = {
        **env, "PYTHONPATH": str(tmp_path / "site"), "PYTHONASYNCIODEBUG": "1",
        "CANARY_LOG": str(tmp_path / "debug.log"),
    }  # fmt: skip
    where = ["--base-url", base_url, "--model", "m", "--api-key-env", "MY_KEY",
             "--header", "x-team=$MY_TEAM", "--query", "k=${MY_QUERY}"]  # fmt: skip
    # A closed loop drops no call when it is late; a key that is refused would end it at its first.
    many = ["--concurrency", "4", "--requests", "60", "--no-first-call"]
    screens = [
        holymon("load", *where, "--concurrency", "1", "--requests", "1", env=env),
        holymon("load", *where, *many, env=env),
        holymon("load", *where, *many, "--json", env=env),
        holymon(
            "report",
            *where,
            *many,
            "--notify",
            "slack=MY_HOOK",
            "--summary",
            "s.md",
            "--summary",
            "s.json",
            env=logged | hook,
        ),
        holymon("calls", "last", "--bundle", "support.json", "--json", env=env),
        holymon("doctor", env=env),
        holymon("runs", env=env),
        holymon("metrics", "--textfile", "figures.prom", env=env),
        holymon("init", "team", env=env),
    ]
    assert json.loads(screens[4].stdout) == {"bundle": "support.json"}
    monkeypatch.chdir(tmp_path)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    with logged_to(tmp_path / "look.log"):
        exec(LOOK, {"run": "last"})
    looked = capsys.readouterr()
    assert seen.count(HOOK) == 1
    assert len(seen) - 1 in {3 * 181, 3 * 182}, (
        "180 calls, a first one, and the one behind it if it came to that"
    )
    assert set(seen) == {KEY, TEAM, QUERY, HOOK}, "the server was given them, and nothing else"
    assert "url/m" in looked.out
    said = "".join(screen.stdout + screen.stderr for screen in screens) + looked.out + looked.err
    assert MASK in said
    assert "authentication" in said
    assert all_leaks(said.encode()) == []
    files = files_below(tmp_path)
    kinds = {path.name for path, _ in files}
    assert {"report.html", "report.ipynb", "run.json", "plan.json", "state.json", "worker.log",
            "calls.parquet", "calls.csv", "index.html", "debug.log", "support.json", "s.md", "s.json"} <= kinds  # fmt: skip
    assert any(MASK.encode() in data for path, data in files if path.name.startswith("notes"))
    assert (tmp_path / "debug.log").stat().st_size > 10_000, "the log is really one of everything"
    assert (tmp_path / "look.log").read_text().count("DEBUG:look:"), "this process was logged, too"
    assert [(path.name, all_leaks(data)) for path, data in files if all_leaks(data)] == []


def test_a_notebook_that_looks_at_everything_keeps_the_key_to_itself(
    echo, tmp_path, monkeypatch, files_below
):
    import nbformat

    base_url, _ = echo
    monkeypatch.setenv("MY_KEY", KEY)
    target = Target(provider="url", model="m", base_url=base_url, api_key_env="MY_KEY")
    plan = Plan(targets=(target,), load=Open(constant(40)), requests=40)
    run = hm.measure(plan, out=tmp_path / "out")
    cells = [
        nbformat.v4.new_code_cell(
            "run: str = ''\nother: int = 1", metadata={"tags": ["parameters"]}
        ),
        nbformat.v4.new_code_cell(LOOK),
        nbformat.v4.new_code_cell("import os\nraise RuntimeError(os.environ['MY_KEY'])"),
    ]
    made = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": {
        "name": "python3", "display_name": "Python 3"}})  # fmt: skip
    nbformat.write(made, tmp_path / "look.ipynb")
    report = hm.write_report(tmp_path / "look.ipynb", run=run)
    assert (report.status, report.error) == ("failed", f"RuntimeError: {MASK}")
    assert MASK in report.html.read_text()
    found = [path.name for path, data in files_below(tmp_path / "out") if leaks(data)]
    assert found == []


def plan_for(base_url: str) -> Plan:
    target = Target(provider="url", model="m", base_url=base_url, api_key_env="MY_KEY")
    return Plan(targets=(target,), load=Open(constant(1)), requests=1, prompts=Prompts())


def test_no_form_of_a_caller_shows_it(monkeypatch):
    monkeypatch.setenv("MY_KEY", KEY)
    caller = Caller(plan_for("http://127.0.0.1:1/v1"))
    shown = [repr(caller), str(vars(caller)), str(caller.plan), caller.plan.to_json().decode(),
             repr(pickle.dumps(caller.plan)), repr(copy.deepcopy(caller.plan))]  # fmt: skip
    assert leaks("".join(shown).encode()) == []
    for way in (pickle.dumps, copy.copy, copy.deepcopy, json.dumps):
        with pytest.raises(TypeError) as caught:
            way(caller._keys[0])
        assert leaks(str(caught.value).encode()) == []


@pytest.mark.parametrize("junk", ["\n", "\r\nX-Evil: 1", " ", "\x00", "…", "\ud800"])
def test_a_key_that_can_not_be_sent_is_in_no_traceback(monkeypatch, junk):
    monkeypatch.setattr("os.environ", {"MY_KEY": KEY + junk})
    with pytest.raises(ConfigError) as caught:
        hm.start(plan_for("http://127.0.0.1:1/v1"))
    told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = "".join(line for line in told.format() if "pytest" not in line)
    frames = [frame for frame in told.stack if "/holymon/" in frame.filename]
    assert frames
    text = str(caught.value) + "".join(str(frame.locals) for frame in frames)
    assert leaks(text.encode("utf-8", "replace")) == []
    assert "MY_KEY" in ours


PASSWORD = "Proxy/8gR3+y0Ac=1234&567%890"


def test_a_proxys_password_and_a_webhooks_address_stay_where_they_belong(
    holymon, echo, tmp_path, files_below, capsys
):
    """The proxy is given its password, Alertmanager's settings hold the address; nothing else does."""
    base_url, seen = echo
    proxy = base_url.removesuffix("/v1").replace("//", f"//me:{quote(PASSWORD, safe='')}@")
    env = {"MY_KEY": KEY, "HTTP_PROXY": proxy, "http_proxy": proxy, "NO_PROXY": "", "no_proxy": ""}
    where = ["--base-url", "http://far.example/v1", "--api-key-env", "MY_KEY", "--insecure-http"]
    many = ["--model", "m", "--concurrency", "2", "--requests", "12", "--no-first-call"]
    wrong = {**env, "HTTP_PROXY": f"http://me:{PASSWORD}@", "http_proxy": f"http://me:{PASSWORD}@"}
    screens = [
        holymon("load", *where, *many, env=env),
        holymon("load", *where, *many, "--json", env=env),
        holymon("report", *where, *many, env=env),
        holymon("doctor", *where, env=env),
        holymon("doctor", *where, env=wrong),
        holymon("load", *where, *many, env=wrong),
        holymon("init", "team", "--webhook", f"https://hooks.example/{HOOK}", env=env),
        holymon("init", "team2", "--webhook", f"hooks.example/{HOOK}", env=env),
    ]
    assert {line for line in seen if line.startswith("Basic")} == {
        "Basic " + base64.b64encode(f"me:{PASSWORD}".encode()).decode()
    }
    said = "".join(screen.stdout + screen.stderr for screen in screens).encode()
    assert b"far.example" in said
    pair = f"me:{PASSWORD}"
    assert [leaks(said, secret) for secret in (KEY, PASSWORD, pair, HOOK)] == [[], [], [], []]
    files = files_below(tmp_path)
    for secret in (KEY, PASSWORD, pair):
        assert [path.name for path, data in files if leaks(data, secret)] == []
    assert [path.name for path, data in files if leaks(data, HOOK)] == ["alertmanager.yml"]
