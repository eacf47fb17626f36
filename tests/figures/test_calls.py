"""The calls to ask about: which they are, and that their stages leave no time out."""

import json

import numpy as np
import pytest

import holymon as hm
from holymon.errors import PlanError, RunError
from holymon.figures.call_types import STAGES
from holymon.plan.plan import Open, Plan, Target
from holymon.plan.shapes import constant
from holymon.records.attempt import Flag, Marks
from holymon.records.journal import Journal
from holymon.records.records import from_marks
from holymon.records.run_folder import new_folder, write_aside, write_state

HOSTILE = "<script>alert(1)</script> \u202e\x1b[31m sk-0123456789abcdef0123"
TARGETS = tuple(Target(provider="p", model=name, base_url="http://127.0.0.1:1/v1") for name in "ab")


def call(number, *, target=0, took=0.1, error="", words="", warm=False):
    marks = Marks(number, target, number / 10)
    marks.start = marks.due + 0.001
    marks.headers = marks.start + took / 4
    marks.token(marks.start + took / 2, 1)
    for at in (0.6, 0.95):
        marks.token(marks.start + took * at, 1)
    marks.end, marks.error, marks.message = marks.start + took, error, words
    marks.request_id = f"id-{number}"
    marks.flags = int(Flag.WARMUP) if warm else 0
    return marks


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Forty calls: two slow ones of each target, four that failed, a slow one in the warm-up."""
    folder = new_folder(tmp_path_factory.mktemp("asked"), "asked")
    plan = Plan(targets=TARGETS, load=Open(constant(20)), requests=20)
    write_aside(folder / "plan.json", plan.to_json())
    write_state(folder, state="finished", started_at="2026-01-02T03:04:05+00:00")
    written = Journal(folder, 0)
    failed = {10: "rate_limited", 11: "rate_limited", 12: "rate_limited", 13: "server_error"}
    for number in range(40):
        written.record(call(
            number, target=number % 2, took={20: 2.1, 21: 2.0, 30: 2.05}.get(number, 0.1 + number / 1e4),
            error=failed.get(number, ""), words=HOSTILE if number in failed else "",
            warm=number == 0,
        ))  # fmt: skip
    written.close()
    return hm.attach(str(folder))


def test_the_slowest_are_shared_among_targets_and_the_failed_among_error_types(run):
    shown = hm.slowest(run, 3)
    assert [entry.request for entry in shown.slowest] == [20, 30, 21]
    assert {entry.error_type for entry in shown.failed} == {"rate_limited", "server_error"}
    assert (shown.ok, shown.bad) == (35, 4)
    assert len(hm.slowest(run, 100).slowest) == 35
    with pytest.raises(PlanError, match="n is 0"):
        hm.slowest(run, 0)


def test_a_call_tells_when_it_was_its_longest_gap_and_by_which_id_the_server_knows_it(run):
    (asked, *_) = hm.slowest(run).slowest
    assert asked.moment == "2026-01-02 03:04:07.001Z"  # 2 s after the start of the run, and 1 ms
    assert asked.request_id == "id-20"
    assert asked.gap_s == pytest.approx(0.35 * 2.1)
    assert asked.gap_at_s == pytest.approx(0.6 * 2.1)
    about = asked.to_dict()
    assert [about[name] for name in STAGES] == [
        None if part is None else pytest.approx(part)
        for part in (0.001, None, 2.1 / 4, 2.1 / 4, 2.1 * 0.45, 2.1 * 0.05)
    ]  # fmt: skip
    json.dumps(hm.slowest(run).to_dict(), allow_nan=False)


def test_what_is_shown_to_a_provider_is_one_small_file_without_secrets(run, tmp_path):
    path = hm.write_bundle(run, tmp_path / "support.json", n=2)
    shown = json.loads(path.read_text())
    assert [one["request_id"] for one in shown["calls"]["slowest"]] == ["id-20", "id-21"]
    assert {one["error_type"] for one in shown["calls"]["failed"]} == {"rate_limited"}
    assert shown["targets"][0]["host"] == "127.0.0.1"
    assert {"measurement", "reasons"} == set(shown["client"])
    assert shown["started_at"] == "2026-01-02T03:04:05+00:00"
    assert "sk-0123456789" not in path.read_text()
    assert hm.write_bundle(run).name == "support.json"
    with pytest.raises(RunError, match="can't be written"):
        hm.write_bundle(run, tmp_path / "none" / "support.json")
    with pytest.raises(PlanError, match="n is 0"):
        hm.write_bundle(run, tmp_path / "nothing.json", n=0)
    assert not (tmp_path / "nothing.json").exists()


def test_stages_leave_no_time_out_whatever_was_measured():
    rng, many = np.random.default_rng(3), []
    for number in range(300):
        marks = Marks(number, 0, 1.0)
        names = ("start", "headers", "first", "last")
        times = np.sort(rng.random(6)) + 1.0
        known = rng.random(4) < 0.6
        for name, at, there in zip(names, times, known, strict=False):
            if there:
                setattr(marks, name, at)
        if known[0] and rng.random() < 0.5:
            marks.connect_start, marks.connect_end = 0.0, (times[1] - times[0]) / 2
        marks.end, marks.error = times[5], "" if known[0] else "dns_failure"
        many.append(marks)
    records = from_marks(TARGETS[:1], many)
    both = hm.slowest(records, 300)
    assert len(both.slowest) + len(both.failed) == 300
    ends = {int(row["request"]): row["end_s"] - row["due_s"] for row in records.rows}
    for entry in (*both.slowest, *both.failed):
        spent = [seconds for seconds in entry.stages if seconds is not None]
        assert min(spent) >= 0
        assert sum(spent) == pytest.approx(ends[entry.request])


def test_words_of_a_server_are_text_without_keys_wherever_they_are_shown(run):
    shown = hm.slowest(run)
    page = shown._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    for text in (page, repr(shown), shown.failed[0].title, json.dumps(shown.to_dict())):
        assert "sk-0123456789" not in text
        assert "***" in text
        assert not set(text) & set("\x1b\u202e")
