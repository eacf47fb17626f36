"""A simulator as a process of its own: started by one call, ended with whoever started it."""

import json
import os
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Final, Self

PYTHON_M: Final = (sys.executable, "-P", "-m")
"""How a process of our own is begun: without the current folder, which may be anybody's, in the
path of imports (docs.python.org/3/using/cmdline.html#cmdoption-P)."""


class SimulatorProcess:
    """A simulated API on this computer, at `base_url`; it ends with `close` or with Python."""

    def __init__(self, process: "subprocess.Popen[str]", base_url: str) -> None:
        self.base_url, self.pid = base_url, process.pid
        self._finish = weakref.finalize(self, _end, process, os.getpid())

    def close(self) -> None:
        """End the simulator; a second call does nothing."""
        self._finish()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "" if self._finish.alive else ", closed"
        return f"<simulated API at {self.base_url}{state}>"


def simulator(*, seed: int = 0, log: Path | str | None = None, auth: str = "") -> SimulatorProcess:
    """Start a simulated API at a free port.

    Its models are fast, slow, flaky, busy, pinned, cached, reasoning, tools, strict, limited,
    gateway, quantized, other and odd.
    `seed` makes its times and faults repeatable; `log` is a file for one line per answer, `auth`
    the header in which a key has to stand. It is killed with this process, whatever ends that.
    Raises ChildProcessError if it does not start.
    """
    command = [*PYTHON_M, "holymon.sim", "--port", "0", "--seed", str(seed)]
    command += ["--log", str(log)] if log is not None else []
    command += ["--auth", auth] if auth else []
    process = subprocess.Popen(
        [*command, "--until-eof"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        process_group=0,  # out of reach of a Ctrl-C that is meant for the one who started it
    )  # fmt: skip
    assert process.stdout is not None
    try:
        base_url = str(json.loads(process.stdout.readline())["base_url"])
    except (ValueError, KeyError):
        _end(process, os.getpid())
        raise ChildProcessError("the simulator did not start: try `holymon sim`.") from None
    return SimulatorProcess(process, base_url)


def _end(process: "subprocess.Popen[str]", owner: int) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    if owner == os.getpid():
        process.terminate()  # a forked child may hold its standard input open
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    process.stdout.close()
