"""How the client was doing, written a line a second and read again."""

import pytest

from holymon.records import client_health


def test_vitals_come_back_from_their_lines_and_torn_ones_are_passed_over():
    lines = [client_health.line(1.0, [0.001, 0.002], 0.5, float("nan"), float("nan"), 0.01, 3, 50.0),
             client_health.line(2.0, [0.003], 0.7, 0.2, 0.002, 0.0, 4, 51.0), b'{"t": 3.0, "la', b"[]", b"{}"]  # fmt: skip
    found = client_health.read(lines)
    assert found.lag_s.tolist() == [0.001, 0.002, 0.003]
    assert found.cpu.tolist() == [0.5, 0.7]
    assert found.to_dict()["cpu_max"] == 0.7
    assert found.lag(0.5) == pytest.approx(0.002)


def test_a_client_that_noted_nothing_has_no_figures():
    assert set(client_health.read([]).to_dict().values()) == {None}
