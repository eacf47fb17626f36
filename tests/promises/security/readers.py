"""Every reader of what somebody else may have written, and how fuzzing feeds it.

READERS[name] -> its samples, and what reads bytes that were made of one
"""

import asyncio
import contextlib
import gzip
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any, NamedTuple
from unittest.mock import patch
from zlib import crc32
from zlib import error as zlib_error

import duckdb
import httpx
import numpy as np
import yaml
from prometheus_client.multiprocess import MultiProcessCollector

from holymon.catalogue import listing
from holymon.catalogue.history import history
from holymon.cli.doctor import _models
from holymon.errors import CODES, ERRORS, HolymonError
from holymon.figures.hints import hint
from holymon.load.run import attach
from holymon.load.trust import trust
from holymon.monitor import route as moves
from holymon.monitor import route_file
from holymon.monitor.course import MoveSteps, Outcome
from holymon.monitor.replies import _parsed
from holymon.monitor.route_table import route_table
from holymon.plan import consent, dataset_files, replay_file, shapes, slo, targets
from holymon.plan.plan import Plan
from holymon.prometheus import rules, sharing
from holymon.prometheus.alerts import Limits, Watch
from holymon.prometheus.backtest_sources import rehearse
from holymon.protocols.bounds import MAX_ERROR_BODY
from holymon.protocols.chat import CHAT
from holymon.protocols.cohere import COHERE
from holymon.protocols.converse import CONVERSE
from holymon.protocols.dialect import Dialect
from holymon.protocols.error_body import read_error, redirection
from holymon.protocols.framing import BadFrame, events_of
from holymon.protocols.gemini import GEMINI
from holymon.protocols.messages import MESSAGES
from holymon.protocols.ollama import OLLAMA
from holymon.protocols.rate_limits import LimitWatch, read_limits
from holymon.protocols.reading import Reading
from holymon.protocols.refusal import refusal
from holymon.protocols.responses import RESPONSES
from holymon.protocols.retry_after import retry_after, retry_delay
from holymon.protocols.sse import Decoder, EventTooLarge
from holymon.records.attempt import DTYPE, Marks, row
from holymon.records.bill import read as bill
from holymon.records.chosen import Chosen
from holymon.records.datasets import dataset
from holymon.records.export import write_csv
from holymon.records.headroom import headroom
from holymon.report import sections
from holymon.report.index import write_index
from holymon.report.notebooks import check_parameters
from holymon.structs import seconds_of
from holymon.transport.connection import Connection
from holymon.transport.inflater import inflater
from holymon.transport.response import Response
from holymon.widgets.results_tab import BASELINE_FILE, baseline

from . import samples
from .mutation import NUMBERS, TOKENS, mutated


class Reader(NamedTuple):
    """What is good for it, and how it reads; what it is fed is made by `make`."""

    samples: Sequence[bytes]
    read: Callable[[Path, bytes], Any]
    make: Callable[[Random, bytes, Sequence[bytes]], bytes] = mutated


def _look(out: Path, folder: Path) -> None:
    """Whatever is shown of a run."""
    listing.runs(out)
    run = attach(str(folder))
    json.dumps(run.to_dict())
    _held(lambda: dataset(folder))
    repr(run), run._repr_html_(), run.notes, run.vitals.flight
    for part in (sections.verdict, sections.figures, sections.errors, sections.method):
        assert part(run).html
    write_csv(run, out / "calls.csv")
    rehearse(run.records)


def _of_run(name: str, *, compacted: bool = False) -> Callable[[], Reader]:
    def reader() -> Reader:
        files = samples.run_files(compacted=compacted)

        def read(out: Path, data: bytes) -> None:
            folder = out / "sent" / "20260101T000000Z"
            folder.mkdir(parents=True, exist_ok=True)
            for name_, content in files.items():
                if name_.startswith(("calls", "gaps", "notes", "vitals")) or name_.endswith("json"):
                    (folder / name_).write_bytes(content)
            (folder / name).write_bytes(data)
            _look(out, folder)

        return Reader([files[name]], read)

    return reader


def _file(name: str, given: Sequence[bytes], read: Callable[[Path], Any]) -> Callable[[], Reader]:
    def reader() -> Reader:
        def reads(folder: Path, data: bytes) -> Any:
            (folder / name).write_bytes(data)
            return read(folder / name)

        return Reader(given, reads)

    return reader


def _index(out: Path, data: bytes) -> None:
    folder = out / "sent" / "20260101T000000Z"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_bytes(data)
    write_index(out)


def _consents(folder: Path, data: bytes) -> None:
    place = folder / "holymon" / "trusted"
    place.parent.mkdir(mode=0o700, exist_ok=True)
    place.write_bytes(data)
    place.chmod(0o600)
    received = Plan.from_json(samples.run_files(compacted=False)["plan.json"]).targets
    with patch.dict(os.environ, {"XDG_CONFIG_HOME": str(folder)}):
        consent.unasked(received)


def _requests(path: Path) -> None:
    made = dataset_files.read(path)
    repr(made), made._repr_html_(), [request.turns() for request in made]


def _a_part(folder: Path, data: bytes) -> None:
    """A part of a file of requests, packed or not."""
    for name, given in (("r.jsonl", data), ("r.jsonl.gz", gzip.compress(data, 1) + data[:9])):
        (folder / name).write_bytes(given)
        repr(dataset(folder / name, sample=2))


def _asked_of_file(folder: Path, data: bytes) -> None:
    (folder / "r.parquet").write_bytes(data)
    made = dataset(folder / "r.parquet")
    repr(made), made._repr_html_(), [request.turns() for request in made]


def _targets(path: Path) -> None:
    for target in targets.targets_in(path):
        repr(target), target._repr_html_() if hasattr(target, "_repr_html_") else ""
    with patch.dict(os.environ, {"XDG_CONFIG_HOME": str(path.parent)}):
        trust(path)


def _words(_: Path, data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    for read in (
        slo.parse, seconds_of, lambda text: shapes.parse(text, rate=5.0, seconds=10.0),
        lambda text: shapes.parse("constant", rate=5.0, seconds=10.0, arrivals=text),
        lambda text: yaml.dump(rules.rule_file(Watch((text,), Limits())))[:1],
    ):  # fmt: skip
        _held(lambda read=read: read(text))


def _parquet(name: str) -> Callable[[], Reader]:
    whole = _of_run(f"{name}.parquet", compacted=True)

    def make(rng: Random, sample: bytes, others: Sequence[bytes]) -> bytes:
        with contextlib.suppress(duckdb.Error):  # types that DuckDB has no column for
            if rng.random() < 0.6:
                return retyped(rng, name)
        return mutated(rng, sample, others)

    return lambda: whole()._replace(make=make)


_VALUES = (
    "NULL", "'x'", "''", "-1", "1e308::DOUBLE", "'nan'::DOUBLE", "'inf'::DOUBLE", "4294967295",
    "18446744073709551615::UBIGINT", "[1, 2]", "{'a': 1}", "'\\xff'::BLOB", "DATE '2026-01-01'",
    "TIMESTAMP '2026-01-01'", "true", "repeat('x', 100000)", "1.5::DECIMAL(4, 1)", "MAP {1: 2}",
    "255", "256", "range::UTINYINT", "range", "range * 1e300", "170141183460469231731687303715::HUGEINT",
    "INTERVAL 1 DAY", "TIME '12:00'", "uuid()",
)  # fmt: skip


def retyped(rng: Random, name: str) -> bytes:
    """A Parquet file of a run with columns of other types or values, or none."""
    with samples.folder_of_run() as folder:
        path, made = folder / f"{name}.parquet", folder / "made.parquet"
        columns = [row[0] for row in duckdb.execute(f"DESCRIBE FROM '{path}'").fetchall()]
        for column in rng.sample(columns, rng.choice((1, 1, 2, len(columns)))):
            columns[columns.index(column)] = (
                f'{rng.choice(_VALUES)} AS "{column}"'
                if rng.random() < 0.9
                else f"1 AS no_{column}"
            )
        more = rng.choice(("", "", " WHERE false", " UNION ALL BY NAME SELECT 1 AS request"))
        duckdb.execute(
            f"COPY (SELECT {', '.join(columns)} FROM (SELECT *, row_number() OVER () - 1 AS range "
            f"FROM '{path}'){more}) TO '{made}'"
        )
        return made.read_bytes()


def _answer(name: str, dialect: Dialect, kind: str = "text/event-stream") -> Callable[[], Reader]:
    def read(_: Path, data: bytes) -> None:
        rng = Random(crc32(data))
        stream, status = (
            rng.choice((True, True, False, None)),
            rng.choice((200, 200, 200, 201, 400, 529)),
        )
        heads = {"content-type": rng.choice((kind, kind, "application/json", "text/html", ""))}
        whole = _of_pieces(dialect, [data], heads, stream, status)
        cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.choice((1, 3, 30))))
        pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
        cut = _of_pieces(dialect, pieces, heads, stream, status)
        framed = events_of(heads["content-type"]) is not None  # a bad frame may end what comes
        late = (
            b"[DONE]" in data and whole[0] == "stream_error_event"
        )  # behind the end: may be missed
        if whole != cut and not late and not (framed and whole[0] and cut[0]):
            raise AssertionError(f"{whole} at once, {cut} in pieces ({stream}, {status}, {heads})")

    return lambda: Reader(samples.STREAMS[name], read)


def _of_pieces(
    dialect: Dialect, pieces: list[bytes], heads: dict[str, str], stream: bool | None, status: int
) -> tuple[Any, ...]:
    marks = Marks(0, 0, 0.0)
    marks.start = 0.0
    reading = Reading(marks, dialect, stream=stream, keep=True)
    reading.head(0.1, status, lambda name: heads.get(name, ""))
    framed = events_of(heads["content-type"]) or bytes
    try:
        for at, piece in enumerate(pieces):
            if reading.piece(0.2 + at, framed(piece)):
                break
    except BadFrame:
        if not reading.finished:
            reading.fail("invalid_schema", "")
    error = reading.end(100.0)
    row(marks)
    assert error in CODES
    return error, marks.finish, bool(marks.events), reading.texts


def _refusals(_: Path, data: bytes) -> None:
    data = data[:MAX_ERROR_BODY]
    text = data.decode("utf-8", "replace")
    refusal(data, text[:512], sent="max_tokens", streamed=True)
    for status in (400, 404, 429, 500):
        read_error(status, data, Marks(0, 0, 0.0))
    for error in ERRORS:
        hint(error, text[:512], samples.PLAN.targets[0])
    redirection(302, text[:300])
    retry_after(text[:50], text[50:90], text[:9])
    _models(data)
    with contextlib.suppress(EventTooLarge):
        _parsed(Decoder(), data)


class _Wire:
    """A transport that goes nowhere."""

    closing = False

    def __init__(self, end: Any) -> None:
        self.end = end

    def get_extra_info(self, _: str) -> Any:
        return self.end

    def abort(self) -> None:
        self.closing = True

    def is_closing(self) -> bool:
        return self.closing

    def ignore(self, *_: Any, **__: Any) -> None:
        pass

    pause_reading = resume_reading = write = set_write_buffer_limits = ignore


class _NoSocket:
    def fileno(self) -> int:
        return 0


def _http(_: Path, data: bytes) -> None:
    rng = Random(crc32(data))
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.choice((0, 1, 5))))

    async def go() -> None:
        wire = _Wire(_NoSocket())
        connection, response = Connection(None, lambda _: None), Response(perf_counter)  # type: ignore[arg-type]
        connection.connection_made(wire)  # type: ignore[arg-type]
        response.expect(httpx.Request("POST", "http://127.0.0.1/"), connection)
        connection.send(response, b"")

        def feed() -> None:
            for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True):
                if not wire.closing:
                    connection.data_received(data[a:b])
            connection.connection_lost(rng.choice((None, ConnectionResetError())))

        asyncio.get_running_loop().call_soon(feed)
        marks = Marks(0, 0, 0.0)
        reading = Reading(marks, CHAT, stream=True)
        try:
            async with asyncio.timeout(5):
                await response.begin()
                reading.head(response.at, response.status, response.header)
                await response.pour(reading.piece)
        except (httpx.TransportError, httpx.DecodingError):
            pass
        reading.end(perf_counter())
        row(marks)

    _LOOP.run_until_complete(go())


_LOOP = asyncio.new_event_loop()


def _inflated(_: Path, data: bytes) -> None:
    for packing in ("gzip", "deflate"):
        unpack = inflater(packing)
        assert unpack is not None
        try:
            unpack.step(data)
            while unpack.more:
                unpack.step()
        except (zlib_error, httpx.DecodingError):
            pass


def _events(_: Path, data: bytes) -> None:
    """Events are the same however their bytes were cut."""
    rng = Random(crc32(data))
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.choice((1, 3, 30))))
    whole, cut = Decoder(), Decoder()
    at_once = [*whole.feed(data), *whole.close()]
    in_pieces = [
        event for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)
        for event in cut.feed(data[a:b])
    ]  # fmt: skip
    assert at_once == [*in_pieces, *cut.close()], "events depend on how they were cut"


def _limits(_: Path, data: bytes) -> None:
    """What is known of limits and waits is a finite number of 0 or more."""
    heads = [
        (name, value) for name, _, value in (line.partition(b":") for line in data.split(b"\n"))
    ]
    texts = [value.decode("latin-1") for _, value in heads]
    known = [value for limit in read_limits(heads).values() for value in limit if value is not None]
    waits = [retry_after(text, date, text) for text in texts for date in ("", texts[-1])]
    with contextlib.suppress(ValueError, RecursionError):
        waits.append(retry_delay(json.loads(texts[0])))
    assert all(0 <= value < 1e18 for value in known), known
    assert all(0 <= value < 1e9 or np.isnan(value) for value in waits), waits
    watch = LimitWatch()
    watch.look(0, 1.0, heads)
    watch.refused(0, data[:512].decode("utf-8", "replace"), heads)


def _columns(_: Path, data: bytes) -> None:
    """Columns of chosen rows are those of the rows."""
    whole = np.frombuffer(data[: len(data) // DTYPE.itemsize * DTYPE.itemsize], DTYPE)
    rng = np.random.default_rng(crc32(data))
    where = rng.random(len(whole)) < rng.choice([0.0, 0.5, 1.0])
    chosen, rows = Chosen(whole, where), whole[where]
    then = rng.random(len(rows)) < 0.5
    ordered = chosen.only(then).in_order_of("end_s")
    ends = ordered["end_s"][~np.isnan(ordered["end_s"])]
    assert (ends[1:] >= ends[:-1]).all()
    for name in DTYPE.names or ():
        for some, good in ((chosen, rows), (chosen.only(then), rows[then]),
                           (ordered, whole[ordered.positions])):  # fmt: skip
            assert some[name].tobytes() == good[name].tobytes(), name
    assert sorted(ordered.positions) == np.flatnonzero(where)[then].tolist()


def _baseline(path: Path) -> None:
    baseline(path.parent)


def _move(path: Path) -> None:
    """What is read of a move goes on, however odd, and is shown."""
    route = route_file.read(path)
    assert route is not None
    ended = [Outcome(side, False, 0.1, 0.05, 1.0, 10) for side in (0, 1)] * 30
    for at in (1e9, 2e9):
        route = moves.observe(route, ended, MoveSteps(), at, "me")
    assert route_table(route).text()
    route_file.decode(route_file.written(moves.by_hand(route, 3e9, "me", "", share=0.2)))


def _sums(path: Path) -> None:
    if sharing._read(path):
        MultiProcessCollector.merge([str(path)])


def _worded(rng: Random, sample: bytes, others: Sequence[bytes]) -> bytes:
    """Pieces of words and numbers put together."""
    if rng.random() < 0.5:
        return mutated(rng, sample, others)
    parts = [*others, *NUMBERS, *TOKENS[:30]]
    return b"".join(rng.choice((b"", b":", b",", b"<", b" ")) + rng.choice(parts) for _ in range(4))


_MADE: dict[str, Callable[[], Reader]] = {
    "calls.parquet": _parquet("calls"),
    "gaps.parquet": _parquet("gaps"),
    "requests in Parquet": lambda: Reader(samples.parquets(), _asked_of_file),
    "underway": _of_run("calls.0.underway"),
    "journal": _of_run("calls.0.journal"),
    "consents": lambda: Reader([samples.TRUST], _consents),
    "targets.toml": _file("targets.toml", [samples.TARGETS], _targets),
    "vitals": _of_run("vitals.0.jsonl"),
    "notes": _of_run("notes.0.jsonl"),
    "state.json": _of_run("state.json"),
    "plan.json": _of_run("plan.json"),
    "run.json": lambda: Reader([samples.run_files(compacted=False)["run.json"]], _index),
    "a plan to be trusted": _file("a.json", [samples.PLAN.to_json()], trust),
    "catalogue": _file(
        ".catalogue.json", samples.CATALOGUE, lambda path: repr(history(path.parent))
    ),
    "baseline": _file(BASELINE_FILE, [samples.BASELINE], _baseline),
    "words of options": lambda: Reader(samples.WORDS, _words, _worded),
    "answers of chat": _answer("chat", CHAT),
    "answers of messages": _answer("messages", MESSAGES),
    "answers of responses": _answer("responses", RESPONSES),
    "answers of gemini": _answer("gemini", GEMINI),
    "answers of cohere": _answer("cohere", COHERE),
    "answers of ollama": _answer("ollama", OLLAMA, "application/x-ndjson"),
    "answers of converse": _answer("converse", CONVERSE, "application/vnd.amazon.eventstream"),
    "refusals": lambda: Reader(samples.REFUSALS + samples.STREAMS["chat"][3:], _refusals),
    "HTTP": lambda: Reader(samples.HTTP, _http),
    "packed bodies": lambda: Reader([samples.HTTP[2].partition(b"\r\n\r\n")[2]], _inflated),
    "requests": _file("requests", samples.REQUESTS, _requests),
    "a part of requests": lambda: Reader(samples.REQUESTS, _a_part),
    "requests in CSV": _file("r.csv", samples.TABLES, _requests),
    "times in JSON": _file("t.jsonl", samples.TIMES["json"], replay_file.replay),
    "times in CSV": _file("t.csv", samples.TIMES["csv"], replay_file.replay),
    "dates with slashes": _file("t.csv", samples.TIMES["slashes"], replay_file.replay),
    "a trace": _file("r.jsonl", samples.TRACES, _requests),
    "events on several lines": lambda: Reader(samples.LINES, _events),
    "limits of a run": _file(
        "limits.0.jsonl", samples.HEADROOM, lambda path: repr(headroom(path.parent))
    ),
    "limits and waits": lambda: Reader(samples.LIMITS, _limits),
    "columns of rows": lambda: Reader(samples.rows(), _columns),
    "a bill": _file("b", samples.BILLS, bill),
    "a move": _file("r.json", [samples.MOVE], _move),
    "sums of processes": _file("counter_holymon-0.db", samples.SUMS, _sums),
    "a notebook": _file("n.ipynb", [samples.NOTEBOOK], lambda path: check_parameters(path, {})),
}
READERS = tuple(_MADE)
QUICK = set(READERS[READERS.index("run.json") : READERS.index("a notebook")]) | {"consents"}
"""Those that read one file, and not a whole run."""


def reader_of(name: str) -> Reader:
    """A reader; its samples are made when it is first wanted."""
    return _MADE[name]()


def made(reader: Reader, seed: int) -> bytes:
    """What a seed makes of its samples."""
    rng = Random(seed)
    return reader.make(rng, rng.choice(reader.samples), reader.samples)


def _held(read: Callable[[], Any]) -> None:
    try:
        read()
    except HolymonError as error:
        if not str(error):
            raise AssertionError("no sentence") from None


def reads(reader: Reader, folder: Path, data: bytes) -> None:
    """Read: what is wrong is said in a sentence, and nothing else is raised."""
    _held(lambda: reader.read(folder, data))
