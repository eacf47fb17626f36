"""What a server counted and charged, as far as it makes sense."""

from math import isnan

import pytest

from holymon.protocols.usage import read_usage
from holymon.records.attempt import Flag, Marks


@pytest.mark.parametrize(
    ("cost", "more", "charged"),
    [
        (0.95, {}, 0.95),
        (0, {"is_byok": False}, 0.0),
        (0.05, {"is_byok": True, "cost_details": {"upstream_inference_cost": 1}}, 1.05),
        (0.05, {"is_byok": False, "cost_details": {"upstream_inference_cost": 1}}, 0.05),
        (0.05, {"is_byok": True, "cost_details": {"upstream_inference_cost": None}}, 0.05),
        ({"total_cost": 0.006, "request_cost": 0.005}, {}, 0.006),
        ("0.95", {}, None), (True, {}, None), (-1, {}, None), (1e300, {}, None), ([], {}, None),
        ({}, {}, None), (None, {}, None), (0.05, {"is_byok": True, "cost_details": 7}, 0.05),
    ],
)  # fmt: skip
def test_what_a_gateway_charged_is_read_where_it_is_an_amount(cost, more, charged):
    marks = Marks(0, 0, 0.0)
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5, "cost": cost, **more}
    assert read_usage(usage, marks)
    assert (marks.prompt_tokens, marks.output_tokens) == (3, 2)
    assert isnan(marks.cost) if charged is None else marks.cost == pytest.approx(charged)


LARGEST = 2**31 - 1
# What came, then what is known: prompt, output, read from a cache, written to one, thought.
COUNTED = [
    ([{"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}], (10, 5, -1, -1, -1)),
    ([{"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}], (1, 1, -1, -1, -1)),
    ([{"prompt_tokens": 7, "completion_tokens": 2, "queue_time": 1}], (7, 2, -1, -1, -1)),
    ([{"prompt_tokens": LARGEST, "completion_tokens": LARGEST, "total_tokens": 0}],
     (LARGEST, LARGEST, -1, -1, -1)),
    ([{"prompt_tokens": LARGEST + 1, "completion_tokens": 5, "total_tokens": 0}], (-1, 5, -1, -1, -1)),
    ([{"prompt_tokens": 5, "completion_tokens": LARGEST + 1, "total_tokens": 0}], (5, -1, -1, -1, -1)),
    ([{"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}], (-1, 0, -1, -1, -1)),
    ([{"prompt_tokens": 7, "completion_tokens": 0, "total_tokens": 7}], (7, 0, -1, -1, -1)),
    ([{"prompt_tokens": 5}], (5, -1, -1, -1, -1)), ([{"completion_tokens": 5}], (-1, 5, -1, -1, -1)),
    ([{"cached_tokens": 5}], (-1, -1, 5, -1, -1)), ([{"cached_tokens": 0}], (-1, -1, 0, -1, -1)),
    # A prompt that leaves out its cache is all of it here, whichever API it is of.
    ([{"input_tokens": 5, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 2,
       "output_tokens": 1}], (10, 1, 3, 2, -1)),
    ([{"inputTokens": 5, "cacheReadInputTokens": 3, "cacheWriteInputTokens": 2, "outputTokens": 1}],
     (10, 1, 3, 2, -1)),
    ([{"prompt_n": 5, "cache_n": 4, "predicted_n": 3}], (9, 3, 4, -1, -1)),
    ([{"input_tokens": 5, "cache_creation_input_tokens": 2}], (7, -1, -1, 2, -1)),
    ([{"input_tokens": 5, "input_tokens_details": {"cached_tokens": 3}}], (5, -1, 3, -1, -1)),
    ([{"prompt_tokens": 5, "cache_read_input_tokens": 3}], (5, -1, 3, -1, -1)),
    # Thought is a part of the output, unless the total says that it stands beside it.
    ([{"promptTokenCount": 10, "candidatesTokenCount": 5, "thoughtsTokenCount": 3,
       "totalTokenCount": 18, "cachedContentTokenCount": 2}], (10, 8, 2, -1, 3)),
    ([{"promptTokenCount": 10, "candidatesTokenCount": 5, "thoughtsTokenCount": 3,
       "totalTokenCount": 15}], (10, 5, -1, -1, 3)),
    ([{"candidatesTokenCount": 5, "thoughtsTokenCount": 3, "totalTokenCount": 8}], (-1, 8, -1, -1, 3)),
    ([{"completion_tokens": 5, "total_tokens": 5, "reasoning_tokens": 0}], (-1, 5, -1, -1, 0)),
    # In Gemini's chat it is in the total alone (Clarifai/clarifai-python#978), unless caches are told.
    ([{"prompt_tokens": 20, "completion_tokens": 424, "total_tokens": 1016}], (20, 996, -1, -1, -1)),
    ([{"prompt_tokens": 20, "completion_tokens": 4, "total_tokens": 74, "cached_tokens": 50}], (20, 4, 50, -1, -1)),
    ([{"prompt_tokens": 20, "completion_tokens": 4, "total_tokens": 9}], (20, 4, -1, -1, -1)),
    ([{"prompt_tokens": 74, "completion_tokens": 2, "total_tokens": 76, "prompt_tokens_details": {
        "cached_read_tokens": 34, "cached_write_tokens": 10}}], (74, 2, 34, 10, -1)),  # maximhq/bifrost#1872
    ([{"promptTokens": 100, "completionTokens": 2, "cacheReadTokens": 40}], (100, 2, 40, -1, -1)),
    # Text and whole floats are counts; what is none is as if it was not there.
    ([{"prompt_tokens": "5", "completion_tokens": "0000000003"}], (5, 3, -1, -1, -1)),
    ([{"prompt_tokens": "00000000005", "completion_tokens": "²"}], (-1, -1, -1, -1, -1)),
    ([{"prompt_tokens": 5.0, "completion_tokens": True}], (5, -1, -1, -1, -1)),
    ([{"prompt_tokens": None, "input_tokens": 2}], (2, -1, -1, -1, -1)),
    # Of several names the first of the list counts, and what stands in a part counts last.
    ([{"input_tokens": 2, "prompt_tokens": 1}], (1, -1, -1, -1, -1)),
    ([{"prompt_tokens": 1, "input_tokens": 2}], (1, -1, -1, -1, -1)),
    ([{"tokens": {"prompt_tokens": 9}, "prompt_n": 2}], (2, -1, -1, -1, -1)),
    ([{"prompt_n": 2, "tokens": {"prompt_tokens": 9}}], (2, -1, -1, -1, -1)),
    ([{"billed_units": {"input_tokens": 1}, "tokens": {"input_tokens": 9, "output_tokens": 4}}],
     (9, 4, -1, -1, -1)),
    # The last of several counts, but a 0 takes nothing back, nor does a prompt without its cache.
    ([{"prompt_tokens": 10, "completion_tokens": 5}, {"completion_tokens": 3}], (10, 3, -1, -1, -1)),
    ([{"prompt_tokens": 10, "completion_tokens": 5, "cached_tokens": 4},
      {"prompt_tokens": 0, "completion_tokens": 0, "cached_tokens": 0}], (10, 5, 4, -1, -1)),
    ([{"prompt_tokens": 10, "cached_tokens": 4}, {"prompt_tokens": 10, "cached_tokens": 0}],
     (10, -1, 0, -1, -1)),
    ([{"input_tokens": 5, "cache_read_input_tokens": 1}, {"input_tokens": 5}], (6, -1, 1, -1, -1)),
    ([{"input_tokens": 5, "cache_read_input_tokens": 3}, {"input_tokens": 50}], (50, -1, 3, -1, -1)),
    ([{"input_tokens": 5, "cache_read_input_tokens": 0}, {"input_tokens": 3}], (3, -1, 0, -1, -1)),
    ([{"input_tokens": 5, "cache_read_input_tokens": 3},
      {"input_tokens": 5, "cache_creation_input_tokens": 2}], (7, -1, 3, 2, -1)),
    ([{"input_tokens": 5}, {"input_tokens": 3, "cache_read_input_tokens": 1}], (4, -1, 1, -1, -1)),
    ([{"x": 1}], (-1,) * 5), ([{}], (-1,) * 5), ([[]], (-1,) * 5), ([None], (-1,) * 5),
]  # fmt: skip


@pytest.mark.parametrize(("usages", "known"), COUNTED)
def test_what_a_server_counted_is_known_to_the_last_token(usages, known):
    marks = Marks(0, 0, 0.0)
    marks.flags = int(Flag.STREAM)
    told = [read_usage(usage, marks) for usage in usages]
    assert known == (marks.prompt_tokens, marks.output_tokens, marks.cached_tokens,
                     marks.written_tokens, marks.reasoning_tokens)  # fmt: skip
    assert marks.flags == Flag.STREAM | (Flag.SERVER_TOKENS if known[1] >= 0 else 0)
    assert any(told) == (max(marks.prompt_tokens, marks.output_tokens) >= 0)
