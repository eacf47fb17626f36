"""Runs in an object store: moto's S3 server behind a proxy that fails when it is told to."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit
from zlib import crc32

import duckdb
import pytest
from click.testing import CliRunner

import holymon as hm
from holymon.catalogue import packed_calls
from holymon.catalogue.entries import entries
from holymon.catalogue.retention import drop_calls, excess
from holymon.cli.main import main
from holymon.errors import PlanError, RunError
from holymon.load import publish, store_entries
from holymon.load.publish import send
from holymon.load.run import Run
from holymon.records import run_folder
from holymon.records import store as store_room
from holymon.records.spool import folder_of, store_of

from .faulty import SECRET, server

__all__ = ["server"]

FIXTURES = Path(__file__).parents[1] / "records" / "fixtures"
FIRST = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def store(server, request):
    """A prefix of its own, and the folder that stands for it."""
    server.fault = lambda method, path: ""
    url = f"s3://team/{crc32(request.node.name.encode()):x}"
    yield url
    server.fault = lambda method, path: ""


def a_run(url: str, hours: int, name: str = "hourly", place: str = "") -> Path:
    """A run that ended here and was not sent yet."""
    began = FIRST + timedelta(hours=hours)
    folder = folder_of(url) / name / f"{began:%Y%m%dT%H%M%SZ}-{hours:04x}"
    (source,) = (FIXTURES / "reported").iterdir()
    folder.mkdir(parents=True)
    for file in ("calls.parquet", "gaps.parquet", "plan.json"):
        shutil.copy(source / file, folder)
    state = json.loads((source / "state.json").read_text())
    about = {"started_at": began.isoformat(), **({"place": place} if place else {})}
    (folder / "state.json").write_text(json.dumps(state | about))
    return folder


def forgotten(url: str) -> None:
    """As on another machine: nothing of the store is here."""
    shutil.rmtree(folder_of(url))


def test_runs_are_sent_listed_opened_asked_and_compared(store, server):
    ids = [run_folder.run_id(a_run(store, hours)) for hours in range(4)]
    assert send(folder_of(store), Run) == ""
    calls = len(Run(folder_of(store) / ids[0]).records)
    forgotten(store)
    server.seen.clear()
    listed = hm.runs(store)
    assert [run["run_id"] for run in listed] == ids
    assert len(server.seen) <= 4 + 4, "the lists, and what is loose"
    assert not [path for _, path in server.seen if "/runs/" in path]
    known = hm.history(store)
    assert [row.of.requests for row in known.measured] == [calls] * 4
    assert known.series("latency_p95")[0].run_ids == tuple(ids)
    counted = hm.sql(
        "select run_id, count(*) as n from calls group by all order by run_id", out=store
    )
    assert counted["n"].tolist() == [calls] * 4
    assert not [*folder_of(store).glob("*/*/plan.json")]
    run = hm.attach(ids[1], out=store)
    assert (run.id, len(run.records)) == (ids[1], calls)
    assert [hm.attach(name, out=store).id for name in ("last", "hourly")] == [ids[3]] * 2
    assert hm.compare(hm.attach(ids[0], out=store), run).pairs == 1
    with pytest.raises(RunError, match="no run 'none' in s3://team"):
        hm.attach("none", out=store)


def test_many_runs_are_few_objects_and_only_what_is_needed_is_read(store, server):
    out = folder_of(store)
    ids = [run_folder.run_id(a_run(store, hours)) for hours in range(5)]
    done = CliRunner().invoke(main, ["runs", store, "--sync"])
    assert (done.exit_code, done.output) == (
        0,
        f"all runs are in {store}; the calls of 5 runs were packed.\n",
    )
    known = store_of(out)
    assert (len(known.names("catalogue/entries")), len(known.names("catalogue/packs"))) == (0, 1)
    server.seen.clear()
    assert [entry.run_id for entry in entries(out)] == ids
    assert len(server.seen) <= 5
    server.seen.clear()
    answer = hm.sql("select run_id, count(*) as n from calls group by all", out=store)
    assert len(answer) == 5
    read = {
        path.partition("?")[0]
        for method, path in server.seen
        if method == "GET" and ".parquet" in path
    }
    assert len(read) == 1
    assert "/calls/" in read.pop()
    server.fault = lambda method, path: "SlowDown" * (method == "GET" and ".parquet" in path)
    with pytest.raises(RunError, match=r"is too busy \(503\)") as error:
        hm.sql("from calls", out=store)
    assert "WORDS" not in str(error.value)
    server.fault = lambda method, path: ""
    assert (
        CliRunner().invoke(main, ["prune", "--out", store, "--keep", "3", "--yes"]).exit_code == 0
    )
    after = hm.sql("select run_id, count(*) as n from calls group by all order by all", out=store)
    assert after["run_id"].tolist() == ids[2:]
    assert not known.names("calls"), "what of others was in that file is read from their own"
    assert "calls.parquet" not in known.names(f"runs/{ids[0]}")
    assert len(hm.history(store).measured) == 5
    with pytest.raises(RunError, match="there are no calls of"):
        hm.attach(ids[0], out=store)
    assert packed_calls.pack(known, FIRST.timestamp() + 2 * 86400) == 3


def test_two_machines_write_while_a_third_packs_and_a_fourth_prunes(store, tmp_path):
    """What each wrote is there in the end, whoever was first; of pruned runs all but the calls."""
    out, done = folder_of(store), []
    known = store_of(out)

    def write(machine):
        for n in range(2):
            folder = a_run(str(tmp_path / machine), n, name=machine)
            publish._send(folder, known, Run)
            store_entries.pack(known, least=3)
            done.append(machine)

    def prune():
        while len(done) < 4 or len(excess(out, most_runs=2)):
            for entry in excess(out, most_runs=2):
                drop_calls(out, entry)
            packed_calls.forget(known)

    def pack():
        while len(done) < 4:
            with contextlib.suppress(RunError):  # of a run whose calls were just deleted
                packed_calls.pack(known, FIRST.timestamp() + 2 * 86400)

    work = [lambda: write("hanoi"), lambda: write("hue"), prune, pack]
    with ThreadPoolExecutor(4) as machines:
        for each in [machines.submit(task) for task in work]:
            each.result()
    packed_calls.pack(known, FIRST.timestamp() + 2 * 86400)
    kept = store_entries.known(known)
    assert len(kept) == 4
    assert all(entry.of_targets for entry in kept.values())
    with_calls = sorted(run_id for run_id, entry in kept.items() if not entry.calls_gone)
    assert len(with_calls) == 2
    counted = hm.sql("select run_id, count(*) as n from calls group by all", out=store)
    assert sorted(counted["run_id"]) == with_calls
    assert counted["n"].tolist() == [30] * 2
    for run_id in kept:
        assert ("calls.parquet" in known.names(f"runs/{run_id}")) == (run_id in with_calls)


FAULTS = {
    "SlowDown": "is too busy (503) (SlowDown)",
    "InternalError": "has a fault of its own (5xx) (InternalError)",
    "reset": "can't be reached, or broke the connection",
    "cut": "keeps something else than it was sent",
    "hang": "did not answer in time",
    "drip": "did not answer in time",
    "InvalidAccessKeyId": "refuses these credentials: set AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE (InvalidAccessKeyId)",
    # https://github.com/boto/boto3/issues/4400: also what GCS says to checksums it does not know
    "SignatureDoesNotMatch": "or AWS_PROFILE (SignatureDoesNotMatch)",
    # https://github.com/minio/minio-py/issues/285
    "RequestTimeTooSkewed": "refuses the clock of this machine, which is far off: set it",
    # https://github.com/yanganto/s3rs/issues/18 shows the headers of such an answer
    "PermanentRedirect": "is in another region than it was asked in, eu-central-1: set "
    "AWS_DEFAULT_REGION, or AWS_ENDPOINT_URL if it is not of AWS (PermanentRedirect)",
    "TemporaryRedirect": "in, eu-central-1: set AWS_DEFAULT_REGION",
    "AuthorizationHeaderMalformed": "in, eu-central-1: set AWS_DEFAULT_REGION",
    "NoSuchBucket": "has no such bucket: make it, or name another (NoSuchBucket)",
    # https://github.com/cloudflare/cloudflare-docs/pull/19236
    "NotImplemented": "can't do what it was asked for (NotImplemented)",
    "XMinioStorageFull": "is full: make room, `holymon prune` deletes calls (XMinioStorageFull)",
    "SomethingNew": "failed (SomethingNew)",
}


@pytest.fixture
def patience(monkeypatch):
    """How long to wait for a store: seldom longer than a moment, where nothing else would do."""
    return lambda seconds: monkeypatch.setattr(store_room, "PATIENCE_S", seconds)


def test_what_could_not_be_sent_stays_and_goes_with_the_next_run(store, server, caplog, patience):
    out, last = folder_of(store), "state.json"
    a_run(store, 0)
    assert send(out, Run) == ""
    a_run(store, 1)
    for fault, words in FAULTS.items():
        name = last if fault in {"cut", "reset"} else "calls.parquet"
        patience(0.2 if fault in {"hang", "drip"} else 60)
        server.fault = lambda method, path, name=name, fault=fault: (
            fault * (method == "PUT" and name in path)
        )
        sentence = send(out, Run)
        assert sentence == (
            f"1 run waits in {out} for the next one, or for `holymon runs {store} --sync`: "
            f"{sentence.partition('--sync`: ')[2]}"
        )
        assert words in sentence
        assert sentence in caplog.messages
        assert "WORDS" not in sentence
        assert SECRET not in sentence
    server.fault = lambda method, path: ""
    patience(60)
    assert len(store_entries.known(store_of(out))) == 1, "nothing of this one"
    assert send(out, Run) == ""
    forgotten(store)
    assert len(hm.runs(store)) == 2
    assert len(hm.attach("last", out=store).records) == 30


def test_whoever_reads_waits_no_longer_than_is_bearable(store, server, patience):
    out = folder_of(store)
    run_id = run_folder.run_id(a_run(store, 0))
    assert send(out, Run) == ""
    forgotten(store)
    questions = (
        lambda: hm.runs(store),
        lambda: hm.attach(run_id, out=store),
        lambda: hm.sql("from calls", out=store),
        lambda: packed_calls.pack(store_of(out), FIRST.timestamp()),
    )
    patience(0.2)
    for fault, words in (
        ("hang", "did not answer in time"),
        ("drip", "did not answer in time"),
        ("AccessDenied", "refuses these credentials"),
    ):
        server.fault = lambda method, path, fault=fault: fault
        patience(60 if fault == "AccessDenied" else 0.2)
        for ask in questions:
            with pytest.raises(RunError, match=words) as error:
                ask()
            assert str(error.value).startswith(f"{store} ")
            assert "\n" not in str(error.value)
    server.fault = lambda method, path: "abroad"
    assert len(hm.attach(run_id, out=store).records) == 30, "asked where it says that it is"


def test_a_writer_that_is_killed_in_the_middle_leaves_nothing_half(store, server):
    out = folder_of(store)
    known, runs = store_of(out), [a_run(store, hours) for hours in range(2)]
    server.fault = lambda method, path: (
        "torn" * (method == "PUT" and f"{runs[1].name}/gaps" in path)
    )
    server.stuck.clear()
    command = [sys.executable, "-m", "holymon", "runs", store, "--sync"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as writer:
        assert server.stuck.wait(60), "the store has half of that object"
        writer.kill()
    server.fault = lambda method, path: ""
    known.put("catalogue/entries/half.json", b'{"run_id":"hourly/2026')
    ids = [run_folder.run_id(folder) for folder in runs]
    assert [*store_entries.known(known)] == ids[:1]
    done = CliRunner().invoke(main, ["runs", store, "--sync"])
    assert done.output == f"all runs are in {store}; the calls of 2 runs were packed.\n"
    assert sorted(store_entries.known(known)) == ids
    for folder in runs:
        of_run = known.names(f"runs/{run_folder.run_id(folder)}")
        assert of_run == {name: (folder / name).stat().st_size for name in of_run}
    counted = hm.sql("select run_id, count(*) as n from calls group by all", out=store)
    assert sorted(counted["run_id"]) == ids
    assert counted["n"].tolist() == [30] * 2, "none twice"


def test_a_store_that_is_not_there_or_refuses_is_one_sentence_and_the_run_is_kept(
    server, tmp_path, monkeypatch
):
    done = CliRunner().invoke(main, ["runs", "s3://no-such-bucket/x"])
    assert (done.exit_code, done.output) == (
        4,
        "holymon: s3://no-such-bucket/x has no such bucket: make it, or name another (NoSuchBucket).\n",
    )
    for url in (
        f"s3://me:{SECRET}@team/x",
        f"s3://team/x?key={SECRET}",
        "memory://x",
        "s3://",
        f"s3://team/{'sk-' + SECRET}",
    ):
        done = CliRunner().invoke(main, ["runs", url])
        assert done.exit_code == 2
        assert SECRET not in done.output
        with pytest.raises(PlanError):
            folder_of(url)


def test_a_run_is_measured_here_and_sent_with_its_place_and_clock(store, server, caplog, patience):
    server.fault = lambda method, path: "hang"
    patience(0.2)
    command = ["load", "sim/fast", "--requests", "3", "--rate", "30", "--name", "real", "--json"]
    done = CliRunner().invoke(main, [*command, "--place", "hanoi", "--out", store])
    os.environ.pop("HOLYMON_PLACE")
    assert done.exit_code in {0, 3}, done.output
    about = json.loads(done.stdout)
    assert about["place"] == "hanoi"
    assert f"1 run waits in {folder_of(store)}" in caplog.text, "and the exit code is the run's"
    again = CliRunner().invoke(main, ["runs", store, "--sync"])
    assert (again.exit_code, again.output) == (4, "")
    assert caplog.messages[-1].endswith(f"{store} did not answer in time.")
    server.fault = lambda method, path: "ahead" * (method == "HEAD")
    patience(60)
    assert CliRunner().invoke(main, ["runs", store, "--sync"]).exit_code == 0
    forgotten(store)
    (entry,) = entries(folder_of(store))
    assert (entry.run_id, entry.place, entry.requests) == (about["run_id"], "hanoi", 3)
    assert entry.ahead_s > 1e9
    text = b"".join(
        store_of(folder_of(store))
        .many({f"runs/{entry.run_id}/{name}": size for name, size in entry.files.items()})
        .values()
    )
    assert SECRET.encode() not in text
    assert b"AKIA" not in text


def test_a_folder_that_says_to_stand_for_a_store_stands_for_none(server, tmp_path):
    (tmp_path / ".store").write_text("s3://team/others")
    assert store_of(tmp_path) is None
    assert urlsplit(os.environ["AWS_ENDPOINT_URL"]).hostname == "127.0.0.1"


def test_any_file_system_of_fsspec_is_a_store(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    url = f"file://{tmp_path}/runs"
    run_id = run_folder.run_id(a_run(url, 0))
    assert send(folder_of(url), Run) == ""
    forgotten(url)
    assert [run["run_id"] for run in hm.runs(url)] == [run_id]
    assert len(hm.sql("from calls", out=url)) == len(hm.attach(out=url).records)


def test_a_file_that_says_whose_calls_it_holds_is_not_believed(tmp_path):
    folder = tmp_path / "hourly" / "20261101T000000Z"
    shutil.copytree(next((FIXTURES / "reported").iterdir()), folder)
    path = folder / "calls.parquet"
    for column, words in (("run_place", ""), ("file_index", "has a column file_index")):
        with duckdb.connect() as connection:
            connection.execute(f"CREATE TABLE t AS SELECT *, 7::UINTEGER AS {column} FROM '{path}'")
            connection.execute(f"COPY t TO '{path}' (FORMAT parquet)")
        if words:
            with pytest.raises(RunError, match=words):
                hm.sql("from calls", out=tmp_path)
        else:
            assert hm.sql("from calls", out=tmp_path).empty
