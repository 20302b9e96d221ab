"""Samples of all kinds, and the compiled statistics of them."""

import numpy as np
import pytest

from fastkb.bootstrap.evaluate.compiled_statistic import Compiled
from fastkb.bootstrap.evaluate.statistics import plain_function, recognise


def _sample(seed, n, kind, dtype=np.float64):
    rng = np.random.default_rng(seed)
    x = {
        "normal": rng.normal(size=n),
        "offset": rng.normal(size=n) + 1e8,
        "heavy": rng.standard_cauchy(size=n),
        "ties": rng.integers(0, 3, n).astype(float),
        "constant": np.full(n, 0.1),
        "one outlier": np.append(rng.normal(size=n - 1) * 1e-6, 1e6),
    }[kind]
    return x.astype(dtype)


def _compiled(function, *samples):
    known = recognise(function)
    plain = plain_function(known) if isinstance(function, str) else function
    observed = np.asarray(plain(*samples, axis=-1))
    return Compiled(known, samples, True, observed)


@pytest.fixture(scope="session")
def sample():
    """A function that draws n numbers of one kind."""
    return _sample


@pytest.fixture(scope="session")
def compiled():
    """A function that gives the evaluator of a statistic over a sample."""
    return _compiled


def _rows_for(lengths, count=6, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, n, (count, n)).astype(np.uint32) for n in lengths]


@pytest.fixture(scope="session")
def rows_for():
    """A function that draws rows of indices."""
    return _rows_for
