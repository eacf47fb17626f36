"""Limits are read in every form that providers document, and what can't be one is not known."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holymon.protocols.rate_limits import Limit, LimitWatch, name_limit, read_limits

DATE = "date: Thu, 21 Aug 2025 12:41:00 GMT"


def headers(text: str) -> list[tuple[bytes, bytes]]:
    """The lines of a head as a connection gives them."""
    lines = [line.strip().partition(": ") for line in text.strip().splitlines()]
    return [(name.encode(), value.encode("latin-1")) for name, _, value in lines]


FORMS = [
    pytest.param(
        """x-ratelimit-limit-requests: 5000
           x-ratelimit-limit-tokens: 160000
           x-ratelimit-limit-tokens_usage_based: 160000
           x-ratelimit-remaining-requests: 4999
           x-ratelimit-remaining-tokens: 159976
           x-ratelimit-reset-requests: 12ms
           x-ratelimit-reset-tokens: 6m0s""",
        {"requests": (5000, 4999, 0.012), "tokens": (160000, 159976, 360.0)},
        id="OpenAI: community.openai.com/t/1268905, guides/rate-limits",
    ),
    pytest.param(
        """retry-after: 2
           x-ratelimit-limit-requests: 14400
           x-ratelimit-limit-tokens: 18000
           x-ratelimit-remaining-requests: 14370
           x-ratelimit-remaining-tokens: 17997
           x-ratelimit-reset-requests: 2m59.56s
           x-ratelimit-reset-tokens: 7.66s""",
        {"requests": (14400, 14370, 179.56), "tokens": (18000, 17997, 7.66)},
        id="Groq: console.groq.com/docs/rate-limits",
    ),
    pytest.param(
        f"""{DATE}
           anthropic-ratelimit-input-tokens-limit: 80000
           anthropic-ratelimit-input-tokens-remaining: 80000
           anthropic-ratelimit-input-tokens-reset: 2025-08-21T12:40:59Z
           anthropic-ratelimit-output-tokens-limit: 16000
           anthropic-ratelimit-output-tokens-remaining: 15000
           anthropic-ratelimit-output-tokens-reset: 2025-08-21T14:41:30+02:00
           anthropic-ratelimit-requests-limit: 1000
           anthropic-ratelimit-requests-remaining: 999
           anthropic-ratelimit-unified-5h-status: allowed
           anthropic-ratelimit-unified-reset: 1755780000""",
        {"input_tokens": (80000, 80000, 0.0), "output_tokens": (16000, 15000, 30.0),
         "requests": (1000, 999, None)},
        id="Anthropic: tidyllm's recorded answer, docs.anthropic.com/en/api/rate-limits",
    ),
    pytest.param(
        """x-ratelimit-remaining-requests: 79
           x-ratelimit-remaining-tokens: 61353
           x-rate-limit-reset-tokens: 55""",
        {"requests": (None, 79, None), "tokens": (None, 61353, 55.0)},
        id="Azure: openai/openai-python#937, EvolvingPrograms/oaib#11",
    ),
    pytest.param(
        """x-ratelimit-limit-tokens: -1
           x-ratelimit-remaining-tokens: -1
           x-ratelimit-reset-tokens: 0""",
        {"tokens": (None, None, 0.0)},
        id="Azure, not known: openai/openai-dotnet#838",
    ),
    pytest.param(
        """x-ratelimit-limit-tokens-minute: 5000000
           x-ratelimit-remaining-tokens-minute: 4999911
           x-ratelimit-tokens-query-cost: 52
           x-ratelimit-limit-req-minute: 720
           x-ratelimit-remaining-req-minute: 717""",
        {"tokens": (5000000, 4999911, None), "requests": (720, 717, None)},
        id="Mistral: mistralai/client-ts#169",
    ),
    pytest.param(
        """x-ratelimit-limit-requests-day: 1000000000
           x-ratelimit-remaining-requests-day: 999997455
           x-ratelimit-reset-requests-day: 33011.382867
           x-ratelimit-limit-tokens-minute: 1000000000
           x-ratelimit-reset-tokens-minute: 11.382867""",
        {"requests_day": (1e9, 999997455, 33011.382867), "tokens": (1e9, None, 11.382867)},
        id="Cerebras: inference-docs.cerebras.ai/support/rate-limits",
    ),
    pytest.param(
        f"""{DATE}
           X-RateLimit-Limit: 50
           X-RateLimit-Remaining: 0
           X-RateLimit-Reset: 1755780120000""",
        {"requests": (50, 0, 60.0)},
        id="OpenRouter, ms since 1970: Gitlawb/openclaude#936",
    ),
    pytest.param(
        f"{DATE}\nX-RateLimit-Limit: 50\nX-RateLimit-Reset: 1755780120",
        {"requests": (50, None, 60.0)},
        id="s since 1970: docs.pyannote.ai/ratelimits",
    ),
    pytest.param(
        "X-RateLimit-Limit: 50\nX-RateLimit-Reset: 1755780120",
        {"requests": (50, None, None)},
        id="a moment of which no clock is known",
    ),
    pytest.param(
        "RateLimit-Limit: 100, 100;w=60\nRateLimit-Remaining: 50\nRateLimit-Reset: 30",
        {"requests": (100, 50, 30.0)},
        id="draft-ietf-httpapi-ratelimit-headers-06",
    ),
    pytest.param(
        "RateLimit: limit=100, remaining=50, reset=5",
        {"requests": (100, 50, 5.0)},
        id="draft-ietf-httpapi-ratelimit-headers-07",
    ),
    pytest.param(
        'RateLimit-Policy: "default";q=100;w=60, "daily";q=1000;w=86400\n'
        'RateLimit: "default";r=50;t=30, "daily";r=7;t=9000',
        {"requests": (100, 50, 30.0)},
        id="draft-ietf-httpapi-ratelimit-headers-10",
    ),
    pytest.param(
        """x-ratelimit-limit-requests: 600
           x-ratelimit-limit-tokens-prompt: 60000
           x-ratelimit-remaining-tokens-prompt: 59000
           x-ratelimit-limit-tokens-generated: 6000
           x-ratelimit-over-limit: no""",
        {"requests": (600, None, None), "input_tokens": (60000, 59000, None),
         "output_tokens": (6000, None, None)},
        id="Fireworks: docs.fireworks.ai/serverless/rate-limits",
    ),
    pytest.param(
        """x-ratelimit-limit: 10
           x-ratelimit-remaining: 9
           x-tokenlimit-limit: 33333
           x-tokenlimit-remaining: 33320""",
        {"requests": (10, 9, None), "tokens": (33333, 33320, None)},
        id="Together: docs.together.ai, rate limits",
    ),
    pytest.param(
        """X-AI-RateLimit-Limit-ai-proxy-openai: 300
           X-AI-RateLimit-Remaining-ai-proxy-openai: 290
           X-AI-RateLimit-Reset-ai-proxy-openai: 30""",
        {"tokens": (300, 290, 30.0)},
        id="APISIX, and so Kong: apisix.apache.org, ai-rate-limiting",
    ),
    pytest.param(
        """x-ratelimit-limit-tokens-month: 1000000
           x-ratelimit-remaining-tokens-month: 900000""",
        {"tokens_month": (1000000, 900000, None)},
        id="Mistral's months: promptfoo/promptfoo#10577",
    ),
    pytest.param("content-type: text/html\nx-content-limit: 5", {}, id="none"),
]  # fmt: skip


@pytest.mark.parametrize(("head", "expected"), FORMS)
def test_limits_are_read_as_they_come(head, expected):
    found = read_limits(headers(head))
    assert {kind: tuple(limit) for kind, limit in found.items()} == {
        kind: tuple(None if value is None else pytest.approx(value) for value in values)
        for kind, values in expected.items()
    }


NUMBERS = ["1e400", "-5", "nan", "inf", "1" * 400, "0x10", "1_000", "", "unlimited", "\x1b[31m5"]


@pytest.mark.parametrize("value", NUMBERS)
def test_what_is_no_finite_count_is_not_known(value):
    assert read_limits([(b"x-ratelimit-remaining-tokens", value.encode())]) == {}


NAMES = st.sampled_from([
    "x-ratelimit-reset-tokens", "x-ratelimit-limit-requests", "anthropic-ratelimit-tokens-reset",
    "ratelimit", "ratelimit-policy", "ratelimit-reset", "x-ratelimit-remaining", "date",
])  # fmt: skip
MOMENTS = st.tuples(*[st.integers(0, 99)] * 6).map(
    lambda parts: "20{:02}-{:02}-{:02}T{:02}:{:02}:{:02}Z".format(*parts)
)
VALUES = st.one_of(
    st.binary(max_size=40),
    st.one_of(st.text("0123456789TZ:.,;=rtqhmsd-+", max_size=30), MOMENTS).map(str.encode),
)


@given(st.lists(st.tuples(NAMES.map(str.encode), VALUES), max_size=8))
@settings(max_examples=30, deadline=None)
def test_whatever_stands_there_nothing_raises_and_all_is_finite(raw):
    for kind, limit in read_limits(raw).items():
        assert kind.replace("_", "").isalpha()
        known = [value for value in limit if value is not None]
        assert all(math.isfinite(value) and 0 <= value <= 1e15 for value in known)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("Rate limit reached for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, "
         "Used 29937, Requested 385. Please try again in 644ms.", "tokens"),
        ("Rate limit reached for gpt-4 on requests per min (RPM): Limit 3, Used 3.", "requests"),
        ("Rate limit reached for model `x` on requests per day (RPD): Limit 50", "requests_day"),
        ("This request would exceed the rate limit for your organization of 20,000 input tokens per "
         "minute.", "input_tokens"),
        ("Requests to the ChatCompletions_Create Operation under Azure OpenAI API version 2024-05-01 "
         "have exceeded token rate limit of your current OpenAI S0 pricing tier.", "tokens"),
        ("have exceeded call rate limit of your current OpenAI S0 pricing tier.", "requests"),
        ("Rate limit exceeded: free-models-per-day. Add 10 credits", "requests_day"),
        ("You have exceeded the maximum number of tokens allowed within a time frame.", "tokens"),
        ("Number of concurrent connections has exceeded your rate limit", "concurrency"),
    ],
)  # fmt: skip
def test_a_refusal_names_its_limit_by_its_words(message, kind):
    """MetaGPT#523, OpenManus#746, TinyLLM#17, openclaude#936, llama-models#354; the words stay."""
    assert name_limit(message, {"requests": Limit(remaining=0)}) == (kind, message)


def test_a_refusal_without_words_names_the_limit_of_which_nothing_remains():
    spent = {
        "requests": Limit(5, 3, 1.0),
        "tokens": Limit(100, 0, 12.0),
        "input_tokens": Limit(9, 0),
    }
    assert name_limit("slow down", spent) == (
        "tokens", "slow down (its headers say that no tokens are left, for 12 s)",
    )  # fmt: skip
    assert name_limit("slow down", {}) == ("", "slow down")


def test_headers_are_read_now_and_then_and_those_of_every_refusal():
    watch = LimitWatch()
    for k in range(100):
        watch.look(0, 0.01 * k, [(b"x-ratelimit-remaining-tokens", str(100 - k).encode())])
    left = watch.tally.known[0]["tokens"]
    assert 1 < left.remaining == left.remaining_min <= 30, "one in 0.2 s"
    assert watch.refused(0, "no", [(b"x-ratelimit-remaining-tokens", b"0")]).startswith("no (its")
    left = watch.tally.known[0]["tokens"]
    assert (left.remaining, left.hits) == (0.0, 1)
