"""What a server, a folder or a file says, in the log that a person, a terminal or a CI service reads.

Azure Pipelines obeys `##vso[` anywhere in a line, GitHub `::name ...::` where one begins and `##[`
anywhere, TeamCity `##teamcity[`; the test's patterns are theirs.
"""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

import pytest
from click.testing import CliRunner

from holymon.cli.main import main
from holymon.safety import Secret, redact

KEY = "qJ7x-Vb2m_Tz9wKp4Lr6Ns8Yd1"
SECRETS = (Secret(KEY, "MY_KEY"),)
COMMANDS = (
    "##vso[task.setvariable variable=PATH]/tmp/evil", "::set-output name=result::evil",
    "\n::add-mask::a", "::error file=a.py,line=1::evil", "##[error]evil",
    "##teamcity[buildStatus status='SUCCESS']", "#\x1b[0m#vso[task.complete result=Succeeded]",
    "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\", "\x9b2J", "\rholymon: all is well",
    "\u202eevil", "a\u200bb", "\u3164", "\U000e0041",
)  # fmt: skip
ECHOES = (
    KEY, KEY[:12], KEY[-9:], KEY.upper(), " ".join(KEY), KEY[4:16].lower(), f"{KEY[:10]}...{KEY[-10:]}",
    ", ".join(KEY[:11]), KEY[::-1], "\u200b".join(KEY), "\u202e\u2060".join(KEY[:12]),
)  # fmt: skip
OBEYED = re.compile(
    r"##\w*\[|(?m:^)\s*::\w[\w-]*(?: [^\n]*)?::"
    "|[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202e\u3164\U000e0041]"
)
LETTERS = KEY.replace("-", "").replace("_", "").lower()


def parts_of_the_key(text: str) -> set[str]:
    """Each eight letters of the key in a row, in any case and however spaced."""
    bare = "".join(filter(str.isalnum, re.sub("<U.[0-9A-F]+>", "", text))).lower()
    ways = LETTERS, LETTERS[::-1]
    return {way[k : k + 8] for way in ways for k in range(len(way) - 7)
            if way[k : k + 8] in bare}  # fmt: skip


@pytest.fixture(params=[COMMANDS, ECHOES], ids=["commands", "echoes"])
def speaking(request):
    """The address of a server whose errors say these words, wherever an error has room for any."""
    turn, words = count(), request.param

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            number = next(turn)
            word = words[number % len(words)]
            error = {"message": f"{word} no. {number}", "code": word, "type": word, "param": word}
            body = json.dumps({"error": error}).encode()
            self.send_response(503)
            self.send_header("x-request-id", word.encode("ascii", "ignore").decode().strip())
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            body = json.dumps({"data": [{"id": word} for word in words]}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Runs `holymon` in an empty folder; what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MY_KEY", KEY)

    def run(*arguments):
        done = CliRunner().invoke(main, arguments)
        return done.exit_code, done.stdout + done.stderr

    return run


def test_no_log_obeys_a_server_and_none_holds_a_part_of_the_key(speaking, command, tmp_path):
    there = ("--base-url", speaking, "--model", "m", "--api-key-env", "MY_KEY")
    code, text = command("load", *there, "--requests", "30", "--concurrency", "1")
    assert (code, "503" in text or "unavailable" in text) == (3, True), text
    shown = [text]
    for arguments in (
        ("load", *there, "--requests", "20", "--concurrency", "1", "--json"),
        ("runs",), ("compare", "last"), ("doctor", *there), ("report", "--run", "none such"),
    ):  # fmt: skip
        shown.append(command(*arguments)[1])
        assert len(shown[-1]) > 20
    for text in shown:
        assert not OBEYED.search(text), text
        assert not parts_of_the_key(text), text
    for path in (tmp_path / "reports").rglob("*"):
        if path.suffix in {".json", ".log", ".html", ".csv", ".jsonl"}:
            assert not parts_of_the_key(path.read_text("utf-8", "replace")), path


@pytest.mark.parametrize("word", COMMANDS)
def test_what_stands_in_a_folder_or_on_the_command_line_is_obeyed_by_no_log(
    command, tmp_path, word
):
    code, _ = command("load", "sim/fast", "--requests", "1", "--name", word)
    assert code == 0
    (folder,) = (path.parent for path in (tmp_path / "reports").glob("*/*/plan.json"))
    state = json.loads((folder / "state.json").read_text())
    told = {**state, "state": "failed", "detail": word, "trouble": word, "ended": word,
            "proxies": {word: word}}  # fmt: skip
    (folder / "state.json").write_text(json.dumps(told))
    name = word.replace("/", "-")
    elsewhere = folder.parent.parent / (name if name.isprintable() else f"x{name}")
    folder.parent.rename(elsewhere)
    last = f"{elsewhere.name}/{folder.name}"
    for arguments in (
        ("runs",), ("runs", "--json"), ("compare", last), ("report", "--run", last + "x"),
        ("load", word), ("compare", word, word), (word,), ("load", "sim/fast", "--rate", word),
        ("load", "sim/fast", "--slo", word), ("load", f"--{word}"),
    ):  # fmt: skip
        _, text = command(*arguments)
        assert text
        assert not OBEYED.search(text), (arguments, text)


@pytest.mark.parametrize(
    "spelled", ["%{:02x}", "%{:02X}", "\\u{:04x}", "\\x{:02x}", "&#{};", "&#x{:x};", "{:c}\u200b",
                "{:c}<U+200B>"]
)  # fmt: skip
def test_a_key_is_left_out_however_a_server_spells_its_letters(spelled):
    echo = "".join(spelled.format(ord(char)) for char in KEY)
    rest = redact(f"no: {echo} (100% &amp; \\u)", SECRETS)
    rest = rest.replace("\u200b", "").replace("<U+200B>", "")
    assert rest == "no: *** (100% &amp; \\u)"


def test_a_key_in_letters_of_full_width_is_left_out():
    wide = "".join(chr(ord(char) + 0xFEE0) for char in KEY)
    assert redact(f"no: {wide}!", SECRETS) == "no: ***!"
