"""A model is told from itself as seldom as is said, and from another one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holymon.figures.fingerprint import FEWEST, fingerprints

LEVEL = 0.04
LISTS = st.lists(st.sampled_from("abcd"), min_size=FEWEST, max_size=40)


def choices(rng, shares, n=40):
    return [[str(word) for word in rng.choice(len(p), n, p=p)] for p in shares]


MODEL = [[0.7, 0.3], [0.5, 0.3, 0.15, 0.05], [0.3, 0.2, 0.2, 0.1, 0.1, 0.1], [0.9, 0.05, 0.05]]


def test_a_model_is_told_from_itself_in_as_many_cases_as_is_said(monkeypatch):
    """Exact for any number of exchanges: of 200 comparisons with a chance of 4 %, 17 are too many."""
    monkeypatch.setattr("holymon.figures.fingerprint.EXCHANGES", 199)
    monkeypatch.setattr("holymon.figures.fingerprint.SHARES", ())
    rng = np.random.default_rng(5)
    pairs = [[*zip(choices(rng, MODEL), choices(rng, MODEL), strict=True)] for _ in range(200)]
    assert sum(fingerprints(both, LEVEL).p <= LEVEL for both in pairs) < 17


@pytest.mark.parametrize("moved", [0.3, 0.6])
def test_another_model_is_noticed_where_it_was_said_that_it_would_be(moved):
    rng = np.random.default_rng(6)
    other = [[p[0] * (1 - moved), p[1] + p[0] * moved, *p[2:]] for p in MODEL]
    result = fingerprints([*zip(choices(rng, MODEL), choices(rng, other), strict=True)], LEVEL)
    assert result.p <= LEVEL
    assert result.n == (160, 160)
    assert 0.05 < result.moved < moved


@settings(max_examples=6)
@given(st.lists(st.tuples(LISTS, LISTS), min_size=1, max_size=3))
def test_it_does_not_matter_who_is_first_nor_in_which_order_answers_came(pairs):
    straight = fingerprints(pairs, LEVEL)
    turned = fingerprints([(a[::-1], sorted(b)) for a, b in pairs], LEVEL)
    assert straight == turned
    swapped = fingerprints([(b, a) for a, b in pairs], LEVEL)
    assert swapped.p == pytest.approx(straight.p, abs=0.05)
    assert 0 < straight.p <= 1
    assert 0 <= straight.moved <= 1


@settings(max_examples=6)
@given(LISTS)
def test_the_same_answers_are_no_difference(words):
    result = fingerprints([(words, words)], LEVEL)
    assert (result.p, result.moved) == (1.0, 0.0)


def test_too_few_choices_say_nothing():
    assert fingerprints([(["a"] * 9, ["b"] * 9)], LEVEL).p is None
    few = fingerprints([(["a", "b"] * 5, ["a", "b"] * 5)], LEVEL)
    many = fingerprints([(["a", "b"] * 50, ["a", "b"] * 50)] * 4, LEVEL)
    assert many.noticed < (few.noticed or 1)
