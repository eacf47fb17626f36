"""Traffic of one's own as a load: calls that a run or a monitor recorded, by sizes and arrivals.

No text is needed, and none is kept: a call becomes a made-up prompt of as many tokens as the server
counted, with an answer of at most as many as came, due when it came.
"""

from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from holymon.errors import PlanError
from holymon.plan.dataset import Dataset, dataset_of
from holymon.plan.requests import MOST_TOKENS, Request
from holymon.records import parquet, run_folder
from holymon.records.attempt import Flag
from holymon.safety import plain

KIND: Final = "recorded calls"
NEEDED: Final = frozenset({"due_s", "prompt_tokens", "output_tokens", "attempt"})
"""Columns by which a file of ours is known."""

Column = npt.NDArray[Any]


def of_run(folder: Path) -> Dataset:
    """The calls of a run, warm-up left out. Raises RunError, PlanError."""
    records = run_folder.load(folder)
    measured = records.select((records["flags"] & Flag.WARMUP) == 0)
    columns = {name: measured[name] for name in NEEDED}
    columns["elsewhere"] = np.zeros(len(measured), np.int32)  # a load asks no other target again
    return _dataset(folder.parent.name, columns)


def of_files(paths: Sequence[Path], source: str) -> Dataset:
    """The calls in files that a monitor spilled, or in one of a run. Raises RunError, PlanError."""
    parts = [_columns(path) for path in paths]
    names = parts[0].keys()
    return _dataset(
        source, {name: np.concatenate([part[name] for part in parts]) for name in names}
    )


def _columns(path: Path) -> dict[str, Column]:
    """The columns that matter; `due_s` is seconds since 1970 where the file knows that."""
    there = parquet.columns(path)
    # Monitors write the moment at which a call was sent, and clocks of their own.
    moment = 'epoch_us("at") / 1e6 - start_s + due_s' if "at" in there else "due_s"
    wanted = {
        "due_s": f"({moment})::DOUBLE", "attempt": "attempt::UTINYINT",
        "prompt_tokens": "prompt_tokens::INTEGER", "output_tokens": "output_tokens::INTEGER",
        "beside": f"{_flag(Flag.WARMUP, there)} OR {_flag(Flag.SHADOW, there)}",
        "elsewhere": f"{_flag(Flag.CAME_OVER, there)}::INT - {_flag(Flag.WENT_ON, there)}::INT",
    }  # fmt: skip
    table = parquet.table(path, wanted)
    theirs = ~np.ma.filled(table["beside"], fill_value=False)
    missing = {
        "due_s": np.nan, "attempt": 0, "prompt_tokens": -1, "output_tokens": -1, "elsewhere": 0,
    }  # fmt: skip
    return {name: np.asarray(np.ma.filled(table[name], missing[name]))[theirs] for name in missing}


def _flag(flag: Flag, there: Container[str]) -> str:
    """A flag in SQL, as the columns that are there tell it: a bit of them, or one of its own."""
    name = flag.name.lower()
    bit = f"((flags::UINTEGER & {int(flag)}) > 0)"
    return f"{name}::BOOLEAN" if name in there else bit if "flags" in there else "false"


def _dataset(source: str, columns: dict[str, Column]) -> Dataset:
    # Of a call that failed at one target and went on at another, what came is with the other.
    first = np.where(columns["elsewhere"], columns["elsewhere"] > 0, columns["attempt"] == 0)
    due, prompts, answers = (
        columns[name][first] for name in ("due_s", "prompt_tokens", "output_tokens")
    )
    known = (prompts > 0) & (prompts <= MOST_TOKENS) & np.isfinite(due)
    left = []
    if retries := int((~first).sum()):
        left.append(f"{retries:,} that were asked again")
    if lacking := int((~known).sum()):
        left.append(f"{lacking:,} whose tokens no server counted")
    if not known.any():
        raise PlanError(f"{plain(source)} holds no call of which a server counted the tokens.")
    order = np.argsort(due[known], kind="stable")
    each = zip(*(column[known][order].tolist() for column in (due, prompts, answers)), strict=True)
    requests = (
        Request(
            prompt_tokens=prompt, max_tokens=min(answer, MOST_TOKENS) if answer > 0 else None,
            output_tokens=min(answer, MOST_TOKENS) if answer >= 0 else None, at=at,
        )
        for at, prompt, answer in each
    )  # fmt: skip
    return dataset_of(requests, plain(source), KIND, "; ".join(left), timed=True)
