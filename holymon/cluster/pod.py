"""`python -m holymon.cluster.pod`: one share of a plan in a pod of a Kubernetes Indexed Job.

Its number is in JOB_COMPLETION_INDEX. All pods share the run's folder: the first of them makes the
first calls, each makes its share from the moment that all of them were told, once, and the last
one makes a run of all. A pod that comes after that moment calls nobody, and neither does one whose
share was begun before. SIGTERM ends it at once: what has ended is in the folder.
Where the folder is in an object store, each pod has one of its own, and sends what is new in it, at
first once a second and later less often (`pause`); whoever looks for the run there makes it of what
came.
Not run on a cluster here: its command is run as several processes by the tests.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from holymon.errors import HolymonError, RunError
from holymon.load.arriving import Sender
from holymon.load.gathered import begin, gathered
from holymon.plan.plan import Plan
from holymon.records import request_store, run_folder
from holymon.records.own_files import PRIVATE, write_aside, write_json
from holymon.records.store import is_url, opened
from holymon.safety import short
from holymon.sim.process import PYTHON_M

INDEX: Final = "JOB_COMPLETION_INDEX"
READY_S: Final = 0.5
"""A worker needs so long to be ready; who comes later than that before the start is too late."""

LOOK_S: Final = 0.05
SEND_S: Final = 1.0
PART: Final = 1 / 30
LONGEST_S: Final = 10.0
"""From one piece to the next: a second, then so large a part of what has gone by, but no longer.

So much of its records may be lost with a pod that is killed and its disk, and so late it hears of
another's stop. A piece and the look for a stop cost as much as a PUT each ($5 a million,
aws.amazon.com/s3/pricing): an hour of 64 pods is $0.28 instead of $2.30, in 28,000 objects and not
in 230,000. Shippers of logs wait longer (Fluent Bit's S3 output ten minutes): nobody looks on.
"""

NICE: Final = 10
"""What sends steps aside for what measures, where both have one core."""


def main(argv: list[str] | None = None) -> int:
    """Make one share; 0 if it came to its end or there was nothing to call."""
    parser = argparse.ArgumentParser(prog="python -m holymon.cluster.pod")
    parser.add_argument("plan", type=Path)
    parser.add_argument("folder")
    parser.add_argument("--of", type=int, required=True)
    parser.add_argument("--start", type=datetime.fromisoformat, required=True)
    parser.add_argument("--until", type=datetime.fromisoformat, required=True)
    options = parser.parse_args(argv)
    index = os.environ.get(INDEX, "")
    try:
        if not index.isdigit() or int(index) >= options.of:
            raise RunError(f"{INDEX} is {short(index, 20)!r}: it says which of {options.of} it is.")
        pod = _Pod if not is_url(options.folder) else _StoringPod
        return pod(int(index), options).run()
    except HolymonError as error:
        print(error, file=sys.stderr)
    except OSError as error:
        print(f"{error.strerror} ({error.filename}).", file=sys.stderr)
    return 4


def pause(gone_s: float) -> float:
    """How long to gather records for the next piece, so long after the start (s; s)."""
    return min(max(SEND_S, gone_s * PART), LONGEST_S)


class _Pod:
    def __init__(self, part: int, options: argparse.Namespace) -> None:
        self._part, self._folder, self._plan = part, Path(options.folder), options.plan
        self._of, self._start, self._until = options.of, options.start, options.until

    def run(self) -> int:
        self._prepare()
        part = self._part
        if time.time() > self._start.timestamp() - READY_S:
            late = f"pod {part} came after the start at {_iso(self._start)}: it called nobody."
            write_json(self._folder / f"share.{part}.json", {"state": "failed", "detail": late})
            self._end()
            raise RunError(late)
        spent = self._called_first() if part == 0 else self._waited()
        code = 0 if spent is None else self._share(spent)
        self._end()
        return code

    def _prepare(self) -> None:
        """Have the plan in the run's folder, and note that the share is begun, once."""
        self._write_plan()
        begin(self._folder, self._part)

    def _write_plan(self) -> None:
        folder = self._folder
        folder.mkdir(parents=True, exist_ok=True)
        for path in (self._plan / "plan.json", self._plan / request_store.NAME):
            if path.exists() and not (folder / path.name).exists():
                write_aside(folder / path.name, path.read_bytes(), mode=PRIVATE)
        about = {"of": self._of, "start_at": _iso(self._start), "until_at": _iso(self._until)}
        write_json(folder / run_folder.JOB, about)

    def _end(self) -> None:
        gathered(self._folder)

    def _attend(self, child: "subprocess.Popen[bytes]") -> None:
        """Be there until the share has ended."""
        child.wait()

    def _look(self) -> None:
        """See what others have written."""

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
            self._look()
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
            self._attend(child)
        if child.poll() is None:
            child.kill()
        return child.wait()


class _StoringPod(_Pod):
    """A pod whose run is in an object store, `URL/NAME/UTC`: its share's folder is its own."""

    def __init__(self, part: int, options: argparse.Namespace) -> None:
        super().__init__(part, options)
        url, name, stamp = options.folder.rsplit("/", 2)
        self._own = Path(tempfile.mkdtemp(prefix="holymon-"))
        self._folder = self._own / name / stamp
        self._sending = Sender(opened(url), self._folder, part)
        self._looked, self._silent = 0.0, ""

    def _prepare(self) -> None:
        self._write_plan()
        self._sending.put(run_folder.JOB, "plan.json", request_store.NAME)
        self._sending.begin()

    def _called_first(self) -> float | None:
        spent = super()._called_first()
        self._sent()
        return spent

    def _look(self) -> None:
        if self._is_time():
            with contextlib.suppress(RunError):  # then it begins without
                self._sending.look("state.json")

    def _is_time(self) -> bool:
        """Whether it is time to ask the store again."""
        gone = time.time() - self._start.timestamp()
        is_time = time.monotonic() - self._looked >= pause(gone)
        if is_time:
            self._looked = time.monotonic()
        return is_time

    def _attend(self, child: "subprocess.Popen[bytes]") -> None:
        with contextlib.suppress(AttributeError, OSError):
            os.nice(NICE)
        while child.poll() is None:
            if self._is_time():
                self._sent()
            time.sleep(LOOK_S)

    def _sent(self, *, last: bool = False) -> bool:
        """Whether the store has all by now; what it does not take is here, and goes later."""
        try:
            if self._part == 0:
                self._sending.put("state.json")
            self._sending.heed()
            self._sending.send(last=last)
        except RunError as error:
            if str(error) != self._silent:
                print(error, file=sys.stderr)
            self._silent = str(error)
            return False
        return True

    def _end(self) -> None:
        """Send the rest, for as long as a pod may be there. Raises RunError if not all is."""
        while not self._sent(last=True):
            if time.time() > self._until.timestamp():
                raise RunError(f"pod {self._part}: not all of its records are in the store, the "
                               f"rest is in {self._folder}: {self._silent}")  # fmt: skip
            time.sleep(SEND_S)
        shutil.rmtree(self._own, ignore_errors=True)


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
