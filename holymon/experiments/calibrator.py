"""Measure the built-in simulator, whose truth is known, and say how far off this machine is."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from holymon.experiments.calibration import Calibration, MeasuredRate, level_of
from holymon.load.run import Run, measure
from holymon.plan.plan import Open, Plan
from holymon.plan.prompts import Prompts
from holymon.plan.shapes import constant
from holymon.plan.targets import target
from holymon.structs import replace

RATES: Final = (20.0, 50.0, 100.0)
LADDER: Final = (100.0, 200.0, 400.0, 800.0, 1600.0, 3200.0, 6400.0)
SECONDS: Final = 8.0


def calibrate(
    *, rates: Sequence[float] = RATES, ladder: Sequence[float] = LADDER, seconds: float = SECONDS,
    out: Path | str = "reports", seen: Callable[[str], None] = lambda _: None,
) -> Calibration:  # fmt: skip
    """How far off TTFT, latency and gaps are at each of `rates`, and which of `ladder` are valid.

    Every rate is measured for `seconds`; the ladder ends at the first rate that is not valid.
    `seen` is told what comes next. The runs stay in `out` as any others. Raises RunError.
    """
    plan = Plan(
        targets=(target("sim/pinned"),), load=Open(constant(1)), duration_s=seconds,
        warmup_s=min(1.0, seconds), prompts=Prompts(max_tokens=64), name="calibration",
        first_call=False,
    )  # fmt: skip
    accuracy, valid = [], []
    for rate in rates:
        seen(f"{rate:g} calls/s of 64 tokens")
        accuracy.append(_level(plan, rate, out))
    short = replace(plan, prompts=Prompts(max_tokens=4))
    for rate in ladder:
        seen(f"{rate:g} calls/s of 4 tokens")
        valid.append(_level(short, rate, out))
        if valid[-1].measurement != "valid":
            break
    return Calibration(tuple(accuracy), tuple(valid))


def _level(plan: Plan, rate: float, out: Path | str) -> MeasuredRate:
    (now,) = plan.sweep(Open(constant(rate)))
    run = measure(now, out=out)
    return level_of(rate, run.records, run.summary(), run.verdict(), truth_of(run))


def truth_of(run: Run) -> list[dict[str, object]]:
    """The simulator's own log of a run on `sim/*`, one entry for each answer."""
    path = run.folder / "sim.jsonl"
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    return [json.loads(line) for line in lines]
