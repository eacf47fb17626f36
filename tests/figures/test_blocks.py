"""How one run is cut into blocks of time, and what a comparison says of its own limits."""

import numpy as np
import pytest

from holymon.figures.blocks import blocks
from holymon.figures.comparison import compare_pairs
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


def couples(n, *, drift=0.0, m=None):
    """Two targets whose k-th calls lie up to `drift` seconds apart; `n` and `m` calls of them."""
    first, second = np.arange(n), np.arange(n if m is None else m)
    a = rows(np.full(len(first), 0.1), 0, first / 10)
    b = rows(np.full(len(second), 0.2), 1, second / 10 + drift * second / max(second[-1], 1))
    a["request"], b["request"] = 2 * first, 2 * second + 1
    return records(a, b)


def test_blocks_of_scheduled_calls_hold_couples():
    for made in (couples(400), couples(400, drift=3.0)):
        found = blocks(made, 0, 1, scheduled=True)
        for a, b in found:
            assert sorted(a["request"] // 2) == sorted(b["request"] // 2)
            assert (a["target"].max(), b["target"].min()) == (0, 1)
        assert sum(len(a) for a, _ in found) == 400, "nothing that has a counterpart is lost"
    assert len(blocks(couples(29), 0, 1, scheduled=True)) == 0


def test_calls_without_a_counterpart_go_with_those_of_their_time():
    made = couples(400, drift=-5.0, m=420)  # 42 s and 37: 20 calls more came in less time
    found = blocks(made, 0, 1, scheduled=True)
    assert sum(len(a) for a, _ in found) == 400
    assert sum(len(b) for _, b in found) == 420, "a comparison is of the same calls as a summary"
    assert [len(b) > len(a) for a, b in found] == [False] * (len(found) - 1) + [True]


def test_calls_after_the_end_of_the_other_target_are_not_compared():
    (*_, (a, b)) = found = blocks(couples(400, m=350), 0, 1, scheduled=True)
    assert sum(len(one) for _, one in found) == 350
    assert 0 < a["due_s"].max() - b["due_s"].max() < 2, "half a block's time, not the 5 s"


@pytest.mark.parametrize(("drift", "many"), [(0.0, 20), (3.0, 20), (10.0, 7), (60.0, 5)])
def test_there_are_fewer_blocks_where_couples_lie_apart(drift, many):
    """Of 70 s and less, and couples that lie half the drift apart on the average."""
    found = blocks(couples(700, drift=drift), 0, 1, scheduled=True)
    assert len(found) == many
    ends = [a["due_s"].max() for a, _ in found]
    assert ends == sorted(ends)


def test_runs_of_earlier_versions_are_cut_as_they_were():
    made = couples(400)
    numbers = np.argsort(np.argsort(made["due_s"], kind="stable"), kind="stable")
    made.rows["request"] = np.where(numbers % 4 < 2, numbers, numbers ^ 1)
    old = [(len(a), len(b)) for a, b in blocks(made, 0, 1, scheduled=True)]
    assert old == [(len(a), len(b)) for a, b in blocks(made, 0, 1)]
    only = blocks(made, 0, 1, scheduled=True)[0][0]
    assert not (only["request"] % 2 == 0).all()


def test_without_calls_of_both_there_are_no_blocks():
    only = records(rows(np.full(100, 0.1), 0, np.arange(100.0)))
    assert blocks(only, 0, 1) == blocks(only, 0, 1, scheduled=True) == []
    never = couples(100)
    never.rows["request"][:100] += 1000
    assert blocks(never, 0, 1, scheduled=True) == []


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
