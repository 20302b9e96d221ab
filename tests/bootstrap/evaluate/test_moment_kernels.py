"""Means, sums and variances of one series are NumPy's to the last bit."""

import functools

import numpy as np
import pytest

DDOF = functools.partial(np.var, ddof=1)


@pytest.mark.parametrize("function", [np.mean, np.sum, np.var, np.std, DDOF])
@pytest.mark.parametrize("n", [3, 8, 129, 1000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_moments_are_numpys(sample, compiled, function, n, dtype):
    x = sample(n, n, "normal", dtype)
    rows = np.random.default_rng(n).integers(0, n, (5, n)).astype(np.uint32)
    expected = [function(x[row]) for row in rows]
    np.testing.assert_array_equal(compiled(function, x).replicates([rows]), expected)
