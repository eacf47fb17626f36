"""What readers get to see of a notebook that has run: cleaned, and as one page of HTML."""

import re
from functools import cache
from typing import Any, Final

from holymon.formatting import element
from holymon.language.said import language, tell
from holymon.report.harmless import harmless
from holymon.report.index import TEMPLATES, style
from holymon.report.notebooks import quiet
from holymon.report.svg import inert
from holymon.safety import Secret, redact

HIDDEN: Final = {"parameters", "injected-parameters", "remove-cell", "papermill-error-cell-tag"}
_ANSI: Final = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def clean(notebook: Any, secrets: tuple[Secret, ...]) -> None:
    """Take out what no reader needs: parameters, paths, widgets, colour codes, keys."""
    for name in ("papermill", "widgets"):
        notebook.metadata.pop(name, None)
    notebook.cells = [
        cell for cell in notebook.cells
        if not HIDDEN - {"parameters"} & set(cell.metadata.get("tags", ()))
    ]  # fmt: skip
    for number, cell in enumerate(notebook.cells):
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            data.pop("application/javascript", None)
            if data.pop("application/vnd.jupyter.widget-view+json", None) is not None:
                data["text/plain"] = tell("(moves only in a notebook)")
            drawn = data.pop("image/svg+xml", None)
            if picture := drawn and inert(str(drawn), f"p{number}-", cell.metadata.get("alt", "")):
                data.pop("image/png", None)
                data["image/svg+xml"] = picture
            if output.output_type == "error":
                output.evalue = redact(output.evalue, secrets)
                # The frames hold paths of this machine; the reader needs the last line.
                output.traceback = [redact(_ANSI.sub("", line), secrets)
                                    for line in output.traceback[-1:]]  # fmt: skip


def html_of(notebook: Any, title: str, banner: str) -> str:
    """The page of a cleaned notebook, which runs no script and loads nothing."""
    with quiet():
        return _html_of(notebook, title, banner)


@cache
def prepare() -> None:
    """Import and compile what a page needs, so that the page of a notebook is soon made."""
    from nbformat import v4

    shown = v4.new_output("display_data", {"text/html": element("p", "a")})
    cells = [v4.new_markdown_cell("## a\n\n*a*"), v4.new_code_cell("a", outputs=[shown])]
    _html_of(v4.new_notebook(cells=cells), "", "")


@cache
def _compiled() -> Any:
    """Templates as jinja compiled them, in memory: each page has an environment of its own."""
    from jinja2 import BytecodeCache

    class Compiled(BytecodeCache):
        def __init__(self) -> None:
            self._code: dict[str, bytes] = {}

        def load_bytecode(self, bucket: Any) -> None:
            if code := self._code.get(bucket.key):
                bucket.bytecode_from_string(code)

        def dump_bytecode(self, bucket: Any) -> None:
            self._code[bucket.key] = bucket.bytecode_to_string()

    return Compiled()


def _html_of(notebook: Any, title: str, banner: str) -> str:
    from jinja2 import pass_context
    from nbconvert import HTMLExporter, TemplateExporter
    from traitlets.config import Config

    from holymon import __version__

    config = Config()
    config.TagRemovePreprocessor.enabled = True
    config.CoalesceStreamsPreprocessor.enabled = True
    config.TagRemovePreprocessor.remove_cell_tags = HIDDEN
    exporter = HTMLExporter(
        config=config, template_name="holymon", extra_template_basedirs=[str(TEMPLATES)],
        exclude_input=True, exclude_input_prompt=True, exclude_output_prompt=True,
        embed_images=True, sanitize_html=True,
    )  # fmt: skip
    exporter.register_filter("clean_html", harmless)
    # With the context it is no constant, of which jinja would keep the words of one language.
    exporter.register_filter("tell", pass_context(lambda _, words: tell(words)))
    exporter.environment.bytecode_cache = _compiled()
    resources = {
        "title": title, "banner": banner, "version": __version__, "style": style(),
        "language": language(),
    }  # fmt: skip
    # HTMLExporter's own would parse the page once more, for what our template does itself.
    made = TemplateExporter.from_notebook_node(exporter, notebook, resources=resources)
    return str(made[0])
