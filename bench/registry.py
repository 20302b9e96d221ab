"""The registry: every work of the benchmarks, with its shape and its rivals.

To add a row, add a line here; to add a rival, add it to :data:`bench.rivals.GRAM_RIVALS`. Both
``pytest bench/`` and ``python -m bench report`` take everything from :func:`works`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fnmatch import fnmatch

from bench.band import Band
from bench.gram import Gram
from bench.rivals import SKLEARN
from bench.work import Work

N = 4000

GRAMS = (
    Gram("rbf", N, 2),
    Gram("rbf", N, 10),
    Gram("rbf", N, 50),
    Gram("rbf", N, 200),
    Gram("rbf", N, 784),
    Gram("rbf", N, 10, out=True),
    Gram("rbf", N, 10, two=True),
    Gram("rbf", N, 10, dtype="float32"),
    Gram("polynomial", N, 10),
    Gram("sigmoid", N, 10),
    Gram("laplacian", N, 10),
    Gram("linear", N, 10),
)

# σ is a tenth of the interval (some 30 directions carry the kernel) and a quarter of the square's side
# (some 200); with d = 8 it is 2, so that gamma = 1/d, and the kernel has full rank.
BANDS = (
    Band(n=400, d=1, sigma=0.1, alpha=1e-4, timed_refits=200),
    Band(n=1000, d=1, sigma=0.1, alpha=1e-2, timed_refits=60),
    Band(n=3000, d=2, sigma=0.25, alpha=1e-2, timed_refits=8),
    Band(n=1000, d=8, sigma=2.0, alpha=1e-2, timed_refits=60),
)

# The band whose peak memory is reported.
MEMORY_BAND = "band-n3000-d2"

# "Never slower": every pair of these.
GRID_N = (2, 10, 100, 1000, 4000)
GRID_D = (1, 2, 10, 50, 200, 784)

QUICK_N, QUICK_RESAMPLES, QUICK_REFITS = 500, 100, 8


def works(*, quick: bool = False, processes: int = 0) -> list[Work]:
    """All works, or all of them on few rows.

    Parameters
    ----------
    quick : bool, default False
        Few rows and resamples: to see that everything runs, never to quote.
    processes : int, default 0
        Processes of the band's rival; 0: as many as there are cores.
    """
    bands = [replace(band, processes=processes) for band in BANDS]
    if not quick:
        return [*GRAMS, *bands]
    short = [
        replace(
            band,
            n=min(band.n, QUICK_N),
            n_resamples=QUICK_RESAMPLES,
            timed_refits=min(band.timed_refits, QUICK_REFITS),
        )
        for band in bands
    ]
    return [*(replace(gram, n=QUICK_N) for gram in GRAMS), *short]


def grid(two: bool, *, quick: bool = False) -> list[Gram]:
    """RBF Gram matrices of all sizes, against scikit-learn alone."""
    rows = [n for n in GRID_N if not quick or n <= 100]
    return [Gram("rbf", n, d, two=two, rivals_offered=(SKLEARN,)) for n in rows for d in GRID_D]


def select(all_works: Iterable[Work], patterns: Iterable[str]) -> list[Work]:
    """The works whose names match one of the shell patterns or start with it; all without patterns.

    Raises
    ------
    ValueError
        If a pattern matches no work.
    """
    all_works, patterns = list(all_works), list(patterns)
    chosen = []
    for pattern in patterns:
        found = [w for w in all_works if fnmatch(w.name, pattern) or w.name.startswith(pattern)]
        if not found:
            names = ", ".join(work.name for work in all_works)
            raise ValueError(f"no work is called {pattern!r}; there are: {names}")
        chosen += [work for work in found if work not in chosen]
    return chosen if patterns else all_works
