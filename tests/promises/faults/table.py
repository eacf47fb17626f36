"""Plays all cases and writes what became of them into README.md: python -m tests.promises.faults.table"""

import re
import sys
from collections import Counter

import pytest

from .test_faults import README, RUNS, home, where_tested


class Results:
    """Outcomes of tests, counted by case."""

    def __init__(self) -> None:
        self.found: dict[str, Counter[str]] = {}

    def pytest_runtest_logreport(self, report):
        """One phase of one test has ended; only its call, or what kept it from one, counts."""
        if report.when == "call" or report.outcome != "passed":
            for number in self.cases(report.nodeid):
                self.found.setdefault(number, Counter())[report.outcome] += 1

    def cases(self, nodeid: str) -> list[str]:
        bare = re.sub(r"\[.*", "", nodeid)
        elsewhere = [number for number, test in RUNS.items() if bare.endswith(test)]
        return elsewhere or re.findall(r"(?<![A-Z0-9])F\d\d(?!\d)", nodeid)[:1]


def main() -> int:
    """Rewrite the table; non-zero if a case failed."""
    results = Results()
    elsewhere = [f"{home(file)}::{name}" for file, _, name in
                 (test.partition("::") for test in RUNS.values())]  # fmt: skip
    arguments = ["-q", "-p", "no:cacheprovider", str(README.parent), *elsewhere]
    arguments += ["-k", "not readme"]  # the test of the table itself can't hold yet
    code = pytest.main(arguments, plugins=[results])
    where = where_tested()
    lines = []
    for line in README.read_text().splitlines():
        if match := re.match(r"\| (F\d+) \| (.+?) \| (.+?) \| ", line):
            number, what, expected = match.groups()
            counted = results.found.get(number, {})
            said = ", ".join(f"{n} {outcome}" for outcome, n in sorted(counted.items())) or "-"
            row = f"| {number} | {what} | {expected} | {where.get(number, '?')} | {said} |"
            lines.append(row)
        else:
            lines.append(line)
    README.write_text("\n".join(lines) + "\n")
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
