"""The limit of a search is estimated from all levels near it."""

import math
from dataclasses import replace

import pytest

from holymon.experiments.crossing import Level, crossing
from tests.experiments.test_capacity import SLO, Bounds, searched

RATES = (36, 42, 46, 50, 55, 62)


def on_a_line(rates, limit, allowed=0.05, slope=12.0, name="a", seconds=10.0):
    """Levels whose log odds rise straight with the log of the rate, up to `allowed` at `limit`."""
    begin = math.log(allowed / (1 - allowed))
    odds = [math.exp(begin + slope * math.log(rate / limit)) for rate in rates]
    return [Level(rate, seconds, {name: (o / (1 + o), allowed)})
            for rate, o in zip(rates, odds, strict=True)]  # fmt: skip


@pytest.mark.parametrize("allowed", [0.01, 0.05, 0.5])
def test_levels_on_a_line_have_their_limit_where_it_passes_what_is_allowed(allowed):
    levels = on_a_line(RATES, 48.0, allowed, slope=6.0)
    assert crossing(levels, 50.0) == pytest.approx(48.0)
    assert crossing([*levels, Level(300, 10, {"a": (1.0, allowed)})], 50.0) == pytest.approx(48.0)


def test_one_level_that_was_lucky_moves_it_little():
    levels = on_a_line(RATES, 48.0)
    levels[3] = levels[3]._replace(shares={"a": (0.04, 0.05)})  # 50 is over the limit, and met it
    middle = math.sqrt(50 * 55)
    assert abs(crossing(levels, middle) - 48) < (middle - 48) / 2


def test_of_several_objectives_the_first_that_is_missed_is_the_limit():
    both = [
        Level(a.rate, a.seconds, {**a.shares, **b.shares})
        for a, b in zip(on_a_line(RATES, 48.0), on_a_line(RATES, 45.0, name="b"), strict=True)
    ]
    assert crossing(both, 48.0) == pytest.approx(45.0)


def test_too_few_levels_or_those_that_do_not_rise_make_no_line():
    assert crossing(on_a_line((46, 50), 48.0), 48.0) is None
    assert crossing(on_a_line((46, 46, 50), 48.0), 48.0) is None
    assert crossing(on_a_line(RATES, 48.0, slope=-3.0), 48.0) is None
    assert crossing([], 48.0) is None


def test_a_search_says_about_where_its_limit_is_and_never_beyond_what_is_certain():
    found = searched(Bounds(SLO, start=1, budget_s=6e5), lambda rate, _: (rate <= 48, True))
    assert found.about is None
    assert "What lies between the two is not known." in str(found)
    shares = {level.rate: level.shares for level in on_a_line(
        [level.rate for level in found.levels], 40.0, name=SLO[0])}  # fmt: skip
    levels = tuple(replace(level, shares=shares[level.rate]) for level in found.levels)
    told = replace(found, levels=levels)
    assert told.about == told.surely_met.rate == found.best.rate
    assert f"the limit is at about {told.about:.3g} calls/s" in str(told)
    assert told.verdict.endswith(f"; the limit is at about {told.about:.3g} calls/s")
    assert told.to_dict()["limit_about_per_s"] == told.about
