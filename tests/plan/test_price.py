"""What calls can cost at most."""

import pytest

from holymon.plan.price import Price, most


def test_the_most_that_calls_can_cost():
    price = Price(input=1.0, output=10.0)
    assert most(price, 1000, 100, 64) == pytest.approx(1000 * (100 + 640) / 1e6)
    assert most(Price(output=1.0), 1, 1, 1) is None
