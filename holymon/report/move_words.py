"""What the state of a move says in English, as sentences that a report shows in its language.

reason(change) -> why a share changed      needs(route, at) -> what its step still lacks
"""

import re
from typing import Final

from holymon.formatting import per_cent
from holymon.language.said import Digits, Said, glued, listed, say, say_n, vocabulary
from holymon.monitor.route import WARM, Route, ShareChange
from holymon.safety import redact, short

FIGURES: Final = {
    **vocabulary("errors", "latency", "cost"), "longer": say("longer answers"),
    "shorter": say("shorter answers"), "ends": say("how answers end"),
}  # fmt: skip
"""What a gate compares; objectives are named as they are."""

STANDS: Final = vocabulary("no worse", "worse", "open", "not known")
PHASES: Final = {
    "shadow": say("in shadow"), "canary": say("on its way"), "done": say("done"),
    "back": say("taken back"),
}  # fmt: skip
BY: Final = {"gate": say("the gate"), "hand": say("by hand"), "": say("not recorded")}
_LONGEST: Final = 4000
"""Of the words of a gate; those of others a pattern might look at for long."""

_SHARES: Final = re.compile(r"(.+?) \(([^()]+) against ([^()]+)\)")
_REASONS: Final = tuple((re.compile(pattern), words) for pattern, words in (
    (r"the move begins", lambda: say("the move begins")),
    (r"the move begins: ([\d.e+-]+) % of the calls go to both",
     lambda share: say("the move begins: {share} of the calls go to both",
                       share=per_cent(Digits(share)))),
    (r"no figure is worse than it may be, by (\d+) calls in (\d+) s",
     lambda calls, seconds: say("no figure is worse than it may be, by {calls} calls in "
                                "{seconds} s", calls=calls, seconds=seconds)),
    (r"(\d+) more of the candidate's calls failed than succeeded, and not of the baseline's",
     lambda n: say("{n} more of the candidate's calls failed than succeeded, and not of the "
                   "baseline's", n=n)),
    (r"(\d+) more of the candidate's calls missed (.+) than met it, and not of the baseline's",
     lambda n, slo: say("{n} more of the candidate's calls missed {slo} than met it, and not of "
                        "the baseline's", n=n, slo=slo)),
    (r"worse than it may be: (.+), by (\d+) calls",
     lambda parts, calls: say("worse than it may be: {parts}, by {calls} calls",
                              parts=_worse(parts), calls=calls)),
))  # fmt: skip


def figure_name(name: str) -> str:
    """The name of what a gate compares."""
    return FIGURES.get(name) or short(name, 80)


def reason(change: ShareChange) -> str:
    """Why a share changed: the gate's own words as a sentence, those of people as they are."""
    of_a_gate = change.by != "hand" and len(change.reason) <= _LONGEST
    for pattern, words in _REASONS if of_a_gate else ():
        if match := pattern.fullmatch(change.reason):
            sentence: Said = words(*match.groups())
            return sentence
    by_hand = change.reason == "by hand"
    return say("by hand") if by_hand else redact(short(change.reason, 300))


def _worse(parts: str) -> str:
    """Figures that are worse, each with what it is against what it is held to."""
    words = []
    for part in parts.split(", "):
        known = _SHARES.fullmatch(part)
        words.append(
            say("{figure} ({candidate} against {baseline})", figure=figure_name(known[1]),
                candidate=_number(known[2]), baseline=_number(known[3]))
            if known else figure_name(part)
        )  # fmt: skip
    return listed(", ", words)


def _number(text: str) -> str:
    """A number of a reason, a percentage or not."""
    number, share, _ = text.partition(" %")
    return per_cent(Digits(number)) if share else Digits(number)


def needs(route: Route, at: float | None) -> str:
    """What the step lacks so that the move goes on, by its calls until `at` (s since 1970)."""
    course = route.course
    if course is None:
        return say("what its gate wants is not recorded")
    if route.slow_s is None:
        return say("until {n} more calls of the baseline succeed, nobody knows what is slow",
                   n=WARM - len(route.warm))  # fmt: skip
    calls = course.min_calls - int(route.gate.step[1][0] + route.gate.block[1][0])
    seconds = course.min_s - ((at or route.gate.since) - route.gate.since)
    lacking = [name for name, how in route.stands().items() if how == "open"]
    wanted: list[str] = []
    if calls > 0:
        wanted.append(say_n(calls, "{n:,} more call of the candidate",
                            "{n:,} more calls of the candidate"))  # fmt: skip
    if seconds > 0:
        wanted.append(say("{s:,.0f} s more", s=seconds))
    if lacking:
        names = listed(", ", map(figure_name, lacking))
        wanted.append(say("more to show that it is no worse by: {names}", names=names))
    if not wanted:
        return say("its gate has all it needs, and the next block of calls tells")
    return glued(say("its gate needs "), listed("; ", wanted))
