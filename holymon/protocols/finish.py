"""Why an answer ended, by the word that a server has for it."""

from typing import Any, Final

from holymon.records.attempt import FINISH

_WORDS: Final = {
    "stop": "end_turn stop_sequence stop_token eos eos_token complete completed finished end done",
    "length": "max_tokens max_output_tokens model_length max_length "
              "model_context_window_exceeded context_length",
    "tool_calls": "tool_use tool_call function_call function_calls",
    "content_filter": "refusal safety sensitive recitation prohibited_content blocklist spii "
                      "content_filtered guardrail_intervened error_toxic image_safety "
                      "image_prohibited_content image_recitation",
    "error": "abort aborted network_error insufficient_system_resource cancelled canceled failed "
             "malformed_function_call error_limit exception timeout",
}  # fmt: skip
_NAMES: Final = {name: name for name in FINISH} | {
    word: name for name, words in _WORDS.items() for word in words.split()
}


def finish_of(reason: Any) -> str:
    """A name of FINISH for a finish reason as it came, `""` if it says that there is none yet.

    A reason may be an object (sglang's `{"type": "stop", "matched": 128009}`) or a list.
    """
    if type(reason) is str and reason in _NAMES:  # as nearly all are
        return _NAMES[reason]
    if isinstance(reason, list) and reason:
        reason = reason[0]
    if isinstance(reason, dict):
        kinds = (reason.get(name) for name in ("type", "reason", "name", "value", "finish_reason"))
        reason = next((kind for kind in kinds if isinstance(kind, str)), bool(reason))
    if not reason:
        return ""
    if not isinstance(reason, str):
        return "other"
    word = reason.lower().removeprefix("finish_reason_").removeprefix("finishreason.")
    if word in {"null", "none", "unspecified"}:
        return ""
    return _NAMES.get(word) or _NAMES.get(word.partition(":")[0], "other")  # safety: its category
