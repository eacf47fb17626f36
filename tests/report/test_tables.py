"""Tables show what the summary says, in milliseconds, and text from outside as text."""

import re

import pytest

from holymon import formatting
from holymon.load import run
from holymon.plan.plan import Closed, Open, Plan, Target
from holymon.plan.shapes import constant, poisson
from holymon.records import run_folder
from holymon.records.attempt import Flag, Marks
from holymon.records.journal import Journal
from holymon.records.own_files import write_json
from holymon.report import index
from holymon.report.sections import errors, figures, method, run_text, verdict

HOSTILE = "<b>m</b>\x1b[31m\u202e"


@pytest.fixture
def recorded(tmp_path):
    """Makes a run out of calls, without measuring."""

    def make(n=400, *, model="m", failed=(), load=None, slo=(), message="", ids=None):
        plan = Plan(
            targets=(Target(provider="url", model=model, base_url="http://127.0.0.1:1/v1"),),
            load=load or Open(constant(20)), requests=max(n, 1), slo=slo,
        )  # fmt: skip
        folder = run_folder.new_folder(tmp_path, "recorded")
        run_folder.write_aside(folder / "plan.json", plan.to_json())
        run_folder.write_state(folder, state="finished", started_at="2026-11-23T20:00:00+00:00")
        written = Journal(folder, 0)
        for number in range(n):
            one = Marks(number, 0, number / 20)
            one.start, one.flags = one.due + 0.0001, int(Flag.STREAM | Flag.SERVER_TOKENS)
            if number in failed:
                one.error, one.message = "rate_limited", message
            else:
                for k in range(5):
                    one.token(one.start + 0.1 + 0.01 * k, 1)
                one.output_tokens, one.prompt_tokens = 5, 3
            one.end, one.request_id = one.start + 0.1234, (ids or {}).get(number, "")
            written.record(one)
        written.close()
        return run.attach(str(folder))

    return make


def test_the_terminal_shows_the_figures_in_milliseconds(recorded):
    said = run_text(recorded())
    assert re.search(r"latency +400 +123 +123 +123 +123 +123", said)
    assert re.search(r"TTFT +400 +100", said)
    assert "0 of 400 failed, at most 0.95 %" in said
    assert "counted by the server" in said
    assert "measurement: VALID" in said


def test_no_line_is_wider_than_a_terminal(recorded):
    said = run_text(recorded(failed=range(100)))
    assert [line for line in said.splitlines() if len(line) > 100 and "note" not in line] == []


def test_a_missing_figure_is_a_dash_and_never_a_zero(recorded):
    said = run_text(recorded(15))
    assert re.search(r"latency +15 +123 +123 +– +– +123", said)
    assert "n too small (have 15, need 20 for p95)" in said


@pytest.mark.parametrize("section", [verdict, figures, errors, method])
def test_text_from_outside_is_escaped_everywhere(recorded, section):
    found = recorded(30, model=HOSTILE, failed=range(5), message=HOSTILE)
    shown = section(found)
    html = shown._repr_html_()
    assert "<b>m</b>" not in html
    assert not set(html) & set("\x1b\u202e")
    assert not set(run_text(found)) & set("\x1b\u202e")
    assert repr(shown)


def test_errors_are_shown_with_their_share_blame_and_words(recorded):
    failing = recorded(100, failed=range(25), message="slow down")
    html = errors(failing)._repr_html_()
    for piece in ("rate_limited", ">25</td>", "25 %", "server", "slow down"):
        assert piece in html
    assert "No call failed" in errors(recorded(100))._repr_html_()


def test_an_id_of_the_servers_stands_beside_each_error_type_that_has_one(recorded):
    """The first such failure's; of ids of calls that succeeded none is shown."""
    named = {3: "req-good", 7: f"req-bad{HOSTILE}", 8: "req-worse"}
    html = errors(recorded(20, failed=(7, 8), ids=named))._repr_html_()
    assert "request id of one: req-bad&lt;b&gt;m&lt;/b&gt;" in html
    assert not [
        name for name in ("req-good", "req-worse", "<b>m", "\x1b", "\u202e") if name in html
    ]
    assert "request id" not in errors(recorded(20, failed=(7,)))._repr_html_()


def test_objectives_say_met_missed_or_not_certain(recorded):
    found = recorded(slo=("latency_p95<0.2", "latency_p95<100ms", "error_rate<0.1%", "tpot_p50>9"))
    html = verdict(found)._repr_html_()
    assert "Of 4 objectives 2 missed" in html
    assert html.count('<span class="missed">MISSED') == html.count("MISSED") == 2
    assert 'missed">' in html
    assert "miss" not in verdict(recorded(slo=("error_rate<9%",)))._repr_html_()
    bare = recorded(100, failed=range(100), slo=("error_rate<1%", "latency_p50<1", "cost_usd<1"))
    said = "Of 3 objectives 2 missed, 1 without a figure"
    assert said in verdict(bare)._repr_html_()
    assert "met (not certain: it takes more calls)" in html


@pytest.mark.parametrize(
    ("load", "said"),
    [
        (Open(constant(5)), "open loop, for each target 5 calls/s, evenly spaced"),
        (Open(poisson(5)), "at random (Poisson)"),
        (Closed(users=3), "closed loop, 3 users a target"),
    ],
)
def test_how_it_was_measured_is_told_in_words(recorded, load, said):
    assert said in repr(method(recorded(10, load=load)))


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(None, "–"), (0.0, "0"), (0.0000505, "0.0505"), (0.0123456, "12.3"), (0.5, "500"), (12.3456, "12,346")],
)  # fmt: skip
def test_milliseconds(seconds, said):
    assert formatting.ms(seconds) == said


def test_the_list_of_reports_survives_broken_files(recorded, tmp_path):
    good = recorded(20)
    write_json(good.folder / "run.json", {**good.to_dict(), "report": {"status": "ok"}})
    bare = recorded(20, failed=range(20), slo=("error_rate<1%", "latency_p50<1", "cost_usd<1"))
    write_json(bare.folder / "run.json", {**bare.to_dict(), "report": {"status": "ok"}})
    broken = recorded(20)
    (broken.folder / "run.json").write_text("{")
    odd = recorded(20, model=HOSTILE)
    write_json(odd.folder / "run.json", {"targets": [{"target": HOSTILE}], "verdict": None})
    index.write_index(tmp_path)
    html = (tmp_path / "index.html").read_text()
    assert html.count("<tr>") == 5
    assert html.count("run.json can&#x27;t be read") == 1
    assert "2 missed, 1 not judged" in html
    assert "<b>m</b>" not in html
    assert good.id in html
    assert broken.id in html
