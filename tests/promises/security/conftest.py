"""What hostile answers and files may cost."""

import gc
import time
import tracemalloc

import pytest

LONGEST_S, MOST_MB = 8.0, 250
"""The most CPU and memory that one may cost: the bombs took 12 s and gigabytes."""


@pytest.fixture
def quick():
    """What is done in the test takes no longer than it may."""
    gc.freeze()  # a collector that looks at all that other tests have left takes seconds itself
    begun = time.process_time()
    yield
    assert time.process_time() - begun < LONGEST_S


@pytest.fixture
def bounded():
    """Nor does it take more memory."""
    gc.freeze()
    tracemalloc.start()
    begun = time.process_time()
    yield
    took, most = time.process_time() - begun, tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    assert took < LONGEST_S
    assert most < MOST_MB
