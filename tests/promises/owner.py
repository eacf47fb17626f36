"""A process that owns a run, as a notebook's kernel does: `python -m tests.promises.owner PLAN OUT`."""

import sys
from pathlib import Path

from holymon.load import run
from holymon.plan.plan import Plan

if __name__ == "__main__":
    plan = Plan.from_json(Path(sys.argv[1]).read_bytes())
    going = run.start(plan, out=sys.argv[2], detached=False)
    print(going.id, flush=True)
    going.wait()
