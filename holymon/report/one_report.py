"""`python -m holymon.report.one_report`: one of many reports, by a line of JSON on standard input.

Each has a process of its own, because papermill, signals and the environment of a kernel are
matters of a whole process. What became of it is said in JSON on standard output. Its standard input
stays open: where that ends, whoever wanted the report is gone, and it ends as by Ctrl-C.
"""

import json
import sys
from pathlib import Path
from typing import Any

from holymon.errors import HolymonError
from holymon.load.interrupts import interrupted_by_stdin
from holymon.load.run import Run
from holymon.report.report import write_report


def main() -> int:
    """Make the report that is wished for; 0 unless this is a fault of ours."""
    wish: dict[str, Any] = json.loads(sys.stdin.readline())
    interrupted_by_stdin()
    folder = wish.pop("run")
    try:
        run = None if folder is None else Run(Path(folder), later=True)
        made = write_report(**wish, run=run)
    except HolymonError as error:
        json.dump({"why": str(error)}, sys.stdout)
        return 0
    known = {
        "folder": str(made.folder), "html": str(made.html), "status": made.status,
        "error": made.error, "run_id": made.run_id, "notes": list(made.notes),
    }  # fmt: skip
    json.dump(known, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
