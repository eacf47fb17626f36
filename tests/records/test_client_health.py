"""How the client was doing, written a line a second and read again."""

import numpy as np
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


def noted(t, *, lags=(0.001,), cpu=0.1, waited=float("nan"), late=float("nan"), pause=0.0):
    return client_health.line(t, list(lags), cpu, waited, late, pause, 1, 50.0)


def test_seconds_in_which_the_client_was_not_fit_are_told_by_what_it_lacked():
    found = client_health.read([
        noted(1.0), noted(2.1, cpu=0.95), noted(3.1, waited=0.5, late=0.002), noted(4.1, pause=0.02),
        noted(5.0, lags=[0.001, 0.3]), noted(6.0, waited=0.5, late=0.0001),
        noted(1.2, cpu=0.91), noted(2.2),
    ])  # fmt: skip
    assert {kind: np.flatnonzero(bad).tolist() for kind, bad in found.seconds.items()} == {
        "busy": [1, 6], "starved": [2], "paused": [3], "stood": [4],
    }  # fmt: skip
    # From the end of the worker's last second; a worker's first one began with the run.
    assert found.spans(["busy"]).tolist() == [[1.0, 2.1], [pytest.approx(0.2), 1.2]]
    assert len(found.unfit) == 5
    assert found.to_dict()["busy_seconds"] == 2
    assert found.stood == pytest.approx(0.3 / (9 * 0.05 + 0.308))


def test_calls_fall_into_seconds_with_any_of_their_moments():
    rows = {"start_s": np.array([0.0, 0.5, 1.5, 2.5, np.nan, 9.0]),
            "first_s": np.array([0.2, np.nan, 1.6, 2.6, np.nan, 9.1]),
            "end_s": np.array([0.9, 1.0, 3.4, 2.9, np.nan, 9.2])}  # fmt: skip
    spans = np.array([[3.0, 4.0], [1.0, 2.0], [1.0, 1.2]])
    hit = client_health.fell_in(spans, rows)
    assert hit.tolist() == [False, True, True, False, False, False]
    assert not client_health.fell_in(np.empty((0, 2)), rows).any()
