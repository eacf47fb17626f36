"""What becomes of a report beside its page: summary, PDF, and word of changes, failures, recoveries."""

import base64
import http.server
import json
import os
import socket
import socketserver
import threading
import time
from email import message_from_bytes
from email.policy import default

import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from holymon.catalogue import entries
from holymon.cli.main import main
from holymon.errors import ConfigError, PlanError, RunError
from holymon.formatting import markdown
from holymon.report import channels, digest, notify, payloads
from holymon.report.pdf import write_pdf

HOOK = "T0a1B2c3/Hook7fQ2x9Zb0123456789ab"
PASSWORD = "Mail/8gR3+y0Ac=1234&567%890"
HOSTILE = "<!channel> [now](http://evil.example) @all `x` | www.evil.example ![](//e) \x1b[31m"


def about(state="healthy", status="ok", **more):
    """A run.json as far as a summary takes it in."""
    interval = {"p50": [0.2, 0.3], "p95": None}
    times = {"n": 9, "p50": 0.25, "p95": 0.5, "ci": interval}
    target = {"target": "sim/fast", "requests": 10, "latency_s": times, "ttft_s": times,
              "error_rate": {"value": 0.1, "low": 0.02, "high": 0.4, "of": 10}, "cost_usd": 0.01}  # fmt: skip
    return {
        "health": {"state": state, "line": f"It is {state}"}, "targets": [target],
        "report": {"status": status, "error": "the kernel died", "started_at": "2026-11-27T08:00:00"},
        "verdict": {"measurement": "valid", "slo": []}, "simulated": True, **more,
    }  # fmt: skip


def summary(*args, page="reports/hourly/1/report.html", **more):
    return digest.digest(about(*args, **more), "hourly/1", page)


def change(figure="latency_p50", worse=True, since="hourly/0"):
    return {"figure": figure, "target": "sim/fast", "worse": worse, "since_run": since,
            "text": f"{figure} is 30 % longer since {since}"}  # fmt: skip


class Receiver(http.server.BaseHTTPRequestHandler):
    """Answers with what it is told to, the last of it for ever; keeps what it was sent."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.got.append((time.monotonic(), self.path, json.loads(body)))
        answers = self.server.answers
        status, head = answers.pop(0) if len(answers) > 1 else answers[0]
        self.send_response(status)
        for name, value in head.items():
            self.send_header(name, value)
        words = f"no, {self.path}".encode()
        self.send_header("content-length", str(len(words)))
        self.end_headers()
        self.wfile.write(words)

    def log_message(self, *_):
        pass


@pytest.fixture
def receiver(monkeypatch):
    """A webhook's receiver; its address is in HOOK."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        server.got, server.answers = [], [(200, {})]
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        monkeypatch.setenv("HOOK", f"http://127.0.0.1:{server.server_port}/{HOOK}")
        yield server
        server.shutdown()


class Post(socketserver.StreamRequestHandler):
    """A mail server of RFC 5321, as far as a client shows it; with STARTTLS and AUTH PLAIN."""

    def handle(self):
        self.say("220 here")
        server, data = self.server, None
        while line := self.rfile.readline():
            word = line.split()[0].upper() if line.split() else b""
            if word == b"EHLO":
                tls = ["250-STARTTLS"] * (server.context is not None)
                self.say("\r\n".join(["250-here", *tls, "250 AUTH PLAIN"]))
            elif word == b"STARTTLS":
                self.say("220 go")
                self.request = server.context.wrap_socket(self.request, server_side=True)
                self.rfile = self.request.makefile("rb")
                self.wfile = self.request.makefile("wb", 0)
                server.got.append(("tls", ""))
            elif word == b"AUTH":
                server.got.append(("auth", base64.b64decode(line.split()[2]).decode()))
                self.say(server.auth)
            elif word == b"DATA":
                self.say("354 go")
                data = b""
                while (line := self.rfile.readline()) != b".\r\n":
                    data += line
                server.got.append(("mail", data))
                self.say("250 kept")
            elif word == b"MAIL":
                self.say(server.mail.pop(0) if len(server.mail) > 1 else server.mail[0])
            elif word == b"QUIT":
                self.say("221 bye")
                return
            else:
                server.got.append((word.decode(), line.decode()))
                self.say("250 ok")

    def finish(self):
        super().finish()
        self.request.close()  # the server knows of the socket under TLS only

    def say(self, line):
        self.wfile.write(f"{line}\r\n".encode())


@pytest.fixture
def post():
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Post) as server:
        server.daemon_threads = True
        server.got, server.auth, server.mail, server.context = [], "235 ok", ["250 ok"], None
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


def channel(text="json=HOOK", **more):
    (made,) = channels.channels([text], **more)
    return made


def test_a_change_a_failure_and_a_recovery_are_told_and_nothing_else(tmp_path, receiver):
    hook, sent = channel(), []

    def reported(state="healthy", *changes, status="ok", name="hourly"):
        receiver.got.clear()
        made = about(state, status, changes=list(changes))
        known = digest.digest(made, f"{name}/1", "p")
        assert notify.notify(tmp_path, [hook], known, notify.changes_of(made)) == ()
        sent[:] = [body["event"] for _, _, body in receiver.got]
        return "".join(sent)

    assert reported() == ""
    assert reported(status="timeout") == "failure"
    assert reported(status="timeout") == ""
    assert reported("unhealthy") == "failure"
    assert reported("not judged") == "failure"
    assert reported() == "recovery"
    assert reported("worse", change()) == "change"
    assert reported("worse", change(since="hourly/later")) == "", "the same, better known"
    assert reported("worse", change(), change("ttft_p50")) == "change"
    assert reported() == ""
    assert reported("healthy", change(worse=False)) == "change"
    assert reported("unhealthy", name="daily") == "failure", "each name by itself"
    file = tmp_path / notify.FILE
    assert set(json.loads(file.read_text())["names"]) == {"hourly", "daily"}
    assert HOOK not in file.read_text()
    file.write_text('{"names": [')
    assert reported("unhealthy", name="daily") == "failure", "what is damaged is as if never told"
    known = msgspec.json.decode(file.read_bytes(), type=notify._File)
    known.names["daily"][hook.key] = notify.Notice("unhealthy", (), time.time() - notify.AGAIN_S)
    file.write_bytes(msgspec.json.encode(known))
    assert reported("unhealthy", name="daily") == "still so"
    assert reported("unhealthy", name="daily") == ""


def test_what_could_not_be_sent_is_said_without_its_address_and_sent_with_the_next(
    tmp_path, receiver
):
    hook, bad = channel(), about("unhealthy")
    receiver.answers[:] = [(404, {})]
    (note,) = notify.notify(tmp_path, [hook], summary("unhealthy"), notify.changes_of(bad))
    assert note == ("the notification to json=HOOK was not sent: HTTP 404 no, /***. "
                    "It is tried again with the next report.")  # fmt: skip
    assert len(receiver.got) == 1, "a refusal is final"
    receiver.answers[:] = [(200, {})]
    assert notify.notify(tmp_path, [hook], summary("unhealthy"), ()) == ()
    assert [body["event"] for *_, body in receiver.got] == ["failure", "failure"]


def test_those_that_are_told_at_once_lose_nothing(tmp_path):
    def keep(k):
        for n in range(5):
            assert notify._keep(tmp_path, f"{k}-{n}", "json=X", notify.Notice("healthy")) == []

    threads = [threading.Thread(target=keep, args=(k,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(notify._read(tmp_path).names) == 30


def test_a_busy_receiver_is_asked_again_as_late_as_it_says(receiver, monkeypatch):
    monkeypatch.setattr(channels, "WAIT_S", 0.01)
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:1")
    receiver.answers[:] = [(429, {"retry-after": "0.2"}), (503, {}), (200, {})]
    channels.send(channel("slack=HOOK"), summary(), "change")
    (a, path, body), (b, *_), _ = receiver.got
    assert (path, b - a >= 0.2) == (f"/{HOOK}", True)
    assert body["blocks"][0]["text"]["text"] == "hourly: healthy (change)"


@pytest.mark.parametrize(
    ("answer", "words", "times"),
    [
        ((307, {"location": "http://127.0.0.1:9/elsewhere"}), "HTTP 307", 1),
        ((429, {"retry-after": "60"}), "HTTP 429", 1),
        ((500, {"content-type": "text/html"}), "HTTP 500.", 2),
    ],
)
def test_a_receiver_that_will_not_is_given_up_in_time(receiver, monkeypatch, answer, words, times):
    monkeypatch.setattr(channels, "LIMIT_S", 2.0)
    monkeypatch.setattr(channels, "WAIT_S", 0.9)
    receiver.answers[:] = [answer]
    monkeypatch.setenv("HOOK2", os.environ["HOOK"])
    with pytest.raises(RunError, match=words) as caught:
        channels.send(channel("teams=HOOK2"), summary(), "change")
    assert HOOK not in str(caught.value)
    assert times <= len(receiver.got) <= 3 * times - 2


def test_where_nobody_answers_it_ends_in_time(monkeypatch):
    monkeypatch.setattr(channels, "LIMIT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        for text in (f"json=http://127.0.0.1:{port}/{HOOK}",
                     f"smtp=smtp://u:{HOOK[9:]}@127.0.0.1:{port}?from=a@b&to=c@d"):  # fmt: skip
            kind, _, address = text.partition("=")
            monkeypatch.setenv("V", address)
            with pytest.raises(RunError, match="not sent: no answer within") as caught:
                channels.send(channel(f"{kind}=V"), summary(), "change")
            assert "Hook7" not in str(caught.value)


def address(post, password=PASSWORD, to="c@example.org,d@example.org"):
    from urllib.parse import quote

    at = f"127.0.0.1:{post.server_address[1]}"
    return (
        f"smtp://me%40x:{quote(password, safe='')}@{at}?from=a@example.org&to={to}&cc=e@example.org"
    )


def test_a_mail_is_text_and_html_for_all_that_it_names(post, monkeypatch):
    monkeypatch.setattr(channels, "WAIT_S", 0.01)
    monkeypatch.setenv("MAIL", address(post))
    post.mail[:] = ["451 later", "250 ok"]
    hostile = summary("worse", changes=[{**change(), "text": HOSTILE}])
    channels.send(channel("smtp=MAIL"), hostile, "change")
    assert ("auth", f"\0me@x\0{PASSWORD}") in post.got
    receivers = [line for word, line in post.got if word == "RCPT"]
    assert [line.split(":")[1].strip() for line in receivers[-3:]] == [
        "<c@example.org>", "<d@example.org>", "<e@example.org>"]  # fmt: skip
    (data,) = [data for word, data in post.got if word == "mail"]
    mail = message_from_bytes(data, policy=default)
    assert (mail["subject"], mail["auto-submitted"]) == (
        "holymon: hourly: worse (change)", "auto-generated")  # fmt: skip
    assert mail["from"] == "a@example.org"
    text, html = mail.get_body(("plain",)).get_content(), mail.get_body(("html",)).get_content()
    assert "sim/fast: 10 calls, failed 10 % (2–40 %), latency p50 250 (200–300) ms" in text
    assert "&lt;!channel&gt;" in html
    assert "\x1b" not in text + html
    post.auth = f"535 5.7.8 not {PASSWORD}"
    monkeypatch.setenv("MAIL", address(post))
    with pytest.raises(RunError, match="SMTP 535") as caught:
        channels.send(channel("smtp=MAIL"), hostile, "change")
    assert PASSWORD not in str(caught.value)


def test_a_password_goes_to_another_machine_only_where_nobody_reads_along(
    post, monkeypatch, certificate
):
    monkeypatch.setattr(channels, "_is_local", lambda _: False)
    monkeypatch.setenv("MAIL", address(post))
    with pytest.raises(RunError, match="has no STARTTLS"):
        channels.send(channel("smtp=MAIL"), summary(), "change")
    assert [word for word, _ in post.got if word == "auth"] == []
    post.context, trusted = certificate
    monkeypatch.setenv("MAIL", address(post))
    with pytest.raises(RunError, match=r"self-signed certificate.*SSL_CERT_FILE"):
        channels.send(channel("smtp=MAIL"), summary(), "change")
    assert [word for word, _ in post.got if word == "auth"] == []
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    monkeypatch.setenv("MAIL", address(post))
    channels.send(channel("smtp=MAIL"), summary(), "change")
    assert [word for word, _ in post.got if word in {"tls", "auth", "mail"}] == [
        "tls",
        "auth",
        "mail",
    ]


def test_a_webhook_is_told_nothing_by_one_who_is_not_trusted(receiver, monkeypatch, certificate):
    context, trusted = certificate
    receiver.socket = context.wrap_socket(receiver.socket, server_side=True)
    for host, more in (("127.0.0.1", "self-signed certificate"), ("localhost", "not valid for")):
        monkeypatch.setenv("HOOK", f"https://{host}:{receiver.server_port}/{HOOK}")
        with pytest.raises(RunError, match=f"{more}.*SSL_CERT_FILE") as caught:
            channels.send(channel(), summary(), "change")
        assert HOOK not in str(caught.value)
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    assert receiver.got == []
    monkeypatch.setenv("HOOK", f"https://127.0.0.1:{receiver.server_port}/{HOOK}")
    channels.send(channel(), summary(), "change")
    assert len(receiver.got) == 1


@pytest.mark.parametrize(
    ("text", "value", "words"),
    [
        ("slack", "x", "write KIND=VAR"), ("pigeon=V", "x", "slack, teams, json, smtp"),
        ("json=a-b", "x", "write KIND=VAR"), ("json=V", "", "V is not set"),
        ("json=V", HOOK, "no address"), ("json=V", f"ftp://h/{HOOK}", "begin with https:// or http://"),
        ("json=V", f"http://h.example/{HOOK}", "--insecure-http"),
        ("json=V", f"https://h:x/{HOOK}", "no address"),
        ("smtp=V", f"smtp://u:{HOOK[9:]}@h", "from=A@B"),
        ("smtp=V", f"https://h/{HOOK}", "begin with smtp:// or smtps://"),
        ("json=V", f"https://h/{HOOK}\n", "begins or ends with white space"),
    ],
)  # fmt: skip
def test_what_can_be_no_address_is_said_before_anything_is_measured(
    monkeypatch, text, value, words
):
    monkeypatch.setenv("V", value)
    with pytest.raises((PlanError, ConfigError), match=words) as caught:
        channels.channels([text])
    assert "Hook7" not in str(caught.value)
    assert channels._is_local(channels.urlsplit("http://localhost:1/")) is True


@given(st.text(max_size=400))
def test_no_text_is_too_long_or_markup(text):
    """Limits of a section and of a message: the sources stand in `payloads`."""
    long = summary("worse", changes=[{**change(), "text": text * 9}] * 30)
    for section in payloads.slack(long, "change")["blocks"]:
        shown = section["text"]["text"]
        assert 0 < len(shown) <= 3000
        assert "<" not in shown
    assert len(json.dumps(payloads.teams(long, "change"))) <= payloads.MOST_BYTES


def test_what_servers_say_is_text_wherever_it_is_shown():
    page = "https://r.example/a(1).html"
    made = summary("worse", page=page, changes=[{**change(), "text": HOSTILE}])
    shown = digest.as_markdown(made)
    assert r"\<\!channel" not in shown
    assert r"- \<!channel\> \[now\](http\://evil.example) \@all \`x\` \| www\.evil.example" in shown
    assert f"[The report](<{page}>)" in shown
    assert "| sim/fast | 10 | 10 % (2–40 %) | 250 (200–300) | 500 |" in shown
    slack = payloads.slack(made, "change")
    assert "&lt;!channel&gt;" in slack["blocks"][1]["text"]["text"]
    assert slack["blocks"][-1]["text"]["text"] == f"<{page}|The report>"
    card = payloads.teams(made, "change")["attachments"][0]["content"]
    assert {block["type"] for block in card["body"]} == {"RichTextBlock"}
    assert card["actions"][0]["url"] == page
    assert "\x1b" not in shown + json.dumps([slack, card])
    assert markdown("a\n# b") == r"a \# b"


@pytest.mark.parametrize(
    "name", ["a\nBcc: evil@x", "a\r\nBcc: e", "\udcff", "\0", "\u202egnp", "a" * 5000]
)
def test_a_name_that_others_gave_a_folder_stops_no_message_and_adds_no_line(name):
    for page in (f"/srv/{name}/report.html", f"https://r.example/{name}"):
        made = digest.digest(about("unhealthy"), f"{name}/1", page)
        message = payloads.mail(made, "failure", {"From": "a@b.example", "To": "c@d.example"})
        read = message_from_bytes(message.as_bytes(), policy=default)
        assert (read["Bcc"], read["Subject"][:9]) == (None, "holymon: ")
        shown = (
            digest.as_markdown(made)
            + digest.as_text(made)
            + json.dumps(payloads.slack(made, "failure"))
        )
        assert shown.encode()
        assert "\u202e" not in shown


def test_a_report_that_could_not_be_begun_leaves_a_page_and_is_told(
    tmp_path, receiver, monkeypatch
):
    """As a team would find it in the morning: a key that is not set."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NO_KEY", raising=False)
    command = ["report", "--base-url", "http://127.0.0.1:9/v1", "--model", "m", "--api-key-env",
               "NO_KEY", "--name", "hourly", "--notify", "slack=HOOK", "--summary", "s.json",
               "--summary", "s.md", "--reports-url", "https://r.example/reports/"]  # fmt: skip
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 2
    assert "NO_KEY" in done.stderr
    page = tmp_path / done.stdout.strip()
    html = page.read_text()
    assert "This report is not complete" in html
    assert "NO_KEY" in html
    assert HOOK not in html
    assert (page.parents[1] / "latest.html").read_text() == html
    assert "NO_KEY" in (tmp_path / "reports" / "index.html").read_text()
    told = json.loads((page.parent / "run.json").read_text())["report"]
    assert told["status"] == "failed"
    assert entries.entries(tmp_path / "reports") == [], "it is no run"
    ((_, _, body),) = receiver.got
    assert body["text"].startswith(
        "hourly: unfinished (failure): The report is not complete, failed"
    )
    known = json.loads((tmp_path / "s.json").read_text())
    relative = page.relative_to(tmp_path / "reports").as_posix()
    assert known["report"] == f"https://r.example/reports/{relative}"
    assert (known["state"], known["targets"]) == ("unfinished", [])
    assert "**hourly: unfinished**" in (tmp_path / "s.md").read_text()
    assert "HOOK" not in os.environ, "what is started later can't read it"
    receiver.got.clear()
    monkeypatch.setenv("HOOK", f"http://127.0.0.1:{receiver.server_port}/{HOOK}")
    nowhere = ["report", "sim/fast", "--name", "x", "--out", "s.md/out", "--notify", "json=HOOK"]
    done = CliRunner().invoke(main, nowhere)
    assert done.exit_code == 4
    assert "notified.json can't be written" in done.stderr
    assert [(body["event"], body["name"]) for *_, body in receiver.got] == [("failure", "x")]
    refused = CliRunner().invoke(main, ["report", "--summary", "s.txt"])
    assert (refused.exit_code, "neither .md nor .json" in refused.stderr) == (2, True)


def test_a_pdf_is_printed_beside_the_page_without_asking_anybody(tmp_path, debian, monkeypatch):
    debian("chromium", "chromium")
    page = tmp_path / "report.html"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.01)
        port = listening.getsockname()[1]
        page.write_text(f"<h1>It</h1><img src='http://127.0.0.1:{port}/x.png'>")
        made = write_pdf(page)
        with pytest.raises(TimeoutError):
            listening.accept()
    assert made == tmp_path / "report.pdf"
    assert made.read_bytes().startswith(b"%PDF-")
    slow = tmp_path / "bin" / "chromium"
    slow.parent.mkdir()
    slow.write_text("#!/bin/sh\nsleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}:{os.environ['PATH']}")
    with pytest.raises(RunError, match=r"took longer than 0\.1 s"):
        write_pdf(page, 0.1)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RunError, match="needs Chromium or Chrome, and none is here"):
        write_pdf(page)
