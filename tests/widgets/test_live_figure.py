"""The live figure: seldom drawn in full, and nothing that was drawn is lost in between."""

import io

import numpy as np
import pytest
from PIL import Image

from holymon.errors import CODES
from holymon.plan.plan import Closed, Open, Plan, Prompts, Target
from holymon.plan.shapes import Replay, constant
from holymon.records import client_health
from holymon.records.attempt import DTYPE, GAP, Flag
from holymon.records.records import Records
from holymon.widgets.live_figure import LiveFigure
from holymon.widgets.panels import rounded, window

SECONDS = 30
BLUE, ORANGE, RED = (0, 114, 178), (213, 94, 0), (176, 0, 32)


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


NOBODY = [client_health.read([]).flight]


def test_a_run_is_drawn_in_full_only_when_limits_change():
    made, records, rows = LiveFigure(plan()), Records(plan()), calls()
    for now in np.arange(0.25, SECONDS, 0.25):
        seen = len(records)
        grow(records, rows[seen : np.searchsorted(rows["end_s"], now)])
        made.frame(records, NOBODY, now)
    assert made.full_draws <= 8


def test_frame_by_frame_shows_the_same_points_as_all_at_once():
    """The latency panel has its points however they came; lines are out of the way."""
    rows = calls(60)
    rows["end_s"][:2] += 2.0  # the limits are those of the first part already
    rows["first_s"][:2] += 2.0
    some, whole = LiveFigure(plan()), LiveFigure(plan())
    records, every = Records(plan()), Records(plan())
    grow(every, rows)
    for part in np.array_split(rows, 7):
        grow(records, part)
        shown = some.frame(records, NOBODY, 25.0)
    left = (slice(0, 250), slice(0, 380))
    same = pixels(shown)[left] == pixels(whole.frame(every, NOBODY, 25.0))[left]
    assert same.all(axis=2).mean() > 0.999


def test_points_stay_when_a_later_call_makes_a_full_draw_necessary():
    made, records, rows = LiveFigure(plan()), Records(plan()), calls(100, failed=0)
    grow(records, rows[:99])
    before = count(made.frame(records, NOBODY, 29.0), BLUE)
    draws = made.full_draws
    rows["end_s"][99] += 0.9
    grow(records, rows[99:])
    after = made.frame(records, NOBODY, 29.0)
    assert made.full_draws == draws + 1
    assert count(after, BLUE) > 0.5 * before


def test_the_last_frame_has_everything_up_to_date():
    made, records = LiveFigure(plan()), Records(plan())
    grow(records, calls())
    shown = made.frame(records, NOBODY, SECONDS, final=True)
    assert min(count(shown, color) for color in (BLUE, ORANGE, RED)) > 100


def test_records_that_were_put_in_another_order_are_drawn_anew():
    made, records, fewer = LiveFigure(plan()), Records(plan()), Records(plan())
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
        {"prompts": Prompts(stream=False)},
        {"warmup_s": 3.0},
        {"targets": tuple(Target(provider="sim", model=f"m{i}") for i in range(9))},
        {"targets": (Target(provider="a", model="$x_1$\u202e<b>" * 9),)},
    ],
)
def test_every_kind_of_plan_can_be_drawn_empty_and_with_failures_alone(more):
    one = plan(**more)
    made, records = LiveFigure(one), Records(one)
    first = made.frame(records, NOBODY, 0.1)
    rows = calls(30, failed=1.1)
    rows["target"] = 0
    rows["start_s"][3:5] = rows["end_s"][3:5] = np.nan
    grow(records, rows)
    lines = [client_health.line(t, [0.001], 0.1, 0.0, 0.0, 7, 50) for t in (1, 2, 3)]
    last = made.frame(records, [client_health.read(lines).flight], 9.0, final=True)
    assert pixels(first).shape == pixels(last).shape == (520, 1200, 3)
    assert count(last, RED) > count(first, RED)


def test_calls_that_we_stopped_are_not_marked_as_failed():
    made, records = LiveFigure(plan()), Records(plan())
    rows, empty = calls(30, failed=1.1), count(made.frame(records, NOBODY, 0.1), RED)
    rows["error"] = CODES["cancelled"]
    grow(records, rows)
    assert count(made.frame(records, NOBODY, 9.0, final=True), RED) == empty
    said = [text.get_text() for text in made.figure.axes[5].texts]
    assert "cancelled (by us, no failure)   30" in said


def test_calls_of_the_warm_up_are_seen_but_not_in_lines_and_counts():
    made, records = LiveFigure(plan()), Records(plan())
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
    made, records, rows = LiveFigure(plan()), Records(plan()), calls(30, failed=0)
    made.frame(records, NOBODY, 0.1)
    rows["end_s"] += 20
    grow(records, rows)
    made.frame(records, NOBODY, 29.0)
    latency, ttft = made.figure.axes[:2]
    assert latency.get_title(loc="left") == "Latency, s"
    assert latency.yaxis.get_major_formatter()(20.0, 0) == "20"
    assert ttft.yaxis.get_major_formatter()(0.2, 0) == "200"


@pytest.mark.parametrize("n", [1, 2, 3, 4, 9])
@pytest.mark.parametrize("model", ["m", "meta-llama/Llama-3.3-70B-Instruct-FP8-", "x-" * 60])
def test_the_legend_has_room_whatever_the_names(n, model):
    targets = tuple(Target(provider="openrouter", model=f"{model}{i}") for i in range(n))
    made, one = LiveFigure(plan(targets=targets), simulated=True), Records(plan(targets=targets))
    made.frame(one, NOBODY, 0.1)
    rows = [legend.get_window_extent() for legend in made.figure.legends]
    assert max(row.x1 for row in rows) < made.figure.texts[0].get_window_extent().x0
    assert min(row.y0 for row in rows) > made.figure.axes[0]._left_title.get_window_extent().y1
    said = [text.get_text() for one in made.figure.legends for text in one.get_texts()]
    assert said[-4:] == ["p50", "p95", "failed", "wanted"]
    assert len(set(said)) == len(said), "no two lines are called the same"


def test_a_line_that_is_not_drawn_is_not_in_the_legend():
    made = LiveFigure(plan(load=Open(Replay(times=(0, 1))), duration_s=None))
    (legend,) = made.figure.legends
    assert [text.get_text() for text in legend.get_texts()][2:] == ["p50", "p95", "failed"]


def test_limits_are_round_and_large_enough():
    for value in (0.0123, 0.5, 0.99, 1.0, 7.3, 83.0, 99_999.0):
        assert value <= rounded(value) <= 2 * value
    assert rounded(0.3) == pytest.approx(0.3)


def test_the_window_grows_to_the_whole_load_and_no_further():
    assert [window(t, plan()) for t in (1, 11, 25)] == [10, 20, pytest.approx(30.6)]
    assert window(40, plan()) == 60
    endless = plan(load=Closed(users=1), duration_s=None, requests=10)
    assert window(100_000, endless) == 200_000
