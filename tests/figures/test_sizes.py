"""What size does to time: lines by hand and by simulation, and what is said where nothing can be."""

import json

import numpy as np
import pytest

from holymon.figures.size_fit import BLOCKS, interval, left_out, line, weighted_median
from holymon.figures.sizes import sizes_of, varies
from holymon.plan.target import Target
from holymon.plots.size_plot import plot_sizes
from holymon.records.attempt import DTYPE, GAP, Flag, blank
from holymon.records.records import Records

BASE, IN, OUT = 0.05, 0.0002, 0.004
NAMES = ("a", "b")


def records(prompt, output, *, noise=0.0, cached=-1, target=0, base=BASE) -> Records:
    """Calls whose times are exactly what their sizes say, but for `noise` in TTFT."""
    n = len(prompt)
    rows = blank(n)
    rows["target"], rows["status"] = target, 200
    rows["flags"] = int(Flag.STREAM | Flag.SERVER_TOKENS)
    rows["due_s"] = rows["start_s"] = np.arange(n) / 10
    rows["prompt_tokens"], rows["output_tokens"], rows["cached_tokens"] = prompt, output, cached
    fresh = np.asarray(prompt) - np.maximum(cached, 0)
    rows["first_s"] = rows["content_s"] = rows["start_s"] + base + IN * fresh + noise
    rows["last_s"] = rows["end_s"] = rows["first_s"] + OUT * (np.asarray(output) - 1)
    rows["chunks"] = rows["events"] = output
    made = Records(
        tuple(Target(provider="p", model=name, base_url="http://h/v1") for name in NAMES)
    )
    made.extend(rows.astype(DTYPE), np.zeros(0, GAP), np.zeros(n, np.int64))
    return made


@pytest.fixture
def draw():
    return np.random.default_rng(7)


def test_what_a_token_costs_is_found_whatever_a_few_slow_calls_say(draw):
    prompt, output = draw.integers(50, 4000, 400), draw.integers(20, 400, 400)
    late = np.where(draw.random(400) < 0.1, draw.exponential(3.0, 400), 0.0)
    effect = sizes_of(records(prompt, output, noise=late)).targets[0]
    assert (effect.target, effect.n, effect.of) == ("p/a", 400, "tokens in")
    assert effect.base_s.value == pytest.approx(BASE, rel=0.05)
    assert effect.per_prompt_token_s.value == pytest.approx(IN, rel=0.01)
    assert effect.per_output_token_s.value == pytest.approx(OUT, rel=1e-6)
    for fitted, truth in (
        (effect.base_s, BASE),
        (effect.per_prompt_token_s, IN),
        (effect.per_output_token_s, OUT),
    ):
        assert fitted.ci[0] - 1e-12 <= truth <= fitted.ci[1] + 1e-12


def test_unlike_answers_are_compared_at_one_size(draw):
    """The second target is quicker for each size; it answers ten times as long, and looks slower."""
    few, many = draw.integers(20, 40, 200), draw.integers(200, 400, 200)
    prompt = draw.integers(50, 4000, 200)
    both = records(prompt, few)
    other = records(prompt, many, target=1, base=BASE / 2)
    both.extend(other.rows, other.gap_pairs, other.gap_counts)
    sizes = sizes_of(both)
    first, second = sizes.targets
    p, q = sizes.reference
    assert (p, q) == (2000, 160) or (1500 < p < 2500 and 100 < q < 220)
    assert second.at_reference_s.value < first.at_reference_s.value
    assert first.at_reference_s.value == pytest.approx(BASE + IN * p + OUT * (q - 1), rel=0.01)
    assert f"latency at {p:,} in, {q:,} out, ms" in sizes.table[0].heads


def test_where_a_cache_had_part_of_a_prompt_the_rest_is_what_counts(draw):
    prompt = draw.integers(1000, 4000, 120)
    effect = sizes_of(records(prompt, np.full(120, 30), cached=prompt // 2)).targets[0]
    assert effect.per_prompt_token_s.value == pytest.approx(IN, rel=1e-6)
    assert effect.of == "tokens in that were in no cache"
    assert "tokens in that were in no cache are counted." in effect.notes


def test_few_prompts_are_few_and_not_uncounted():
    few = "no TTFT by size: n too small (have 29, need 30)."
    assert varies(np.full(29, 100.0)) == (False, few)
    assert varies(np.full(29, np.nan)) == (False, "no TTFT by size: prompts were not counted.")


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        (np.full(120, 100), "prompts are all about as long (100 tokens)."),
        (np.full(120, -1), "prompts were not counted"),
        (np.full(12, 100), "no effect of sizes: 12 streamed answers"),
        (np.zeros(0, int), "no effect of sizes: 0 streamed answers"),
    ],
)  # fmt: skip
def test_what_can_not_be_told_is_none_with_its_reason(prompt, words):
    sizes = sizes_of(records(prompt, np.full(len(prompt), 30)))
    effect = sizes.targets[0]
    assert effect.per_prompt_token_s.value is effect.base_s.value is None
    assert any(words in note for note in effect.notes)
    assert not sizes.varied
    assert words in sizes.table.text()
    assert json.loads(json.dumps(effect.to_dict()))["per_prompt_token_s"] == {
        "value": None,
        "ci": None,
    }
    plot_sizes(records(prompt, np.full(len(prompt), 30)))


def test_few_calls_have_a_line_and_no_interval(draw):
    effect = sizes_of(records(draw.integers(50, 4000, 60), np.full(60, 30))).targets[0]
    assert effect.per_prompt_token_s.value == pytest.approx(IN, rel=1e-6)
    assert effect.per_prompt_token_s.ci is None
    assert any("without intervals: have 60 calls, need 100" in note for note in effect.notes)


def test_answers_that_came_whole_have_no_effects_and_still_their_classes(draw):
    made = records(draw.integers(50, 4000, 120), np.full(120, 30))
    for name in ("first_s", "content_s", "last_s"):
        made.rows[name] = np.nan
    effect = sizes_of(made).targets[0]
    assert effect.per_output_token_s.value is None
    assert sum(size.calls for size in effect.classes) == 120


def test_each_class_of_prompts_has_its_figures():
    prompt = np.repeat([100, 128, 511, 512, 200_000], 20)
    effect = sizes_of(records(prompt, np.full(100, 30))).targets[0]
    assert [(size.name, size.calls) for size in effect.classes] == [
        ("0 to 127", 20), ("128 to 511", 40), ("512 to 2,047", 20), ("131,072 and more", 20),
    ]  # fmt: skip
    assert effect.classes[0].ttft_s.p50 == pytest.approx(BASE + 100 * IN)
    assert effect.classes[0].output_tokens == 30
    assert "131,072 and more" in sizes_of(records(prompt, np.full(100, 30))).table.text()


def test_a_picture_has_a_line_for_each_target_with_one(draw):
    ax = plot_sizes(records(draw.integers(50, 4000, 120), np.full(120, 30)))
    labels = ax.get_legend_handles_labels()[1]
    assert labels[0] == "p/a"
    assert labels[1] == "50 + 0.2 a token, ms"
    assert ax.get_xlabel() == "tokens in"


def test_intervals_hold_although_successive_calls_are_alike(draw):
    """200 calls, lognormal noise with an autocorrelation of 0.7: 95 % wanted, 28 of 30 here at least."""
    held = 0
    for _ in range(30):
        x = draw.uniform(100, 2000, 200)
        z = draw.standard_normal(200)
        for k in range(1, 200):
            z[k] = 0.7 * z[k - 1] + np.sqrt(1 - 0.49) * z[k]
        y = (0.02 + IN * x) * np.exp(0.3 * z)
        without = left_out(200, lambda at, x=x, y=y: line(x[at], y[at]))
        low, high = interval(line(x, y)[1], without[:, 1])
        held += low <= IN <= high
    assert held >= 28


def test_medians_are_those_by_hand():
    assert weighted_median(np.array([3.0, 1.0, 2.0]), np.array([1.0, 1.0, 3.0])) == 2.0
    assert np.isnan(weighted_median(np.zeros(0), np.zeros(0)))
    assert np.isnan(line(np.full(5, 3.0), np.arange(5.0))).all()
    assert line(np.array([1.0, 2.0, 3.0]), np.array([3.0, 5.0, 7.0])) == pytest.approx((1.0, 2.0))
    assert left_out(BLOCKS, lambda at: (len(at),)).tolist() == [[BLOCKS - 1]] * BLOCKS
