"""What several test files of this room start."""

import asyncio
import threading

import pytest

from tests.promises.faults.server import Server


@pytest.fixture
def server():
    """Runs fault servers on a loop in a thread, for clients that block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    servers = []

    def start(*scripts):
        one = Server(*scripts)
        asyncio.run_coroutine_threadsafe(one.__aenter__(), loop).result(10)
        servers.append(one)
        return one

    yield start
    for one in servers:
        asyncio.run_coroutine_threadsafe(one.__aexit__(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
