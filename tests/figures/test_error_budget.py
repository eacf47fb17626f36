"""An error budget is what the Workbook says it is, with an interval that holds in bursts, too."""

import json

import numpy as np
import pytest

from holymon.figures.durations import durations
from holymon.figures.error_budget import ErrorBudgets, budget_of, pooled
from holymon.figures.quantiles import wilson
from holymon.figures.slo_events import Events, slo_events
from holymon.figures.summary import summarize
from holymon.plan.slo import parse
from tests.plots.test_call_plots import calls


@pytest.mark.parametrize(
    ("text", "allowed"),
    [("error_rate<1%", 0.01), ("error_rate_without_429<=0.5%", 0.005), ("ttft_p95<0.5", 0.05),
     ("latency_p50_of_successes<2s", 0.5), ("error_rate>1%", None), ("itl_p95<1", None),
     ("latency_mean<1", None), ("latency_max<1", None), ("schedule_delay_p99<1", None),
     ("cost_usd<1", None), ("requests_per_s>1", None)],
)  # fmt: skip
def test_a_share_of_calls_may_miss_an_objective_on_percentiles_or_failures(text, allowed):
    assert parse(text).allowed == pytest.approx(allowed)


def test_an_objective_is_the_same_however_it_is_written():
    assert parse("ttft_p95 < 500ms").is_as(parse("ttft_p95<0.5"))
    assert not parse("ttft_p95<=0.5").is_as(parse("ttft_p95<0.5"))


def test_events_are_the_calls_that_missed_it_and_a_failed_one_took_for_ever():
    found = calls(failed=0.1)
    goals = ("error_rate<1%", "latency_p95<0.25", "latency_p95_of_successes<0.25", "cost_usd<1")
    (target,) = summarize(found, objectives=goals).targets
    took, ok = found["end_s"] - found["start_s"], found.ok
    slow, bad = int((took[ok] >= 0.25).sum()), int((~ok).sum())
    expected = {
        goals[0]: Events(bad, 600), goals[1]: Events(bad + slow, 600), goals[2]: Events(slow, 600 - bad),
    }  # fmt: skip
    assert target.slo_events == expected
    assert target.to_dict()["slo_events"][goals[0]] == {"bad": bad, "valid": 600}
    rows = found.chosen(found.mask())
    (limited,) = slo_events(rows, durations(rows), [parse("error_rate_without_429<1%")]).values()
    assert limited.valid == 600 - found.errors(~ok)["rate_limited"]


def test_what_is_left_is_one_minus_what_was_used_and_the_burn_rate_that_of_the_last_run():
    made = budget_of("error_rate<1%", "a", 0.01, [(2, 1000), (0, 1000), (4, 1000)], (4, 1000))
    assert (made.missed.value, made.missed.of, made.runs) == (0.002, 3000, 3)
    assert (made.left, made.burn) == pytest.approx((0.8, 0.4))
    low, high = made.interval
    assert low < 0.8 < high < 1
    over = budget_of("error_rate<1%", "b", 0.01, [(30, 1000)], None)
    assert (over.left, over.burn) == (pytest.approx(-2), None)
    none = budget_of("error_rate<=0%", "c", 0.0, [(0, 10)], (0, 10))
    assert (none.left, none.burn) == (1.0, None)
    shown = ErrorBudgets((made, over, none), "over 28 days with 3 runs", simulated=False)
    assert shown.table.lead == ("The error budget of error_rate<1% is used up at b, over 28 days with 3 runs.",)  # fmt: skip
    assert "\u2212200 %" in str(shown)
    assert "80 %" in shown._repr_html_()


def test_json_has_no_inf_where_nothing_may_be_missed():
    over = budget_of("error_rate<=0%", "c", 0.0, [(1, 10)], (1, 10)).to_dict()
    assert (over["left"], over["ci"]) == (None, (None, None))
    assert json.loads(json.dumps(over, allow_nan=False))["missed"] == 0.1


def test_of_bursts_the_interval_is_wider_and_holds():
    """One run in ten is half an outage: 400 histories of 100 runs of 100 calls, a share of 0.05."""
    rng = np.random.default_rng(3)
    valid, covered = np.full(100, 100.0), []
    for _ in range(400):
        bad = np.where(rng.random(100) < 0.1, rng.binomial(100, 0.5, 100), 0).astype(float)
        rate = pooled(bad, valid)
        covered.append(rate.low <= 0.05 <= rate.high)
    assert np.mean(covered) > 0.88
    alike = pooled(np.array([5.0, 5.0, 5.0]), np.full(3, 100.0))
    alone = wilson(15, 300)
    assert (alike.low, alike.high) == (alone.low, alone.high), "never narrower than of single calls"
