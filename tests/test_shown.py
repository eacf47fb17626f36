"""What a result is, it shows by itself: as text, and as HTML in which no name is markup."""

import re

import numpy as np
import pytest

import holymon as hm
from holymon import charts, listing, run
from holymon.ceiling import Capacity, Level
from holymon.comparison import compare_pairs
from holymon.errors import CODES
from holymon.plan import Open, Plan, Price, Prompts, Target
from holymon.records import DTYPE, GAP, Flag, Records
from holymon.shapes import constant
from holymon.stats import stats
from holymon.summary import summarize
from holymon.verdict import judge
from holymon.vitals import read

HOSTILE = '<img src=x onerror=alert(1)>"\u202e\x1b[31m'


def target(model=HOSTILE) -> Target:
    return Target(provider="url", model=model, base_url="http://127.0.0.1:1/v1",
                  price=Price(input=1.0, output=2.0))  # fmt: skip


def records(model=HOSTILE, scale=1.0, n=400) -> Records:
    rng = np.random.default_rng(1)
    plan = Plan(targets=(target(model),), load=Open(constant(20)), requests=n, slo=("ttft_p95<1",),
                prompts=Prompts(texts=(HOSTILE,)), name=HOSTILE)  # fmt: skip
    rows = np.zeros(n, DTYPE)
    rows["due_s"] = rows["start_s"] = np.arange(n) / 20
    rows["first_s"] = rows["start_s"] + scale * rng.lognormal(-3, 0.2, n)
    rows["end_s"] = rows["last_s"] = rows["first_s"] + scale * rng.lognormal(-2, 0.2, n)
    rows["flags"], rows["output_tokens"], rows["prompt_tokens"] = Flag.STREAM | 8, 7, 5
    rows["error"][:9] = CODES["rate_limited"]
    found = Records(plan)
    found.extend(rows, np.zeros(0, GAP), np.zeros(n, np.int64))
    return found


def results() -> dict:
    one = records()
    summary = summarize(one)
    pairs = [(records("a"), records(scale=1.3)) for _ in range(5)]
    level = Level(20.0, 2.0, 40, True, False, 19.5, None, 0.1, ("x",), HOSTILE)
    found = Capacity(target().name, ("ttft_p95<1",), (level,), "budget", simulated=False)
    return {
        "summary": summary, "verdict": judge(summary, one.plan, read([])), "plan": one.plan,
        "target": target(), "stats": stats(one), "comparison": compare_pairs(pairs), "capacity": found,
        "runs": listing.Runs([{"run_id": HOSTILE, "state": "finished", "requests": 12_345,
                               "started_at": "2026-11-24T10:00:00", "targets": [HOSTILE]}]),
    }  # fmt: skip


SHOWN = ("summary", "stats", "verdict", "plan", "target", "comparison", "capacity", "runs")


@pytest.mark.parametrize("name", SHOWN)
def test_no_name_is_markup_or_moves_a_terminal(name):
    one = results()[name]
    html = one._repr_html_()
    tags = set(re.findall(r"<(\w+)", html))
    assert tags <= {
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "p",
        "b",
        "br",
        "small",
        "ul",
        "li",
    }
    assert "<img" not in html
    if name not in {"plan", "target"}:  # theirs are for code: quoted by Python
        assert not set(repr(one)) & {"\x1b", "\u202e"}


def test_a_summary_shows_figures_with_intervals():
    summary = summarize(records("m"))
    figure = summary.targets[0].latency_s
    assert f"{figure.p50 * 1e3:.0f}" in repr(summary)
    assert f"{figure.ci['p50'][0] * 1e3:.0f}" in summary._repr_html_()
    assert "url/m" in repr(summary).splitlines()[1]


def repeated() -> Records:
    """Of 400 requests 20 were made again after 1 s each, and then went well."""
    one, more = records("m"), 20
    rows = np.concatenate([one.rows, one.rows[9 : 9 + more]])
    rows["request"] = np.r_[0:400, 9 : 9 + more]
    first, again = slice(9, 9 + more), slice(400, None)
    rows["error"][first], rows["flags"][first] = CODES["server_error"], Flag.RETRIED
    rows["attempt"][again] = 1
    for name in ("start_s", "first_s", "last_s", "end_s"):
        rows[name][again] += 1.0 + (rows["end_s"][first] - rows["start_s"][first])
    found = Records(one.plan)
    found.extend(rows, np.zeros(0, GAP), np.zeros(len(rows), np.int64))
    return found


def test_stats_show_requests_and_attempts_apart():
    found = stats(repeated())
    requests, attempts = repr(found).split("attempts, as sent")
    assert [line.split()[:2] for line in (requests.splitlines()[1], attempts.splitlines()[1])] == [
        ["url/m", "400"], ["url/m", "420"],
    ]  # fmt: skip
    assert f"{20 / 1:.4g}" in requests.splitlines()[1].split(), "the waits of twenty requests"
    assert "1.05" in attempts.splitlines()[1].split()
    assert repr(found).endswith(
        "failed requests: rate_limited 9\nfailed attempts: server_error 20, rate_limited 9"
    )
    html = found._repr_html_()
    assert html.count("<table") == 2
    assert f"{found.latency_s.p95 * 1e3:,.0f}" in html
    assert f"{found.latency_s.ci['p95'][1] * 1e3:,.0f}</small>" in html
    assert found.latency_s.p95 > found.attempt_s.p95 + 0.5


def test_money_that_is_known_in_part_is_said_to_be_at_least_so_much():
    every, some = repeated(), repeated()
    some.rows["output_tokens"][400:] = -1
    whole, least = stats(every), stats(some)
    assert whole.cost_usd == whole.known_cost_usd == pytest.approx(400 * (5 + 14) / 1e6)
    assert least.cost_usd is None
    assert least.known_cost_usd == pytest.approx(380 * (5 + 14) / 1e6)
    assert f"≥ {least.known_cost_usd:.4g}" in repr(least)
    assert f"{whole.cost_usd:.4g} / {whole.cost_of_failures_usd:.4g}" in repr(whole)


def test_stats_of_nothing_and_of_many_targets_have_their_rows():
    nothing = stats(Records(records().plan))
    assert (nothing.requests, "–" in repr(nothing)) == (0, True)
    plan = Plan(targets=(target("a"), target("b")), load=Open(constant(20)), requests=400)
    both, one = Records(plan), records("a")
    rows = one.rows.copy()
    rows["target"] = np.arange(len(rows)) % 2
    both.extend(rows, np.zeros(0, GAP), np.zeros(len(rows), np.int64))
    names = [line.split()[:2] for line in repr(stats(both)).splitlines() if "/" in line.split()[0]]
    assert names == 2 * [["all/targets", "400"], ["url/a", "200"], ["url/b", "200"]]


def test_a_comparison_shows_what_it_claims():
    text = compare_pairs([(records("a"), records("b", scale=1.3)) for _ in range(5)])
    assert "higher" in text._repr_html_()
    assert "a difference is shown" in repr(text).splitlines()[0]


def test_pictures_of_results_say_what_they_show():
    found = results()
    ax = charts.plot_comparison(found["comparison"])
    shown = [text.get_text() for text in ax.get_yticklabels()]
    assert shown == ["latency p50", "latency p95", "TTFT p50", "TTFT p95"]
    assert "\u202e" not in ax.get_title(loc="left")
    ax = charts.plot_capacity(found["capacity"])
    assert "met up to 20 calls/s" in ax.get_title(loc="left")
    nothing = Capacity("x/y", ("ttft_p95<1",), (), "interrupted", simulated=True)
    assert charts.plot_capacity(nothing).texts[0].get_text() == "no level was measured"


def test_ecdfs_of_two_runs_lie_in_one_picture():
    ax = hm.plot_ecdf(records("a"), records("b"))
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert len(labels) == 4
    assert len({line.get_color() for line in ax.get_lines()[:4]}) == 2


def test_runs_can_be_filtered_and_shown(tmp_path, simulator):
    names = ("one", "two")
    for name, model in zip(names, ("fast", "slow"), strict=True):
        plan = Plan(targets=(simulator.target(model),), load=Open(constant(20)), requests=2,
                    prompts=Prompts(max_tokens=2), name=name)  # fmt: skip
        run.measure(plan, out=tmp_path)
    assert [one["name"] for one in hm.runs(tmp_path)] == list(names)
    assert [one["name"] for one in hm.runs(tmp_path, name="two")] == ["two"]
    assert [one["name"] for one in hm.runs(tmp_path, target="fast")] == ["one"]
    assert hm.runs(tmp_path, state="failed") == []
    assert len(hm.runs(tmp_path, since="2020-01-01")) == 2
    assert hm.runs(tmp_path, since="2999-01-01T00:00:00+00:00") == []
    with pytest.raises(hm.PlanError, match="2026-11-24"):
        hm.runs(tmp_path, since="yesterday")
    found = hm.runs(tmp_path)
    assert found[0]["run_id"] in repr(found)
    opened = hm.attach(found[0]["run_id"], out=tmp_path)
    assert "url/fast" in opened._repr_html_()
    assert repr(hm.runs(tmp_path / "empty")) == "no runs"


@pytest.mark.parametrize(
    ("notebook", "parameters", "pictures"),
    [("compare", {"duration_s": 8.0}, 4), ("capacity", {"seconds": 1.0, "budget_s": 12.0}, 1)],
)
def test_the_notebooks_that_decide_run_from_top_to_bottom(tmp_path, notebook, parameters, pictures):
    made = hm.write_report(notebook, out=tmp_path, parameters={**parameters, "out": str(tmp_path)})
    assert (made.status, made.error) == ("ok", "")
    page = made.html.read_text()
    assert page.count("data:image/png;base64,") == pictures
    assert "simulated" in page


def test_the_notebook_of_a_monitor_runs_from_top_to_bottom(tmp_path):
    made = hm.write_report("watch", out=tmp_path, parameters={"calls": 60})
    assert (made.status, made.error) == ("ok", "")
    page = made.html.read_text()
    for said in ("requests, as felt", "sim/flaky", "api_errors_total{", "would have fired",
                 "(moves only in a notebook)", "chat_completion_with_monitoring"):  # fmt: skip
        assert said in page
    assert not re.search("&lt;style|VBox\\(", page)
