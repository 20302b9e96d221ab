"""Two samples: correlations, and the difference and the ratio of means."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fastkb.bootstrap.evaluate.compiled_statistic import Compiled
from fastkb.bootstrap.evaluate.statistics import plain_function, recognise

KINDS = ["normal", "offset", "heavy", "ties", "constant", "one outlier"]


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32),
    n=st.integers(2, 60),
    kinds=st.tuples(st.sampled_from(KINDS[:4]), st.sampled_from(KINDS)),
    name=st.sampled_from(["pearson", "spearman", "mean_difference", "mean_ratio"]),
)
def test_two_samples(sample, seed, n, kinds, name):
    x, y = sample(seed, n, kinds[0]), sample(seed + 1, n, kinds[1])
    y = y + 0.3 * x
    rows = np.random.default_rng(seed).integers(0, n, (4, n)).astype(np.uint32)
    known = recognise(name)
    got = Compiled(known, (x, y), True, np.asarray(0.0)).replicates([rows])
    for value, row in zip(got, rows, strict=True):
        a, b = x[row], y[row]
        if name.startswith("mean"):
            expected = plain_function(known)(a, b)
            np.testing.assert_allclose(value, expected, rtol=1e-9, atol=1e-9)
        elif np.ptp(a) == 0 or np.ptp(b) == 0:
            assert np.isnan(value)
        elif name == "spearman":
            assert value == pytest.approx(stats.spearmanr(a, b)[0], abs=1e-12)
        elif np.ptp(a) > 1e-6 * np.abs(a).max() and np.ptp(b) > 1e-6 * np.abs(b).max():
            # SciPy's own digits are gone where the spread is small against the values.
            assert value == pytest.approx(stats.pearsonr(a, b)[0], abs=1e-8)
