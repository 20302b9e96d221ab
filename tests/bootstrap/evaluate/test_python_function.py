"""Python functions as statistics, against the definition."""

import numpy as np
import pytest

from fastkb.bootstrap.evaluate.python_function import PythonFunction, along_last_axis
from fastkb.reference import bootstrap as reference


@pytest.mark.parametrize("vectorized", [True, False])
@pytest.mark.parametrize("batch", [None, 1, 4])
def test_python_functions(rows_for, vectorized, batch):
    x, y = np.random.default_rng(3).normal(size=(2, 2, 9))

    def function(a, b, axis=-1):
        return np.mean(a, axis=axis) * np.max(b, axis=axis)

    evaluator = PythonFunction(
        function if vectorized else lambda a, b: function(a, b),
        [x, y[:, :5]],
        False,
        vectorized,
        batch,
    )
    rows = rows_for([9, 5])
    got = evaluator.replicates(rows)
    assert got.shape == (2, 6)
    left = evaluator.jackknife()
    assert [part.shape for part in left] == [(2, 9), (2, 5)]
    for s in range(2):
        samples = [x[s], y[s, :5]]
        np.testing.assert_allclose(got[s], reference.distribution(samples, function, rows))
        for mine, expected in zip(left, reference.jackknife(samples, function), strict=True):
            np.testing.assert_allclose(mine[s], expected)


def test_results_with_axes_of_their_own():
    x = np.random.default_rng(4).normal(size=(3, 8))
    looped = along_last_axis(lambda a: np.array([[a.min(), a.max(), a.mean()]]))
    assert looped(x, axis=-1).shape == (1, 3, 3)
    np.testing.assert_array_equal(looped(x, axis=-1)[0, 1], x.max(axis=1))
    assert looped(x[0], axis=-1).shape == (1, 3)
