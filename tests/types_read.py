"""mypy over the package, begun before anything else when all tests run: the rest of their start
needs one core only.

    begin(folder)   in the process that all workers are forked from
    said()          what it said, waited for; in a process without it, it runs now
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import holymon

ROOT = Path(__file__).parent.parent
NAMES = [name for name in holymon.__all__ if not name.startswith("__")]
FOLDER = "HOLYMON_TESTS_TYPES"
PATIENCE_S = 300.0


def _command(folder: Path) -> list[str]:
    uses = folder / "uses.py"
    uses.write_text("\n".join(["import holymon as hm", *(f"reveal_type(hm.{n})" for n in NAMES)]))
    return [sys.executable, "-m", "mypy", "--no-incremental", "holymon", str(uses)]


def begin(folder: Path) -> subprocess.Popen:
    """Have it run, and tell all processes that are started from here where its words will be."""
    os.environ[FOLDER] = str(folder)
    script = 'folder=$1; shift; "$@" >"$folder/said" 2>&1; echo $? >"$folder/code"'
    command = ["sh", "-c", script, "sh", str(folder), *_command(folder)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL)


def said() -> str:
    """Its words, if it found nothing wrong."""
    if FOLDER not in os.environ:
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                _command(Path(folder)), cwd=ROOT, capture_output=True, text=True, check=False
            )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout
    folder, until = Path(os.environ[FOLDER]), time.monotonic() + PATIENCE_S
    while not (folder / "code").exists() or not (folder / "code").read_text().strip():
        assert time.monotonic() < until, "mypy has not ended"
        time.sleep(0.1)
    text = (folder / "said").read_text()
    assert (folder / "code").read_text().strip() == "0", text
    return text
