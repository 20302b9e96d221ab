"""What the tests of this folder share."""

import numpy as np
import pytest


def _data(n=40, d=2, seed=0, n_eval=7):
    rng = np.random.default_rng(seed)
    X, X_eval = rng.uniform(size=(n, d)), rng.uniform(size=(n_eval, d))
    return X, np.sin(5 * X[:, 0]) + 0.2 * rng.standard_normal(n), X_eval


@pytest.fixture(scope="session")
def data():
    """A function that draws data."""
    return _data
