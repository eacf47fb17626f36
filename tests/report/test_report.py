"""A report is one page that runs nothing, loads nothing, hides nothing and keeps no secret."""

import base64
import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

import holymon as hm
from holymon.catalogue import handed, listing
from holymon.catalogue.handed import KIND
from holymon.catalogue.news import News
from holymon.cli.main import main
from holymon.errors import ConfigError, PlanError, RunError
from holymon.figures.change import Change, Least
from holymon.figures.standing import of_percentile
from holymon.formatting import rounded
from holymon.language.said import speaking
from holymon.load import carried, opened, run
from holymon.load.entry import Entry, of_targets
from holymon.plan import consent
from holymon.plan.plan import Open, Plan, Prompts, Target
from holymon.plan.shapes import constant
from holymon.records import run_folder
from holymon.records.attempt import Marks
from holymon.records.journal import Journal
from holymon.records.own_files import finite
from holymon.report import handed_run, health, index, notebooks, report, sections
from holymon.report.index import write_index
from holymon.report.kernel import Kernel
from holymon.structs import replace
from tests import quiet

KEY = "sk-canary-0123456789abcdef"
TEXT = "import holymon as hm\nsubject = hm.subject(run)\nsubject.verdict"


@pytest.fixture
def browse(chromium):
    """Opens a page in Chromium without a network: what it asked for, said, and shows."""
    opened = []

    def look(path):
        opened.append(chromium.new_context(offline=True))
        page = opened[-1].new_page()
        asked, said = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(path.resolve().as_uri())
        outside = [url for url in asked if not url.startswith(("file:", "data:"))]
        return page, outside, said

    yield look
    for context in opened:
        context.close()


def measured(out, model="fast", **more):
    plan = Plan(
        targets=(Target(provider="sim", model=model, stall_s=1),),
        load=Open(constant(40)), duration_s=1.5, prompts=Prompts(max_tokens=4), **more,
    )  # fmt: skip
    return run.measure(plan, out=out)


@pytest.fixture(scope="module")
def subject(tmp_path_factory):
    """A run, for tests that only read it and its report."""
    out = tmp_path_factory.mktemp("reported")
    return measured(out, "flaky", slo=("error_rate<1%",), name="<b>night & day</b>")


@pytest.fixture(scope="module")
def made(subject):
    """Its report; figures and what changed are the kernel's, and nobody's again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "news", None)
        patch.setattr(handed_run, "figured", None)
        return report.write_report(run=subject)


def recorded(out, name="recorded", target=None):
    """A run of three calls that was recorded elsewhere: its folder with a journal."""
    folder = run_folder.new_folder(out, name)
    target = target or Target(provider="sim", model="fast")
    plan = Plan(targets=(target,), load=Open(constant(1)), requests=3, name=name)
    run_folder.write_aside(folder / "plan.json", plan.to_json())
    run_folder.write_state(folder, state="finished", started_at=run_folder.now().isoformat())
    written = Journal(folder, 0)
    for number in range(3):
        marks = Marks(number, 0, 0.0)
        marks.start, marks.end = 0.1, 0.2
        written.record(marks)
    written.close()
    return run.attach(str(folder))


def notebook(path, *cells, parameters="run: str = ''\nother: int = 1"):
    import nbformat

    made = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})]
        + [nbformat.v4.new_code_cell(cell) for cell in cells],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    nbformat.write(made, path)
    return path


def test_the_page_shows_everything_and_asks_for_nothing(made, browse):
    assert (made.status, made.error) == ("ok", "")
    page, outside, said = browse(made.html)
    assert (outside, said) == ([], [])
    pictures = page.evaluate("""[...document.querySelectorAll('svg.picture')].map(drawn =>
        [drawn.getBoundingClientRect().width > 500, drawn.ariaLabel.length > 20])""")
    assert pictures == 6 * [[True, True]]
    spots = page.locator("svg.picture .spot title").all_text_contents()
    assert any("request id sim-flaky-" in spot and "first byte" in spot for spot in spots)
    assert page.evaluate("document.scripts.length") == 0
    text = page.inner_text("main")
    for piece in (
        "Health of sim/flaky",
        "SIMULATED",
        "MISSED",
        "rate_limited",
        "What size does",
        "The slowest of",
        "sim-flaky-",  # the server's own id of a call
        "How this was",
    ):
        assert piece in text
    assert page.title() == f"holymon: {made.run_id}"
    assert page.locator("main table:not([tabindex])").count() == 0, "else no key scrolls it"
    assert page.locator("main th:not([scope])").count() == 0
    for width in (1100, 390):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") == width, "else it scrolls"
    page.set_viewport_size({"width": 1100, "height": 800})
    hidden = page.evaluate("""[...document.querySelectorAll('table.calls')].map(table =>
        table.scrollWidth - table.clientWidth)""")
    assert max(hidden) < 40, "what the server said is hidden; times of a slow machine are wider"


def test_the_page_agrees_with_run_json_and_the_command(subject, made, browse):
    about = json.loads((made.folder / "run.json").read_text())
    assert about["report"]["status"] == "ok"
    over = health.over_time(subject, 0)
    known = finite(subject.to_dict() | over | made.health.to_dict())
    assert {k: v for k, v in about.items() if k != "report"} == known
    # A busy machine may be too busy to keep time, and then nothing is judged.
    fit = about["verdict"]["measurement"] != "invalid"
    state = "unhealthy" if fit else "not judged"
    assert (about["changes"], about["health"]["state"]) == ([], state)
    p50 = about["targets"][0]["latency_s"]["p50"]
    page, _, _ = browse(made.html)
    # That of the error budgets is one, too.
    figures = page.locator("table.figures", has_text="latency")
    assert f"{p50 * 1e3:.3g}" in figures.first.inner_text()
    budget, spent = about["error_budget"], about["spending"]
    if budget["left"] is None:
        assert budget["reasons"]
    else:
        assert budget["left"] == min(each["left"] for each in budget["budgets"])
        text = page.locator("table.figures", has_text="budget left").inner_text()
        assert f"{rounded(abs(budget['left']) * 100, 2)} %" in text
    assert (spent["per_month_usd"], spent["usd"]) == (None, about["cost_usd"])
    assert spent["reasons"][0] in page.inner_text("main"), "why there is no month"
    assert page.inner_text("main h1 + p") == made.health.line == about["health"]["line"]
    listed, _, _ = browse(made.folder.parents[1] / "index.html")
    assert made.health.line in listed.inner_text("section p")


def test_latest_and_index_lead_to_the_report(made, browse):
    assert (made.folder.parent / "latest.html").read_bytes() == made.html.read_bytes()
    out = made.folder.parents[1]
    page, outside, said = browse(out / "index.html")
    assert (outside, said) == ([], [])
    assert page.evaluate("document.scripts.length") == 0
    links = page.query_selector_all("main a")
    assert {(out / link.get_attribute("href")).resolve() for link in links} == {made.html.resolve()}
    assert "sim/flaky" in page.inner_text("figcaption")


def test_the_list_of_reports_fits_a_phone_is_bounded_and_tells_gaps(subject, browse, tmp_path):
    """A name with a gap, one whose report has no run, and so many that not all are listed."""
    about = finite(subject.to_dict())
    began = datetime(2026, 11, 1, tzinfo=UTC)
    for hour in (*range(30), 33):
        at = began + timedelta(hours=hour)
        folder = tmp_path / "hourly" / f"{at:%Y%m%dT%H%M%SZ}"
        folder.mkdir(parents=True)
        (folder / "plan.json").write_bytes((subject.folder / "plan.json").read_bytes())
        (folder / "figures.json").write_bytes(msgspec.json.encode(
            Entry("hourly/x", 0, "finished", 10, at.isoformat(), measurement="valid",
                  targets=("sim/flaky",), of_targets=of_targets(about["targets"]))))  # fmt: skip
        told = {"status": "ok", "started_at": at.isoformat()}
        (folder / "run.json").write_text(json.dumps({**about, "report": told}))
    for k in range(index.MOST_NAMES + 5):
        folder = tmp_path / f"trend {k:03} {'w' * 60}" / "20261120T000000Z"
        folder.mkdir(parents=True)
        told = {"status": "failed", "error": "x" * 300}
        (folder / "run.json").write_text(json.dumps({"report": told}))
    (folder.parent.parent / "hourly" / "20261121T000000Z").mkdir()
    write_index(tmp_path)
    page, outside, said = browse(tmp_path / "index.html")
    assert (outside, said) == ([], [])
    assert page.inner_text("h1 + p") == (
        f"{index.MOST_NAMES} names: {index.MOST_NAMES - 1} unfinished, 1 not judged; "
        "6 other names without a newer report."
    )
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    for width in (1100, 390):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") == width, "else it scrolls"
    mine = page.locator("section", has=page.locator("a", has_text=re.compile("^hourly$")))
    assert "3 runs missing" in mine.inner_text()
    assert "runs of hourly missing between hourly/20261102T050000Z" in mine.inner_text()
    assert mine.locator("tbody tr").count() == index.OF_A_NAME
    assert mine.locator("svg polyline").count() == 1
    assert (
        mine.locator("svg")
        .get_attribute("aria-label")
        .startswith("latency p50 of sim/flaky in the last 31 runs")
    )
    assert page.locator("th:not([scope])").count() == 0


def test_a_cell_that_raises_gives_a_page_with_a_banner(tmp_path, browse):
    loop = "for word in ('be', 'fore'):\n    print(word, flush=True)"
    failing = f"raise ValueError('no {KEY} <b>')"
    # One line: IPython would take it for its magic %run.
    path = notebook(tmp_path / "mine.ipynb", loop, failing, parameters="run: str = ''")
    made = report.write_report(path, out=tmp_path)
    assert made.status == "failed"
    assert made.error.startswith("ValueError: no ***")
    page, outside, said = browse(made.html)
    assert (outside, said) == ([], [])
    assert "This report is not complete" in page.inner_text(".banner")
    assert page.query_selector("main pre").inner_text().split() == ["be", "fore"]
    assert json.loads((made.folder / "run.json").read_text())["report"]["status"] == "failed"


@pytest.mark.parametrize(
    ("cell", "status"),
    [
        ("import time; time.sleep(60)", "timeout"),
        ("import os; os.kill(os.getpid(), 9)", "killed"),
        ("import sys; sys.exit(3)", "failed"),
    ],
)
def test_how_a_notebook_really_ended_is_told(tmp_path, cell, status):
    path = notebook(tmp_path / "mine.ipynb", "print('before')", cell)
    made = report.write_report(path, out=tmp_path, timeout_s=3)
    assert made.status == status
    assert made.error
    assert "before" in made.html.read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_still_leaves_a_page(tmp_path, number):
    started = tmp_path / "started"
    path = notebook(
        tmp_path / "mine.ipynb",
        "print('before')",
        f"import time; open({str(started)!r}, 'w').close(); time.sleep(120)",
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "holymon", "report", path.name, "--summary", "s.json"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    until = time.monotonic() + 60
    while not started.exists():
        assert time.monotonic() < until
        time.sleep(0.05)
    os.kill(process.pid, number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    (html,) = (tmp_path / "reports").glob("mine/2*/report.html")
    assert "This report is not complete" in html.read_text()
    assert json.loads(html.with_name("run.json").read_text())["report"]["status"] == "killed"
    known = json.loads((tmp_path / "s.json").read_text())
    assert (known["state"], known["report"]) == ("unfinished", "reports/mine/latest.html")


@pytest.mark.parametrize("seen", ["state.json", "report.ipynb"])
def test_a_signal_as_a_load_begins_or_a_page_is_written_still_leaves_a_whole_page(tmp_path, seen):
    process = subprocess.Popen(
        [sys.executable, "-m", "holymon", "report", "sim/fast", "--name", "mine", "--rate", "20",
         "--duration", "1"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    until = time.monotonic() + 60
    while not list(tmp_path.glob(f"reports/mine/2*/{seen}")):
        assert time.monotonic() < until
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    (folder,) = (tmp_path / "reports/mine").glob("2*")
    assert {"report.html", "run.json"} <= {path.name for path in folder.iterdir()}
    assert not list(folder.glob(".*"))
    page = (folder / "report.html").read_text()
    assert (tmp_path / "reports/mine/latest.html").read_text() == page
    assert page.count("</main>") == 1


def test_a_signal_between_a_load_and_its_page_leaves_one_and_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(report, "write_report", stop)
    command = ["report", "sim/fast", "--name", "mine", "--rate", "20", "--duration", "1",
               "--summary", "s.json"]  # fmt: skip
    with pytest.raises(SystemExit) as ended:
        main(command)
    assert ended.value.code == 130
    assert "interrupted" in (tmp_path / "reports/mine/latest.html").read_text()
    assert json.loads((tmp_path / "s.json").read_text())["state"] == "unfinished"


def test_no_kernel_outlives_its_report_even_where_its_end_was_interrupted(tmp_path, monkeypatch):
    monkeypatch.setattr(Kernel, "shutdown_kernel", lambda _, now: None)
    path = notebook(tmp_path / "mine.ipynb", "import os; print('pid', os.getpid(), 'end')")
    made = report.write_report(path, out=tmp_path)
    (pid,) = re.findall(r"pid (\d+) end", made.html.read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


def test_a_report_shows_itself_as_a_link_to_its_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "it's <b>" / "report.html"
    made = report.Report(page.parent, page, "failed", "ValueError: <i>", None)
    assert made._repr_html_() == (
        "<p><a href='it%27s%20%3Cb%3E/report.html' target='_blank'>it&#x27;s &lt;b&gt;/report.html"
        "</a>: failed, ValueError: &lt;i&gt;</p>"
    )


def test_a_notebook_that_raises_is_exit_4_and_one_sentence(tmp_path, holymon):
    notebook(tmp_path / "mine.ipynb", "1 / 0")
    done = holymon("report", "mine.ipynb")
    assert done.returncode == 4
    assert done.stderr == (
        "holymon: the report is not complete, failed: ZeroDivisionError: division by zero\n"
    )


def test_an_interrupted_run_can_be_reported(tmp_path):
    going = run.start(
        Plan(
            targets=(Target(provider="sim", model="fast"),), load=Open(constant(50)), duration_s=600
        ),
        out=tmp_path,
    )
    until = time.monotonic() + 60
    while len(going.records) < 40:
        assert time.monotonic() < until
        time.sleep(0.05)
    os.kill(going.status["pid"], signal.SIGKILL)
    while going.live:
        time.sleep(0.05)
    path = notebook(tmp_path / "mine.ipynb", TEXT, "hm.plot_latency(subject).figure")
    made = report.write_report(path, run=run.attach("last", out=tmp_path))
    assert (made.status, made.error) == ("ok", "")
    assert "the run was interrupted" in made.html.read_text()
    again = run.attach("last", out=tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["report", str(path), "--run", again.id, "--out", str(tmp_path)])
    assert ended.value.code == (again.verdict().exit_code or 4), "the run could not finish"


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"nosuch": 1}, "has no parameter nosuch; it has run"),
        ({"api_key": "x"}, "looks like a key"),
        ({"run": KEY}, "looks like a key"),
        ({"run": {1, 2}}, "not a JSON value"),
    ],
)
def test_wrong_parameters_are_refused_before_anything_is_made(tmp_path, parameters, said):
    with pytest.raises(ConfigError, match=said) as caught:
        report.write_report(parameters=parameters, out=tmp_path)
    assert KEY not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_notebook_that_is_not_there_is_named_with_those_that_are(tmp_path):
    with pytest.raises(ConfigError, match=r"no notebook 'nothing'.*report_health"):
        report.write_report("nothing", out=tmp_path)


@pytest.mark.parametrize("name", ["watch", "watch.ipynb", "05_watch", "05_watch.ipynb"])
def test_a_packaged_notebook_is_found_without_its_number(name):
    found = notebooks.find_notebook(name)
    assert (found.name, notebooks.title(found)) == ("05_watch.ipynb", "watch")


def test_the_number_of_a_notebook_of_ones_own_is_part_of_its_name(tmp_path):
    made = report.write_report(notebook(tmp_path / "01_mine.ipynb"), out=tmp_path)
    assert made.folder.parent.name == "01_mine"


def test_a_key_is_in_no_file_whatever_the_notebook_prints(tmp_path, monkeypatch, files_below):
    monkeypatch.setenv("CANARY", KEY)
    target = Target(
        provider="url", model="m", base_url="http://127.0.0.1:1/v1", api_key_env="CANARY"
    )
    subject = recorded(tmp_path / "out", target=target)
    path = notebook(
        tmp_path / "mine.ipynb",
        "import os, base64\nkey = os.environ['CANARY']\nprint(key, key[::-1])\nkey",
        "from IPython.display import HTML\nHTML(f'<b>{key}</b>')",
        "print(base64.b64encode(key.encode()).decode(), key.encode().hex())",
        "raise RuntimeError(key)",
    )
    made = report.write_report(path, run=subject)
    assert (made.status, made.error) == ("failed", "RuntimeError: ***")
    found = [name for name, data in files_below(tmp_path / "out") if KEY.encode() in data]
    assert found == []


def test_no_path_of_this_machine_is_in_a_report(made):
    for name in ("report.html", "report.ipynb", "run.json"):
        assert str(made.folder.parents[1]) not in (made.folder / name).read_text()


def test_the_saved_notebook_is_one_that_jupyter_opens(made):
    import nbformat

    saved = nbformat.read(made.folder / "report.ipynb", as_version=4)
    nbformat.validate(saved)
    assert saved.metadata.kernelspec.name == "python3"
    assert any(cell.get("outputs") for cell in saved.cells)


def test_the_notebook_measures_by_itself_when_no_run_is_given(tmp_path):
    made = report.write_report(parameters={"rate": 20, "duration_s": 1}, out=tmp_path)
    assert made.status == "ok", made.error
    assert "Health of sim/fast" in made.html.read_text()
    assert [found["state"] for found in listing.runs(tmp_path)] == ["finished"]


@pytest.mark.skipif(not Path("/proc").exists(), reason="a folder of Linux in which none can write")
def test_two_reports_at_once_from_a_folder_that_can_not_be_written(tmp_path):
    mine = notebook(tmp_path / "mine.ipynb", "import time; time.sleep(1)\nprint(run)")
    for name in ("a", "b"):
        recorded(tmp_path, name)
    command = [sys.executable, "-m", "holymon", "report", str(mine), "--out", str(tmp_path)]
    started = [
        subprocess.Popen([*command, "--run", name], cwd="/proc", stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True)
        for name in ("a", "b")
    ]  # fmt: skip
    for name, process in zip(("a", "b"), started, strict=True):
        told = process.communicate(timeout=120)
        assert process.returncode in {0, 3}, told  # 3: a busy machine, which is no fault here
        assert f"{tmp_path}/{name}/" in Path(told[0].strip()).read_text()


def test_a_page_that_can_not_be_written_is_one_sentence_and_the_run_stays(tmp_path):
    done = recorded(tmp_path)
    (done.folder / "report.html" / "in the way").mkdir(parents=True)
    with pytest.raises(RunError, match=r"the report can't be written to .*: Is a directory"):
        report.write_report(notebook(tmp_path / "mine.ipynb", "run"), run=done)
    assert len(run.attach(str(done.folder)).records) == len(done.records)


def test_the_latest_page_is_that_of_the_latest_run_whichever_was_reported_last(tmp_path):
    old, new = recorded(tmp_path, "x"), recorded(tmp_path, "x")
    path = notebook(tmp_path / "mine.ipynb", "run")
    latest = report.write_report(path, run=new).html.read_bytes()
    (old.folder / "run.json").write_text("[1]")
    report.write_report(path, run=old)
    assert (tmp_path / "x" / "latest.html").read_bytes() == latest
    (old.folder / "run.json").write_text("[1]")
    write_index(tmp_path)
    page = (tmp_path / "index.html").read_text()
    assert page.count("<tr>") == 3
    assert page.count("<small>run.json can&#x27;t be read</small>") == 1


def page_of(tmp_path, run, name="report.html"):
    """A page that carries a run, without a kernel."""
    page = tmp_path / name
    page.write_text(f'<main><template id="{opened.BLOCK}">{carried.packed(run)}</template></main>')
    return page


def test_a_page_gives_its_run_back(subject, made, browse):
    run = hm.open(made.html)
    assert (run.id, run.summary(), run.verdict()) == (
        subject.id,
        subject.summary(),
        subject.verdict(),
    )
    assert run.plan == subject.plan
    assert run.sample == f"all its {len(subject.records)} calls"
    columns = ("due_s", "end_s", "error", "output_tokens", "code")
    assert all(
        np.array_equal(np.sort(run.records[c]), np.sort(subject.records[c])) for c in columns
    )
    gaps, known = run.records.gap_pairs, subject.records.gap_pairs
    assert (gaps["n"].sum(), len(gaps)) == (known["n"].sum(), len(known))
    page, _, _ = browse(made.html)
    assert page.query_selector(f"template#{opened.BLOCK}").bounding_box() is None
    assert "Run" in repr(run)
    assert "all its" in run._repr_html_()


def test_of_many_calls_a_page_carries_an_even_sample_and_comparisons_say_so(
    subject, tmp_path, monkeypatch
):
    monkeypatch.setattr(carried, "MOST_CALLS", 20)
    page, n = page_of(tmp_path, subject), len(subject.records)
    run = hm.open(page)
    assert run.summary() == subject.summary()
    assert n / 3 - 1 <= len(run.records) <= n / 3 + 1
    assert np.diff(np.sort(run.records["due_s"])).max() < 6 / 40, (
        "none of it lacks a stretch of time"
    )
    assert f"a sample of {len(run.records)} of its {n} calls, 1 of 3 at random" in repr(run)
    done = CliRunner().invoke(main, ["compare", str(page), str(page)])
    assert done.exit_code == 3, "two single runs can't tell"
    assert f"{run.id} is compared by a sample of" in done.output


def test_a_page_is_the_word_of_others_and_keeps_what_is_ones_own(tmp_path, monkeypatch):
    monkeypatch.setenv("CANARY", KEY)
    target = Target(provider="url", model="m", base_url="https://a.example/v1", api_key_env="CANARY",
                    ca_file=str(tmp_path / "ca.pem"))  # fmt: skip
    mine = recorded(tmp_path / "out", target=target)
    mine.plan = replace(mine.plan, prompts=Prompts(texts=("who told you?",), system="be mine"))
    page = page_of(tmp_path, mine)
    plan = hm.open(page).plan
    assert plan.prompts == Prompts(texts=(carried.LEFT_OUT,))
    assert plan.targets[0].ca_file == ""
    with pytest.raises(ConfigError, match=r"nobody has agreed.*holymon trust .*report.html"):
        consent.require(plan.targets)
    assert [sending.variable for sending in hm.trust(page)] == ["CANARY"]
    consent.require(plan.targets)


@pytest.mark.parametrize(
    ("inside", "said"),
    [
        ("", "cut short, or too large"), ("AAAA", "is damaged"), (None, "carries no run"),
        (base64.b64encode(zlib.compress(bytes(2**26), 9)).decode(), "cut short, or too large"),
        (base64.b64encode(zlib.compress(b"[" * 10**6)).decode(), "is damaged"),
        (base64.b64encode(zlib.compress(b'{"format": 99}\n')).decode(), "another version"),
    ],
)  # fmt: skip
def test_a_page_that_cannot_be_opened_is_one_sentence(tmp_path, inside, said):
    page = tmp_path / "report.html"
    page.write_text("<p>" if inside is None else f'<template id="holymon-run">{inside}</template>')
    with pytest.raises(RunError, match=said) as caught:
        hm.open(page)
    assert len(str(caught.value)) < 300
    with pytest.raises(RunError, match="can't read"):
        hm.open(tmp_path)


def test_whatever_is_written_into_a_page_opens_or_is_refused(subject, tmp_path):
    """Bytes made bad, then fields of its header: a run comes of it, or one sentence."""
    page, chance = page_of(tmp_path, subject), random.Random(3)
    whole = zlib.decompress(base64.b64decode(carried.packed(subject)))
    head, _, body = whole.partition(b"\n")
    odd = (None, -1, 10**30, float("inf"), "", "<b>", [], {}, [[]], True)
    opens = 0
    for k in range(150):
        about, columns = json.loads(head), bytearray(body)
        if k % 2:
            inner = about
            for _ in range(chance.randrange(1, 5)):
                key = chance.choice([*inner] if isinstance(inner, dict) else range(len(inner)))
                if not isinstance(inner[key], dict | list) or not inner[key]:
                    break
                inner = inner[key]
            keys = [*inner] if isinstance(inner, dict) else range(len(inner))
            inner[chance.choice(keys)] = chance.choice(odd)
        else:
            for _ in range(3):
                columns[chance.randrange(len(columns))] = chance.randrange(256)
        text = base64.b64encode(zlib.compress(json.dumps(about).encode() + b"\n" + columns, 1))
        page.write_bytes(b'<template id="holymon-run">' + text + b"</template>")
        with contextlib.suppress(RunError):
            run = hm.open(page)
            opens += 1
            with contextlib.suppress(PlanError):  # of an objective that is none
                run._repr_html_()
                repr(hm.compare(run, run))
    assert opens > 20


def test_several_targets_come_side_by_side_and_each_is_folded(browse, tmp_path):
    pair = tuple(Target(provider="sim", model=model) for model in ("fast", "slow"))
    plan = Plan(targets=pair, load=Open(constant(20)), duration_s=1.5, prompts=Prompts(max_tokens=4),
                slo=("latency_p50<0.3", "error_rate<50%"))  # fmt: skip
    ran = quiet.fit(  # where something else took the processor, 30 calls may show nothing
        lambda: run.measure(plan, out=tmp_path),
        lambda made: all(of_percentile(made.summary().targets, "latency_s", "p50")),
    )
    path = tmp_path / "page.html"
    path.write_text(f"<main>{sections.verdict(ran).html}{sections.figures(ran).html}</main>")
    page, _, _ = browse(path)
    rows = [row.inner_text().split() for row in page.query_selector_all("table.beside tbody tr")]
    assert [row[0] for row in rows] == ["sim/fast", "sim/slow"]
    fit = ran.verdict().measurement != "invalid"
    assert [("best" in row, "worst" in row) for row in rows] == [(fit, False), (False, fit)]
    grid = page.query_selector_all("table.checks tr")
    assert [len(row.query_selector_all("th, td")) for row in grid] == [3, 3, 3]
    assert "MISSED" in grid[2].inner_text()
    assert (
        page.evaluate("[...document.querySelectorAll('details')].map(d => d.open)") == [False] * 2
    )


def test_of_what_a_kernel_says_of_changes_only_what_can_be_so_is_taken(subject, monkeypatch):
    monkeypatch.setenv("HOLYMON_HEADLESS", "1")
    (called,) = (target.name for target in subject.plan.targets)
    change = Change("latency_p50", called, 1.0, 2.0, 2.0, (1.5, 2.5), "hourly/1")
    told = News(subject.id, "7d", "run x", (change,), (Least("error_rate", called, 0.1),), ("a",))

    def taken(data, run=subject):
        outputs = [{"data": {KIND: data, "text/html": "h"}}]
        book = SimpleNamespace(cells=[{"outputs": outputs}, {}])
        try:
            return handed.taken(book, run, "7d")
        finally:
            assert outputs == [{"data": {"text/html": "h"}}]

    (good,) = handed.handed(told).values()
    assert taken(good) == told
    assert taken(good, run=None) is None
    deep = []
    for _ in range(100_000):
        deep = [deep]
    for name, value in {
        "run_id": "other/1", "baseline": "last", "against": 5, "notes": ["x" * handed.MOST],
        "changes": [{**good["changes"][0], "figure": "mood"}], "least": [["error_rate", "b", 1]],
    }.items():  # fmt: skip
        assert taken({**good, name: value}) is None, name
    assert taken({**good, "changes": [{**good["changes"][0], "after": float("nan")}]}) is None
    assert [taken(data) for data in (None, "", [], deep, {})] == [None] * 5
    monkeypatch.delenv("HOLYMON_HEADLESS")
    assert handed.handed(told) == {}


def test_figures_of_a_kernel_are_those_of_this_run_or_none(subject, monkeypatch):
    monkeypatch.setenv("HOLYMON_HEADLESS", "1")
    (good,) = handed_run.handed(subject).values()
    with speaking("vi"):
        assert handed_run.handed(subject) == {}
    whole = handed_run.figured(subject)
    monkeypatch.setattr(run_folder, "load", None)  # its records are not read again
    later = run.Run(subject.folder, later=True)

    def taken(data, of=later):
        book = SimpleNamespace(cells=[{"outputs": [{"data": {handed_run.KIND: data}}]}])
        return handed_run.taken(book, of)

    figures, text = json.loads(good)
    other = json.dumps([{**figures, "run_id": "other/1"}, text])
    odd = json.dumps([[], text]), json.dumps([figures, "A"])
    for data in (None, [], "", "[]", "[[]]", other, *odd):
        assert taken(data) is None, data
    assert taken(good, None) is None
    assert taken(good) == (json.loads(json.dumps(finite(whole.figures))), whole.block)
    assert (later.calls, later.exit_code) == (len(subject.records), subject.exit_code)
    assert later.summary().table.text() == subject.summary().table.text()
    assert later.verdict().table.text() == subject.verdict().table.text()
