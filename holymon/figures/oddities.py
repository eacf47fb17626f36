"""What was odd in answers that succeeded: counted by their flags, and lines in one wording.

count_oddities(good) -> {"no_finish": 12, ...}        sentences(counts, 40) -> ["12 of 40 ..."]
"""

from typing import Final

from holymon.language.said import say
from holymon.records.attempt import Flag
from holymon.records.chosen import Chosen

_TOLD: Final = {
    "no_finish": (Flag.NO_FINISH, say("came without a finish reason")),
    "no_done": (Flag.NO_DONE,
                say("came without the stream's last event, or had it over a second late")),
    "after_done": (Flag.AFTER_DONE,
                   say("went on behind the stream's last event, which was ignored")),
    "keep_alive": (Flag.KEEP_ALIVE, say("held keep-alives without a name")),
    "skipped": (Flag.SKIPPED,
                say("held an event that means nothing in this dialect, and was skipped")),
    "lenient": (Flag.LENIENT, say("had odd types, an odd status or a wrong content type, and were "
                                  "read all the same")),
    "empty": (Flag.EMPTY, say("succeeded and hold neither text nor a tool call")),
}  # fmt: skip
"""Each oddity by its name: its flag, and what is said of answers that have it."""

REASONED: Final = "empty_after_reasoning"


def count_oddities(good: Chosen) -> dict[str, int]:
    """How many successful answers had each oddity that any had."""
    flags = good["flags"]
    counts = {name: int(((flags & flag) != 0).sum()) for name, (flag, _) in _TOLD.items()}
    if counts["empty"]:
        thought = ((flags & Flag.THOUGHT) != 0) | (good["reasoning_tokens"] > 0)
        counts[REASONED] = int((thought & ((flags & Flag.EMPTY) != 0)).sum())
    return {name: n for name, n in counts.items() if n}


def sentences(counts: dict[str, int], ok: int) -> list[str]:
    """Each oddity as a sentence, given that `ok` answers succeeded."""
    lines: list[str] = []
    for name, n in counts.items():
        if name != REASONED:
            thought = counts.get(REASONED, 0) if name == "empty" else 0
            spent = (
                say(": {thought:,} of them spent their tokens on reasoning", thought=thought)
                if thought
                else ""
            )
            lines.append(say("{n:,} of {ok:,} answers {had}{spent}.", n=n, ok=ok,
                             had=_TOLD[name][1], spent=spent))  # fmt: skip
    return lines
