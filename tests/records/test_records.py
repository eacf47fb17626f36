"""Marks become rows and come back the same, however the journal is cut."""

import math
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holymon.errors import NAMES, RunError
from holymon.plan.plan import Open, Plan, Target
from holymon.plan.shapes import constant
from holymon.records.attempt import (
    DTYPE,
    FIELDS,
    FINISH,
    GAP_BINS,
    Flag,
    Marks,
    frame,
    gap_bin,
    gap_value,
)
from holymon.records.frames import Frames, header
from holymon.records.gaps import histogram
from holymon.records.records import Records, from_marks

PLAN = Plan(targets=(Target(provider="sim", model="a"), Target(provider="sim", model="b")),
            load=Open(constant(1)), requests=1)  # fmt: skip
seconds = st.floats(0, 1e6) | st.just(math.nan)
counts = st.integers(-1, 2**31 - 1)


@st.composite
def marks(draw):
    made = Marks(draw(st.integers(0, 2**32 - 1)), draw(st.integers(0, 1)), draw(st.floats(0, 1e6)))
    for name in ("start", "headers", "chunk", "first", "content", "last", "end", "retry_after"):
        setattr(made, name, draw(seconds))
    for name in ("prompt_tokens", "output_tokens", "cached_tokens", "reasoning_tokens"):
        setattr(made, name, draw(counts))
    made.status, made.flags = draw(st.integers(0, 999)), draw(st.integers(0, 2**16 - 1))
    made.error, made.finish = draw(st.sampled_from(NAMES)), draw(st.sampled_from(FINISH))
    made.code = draw(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=24))
    made.gaps = draw(st.dictionaries(st.integers(0, GAP_BINS - 1), st.integers(1, 10**5)))
    return made


@settings(max_examples=50)
@given(st.lists(marks(), max_size=5), st.lists(st.integers(0, 10**6)), st.integers(0, 400))
def test_rows_survive_any_cutting_and_a_torn_end(made, places, torn):
    whole = header(0) + b"".join(frame(one) for one in made)
    data = whole + frame(Marks(0, 0, 0.0))[:-1][:torn]
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    found, frames = Records(PLAN.targets), Frames()
    for a, b in zip(edges, edges[1:], strict=False):
        found.append(*frames.feed(data[a:b]))
    assert len(found) == len(made)
    assert frames.torn == len(data) - len(whole)
    for row, one in zip(found.rows, made, strict=True):
        np.testing.assert_equal(row["end_s"], one.end)
        np.testing.assert_equal(row["chunk_s"], one.chunk)
        np.testing.assert_equal(row["first_s"], one.first)
        assert (row["request"], row["output_tokens"]) == (one.request, one.output_tokens)
        assert (NAMES[row["error"]], FINISH[row["finish"]]) == (one.error, one.finish)
        assert row["code"].decode() == one.code
    total = {}
    for one in made:
        for number, n in one.gaps.items():
            total[number] = total.get(number, 0) + n
    counted = histogram(found.gaps(np.ones(len(found), bool)))
    assert {int(i): int(counted[i]) for i in np.nonzero(counted)[0]} == total


@settings(max_examples=20)
@given(st.lists(marks(), max_size=5), st.integers(0, 31))
def test_columns_that_are_each_on_their_own_are_the_same_rows(made, taken):
    rows, apart = from_marks(PLAN.targets, made), Records(PLAN.targets)
    pairs, where = rows.gap_pairs, np.array([taken >> k & 1 for k in range(len(made))], bool)
    columns = {name: rows[name].copy() for name in DTYPE.names}
    apart.hold(columns, {name: pairs[name].copy() for name in pairs.dtype.names}, rows.gap_counts)
    at = np.flatnonzero(where)[::-1]
    assert apart.at(at).tobytes() == rows.at(at).tobytes() == rows.rows[at].tobytes()
    some, same = apart.select(where), rows.select(where)
    assert len(some.chosen(~where[where])["end_s"]) == len(some) - where.sum() == 0
    for mine, other in ((some, same), (apart, rows)):
        np.testing.assert_array_equal(mine["end_s"], other["end_s"])
        np.testing.assert_array_equal(mine.gap_pairs, other.gap_pairs)
        mine.extend(rows.rows, pairs, rows.gap_counts)
        other.extend(rows.rows, pairs, rows.gap_counts)
        assert mine.rows.tobytes() == other.rows.tobytes()
        np.testing.assert_array_equal(mine.gap_pairs, other.gap_pairs)


@given(st.floats(2e-6, 1e5))
def test_a_gap_read_back_is_off_by_half_a_percent_at_most(gap):
    assert float(gap_value(gap_bin(gap))) == pytest.approx(gap, rel=0.00501)


@pytest.mark.parametrize("gap", [0.0, -1.0, 1e-9, 1e300, math.inf])
def test_every_gap_has_a_bin(gap):
    assert 0 <= gap_bin(min(gap, 1e300)) < GAP_BINS


def test_the_row_is_what_the_fields_say():
    assert [name for name, _, _ in FIELDS] == list(DTYPE.names)
    assert DTYPE.itemsize <= 160


def test_columns_lie_where_the_processor_reads_them_in_one_go():
    assert all(
        offset % min(kind.alignment, 8) == 0 == DTYPE.itemsize % kind.alignment
        for kind, offset in DTYPE.fields.values()
    )


@pytest.mark.parametrize(
    "line", [b"{}", b"nonsense", b'{"holymon": 999, "dtype": []}', b"[]", b"\xff"]
)
def test_a_journal_of_another_version_is_refused(line):
    with pytest.raises(RunError, match="another version"):
        Frames().feed(line + b"\n")


def make(n=10):
    made = []
    for number in range(n):
        one = Marks(number, number % 2, float(number))
        one.start = number + 0.001
        one.flags = int(Flag.WARMUP) if number < 2 else 0
        if number % 3 == 2:
            one.error = "server_error"
        one.token(number + 0.1, 1)
        one.token(number + 0.2, 2)
        one.end = number + 0.3
        made.append(one)
    return from_marks(PLAN.targets, made)


def test_masks_leave_the_warm_up_out_and_keep_targets_apart():
    found = make()
    assert found["request"][found.mask()].tolist() == list(range(2, 10))
    assert found["request"][found.mask(1)].tolist() == [3, 5, 7, 9]
    assert found["request"][found.mask(0, warmup=True)].tolist() == [0, 2, 4, 6, 8]


def test_errors_are_counted_by_name_most_frequent_first():
    found = make()
    assert found.errors(found.mask()) == {"server_error": 3}


def test_a_selection_keeps_rows_and_gaps_together():
    found = make()
    chosen = found.select(found["request"] % 2 == 0)
    assert chosen["request"].tolist() == [0, 2, 4, 6, 8]
    assert histogram(chosen.gaps(np.ones(5, bool))).sum() == 5


def test_a_frame_has_names_units_and_every_row():
    frame = make().to_frame()
    assert len(frame) == 10
    assert frame["target"].tolist()[:2] == ["sim/a", "sim/b"]
    assert set(frame["error_type"]) == {"", "server_error"}
    assert frame["ttft_s"].round(3).tolist() == [0.099] * 10
    assert frame["warmup"].sum() == 2


def test_at_is_the_moment_in_utc_at_which_a_call_was_sent():
    """On the wall's clock, to the microsecond; not known where the clock's beginning is not."""
    import pandas as pd

    records = make()
    assert records.to_frame()["at"].isna().all()
    records.began = datetime(2026, 11, 26, 3, 41, 11, 475888, tzinfo=UTC).timestamp()
    records.rows["start_s"][3] = math.nan
    frame = records.select(np.ones(len(records), bool)).to_frame()
    assert str(frame["at"].dtype) == "datetime64[ns, UTC]"
    assert frame["at"].isna().sum() == 1
    first = frame.iloc[0]
    expected = pd.Timestamp("2026-11-26T03:41:11.475888Z") + pd.Timedelta(seconds=first["start_s"])
    assert abs(first["at"] - expected) < pd.Timedelta(microseconds=2)


def test_tokens_are_timed_by_received_piece():
    one = Marks(0, 0, 0.0)
    for moment, n in ((1.0, 1), (1.5, 3), (1.6, 1)):
        one.token(moment, n)
    assert (one.first, one.last, one.chunks, one.events) == (1.0, 1.6, 3, 5)
    assert one.gap_max == 0.5
    assert one.gaps == {gap_bin(0.5): 1, gap_bin(1.6 - 1.5): 1}
    assert one.flags & Flag.COALESCED


def test_appending_grows_without_losing():
    found = Records(PLAN.targets)
    for _ in range(200):
        more = make(30)
        found.extend(more.rows, more.gap_pairs, more.gap_counts)
    assert len(found) == 6000
    assert found["request"].reshape(200, 30).tolist() == [list(range(30))] * 200
