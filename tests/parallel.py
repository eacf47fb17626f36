"""How the tests share the cores: a file goes to one worker, the longest first, and what judges a
client's fitness comes last, while every other worker waits.

`python -m pytest -n auto` uses it; without xdist, or without `-n`, the tests run in their order.
"""

import atexit
import gc
import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from . import types_read
from .warm import WORKERS

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

# Files that go to one worker, since it takes seconds to import the clients that they are about, or
# to read all our modules.
TOGETHER = (
    ("monitor/test_clients.py", "promises/field/test_watching.py", "monitor/test_routed.py"),
    ("house/test_layers.py", "house/test_environment.py", "house/test_style.py"),
)
# Begun first, so that no worker is left alone with one of them at the end.
LONGEST = (
    "browser/test_lab.py", "report/test_report.py", *TOGETHER[1],
    "promises/test_killed.py", "load/test_run.py", "report/test_notebooks.py",
    "experiments/test_capacity_search.py", "promises/test_canary.py",
    "plots/test_result_plots.py", *TOGETHER[0], "cli/test_cli.py",
    "prometheus/test_exporter.py", "promises/faults/test_faults.py",
    "promises/test_hostile.py", "experiments/test_calibration.py",
    "experiments/test_alternate.py", "widgets/test_live_figure.py", "widgets/test_dashboard.py",
    "widgets/test_watch.py", "house/test_wheel.py", "promises/test_clocks.py",
    "promises/security/test_by_colleague_keys.py",
    "promises/security/test_by_browser_exporter.py", "prometheus/test_backtest.py",
    "promises/security/test_by_colleague_current_folder.py", "prometheus/test_alarm.py",
    "prometheus/test_sharing.py", "prometheus/test_server.py", "plots/test_call_plots.py",
    "promises/security/test_by_server_bombs.py", "plan/test_estimate.py",
    "monitor/test_monitor.py", "records/test_earlier_runs.py", "cli/test_init_folder.py",
    "figures/test_request_stats.py",
)  # fmt: skip
# More than that, and those that measure would disturb each other.
MOST_WORKERS = 6
QUIET = "quiet"
ROOT = Path(__file__).parent.parent


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config) -> int:
    # Most of what a test does is to wait: for a load's seconds, a page, a server that hangs.
    return min(3 * len(os.sched_getaffinity(0)), MOST_WORKERS)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config) -> None:
    if not getattr(config.option, "numprocesses", None):
        return
    config.option.testrunuid = config.option.testrunuid or uuid.uuid4().hex
    if config.option.dist == "no":
        config.option.dist, config.option.loadscopereorder = "loadscope", False


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config) -> None:
    """Have libraries and tests read, and compiled, once for all workers."""
    if config.args_source is pytest.Config.ArgsSource.TESTPATHS:
        folder = shared_folder(config.option.testrunuid) / "types"
        folder.mkdir(parents=True)
        config.holymon_types = types_read.begin(folder)
    if sys.platform == "linux":
        WORKERS.begin(*config.args)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    if config.option.dist != "loadscope":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        """A unit of work is a file, or those that share what is slow to start."""

        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.partition("::")[0]
            name = path.partition("tests/")[2]
            return next((files[0] for files in TOGETHER if name in files), path)

    return ByFile(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items) -> None:
    if not hasattr(config, "workerinput"):
        return
    begin = {name: place for place, name in enumerate(LONGEST)}
    here = Path(__file__).parent

    def place(item) -> tuple[bool, int]:
        name = item.path.relative_to(here).as_posix()
        return item.get_closest_marker(QUIET) is not None, begin.get(name, len(LONGEST))

    items.sort(key=place)


@pytest.hookimpl(tryfirst=True)
def pytest_collection() -> None:
    gc.disable()


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    # A collector's full run looks at all that lives, half a second long; tests stay till the end,
    # and what they leave is little.
    gc.collect()
    gc.freeze()
    gc.enable()
    gc.set_threshold(10_000, 20, 20)
    atexit.register(gc.unfreeze)  # some libraries tell of whatever is left to them


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session) -> None:
    run = getattr(session.config.option, "testrunuid", None)
    # The controller's session is the last: all workers are gone.
    if run is not None and not hasattr(session.config, "workerinput"):
        if (types := getattr(session.config, "holymon_types", None)) is not None:
            types.wait()
        shutil.rmtree(shared_folder(run), ignore_errors=True)


def shared_folder(run: str) -> Path:
    """Where the workers of a run, which has a name, wait for their turn."""
    return Path(tempfile.gettempdir()) / f"holymon-tests-{run}"


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session) -> None:
    """Tell the controller how tests ended and what went wrong; of all that goes well before and
    after them only where it is asked for: half of what it does is to read six events of each."""
    option = session.config.option
    if not hasattr(session.config, "workerinput") or option.durations or option.xmlpath:
        return
    for plugin in session.config.pluginmanager.get_plugins():
        if type(plugin).__name__ == "WorkerInteractor":
            plugin.sendevent = partial(_send, plugin.sendevent)


def _send(send: Callable[..., None], name: str, **about) -> None:
    report = about.get("data") or {}
    passed = report.get("outcome") == "passed" and report.get("when") in {"setup", "teardown"}
    quiet = passed and not (report.get("sections") or report.get("user_properties"))
    if name not in {"logstart", "logfinish"} and not (name == "testreport" and quiet):
        send(name, **about)


@contextmanager
def turn(folder: Path, *, alone: bool) -> Iterator[None]:
    """A block that no other worker's goes beside, if `alone`; else any that is not."""
    with (folder / "gate").open("w") as gate, (folder / "room").open("w") as room:
        # Whoever waits for the room holds the gate: else those that share it would never leave
        # it empty.
        fcntl.flock(gate, fcntl.LOCK_EX)
        fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(gate, fcntl.LOCK_UN)
        yield


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item):
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    if run is None or fcntl is None:
        return (yield)
    folder = shared_folder(run)
    folder.mkdir(exist_ok=True)
    with turn(folder, alone=item.get_closest_marker(QUIET) is not None):
        return (yield)
