"""The kernel that runs a notebook: of this interpreter, with nothing from the current folder."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar, Final

from jupyter_client.manager import AsyncKernelManager
from traitlets.config import Config

MOST_OF_A_SOCKET: Final = 100
"""Bytes of its path, before the number that jupyter_client puts behind it."""


class Kernel(AsyncKernelManager):  # type: ignore[misc]
    """A kernel whose path of imports is safe; its notebook says which folders it adds, if any.

    Jupyter's own begins with the current folder, where a file named like a library would be taken
    for it (CVE-2022-21699 and CVE-2022-39286 were of that kind).
    """

    begun: ClassVar[list["subprocess.Popen[bytes]"]]
    """The processes of all kernels of this class, which is one notebook's own."""

    async def _async_launch_kernel(self, kernel_cmd: list[str], **more: Any) -> None:
        """Launch it, and note its process, whatever becomes of all that looks after it."""
        await super()._async_launch_kernel(kernel_cmd, **more)
        self.begun.append(self.provisioner.process)

    @classmethod
    def end_all(cls) -> None:
        """End what still lives: an interruption may come between any two steps of the usual end."""
        for process in cls.begun:
            if process.poll() is None:
                process.kill()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(5)

    def format_kernel_cmd(self, extra_arguments: list[str] | None = None) -> list[str]:
        """The command that starts it."""
        launch = [sys.executable, "-P", "-m", "ipykernel_launcher", "-f", self.connection_file]
        return [*launch, *(extra_arguments or ())]


def new_class() -> type[Kernel]:
    """A class for the kernel of one notebook."""
    return type("Kernel", (Kernel,), {"begun": []})


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


def options(kernel: type[Kernel], beside: Path, import_from: Path | None) -> dict[str, Any]:
    """What papermill hands on to nbclient; `beside` is a folder of our own."""
    return {
        "kernel_manager_class": kernel,
        "resources": {"metadata": {"path": str(beside)}},
        "extra_arguments": arguments(Path.cwd(), import_from),
    }


def transport(folder: Path) -> Config:
    """Files instead of TCP ports between us and the kernel, where the system has such sockets.

    They lie in `folder`: by default it would be the current one, which others use too and where
    one may not be allowed to write. A socket's path has at most 107 bytes.
    """
    where = str(folder / "kernel")
    if os.name == "nt" or len(os.fsencode(where)) > MOST_OF_A_SOCKET:
        return Config()
    return Config({"KernelManager": {"transport": "ipc", "ip": where}})
