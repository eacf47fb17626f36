"""What headers say of an API's limits, whichever way they say it, and which limit a 429 hit: pure.

    OpenAI, Groq, xAI, litellm   x-ratelimit-remaining-tokens: 29876     -reset-tokens: 6m0s
    Cerebras, Mistral            x-ratelimit-remaining-requests-day, -req-minute
    Azure                        x-ratelimit-reset-tokens: 55 (or x-rate-limit-...); -1: not known
    Anthropic                    anthropic-ratelimit-input-tokens-reset: 2026-01-02T03:04:05Z
    Fireworks, Together          x-ratelimit-limit-tokens-prompt; x-tokenlimit-limit
    APISIX, Kong                 x-ai-ratelimit-remaining-NAME
    OpenRouter, gateways         x-ratelimit-reset: 1767322800000, seconds since 1970, or from now
    the IETF's drafts            RateLimit: "default";r=50;t=30, limit=100, remaining=50, or three

Values are anybody's: what is no finite number of 0 or more is not known. A moment is compared with
the server's own clock, as in `retry_after`.
"""

import re
from calendar import timegm
from collections.abc import Iterable
from email.utils import parsedate_to_datetime
from functools import lru_cache
from math import inf
from typing import Final, NamedTuple

from holymon.records.headroom import Tally

LOOK_S: Final = 0.2
MOST_HEADERS: Final = 200
_LONGEST: Final = 200
_MOST: Final = 1e15

_NAME: Final = re.compile(r"(?:x-)?(anthropic-)?(?:rate|(token))-?limit(?:-([a-z_-]{1,60}))?")
_GATEWAYS: Final = re.compile(r"x-ai-ratelimit-(limit|remaining|reset)(?:-.{1,60})?")
"""APISIX and Kong put the names of instances or windows behind it."""

_ASPECTS: Final = frozenset({"limit", "remaining", "reset"})
_SUBJECTS: Final = {
    "requests": "requests", "request": "requests", "req": "requests", "tokens": "tokens",
    "token": "tokens",
}  # fmt: skip
_SIDES: Final = {"input": "input", "output": "output", "prompt": "input", "generated": "output"}
_WINDOWS: Final = {
    "minute": "", "second": "_second", "hour": "_hour", "day": "_day", "month": "_month",
}  # fmt: skip
_ITEM: Final = re.compile(r'([a-z]+)\s*=\s*"?([\w.-]+)')
_SHORT: Final = {"r": "remaining", "t": "reset", "q": "limit"}

_SPAN: Final = re.compile(r"(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h|d))+")
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d)")
_SECONDS: Final = {
    "ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0,
}  # fmt: skip
_MOMENT: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:[Zz]|([+-])(\d\d):(\d\d))"
)

_HIT: Final = (
    ("input_tokens", r"input[ _-]?tokens?\b|\bITPM\b"),
    ("output_tokens", r"output[ _-]?tokens?\b|\bOTPM\b"),
    ("tokens_day", r"tokens? per day|\bTPD\b"),
    ("tokens", r"tokens? (?:per|rate|quota|limit)|\bTPM\b|tokens?[_-]per|number of tokens"),
    ("requests_day", r"requests? per day|\bRPD\b|per[ _-]day"),
    ("concurrency", r"concurren|simultaneous|in parallel"),
    ("requests", r"requests? (?:per|rate|quota|limit)|\b[RQ]P[MS]\b|per[ _-]min|call rate"),
)  # fmt: skip
_WORDS: Final = tuple((kind, re.compile(f"(?i){words}")) for kind, words in _HIT)


Headers = Iterable[tuple[bytes, bytes]]


class Limit(NamedTuple):
    """What an answer said of one limit; None is what it did not say. `reset_s` is from then on."""

    limit: float | None = None
    remaining: float | None = None
    reset_s: float | None = None


def read_limits(headers: Headers) -> dict[str, Limit]:
    """The limits that the headers of an answer tell, by what they are of.

    That is `requests`, `tokens`, `input_tokens` or `output_tokens`, and what is no limit per minute
    has its window behind it (`requests_day`). Never raises.
    """
    values: dict[str, dict[str, str]] = {}
    date = ""
    for name, raw in list(headers)[:MOST_HEADERS]:
        place = _place(name[:_LONGEST])
        if place is None:
            continue
        kind, aspect = place
        value = raw[:_LONGEST].decode("utf-8", "replace").strip()  # Go writes µs
        if aspect:
            values.setdefault(kind, {}).setdefault(aspect, value)
        elif kind:
            _put_fields(values, value)
        else:
            date = value
    return {kind: limit for kind, texts in values.items()
            if (limit := _limit(texts, date)) != Limit()}  # fmt: skip


def name_limit(message: str, limits: dict[str, Limit]) -> tuple[str, str]:
    """Which limit a refusal is about, `""` if nobody says, and its words with that limit's name.

    If the words don't say it, it is the limit of which nothing remains, or of several the one that
    is back last.
    """
    for kind, words in _WORDS:
        if words.search(message):
            return kind, message
    spent = [kind for kind, limit in limits.items() if limit.remaining == 0]
    kind = max(spent, key=lambda kind: limits[kind].reset_s or 0.0, default="")
    if not kind:
        return "", message
    back = limits[kind].reset_s
    wait = "" if back is None else f", for {back:.3g} s"
    none_left = f"its headers say that no {kind.replace('_', ' ')} are left{wait}"
    return kind, f"{message} ({none_left})" if message else none_left


class LimitWatch:
    """What the answers of several targets tell of their limits, read now and then, in a tally.

    Headers are read once in `LOOK_S` for each target, and those of every refusal. `again` is when
    the next are, in s of the caller's clock, by the target: before, there is no need to ask.
    """

    __slots__ = ("again", "tally")

    def __init__(self) -> None:
        """Nothing is known yet."""
        self.tally = Tally()
        self.again: dict[int, float] = {}

    def look(self, target: int, now: float, headers: Headers) -> None:
        """Take in an answer that came at `now`, if it is time for that."""
        if now >= self.again.get(target, -inf):
            self.again[target] = now + LOOK_S
            self.tally.take(target, read_limits(headers))

    def refused(self, target: int, message: str, headers: Headers) -> str:
        """Take in a refusal: its words, with the limit that it is about where they don't say it."""
        limits = read_limits(headers)
        kind, words = name_limit(message, limits)
        self.tally.take(target, limits)
        self.tally.hit(target, kind)
        return words


@lru_cache(maxsize=256)
def _place(header: bytes) -> tuple[str, str] | None:
    """What a header tells and of which limit, by its name's parts; None for what is about others.

    A structured field tells several things of requests, and the date none.
    """
    name = header.lower().decode("latin-1")
    match = _NAME.fullmatch(name)
    if match is None:
        of_a_gateway = _GATEWAYS.fullmatch(name)
        return ("tokens", of_a_gateway[1]) if of_a_gateway else ("", "") if name == "date" else None
    if match[3] in {None, "policy"}:
        return "requests", ""
    parts = re.split("[-_]", match[3]) + ["tokens"] * bool(match[2])
    aspects = [part for part in parts if part in _ASPECTS]
    subjects = {_SUBJECTS[part] for part in parts if part in _SUBJECTS}
    sides = [_SIDES[part] for part in parts if part in _SIDES]
    windows = [_WINDOWS[part] for part in parts if part in _WINDOWS]
    known = len(aspects) == 1 and len(subjects) + len(sides) + len(windows) + 1 == len(parts)
    if not known or max(len(sides), len(subjects), len(windows)) > 1:
        return None
    return "_".join([*sides, *(subjects or {"requests"})]) + "".join(windows), aspects[0]


def _put_fields(values: dict[str, dict[str, str]], value: str) -> None:
    """The first item of a structured field, as the IETF's drafts have it since 2022."""
    first = re.split(r",(?!\s*(?:limit|remaining|reset)\s*=)", value)[0]
    about = values.setdefault("requests", {})
    for name, text in _ITEM.findall(first):
        aspect = _SHORT.get(name, name)
        if aspect in _ASPECTS:
            about.setdefault(aspect, text)


def _limit(texts: dict[str, str], date: str) -> Limit:
    limit, remaining = (_number(texts.get(name, "")) for name in ("limit", "remaining"))
    return Limit(limit, remaining, _wait(texts.get("reset", ""), date))


def _number(text: str) -> float | None:
    """A count; of a list such as `100, 100;w=60` the first one."""
    match = re.match(r"\d{1,15}(?:\.\d{1,6})?(?=[,;\s]|$)", text)
    return float(match[0]) if match else None


def _wait(text: str, date: str) -> float | None:
    seconds = seconds_of(text, date)
    return max(seconds, 0.0) if seconds < 1e9 else None


def seconds_of(text: str, date: str) -> float:
    """Seconds from the answer on, of a span, a number or a moment in any of the forms, else inf."""
    seconds = inf
    if _SPAN.fullmatch(text):
        seconds = sum(float(n) * _SECONDS[unit] for n, unit in _PART.findall(text))
    elif (number := _number(text)) is not None:
        seconds = number
        if number >= 1e9:  # since 1970, in seconds or milliseconds
            seconds = number / (1e3 if number >= 1e11 else 1.0) - (_moment(date) or -inf)
    elif (moment := _moment(text)) is not None:
        seconds = moment - (_moment(date) or -inf)
    return seconds


def _moment(text: str) -> float | None:
    """Seconds since 1970 of a moment as in RFC 3339, or as HTTP writes its dates."""
    try:
        if match := _MOMENT.fullmatch(text):
            zone = (int(match[8]) * 60 + int(match[9])) * 60 if match[7] else 0
            fields = tuple(int(part) for part in match.groups()[:6])
            return float(timegm((*fields, 0, 0, 0))) - (-zone if match[7] == "-" else zone)
        if "-0000" in text:  # a zone that is not known (RFC 5322)
            return None
        return float(
            timegm(parsedate_to_datetime(text).utctimetuple())
        )  # asctime's form names none
    except (ValueError, TypeError, OverflowError, IndexError, OSError):
        return None
