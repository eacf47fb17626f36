"""Every reader of a file, fed with what hypothesis writes: ten minutes each, what it found last.

python -m tests.bench.fuzz [SECONDS [READER]]
"""

import sys
import tempfile
from pathlib import Path
from time import monotonic

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.promises.security.readers import READERS, reads, written

SECONDS = 600.0


def fuzz(name: str, seconds: float, folder: Path) -> str:
    """How many examples one reader was fed, or what it raised first."""
    fed, until, last = 0, monotonic() + seconds, b""
    while monotonic() < until:

        @seed(fed)
        @settings(max_examples=200, deadline=None, database=None, phases=[Phase.generate],
                  suppress_health_check=[*HealthCheck])  # fmt: skip
        @given(data=st.deferred(lambda: written(name)))
        def read(data: bytes) -> None:
            nonlocal fed, last
            fed, last = fed + 1, data
            reads(name, folder, data)

        try:
            read()
        except Exception as error:  # noqa: BLE001 - whatever it is, it was found
            return f"{type(error).__name__}: {str(error)[:200]} after {fed} for {last[:300]!r}"
    return f"nothing in {fed} files"


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    for name in sys.argv[2:] or READERS:
        with tempfile.TemporaryDirectory() as folder:
            print(f"| {name} | {fuzz(name, seconds, Path(folder))} |", flush=True)


if __name__ == "__main__":
    main()
