"""The process of a run's worker, started beside whoever wants the run."""

import subprocess
from pathlib import Path

from holymon.plan import consent
from holymon.plan.plan import Plan
from holymon.records.own_files import new_file
from holymon.sim.process import PYTHON_M


class Process(subprocess.Popen[bytes]):
    """A worker's process; it may outlive the object that started it."""

    def __del__(self, *_: object) -> None:
        self.poll()


def launch(folder: Path, plan: Plan, *, detached: bool) -> Process:
    """Start the worker that measures the plan in a folder; it ends with us unless `detached`."""
    command = [*PYTHON_M, "holymon.load.worker", str(folder.resolve())]
    with new_file(folder / "worker.log") as log:
        return Process(
            command if detached else [*command, "--attached"],
            stdin=subprocess.DEVNULL if detached else subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=consent.inherited(plan.targets),
            # Out of reach of Ctrl-C and of a kernel's end; not a session of its own, because
            # Linux shares a core evenly between sessions, whoever steps aside in one of them.
            process_group=0,
        )
