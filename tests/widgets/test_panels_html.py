"""What the dashboard says of a run is what `summarize` and `judge` say, and nothing in it runs."""

import re

import numpy as np
import pytest

from holymon.errors import CODES
from holymon.figures.request_stats import request_stats
from holymon.figures.summary import summarize
from holymon.figures.verdict import judge
from holymon.formatting import ms, percent, rounded
from holymon.plan.plan import Closed, Open, Plan, Target
from holymon.plan.shapes import constant
from holymon.prometheus.alerts import Watch
from holymon.prometheus.backtest import backtest
from holymon.records import client_health
from holymon.records.attempt import DTYPE, GAP, Flag
from holymon.records.records import Records
from holymon.widgets import panels_html

HOSTILE = "<script>alert(1)</script>\u202e'\""


def planned(model: str = "m", **more) -> Plan:
    return Plan(**{"targets": (Target(provider="a", model=model),), "load": Open(constant(10)),
                   "duration_s": 10, **more})  # fmt: skip


def measured(n: int = 100, plan: Plan | None = None) -> Records:
    plan = plan or planned()
    rows = np.zeros(n, DTYPE)
    rows["due_s"] = rows["start_s"] = np.arange(n) / 10
    rows["first_s"] = rows["start_s"] + 0.1
    rows["last_s"] = rows["end_s"] = rows["start_s"] + 0.2 + np.arange(n) * 37 % max(n, 1) / 1000
    rows["output_tokens"], rows["chunks"], rows["flags"] = 8, 8, Flag.STREAM | Flag.SERVER_TOKENS
    records = Records(plan.targets)
    records.extend(rows, np.zeros(0, GAP), np.zeros(n, np.int64))
    return records


def client(cpu: float = 0.1, lag: float = 0.0005):
    return client_health.read(
        [client_health.line(t, [lag] * 20, cpu, 0.0, 0.0, 0.0, 3, 60) for t in range(1, 9)]
    )


def told(
    records: Records, health, state: str = "running", plan: Plan | None = None
) -> tuple[str, str]:
    plan = plan or planned()
    summary = summarize(records, plan)
    judged = judge(summary, plan, health, state)
    return (panels_html.trust(summary, judged, health, plan),
            panels_html.figures(summary, judged))  # fmt: skip


def test_a_client_that_keeps_up_is_said_to():
    trust, _ = told(measured(), client())
    assert "hm-trust valid" in trust
    assert "by the server" in trust


@pytest.mark.parametrize(
    ("health", "level", "why"),
    [(client(cpu=0.97), "invalid", "97 % of a core"), (client(lag=0.2), "suspect", "event loop")],
)
def test_the_panel_turns_when_the_client_is_the_limit_and_says_why(health, level, why):
    trust, _ = told(measured(), health)
    assert f"hm-trust {level}" in trust
    assert why in trust


def test_the_way_of_calls_through_a_proxy_is_told_beside_the_verdict():
    records, plan = measured(), planned()
    summary = summarize(records, plan)
    judged = judge(summary, plan, client(), proxies={"a/m": HOSTILE, "b": "proxy.corp:3128"})
    trust = panels_html.trust(summary, judged, client(), plan)
    assert "hm-trust valid" in trust
    assert "<li>b: called through the proxy proxy.corp:3128: all times are with it.</li>" in trust
    assert "<script>" not in trust


def test_no_more_than_all_calls_were_sent():
    """A first call that left late makes the span of the others shorter than it was planned."""
    records = measured()
    records.rows["start_s"][0] += 0.02
    (target,) = summarize(records, planned()).targets
    assert target.sent_per_s > target.wanted_per_s
    assert "<b>10 of 10</b>" in told(records, client())[0]
    assert "10 of 10 calls/s sent" in target.facts[1]
    records.rows["start_s"][1:] *= 1.01
    (target,) = summarize(records, planned()).targets
    assert "9.92 of 10 calls/s sent" in target.facts[1]


def test_calls_that_were_not_sent_turn_it_too():
    records = measured()
    records["error"][:9] = 1 + list(records.errors(records.mask())).count("x")
    records.rows["start_s"][50:] += 3.0
    trust, _ = told(records, client())
    assert "hm-trust invalid" in trust
    assert "late" in trust


def test_calls_that_we_stopped_have_not_failed():
    records = measured()
    records["error"][90:] = CODES["cancelled"]
    trust, table = told(records, client())
    assert "<span>failed</span><b>0</b>" in trust
    assert ">0 %<" in table
    records["error"][:3] = CODES["server_error"]
    assert "<span>failed</span><b>3</b>" in told(records, client())[0]


def test_before_the_first_call_nothing_is_judged():
    trust, table = told(measured(0), client())
    assert "hm-trust early" in trust
    assert "<li>" not in trust
    assert ">–<" in table
    assert "hm-trust invalid" in told(measured(0), client(cpu=0.97))[0]
    ended, _ = told(measured(0), client(), "stopped")
    assert "hm-trust invalid" in ended
    assert "no call was made" in ended


def test_a_run_that_has_just_begun_is_not_invalid():
    begun = judge(summarize(measured(0), planned()), planned(), client(), "starting")
    assert begun.table.lead[:2] == ("measurement: SUSPECT", "suspect: a/m: no call has ended yet.")
    ended = judge(summarize(measured(0), planned()), planned(), client())
    assert ended.measurement == "invalid"


def test_the_pace_is_that_of_the_target_furthest_behind():
    plan = planned(targets=(Target(provider="a", model="m"), Target(provider="a", model="n")))
    both = measured(plan=plan)
    both.rows["target"][50:] = 1
    both.rows["due_s"][50:] -= 5
    both.rows["start_s"][50:] = both.rows["due_s"][50:] * 2
    trust, _ = told(both, client(), plan=plan)
    fast, slow = summarize(both, plan).targets
    assert f"<b>{rounded(slow.sent_per_s)} of {rounded(slow.wanted_per_s)}</b>" in trust
    assert slow.sent_per_s < 0.8 * fast.sent_per_s


def test_a_closed_loop_has_no_schedule_to_be_late_for():
    trust, _ = told(measured(), client(), plan=planned(load=Closed(users=2)))
    assert trust.count("no schedule") == 2


def test_the_table_has_the_summarys_figures_with_their_intervals():
    records = measured()
    _, table = told(records, client(), plan=planned(slo=("latency_p95<1", "ttft_p50<0.01")))
    one = summarize(records).targets[0]
    low, high = map(ms, one.latency_s.ci["p50"])
    for text in (ms(one.latency_s.p50), ms(one.latency_s.p95), ms(one.ttft_s.p50),
                 f"{low}–{high}", percent(one.error_rate.high)):  # fmt: skip
        assert text in table
    assert re.findall("hm-goal (\\w+)", table) == ["met", "missed"]


def test_a_row_is_as_high_whether_or_not_there_are_intervals():
    tables = [told(measured(n), client())[1] for n in (0, 1, 500)]
    assert [table.count("<small>") for table in tables] == [8, 8, 8]


def test_names_are_text():
    plan = planned(model=HOSTILE, slo=("latency_p95<1",))
    trust, table = told(measured(plan=plan), client(cpu=1), plan=plan)
    line = panels_html.progress({"name": HOSTILE, "state": "running", "words": HOSTILE,
                              "share": 3.0, "simulated": True})  # fmt: skip
    for html in (trust, table, line):
        assert "<script" not in html
        assert "\u202e" not in html
    assert "width:100.0%" in line


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0 s"), (7.4, "7 s"), (59.6, "1:00"), (185, "3:05"), (7385, "2:03:05")],
)
def test_the_clock(seconds, text):
    assert panels_html.clock(seconds) == text


def test_alarms_tell_what_fires_what_has_fired_and_when():
    """Three days of calls on the wall's clock: a bad hour on the first, and a bad end."""
    n = 3 * 24 * 60
    records = measured(n)
    for name in ("due_s", "start_s", "first_s", "last_s", "end_s"):
        records.rows[name] = 60.0 * np.arange(n) + {"first_s": 0.1, "end_s": 0.2}.get(name, 0)
    for bad in (slice(600, 660), slice(n - 60, n)):
        records.rows["error"][bad] = CODES["server_error"]
    records.began = began = 1.7e9
    told = backtest([records], Watch(), until=began + 60.0 * n)
    html = panels_html.alarms(request_stats(records), told)
    ended = [one for one in told.firings if one.end_s is not None]
    firing = [one for one in told.firings if one.end_s is None]
    assert "ErrorBudgetSlowBurn" in {one.alert for one in ended} & {one.alert for one in firing}
    assert f"✗ {len(firing)} alerts are firing" in html
    assert "hm-trust invalid" in html
    lines = re.findall("<li>(.*?)</li>", html)
    assert len(lines) == len(told.firings)
    (now,) = (line for line in lines if line.startswith("ErrorBudgetSlowBurn"))
    (then,) = (line for line in lines if line.startswith("ended: ErrorBudgetSlowBurn"))
    assert re.search(r"since \d\d:\d\d:\d\d: over 6 % of the calls failed", now)
    assert re.search(r"\d\d \w+ \d\d:\d\d to \d\d \w+ \d\d:\d\d$", then), "not today"
    evil = measured(plan=planned(model=HOSTILE))
    evil.rows["error"] = CODES["server_error"]
    told = backtest([evil], Watch(), until=30.0)
    html = panels_html.alarms(request_stats(evil), told) + panels_html.calls(
        request_stats(evil), [HOSTILE]
    )
    assert (len(told.firings) > 1, "<script" in html, "\u202e" in html) == (True, False, False)
