"""What answers held besides text: reasoning before it, calls of tools, and JSON.

    TTFO               first token of content - start      tool call   first token of one - start
    tool_arguments     answers whose arguments for tools are all JSON objects / those with any
    json_output        answers that are JSON / those for which that was asked and no tool was called

What is JSON is judged as by a client that reads it to the letter (`protocols.written_json`): one
that was cut off at its limit is none.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from holymon.figures.quantiles import Figure, Floats, figure, share_of, wilson
from holymon.formatting import percent
from holymon.language.said import say
from holymon.records.attempt import Flag
from holymon.records.chosen import Chosen
from holymon.structs import Rate

NONE: Final = Figure(0)
NO_SHARE: Final = Rate(None, None, None, 0)


@dataclass(frozen=True, slots=True)
class Outputs:
    """The figures of the answers of one target; without any such answer they are of none."""

    ttfo_s: Figure = NONE
    tool_call_s: Figure = NONE
    tool_arguments: Rate = NO_SHARE
    json_output: Rate = NO_SHARE

    @staticmethod
    def is_news(figure: Figure, ttft: Figure) -> bool:
        """Whether a duration tells more than TTFT does, to a microsecond."""
        if figure.mean is None or ttft.mean is None:
            return figure.mean is not None
        return figure.n != ttft.n or abs(figure.mean - ttft.mean) > 1e-6

    @property
    def facts(self) -> tuple[str, ...]:
        """How often what was written as JSON is JSON, a line for each kind that there was."""
        named = (
            (say("arguments of tools"), self.tool_arguments),
            (say("answers in JSON"), self.json_output),
        )
        return tuple(
            say("{what} that parse: {rate}", what=what, rate=in_words(rate))
            for what, rate in named
            if rate.of
        )


NOTHING_HELD: Final = Outputs()


def in_words(rate: Rate) -> str:
    """A share as it is said, with its interval."""
    hits = round((rate.value or 0.0) * rate.of)
    return say(
        "{hits:,} of {of:,}, {low} to {high}",
        hits=hits,
        of=rate.of,
        low=percent(rate.low),
        high=percent(rate.high),
    )


def outputs(good: Chosen, ttfo: Figure, *, steady: bool) -> Outputs:
    """Of successful calls in the order of time, whose TTFO is known.

    Of a load that was to change (not `steady`), without a look at time.
    """
    sent, flags = good["start_s"], good["flags"]
    at = sent if steady else None
    tools = (flags & Flag.TOOLS) != 0
    made: dict[str, Any] = {"ttfo_s": ttfo}
    if tools.any():
        made["tool_call_s"] = figure(good["tool_call_s"].astype(np.float64), at)
        made["tool_arguments"] = _kept(flags, sent, Flag.TOOLS, Flag.BAD_ARGUMENTS, steady=steady)
    if (flags & Flag.JSON_ASKED).any():
        made["json_output"] = _kept(flags, sent, Flag.JSON_ASKED, Flag.NOT_JSON, steady=steady)
    return Outputs(**made)


def _kept(flags: Any, sent: Floats, of: Flag, broken: Flag, *, steady: bool) -> Rate:
    """The share of calls with the flag `of` that have not the one that says it is `broken`."""
    there = (flags & of) != 0
    hits = (flags[there] & broken) == 0
    return share_of(hits, sent[there]) if steady else wilson(int(hits.sum()), len(hits))
