"""Automatic block lengths, against the arch package."""

import numpy as np
import pytest

import fastkb
from fastkb import schemes


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9, -0.5])
def test_optimal_lengths_are_those_of_arch(seed, phi):
    arch = pytest.importorskip("arch.bootstrap")
    noise = np.random.default_rng(seed).standard_normal(400)
    x = np.zeros(400)
    for k in range(1, 400):
        x[k] = phi * x[k - 1] + noise[k]
    theirs = arch.optimal_block_length(x)
    expected = theirs["stationary"].iloc[0], theirs["circular"].iloc[0]
    assert schemes.optimal_block_length(x) == pytest.approx(expected, rel=1e-9)


def test_lengths_of_series_without_spread():
    assert schemes.optimal_block_length(np.ones(50)) == (1.0, 1.0)


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e200, 1e300])
def test_lengths_do_not_depend_on_the_scale(scale):
    noise = np.random.default_rng(0).standard_normal(300)
    x = np.convolve(noise, np.ones(6), mode="valid")
    wanted = schemes.optimal_block_length(x)
    assert wanted[1] > 5
    assert schemes.optimal_block_length(scale * x) == pytest.approx(wanted, rel=1e-9)
    assert schemes.optimal_block_length(np.full(30, scale)) == (1.0, 1.0)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_series_that_are_not_finite(value):
    x = np.arange(30.0)
    x[7] = value
    with pytest.raises(ValueError, match=f"x must be finite.* got {value} at 7"):
        schemes.optimal_block_length(x)
    # Where the length is automatic the scheme says so, too.
    with pytest.raises(ValueError, match="x must be finite"):
        fastkb.bootstrap((x,), np.nanmean, scheme=schemes.MovingBlocks(), n_resamples=9)


def test_a_given_length_asks_nothing_of_the_series():
    x = np.arange(30.0)
    x[7] = np.nan
    given = schemes.MovingBlocks(3)
    result = fastkb.bootstrap((x,), np.nanmean, scheme=given, n_resamples=9, method="basic", rng=0)
    assert np.isfinite(result.confidence_interval).all()


@pytest.mark.parametrize("x", [3.0, [1.0], np.ones((5, 2)), ["a", "b"]])
def test_what_is_no_series(x):
    with pytest.raises(ValueError, match="x must be a series"):
        schemes.optimal_block_length(x)


def test_masked_values_are_no_numbers():
    x = np.ma.masked_equal(np.arange(9.0), 3)
    with pytest.raises(ValueError, match="x has masked values"):
        schemes.optimal_block_length(x)
