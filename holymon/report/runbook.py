"""The runbook of a move: what to watch and what to do, each with the line that does it."""

import shlex
from typing import Final, NamedTuple

from holymon.formatting import Html, element, join
from holymon.language.said import listed, say
from holymon.report.moved import Moved
from holymon.safety import plain, short

ALERTS: Final = ("RouteTakenBack", "RouteStateUnusable")
METRICS: Final = ("holymon_route_share", "holymon_route_rollbacks_total", "holymon_route_problem")
FIRST_STEP: Final = 0.05


class Instruction(NamedTuple):
    """What is to be done, the line for a terminal (empty: none), and what comes of it."""

    what: str
    line: str
    also: str


def command(move: Moved, *words: str) -> str:
    """A line for a terminal that does something to this very move."""
    return plain(shlex.join(["holymon", "route", *words, str(move.file)]))


def runbook(move: Moved) -> tuple[Instruction, ...]:
    """All instructions, the way back first."""
    lock = move.file.with_name(f".{move.file.name}.lock")
    remove = plain(shlex.join(["rm", str(move.file), str(lock)]))
    return (
        Instruction(say("Take it back"), command(move, "rollback"),
                    say("all calls go to the baseline within a second, and stay there until "
                        "somebody sets a share")),
        Instruction(say("See how it stands"), command(move, "status"),
                    say("in a notebook hm.watch(router), or the router itself")),
        Instruction(say("Watch"), "", say(
            "failures, p95 and cost of both sides, as below; in Prometheus {metrics}",
            metrics=listed(", ", METRICS))),
        Instruction(say("Pause"), command(move, "pause"),
                    say("no step further; what does harm is still taken back")),
        Instruction(say("Go on"), command(move, "set", _share(move)),
                    say("from this share on, by itself; this also ends a pause")),
        Instruction(say("Whom alerts reach"), "", _alerts(move)),
        Instruction(say("If the file can't be read"), "",
                    say("only the baseline is called, and router.problem says why; mend or delete "
                        "it: deleted, the move begins anew")),
        Instruction(say("Once it is done"), remove,
                    say("first put the candidate in the place of the router and deploy that; only "
                        "then remove the file, for a router without it begins the move anew")),
    )  # fmt: skip


def _share(move: Moved) -> str:
    """The share to go on from: where it is, or the first step."""
    course = move.route.course
    first = course.steps[0] if course else FIRST_STEP
    return f"{100 * (move.route.share or first):.6g}%"


def _alerts(move: Moved) -> str:
    names = listed(", ", ALERTS)
    if move.alerts:
        return say("{names} reach {whom}", names=names, whom=short(move.alerts, 200))
    return say("{names} go where alertmanager.yml sends tickets (holymon init writes both); "
               "whom that reaches was not stated: -p alerts 'on-call, #api'",
               names=names)  # fmt: skip


def as_html(move: Moved) -> Html:
    """The runbook for a page."""
    return element("dl", *(
        join(element("dt", each.what),
             element("dd", element("code", each.line) if each.line else "",
                     element("p", each.also)))
        for each in runbook(move)
    ), kind="runbook")  # fmt: skip


def as_text(move: Moved) -> str:
    """The runbook for a terminal."""
    return "\n".join(
        f"{each.what}: {'  '.join(filter(None, (each.line, each.also)))}" for each in runbook(move)
    )
