"""Bands over fresh samples."""

import numpy as np
import pytest
import sklearn.linear_model

import fastkb
from fastkb import bootstrap_band, sampling_band


def draw_sample(generator):
    X = generator.uniform(size=(20, 1))
    return X, X[:, 0] + 0.1 * generator.standard_normal(20)


GRID = np.linspace(0, 1, 4)[:, None]


def test_sampling_band_fits_every_sample():
    seen = []

    def sampler(generator):
        seen.append(draw_sample(generator))
        return seen[-1]

    model = sklearn.linear_model.Ridge(alpha=0.5)
    result = sampling_band(model, sampler, GRID, n_resamples=25, confidence_level=0.5, rng=0)
    expected = [sklearn.linear_model.Ridge(alpha=0.5).fit(*s).predict(GRID) for s in seen]
    np.testing.assert_array_equal(result.distribution, expected)
    np.testing.assert_array_equal(result.low, np.quantile(expected, 0.25, axis=0))
    np.testing.assert_array_equal(result.center, np.mean(expected, axis=0))
    assert not hasattr(model, "coef_")
    assert result.solver == "refit"


def test_samples_are_addressed_by_seed_and_number():
    model = sklearn.linear_model.Ridge()
    many = sampling_band(model, draw_sample, GRID, n_resamples=30, rng=1).distribution
    few = sampling_band(model, draw_sample, GRID, n_resamples=7, rng=1).distribution
    np.testing.assert_array_equal(few, many[:7])
    assert len(np.unique(many[:, 0])) == 30
    other = sampling_band(model, draw_sample, GRID, n_resamples=7, rng=2).distribution
    assert (other != few).all()


def test_sampling_band_of_several_targets():
    def sampler(generator):
        X, y = draw_sample(generator)
        return X, np.stack([y, -y], axis=1)

    result = sampling_band(sklearn.linear_model.Ridge(), sampler, GRID, n_resamples=9, rng=0)
    assert result.distribution.shape == (9, 4, 2)
    np.testing.assert_allclose(result.low[:, 0], -result.high[:, 1], rtol=1e-12)


@pytest.mark.parametrize(
    ("model", "sampler", "options", "error", "words"),
    [
        (sklearn.linear_model.Ridge, draw_sample, {}, TypeError, "fit and predict"),
        (sklearn.linear_model.Ridge(), GRID, {}, TypeError, "sampler must be a function"),
        (sklearn.linear_model.Ridge(), lambda g: GRID, {}, TypeError, r"pair \(X, y\)"),
        (sklearn.linear_model.Ridge(), draw_sample, {"n_resamples": 0}, ValueError, "n_resamples"),
        (sklearn.linear_model.Ridge(), draw_sample, {"confidence_level": 5}, ValueError, "level"),
    ],
)
def test_bad_input_to_sampling_band(model, sampler, options, error, words):
    with pytest.raises(error, match=words):
        sampling_band(model, sampler, GRID, **options)


def test_bootstrap_resembles_fresh_samples():
    def sampler(generator):
        X = generator.uniform(size=(120, 1))
        return X, np.sin(5 * X[:, 0]) + 0.3 * generator.standard_normal(120)

    grid = np.linspace(0.1, 0.9, 5)[:, None]
    model = fastkb.KernelRidge(alpha=0.1, kernel="rbf", gamma=20.0)
    fresh = sampling_band(model, sampler, grid, n_resamples=200, rng=0)
    X, y = sampler(np.random.default_rng(1))
    resampled = bootstrap_band(model, X, y, grid, n_resamples=200, rng=0)
    ratio = (resampled.high - resampled.low) / (fresh.high - fresh.low)
    assert (ratio > 0.6).all()
    assert (ratio < 1.6).all()
