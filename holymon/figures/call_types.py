"""A call with its stages, and the calls to ask about, as they are shown.

due -late-> sent -connect-> connected -first byte-> headers -first token-> -decode-> -rest-> end
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from holymon.formatting import DASH, Table, Tables, count, ends, ms, number_of
from holymon.language.said import Digits, glued, heads, listed, say
from holymon.safety import short
from holymon.structs import shows_table

STAGES: Final = {
    "schedule_delay_s": say("late"), "connect_s": say("connect"), "first_byte_s": say("first byte"),
    "first_token_s": say("first token"), "decode_s": say("decode"), "rest_s": say("rest"),
}  # fmt: skip
"""The stages of a call, one after the other: together they are the time since it was due."""

WORDS: Final = 160
"""Characters of a server's words that are shown."""

NOTE: Final = say(
    "times in ms, one after the other: sent late, connection opened (– for one that was open), "
    "then until the headers, the first token, the last token and the end; a stage that was not "
    "seen is in the next one"
)


@dataclass(frozen=True, slots=True)
class Call:
    """One call; times in seconds, None where they were not measured.

    `at` is the moment at which it was sent (or due, if it never was), since 1970, None where that
    is not known, and `since_s` the same since the start of the run. `stages` are as in `STAGES`.
    `gap_s` is the longest gap between tokens, which began `gap_at_s` after the call was sent.
    `request_id` and `message` are the server's own words, without keys: data. `unfit` tells that
    the client was not fit to measure at one of its moments.
    """

    request: int
    attempt: int
    target: str
    at: float | None
    since_s: float
    stages: tuple[float | None, ...]
    latency_s: float | None
    ttft_s: float | None
    gap_s: float | None
    gap_at_s: float | None
    prompt_tokens: int | None
    output_tokens: int | None
    cached_tokens: int | None
    bytes: int
    status: int
    error_type: str
    finish: str
    code: str
    request_id: str
    message: str
    unfit: bool

    def to_dict(self) -> dict[str, Any]:
        """As JSON; what was not measured is null."""
        return {
            "at": None if self.at is None else self.moment.replace(" ", "T"),
            "since_start_s": self.since_s,
            "target": self.target, "request": self.request, "attempt": self.attempt,
            "status": self.status or None, "error_type": self.error_type or None,
            "code": short(self.code) or None, "finish": self.finish or None,
            "request_id": short(self.request_id) or None, "message": short(self.message) or None,
            **dict(zip(STAGES, self.stages, strict=True)),
            "latency_s": self.latency_s, "ttft_s": self.ttft_s,
            "gap_max_s": self.gap_s, "gap_max_at_s": self.gap_at_s,
            "prompt_tokens": self.prompt_tokens, "output_tokens": self.output_tokens,
            "cached_tokens": self.cached_tokens, "bytes": self.bytes,
            "client_unfit": self.unfit,
        }  # fmt: skip

    @property
    def moment(self) -> str:
        """When it was sent, with milliseconds: a moment in UTC, or seconds since the start."""
        if self.at is None:
            return glued(Digits(f"{self.since_s:.3f}"), " s")
        return f"{str(np.datetime64(round(self.at * 1e3), 'ms')).replace('T', ' ')}Z"

    @property
    def failure(self) -> str:
        """Its error type and status; empty if it succeeded."""
        status = f" ({self.status})" if self.status not in {0, 200} else ""
        return self.error_type + status * bool(self.error_type)

    @property
    def gap(self) -> str:
        """The longest gap between tokens in ms, and how long after it was sent that began."""
        where = say(" at {gap_at}", gap_at=ms(self.gap_at_s)) if self.gap_at_s is not None else ""
        return ms(self.gap_s) + where

    @property
    def tokens(self) -> str:
        """Those of the prompt and of the answer."""
        return glued(count(self.prompt_tokens), " + ", count(self.output_tokens))

    @property
    def title(self) -> str:
        """All of it in a few lines of text, for whoever points at it in a picture."""
        both = zip(STAGES.values(), self.stages, strict=True)
        stages = [glued(name, " ", ms(seconds)) for name, seconds in both if seconds is not None]
        words = f"{short(self.code, 40)} {short(self.message, WORDS)}".strip()
        lines = (
            say(
                "{moment}, call {request:,} to {target}",
                moment=self.moment,
                request=self.request,
                target=ends(self.target, 60),
            ),
            self.failure or say("took {latency} ms", latency=ms(self.latency_s)),
            listed(", ", stages) + " ms",
            say("longest gap {gap} ms", gap=self.gap) if self.gap_s is not None else "",
            say("{tokens} tokens", tokens=self.tokens)
            if (self.prompt_tokens or self.output_tokens)
            else "",
            say("request id {request_id}", request_id=short(self.request_id, 80))
            if self.request_id
            else "",
            say("said: {words}", words=words) if words else "",
            say("the client was not fit to measure here") if self.unfit else "",
        )
        return listed("\n", (line for line in lines if line))


@shows_table
@dataclass(frozen=True, slots=True)
class Calls:
    """The slowest calls that succeeded, slowest first, and such that failed, earliest first.

    There were `ok` and `bad` of them in all.
    """

    slowest: tuple[Call, ...]
    failed: tuple[Call, ...]
    ok: int
    bad: int
    several: bool
    simulated: bool

    @property
    def table(self) -> Tables:
        """A table of each kind: when, how long each phase took, tokens, ids, the server's words."""
        return self._tables(brief=False)

    @property
    def brief(self) -> Tables:
        """The same for where each call has one line.

        Of the slowest it says how long each phase took, of those that failed the server's words;
        the date only where there are several.
        """
        return self._tables(brief=True)

    def _tables(self, *, brief: bool) -> Tables:
        simulated = say(" (simulated)") * self.simulated
        slow = say(
            "The slowest of {calls} that succeeded{simulated}",
            calls=number_of(self.ok, "call"),
            simulated=simulated,
        )
        if not self.slowest:
            slow = say("No call succeeded")
        bad = say(
            "{n:,} of {calls} that failed{simulated}",
            n=len(self.failed),
            calls=number_of(self.bad, "call"),
            simulated=simulated,
        )
        if not self.failed:
            bad = say("No call failed")
        shown = NOTE if self.slowest or self.failed else ""
        return Tables([
            Table(*self._grid(self.slowest, brief=brief), lead=(glued(slow, "."),)),
            Table(*self._grid(self.failed, failed=True, brief=brief), lead=(glued(bad, "."),),
                  notes=(shown,) if shown else ()),
        ])  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """As JSON: the calls of both kinds."""
        return {
            "slowest": [call.to_dict() for call in self.slowest],
            "failed": [call.to_dict() for call in self.failed],
            "ok": self.ok, "bad": self.bad, "simulated": self.simulated,
        }  # fmt: skip

    def _grid(
        self, calls: tuple[Call, ...], *, failed: bool = False, brief: bool
    ) -> tuple[tuple[str, ...], list[tuple[str, ...]], str]:
        """Heads, rows and alignment; the target only where there are several."""
        whose = heads("target") * self.several
        what = heads("error") * failed
        names = (
            *heads("sent (UTC)"), *whose, *what, *heads("took"), *STAGES.values(),
            *heads("longest gap", "tokens in + out", "request id"),
            *heads("what was said") * failed,
        )  # fmt: skip
        align = "l" * (1 + len(whose) + len(what)) + "r" * 9 + "l"
        if not calls:
            return (), [], align
        rows = [
            (
                call.moment, *(ends(call.target, 30),) * self.several, *(call.failure,) * failed,
                ms(call.latency_s), *map(ms, call.stages), call.gap, call.tokens,
                short(call.request_id, 80) or DASH,
                *(short(f"{call.code} {call.message}".strip(), WORDS) or DASH,) * failed,
            )
            for call in calls
        ]  # fmt: skip
        if not brief:
            return names, rows, align
        at = len(align) - 10  # of how long it took
        kept = [*range(at + 1), at + 9, at + 10] if failed else [*range(at + 9)]
        if len({row[0][:10] for row in rows}) == 1 and calls[0].at is not None:
            rows = [(row[0][11:], *row[1:]) for row in rows]
        return (
            tuple(names[k] for k in kept), [tuple(row[k] for k in kept) for row in rows],
            "".join(align.ljust(len(names), "l")[k] for k in kept),
        )  # fmt: skip
