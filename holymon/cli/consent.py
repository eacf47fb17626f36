"""The owner's word on keys: asked for in a terminal, given by `holymon trust`, and said aloud."""

import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import click

from holymon.cli.output import say
from holymon.structs import Received

if TYPE_CHECKING:
    from holymon.plan.target import Target


def _trusted(ctx: click.Context, param: click.Parameter, lines: tuple[str, ...]) -> None:
    """Hand the consents of a command line to this process and those it starts."""
    for line in lines:
        if "=" not in line or line.split() != [line]:
            raise click.BadParameter("write NAME=ADDRESS, such as KEY=https://h/v1.", ctx, param)
    if lines:
        os.environ["HOLYMON_TRUST"] = " ".join([os.environ.get("HOLYMON_TRUST", ""), *lines])


TRUST: Final = click.option("--trust", multiple=True, metavar="NAME=ADDRESS", expose_value=False,
                 callback=_trusted, help="Send the key in NAME to ADDRESS, whoever wrote the "
                 "targets.toml that says so (else asked once; see `holymon trust`).")  # fmt: skip
INSECURE_HTTP: Final = click.option(
    "--insecure-http", is_flag=True,
    help="Send a key over plain http to another machine, readable on the way.",
)  # fmt: skip


def over_http(targets: "Iterable[Target]", insecure_http: bool) -> "tuple[Target, ...]":
    """The targets, which may send a key over plain http if that was said."""
    from holymon.structs import replace

    return tuple(replace(t, insecure_http=True) if insecure_http else t for t in targets)


def agreed(targets: "Iterable[Target]", *, sent: bool = True) -> None:
    """See to it that the keys of these targets may go where they would, and say where that is.

    Whoever sits at a terminal is asked about what others chose; elsewhere nobody is, and nothing
    waits. Raises ConfigError where there is no such word, or, if they are `sent` now, a
    secret is missing.
    """
    from holymon.load.requests import secrets_of
    from holymon.plan import consent

    targets = tuple(targets)
    if sent:
        for target in targets:
            secrets_of(target)
    wanted = consent.unasked(targets)
    if wanted and sys.stdin.isatty() and sys.stderr.isatty():
        for sending in wanted:
            say(f"{sending.source} would send the key in {sending.words}.", err=True)
        if click.confirm("Is that right, now and from now on?", default=False, err=True):
            consent.remember(wanted)
    consent.require(targets)
    if sent:
        for sending in consent.sendings(targets):
            say(f"{sending.variable} goes to {sending.address}.", err=True)
        _say_what_stayed(targets)


def _say_what_stayed(targets: "Iterable[Target]") -> None:
    """Say which packaged key does not come along to the address that a file names instead."""
    from holymon.plan.targets import packaged

    for target in targets:
        variable = packaged().get(target.provider, {}).get("api_key_env")
        if variable and not target.variables and isinstance(target.base_url, Received):
            say(
                f"{target.name} is called without a key: {target.base_url.source} gives "
                f"[{target.provider}] another base_url, and {variable} stays at the packaged one. "
                "If it is to go there, add api_key_env.",
                err=True,
            )
