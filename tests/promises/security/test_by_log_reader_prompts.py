"""By a reader of pages and logs: prompts are not theirs, even where a server repeats them."""

import asyncio
import http.server
import json
import textwrap
import threading

import pytest

from holymon.load.caller import Caller
from holymon.load.first_call import FirstCalls
from holymon.plan.plan import Closed, Plan, Prompts, Target
from holymon.records.datasets import dataset
from holymon.records.journal import Journal
from holymon.records.notes import notes
from holymon.safety import without_echo

ASKED = 'Patient Jane Roe, born 1970-05-01, asks: is my résumé "fine"?\nAnd is her mother\'s\tname on it? '
LONG = (
    ASKED
    + "x y z. " * 20_000
    + "The last line of it: account DE89 3704 0044 0532 0130 00 is closed."
)
WORDS = "may not be asked"


@pytest.mark.parametrize("said", [
    ASKED, ASKED.upper(), json.dumps(ASKED), repr(ASKED), " ".join(ASKED), ASKED[:40] + "…", ASKED[20:70],
    f"messages.0.content: {ASKED[10:]}", LONG[-60:], ASKED.replace(" ", "\u200b "),
    json.dumps(ASKED.replace(" ", "\n")), json.dumps(json.dumps("\t".join(textwrap.wrap(ASKED, 15)))),
])  # fmt: skip
def test_what_repeats_a_prompt_is_left_out(said):
    left = without_echo(f"{WORDS}: {said} [{WORDS}]", LONG)
    assert left.count(WORDS) == 2
    assert not any(word in left.lower().replace(" ", "") for word in ("jane", "1970", "3704"))


@pytest.mark.parametrize("said", ["the model m does not exist", "is my max_tokens fine?", ""])
def test_a_few_common_words_are_no_repetition(said):
    assert without_echo(said, ASKED) == said
    assert without_echo(said, "hi") == said
    assert without_echo("say hello to me: no", "Say 'Hello' to me!") == "***: no"


OTHER = "Another that is Jane's own affair"


@pytest.mark.parametrize(
    "prompts", [Prompts(texts=(ASKED, OTHER)), Prompts(dataset=dataset([ASKED, OTHER]))],
    ids=["texts", "dataset"],
)  # fmt: skip
def test_neither_the_notes_of_a_run_nor_its_first_call_hold_it(tmp_path, prompts):
    class Repeats(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            words = f"{WORDS}: {asked['messages'][0]['content']}"
            body = json.dumps({"error": {"message": words, "code": "refused"}}).encode()
            self.send_response(400)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    async def go(plan):
        first = FirstCalls(plan)
        (call,) = await first.run()
        caller = Caller(plan)
        marks = await caller.send(1, 0, 0.0)
        await caller.aclose()
        journal = Journal(tmp_path, 0, masked=caller.masked, words=caller.words)
        journal.record(marks)
        journal.close()
        return call

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Repeats) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/v1"
        call = asyncio.run(go(Plan(
            targets=(Target(provider="url", model="m", base_url=url),), load=Closed(users=1), requests=1,
            prompts=prompts,
        )))  # fmt: skip
        server.shutdown()
    (note,) = notes(tmp_path)
    for words in (call.message, note["message"]):
        assert words.startswith(WORDS)
        assert "Jane" not in words
        assert "affair" not in words
