"""Bands of another kind or level, and what is said where they cannot be had."""

import numpy as np
import pytest

from fastkb import KernelRidge, bootstrap_band, schemes

rng = np.random.default_rng(0)
X = np.sort(rng.uniform(0.0, 3.0, (30, 1)), axis=0)
Y = np.sin(2.0 * X[:, 0]) + 0.1 * rng.normal(size=30)
MODEL = KernelRidge(alpha=0.1, kernel="rbf", gamma=1.0)


def band(**options):
    return bootstrap_band(MODEL, X, Y, X[::5], n_resamples=30, rng=0, **options)


@pytest.mark.parametrize("kind", ["confidence", "simultaneous", "prediction"])
def test_a_band_of_another_kind_is_that_band(kind):
    low, high = getattr(band(kind=kind), kind)(0.8)
    other = band(kind=kind, confidence_level=0.8)
    np.testing.assert_array_equal(low, other.low)
    np.testing.assert_array_equal(high, other.high)


def test_wider_levels_hold_narrower_ones():
    result = band()
    for kind in ("confidence", "simultaneous", "prediction"):
        low, high = getattr(result, kind)(0.5)
        wide_low, wide_high = getattr(result, kind)(0.95)
        assert (wide_low <= low).all()
        assert (wide_high >= high).all()


def test_where_there_is_no_such_band():
    result = band(scheme=schemes.Stratified(np.arange(30) % 2))
    with pytest.raises(ValueError, match="confidence needs a band of KernelRidge"):
        result.confidence()
    with pytest.raises(ValueError, match="prediction needs what replicates predict"):
        result.prediction()
    low, high = result.simultaneous()
    assert (low <= high).all()
    with pytest.raises(ValueError, match="keep_distribution=True"):
        band(scheme=schemes.Stratified(np.arange(30) % 2), keep_distribution=False).simultaneous()
