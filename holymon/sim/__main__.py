"""The simulator's process: its port, its log and its end.

python -m holymon.sim [--host H] [--port P] [--seed N] [--auth HEADER] [--log FILE]
    [--cache-life S] [--until-eof]
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from aiohttp import web

from holymon.sim.question import LIFE_S
from holymon.sim.simulator import Simulator


def serve(
    *, host: str = "127.0.0.1", port: int = 8800, seed: int = 0, log: Path | None = None,
    auth: str = "", cache_life: float = LIFE_S, until_eof: bool = False,
) -> int:  # fmt: skip
    """Serve until SIGINT or SIGTERM (or the end of standard input); 0, or 2 if it can't listen.

    With `auth`, every request has to bring a key in that header. Prints one JSON line with
    `base_url` and `pid` as soon as it listens.
    """
    try:
        file = log.open("a") if log else contextlib.nullcontext()
    except OSError as error:
        print(f"holymon sim: can't write to {log}: {error.strerror}.", file=sys.stderr)
        return 2
    try:
        with file as opened:
            simulated = Simulator(seed, opened, auth, cache_life)
            return _run(_serve(host, port, simulated, until_eof=until_eof))
    except BrokenPipeError:  # who started it has ended meanwhile
        return 2
    except OSError as error:
        print(f"holymon sim: can't serve at {host}:{port}: {error.strerror}.", file=sys.stderr)
        return 2


def _run(work: Coroutine[Any, Any, int]) -> int:
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    return int(uvloop.run(work))


async def _serve(host: str, port: int, simulated: Simulator, *, until_eof: bool) -> int:
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows
            loop.add_signal_handler(number, over.set)
    if until_eof:
        _at_eof(lambda: loop.call_soon_threadsafe(over.set))
    runner = web.AppRunner(
        simulated.app(), access_log=None, handler_cancellation=True, shutdown_timeout=0.1
    )
    await runner.setup()
    try:
        # Room for a load that begins with hundreds of new connections at once.
        site = web.TCPSite(runner, host, port, backlog=1024)
        await site.start()
        bound = runner.addresses[0][1]
        print(json.dumps({"base_url": f"http://{host}:{bound}/v1", "pid": os.getpid()}), flush=True)
        await over.wait()
    finally:
        await runner.cleanup()
    return 0


def _at_eof(then: Callable[[], Any]) -> None:
    def wait() -> None:
        # The raw descriptor: a buffered reader holds a lock that the interpreter wants at exit.
        while os.read(0, 4096):
            pass
        with contextlib.suppress(RuntimeError):  # the loop has ended already
            then()

    threading.Thread(target=wait, daemon=True).start()


def main(argv: list[str] | None = None) -> int:
    """Serve until a signal, as `python -m holymon.sim`; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m holymon.sim", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8800)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--auth", default="", help="name of the header that has to hold a key")
    parser.add_argument("--log", type=Path)
    parser.add_argument(
        "--cache-life", type=float, default=LIFE_S, help="seconds of a prompt cache"
    )
    parser.add_argument("--until-eof", action="store_true", help="end with standard input")
    return serve(**vars(parser.parse_args(argv)))


if __name__ == "__main__":
    sys.exit(main())
