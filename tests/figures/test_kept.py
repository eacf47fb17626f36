"""Results of messy runs, to the letter: what they show and hold is what the files in `kept` say.

    python -m tests.figures.test_kept        writes the files anew, for whoever then reads the diff

The other tests say why a figure is right; this one that none changes unnoticed.
"""

from pathlib import Path

import pytest

from tests.figures.kept_of_moves import decided, models, roads, sheets
from tests.figures.kept_of_runs import (
    comparisons,
    conversations,
    failed,
    judged,
    one_target,
    parts,
    several_loads,
    summaries,
    verdicts,
)
from tests.figures.kept_of_series import (
    changed,
    gated,
    machines,
    numbers,
    places,
    probes,
    rates,
    reconciled,
    settings,
    spent,
)

KEPT = Path(__file__).parent / "kept"
CASES = (
    summaries,
    several_loads,
    verdicts,
    failed,
    judged,
    one_target,
    parts,
    comparisons,
    conversations,
    models,
    roads,
    sheets,
    decided,
    spent,
    places,
    changed,
    machines,
    gated,
    numbers,
    reconciled,
    probes,
    rates,
    settings,
)


def text_of(case) -> str:
    return "\n".join(line.rstrip() for each in case() for line in str(each).splitlines()) + "\n"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_what_is_shown_and_held_is_what_was_kept(case):
    kept = (KEPT / f"{case.__name__}.txt").read_text("utf-8").splitlines()
    now = text_of(case).splitlines()
    gone, new = set(kept) - set(now), set(now) - set(kept)
    changed = [
        *(f"- {line}" for line in kept if line in gone),
        *(f"+ {line}" for line in now if line in new),
    ]
    assert now == kept, "\n".join(
        ["is it wanted? python -m tests.figures.test_kept", *changed[:40]]
    )


if __name__ == "__main__":
    KEPT.mkdir(exist_ok=True)
    for each in CASES:
        (KEPT / f"{each.__name__}.txt").write_text(text_of(each), "utf-8")
