"""Runs are found by name, target, state and time, and the list is a list of dicts."""

import json
import re
from datetime import UTC, datetime

import pytest

import holymon as hm
from holymon.plan.plan import Open, Plan, Target
from holymon.plan.shapes import constant
from holymon.records.run_folder import new_folder, write_aside, write_state


@pytest.fixture
def folder(tmp_path):
    """Three runs: two names, two targets, two states, three days."""
    for name, model, state, day in (
        ("a", "fast", "finished", 1), ("b", "slow", "stopped", 2), ("b", "fast", "finished", 3),
    ):  # fmt: skip
        plan = Plan(
            targets=(Target(provider="sim", model=model),), load=Open(constant(1)), requests=1
        )
        made = new_folder(tmp_path, name)
        write_aside(made / "plan.json", plan.to_json())
        write_state(made, state=state, started_at=f"2026-01-0{day}T12:00:00+00:00")
    return tmp_path


@pytest.mark.parametrize(
    ("wanted", "days"),
    [
        ({}, [1, 2, 3]),
        ({"name": "b"}, [2, 3]),
        ({"target": "fast"}, [1, 3]),
        ({"target": "sim/"}, [1, 2, 3]),
        ({"state": "finished"}, [1, 3]),
        ({"since": "2026-01-02T12:00:00+00:00"}, [2, 3]),
        ({"since": datetime(2026, 1, 3, tzinfo=UTC)}, [3]),
        ({"name": "b", "target": "fast", "state": "finished", "since": "2026-01-01"}, [3]),
        ({"name": "nothing"}, []),
    ],
)
def test_filters_narrow_the_list_together(folder, wanted, days):
    found = hm.runs(folder, **wanted)
    assert sorted(int(run["started_at"][9]) for run in found) == days


def test_what_is_listed_is_a_list_of_dicts_that_opens_and_shows_itself(folder):
    found = hm.runs(folder)
    assert isinstance(found, list)
    assert json.loads(json.dumps(found)) == found
    assert hm.attach(found[0]["run_id"], out=folder).id == found[0]["run_id"]
    for run in found:
        assert run["run_id"] in repr(found)
        assert f">{run['run_id']}</td>" in re.sub("</?span[^>]*>", "", found._repr_html_())


def test_a_file_is_no_folder_without_runs(tmp_path):
    (tmp_path / "report.html").write_text("")
    for asked in (hm.runs, hm.history):
        with pytest.raises(hm.PlanError, match=r"report\.html is a file: name the folder"):
            asked(tmp_path / "report.html")


def test_a_time_that_is_none_is_one_sentence(folder):
    with pytest.raises(hm.PlanError, match="'yesterday' is no time"):
        hm.runs(folder, since="yesterday")
