"""The command `holymon calls`: the calls of a run that are to be asked about, one by one."""

from pathlib import Path

import click

from holymon.cli.options import JSON, OUT
from holymon.cli.output import show


@click.command()
@click.argument("run", metavar="RUN")
@click.option("-n", "n", type=int, default=10, help="So many of the slowest, and of the failed.")
@click.option(
    "--bundle",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write them as one JSON file to show the API's support: no keys, headers or prompts.",
)
@JSON
@OUT
def calls(run: str, n: int, bundle: Path | None, as_json: bool, out: Path) -> None:
    """Show the slowest calls of RUN, and some of each kind that failed.

    Each with its moment, the time of each phase, tokens, the server's request id and its words.
    RUN is an id, a name for its latest, or last.
    """
    from holymon.figures.calls import slowest
    from holymon.load.run import attach

    measured = attach(run, out=out)
    if bundle is not None:
        from holymon.report.bundle import write_bundle

        written = str(write_bundle(measured, bundle, n=n))
        show(lambda: {"bundle": written}, lambda: written, as_json=as_json)
        return
    chosen = slowest(measured, n)
    show(chosen.to_dict, chosen.table.text, as_json=as_json)
