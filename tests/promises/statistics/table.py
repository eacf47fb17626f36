"""Writes what each finding said, says and should say: python -m tests.promises.statistics.table"""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
README = HERE / "README.md"
BEGIN = "| item | finding | it said | it says | truth |"
Finding = tuple[str, str, str, Callable[[], str], str]


def findings() -> list[Finding]:
    """Those of all modules of this folder that have any, in the order of their items."""
    modules = [
        importlib.import_module(f"tests.promises.statistics.{path.stem}")
        for path in sorted(HERE.glob("test_*.py"))
    ]
    every = [each for module in modules for each in getattr(module, "FINDINGS", ())]
    return sorted(every, key=lambda finding: int(finding[0]))


def main() -> int:
    """Compute the table anew."""
    head = README.read_text().partition(BEGIN)[0]
    rows = [f"| {item} | {what} | {before} | {now()} | {truth} |"
            for item, what, before, now, truth in findings()]  # fmt: skip
    README.write_text(head + "\n".join([BEGIN, "| --- | --- | --- | --- | --- |", *rows]) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
