"""Workers that are forked after the tests were imported have all of them."""

import re
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]


def test_no_module_of_tests_is_half_imported():
    """One that failed while the workers' tests were imported stood there half made, once: its tests
    were gone, and all was green."""
    gone = []
    for path in TESTS.rglob("test_*.py"):
        name = ".".join(path.relative_to(TESTS.parent).with_suffix("").parts)
        if (module := sys.modules.get(name)) is not None:
            named = re.findall(r"(?m)^(?:async )?def (test_\w+)", path.read_text())
            gone += [f"{name}.{test}" for test in named if not hasattr(module, test)]
    assert gone == []
