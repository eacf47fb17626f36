"""The commands that have others watch, `metrics` and `init`, and `trust`, a word on keys."""

import threading
from pathlib import Path

import click

from holymon.cli.consent import agreed
from holymon.cli.options import OUT, PATH, PORT, RUN, SLO, given
from holymon.cli.output import say
from holymon.cli.target_options import text
from holymon.errors import PlanError
from holymon.load.interrupts import interruptible
from holymon.safety import plain


@click.command()
@RUN
@PORT
@click.option("--host", default="127.0.0.1", help="Address to listen at.")
@click.option("--allow-host", "names", multiple=True, metavar="NAME",
              help="A name by which Prometheus calls it, if not by its address.")  # fmt: skip
@SLO
@click.option("--dense/--coarse", default=True, help="Four buckets for each doubling, so that a "
              "percentile is off by 19 % at most (default); or a fifth of the series.")  # fmt: skip
@click.option("--textfile", type=PATH, help="Write the figures of --run (or of the last one) to "
              "this .prom file for node_exporter, and end.")  # fmt: skip
@OUT
@click.pass_context
def metrics(
    ctx: click.Context, wanted: str | None, port: int, host: str, names: tuple[str, ...],
    slo: tuple[str, ...], dense: bool, textfile: Path | None, out: Path,
) -> None:  # fmt: skip
    """Serve figures to Prometheus until Ctrl-C: of all runs in the folder that go on, or begin.

    Limits of objectives (--slo) become bucket edges: give the same as those of your alerts.
    """
    from holymon.load.run import attach
    from holymon.prometheus.exporter import expose, write_textfile

    if textfile is not None:
        for option in given(ctx) & {
            "--port",
            "--host",
            "--allow-host",
            "--slo",
            "--dense",
            "--coarse",
        }:
            raise PlanError(f"{option} does not go with --textfile, which has figures, no buckets.")
        write_textfile(attach(wanted or "last", out=out), textfile)
        return
    source = attach(wanted, out=out) if wanted is not None else out
    with interruptible(), expose(
        source, port=port, host=host, slo=slo, dense=dense, names=names
    ) as served:  # fmt: skip
        say(served.url)
        if host not in {"127.0.0.1", "localhost", "::1"}:
            say(f"whoever reaches {plain(host)} can read these figures.", err=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


@click.command()
@click.argument("folder", type=PATH, metavar="DIR")
@click.option("--target", default="sim/fast", metavar="PROVIDER/MODEL",
              help="What is measured every hour.")  # fmt: skip
@SLO
@text("--webhook", metavar="URL", help="Whom Alertmanager tells.")
@PORT
def init(folder: Path, target: str, slo: tuple[str, ...], webhook: str, port: int) -> None:
    """Write a team's folder: notebooks, targets, Prometheus, alerts, Grafana, cron and systemd.

    Files that are there already stay as they are. Without --slo, 'error_rate<1%' and
    'ttft_p95<2s' are watched.
    """
    from holymon.cli import init_folder
    from holymon.plan.targets import target as target_of
    from holymon.prometheus.alerts import OBJECTIVES

    if not 0 < port < 65536:
        raise PlanError(f"port {port} is none: it lies between 1 and 65535.")
    agreed([target_of(target)], sent=False)
    written, kept = init_folder.create(
        folder, target=target, slo=slo or OBJECTIVES, webhook=webhook, port=port
    )
    for path in written:
        say(path)
    for path in kept:
        say(f"{path} was there already and stays as it is.", err=True)
    for path in init_folder.too_open(kept):
        say(f"{path} may hold a key, and others may read it: chmod 600 {path}", err=True)
    if more := init_folder.lacking(folder, target):
        say(more, err=True)
    say(f"{folder / 'README.md'} says what to start.", err=True)


@click.command()
@click.argument("what", required=False, metavar="[FILE|RUN]")
@OUT
def trust(what: str | None, out: Path) -> None:
    """Agree to where the keys go that a targets.toml, a plan or a run of others names.

    It is remembered by content: a changed address or variable is asked for again. Without FILE or
    RUN, what was agreed to so far is listed.
    """
    from holymon.load import trust as consents
    from holymon.plan import consent

    if what is None:
        say("\n".join(filter(None, consent.remembered())))
        return
    say(consents.trust(what, out=out).table.text())
    say(f"To take one back, delete its line in {consent.place()}.", err=True)
