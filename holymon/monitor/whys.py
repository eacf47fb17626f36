"""Why a move goes back, in words, from the sums of both sides."""

from collections.abc import Sequence
from typing import Final

from holymon.figures import gate
from holymon.monitor.course import MoveSteps

_PARTS: Final = {
    "errors": ("failed", "calls"), "latency": ("slow", "calls"), "cost": ("cost", "priced"),
    "longer": ("long", "sized"), "shorter": ("long", "sized"), "ends": ("odd", "sized"),
}  # fmt: skip
"""Of each figure the sum that is compared, and of how many calls."""


def why_worse(
    course: MoveSteps, failing: gate.Bools, baseline: Sequence[float], candidate: Sequence[float]
) -> str:
    """The figures by which the candidate is shown to be worse, each with what it is held to."""
    base, mine = (dict(zip(gate.FIELDS, side, strict=False)) for side in (baseline, candidate))
    words = []
    for name, bad in zip(course.figures, failing, strict=True):
        if bad and name in _PARTS:
            part, whole = _PARTS[name]
            a, b = (side[part] / max(side[whole], 1) for side in (mine, base))
            shares = (
                f"{a:.3g} against {b:.3g}"
                if name == "cost"
                else f"{a * 100:.1f} % against {b * 100:.1f} %"
            )
            words.append(f"{name} ({shares})")
        elif bad:
            words.append(name)
    return f"worse than it may be: {', '.join(words)}, by {mine['calls']:.0f} calls"
