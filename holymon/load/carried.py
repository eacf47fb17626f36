"""What a report's page carries of its run, as a text that is only data: packed here, and read back.

    zlib of: header in JSON | columns of some of its calls | gaps of each | their bins | counts

Summary and verdict are whole, as they were computed from all calls. The sample is even: of each
target's calls, in the order in which they were due, one at random of every `every`. Prompts of
one's own are left out, since a report is handed on. What is read back was written by others: sizes
are bounded, no length in the header is believed, and nothing of it is run.
"""

import base64
import binascii
import json
import re
import zlib
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from holymon.errors import CODES, PlanError
from holymon.figures.summary_types import Summary
from holymon.figures.verdict import Verdict
from holymon.load.run import Run
from holymon.plan.plan import Plan
from holymon.plan.prompts import Prompts
from holymon.records.attempt import DTYPE, GAP, GAP_BINS, blank
from holymon.records.frames import implausible
from holymon.records.records import Records
from holymon.safety import Secret, redact
from holymon.structs import plain_text, replace

FORMAT: Final = 1
MOST_CALLS: Final = 2000
MOST_BYTES: Final = 300_000
"""Of the text, as far as fewer calls make it shorter."""

MOST_UNPACKED: Final = 2**25
MOST_OF_HEADER: Final = 2**22
"""Bytes of JSON, in which an empty list of three takes sixty in memory."""

MOST_TARGETS: Final = 255
LEFT_OUT: Final = "(prompts of one's own are left out of a report)"
_TICKS: Final = 2.0**24
_LATEST: Final = 2.0**33  # in the year 2242, for which pandas has room
_KIND: Final = re.compile(r"[fiu][1248]|S\d{1,3}")


class Header(msgspec.Struct):
    """What stands before the columns; `calls` is how many there were in all, of which `rows` come.

    `fields` names each column and its kind, as numpy writes it; `gaps` is the number of bins.
    """

    format: int
    run_id: str
    status: dict[str, str]
    plan: dict[str, Any]
    summary: Summary
    verdict: Verdict
    calls: int
    every: int
    turns: int
    began: float | None
    rows: int
    gaps: int
    fields: list[tuple[str, str]]


def packed(run: Run, secrets: tuple[Secret, ...] = ()) -> str:
    """A run as text for its page, at most about `MOST_BYTES` long unless it has many targets."""
    every, text = max(1, -(-len(run.records) // MOST_CALLS)), ""
    while not text or (len(text) > MOST_BYTES and every <= len(run.records)):
        text = _text(run, every, secrets)
        every *= 2
    return text


def _text(run: Run, every: int, secrets: tuple[Secret, ...]) -> str:
    some = run.records.select(_even(run.records, every))
    gaps, status = some.gap_pairs, run.status
    header = Header(
        FORMAT, run.id, {k: str(status[k]) for k in ("state", "started_at") if k in status},
        json.loads(_shared(run.plan).to_json()), run.summary(), run.verdict(), len(run.records),
        every, some.turns, some.began, len(some), len(gaps),
        [(name, DTYPE[name].str[1:]) for name in DTYPE.names or ()],
    )  # fmt: skip
    about = masked(msgspec.to_builtins(header, str_keys=True, enc_hook=plain_text), secrets)
    columns = [_column(some[name]) for name in DTYPE.names or ()]
    columns += [some.gap_counts.astype("<u4"), gaps["bin"].astype("<u2"), gaps["n"].astype("<u2")]
    body = b"".join(column.tobytes() for column in columns)
    whole = json.dumps(about).encode() + b"\n" + body
    return base64.b64encode(zlib.compress(whole, 9)).decode()


def _even(records: Records, every: int) -> npt.NDArray[np.bool_]:
    """One at random of every so many calls of each target as they were due; shape (n,)."""
    taken, chance = np.zeros(len(records), bool), np.random.default_rng(0)
    for target in range(len(records.targets)):
        at = np.flatnonzero(records["target"] == target)
        at = at[np.argsort(records["due_s"][at], kind="stable")]
        firsts = np.arange(0, len(at), every)
        chosen = firsts + chance.integers(0, every, len(firsts))
        taken[at[chosen[chosen < len(at)]]] = True
    return taken


def _column(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Little-endian; times without the low bits, which are noise and can't be compressed."""
    if values.dtype.kind == "f":
        values = np.round(values * _TICKS) / _TICKS
    return values.astype(values.dtype.newbyteorder("<"))


def _shared(plan: Plan) -> Plan:
    """The plan without what is nobody else's: prompts, and paths of this machine."""
    targets = tuple(replace(t, ca_file="", cert_file="") for t in plan.targets)
    prompts = plan.prompts
    if prompts != Prompts(max_tokens=prompts.max_tokens, stream=prompts.stream):
        prompts = replace(prompts, texts=(LEFT_OUT,), dataset=None, system="")
    return replace(plan, targets=targets, prompts=prompts)


def masked(value: Any, secrets: tuple[Secret, ...]) -> Any:
    """All texts of it without keys."""
    if isinstance(value, str):
        return redact(value, secrets)
    if isinstance(value, dict):
        return {masked(key, secrets): masked(item, secrets) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked(item, secrets) for item in value]
    return value


def unpacked(text: bytes, source: str) -> tuple[Header, Plan, Records]:
    """What `packed` wrote, with its plan as the word of `source`.

    Raises ValueError, PlanError for what can't be that.
    """
    try:
        raw = base64.b64decode(text.strip(), validate=True)
        inflate = zlib.decompressobj()
        whole = inflate.decompress(raw, MOST_UNPACKED)
        if not inflate.eof:
            raise ValueError("it is cut short, or too large")
        head, _, body = whole.partition(b"\n")
        if len(head) > MOST_OF_HEADER:
            raise ValueError("its header is too long")
        about = json.loads(head)
        if isinstance(about, dict) and about.get("format") != FORMAT:
            raise ValueError("another version of holymon wrote it")
        header = msgspec.convert(about, Header)
        plan = Plan.from_json(json.dumps(header.plan), source)
    except (binascii.Error, zlib.error, RecursionError, msgspec.MsgspecError) as error:
        if isinstance(error.__cause__, PlanError):
            raise error.__cause__ from None
        raise ValueError(f"it is damaged ({type(error).__name__})") from None
    if header.began is not None and not 0 <= header.began < _LATEST:
        raise ValueError("it began at no moment")
    names = [target.target for target in header.summary.targets]
    if names != [target.name for target in plan.targets]:
        raise ValueError("its figures are not of its plan's targets")
    if any(name not in CODES for target in header.summary.targets for name in target.errors):
        raise ValueError("its calls ended in ways that this version does not know")
    return header, plan, _records(header, plan, body)


def _records(header: Header, plan: Plan, body: bytes) -> Records:
    kinds = [kind for _, kind in header.fields]
    if not all(map(_KIND.fullmatch, kinds)) or min(header.rows, header.gaps, header.turns) < 0:
        raise ValueError("it has columns that are none")
    n, g = header.rows, header.gaps
    sizes = [n * np.dtype(kind).itemsize for kind in kinds] + [4 * n, 2 * g, 2 * g]
    if sum(sizes) != len(body):
        raise ValueError("its calls are cut short")
    ends = np.cumsum(sizes).tolist()
    pieces = [body[end - size : end] for end, size in zip(ends, sizes, strict=True)]
    rows = blank(n)
    for (name, kind), piece in zip(header.fields, pieces[:-3], strict=True):
        if name in (DTYPE.names or ()) and DTYPE[name].str[1:] == kind:
            rows[name] = np.frombuffer(piece, f"<{kind}")
    counts = np.frombuffer(pieces[-3], "<u4").astype(np.int64)
    gaps = np.empty(g, GAP)
    gaps["bin"], gaps["n"] = (np.frombuffer(piece, "<u2") for piece in pieces[-2:])
    if wrong := implausible(rows, len(plan.targets)):
        raise ValueError(wrong)
    if counts.sum() != g or (gaps["bin"] >= GAP_BINS).any():
        raise ValueError("its gaps are none")
    records = Records(plan.targets, header.began, max(1, header.turns))
    records.extend(rows, gaps, counts)
    return records
