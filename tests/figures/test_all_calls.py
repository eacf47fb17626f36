"""Percentiles of all calls: one that failed has the rank +infinity, by definition and by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holymon.figures.all_calls import OfAll, of_all, with_failures
from holymon.figures.quantiles import PERCENTILES, figure, figure_and_order, quantile_ranks

INF = math.inf


def ended(n, failed):
    return np.concatenate([np.arange(1.0, n + 1), np.full(failed, INF)])


@given(st.lists(st.floats(0.001, 1e3), min_size=1, max_size=300), st.integers(0, 300))
def test_a_failure_has_a_rank_after_all_others(values, failed):
    found = figure(np.array(values + [INF] * failed))
    # A number far above all others is the same as one that never ends, but for where it stands.
    finite = figure(np.array(values + [1e9] * failed))
    assert found.n == len(values) + failed
    for name in (*PERCENTILES, "max"):
        one, other = getattr(found, name), getattr(finite, name)
        if other is None:
            assert one is None or one == INF
        elif other > 1e3:
            assert one == INF
        else:
            assert one == other
    assert (found.mean == INF) == bool(failed)


@pytest.mark.parametrize(
    ("n", "failed", "p50", "p95"),
    [(100, 0, 50.5, 95.65), (96, 4, 50.5, 95.65), (95, 5, 50.5, INF), (51, 49, 50.5, INF),
     (50, 50, INF, INF), (0, 100, INF, INF)],
)  # fmt: skip
def test_percentiles_of_a_hundred_calls_by_hand(n, failed, p50, p95):
    found = figure(ended(n, failed))
    assert (found.p50, found.p95) == (pytest.approx(p50), pytest.approx(p95))


@pytest.mark.parametrize("n", [3, 20, 71, 72, 500])
def test_without_failures_all_is_as_it_was(n):
    values = np.random.default_rng(n).lognormal(size=n)
    found = figure(values)
    expected = np.quantile(values, list(PERCENTILES.values()), method="median_unbiased").tolist()
    for (name, q), value in zip(PERCENTILES.items(), expected, strict=True):
        assert getattr(found, name) in {value, None}
        ranks = quantile_ranks(n, q)
        assert found.ci[name] == (None if ranks is None else tuple(np.sort(values)[list(ranks)]))


@pytest.mark.parametrize(
    ("n", "failed", "stat", "ends"),
    [
        (65, 35, "p50", (40, 61)),
        (65, 35, "p90", (INF, INF)),
        (96, 4, "p95", (90, INF)),
        # Too few for both ends of a p99: what failed leaves no upper one, the lower one holds.
        (69, 31, "p99", (INF, INF)),
        (99, 1, "p99", (97, INF)),
        (100, 0, "p99", None),
        (2, 1, "p50", None),
    ],
)
def test_an_interval_that_reaches_into_failures_ends_at_infinity(n, failed, stat, ends):
    assert figure(ended(n, failed)).ci[stat] == ends


def test_where_all_failed_a_percentile_is_given_however_few_they_are():
    assert figure(np.full(4, INF)).p95 == INF
    assert figure(ended(15, 0)).p95 is None
    assert figure(ended(14, 1)).p95 is None


@pytest.mark.parametrize("share", [0.02, 0.1, 0.35])
def test_its_95_percent_intervals_cover_the_truth_of_all_calls(share):
    rng = np.random.default_rng(5)
    held = dict.fromkeys(("p50", "p90", "p95"), 0)
    for _ in range(400):
        values = rng.exponential(size=300)
        found = figure(np.where(rng.random(300) < share, INF, values))
        for name in held:
            q = PERCENTILES[name]
            truth = -math.log(1 - q / (1 - share)) if q < 1 - share else INF
            low, high = found.ci[name]
            held[name] += low <= truth <= high
    assert all(count >= 0.925 * 400 for count in held.values()), held


def test_what_a_limit_cut_off_took_longer_than_it_was_watched():
    # 60 answers, 30 calls cut off after 3 s, 10 refused at once.
    values = np.concatenate([np.linspace(0.1, 2, 60), np.full(40, INF)])
    found = of_all(values, np.full(30, 3.0))
    assert found.figure.p90 == found.figure.p99 == INF
    assert found.over == {"mean": None, "p90": None, "p95": None, "p99": None, "max": None}
    found = of_all(values[:-10], np.full(30, 3.0))
    assert found.over == {"mean": pytest.approx((63 + 90) / 90), "p90": 3, "p95": 3, "p99": 3,
                          "max": 3}  # fmt: skip
    assert of_all(values[:60], np.empty(0)).over == {}


@pytest.mark.parametrize(
    ("value", "over", "text"),
    [(0.0123, None, "12.3 ms"), (INF, 3.0, "> 3,000 ms"), (INF, None, "never"), (None, None, "–")],
)
def test_its_words(value, over, text):
    found = OfAll(figure(np.full(30, np.nan if value is None else value)), {"p50": over})
    assert found.words("p50", " ms") == text


def test_a_cell_tells_that_an_interval_has_no_end():
    assert of_all(ended(96, 4), np.empty(0)).cell("p95") == ("95,650", "90,000–never")
    assert of_all(ended(6, 94), np.empty(0)).cell("p95") == ("never", "")


def test_json_has_null_and_says_what_is_known():
    found = of_all(ended(60, 40), np.full(40, 70.0)).to_dict()
    assert (found["n"], found["over"]["p95"]) == (100, 70.0)
    assert found["p95"] == INF, "written as null by `own_files.finite`"


def test_one_sort_serves_both():
    values = np.random.default_rng(1).exponential(size=200)
    good, ordered = figure_and_order(values)
    cut = np.full(5, 9.0)
    found = with_failures(good, ordered, 20, cut, 1.0)
    assert found == of_all(
        np.sort(np.append(values, np.full(20, INF))), cut, dict.fromkeys(PERCENTILES, 220)
    )
    assert with_failures(good, ordered, 0, cut[:0], 1.0) == OfAll(good)


def test_failures_in_bursts_make_intervals_of_all_wider():
    good, ordered = figure_and_order(np.linspace(1, 2, 900))
    plain, bursts = (with_failures(good, ordered, 100, np.empty(0), part) for part in (1.0, 0.1))
    assert plain.figure.ci["p50"][1] < bursts.figure.ci["p50"][1]
    assert bursts.figure.ci["p90"][1] == INF
    assert bursts.figure.counts_as["p50"] == 100
