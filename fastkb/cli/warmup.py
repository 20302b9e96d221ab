"""``fastkb warmup``: call every public function on a small job: its code is compiled and kept.

Machine code depends on the types of the arguments, never on their sizes; but a planner may choose
another function for another shape, so there is a job for each side of every such choice.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

import fastkb

DTYPES = (np.float32, np.float64)
KERNELS = ("linear", "polynomial", "rbf", "sigmoid", "laplacian")
# Few and many columns: the planner takes another inner form of the distance for each.
WIDTHS = (2, 200)


def jobs() -> Iterator[tuple[str, Callable[[], object]]]:
    """Every job with its name, in an order that compiles shared parts first."""
    for dtype in DTYPES:
        yield from _gram_jobs(dtype)


def _gram_jobs(dtype: type) -> Iterator[tuple[str, Callable[[], object]]]:
    rng = np.random.default_rng(0)
    for width in WIDTHS:
        X: np.ndarray = rng.standard_normal((40, width)).astype(dtype)
        for name in KERNELS:
            kernel = getattr(fastkb, f"{name}_kernel")
            yield f"{name}_kernel {X.dtype}", partial(kernel, X)
            yield f"{name}_kernel {X.dtype}", partial(kernel, X, X[:30])


def run(options: argparse.Namespace) -> None:
    """Run every job, with a progress bar if somebody is looking."""
    from tqdm import tqdm

    start = time.perf_counter()
    todo = list(jobs())
    bar = tqdm(todo, unit="job", disable=options.quiet or not sys.stderr.isatty())
    for name, job in bar:
        bar.set_description(f"{name:<28}")
        job()
    if not options.quiet:
        from fastkb.runtime.cache import cache_folder

        folder = cache_folder()
        kept = f"kept in {folder}" if folder else "kept nowhere: no cache folder can be written to"
        print(f"{len(todo)} jobs in {time.perf_counter() - start:.1f} s; compiled code is {kept}")
