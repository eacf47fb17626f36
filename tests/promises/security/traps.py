"""A folder that runs something as soon as anything of it is imported or obeyed."""

import sys
from pathlib import Path

TRAP = "import os, sys; open(os.environ['RAN'], 'a').write(f'{__file__} {sys.argv}\\n')\n"
LIBRARIES = """
    IPython _distutils_hack aiohappyeyeballs aiohttp bleach certifi click comm dateutil debugpy decorator
    duckdb holymon holymon_extra httptools httpx idna ipykernel ipykernel_launcher ipywidgets jinja2
    jsonschema jupyter_client jupyter_core matplotlib matplotlib_inline mistune msgspec nbclient nbconvert
    nbformat numpy pandas papermill PIL prometheus_client psutil pygments pytz sitecustomize tornado tqdm
    traitlets usercustomize uvloop yaml zmq ipython_config ipython_kernel_config jupyter_config
    jupyter_nbconvert_config papermill_config __main__ conftest report_health
""".split()


def set_traps(folder: Path) -> Path:
    """Make a folder with a file for each library that anything of ours may import.

    The file named in the variable RAN tells which ran.
    """
    folder.mkdir()
    for name in {*LIBRARIES, *sys.stdlib_module_names}:
        (folder / f"{name}.py").write_text(TRAP)
    for name in ("report_health", "report", "index.html.j2", "base.html.j2", "conf.json"):
        (folder / name).write_text("{{ 7*7 }} not a notebook")
    (folder / "holymon").mkdir()
    (folder / "holymon" / "index.html.j2").write_text("{{ 7*7 }}")
    (folder / "matplotlibrc").write_text("lines.linewidth: 77\n")
    return folder
