"""How one run is cut into blocks of time, and what a comparison says of its own limits."""

import numpy as np
import pytest

from holymon.figures.comparison import blocks, compare_pairs
from holymon.records.attempt import Flag
from tests.figures.test_comparison import latencies, records, rows


def run(n, *, late=0.0, m=None):
    """Two targets, called in turn, ten times a second each; `n` calls of one, `m` of the other."""
    due = np.arange(n) / 10
    other = np.arange(n if m is None else m) / 10 + 0.05 + late
    return records(rows(np.full(n, 0.1), 0, due), rows(np.full(len(other), 0.2), 1, other))


@pytest.mark.parametrize(
    ("n", "many"), [(29, 0), (31, 1), (150, 4), (151, 5), (601, 20), (5000, 20)]
)
def test_blocks_have_thirty_calls_of_each_target_and_are_twenty_at_most(n, many):
    found = blocks(run(n), 0, 1)
    assert len(found) == many
    assert all(min(len(a), len(b)) >= 29 for a, b in found)


def test_blocks_are_of_the_time_in_which_both_were_called():
    found = blocks(run(400, late=10.0), 0, 1)
    assert len(found) == 299 // 30
    assert min(a["due_s"].min() for a, _ in found) == pytest.approx(10.1, abs=0.051)
    assert max(a["due_s"].max() for a, _ in found) == pytest.approx(39.9, abs=0.051)
    assert min(b["due_s"].min() for _, b in found) == pytest.approx(10.05, abs=0.051)
    assert max(b["due_s"].max() for _, b in found) == pytest.approx(39.85, abs=0.051)
    short = blocks(run(400, m=100), 0, 1)
    assert len(short) == 3
    assert max(a["due_s"].max() for a, _ in short) <= 9.95


def test_blocks_are_as_long_as_they_have_calls():
    sizes = [(len(a), len(b)) for a, b in blocks(run(401), 0, 1)]
    assert len(sizes) == 13
    assert max(map(max, sizes)) - min(map(min, sizes)) <= 2
    assert blocks(run(400), 0, 1)[0][0]["target"].max() == 0
    assert blocks(run(400), 1, 0)[0][0]["target"].min() == 1, "in the order that was asked for"


def test_without_calls_of_both_there_are_no_blocks():
    only = records(rows(np.full(100, 0.1), 0, np.arange(100.0)))
    assert blocks(only, 0, 1) == []


@pytest.mark.parametrize(("n", "pairs"), [(149, 4), (152, 5)])
def test_a_run_of_few_blocks_says_how_many_calls_it_takes(n, pairs):
    compared = compare_pairs(blocks(run(n), 0, 1), one_run=True)
    assert compared.pairs == pairs
    assert bool(compared.notes) == (pairs < 5)
    if compared.notes:
        assert compared.notes == (
            "the run is too short to compare its targets: it takes 5 blocks of time with 30 calls of "
            "each, so at least 150 calls of each target.",
        )


def test_blocks_that_follow_one_another_are_said_to_be_alike_from_three_tenths_on():
    rng, said, found = np.random.default_rng(3), [], []
    for rho in np.linspace(0, 0.99, 12):
        due = np.arange(1200) / 20
        made = records(*(rows(latencies(rng, 600, rho), k, due[k::2]) for k in (0, 1)))
        compared = compare_pairs(blocks(made, 0, 1), one_run=True)
        said.append(bool(compared.cautions))
        found.append(max(ratio.autocorrelation for ratio in compared.ratios))
    assert said == [most >= 0.3 for most in found]
    assert True in said
    assert False in said


def test_a_good_answer_costs_what_all_calls_cost():
    def pair(fails):
        made = rows(np.full(100, 0.5), 1, np.arange(100.0))
        made["error"][:fails] = 3
        return records(rows(np.full(100, 0.5), 0, np.arange(100.0))), records(made)

    assert compare_pairs([pair(20)] * 5).cost_ratio == pytest.approx(100 / 80)
    assert compare_pairs([pair(100)] * 5).cost_ratio is None
    line = "a good answer of B costs 1.25 times as much as one of A"
    assert line in compare_pairs([pair(20)]).table.notes
    assert not any("costs" in text for text in compare_pairs([pair(100)]).table.notes)


def test_a_target_whose_calls_were_all_warm_up_is_still_the_one_that_is_compared():
    warm = rows(np.full(100, 0.5), 0, np.arange(100.0))
    warm["flags"] |= np.uint16(Flag.WARMUP)
    compared = compare_pairs(
        [(records(warm), records(rows(np.full(100, 0.5), 1, np.arange(100.0))))]
    )
    assert (compared.a, compared.b) == ("p/a", "p/b")
