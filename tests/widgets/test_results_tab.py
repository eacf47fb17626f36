"""What a cell ends with shows itself, as text and as HTML, and nothing that a name holds runs."""

import re
from html.parser import HTMLParser

import pytest

import holymon as hm
from holymon.catalogue.listing import Runs
from holymon.experiments.capacity import Capacity, LoadLevel
from holymon.figures.comparison import compare_pairs
from holymon.figures.request_stats import request_stats
from holymon.formatting import LEFT
from holymon.plan.plan import Open, Plan, Target
from holymon.plan.shapes import constant
from holymon.records.attempt import Flag, Marks
from holymon.records.journal import Journal
from holymon.records.run_folder import new_folder, write_aside, write_state

HOSTILE = "<script>alert(1)</script><img src=x onerror='1'> \u202e\x1b[31m\"&"


class Tags(HTMLParser):
    """Which tags and attributes a piece of HTML has, and whether each one is closed."""

    def __init__(self, html):
        super().__init__()
        self.found, self.attributes, self.open = set(), set(), []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.found.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def run(out, model=HOSTILE, failed=()):
    targets = tuple(
        Target(provider="p", model=name, base_url="http://127.0.0.1:1/v1")
        for name in (model, f"{model} again")
    )
    plan = Plan(
        targets=targets, load=Open(constant(20)), requests=200, slo=("latency_p50<1",), name=model
    )
    folder = new_folder(out, "shown")
    write_aside(folder / "plan.json", plan.to_json())
    write_state(folder, state="finished", started_at="2026-01-02T03:04:05+00:00")
    written = Journal(folder, 0)
    for number in range(400):
        one = Marks(number, number % 2, number / 40)
        one.start, one.flags = one.due + 0.0001, int(Flag.STREAM | Flag.SERVER_TOKENS)
        if number in failed:
            one.error, one.message = "rate_limited", HOSTILE
        else:
            one.token(one.start + 0.1, 1)
            one.output_tokens, one.prompt_tokens = 1, 3
        one.end = one.start + 0.1234
        written.record(one)
    written.close()
    return hm.attach(str(folder))


@pytest.fixture
def shown(tmp_path):
    """One of everything that shows itself, each with hostile names."""
    made = run(tmp_path, failed=range(2, 82, 2))
    level = LoadLevel(
        rate=2, seconds=10, took_s=11, calls=20, met=True, sure=True, answers_per_s=2.0,
        goodput_per_s=None, cost_usd=None, words=(HOSTILE,), run_id=HOSTILE,
    )  # fmt: skip
    return {
        "run": made,
        "summary": made.summary(),
        "stats": request_stats(made.records),
        "verdict": made.verdict(),
        "comparison": hm.compare(made),
        "nothing": compare_pairs([], names=(HOSTILE, HOSTILE)),
        "capacity": Capacity(HOSTILE, ("ttft_p95<1",), (level,), "all met", simulated=True),
        "plan": made.plan,
        "target": made.plan.targets[0],
        "runs": hm.runs(tmp_path),
        "no runs": Runs(),
    }


KINDS = ("run", "summary", "stats", "verdict", "comparison", "nothing", "capacity", "plan", "target", "runs",
         "no runs")  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_html_is_whole_has_no_style_and_runs_nothing(shown, kind):
    html = shown[kind]._repr_html_()
    tags = Tags(html)
    assert tags.open == []
    assert tags.found <= set("table thead tbody tr th td p b br small span ul li".split())
    assert tags.attributes <= {"class", "scope", "style"}
    assert set(re.findall('style="([^"]*)"', html)) <= {LEFT}  # colours are the theme's
    assert not set(html) & set("\x1b\u202e")


@pytest.mark.parametrize("kind", KINDS)
def test_text_has_no_controls_and_no_memory_address(shown, kind):
    said = repr(shown[kind])
    assert said
    assert not set(said) & set("\x1b\u202e")
    assert not re.search(r"object at 0x", said)


def test_figures_in_the_html_are_those_of_the_summary(shown):
    html = shown["run"]._repr_html_()
    assert html.count(">123<") >= 2  # latency p50 in ms
    assert "20 %" in html
    assert ">latency_p50&lt;1</td>" in html
    assert "shown/" in html


def test_error_types_stand_side_by_side(shown):
    compared = shown["comparison"]
    assert compared.errors.types == {"rate_limited": (40, 0)}
    # Blocks leave out what only one of the two was called in, so shares are of what is compared.
    html = compared._repr_html_()
    assert "– rate_limited" in html
    assert "40 (20 %)" in html
    assert re.search(r"– rate_limited +40 \(20 %\) +0 \(0 %\)", str(compared))


def test_a_plan_shows_what_differs_from_the_defaults():
    plan = hm.Plan(
        targets=(hm.target("sim/fast"),), load=hm.Open(hm.poisson(5)), duration_s=3, name="x"
    )
    html = plan._repr_html_()
    assert "sim/fast" in html
    assert "5 calls/s, at random (Poisson)" in html
    assert "timeout" not in html
    assert ">x</th>" in html


def test_columns_of_a_frame_carry_their_units(shown):
    columns = list(shown["run"].records.to_frame().columns)
    assert {"start_s", "end_s", "first_s", "due_s", "gap_max_s"} <= set(columns)
