"""Runs on a Dask cluster of real processes: measured, stopped, killed, and never lost a record."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import dask.config
import numpy as np
import pytest
from distributed import Client, Security

import holymon as hm
from holymon.cluster import executors, remote
from holymon.errors import ConfigError, RunError
from holymon.load import pieces
from holymon.load.run import attach
from holymon.sim.process import simulator
from tests.promises.faults.conftest import certificate
from tests.report.test_notebooks import results

__all__ = ["certificate"]

KEY = "hm-canary-7f31c0ffee"
SHORT = hm.Prompts(max_tokens=4)
HOUR = "3600"
ELSEWHERE = ("0", "127.0.0.2", "elsewhere")


class Cluster:
    """A scheduler and its workers, each a process that a test may kill."""

    def __init__(self, folder, stack: ExitStack, **variables: str) -> None:
        self.folder, self._stack, self._variables = folder, stack, variables
        folder.mkdir(exist_ok=True)
        self._log = stack.enter_context((folder / "log").open("a"))
        self.scheduler, self.address = self.process("scheduler")
        self.workers = {}

    def process(self, *arguments: str) -> tuple[subprocess.Popen, str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.cluster.dask_process", *arguments],
            stdout=subprocess.PIPE, stderr=self._log, text=True,
            env={**os.environ, "HM_CANARY_KEY": KEY, **self._variables},
        )  # fmt: skip
        self._stack.callback(self.end, process)
        return process, process.stdout.readline().strip()

    def worker(self, name: str, *more: str) -> None:
        folder = str(self.folder / name)
        self.workers[name], _ = self.process("worker", self.address, name, folder, *more)

    def kill(self, *names: str) -> None:
        for name in names:
            self.workers[name].kill()

    @staticmethod
    def end(process: subprocess.Popen) -> None:
        process.kill()
        process.wait(30)
        process.stdout.close()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Two workers, of which one has a clock that is an hour ahead."""
    with ExitStack() as stack:
        made = Cluster(tmp_path_factory.mktemp("cluster"), stack)
        made.worker("a")
        made.worker("b", HOUR)
        yield made


@pytest.fixture(scope="module")
def client(cluster):
    with Client(cluster.address, set_as_default=False, timeout=5) as client:
        client.wait_for_workers(2)
        yield client


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    """A simulator that wants a key, and its log."""
    log = tmp_path_factory.mktemp("api") / "sim.jsonl"
    with simulator(log=log, auth="authorization") as served:
        served.log = log
        yield served


def target(api, model="fast", **more):
    return hm.Target(provider="url", model=model, base_url=api.base_url,
                     api_key_env="HM_CANARY_KEY", **more)  # fmt: skip


def answered(api, since: int = 0) -> int:
    """How many calls the simulator has answered, or was left in the middle of."""
    return len(api.log.read_text().splitlines()) - since


def soon(condition, seconds=60.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


def test_workers_make_the_plan_and_their_records_are_the_run(
    cluster, client, api, tmp_path, files_below
):
    """Started by a kernel that is killed at once; one worker's clock is an hour ahead."""
    plan = hm.Plan(
        targets=(target(api),), load=hm.Open(hm.poisson(60)), duration_s=2, prompts=SHORT
    )
    (tmp_path / "plan").write_bytes(plan.to_json())
    kernel, name = cluster.process("start", cluster.address, str(tmp_path / "plan"), str(tmp_path))
    assert kernel.wait(60) == -signal.SIGKILL
    run = attach(name, out=tmp_path)
    seen = set()
    run.wait(lambda run: seen.add(len(run.records)), timeout=60)
    assert (run.state, run.status["detail"]) == ("finished", "")
    assert sorted(run.records["request"]) == sorted(plan.schedule()[1])
    assert run.summary().targets[0].errors == {}
    assert len(seen) > 3, "records come while it goes on"
    assert answered(api) == len(run.records)
    a, b = run.status["shares"]
    assert (a["name"], b["name"]) == ("a", "b")
    assert (a["records"], b["records"]) == tuple(np.bincount(run.records["request"] % 2))
    assert b["clock_s"] - a["clock_s"] == pytest.approx(3600, abs=1)
    text = repr(run.verdict())
    assert "b: its clock is 3600 s ahead, which was corrected." in text
    assert "2 workers, started together to within" in text
    assert run.to_dict()["shares"][1]["wire_bytes"] > 0
    kept = [*files_below(tmp_path), *files_below(cluster.folder)]
    assert [path for path, data in kept if KEY.encode() in data] == []
    assert [path for path, _ in kept if path.name == "orders.json"] == [], "nothing stays behind"


def test_what_a_worker_lacks_is_told_with_its_name_before_anything_is_sent(
    client, api, tmp_path, monkeypatch
):
    before = answered(api)
    monkeypatch.setenv("HM_NOT_THERE", KEY)
    there = hm.Target(
        provider="url", model="fast", base_url=api.base_url, api_key_env="HM_NOT_THERE"
    )
    plan = hm.Plan(targets=(there,), load=hm.Closed(users=1), requests=1)
    with pytest.raises(
        ConfigError, match=r"Dask worker a \(tcp.*set the environment variable HM_NOT_THERE"
    ):
        hm.start(plan, on=client, out=tmp_path)
    mine = remote.version()
    monkeypatch.setattr(remote, "version", lambda: ["9.9", *mine[1:]])
    with pytest.raises(ConfigError, match=r"Dask worker a \(.*\) has holymon 0.1.0, here is 9.9"):
        hm.start(
            hm.Plan(targets=(target(api),), load=plan.load, requests=1), on=client, out=tmp_path
        )
    with pytest.raises(ConfigError, match="3 Dask workers are wanted, 2 are there"):
        hm.start(hm.Plan(targets=(target(api),), load=plan.load, requests=1, workers=3), on=client)
    with pytest.raises(RunError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:1"):
        hm.start(plan, on="tcp://127.0.0.1:1", out=tmp_path)
    assert answered(api) == before
    assert [*tmp_path.iterdir()] == []


def test_a_limit_that_one_worker_meets_ends_all_and_stop_ends_at_once(client, api, tmp_path):
    price = hm.Price(input=1000.0, output=1000.0)
    priced = target(api, price=price)
    limited = hm.measure(
        hm.Plan(targets=(priced,), load=hm.Closed(users=4), duration_s=60, max_cost=1.0, prompts=SHORT),
        on=client, out=tmp_path,
    )  # fmt: skip
    assert (limited.state, limited.status["ended"]) == ("finished", "max_cost")
    assert 0.5 < limited.summary().cost_usd <= 1.0
    slow = hm.Plan(targets=(target(api, "slow"),), load=hm.Open(hm.constant(40)), duration_s=60)
    run = hm.start(slow, on=client, out=tmp_path)
    soon(lambda: len(run.records) > 10)
    run.stop()
    run.wait(timeout=60)
    assert run.state == "stopped"
    assert run.summary().targets[0].errors["cancelled"] > 0
    assert set(run.status["shares"][0]) == set(run.status["shares"][1])


def test_what_a_killed_leader_left_is_named_and_goes_when_it_was_fetched(
    cluster, client, api, tmp_path
):
    plan = hm.Plan(
        targets=(target(api),), load=hm.Open(hm.constant(40)), duration_s=2, prompts=SHORT,
        first_call=False,
    )  # fmt: skip
    run = hm.start(plan, on=client, out=tmp_path)
    soon(lambda: len(run.records) > 10)
    run.kill()
    a, b = (Path(share["folder"]) for share in run.status["shares"])
    soon(lambda: all(pieces.over(path, part) for part, path in enumerate((a, b))))
    run = attach(run.id, out=tmp_path)
    missing = 80 - len(run.records)
    text = repr(run.verdict())
    assert (run.state, run.exit_code) == ("interrupted", 3)
    assert f"{missing} calls of the plan have no record here" in text
    assert f"a: records that nobody fetched are in {a} on {socket.gethostname()}: copy" in text
    for path in (*a.glob("calls.0.*"), *b.glob("calls.1.*")):
        shutil.copy(path, run.folder)
    run = attach(run.id, out=tmp_path)
    assert sorted(run.records["request"]) == list(range(80))
    assert "have no record here" not in repr(run.verdict())
    had = {path.name: path.stat().st_size for path in b.iterdir()}
    (b / "heard").write_text(json.dumps(had))
    for path in (a, b):
        os.utime(path / "heard", (0, 0))
    for path in (a, b):
        dask_worker = SimpleNamespace(local_directory=path.parent / "worker")
        shutil.rmtree(remote.prepare("next", dask_worker))
    assert (a.exists(), b.exists()) == (True, False)
    shutil.rmtree(a)


def test_tls_is_that_of_the_client_and_what_lacks_is_a_sentence(
    api, tmp_path, certificate, monkeypatch
):
    cert, key = map(str, certificate)
    named = {f"{role}__{kind}": path for role in ("SCHEDULER", "WORKER")
             for kind, path in (("CERT", cert), ("KEY", key))}  # fmt: skip
    variables = {f"DASK_DISTRIBUTED__COMM__TLS__{name}": path
                 for name, path in {"CA_FILE": cert, **named}.items()}  # fmt: skip
    plan = hm.Plan(targets=(target(api),), load=hm.Closed(users=1), requests=3, first_call=False)
    monkeypatch.setattr(executors, "ANSWER_S", 1)
    with ExitStack() as stack:
        secured = Cluster(tmp_path / "tls", stack, **variables)
        secured.worker("a")
        with pytest.raises(ConfigError, match=r"tls://.* needs TLS files, which are not named"):
            hm.start(plan, on=secured.address, out=tmp_path)
        plainly = secured.address.replace("tls:", "tcp:")
        with pytest.raises(RunError, match=r"tcp://.*: it may want TLS: write tls://"):
            hm.start(plan, on=plainly, out=tmp_path)
        other = {"ca-file": os.environ["SSL_CERT_FILE"], "client.cert": cert, "client.key": key}
        with (
            dask.config.set({f"distributed.comm.tls.{name}": path for name, path in other.items()}),
            pytest.raises(RunError, match="its certificate is not of the authority that"),
        ):
            hm.start(plan, on=secured.address, out=tmp_path)
        security = Security(tls_ca_file=cert, tls_client_cert=cert, tls_client_key=key)
        with Client(secured.address, security=security, set_as_default=False) as client:
            run = hm.measure(plan, on=client, out=tmp_path)
        assert (run.state, len(run.records)) == ("finished", 3)


def test_the_notebook_measures_on_the_cluster_that_it_is_told_of(client, tmp_path):
    given = {"scheduler": client.scheduler.address, "rate": 20.0, "duration_s": 1.0}
    shown = results("scale", out=str(tmp_path), **given)
    kinds = ["Client", "Plan", "Dashboard", "Run", "DataFrame", "Picture", "NoneType"]
    assert [type(each).__name__ for each in shown] == kinds
    assert shown[4]["records"].sum() == len(shown[3].records) > 0


def test_workers_that_are_killed_cost_no_record_that_reached_anyone(cluster, client, api, tmp_path):
    """`c` leaves its disk behind, `d` is on another machine."""
    cluster.worker("c")
    cluster.worker("d", *ELSEWHERE)
    client.wait_for_workers(4)
    before = answered(api)
    plan = hm.Plan(
        targets=(target(api),), load=hm.Open(hm.constant(80)), duration_s=4, prompts=SHORT
    )
    run = hm.start(plan, on=client, out=tmp_path)
    soon(lambda: len(run.records) > 60)
    cluster.kill("c", "d")
    for share in (cluster.folder / "c").rglob("holymon-*-2"):
        (share / "stop").write_text("interrupted\nit may get to say so, or not")
    run.wait(timeout=100)
    assert (run.state, run.status["detail"]) == ("finished", "")
    assert sorted(run.records["request"]) == list(range(320)), "each call is a record, once"
    errors = run.summary().targets[0].errors
    a, b, c, d = run.status["shares"]
    assert a["lost_s"] is b["lost_s"] is None
    assert c["unsent"] + d["unsent"] == errors["client_dropped"]
    assert c["unknown"] == 0, "its own disk tells of each call"
    assert d["unknown"] == errors["unfinished"]
    sent = 320 - errors["client_dropped"]
    assert sent - d["unknown"] <= answered(api, before) <= sent
    text = repr(run.verdict())
    assert "c was lost after" in text
    assert "calls of its share never sent" in text
    assert "too many were unanswered" not in text
    assert run.exit_code == 3


def test_a_scheduler_that_is_killed_ends_the_run_and_costs_no_record(
    cluster, client, api, tmp_path
):
    before = answered(api)
    plan = hm.Plan(
        targets=(target(api),), load=hm.Open(hm.constant(60)), duration_s=60, prompts=SHORT
    )
    run = hm.start(plan, on=cluster.address, out=tmp_path)
    soon(lambda: len(run.records) > 30)
    client.close()
    cluster.scheduler.kill()
    run.wait(timeout=100)
    assert run.state == "interrupted"
    assert "the Dask scheduler at tcp://" in run.status["detail"]
    errors = run.summary().targets[0].errors
    sent = len(run.records) - errors.get("client_dropped", 0)
    unseen = errors.get("cancelled", 0)  # by a server that is slow to read
    assert sent - unseen <= answered(api, before) <= sent
    about = [(share["unknown"], share["folder"]) for share in run.status["shares"]]
    assert about == [(0, "")] * 2, "all was read by hand, and nothing stays behind"
