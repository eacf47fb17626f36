"""What a request asks, whatever its dialect: pure. Raises ValueError for one that can't be."""

import json
import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

MOST_TOKENS: Final = 10_000
BLOCK: Final = 16
"""Words of a prompt that are kept in a cache together, as vLLM keeps tokens."""

MOST_BLOCKS: Final = 200_000
LIFE_S: Final = 60.0
"""How long what is cached is kept without being used."""

_LIMITS: Final = ("max_tokens", "max_completion_tokens", "max_output_tokens", "n_predict")
_JSON: Final = frozenset({"json_object", "json_schema"})


@dataclass(frozen=True, slots=True)
class Question:
    """What a request asks for: a word is a token.

    At most `most` tokens and at least `least`; `tool` is the name of the first tool it gives.
    """

    model: str
    dialect: str
    stream: bool
    words: list[str]
    items: int
    most: int | None
    least: int
    tool: str
    wants_json: bool
    want_usage: bool

    @property
    def prompt_tokens(self) -> int:
        """How many tokens the prompt has."""
        return max(1, len(self.words))


def question_in(body: dict[str, Any], dialect: str) -> Question:
    """What a body asks for."""
    given = next((body[name] for name in ("input", "prompt", "messages") if name in body), None)
    messages = [{"content": given}] if isinstance(given, str) and given else given
    if not isinstance(messages, list) or not messages:
        raise ValueError("messages must be a list that is not empty")
    texts = [_text(body.get(name)) for name in ("system", "instructions")]
    texts += [_text(part if isinstance(part, str) else part.get("content")) for part in messages]
    most = next((body[name] for name in _LIMITS if body.get(name) is not None), None)
    if most is not None and not 1 <= int(most) <= MOST_TOKENS:
        raise ValueError(f"max_tokens must lie between 1 and {MOST_TOKENS}")
    most = None if most is None else int(most)
    least = min(int(body.get("min_tokens") or 0), most or MOST_TOKENS)
    if body.get("ignore_eos") and most is not None:
        least = most
    return Question(
        model=body["model"], dialect=dialect, stream=bool(body.get("stream")),
        words=" ".join(texts).split(), items=len(messages), most=most, least=least,
        tool=_tool(body), wants_json=_wants_json(body),
        want_usage=bool((body.get("stream_options") or {}).get("include_usage")),
    )  # fmt: skip


def _text(content: Any) -> str:
    """The text in the content of a message, which may be in parts."""
    if isinstance(content, list):
        return " ".join(_text(part.get("text")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _tool(body: dict[str, Any]) -> str:
    tools = body.get("tools")
    if not tools or body.get("tool_choice") == "none":
        return ""
    return str((tools[0].get("function") or tools[0]).get("name") or "f")


def _wants_json(body: dict[str, Any]) -> bool:
    inner = [(body.get(name) or {}).get("format") for name in ("text", "output_config")]
    formats = [body.get("response_format"), body.get("output_format"), *inner]
    return any((about or {}).get("type") in _JSON for about in formats)


class PromptCache:
    """The beginnings of prompts, in whole blocks of words, for `life_s` since they were last used.

    The oldest of too many are forgotten before that.
    """

    def __init__(self, life_s: float) -> None:
        """Know nothing."""
        self._life_s = life_s
        self._blocks: OrderedDict[int, float] = OrderedDict()

    def take(self, question: Question, now: float) -> int:
        """How many tokens of a prompt are known `now`; from then on all of its whole blocks are.

        One at least has to be computed, or there would be nothing to answer with.
        """
        words, before, known, broken = question.words, hash(question.model), 0, False
        for at in range(0, len(words) - len(words) % BLOCK, BLOCK):
            before = hash((before, *words[at : at + BLOCK]))
            broken = broken or now - self._blocks.get(before, -math.inf) > self._life_s
            known += 0 if broken else BLOCK
            self._blocks[before] = now
            self._blocks.move_to_end(before)
        while len(self._blocks) > MOST_BLOCKS:
            self._blocks.popitem(last=False)
        return known if known < len(words) else known - BLOCK


_CHAT: Final = frozenset(
    "messages model stream stream_options max_completion_tokens temperature top_p n stop "
    "frequency_penalty presence_penalty logit_bias logprobs top_logprobs seed user tools "
    "tool_choice parallel_tool_calls response_format reasoning_effort verbosity service_tier store "
    "metadata modalities audio prediction web_search_options prompt_cache_key safety_identifier "
    "functions function_call".split()
)
_RESPONSES: Final = frozenset(
    "input model stream stream_options max_output_tokens temperature top_p instructions tools "
    "tool_choice parallel_tool_calls text reasoning include store metadata service_tier user "
    "previous_response_id conversation background truncation prompt prompt_cache_key "
    "safety_identifier max_tool_calls top_logprobs".split()
)
_MESSAGES: Final = frozenset(
    "messages model stream max_tokens system temperature top_p top_k stop_sequences tools "
    "tool_choice thinking metadata service_tier container mcp_servers context_management "
    "output_config output_format".split()
)


def refusal_of(body: dict[str, Any], dialect: str) -> tuple[int, dict[str, Any]] | None:
    """With which status and JSON a strict model refuses a body; None for one that it takes.

    In OpenAI's own words, or Anthropic's.
    """
    if dialect == "completions":
        words = "This is a chat model and not supported in the v1/completions endpoint. Did you "
        return 404, _error(words + "mean to use v1/chat/completions?", "model", None)
    if dialect == "embeddings":
        return 403, _error("You are not allowed to generate embeddings from this model", None, None)
    known = {"chat": _CHAT, "responses": _RESPONSES, "messages": _MESSAGES}[dialect]
    unknown = sorted(name for name in body if name not in known)
    if dialect == "messages":
        words = f"{unknown[0]}: Extra inputs are not permitted" if unknown else ""
        about = {"type": "invalid_request_error", "message": words}
        return (400, {"type": "error", "error": about}) if words else None
    for name, instead in (("max_tokens", "max_completion_tokens"),):
        if name in unknown and dialect == "chat":
            words = f"Unsupported parameter: '{name}' is not supported with this model. Use "
            return 400, _error(f"{words}'{instead}' instead.", name, "unsupported_parameter")
    if unknown and dialect == "responses":
        words = f"Unknown parameter: '{unknown[0]}'."
        return 400, _error(words, unknown[0], "unknown_parameter")
    if unknown:
        words = f"Unrecognized request argument{'s' * (len(unknown) > 1)} supplied: "
        return 400, _error(words + ", ".join(unknown), None, None)
    return _of_temperature(body.get("temperature"), dialect)


def _of_temperature(given: Any, dialect: str) -> tuple[int, dict[str, Any]] | None:
    if given in {None, 1}:
        return None
    if dialect == "responses":
        words, code = "parameter: 'temperature' is not supported with this model.", "parameter"
    else:
        words, code = (
            f"value: 'temperature' does not support {json.dumps(given)} with this model. Only the "
            "default (1) value is supported.", "value",
        )  # fmt: skip
    return 400, _error(f"Unsupported {words}", "temperature", f"unsupported_{code}")


def _error(message: str, param: str | None, code: str | None) -> dict[str, Any]:
    about = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    return {"error": about}
