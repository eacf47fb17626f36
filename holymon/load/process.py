"""The process of a run's worker, started beside whoever wants the run; where it makes its calls."""

import subprocess
from pathlib import Path
from typing import Final, Protocol

from holymon.load.requests import require_ways
from holymon.plan import consent
from holymon.plan.plan import Plan
from holymon.records.own_files import new_file
from holymon.sim.process import PYTHON_M


class Process(subprocess.Popen[bytes]):
    """A worker's process; it may outlive the object that started it."""

    def __del__(self, *_: object) -> None:
        self.poll()


class Executor(Protocol):
    """Where a plan's workers are: on this machine, or on others that a process here leads."""

    def placed(self, plan: Plan) -> Plan:
        """The plan as it can be measured there. Raises ConfigError if it can't."""

    def launch(self, folder: Path, plan: Plan, *, detached: bool) -> Process:
        """Begin to measure the plan in a folder; it ends with us unless `detached`."""


class LocalProcesses:
    """Workers on this machine; the first of them holds the run."""

    def placed(self, plan: Plan) -> Plan:
        """The plan itself. Raises ConfigError for a key that is missing or may not go there."""
        require_ways(plan.targets)
        return plan

    def launch(self, folder: Path, plan: Plan, *, detached: bool) -> Process:
        """Start the first worker."""
        command = [*PYTHON_M, "holymon.load.worker", str(folder.resolve())]
        return begin(folder, command, consent.inherited(plan.targets), detached=detached)


LOCAL: Final = LocalProcesses()


def begin(
    folder: Path, command: list[str], environment: dict[str, str] | None, *, detached: bool
) -> Process:  # fmt: skip
    """Start the process that holds the run in a folder; it ends with us unless `detached`."""
    with new_file(folder / "worker.log") as log:
        return Process(
            command if detached else [*command, "--attached"],
            stdin=subprocess.DEVNULL if detached else subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=environment,
            # Out of reach of Ctrl-C and of a kernel's end; not a session of its own, because
            # Linux shares a core evenly between sessions, whoever steps aside in one of them.
            process_group=0,
        )
