"""The call that comes before a load: what it decides, what it costs, and that it is counted apart."""

import asyncio
import json
import os
import signal
import threading
from pathlib import Path

import pytest

import holymon as hm
from holymon.catalogue import listing
from holymon.experiments.alternate import alternate
from holymon.experiments.capacity_search import capacity
from holymon.load import first_call, run
from holymon.load.first_call import FirstCalls
from holymon.plan.plan import Closed, Open, Plan, Prompts, Target
from holymon.plan.price import Price
from holymon.plan.quirks import Quirks
from holymon.plan.shapes import constant
from holymon.report import sections
from holymon.structs import replace
from tests.load.test_run import soon
from tests.promises.field.picky import Picky, error

INSTEAD = error(
    "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.", "max_tokens"
)
KEY = error("Incorrect API key provided: sk-abcdef0123456789abcdef", None, "invalid_api_key")
SHORT = Prompts(max_tokens=4)
LEARNED = Quirks(max_tokens="max_completion_tokens", stream_options=False)


def picky(body, _number):
    """As OpenAI's newer models behind a gateway that knows no stream_options."""
    if "max_tokens" in body:
        return 400, INSTEAD
    if "stream_options" in body:
        return 422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "stream_options"],
                                 "msg": "Extra inputs are not permitted"}]}  # fmt: skip
    return None


def plan_of(url, **more):
    target = Target(provider="url", model="m", base_url=url, **more.pop("target", {}))
    return Plan(**{"targets": (target,), "load": Closed(users=1), "requests": 3, **more})


def call(rule, **more):
    """The outcome of the first call of a plan on a server with that rule, and what it was asked."""
    with Picky(rule) as server:
        calls = FirstCalls(plan_of(server.url, **more))
        return *asyncio.run(calls.run()), calls, server.firsts


@pytest.fixture(scope="module")
def adapted(tmp_path_factory):
    """A run on an API that wants to be asked otherwise, and all that the server was asked."""
    with Picky(picky) as server:
        plan = plan_of(server.url, workers=2, load=Closed(users=2), requests=8)
        return run.measure(plan, out=tmp_path_factory.mktemp("out")), server


def test_a_load_is_sent_as_the_api_asks_for_by_every_worker(adapted):
    done, server = adapted
    assert [done.summary().targets[0].ok, len(server.asked)] == [8, 8], "its calls, and no other"
    bodies = {tuple(sorted(body)) for body in server.asked}
    assert bodies == {("max_completion_tokens", "messages", "model", "stream")}
    assert {body["max_completion_tokens"] for body in server.asked} == {64}


def test_it_is_recorded_as_what_it_is_and_counted_nowhere(adapted):
    done, server = adapted
    (first,) = done.first_calls
    assert (first.quirks, first.calls, len(server.firsts)) == (LEARNED, 3, 3)
    assert sorted(done.records["request"]) == list(range(8))
    assert run.attach(str(done.folder)).first_calls == done.first_calls


def test_terminal_report_and_json_say_it(adapted):
    done, _ = adapted
    shown = done.to_dict()
    assert shown["first_calls"][0]["quirks"]["max_tokens"] == "max_completion_tokens"
    texts = [sections.run_text(done), sections.method(done).text, sections.method(done).html,
             " ".join(shown["verdict"]["reasons"])]  # fmt: skip
    for text in texts:
        assert "max_completion_tokens" in text
        assert "stream_options" in text
        assert "Extra inputs are not permitted" in text


def test_what_was_planned_stays_as_it_was_planned(adapted):
    done, _ = adapted
    assert done.plan.first_call
    assert done.plan.targets[0].quirks == Quirks()
    again = done.informed(done.plan)
    assert (again.first_call, again.targets[0].quirks) == (False, LEARNED)
    assert Plan.from_json(again.to_json()) == again


@pytest.mark.parametrize(
    ("refusal", "code", "words"),
    [
        ((401, KEY), 2, "authentication (HTTP 401): Incorrect API key provided: ***"),
        ((404, error("The model `m` does not exist", None, "model_not_found")), 2, "The model `m` does not exist"),
        ((400, error("temperature must be 1", "temperature")), 2, "temperature must be 1"),
        (None, 4, "connection_refused"),
    ],
    ids=["key", "model", "field", "address"],
)  # fmt: skip
def test_what_the_caller_got_wrong_ends_the_run_with_the_servers_words(
    holymon, refusal, code, words
):
    with Picky(lambda *_: refusal) as server:
        url = server.url if refusal else "http://127.0.0.1:9/v1"
        done = holymon(
            "load", "--base-url", url, "--model", "m", "--rate", "5,10", "--duration", "30"
        )
    assert (done.returncode, len(server.firsts), server.asked) == (code, bool(refusal), [])
    assert "ended by its first call, 0 calls" in done.stdout
    assert "the first call failed with " in done.stdout
    assert words in done.stdout
    assert "sk-abcdef" not in done.stdout + done.stderr


def test_a_refused_run_says_so_in_json_and_in_python(holymon, tmp_path):
    with Picky(lambda *_: (401, KEY)) as server:
        done = holymon("load", "--base-url", server.url, "--model", "m", "--json")
        shown = json.loads(done.stdout)
        plan = plan_of(server.url)
        with pytest.raises(hm.ConfigError, match="Incorrect API key"):
            alternate(plan, plan, out=tmp_path)
        with pytest.raises(hm.ConfigError, match="Incorrect API key"):
            capacity(plan, slo=("error_rate<1%",), out=tmp_path)
    assert (done.returncode, shown["state"], shown["ended"]) == (2, "finished", "first_call")
    assert shown["first_calls"][0]["error_type"] == "authentication"
    assert "Incorrect API key" in shown["verdict"]["reasons"][0]
    assert shown["targets"][0]["requests"] == 0
    assert len(server.firsts) == 3, "no level, no round after the first one"
    done = run.attach("last", out=tmp_path / "reports")
    assert repr(done) == f"<Run {done.id}: ended by its first call, 0 calls>"
    assert sections.run_text(done).startswith(f"{done.id}   ended by its first call, 0 calls\n")
    assert "ended by its first call" in sections.verdict(done).html
    assert "ended by its first call" in listing.runs(tmp_path / "reports").table.text()


@pytest.mark.parametrize(
    "failure",
    [(429, error("slow down")), (500, error("oops")), (503, error("busy")), (200, b'data: {"cho'), (529, error("x"))],
    ids=["429", "500", "503", "cut", "529"],
)  # fmt: skip
def test_what_a_server_fails_at_is_what_the_load_is_there_to_measure(failure):
    outcome, calls, firsts = call(lambda *_: failure)
    assert (outcome.ended, calls.ending, len(firsts)) == (False, None, 1)
    assert outcome.error_type
    assert outcome.note.startswith("url/m: first call: it failed with ")


def test_a_load_begins_although_the_first_call_is_never_answered(monkeypatch):
    monkeypatch.setattr(first_call, "MOST_S", 0.2)
    over = threading.Event()
    outcome, calls, _ = call(lambda *_: over.wait(10))
    over.set()
    assert (outcome.error_type, outcome.ended, calls.ending) == ("deadline_exceeded", False, None)
    assert "the load did not wait" in outcome.message


def test_it_asks_for_a_short_answer_and_for_the_whole_where_that_is_too_short():
    def rule(body, _number):
        return (400, error("max_tokens must be at least 32")) if body["max_tokens"] < 32 else None

    outcome, _, firsts = call(rule)
    assert [body["max_tokens"] for body in firsts] == [16, 64]
    assert (outcome.error_type, outcome.quirks) == ("", Quirks())


def test_a_prompt_that_is_refused_says_nothing_of_the_others():
    def rule(*_):
        return 400, error("too long", None, "context_length_exceeded")

    several, alone = Prompts(texts=("a", "b")), Prompts(texts=("a",))
    assert [call(rule, prompts=asked)[0].ended for asked in (several, alone)] == [False, True]


def test_it_costs_and_stays_within_the_limit():
    # An answer of the server's is 3 tokens and 2.
    price = {"price": Price(input=1000.0, output=1000.0)}
    with Picky() as server:
        plan = plan_of(server.url, target=price, max_cost=1.0, prompts=SHORT)
        outcome, calls, _ = call(lambda *_: None, target=price, max_cost=1.0, prompts=SHORT)
        assert (outcome.cost_usd, calls.spent) == (0.005, 0.005)
        too_little = FirstCalls(replace(plan, max_cost=0.01))
        assert asyncio.run(too_little.run()) == []
    assert server.firsts == []


def test_its_cost_is_in_the_runs_total_and_in_no_targets(tmp_path):
    with Picky() as server:
        plan = plan_of(
            server.url, target={"price": Price(input=1000.0, output=1000.0)}, prompts=SHORT
        )
        done = run.measure(plan, out=tmp_path)
    shown = done.to_dict()
    assert shown["targets"][0]["cost_usd"] == pytest.approx(0.015)
    assert shown["cost_usd"] == done.summary().cost_usd == pytest.approx(0.020)


def test_it_can_be_left_out(holymon):
    with Picky(picky) as server:
        done = holymon("load", "--base-url", server.url, "--model", "m", "--requests", "2",
                       "--concurrency", "1", "--no-first-call", "--json")  # fmt: skip
    shown = json.loads(done.stdout)
    assert (server.firsts, shown["first_calls"], shown["plan"]["first_call"]) == ([], [], False)
    assert shown["targets"][0]["errors"] == {"bad_request": 2}


def test_a_sweep_makes_one(holymon):
    with Picky(picky) as server:
        done = holymon("load", "--base-url", server.url, "--model", "m", "--concurrency", "1,2,3",
                       "--requests", "3")  # fmt: skip
    assert (done.returncode, len(server.firsts), len(server.asked)) == (0, 3, 9), done.stdout
    assert all("max_completion_tokens" in body for body in server.asked)


def test_a_search_and_a_comparison_make_one(tmp_path):
    with Picky(picky) as server:
        plan = plan_of(server.url, prompts=SHORT)
        result = capacity(
            plan, slo=("error_rate<100%",), start=20, most=40, seconds=0.5, out=tmp_path
        )
        assert len(result.levels) > 1
        assert len(server.firsts) == 3
        alternate(plan, replace(plan, load=Closed(users=2)), pairs=2, out=tmp_path)
    assert len(server.firsts) == 6
    assert all("max_completion_tokens" in body for body in server.asked)


@pytest.mark.parametrize("way", ["stop", "signal", "owner"])
def test_a_run_is_stopped_during_it(tmp_path, way):
    over = threading.Event()
    with Picky(lambda *_: over.wait(60)) as server:
        going = run.start(plan_of(server.url), out=tmp_path, detached=False)
        soon(lambda: server.firsts)
        assert (going.state, going.live) == ("first call", True)
        if way == "stop":
            going.stop()
        elif way == "signal":
            os.kill(going.status["pid"], signal.SIGTERM)
        else:
            going._process.stdin.close()
        soon(lambda: not going.live)
        over.set()
        going.wait(timeout=30)
    assert going.state == ("interrupted" if way == "owner" else "stopped")
    assert (len(going.records), server.asked, going.first_calls) == (0, [], ())


def test_the_simulator_counts_it_apart_and_treats_the_others_as_without_it(tmp_path, simulator):
    target = simulator.target("flaky", stall_s=1)
    plan = Plan(targets=(target,), load=Closed(users=1), requests=12, prompts=SHORT)
    first = run.measure(plan, out=tmp_path)
    log = simulator.log()
    assert (log["requests"], log["first_calls"]) == (12, 1)
    assert first.request_ids == {n: f"sim-flaky-{n}" for n in range(12)}, "it took no number"


@pytest.mark.parametrize("endpoint", ["chat", "messages", "responses"])
@pytest.mark.parametrize("stream", [True, False])
def test_the_simulator_answers_it_at_once_in_every_dialect(simulator, endpoint, stream):
    target = simulator.target("slow", endpoint=endpoint)
    plan = Plan(
        targets=(target,), load=Open(constant(1)), requests=1, prompts=Prompts(stream=stream)
    )
    (outcome,) = asyncio.run(FirstCalls(plan).run())
    assert (outcome.error_type, outcome.status) == ("", 200)
    assert outcome.seconds < 0.35, "a slow model's first token takes 0.4 s"


def test_an_older_run_has_none():
    older = Path(__file__).parents[1] / "records/fixtures/finished/20261126T034108Z"
    assert run.Run(older).first_calls == ()
    assert run.Run(older).plan.first_call
