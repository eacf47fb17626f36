"""The picture of sizes: TTFT by the tokens of prompts, and the line that was fitted to it."""

import numpy as np
from matplotlib.axes import Axes

from holymon.figures.size_types import SizeEffect
from holymon.figures.sizes import Streams, sizes_of, streams_of
from holymon.formatting import ends, rounded
from holymon.plots.binning import one_in
from holymon.plots.canvas import COLORS, MARKERS, in_ms, legend, line_above, note, points, styled
from holymon.records.records import Recorded, Records, records_of


def plot_sizes(of: Records | Recorded, *, ax: Axes | None = None) -> Axes:
    """TTFT of successful streams by tokens of their prompts, with each target's fitted line."""
    return styled(lambda a: _sizes(records_of(of), a), ax)


def _sizes(records: Records, ax: Axes) -> None:
    sizes, longest = sizes_of(records), 0.0
    for index, effect in enumerate(sizes.targets):
        mask = records.mask(index) & records.ok
        some = streams_of(records.chosen(mask).in_order_of("start_s"))
        known = np.isfinite(some.prompt + some.ttft)
        if not known.any():
            continue
        longest = max(longest, float(some.ttft[known].max()))
        color, marker = COLORS[index % len(COLORS)], MARKERS[index % len(MARKERS)]
        name, every = ends(effect.target, 40), one_in(int(known.sum()))
        points(ax, some.prompt[known], some.ttft[known], marker, every, color=color, label=name)
        _line(ax, effect, some, color)
    if not longest:
        note(ax, "no streamed answer whose tokens are known")
    else:
        kinds = ", ".join(dict.fromkeys(effect.of for effect in sizes.targets))
        ax.set(xlabel=kinds, ylabel=f"TTFT, {in_ms(ax.yaxis, longest)}", ylim=(0, None))
        legend(ax)
    ax.set_title("TTFT by size of the prompt" + " (simulated)" * sizes.simulated)


def _line(ax: Axes, effect: SizeEffect, some: Streams, color: str) -> None:
    base, each = effect.base_s.value, effect.per_prompt_token_s.value
    if base is None or each is None:
        return
    x = np.array([np.nanmin(some.prompt), np.nanmax(some.prompt)])
    label = f"{rounded(base * 1e3, 3)} + {rounded(each * 1e3, 3)} a token, ms"
    line_above(ax, x, base + each * x, "-", color=color, label=label)
