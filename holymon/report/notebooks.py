"""Finds, checks and runs notebooks without a screen, and tells how each really ended.

papermill's own record is wrong for a timeout, a dead kernel and Ctrl-C (it says "completed").
"""

import ast
import contextlib
import errno
import json
import logging
import os
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

from holymon.errors import ConfigError, RunError
from holymon.load.interrupts import interruptible
from holymon.plan.given_file import decoded, raw
from holymon.safety import plain, short
from holymon.structs import refuse_secret

PLACES: Final = (
    Path(__file__).parent.parent / "notebooks",
    Path(__file__).parent.parent.parent / "notebooks",
)
_CELLS: Final = frozenset({"code", "markdown", "raw"})
_ODD: Final = (OSError, ValueError, LookupError, TypeError, AttributeError, SyntaxError,
               RecursionError, MemoryError)  # fmt: skip
"""What reading a file may raise that is no notebook, or whose parameters are no plain Python."""

LEAST: Final = 19
"""The priority that takes the least."""

_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EFBIG, errno.EDQUOT})
"""A full disk, a limit on a file's size, a quota."""

Status = Literal["ok", "failed", "timeout", "killed"]


def find_notebook(notebook: str | Path) -> Path:
    """A notebook by its path, or by its name among the packaged ones, whose number may be left out.

    A name without .ipynb is a packaged one's, whatever lies in the current folder. Raises
    ConfigError if there is none.
    """
    given = Path(notebook)
    if given.is_file() and (given.suffix == ".ipynb" or len(given.parts) > 1):
        return given
    packaged = sorted(path for place in PLACES for path in place.glob("*.ipynb"))
    for path in packaged if given.parent == Path() else ():
        if given.name.removesuffix(".ipynb") in {path.stem, title(path)}:
            return path
    raise ConfigError(
        f"there is no notebook {plain(str(notebook))!r}: give the path of one that ends in .ipynb, "
        "or one of "
        f"{', '.join(title(path) for path in packaged)}."
    )


def title(path: Path) -> str:
    """A notebook's name, without the number that puts a packaged one in its order."""
    return path.stem.lstrip("0123456789").lstrip("_") if path.parent in PLACES else path.stem


def check_parameters(notebook: str | Path, parameters: dict[str, Any]) -> dict[str, Any]:
    """The notebook's parameters with their defaults.

    Raises ConfigError for one it does not have, one that looks like a key, or one that JSON does
    not know.
    """
    path = find_notebook(notebook)
    for name, value in parameters.items():
        refuse_secret(name, value)
        try:
            json.dumps(value)
        except (TypeError, ValueError):
            raise ConfigError(f"parameter {plain(name)!r} is not a JSON value.") from None
    known = _plain_parameters(path) or _parameters(path)
    unknown = [plain(name) for name in parameters if name not in known]
    if unknown:
        raise ConfigError(
            f"{path.name} has no parameter {', '.join(unknown)}; it has "
            f"{', '.join(known) or 'none'}."
        )
    return known


def _plain_parameters(path: Path) -> dict[str, Any]:
    """The parameters of a notebook as papermill tells them, without a second for its import.

    Empty where there are none, or where they are written so that papermill had better say.
    """
    with quiet(), contextlib.suppress(*_ODD):
        saved = json.loads(decoded(raw(path)))
        cells = saved["cells"]
        if saved["nbformat"] != 4 or {cell["cell_type"] for cell in cells} - _CELLS:
            return {}
        tagged = (cell for cell in cells if "parameters" in cell["metadata"].get("tags", ()))
        source = "".join(next(tagged, {"source": ""})["source"])
        lines = ast.parse(source).body
        if all(isinstance(line, ast.Assign | ast.AnnAssign) for line in lines):
            return dict(filter(None, map(_parameter, lines)))
    return {}


def _parameter(line: Any) -> tuple[str, dict[str, Any]] | None:
    kind = ast.unparse(line.annotation) if isinstance(line, ast.AnnAssign) else "None"
    name = line.target if isinstance(line, ast.AnnAssign) else line.targets[0]
    if not isinstance(name, ast.Name) or line.value is None:
        return None
    about = {"name": name.id, "inferred_type_name": kind, "default": ast.unparse(line.value)}
    return name.id, {**about, "help": ""}


def _parameters(path: Path) -> dict[str, Any]:
    with quiet(), _for_python3(path) as ready:
        import papermill

        try:
            known: dict[str, Any] = papermill.inspect_notebook(str(ready))
        except Exception as error:  # noqa: BLE001 - as below
            raise ConfigError(f"{path} is not a notebook: {short(str(error), 100)}") from None
    return known


@contextlib.contextmanager
def prepared() -> Iterator[None]:
    """Import what making a page needs, which takes a second, while a load is measured.

    On Linux it only takes what nobody else wants of the processor, so no measurement is disturbed.
    At the end all of it is there: of two threads that import the same modules in different order,
    Python may give one a module that is only half there.
    """
    thread = threading.Thread(target=_import, daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def _import() -> None:
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LEAST)
    with contextlib.suppress(ImportError):
        require_papermill()
        __import__("nbconvert")


def require_papermill() -> None:
    """Import it, unless it is there, without what takes long and no notebook has."""
    with _no_grammar_of_iris():
        __import__("papermill")


@contextlib.contextmanager
def _for_python3(path: Path) -> Iterator[Path]:
    """A copy of a notebook that asks for the kernel we run it with, whatever it was saved under."""
    with _no_grammar_of_iris():
        import nbformat

    try:
        saved = json.loads(decoded(raw(path)))
        for cell in saved.get("cells", ()):
            _complete(cell)
        made = nbformat.reads(json.dumps(saved), as_version=4)
        spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        made.metadata["kernelspec"] = spec
        whole = nbformat.writes(made).encode()
    except Exception as error:  # noqa: BLE001 - nbformat raises many kinds for a file that is none
        raise ConfigError(f"{path} is not a notebook: {short(str(error), 100)}") from None
    with tempfile.TemporaryDirectory(prefix="hm-") as folder:
        ready = Path(folder) / path.name
        with _saved_in(ready.parent):
            ready.write_bytes(whole)
        yield ready


@contextlib.contextmanager
def _saved_in(folder: Path) -> Iterator[None]:
    """Raise RunError where there is no room: what is saved in part is no notebook."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise RunError(f"the notebook can't be saved in {folder.parent} while it runs: "
                       f"{error.strerror}: make room, or set TMPDIR.") from None  # fmt: skip


@contextlib.contextmanager
def _no_grammar_of_iris() -> Iterator[None]:
    """Spare jsonschema, which nbformat imports, what it can do without.

    To import rfc3987_syntax builds parsers of IRIs for 2 s or more, and notebooks have none.
    """
    name = "rfc3987_syntax"
    if {name, "jsonschema"} & sys.modules.keys():
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]


def _complete(cell: dict[str, Any]) -> None:
    """Give a cell the parts that must be there, and that other tools leave out."""
    cell.setdefault("metadata", {})
    cell.setdefault("source", "")
    if cell["cell_type"] == "code":
        cell.setdefault("execution_count", None)
        cell.setdefault("outputs", [])
        _unmagical(cell)


def _unmagical(cell: dict[str, Any]) -> None:
    """Let a cell of parameters have two lines, the second of which says nothing.

    IPython takes `run: str = ""`, if it is a cell's only line, for its magic `%run` (and so `name`,
    `history`, `page`, `time`, ...): only what is assigned without a type is spared.
    """
    source = "".join(cell["source"])  # which a file may have as a list of lines
    if "parameters" in cell["metadata"].get("tags", ()) and len(source.splitlines()) == 1:
        cell["source"] = source.rstrip("\n") + "\n#"


def execute(
    path: Path, parameters: dict[str, Any], timeout_s: float, import_from: Path | None = None
) -> tuple[Any, Status, str, BaseException | None]:
    """Run the notebook in a kernel of its own: what came of it, and how it really ended."""
    with quiet(), _for_python3(path) as ready:
        import nbformat
        import papermill
        from nbclient.exceptions import CellTimeoutError, DeadKernelError

        from holymon.report import engine, kernel

        aside, kind = ready.with_name("made.ipynb"), kernel.new_class()
        status: Status = "ok"
        error, interrupt = "", None
        try:
            with _headless(), interruptible(), _saved_in(ready.parent):
                papermill.execute_notebook(
                    str(ready), str(aside), parameters=parameters, kernel_name="python3",
                    engine_name=engine.registered(), progress_bar=sys.stderr.isatty(),
                    execution_timeout=timeout_s, cwd=str(Path.cwd()),
                    config=kernel.transport(ready.parent),
                    **kernel.options(kind, ready.parent, import_from),
                )  # fmt: skip
        except papermill.PapermillExecutionError as failure:
            status, error = "failed", f"{failure.ename}: {failure.evalue}"
        except CellTimeoutError:
            status, error = "timeout", f"a cell took longer than {timeout_s:g} s"
        except DeadKernelError:
            status, error = "killed", "the notebook's kernel died (out of memory?)"
        except KeyboardInterrupt as stop:
            status, error, interrupt = "killed", "interrupted", stop
        except RunError:
            raise
        except Exception as failure:  # noqa: BLE001 - a page is made of whatever there is
            status, error = "failed", f"{type(failure).__name__}: {failure}"
        finally:
            kind.end_all()
        source = aside if aside.is_file() else ready
        made = nbformat.read(source, as_version=4)
    return made, status, error, interrupt


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep libraries' remarks about themselves off the user's screen."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = logging.root.manager.disable
        logging.disable(logging.ERROR)
        try:
            yield
        finally:
            logging.disable(before)


@contextlib.contextmanager
def _headless() -> Iterator[None]:
    """Tell the kernel that nobody looks."""
    before = os.environ.get("HOLYMON_HEADLESS")
    os.environ["HOLYMON_HEADLESS"] = "1"
    try:
        yield
    finally:
        del os.environ["HOLYMON_HEADLESS"]
        if before is not None:
            os.environ["HOLYMON_HEADLESS"] = before
