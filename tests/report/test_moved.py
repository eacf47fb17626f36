"""The report of a move, from its file alone: what each step measured, whom it harmed, what it saved."""

import json
import shlex

import msgspec
import nbformat
import pytest

import holymon as hm
from holymon.figures.gate import Margins
from holymon.language.said import speaking
from holymon.monitor import route as move
from holymon.monitor import route_file
from holymon.monitor.course import MoveSteps, Outcome
from holymon.report.move_facts import KIND, facts, handed, taken
from holymon.report.moved import moved
from tests.report.test_notebooks import results

COURSE = MoveSteps(
    steps=(0.5, 1.0), slo=("error_rate<20%",), min_calls=40, min_s=5, block_s=1,
    margins=Margins(errors=0.2, slower=1.0),
)  # fmt: skip
HOSTILE = "<script>alert(1)</script>"


def calls(n, of, side, failed=0, cost=2.0, latency=0.1):
    return [
        Outcome(side, k < failed, latency * (1 + k % 10 / 10), 0.05, cost * (1 + k % 3 / 10),
                10 + k % 10, of=of)
        for k in range(n)
    ]  # fmt: skip


def going(route, blocks, at, **candidate):
    of = "shadow" if route.phase == "shadow" else "candidate"
    for _ in range(blocks):
        both = calls(20, "baseline", 0) + calls(20, of, 1, cost=1.0, **candidate)
        route = move.observe(route, both, COURSE, at, "worker 1")
        at += 2
    return route, at


def until(route, at, phase):
    while route.phase != phase:
        route, at = going(route, 1, at)
        assert at < 2000
    return route, at


def begun():
    return move.new("sim/dear", "sim/cheap", COURSE, 1000.0, "ann")


@pytest.fixture(scope="module")
def done():
    return going(*until(begun(), 1001.0, "done")[:1], 12, 3000.0)[0]


@pytest.fixture
def subject(tmp_path):
    """The subject that a report is on, of a move in a file whose name has a blank."""

    def of(route, **stated):
        path = tmp_path / "the route.json"
        path.write_bytes(route_file.written(route))
        return hm.subject(route=str(path), **stated)

    return of


def test_each_step_has_its_calls_and_figures_and_what_ended_it(done, subject):
    made = facts(subject(done).move)
    assert [step["share"] for step in made["steps"]] == [0, 0.5, 1, 1]
    assert [step["phase"] for step in made["steps"]] == ["shadow", "canary", "canary", "done"]
    assert [step["ended_by"] and step["ended_by"]["by"] for step in made["steps"]] == [
        "gate"
    ] * 3 + [None]
    for step in made["steps"]:
        of = "shadow" if step["phase"] == "shadow" else "candidate"
        assert step["calls"][of] == step["candidate"]["calls"] == step["calls"]["baseline"]
        assert step["baseline"]["latency_s"]["p95"] == pytest.approx(0.19, rel=0.05)
        assert step["candidate"]["cost_per_success_usd"]["value"] == pytest.approx(1.095, rel=0.01)
    canary = made["steps"][1]["gate"]
    assert set(canary["figures"].values()) == {"no worse"}
    assert (canary["min_calls"], canary["calls"] >= 40) == (40, True)
    assert json.loads(json.dumps(made)) == made


def test_what_was_saved_counts_the_copies_against_it(done, subject):
    made = facts(subject(done, calls_per_month=1e6).move)
    n = {name: sum(step["calls"][name] for step in made["steps"])
         for name in ("candidate", "shadow")}  # fmt: skip
    saved = made["bill"]["saved_usd"]
    assert saved["value"] == pytest.approx(1.095 * n["candidate"] - 1.095 * n["shadow"], rel=0.02)
    assert saved["low"] < saved["value"] < saved["high"]
    month = made["saving_per_month_usd"]
    assert month["low"] < 1.095e6 < month["high"]
    assert "Done since 1970-01-01 00:" in made["verdict"]
    assert "saves USD 1,09" in made["verdict"]
    short = facts(subject(done).move)
    assert short["saving_per_month_usd"] is None
    assert "less than a day of traffic" in short["saving_reason"]


def test_a_line_says_what_is_next_in_every_phase(subject):
    shadow, at = going(begun(), 2, 1001.0)
    line = facts(subject(shadow).move)["verdict"]
    assert (
        "In shadow since 1970-01-01 00:16:40 UTC, 5 % of the calls go to both; its gate needs "
        in line
    )
    assert "more call" in line
    canary, at = until(shadow, at, "canary")
    canary, at = going(canary, 1, at)
    made = facts(subject(canary).move)
    assert "At 50 % since " in made["verdict"]
    assert "its gate needs 20 more calls of the candidate" in made["verdict"]
    assert made["verdict"].endswith(" (simulated)")
    paused = move.by_hand(canary, at, "bob", "lunch", paused=True)
    made = facts(subject(paused).move)
    assert made["verdict"].startswith("Paused at 50 % since ")
    assert (len(made["steps"]), made["changes"][-1]["by"]) == (2, "hand")
    back, at = going(canary, 30, at, failed=12)
    made = facts(subject(back).move)
    assert made["verdict"].startswith("Taken back at ")
    assert "errors 0 % → " in made["verdict"]
    assert (made["state"], made["share"]) == ("unhealthy", 0.0)
    assert made["steps"][1]["gate"]["figures"]["errors"] in {"worse", "open"}


def test_a_page_is_not_older_than_the_last_change_that_it_tells(subject):
    canary, at = until(begun(), 1001.0, "canary")
    quiet = at + 60
    made = facts(subject(move.by_hand(canary, quiet, "bob", "enough", share=0.0)).move)
    assert made["as_of"] == made["changes"][-1]["at"] > facts(subject(canary).move)["as_of"]


def test_harm_is_what_nobody_made_good(subject):
    canary, at = until(begun(), 1001.0, "canary")
    some = calls(40, "baseline", 0, failed=4) + calls(30, "candidate", 1, failed=6)
    some += calls(5, "fallback", -1, failed=2)
    harm = facts(subject(move.observe(canary, some, COURSE, at, "me")).move)["harm"]
    assert harm == {"failed": 6, "asked_again": 5, "asked_again_failed": 2, "reached_callers": 3,
                    "expected_at_baseline": pytest.approx(3.0)}  # fmt: skip


def test_a_file_of_before_is_reported_with_what_it_has(done, subject, tmp_path):
    old = json.loads(msgspec.json.encode(done))
    for name in ("course", "spans"):
        del old[name]
    for change in old["history"]:
        for name in ("since", "by", "paused", "calls", "figures"):
            change.pop(name, None)
    path = tmp_path / "old.json"
    path.write_text(json.dumps(old))
    made = facts(hm.subject(route=str(path)).move)
    assert [step["baseline"] for step in made["steps"]] == [None] * 4
    assert {step["missing"] for step in made["steps"]} == {
        "its figures are not in the file: it was written by an earlier version"
    }
    assert made["bill"] is made["saving_per_month_usd"] is None
    assert made["steps"][0]["ended_by"]["by"] is None
    assert made["verdict"].startswith("Done since ")
    on = going(route_file.read(path), 1, 4000.0)[0]
    assert facts(subject(on).move)["steps"][-1]["calls"]["baseline"] == 20


def test_the_notebook_shows_it_all_in_both_languages_and_what_others_wrote_is_text(done, subject):
    hostile = move.by_hand(done, 4000.0, HOSTILE, HOSTILE, share=0.5)
    path = str(subject(hostile).move.file)
    for lang, pieces in (
        ("en", ("Take it back", "no figure is worse than it may be, by", "saved so far")),
        ("vi", ("Rút lại", "không có chỉ số nào tệ hơn mức cho phép")),
    ):
        with speaking("en"):
            shown = results("report_move", route=path, alerts=HOSTILE, lang=lang)
            page = "".join(
                each._repr_html_() or "" for each in shown if hasattr(each, "_repr_html_")
            )
            assert [piece for piece in pieces if piece not in page] == []
            assert "<script" not in page
            assert "&lt;script&gt;alert(1)" in page
            line = f"holymon route rollback {shlex.quote(path)}"
            assert line.replace("'", "&#x27;") in page or line.replace("'", "&#39;") in page
            (picture,) = [each for each in shown if hasattr(each, "savefig")]
            assert len(picture.axes) == 3


def test_what_the_kernel_hands_on_is_taken_if_it_is_a_move(done, subject, monkeypatch):
    monkeypatch.setenv("HOLYMON_HEADLESS", "1")
    with speaking("vi"):
        given = handed(subject(done).move)
    (move,) = [each["move"] for each in given.values()]
    odd = [None, 7, {"move": {"verdict": "x"}}, {"move": {"verdict": [], "state": "healthy"}}]
    outputs = [{"data": {**given, "text/plain": ""}}, *({"data": {KIND: each}} for each in odd)]
    about = taken(nbformat.from_dict({"cells": [{"outputs": outputs}]}))
    assert about["health"] == {"state": "healthy", "line": move["verdict"]}
    assert about["move"] == move
    assert about["shown"][move["verdict"]].startswith("Đã xong từ ")
    assert taken(nbformat.from_dict({"cells": [{"outputs": outputs[1:]}]})) == {}


def test_a_file_that_is_not_there_is_one_sentence_before_a_kernel(tmp_path):
    with pytest.raises(hm.ConfigError, match="is not there: name the file that the router has"):
        hm.write_report("report_move", parameters={"route": str(tmp_path / "x.json")}, out=tmp_path)
    assert [*tmp_path.iterdir()] == []


def test_a_file_that_does_not_say_how_the_move_began_is_one_sentence(tmp_path):
    path = tmp_path / "r.json"
    begun = move.new("a/x", "b/y", MoveSteps(), 0.0, "me")
    path.write_bytes(route_file.written(msgspec.structs.replace(begun, history=())))
    with pytest.raises(hm.RunError, match="does not say how the move began"):
        moved(path)


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("latency", "<script>"), ("latency", "0:-1"), ("ttft", "1:99999999999999999999"),
        ("cost", 1e308), ("squares", -1.0), ("failed", 10**30), ("priced", 10**6), ("calls", 0),
        ("slo", {"error_rate<20%": [1, 2]}), ("begin", -(10.0**30)), ("end", 1e300),
    ],
)  # fmt: skip
def test_what_others_wrote_of_a_span_is_one_sentence(where, value, subject):
    route, _ = going(begun(), 2, 1001.0)
    saved = msgspec.to_builtins(route)
    span = saved["spans"][0]
    (span if where in span else span["sides"]["baseline"])[where] = value
    with pytest.raises(hm.RunError, match="holds no move that can be read"):
        subject(saved)
