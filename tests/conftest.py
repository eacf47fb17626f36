"""What several test files start: the simulator as a process of its own, and runs on it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from holymon.plan import Target


class Simulator:
    """A running simulator: its address, its process, and what it counted."""

    def __init__(self, process: subprocess.Popen, base_url: str) -> None:
        self.process, self.base_url = process, base_url

    def target(self, model: str = "fast", **more) -> Target:
        """A target that calls `model` here, as any other server would be called."""
        return Target(provider="url", model=model, base_url=self.base_url, **more)

    def counted(self) -> dict:
        """The simulator's own count of requests and faults, by model."""
        return httpx.get(self.base_url.removesuffix("/v1") + "/_sim/log").json()["models"]


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A fresh simulator, ended with the test."""
    process = subprocess.Popen(
        [sys.executable, "-m", "holymon.sim", "--port", "0", "--until-eof"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield Simulator(process, json.loads(process.stdout.readline())["base_url"])
    finally:
        process.stdin.close()
        process.wait(20)
        process.stdout.close()


@pytest.fixture
def holymon(tmp_path):
    """Runs the command `holymon` in an empty folder, with an environment free of keys."""

    def run(*arguments: str, env: dict[str, str] | None = None, **more):
        clean = {k: v for k, v in os.environ.items() if not k.endswith("_KEY")}
        return subprocess.run(
            [sys.executable, "-m", "holymon", *arguments],
            cwd=tmp_path, env={**clean, **(env or {})}, capture_output=True, text=True,
            timeout=300, check=False, **more,
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
