"""The notebooks that nothing else runs go from top to bottom without a key, and show what they say."""

import ast
import html
import json
import re
import resource

import nbformat
import pytest
from matplotlib.figure import Figure

import holymon as hm
from holymon.report import report
from holymon.report.notebooks import check_parameters, execute, find_notebook

SHORT = {"rate": 30.0, "duration_s": 2.0}


@pytest.mark.parametrize(
    ("name", "parameters", "pictures", "pieces"),
    [
        ("start", SHORT, 1, ("simulated", "/report.html", "02_compare.ipynb")),
        ("explore", None, 0, ("(moves only in a notebook)",)),
        ("prometheus_and_alerts", SHORT, 0, ("api_errors_total{", "holymon_run_valid", "0.5",
                                             "would have fired", "gen_ai_client_token_usage")),
        ("schedule", SHORT, 0, ("latest.html", "flock -n", "error_rate&lt;1\\%", "hourly/2",
                                "every hour, at minute 7")),
        ("your_own_requests", SHORT, 1, ("a batch of OpenAI", "48 tokens", "input 0.1", "TTFT of no prompt",
                                         "each token in, ms", "cached against A", "0 of 20 conversations ended early", "02_compare.ipynb")),
        ("words_and_formulas", SHORT, 1, ("GuideLLM", "vLLM bench", "R-8", "order statistics")),
    ],
)  # fmt: skip
def test_a_notebook_runs_from_top_to_bottom(tmp_path, name, parameters, pictures, pieces):
    given = {**parameters, "out": str(tmp_path / "runs")} if parameters else {}
    made = hm.write_report(name, out=tmp_path, parameters=given)
    assert (made.status, made.error) == ("ok", "")
    page = made.html.read_text()
    assert [piece for piece in pieces if piece not in page] == []
    assert page.count('<svg class="picture"') == pictures


def test_a_disk_without_room_is_one_sentence(tmp_path):
    """And no kernel is begun for it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(
            hm.RunError, match=r"can't be saved in .* while it runs: File too large"
        ):
            execute(find_notebook("start"), {}, 60.0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def results(name, **values):
    """What the cells of a packaged notebook show with these parameters, here instead of a kernel."""
    space, shown = {}, []
    assert check_parameters(name, values).keys() >= values.keys()
    cells = json.loads(find_notebook(name).read_text("utf-8"))["cells"]
    for cell in (cell for cell in cells if cell["cell_type"] == "code"):
        lines = [line for line in cell["source"] if not line.startswith("%")]
        *body, last = ast.parse("".join(lines)).body
        exec(compile(ast.Module(body, []), name, "exec"), space)
        if "parameters" in cell["metadata"].get("tags", ()):
            space |= values
        else:
            shown.append(eval(compile(ast.Expression(last.value), name, "eval"), space))
    return shown


def test_a_move_takes_itself_back_when_its_candidate_goes_down(tmp_path, monkeypatch):
    """The cells of its report run here, as in a kernel that nobody looks at."""

    def execute(path, given, *_):
        notebook = nbformat.read(path, as_version=4)
        with monkeypatch.context() as headless:
            headless.setenv("HOLYMON_HEADLESS", "1")
            shown = results("report_move", **given)[:2]
            outputs = [
                nbformat.v4.new_output(
                    "display_data", {**each._repr_mimebundle_(), "text/html": each._repr_html_()}
                )
                for each in shown
            ]
        notebook.cells[1].outputs = outputs
        return notebook, "ok", "", None

    monkeypatch.setattr(report, "execute", execute)
    shown = results("move", more_errors=0.5, rounds=1, out=str(tmp_path))
    assert shown[4] == "the move begins"
    assert shown[5] == (100, 0.0)
    assert "20 % → 0 %" in shown[6]._repr_html_()
    made, line = shown[-1], repr(shown[-3]).splitlines()[0]
    assert (made.status, made.error) == ("ok", "")
    about = json.loads((made.folder / "run.json").read_text())
    assert about["health"] == {"state": "unhealthy", "line": line}
    assert line.startswith("Taken back at ")
    first, back = about["move"]["steps"]
    assert (
        first["calls"]["baseline"] + first["calls"]["candidate"] + back["calls"]["baseline"] >= 150
    )
    assert about["move"]["harm"]["reached_callers"] == 0
    page = html.unescape(made.html.read_text())
    pieces = (line, "holymon route rollback /", "RouteStateUnusable reach the team's chat")
    assert [piece for piece in pieces if piece not in page] == []


def test_reports_begin_with_their_verdict_and_end_with_how_it_was_measured(tmp_path):
    """The trend is that of the run that was compared."""
    out = str(tmp_path)
    three = ["sim/fast", "sim/slow", "sim/busy"]
    compared = results("report_compare", out=out, targets=three, duration_s=1.0, rate=10.0)
    (measured,) = hm.runs(out)
    rate = {"start": 10.0, "most": 10.0, "seconds": 1.0, "budget_s": 4.0}
    for shown, verdict, pictures in (
        (compared, r"sim/slow(, sim/busy)? and sim/fast are not compared: ", 4),
        (results("report_capacity", out=out, **rate), r"The objectives of sim/busy \(simulated\) ", 2),
        (results("report_trend", out=out, run=measured["run_id"]), "No trend: no two valid runs of one kind in 1 run of 3", 4),
    ):  # fmt: skip
        assert re.match(verdict, repr(shown[0]))  # a busy machine makes sim/busy invalid, too
        assert shown[0]._repr_html_().startswith('<p class="health ')
        assert sum(isinstance(each, Figure) for each in shown) == pictures
        assert "event loop late" in repr(shown[-1])
