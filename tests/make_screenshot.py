"""Make `reports/sample/explore.png` again: the dashboard in JupyterLab, as its own test sees it."""

import os
import subprocess
import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parent.parent
SEEN = ROOT / "tests" / "artifacts" / "explore-live.png"
TEST = "tests/browser/test_lab.py::test_two_targets_from_start_to_report"
WAIT_S = 20
"""So long after the start there is something of everything to see."""

MOST_BYTES = 200_000


def main() -> None:
    """Run the test, and keep what it saw, below the menus and above the status bar."""
    waiting = {**os.environ, "HOLYMON_SHOT_AFTER_S": str(WAIT_S)}
    subprocess.run([sys.executable, "-m", "pytest", "-q", TEST], cwd=ROOT, env=waiting, check=True)
    seen = Image.open(SEEN).convert("RGB")
    shown = seen.crop((122, 92, seen.width - 40, 982))
    made = ROOT / "reports" / "sample" / "explore.png"
    # The other ways of choosing colours lose those of which there is little: red marks turn orange.
    few = shown.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE)
    few.save(made, optimize=True)
    if made.stat().st_size > MOST_BYTES:
        sys.exit(f"{made.name} is over {MOST_BYTES:,} bytes")


if __name__ == "__main__":
    main()
