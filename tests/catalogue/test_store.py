"""Runs in an object store: moto's S3 server behind a proxy that fails when it is told to."""

import json
import logging
import os
import shutil
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit
from zlib import crc32

import msgspec
import pytest
from click.testing import CliRunner
from moto.server import ThreadedMotoServer

import holymon as hm
from holymon.catalogue import packed_calls
from holymon.catalogue.entries import entries
from holymon.cli.main import main
from holymon.errors import PlanError, RunError
from holymon.load import store_entries
from holymon.load.publish import send
from holymon.load.run import Run
from holymon.records import run_folder
from holymon.records.spool import folder_of, store_of

from .faulty import Faulty

FIXTURES = Path(__file__).parents[1] / "records" / "fixtures"
FIRST = datetime(2026, 11, 1, tzinfo=UTC)
SECRET = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY12"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A store with a bucket, behind a faulty proxy; keys and address come from the environment."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    behind = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    behind.start()
    proxy = Faulty(behind.get_host_and_port())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", proxy.url)
        patch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_MAX_ATTEMPTS", "1")
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        import s3fs

        s3fs.S3FileSystem(skip_instance_cache=True).mkdir("team")
        yield proxy
    proxy.shutdown()
    proxy.server_close()
    behind.stop()


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
    with pytest.raises(RunError, match="deleted to make room"):
        hm.attach(ids[0], out=store)
    assert packed_calls.pack(known, FIRST.timestamp() + 2 * 86400) == 3


def test_writers_and_packers_at_once_lose_nothing(store):
    out = folder_of(store)
    a_run(store, 0)
    assert send(out, Run) == ""
    (entry,) = entries(out)
    known = store_of(out)

    def write(k):
        for n in range(2):
            store_entries.add(
                known, msgspec.structs.replace(entry, run_id=f"w{k}/20261101T00000{n}Z")
            )
            store_entries.pack(known, least=3)
            store_entries.known(known)

    threads = [threading.Thread(target=write, args=(k,)) for k in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store_entries.known(known)) == 7
    assert len(known.names("catalogue/packs")) < 7


FAULTS = {
    "SlowDown": "is too busy (503)",
    "InternalError": "has a fault of its own (5xx)",
    "reset": "can't be reached, or broke the connection",
    "cut": "keeps something else than it was sent",
    "InvalidAccessKeyId": "refuses these credentials",
    "RequestTimeTooSkewed": "refuses the clock of this machine",
}


def test_what_could_not_be_sent_stays_and_goes_with_the_next_run(store, server, caplog):
    out = folder_of(store)
    for hours, (fault, words) in enumerate(FAULTS.items()):
        name = a_run(store, hours).name
        server.fault = lambda method, path, name=name, fault=fault: (
            fault * (method == "PUT" and "state.json" in path and name in path)
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
        assert len(store_entries.known(store_of(out))) == hours, "all before, nothing of this one"
    server.fault = lambda method, path: ""
    assert send(out, Run) == ""
    forgotten(store)
    assert len(hm.runs(store)) == len(FAULTS)
    assert len(hm.attach("last", out=store).records) == 30


def test_a_writer_that_is_killed_before_the_last_word_leaves_nothing_half(store, monkeypatch):
    out = folder_of(store)
    a_run(store, 0)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(store_entries, "add", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        send(out, Run)
    known = store_of(out)
    assert known.names("runs")
    assert store_entries.known(known) == {}
    assert send(out, Run) == ""
    assert len(store_entries.known(known)) == 1


def test_a_store_that_is_not_there_or_refuses_is_one_sentence_and_the_run_is_kept(
    server, tmp_path, monkeypatch
):
    done = CliRunner().invoke(main, ["runs", "s3://no-such-bucket/x"])
    assert (done.exit_code, done.output) == (
        4,
        "holymon: s3://no-such-bucket/x has no such bucket: make it, or name another.\n",
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


def test_a_run_is_measured_here_and_sent_with_its_place_and_clock(store, server, caplog):
    server.fault = lambda method, path: "SlowDown" * (method == "PUT")
    command = ["load", "sim/fast", "--requests", "3", "--rate", "30", "--name", "real", "--json"]
    done = CliRunner().invoke(main, [*command, "--place", "hanoi", "--out", store])
    os.environ.pop("HOLYMON_PLACE")
    assert done.exit_code in {0, 3}, done.output
    about = json.loads(done.stdout)
    assert about["place"] == "hanoi"
    assert f"1 run waits in {folder_of(store)}" in caplog.text, "and the exit code is the run's"
    assert CliRunner().invoke(main, ["runs", store, "--sync"]).exit_code == 4
    server.fault = lambda method, path: "ahead" * (method == "HEAD")
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
