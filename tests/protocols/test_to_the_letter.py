"""Small rules of what answers say, each as a table: waits, ends, sizes, places of a refusal."""

import json
from math import isnan

import pytest

from holymon.protocols.bounds import LONG, is_vast
from holymon.protocols.finish import finish_of
from holymon.protocols.rate_limits import Limit, name_limit, read_limits
from holymon.protocols.refusal import Refusal, refusal
from holymon.protocols.retry_after import retry_after, retry_delay, wait_in

DATE = "Mon, 23 Nov 2026 10:00:00 GMT"
LATER = "Mon, 23 Nov 2026 10:00:07 GMT"


def same(a, b):
    return (b is None and isnan(a)) or a == b


@pytest.mark.parametrize(("wait", "date", "milliseconds", "expected"), [
    ("7", DATE, "", 7.0), ("0", "", "", 0.0), ("-1", "", "", None), ("999999999", "", "", 999999999.0),
    ("1000000000", "", "", None), ("0.5", "", "", 0.5), ("", "", "", None), ("x", "", "", None),
    ("nan", "", "", None), ("inf", "", "", None), ("7", "", "250", 0.25), ("7", "", "0", 0.0),
    ("7", "", "-1", 7.0), ("7", "", "x", 7.0), (LATER, DATE, "", 7.0), (DATE, LATER, "", None),
    (DATE, DATE, "", 0.0), (LATER, "", "", None), (LATER, "x", "", None),
])  # fmt: skip
def test_how_long_headers_ask_to_wait(wait, date, milliseconds, expected):
    assert same(retry_after(wait, date, milliseconds), expected)


@pytest.mark.parametrize(("details", "expected"), [
    ([{"retryDelay": "34s"}], 34.0), ([{"retryDelay": "34.5s"}], 34.5), ([{"retryDelay": "34"}], None),
    ([{"retryDelay": 34}], None), ({"retryDelay": "34s"}, None), ([None, {"a": 1}, {"retryDelay": "3s"}], 3.0),
    ([{}] * 19 + [{"retryDelay": "3s"}], 3.0), ([{}] * 20 + [{"retryDelay": "3s"}], None),
    ([{"retryDelay": "1s"}, {"retryDelay": "2s"}], 1.0), (None, None),
])  # fmt: skip
def test_how_long_the_details_of_an_error_ask_to_wait(details, expected):
    assert same(retry_delay({"details": details}), expected)
    assert isnan(retry_delay(details))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("x. Please try again in 114h18m0s. Visit", 411480.0),  # openai/openai-dotnet#404
        ("Please retry after 33 seconds. Please go", 33.0),  # openai/openai-node#1108
        ("Please retry in 38.601658672s.", 38.601658672),  # anomalyco/opencode#49039
        ("try again in 250ms", 0.25), ("Try again in 1 hour, 2 minutes", 3720.0), ("retry after 6m0s", 360.0),
        ("retry in 20 milliseconds", 0.02), ("try again in a moment", None), ("retry in 5", None),
        ("try again in 5 tokens", None), ("20s", None), ("", None),
    ],
)  # fmt: skip
def test_a_wait_that_an_errors_words_ask_for(words, expected):
    assert same(wait_in(words), expected)


@pytest.mark.parametrize(("reason", "expected"), [
    ("stop", "stop"), ("STOP", "stop"), ("FINISH_REASON_STOP", "stop"), ("FinishReason.STOP", "stop"),
    ("end_turn", "stop"), ("null", ""), ("NONE", ""), ("FINISH_REASON_UNSPECIFIED", ""), ("", ""),
    ("MAX_TOKENS", "length"), ("tool_use", "tool_calls"), ("refusal", "content_filter"),
    ("safety: x", "content_filter"), ("x: safety", "other"), ("timeout", "error"), ("weird", "other"),
    (None, ""), (0, ""), (False, ""), (True, "other"), (5, "other"), ([], ""), (["length", "stop"], "length"),
    ([["stop"]], "other"), ([{"type": "length"}], "length"), ({}, ""), ({"type": "stop"}, "stop"),
    ({"reason": "length"}, "length"), ({"name": "length"}, "length"), ({"value": "length"}, "length"),
    ({"finish_reason": "length"}, "length"), ({"type": 5, "reason": "length"}, "length"),
    ({"x": "stop"}, "other"), ({"type": ""}, ""),
])  # fmt: skip
def test_why_an_answer_ended_whatever_word_or_form_that_has(reason, expected):
    assert finish_of(reason) == expected


def test_json_is_vast_by_what_it_holds_and_not_by_its_length():
    assert not is_vast(b"[" * 1000 + b"," * 1000)
    assert not is_vast(b"x" * (LONG + 1))
    assert not is_vast(b"[" * LONG)
    assert not is_vast(b"[" * LONG + b" ")
    assert is_vast(b"[" * LONG + b"{")
    assert is_vast(b"[{" * (LONG // 2) + b"{")
    assert not is_vast(b"," * 2**22)
    assert is_vast(b"," * 2**22 + b",")
    assert not is_vast(b"[" * LONG + b"," * 2**22)


def limits(*lines):
    return read_limits([line.encode().partition(b": ")[::2] for line in lines])


DAY = "date: Thu, 21 Aug 2025 12:41:00 GMT"
WAITS = [
    ("500ms", 0.5), ("1h2m3s", 3723.0), ("1d", 86400.0), ("2us", 2e-6), ("3ns", 3e-9), ("4µs", 4e-6),
    ("1.5m", 90.0), ("5x", None), ("s", None), ("0", 0.0), ("999999999", 999999999.0), ("55, 7", 55.0),
    ("55;w=60", 55.0), ("55x", None), ("1755780120", 60.0), ("1755780060", 0.0), ("1755780000", 0.0),
    ("1755780120000", 60.0), ("100000000000", 0.0), ("99999999999", None),
    ("2025-08-21T12:41:30Z", 30.0), ("2025-08-21t12:41:30.5z", 30.0), ("2025-08-21T14:41:30+02:00", 30.0),
    ("2025-08-21T10:11:30-02:30", 30.0), ("2025-08-21T12:40:00Z", 0.0), ("2025-13-21T12:40:00Z", None),
    ("Thu, 21 Aug 2025 12:42:00 GMT", 60.0), ("2125-08-21T12:41:30Z", None), ("", None), ("never", None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), WAITS)
def test_when_a_limit_is_back_in_any_form(text, expected):
    known = limits(DAY, f"x-ratelimit-reset-tokens: {text}")
    assert known == (
        {} if expected is None else {"tokens": Limit(None, None, pytest.approx(expected))}
    )
    if text[:2] in {"17", "20", "Th"}:
        assert limits(f"x-ratelimit-reset-tokens: {text}") == {}, (
            "a moment of which no clock is known"
        )


@pytest.mark.parametrize(("name", "kind"), [
    ("x-ratelimit-remaining-requests", "requests"), ("ratelimit-remaining", "requests"),
    ("x-rate-limit-remaining-token", "tokens"), ("x-ratelimit-remaining-req-second", "requests_second"),
    ("x-ratelimit-remaining-tokens-hour", "tokens_hour"), ("x-ratelimit-remaining-minute", "requests"),
    ("anthropic-ratelimit-output-tokens-remaining", "output_tokens"), ("X-RateLimit-Remaining_Day", "requests_day"),
    ("x-ratelimit-remaining-input-tokens-day", "input_tokens_day"), ("x-ratelimit-input-remaining", "input_requests"),
    ("x-ratelimit-remaining-tokens-other", ""), ("x-ratelimit-remaining-reset", ""), ("x-ratelimit-tokens", ""),
    ("x-ratelimit-remaining-tokens-requests", ""), ("x-ratelimit-remaining-input-output-tokens", ""),
    ("x-ratelimit-remaining-minute-day", ""), ("x-other-remaining", ""), ("y-ratelimit-remaining", ""),
])  # fmt: skip
def test_what_a_header_tells_of_which_limit_by_its_name(name, kind):
    assert limits(f"{name}: 5") == ({kind: Limit(remaining=5.0)} if kind else {})


def test_the_first_of_two_headers_counts_and_so_do_the_first_two_hundred():
    assert limits("ratelimit-limit: 5", "x-ratelimit-limit: 6") == {"requests": Limit(5.0)}
    assert limits("ratelimit: limit=5, remaining=3", "ratelimit-limit: 6") == {
        "requests": Limit(5.0, 3.0)
    }
    assert limits('ratelimit: "a";r=3;t=2;x=9, "b";r=4') == {"requests": Limit(None, 3.0, 2.0)}
    many = [f"x-{k}: 1" for k in range(199)]
    assert limits(*many, "ratelimit-limit: 5") == {"requests": Limit(5.0)}
    assert limits(*many, "x: 1", "ratelimit-limit: 5") == {}
    assert limits(f"ratelimit-limit: {' ' * 199}5") == {"requests": Limit(5.0)}
    assert limits(f"ratelimit-limit: {' ' * 200}5") == {}
    counts = ("100", "100.5", "100, 7", "100;w=1", "1" * 15)
    assert [limits(f"ratelimit-limit: {n}")["requests"].limit for n in counts] == [
        100.0, 100.5, 100.0, 100.0, 111111111111111.0,
    ]  # fmt: skip
    assert [limits(f"ratelimit-limit: {n}") for n in ("1" * 16, "-1", "1x", "1.2345678")] == [
        {}
    ] * 4


def test_of_several_limits_that_are_spent_the_last_one_back_is_named():
    spent = {
        "requests": Limit(5, 0, 1.0),
        "input_tokens": Limit(5, 0, 1.23456),
        "tokens": Limit(9, 0),
    }
    words = "its headers say that no input tokens are left, for 1.23 s"
    assert name_limit("", spent) == ("input_tokens", words)
    assert name_limit("slow", spent) == ("input_tokens", f"slow ({words})")
    only = {"tokens_day": Limit(9, 0), "requests": Limit(5, 1)}
    assert name_limit("", only) == ("tokens_day", "its headers say that no tokens day are left")
    assert name_limit("", {"requests": Limit(5, 1)}) == ("", "")


NOT = "is not supported"
REFUSED = [  # what is said, in which place; what of the request is not taken
    (f"max_tokens {NOT}, use max_completion_tokens", "", Refusal(limit=True, instead="max_completion_tokens")),
    (NOT, "max_tokens", Refusal(limit=True)), (f"MAX_TOKENS {NOT}", "", Refusal(limit=True)),
    (f"MaxTokens {NOT}", "", Refusal(limit=True)), ("max_tokens is too large", "", Refusal(value=True)),
    ("is too large", "max_tokens", Refusal(value=True)), ("is too large", "temperature", Refusal()),
    ("max_tokens is deprecated, maximum", "", Refusal(limit=True)), ("all is well", "", Refusal()),
    (f"stream_options {NOT}", "", Refusal(stream_options=True)), (NOT, "stream_options", Refusal(stream_options=True)),
    (NOT, "stream", Refusal(stream=True)), ("streaming is not supported", "", Refusal(stream=True)),
    ("is odd", "stream", Refusal()), (f"temperature {NOT}", "", Refusal()), (NOT, "temperature", Refusal()),
    (f"stream_options {NOT}: streaming is not supported", "", Refusal(stream_options=True)),
    (f"temperature {NOT}; supported fields: max_tokens", "", Refusal()),
    (f"max_tokens{' ' * 100}{NOT}", "", Refusal()), (f"{NOT}{' ' * 100}max_tokens", "", Refusal()),
    (f"use the MAX_TOKENS, max_tokens {NOT}", "", Refusal(limit=True)),
    ("x" * 4000 + f" max_tokens {NOT}", "", Refusal()), ("x" * 3900 + f" max_tokens {NOT}", "", Refusal(limit=True)),
]  # fmt: skip


@pytest.mark.parametrize(("words", "place", "expected"), REFUSED)
def test_what_a_refusal_refuses_by_its_words_and_its_place(words, place, expected):
    about = {"error": {"message": words, **({"param": place} if place else {})}}
    body = json.dumps(about).encode()
    assert refusal(body, "", sent="max_tokens", streamed=True) == expected
    if place:
        located = {"detail": [{"loc": ["body", place], "msg": words}]}
        assert (
            refusal(json.dumps(located).encode(), "", sent="max_tokens", streamed=True) == expected
        )
    else:
        assert refusal(words.encode(), "", sent="max_tokens", streamed=True) == expected
        assert refusal(b"", words, sent="max_tokens", streamed=True) == expected
    unsent = refusal(body, "", sent="", streamed=True)
    assert (unsent.limit, unsent.value, unsent.instead) == (False, False, "")
    assert not refusal(body, "", sent="max_tokens", streamed=False).stream_options


@pytest.mark.parametrize(("words", "expected"), [
    ("this model only works with stream=true", True), ("stream is required", True), ("streaming is not supported", False),
])  # fmt: skip
def test_who_did_not_ask_for_a_stream_may_have_to(words, expected):
    assert refusal(b"", words, sent="", streamed=False).stream is expected
