"""Variants that others tried on readers that were finished: each failed before its kind was mended.

Of some two hundred and thirty, written down with what must come of them before they were tried.
"""

import json

import pytest

from holymon.protocols.error_body import read_error
from holymon.records.attempt import Marks

from .cases import DONE, END, HEL, LO, STOP, Case, body, data, event, pair, said, whole
from .test_fresh_variants import STARTED, output, text_delta

IN_STREAM = "stream_error_event"
AS_JSON = {"streamed": False, "kind": "application/json"}
COUNTED = "prompt_tokens output_tokens cached_tokens"


def ended(**usage: object) -> bytes:
    delta = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}
    return b"event: message_delta\n" + data(delta) + b"event: message_stop\n" + data(
        {"type": "message_stop"})  # fmt: skip


def counted(**usage: object) -> bytes:
    return data({"choices": [], "usage": usage})


def wanted(*counts: int) -> dict[str, int]:
    return dict(zip(COUNTED.split(), counts, strict=True))


def begun(**usage: object) -> bytes:
    message = {"type": "message_start", "message": {"content": [], "usage": usage}}
    return b"event: message_start\n" + data(message) + text_delta("Hel") + text_delta("lo")


ONE = [event({"choices": [{"index": 1, "delta": {"content": text}}]}) for text in ("Hel", "lo")]

A = [
    Case("an overload as a whole body", "QuantumNous/new-api#7399", body({"error": {
        "message": "Please try again later.", "type": "service_unavailable_error",
        "code": "server_is_overloaded"}}), "overloaded", "try again later", **AS_JSON),
    Case("an error behind the last event of a message", "Sunnyender-org/cursor-sdk2api#26",
         STARTED + text_delta("Hel") + ended(output_tokens=2) + b"event: error\n"
         + data({"type": "error", "error": {"type": "api_error", "message": "upstream broke"}}),
         IN_STREAM, "upstream broke", endpoint="messages"),
    Case("an object of an error under errorMsg", "cloud.tencent.com, hunyuan",
         HEL + data({"Note": "made by AI", "ErrorMsg": {"Msg": "engine failed", "Code": 4001}}), IN_STREAM, "engine failed"),
    Case("words inside of a detail", "LostRuins/koboldcpp, 503 in a stream", data({"detail": {
        "msg": "Server is busy; please try again later.", "type": "service_unavailable"}}), IN_STREAM, "Server is busy"),
]  # fmt: skip

B = [
    Case("the only choice is number 1", "BerriAI/litellm#376",
         b"".join(ONE) + event({"choices": [{"index": 1, "finish_reason": "stop"}]}) + DONE),
    Case("an empty form of an error", "Go's structs without omitempty",
         body(whole(error={"message": "", "type": "", "param": "", "code": None})), **AS_JSON),
    Case("an empty form of an error in a chunk", "Go's structs without omitempty",
         event({**said("Hel"), "error": {"code": 0, "message": ""}}) + LO + END),
    Case("the end of a response by its other name", "earendil-works/pi, openai-codex-responses",
         output("Hel") + output("lo") + data({"type": "response.done", "response": {
             "status": "completed", "usage": {"input_tokens": 3, "output_tokens": 2}}}),
         endpoint="responses", wanted={"output_tokens": 2}),
]  # fmt: skip

F = [
    Case("the prompt is told again without its cache", "variant of maximhq/bifrost#6598",
         begun(input_tokens=4, cache_read_input_tokens=100, output_tokens=1)
         + ended(input_tokens=4, output_tokens=7), wanted=wanted(104, 7, 100), endpoint="messages"),
    Case("the prompt is told again as nothing", "variant of maximhq/bifrost#5355",
         begun(input_tokens=4, cache_read_input_tokens=100, output_tokens=1)
         + ended(input_tokens=0, cache_read_input_tokens=0, output_tokens=7), wanted=wanted(104, 7, 100), endpoint="messages"),
    Case("counts, then a form of counts", "variant of mudler/LocalAI#1886", HEL + LO + STOP
         + counted(prompt_tokens=30, completion_tokens=20, prompt_tokens_details={"cached_tokens": 10})
         + counted(prompt_tokens=0, completion_tokens=0, prompt_tokens_details={"cached_tokens": 0})
         + DONE, wanted=wanted(30, 20, 10)),
]  # fmt: skip

test_an_answer_is_what_it_says, test_and_so_it_is_to_a_watched_client = pair([*A, *B, *F])


REFUSED = [
    ("CALLE-AI/awesome-phone-call-agents#224", 429,
     {"error": {"type": "insufficient_quota", "code": "credit_balance_exhausted", "message": "No."}}, "quota_exhausted"),
    ("the type says more than the code", 403,
     {"error": {"type": "insufficient_user_quota", "code": "forbidden_by_plan", "message": "No."}}, "quota_exhausted"),
    ("a key that was taken back", 403,
     {"error": {"message": "This API key has been revoked."}}, "authentication"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "status", "value", "kind"), REFUSED, ids=lambda v: str(v)[:24])
def test_a_refusal_is_called_what_it_is(source, status, value, kind):
    assert read_error(status, json.dumps(value).encode(), Marks(0, 0, 0.0))[0] == kind
