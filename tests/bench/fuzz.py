"""Every reader, fed with good samples made bad (`tests.promises.security.mutation`): what it found.

    python -m tests.bench.fuzz [SECONDS [READER...]]       ten minutes each, if nothing else is said

A finding is what is not a good value or a sentence: another exception, over a second of CPU, over
100 MB more memory, or no end within 30 s. Each is printed once with the seed that makes it; what
gave a new kind of sentence is taken for a sample, too. A process that dies leaves the last file.
"""

import faulthandler
import re
import resource
import signal
import sys
import tempfile
import traceback
import warnings
from pathlib import Path
from random import Random
from time import monotonic, process_time

sys.path.insert(0, str(Path(__file__).parents[2]))

from holymon.errors import HolymonError
from tests.promises.security.readers import READERS, Reader, reader_of

stopped: list[bool] = []
SECONDS, LONGEST_S, MOST_MB, HANG_S, SAMPLES = 600.0, 1.0, 100.0, 30, 200


class Hang(BaseException):
    """No reader takes it for an error of its own."""


def _hangs(*_: object) -> None:
    raise Hang(f"no end within {HANG_S} s")


def _most_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def outcome(reader: Reader, folder: Path, data: bytes) -> tuple[str, str]:
    """What is found, if anything, and what kind of a sentence was said."""
    begun, before, said, wrong = process_time(), _most_mb(), "", ""
    signal.alarm(HANG_S)
    try:
        reader.read(folder, data)
    except HolymonError as error:
        said = re.sub(r"\d+|'[^']*'|\"[^\"]*\"", "#", str(error))[:120]
        wrong = "" if said else "no sentence"
    except (Exception, Hang) as error:  # noqa: BLE001 - whatever it is, it was found
        where = traceback.extract_tb(error.__traceback__)[-1]
        wrong = f"{type(error).__name__}: {str(error)[:150]} at {Path(where.filename).name}:{where.lineno}"
    finally:
        signal.alarm(0)
    took, grown = process_time() - begun, _most_mb() - before
    if took > LONGEST_S:
        wrong = wrong or f"{took:.1f} s of CPU"
    if grown > MOST_MB:
        wrong = wrong or f"{grown:.0f} MB more"
    return wrong, said


def fuzz(name: str, seconds: float, folder: Path, seed: int) -> tuple[int, dict[str, str]]:
    """How many files one reader was fed, and what was found by how often and when."""
    reader, found = reader_of(name), dict[str, str]()
    pool, said = [*reader.samples], set[str]()
    for sample in reader.samples:
        outcome(reader, folder, sample)  # imports and samples are no finding
    fed, spent, last = 0, 0.0, monotonic()
    while spent < seconds and not stopped:
        # Of a process that was stopped meanwhile, no time went by.
        spent, last = spent + min(monotonic() - last, HANG_S), monotonic()
        rng = Random(seed + fed)
        fed += 1
        data = reader.make(rng, rng.choice(pool), reader.samples)
        (folder / "last").write_bytes(data)
        wrong, kind = outcome(reader, folder, data)
        key = re.sub(r"\d+(?!\d*$)", "#", wrong)
        if wrong and key not in found:
            found[key] = wrong
            kept = (
                Path(tempfile.gettempdir())
                / f"found-{re.sub('[^a-z]+', '-', name.lower())}-{len(found)}"
            )
            kept.write_bytes(data)
            print(f"  {name}: {wrong} [{kept}]", flush=True)
        elif not wrong and kind not in said and len(pool) < SAMPLES and len(data) < 100_000:
            said.add(kind)
            pool.append(data)
    return fed, found


def main() -> None:
    faulthandler.enable()
    warnings.simplefilter("error", RuntimeWarning)  # of numpy: what it can't compute
    signal.signal(signal.SIGALRM, _hangs)
    signal.signal(signal.SIGINT, lambda *_: stopped.append(True))
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    seed = int(monotonic() * 1000)
    for name in sys.argv[2:] or READERS:
        with tempfile.TemporaryDirectory() as folder:
            fed, found = fuzz(name, seconds, Path(folder), seed)
        print(f"| {name} | {fed} | {'; '.join(found.values()) or 'nothing'} |", flush=True)


if __name__ == "__main__":
    main()
