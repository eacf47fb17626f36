"""The kernel that runs a notebook: of this interpreter, with nothing from the current folder."""

import os
import sys
from pathlib import Path
from typing import Any

from jupyter_client.manager import AsyncKernelManager


class Kernel(AsyncKernelManager):  # type: ignore[misc]
    """A kernel whose path of imports is safe; its notebook says which folders it adds, if any.

    Jupyter's own begins with the current folder, where a file named like a library would be taken
    for it (CVE-2022-21699 and CVE-2022-39286 were of that kind).
    """

    def format_kernel_cmd(self, extra_arguments: list[str] | None = None) -> list[str]:
        """The command that starts it."""
        launch = [sys.executable, "-P", "-m", "ipykernel_launcher", "-f", self.connection_file]
        return [*launch, *(extra_arguments or ())]


def arguments(folder: Path, import_from: Path | None) -> list[str]:
    """What a kernel is told: where to work, and a folder whose modules may be imported.

    It is started elsewhere, because matplotlib takes its settings from the folder it is imported
    in: where some lie, it is imported before the kernel goes there, which takes half a second.
    """
    lines = ["__import__('matplotlib')"] * os.path.lexists(folder / "matplotlibrc")
    lines.append(f"__import__('os').chdir({str(folder)!r})")
    if import_from is not None:
        lines.append(f"__import__('sys').path.insert(0, {str(import_from.resolve())!r})")
    return [
        "--IPKernelApp.log_level=50",  # its remarks on starting are not the user's business
        "--IPKernelApp.ignore_cwd=True",
        *(f"--IPKernelApp.exec_lines={line}" for line in lines),
    ]


def options(beside: Path, import_from: Path | None) -> dict[str, Any]:
    """What papermill hands on to nbclient; `beside` is a folder of our own."""
    return {
        "kernel_manager_class": Kernel,
        "resources": {"metadata": {"path": str(beside)}},
        "extra_arguments": arguments(Path.cwd(), import_from),
    }
