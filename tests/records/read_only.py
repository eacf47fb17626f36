"""A process that opens the runs of a folder as if their file system was read-only.

`python -m tests.records.read_only OUT NAME...`
"""

import os
import sys

import holymon as hm
from holymon.experiments.alternate import compare
from holymon.prometheus.sources import OfRun


def refuse(event: str, args: tuple) -> None:
    """Raise what the system would, for whatever would change something."""
    writes = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
    if event == "open" and str(args[0]).startswith(sys.argv[1]) and args[2] & writes:
        raise OSError(30, "Read-only file system", str(args[0]))
    if event in {"os.mkdir", "os.remove", "os.rename", "os.truncate"}:
        raise OSError(30, "Read-only file system", str(args[0]))


if __name__ == "__main__":
    out, *names = sys.argv[1:]
    sys.addaudithook(refuse)
    for listed in hm.runs(out):
        print(listed["name"], listed["state"], listed["requests"])
    for name in names:
        run = hm.attach(name, out=out)
        print(run, len(run.notes), run.verdict().measurement, len(run.wait(timeout=1).records))
        run._repr_html_(), run.to_dict(), OfRun(run.folder, hm.bucket_edges()).read()
    compare(hm.attach("two", out=out))
    hm.explore(run=names[0], out=out)
