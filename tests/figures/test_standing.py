"""Best and worst are named only where an interval lies apart from all others."""

from math import inf

import pytest

from holymon.figures.standing import standing


@pytest.mark.parametrize(
    ("ends", "places"),
    [
        ([(1, 2), (3, 4), (5, 6)], ["best", "", "worst"]),
        ([(1, 3), (2, 4), (5, 6)], ["", "", "worst"]),
        ([(1, 3), (2, 4), (3, 6)], ["", "", ""]),
        ([(5, 6), None, (1, 2)], ["worst", "", "best"]),
        ([(inf, inf), (1, 2), (1, 2)], ["worst", "", ""]),
        ([(inf, inf), (inf, inf)], ["", ""]),
        ([(1, 2), None], ["", ""]),
        ([], []),
    ],
)
def test_a_place_needs_an_interval_apart_from_all_others(ends, places):
    assert standing(ends) == places
