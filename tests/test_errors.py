"""The closed vocabulary of errors: each has blame and meaning, and every status one of them."""

import pytest

from holymon.errors import CODES, ERRORS, NAMES, from_status


def test_every_error_has_blame_a_meaning_and_a_code():
    assert len(ERRORS) == 47
    assert len(NAMES) == len(set(NAMES)) == 48
    for name, error in ERRORS.items():
        assert error.blame in {"client", "caller", "network", "server"}
        assert error.retryable in {"yes", "no", "ambiguous"}
        assert error.meaning
        assert NAMES[CODES[name]] == name


@pytest.mark.parametrize(
    ("status", "expected"),
    [(200, ""), (400, "bad_request"), (401, "authentication"), (429, "rate_limited"),
     (402, "quota_exhausted"), (418, "http_4xx"), (500, "server_error"), (529, "overloaded"),
     (599, "http_5xx"), (204, "unexpected_status"), (307, "unexpected_status"),
     (101, "unexpected_status"), (999, "unexpected_status")],
)  # fmt: skip
def test_every_status_has_its_error(status, expected):
    assert from_status(status) == expected
    assert expected == "" or expected in ERRORS
