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
