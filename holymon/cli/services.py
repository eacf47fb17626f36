"""The commands that have others watch: `metrics` serves Prometheus, `init` writes all settings."""

import threading
from pathlib import Path

import click

from holymon.cli.options import given
from holymon.errors import PlanError
from holymon.load.interrupts import interruptible
from holymon.safety import plain


@click.command()
@click.option(
    "--run",
    "wanted",
    metavar="RUN",
    help="Only this run, live or ended (an id, a name for its latest, or last).",
)
@click.option("--port", type=int, default=9464, help="Port; 0 takes a free one. [9464]")
@click.option("--host", default="127.0.0.1", help="Address to listen at. [127.0.0.1]")
@click.option(
    "--slo",
    multiple=True,
    metavar="EXPR",
    help="An objective such as 'ttft_p95<0.5', "
    "whose limit becomes a bucket edge; the same as those of your alerts.",
)
@click.option("--dense", is_flag=True, help="Four buckets for each doubling: finer quantiles.")
@click.option(
    "--textfile",
    type=click.Path(path_type=Path),
    help="Write the figures of --run (or "
    "of the last one) to this .prom file for node_exporter, and end.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("reports"),
    help="Folder of the runs. [reports]",
)
@click.pass_context
def metrics(
    ctx: click.Context,
    wanted: str | None,
    port: int,
    host: str,
    slo: tuple[str, ...],
    dense: bool,
    textfile: Path | None,
    out: Path,
) -> None:
    """Serve figures to Prometheus until Ctrl-C: of all runs in the folder that go on, or begin."""
    from holymon.load.run import attach
    from holymon.prometheus.exporter import expose, write_textfile

    if textfile is not None:
        for option in given(ctx) & {"--port", "--host", "--slo", "--dense"}:
            raise PlanError(f"{option} does not go with --textfile, which has figures, no buckets.")
        write_textfile(attach(wanted or "last", out=out), textfile)
        return
    of = attach(wanted, out=out) if wanted is not None else out
    with interruptible(), expose(of, port=port, host=host, slo=slo, dense=dense) as served:
        click.echo(served.url)
        if host not in {"127.0.0.1", "localhost", "::1"}:
            click.echo(f"whoever reaches {plain(host)} can read these figures.", err=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option(
    "--target",
    default="sim/fast",
    metavar="PROVIDER/MODEL",
    help="What is measured every hour. [sim/fast]",
)
@click.option(
    "--slo",
    multiple=True,
    metavar="EXPR",
    help="An objective to watch, such as "
    "'error_rate<1%' or 'ttft_p95<0.5'. [error_rate<1%, ttft_p95<2s]",
)
@click.option("--webhook", default="", metavar="URL", help="Whom Alertmanager tells.")
@click.option("--port", type=int, default=9464, help="Port of holymon metrics. [9464]")
def init(folder: Path, target: str, slo: tuple[str, ...], webhook: str, port: int) -> None:
    """Write a team's folder: notebooks, targets, Prometheus, alerts, Grafana, cron and systemd.

    Files that are there already stay as they are.
    """
    from holymon.cli import init_folder
    from holymon.prometheus.alerts import OBJECTIVES

    if not 0 < port < 65536:
        raise PlanError(f"port {port} is none: it lies between 1 and 65535.")
    written, kept = init_folder.create(
        folder, target=target, slo=slo or OBJECTIVES, webhook=webhook, port=port
    )
    for path in written:
        click.echo(path)
    for path in kept:
        click.echo(f"{path} was there already and stays as it is.", err=True)
    click.echo(f"{folder / 'README.md'} says what to start.", err=True)
