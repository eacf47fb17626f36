"""Numbers as people read them."""

import pytest

from holymon.formatting import percent, rounded


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0 %"), (0.00012, "0.012 %"), (0.994, "99 %"), (0.9995, "99.95 %"), (0.99997, "99.997 %"),
     (1 - 1e-7, "99.99999 %"), (1, "100 %")],
)  # fmt: skip
def test_only_all_is_said_to_be_100_percent(share, text):
    assert percent(share) == text


@pytest.mark.parametrize("value", [999.6, 1234.5, 9999.4, 9999.6, 12345.0, 3e7])
def test_no_number_is_shown_as_a_power_of_ten(value):
    assert float(rounded(value).replace(",", "")) == pytest.approx(value, rel=1e-3)
    assert "e" not in rounded(value) + rounded(value, 3)
