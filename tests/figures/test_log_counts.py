"""Durations in bins: they add up, and percentiles are where those of the raw values are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holymon.figures.log_counts import (
    BINS,
    bin_of,
    counts_of,
    design_effect,
    edges,
    figure_of,
    text_of,
    with_more,
)

durations = st.lists(st.floats(0, 1e7), max_size=40)


@settings(max_examples=30, deadline=None)
@given(durations, durations)
def test_counts_add_up_and_survive_their_text(some, more):
    text = with_more(with_more("", some), more)
    counts = counts_of(text)
    assert counts.sum() == len(some) + len(more)
    assert text_of(counts) == text == text_of(counts_of(with_more("", more), with_more("", some)))
    for value in some:
        low, high = edges(bin_of(value))
        assert low * 0.999 <= value
        assert value <= high * 1.001 or bin_of(value) == BINS - 1


@pytest.mark.parametrize("text", ["x", "1", "1:x", "-1:2", "3:-1"])
def test_what_is_no_counts_is_a_value_error(text):
    with pytest.raises(ValueError, match=r".+"):
        counts_of(text)


def test_what_lies_beyond_the_last_bin_is_in_it():
    assert counts_of("500:1", "1:2 399:1")[-1] == 2


def test_percentiles_are_within_a_bin_and_their_intervals_hold_the_truth():
    rng = np.random.default_rng(1)
    parts = [with_more("", rng.lognormal(0, 0.5, 200)) for _ in range(20)]
    made = figure_of(parts)
    assert made.n == 4000
    for name, z in (("p50", 0.0), ("p95", 1.6449)):
        truth = np.exp(0.5 * z)
        assert getattr(made, name) == pytest.approx(truth, rel=0.05)
        low, high = made.ci[name]
        assert low < truth < high < 1.2 * low
    assert figure_of([]).n == figure_of([""]).n == 0
    assert figure_of([with_more("", [1.0] * 5)]).p95 is None


def test_calls_of_one_moment_that_are_alike_count_as_fewer():
    sizes = np.full(20, 100.0)
    even, bursts = np.full(20, 5.0), np.array([100.0] + [0.0] * 19)
    assert design_effect(even, sizes) == 1.0
    assert design_effect(bursts, sizes) > 50
