"""The wheel alone, in an empty environment and a folder full of traps, does the main job."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.promises.security.traps import set_traps

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT],
        check=True, capture_output=True,
    )  # fmt: skip
    (made,) = out.glob("*.whl")
    return made


def test_the_wheel_carries_notebooks_templates_and_data(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "holymon/cli/start/grafana/dashboards/holymon.json",
        "holymon/cli/start/README.md",
        "holymon/cli/start/holymon.cron",
        "holymon/cli/start/holymon.env",
        "holymon/cli/start/systemd/holymon-metrics.service",
        "holymon/plan/targets.toml",
        "holymon/py.typed",
        "holymon/notebooks/04_calibrate.ipynb",
        "holymon/notebooks/report_health.ipynb",
        "holymon/notebooks/05_watch.ipynb",
        "holymon/report/templates/holymon/head.html.j2",
        "holymon/report/templates/holymon/index.html.j2",
        "holymon/report/templates/holymon/style.css",
        "holymon/report/templates/holymon/conf.json",
    } <= names
    assert not [name for name in names if name.startswith(("tests", "reports"))]


def test_an_installed_wheel_makes_a_report_in_any_folder_and_imports_nothing_from_it(
    wheel, tmp_path
):
    """Its libraries are those of this environment; that it names them all is tested beside."""
    home = tmp_path / "venv"
    venv.create(home)
    bin_ = home / ("Scripts" if sys.platform == "win32" else "bin")
    # The README's command brings uv along; where it is not, pip does the same in 2 s more.
    uv = shutil.which(
        "uv", path=os.pathsep.join((sysconfig.get_path("scripts"), os.environ["PATH"]))
    )
    install = (
        [uv, "pip", "install", "--offline", "--python", bin_ / "python"] if uv
        else [sys.executable, "-m", "pip", "--python", bin_ / "python", "install", "--no-compile"]
    )  # fmt: skip
    subprocess.run([*install, "-q", "--no-deps", wheel], check=True, capture_output=True)
    (package,) = home.rglob("holymon/__init__.py")
    (package.parents[1] / "libraries.pth").write_text(sysconfig.get_path("purelib"))
    (home / "share").symlink_to(Path(sys.prefix) / "share")
    folder, ran = set_traps(tmp_path / "elsewhere"), tmp_path / "ran.txt"
    done = subprocess.run(
        [bin_ / "holymon", "report", "sim/fast", "--requests", "20", "--rate", "20", "--workers", "2"],
        cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "RAN": str(ran)},
    )  # fmt: skip
    assert not ran.exists(), ran.read_text()
    assert done.returncode in {0, 3}, done.stderr  # 3: a busy machine, which is no fault here
    where = [bin_ / "python", "-c", "import holymon; print(holymon.__file__)"]
    assert subprocess.check_output(where, cwd=tmp_path, text=True).strip() == str(package)
    html = (folder / done.stdout.strip()).read_text()
    assert html.count('<svg class="picture"') == 6
    assert str(ROOT) not in html
