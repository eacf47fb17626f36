"""JupyterLab in Chromium, for the tests that do what a user does: its page, server and browser."""

import contextlib
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect, sync_playwright

ROOT = Path(__file__).parent.parent
ARTIFACTS = ROOT / "tests" / "artifacts"
# Who sets it, as `python -m tests.make_screenshot` does, wants pictures of the pages.
PICTURES = "HOLYMON_SHOT_AFTER_S"
HOSTILE = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>\'m'
# A bound, not a wait: a machine that others use may need a minute for what takes a second.
expect.set_options(timeout=60_000)
WINDOW = {"width": 1440, "height": 1150}
# Extensions of Lab, of which no test uses anything: a third of what its page takes to load.
UNUSED = """
    audio cell-toolbar celltags completer console csvviewer debugger documentsearch extensionmanager
    fileeditor help hub imageviewer inspector json launcher logconsole lsp markdownviewer mathjax
    mermaid metadataform pdf property-inspector running settingeditor statusbar terminal toc tooltip
    vega5 video workspaces
"""
# What Lab itself says of a server that is as bare as this one.
THEIRS = ("favicon", "Failed to load resource")


class Lab:
    """A page of JupyterLab with one notebook at a time."""

    def __init__(self, page, url: str) -> None:
        self.page, self.folder = page, Path()
        self.said: list[str] = []
        page.on("pageerror", lambda error: self.said.append(f"{error}: {error.stack}"[:2000]))
        page.on("console", lambda one: one.type == "error" and self.said.append(one.text))
        page.set_default_timeout(60_000)
        page.goto(f"{url}/lab?reset")
        page.wait_for_function("window.jupyterapp")
        page.evaluate("() => window.jupyterapp.restored")
        self.command("application:toggle-left-area")

    def command(self, name: str, args: str = "{}") -> None:
        self.page.evaluate(f"window.jupyterapp.commands.execute('{name}', {args})")

    def open(self, folder: Path, notebook: str) -> None:
        """Open a notebook, in a window of the usual size, with nothing else beside it."""
        self.folder, self.said[:] = folder, []
        self.page.set_viewport_size(WINDOW)
        self.page.evaluate(
            """async path => { const app = window.jupyterapp;
            const opened = await app.commands.execute('docmanager:open', {path});
            await opened.context.ready; await opened.sessionContext.ready; }""",
            f"{folder.name}/{notebook}",
        )
        self.page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]")

    def close(self) -> None:
        """Close all that is open, unsaved as it is."""
        self.page.evaluate(
            "() => [...window.jupyterapp.shell.widgets('main')].forEach(one => one.dispose())"
        )

    def run(self, number: int) -> None:
        """Run a cell by its number in the notebook, as its own key would."""
        self.page.evaluate(
            "n => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = n;"
            "  window.jupyterapp.commands.execute('notebook:run-cell'); }",
            number,
        )

    def dashboard(self, number: int = 1) -> None:
        """Run the dashboard's cell until the dashboard is there."""
        for _ in range(4):
            self.run(number)
            with contextlib.suppress(Exception):
                self.page.wait_for_selector(".hm .hm-notice .widget-html-content *, "
                                            ".hm .hm-id", timeout=20_000)  # fmt: skip
                return
        raise AssertionError("no dashboard")

    def button(self, name: str):
        return self.page.locator(".hm .jupyter-button", has_text=re.compile(f"^\\s*{name}$"))

    def field(self, label: str):
        row = self.page.locator(".hm-form .widget-inline-hbox", has=self.page.locator(
            "label", has_text=re.compile(f"^{re.escape(label)}$")))  # fmt: skip
        return row.locator("input, select, textarea").first

    def tick(self, name: str) -> None:
        box = self.page.locator(".hm-form .widget-checkbox", has_text=name)
        box.locator("input").first.check()

    def write(self, label: str, text: str) -> None:
        self.field(label).fill(text)
        self.field(label).press("Tab")

    def tab(self, name: str) -> None:
        self.page.locator(".hm .lm-TabBar-tabLabel", has_text=name).click()

    def state(self, name: str):
        return expect(self.page.locator(".hm .hm-state")).to_have_text(name)

    def heights(self) -> tuple[float, ...]:
        """Of the dashboard, and of its parts that are filled anew all the time."""
        return tuple(self.page.evaluate(
            "names => names.map(name => document.querySelector(name).offsetHeight)",
            [".hm", ".hm-top", ".hm-trust", ".hm-figure", ".hm-figures", ".hm-goals"],
        ))  # fmt: skip

    def ink(self) -> list[int]:
        """How many pixels of the live figure have the colours of the first and second target."""
        # A new picture has no size until it is decoded.
        return self.page.evaluate(
            """async () => { const image = document.querySelector('.hm .hm-figure');
            for (let n = 0; n < 100 && !image.naturalWidth; n++)
              await new Promise(then => setTimeout(then, 50));
            const canvas = document.createElement('canvas');
            canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
            const pen = canvas.getContext('2d'); pen.drawImage(image, 0, 0);
            const data = pen.getImageData(0, 0, canvas.width, canvas.height).data;
            const found = [0, 0];
            for (let i = 0; i < data.length; i += 4) {
              const more = data[i + 2] - data[i];  // blue than red
              found[0] += more > 60; found[1] += more < -60; }
            return found; }"""
        )

    def shot(self, name: str, *, always: bool = False) -> None:
        """Take a picture of the page, if anybody wants one."""
        if not always and PICTURES not in os.environ:
            return
        ARTIFACTS.mkdir(exist_ok=True)
        self.page.screenshot(path=ARTIFACTS / f"{name}.png")

    @property
    def runs(self) -> list[Path]:
        folders = [path.parent for path in self.folder.glob("reports/*/*/plan.json")]
        return sorted(folders, key=lambda folder: folder.name)  # which is its time

    def said_on_disk(self) -> dict:
        return json.loads((self.runs[-1] / "state.json").read_text())

    @property
    def errors(self) -> list[str]:
        return [text for text in self.said if not any(word in text for word in THEIRS)]


def free_port() -> int:
    """A free port, below those that Linux gives to connections, which might take it meanwhile."""
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with contextlib.suppress(OSError), socket.socket() as one:
            one.bind(("127.0.0.1", port))
            return port


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """JupyterLab on a folder of its own, without a token: on loopback, for these tests only."""
    root, port = tmp_path_factory.mktemp("lab"), free_port()
    settings = root / "config/lab/user-settings/@jupyterlab/apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false"}')
    page = root / "config/labconfig/page_config.json"
    page.parent.mkdir()
    off = {f"@jupyterlab/{name}-extension": True for name in UNUSED.split()}
    # Else Node is asked whether Lab could be built anew.
    built = {"buildCheck": False, "buildAvailable": False}
    page.write_text(json.dumps({**built, "disabledExtensions": off}))
    (root / "work").mkdir()
    (root / "work" / "targets.toml").write_text(
        f"[evil]\nbase_url = 'http://127.0.0.1:9/v1'\n[evil.models.{json.dumps(HOSTILE)}]\n"
        "input = 1.0\noutput = 1.0\n"
    )
    own = {
        f"JUPYTER_{name}_DIR": str(root / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")
    }
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip", "127.0.0.1",
        "--port", str(port), "--IdentityProvider.token=", f"--ServerApp.root_dir={root / 'work'}",
        "--LabApp.expose_app_in_browser=True", "--ServerApp.disable_check_xsrf=True",
    ]  # fmt: skip
    with (root / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=root / "work", env={**os.environ, **own, "IPYTHONDIR": str(root / "ipy")},
            stdout=log, stderr=log,
        )  # fmt: skip
        try:
            until = time.monotonic() + 60
            while time.monotonic() < until:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.1)
            yield root / "work", f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(30)


@pytest.fixture(scope="module")  # its event loop stands in the way of tests with their own
def chromium(debian):
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=debian("chromium", "chromium"),
            # No page lives long enough for what its code gains from being compiled once more.
            args=["--no-sandbox", "--disable-gpu", "--in-process-gpu", "--disable-dev-shm-usage",
                  "--js-flags=--no-turbofan"],
        )  # fmt: skip
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def labs(server, chromium) -> Iterator[list[Lab]]:
    """The page that the tests of a file use one after another, since to load one takes 10 s of CPU;
    none before the first."""
    pages: list[Lab] = []
    yield pages
    for lab in pages:
        lab.page.close()


@contextlib.contextmanager
def opened(server, chromium, labs, request, notebook: str, more: Iterable[str]) -> Iterator[Lab]:
    """A page with its own copy of one of our notebooks, and `more` cells, in a folder of its own."""
    import nbformat

    root, url = server
    folder, failed = root / request.node.name[5:35], request.session.testsfailed
    folder.mkdir()
    shutil.copy(root / "targets.toml", folder)
    copy = nbformat.read(ROOT / "notebooks" / notebook, as_version=4)
    copy.cells += [nbformat.v4.new_code_cell(text) for text in more]
    nbformat.write(copy, folder / notebook)
    if not labs:
        labs.append(Lab(chromium.new_page(viewport=WINDOW, reduced_motion="reduce"), url))
    made = labs[-1]
    made.open(folder, notebook)
    yield made
    if made.page.is_closed():
        labs.clear()
    else:
        if request.session.testsfailed > failed:  # for whoever has to find out why
            with contextlib.suppress(Exception):
                made.shot(f"{notebook.partition('.')[0]}-last-{folder.name}", always=True)
        made.close()
    for kernel in httpx.get(f"{url}/api/kernels").json():
        httpx.delete(f"{url}/api/kernels/{kernel['id']}", timeout=30).raise_for_status()
