"""Traces of real traffic: when each request came, and how long its prompt and its answer were.

    Mooncake   {"timestamp": ms, "input_length", "output_length", "hash_ids"}     blocks of 512
    AIPerf     the same, also with text_input, messages (and tools) or a payload in place of
               input_length; what is `extra` goes into the body
    Bailian    {"chat_id", "timestamp": s, "input_length", ..., "hash_ids"}       blocks of 16
    BurstGPT   Timestamp (s), Request tokens, Response tokens (0 where it failed)
    Azure      TIMESTAMP (a date), ContextTokens, GeneratedTokens; of its gateway's log, as
               its portal exports it: TimeGenerated [UTC], PromptTokens, CompletionTokens
    Vidur      arrived_at (s), num_prefill_tokens, num_decode_tokens

Lines of one `session_id`, or whose `parent_chat_id` is another's `chat_id`, are a conversation, if
asked for. A line of Bailian's counts all that was said before, one of AIPerf's only what is new,
and its `delay` is the time to think (ms).

Of others the unit of times has to be told: none is guessed. Sources: kvcache-ai/Mooncake
(FAST25-release), docs.nvidia.com/aiperf (Trace Replay with Mooncake Traces), alibaba-edu/
qwen-bailian-usagetraces-anon, HPMLL/BurstGPT, Azure/AzurePublicDataset (2023 and 2024),
learn.microsoft.com (ApiManagementGatewayLlmLog), and microsoft/vidur.
"""

from collections.abc import Mapping
from math import inf
from typing import Any, Final, NamedTuple

from holymon.errors import PlanError
from holymon.plan.dataset_bodies import fields_of, of_body
from holymon.plan.entries import Unfit, parsed, whole
from holymon.plan.replay_file import COLUMNS, UNITS, epoch_unit, time_of
from holymon.plan.requests import BLOCK_TOKENS, Request
from holymon.safety import short
from holymon.structs import require


class Trace(NamedTuple):
    """How one kind of trace names and counts: its fields, its unit of time, its blocks' size."""

    name: str
    prompt: str
    answer: str
    unit: str = ""
    block: int = BLOCK_TOKENS


_MOONCAKE: Final = Trace("Mooncake's", "input_length", "output_length", "ms")
_KNOWN: Final = (
    ({"chat_id", "input_length"}, _MOONCAKE._replace(name="Bailian's", unit="s", block=16)),
    ({"hash_ids", "input_length"}, _MOONCAKE),
    ({"timestamp", "input_length"}, _MOONCAKE),
    ({"timestamp", "text_input"}, _MOONCAKE._replace(name="AIPerf's")),
    ({"timestamp", "messages", "output_length"}, _MOONCAKE._replace(name="AIPerf's")),
    ({"timestamp", "payload"}, _MOONCAKE._replace(name="AIPerf's")),
    ({"Request tokens"}, Trace("BurstGPT's", "Request tokens", "Response tokens", "s")),
    ({"ContextTokens"}, Trace("Azure's", "ContextTokens", "GeneratedTokens")),
    ({"PromptTokens", "CompletionTokens"}, Trace("Azure's", "PromptTokens", "CompletionTokens")),
    ({"num_prefill_tokens"}, Trace("Vidur's", "num_prefill_tokens", "num_decode_tokens", "s")),
)
_PROMPTS: Final = ("prompt_tokens", "input_tokens", "input_length", "prompt_len", "input_len")
_ANSWERS: Final = (
    "output_tokens", "completion_tokens", "output_length", "output_len", "max_tokens",
)  # fmt: skip


def trace_of(entry: Mapping[str, Any]) -> Trace | None:
    """Which kind of trace an entry is of, by its fields; None for none."""
    for marks, kind in _KNOWN:
        if marks <= entry.keys():
            return kind
    if any(entry.get(name) for name in ("messages", "prompt", "text")):
        return None
    prompt = next((name for name in _PROMPTS if name in entry), "")
    answer = next((name for name in _ANSWERS if name in entry), "")
    return Trace("sizes", prompt, answer) if prompt else None


def of_trace(entry: Mapping[str, Any], unit: str = "") -> Request:
    """The request that an entry tells of. Raises PlanError, Unfit for one that failed."""
    kind = trace_of(entry)
    assert kind is not None
    at = _arrival(entry, kind, unit)
    prompt, answer = whole(entry, kind.prompt), whole(entry, kind.answer)
    if entry.get("payload"):
        return of_body(entry["payload"]).changed(at=at)
    text = entry.get("text_input") or entry.get("messages")
    body = fields_of(entry.get("extra"))
    if entry.get("tools"):
        body = {"tools": entry["tools"], **body}
    if answer == 0:
        raise Unfit("without an answer")
    if entry.get(kind.prompt) == "" == entry.get(kind.answer):  # Azure logs texts in lines apart
        raise Unfit("without sizes")
    if text:
        require(isinstance(text, str | list), "text_input", "is no text", "write one in quotes")
        return Request(text, body, answer, prompt_tokens=prompt, output_tokens=answer, at=at)
    if not prompt:
        raise PlanError(f"{kind.prompt} is no number of tokens")
    blocks = parsed(entry.get("hash_ids")) or ()
    if not isinstance(blocks, list | tuple) or not all(type(b) is int for b in blocks):
        raise PlanError("hash_ids are no list of whole numbers")
    # Some traces number them by hashes, which are longer than what is kept.
    shared = tuple(block % 2**63 for block in blocks)
    return Request(
        body=body, max_tokens=answer, prompt_tokens=prompt, output_tokens=answer, blocks=shared,
        block_tokens=kind.block, at=at,
    )  # fmt: skip


def delay_of(entry: Mapping[str, Any]) -> float | None:
    """How long its person thinks before it (s), where that is said, in milliseconds."""
    delay = time_of_number(entry.get("delay"))
    return None if delay is None or not 0 <= delay < inf else delay / 1e3


def is_whole(entry: Mapping[str, Any]) -> bool:
    """Whether a line of a session holds or counts all that was said before."""
    history = isinstance(entry.get("messages"), list) and entry.get("message_mode") != "delta"
    return history or bool({"chat_id", "payload"} & entry.keys())


class Sessions:
    """Which conversation each line of a trace belongs to, of lines in the order of their file."""

    def __init__(self) -> None:
        """Know of none."""
        self._begins: dict[str, str] = {}

    def key(self, entry: Any) -> str:
        """The name of an entry's conversation; `""` for one that says none."""
        if not isinstance(entry, Mapping):
            return ""
        if entry.get("session_id") not in (None, ""):
            return f"session {entry['session_id']}"
        chat, parent = (str(entry.get(name, "")) for name in ("chat_id", "parent_chat_id"))
        if not chat:
            return ""
        begin = self._begins[chat] = self._begins.get(parent, f"chat {chat}")
        return begin


def _arrival(entry: Mapping[str, Any], kind: Trace, unit: str) -> float | None:
    """When it came (s), where that is said. Raises PlanError for a time without a unit."""
    named = {name.lower(): name for name in entry}
    moment: Any = next((entry[named[name]] for name in COLUMNS if name in named), None)
    if moment is None or moment == "":
        return None
    seconds = time_of(moment)
    if seconds is None:
        raise PlanError(f"{short(str(moment), 40)!r} is no time")
    if time_of_number(moment) is None:  # a date has its unit
        return seconds
    if not unit:
        _require_unit(seconds, kind)
    return seconds * UNITS[unit or kind.unit]


def _require_unit(number: float, kind: Trace) -> None:
    """Raise PlanError for a number without a unit, and for a moment that has another one."""
    seen = epoch_unit(number)
    looks = f"{number:.0f} looks like {seen} since 1970"
    if not kind.unit:
        ask = f"{seen} ({looks})" if seen else "s or ms"
        raise PlanError(f"its times have no unit: say which with --trace-unit {ask}")
    if seen and seen != kind.unit:
        mend = f"say which it is with --trace-unit {seen} or {kind.unit}"
        raise PlanError(f"{looks}, but {kind.name} traces count {kind.unit}: {mend}")


def time_of_number(value: Any) -> float | None:
    """A number, or a text that is one; None for a date."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def check_unit(unit: str) -> None:
    """Raise PlanError for what is no unit of time."""
    require(unit in {"", *UNITS}, "trace-unit", f"{unit!r} is none", f"write {', '.join(UNITS)}")
