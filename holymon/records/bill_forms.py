"""What providers and gateways call the columns of their usage exports, each known by its own.

Names are compared in small letters, with _ for what is no letter or digit; what is nested in JSON
has its parents' names before its own.
"""

import re
from typing import Any, Final, NamedTuple


class Form(NamedTuple):
    """The columns of a kind of export; of several names for one thing the first that is there.

    `prompt` holds what was read from a cache or written to one, `input` does not; the columns of
    `written` add up. Money is multiplied by `unit`. `apart` is a column that says of a row that its
    prompt is without the cache. With `each`, a row is a call.
    """

    source: str = ""
    needs: frozenset[str] = frozenset()
    date: tuple[str, ...] = ()
    model: tuple[str, ...] = ()
    prompt: tuple[str, ...] = ()
    input: tuple[str, ...] = ()
    cached: tuple[str, ...] = ()
    written: tuple[str, ...] = ()
    completion: tuple[str, ...] = ()
    cost: tuple[str, ...] = ()
    currency: tuple[str, ...] = ()
    requests: tuple[str, ...] = ()
    unit: float = 1.0
    apart: tuple[str, ...] = ()
    each: bool = False


FORMS: Final = (
    # platform.openai.com/docs/api-reference/usage: completions, embeddings; CSV names the same.
    Form("OpenAI's usage", frozenset({"start_time", "input_tokens", "num_model_requests"}),
         ("start_time",), ("model",), prompt=("input_tokens",), cached=("input_cached_tokens",),
         written=("input_cache_write_tokens",), completion=("output_tokens",),
         requests=("num_model_requests",)),
    # platform.openai.com/docs/api-reference/usage/costs
    Form("OpenAI's costs", frozenset({"start_time", "amount_value"}), ("start_time",),
         cost=("amount_value",), currency=("amount_currency",)),
    # platform.claude.com/docs/en/api/admin-api/usage-cost/get-messages-usage-report
    Form("Anthropic's usage", frozenset({"starting_at", "uncached_input_tokens"}),
         ("starting_at",), ("model",), input=("uncached_input_tokens",),
         cached=("cache_read_input_tokens",),
         written=("cache_creation_ephemeral_5m_input_tokens",
                  "cache_creation_ephemeral_1h_input_tokens", "cache_creation_input_tokens"),
         completion=("output_tokens",)),
    # .../get-cost-report: amounts are in cents.
    Form("Anthropic's costs", frozenset({"starting_at", "amount"}), ("starting_at",), ("model",),
         cost=("amount",), currency=("currency",), unit=0.01),
    # What platform.claude.com exports as CSV.
    Form("Anthropic's console", frozenset({"usage_date_utc", "usage_output_tokens"}),
         ("usage_date_utc",), ("model_version",), input=("usage_input_tokens_no_cache",),
         cached=("usage_input_tokens_cache_read",),
         written=("usage_input_tokens_cache_write_5m", "usage_input_tokens_cache_write_1h"),
         completion=("usage_output_tokens",)),
    # What it exports of costs: a row for each class of tokens, models by the names people read.
    Form("Anthropic's console", frozenset({"usage_date_utc", "cost_usd"}), ("usage_date_utc",),
         ("model",), cost=("cost_usd",)),
    # openrouter.ai/docs, Logs export: a row for each generation, reasoning in its completion.
    Form("OpenRouter's activity", frozenset({"cost_total", "tokens_prompt"}), ("created_at",),
         ("model_permaslug", "model"), ("tokens_prompt",), cached=("tokens_cached",),
         completion=("tokens_completion",), cost=("cost_total",), each=True),
    # openrouter.ai/docs/api-reference, GET /activity: a row for each day and endpoint.
    Form("OpenRouter's activity", frozenset({"usage", "prompt_tokens", "model"}), ("date",),
         ("model",), ("prompt_tokens",), completion=("completion_tokens",), cost=("usage",),
         requests=("requests",)),
    # openrouter.ai/docs/guides/guides/activity-export, CSV of the Activity page by model.
    Form("OpenRouter's activity", frozenset({"slug", "usage", "prompt_tokens"}), ("date",),
         ("slug",), ("prompt_tokens",), completion=("completion_tokens",), cost=("usage",),
         requests=("requests",)),
    # docs.litellm.ai/docs/proxy/cost_tracking: rows of LiteLLM_SpendLogs.
    Form("LiteLLM's spend logs", frozenset({"starttime", "spend", "prompt_tokens"}), ("starttime",),
         ("model",), ("prompt_tokens",),
         cached=("metadata_usage_object_prompt_tokens_details_cached_tokens",
                 "metadata_usage_object_cache_read_input_tokens",
                 "metadata_additional_usage_values_cache_read_input_tokens"),
         completion=("completion_tokens",), cost=("spend",), each=True),
    # QuantumNous/new-api and songquanpeng/one-api, /api/log: 500,000 units of quota are a dollar.
    Form("one-api's log", frozenset({"created_at", "quota", "model_name"}), ("created_at",),
         ("model_name",), ("prompt_tokens",), cached=("other_cache_tokens", "cached_tokens"),
         written=("other_cache_creation_tokens",), completion=("completion_tokens",),
         cost=("quota",), unit=1 / 500_000, apart=("other_claude",), each=True),
)  # fmt: skip

PLAIN: Final = Form(
    "",
    frozenset(),
    ("date", "day", "usage_date", "timestamp", "time", "created_at", "created", "start_time"),
    ("model", "model_name", "model_id", "base_model_name"),  # the last one is Fireworks'
    ("prompt_tokens", "prompt", "input_tokens", "input", "tokens_in"),
    cached=("cached_tokens", "cached", "cached_input_tokens", "cache_read_tokens", "cache_read"),
    written=("cache_write_tokens", "cache_creation_tokens", "cache_write", "written"),
    completion=("completion_tokens", "completion", "output_tokens", "output", "tokens_out"),
    cost=("cost", "cost_usd", "spend", "amount", "amount_usd", "total_cost", "usd"),
    currency=("currency",),
    requests=("requests", "num_requests", "request_count", "calls", "api_requests"),
)
"""What others are likely to call them."""

MAPPED: Final = (
    "date", "model", "prompt", "input", "cached", "written", "completion", "cost", "currency",
    "requests",
)  # fmt: skip
"""What a column may be named for by whoever has another export."""


def form_of(names: set[str], given: dict[str, str]) -> Form:
    """The form of an export with such columns; those in `given` go before what is known."""
    form = next((form for form in FORMS if form.needs <= names), PLAIN)
    if {"prompt", "input"} & given.keys():
        form = form._replace(prompt=(), input=())
    changes: dict[str, Any] = {field: (normal(name),) for field, name in given.items()}
    return form._replace(**changes, unit=1.0 if "cost" in given else form.unit)


def normal(name: str) -> str:
    """The name of a column as it is compared."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
