"""The commands about all runs of a folder or store: `runs` lists them, `prune` makes room."""

import sys
import time
from pathlib import Path

import click

from holymon.cli.options import FOLDER, JSON, OUT, SECONDS
from holymon.cli.output import say, show
from holymon.errors import PlanError, RunError
from holymon.formatting import number_of


@click.command()
@click.option("--name", default="", help="Only those measured under this name.")
@click.option("--target", default="", metavar="TEXT", help="Only those with this in a target.")
@click.option("--since", metavar="TIME", help="Only those since, such as 2026-11-24T15:00.")
@click.option("--figures", is_flag=True, help="With what was measured, target by target: failures, "
              "latency, TTFT, cost.")  # fmt: skip
@click.option(
    "--sync",
    is_flag=True,
    help="Of a store: send what could not be sent yet, make runs of what pods have sent, and put "
    "many runs into few files, which makes it quick to read; once a day is enough.",
)
@JSON
@OUT
@click.argument("where", required=False, type=FOLDER, metavar="[DIR|URL]")
def runs(
    name: str, target: str, since: str | None, figures: bool, sync: bool, as_json: bool, out: Path,
    where: Path | None,
) -> None:  # fmt: skip
    """List the runs in the folder of reports, or in DIR or a store (s3://bucket/prefix)."""
    from holymon.catalogue.listing import runs as listing
    from holymon.records.spool import shown

    out = where or out
    if sync:
        _sync(out)
        return

    if figures:
        from holymon.catalogue.history import history

        known = history(out, name=name, target=target, since=since)
        show(known.to_dicts, known.table.text, as_json=as_json)
        return
    listed = listing(out, name=name, target=target, since=since)
    that_fit = " that fit" * bool(name or target or since)
    nothing = f"no runs{that_fit} in {shown(out)}: `holymon load sim/fast` makes one."
    show(lambda: listed, lambda: listed.table.text() if listed else nothing, as_json=as_json)


def _sync(out: Path) -> None:
    """Send what is left, and what pods sent as runs, then pack. Raises RunError if any stays."""
    from holymon.catalogue import packed_calls
    from holymon.load import arriving, fetch, store_entries
    from holymon.load.publish import send
    from holymon.load.run import Run
    from holymon.records.spool import store_of

    store = store_of(out)
    if store is None:
        raise PlanError("--sync is of a store: give its address, such as s3://bucket/prefix.")
    if send(out, Run):  # which says so
        sys.exit(4)
    arrived = [fetch.find(out, run_id) for run_id in arriving.ids(store)]
    if arrived and send(out, Run):
        sys.exit(4)
    store_entries.pack(store, least=2)
    packed = packed_calls.pack(store, time.time())
    say(f"all runs are in {store.url}; the calls of {number_of(packed, 'run')} were packed.")


@click.command()
@click.option("--older-than", "older_s", type=SECONDS, metavar="TIME",
              help="Those of runs that began longer ago, such as 90d.")  # fmt: skip
@click.option("--keep", type=click.IntRange(0), metavar="N", help="Those beyond the latest N runs.")
@click.option("--max-mb", type=click.FloatRange(0), metavar="MB",
              help="The oldest, until the rest has so many.")  # fmt: skip
@click.option("--yes", is_flag=True, help="Delete them; else it is only said what would go.")
@OUT
def prune(
    older_s: float | None, keep: int | None, max_mb: float | None, yes: bool, out: Path
) -> None:  # fmt: skip
    """Delete the calls of old runs and keep their figures, to make room in the folder of reports.

    Whatever passes one of the limits goes. Figures, plans, reports and what was asked stay; what
    only runs asked whose folders were deleted goes too.
    """
    from holymon.catalogue import packed_calls
    from holymon.catalogue.retention import drop_calls, excess, size
    from holymon.records.request_store import forget
    from holymon.records.spool import store_of

    if older_s is None and keep is None and max_mb is None:
        raise PlanError("prune needs a limit: --older-than, --keep or --max-mb.")
    most = None if max_mb is None else max_mb * 1e6
    number, freed = 0, 0
    for entry in excess(out, older_s=older_s, most_runs=keep, most_bytes=most):
        mine = size(out, entry)
        try:
            if yes:
                drop_calls(out, entry)
        except RunError as error:
            say(str(error), err=True)
            continue
        number, freed = number + 1, freed + mine
        say(f"{entry.run_id}: {mine / 1e6:.1f} MB of calls{' deleted' * yes}")
    store = store_of(out)
    if yes and store is not None:
        packed_calls.forget(store)
    elif yes:
        forget(out)
    done = "deleted, their figures are kept." if yes else "would be deleted: say --yes to do it."
    say(f"the calls of {number_of(number, 'run')}, {freed / 1e6:.1f} MB, {done}")
