"""Data for perceptrons."""

import numpy as np
import pytest

from fastkb.nn.perceptron.objective import draw, make_engine, make_objective, pack


def _data(n=80, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 4))
    return X, np.digitize(X[:, 0] + X[:, 1] ** 2, [0.0, 1.0])


@pytest.fixture(scope="session")
def data():
    """A function that draws observations of three classes."""
    return _data


def _problem(out_activation="identity", activation="tanh", weighted=False, alpha=0.3, dtype="f8"):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(23, 4))
    y = rng.normal(size=(23, 3))
    if out_activation == "logistic":
        y = y > 0
    elif out_activation == "softmax":
        y = y == y.max(axis=1, keepdims=True)
    weights = rng.uniform(0.2, 2.0, 23) if weighted else None
    coefs, intercepts = draw(np.random.RandomState(0), (4, 5, 3), activation, np.dtype(dtype))
    engine = make_engine([coef.shape for coef in coefs], activation, np.dtype(dtype))
    objective = make_objective(engine, X, y, weights, out_activation, alpha)
    return objective, pack(engine, coefs, intercepts)


@pytest.fixture(scope="session")
def problem():
    """A function that makes a small problem."""
    return _problem
