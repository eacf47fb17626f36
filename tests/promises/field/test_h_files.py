"""H. Files as people have them, and no traceback: whatever happens, no way out is a 1 that means
"an objective is missed"."""

import codecs
import json
import os
import subprocess
import sys

import pytest

from holymon.errors import ConfigError, PlanError
from holymon.load.requests import key_of
from holymon.plan import dataset_files, replay_file, targets
from holymon.plan.plan import Closed, Plan, Target
from holymon.report import notebooks
from holymon.safety import looks_secret

WAYS = {
    "as Linux has it": lambda text: text.encode(),
    "Windows' line ends": lambda text: text.replace("\n", "\r\n").encode(),
    "Notepad's mark": lambda text: codecs.BOM_UTF8 + text.replace("\n", "\r\n").encode(),
    "PowerShell 5's >": lambda text: codecs.BOM_UTF16_LE + text.replace("\n", "\r\n").encode("utf-16-le"),
    "UTF-16 BE": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
    "UTF-32": lambda text: text.encode("utf-32"),
    "an old Mac's line ends": lambda text: text.replace("\n", "\r").encode(),
}  # fmt: skip
"""python-dotenv#207, PowerShell/PowerShell#4681, pandas-dev/pandas#4793."""


@pytest.fixture(params=WAYS.values(), ids=WAYS)
def write(request, tmp_path):
    """Writes a file as some editor would."""

    def write(name: str, text: str):
        path = tmp_path / name
        path.write_bytes(request.param(text))
        return path

    return write


def test_targets_are_read(write, monkeypatch):
    path = write("targets.toml", '# mine: 中文\n[mine]\nbase_url = "http://h:1/v1"\n\n'
                 '[mine.models."m"]\ninput = 1.0\noutput = 2.0\n')  # fmt: skip
    monkeypatch.setenv("HOLYMON_TARGETS", str(path))
    assert targets.target("mine/m").price.output == 2.0


def test_prompts_are_read(write):
    path = write("p.jsonl", '"xin chào"\n{"prompt": "你好"}\n\n')
    assert [request.text for request in dataset_files.read(path)] == ["xin chào", "你好"]


@pytest.mark.parametrize(
    ("name", "text"), [("t.csv", "timestamp,user\n0,a\n1.5,b\n"), ("t.jsonl", '{"t": 0}\n{"t": 1.5}\n')]
)  # fmt: skip
def test_traces_are_read(write, name, text):
    assert replay_file.replay(write(name, text)).times == (0.0, 1.5)


def test_plans_are_read(write):
    plan = Plan(targets=(Target(provider="sim", model="fast"),), load=Closed(users=1), requests=1)
    assert Plan.from_json(write("plan.json", plan.to_json().decode()).read_bytes()) == plan


def test_notebooks_are_read(write):
    made = {"cells": [{"cell_type": "code", "source": "x = 1", "metadata": {"tags": ["parameters"]}}],
            "metadata": {}, "nbformat": 4, "nbformat_minor": 5}  # fmt: skip
    path = write("n.ipynb", json.dumps(made, indent=1))
    assert list(notebooks.check_parameters(path, {"x": 2})) == ["x"]


@pytest.mark.parametrize(
    "cell",
    [
        {"cell_type": "code", "source": "x = 1", "metadata": {}},
        {"cell_type": "code", "source": ["x = 1"]},
        {"cell_type": "code", "source": "x = 1", "metadata": {}, "outputs": []},
        {"cell_type": "markdown", "source": "# no metadata"},
        {"cell_type": "code"},
    ],
)
def test_a_notebook_whose_cells_lack_parts_runs(tmp_path, cell):
    """jupyter/nbconvert#2001, jupytext's and hand-made notebooks: `outputs` and more are left out."""
    path = tmp_path / "n.ipynb"
    path.write_text(
        json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 4})
    )
    assert notebooks.check_parameters(path, {}) == {}


NOTEBOOK = {
    "metadata": {},
    "nbformat": 4,
    "cells": [
        {"cell_type": "code", "id": "a", "source": f"x = {n}", "metadata": {}, "outputs": [],
         "execution_count": None} for n in range(2)
    ],
}  # fmt: skip


# What was to come of the next two was written down before they were tried.
@pytest.mark.parametrize("minor", [4, 5], ids=["ids before there were any", "the same id twice"])
def test_a_notebook_with_ids_of_its_cells_that_can_not_be_runs(tmp_path, minor):
    """nteract/papermill#568, jupytext/jupytext#764; googlecolab/colabtools#581."""
    path = tmp_path / "n.ipynb"
    path.write_text(json.dumps({**NOTEBOOK, "nbformat_minor": minor}))
    assert notebooks.check_parameters(path, {}) == {}
    made, status, error, _ = notebooks.execute(path, {}, 60)
    assert (status, error, len(made.cells)) == ("ok", "", 2)


@pytest.mark.parametrize("code", ["cp1252", "gbk", "cp1258"])
@pytest.mark.parametrize("words", ["prix: été", "価格 12"])
def test_a_file_in_a_code_page_is_one_sentence_with_the_mend(tmp_path, monkeypatch, code, words):
    """yjqiang/bili2.0#143, mrijken/toml-cli#37: saved as the machine's own code page has it."""
    path = tmp_path / "targets.toml"
    path.write_bytes(f"# {words}\n[mine]\n".encode(code, "replace").replace(b"?", b"\xe9"))
    monkeypatch.setenv("HOLYMON_TARGETS", str(path))
    for read in (lambda: targets.target("mine/m"), lambda: dataset_files.read(path),
                 lambda: replay_file.replay(path)):  # fmt: skip
        with pytest.raises(ConfigError, match=r"(?s)targets\.toml.*save it as UTF-8") as caught:
            read()
        assert "\n" not in str(caught.value)


def test_a_file_that_is_no_text_is_one_sentence(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"\xff\xfe\x00")
    for read in (dataset_files.read, replay_file.replay, notebooks.check_parameters):
        with pytest.raises(ConfigError, match=r"x\.jsonl"):
            read(path, {}) if read is notebooks.check_parameters else read(path)


@pytest.mark.parametrize("letters", [200_000, 2_000_000])
def test_a_trace_may_have_a_column_of_any_length(tmp_path, letters):
    """CPython's csv stops at 131,072 characters; python/cpython#53262."""
    path = tmp_path / "t.csv"
    path.write_text('timestamp,prompt\n0,{0}\n2,"{0}"\n'.format("x" * letters))
    assert replay_file.replay(path).times == (0.0, 2.0)


def test_a_trace_that_holds_no_time_names_the_line(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(b'timestamp,prompt\n0,a\nsoon,"b\n')
    with pytest.raises(PlanError, match=r"t\.csv, line 3 holds no time"):
        replay_file.replay(path)


def test_line_separators_inside_a_prompt_are_no_line_ends(tmp_path):
    """U+2028 and U+0085 stand in JSON as they are; str.splitlines takes them for ends."""
    path = tmp_path / "t.jsonl"
    path.write_text('{"t": 0, "x": "a\u2028b\u0085c"}\n{"t": 1}\n', "utf-8")
    assert replay_file.replay(path).times == (0.0, 1.0)


def test_a_key_from_a_file_of_variables_with_windows_line_ends_is_that_key(monkeypatch):
    """docker/compose#3702: `. holymon.env` and EnvironmentFile= keep the CR of CR LF."""
    monkeypatch.setenv("MY_KEY", "sk-canary-0123456789\r")
    target = Target(provider="p", model="m", base_url="http://h/v1", api_key_env="MY_KEY")
    assert key_of(target).reveal() == "sk-canary-0123456789"


@pytest.mark.parametrize(
    ("name", "value"),
    [("token_budget", 500), ("token_budget", "5k"), ("key_metric", "ttft_p95"), ("sort_key", "model"),
     ("primary_key", "request"), ("eos_token", "</s>"), ("secret_sauce", "temperature"),
     ("tokens_per_s", 20), ("author_auth_level", "basic"), ("password_policy", "none"),
     ("stop_token", None), ("use_key", True), ("note", "the key is in MY_KEY")],
)  # fmt: skip
def test_a_word_in_a_name_makes_no_secret(name, value):
    """A variant of our own: the notebook parameter `token_budget`."""
    assert not looks_secret(name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("api_key", "x"), ("apiKey", "abc"), ("db_password", "hunter2"), ("pin", "sk-abcdef0123456789"),
     ("client_secret", "y"), ("HF_TOKEN", "abc123def456ghi789"), ("settings", {"api_key": "x"}),
     ("headers", [{"Authorization": "Bearer abcdef0123456789"}]), ("password", 123456)],
)  # fmt: skip
def test_the_place_or_the_value_makes_one(name, value):
    assert looks_secret(name, value)


def holymon(tmp_path, *arguments, **variables):
    """The command in a process of its own, with these variables."""
    return subprocess.run(
        [sys.executable, "-m", "holymon", *arguments], cwd=tmp_path, capture_output=True,
        env={**os.environ, **variables}, timeout=120, check=False,
    )  # fmt: skip


def test_a_terminal_that_lacks_letters_shows_what_it_can(tmp_path):
    """python/cpython#105571 and many: UnicodeEncodeError from print on Windows, which ended with 1."""
    arguments = ("load", "--base-url", "http://127.0.0.1:9/v1", "--model", "通义千问-Việt", "--requests",
                 "2", "--rate", "50")  # fmt: skip
    done = holymon(tmp_path, *arguments, PYTHONIOENCODING="cp1252", PYTHONUTF8="0")
    assert done.returncode == 4, done.stderr
    assert b"Traceback" not in done.stderr
    assert b"connection_refused" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [("nosuch",), ("load", "--nosuch"), ("load", "sim/fast", "--requests", "x"), ("compare",),
     ("load", "sim/fast", "--shape")],
)  # fmt: skip
def test_wrong_usage_is_2_and_never_1(tmp_path, arguments):
    done = holymon(tmp_path, *arguments)
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr


def test_a_cell_whose_kind_or_text_is_no_text_makes_no_notebook(tmp_path):
    """nbformat's own words on such a cell end in a TypeError, as it writes."""
    path = tmp_path / "n.ipynb"
    whole = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}}
    for kind, source in ((["markdown"], "a"), (2**32, "a"), ("markdown", "\ud800")):
        cell = {"metadata": {}, "cell_type": kind, "source": source}
        path.write_text(json.dumps({**whole, "cells": [cell]}))
        with pytest.raises(ConfigError, match=r"n\.ipynb is not a notebook"):
            notebooks.check_parameters(path, {})
