"""Which tests reach a line, and whether one of them fails for a mutant: pytest in forked children.

Everything imported from elsewhere is imported once, in the parent, so that a mutant costs what its
own tests cost. The tests are those that pass without another process, in `SLOW_S`.
"""

import gc
import json
import os
import resource
import signal
import sys
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from math import ceil
from pathlib import Path
from time import process_time

import coverage
import pytest
from hypothesis import HealthCheck, settings

from .making import Lines, Mutant

SLOW_S = 2.0
"""CPU time from which on a test is left out, measured while its lines are counted."""
STATISTICAL = (
    "false_alarms", "stated_power", "cover", "nearly_as_often", "bursts_are_no", "hardly_ever",
    "of_their_process", "notebook", "percentiles_are_numpys",
)  # fmt: skip
"""Parts of the names of tests that are not even tried: thousands of samples each."""
PATIENCE = 2
"""A mutant that takes so many times the time of its tests, and `SPARE_S`, is found."""
SPARE_S = 6
FEW = 40
"""So many of a mutant's tests are tried before all: to collect the files takes longer than they do.
Before these come those of one file, the one whose tests reach most of the module."""
MOST_BYTES = 6 << 30
_PYTEST = ("-q", "-x", "--assert=plain", "--tb=native", "--hypothesis-profile=mutants",
           *(f"-pno:{name}" for name in ("cacheprovider", "xdist", "unraisableexception")))  # fmt: skip
_OUTSIDE = {"subprocess.Popen", "os.posix_spawn"}


@dataclass
class Reached:
    """The tests of a room: CPU seconds of each, and which of them reach a line of a module."""

    seconds: dict[str, float]
    lines: dict[str, dict[int, list[str]]]
    left_out: dict[str, str] = field(default_factory=dict)
    modules: list[str] = field(default_factory=list)

    def tests(self, mutant: Mutant) -> list[str]:
        """Those that may find a mutant: those of the file that reaches most of it, the fastest first.

        They reach its statement; where that is run only once, at import, its function; where it
        is in none, they are all.
        """
        lines = self.lines.get(mutant.path, {})
        for span in (mutant.statement, mutant.function):
            found = set(_within(lines, span)) & self.seconds.keys()
            if found:
                return self._in_order(found, lines)
        return [] if mutant.function else self._in_order(set(self.seconds), lines)

    def _in_order(self, tests: set[str], lines: dict[int, list[str]]) -> list[str]:
        reach = Counter(file for each in lines.values() for file in {_file(name) for name in each})
        widest = max({_file(name) for name in tests}, key=lambda file: (reach[file], file))
        return sorted(tests, key=lambda name: (_file(name) != widest, self.seconds[name]))


def _file(test: str) -> str:
    return test.partition("::")[0]


def _within(lines: dict[int, list[str]], span: Lines | None) -> Iterator[str]:
    first, last = span or (0, -1)
    for line, tests in lines.items():
        if first <= line <= last:
            yield from tests


class _Mapper:
    """A plugin that counts which test reaches which line, and how long it takes."""

    def __init__(self, counting: coverage.Coverage) -> None:
        self.counting, self.seconds, self.left_out = counting, dict[str, float](), dict[str, str]()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        self.counting.switch_context(item.nodeid)
        begun = process_time()
        result = yield
        self.seconds[item.nodeid] = took = process_time() - begun
        if took > SLOW_S:
            self.left_out[item.nodeid] = f"slow ({took:.1f} s)"
        self.counting.switch_context("")
        return result

    def pytest_runtest_logreport(self, report):
        if report.outcome != "passed":
            self.left_out[report.nodeid] = report.outcome


class _Chosen:
    """A plugin that keeps the tests named, in that order."""

    def __init__(self, names: list[str]) -> None:
        self.rank = {name: rank for rank, name in enumerate(names)}

    def pytest_collection_modifyitems(self, items):
        items[:] = sorted((item for item in items if item.nodeid in self.rank),
                          key=lambda item: self.rank[item.nodeid])  # fmt: skip


def _forbid(event: str, _: object) -> None:
    if event in _OUTSIDE:
        raise PermissionError(event)


def _in_child(work: Callable[[], int], log: Path, cpu_s: int = 0) -> int:
    """The exit code of `work` in a forked child, which writes to `log`; negative for a signal."""
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(out, 1)
            os.dup2(out, 2)
            resource.setrlimit(resource.RLIMIT_DATA, (MOST_BYTES, MOST_BYTES))
            if cpu_s:
                resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
                signal.alarm(60 * cpu_s)  # for one that waits for ever
            sys.addaudithook(_forbid)
            code = work()
        except Exception:  # noqa: BLE001 - the parent shows it
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def prepare() -> None:
    """Few examples, the same each time."""
    settings.register_profile("mutants", derandomize=True, deadline=None, database=None,
                              max_examples=30, suppress_health_check=list(HealthCheck))  # fmt: skip


def reached(tests: list[str], log: Path) -> Reached:
    """What the tests in these files and folders reach, and the libraries that they import."""
    told = log.with_suffix(".json")

    def work() -> int:
        counting = coverage.Coverage(data_file=None, source=["holymon"], config_file=False)
        counting.start()
        mapper, few = _Mapper(counting), " and ".join(f"not {part}" for part in STATISTICAL)
        pytest.main([*_PYTEST, "--maxfail=1000000", "-k", few, *tests], plugins=[mapper])
        counting.stop()
        data, lines = counting.get_data(), {}
        for file in data.measured_files():
            lines[str(Path(file).relative_to(Path.cwd()))] = {
                line: [name for name in names if name]
                for line, names in data.contexts_by_lineno(file).items()
            }
        good = {n: s for n, s in mapper.seconds.items() if n not in mapper.left_out}
        modules = [name for name in list(sys.modules) if _library(name)]
        told.write_text(json.dumps([good, lines, mapper.left_out, modules]))
        return 0

    if _in_child(work, log):
        raise RuntimeError(log.read_text())
    good, lines, left_out, modules = json.loads(told.read_text())
    numbered = defaultdict[str, dict[int, list[str]]](dict)
    for file, by_line in lines.items():
        numbered[file] = {int(line): names for line, names in by_line.items()}
    return Reached(good, numbered, left_out, modules)


def _library(name: str) -> bool:
    return name.partition(".")[0] not in {"holymon", "tests", "conftest", "__main__"}


def load(modules: list[str]) -> None:
    """Import libraries here, for all children."""
    for name in modules:
        try:
            import_module(name)
        except Exception:  # noqa: BLE001 - what can't be imported alone is left to the tests
            continue
    gc.collect()
    gc.freeze()  # pytest collects several times; a child need not look through all of these


def found(mutant: Mutant, tests: list[str], seconds: float, log: Path) -> bool:
    """Whether a test fails, or takes far too long, when the module is this mutant."""
    path = Path(mutant.path)
    source, times = path.read_text("utf-8"), path.stat()

    def work() -> int:
        sys.dont_write_bytecode = False
        code = 0
        wide = sum(_file(name) == _file(tests[0]) for name in tests)
        for part in (tests[:wide], tests[wide : wide + FEW], tests[wide + FEW :]):
            files = sorted({_file(name) for name in part})
            if part and code in {0, 5}:
                code = int(pytest.main([*_PYTEST, *files], plugins=[_Chosen(part)]))
        return code

    try:
        path.write_text(mutant.code, "utf-8")
        # A compiled copy is told by time and size, so each mutant has a time of its own.
        found.moment += 1
        os.utime(path, (found.moment, found.moment))
        return _in_child(work, log, ceil(SPARE_S + PATIENCE * seconds)) not in {0, 5}
    finally:
        path.write_text(source, "utf-8")
        os.utime(path, (times.st_atime, times.st_mtime))


found.moment = 1_000_000_000
