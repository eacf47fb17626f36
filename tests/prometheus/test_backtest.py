"""A notebook's rehearsal and Prometheus come to the same alerts, at the same minutes."""

import json
import subprocess
from functools import cache

import numpy as np
import pytest
import yaml
from prometheus_client import generate_latest

from holymon.errors import PlanError
from holymon.plan.plan import Closed, Plan, Target
from holymon.prometheus import metric_names, rules
from holymon.prometheus.alerts import Limits, Watch
from holymon.prometheus.backtest import Firing, backtest
from holymon.prometheus.exporter import Collector
from holymon.records.attempt import Flag, Marks
from holymon.records.records import Records, from_marks

TARGET = Target(provider="p", model="m")
PLAN = Plan(targets=(TARGET,), load=Closed(users=1), requests=1)
MINUTE = 60.0
MINUTES = 110


def call(request, at, *, error="", status=200, ttft=0.1, gap=0.02, attempt=0, flags=0, took=None):
    one = Marks(request, 0, at, attempt)
    one.start, one.status, one.error = at, status, error
    one.flags = int(Flag.STREAM) | int(Flag.SERVER_TOKENS) | flags
    if not error:
        for k in range(10):
            one.token(at + ttft + gap * k, 1)
        one.prompt_tokens, one.output_tokens = 5, 10
    one.end = one.last if not error else at + (took or 0.2)
    if error == "client_dropped":
        one.start = float("nan")
    return one


def day(minutes, per_minute, how=lambda minute, k: {}):
    return from_marks(PLAN.targets, day_of_marks(minutes, per_minute, how))


def day_of_marks(minutes, per_minute, how):
    """Calls evenly over so many minutes; `how` says what becomes of call k of a minute."""
    marks = []
    for minute in range(minutes):
        for k in range(per_minute):
            at = MINUTE * (minute + (k + 0.5) / per_minute)
            marks.append(call(len(marks), at, **how(minute, k)))
    return marks


def since(began, records):
    """A copy of records whose clock was zero then."""
    copied = records.select(np.ones(len(records), bool))
    copied.began = began
    return copied


def between(start, end, bad):
    """Calls are `bad` from minute `start` up to `end`."""
    return lambda minute, k: bad(k) if start <= minute < end else {}


FAIL = {"error": "server_error", "status": 500}
STORIES = {
    "all is well": (between(0, 0, lambda k: {}), set()),
    "a third fails for 40 minutes": (
        between(40, 80, lambda k: FAIL if k % 3 == 0 else {}),
        {"ErrorBudgetFastBurn", "ErrorBudgetSlowBurn", "ErrorBudgetTicket", "TTFTTicket"}),
    "all fail for 10 minutes": (
        between(60, 70, lambda k: FAIL),
        {"AllCallsFail", "ErrorBudgetSlowBurn", "ErrorBudgetTicket", "TTFTTicket"}),
    "calls hang for 14 minutes": (
        between(60, 74, lambda k: {**FAIL, "error": "deadline_exceeded", "took": 840.0}),
        {"CallsHang", "ErrorBudgetFastBurn", "ErrorBudgetSlowBurn", "ErrorBudgetTicket", "TTFTTicket"}),
    "slow first tokens": (
        between(30, 90, lambda k: {"ttft": 0.9}), {"TTFTFastBurn", "TTFTSlowBurn", "TTFTTicket"}),
    "tokens trickle": (between(75, 105, lambda k: {"gap": 0.06}), {"ThroughputDrop"}),
    "cut streams": (
        between(50, 54, lambda k: {"error": "stream_truncated"} if k == 0 else {}),
        {"StreamTruncated"}),
    "no credit": (
        between(45, 46, lambda k: {"error": "quota_exhausted", "status": 429} if k == 1 else {}),
        {"QuotaExhausted"}),
    "key refused": (
        between(45, 47, lambda k: {"error": "authentication", "status": 401} if k == 1 else {}),
        {"AuthenticationFailing"}),
    "a stall": (between(70, 71, lambda k: {"error": "stream_stalled"} if k == 1 else {}), {"TokenStall"}),
    "rate limits": (
        between(60, 75, lambda k: {"error": "rate_limited", "status": 429} if k < 2 else {}),
        {"RateLimited", "ErrorBudgetTicket"}),
    "retries": (
        between(60, 80, lambda k: {"attempt": 1} if k % 4 == 0 else {}), {"RetryRatioHigh"}),
    "the client is full": (
        between(80, 81, lambda k: {"error": "client_dropped", "status": 0} if k == 2 else {}),
        {"MeasurementInvalid"}),
}  # fmt: skip
WATCH = Watch(("error_rate<1%", "ttft_p95<0.5"))


@pytest.fixture(scope="module")
def promtool(debian):
    return debian("promtool")


@pytest.fixture(scope="module")
def stories():
    """All stories at once, each with a target of its own."""
    targets = tuple(Target(provider="p", model=story) for story in STORIES)
    marks = []
    for index, (how, _) in enumerate(STORIES.values()):
        for mark in day_of_marks(MINUTES, 12, how):
            mark.target, mark.request = index, len(marks)
            marks.append(mark)
    return from_marks(targets, marks)


@pytest.fixture(scope="module")
def rehearsal(stories):
    return backtest([stories], WATCH, every_s=MINUTE)


def exported(records, used=None):
    """Each sample of an exporter that follows these records; only of what is `used` in a text."""
    collector = Collector(records, slo=WATCH.objectives, dense=False)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in collector.collect() for sample in family.samples
        if used is None or is_read(sample.name, sample.labels.get("le"), used)
    }  # fmt: skip


@cache
def is_read(name, le, used):
    return name in used and (le is None or f'le="{le}"' in used)


def series_of(records, minutes, rules_text):
    """What Prometheus scrapes each minute, of what the rules read."""
    ends = records["end_s"]
    scraped = [
        exported(records.select(ends <= MINUTE * minute), rules_text)
        for minute in range(minutes + 1)
    ]
    names = {key for one in scraped for key in one}
    found = []
    for name, labels in sorted(names, key=str):
        said = ", ".join(f'{k}="{v}"' for k, v in sorted(labels))
        values = " ".join(str(one.get((name, labels), "_")) for one in scraped)
        found.append({"series": f"{name}{{{said}}}", "values": values})
    for index, target in enumerate(records.targets):
        mine = records.rows[records["target"] == index]
        begun, ended = (np.searchsorted(np.sort(mine[at]), MINUTE * np.arange(minutes + 1), "right")
                        for at in ("start_s", "end_s"))  # fmt: skip
        name = f'{metric_names.IN_FLIGHT}{{provider="p", model="{target.model}"}}'
        found.append({"series": name, "values": " ".join(map(str, begun - ended))})
    return [*found, {"series": 'up{job="holymon"}', "values": f"1+0x{minutes}"}]


def alerts_of(file):
    return {one["alert"]: one for one in file["groups"][0]["rules"] if "alert" in one}


def firing_at(rehearsal, alert, second):
    """The targets on which an alert fires."""
    return {
        one.target for one in rehearsal.firings
        if one.alert == alert and one.start_s <= second and (one.end_s is None or second < one.end_s)
    }  # fmt: skip


@pytest.mark.parametrize("story", STORIES)
def test_a_rehearsal_tells_every_alert_of_a_story_and_no_other(story, rehearsal):
    fired = {one.alert for one in rehearsal.firings if one.target == f"p/{story}"}
    assert fired == STORIES[story][1], rehearsal


def test_what_is_exported_is_what_a_scrape_reads(stories, samples):
    """So that the minutes below need no text that is written and read again for each."""
    scrape = generate_latest(Collector(stories, slo=WATCH.objectives, dense=False))
    assert samples(scrape) == exported(stories)


def test_the_rehearsal_and_prometheus_agree(promtool, stories, rehearsal, tmp_path):
    """Asked every minute, but for those within two of a change, where scrapes blur the edge."""
    first = float(stories["end_s"].min())
    file = rules.rule_file(WATCH, interval_s=MINUTE)
    cases = []
    for name, rule in alerts_of(file).items():
        if name in {"ExporterDown", "ObjectiveNotExported"}:
            continue
        for minute in range(5, MINUTES):
            firing, *near = (
                firing_at(rehearsal, name, MINUTE * m - first)
                for m in (minute, *range(minute - 2, minute + 3))
            )
            if all(others == firing for others in near):
                alerts = [
                    {"exp_labels": {**rule["labels"], "provider": "p", "model": target[2:]},
                     "exp_annotations": {
                         "summary": rule["annotations"]["summary"].replace(rules.WHOSE, target)}}
                    for target in firing
                ]  # fmt: skip
                cases.append({"eval_time": f"{minute}m", "alertname": name, "exp_alerts": alerts})
    read = "\n".join(rule["expr"] for rule in file["groups"][0]["rules"])
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(file))
    (tmp_path / "tests.yml").write_text(json.dumps({
        "rule_files": ["rules.yml"], "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": series_of(stories, MINUTES, read), "alert_rule_test": cases}],
    }))  # fmt: skip
    done = subprocess.run([promtool, "test", "rules", "tests.yml"], cwd=tmp_path,
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(cases) > 1300
    confirmed = {
        (alert["exp_labels"]["model"], case["alertname"]) for case in cases for alert in case["exp_alerts"]
    }  # fmt: skip
    assert confirmed == {
        (story, alert) for story, (_, alerts) in STORIES.items() for alert in alerts
    }


def test_silence_fires_after_its_window_and_its_wait():
    early, late = day(20, 12), day(20, 12)
    found = backtest([early, since(7200.0, late)], Watch(()), every_s=15.0)
    (one,) = found.firings
    first, last = float(early["end_s"].min()), float(early["end_s"].max())
    assert one.alert == "NoTraffic"
    assert one.start_s == pytest.approx(last - first + 600 + 300, abs=16)
    assert one.end_s == pytest.approx(7200 + first - first, abs=16)


def test_silence_up_to_now_is_told_where_now_is_given():
    """As a live view asks: on the wall's clock, and never ahead of it."""
    wall = 1.7e9
    records = since(wall, day(20, 12))
    first, last = float(records["end_s"].min()), float(records["end_s"].max())
    assert backtest([records], Watch(())).firings == ()
    for now, fires in ((last + 880, False), (last + 920, True)):
        found = backtest([records], Watch(()), until=wall + now)
        assert found.began_s == pytest.approx(wall + first, abs=1e-3)
        assert [one.alert for one in found.firings] == ["NoTraffic"] * fires
        assert all(one.end_s is None and one.start_s <= now - first for one in found.firings)
    start = backtest([records], Watch(()), until=wall + last + 5000).firings[0].start_s
    assert start == pytest.approx(last - first + 900, abs=16)


def test_a_hang_is_told_while_it_lasts():
    """No record tells of a call that has not ended: who looks now must say which there are.

    One that hangs alone may be one that thinks.
    """
    records = since(1.7e9, day(20, 12))
    last = 1.7e9 + float(records["end_s"].max())
    for waited, many, fires in ((290.0, 2, False), (320.0, 1, False), (320.0, 2, True)):
        hanging = {"p/m": [last - 1] * many}
        found = backtest([records], Watch(()), until=last + waited, in_flight=hanging)
        assert [one.alert for one in found.firings] == ["CallsHang"] * fires
    found = backtest([Records(PLAN.targets)], Watch(()), until=400.0, in_flight={"p/m": [0.0, 1.0]})
    assert [one.alert for one in found.firings] == ["CallsHang"], "not one has ever ended"


def test_runs_of_a_week_are_one_history():
    """Three bad hours on three days are three firings of the same alert."""
    bad = day(90, 12, between(20, 60, lambda k: FAIL if k % 3 == 0 else {}))
    parts = [since(86400.0 * d, bad) for d in (0, 3, 5)]
    found = backtest(parts, WATCH)
    assert found.times("ErrorBudgetFastBurn") == 3
    assert found.seconds == pytest.approx(5 * 86400 + 90 * 60, abs=60)
    assert "ErrorBudgetFastBurn would have fired 3 times" in repr(found)
    assert "ErrorBudgetFastBurn would have fired 3 times" in found._repr_html_()


def test_thresholds_can_be_tried():
    records = day(120, 12, between(40, 80, lambda k: {"attempt": 1} if k % 4 == 0 else {}))
    loud = backtest([records], Watch((), Limits(retries=0.05)))
    quiet = backtest([records], Watch((), Limits(retries=0.30)))
    assert (loud.times("RetryRatioHigh"), quiet.times("RetryRatioHigh")) == (1, 0)


def test_what_an_unfit_client_measured_is_muted():
    def both(minute, k):
        if 60 <= minute < 80:
            return {"error": "client_dropped", "status": 0} if k == 0 else {"ttft": 3.0}
        return {}

    found = backtest([day(120, 12, both)], Watch(("ttft_p95<0.5",)))
    assert {one.muted for one in found.firings if one.alert == "TTFTTicket"} == {True}
    assert {one.muted for one in found.firings if one.alert == "MeasurementInvalid"} == {False}


def test_targets_are_told_apart():
    plan = Plan(targets=(TARGET, Target(provider="p", model="n")), load=Closed(users=1), requests=1)
    marks = []
    for k in range(600):
        one = call(k, k * 1.0, **(FAIL if k % 2 else {}))
        one.target = k % 2
        marks.append(one)
    found = backtest([from_marks(plan.targets, marks)], Watch(("error_rate<1%",)))
    assert {one.target for one in found.firings if one.alert == "ErrorBudgetFastBurn"} == {"p/n"}


def test_few_calls_wake_nobody():
    records = day(120, 1, lambda minute, k: FAIL if minute % 4 == 0 else {})
    found = backtest([records], WATCH)
    assert found.times("ErrorBudgetFastBurn") == 0
    assert found.times("ErrorBudgetSlowBurn") > 0


def test_nothing_measured_is_nothing_to_rehearse():
    found = backtest([Records(PLAN.targets)], WATCH)
    assert (found.firings, found.seconds) == ((), 0.0)
    assert backtest([], WATCH).firings == ()


def test_steps_without_end_are_refused():
    for every in (0.0, -1.0, 1e-9, float("nan"), float("inf"), 301.0):
        with pytest.raises(PlanError, match="every_s"):
            backtest([day(10, 12)], WATCH, every_s=every)


def test_names_from_elsewhere_are_inert():
    plan = Plan(
        targets=(Target(provider="p", model="<script>\x1b[31m"),), load=Closed(users=1), requests=1
    )
    marks = [call(k, k * 1.0, **FAIL) for k in range(600)]
    found = backtest([from_marks(plan.targets, marks)], WATCH)
    assert found.firings
    assert "<script>" not in found._repr_html_()
    assert "\x1b" not in repr(found)


def test_a_firing_lasts_from_the_first_to_the_last_step():
    records = day(60, 12, between(20, 21, lambda k: {"error": "stream_stalled"} if k == 0 else {}))
    (one,) = backtest([records], Watch(()), every_s=1.0).firings
    begun = float(records["end_s"][records["error"] != 0][0] - records["end_s"].min())
    assert isinstance(one, Firing)
    assert one.start_s == pytest.approx(begun, abs=1.01)
    assert one.end_s - one.start_s == pytest.approx(600, abs=1.01)


def test_a_million_calls_are_rehearsed_without_a_loop_over_them():
    rng = np.random.default_rng(0)
    records = day(1, 2)
    rows = np.repeat(records.rows[:1], 200_000)
    rows["end_s"] = np.sort(rng.uniform(0, 7 * 86400, len(rows)))
    many = Records(PLAN.targets)
    many.extend(rows, records.gap_pairs[:0], np.zeros(len(rows), np.int64))
    assert backtest([many], WATCH).seconds > 6.9 * 86400
    assert metric_names.WATCHED
