"""How often a model is told from itself, and how often from another one.

python -m tests.bench.same_model [trials]
python -m tests.bench.same_model quiet [trials]    a model and itself alone, and many more of them
"""

import sys
from unittest import mock

import numpy as np

from holymon.figures import fingerprint
from holymon.figures.comparison import ALPHA
from holymon.figures.fingerprint import fingerprints
from holymon.figures.same_model import MARGIN, OF_WORDS
from holymon.plan.checks import CHECKS, CHOICES

EACH = int(CHECKS * 0.8) // len(CHOICES)
WORDS = [len(words.split(", ")) for words in CHOICES]
KINDS = (("few words", 0.2), ("some", 1.0), ("all alike", 20.0))


def model(rng, sharp):
    """What a model chooses for each prompt: the smaller `sharp`, the fewer words come often."""
    return [rng.dirichlet(np.full(n, sharp)) for n in WORDS]


def twin(rng, shares, moved):
    """Another model, of whose choices so many are others: from words that come to any others."""
    made = []
    for usual in shares:
        other = rng.dirichlet(np.ones(len(usual)))
        taken = usual * moved
        made.append(usual - taken + moved * other)
    return made


def apart(a, b):
    return float(np.mean([np.abs(x - y).sum() / 2 for x, y in zip(a, b, strict=True)]))


def sample(rng, shares, each=EACH):
    return [[str(k) for k in rng.choice(len(p), each, p=p)] for p in shares]


def told_apart(rng, a, b, level):
    both = [*zip(sample(rng, a), sample(rng, b), strict=True)]
    result = fingerprints(both, level)
    equal = result.p > level and result.noticed is not None and result.noticed <= MARGIN
    return result.p <= level, equal


def main(trials=2000):
    rng = np.random.default_rng(1)
    level = ALPHA * OF_WORDS
    print(f"{EACH} choices of each of {len(WORDS)} prompts, level {level:g}, {trials} trials")
    for name, sharp in KINDS:
        found = []
        for _ in range(trials):
            a = model(rng, sharp)
            found.append(told_apart(rng, a, a, level))
        different, equal = np.mean(found, axis=0)
        print(f"{name:>10}: the same model: different {different:.3f}, equal {equal:.3f}")
        for moved in (0.1, 0.2, 0.3, 0.5, 1.0):
            found, far = [], []
            for _ in range(trials // 4):
                a = model(rng, sharp)
                b = twin(rng, a, moved)
                far.append(apart(a, b))
                found.append(told_apart(rng, a, b, level))
            different, equal = np.mean(found, axis=0)
            print(f"{'':>10}  {np.mean(far):.2f} of choices differ: different {different:.3f}, "
                  f"equal {equal:.3f}")  # fmt: skip


def quiet(trials=2000):
    """Without the search for what would be noticed, which is most of the work."""
    level = ALPHA * OF_WORDS
    for name, sharp in KINDS:
        rng, different = np.random.default_rng(2), 0
        with mock.patch.object(fingerprint, "_noticed", return_value=None):
            for _ in range(trials):
                a = model(rng, sharp)
                different += told_apart(rng, a, a, level)[0]
        print(f"{name:>10}: the same model: different {different / trials:.4f} of {trials}")


if __name__ == "__main__":
    kind, args = (quiet, sys.argv[2:]) if sys.argv[1:2] == ["quiet"] else (main, sys.argv[1:])
    kind(*map(int, args))
