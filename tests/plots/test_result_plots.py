"""Pictures of what was found show the figures that were found, and the decision notebooks run."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.colors import same_color

import holymon as hm
from holymon.experiments.capacity import Capacity, LoadLevel
from holymon.plots.canvas import COLORS, styled
from holymon.plots.picture import png
from holymon.plots.tornado_plot import tornado
from tests.figures.test_comparison import alternated

PNG = b"\x89PNG"


def level(rate, met, goodput):
    return LoadLevel(
        rate=rate, seconds=10, took_s=11, calls=100, met=met, sure=True, answers_per_s=rate * 0.9,
        goodput_per_s=goodput, cost_usd=None, words=(), run_id="r",
    )  # fmt: skip


def line(ax, label):
    return next(one for one in ax.get_lines() if one.get_label().startswith(label))


def test_goodput_and_answers_are_drawn_against_the_wanted_rate():
    levels = (level(10, True, 9.0), level(40, False, 3.0), level(20, None, None))
    found = Capacity("sim/<$x$>", ("ttft_p95<1",), levels, "found", simulated=True)
    ax = hm.plot_capacity(found)
    assert list(line(ax, "answers").get_xdata()) == [10, 20, 40]
    assert list(line(ax, "answers").get_ydata()) == [9, 18, 36]
    assert list(line(ax, "goodput").get_ydata())[::2] == [9, 3]
    for label, rate in (("met", 10), ("missed", 40), ("not valid", 20)):
        assert list(line(ax, label).get_xdata()) == [rate]
    (band,) = [one for one in ax.patches if one.get_label() == "between met and missed"]
    assert (band.get_x(), band.get_x() + band.get_width()) == (10, 40)
    assert ax.get_title(loc="left") == "sim/<$x$>: met up to 10 calls/s (simulated)"
    assert png(ax.figure).startswith(PNG)


def test_the_limit_itself_is_drawn_where_the_levels_near_it_say():
    shares = {"ttft_p95<1": (0.02, 0.05)}, {"ttft_p95<1": (0.04, 0.05)}, {"ttft_p95<1": (0.2, 0.05)}
    levels = (replace(level(18, True, 9.0), shares=shares[0], sure=False),
              replace(level(20, True, 9.0), shares=shares[1], sure=False),
              replace(level(22, False, 3.0), shares=shares[2]))  # fmt: skip
    found = Capacity("x/y", ("ttft_p95<1",), levels, "found", simulated=False)
    assert 19 < found.about < 21
    assert set(line(hm.plot_capacity(found), "limit, about").get_xdata()) == {found.about}


def test_a_search_without_a_level_says_so():
    ax = hm.plot_capacity(Capacity("x/y", ("ttft_p95<1",), (), "interrupted", simulated=False))
    assert [text.get_text() for text in ax.texts] == ["no level was measured"]


def test_work_that_is_never_earned_back_is_a_sentence_without_a_frame():
    bar = SimpleNamespace(name="calls", low="1", high="2", at_low=None, at_high=None)
    saving = SimpleNamespace(bars=(bar,), break_even=None)
    sheet = SimpleNamespace(best=SimpleNamespace(name="x/y", saving=saving), simulated=False,
                            move=SimpleNamespace(one_off=5000))  # fmt: skip
    ax = styled(lambda axes: tornado(sheet, axes), None)
    assert [text.get_text() for text in ax.texts] == ["the work of moving is never earned back"]
    assert not any(spine.get_visible() for spine in ax.spines.values())
    assert ax.figure.get_figheight() < 1


@pytest.mark.parametrize(("shift", "color"), [(1.0, COLORS[0]), (3.0, COLORS[1])])
def test_each_ratio_is_drawn_with_its_interval_and_its_result(shift, color):
    found = alternated(np.random.default_rng(7), rho=0.3, shift=shift)
    ax = hm.plot_comparison(found)
    drawn = [one for one in ax.get_lines() if one.get_marker() == "o"]
    assert [one.get_xdata()[0] for one in drawn] == [one.ratio for one in found.ratios]
    assert all(same_color(one.get_color(), color) for one in drawn)
    spans = [tuple(one.get_xdata()) for one in ax.get_lines() if one.get_linewidth() == 2.4]
    assert spans == [one.interval for one in found.ratios]
    assert [text.get_text() for text in ax.texts] == [one.result for one in found.ratios]
    assert png(ax.figure).startswith(PNG)


def test_two_runs_can_be_laid_over_one_another(tmp_path):
    plan = hm.Plan(
        targets=(hm.target("sim/fast"),), load=hm.Closed(users=4), requests=20,
        prompts=hm.Prompts(max_tokens=2), name="first",
    )  # fmt: skip
    one, two = hm.alternate(plan, plan, pairs=1, out=tmp_path)
    ax = hm.plot_ecdf(one[0], two[0])
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert len(labels) == 4
    assert all(label.startswith("first: sim/fast") for label in labels)


def test_the_comparison_notebook_runs_from_top_to_bottom(tmp_path):
    made = hm.write_report(
        "compare", out=tmp_path, parameters={"duration_s": 4.0, "rate": 45.0, "out": str(tmp_path)}
    )
    assert (made.status, made.error) == ("ok", "")
    page = made.html.read_text()
    assert page.count('<svg class="picture"') == 4
    for piece in ("rate_limited", "times as much", "5 pairs"):
        assert piece in page
    # On a busy machine the client may be the limit, and then nothing is to be claimed.
    assert "a difference is shown" in page or " is invalid: " in page


def test_the_capacity_notebook_runs_from_top_to_bottom(tmp_path):
    made = hm.write_report(
        "capacity", out=tmp_path,
        parameters={"seconds": 1.0, "budget_s": 10.0, "start": 30.0, "out": str(tmp_path)},
    )  # fmt: skip
    assert (made.status, made.error) == ("ok", "")
    page = made.html.read_text()
    assert page.count('<svg class="picture"') == 1
    assert "the search ended" in page
    assert "30 calls/s" in page
