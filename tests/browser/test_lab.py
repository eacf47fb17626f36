"""Dashboard and live view in the real JupyterLab and browser: what users do, and what they see."""

import json
import os
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import expect

from tests.lab import HOSTILE, PICTURES, opened

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "notebooks" / "01_explore.ipynb"
MORE = (
    "import time\nfrom pathlib import Path\nwhile not Path('let-go').exists():\n    time.sleep(0.2)",
    "import threading\nprint('threads', *sorted(t.name for t in threading.enumerate() "
    "if t.name.startswith('holymon')))",
    "dashboard = hm.explore(run='goes-on')\ndashboard",
)


@pytest.fixture
def lab(server, chromium, labs, request):
    with opened(server, chromium, labs, request, "01_explore.ipynb", MORE) as found:
        yield found


BLOCK, THREADS, ATTACH = 4, 5, 6
# Both places in one step, as the table may be drawn anew between two.
ROW_IS_OVER_ITS_CALL = """() => {
  const row = document.querySelector('.hm-row'), call = document.querySelector('.hm-calls tbody tr');
  if (!row || !call) return false;
  const [box, line] = [row.getBoundingClientRect(), call.getBoundingClientRect()];
  return ['x', 'y', 'width', 'height'].every(key => Math.abs(box[key] - line[key]) < 2);
}"""


def dark(lab, name: str) -> None:
    lab.command("apputils:change-theme", "{theme: 'JupyterLab Dark'}")
    if PICTURES in os.environ:
        time.sleep(1.5)
    lab.shot(name)


def test_two_targets_from_start_to_report(lab, chromium):
    lab.dashboard()
    lab.tick("sim/slow")
    lab.field("Shape").select_option("ramp")
    lab.field("To, per s").fill("30")
    lab.write("How long, s", "40")
    lab.write("Goals", "ttft_p95<0.2, error_rate<5%")
    notice = lab.page.locator(".hm-notice")
    expect(notice).to_contain_text("Start makes 1,240 calls")
    lab.shot("explore-setup")
    lab.button("Start").click()
    lab.state("running")
    rows = lab.page.locator(".hm-figures tbody tr")
    expect(rows).to_have_count(2)
    lab.page.wait_for_function("document.querySelector('.hm-figure').naturalWidth")
    time.sleep(0.5)  # Lab's own scroll bar comes with the taller tab
    before, heights = lab.ink(), set()
    for _ in range(16):
        time.sleep(0.2)
        heights.add(lab.heights())
    assert len(heights) == 1, f"something jumped: {heights}"
    # On the axis of the whole run points of a few seconds stand close: a tenth more ink is many.
    assert any(
        all(now > 1.1 * then for now, then in zip(lab.ink(), before, strict=True))
        or time.sleep(0.5)
        for _ in range(20)
    )
    expect(lab.page.locator(".hm-badge")).to_have_text("simulated")
    time.sleep(float(os.environ.get(PICTURES, "0")))
    lab.page.locator(".hm").scroll_into_view_if_needed()
    lab.page.locator(".hm-top").evaluate("top => top.scrollIntoView()")
    lab.shot("explore-live")
    dark(lab, "explore-dark")
    lab.button("Stop").click()
    lab.state("stopped")
    assert lab.said_on_disk()["state"] == "stopped"
    lab.tab("Results")
    for name, said in (("Export CSV", "CSV saved"), ("Export Parquet", "Parquet saved"),
                       ("Set as baseline", "is the baseline"), ("Save report", "Report saved"),
                       ("Compare", "sim/slow against A = sim/fast")):  # fmt: skip
        lab.button(name).click()
        shown = lab.page.locator(".hm-message")
        expect(shown).to_contain_text(said)
    point, row = lab.page.locator(".hm-points"), lab.page.locator(".hm-row")
    plain = point.get_attribute("src")
    row.nth(1).click()
    expect(lab.page.locator(".hm-on")).to_have_count(1)
    expect(point).not_to_have_attribute("src", plain)
    lab.page.keyboard.press("Tab")
    lab.page.keyboard.press("Enter")
    expect(row.nth(2)).to_have_class(re.compile("hm-on"))
    whole = lab.page.locator(".hm-controls .widget-readout")
    before = whole.inner_text()
    lab.page.locator(".hm-controls .noUi-handle").first.focus()
    lab.page.keyboard.press("PageUp")
    expect(whole).not_to_have_text(before)
    lab.page.wait_for_function(ROW_IS_OVER_ITS_CALL)
    lab.shot("explore-results")
    assert (lab.runs[-1] / "calls.csv").stat().st_size > 1000
    baseline = json.loads((lab.folder / "reports" / "baseline.json").read_text())
    assert lab.runs[-1].name in baseline["run_id"]
    lab.page.locator(".hm-results a", has_text="report.html").click()
    inside = lab.page.frame_locator(".jp-HTMLViewer iframe")
    expect(inside.locator("h1").first).to_contain_text("sim/fast, sim/slow")
    lab.shot("explore-report")
    lab.command("apputils:change-theme", "{theme: 'JupyterLab Light'}")
    assert lab.errors == []


def test_run_again_restart_and_attach_find_the_run_that_goes_on_and_stops_while_a_cell_blocks(lab):
    lab.dashboard()
    lab.write("How long, s", "300")
    lab.write("Name", "goes-on")
    lab.button("Start").click()
    lab.state("running")
    name = f"goes-on/{lab.runs[-1].name}"
    lab.run(1)
    shown = lab.page.locator(".hm .hm-id")
    expect(shown).to_have_count(1)
    expect(shown).to_have_text(name)
    lab.run(THREADS)
    printed = lab.page.locator(".jp-OutputArea-output", has_text="threads holymon-draws")
    expect(printed).to_have_text("threads holymon-draws holymon-works")
    lab.page.evaluate(
        "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"
    )
    lab.page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]", timeout=60_000)
    lab.dashboard()
    expect(shown).to_have_text(name)
    lab.state("running")
    lab.shot("explore-attached")
    worker = psutil.Process(lab.said_on_disk()["pid"])
    lab.run(BLOCK)
    expect(lab.page.locator(".jp-Notebook-ExecutionIndicator[data-status=busy]")).to_have_count(1)
    words = lab.page.locator(".hm .hm-words")
    first, frame = words.inner_text(), lab.ink()
    expect(words).not_to_have_text(first)  # the clock goes on while a cell blocks
    assert any(lab.ink() != frame or time.sleep(0.5) for _ in range(20))
    lab.button("Stop").click()  # the first click that this kernel hears of
    lab.state("stopped")
    busy = lab.page.locator(".jp-Notebook-ExecutionIndicator").get_attribute("data-status")
    assert busy == "busy", "the cell still blocks"
    (lab.folder / "let-go").touch()
    assert worker.wait(60) in {0, None}
    lab.run(ATTACH)
    ended = lab.page.locator(".hm").nth(1)
    expect(ended.locator(".hm-state")).to_have_text("stopped")
    expect(ended.locator(".hm-figures tbody tr")).to_have_count(1)
    replaced = lab.page.locator(".hm").first.locator(".hm-notice")
    expect(replaced).to_contain_text("Another dashboard has taken the place")
    assert lab.errors == []


def test_hostile_names_are_inert_and_errors_are_shown(lab):
    lab.dashboard()
    lab.write("Base URL", "http://127.0.0.1:9/v1")
    lab.write("Model", HOSTILE)
    lab.button("Add target").click()
    added = lab.page.locator(".hm-form .widget-checkbox", has_text="at http://127.0.0.1:9/v1")
    expect(added).to_have_count(1)
    lab.tick("evil/<img")
    lab.button("Start").click()
    expect(lab.page.locator(".hm-figures tbody tr")).to_have_count(3)
    expect(lab.page.locator(".hm-trust")).to_have_class(re.compile("invalid"))
    lab.page.locator(".hm-top").evaluate("top => top.scrollIntoView()")
    expect(lab.page.locator(".hm-trust")).to_contain_text("the first call failed")
    lab.shot("explore-hostile")
    expect(lab.button("Start")).to_be_enabled()
    assert lab.page.evaluate("window.pwned") is None
    lab.tab("Set up")
    lab.write("Base URL", "ftp://nowhere")
    lab.write("Model", "m")
    lab.button("Add target").click()
    shown = lab.page.locator(".hm-errors .hm-error")
    expect(shown).to_contain_text("base_url")
    lab.write("How long, s", "0")
    expect(lab.page.locator(".hm-notice .bad")).to_contain_text("duration")
    expect(lab.button("Start")).to_be_disabled()
    lab.shot("explore-errors")
    assert lab.errors == []


@pytest.fixture
def watching(server, chromium, labs, request):
    with opened(server, chromium, labs, request, "05_watch.ipynb", WATCHED) as found:
        yield found


WATCHED = (
    f"evil = hm.Target(provider='evil', model={HOSTILE!r}, base_url='http://127.0.0.1:9/v1')\n"
    "hostile = hm.Monitor(evil, policy=hm.Policy(attempts=1))\n"
    "beside = hm.watch(hm.Monitor())\nhm.watch(hostile)",
    "import contextlib\nfor _ in range(5):\n    with contextlib.suppress(hm.CallError):\n"
    "        hostile.chat('hi')",
    "import threading\nprint('threads', *(t.name for t in threading.enumerate() "
    "if t.name == 'holymon-draws'))",
)
PARAMETERS, SIMULATOR, FIRST, LIVE, CALLS, EVIL, ASK_EVIL, PRINT = 1, 3, 5, 15, 16, 30, 31, 32


def heights_of_view(lab) -> tuple[int, ...]:
    parts = (".hm", ".hm-top", ".hm-alarms", ".hm-figure", ".hm-figures", ".hm-lines")
    return tuple(lab.page.evaluate(
        "names => names.map(name => document.querySelector(name).offsetHeight)", parts
    ))  # fmt: skip


def ran(lab, number: int) -> None:
    """Run a cell and wait until it has."""
    lab.run(number)
    lab.page.wait_for_function(
        "n => /[0-9]/.test(window.jupyterapp.shell.currentWidget.content.widgets[n].promptNode"
        ".innerText)", arg=number, timeout=60_000,
    )  # fmt: skip


def test_lab_shows_the_calls_as_they_come(watching):
    lab, page = watching, watching.page
    for number in (PARAMETERS, SIMULATOR, FIRST, LIVE):
        ran(lab, number)
    tile = page.locator(".hm .hm-tile", has_text=re.compile("^requests")).locator("b")
    page.wait_for_function("(document.querySelector('.hm-figure') || {}).naturalWidth")
    expect(tile).to_have_text("0")
    empty = lab.ink()[0]
    lab.run(CALLS)
    expect(tile).not_to_have_text("0")
    time.sleep(1)
    page.locator(".hm").evaluate("box => box.scrollIntoView()")
    seen = {heights_of_view(lab)}
    for _ in range(10):
        time.sleep(0.2)
        seen.add(heights_of_view(lab))
    assert len(seen) == 1, f"something jumped: {seen}"
    expect(tile).to_have_text("200")
    expect(page.locator(".hm .hm-verdict")).to_contain_text("firing")
    expect(page.locator(".hm .hm-badge")).to_have_text("simulated")
    expect(page.locator(".hm .hm-figures tbody tr")).to_have_count(2)
    # The picture may come after the figures.
    assert any(lab.ink()[0] > empty + 100 or time.sleep(0.5) for _ in range(20))
    lab.shot("watch-live")
    dark(lab, "watch-dark")
    lab.command("apputils:change-theme", "{theme: 'JupyterLab Light'}")
    ran(lab, LIVE)
    expect(page.locator(".hm")).to_have_count(1)
    expect(tile).to_have_text("0")
    for number in (EVIL, ASK_EVIL):
        ran(lab, number)
    evil = page.locator(".hm").nth(1)
    expect(evil.locator(".hm-tile b").first).to_have_text("5")
    evil.evaluate("box => box.scrollIntoView()")
    lab.shot("watch-hostile")
    ran(lab, PRINT)
    printed = page.locator(".jp-OutputArea-output", has_text="threads holymon-draws")
    expect(printed).to_have_text("threads" + 3 * " holymon-draws")
    assert page.evaluate("window.pwned") is None
    assert lab.errors == []


class _Overloaded(BaseHTTPRequestHandler):
    """Whatever is asked, it is the server's own fault: a load is there to measure that."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(503)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def overloaded():
    """The address of an API that answers 503."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Overloaded) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()


def test_in_a_narrow_window_no_figure_is_cut_and_a_closed_tab_leaves_no_process_behind(
    lab, overloaded
):
    lab.page.set_viewport_size({"width": 1024, "height": 1150})
    lab.dashboard()
    lab.write("Base URL", overloaded)
    lab.write("Model", "an-organisation-of-a-long-name/and-a-model-of-a-longer-one-instruct-fp8")
    lab.button("Add target").click()
    added = lab.page.locator(".hm-form .widget-checkbox", has_text="an-organisation")
    whole = added.locator(f"span[title*='instruct-fp8 at {overloaded}']")
    expect(whole).to_have_count(1)
    lab.write("Goals", "ttft_p95<0.5, error_rate<1%, latency_p99<2")
    lab.button("Start").click()
    expect(lab.page.locator(".hm-figures tbody tr")).to_have_count(2)
    expect(lab.page.locator(".hm-tile", has_text="by the server")).to_have_count(1)
    cut = lab.page.evaluate(
        """() => [...document.querySelectorAll('.hm-tile b, .hm-live .widget-html-content')]
        .filter(one => one.scrollWidth > one.clientWidth).map(one => one.textContent)"""
    )
    inside, outside = lab.page.evaluate(
        """() => ['.hm-figures', '.hm'].map(name => document.querySelector(name)
        .getBoundingClientRect().right)"""
    )
    lab.shot("explore-narrow")
    assert (cut, inside < outside) == ([], True)
    lab.page.set_viewport_size({"width": 390, "height": 844})
    lab.page.locator(".hm-top").evaluate("top => top.scrollIntoView()")
    lab.page.wait_for_function(
        """() => document.querySelector('.hm-words').getBoundingClientRect().left
        < document.querySelector('.hm-top .jupyter-button').getBoundingClientRect().right"""
    )
    cut = lab.page.evaluate(
        """() => [...document.querySelectorAll('.hm-top, .hm-top *')].filter(one => one.clientWidth)
        .filter(one => one.scrollWidth > one.clientWidth).map(one => one.className)"""
    )
    lab.shot("explore-phone")
    assert cut == []
    lab.page.set_viewport_size({"width": 1024, "height": 1150})
    lab.button("Stop").click()
    lab.state("stopped")
    assert lab.errors == []
    lab.tab("Set up")
    added.locator("input").uncheck()
    lab.field("Ends after").select_option("calls for each target")
    lab.write("How many", "40")
    lab.button("Start").click()
    lab.state("running")
    worker = psutil.Process(lab.said_on_disk()["pid"])
    family = [worker, *worker.children(recursive=True)]
    lab.page.close()
    _, left = psutil.wait_procs(family, timeout=60)
    assert left == []
    assert lab.said_on_disk()["state"] == "finished"
