"""What the tests of the pure rooms would not notice: one small change at a time.

    python -m tests.bench.mutants                          100 mutants of each room (15 minutes)
    python -m tests.bench.mutants --sample 0 retry         all of one room
    python -m tests.bench.mutants --module slo --sample 0  all of one module

It works on a copy of the tree, in one process at a time. `--out` keeps each mutant as a line of
JSON; `--again` of such a file tries those once more that were not noticed then.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

ROOMS = {
    "figures": (
        ["holymon/figures"],
        ["tests/figures", "tests/promises/test_statistics.py", "tests/catalogue/test_reconcile.py"],
    ),
    "plan": (
        ["holymon/plan"],
        [
            "tests/plan",
            "tests/load/test_ways_to_ask.py",
            "tests/cli/test_options.py",
            "tests/promises/security/test_by_colleague_keys.py",
            "tests/promises/security/test_by_local_user_trust.py",
        ],
    ),
    "protocols": (
        ["holymon/protocols"],
        [
            "tests/protocols",
            "tests/monitor/test_retry.py",
            "tests/monitor/test_clients.py",
            "tests/promises/field",
            "tests/load/test_first_call.py",
            "tests/load/test_dialects.py",
        ],
    ),
    "retry": (["holymon/monitor/retry.py"], ["tests/monitor/test_retry.py"]),
}
TREE = ("holymon", "tests", "notebooks", "pyproject.toml", "README.md")


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.mutants", description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)  # fmt: skip
    parser.add_argument("rooms", nargs="*", metavar="room", help=f"of {', '.join(ROOMS)}")
    parser.add_argument("--sample", type=int, default=100, help="mutants of each room; 0 for all")
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument("--module", default="", help="only modules whose path holds this")
    parser.add_argument("--out", type=Path, help="a file for the results, JSON lines")
    parser.add_argument("--again", type=Path, help="results of which to repeat the unnoticed")
    parser.add_argument("--copy", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if unknown := set(given.rooms) - set(ROOMS):
        parser.error(f"no such room: {', '.join(unknown)}")
    return given


def in_a_copy() -> int:
    """Run this command in a copy of the tree, which mutants may write to."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        for name in TREE:
            if Path(name).is_dir():
                shutil.copytree(name, Path(folder, name),
                                ignore=shutil.ignore_patterns("__pycache__", "node_modules"))  # fmt: skip
            elif Path(name).exists():
                shutil.copy(name, folder)
        arguments = [str(Path(a).absolute()) if a.endswith(".jsonl") else a for a in sys.argv[1:]]
        env = {**os.environ, "PYTHONPATH": folder, "OPENBLAS_NUM_THREADS": "1", "COLUMNS": "200"}
        command = [sys.executable, "-m", "tests.bench.mutants", *arguments, "--copy", folder]
        return subprocess.run(command, cwd=folder, env=env, check=False).returncode


def sample(room: str, given: argparse.Namespace) -> list:
    """The mutants to try, drawn from all of a room, by chance: the first of them are a sample, too."""
    from .making import places

    modules = [path for top in ROOMS[room][0]
               for path in ([Path(top)] if top.endswith(".py") else sorted(Path(top).rglob("*.py")))]  # fmt: skip
    every = [place for path in modules if given.module in str(path)
             for place in places(Path.cwd(), str(path))]  # fmt: skip
    print(f"\n{room}: {len(every):,} mutants can be made", flush=True)
    wanted = None
    if given.again:
        rows = [json.loads(line) for line in given.again.read_text().splitlines()]
        wanted = {(r["path"], r["was"], r["now"]) for r in rows if not r["found"]}
        changed = {line for _, was, _ in wanted for line in was.split("; ")}
        every = [place for place in every if place.lines & changed]
    random.Random(given.seed).shuffle(every)
    most, drawn = given.sample or len(every), []
    for place in every:
        mutant = place.mutant()
        if mutant and (wanted is None or mutant.key in wanted):
            drawn.append(mutant)
        if len(drawn) == most:
            break
    return drawn


def try_room(room: str, given: argparse.Namespace, log: Path) -> tuple[int, int]:
    """How many mutants of a room were found, and of how many."""
    from . import running

    drawn, hits, begun = sample(room, given), 0, time.monotonic()
    if not drawn:
        return 0, 0
    map_ = running.reached(ROOMS[room][1], log)
    running.load(map_.modules)
    print(f"{len(map_.seconds)} tests in {sum(map_.seconds.values()):.0f} s; left out "
          f"{len(map_.left_out)}", flush=True)  # fmt: skip
    for mutant in drawn:
        tests = map_.tests(mutant)
        seconds = sum(map_.seconds[name] for name in tests)
        hit = bool(tests) and running.found(mutant, tests, seconds, log)
        hits += hit
        if not hit:
            print(f"  {mutant.path}:{mutant.line} ({len(tests)} tests)\n    - {mutant.was}\n"
                  f"    + {mutant.now}", flush=True)  # fmt: skip
        if given.out:
            row = {"room": room, "path": mutant.path, "line": mutant.line, "was": mutant.was,
                   "now": mutant.now, "tests": len(tests), "found": hit}  # fmt: skip
            with given.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
    print(f"{room}: {hits} of {len(drawn)} found in {time.monotonic() - begun:.0f} s", flush=True)
    return hits, len(drawn)


def main() -> int:
    given = options()
    if given.copy is None:
        return in_a_copy()
    from . import running

    spec = find_spec("holymon")
    assert spec is not None
    assert spec.origin is not None
    assert Path(spec.origin).is_relative_to(given.copy.resolve()), "the tree itself is not mutated"
    running.prepare()
    results = {room: try_room(room, given, given.copy / "log.txt") for room in given.rooms or ROOMS}
    from holymon.figures.quantiles import wilson

    print("\n| room | mutants tried | found | share (95 % interval) |\n| --- | --- | --- | --- |")
    for room, (hits, n) in results.items():
        rate = wilson(hits, n)
        if rate.value is not None:
            print(
                f"| {room} | {n} | {hits} | {rate.value:.1%} ({rate.low:.0%} to {rate.high:.0%}) |"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
