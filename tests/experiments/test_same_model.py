"""Two simulated providers whose truth is known, asked over sockets: every verdict is right."""

import json

import pytest
from click.testing import CliRunner

import holymon as hm
from holymon.cli.main import main
from holymon.experiments import same_model as experiment
from holymon.experiments.migrate import migrate
from holymon.experiments.same_model import check_run, probe_same, same_models
from holymon.load import checking
from holymon.load.checking import ask, plan_of_checks
from holymon.plan.checks import WORD, checks
from holymon.plan.plan import Open, Plan, Prompts
from holymon.plan.price import Price
from holymon.plan.shapes import constant
from holymon.records import checked as records_checked
from holymon.records.checked import kept
from holymon.sim.answers import is_known
from tests import quiet

PRICE = Price(input=1.0, output=4.0)
CHECKS = 240
STATED = {"calls_per_month": 1e6, "min_saving": 0.1}


@pytest.fixture(scope="module")
def run(shared_simulator, tmp_path_factory):
    """A small load on what is in use and three candidates, and the questions behind it."""
    names = ("fast", "gateway", "quantized", "other")
    targets = tuple(shared_simulator.target(name, price=PRICE) for name in names)
    plan = Plan(targets=targets, load=Open(constant(40)), requests=40, max_cost=5.0,
                prompts=Prompts(max_tokens=8), slo=("latency_p95<2",), name="roads")  # fmt: skip
    out = tmp_path_factory.mktemp("roads")
    made = quiet.fit(
        lambda: hm.measure(plan, out=out),
        lambda made: all(target.goodput for target in made.summary().targets),
    )
    check_run(made, CHECKS)
    return made


@pytest.fixture(scope="module")
def verdicts(run):
    return {each.candidate.removeprefix("url/"): each for each in same_models(run)}


def test_every_verdict_is_what_is_true(verdicts):
    assert {name: each.result for name, each in verdicts.items()} == {
        "gateway": "equal",
        "quantized": "different",
        "other": "different",
    }
    assert [verdicts[name].exit_code for name in ("gateway", "other")] == [0, 1]


def test_the_words_that_were_moved_are_told(verdicts):
    words = verdicts["quantized"].words
    assert words.n == (192, 192)
    assert words.p < 0.01
    assert 0.15 < words.moved < 0.45  # 0.3 were
    assert verdicts["gateway"].words.noticed <= 0.25


def test_right_answers_are_what_the_models_know(verdicts):
    known = [check for check in checks(CHECKS) if check.kind != WORD]
    for name, knows in (("gateway", 1.0), ("quantized", 0.9), ("other", 0.5)):
        right = verdicts[name].right
        assert right.a.value == 1.0
        assert right.b.value == sum(is_known(c.text, knows) for c in known) / len(known)


def test_a_hidden_prompt_another_tokenizer_and_another_name_are_said(verdicts):
    assert not verdicts["quantized"].prompts.more
    assert verdicts["quantized"].prompts.same
    assert verdicts["gateway"].prompts.more == 37
    assert verdicts["other"].prompts.otherwise
    told = " | ".join(verdicts["gateway"].reasons)
    assert "url/gateway counts 37 prompt tokens more than url/fast in each request" in told
    assert "the two name their models differently: fast and acme/fast-latest" in told
    assert verdicts["gateway"].reports[1].fingerprints == {"fp_gateway": CHECKS}


def test_what_a_gateway_adds_is_told_of_pairs(verdicts):
    road = verdicts["gateway"].road
    assert road.pairs == 40
    assert road.ttft_s.low <= road.ttft_s.value <= road.ttft_s.high
    # 40 ms of its own, and 35 until eight tokens are whole: how sure that is, a busy machine tells.
    assert road.ttft_s.low < 0.09
    assert road.ttft_s.high > 0.04
    plain, buffered = (rate.value for rate in road.one_piece)
    assert plain < buffered == 1.0  # a client that is late itself finds several pieces at once
    assert any("streams come in one piece" in each for each in verdicts["gateway"].reasons)


def test_right_and_within_limits_stands_beside_goodput(run, verdicts):
    other = run.summary().targets[3]
    share = verdicts["other"].correct[1]
    assert share.value == pytest.approx(other.goodput.value * verdicts["other"].right.b.value)
    assert share.low <= share.value <= share.high
    assert verdicts["other"].correct_per_s[1].value < other.goodput_per_s


def test_the_sheet_tells_it_of_each_candidate(run):
    sheet = migrate(run=run, **STATED)
    found = sheet.to_dict()
    results = {each["candidate"]: each["same_model"]["result"] for each in found["candidates"]}
    assert results == {"url/gateway": "equal", "url/quantized": "different",
                       "url/other": "different"}  # fmt: skip
    assert found["same_model"]["candidate"] == found["best"]
    text = sheet.table.text()
    pieces = ("url/other does not serve the model of url/fast", "right and within limits",
              "prompt tokens of the same texts", "+37 in each", "acme/fast-latest")  # fmt: skip
    assert [piece for piece in pieces if piece not in text] == []
    assert "whether its answers are as good is not measured here" not in text
    assert sheet.same_model._repr_html_().count("<table") == 3


def test_what_was_not_asked_is_not_shown_and_costs_are_kept(run, tmp_path, monkeypatch):
    asked = kept(run.folder)
    assert asked.costs[0] == pytest.approx(
        sum(call.prompt_tokens + 4 * call.output_tokens for call in asked.of(0).values()) / 1e6
    )
    monkeypatch.setattr(records_checked, "FILE", "none.json")
    same = same_models(run)[0]
    assert (same.result, same.exit_code) == ("not shown", 3)
    assert same.reasons[0] == "no checked answers were asked for"
    assert same.road.pairs == 40
    monkeypatch.setattr(experiment, "_most", lambda plan: (9.0, f"{plan.requests} of each"))
    check_run(run, 100)  # of which the plan has 5 USD left, at most
    assert same_models(run)[1].reasons[0] == experiment.UNASKED["cost"]
    (run.folder / "none.json").write_text('{"targets": [1]}')
    with pytest.raises(hm.RunError, match=r"none\.json holds no checked answers"):
        same_models(run)
    for lie in ({"number": 50}, {"number": -1}, {"target": 4}, {"error_type": "?"}):
        call = {"number": 0, "target": 0, **lie}
        damaged = {"targets": ["a"] * 4, "checks": 50, "calls": [call]}
        (run.folder / "none.json").write_text(json.dumps(damaged))
        with pytest.raises(hm.RunError, match="names what there is not: it was damaged"):
            same_models(run)
    for lie in ({"checks": 5}, {"checks": 10**9}, {"seed": -1}):
        (run.folder / "none.json").write_text(json.dumps(damaged | {"calls": []} | lie))
        with pytest.raises(hm.RunError, match="names what there is not: it was damaged"):
            same_models(run)


def test_where_no_loop_can_be_made_the_reason_is_told(monkeypatch):
    """As where a process has no more files: once it was waited for what would never begin."""

    def no_loop(work):
        work.close()
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(checking, "asyncio_run", no_loop)
    with pytest.raises(OSError, match="Too many open files"):
        checking._in_thread(None)


def test_a_model_that_refuses_a_temperature_is_asked_without(shared_simulator):
    answers = ask(plan_of_checks((shared_simulator.target("strict"),), 50)).calls
    assert [call.number for call in answers] == [*range(50)]
    assert all(call.ok and call.text for call in answers)


def test_the_probe_says_it_with_its_exit_code(shared_simulator, tmp_path, monkeypatch):
    """Of too few questions, and of the same model behind a gateway."""

    def probed(*words: str):
        return CliRunner().invoke(main, ["probe", "same", *words, "--out", str(tmp_path)])

    monkeypatch.chdir(tmp_path)
    models = "".join(f"[a.models.{name}]\ninput = 1.0\noutput = 1.0\n"
                     for name in ("fast", "other", "gateway"))  # fmt: skip
    (tmp_path / "targets.toml").write_text(
        f'[a]\nbase_url = "{shared_simulator.base_url}"\nauth = "none"\n{models}'
    )
    ends = {}
    for words in (("a/other", "60"), ("a/gateway", "260")):
        candidate, many = words
        done = probed("a/fast", candidate, "--max-cost", "1", "--checks", many, "--json")
        ends[words] = (done.exit_code, json.loads(done.stdout)["result"])
    assert [*ends.values()] == [(3, "not shown"), (0, "equal")]
    assert "520 calls, about" in done.stderr
    folder = max((tmp_path / "probe-same").iterdir())
    assert sorted(path.name for path in folder.iterdir()) == ["checks.json", "probe.json"]
    for words, sentence in (
        (("a/fast", "a/other", "--max-cost", "0.000001"), "over the limit"),
        (("a/fast", "--max-cost", "1"), "takes two targets"),
        (("a/fast", "a/other", "--max-cost", "1", "--checks", "3"), "checks is 3"),
    ):
        done = probed(*words)
        assert (done.exit_code, sentence in done.stderr) == (2, True), done.stderr


def test_without_a_price_nothing_is_sent(shared_simulator, tmp_path):
    a, b = shared_simulator.target("fast"), shared_simulator.target("slow")
    with pytest.raises(hm.PlanError, match="no price is known"):
        probe_same(a, b, max_cost=1, out=tmp_path)
