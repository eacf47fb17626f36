"""What our records say that a provider may bill, by day and target: the other side of a bill.

    own_bill(records, day_of) -> cells      Own + Own

Only what the server counted is a sum; calls that may be billed and were never counted stand apart.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from holymon.figures.cost import cost_of, may_be_billed
from holymon.records.attempt import Flag
from holymon.records.bill import CLASSES
from holymon.records.chosen import Chosen
from holymon.records.records import Records


@dataclass(slots=True)
class Own:
    """The calls of a day and a target: tokens and USD by class, as the server counted.

    `counts`: `calls` that were sent; of them successful `answers` without a count; `broken` ones,
    cut off, stopped or failed after the server may have begun, without one; `free` failures; those
    asked `again`; of `warmup`; and those that ran `over_midnight`. `came` tokens came in `broken`
    calls and uncounted answers. `usd` is None where no price is known, `usd_of` by class.
    """

    tokens: Counter[str] = field(default_factory=Counter)
    usd: float | None = 0.0
    usd_of: dict[str, float] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    came: int = 0
    first_calls: int = 0

    def add(self, other: "Own") -> None:
        """Take in what another one holds."""
        self.tokens.update(other.tokens)
        self.counts.update(other.counts)
        for name, usd in other.usd_of.items():
            self.usd_of[name] = self.usd_of.get(name, 0.0) + usd
        self.usd = None if self.usd is None or other.usd is None else self.usd + other.usd
        self.came += other.came
        self.first_calls += other.first_calls

    @property
    def uncounted(self) -> int:
        """Calls that may be billed and were never counted."""
        return self.counts["answers"] + self.counts["broken"]


DayOf = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.str_]]
"""From seconds since 1970, shape (n,), to days such as 2026-01-31."""


def own_bill(records: Records, day_of: DayOf) -> dict[tuple[str, str], Own]:
    """The sums of each day and target of records whose clock is known."""
    if records.began is None or not len(records):
        return {}
    sent = records.sent
    days = np.full(len(records), "", "U10")
    begun = records.began + records["start_s"][sent]
    days[sent] = day_of(begun)
    late = np.zeros(len(records), bool)
    ended = records.began + records["end_s"][sent]
    late[sent] = np.where(np.isnan(ended), days[sent], day_of(np.nan_to_num(ended))) != days[sent]
    cells: dict[tuple[str, str], Own] = {}
    for number, target in enumerate(records.targets):
        mine = sent & (records["target"] == number)
        for day in np.unique(days[mine]):
            chosen = mine & (days == day)
            own = _own(records, number, records.chosen(chosen))
            own.counts["over_midnight"] = int(late[chosen].sum())
            cells.setdefault((str(day), target.name), Own()).add(own)
    return cells


def _own(records: Records, number: int, rows: Chosen) -> Own:
    flags, error = rows["flags"], rows["error"]
    prompt, output = rows["prompt_tokens"], rows["output_tokens"]
    counted = ((flags & Flag.SERVER_TOKENS) != 0) & (prompt >= 0)
    counted |= (prompt >= 0) & (output < 0) & (error == 0)  # embeddings have no output
    begun = may_be_billed(rows)
    broken = ~counted & begun
    answers = (error == 0) & ~counted
    own, known = Own(), rows.only(counted)
    cached = np.clip(known["cached_tokens"], 0, known["prompt_tokens"])
    written = np.clip(known["written_tokens"], 0, known["prompt_tokens"] - cached)
    sums = (known["prompt_tokens"] - cached - written, cached, written,
            np.maximum(known["output_tokens"], 0))  # fmt: skip
    own.tokens = Counter(
        {n: int(s.sum(dtype=np.int64)) for n, s in zip(CLASSES, sums, strict=True)}
    )
    own.counts = Counter({
        "calls": len(rows), "answers": int(answers.sum()), "broken": int(broken.sum()),
        "free": int(((error != 0) & ~counted & ~begun).sum()),
        "again": int((rows["attempt"] > 0).sum()),
        "warmup": int(((flags & Flag.WARMUP) != 0).sum()),
    })  # fmt: skip
    own.came = int(rows["events"][answers | broken].sum(dtype=np.int64))
    cost, _ = cost_of(known, records.targets[number])
    own.usd = cost.usd if len(known) else 0.0
    spent = {
        "input": cost.input_usd, "cached": cost.cached_usd, "written": cost.written_usd,
        "output": (cost.output_usd or 0.0) + (cost.reasoning_usd or 0.0),
    }  # fmt: skip
    own.usd_of = {name: usd or 0.0 for name, usd in spent.items()}
    return own
