"""What commands print: a result as JSON or as text, and what is being done while one waits."""

import json
import sys
from collections.abc import Callable
from typing import Any

import click

from holymon.safety import plain


def say(text: object, *, err: bool = False) -> None:
    """Print what is inert in a terminal and in the log of a CI service."""
    click.echo(plain(str(text)), err=err)


def show(
    result: Callable[[], Any], text: Callable[[], str], *, as_json: bool
) -> None:  # fmt: skip
    """Print a result as JSON, with null for what is no number, or its text, and make only that."""
    from holymon.records.own_files import finite

    if as_json:
        # What an Azure pipeline takes for a command is one inside of a text, too.
        click.echo(json.dumps(finite(result()), indent=1).replace("##", "#\\u0023"))
    else:
        say(text())


def note(text: str) -> None:
    """Print what is going on where somebody looks on."""
    if sys.stderr.isatty():
        say(text, err=True)
