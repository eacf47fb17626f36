"""A plan being measured or measured: start it in a worker process, follow, stop, attach."""

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from holymon.errors import RunError
from holymon.figures.size_types import SizeEffects
from holymon.figures.sizes import sizes_of
from holymon.figures.summary import summarize
from holymon.figures.summary_types import Summary
from holymon.figures.turn_types import Turns
from holymon.figures.turns import turns_of
from holymon.figures.verdict import Verdict, judge
from holymon.formatting import Table, Tables, number_of
from holymon.load import fetch, publish, run_json
from holymon.load.gathered import gathered
from holymon.load.process import LOCAL, Executor, Process
from holymon.plan.plan import Plan
from holymon.plan.targets import with_prices
from holymon.records import journal, request_store, run_folder, run_state
from holymon.records import notes as side_file
from holymon.records.client_health import ClientHealth
from holymon.records.first_call import FirstCall, first_calls, informed, outcome, with_cost
from holymon.records.headroom import headroom
from holymon.records.own_files import write_aside
from holymon.records.place import place
from holymon.records.records import Records
from holymon.records.run_state import LIVE
from holymon.records.spool import folder_of

POLL_S = 0.1


class Run:
    """One run: its plan, its folder, its records so far."""

    def __init__(self, folder: Path, *, later: bool = False) -> None:
        """Open the run in `folder`, its records maybe `later`; write nothing. Raises RunError."""
        self.folder = folder
        self.plan = run_folder.read_plan(folder)
        self._process: Process | None = None
        self._taking = threading.RLock()
        self._follower: journal.Follower | None = None
        self._summary: tuple[int, Summary] | None = None
        self._sizes: tuple[int, SizeEffects] | None = None
        self._lent: tuple[int, Summary, Verdict] | None = None
        self._known: Records | None = None
        compacted = run_folder.is_compacted(folder)
        if later and compacted:
            run_folder.count(folder)  # raises RunError for what can't be records
        elif compacted or not self.live:
            self._known = run_folder.load(folder)
        else:
            self._known = Records(self.plan.targets, turns=self.plan.prompts.turns)
            self._follower = journal.Follower(folder, self._known)

    @property
    def id(self) -> str:
        """Name and beginning of the run, as `name/UTC`."""
        return run_folder.run_id(self.folder)

    @property
    def state(self) -> str:
        """`starting`, `first call`, `running`, `finished`, `stopped`, `failed`, `interrupted`."""
        return str(self.status["state"])

    @property
    def status(self) -> dict[str, Any]:
        """What the worker says of the run: state, why it ended, when it started."""
        gone = self._process is not None and self._process.poll() is not None
        status = run_folder.read_state(self.folder)
        if status["state"] == "starting" and gone:
            return {**status, "state": "failed"}
        return status

    @property
    def live(self) -> bool:
        """Whether the run is still going on."""
        return self.state in LIVE

    @property
    def records(self) -> Records:
        """The attempts that have ended by now; a live run's grow."""
        with self._taking:
            if self._follower is not None:
                self._follower.poll()
                if run_folder.is_compacted(self.folder):  # by its worker
                    self._take_the_rest()
                elif self._records.began is None and len(self._records):
                    self._records.began = run_folder.began(self.folder)
            side_file.lend(self.folder, self._records)
            self._records.unfit = partial(journal.unfit, self.folder)
            return self._records

    @property
    def _records(self) -> Records:
        """Those that there were at the last look."""
        if self._known is None:
            self._known = run_folder.load(self.folder)
        return self._known

    @property
    def calls(self) -> int:
        """The number of its records."""
        return self._lent[0] if self._lent else len(self.records)

    @property
    def vitals(self) -> ClientHealth:
        """How the client was doing, second by second."""
        return journal.vitals(self.folder)

    @property
    def notes(self) -> list[dict[str, Any]]:
        """Texts of failures, redacted: data, to be escaped wherever they are shown."""
        return side_file.notes(self.folder)

    @property
    def request_ids(self) -> dict[int, str]:
        """The servers' ids of failed and of the slowest calls, by the number of the call: data."""
        return side_file.request_ids(self.folder)

    def lend(self, calls: int, summary: Summary, judged: Verdict) -> None:
        """Have the figures that another process computed, unless its records are here, too."""
        if self._known is None:
            self._lent = calls, summary, judged

    def summary(self) -> Summary:
        """The figures of the records there are by now."""
        if self._lent:
            return self._lent[1]
        records = self.records
        # Records are only ever added: as many are the same ones.
        if self._summary is None or self._summary[0] != len(records):
            summary, calls = summarize(records, self.plan), self.first_calls
            words = {call.target: {call.error_type: call.message} for call in calls if call.ended}
            limits = headroom(self.folder)
            known = [
                replace(t, messages=words.get(t.target, t.messages), limits=limits.get(i, {}))
                for i, t in enumerate(summary.targets)
            ]
            cost = with_cost(summary.cost_usd, calls)
            self._summary = len(records), replace(summary, targets=tuple(known), cost_usd=cost)
        return self._summary[1]

    @property
    def first_calls(self) -> tuple[FirstCall, ...]:
        """What came of the call that each target got before the load."""
        return first_calls(self.status)

    def sizes(self) -> SizeEffects:
        """How TTFT and decoding grow with the sizes of prompts and answers; figures by size."""
        if self._sizes is None or self._sizes[0] != len(self.records):
            self._sizes = len(self._records), sizes_of(self._records)
        return self._sizes[1]

    def turns(self) -> Turns:
        """The figures of first and later turns, where conversations were held."""
        return turns_of(self.records)

    def verdict(self) -> Verdict:
        """Whether they can be trusted, and whether the objectives are met."""
        if self._lent:
            return self._lent[2]
        how = self.vitals, *run_state.ending(self.status)
        return judge(self.summary(), self.plan, *how, records=self.records)

    @property
    def exit_code(self) -> int:
        """That of the command: its verdict's, and 4 for a run that failed or ended unasked."""
        code = 4 if self.state == "failed" else self.verdict().exit_code
        return code or 4 * (self.state == "interrupted")

    def require_end(self, use: str) -> None:
        """Raise RunError while it still goes on: what is made of it would change meanwhile."""
        if self.live:
            raise RunError(f"{self.id} is still going on: {use} it when it has ended.")

    def informed(self, plan: Plan) -> Plan:
        """Another plan of the same targets with what its first calls found out, and without any."""
        mine = plan.first_call and plan.targets == self.plan.targets
        return informed(plan, self.first_calls) if mine else plan

    def stop(self) -> None:
        """Ask the worker to end: calls in flight become `cancelled`, everything is kept."""
        with contextlib.suppress(OSError):
            write_aside(self.folder / "stop", b"")  # it may hold a gentler word by now

    def kill(self) -> None:
        """End the worker that this object started, at once; what has ended is in the journal."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()

    def wait(
        self, seen: Callable[["Run"], None] | None = None, timeout: float | None = None
    ) -> "Run":
        """Wait for the end, calling `seen` about ten times a second.

        The journals of a run that this object started are then compacted. Raises RunError if the
        worker could not do its work, or its folder was removed.
        """
        until = None if timeout is None else time.monotonic() + timeout
        while self.live:
            if seen is not None:
                seen(self)
            if until is not None and time.monotonic() > until:
                raise RunError(f"{self.id} has not ended within {timeout:g} s.")
            time.sleep(POLL_S)
        if not self.folder.is_dir():
            self.kill()  # nothing could be kept any more, and nothing else could stop it
        if self._process is not None:
            self._process.wait()
            if self._process.stdin:
                self._process.stdin.close()
        run_state.require_folder(self.folder, self.id)
        if self.state == "failed" and not len(self.records):
            why = run_state.why_failed(self.folder, self.status)
            raise RunError(f"{self.id} could not be measured: {why}")
        if self._process is not None:
            self.close()
            publish.send(run_folder.out_of(self.folder), Run)
        else:
            self._take_the_rest()
        return self

    def close(self) -> None:
        """Compact the journals of a run that has ended; does nothing to one that goes on.

        Where they can't be, for a full disk or another's folder, the journals are enough.
        """
        with self._taking:
            if self.live:
                return
            self._take_the_rest()
            if not run_folder.is_compacted(self.folder):
                with contextlib.suppress(RunError):
                    if not run_folder.compact(self.folder, self._records):
                        self._known = run_folder.load(self.folder)
                self._summary = self._sizes = None  # times were rounded

    def _take_the_rest(self) -> None:
        """Read the last records of a run that has ended, with those left under way."""
        with self._taking:
            if self._follower is None:
                return
            self._follower.poll()
            self._follower.unfinished(self.plan)
            self._records.began = run_folder.began(self.folder)
            if run_folder.is_compacted(self.folder):
                # Journals vanish while another process compacts; what it wrote is whole.
                self._known = run_folder.load(self.folder)
            self._follower = self._summary = self._sizes = None

    def to_dict(self) -> dict[str, Any]:
        """The run, its figures and its verdict: the object that `--json` prints."""
        return run_json.of(self)

    def _repr_html_(self) -> str:
        head = Table(lead=(repr(self).removeprefix("<Run ")[:-1],))
        return Tables([head, self.summary().table, self.verdict().table]).html()

    def __repr__(self) -> str:
        return f"<Run {self.id}: {outcome(self.status)}, {number_of(len(self.records), 'call')}>"


def start(
    plan: Plan, *, out: Path | str = "reports", detached: bool = True, executor: Executor = LOCAL
) -> Run:  # fmt: skip
    """Measure `plan` in worker processes of its own, on this machine or where `executor` has them.

    Return at once. A detached run outlives this process; `attach` finds it again. Raises
    ConfigError for a key, an address or a proxy that can't be, RunError for such a folder.
    """
    plan = executor.placed(with_prices(plan))
    place()  # before anything is measured
    folder = run_folder.new_folder(folder_of(out), plan.run_name)
    request_store.keep(plan, folder)
    write_aside(folder / "plan.json", plan.to_json(), mode=run_folder.mode_of(plan))
    run_folder.write_state(folder, state="starting", started_at=run_folder.now().isoformat())
    run = Run(folder)
    run._process = executor.launch(folder, plan, detached=detached)
    return run


def attach(wanted: str = "last", *, out: Path | str = "reports") -> Run:
    """The run with that id, name (its latest) or path, or the last of all; followed if it goes on.

    Raises RunError if there is none.
    """
    return Run(gathered(fetch.find(folder_of(out), wanted)))


def measure(plan: Plan, *, out: Path | str = "reports") -> Run:
    """Measure `plan`, wait for its end, and return the run. It ends early with this process."""
    return start(plan, out=out, detached=False).wait()
