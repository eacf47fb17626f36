"""What servers that run on one machine really sent, where it was read wrongly at first.

Each was installed and measured with `holymon load`: its version stands beside its bytes.
"""

import pytest

from tests.promises.faults.server import FIN

from .cases import HEL, Case, body, data, pair, usage
from .test_e_reasons import answer, asked, error

LITELLM, LLMOCK, AIMOCK = "litellm 1.108.7", "llmock 0.2.2", "@copilotkit/aimock 1.43.0"
TRANSFORMERS, MOCKLLM, LLAMA = "transformers 5.24.0", "mockllm 0.0.8", "llama-cpp-python 0.3.36"

MODEL = "check the model's name, 'm'"
OF_NO_DB = error("No connected db.", "no_db_connection", "400")
OF_NO_MODEL = error("/chat/completions: Invalid model name passed in model=m. Call `/v1/models` to view "
                    "available models for your key.", "invalid_request_error", "400")  # fmt: skip
OF_EVENTS = ('data: {"error": {"message": "Error processing stream start", "type": '
             '"internal_server_error", "param": null, "code": "500"}}\n\ndata: [DONE]\n\n')  # fmt: skip


@pytest.mark.parametrize(
    ("source", "response", "expected"),
    [
        (LITELLM, answer("400 Bad Request", OF_NO_MODEL), ("bad_request", "/chat/completions: Invalid model", MODEL)),
        (LITELLM, answer("400 Bad Request", OF_NO_DB),
         ("authentication", "No connected db.", "check the key in PATH")),
        (LITELLM, answer("500 Internal Server Error", OF_EVENTS, "text/event-stream"),
         ("server_error", "Error processing stream start", "")),
        (TRANSFORMERS, answer("400 Bad Request", {"detail": "Server is pinned to 'tiny'; requested 'm'."}),
         ("bad_request", "Server is pinned to 'tiny'", MODEL)),
        ("@dwmkerr/mock-llm 0.1.29", answer("404 Not Found", {"error": "Not Found: Cannot POST /v1/messages"}),
         ("not_found", "Not Found: Cannot POST /v1/messages", "check the model's name and the base_url")),
        (LLAMA, answer("401 Unauthorized", error("Invalid API key", None, None)),
         ("authentication", "Invalid API key", "check the key in PATH")),
    ],
)  # fmt: skip
def test_what_a_refusal_says_is_told_with_its_mend(source, response, expected):
    kind, words, mend = asked(response, api_key_env="PATH")
    assert (kind, words[: len(expected[1])]) == expected[:2], source
    assert mend.startswith(expected[2])
    assert "{" not in words, "the words, not the JSON around them"


def named(value: dict) -> bytes:
    """An event under the name of its type."""
    return f"event: {value['type']}\n".encode() + data(value)


MALFORMED = Case("JSON that is none where a stream was asked for", AIMOCK, b"{malformed json: <<<chaos>>>",
                 "invalid_json", "{malformed json: <<<chaos>>>", kind="application/json",
                 watched=False)  # fmt: skip
NESTED = Case("deltas inside of deltas, then DONE", MOCKLLM,
              data({"type": "message_delta", "id": "mock-1", "delta": {"role": "assistant"}, "usage": None})
              + data({"type": "message_delta", "id": "mock-1", "delta": {
                  "type": "content_block_delta", "index": 0, "delta": {"text": "Hel"}}, "usage": None})
              + b"data: [DONE]\n\n", "invalid_schema", '"message_delta"', endpoint="messages")  # fmt: skip
COUNTED = {"input_tokens": 0, "output_tokens": 0}
GOOD = [
    Case("a message beside an empty delta", f"{LLMOCK}, as docs.perplexity.ai",
         body({"id": "1", "object": "chat.completion", "model": "m", "choices": [{
             "index": 0, "message": {"role": "assistant", "content": "Hello", "tool_calls": None},
             "finish_reason": "stop", "delta": {}}], "usage": usage(8, 13), "citations": []}),
         streamed=False, kind="application/json", wanted={"prompt_tokens": 8, "output_tokens": 13}),
    Case("all that has come beside what is new", f"{LLMOCK}, as docs.perplexity.ai", b"".join(
         data({"choices": [{"index": 0, "delta": {"content": new}, "message": {"content": told},
                            "finish_reason": reason}]})
         for new, told, reason in (("Hel", "Hel", None), ("lo", "Hello", None), ("", "Hello", "stop")))
         + b"data: [DONE]\n\n", wanted={"events": 2}),
    Case("an answer in one event, beside an empty delta", "variant of the one before it",
         data({"choices": [{"index": 0, "delta": {}, "message": {"content": "Hello"}, "finish_reason": "stop"}]})
         + b"data: [DONE]\n\n", wanted={"events": 1}),
    Case("a count of 0 for what has come", AIMOCK,
         named({"type": "message_start", "message": {"content": [], "usage": COUNTED}})
         + named({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hel"}})
         + named({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "lo"}})
         + named({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 0}})
         + named({"type": "message_stop"}), endpoint="messages",
         wanted={"prompt_tokens": -1, "output_tokens": 2, "events": 2}),
    Case("a whole answer with a count of 0", AIMOCK,
         body({"type": "message", "content": [{"type": "text", "text": "Hello"}], "stop_reason": "end_turn",
               "usage": COUNTED}), endpoint="messages", streamed=False, kind="application/json",
         wanted={"prompt_tokens": -1, "output_tokens": -1}),
    Case("no DONE behind the finish", TRANSFORMERS,
         HEL + data({"choices": [{"delta": {"content": "lo"}, "index": 0}]})
         + data({"choices": [{"delta": {}, "index": 0, "finish_reason": "length"}], "usage": usage(19, 5)}),
         flags=16, wanted={"finish": "length", "prompt_tokens": 19}),
    Case("interrupted by the next request, then DONE", f"{LLAMA}, interrupt_requests", HEL + b"data: [DONE]\n\n",
         text="Hel", flags=32),
]  # fmt: skip


test_an_answer_is_called_what_it_is, test_a_watched_client_reads_the_same = pair(
    [MALFORMED, NESTED, *GOOD]
)


def test_who_hangs_up_behind_the_head_of_a_stream_has_answered_nothing():
    """llama-cpp-python 0.3.36: a prompt that is too long, streamed."""
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    assert asked(head + b"0\r\n\r\n", FIN)[0] == "empty_response"
