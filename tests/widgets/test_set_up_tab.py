"""Fields become the plan that they say, or one clear sentence."""

import json
import os

import pytest

from holymon.errors import ConfigError, PlanError
from holymon.plan import shapes
from holymon.plan.plan import Closed, Open
from holymon.plan.shapes import Replay
from holymon.widgets.file_field import data_files
from holymon.widgets.set_up_tab import CALLS, FILE, MADE, SetUpTab


@pytest.fixture
def fields(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return SetUpTab(("sim/fast",), lambda: None)


def shaped(fields, kind, *values):
    fields._shape.value = kind
    for field, value in zip(fields._forms[kind].children, values, strict=True):
        field.value = value


def test_as_it_comes_it_is_a_plan(fields):
    plan = fields.plan()
    assert [one.name for one in plan.targets] == ["sim/fast"]
    assert plan.load == Open(shapes.constant(5))
    assert (plan.duration_s, plan.requests, plan.max_cost, plan.slo) == (30, None, None, ())


@pytest.mark.parametrize(
    ("kind", "values", "shape"),
    [
        ("ramp", (1, 30), shapes.ramp(1, 30, 30)),
        ("steps", ("2, 4,6",), shapes.steps([2, 4, 6], 10)),
        ("spike", (2, 9), shapes.spike(2, 9, at=12, seconds=6)),
        ("sine", (5, 2, 15), shapes.sine(5, 2, 15, periods=2)),
    ],
)
def test_every_shape_has_its_own_fields(fields, kind, values, shape):
    shaped(fields, kind, *values)
    assert fields.plan().load == Open(shape)
    shown = [name for name, form in fields._forms.items() if form.layout.display != "none"]
    assert shown == [kind]


def test_arrivals_closed_loops_and_traces(fields, tmp_path):
    fields._arrivals.value = "gamma"
    fields._cv.value = 3
    assert fields.plan().load == Open(shapes.constant(5).arriving("gamma", cv=3))
    (tmp_path / "trace.csv").write_text("0\n1\n4\n")
    shaped(fields, "replay", "trace.csv", 2.0)
    assert fields.plan().load == Open(Replay(times=(0, 0.5, 2)))
    fields._loop.value = "closed"
    fields._users.value = 3
    assert fields.plan().load == Closed(users=3)


def test_what_is_asked_and_the_limits(fields, tmp_path):
    (tmp_path / "p.jsonl").write_text('"one"\n{"prompt": "two"}\n')
    fields._kind.value, fields._file.value = FILE, "p.jsonl"
    fields._max_tokens.value, fields._stream.value = "9", False
    fields._ends.value, fields._length.value = CALLS, 12
    fields._money.value, fields._slo.value = " 0.5 ", "ttft_p95<0.5, error_rate<1%"
    fields._workers.value, fields._warmup.value, fields._name.value = 2, 1.5, " mine "
    plan = fields.plan()
    assert [request.text for request in plan.prompts.dataset] == ["one", "two"]
    assert (plan.prompts.max_tokens, plan.prompts.stream) == (9, False)
    assert (plan.duration_s, plan.requests, plan.max_cost, plan.warmup_s) == (None, 12, 0.5, 1.5)
    assert (plan.workers, plan.name, plan.slo) == (2, "mine", ("ttft_p95<0.5", "error_rate<1%"))
    fields._kind.value, fields._tokens.value = MADE, "40"
    assert {request.prompt_tokens for request in fields.plan().prompts.dataset} == {40}


def test_lengths_a_system_prompt_and_a_column_are_fields_and_the_first_request_is_shown(
    fields, tmp_path
):
    (tmp_path / "p.csv").write_text("question,text\n<b>one</b>,x\ntwo,y\n")
    fields._kind.value, fields._file.value = FILE, "p.csv"
    with pytest.raises(PlanError, match=r"several columns that may be it"):
        fields.plan()
    fields._column.value, fields._system.value = "question", " be brief "
    fields._max_tokens.value = "uniform:3,5"
    plan = fields.plan()
    assert {request.max_tokens for request in plan.prompts.dataset} <= {3, 4, 5}
    fields.look(plan)
    assert "be brief" in fields.first.value
    assert "&lt;b&gt;one&lt;/b&gt;" in fields.first.value
    assert "Authorization" not in fields.first.value.title()
    assert fields.plan().prompts.dataset == plan.prompts.dataset


def test_a_file_of_conversations_can_be_held_turn_by_turn(fields, tmp_path):
    says = [{"role": role, "content": text} for role, text in (
        ("user", "a"), ("assistant", "A"), ("user", "b"))]  # fmt: skip
    (tmp_path / "talks.jsonl").write_text(json.dumps({"messages": says}) + "\n")
    fields._kind.value, fields._file.value = FILE, "talks.jsonl"
    assert fields.plan().prompts.turns == 1
    fields._held.value = True
    plan = fields.plan()
    fields.look(plan)
    assert plan.prompts.turns == 2
    assert "1 conversation of 2 turns of talks.jsonl" in fields.first.value


def test_targets_are_ticked_and_added(fields):
    for box in fields.targets._targets:
        box.value = box.description in {"sim/slow", "sim/flaky"}
    form = fields.targets
    form._url.value, form._model.value, form._key.value = "http://127.0.0.1:9/v1", "m", "NO_SUCH"
    form.add_written()
    assert [one.name for one in fields.plan().targets] == ["sim/slow", "sim/flaky", "url/m"]
    words = [box.description for box in form._targets][2]  # below those that are ticked
    assert words == "m at http://127.0.0.1:9/v1  (NO_SUCH is not set)"
    assert form._url.value == ""


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (lambda f: [setattr(b, "value", False) for b in f.targets._targets], PlanError, "no target"),
        (lambda f: setattr(f._length, "value", 0), PlanError, "duration"),
        (lambda f: shaped(f, "steps", "2, x"), PlanError, "'x' is not a number"),
        (lambda f: shaped(f, "replay", "none.csv", 1.0), ConfigError, "none.csv"),
        (lambda f: shaped(f, "replay", " ", 1.0), PlanError, "no file of times yet"),
        (lambda f: setattr(f._kind, "value", FILE), PlanError, "no file of prompts yet"),
        (lambda f: setattr(f._money, "value", "much"), PlanError, "'much' is not a number"),
        (lambda f: setattr(f._text, "value", " "), PlanError, "nothing to ask"),
        (lambda f: setattr(f._slo, "value", "speed>9"), PlanError, "speed"),
        (lambda f: setattr(f._workers, "value", 0), PlanError, "workers"),
        (lambda f: (setattr(f._ends, "value", CALLS), setattr(f._length, "value", 1.5)),
         PlanError, "whole"),
        (lambda f: (shaped(f, "ramp", 1, 2), setattr(f._ends, "value", CALLS)),
         PlanError, "needs a duration"),
    ],
)  # fmt: skip
def test_what_can_not_be_is_said_in_a_sentence(fields, change, error, said):
    change(fields)
    with pytest.raises(error, match=said):
        fields.plan()


def test_a_users_own_targets_are_in_the_list_as_text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = "<b>x</b>"
    (tmp_path / "targets.toml").write_text(f"[own.models.{json.dumps(name)}]\ninput = 1\n")
    made = SetUpTab((f"own/{name}", "local/any"), lambda: None)
    boxes = {box.description: box for box in made.targets._targets}
    assert boxes["own/<b>x</b>"].value
    assert boxes["local/any"].value
    assert not any(box.description_allow_html for box in boxes.values())


def test_every_change_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = []
    made = SetUpTab(("sim/fast",), lambda: told.append(1))
    made._length.value = 3
    next(iter(made.targets._targets)).value = False
    made._forms["ramp"].children[0].value = 3
    assert len(told) == 3


def test_all_targets_are_asked_as_the_fields_say(fields, monkeypatch):
    ways = fields.ways
    ways._endpoint.value, ways._auth.value = "messages", "api-key"
    ways._headers.value = "X-Team=$TEAM_KEY\n\nx-plain=a=b"
    ways._query.value = "api-version=2024-10-21"
    ways._body.value = "temperature=0\nreasoning.effort=low\nmax_tokens=null"
    (target,) = fields.plan().targets
    assert (target.endpoint, target.auth) == ("messages", "api-key")
    assert target.headers == {"X-Team": "$TEAM_KEY", "x-plain": "a=b"}
    assert target.query == {"api-version": "2024-10-21"}
    assert target.body == {"temperature": 0, "reasoning": {"effort": "low"}, "max_tokens": None}
    ways._headers.value = "nothing"
    with pytest.raises(PlanError, match=r"^header is written header NAME=VALUE"):
        fields.plan()


def test_the_first_request_is_shown_as_it_will_be_sent_and_without_what_is_secret(
    fields, monkeypatch
):
    monkeypatch.setenv("TEAM_KEY", "team-canary-0123456789")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-0123456789abcdef")
    for box, entry in fields.targets._targets.items():
        box.value = entry.name == "openai/gpt-4.1"
    fields._text.value = "<b>Hi</b> sk-canary-0123456789abcdef0123456789"
    fields.ways._headers.value = "X-Team=$TEAM_KEY"
    fields.ways._query.value = "k=$TEAM_KEY"
    fields.ways._body.value = "temperature=0.5"
    fields.look(fields.plan())
    shown = fields.first.value
    for piece in ("POST https://api.openai.com/v1/chat/completions?k=$TEAM_KEY", "x-team: $TEAM_KEY",
                  "authorization: Bearer $OPENAI_API_KEY", "&lt;b&gt;Hi&lt;/b&gt;", "0.5"):  # fmt: skip
        assert piece in shown
    assert "canary" not in shown
    assert "<b>" not in shown


def test_the_first_request_to_the_simulator_has_no_address(fields):
    fields.look(fields.plan())
    assert "POST (the built-in simulator)/chat/completions" in fields.first.value
    assert "max_tokens" in fields.first.value


def test_files_near_are_offered_newest_first_and_nothing_else(fields, tmp_path):
    for age, name in enumerate(("new.JSONL", "data/old.csv.gz", "a/b/deep.parquet")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    for name in ("code.py", ".hidden/p.csv", "run/plan.json", "run/calls.csv", "a/b/c/far.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "link.csv").symlink_to("/etc/hostname")
    assert fields._file.options == ()
    fields._kind.value = FILE
    assert fields._file.options == ("new.JSONL", "data/old.csv.gz", "a/b/deep.parquet")
    assert fields._forms["replay"].children[0].options == fields._file.options
    assert data_files(tmp_path / "none") == ()
