"""A process that owns a run, as a notebook's kernel does.

`python -m tests.promises.owner PLAN OUT [detached]`: the run does not end with its owner then.
"""

import sys
from pathlib import Path

from holymon.load import run
from holymon.plan.plan import Plan

if __name__ == "__main__":
    path, out, *how = sys.argv[1:]
    plan = Plan.from_json(Path(path).read_bytes())
    going = run.start(plan, out=out, detached=how == ["detached"])
    print(going.id, flush=True)
    going.wait()
