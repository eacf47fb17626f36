"""Alerts on services that are seldom called: silent by chance, and awake when all is lost.

Traffic is Poisson, seeded, and looked at as Prometheus would, every 15 s for three days.
"""

from collections import Counter
from functools import cache

import numpy as np
import pytest

from holymon.errors import CODES
from holymon.figures.totals import totals
from holymon.plan.plan import Target
from holymon.prometheus.alerts import Watch
from holymon.prometheus.backtest import backtest
from holymon.prometheus.metric_names import bucket_edges
from holymon.records.attempt import DTYPE, GAP, Flag
from holymon.records.records import Records

TARGET = Target(provider="p", model="m")
DAY, SEEDS = 86400.0, range(5)


def traffic(seed, ten_minutes, days=3.0):
    """When calls are due (s): so many in ten minutes, by chance; and the generator."""
    rng = np.random.default_rng(seed)
    return rng, np.sort(rng.uniform(0, days * DAY, rng.poisson(ten_minutes * 144 * days)))


def records(at, failed, error="server_error", ttft=0.5, took=2.0):
    """Calls of two seconds; `failed` says which end with that error, `took` seconds after."""
    rows = np.zeros(len(at), DTYPE)
    rows["request"] = np.arange(len(at))
    rows["due_s"] = rows["start_s"] = at
    rows["first_s"], rows["end_s"] = at + ttft, at + np.where(failed, took, 2.0)
    rows["last_s"] = rows["end_s"]
    rows["error"] = np.where(failed, CODES[error], 0)
    rows["flags"] = Flag.STREAM | Flag.SERVER_TOKENS
    rows["prompt_tokens"], rows["output_tokens"] = 10, np.where(failed, -1, 50)
    made = Records((TARGET,))
    made.extend(rows, np.zeros(0, GAP), np.zeros(len(at), np.int64))
    return made


def firings(made, *objectives, **more):
    watch = Watch(objectives) if objectives else Watch()
    return backtest([made], watch, **more).firings


def times(found):
    return Counter(firing.alert for firing in found)


@cache
def rate_limited_now_and_then():
    """Of each seed the tickets of three days, where 1 % of 11 calls in ten minutes get a 429."""
    opened = []
    for seed in SEEDS:
        rng, at = traffic(seed, 11)
        failed = rng.random(len(at)) < 0.01
        opened.append(times(firings(records(at, failed, "rate_limited")))["RateLimited"])
    return opened


@cache
def outages(*objectives):
    """Of each seed what fires where all of 3 calls in ten minutes fail, after a day that is well."""
    found = []
    for seed in SEEDS:
        _, at = traffic(seed, 3)
        found.append(firings(records(at, at > DAY), *objectives))
    return found


def test_one_percent_of_429s_opens_no_ticket():
    assert sum(rate_limited_now_and_then()) <= 1


def test_a_fifth_of_429s_does():
    rng, at = traffic(0, 11, 1.0)
    found = firings(records(at, rng.random(len(at)) < 0.2, "rate_limited"))
    first = next(firing for firing in found if firing.alert == "RateLimited")
    assert first.start_s < 3 * 3600


def test_a_total_outage_pages_within_the_hour_and_once():
    for found in outages():
        of = times(found)
        assert (of["AllCallsFail"], of["ErrorBudgetFastBurn"], of["ErrorBudgetSlowBurn"]) == (
            1,
            1,
            1,
        )
        assert all(firing.start_s < DAY + 3600 for firing in found if firing.severity == "page"
                   and firing.alert in {"AllCallsFail", "ErrorBudgetFastBurn"})  # fmt: skip
        assert all(firing.end_s is None for firing in found), "it goes on"


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("ten_minutes", [3, 11])
def test_what_is_partly_bad_is_told_a_few_times_a_day_at_most(share, ten_minutes):
    rng, at = traffic(1, ten_minutes)
    found = firings(records(at, rng.random(len(at)) < share), "error_rate<1%")
    assert found
    assert max(times(found).values()) <= 3 * 5


def test_where_only_ttft_is_watched_calls_that_time_out_wake_somebody():
    _, at = traffic(0, 60, 0.25)
    everything = np.ones(len(at), bool)
    made = records(at, everything, "first_byte_timeout", took=60.0)
    found = firings(made, "ttft_p95<2s")
    assert {"TTFTFastBurn", "AllCallsFail"} <= {f.alert for f in found if f.severity == "page"}
    assert {f.alert for f in firings(made, "ttft_p95_of_successes<2s")} == {"AllCallsFail"}


def test_nobody_is_paged_for_ttft_where_a_fifth_fails_of_what_has_none():
    rng, at = traffic(0, 60, 0.25)
    made = records(at, rng.random(len(at)) < 0.2, ttft=np.nan)
    pages = {firing.alert for firing in firings(made) if firing.severity == "page"}
    assert pages == {"ErrorBudgetFastBurn", "ErrorBudgetSlowBurn"}


def test_a_service_that_never_answers_pages_after_five_minutes():
    _, at = traffic(0, 60, 0.05)
    well, late = at[at < 3600], at[at >= 3600]
    found = firings(records(well, well < 0), until=7200.0, in_flight={"p/m": late.tolist()})
    first = min((firing for firing in found if firing.severity == "page"), key=lambda f: f.start_s)
    assert first.alert == "CallsHang"
    assert 3600 + 300 - at[0] < first.start_s < 3600 + 360


def fires_at():
    """Of how many times the budget TTFT's fast burn is the alert, by what it says of itself."""
    alert = next(alert for alert in Watch(("ttft_p95<2s",)).alerts if alert.name == "TTFTFastBurn")
    assert f"burns {alert.condition.over / 0.05:.3g}-fold" in alert.says
    return f"{alert.condition.over / 0.05:.3g}"


def test_ttft_burns_as_fast_as_is_said():
    assert fires_at() == "14.4"


def quantile_of_buckets(histogram, q):
    """As Prometheus' histogram_quantile: evenly spread within a bucket."""
    upto = np.cumsum(histogram.counts)
    k = int(np.searchsorted(upto, q * upto[-1]))
    below, before = (histogram.edges[k - 1], upto[k - 1]) if k else (0.0, 0)
    return below + (histogram.edges[k] - below) * (q * upto[-1] - before) / histogram.counts[k]


def p95_of_quick_calls(*, dense):
    at = np.arange(1000.0)
    made = records(at, at < 0)
    made.rows["end_s"] = at + 0.02
    histogram = totals(made, bucket_edges(dense=dense)).targets["p/m"].latency
    return quantile_of_buckets(histogram, 0.95)


def test_a_percentile_of_buckets_is_off_by_a_fifth_at_most():
    assert p95_of_quick_calls(dense=True) == pytest.approx(0.02, rel=0.19)
    assert p95_of_quick_calls(dense=False) == pytest.approx(0.095), "the article's begin at 0.1 s"


def of_outages():
    found = [times(each) for each in outages()]
    first = [next(f for f in each if f.alert == "AllCallsFail").start_s for each in outages()]
    flaps = max(of["ErrorBudgetSlowBurn"] for of in found)
    fast = min(of["ErrorBudgetFastBurn"] for of in found)
    minutes = max(first) - DAY
    return f"fast burn {fast}, slow burn {flaps}; all fail after {minutes / 60:.0f} min at most"


def of_timeouts():
    found = outages("ttft_p95<2s")
    return ", ".join(sorted({f.alert for each in found for f in each if f.severity == "page"}))


FINDINGS = (
    ("8", "11 calls in ten minutes, 1 % of 429s: tickets in three days, five times",
     "51, 84, 73, 70, 81", lambda: ", ".join(map(str, rate_limited_now_and_then())), "0"),
    ("8", "all of 3 calls in ten minutes fail for two days: pages",
     "fast burn 0, slow burn 123", of_outages, "1 of each"),
    ("8", "TTFT's 14.4-fold burn fires at", "10.5", fires_at, "14.4"),
    ("8", "p95 of calls of 20 ms by the buckets of Prometheus", "95 ms",
     lambda: f"{1e3 * p95_of_quick_calls(dense=True):.0f} ms", "20 ms"),
    ("1", "only TTFT is watched, and all calls fail: pages", "none", of_timeouts, "some"),
)  # fmt: skip
