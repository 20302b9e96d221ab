"""Data and comparisons for machines."""

import functools

import numpy as np
import pytest
from sklearn import datasets
from sklearn.preprocessing import scale

CLASSES = ("iris", "cancer", "digits")


@functools.cache
def _data(name):
    """Rows and labels, or the targets of diabetes; both read-only, so that whoever writes is seen."""
    load = {
        "iris": lambda: datasets.load_iris(return_X_y=True),
        "cancer": lambda: datasets.load_breast_cancer(return_X_y=True),
        "digits": lambda: datasets.load_digits(return_X_y=True),
        "diabetes": lambda: datasets.load_diabetes(return_X_y=True),
    }[name]
    X, y = load()
    if name == "iris":  # of two equal rows either may support
        X, y = np.delete(X, 142, axis=0), np.delete(y, 142)
    X = X[:200] / 16 if name == "digits" else scale(X[:200])
    y = scale(y[:200]) if name == "diabetes" else y[:200]
    X.flags.writeable = y.flags.writeable = False
    return X, y


@pytest.fixture(scope="session")
def data():
    """A function of a data set's name: at most 200 of its rows."""
    return _data


def _values(model, X):
    """The values of each pair of classes, of the region, or of the regression."""
    if hasattr(model, "decision_function_shape"):
        model.decision_function_shape = "ovo"
    return model.decision_function(X) if hasattr(model, "decision_function") else model.predict(X)


@pytest.fixture(scope="session")
def values():
    """A function of a model and points."""
    return _values


def _assert_alike(ours, theirs, X, atol):
    """Values within a distance; classes alike but for points as near to a boundary."""
    found, expected = _values(ours, X), _values(theirs, X)
    assert found.shape == expected.shape
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=0, atol=atol)
    if hasattr(ours, "decision_function"):
        known = (np.abs(expected) > atol).reshape(len(X), -1).all(axis=1)
        found, expected = ours.predict(X), theirs.predict(X)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found[known], expected[known])


@pytest.fixture(scope="session")
def assert_alike():
    """A function of two models, points and a distance."""
    return _assert_alike
