"""Runs on a Dask cluster of real processes: measured, stopped, killed, and never lost a record."""

import gc
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
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

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@pytest.fixture(scope="module", autouse=True)
def collected():
    """Sockets that Dask's clients leave to the collector are no fault of the tests behind these."""
    yield
    gc.collect()


class Cluster:
    """A scheduler and its workers, each a process that a test may kill."""

    def __init__(self, folder, stack: ExitStack, **variables: str) -> None:
        self.folder, self._stack, self._variables = folder, stack, variables
        folder.mkdir(exist_ok=True)
        self._log = stack.enter_context((folder / "log").open("a"))
        self.workers = {}
        self.begin()

    def begin(self) -> None:
        self.scheduler = self.process("scheduler")
        self.address = self.scheduler.stdout.readline().strip()

    def process(self, *arguments: str) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.cluster.dask_process", *arguments],
            stdout=subprocess.PIPE, stderr=self._log, text=True,
            env={**os.environ, "HM_CANARY_KEY": KEY, **self._variables},
        )  # fmt: skip
        self._stack.callback(self.end, process)
        return process

    def worker(self, name: str, *more: str) -> None:
        folder = str(self.folder / name)
        self.workers[name] = self.process("worker", self.address, name, folder, *more)

    def kill(self, *names: str) -> None:
        for name in names:
            self.workers[name].kill()

    @staticmethod
    def end(process: subprocess.Popen) -> None:
        process.kill()
        process.wait(30)
        process.stdout.close()


class Secured(Cluster):
    """One of `dask scheduler` and `dask worker`, whose TLS files are named by the environment."""

    def begin(self) -> None:
        file = self.folder / "scheduler.json"
        words = "--host 127.0.0.1 --port 0 --no-dashboard --protocol tls --scheduler-file".split()
        self.scheduler = self.process("dask", "scheduler", *words, str(file))
        soon(lambda: file.exists() and file.read_text().endswith("}"))
        self.address = json.loads(file.read_text())["address"]

    def worker(self, name: str, *_: str) -> None:
        words = "--host 127.0.0.1 --nthreads 1 --no-nanny --no-dashboard --protocol tls".split()
        where = ("--name", name, "--local-directory", str(self.folder / name))
        self.workers[name] = self.process("dask", "worker", self.address, *words, *where)


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
    with Client(cluster.address, set_as_default=False, timeout=60) as client:
        client.wait_for_workers(2)
        yield client


@contextmanager
def serving(folder):
    """A simulator that wants a key, and its log."""
    log = folder / "sim.jsonl"
    with simulator(log=log, auth="authorization") as served:
        served.log = log
        yield served


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("api")) as served:
        yield served


@pytest.fixture(scope="module")
def lost(cluster, client, tmp_path_factory):
    """A run of four workers, two of which were killed. It takes as long as they might come back,
    and goes on beside what other tests do. `c` leaves its disk behind, `d` was on another machine.
    """
    out = tmp_path_factory.mktemp("lost")
    with serving(out) as api:
        cluster.worker("c")
        cluster.worker("d", *ELSEWHERE)
        client.wait_for_workers(4)
        load = hm.Open(hm.constant(80))
        plan = hm.Plan(targets=(target(api),), load=load, duration_s=4, prompts=SHORT)
        run = hm.start(plan, on=client, out=out)
        soon(lambda: len(run.records) > 60)
        cluster.kill("c", "d")
        for share in (cluster.folder / "c").rglob("holymon-*-2"):
            (share / "stop").write_text("interrupted\nit may get to say so, or not")
        soon(lambda: len(client.scheduler_info(n_workers=-1)["workers"]) == 2)
        yield SimpleNamespace(run=run, api=api)


@pytest.fixture(scope="module")
def tls(certificate):
    """The files of TLS by the names that Dask has for them."""
    cert, key = certificate
    mine = {f"{role}__{kind}": str(path) for role in ("SCHEDULER", "WORKER", "CLIENT")
            for kind, path in (("CERT", cert), ("KEY", key))}  # fmt: skip
    named = {"CA_FILE": str(cert), **mine}
    return {f"DASK_DISTRIBUTED__COMM__TLS__{name}": path for name, path in named.items()}


@pytest.fixture(scope="module")
def secured(tls, tmp_path_factory):
    with ExitStack() as stack:
        made = Secured(tmp_path_factory.mktemp("secured"), stack, **tls)
        made.api = stack.enter_context(serving(made.folder))
        made.worker("a")
        made.worker("b")
        with (
            dask.config.set(mine(tls)),
            Client(made.address, set_as_default=False, timeout=60) as client,
        ):
            client.wait_for_workers(2)
        yield made


def target(api, model="fast", **more):
    return hm.Target(provider="url", model=model, base_url=api.base_url,
                     api_key_env="HM_CANARY_KEY", **more)  # fmt: skip


def answered(api, since: int = 0) -> int:
    """How many calls the simulator has answered, or was left in the middle of."""
    return len(api.log.read_text().splitlines()) - since


def soon(condition):
    until = time.monotonic() + 90
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
    kernel = cluster.process("start", cluster.address, str(tmp_path / "plan"), str(tmp_path))
    name = kernel.stdout.readline().strip()
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
    assert "b: its clock is 3,600 s ahead, which was corrected." in text
    assert "2 workers, started together to within" in text
    assert run.to_dict()["shares"][1]["wire_bytes"] > 0
    kept = [*files_below(tmp_path), *files_below(cluster.folder)]
    assert [path for path, data in kept if KEY.encode() in data] == []
    assert [path for path, _ in kept if path.name == "orders.json"] == [], "nothing stays behind"


def test_what_a_worker_lacks_is_told_with_its_name_before_anything_is_sent(
    client, lost, api, tmp_path, monkeypatch
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


def test_what_is_not_as_the_scheduler_has_it_is_a_sentence_and_leaves_nothing_behind(
    cluster, secured, tls, api, tmp_path, monkeypatch
):
    monkeypatch.setattr(executors, "ANSWER_S", 1)
    plan = hm.Plan(targets=(target(api),), load=hm.Closed(users=1), requests=1)
    right = mine(tls)
    other = right | {"distributed.comm.tls.ca-file": os.environ["SSL_CERT_FILE"]}
    for address, files, error, sentence in (
        (secured.address, {}, ConfigError, "tls://.* needs TLS files, which are not named"),
        (secured.address, other, RunError, "its certificate is not of the authority that"),
        (secured.address.replace("tls:", "tcp:"), {}, RunError, "it may want TLS: write tls://"),
        (cluster.address.replace("tcp:", "tls:"), right, RunError, "tls://.* it speaks no TLS, or"),
    ):  # fmt: skip
        before = threads()
        with dask.config.set(files), pytest.raises(error, match=sentence):
            hm.start(plan, on=address, out=tmp_path)
        # Else it is collected in the thread of another client, and has that wait for ever.
        assert threads() == before


def mine(tls):
    """TLS files as settings of Dask."""
    known = {name.rpartition("TLS__")[2].lower().replace("_file", "-file"): path
             for name, path in tls.items()}  # fmt: skip
    return {f"distributed.comm.tls.{name.replace('__', '.')}": path for name, path in known.items()}


def threads():
    return {each for each in threading.enumerate() if each.name == "IO loop"}


def test_a_command_measures_over_tls_with_files_that_the_environment_names(secured, tmp_path):
    words = ["--base-url", secured.api.base_url, "--model", "fast", "--api-key-env", "HM_CANARY_KEY",
             "--rate", "10", "--duration", "1", "--max-tokens", "4", "--out", str(tmp_path), "--json"]  # fmt: skip
    command = secured.process("holymon", "load", *words, "--dask", secured.address)
    about = json.loads(command.communicate(timeout=120)[0])
    assert (about["state"], command.returncode in {0, 3}) == ("finished", True)  # 3: a busy client
    assert [share["name"] for share in about["shares"]] == ["a", "b"]
    assert sum(share["records"] for share in about["shares"]) == 10


@pytest.fixture(scope="module")
def headless(secured, tls, tmp_path_factory):
    """A run whose scheduler was killed. Its TLS is that of the client, no setting has it."""
    out = tmp_path_factory.mktemp("headless")
    load = hm.Open(hm.constant(60))
    plan = hm.Plan(targets=(target(secured.api),), load=load, duration_s=60, prompts=SHORT)
    before = answered(secured.api)
    files = {name.rpartition(".")[2].replace("-", "_"): path for name, path in mine(tls).items()}
    security = Security(tls_ca_file=files["ca_file"], tls_client_cert=files["cert"],
                        tls_client_key=files["key"])  # fmt: skip
    with Client(secured.address, security=security, set_as_default=False, timeout=60) as client:
        client.wait_for_workers(2)
        run = hm.start(plan, on=client, out=out)
        soon(lambda: len(run.records) > 30)
    secured.scheduler.kill()
    return SimpleNamespace(run=run, answered=lambda: answered(secured.api, before))


def test_the_notebook_measures_on_the_cluster_that_it_is_told_of(client, headless, tmp_path):
    given = {"scheduler": client.scheduler.address, "rate": 20.0, "duration_s": 1.0}
    shown = results("scale", out=str(tmp_path), **given)
    kinds = ["Client", "Plan", "Dashboard", "Run", "DataFrame", "Picture", "NoneType"]
    assert [type(each).__name__ for each in shown] == kinds
    assert shown[4]["records"].sum() == len(shown[3].records) > 0


def test_workers_that_are_killed_cost_no_record_that_reached_anyone(lost):
    run = lost.run
    run.wait(timeout=200)
    assert (run.state, run.status["detail"]) == ("finished", "")
    assert sorted(run.records["request"]) == list(range(320)), "each call is a record, once"
    errors = run.summary().targets[0].errors
    a, b, c, d = run.status["shares"]
    assert a["lost_s"] is b["lost_s"] is None
    assert c["unsent"] + d["unsent"] == errors["client_dropped"]
    assert c["unknown"] == 0, "its own disk tells of each call"
    assert d["unknown"] == errors["unfinished"]
    sent = 320 - errors["client_dropped"]
    assert sent - d["unknown"] <= answered(lost.api) <= sent
    text = repr(run.verdict())
    assert "c was lost after" in text
    assert "calls of its share never sent" in text
    assert "too many were unanswered" not in text
    assert run.exit_code == 3


def test_a_scheduler_that_is_killed_ends_the_run_and_costs_no_record(headless):
    run = headless.run
    run.wait(timeout=200)
    assert run.state == "interrupted"
    assert "the Dask scheduler at tls://" in run.status["detail"]
    errors = run.summary().targets[0].errors
    sent = len(run.records) - errors.get("client_dropped", 0)
    unseen = errors.get("cancelled", 0)  # by a server that is slow to read
    assert sent - unseen <= headless.answered() <= sent
    about = [(share["unknown"], share["folder"]) for share in run.status["shares"]]
    assert about == [(0, "")] * 2, "all was read by hand, and nothing stays behind"
