"""What a band says of itself."""

import dataclasses

import matplotlib
import numpy as np
import pytest

from fastkb import BandResult

matplotlib.use("Agg")


def result(distribution):
    center = distribution.mean(axis=0)
    return BandResult(
        x=np.arange(float(len(center)))[:, None],
        center=center,
        mean=center,
        low=distribution.min(axis=0),
        high=distribution.max(axis=0),
        confidence_level=0.9,
        distribution=distribution,
        solver="cholesky",
        reason="asked for",
        n_resamples=len(distribution),
        seconds=0.1,
    )


DRAWS = np.random.default_rng(0).normal(size=(101, 4))


def test_cdf_counts_replicates():
    band = result(DRAWS)
    np.testing.assert_array_equal(band.cdf(np.inf), 1.0)
    np.testing.assert_array_equal(band.cdf(-np.inf), 0.0)
    np.testing.assert_array_equal(band.cdf(0.3), [(DRAWS[:, i] <= 0.3).mean() for i in range(4)])
    # A value for each evaluation point: its median has half of the replicates at or below it.
    np.testing.assert_allclose(band.cdf(np.median(DRAWS, axis=0)), 51 / 101)


def test_cdf_is_monotone():
    band = result(DRAWS)
    steps = np.array([band.cdf(v) for v in np.linspace(-4, 4, 50)])
    assert (np.diff(steps, axis=0) >= 0).all()


@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
def test_interval_is_the_quantiles(level):
    low, high = result(DRAWS).interval(level)
    np.testing.assert_array_equal(low, np.quantile(DRAWS, (1 - level) / 2, axis=0))
    np.testing.assert_array_equal(high, np.quantile(DRAWS, (1 + level) / 2, axis=0))


def test_wider_levels_contain_narrower_ones():
    low, high = result(DRAWS).interval(0.5)
    wider_low, wider_high = result(DRAWS).interval(0.95)
    assert (wider_low <= low).all()
    assert (high <= wider_high).all()


def test_several_targets():
    draws = np.random.default_rng(1).normal(size=(20, 3, 2))
    band = result(draws)
    assert band.cdf(0.0).shape == (3, 2)
    assert band.interval(0.5)[0].shape == (3, 2)


@pytest.mark.parametrize(
    "call", [lambda band: band.cdf(0.0), lambda band: band.interval(0.5)], ids=["cdf", "interval"]
)
def test_without_the_distribution(call):
    band = dataclasses.replace(result(DRAWS), distribution=None)
    with pytest.raises(ValueError, match="keep_distribution=True"):
        call(band)


@pytest.mark.parametrize("level", [0, 1, -0.1, 90])
def test_bad_levels(level):
    with pytest.raises(ValueError, match="level must be a number between 0 and 1"):
        result(DRAWS).interval(level)


def test_plot_draws_the_curves():
    ax = result(DRAWS).plot()
    (line,) = ax.get_lines()
    np.testing.assert_array_equal(line.get_ydata(), DRAWS.mean(axis=0))


def test_it_is_frozen_and_its_text_is_short():
    band = result(DRAWS)
    with pytest.raises(dataclasses.FrozenInstanceError):
        band.low = None
    assert len(repr(band)) < 2000
