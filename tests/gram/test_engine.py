"""One kernel of the table on checked rows: a reduction, a diagonal and values are those of the matrix."""

import numpy as np
import pytest

from fastkb.gram import engine
from fastkb.gram.engine import Rows
from fastkb.scalar.kernels import find
from fastkb.tile.sinks import Into, Sink

X = np.random.default_rng(0).normal(size=(40, 5))
Y = np.random.default_rng(1).normal(size=(30, 5))
NAMES = [("rbf", (0.3,)), ("linear", ()), ("polynomial3", (0.2, 1.0, 3.0)), ("laplacian", (0.1,))]


@pytest.mark.parametrize(("name", "parameters"), NAMES)
def test_a_reduction_is_the_matrix_times_coefficients(name, parameters):
    coefficients = np.random.default_rng(2).normal(size=(3, 30))
    K = engine.compute(find(name), parameters, X, Y)
    found = engine.reduce(find(name), parameters, 0, Rows(X, Y), coefficients)
    np.testing.assert_allclose(found, K @ coefficients.T, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("name", "parameters"), NAMES)
def test_a_diagonal_and_values_are_the_matrix(name, parameters):
    K = engine.compute(find(name), parameters, X)
    np.testing.assert_allclose(
        engine.diagonal(find(name), parameters, 0, Rows(X)), np.diag(K), rtol=1e-14
    )


def test_adding_and_multiplying():
    K = engine.compute(find("rbf"), (0.3,), X)
    out = np.ones_like(K)
    engine.accumulate(find("rbf"), (0.3,), 0, Rows(X), Into(out, Sink.ADD, 2.0))
    np.testing.assert_array_equal(out, 1.0 + 2.0 * K)
    engine.accumulate(find("rbf"), (0.3,), 0, Rows(X), Into(out, Sink.MULTIPLY))
    np.testing.assert_array_equal(out, (1.0 + 2.0 * K) * K)


def test_a_shift_is_a_power_of_two():
    np.testing.assert_array_equal(
        engine.compute(find("rbf"), (0.3,), X, shift=3), engine.compute(find("rbf"), (2.4,), X)
    )
