"""What several test files start: the simulator as a process of its own, and runs on it."""

import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import certifi
import httpx
import pytest
from hypothesis import settings
from prometheus_client.parser import text_string_to_metric_families

from holymon.cli.init_folder import create
from holymon.plan.plan import Target

from . import warm
from .lab import chromium, free_port, labs, server  # noqa: F401 - fixtures
from .parallel import (  # noqa: F401 - hooks
    pytest_cmdline_main,
    pytest_collection,
    pytest_collection_finish,
    pytest_collection_modifyitems,
    pytest_runtest_protocol,
    pytest_sessionfinish,
    pytest_sessionstart,
    pytest_xdist_auto_num_workers,
    pytest_xdist_make_scheduler,
    pytest_xdist_setupnodes,
)

# How long an example takes says how busy this machine is; of cheap functions 50 are enough.
settings.register_profile(
    "unhurried", settings.get_profile(settings.get_current_profile_name()), deadline=None,
    max_examples=30,
)  # fmt: skip
settings.load_profile("unhurried")
warm.install()
sys.modules["rfc3987_syntax"] = None  # builds parsers for 2 s, of what no notebook has


@pytest.fixture(scope="session", autouse=True)
def few_authorities(tmp_path_factory) -> Iterator[None]:
    """Nobody beyond this machine is called, so one authority stands for all that are trusted: to
    read them takes 0.07 s of CPU for each client."""
    end = "-----END CERTIFICATE-----\n"
    first = tmp_path_factory.mktemp("authorities") / "first.pem"
    first.write_text(certifi.contents().partition(end)[0] + end)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(first))
        yield


@pytest.fixture(scope="session", autouse=True)
def own_settings(tmp_path_factory) -> Iterator[None]:
    """What is agreed to here is nothing that the user of this machine has agreed to."""
    with pytest.MonkeyPatch.context() as patch:
        settings = tmp_path_factory.mktemp("settings")
        (settings / "matplotlib").mkdir()  # else whoever draws makes it
        patch.setenv("XDG_CONFIG_HOME", str(settings))
        patch.delenv("HOLYMON_TRUST", raising=False)
        yield


@pytest.fixture
def fresh() -> Iterator[None]:
    """For a test that looks at processes themselves: none is forked, each is a new interpreter."""
    warm.install(here=False)
    yield
    warm.install()


class Simulator:
    """A running simulator: its address, its process, and what it counted."""

    def __init__(self, process: subprocess.Popen, base_url: str) -> None:
        self.process, self.base_url = process, base_url

    def target(self, model: str = "fast", **more) -> Target:
        """A target that calls `model` here, as any other server would be called."""
        return Target(provider="url", model=model, base_url=self.base_url, **more)

    def counted(self) -> dict:
        """The simulator's own count of requests and faults, by model."""
        return self.log()["models"]

    def log(self) -> dict:
        """All that it counted, first calls apart."""
        return httpx.get(self.base_url.removesuffix("/v1") + "/_sim/log").json()


@contextmanager
def simulating() -> Iterator[Simulator]:
    """A fresh simulator, ended with the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "holymon.sim", "--port", "0", "--until-eof"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield Simulator(process, json.loads(process.stdout.readline())["base_url"])
    finally:
        process.stdin.close()
        process.wait(60)
        process.stdout.close()


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A fresh simulator, ended with the test."""
    with simulating() as one:
        yield one


@pytest.fixture(scope="module")
def shared_simulator() -> Iterator[Simulator]:
    """A simulator for a run that all tests of a file read."""
    with simulating() as one:
        yield one


@pytest.fixture
def holymon(tmp_path):
    """Runs the command `holymon` in an empty folder, with an environment free of keys."""
    clean = {k: v for k, v in os.environ.items() if not k.endswith("_KEY")}

    def run(*arguments: str, env: dict[str, str] | None = None, **more):
        return subprocess.run(
            [sys.executable, "-m", "holymon", *arguments], cwd=tmp_path, env={**clean, **(env or {})},
            capture_output=True, text=True, timeout=300, check=False, **more,
        )  # fmt: skip

    return run


@pytest.fixture
def files_below():
    """All files below a folder, each with what is in it."""

    def read(folder: Path) -> list[tuple[Path, bytes]]:
        return [(path, path.read_bytes()) for path in folder.rglob("*") if path.is_file()]

    return read


@pytest.fixture(scope="session")
def debian():
    """The path of a program of a Debian package; without it a test is skipped, in CI it fails."""

    def find(program: str, package: str = "prometheus") -> str:
        path = shutil.which(program)
        if path is None:
            said = f"{program} is not here: apt-get install --no-install-recommends {package}"
            (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(said)
        return path

    return find


class Daemon:
    """A program of a Debian package that serves HTTP on this machine."""

    def __init__(self, command: list[str], port: int, log: Path) -> None:
        self.url, self.log = f"http://127.0.0.1:{port}", log
        with log.open("wb") as file:
            self.process = subprocess.Popen(command, stdout=file, stderr=file)

    def ready(self) -> None:
        """Wait until it serves."""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            assert self.process.poll() is None, self.log.read_text()
            try:
                if httpx.get(f"{self.url}/-/ready").status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.05)
        raise AssertionError(self.log.read_text())

    def query(self, promql: str) -> list[dict]:
        """The instant vector of a query."""
        found = httpx.get(f"{self.url}/api/v1/query", params={"query": promql}).json()
        assert found["status"] == "success", found
        return found["data"]["result"]

    def value(self, promql: str) -> float | None:
        """The one value of a query; None if there is none."""
        found = self.query(promql)
        assert len(found) <= 1, found
        return float(found[0]["value"][1]) if found else None

    def until(self, promql: str, seconds: float = 60) -> list[dict]:
        """The result of a query, as soon as there is one."""
        end = time.monotonic() + seconds
        while not (found := self.query(promql)):
            assert time.monotonic() < end, f"no result of {promql} in {seconds} s"
            time.sleep(0.1)
        return found

    def end(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(30)


@pytest.fixture
def daemon():
    """Starts a program that serves HTTP, and ends it with the test."""
    started: list[Daemon] = []

    def start(command: list[str], port: int, log: Path) -> Daemon:
        started.append(Daemon(command, port, log))
        started[-1].ready()
        return started[-1]

    yield start
    for one in started:
        one.end()


@pytest.fixture
def prometheus(debian, daemon, tmp_path):
    """Starts a real Prometheus with the settings given, as YAML."""

    def start(settings: str, folder: Path = tmp_path) -> Daemon:
        path, port = folder / "prometheus.yml", free_port()
        path.write_text(settings)
        return daemon(
            [debian("prometheus"), f"--config.file={path}", f"--storage.tsdb.path={folder / 'tsdb'}",
             f"--web.listen-address=127.0.0.1:{port}"], port, folder / "prometheus.log",
        )  # fmt: skip

    return start


@pytest.fixture
def alertmanager(debian, daemon, tmp_path):
    """Starts a real Alertmanager with the settings given, as YAML."""

    def start(settings: str) -> Daemon:
        path, port = tmp_path / "alertmanager.yml", free_port()
        path.write_text(settings)
        return daemon(
            [debian("prometheus-alertmanager", "prometheus-alertmanager"), f"--config.file={path}",
             f"--storage.path={tmp_path / 'alerts'}", f"--web.listen-address=127.0.0.1:{port}",
             "--cluster.listen-address="], port, tmp_path / "alertmanager.log",
        )  # fmt: skip

    return start


@pytest.fixture
def quick_settings(tmp_path):
    """The folder that `holymon init` writes, but for seconds where a team would wait for more."""

    def write(exporter: str, **wishes) -> Path:
        folder = tmp_path / "team"
        create(folder, port=urlsplit(exporter).port, **wishes)
        for name in ("prometheus.yml", "alertmanager.yml", "rules/holymon.yml"):
            text = (folder / name).read_text()
            quick = re.sub("((?:interval|group_wait): )1[05]s", r"\g<1>1s", text)
            (folder / name).write_text(quick)
        return folder

    return write


@pytest.fixture(scope="session")
def samples():
    """The value of every sample of a scrape, by name and labels."""

    def read(raw: bytes) -> dict[tuple[str, frozenset], float]:
        return {
            (s.name, frozenset(s.labels.items())): s.value
            for family in text_string_to_metric_families(raw.decode())
            for s in family.samples
        }

    return read


@pytest.fixture
def certificate(tmp_path, debian):
    """What serves TLS at 127.0.0.1, and the file of the certificate that nobody has signed."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run([debian("openssl", "openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", cert,
                    "-subj", "/CN=x", "-addext", "subjectAltName=IP:127.0.0.1"],
                   check=True, capture_output=True)  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context, cert
