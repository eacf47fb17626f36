"""Several places that measured the same: by hour, beside one another, with clocks and verdicts."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

import holymon as hm
from holymon.catalogue.history import History
from holymon.errors import PlanError
from holymon.language.said import speaking
from holymon.load.entry import Entry, Known, OfTarget
from holymon.records.place import checked

FIRST = datetime(2026, 11, 20, tzinfo=UTC)


def runs_of(place, slower, hours=48, *, ahead=None, failed=0.004, seed=0, noise=0.04):
    """A run an hour, by the place's own clock; the hour of day moves all places alike."""
    rng, made = np.random.default_rng(seed), []
    for h in range(hours):
        began = FIRST + timedelta(hours=h, minutes=10) - timedelta(seconds=ahead or 0)
        p50 = float(0.2 * (1 + 0.5 * np.sin(h / 24 * 2 * np.pi)) * slower * rng.lognormal(0, noise))
        bad = int(rng.binomial(400, failed))
        figures = {"latency_p50": Known(p50), "latency_p95": Known(2.5 * p50)}
        made.append(Entry(
            f"hourly/{began:%Y%m%dT%H%M%SZ}-{seed:04x}", 0, "finished", 400, began.isoformat(),
            targets=("a/b",), measurement="invalid" if h == 5 else "valid", shapes=("same",),
            of_targets=(OfTarget("a/b", 400, 400 - bad, figures),), place=place, ahead_s=ahead,
        ))  # fmt: skip
    return made


def history_of(*groups):
    return History(Path("reports"), tuple(entry for group in groups for entry in group))


def test_a_place_that_is_slower_is_told_from_one_that_is_not():
    places = history_of(
        runs_of("berlin", 1, 49, seed=1), runs_of("hanoi", 1.25, seed=2),
        runs_of("lima", 1, seed=3, failed=0.06),
    ).places  # fmt: skip
    ((first, hanoi, lima),) = places
    assert (first.runs.place, first.beside, first.verdicts) == (
        "berlin",
        None,
        {"valid": 48, "invalid": 1},
    )
    assert len(first.runs.at) == 48, "an invalid measurement is in no figure"
    assert hanoi.beside.p50.result == hanoi.beside.p95.result == "higher"
    low, high = hanoi.beside.p50.interval
    assert low < 1.25 < high
    assert lima.beside.p50.result in {"same", "no difference shown"}
    assert lima.beside.failed.result == "higher"
    text = repr(places)
    assert text.startswith("3 places; hanoi, a/b: latency p50 × 1.2")
    assert "1 invalid, 47 valid" in text


@pytest.mark.parametrize("seed", range(3))
def test_a_place_does_not_differ_from_itself(seed):
    ((_, other),) = history_of(
        runs_of("a", 1, 49, seed=seed), runs_of("b", 1, seed=9 + seed)
    ).places
    assert other.beside.shown == ()


def test_places_are_no_change_from_run_to_run():
    known = history_of(
        *zip(runs_of("berlin", 1, 24, seed=1), runs_of("hanoi", 2, 24, seed=2), strict=True)
    )
    assert known.changes == ()
    assert [each.place for each in known.series("latency_p50")] == ["berlin", "hanoi"]


def test_few_hours_show_nothing_and_a_place_that_nobody_named_is_not_stated():
    ((_, other),) = history_of(runs_of("a", 1, 4), runs_of("", 3, 3)).places
    assert other.beside.shown == ()
    assert "not stated" in repr(history_of(runs_of("a", 1, 4), runs_of("", 3, 3)).places)
    assert not history_of(runs_of("", 1, 4)).places


def test_a_clock_that_is_an_hour_off_moves_no_hour():
    right, late = runs_of("a", 1, 24, ahead=0.4), runs_of("b", 1, 24, ahead=3600.0)
    ((first, other),) = history_of(right, late).places
    hours = [np.isfinite(each.runs.by_hour()[0]) for each in (first, other)]
    assert (hours[0] == hours[1]).all()
    assert np.allclose(first.runs.at, other.runs.at, atol=1)
    assert "The clock of b is 3,600 s off" in repr(history_of(right, late).places)


def test_places_are_drawn_by_hour():
    panels = hm.plot_places(history_of(runs_of("a", 1), runs_of("", 2, 6))).child_axes
    assert [len(panel.patches) for panel in panels] == [2 * 24] * 3
    with speaking("vi"):
        empty = hm.plot_places(history_of(runs_of("", 1, 2)))
    assert [text.get_text() for text in empty.texts] == ["không lần đo nào nêu nơi đo"]


@pytest.mark.parametrize("name", ["x" * 41, "a\nb", "a\u202eb", "sk-abcdefgh12345678"])
def test_a_place_has_a_name_that_can_be_shown(name):
    with pytest.raises(PlanError, match="the name of a place"):
        checked(name)


def test_what_was_stopped_by_us_is_no_failure_of_a_place(tmp_path, simulator, monkeypatch):
    monkeypatch.setenv("HOLYMON_PLACE", "hanoi")
    plan = hm.Plan(targets=(simulator.target("slow"),), load=hm.Closed(10), duration_s=600)
    going = hm.start(plan, out=tmp_path)
    until = time.monotonic() + 60
    while int(going.records.ok.sum()) < 12:
        assert time.monotonic() < until
        time.sleep(0.05)
    going.stop()
    target = going.wait().summary().targets[0]
    assert target.errors["cancelled"] > 0
    ((only,),) = hm.history(out=tmp_path).places
    assert (only.runs.failed.tolist(), only.runs.calls.tolist()) == ([0], [target.ok])
