"""What begins anew in a forked child, where locks, threads and files are not what they were."""

import os
import weakref
from collections.abc import Callable


def in_children(method: Callable[[], object]) -> None:
    """Call a bound method in each child that is forked from here on, while its object lives."""
    if hasattr(os, "register_at_fork"):
        weak = weakref.WeakMethod(method)
        os.register_at_fork(after_in_child=lambda: (again := weak()) and again())
