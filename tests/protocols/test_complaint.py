"""Which part of an object reports an error, if any does, in each form met in the field."""

import pytest

from holymon.protocols.complaint import complaint, reports, sole, words_in

X = {"message": "x"}
MANY = {f"a{k}": 1 for k in range(999)}
# Whatever else is known of it, the part named is an error; "": all of it.
CERTAIN = [
    ({"error": X}, "error"), ({"error": "x"}, "error"), ({"error": ["x"]}, "error"),
    ({"error": {"code": 0, "message": "x"}}, "error"), ({"errors": [{"a": 1}]}, "errors"),
    ({"err": "x"}, "err"), ({"fault": {"a": 1}}, "fault"), ({"my_error": "x"}, "my_error"),
    ({"FooException": {"a": 1}}, "FooException"), ({"error_msg": {"a": 1}}, "error_msg"),
    ({"err_info": {"a": 1}}, "err_info"), ({"errorbody": {"a": 1}}, "errorbody"),
    ({"error": True}, ""), ({"error": 5}, ""), ({"error": 0.5}, ""),
    ({"base_resp": {"status_code": 1004}}, "base_resp"), ({"e" * 100 + "error": "x"}, "e" * 100 + "error"),
    ({"object": "error"}, ""), ({"type": "error"}, ""), ({"event": "stream_failed"}, ""),
    ({"event_type": "failure"}, ""), ({"status": "failed"}, ""), ({"state": "fault"}, ""),
    ({"finish_reason": "error"}, ""), ({"__type": "X#ThrottlingException"}, ""),
    ({"status": "e" * 100 + "error"}, ""), ({"success": False}, ""), ({"ok": False}, ""),
    ({**MANY, "error": "x"}, "error"),
]  # fmt: skip
# An error unless something else is known of the object.
LIKELY = [
    {"error_msg": "x"}, {"message": "no"}, {"detail": "x"}, {"message": "x" * 61, "type": "y"},
    {"message": "processing your call"}, {"message": {"message": "x"}}, {"message": {"code": 500}},
    {"message": ["x"]}, {"code": 500}, {"code": "500"}, {"code": 400}, {"code": "-5"}, {"code": -12},
    {"code": 399, "message": "x"}, {"code": 399, "title": "x"}, {"code": "1301", "message": "ok"},
    {"code": "rate_error", "reason": "x"}, {"code": 0, "message": "x"}, {"code": 200, "message": "x"},
    {"code": "abc", "message": "no"}, {"code": 1.5, "message": "no"}, {"code": True, "message": "x"},
    {"code": False, "type": 7, "message": "ok"}, {"message": "pinging " + "x" * 60},
    {"code": "0" * 59 + "1", "message": "ok"},
]  # fmt: skip
NONE = [
    {"error": 0}, {"error": []}, {"error": {}}, {"error": None}, {"error": "ok"}, {"error": "0"},
    {"error": " OK "}, {"error": {"code": 0, "message": ""}}, {"error": {"code": None, "a": False}},
    {"error": 200}, {"error": "20000"}, {"error": {"a": {"b": "success"}}}, {"base_resp": {}},
    {"base_resp": {"status_code": 0}}, {"base_resp": 5}, {"header": {"code": 0, "message": "ok"}},
    {"data": {"code": 5, "message": "x"}}, {"data": [{"error": "x"}]}, {"status": "failing"},
    {"type": 5}, {"type": "an error occurred"}, {"success": True}, {"ok": True}, {"ok": 0},
    {"success": None}, {"message": "ok"}, {"message": "pinging"}, {"message": "x", "type": "ping"},
    {"message": "x", "status": "queued"}, {"message": {}}, {"message": []}, {"code": 399},
    {"code": "rate_error"}, {"code": 20000}, {"code": True}, {"code": "", "message": "ok"},
    {"code": "abc", "message": "ok"}, {"code": 1.5, "message": "ok"}, {"code": "success", "title": "x"},
    {"code": "-", "title": "x"}, {"a": 1}, {}, {**MANY, "b": 1, "error": "x"},
]  # fmt: skip


@pytest.mark.parametrize(("about", "place"), CERTAIN)
def test_what_calls_itself_an_error_is_one(about, place):
    part = about[place] if place else about
    for value in (about, [about]):
        assert complaint(value) is part
        assert complaint(value, strict=True) is part
    assert complaint([about, about]) is None
    wraps = ("Response", "response", "Output", "output", "header", "result", "data")
    for name in wraps:
        assert complaint({name: about}, strict=True) is part
    assert complaint({"other": about}) is None


@pytest.mark.parametrize("about", LIKELY)
def test_what_holds_words_or_a_code_is_an_error_if_nothing_else_is_known(about):
    assert complaint(about) is about
    assert complaint(about, strict=True) is None
    for name in ("Response", "header"):
        assert complaint({name: about}) is about
        assert complaint({name: about}, strict=True) is None
    assert complaint({"result": about}) is None


@pytest.mark.parametrize("about", NONE)
def test_what_says_that_all_is_well_or_nothing_is_no_error(about):
    assert complaint(about) is None
    assert complaint(about, strict=True) is None


@pytest.mark.parametrize("value", [None, 5, "error", [], [[]], ["x"], True])
def test_what_is_no_object_reports_nothing(value):
    assert complaint(value) is sole(value) is None


def test_an_error_of_many_fields_is_none_that_says_all_is_well():
    def of(fields):
        return {f"a{k}": None for k in range(fields)}

    assert complaint({"error": of(1000)}) is None
    assert complaint({"error": of(1001)}) is not None


def test_what_stands_in_the_place_of_an_error():
    assert [*map(reports, (X, "x", ["x"], 5, True))] == [True] * 5
    assert [*map(reports, (None, "", {}, [], 0, False, "ok", {"code": 0}))] == [False] * 8


def test_the_first_words_that_are_any_are_those_of_an_error():
    assert words_in({"detail": "b", "message": "a"}) == "a"
    assert words_in({"message": "", "msg": None, "details": [], "Message": {}, "errmsg": 5}) == 5
    assert words_in({"title": "x"}) is None
    assert words_in({"title": "x"}, ("reason", "title")) == "x"
