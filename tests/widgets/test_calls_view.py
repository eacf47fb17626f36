"""The calls of a run that has ended: chosen, marked, and shown again as they were looked at last."""

import json

import pytest

import holymon as hm
from holymon.widgets.calls_view import CallsView
from holymon.widgets.view_state import FILE, Selection, keep_view, last_view
from tests.widgets.test_results_tab import HOSTILE, Tags, run


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run of 400 calls to two targets, 40 calls to the first of which failed with hostile words."""
    return run(tmp_path_factory.mktemp("calls"), failed=range(2, 82, 2))


def offered(made):
    view = CallsView(lambda work: work())
    view.offer(made)
    return view


def on(view):
    return [call.request for rows in (view._slow, view._bad)
            for button, call in zip(rows._buttons, rows._calls, strict=False)
            if "hm-on" in button._dom_classes]  # fmt: skip


def test_the_tables_are_those_of_slowest_and_nothing_in_them_runs(made):
    view = offered(made)
    slow, bad = hm.slowest(made).brief
    for rows, table in ((view._slow, slow), (view._bad, bad)):
        assert table.lead[0] in rows._before.value
        assert all(cell in rows._table.value for row in table.rows for cell in row[:1])
        assert rows._table.value.count("<tr>") == 11 == 1 + len(rows._over.children)
    view._bad._buttons[0].click()
    for text in (view._bad._table.value, view._about.value):
        assert "&lt;script&gt;" in text
        assert Tags(text).open == []
        assert "script" not in Tags(text).found
    view._bad._buttons[0].click()


def test_a_row_marks_its_point_and_what_is_chosen_is_there_again_in_another_kernel(made):
    view = offered(made)
    first, bare = made.plan.targets[0].name, view._image.value
    view._slow._buttons[3].click()
    call = view._slow._calls[3]
    assert on(view) == [call.request]
    assert (view._image.value[:4], view._image.value != bare) == (b"\x89PNG", True)
    assert f"call {call.request}" in view._about.value
    view._log.value, view._what.value = True, "ttft"
    view._span.value = (2.0, 6.0)
    assert all(2 <= call.since_s <= 6 for call in view._calls)
    view._boxes[0].value = False
    assert {call.target for call in view._calls} == {made.plan.targets[1].name}
    again = offered(hm.attach(str(made.folder)))
    assert (again._log.value, again._what.value, again._span.value) == (True, "ttft", (2.0, 6.0))
    assert [box.value for box in again._boxes] == [False, True]
    assert again._view == view._view
    assert first in again._view.hidden
    again._span.value = (again._span.min, again._span.max)
    again._boxes[0].value = True
    assert on(again) == [call.request], "it is marked as soon as it is shown again"
    again._slow._buttons[3].click()
    assert on(again) == []


def test_what_somebody_else_left_there_is_no_view(made):
    path = made.folder.parents[1] / FILE
    for about in (
        "[", "[]", '{"RUN": 3}', '{"RUN": {"span": [5, NaN]}}', '{"RUN": {"what": "x"}}',
        '{"RUN": {"hidden": "all"}}', '{"RUN": {"span": [9, 1], "log": true}}', '{"RUN": {"x": 1}}',
    ):  # fmt: skip
        path.write_text(about.replace("RUN", made.id))
        assert last_view(made) == Selection(), about
        keep_view(made, Selection(log=True))
        assert json.loads(path.read_text())[made.id]["log"] is True
    path.unlink()


def test_without_calls_there_is_nothing_to_choose_from(made):
    view = offered(made)
    view.offer(None)
    assert view.box.layout.display == "none"
    view._log.value = not view._log.value
    assert HOSTILE not in view._bad._table.value
