"""What is drawn are the calls: every success a point, every failure a mark, nothing hidden."""

import io
import re
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import holymon as hm
from holymon.errors import CODES, PlanError
from holymon.plan.plan import Closed, Open, Plan, Target
from holymon.plan.shapes import Replay, constant, poisson, ramp, sine, spike, steps
from holymon.plots import call_plots, picture
from holymon.plots.binning import one_in, thinned
from holymon.plots.ecdf_plot import plot_ecdf
from holymon.plots.schedule_plot import plot_arrivals
from holymon.plots.size_plot import plot_sizes
from holymon.records.attempt import DTYPE, GAP, Flag
from holymon.records.records import Records

PLOTS = [
    call_plots.plot_latency, call_plots.plot_ttft, plot_ecdf, call_plots.plot_errors,
    call_plots.plot_schedule_delay,
]  # fmt: skip


def calls(n=600, *, models=("a",), failed=0.05, streamed=True, warmup=0.0):
    """`n` calls at 20/s with times drawn once and for all."""
    rng = np.random.default_rng(1)
    targets = tuple(Target(provider="url", model=m, base_url="http://127.0.0.1:1") for m in models)
    rows = np.zeros(n, DTYPE)
    rows["due_s"] = np.arange(n) / 20
    rows["start_s"] = rows["due_s"] + rng.gamma(1, 1e-4, n)
    rows["first_s"] = rows["start_s"] + rng.lognormal(-3.5, 0.4, n) if streamed else np.nan
    rows["end_s"] = rows["start_s"] + rng.lognormal(-1.5, 0.3, n)
    rows["target"] = np.arange(n) % len(models)
    rows["flags"] = (Flag.STREAM if streamed else 0) | np.where(rows["due_s"] < warmup, 1, 0)
    bad = rng.random(n) < failed
    rows["error"][bad] = rng.choice([CODES["rate_limited"], CODES["server_error"]], bad.sum())
    found = Records(targets)
    found.extend(rows, np.zeros(0, GAP), np.zeros(n, np.int64))
    return found


def points(ax, label):
    (line,) = [line for line in ax.lines if str(line.get_label()).startswith(label)]
    return np.array(line.get_data()).T


def texts(ax):
    legend = ax.get_legend()
    labels = [text.get_text() for text in legend.get_texts()] if legend else []
    return [ax.get_title(loc="left"), *(text.get_text() for text in ax.texts), *labels]


@pytest.mark.parametrize("plot", PLOTS)
@pytest.mark.parametrize(
    ("n", "failed", "models"),
    [(0, 0.0, "a"), (0, 0.0, "ab"), (1, 0.0, "a"), (1, 2.0, "ab"), (2, 0.0, "ab"), (2, 2.0, "a"),
     (50, 0.0, "a"), (50, 2.0, "ab")],
)  # fmt: skip
def test_every_plot_draws_whatever_there_is(plot, n, failed, models):
    """No call to many, all ok or all failed, of one target or two: each beside each of the others."""
    png = picture.png(plot(calls(n, failed=failed, models=models)).figure)
    assert Image.open(io.BytesIO(png)).size == (860, 320)


@pytest.mark.parametrize("plot", PLOTS)
def test_a_plot_is_drawn_on_the_axes_it_is_given(plot):
    from matplotlib.figure import Figure

    ax = Figure().add_subplot()
    assert plot(calls(), ax=ax) is ax


def test_the_points_are_the_latencies_of_the_successful_calls_and_no_others():
    found = calls()
    ok = found.ok
    drawn = points(call_plots.plot_latency(found), "url/a")
    np.testing.assert_array_equal(drawn[:, 0], found["start_s"][ok])
    np.testing.assert_array_equal(drawn[:, 1], (found["end_s"] - found["start_s"])[ok])


def test_failures_are_marked_at_their_time_above_the_points():
    found = calls()
    ax = call_plots.plot_latency(found)
    crosses = points(ax, "failed")
    np.testing.assert_array_equal(crosses[:, 0], found["start_s"][~found.ok])
    assert crosses[:, 1].min() > points(ax, "url/a")[:, 1].max()


def test_a_rolling_line_is_the_percentile_of_its_calls():
    found = calls(failed=0.0)
    ax = call_plots.plot_latency(found)
    middles = points(ax, "p50")
    width = middles[1, 0] - middles[0, 0]
    latency = found["end_s"] - found["start_s"]
    for middle, level in middles:
        inside = np.abs(found["start_s"] - middle) < width / 2
        expected = np.quantile(latency[inside], 0.5, method="median_unbiased")
        assert level == pytest.approx(expected)


def test_the_ecdf_ends_at_one_and_rises_at_each_call():
    found = calls(failed=0.0)
    drawn = points(plot_ecdf(found), "url/a\n  latency")
    latency = np.sort(found["end_s"] - found["start_s"])
    np.testing.assert_array_equal(np.unique(drawn[:, 0]), np.unique(latency))
    assert drawn[-1, 1] == 1.0


def test_a_logarithmic_axis_has_ticks_to_read_it_by():
    ax = plot_ecdf(calls(failed=0.0))
    assert ax.get_xscale() == "log"
    ax.figure.draw_without_rendering()
    low, high = ax.get_xlim()
    said = [tick.get_text() for tick, x in zip(ax.get_xticklabels(), ax.get_xticks(), strict=True)
            if low <= x <= high]  # fmt: skip
    assert {"10", "20", "50", "100", "200"} <= set(said)


def test_errors_over_time_add_up_to_all_errors():
    found = calls()
    ax = call_plots.plot_errors(found)
    _, *kinds = (patch.get_data() for patch in ax.patches)
    assert sum((top - below).sum() for top, _, below in kinds) == sum(~found.ok)
    assert any("rate_limited" in text for text in texts(ax))
    assert "No failures in 600 calls" in texts(call_plots.plot_errors(calls(failed=0.0)))


def test_outliers_and_failures_tell_which_calls_they_are_in_a_lean_picture():
    found = calls()
    found["prompt_tokens"][:] = np.where(np.arange(600) % 3, np.arange(600) + 10, -1)
    took = np.where(found.ok, found["end_s"] - found["start_s"], 0)
    ttft = np.where(
        found.ok & (found["prompt_tokens"] >= 0), found["first_s"] - found["start_s"], 0
    )
    failed = np.flatnonzero(~found.ok)
    for plot, outlier, never in (
        (plot_ecdf, took.argmax(), failed[0]),
        (plot_sizes, ttft.argmax(), failed[found["prompt_tokens"][failed] >= 0][0]),
        (call_plots.plot_errors, None, None),
    ):
        svg = plot(found).figure.svg()
        told = re.findall("<title>(.*?)</title>", svg, re.DOTALL)
        for number in filter(None, (outlier, never)):
            moment = f"{found['start_s'][number]:.3f} s, call"
            assert sum(moment in title for title in told) >= 1, plot
        assert any("rate_limited" in title for title in told)
        assert (svg.count("<path") < 60, len(svg) < 120_000) == (True, True)


def test_calls_that_we_stopped_are_shown_and_are_not_said_to_have_failed():
    found = calls(failed=0.0)
    found["error"][500:] = CODES["cancelled"]
    title, *said = texts(call_plots.plot_errors(found))
    assert title == "No failures in 500 calls; 100 more stopped or never sent by us"
    assert "cancelled, n = 100" in said
    found["error"][:20] = CODES["server_error"]
    assert texts(call_plots.plot_errors(found))[0].startswith("20 of 500 calls failed; 100 more")


def test_what_was_not_measured_is_said():
    assert "not streamed: no TTFT" in texts(call_plots.plot_ttft(calls(streamed=False)))
    targets = (Target(provider="url", model="a", base_url="http://127.0.0.1:1"),)
    run = SimpleNamespace(
        records=calls(), plan=Plan(targets=targets, load=Closed(users=1), requests=600)
    )
    assert any("closed loop" in text for text in texts(call_plots.plot_schedule_delay(run)))


def test_the_warm_up_is_shaded_and_not_counted():
    ax = call_plots.plot_latency(calls(warmup=5.0, failed=0.0))
    assert "Latency of 500 successful calls" in texts(ax)
    assert "warm-up" in texts(ax)


def test_a_simulated_run_says_so():
    found = calls()
    found.rows["flags"] |= int(Flag.SIMULATED)
    for plot in PLOTS:
        assert "(simulated)" in texts(plot(found))[0]


def test_long_names_that_differ_at_their_end_stay_two():
    found = calls(models=("x" * 80 + "-fp8", "x" * 80 + "-fp16"), failed=0.0)
    names = [text for text in texts(call_plots.plot_latency(found)) if ", n = " in text]
    assert len(set(names)) == 2


@pytest.mark.parametrize("plot", PLOTS)
@pytest.mark.parametrize("n", [call_plots.FEW, 8], ids=["few", "many"])
def test_no_legend_is_cut_however_many_targets(plot, n):
    figure = plot(calls(models=tuple(f"{'x' * 50}-{i}" for i in range(n)))).figure
    figure.draw_without_rendering()
    legend = figure.axes[0].get_legend().get_window_extent()
    assert legend.y0 >= 0
    assert legend.y1 <= figure.bbox.y1
    assert legend.x1 <= figure.bbox.x1 + 1
    assert figure.axes[0].get_window_extent().width > figure.bbox.width / 3


def test_names_from_outside_are_text():
    found = calls(models=("$x^2$ \u202eevil", "b"))
    labels = texts(call_plots.plot_latency(found))
    assert any("$x^2$ <U+202E>evil" in label for label in labels)
    assert picture.png(call_plots.plot_latency(found).figure)


@pytest.fixture(scope="module")
def many_calls():
    return calls(100_000)


@pytest.mark.parametrize("plot", PLOTS)
def test_many_calls_are_a_small_picture_with_the_extremes_in_it(plot, many_calls):
    found = many_calls
    slowest = int(np.argmax(np.where(found.ok, found["end_s"] - found["start_s"], 0)))
    ax = plot(found)
    assert sum(len(line.get_xdata()) for line in ax.lines) < 60_000
    assert len(picture.png(ax.figure)) < 300_000
    if plot is call_plots.plot_latency:
        assert found["start_s"][slowest] in points(ax, "url/a")[:, 0]


@pytest.mark.parametrize("burst", [0, 150], ids=["even", "a burst"])
def test_thinned_points_hold_the_slowest_of_every_moment_and_all_of_the_slowest_calls(burst):
    rng = np.random.default_rng(2)
    t, y = np.sort(rng.random(100_000)) * 100, rng.lognormal(size=100_000)
    y[:burst] += 1e3
    kept = set(thinned(t, y, one_in(len(t))).tolist())
    assert len(kept) < 20_000
    assert set(np.argsort(y)[-200:].tolist()) <= kept
    for moment in range(100):
        inside = np.nonzero((t >= moment) & (t < moment + 1))[0]
        assert inside[np.argmax(y[inside])] in kept


def test_points_thin_out_without_a_gap_that_the_data_do_not_have():
    """The highest of each moment far above a sample of the rest would look like two kinds of calls."""
    y = np.random.default_rng(2).exponential(size=500_000)
    levels = np.sort(y[thinned(np.arange(500_000.0), y, one_in(500_000))])
    assert np.diff(levels[:-5]).max() < 0.3


def test_a_strip_of_failures_is_dark_where_many_are_and_shows_each_one_that_stands_alone():
    found = calls(100_000, failed=0.0)
    found.rows["error"][50_000:60_000] = CODES["server_error"]
    found.rows["error"][7] = CODES["server_error"]
    ax = call_plots.plot_latency(found)
    (strip,) = ax.collections
    at, dark = strip.get_offsets()[:, 0], strip.get_facecolor()[:, 3]
    assert at[0] == pytest.approx(found["start_s"][7], abs=20)
    assert (at[1:] > 2480).all()
    assert (at[1:] < 3020).all()
    assert dark[0] < 0.2
    assert dark[2:-2].min() > 0.9
    assert any("failed, n = 10,001" in text for text in texts(ax))


@pytest.mark.parametrize(
    "what",
    [
        constant(20), poisson(5), ramp(1, 50, 10), steps((5, 20), 2), spike(5, 50, at=3, seconds=1),
        sine(10, 5, 4), constant(20).arriving("gamma", cv=3), Replay((0.0, 0.5, 0.6, 2.0)),
        Plan(targets=(Target(provider="url", model="a", base_url="http://127.0.0.1:1"),) * 1,
             load=Open(ramp(1, 50, 10)), warmup_s=2),
        Plan(targets=(Target(provider="url", model="a", base_url="http://127.0.0.1:1"),),
             load=Closed(users=3), requests=10),
    ],
)  # fmt: skip
def test_any_schedule_can_be_drawn_before_it_runs(what):
    png = picture.png(plot_arrivals(what).figure)
    assert Image.open(io.BytesIO(png)).size == (860, 320)


def test_the_planned_rate_is_drawn_as_it_was_asked_for():
    ax = plot_arrivals(ramp(0, 40, 10))
    (wanted,) = [line for line in ax.lines if line.get_label() == "wanted rate"]
    assert set(zip(*wanted.get_data(), strict=True)) == {(0, 0), (10, 40)}
    (due,) = [patch for patch in ax.patches if patch.get_label().startswith("due")]
    heights, edges, _ = due.get_data()
    assert (heights * np.diff(edges)).sum() == pytest.approx(200, abs=1)


@pytest.mark.parametrize("seconds", [0.05, 0.5, 4.0, 5.0, 6.1, 59.0])
def test_an_even_rate_is_even_to_the_end_of_the_run(seconds):
    plan = Plan(targets=(Target(provider="sim", model="m"),), load=Open(constant(20)),
                duration_s=seconds)  # fmt: skip
    heights, edges, _ = plot_arrivals(plan).patches[0].get_data()
    assert edges[-1] == seconds
    assert heights == pytest.approx(np.full(len(heights), 20.0), rel=0.05)


def test_what_was_sent_is_drawn_over_what_was_planned():
    found = calls(400)
    found._rows["start_s"][:5] = np.nan
    ax = plot_arrivals(found)
    assert {"sent, n = 395", "not sent, n = 5"} <= set(texts(ax))
    (sent,) = [patch for patch in ax.patches if patch.get_label().startswith("sent")]
    heights, edges, _ = sent.get_data()
    assert (heights * np.diff(edges)).sum() == pytest.approx(395, abs=3)


def test_the_schedule_of_a_run_is_drawn_beside_what_was_sent(tmp_path):
    """Of a run that was measured, as users have it: planned and sent; its records alone know no plan."""
    plan = hm.Plan(targets=(hm.target("sim/fast"),), load=hm.Open(constant(40)), duration_s=1.0,
                   prompts=hm.Prompts(max_tokens=1))  # fmt: skip
    run = hm.measure(plan, out=tmp_path)
    ax = hm.plot_arrivals(run)
    assert {"due, n = 40", "sent, n = 40", "wanted rate"} <= set(texts(ax))
    alone = set(texts(hm.plot_arrivals(run.records)))
    assert {"due, n = 40", "sent, n = 40"} <= alone
    assert "wanted rate" not in alone


@pytest.mark.parametrize("what", [[], None, "sim/fast", 3.0, Target(provider="sim", model="m")])
def test_what_has_no_schedule_is_refused_in_one_sentence(what):
    with pytest.raises(
        PlanError, match=f"^plot_arrivals takes a plan.*not {type(what).__name__}.$"
    ):
        plot_arrivals(what)


def test_a_run_will_do_for_its_records():
    class Run:
        records = calls(20)

    for plot in PLOTS:
        labels = texts(plot(Run()))
        assert labels == texts(plot(Run.records))
        with pytest.raises(PlanError, match="takes a run or its records, not list"):
            plot([])
