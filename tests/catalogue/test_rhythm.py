"""Runs that did not come are holes by the rhythm of the others, and nothing is made of runs by hand."""

from hypothesis import given
from hypothesis import strategies as st

from holymon.catalogue.rhythm import LEAST, gaps, notes
from holymon.load.entry import Entry


def hourly(hours, late=None, name="hourly"):
    late = late or [0.0] * len(hours)
    return [(name, f"{name}/{hour}", 3600.0 * hour + off)
            for hour, off in zip(hours, late, strict=True)]  # fmt: skip


@given(
    st.sets(st.integers(1, 46), max_size=10),
    st.lists(st.floats(-150, 150), min_size=48, max_size=48),
    st.randoms(),
)
def test_each_missing_run_is_hours_once_however_late_the_others_were(missing, late, chance):
    there = [hour for hour in range(48) if hour not in missing]
    runs = hourly(there, [late[hour] for hour in there]) + hourly(range(48), name="whole")
    chance.shuffle(runs)
    holes = gaps(runs)
    hours = [
        hour for gap in holes
        for hour in range(int(gap.after.partition("/")[2]) + 1, int(gap.before.partition("/")[2]))
    ]  # fmt: skip
    assert hours == sorted(missing)
    assert [gap.missing for gap in holes] == [
        int(gap.before.partition("/")[2]) - int(gap.after.partition("/")[2]) - 1 for gap in holes
    ]
    assert {gap.name for gap in holes} <= {"hourly"}


@given(st.lists(st.floats(0, 1e6), max_size=40))
def test_runs_at_any_times_raise_nothing_and_few_are_no_rhythm(times):
    holes = gaps(("n", f"n/{k}", began) for k, began in enumerate(times))
    assert len(times) > LEAST or not holes


def test_runs_by_hand_have_no_rhythm():
    began = [0, 60, 4000, 4100, 90_000, 93_000, 93_100, 180_000, 400_000, 400_050]
    assert gaps(("n", f"n/{k}", at) for k, at in enumerate(began)) == []


def test_a_gap_is_one_sentence():
    (gap,) = gaps(hourly([0, 1, 2, 3, 4, 5, 6, 9, 10]))
    assert str(gap) == "2 runs of hourly missing between hourly/6 and hourly/9"


def test_where_one_place_is_silent_another_that_goes_on_hides_nothing():
    entries = [
        Entry(f"hourly/20260101T{hour:02}0000Z-{place}", 0, "finished", place=place,
              started_at=f"2026-01-01T{hour:02}:0{minute}:00+00:00")
        for minute, place in enumerate(("hanoi", "paris")) for hour in range(20)
        if (place, hour) not in {("paris", 9), ("paris", 10)}
    ]  # fmt: skip
    assert notes(entries) == (
        "2 runs of hourly (paris) missing between hourly/20260101T080000Z-paris and "
        "hourly/20260101T110000Z-paris.",
    )
