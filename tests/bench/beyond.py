"""What `holymon report` takes beyond its load, of two installations or more, in turns.

    python -m tests.bench.beyond [--rounds 3] NAME=VENV...    (such as before=/tmp/old now=.venv)

Each makes a report on 5 s of calls to the simulator, 10 a second. Seconds by the clock less those
of the load, and CPU seconds of all its processes; have bytecode on disk, as pip leaves it.
"""

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

LOAD_S = 5
NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"


def measured(venv):
    """Seconds beyond the load, and of CPU."""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(Path(venv).absolute() / "bin" / "holymon"), "report", "sim/fast"]
        command += ["--duration", str(LOAD_S), "--rate", "10", "--out", folder]
        kept = {name: value for name, value in os.environ.items() if name != NO_BYTECODE}
        begun = time.monotonic()
        process = subprocess.Popen(command, cwd=folder, env=kept, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)  # fmt: skip
        _, _, used = os.wait4(process.pid, 0)
        process.returncode = 0
        return time.monotonic() - begun - LOAD_S, used.ru_utime + used.ru_stime


def main():
    """Print each round, then medians and how each side stands to the first."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sides", nargs="+", metavar="NAME=VENV")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    sides = dict(side.split("=", 1) for side in options.sides)
    taken = {name: [] for name in sides}
    for number in range(options.rounds):
        for name in list(sides)[:: 1 - 2 * (number % 2)]:
            taken[name].append(measured(sides[name]))
            print(f"{name}: {taken[name][-1][0]:.2f} s beyond, {taken[name][-1][1]:.2f} s of CPU")
    middle = {
        name: [statistics.median(kind) for kind in zip(*both, strict=True)]
        for name, both in taken.items()
    }
    first = middle[next(iter(sides))]
    for name, (clock, cpu) in middle.items():
        print(f"{name}: {clock:.2f} s beyond ({clock / first[0]:.2f}), "
              f"{cpu:.2f} s of CPU ({cpu / first[1]:.2f})")  # fmt: skip


if __name__ == "__main__":
    main()
