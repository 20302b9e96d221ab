"""Kinds of band of models that are refitted."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

import fastkb
from fastkb import nn
from fastkb.bands.coverage.jackknife import interval
from fastkb.random.streams import bootstrap_counts, key_from_rng


def data(n=40, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.uniform(0, 3, (n, 2))
    return X, X[:, 0] + 0.3 * rng.standard_normal(n), rng.uniform(0, 3, (7, 2))


def test_prediction_by_its_definition():
    X, y, points = data()
    band = fastkb.bootstrap_band(Ridge(), X, y, points, kind="prediction", n_resamples=60, rng=3)
    assert band.kind == "prediction"
    assert band.distribution.shape == (60, 7)
    weights = bootstrap_counts(key_from_rng(3), 0, 60, 40)
    fits = [Ridge().fit(X, y, sample_weight=w) for w in weights]
    curves, errors = [], []
    for i in range(40):
        without = [fit for fit, w in zip(fits, weights, strict=True) if w[i] == 0]
        curves.append(np.mean([fit.predict(points) for fit in without], axis=0))
        errors.append(abs(y[i] - np.mean([fit.predict(X[[i]])[0] for fit in without])))
    for level, found in ((0.9, (band.low, band.high)), (0.7, band.prediction(0.7))):
        wanted = interval(np.array(curves).T, np.array(errors), level)
        np.testing.assert_allclose(np.array(found), np.array(wanted), rtol=1e-10)
    np.testing.assert_allclose(band.center, Ridge().fit(X, y).predict(points))


def test_of_a_network_a_function_and_a_frame():
    import pandas as pd

    X, y, points = data()
    net = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1))
    options = {"kind": "prediction", "n_resamples": 20, "rng": 0}
    band = fastkb.bootstrap_band(net, X, y, points, **options, fit_params={"epochs": 2})
    assert band.low.shape == band.center.shape
    assert (band.low < band.high).all()

    def mean_of_rows(X, y, w, X_eval):
        return np.full(len(X_eval), (w @ y) / w.sum())

    band = fastkb.bootstrap_band(mean_of_rows, X, y, points, **options)
    assert np.ptp(band.low) < 1e-12
    names = ["a", "b"]
    frame = fastkb.bootstrap_band(
        Ridge(), pd.DataFrame(X, columns=names), y, pd.DataFrame(points, columns=names), **options
    )
    plain = fastkb.bootstrap_band(Ridge(), X, y, points, **options)
    np.testing.assert_allclose(frame.low, plain.low)


def test_several_targets_and_schemes():
    X, y, points = data()
    targets = np.stack([y, -y], axis=1)
    scheme = fastkb.schemes.Clusters(np.arange(40) // 4)
    options = {"kind": "prediction", "n_resamples": 80, "rng": 0, "scheme": scheme}
    band = fastkb.bootstrap_band(Ridge(), X, targets, points, **options)
    assert band.low.shape == (7, 2)
    np.testing.assert_allclose(band.low[:, 0], -band.high[:, 1], rtol=1e-9)


def test_simultaneous_is_wider_than_percentile():
    X, y, points = data()
    labels = (y > y.mean()).astype(int)
    for model, target in ((Ridge(), y), (LogisticRegression(), labels)):
        options = {"n_resamples": 100, "rng": 0}
        narrow = fastkb.bootstrap_band(model, X, target, points, **options)
        wide = fastkb.bootstrap_band(model, X, target, points, kind="simultaneous", **options)
        np.testing.assert_array_equal(narrow.distribution, wide.distribution)
        assert (wide.high - wide.low > 1.05 * (narrow.high - narrow.low)).all()
        np.testing.assert_allclose(narrow.simultaneous(0.9), [wide.low, wide.high])


def test_a_checkpoint_of_another_kind_is_refused(tmp_path):
    X, y, points = data()
    options = {"n_resamples": 8, "rng": 0, "checkpoint": tmp_path / "band.npz"}
    first = fastkb.bootstrap_band(Ridge(), X, y, points, kind="prediction", **options)
    again = fastkb.bootstrap_band(Ridge(), X, y, points, kind="prediction", **options)
    np.testing.assert_array_equal(first.low, again.low)
    with pytest.raises(ValueError, match="belongs to another job"):
        fastkb.bootstrap_band(Ridge(), X, y, points, **options)


def test_results_are_the_same_on_any_number_of_threads():
    import threadpoolctl

    rng = np.random.default_rng(0)
    X, y, points = rng.uniform(size=(150, 1)), rng.standard_normal(150), rng.uniform(size=(333, 1))

    def curve(X, y, w, X_eval):
        return np.sin(X_eval[:, 0]) * (w @ y)

    bands = []
    for threads in (1, 2):
        with threadpoolctl.threadpool_limits(threads, user_api="blas"):
            bands.append(
                fastkb.bootstrap_band(
                    curve, X, y, points, kind="prediction", n_resamples=300, rng=0
                )
            )
    np.testing.assert_array_equal(bands[0].low, bands[1].low)
