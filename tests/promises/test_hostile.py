"""Whatever a server or a name says is data: inert in pages, tables, terminals, CSV and file names."""

import csv
import io
import json
import socketserver
import threading
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.text import Text

import holymon as hm
from holymon.plan.plan import Closed, Open, Plan, Prompts, Target
from holymon.plan.shapes import constant
from holymon.records.export import cell
from holymon.report import sections
from holymon.safety import MASK

HOSTILE = (
    "<script>document.title='pw'+'ned'</script></script><img src=x onerror=\"document.title='pw'+'ned'\">"
    "<svg onload=document.title='pw'+'ned'></td></table><a href='javascript:alert(1)'>x</a>"
    "<iframe srcdoc='<script>1</script>'></iframe>{{7*7}} $\\mathrm{x}$ `x` [x](javascript:alert(1))"
    "\u202edetrever\u202c\u2066\u200b \x1b[31mred\x1b]0;title\x07\x9b31m\r=cmd|'/c calc'!A0"
)
KEY_LIKE = "sk-" + "k3y" * 9
NAMES = [
    "../../etc/passwd", "..\\..\\windows\\system32", "/etc/shadow", "CON", "nul.txt", "com1", ".",
    "..", ".hidden", "a" * 300, "a\nb", "a\0b", "é" * 200, "-rf", "~root", "a/b:c*d?e",
    "<script>alert(1)</script>", "=1+1", "\u202egnp.exe", "$(reboot)", "%00", "a;b&&c|d`e`",
]  # fmt: skip


class Server(socketserver.StreamRequestHandler):
    """Answers by turns: an error, a stream of hostile tokens, and an error in the stream."""

    distinct = False

    def handle(self):
        # An empty line ends a head, and so does the end of the stream, which has lines for ever.
        while head := [*iter(lambda: self.rfile.readline().strip(), b"")]:
            (length,) = (line for line in head if line.lower().startswith(b"content-length"))
            self.rfile.read(int(length.split(b":")[1]))
            self.reply(next(self.turn))

    def reply(self, number):
        said = f"{HOSTILE} number {number}" if self.distinct else HOSTILE
        code = f"code_{number}" if self.distinct else "=evil<b>"
        error = {
            "error": {"message": f"{KEY_LIKE} {said}", "code": code, "type": said, "param": said}
        }
        delta = {"choices": [{"delta": {"content": said}, "finish_reason": None}], "model": said}
        whole = {"choices": [{"delta": {}, "finish_reason": said}], "model": said}
        if number % 3 == 0 or self.distinct:
            self.answer("500 No", "application/json", json.dumps(error))
        else:
            events = [delta, whole] if number % 3 == 1 else [delta, error]
            text = "".join(f"data: {json.dumps(event)}\n\n" for event in events)
            self.answer("200 OK", "text/event-stream", text)

    def answer(self, status, kind, text):
        head = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(text)}\r\n\r\n"
        self.wfile.write((head + text).encode())


@pytest.fixture
def serve():
    servers = []

    def start(**how):
        handler = type("Handler", (Server,), {"turn": count(), **how})
        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}/v1"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def target(base_url, model=HOSTILE, provider="url"):
    return Target(provider=provider, model=model, base_url=base_url)


def visible(text: str) -> bool:
    """Whether a text is free of what could fool a terminal or a reader."""
    return not set(text) & set(map(chr, [*range(9), *range(11, 32), *range(127, 160)])) and not any(
        char in text for char in "\u202e\u202c\u2066\u200b"
    )


def test_a_hostile_server_is_inert_in_every_view(serve, tmp_path, holymon, chromium):
    plan = Plan(targets=(target(serve()),), load=Open(constant(60)), requests=90)
    run = hm.measure(plan, out=tmp_path / "reports")
    assert set(run.summary().targets[0].errors) == {"server_error", "stream_error_event"}
    listed, reported = holymon("runs"), holymon("report", "--run", run.id)
    page_of_it = run.folder / "report.html"
    html = page_of_it.read_text()
    assert "This report is not complete" not in html
    assert not set("\u202e\x1b\x07\x9b") & set(html)
    with chromium.new_context(offline=True) as context:
        page = context.new_page()
        asked, said = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("dialog", lambda dialog: said.append(dialog.message))
        for path in (page_of_it, tmp_path / "reports" / "index.html"):
            page.goto(path.resolve().as_uri())
            assert page.title().startswith("holymon")
            assert "pwned" not in page.title()
            assert page.evaluate("document.scripts.length") == 0
            active = "iframe, object, embed, [srcdoc], [onload], [onerror], a[href^=javascript]"
            assert page.evaluate(f"document.querySelectorAll('{active}').length") == 0
            assert "<script>document.title" in page.inner_text("body"), "it is shown, as text"
            assert visible(page.inner_text("body"))
        page.goto(page_of_it.resolve().as_uri())
        titles = "".join(page.locator("svg .spot title").all_text_contents())
        assert "<script>document.title" in titles, "what a picture tells is text, too"
        assert MASK in titles
        assert visible(titles)
    assert said == []
    assert [path for path in run.folder.iterdir() if KEY_LIKE.encode() in path.read_bytes()] == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    shown = [
        sections.run_text(run),
        repr(run),
        str(run.verdict()),
        repr(hm.definitions(run.records)),
    ]
    shown += [screen.stdout + screen.stderr for screen in (listed, reported)]
    for text in shown:
        assert visible(text), text


def test_thousands_of_distinct_texts_leave_a_bounded_trace(serve, tmp_path):
    plan = Plan(
        targets=(target(serve(distinct=True), "m"),), load=Closed(users=16), requests=2_000,
        prompts=Prompts(stream=False),
    )  # fmt: skip
    run = hm.measure(plan, out=tmp_path)
    assert run.summary().targets[0].errors == {"server_error": 2_000}
    assert sum(path.stat().st_size for path in run.folder.glob("notes.*")) < 100_000
    parts = (sections.verdict, sections.figures, sections.errors, sections.method)
    html = "".join(part(run).html for part in parts)
    assert len(html) < 100_000
    assert 0 < html.count("number ") < 20
    drawn = hm.plot_errors(run).figure.findobj(Text)
    assert len(drawn) < 100
    assert sum(len(text.get_text()) for text in drawn) < 2_000
    assert len(sections.run_text(run).splitlines()) < 60


@pytest.mark.parametrize("name", NAMES)
def test_no_name_leaves_its_folder(tmp_path, monkeypatch, name):
    (tmp_path / "out").mkdir()
    inside = tmp_path / "out"
    plan = Plan(targets=(target("http://127.0.0.1:9/v1", name),), load=Open(constant(200)),
                requests=8, name=name)  # fmt: skip
    # The worker is given a folder and looks for no other; one of all names shows it.
    if name != NAMES[0]:
        monkeypatch.setattr("holymon.load.process.Process", lambda *_, **__: None)
    run = hm.start(plan, out=inside, detached=False)
    if name == NAMES[0]:
        run.wait()
    assert run.folder.resolve().is_relative_to(inside.resolve())
    assert run.folder.parent.parent == inside, "one folder for the name, one for the time"
    for part in run.folder.relative_to(inside).parts:
        assert set(part) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
        assert len(part) <= 100
        assert not part.startswith((".", "-"))
    assert hm.attach(run.id, out=inside).plan.targets[0].model == name
    assert [path for path in tmp_path.iterdir() if path != inside] == []


@pytest.mark.parametrize(
    "text",
    ["=cmd|'/c calc'!A0", "+1", "-1+2", "@SUM(A1)", "\t=1", "\r=1", " =1", "\u00a0=1", "\n=1",
     "\uff1d1", "\0=1", "\x1b=1"],
)  # fmt: skip
def test_a_formula_is_text(text):
    assert cell(text).startswith("'")
    assert visible(cell(text))


@given(st.text(max_size=40))
def test_no_cell_begins_like_a_formula(text):
    made = cell(text)
    assert not made.lstrip().startswith(("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠"))
    assert "\n" not in made
    assert "\r" not in made


def test_csv_is_read_back_and_runs_nothing(serve, tmp_path):
    plan = Plan(targets=(target(serve(), "=cmd|'/c calc'!A0\n\"x\";=1,2"),),
                load=Open(constant(60)), requests=30)  # fmt: skip
    run = hm.measure(plan, out=tmp_path)
    path = hm.write_csv(run.records, tmp_path / "calls.csv")
    rows = list(csv.DictReader(io.StringIO(path.read_bytes().decode(), newline="")))
    assert len(rows) == 30
    frame = run.records.to_frame()
    assert list(rows[0]) == list(frame.columns)
    assert [float(row["end_s"]) for row in rows] == pytest.approx(list(frame["end_s"]))
    for row in rows:
        assert row["target"].startswith("url/=cmd"), "a slash before it: no formula"
        for name in ("target", "error_type", "code", "finish"):
            assert row[name] == cell(row[name])
    assert {row["code"] for row in rows} <= {"'=evil<b>", "", "other"}


def test_a_csv_that_can_not_be_written_is_one_sentence(serve, tmp_path):
    run = hm.measure(Plan(targets=(target(serve(), "m"),), load=Open(constant(60)), requests=9),
                     out=tmp_path)  # fmt: skip
    with pytest.raises(hm.RunError, match=r"no\.csv|nowhere"):
        hm.write_csv(run.records, tmp_path / "nowhere" / "deep" / "no.csv")
