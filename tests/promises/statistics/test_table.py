"""The table of findings holds all that the modules of this folder have."""

from tests.promises.statistics.table import README, findings


def test_the_table_has_each_finding_with_what_it_said_and_the_truth():
    rows = [line.split(" | ") for line in README.read_text().splitlines() if line[:2] == "| "][2:]
    shown = [
        (item.strip("| "), what, before, truth.strip("| ")) for item, what, before, _, truth in rows
    ]
    assert shown == [(item, what, before, truth) for item, what, before, _, truth in findings()]
