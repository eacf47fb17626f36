"""Gaps packed into 16 bits are the gaps that came, however many shared a bin."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from holymon.records import gaps
from holymon.records.attempt import GAP, GAP_BINS

some = st.lists(st.tuples(st.integers(0, GAP_BINS - 1), st.integers(0, 100) | st.just(65535)))


@given(st.lists(some, max_size=5))
def test_packed_gaps_are_those_that_came_row_by_row(rows):
    pairs = np.array([pair for row in rows for pair in row], GAP)
    pieces, each = gaps.packed(pairs)
    lengths = np.array([len(row) for row in rows], np.int64)
    lengths = lengths if each is None else gaps.sums(each, lengths)
    assert lengths.sum() == len(pieces)
    bins = (0, 1, 700, 1500, 3999, 4095)
    known = [[sum(n for number, n in row if number <= here) for row in rows] for here in bins]
    most = max([sum(n for _, n in row) for row in rows], default=0)
    upto = gaps.sums_upto(pieces, lengths, bins, most)
    assert [each.tolist() for each in upto] == known
    for row, part in zip(rows, np.split(pieces, lengths.cumsum()[:-1]), strict=False):
        wanted = np.zeros(4096, np.int64)
        for number, n in row:
            wanted[number] += n
        np.testing.assert_array_equal(gaps.histogram(part), wanted)
        again = np.bincount(gaps.bins_of(part), gaps.counts_of(part), minlength=4096)
        np.testing.assert_array_equal(again, wanted)


@given(st.lists(st.lists(st.integers(0, 255), max_size=4)))
def test_sums_of_stretches_are_right_also_of_empty_ones(rows):
    values = np.array([value for row in rows for value in row], np.uint8)
    lengths = np.array([len(row) for row in rows], np.uint32)
    assert gaps.sums(values, lengths).tolist() == [sum(row) for row in rows]


def test_a_bin_that_no_gap_can_have_is_the_last():
    pieces, _ = gaps.packed(np.array([(60000, 2)], GAP))
    assert gaps.histogram(pieces)[4095] == 2
