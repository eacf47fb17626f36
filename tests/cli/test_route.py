"""A move of traffic in the terminal: looked at, paused, set and taken back."""

import json

import pytest
from click.testing import CliRunner

from holymon.cli.main import main
from holymon.monitor import route_file
from holymon.monitor.course import MoveSteps
from holymon.monitor.route import new


@pytest.fixture
def route(tmp_path, monkeypatch):
    """Runs `holymon route` in a folder with a move in it."""
    monkeypatch.chdir(tmp_path)
    begun = new("old/x", "new/y", MoveSteps(), 0.0, "ann")
    route_file.change(tmp_path / "route.json", lambda *_: begun)

    def run(*words):
        return CliRunner().invoke(main, ["route", *words])

    return run


def test_a_move_is_looked_at_and_taken_in_hand(route):
    assert route("status").output.startswith(
        "in shadow: 0 % of the calls go to new/y, 5 % of the rest to both\n"
    )
    assert route("set", "20%", "--reason", "a try").output == (
        "on its way: 20 % of the calls go to new/y\n"
    )
    assert route("pause").output == "paused: 20 % of the calls go to new/y\n"
    assert json.loads(route("set", "0.2", "--json").output)["paused"] is False
    for _ in range(2):  # the second one changes nothing
        assert route("rollback").output == "taken back: 0 % of the calls go to new/y\n"
    status = json.loads(route("status", "--json").output)
    assert (status["phase"], status["share"], status["problem"]) == ("back", 0.0, None)
    assert [(change["after"], change["reason"]) for change in status["history"]] == [
        (0.0, "the move begins: 5 % of the calls go to both"), (0.2, "a try"), (0.2, "by hand"),
        (0.2, "by hand"), (0.0, "by hand"),
    ]  # fmt: skip
    assert {change["who"].partition(",")[2][:8] for change in status["history"][1:]} == {" process"}


def test_what_cannot_be_is_said_in_a_sentence(route, tmp_path):
    cases = {
        ("set", "many"): (2, "'many' is no share: write one like 20% or 0.2."),
        ("set", "150%"): (2, "share 1.5 is none: name one from 0 to 1, such as 20%."),
        ("set", "20", "--reason", "so"): (2, "share 20 is none"),
        ("status", "other.json"): (2, "other.json is not there"),
        ("rollback", "other.json"): (2, "other.json is not there"),
    }
    for words, (code, says) in cases.items():
        done = route(*words)
        assert (done.exit_code, says in done.output) == (code, True), done.output
    assert not (tmp_path / "other.json").exists()
    assert route("rollback").exit_code == 0
    assert route("pause").output.endswith(
        "the move is taken back, and goes no further: set a share to go on.\n"
    )
    assert route("status", "..").exit_code == 4
    (tmp_path / "route.json").write_text("{}")
    for words in (("status",), ("rollback",)):
        done = route(*words)
        assert done.exit_code == 4
        assert done.output.count("\n") == 1
        assert "route.json holds no move that can be read" in done.output
    assert (tmp_path / "route.json").read_text() == "{}"
