"""What options mean: times as people write them, several models, another address."""

import click
import pytest

from holymon.cli.options import LOAD, SECONDS, Command, plans_of
from holymon.errors import PlanError
from holymon.plan import shapes
from holymon.plan.slo import parse
from holymon.structs import seconds_of


def plans(*arguments):
    """The plans that the options of `holymon load` make."""
    made = []

    @click.command(cls=Command)
    @click.argument("targets", nargs=-1)
    @LOAD
    def load(targets, out, **options):
        made.extend(plans_of(targets, **options))

    load.main(arguments, standalone_mode=False)
    return made


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("1m", 60), ("2h", 7200), ("1m30s", 90), ("1.5h", 5400), ("500ms", 0.5),
     ("1 min", 60), ("2H", 7200), ("1d", 86400), ("1e1", 10), (".5", 0.5), ("-1", -1)],
)  # fmt: skip
def test_a_time_is_read_as_people_write_it(text, seconds):
    assert seconds_of(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "m", "1x", "1m30", "one", "1:30", "nan", "1 2"])
def test_what_is_no_time_is_one_sentence(text):
    with pytest.raises(PlanError, match=r"no time|without a unit"):
        seconds_of(text)
    with pytest.raises(click.BadParameter):
        SECONDS.convert(text, None, None)


def test_times_are_understood_everywhere():
    (plan,) = plans("sim/fast", "--duration", "1m", "--warmup", "2s", "--timeout", "3m",
                    "--first-byte", "1m", "--stall", "500ms")  # fmt: skip
    assert (plan.duration_s, plan.warmup_s, plan.timeout_s) == (60, 2, 180)
    assert (plan.first_byte_s, plan.stall_s) == (60, 0.5)
    assert parse("latency_p95<2m").limit == 120
    assert shapes.parse("sine:5,2,1m", rate=1, seconds=60.0, arrivals="").ends == 60


def test_several_models_are_several_targets():
    (plan,) = plans("--base-url", "http://h:1/v1", "--model", "a", "--model", "b")
    assert [target.name for target in plan.targets] == ["url/a", "url/b"]


def test_an_address_beside_a_named_target_takes_its_place_without_its_key(capsys):
    (plan,) = plans("openai/gpt-4.1", "--base-url", "http://h:1/v1")
    (target,) = plan.targets
    assert (target.name, target.base_url, target.api_key_env) == (
        "openai/gpt-4.1",
        "http://h:1/v1",
        "",
    )
    sentence = "openai/gpt-4.1 is called at http://h:1/v1, without a key.\n"
    assert capsys.readouterr().err == sentence
    (plan,) = plans("openai/gpt-4.1", "--base-url", "http://h:1/v1", "--api-key-env", "OTHER")
    assert plan.targets[0].api_key_env == "OTHER"


def test_the_simulator_has_no_other_address():
    with pytest.raises(PlanError, match="simulator that is built in"):
        plans("sim/fast", "--base-url", "http://h:1/v1")


def test_what_is_asked_is_what_the_options_say(tmp_path):
    (tmp_path / "q.csv").write_text("id,question,text\n1,a,b\n2,c,d\n")
    (plan,) = plans("sim/fast", "--prompts", str(tmp_path / "q.csv"), "--column", "question",
                    "--system", "be brief", "--max-tokens", "9", "--prefix-tokens", "5")  # fmt: skip
    prompts = plan.prompts
    assert [prompts.request(k).text for k in range(3)] == ["a", "c", "a"]
    assert (prompts.system, prompts.max_tokens, prompts.prefix_tokens) == ("be brief", 9, 5)
    (plan,) = plans("sim/fast", "--prompt-tokens", "lognormal:100,50", "--max-tokens", "uniform:2,4",
                    "--unique", "--exact-tokens", "--seed", "3")  # fmt: skip
    prompts = plan.prompts
    assert {request.max_tokens for request in prompts.dataset} == {2, 3, 4}
    assert 80 < prompts.sizes.about / prompts.number < 130
    assert (prompts.unique, prompts.exact_tokens) == (True, True)
    (tmp_path / "pairs.csv").write_text("input_tokens,output_tokens\n9,1\n8,2\n")
    (plan,) = plans("sim/fast", "--prompt-tokens", str(tmp_path / "pairs.csv"))
    pairs = [(request.prompt_tokens, request.max_tokens) for request in plan.prompts.dataset]
    assert pairs == [(9, 1), (8, 2)]
    (plan,) = plans("sim/fast", "--prompt-tokens", "40")
    assert {request.prompt_tokens for request in plan.prompts.dataset} == {40}
    (plan,) = plans("sim/fast", "--prompt", "x", "--max-tokens", "normal:50,9")
    assert len({request.max_tokens for request in plan.prompts.dataset}) > 9
    (plan,) = plans("sim/fast", "--prompt", "x")
    assert (plan.prompts.texts, plan.prompts.max_tokens, plan.prompts.dataset) == (("x",), 64, None)


def test_a_file_keeps_its_own_limits_unless_another_is_given(tmp_path):
    (tmp_path / "p.jsonl").write_text('{"prompt": "a", "max_tokens": 7}\n"b"\n')
    limits = [
        [plan.prompts.limit(request) for request in plan.prompts.dataset]
        for more in ((), ("--max-tokens", "5"))
        for plan in plans("sim/fast", "--prompts", str(tmp_path / "p.jsonl"), *more)
    ]
    assert limits == [[7, 64], [5, 5]]


def test_a_trace_says_when_and_how_long(tmp_path):
    (tmp_path / "t.jsonl").write_text("".join(
        f'{{"timestamp": {ms}, "input_length": 9, "output_length": {k + 1}, "hash_ids": [{k}]}}\n'
        for k, ms in enumerate((0, 1000, 2000, 60_000))))  # fmt: skip
    (plan,) = plans("sim/fast", "--trace", str(tmp_path / "t.jsonl"), "--trace-window", "1s,1m",
                    "--trace-speed", "2")  # fmt: skip
    assert plan.due().tolist() == [0.0, 0.5]
    assert [request.max_tokens for request in plan.prompts.dataset] == [2, 3]
    assert plan.prompts.dataset.left_out == "2 outside of the window"


def test_conversations_are_of_a_file_or_made_up_with_time_to_think(tmp_path):
    (tmp_path / "t.jsonl").write_text(
        '{"chat_id": 1, "parent_chat_id": -1, "timestamp": 5, "input_length": 9, "output_length": 1}\n'
        '{"chat_id": 2, "parent_chat_id": 1, "timestamp": 7, "input_length": 20, "output_length": 1}\n'
        '{"chat_id": 3, "parent_chat_id": -1, "timestamp": 8, "input_length": 9, "output_length": 1}\n'
    )  # fmt: skip
    trace = ("sim/fast", "--trace", str(tmp_path / "t.jsonl"), "--trace-speed", "2")
    (plan,) = plans(*trace, "--turns", "all")
    assert plan.due().tolist() == [0.0, 1.5]
    first, second = plan.prompts.dataset[0].conversation
    assert second.at - first.at == 1.0
    (plan,) = plans(*trace)
    assert (plan.prompts.turns, plan.due().tolist()) == (1, [0.0, 1.0, 1.5])
    (plan,) = plans("sim/fast", "--prompt-tokens", "9", "--turns", "uniform:2,4", "--think-time",
                    "500ms", "--requests", "7")  # fmt: skip
    assert plan.prompts.turns == 4
    assert {turn.think_s for request in plan.prompts.dataset for turn in request.then} == {0.5}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--turns", "3"], "--turns is of a file or of made-up prompts"),
        (["--turns", "all", "--prompt-tokens", "9"], "--turns all is of a file: say how many"),
        (["--turns", "few", "--prompt-tokens", "9"], "'few' is no length: write a number of turns"),
        (["--think-time", "1"], "--think-time is between the turns of conversations"),
        (["--recorded-answers", "--prompt-tokens", "9", "--turns", "2"], "are those of a file's"),
        (["--prompt", "x", "--prompt-tokens", "5"], "exclude each other: give one"),
        (["--column", "x"], "--column names one of a file"),
        (["--sample", "9"], "--sample is drawn of a file"),
        (["--trace-window", "1,2"], "are of a trace: give that with --trace"),
        (["--trace-speed", "2"], "are of a trace"),
        (
            ["--prompt-tokens", "gauss:1,2"],
            "prompt_tokens 'gauss:1,2' is no length: write a number",
        ),
        (["--prompt-tokens", "README.md"], "holds texts, where --prompt-tokens wants sizes"),
        (["--max-tokens", "uniform:9,2"], "uniform ends before it begins"),
        (["--max-tokens", "0"], "max_tokens is 0: it must lie between 1"),
        (["--max-tokens", "normal:5"], "is no length"),
        (["--unique", "--prefix-tokens", "4"], "unique does not go with prefix_tokens"),
        (["--trace", "README.md", "--rate", "3"], "--trace says when calls are sent"),
        (["--trace", "README.md"], "does not say when its requests came"),
        (
            ["--trace", "README.md", "--trace-window", "5"],
            "trace-window is none: write it as BEGIN",
        ),
    ],
)
def test_what_does_not_go_together_is_one_sentence(words, said):
    with pytest.raises(PlanError, match=said):
        plans("sim/fast", *words)
