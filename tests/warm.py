"""Processes of our modules that begin with all imports made, for tests that start hundreds of them.

`python -m holymon` and its workers spend most of their life on imports. Once `install` was called,
a `subprocess.Popen` of `sys.executable -m` one of ours asks a process that has made them all, the
zygote, to fork. What comes of it is a child of the caller like any other, with its own arguments,
environment, folder, streams and end; only what a fresh interpreter does at its birth is skipped,
and is tested where an interpreter is started with flags, a script or `-c`.

Workers of xdist are forked, too, once for all of them, after what they would all import.

Linux only: a child of the zygote's child becomes the caller's, since that is its subreaper then.
"""

import atexit
import ctypes
import gc
import inspect
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parent.parent
MODULES = (
    "holymon.cli.doctor", "holymon.cli.main", "holymon.experiments.alternate",
    "holymon.experiments.capacity_search", "holymon.figures.request_stats", "holymon.load.run",
    "holymon.load.worker", "holymon.plan.replay_file", "holymon.plan.targets",
    "holymon.prometheus.exporter", "holymon.catalogue.listing", "holymon.report.sections",
    "holymon.sim.simulator", "csv", "duckdb", "encodings.idna", "numpy.ma", "numpy.random", "resource",
    "tomllib", "uvloop", "zipfile",
)  # fmt: skip
# A fork takes 0.15 ms for each MB of memory, so what few need has a zygote of its own.
MORE_MODULES = (
    "holymon.cli.report", "holymon.report.report", "holymon.widgets.dashboard",
    "holymon.widgets.monitor_view", "ipykernel.kernelapp", "ipykernel.zmqshell",
    "jupyterlab.labapp", "matplotlib.backends.backend_agg", "matplotlib_inline.backend_inline",
    "nbconvert", "papermill",
)  # fmt: skip
FOR_DASK = (
    "distributed.cli.dask_scheduler", "distributed.cli.dask_worker", "tests.cluster.dask_process",
    "holymon.cluster.leader", "uvloop",
)  # fmt: skip
# What tests import on their own; no plugin of pytest, for it rewrites those.
FOR_TESTS = (
    "execnet.gateway_base", "hypothesis.extra.numpy", "hypothesis.strategies", "pandas",
    "playwright.sync_api", "psutil", "pytest", "starlette.applications", "uvicorn",
)  # fmt: skip
OURS = ("holymon", "ipykernel_launcher", "jupyterlab", "tests")
# How execnet begins a worker.
WORKER = ["-u", "-c", "import sys;exec(eval(sys.stdin.readline()))"]
# An interpreter asks for these before it runs anything of ours.
AT_BIRTH = ("PYTHON", "LC_", "LANG", "LD_")
SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of prctl(2)
HUGE, COLLAPSE = 1 << 21, 25  # MADV_COLLAPSE of madvise(2), since Linux 6.1
INLINE = "module://matplotlib_inline.backend_inline"


class Zygote:
    """The process that has made all imports, and forks for this one."""

    def __init__(self, modules: tuple[str, ...]) -> None:
        self.modules = modules
        self._lock, self._socket, self._owner = threading.Lock(), None, 0

    born = False
    """Whether this process was forked by such a one."""

    def begin(self, *tests: str) -> None:
        """Have it make its imports, unless it does or did; and those of these tests."""
        if self._owner != os.getpid():
            self._socket, self._owner = self._begun(tests), os.getpid()

    def fork(self, wish: dict, streams: list[int]) -> int:
        """The pid of a child that runs as wished, with these three files as its streams."""
        with self._lock:
            self.begin()
            # Only now, so that no other orphan becomes ours, for nobody would wait for it.
            _prctl(SUBREAPER, 1)
            try:
                socket.send_fds(self._socket, [json.dumps(wish).encode()], streams)
                return int(self._socket.recv(32))
            finally:
                _prctl(SUBREAPER, 0)

    def _begun(self, tests: tuple[str, ...]) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            process = Fresh(
                [sys.executable, "-c", "from tests.warm import main; main()", str(theirs.fileno()),
                 json.dumps(tests), *self.modules],
                cwd=ROOT, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL,
            )  # fmt: skip
        atexit.register(process.wait)
        atexit.register(ours.close)
        return ours

    def load(self) -> None:
        """Make all imports."""
        sys.modules["rfc3987_syntax"] = None  # builds parsers for 2 s, of what no notebook has
        for module in self.modules:
            import_module(module)

    def inherit(self) -> None:
        """Give this process, which was just forked and is as good as new, a zygote of its own."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if os.fork() == 0:
            LARGE.born = self is LARGE
            os.closerange(0, theirs.fileno())
            os.closerange(theirs.fileno() + 1, 1 << 16)
            for _ in range(3):
                os.open(os.devnull, os.O_RDWR)
            _serve(theirs)
            return
        theirs.close()
        self._socket, self._owner = ours, os.getpid()


SMALL, LARGE = Zygote(MODULES), Zygote(MODULES + MORE_MODULES)
WORKERS = Zygote(LARGE.modules + FOR_TESTS)
CLUSTER = Zygote(FOR_DASK)
_execute = subprocess.Popen._execute_child
_names = [*inspect.signature(_execute).parameters]


class Fresh(subprocess.Popen):
    """A process that is started as if nothing had been installed."""

    _execute_child = _execute


def install(*, here: bool = True) -> None:
    """From now on, processes of our modules are forked; if not `here`, they are started afresh."""
    if sys.platform == "linux":
        subprocess.Popen._execute_child = _child if here else _execute


def _child(popen: subprocess.Popen, *arguments) -> None:
    given = dict(zip(_names[1:], arguments, strict=True))
    if not _is_ours(given):
        return _execute(popen, *arguments)
    ends = [given["p2cread"], given["c2pwrite"], given["errwrite"]]
    streams = [place if end == -1 else end for place, end in enumerate(ends)]
    worker, safe = given["args"][1:] == WORKER, given["args"][1] == "-P"
    wish = {
        "arguments": WORKER[1:] if worker else [*map(str, given["args"][2 + safe :])],
        "safe": safe,
        "cwd": str(given["cwd"] or Path.cwd()),
        "env": dict(os.environ if given["env"] is None else given["env"]),
        "session": given["start_new_session"],
        "group": given["process_group"],
    }
    zygote = LARGE if LARGE.born or _is_large(wish["arguments"]) else SMALL
    if worker:
        zygote = WORKERS
    elif wish["arguments"][0].startswith(("holymon.cluster.leader", "tests.cluster")):
        zygote = SMALL if CLUSTER.born else CLUSTER
    popen.pid, popen._child_created = zygote.fork(wish, streams), True
    # As the original does: the child's ends, unless they are /dev/null, which Popen closes itself.
    popen._close_pipe_fds(
        given["p2cread"], given["p2cwrite"], given["c2pread"], given["c2pwrite"],
        given["errread"], given["errwrite"],
    )  # fmt: skip
    return None


def _is_ours(given: dict) -> bool:
    """Whether a fork does all that is asked for."""
    args, env = given["args"], given["env"]
    plain = not isinstance(args, str | bytes | os.PathLike) and len(args) > 2
    if not plain or args[0] != sys.executable or given["preexec_fn"] or given["pass_fds"]:
        return False
    if args[1:] != WORKER:
        module = args[2:][args[1] == "-P"] if args[1] in {"-m", "-P"} else ""
        if str(module).partition(".")[0] not in OURS:
            return False
    return _at_birth(os.environ if env is None else env) == BORN


def _at_birth(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(AT_BIRTH)}


BORN = _at_birth(os.environ)


def _is_large(arguments: list[str]) -> bool:
    large = {"ipykernel_launcher", "jupyterlab", "holymon.report.one_report"}
    return arguments[0] in large or "report" in arguments[1:2]


def main() -> None:
    """Import all that is named, and fork until nobody is left to ask for it."""
    (number, tests, *modules), sys.argv[1:] = sys.argv[1:], []
    zygote = Zygote(tuple(modules))
    gc.disable()  # it would look at all that is imported, again and again, and find nothing
    zygote.load()
    for known in (LARGE, CLUSTER):
        known.born = zygote.modules == known.modules
    if tests := json.loads(tests):
        _collect(tests)
    install()
    gc.collect()
    gc.freeze()  # no child's collector looks at what all of them share
    gc.enable()
    _collapse()
    _serve(socket.socket(fileno=int(number)))


def _collect(tests: list[str]) -> None:
    """Import and rewrite these tests, which every worker would do on its own."""
    pytest = import_module("pytest")
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        code = pytest.main(["--collect-only", "--capture=no", "-qq", *tests])
    # What could not be imported stands there half made, and no worker would ask for it again.
    for name in [name for name in sys.modules if ".test_" in f".{name}"] if code else ():
        del sys.modules[name]
    import_module("tests.ready")


def _collapse() -> None:
    """Have this process's memory in huge pages, of which a fork copies one entry for 512."""
    libc = ctypes.CDLL(None)
    libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, rights, _, _, _, *name = line.split()
        if rights == "rw-p" and name in ([], ["[heap]"]):
            first, end = (int(address, 16) for address in span.split("-"))
            for place in range(-(-first // HUGE) * HUGE, end - HUGE + 1, HUGE):
                libc.madvise(place, HUGE, COLLAPSE)  # what it refuses stays as it is


def _serve(own: socket.socket) -> None:
    """Fork for every wish; returns in the process that is to run as wished."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while (got := socket.recv_fds(own, 1 << 20, 3))[0]:
        read, write = os.pipe()
        if (between := os.fork()) == 0:
            own.close()
            os.close(read)
            between = os.getpid()
            if os.fork():
                os._exit(0)
            while os.getppid() == between:
                os.sched_yield()
            _become(json.loads(got[0]), got[1], write)
        os.close(write)
        for fd in got[1]:
            os.close(fd)
        os.waitpid(between, 0)
        own.send(os.read(read, 32))
        os.close(read)
    os._exit(0)


def _become(wish: dict, streams: list[int], ready: int) -> None:
    """Run as wished, to the end; who and when it begins is told on `ready`."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if wish["session"]:
        os.setsid()
    if wish["group"] >= 0:
        os.setpgid(0, wish["group"])
    for place, fd in enumerate(streams):
        os.dup2(fd, place)
        os.close(fd)
    os.chdir(wish["cwd"])
    os.environ.clear()
    os.environ.update(wish["env"])
    if "dask.config" in sys.modules:  # it was read when that was imported
        sys.modules["dask.config"].refresh()
    os.write(ready, b"%d" % os.getpid())
    os.close(ready)
    what, *sys.argv[1:] = wish["arguments"]
    if what != "holymon.sim":  # which starts no others
        (LARGE if LARGE.born or what == "-c" else SMALL).inherit()
    sys.argv[0], sys.path[:1] = "-m", [] if wish["safe"] else [wish["cwd"]]
    if what == "ipykernel_launcher":
        import_module("matplotlib").rcParams["backend"] = INLINE
    try:
        if what == "-c":
            exec(sys.argv.pop(), {"__name__": "__main__"})
        else:
            sys.modules.pop(f"{what}.__main__", None)  # a test's import; runpy would warn of it
            runpy.run_module(what, run_name="__main__", alter_sys=True)
    except SystemExit as asked:
        if not isinstance(asked.code, int | None):
            raise
        code = asked.code or 0
    else:
        code = 0
    # All that an interpreter does at its end, but for taking apart what everybody shares.
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
