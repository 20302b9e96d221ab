"""Bad input to schemes is named, with what was expected, before any work."""

import numpy as np
import pytest

import fastkb
from fastkb import schemes
from fastkb.resample.checks import check_fitted, check_leverage


@pytest.mark.parametrize(
    ("fitted", "error", "message"),
    [
        (
            None,
            ValueError,
            r"Wild: fitted must be the fitted values .* of shape \(2, 3\), got None",
        ),
        ("line", TypeError, "Wild: fitted must be numbers, got 'line'"),
        ([[1, 2, 3], [4, 5]], TypeError, "Wild: fitted must be numbers, got"),
        (np.ones((3, 2)), ValueError, r"the response's shape \(2, 3\), got \(3, 2\)"),
        ([[1, 2, 3], [4, np.nan, 6]], ValueError, "Wild: fitted must be finite"),
        ([[1, 2, 3], [4, 5, -np.inf]], ValueError, "Wild: fitted must be finite"),
    ],
)
def test_fitted_values(fitted, error, message):
    with pytest.raises(error, match=message):
        check_fitted("Wild", fitted, (2, 3))


@pytest.mark.parametrize(
    ("leverage", "error", "message"),
    [
        ("high", TypeError, "Residual: leverage must be numbers, got 'high'"),
        (0.5, ValueError, r"one number for each of the 3 observations, got shape \(\)"),
        ([0.1, 0.2], ValueError, r"one number for each of the 3 observations, got shape \(2,\)"),
        ([0.1, 1, 0.3], ValueError, "Residual: leverage must be from 0 to below 1, got 1$"),
        ([0.1, 0.2, -1e-9], ValueError, "must be from 0 to below 1, got -1e-09"),
        ([0.1, 0.2, np.nan], ValueError, "must be from 0 to below 1, got nan"),
    ],
)
def test_leverage(leverage, error, message):
    with pytest.raises(error, match=message):
        check_leverage("Residual", leverage, 3)


def test_fitted_values_and_leverage_become_floats():
    for values in (check_fitted("Wild", [1, 2, 3], (3,)), check_leverage("Wild", [0, 0, 0], 3)):
        assert values.dtype == np.float64
    assert check_leverage("Wild", [0, 1 - 1e-16, 0.5], 3)[1] < 1


def test_wild_clusters_are_named():
    X, y = np.arange(6.0)[:, None], np.arange(6.0)
    model = fastkb.KernelRidge(1.0)
    labels = [0.0, 0.0, 1.0, 1.0, np.nan, np.nan]
    with pytest.raises(ValueError, match="2 of the 6 are missing"):
        fastkb.bootstrap_band(model, X, y, X, scheme=schemes.Wild(labels=labels), n_resamples=9)


@pytest.mark.parametrize(
    "check",
    [
        lambda masked: fastkb.bootstrap((masked,), "mean"),
        lambda masked: check_fitted("Wild", masked, (4,)),
        lambda masked: check_leverage("Residual", masked / 10, 4),
    ],
)
def test_masked_values_are_named(check):
    masked = np.ma.masked_array([1.0, 2.0, 3.0, 4.0], mask=[0, 1, 0, 0])
    with pytest.raises(ValueError, match="must have no masked values; got 1"):
        check(masked)
