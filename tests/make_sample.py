"""Make `reports/sample/report.html` again: two simulated models, some failures, objectives."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SAMPLE = Path(__file__).parent.parent / "reports" / "sample"
COMMAND = (
    "report", "sim/flaky", "sim/slow", "--rate", "10", "--duration", "40", "--warmup", "2",
    "--shape", "poisson", "--name", "sample", "--slo", "ttft_p95<1s", "--slo", "error_rate<1%",
)  # fmt: skip


def main() -> None:
    """Measure, report, and keep the page."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-m", "holymon", *COMMAND],
            cwd=folder, stdout=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 1:  # the flaky one misses its objective
            sys.exit(f"holymon report ended with {done.returncode}")
        SAMPLE.mkdir(exist_ok=True)
        shutil.copyfile(Path(folder) / done.stdout.strip(), SAMPLE / "report.html")


if __name__ == "__main__":
    main()
