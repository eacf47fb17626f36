"""Processes that begin with our modules already imported, for tests that start hundreds of them.

`python -m holymon` spends most of its life on imports. Here one process has made them all, and
forks for each that is wanted: a process of its own, with its own arguments, environment, folder,
streams and exit code, and its own end. What a fresh interpreter does is tested with fresh ones.
"""

import json
import os
import runpy
import select
import socket
import subprocess
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryFile

ROOT = Path(__file__).parent.parent
MODULES = (
    "holymon.cli.main", "holymon.experiments.alternate", "holymon.experiments.capacity_search",
    "holymon.load.run", "holymon.plan.prompts", "holymon.records.listing", "holymon.report.report",
    "holymon.report.sections", "holymon.sim.simulator", "duckdb", "nbconvert", "papermill",
)  # fmt: skip
# An interpreter asks for these before it runs anything of ours.
AT_BIRTH = ("PYTHON", "LC_", "LANG", "LD_")


class Program:
    """A process that was forked, for its parent: what tests use of a `subprocess.Popen`."""

    def __init__(self, status: int, **pipes) -> None:
        self._status = os.fdopen(status, "rb", buffering=0)
        self.stdin, self.stdout, self.returncode = pipes.get("stdin"), pipes.get("stdout"), None
        self.pid = int(self._status.readline())

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, negative for the signal that ended it."""
        if self.returncode is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            self.returncode = int(self._status.readline())
            self._status.close()
        return self.returncode

    def kill(self) -> None:
        """End it at once, if it still runs."""
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, 9)


class Warm:
    """The process that has imported everything, and forks."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.warm", str(theirs.fileno())],
                cwd=ROOT, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL,
            )  # fmt: skip

    def start(self, *arguments, cwd=ROOT, env=os.environ, stdin=None, stdout=None, stderr=None):
        """Python with these arguments, the first of them `-m` or `-c`.

        A stream is a file, or PIPE for stdin and stdout; what isn't given leads nowhere.
        """
        ends, pipes = [], {}
        for name, given in (("stdin", stdin), ("stdout", stdout), ("stderr", stderr)):
            if given == subprocess.PIPE:
                read, write = os.pipe()
                theirs, ours = (read, write) if name == "stdin" else (write, read)
                pipes[name] = os.fdopen(ours, "w" if name == "stdin" else "r")
                ends.append(theirs)
            else:
                ends.append(os.dup(given.fileno()) if given else os.open(os.devnull, os.O_RDWR))
        status, told = os.pipe()
        wish = {"arguments": [*map(str, arguments)], "cwd": str(cwd), "env": dict(env)}
        socket.send_fds(self._socket, [json.dumps(wish).encode()], [*ends, told])
        for end in (*ends, told):
            os.close(end)
        return Program(status, **pipes)

    def run(self, *arguments, timeout: float, **more) -> subprocess.CompletedProcess:
        """What became of it, with all that it wrote."""
        with TemporaryFile("w+") as out, TemporaryFile("w+") as err:
            started = self.start(*arguments, stdout=out, stderr=err, **more)
            try:
                code = started.wait(timeout)
            except subprocess.TimeoutExpired:
                started.kill()
                raise
            for file in (out, err):
                file.seek(0)
            return subprocess.CompletedProcess(arguments, code, out.read(), err.read())

    def end(self) -> None:
        """End it; what it has forked goes on."""
        self._socket.close()
        self._process.wait(20)


def serve(number: int) -> None:
    """Fork for every wish, until nobody is left to have one."""
    for module in MODULES:
        import_module(module)
    own = socket.socket(fileno=number)
    while (got := socket.recv_fds(own, 1 << 20, 4))[0]:
        if os.fork() == 0:
            own.close()
            _keep(json.loads(got[0]), got[1])
            return
        for fd in got[1]:
            os.close(fd)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _keep(wish: dict, fds: list[int]) -> None:
    """Fork once more, and tell of that process on the last file; return in it, as it is wanted."""
    *streams, status = fds
    if pid := os.fork():
        for fd in (0, 1, 2, *streams):
            os.close(fd)
        os.write(status, b"%d\n" % pid)
        os.write(status, b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        os._exit(0)
    os.close(status)
    for place, fd in enumerate(streams):
        os.dup2(fd, place)
        os.close(fd)
    os.chdir(wish["cwd"])
    os.environ.clear()
    os.environ.update(wish["env"])
    how, what, *sys.argv[1:] = wish["arguments"]
    sys.argv[0], sys.path[0] = how, str(Path.cwd())
    if how == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})


if __name__ == "__main__":
    serve(int(sys.argv[1]))
