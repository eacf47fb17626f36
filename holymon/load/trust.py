"""A word of consent to where a file's, a plan's or a run's keys go: `hm.trust`, `holymon trust`."""

from pathlib import Path

from holymon.errors import ConfigError, PlanError
from holymon.formatting import Table
from holymon.load.opened import OpenedRun
from holymon.load.opened import open as open_report
from holymon.load.run import Run
from holymon.plan import consent, targets
from holymon.plan.given_file import decoded, raw
from holymon.plan.plan import Plan
from holymon.plan.target import Target
from holymon.records import run_folder
from holymon.records.spool import folder_of
from holymon.safety import plain
from holymon.structs import shows_table

Named = Path | str | Plan | Run | OpenedRun | Target


@shows_table
class Agreed(tuple[consent.Sending, ...]):
    """The keys that may go somewhere, each with its address."""

    __slots__ = ()

    @property
    def table(self) -> Table:
        """The variable of each key, and where it goes."""
        if not self:
            return Table(lead=("No key goes anywhere.",))
        rows = [(s.variable, plain(s.address), s.ca[:12]) for s in self]
        return Table(("the key in", "may go to", "certified by"), rows, "l")


def trust(what: Named, *, out: Path | str = "reports") -> Agreed:
    """Agree, once, to where a file, a plan or a run of others sends keys; what was agreed to.

    `what` is a targets.toml, a plan (also in a file), a target, or a run (also by its id, name or
    path, or the page of its report). It is remembered by content: another variable or address
    there is asked for again. Raises ConfigError, PlanError, RunError.
    """
    agreed = Agreed(consent.sendings(_targets_of(what, folder_of(out))))
    consent.remember(agreed)
    return agreed


def _targets_of(what: Named, out: Path) -> tuple[Target, ...]:
    """The targets that `what` names. Raises ConfigError, PlanError, RunError."""
    if isinstance(what, Target):
        return (what,)
    if isinstance(what, Run | OpenedRun):
        return what.plan.targets
    if isinstance(what, Plan):
        return what.targets
    path = Path(what)
    if path.suffix == ".toml" and path.is_file():
        return targets.targets_in(path)
    if path.suffix == ".json" and path.is_file():
        return _plan_in(path).targets
    if path.suffix == ".html" and path.is_file():
        return open_report(path).plan.targets
    if path.suffix in {".toml", ".json", ".html"}:
        raise ConfigError(f"there is no file {plain(str(path))}: give the path of one, or a run.")
    return run_folder.read_plan(run_folder.find(out, str(what))).targets


def _plan_in(path: Path) -> Plan:
    try:
        return Plan.from_json(decoded(raw(path)), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"can't read {plain(str(path))}: {error}.") from None
    except PlanError as error:
        raise PlanError(f"{plain(str(path))}: {error}") from None
