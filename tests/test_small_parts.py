"""The small pure parts: the vocabulary of errors, prices, units, and the client's vitals."""

import numpy as np
import pytest

from holymon.errors import CODES, ERRORS, NAMES, from_status
from holymon.figures.cost import costs
from holymon.formatting import percent, rounded
from holymon.plan.plan import Price
from holymon.plan.price import most
from holymon.records import client_health
from holymon.records.attempt import DTYPE, Flag


def test_every_error_has_blame_a_meaning_and_a_code():
    assert len(ERRORS) == 47
    assert len(NAMES) == len(set(NAMES)) == 48
    for name, error in ERRORS.items():
        assert error.blame in {"client", "caller", "network", "server"}
        assert error.retryable in {"yes", "no", "ambiguous"}
        assert error.meaning
        assert NAMES[CODES[name]] == name


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [(200, "", ""), (400, "", "bad_request"), (401, "", "authentication"), (429, "", "rate_limited"),
     (429, "insufficient_quota", "quota_exhausted"), (402, "", "quota_exhausted"),
     (418, "", "http_4xx"), (500, "", "server_error"), (529, "", "overloaded"),
     (599, "", "http_5xx"), (204, "", "unexpected_status"), (307, "", "unexpected_status"),
     (101, "", "unexpected_status"), (999, "", "unexpected_status")],
)  # fmt: skip
def test_every_status_has_its_error(status, code, expected):
    assert from_status(status, code) == expected
    assert expected == "" or expected in ERRORS


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


def test_the_most_that_calls_can_cost():
    price = Price(input=1.0, output=10.0)
    assert most(price, 1000, 100, 64) == pytest.approx(1000 * (100 + 640) / 1e6)
    assert most(Price(output=1.0), 1, 1, 1) is None


def test_a_row_with_unknown_tokens_has_no_known_cost():
    rows = np.zeros(3, DTYPE)
    rows["prompt_tokens"], rows["output_tokens"], rows["cached_tokens"] = 10, 10, -1
    rows["flags"] = [Flag.SERVER_TOKENS, 0, 0]
    rows["error"] = [0, 0, CODES["rate_limited"]]
    found = costs(rows, Price(input=1.0, output=1.0))
    np.testing.assert_array_equal(found, [20 / 1e6, np.nan, 0.0])


def test_vitals_come_back_from_their_lines_and_torn_ones_are_passed_over():
    lines = [client_health.line(1.0, [0.001, 0.002], 0.5, float("nan"), 0.01, 3, 50.0),
             client_health.line(2.0, [0.003], 0.7, 0.2, 0.0, 4, 51.0), b'{"t": 3.0, "la', b"[]", b"{}"]  # fmt: skip
    found = client_health.read(lines)
    assert found.lag_s.tolist() == [0.001, 0.002, 0.003]
    assert found.cpu.tolist() == [0.5, 0.7]
    assert found.to_dict()["cpu_max"] == 0.7
    assert found.lag(0.5) == pytest.approx(0.002)


def test_a_client_that_noted_nothing_has_no_figures():
    assert set(client_health.read([]).to_dict().values()) == {None}
