"""Stats show requests and attempts apart, with their money, as text and as HTML."""

import re

import numpy as np
import pytest

import holymon as hm
from holymon.errors import CODES
from holymon.figures.request_stats import request_stats
from holymon.plan.plan import Target
from holymon.plan.price import Price
from holymon.records.attempt import DTYPE, GAP, Flag
from holymon.records.records import Records

HOSTILE = '<img src=x onerror=alert(1)>"\u202e\x1b[31m'


def target(model=HOSTILE) -> Target:
    return Target(provider="url", model=model, base_url="http://127.0.0.1:1/v1",
                  price=Price(input=1.0, output=2.0))  # fmt: skip


def records(model=HOSTILE, scale=1.0, n=400) -> Records:
    rng = np.random.default_rng(1)
    rows = np.zeros(n, DTYPE)
    rows["due_s"] = rows["start_s"] = np.arange(n) / 20
    rows["first_s"] = rows["start_s"] + scale * rng.lognormal(-3, 0.2, n)
    rows["end_s"] = rows["last_s"] = rows["first_s"] + scale * rng.lognormal(-2, 0.2, n)
    rows["flags"], rows["output_tokens"], rows["prompt_tokens"] = Flag.STREAM | 8, 7, 5
    rows["error"][:9] = CODES["rate_limited"]
    found = Records((target(model),))
    found.extend(rows, np.zeros(0, GAP), np.zeros(n, np.int64))
    return found


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
    found = Records(one.targets)
    found.extend(rows, np.zeros(0, GAP), np.zeros(len(rows), np.int64))
    return found


def test_stats_show_requests_and_attempts_apart():
    found = request_stats(repeated())
    requests, attempts = repr(found).split("attempts, as sent")
    assert [line.split()[:2] for line in (requests.splitlines()[1], attempts.splitlines()[1])] == [
        ["url/m", "400"], ["url/m", "420"],
    ]  # fmt: skip
    assert f"{20 / 1:.3g}" in requests.splitlines()[1].split(), "the waits of twenty requests"
    assert "1.05" in attempts.splitlines()[1].split()
    said = "failed requests: rate_limited 9\nfailed attempts: server_error 20, rate_limited 9"
    assert said in repr(found)
    assert "failures come one after another" in repr(found)
    html = found._repr_html_()
    assert html.count("<table") == 2
    assert f"{found.latency_s.p95 * 1e3:,.0f}" in html
    assert f"{found.latency_s.ci['p50'][1] * 1e3:,.0f}</small>" in html
    assert found.latency_s.p95 > found.attempt_s.p95 + 0.5


def test_money_that_is_known_in_part_is_said_to_be_at_least_so_much():
    every, some = repeated(), repeated()
    some.rows["output_tokens"][400:] = -1
    whole, least = request_stats(every), request_stats(some)
    assert whole.cost_usd == whole.known_cost_usd == pytest.approx(400 * (5 + 14) / 1e6)
    assert least.cost_usd is None
    assert least.known_cost_usd == pytest.approx(380 * (5 + 14) / 1e6)
    assert f"≥ {least.known_cost_usd:.3g}" in repr(least)
    assert f"{whole.cost_usd:.3g} / {whole.cost_of_failures_usd:.3g}" in repr(whole)


def test_stats_of_nothing_and_of_many_targets_have_their_rows():
    nothing = request_stats(Records(records().targets))
    assert (nothing.requests, "–" in repr(nothing)) == (0, True)
    both, one = Records((target("a"), target("b"))), records("a")
    rows = one.rows.copy()
    rows["target"] = np.arange(len(rows)) % 2
    both.extend(rows, np.zeros(0, GAP), np.zeros(len(rows), np.int64))
    names = [
        line.split()[:2]
        for line in repr(request_stats(both)).splitlines()
        if "/" in line.split()[0]
    ]
    assert names == 2 * [["all/targets", "400"], ["url/a", "200"], ["url/b", "200"]]


def test_the_notebook_of_a_monitor_runs_from_top_to_bottom(tmp_path):
    made = hm.write_report("watch", out=tmp_path, parameters={"calls": 60})
    assert (made.status, made.error) == ("ok", "")
    page = made.html.read_text()
    for said in ("requests, as felt", "sim/flaky", "api_errors_total{", "would have fired",
                 "(moves only in a notebook)", "chat_completion_with_monitoring"):  # fmt: skip
        assert said in page
    assert not re.search("&lt;style|VBox\\(", page)
