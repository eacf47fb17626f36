"""What the model `odd` answers: good answers and refusals in forms that real servers have for them.

    ending_of(fate)            the last events of a chat's stream
    refusal_of(fault, number)  the status and the JSON of an answer that is none

The forms take turns by the number of the request. They are those of MiniMax, Groq, Moonshot and
OpenRouter; of Baidu, Cloudflare and Google; of one-api and Zhipu.
"""

import json
from typing import Any, Final

from holymon.sim.models import Fate

_RETRY: Final = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1.5s"}
_REFUSALS: Final[dict[str, tuple[tuple[int, Any], ...]]] = {
    "rate_limited": (
        (200, {"error_code": 18, "error_msg": "Open api qps request limit reached"}),
        (429, {"httpCode": 429, "internalCode": 3021, "name": "AiError",
               "description": "rate limiting: simulated requests per min reached"}),
        (429, [{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": [_RETRY],
                          "message": "Resource has been exhausted (e.g. check quota)."}}]),
    ),
    "quota_exhausted": (
        (403, {"error": {"type": "new_api_error", "code": "pre_consume_token_quota_failed",
                         "message": "该令牌额度已用尽"}}),
        (429, {"error": {"code": "1113", "message": "余额不足或无可用资源包,请充值。"}}),
    ),
}  # fmt: skip


def refusal_of(fault: str, number: int) -> tuple[int, Any] | None:
    """With which status and JSON a request is refused; None for what is no refusal of these."""
    forms = _REFUSALS.get(fault)
    return forms[number % len(forms)] if forms else None


def ending_of(fate: Fate, reason: str, usage: dict[str, Any]) -> bytes:
    """The last events of a chat's stream that ends for a `reason` and is billed `usage`."""
    end = {"index": 0, "delta": {}, "finish_reason": reason}
    whole = {"index": 0, "finish_reason": reason, "message": {
        "role": "assistant", "content": fate.text()}}  # fmt: skip
    done = b"data: [DONE]\n\n"
    forms = (
        # MiniMax says all of it once more, with its own mark that nothing is wrong, and no DONE.
        _event(choices=[whole], usage=usage, base_resp={"status_code": 0, "status_msg": ""}),
        _event(choices=[end], x_groq={"id": f"sim-{fate.number}", "usage": usage}) + done,
        _event(choices=[{**end, "usage": usage}]) + done,  # Moonshot
        b": OPENROUTER PROCESSING\n\n" + _event(choices=[end], usage=usage) + done,
    )
    return forms[fate.number % len(forms)]


def _event(**value: Any) -> bytes:
    return b"data: " + json.dumps({"object": "chat.completion.chunk", **value}).encode() + b"\n\n"
