"""A page as PDF, printed by the Chromium that is here: without a network, and within a minute."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from holymon.errors import RunError
from holymon.records.own_files import write_aside
from holymon.safety import plain, short

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome",
                "microsoft-edge", "msedge")  # fmt: skip
MAC: Final = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
LIMIT_S: Final = 60.0
_OFF: Final = (
    "--headless", "--disable-gpu", "--no-first-run", "--no-default-browser-check",
    "--disable-extensions", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-domain-reliability", "--disable-dev-shm-usage",
    # A page asks for nothing; what a browser itself would like to know finds no way out.
    "--host-resolver-rules=MAP * ~NOTFOUND", "--proxy-server=127.0.0.1:9",
    "--proxy-bypass-list=<-loopback>", "--no-pdf-header-footer",
)  # fmt: skip


def browser() -> str | None:
    """The path of Chromium, or of a browser made of it; None if there is none."""
    known = (shutil.which(name) for name in NAMES)
    return next(filter(None, known), MAC if Path(MAC).exists() else None)


def write_pdf(page: Path, limit_s: float = LIMIT_S) -> Path:
    """Print a page to a PDF beside it. Raises RunError where no browser is here or it fails."""
    program = browser()
    if program is None:
        raise RunError("no PDF was made: it needs Chromium or Chrome, and none is here.")
    target = page.with_suffix(".pdf")
    with tempfile.TemporaryDirectory(prefix="hm-", ignore_cleanup_errors=True) as folder:
        printed = Path(folder) / "page.pdf"
        command = [program, *_OFF, f"--user-data-dir={folder}/profile", f"--print-to-pdf={printed}",
                   *_unsandboxed(), page.resolve().as_uri()]  # fmt: skip
        words = _run(command, limit_s)
        try:
            made = printed.read_bytes()
        except OSError:
            made = b""
        if not made.startswith(b"%PDF-"):
            raise RunError(f"no PDF was made: {Path(program).name} failed. {words}".strip())
    try:
        write_aside(target, made)
    except OSError as error:
        raise RunError(f"{plain(str(target))} can't be written: {error.strerror}.") from None
    return target


def _unsandboxed() -> list[str]:
    """Root's browser has no sandbox; the page is one that runs nothing."""
    is_root = sys.platform != "win32" and os.geteuid() == 0
    return ["--no-sandbox"] * is_root


def _run(command: list[str], limit_s: float) -> str:
    """Run it, and end it with all that it started after so long; its last words."""
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, start_new_session=True)  # fmt: skip
    except OSError as error:
        raise RunError(f"no PDF was made: {command[0]} can't be run, {error.strerror}.") from None
    with process:
        try:
            _, words = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            raise RunError(f"no PDF was made: it took longer than {limit_s:g} s.") from None
        finally:
            if process.poll() is None:
                with contextlib.suppress(OSError):
                    _end(process)
    lines = words.decode("utf-8", "replace").strip().splitlines()
    return short(lines[-1], 200) if lines else ""


def _end(process: "subprocess.Popen[bytes]") -> None:
    if sys.platform == "win32":
        process.kill()
    else:
        os.killpg(process.pid, signal.SIGKILL)
