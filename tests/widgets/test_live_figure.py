"""The live figure: seldom drawn in full, and nothing that was drawn is lost in between."""

import io
import math

import numpy as np
import pytest
from PIL import Image

from holymon.errors import CODES
from holymon.plan.plan import Closed, Open, Plan, Prompts, Target
from holymon.plan.shapes import Replay, constant
from holymon.records import client_health
from holymon.records.attempt import DTYPE, GAP, Flag
from holymon.records.records import Records
from holymon.widgets.live_figure import GROUPS, LiveFigure
from holymon.widgets.panels import known_end, rounded, window

SECONDS = 30
BLUE, ORANGE, GREEN, RED = (0, 114, 178), (213, 94, 0), (0, 158, 115), (176, 0, 32)


def plan(**more) -> Plan:
    targets = tuple(Target(provider="a", model=name) for name in "mn")
    return Plan(**{"targets": targets, "load": Open(constant(10)), "duration_s": SECONDS, **more})


def calls(n: int = 400, *, failed: float = 0.05, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows = np.zeros(n, DTYPE)
    rows["due_s"] = rows["start_s"] = np.linspace(0, SECONDS - 1, n)
    latency = 0.3 * np.exp(rng.normal(0, 0.2, n))
    rows["first_s"], rows["end_s"] = rows["start_s"] + latency / 3, rows["start_s"] + latency
    rows["target"], rows["flags"] = np.arange(n) % 2, Flag.STREAM
    rows["error"][rng.random(n) < failed] = CODES["rate_limited"]
    return rows


def grow(records: Records, rows: np.ndarray) -> None:
    records.extend(rows, np.zeros(0, GAP), np.zeros(len(rows), np.int64))


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def count(png: bytes, color: tuple[int, int, int]) -> int:
    return int((pixels(png) == color).all(axis=2).sum())


def of_plan(one: Plan, **more) -> LiveFigure:
    return LiveFigure(one.targets, one, **more)


def undrawn(one: Plan, **more) -> LiveFigure:
    """A live figure for tests that ask its lines, axes and texts: no pixel of it is drawn."""
    made = of_plan(one, **more)
    made._blitter.frame = lambda kept: b""
    return made


NOBODY = [client_health.read([]).flight]


def test_a_run_is_drawn_in_full_only_when_limits_change():
    made, records, rows = of_plan(plan()), Records(plan().targets), calls()
    for now in np.arange(1.0, SECONDS):
        seen = len(records)
        grow(records, rows[seen : np.searchsorted(rows["end_s"], now)])
        made.frame(records, NOBODY, now)
    assert made.full_draws <= 8


def test_frame_by_frame_shows_the_same_points_as_all_at_once():
    """The latency panel has its points however they came; lines are out of the way."""
    rows = calls(60)
    rows["end_s"][:2] += 2.0  # the limits are those of the first part already
    rows["first_s"][:2] += 2.0
    some, whole = of_plan(plan()), of_plan(plan())
    records, every = Records(plan().targets), Records(plan().targets)
    grow(every, rows)
    for part in np.array_split(rows, 7):
        grow(records, part)
        shown = some.frame(records, NOBODY, 25.0)
    left = (slice(0, 250), slice(0, 380))
    same = pixels(shown)[left] == pixels(whole.frame(every, NOBODY, 25.0))[left]
    assert same.all(axis=2).mean() > 0.999


def test_points_stay_when_a_later_call_makes_a_full_draw_necessary():
    made, records, rows = of_plan(plan()), Records(plan().targets), calls(100, failed=0)
    grow(records, rows[:99])
    before = count(made.frame(records, NOBODY, 29.0), BLUE)
    draws = made.full_draws
    rows["end_s"][99] += 0.9
    grow(records, rows[99:])
    after = made.frame(records, NOBODY, 29.0)
    assert made.full_draws == draws + 1
    assert count(after, BLUE) > 0.5 * before


def test_the_last_frame_has_everything_up_to_date():
    made, records = of_plan(plan()), Records(plan().targets)
    grow(records, calls())
    shown = made.frame(records, NOBODY, SECONDS, final=True)
    assert min(count(shown, color) for color in (BLUE, ORANGE, RED)) > 100


def test_records_that_were_put_in_another_order_are_drawn_anew():
    made, records, fewer = of_plan(plan()), Records(plan().targets), Records(plan().targets)
    grow(records, calls(200))
    made.frame(records, NOBODY, 20.0)
    grow(fewer, calls(50))
    draws = made.full_draws
    made.frame(fewer, NOBODY, 20.0)
    assert made.full_draws == draws + 1


@pytest.mark.parametrize(
    "more",
    [
        {"load": Closed(users=2)},
        {"load": Closed(users=2), "duration_s": None, "requests": 5},
        {"load": Open(Replay(times=(0, 1))), "duration_s": None},
        {"prompts": Prompts(stream=False), "warmup_s": 3.0},
        {"targets": tuple(Target(provider="sim", model=f"m{i}") for i in range(8))
         + (Target(provider="a", model="$x_1$\u202e<b>" * 9),)},
    ],
)  # fmt: skip
def test_every_kind_of_plan_can_be_drawn_empty_and_with_failures_alone(more):
    one = plan(**more)
    made, records = of_plan(one), Records(one.targets)
    first = made.frame(records, NOBODY, 0.1)
    rows = calls(30, failed=1.1)
    rows["target"] = 0
    rows["start_s"][3:5] = rows["end_s"][3:5] = np.nan
    grow(records, rows)
    lines = [client_health.line(t, [0.001], 0.1, 0.0, 0.0, 0.0, 7, 50) for t in (1, 2, 3)]
    last = made.frame(records, [client_health.read(lines).flight], 9.0, final=True)
    assert pixels(first).shape == pixels(last).shape == (520, 1200, 3)
    assert count(last, RED) > count(first, RED)


def test_calls_that_we_stopped_are_not_marked_as_failed():
    made, records = of_plan(plan()), Records(plan().targets)
    rows, empty = calls(30, failed=1.1), count(made.frame(records, NOBODY, 0.1), RED)
    rows["error"] = CODES["cancelled"]
    grow(records, rows)
    assert count(made.frame(records, NOBODY, 9.0, final=True), RED) == empty
    said = [text.get_text() for text in made.figure.axes[5].texts]
    assert "cancelled (by us, no failure)   30" in said


def test_calls_of_the_warm_up_are_seen_but_not_in_lines_and_counts():
    made, records = undrawn(plan()), Records(plan().targets)
    rows = calls(200, failed=0)
    rows["flags"][:100] |= np.uint16(Flag.WARMUP)
    rows["error"][0] = CODES["server_error"]
    grow(records, rows)
    made.frame(records, NOBODY, SECONDS, final=True)
    for i, one in enumerate(made._series):
        x, y = one.distribution["latency"].get_data()
        assert y[-1] == 1
        late = (rows["end_s"] - rows["start_s"])[100:][rows["target"][100:] == i]
        assert x.min() == late.min()
        assert x.max() == late.max()
        assert one.levels["latency", 0.5].get_xdata().min() >= rows["start_s"][100]
    assert "none so far" in [text.get_text() for text in made.figure.axes[5].texts]


def test_an_axis_that_began_in_ms_and_went_on_in_s_has_ticks_in_s():
    made, records, rows = undrawn(plan()), Records(plan().targets), calls(30, failed=0)
    made.frame(records, NOBODY, 0.1)
    rows["end_s"] += 20
    grow(records, rows)
    made.frame(records, NOBODY, 29.0)
    latency, ttft = made.figure.axes[:2]
    assert latency.get_title(loc="left") == "Latency, s"
    assert latency.yaxis.get_major_formatter()(20.0, 0) == "20"
    assert ttft.yaxis.get_major_formatter()(0.2, 0) == "200"


@pytest.mark.parametrize(
    ("model", "n"),
    [("m", 1), *(("meta-llama/Llama-3.3-70B-Instruct-FP8-", n) for n in (2, 4)), ("x-" * 60, 3),
     ("x-" * 60, 9)],
)  # fmt: skip
def test_the_legend_has_room_whatever_the_names(n, model):
    targets = tuple(Target(provider="openrouter", model=f"{model}{i}") for i in range(n))
    made = of_plan(plan(targets=targets), simulated=True)
    made.figure.draw_without_rendering()
    rows = [legend.get_window_extent() for legend in made.figure.legends]
    assert max(row.x1 for row in rows) < made.figure.texts[0].get_window_extent().x0
    assert min(row.y0 for row in rows) > made.figure.axes[0]._left_title.get_window_extent().y1
    said = [text.get_text() for one in made.figure.legends for text in one.get_texts()]
    assert said[-4:] == ["p50 of successes", "p95", "failed", "wanted"]
    assert len(set(said)) == len(said), "no two lines are called the same"


def test_a_line_that_is_not_drawn_is_not_in_the_legend():
    made = of_plan(plan(load=Open(Replay(times=(0, 1))), duration_s=None))
    (legend,) = made.figure.legends
    assert [text.get_text() for text in legend.get_texts()][2:] == [
        "p50 of successes",
        "p95",
        "failed",
    ]


def test_limits_are_round_and_large_enough():
    for value in (0.0123, 0.5, 0.99, 1.0, 7.3, 83.0, 99_999.0):
        assert value <= rounded(value) <= 2 * value
    assert rounded(0.3) == pytest.approx(0.3)


LONG = plan(duration_s=3600.0)
COUNTED = plan(load=Closed(users=1), duration_s=None, requests=10)


@pytest.mark.parametrize(
    ("one", "end_s"),
    [
        (plan(), 30.0),
        (plan(warmup_s=5.0), 35.0),
        (plan(load=Open(Replay((0.0, 3.0, 7.0))), duration_s=None), 7.0),
        (plan(load=Closed(users=2)), 30.0),
        (plan(requests=5), 0.45),
        (COUNTED, math.inf),
    ],
)
def test_a_run_whose_end_is_known_is_drawn_on_exactly_that(one, end_s):
    assert known_end(one) == pytest.approx(end_s)
    if math.isinf(end_s):
        return
    made = undrawn(one)
    for now in (0.1, 0.5 * end_s, end_s, 1.15 * end_s):
        made.frame(Records(one.targets), NOBODY, now, final=now > end_s)
        for panel in ("latency", "ttft", "rate", "curve"):
            assert made._axes[panel].get_xlim() == (0, pytest.approx(end_s))
    made.frame(Records(one.targets), NOBODY, 3 * end_s)
    assert made._axes["curve"].get_xlim()[1] < 1.2 * 3 * end_s, "answers come late: room is made"


@pytest.mark.parametrize(
    ("one", "first_s", "last_s"), [(COUNTED, 10.0, 1e5), (LONG, 600.0, 3600.0)]
)
def test_an_axis_of_unknown_length_grows_by_a_fifth_and_is_never_much_too_long(
    one, first_s, last_s
):
    end_s = known_end(one)
    moments = np.geomspace(0.1, last_s, 5000)
    shown = [window(now, end_s) for now in moments]
    steps = sorted(set(shown))
    assert steps[0] == first_s
    assert shown == sorted(shown), "it never shrinks"
    assert max(np.divide(steps[1:], steps[:-1])) <= 1.2 + 1e-9
    for now, wide in zip(moments, shown, strict=True):
        assert now <= wide <= max(first_s, 1.2 * now + 1e-6)
    assert max(shown) <= end_s


def test_a_run_that_ended_is_drawn_on_what_it_took():
    made = undrawn(COUNTED)
    made.frame(Records(COUNTED.targets), NOBODY, 3.0)
    assert made._axes["rate"].get_xlim() == (0, 10.0)
    made.frame(Records(COUNTED.targets), NOBODY, 3.5, final=True)
    assert made._axes["rate"].get_xlim() == (0, 3.5)


def test_frames_that_come_seldom_bring_every_panel_up_to_date():
    """As beside an application that leaves the view little time: no panel waits for its turn."""
    made, records, rows = undrawn(COUNTED), Records(COUNTED.targets), calls(1800, failed=0.3)
    for now in (6.0, 12.0, 18.0, 24.0):
        grow(records, rows[len(records) : np.searchsorted(rows["end_s"], now)])
        made.frame(records, NOBODY, now)
        failed = records.errors(~records.ok)
        said = [text.get_text() for text in made.figure.axes[5].texts]
        assert f"rate_limited   {failed['rate_limited']:,}" in said
        for i, series in enumerate(made._series):
            mine = records.ok & (records["target"] == i)
            assert series.answered.get_xdata()[-1] == now
            took = (records["end_s"] - records["start_s"])[mine]
            assert series.distribution["latency"].get_xdata().max() == took.max()
            if now > 6:
                assert series.levels["latency", 0.5].get_xdata()[-1] > now - 4


def test_frames_that_come_often_bring_one_group_each():
    made, records, rows = undrawn(COUNTED), Records(COUNTED.targets), calls(600)
    brought = []
    made._bring = lambda group, *_: brought.append(group)
    for now in np.arange(0.25, 10.01, 0.25):
        grow(records, rows[len(records) : np.searchsorted(rows["end_s"], now)])
        made.frame(records, NOBODY, now)
    assert len(brought) <= 40 + 4, "all in the first frame, then one"
    assert {brought.count(group) for group in GROUPS} <= {7, 8, 9}


MANY = plan(targets=tuple(Target(provider="a", model=name) for name in "mno"))


def many(n: int = 25_000) -> np.ndarray:
    rows = calls(n, failed=0)
    rows["target"] = np.arange(n) % 3
    rows["end_s"][:: n // 7] += 3.0
    return rows


@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "frame by frame"])
def test_of_many_calls_a_part_is_drawn_with_every_extreme_and_the_panel_says_so(at_once):
    made, records, rows = of_plan(MANY), Records(MANY.targets), many()
    drawn = spied(made)
    for part in [rows] if at_once else np.array_split(rows, 15):
        grow(records, part)
        made.frame(records, NOBODY, 29.0)
    at = [point for line, points in drawn.items() for point in points]
    assert 1500 <= len(at) <= 6500
    took = rows["end_s"] - rows["start_s"]
    slow = {(rows["start_s"][k], took[k]) for k in np.argsort(took)[-40:]}
    assert slow <= set(at)
    label = made._axes["latency"].get_xlabel()
    assert label == "s from the start; points: all extremes, 1 in 16 of the rest"
    assert made.full_draws <= 12


def spied(made: LiveFigure) -> dict[int, list[tuple[float, float]]]:
    """The points of latency that stand on the figure, filled as they are drawn."""
    drawn: dict[int, list[tuple[float, float]]] = {}
    for i, line in enumerate(made._points["latency"]._lines):

        def draw(renderer, i=i, line=line, before=line.draw):
            seen = drawn.setdefault(i, [])
            if made._blitter.fresh:
                seen.clear()
            seen += zip(*(xy.tolist() for xy in line.get_data()), strict=True)
            before(renderer)

        line.draw = draw
    return drawn


def test_points_become_lighter_and_smaller_and_lines_stay_apart_from_them():
    few, lots = Records(MANY.targets), Records(MANY.targets)
    grow(few, many(600))
    grow(lots, many())
    made = undrawn(MANY)
    looks = []
    for records in (few, lots):
        made.frame(records, NOBODY, 29.0, final=True)
        line = made._points["latency"]._lines[0]
        halo = made._halos[0, "latency", 0.95]
        looks.append((line.get_alpha(), line.get_markersize(), halo.get_visible()))
    (alpha, size, bare), (lighter, smaller, apart) = looks
    assert lighter < alpha
    assert smaller < size
    assert (bare, apart) == (False, True)


def test_lines_of_each_target_are_seen_on_top_of_25000_points():
    """Where p50 of a target runs, its ink is there, in the middle of the points of all."""
    records, rows = Records(MANY.targets), many()
    rows["end_s"] += rows["target"] * 0.3
    grow(records, rows)
    made = of_plan(MANY)
    shown = pixels(made.frame(records, NOBODY, SECONDS, final=True)).astype(int)
    for series, color in zip(made._series, (BLUE, ORANGE, GREEN), strict=True):
        line = series.levels["latency", 0.5]
        at = line.get_transform().transform(np.column_stack(line.get_data())).astype(int)
        near = [shown[519 - y - 2 : 519 - y + 3, x] for x, y in at]
        assert max(np.abs(part - color).max(axis=1).min() for part in near) < 50
