"""`python -m holymon.cluster.pod`: one share of a plan in a pod of a Kubernetes Indexed Job.

Its number is in JOB_COMPLETION_INDEX. All pods share the run's folder: the first of them makes the
first calls, each makes its share from the moment that all of them were told, once, and the last
one makes a run of all. A pod that comes after that moment calls nobody, and neither does one whose
share was begun before. SIGTERM ends it at once: what has ended is in the folder.
Not run on a cluster here: its command is run as several processes by the tests.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from holymon.errors import HolymonError, RunError
from holymon.load.gathered import begin, gathered
from holymon.plan.plan import Plan
from holymon.records import request_store, run_folder
from holymon.records.own_files import PRIVATE, write_aside, write_json
from holymon.safety import short
from holymon.sim.process import PYTHON_M

INDEX: Final = "JOB_COMPLETION_INDEX"
READY_S: Final = 0.5
"""A worker needs so long to be ready; who comes later than that before the start is too late."""

LOOK_S: Final = 0.05


def main(argv: list[str] | None = None) -> int:
    """Make one share; 0 if it came to its end or there was nothing to call."""
    parser = argparse.ArgumentParser(prog="python -m holymon.cluster.pod")
    parser.add_argument("plan", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--of", type=int, required=True)
    parser.add_argument("--start", type=datetime.fromisoformat, required=True)
    parser.add_argument("--until", type=datetime.fromisoformat, required=True)
    options = parser.parse_args(argv)
    index = os.environ.get(INDEX, "")
    try:
        if not index.isdigit() or int(index) >= options.of:
            raise RunError(f"{INDEX} is {short(index, 20)!r}: it says which of {options.of} it is.")
        return _Pod(int(index), options).run()
    except HolymonError as error:
        print(error, file=sys.stderr)
    except OSError as error:
        print(f"{error.strerror} ({error.filename}).", file=sys.stderr)
    return 4


class _Pod:
    def __init__(self, part: int, options: argparse.Namespace) -> None:
        self._part, self._folder, self._plan = part, options.folder, options.plan
        self._of, self._start, self._until = options.of, options.start, options.until

    def run(self) -> int:
        folder, part = self._folder, self._part
        folder.mkdir(parents=True, exist_ok=True)
        for path in (self._plan / "plan.json", self._plan / request_store.NAME):
            if path.exists() and not (folder / path.name).exists():
                write_aside(folder / path.name, path.read_bytes(), mode=PRIVATE)
        about = {"of": self._of, "start_at": _iso(self._start), "until_at": _iso(self._until)}
        write_json(folder / run_folder.JOB, about)
        begin(folder, part)
        if time.time() > self._start.timestamp() - READY_S:
            late = f"pod {part} came after the start at {_iso(self._start)}: it called nobody."
            write_json(folder / f"share.{part}.json", {"state": "failed", "detail": late})
            raise RunError(late)
        spent = self._called_first() if part == 0 else self._waited()
        code = 0 if spent is None else self._share(spent)
        gathered(folder)
        return code

    def _called_first(self) -> float | None:
        """What the first calls cost (USD), for this is whose they are; None if they end the run."""
        plan = run_folder.read_plan(self._folder)
        outcome: dict[str, Any] = {"first_calls": [], "spent": 0.0, "ending": None}
        if plan.first_call:
            done = subprocess.run(
                [*PYTHON_M, "holymon.load.share", str(self._folder), "--first-call"],
                stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            )  # fmt: skip
            if done.returncode:
                raise RunError(short(done.stderr.strip().rpartition("\n")[2], 400))
            outcome = json.loads(done.stdout)
        state: dict[str, Any] = {"started_at": _iso(self._start), "workers": self._of}
        state["first_calls"] = outcome["first_calls"]
        if outcome["ending"] is not None:
            why, detail = outcome["ending"]
            run_folder.write_state(
                self._folder, state="finished", ended=why, detail=detail,
                ended_at=run_folder.now().isoformat(), **state,
            )  # fmt: skip
            return None
        run_folder.write_state(self._folder, state="running", **state)
        return float(outcome["spent"])

    def _waited(self) -> float | None:
        """Wait for what the first calls found out, while there is time; None: they ended it."""
        while time.time() < self._start.timestamp() - READY_S:
            state = run_folder.read_raw_state(self._folder)
            if "first_calls" in state:
                return None if state.get("ended") == "first_call" else 0.0
            time.sleep(LOOK_S)
        return 0.0

    def _share(self, spent: float) -> int:
        command = [*PYTHON_M, "holymon.load.share", str(self._folder), "--part", str(self._part)]
        child = subprocess.Popen(
            [*command, "--of", str(self._of), "--start", _iso(self._start), "--spent", str(spent)],
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        # A worker that is asked to stop asks all others, too; one that is gone leaves them alone.
        signal.signal(signal.SIGTERM, lambda *_: child.kill())
        with contextlib.suppress(KeyboardInterrupt):
            return child.wait()
        child.kill()
        return child.wait()


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


def files_of(plan: Plan) -> dict[str, str]:
    """What a pod needs of a plan, by the names of its files. Raises ConfigError, PlanError."""
    files = {"plan.json": plan.to_json().decode()}
    if plan.prompts.dataset is not None:
        files[request_store.NAME] = plan.prompts.dataset.packed.data.decode()
    return files


if __name__ == "__main__":
    sys.exit(main())
