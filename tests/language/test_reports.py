"""The language of a report: asked for, handed to its notebook, refused where that can't be."""

import json

import nbformat
import pytest
from click.testing import CliRunner

import holymon as hm
from holymon.cli.main import main
from holymon.language.said import language, speaking
from holymon.report.page import html_of
from holymon.report.prose import paragraphs


def notebook(path, parameters, *lines):
    cells = [
        nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}),
        nbformat.v4.new_markdown_cell("## What changed\n\nProse of our own, with {braces}."),
        nbformat.v4.new_code_cell("import holymon as hm\n" + "\n".join(lines)),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def test_a_report_in_vietnamese_says_so_and_its_notebook_speaks_it(tmp_path):
    path = notebook(tmp_path / "mine.ipynb", 'lang = "en"\nout = "reports"',
                    "hm.speak(lang)", "hm.history(out).verdict")  # fmt: skip
    made = hm.write_report(path, out=tmp_path / "runs", lang="vi")
    page = made.html.read_text("utf-8")
    assert (made.status, language()) == ("ok", "en")
    assert '<html lang="vi">' in page
    for text in ("Những gì đã thay đổi", "Chưa có xu hướng: chưa lần đo nào có số liệu", "Prose of our own, with {braces}.", "Tệp này không chạy script"):  # fmt: skip
        assert text in page
    assert "This file runs no script" not in page
    assert json.loads((made.folder / "run.json").read_text())["report"]["lang"] == "vi"


def test_pages_of_one_process_are_each_in_their_own_language():
    for spoken, words in (("en", "runs no script"), ("vi", "không chạy script"), ("en", "runs no")):
        with speaking(spoken):
            assert words in html_of(nbformat.v4.new_notebook(), "a", "")


def test_a_notebook_without_the_parameter_is_not_run_in_another_language(tmp_path):
    path = notebook(tmp_path / "mine.ipynb", 'out = "reports"', "1")
    with pytest.raises(hm.ConfigError, match="no parameter 'lang', so its report can't be in vi"):
        hm.write_report(path, out=tmp_path, lang="vi")


def test_a_language_that_is_none_is_one_sentence(tmp_path):
    for ask in (lambda: hm.speak("fr"), lambda: hm.write_report(out=tmp_path, lang="fr")):
        with pytest.raises(hm.ConfigError, match="no reports in 'fr': say one of en, vi"):
            ask()
    with pytest.raises(hm.ConfigError, match="no reports in 'fr'"):
        hm.write_report(out=tmp_path, parameters={"lang": "fr"})
    done = CliRunner().invoke(main, ["report", "sim/fast", "--lang", "fr", "--out", str(tmp_path)])
    assert done.exit_code == 2
    assert "'fr' is not one of 'en', 'vi'." in done.output


def test_prose_is_looked_up_by_its_paragraphs_and_headings():
    assert paragraphs("# A b\n\nc d\ne\n\n\n### f") == ["A b", "c d\ne", "f"]
