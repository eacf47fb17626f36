"""How papermill runs a notebook for us: what came of it is saved once, however it ended."""

from typing import Any, Final

from papermill.engines import NBClientEngine, papermill_engines
from papermill.iorw import write_ipynb

NAME: Final = "holymon"


class Engine(NBClientEngine):  # type: ignore[misc]
    """papermill's own, which would save the whole notebook twice for each cell.

    With a dozen pictures in it that is half of what the process of a report has to do.
    """

    @classmethod
    def execute_notebook(
        cls, nb: Any, kernel_name: str, output_path: str | None = None, **more: Any
    ) -> Any:
        """The notebook with its outputs, which are also in the file when this raises."""
        try:
            return super().execute_notebook(nb, kernel_name, output_path=None, **more)
        finally:
            write_ipynb(nb, output_path)


def registered() -> str:
    """Its name, by which papermill knows it from now on."""
    papermill_engines.register(NAME, Engine)
    return NAME
