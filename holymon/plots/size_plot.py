"""The picture of sizes: TTFT by the tokens of prompts, and the line that was fitted to it."""

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from holymon.figures.size_types import SizeEffect
from holymon.figures.sizes import Streams, sizes_of, streams_of
from holymon.formatting import ends, rounded
from holymon.language.said import shown, tell
from holymon.plots import spots
from holymon.plots.binning import one_in
from holymon.plots.canvas import (
    COLORS,
    MARKERS,
    crosses,
    in_ms,
    legend,
    line_above,
    note,
    points,
    styled,
)
from holymon.records.records import Recorded, Records, records_of

Mask = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.intp]


def plot_sizes(of: Records | Recorded, *, ax: Axes | None = None) -> Axes:
    """TTFT of successful streams by tokens of their prompts, with each target's fitted line."""
    return styled(lambda a: _sizes(records_of(of), a), ax)


def _sizes(records: Records, ax: Axes) -> None:
    sizes, longest = sizes_of(records), 0.0
    for index, effect in enumerate(sizes.targets):
        mask = records.mask(index) & records.ok
        rows = records.chosen(mask).in_order_of("start_s")
        some = streams_of(rows)
        known = np.isfinite(some.prompt + some.ttft)
        if not known.any():
            continue
        longest = max(longest, float(some.ttft[known].max()))
        color, marker = COLORS[index % len(COLORS)], MARKERS[index % len(MARKERS)]
        name, every = ends(effect.target, 40), one_in(int(known.sum()))
        points(ax, some.prompt[known], some.ttft[known], marker, every, color=color, label=name)
        _line(ax, effect, some, color)
        _tell(ax, records, rows.positions[:: some.step][known], effect, some, known)
    if not longest:
        note(ax, tell("no streamed answer whose tokens are known"))
    else:
        kinds = ", ".join(dict.fromkeys(shown(effect.of) for effect in sizes.targets))
        ax.set(xlabel=kinds, ylabel=f"TTFT, {in_ms(ax.yaxis, longest)}", ylim=(0, longest * 1.18))
        _failed(ax, records, longest * 1.13)
        legend(ax)
    ax.set_title(tell("TTFT by size of the prompt") + tell(" (simulated)") * sizes.simulated)


def _tell(
    ax: Axes, records: Records, at: Positions, effect: SizeEffect, some: Streams, known: Mask
) -> None:  # fmt: skip
    """Have the calls tell of themselves that took longest for their size."""
    x, y = some.prompt[known], some.ttft[known]
    base, each = effect.base_s.value, effect.per_prompt_token_s.value
    expected = 0.0 if base is None or each is None else base + each * x
    spots.highest(ax, records, at, x, y, by=y - expected)


def _failed(ax: Axes, records: Records, top: float) -> None:
    """Marks for calls that failed, as far as it is known how many tokens their prompts had."""
    failed = records.judged & ~records.ok & records.mask()
    if not failed.any():
        return
    at = np.flatnonzero(failed & (records["prompt_tokens"] >= 0))
    label = tell("failed, n = {n:,}", n=int(failed.sum()))
    if len(at) < failed.sum():
        label += tell("\n({n:,} of known size)", n=len(at))
    prompt = records["prompt_tokens"][at].astype(np.float64)
    crosses(ax, prompt, top, label)
    spots.level(ax, records, at, top, prompt)


def _line(ax: Axes, effect: SizeEffect, some: Streams, color: str) -> None:
    base, each = effect.base_s.value, effect.per_prompt_token_s.value
    if base is None or each is None:
        return
    x = np.array([np.nanmin(some.prompt), np.nanmax(some.prompt)])
    label = tell("{base} + {each} a token, ms", base=rounded(base * 1e3), each=rounded(each * 1e3))
    line_above(ax, x, base + each * x, "-", color=color, label=label)
