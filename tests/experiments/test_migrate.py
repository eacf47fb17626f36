"""Two simulated providers whose prices, speeds and failures are known, and the sheet on them."""

import json
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

import holymon as hm
from holymon.cli.main import main
from holymon.cli.migrate import _OfTarget, _Share
from holymon.experiments.migrate import sheet_of, terms_of
from holymon.figures.hours import spans
from holymon.figures.sheet import best_first
from holymon.plan.plan import Open, Plan, Prompts
from holymon.plan.price import Price
from holymon.plan.shapes import constant
from holymon.report import report
from holymon.structs import replace
from tests.report.test_notebooks import results

CALLS, TOKENS = 180, 8
LIST, CHEAP = Price(input=1.0, output=100.0), Price(input=0.5, output=50.0, currency="CNY")
STATED = {"calls_per_month": 1e6, "one_off": 100.0, "min_saving": 0.2}


@pytest.fixture(scope="module")
def run(shared_simulator, tmp_path_factory):
    """One run of what is in use, of one that costs half in another currency, and of one that fails."""
    targets = (shared_simulator.target("pinned", price=LIST), shared_simulator.target("slow", price=CHEAP),
               shared_simulator.target("flaky", price=Price(input=1.0, output=90.0), stall_s=0.3))  # fmt: skip
    plan = Plan(targets=targets, load=Open(constant(60)), requests=CALLS, name="move",
                prompts=Prompts(max_tokens=TOKENS), slo=("error_rate<12%",))  # fmt: skip
    return hm.measure(plan, out=tmp_path_factory.mktemp("moves"))


@pytest.fixture(scope="module")
def sheet(run):
    return hm.migrate(run=run, fx={"url/slow": 1.0}, **STATED)


def unfit(run):
    return any(reason.level == "invalid" and not reason.of_api for reason in run.verdict().reasons)


def test_every_cost_is_what_the_simulator_knows(run, sheet, shared_simulator):
    prompt = int(run.records["prompt_tokens"].max())
    whole = [1000 * (prompt * price.input + TOKENS * price.output) / 1e6 for price in (LIST, CHEAP)]
    a, b, flaky = sheet.costs
    assert (a.target, a.per_thousand.value) == ("url/pinned", pytest.approx(whole[0]))
    assert (b.target, b.per_thousand.value) == ("url/slow", pytest.approx(whole[1]))
    assert a.per_month.value == pytest.approx(whole[0] * 1000)
    # What fails before a token is free; what breaks off costs between nothing and all of it.
    counts = shared_simulator.counted()["flaky"]
    good = counts["faults"].get("ok", 0)
    cut = sum(
        counts["faults"].get(name, 0)
        for name in ("stream_truncated", "stream_error_event", "stream_stalled")
    )
    each = 1000 * (prompt * 1.0 + TOKENS * 90.0) / 1e6
    assert flaky.attempts == pytest.approx(CALLS / good)
    assert flaky.per_thousand.low <= each <= each * (good + cut) / good <= flaky.per_thousand.high


def test_the_best_is_decided_by_its_price_its_speed_and_its_failures(run, sheet):
    if unfit(run):
        assert (sheet.decision, sheet.exit_code) == ("not shown", 3)
        assert sheet.best.judged.line.startswith(
            "Nothing is claimed, for the measurement is invalid: "
        )
        return
    best, other = sheet.offers
    assert (sheet.decision, sheet.exit_code, best.name) == ("go", 0, "url/slow")
    assert best.saving.share.value == pytest.approx(0.5)
    assert best.judged.line.startswith(
        "url/slow is cheaper by 50 % (50 to 50 %), but slower at latency p95 by "
    )
    assert best.saving.break_even.value == pytest.approx(100 / best.saving.per_month.value)
    assert (other.name, other.decision) == ("url/flaky", "no-go")
    assert any(
        reason.startswith("url/flaky misses error_rate<12%: it is ")
        for reason in other.judged.reasons
    )
    assert repr(sheet).startswith("Go: url/slow is cheaper by 50 %")
    assert best_first((other, best)) == (best, other)


def test_a_currency_without_a_rate_and_terms_of_nobody_are_not_guessed(run):
    bare = hm.migrate(run=run, **STATED)
    (slow,) = [offer for offer in bare.offers if offer.name == "url/slow"]
    assert (slow.decision, slow.saving) == ("not shown", None)
    assert unfit(run) or slow.judged.line == (
        "What url/slow would save is not known: url/slow: its price is in CNY: say by fx (--fx) what one of them "
        "costs in USD")  # fmt: skip
    assert bare.to_dict()["costs"][1]["per_month"] == dict.fromkeys(("value", "low", "high"))
    with pytest.raises(
        hm.PlanError, match="fee: 'url/nope' is no target: there are url/pinned, url/slow"
    ):
        terms_of(run.plan, fee={"url/nope": 0.1})
    with pytest.raises(hm.PlanError, match="0 candidates: name what is in use"):
        hm.migrate("sim/fast", **STATED)
    alone = SimpleNamespace(id="alone/1", plan=replace(run.plan, targets=run.plan.targets[:1]))
    held = "alone/1 holds the one target url/pinned: a decision needs what is in use and one to 5 "
    with pytest.raises(hm.PlanError, match=held):
        sheet_of(alone, None, {})


def test_the_picture_shows_what_it_depends_on(sheet):
    ax = hm.plot_comparison(sheet)
    bars = sheet.best.saving.bars
    assert [text.get_text() for text in ax.get_yticklabels()] == [bar.name for bar in bars]
    ends = [patch.get_x() + patch.get_width() for patch in ax.patches]
    np.testing.assert_allclose(ends, [end for bar in bars for end in (bar.at_low, bar.at_high)])
    assert ax.get_title(loc="left") == "What a move to url/slow depends on (simulated)"


def test_the_command_decides_on_a_run_and_makes_a_page_beside_it(run, sheet, capsys, monkeypatch):
    """The cells of its notebook run here, with the parameters that a kernel would be given."""
    handed = {}

    def execute(path, parameters, *_):
        handed.update(parameters)
        return nbformat.read(path, as_version=4), "ok", "", None

    monkeypatch.setattr(report, "execute", execute)
    out = run.folder.parents[1]
    options = (
        "--calls-per-month",
        "1e6",
        "--work",
        "2",
        "--hourly",
        "50",
        "--min-saving",
        "20%",
        "--fx",
        "url/slow=1",
    )
    with pytest.raises(SystemExit) as end:
        main(["migrate", "--run", run.id, *options, "--out", str(out), "--json"])
    assert end.value.code == sheet.exit_code
    found = json.loads(capsys.readouterr().out)
    assert Path(found.pop("report")) == run.folder / "report.html"
    assert "Is it worth it to move?" in (run.folder / "report.html").read_text()
    assert found == json.loads(json.dumps(sheet.to_dict()))
    assert list(found)[:8] == ["decision", "best", "reasons", "more_calls", "cost_per_month", "saving_per_month",
                               "saving_share", "break_even_months"]  # fmt: skip
    assert set(found["cost_per_month"]) == {"baseline", "candidate"}
    shown = results("report_migrate", **handed)
    assert str(shown[0]) == sheet.verdict
    assert sum(isinstance(each, Figure) for each in shown) == 3
    text = "\n".join(map(repr, shown))
    pieces = ("url/slow instead of url/pinned", "USD for 1,000 calls that succeed", "No stability by hour",
              "the month's traffic is 22.8 calls", "each token out, ms", "event loop late")  # fmt: skip
    assert [piece for piece in pieces if piece not in text] == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("sim/fast",), "0 candidates: name what is in use, and one to 5 to move to"),
        (("sim/fast", "sim/slow", "--work", "3"), "--work and --hourly belong together"),
        (("sim/fast", "sim/slow", "--work", "3", "--hourly", "9", "--one-off", "1"), "say the same"),
        (("sim/fast", "sim/slow", "--rate", "1,2"), "a decision is on one load"),
        (("sim/fast", "sim/slow", "--min-saving", "10"), "'10' is no share: write 10% or 0.1"),
        (("sim/fast", "sim/slow", "--fee", "sim/x=4%"), "fee: 'sim/x' is no target"),
        (("sim/fast", "--run", "x"), "sim/fast does not go with --run"),
        (("--run", "x", "--rate", "3"), "--rate does not go with --run"),
    ],
)  # fmt: skip
def test_what_cannot_be_decided_is_one_sentence(arguments, sentence, capsys, tmp_path):
    with pytest.raises(SystemExit) as end:
        main(["migrate", "--calls-per-month", "1e6", "--out", str(tmp_path), *arguments])
    assert end.value.code == 2
    assert sentence in capsys.readouterr().err
    assert [*tmp_path.iterdir()] == []


@given(st.floats(0, 1))
def test_shares_are_read_in_per_cent_and_as_numbers(share):
    assert _Share().convert(f"{share!r}", None, None) == share
    assert _Share().convert(f"{share * 100!r}%", None, None) == pytest.approx(share)
    assert _OfTarget(_Share()).convert(f"a/b=c={share!r}", None, None) == ("a/b=c", share)


def test_runs_at_other_hours_are_a_history_and_the_sheet_says_which_hours_it_covers(run, sheet):
    assert (sheet.hours, "in 3 hours of the day" in sheet.by_hour.text()) == ((), True)
    begun = datetime.fromisoformat(run.status["started_at"])
    for later in (1, 2, 7):  # as it was, at other hours
        at = begun + timedelta(hours=later)
        folder = run.folder.with_name(f"{at:%Y%m%dT%H%M%SZ}")
        shutil.copytree(run.folder, folder)
        state = json.loads((folder / "state.json").read_text())
        (folder / "state.json").write_text(json.dumps(state | {"started_at": at.isoformat()}))
    rest = hm.migrate(run=run, fx={"url/slow": 1.0}, **STATED)
    covered = tuple(sorted((begun.hour + later) % 24 for later in (0, 1, 2, 7)))
    assert [(each.target, each.runs, each.covered) for each in rest.hours] == [
        (target.target, 4, covered) for target in sheet.targets
    ]
    assert spans(covered) in rest.by_hour.text()
    assert rest.to_dict()["by_hour"][0]["covered"] == covered
