"""What a Dask worker does for a run: holymon's own worker beside it, and its files when asked.

Run there through Dask by the run's leader. The one task of a share holds the name of a folder and
nothing else; plan, orders and records go past the scheduler and stay in no memory of its own. Keys
go nowhere: they are in the environment of the Dask worker, and stay in it.

    orders.json   what the share is to do        begun   its task has begun, and never will again
    go            when it is to begin            heard   what the leader had when it last asked
"""

import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import zlib
from pathlib import Path
from time import perf_counter
from typing import Any, Final

from holymon import __version__
from holymon.errors import HolymonError
from holymon.load.pieces import GROWING, over, read
from holymon.load.requests import secrets_of
from holymon.plan import consent
from holymon.plan.plan import Plan
from holymon.records.attempt import FIELDS, FORMAT
from holymon.records.own_files import PRIVATE, content, new_file, write_aside
from holymon.sim.process import PYTHON_M
from holymon.transport.connector import trusting

PREFIX: Final = "holymon-"
SILENCE_S: Final = 20.0
"""A share ends when nobody has asked for its records for so long: nobody could stop it."""

LONG_S: Final = 3600.0
"""What was fetched is deleted after so long, for a leader that was killed before it could."""

LAST_WORDS_S: Final = 20.0
LOOK_S: Final = 0.01


def version() -> list[Any]:
    """What has to be the same on all machines of a run."""
    return [__version__, FORMAT, zlib.crc32(repr(FIELDS).encode())]


def examine(plan: bytes, path: str = "") -> dict[str, Any]:
    """Whether a run could be measured here: version, host, and what is missing, in a sentence."""
    problem = ""
    try:
        for target in Plan.from_json(plan).targets if plan else ():
            secrets_of(target)
            if target.ca_file or target.cert_file:
                trusting(target.ca_file, target.cert_file, target.cert_password_env)
    except HolymonError as error:
        problem = str(error)
    return {
        "version": version(), "host": socket.gethostname(), "problem": problem,
        "here": bool(path) and Path(path).is_dir(),
    }  # fmt: skip


def clock() -> int:
    """This machine's clock, in ns since 1970."""
    return time.time_ns()


def prepare(name: str, dask_worker: Any = None) -> str:
    """Make the folder of a share on this worker's disk; its path. Old ones go if done with."""
    scratch = Path(dask_worker.local_directory).parent if dask_worker else tempfile.gettempdir()
    for old in Path(scratch).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, HolymonError):
            if _done_with(old):
                forget(str(old))
    folder = Path(scratch) / f"{PREFIX}{name}"
    folder.mkdir(mode=0o700, parents=True)
    return str(folder)


def _done_with(folder: Path) -> bool:
    """Whether a share has ended long ago, and its leader had all that it recorded."""
    part, heard = _orders(folder)["part"], folder / "heard"
    latest = heard if heard.exists() else folder / "orders.json"
    if time.time() - latest.stat().st_mtime < LONG_S or not over(folder, part):
        return False
    had = json.loads(read(heard) or b"{}")
    paths = [folder / form.format(part) for form in GROWING]
    return all(had.get(path.name, 0) >= path.stat().st_size for path in paths if path.exists())


def put(path: str, name: str, packed: bytes, at: int = 0) -> None:
    """Write a piece of one of the share's files; the first one makes it anew."""
    with open(Path(path) / name, "r+b" if at else "wb", opener=_private) as file:
        file.seek(at)
        file.write(zlib.decompress(packed))


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, PRIVATE)


async def first_call(path: str) -> dict[str, Any]:
    """Make the first calls of the plan in a share's folder; what came of them."""
    orders = _orders(Path(path))
    process = await asyncio.create_subprocess_exec(
        *PYTHON_M, "holymon.load.share", path, "--first-call", "--sim-url", orders["sim_url"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=_environment(orders),
    )  # fmt: skip
    printed, complaint = await process.communicate()
    if process.returncode:
        return {"problem": complaint.decode("utf-8", "replace").strip().rpartition("\n")[2]}
    outcome: dict[str, Any] = json.loads(printed)
    return outcome


def _orders(folder: Path) -> dict[str, Any]:
    orders: dict[str, Any] = json.loads(content(folder / "orders.json"))
    return orders


def _environment(orders: dict[str, Any]) -> dict[str, str]:
    """The environment of a worker: this one's, and what the plan's owner has agreed to."""
    known = os.environ.get(consent.ENV, "").split()
    return {**os.environ, consent.ENV: " ".join(dict.fromkeys([*known, *orders["trust"]]))}


def work(path: str) -> int | None:
    """Run the worker of a share to its end: the one task of the share; its exit code.

    A task that Dask begins once more, for whatever reason, calls nobody: None.
    """
    from distributed import get_worker

    folder, worker = Path(path), get_worker()
    try:
        new_file(folder / "begun").close()
    except OSError:
        return None
    orders = _orders(folder)
    part, parts = str(orders["part"]), str(orders["of"])
    command = [*PYTHON_M, "holymon.load.share", path, "--part", part, "--of", parts]
    with new_file(folder / "worker.log") as log:
        child = subprocess.Popen(
            [*command, "--sim-url", orders["sim_url"], "--spent", str(orders["spent"])],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=log, env=_environment(orders),
            process_group=0,
        )  # fmt: skip
    assert child.stdin is not None
    try:
        _attend(folder, child, worker)
    finally:
        with contextlib.suppress(OSError):
            child.stdin.close()  # and so it ends
        try:
            child.wait(LAST_WORDS_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    return child.returncode


def _attend(folder: Path, child: "subprocess.Popen[bytes]", worker: Any) -> None:
    """Say when to begin, and wait until the child has ended or nobody wants its records any more.

    It is its standard input that keeps it: where this process dies, it ends, too.
    """
    begun, heard, since = False, 0, perf_counter()
    while child.poll() is None:
        if not begun and (folder / "go").exists():
            assert child.stdin is not None
            child.stdin.write(content(folder / "go"))
            child.stdin.flush()
            begun = True
        with contextlib.suppress(OSError):
            latest = (folder / "heard").stat().st_mtime_ns
            if latest != heard:
                heard, since = latest, perf_counter()
        if not begun and (folder / "stop").exists():
            return
        if perf_counter() - since > SILENCE_S or worker.status.name not in {"running", "paused"}:
            return
        time.sleep(LOOK_S if not begun else 10 * LOOK_S)


def go(path: str, moment: int) -> None:
    """Have the share begin at a moment of this machine's clock (ns since 1970)."""
    write_aside(Path(path) / "go", f"{moment}\n")


def stop(path: str, words: str) -> None:
    """Have the share end; `words` are those of a stop file."""
    with contextlib.suppress(OSError):
        write_aside(Path(path) / "stop", words)


def forget(path: str) -> None:
    """Delete a share's folder, whose records are all where they should be."""
    folder = Path(path)
    if folder.name.startswith(PREFIX) and (folder / "orders.json").exists():
        shutil.rmtree(folder, ignore_errors=True)
