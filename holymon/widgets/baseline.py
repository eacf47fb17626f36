"""Which run the others of its folder are held against: a small file beside them."""

import json
from pathlib import Path
from typing import Final

from holymon.errors import RunError
from holymon.load.run import Run, attach
from holymon.records import run_folder

FILE: Final = "baseline.json"


def set_baseline(run: Run) -> Path:
    """Hold the other runs of its folder against this one from now on; the file that says so."""
    path = run_folder.out_of(run.folder) / FILE
    run_folder.write_json(path, {"run_id": run.id, "set_at": run_folder.now().isoformat()})
    return path


def baseline(out: Path | str = "reports") -> Run | None:
    """The run that was set, if any. Raises RunError if it is gone or the file can't be read."""
    path = Path(out) / FILE
    if not path.exists():
        return None
    try:
        wanted = json.loads(path.read_bytes())["run_id"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise RunError(f"{path} can't be read: set the baseline again.") from None
    return attach(str(wanted), out=out)
