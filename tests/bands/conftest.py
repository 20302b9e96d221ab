"""Small problems that the tests of this room share."""

from typing import Any, NamedTuple

import numpy as np
import pytest


class Problem(NamedTuple):
    X: np.ndarray
    y: np.ndarray
    X_eval: np.ndarray

    def kernel(self, width: float) -> tuple[Any, Any]:
        """The RBF kernel on the data, and of the evaluation points with them."""

        def between(a, b):
            return np.exp(-((a[:, None] - b) ** 2).sum(axis=2) / (2 * width**2))

        return between(self.X, self.X), between(self.X_eval, self.X)


def make_problem(seed=0, n=30, m=8, d=1):
    rng = np.random.default_rng(seed)
    X = rng.uniform(0, 3, (n, d))
    y = np.sin(2 * X[:, 0]) + 0.3 * rng.standard_normal(n)
    return Problem(X, y, rng.uniform(-0.3, 3.3, (m, d)))


@pytest.fixture
def problem():
    return make_problem()
