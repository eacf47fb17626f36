"""The command `route`: how a move of traffic stands, and what is done to it by hand."""

from pathlib import Path
from typing import Any, Final

import click

from holymon.cli.options import JSON, PATH, share_in
from holymon.cli.output import show
from holymon.errors import PlanError
from holymon.safety import short

STATE: Final = click.argument("state", type=PATH, default=Path("route.json"), metavar="[FILE]")
_LONGEST: Final = 200
REASON: Final = click.option("--reason", default="by hand", help="Why, for the history.")


@click.group()
def route() -> None:
    """Look at a move of traffic to another provider, or take it in hand.

    FILE is the state that its routers name (hm.Router, hm.routed): route.json if none is given.
    They go by it within a second. A share that was changed goes on by itself from there.
    """


@route.command()
@STATE
@JSON
def status(state: Path, as_json: bool) -> None:
    """Print which share goes to the candidate, what the step has seen, and every change."""
    from holymon.monitor.route_table import route_dict, route_table

    known = _known(state)
    show(lambda: route_dict(known), lambda: route_table(known).text(), as_json=as_json)


@route.command()
@STATE
@REASON
@JSON
def pause(state: Path, reason: str, as_json: bool) -> None:
    """Go no step further: the share stays, unless harm takes it back; `set` goes on."""
    _changed(state, as_json, reason, paused=True)


@route.command("set")
@click.argument("share", metavar="SHARE")
@STATE
@REASON
@JSON
def set_share(share: str, state: Path, reason: str, as_json: bool) -> None:
    """Send SHARE of the calls, such as 20%, to the candidate, and go on from there."""
    _changed(state, as_json, reason, share=share_in(share))


@route.command()
@STATE
@REASON
@JSON
def rollback(state: Path, reason: str, as_json: bool) -> None:
    """Send all calls to the baseline again."""
    _changed(state, as_json, reason, share=0.0)


def _known(state: Path) -> Any:
    from holymon.monitor import route_file

    known = route_file.read(state)
    if known is None:
        raise PlanError(f"{state} is not there: name the file that the router has as its state.")
    return known


def _changed(state: Path, as_json: bool, reason: str, **how: Any) -> None:
    from holymon.monitor import route_file
    from holymon.monitor.keeper import me
    from holymon.monitor.route import by_hand
    from holymon.monitor.route_table import headline, route_dict

    _known(state)

    def changed(known: Any, now: float) -> Any:
        return by_hand(known or _known(state), now, me(), short(reason, _LONGEST), **how)

    after = route_file.change(state, changed)
    show(lambda: route_dict(after), lambda: headline(after), as_json=as_json)
