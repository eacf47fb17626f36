"""Calls that ask for nothing but what they cost: streams stopped on purpose, prefixes read again.

They are an application's own calls, recorded as such, and kept in a folder of their own.
"""

import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from holymon.errors import CODES, PlanError, RunError
from holymon.figures.probes import MOST_IDS, CacheLife, PrefixReading, StoppedStreams
from holymon.monitor.monitor import Monitor
from holymon.monitor.replies import Event, Messages
from holymon.monitor.retry import Policy
from holymon.plan.estimate import AROUND
from holymon.plan.made_text import WORD_BYTES, text_of_tokens
from holymon.plan.price import most
from holymon.plan.target import Target
from holymon.records.attempt import Flag, Rows
from holymon.records.own_files import PRIVATE, require_inside, write_json
from holymon.safety import short
from holymon.structs import check_range, require

COPIES: Final = 2
"""Prefixes for each pause: a call may reach a machine that does not know one of them."""

PAUSES_S: Final = (2.0, 30.0, 60.0, 120.0, 240.0, 360.0, 600.0)
SHORT_ANSWER: Final = 16
_SETTLED_S: Final = 10.0
_ORDER: Final = "Write a long story of a river, of at least a thousand words. No. "
_END: Final = " Answer with one word: which word came first?"
Tell = Callable[[str], object]
T = TypeVar("T")


class _Probe:
    """A monitor for one probe: it never asks again, and spends at most what was said before."""

    def __init__(self, target: Target, kind: str, out: Path) -> None:
        self.began, self.made = datetime.now(UTC), 0
        self.folder = out / f"probe-{kind}" / self.began.strftime("%Y%m%dT%H%M%S.%fZ")
        require_inside(self.folder.parent, out)
        longest = "max_output_tokens" if target.endpoint == "responses" else "max_tokens"
        self.limit = target.quirks.max_tokens or longest
        self.monitor = Monitor(target, policy=Policy(attempts=1), spill=self.folder)

    @property
    def place(self) -> str:
        """Its folder as `reconcile` takes it."""
        return f"{self.folder.parent.name}/{self.folder.name}"

    def ask(self, messages: Messages, answer: int) -> Rows:
        """The row of a short call."""
        self.made += 1
        self.monitor.chat(messages, **self._options(answer))
        return self.row()

    def stream(self, text: str, answer: int) -> Iterator[Event]:
        """The events of a stream."""
        self.made += 1
        return self.monitor.chat(text, stream=True, **self._options(answer))

    def _options(self, answer: int) -> dict[str, Any]:
        return {self.limit: answer}

    def row(self) -> Rows:
        """The row of the last call, as soon as it is over. Raises RunError."""
        until = time.monotonic() + _SETTLED_S
        while len(self.monitor.requests) < self.made:
            if time.monotonic() > until:
                raise RunError("a stopped stream did not end: the probe was given up.")
            time.sleep(0.005)
        rows = self.monitor.requests.rows
        return rows[rows["request"].argmax()].copy()

    def keep(self, result: StoppedStreams | CacheLife) -> None:
        """Write what came of it beside its calls."""
        self.monitor.close()
        write_json(self.folder / "probe.json", result.to_dict(), mode=PRIVATE)


def cost_at_most(target: Target, calls: int, words: int, answer: int) -> float:
    """What so many calls with prompts of so many words can cost at most, in USD.

    Each word may be as many tokens as it has letters. Raises PlanError if there is no price.
    """
    tokens = words * WORD_BYTES + AROUND + 100
    money = most(target.billed, calls, tokens, answer)
    if money is None or target.billed.currency != "USD":
        raise PlanError(f"no price in USD is known for {target.name}: a probe needs one to keep "
                        "its limit; put it into targets.toml.")  # fmt: skip
    return money


def _within(target: Target, calls: int, words: int, answer: int, limit: float, tell: Tell) -> None:
    """Say what it may cost. Raises PlanError if that is over the limit."""
    require(math.isfinite(limit) and limit > 0, "max_cost", "is none", "give USD above 0")
    money = cost_at_most(target, calls, words, answer)
    if money > limit:
        raise PlanError(f"{calls} calls of {target.name} may cost {money:.3g} USD, over the limit "
                        f"of {limit:g}: raise --max-cost, or ask for less.")  # fmt: skip
    tell(f"{calls} calls of {target.name}, at most {money:.3g} USD (limit {limit:g})")


def probe_cancelled(
    target: Target, *, max_cost: float, streams: int = 3, after: int = 8, max_tokens: int = 200,
    out: Path | str = "reports", tell: Tell = str,
) -> StoppedStreams:  # fmt: skip
    """Stop so many streams `after` so many events, and say what to look for in the bill.

    One more is not stopped, to count the prompt. Raises PlanError for a limit that may be passed
    or numbers out of range, CallError if a call fails.
    """
    check_range("streams", streams, 1, 20)
    check_range("after", after, 1, max_tokens - 1)
    check_range("max_tokens", max_tokens, 2, 4000)
    _within(target, streams + 1, len(_ORDER.split()) * 4, max_tokens, max_cost, tell)
    probe, ids, came, counted = _Probe(target, "cancelled", Path(out)), list[str](), list[int](), 0
    try:
        for _ in probe.stream(f"{_ORDER}0.", max_tokens):
            pass
        row = probe.row()
        known = bool(row["flags"] & Flag.SERVER_TOKENS) and row["prompt_tokens"] >= 0
        whole = (int(row["prompt_tokens"]), int(row["output_tokens"])) if known else None
        for n in range(1, streams + 1):
            ids += _stop(probe.stream(f"{_ORDER}{n}.", max_tokens), after)
            row = probe.row()
            if row["error"] != CODES["cancelled"]:
                raise RunError(f"the answer ended before it could be stopped after {after} events: "
                               "ask for fewer with --after.")  # fmt: skip
            came.append(int(row["events"]))
            counted += bool(row["flags"] & Flag.SERVER_TOKENS)
        result = StoppedStreams(
            target.name, target.billed, tuple(came), whole, max_tokens, counted,
            tuple(ids[:MOST_IDS]), probe.began.isoformat(timespec="seconds"), probe.place,
        )  # fmt: skip
        probe.keep(result)
    finally:
        probe.monitor.close()
    return result


def _stop(events: Iterator[Event], after: int) -> list[str]:
    """Leave a stream after so many events, and tell the ids in them."""
    some = [*itertools.islice(events, after)]
    del events  # a generator that is dropped ends its call
    return list(dict.fromkeys(filter(None, map(_id_of, some))))[:1]


def _id_of(event: dict[str, Any]) -> str:
    """The server's own id of an answer, wherever its dialect has it."""
    for holder in (event, event.get("message"), event.get("response")):
        if isinstance(holder, dict) and isinstance(holder.get("id"), str):
            return short(holder["id"], 80)
    return ""


def probe_cache(
    target: Target, *, max_cost: float, pauses_s: Sequence[float] = PAUSES_S,
    prompt_tokens: int = 2048, out: Path | str = "reports", tell: Tell = str,
    sleep: Callable[[float], None] = time.sleep,
) -> CacheLife:  # fmt: skip
    """Write prefixes to a prompt cache, and read each again after a pause of its own.

    Raises PlanError for a limit that may be passed or numbers out of range, CallError if a call
    fails.
    """
    check_range("pauses", len(pauses_s), 1, 12)
    check_range("prompt_tokens", prompt_tokens, 32, 20_000)
    for pause in pauses_s:
        check_range("pause", pause, 0.0, 7200.0, "seconds")
    pauses = [pause for pause in sorted(pauses_s) for _ in range(COPIES)]
    words = prompt_tokens + len(_END.split())
    _within(target, 2 * len(pauses), words, SHORT_ANSWER, max_cost, tell)
    tell(f"it takes about {max(pauses):g} s")
    probe = _Probe(target, "cache", Path(out))
    seed = int(probe.began.timestamp() * 1e3) * 64
    try:
        written = dict[int, Rows]()
        for n in reversed(range(len(pauses))):  # so that those read first were written last
            text = _prefixed(target, seed + n, prompt_tokens, 2 * n)
            written[n] = probe.ask(text, SHORT_ANSWER)
        readings = []
        for n, pause in enumerate(pauses):
            before, now = written[n], time.perf_counter() - probe.monitor.ledger.zero
            sleep(max(0.0, before["end_s"] + pause - now))
            row = probe.ask(_prefixed(target, seed + n, prompt_tokens, 2 * n + 1), SHORT_ANSWER)
            readings.append(PrefixReading(
                pause, float(row["start_s"] - before["end_s"]),
                float(row["end_s"] - before["start_s"]), int(row["prompt_tokens"]),
                int(row["cached_tokens"]),
            ))  # fmt: skip
            tell(f"after {pause:g} s: {max(0, readings[-1].cached):,} cached")
        result = CacheLife(
            target.name, target.billed, tuple(readings),
            max(0, *(int(row["written_tokens"]) for row in written.values())),
            max(int(row["prompt_tokens"]) for row in written.values()),
            probe.began.isoformat(timespec="seconds"), probe.place,
        )  # fmt: skip
        probe.keep(result)
    finally:
        probe.monitor.close()
    return result


def _prefixed(target: Target, seed: int, tokens: int, number: int) -> Messages:
    """A prompt that begins as no other but its own earlier one does, and ends as none."""
    prefix, end = text_of_tokens(tokens, seed), f"{_END} ({number})"
    if target.endpoint == "messages":  # Anthropic caches what is marked
        marked = {"type": "text", "text": prefix, "cache_control": {"type": "ephemeral"}}
        return [{"role": "user", "content": [marked, {"type": "text", "text": end}]}]
    return prefix + end
