"""The command `holymon reconcile`: is a provider's bill right?"""

import sys
from pathlib import Path

import click

from holymon.cli.options import JSON, OUT, PATH, share_in
from holymon.cli.output import show
from holymon.cli.target_options import text


@click.command()
@click.argument("export", type=PATH)
@text("--runs", metavar="NAME", help="Only runs of that name, or of that id.")
@text("--target", metavar="TEXT", help="Only targets with this in their names.")
@text("--since", metavar="DATE", help="From that day on, such as 2026-11-24.")
@text("--until", metavar="DATE", help="Up to that day, which is included.")
@click.option("--spilled", multiple=True, type=PATH, metavar="DIR", help="A folder that a monitor "
              "spilled its calls to; may be given several times.")  # fmt: skip
@text("--columns", metavar="NAME=COLUMN,...", help="Columns of an export that "
              "is not known: date, model, prompt (or input: without what is cached), completion, "
              "cached, written, cost, currency, requests.")  # fmt: skip
@click.option("--zone", default="UTC", help="Whose days the bill has: UTC, +07:00, Asia/Tokyo.")
@click.option("--tolerance", default="1%", help="A difference that is none, in tokens or cost.")
@JSON
@OUT
def reconcile(
    export: Path, runs: str, target: str, since: str, until: str, spilled: tuple[Path, ...],
    columns: str, zone: str, tolerance: str, as_json: bool, out: Path,
) -> None:  # fmt: skip
    """Compare a provider's usage EXPORT (CSV, JSON, JSONL) with what our calls were counted as.

    By day, model and class of tokens, with what may explain a difference. Exports of OpenAI,
    Anthropic, OpenRouter, LiteLLM and one-api or new-api are known by their columns.

    The exit code is 0 if they agree within --tolerance, 1 if they differ, 3 if nothing can be
    compared.
    """
    from holymon.catalogue.reconcile import reconcile as reconciled

    compared = reconciled(
        export, out=out, runs=runs, target=target, since=since, until=until, spilled=spilled,
        columns=_columns(columns), zone=zone, tolerance=share_in(tolerance),
    )  # fmt: skip
    show(compared.to_dict, compared.table.text, as_json=as_json)
    sys.exit(compared.exit_code)


def _columns(text: str) -> dict[str, str]:
    pairs = [part.partition("=") for part in text.split(",")] if text else []
    return {name.strip(): column.strip() for name, _, column in pairs}
