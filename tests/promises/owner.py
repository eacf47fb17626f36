"""A process that owns a run, as a notebook's kernel does.

`python -m tests.promises.owner PLAN OUT [attached|detached]`: whether the run ends with its owner.
With a number instead, no file of the run may be larger than so many bytes.
"""

import resource
import sys
from pathlib import Path

from holymon.load import run
from holymon.plan.plan import Plan
from tests import warm


def start(plan: Plan, out: str, most: str) -> run.Run:
    """Start a run on a full disk: a limit on the size of files is what a process can be given."""
    warm.install(here=False)  # its worker must be a child of this process to have the limit
    free = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(most), free[1]))
    going = run.start(plan, out=out)
    resource.setrlimit(resource.RLIMIT_FSIZE, free)
    return going


if __name__ == "__main__":
    path, out, how = (*sys.argv[1:], "attached")[:3]
    plan = Plan.from_json(Path(path).read_bytes())
    if how.isdigit():
        going = start(plan, out, how)
    else:
        going = run.start(plan, out=out, detached=how == "detached")
    print(going.id, flush=True)
    going.wait()
