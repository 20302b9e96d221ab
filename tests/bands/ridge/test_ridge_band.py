"""Kinds of band of kernel ridge regression."""

import numpy as np
import pytest
import sklearn.kernel_ridge
from scipy import sparse

import fastkb
from fastkb.random.streams import bootstrap_counts, key_from_rng

KINDS = ("percentile", "confidence", "simultaneous", "prediction")


def data(n=60, d=1, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.uniform(0, 3, (n, d))
    return X, np.sin(3 * X[:, 0]) + 0.3 * rng.standard_normal(n), rng.uniform(0, 3, (7, d))


def model(**options):
    return fastkb.KernelRidge(0.1, kernel="rbf", gamma=3.0, **options)


def search(**options):
    return fastkb.KernelRidgeCV(criterion="reml", fit_intercept=True, **options)


@pytest.mark.parametrize("estimator", [model(), model(fit_intercept=True), search()], ids=str)
def test_any_kind_gives_the_others(estimator):
    X, y, points = data()
    options = {"n_resamples": 50, "rng": 1}
    bands = {
        kind: fastkb.bootstrap_band(estimator, X, y, points, kind=kind, **options) for kind in KINDS
    }
    for one in bands.values():
        assert one.low.shape == one.center.shape == (7,)
        np.testing.assert_allclose(one.center, bands["confidence"].center, atol=1e-6)
        for kind in KINDS[1:]:
            edges = getattr(one, kind)(0.9)
            wanted = bands[kind].low, bands[kind].high
            np.testing.assert_allclose(edges, wanted, atol=2e-6)
    assert (bands["confidence"].low >= bands["simultaneous"].low).all()
    assert bands["prediction"].distribution is None
    assert bands["prediction"].n_resamples == 0
    assert bands["confidence"].distribution.shape == (50, 7)
    assert [band.kind for band in bands.values()] == list(KINDS)
    assert (bands["confidence"].choice is None) == (not isinstance(estimator, fastkb.KernelRidgeCV))


def test_the_center_is_the_fit():
    X, y, points = data()
    for kind in KINDS:
        band = fastkb.bootstrap_band(search(), X, y, points, kind=kind, n_resamples=9, rng=0)
        fitted = search().fit(X, y)
        assert band.choice.gamma == fitted.gamma_
        assert band.choice.alpha == fitted.alpha_
        np.testing.assert_allclose(band.center, fitted.predict(points), atol=1e-6)


@pytest.mark.parametrize("scheme", [None, fastkb.schemes.Bayesian()])
def test_percentiles_of_a_search_choose_anew(scheme):
    X, y, points = data()
    band = fastkb.bootstrap_band(search(), X, y, points, n_resamples=20, rng=4, scheme=scheme)
    assert band.solver == "search"
    refitted = fastkb.bootstrap_band(
        search(gammas=band.choice.gammas),
        X,
        y,
        points,
        n_resamples=20,
        rng=4,
        scheme=scheme,
        solver="weights",
    )
    close = np.abs(band.distribution - refitted.distribution).max(axis=1) < 1e-5
    assert close.mean() >= 0.9  # the others chose between candidates that are nearly equal


def test_out_of_bag_error_and_checkpoint_of_a_search(tmp_path):
    X, y, points = data()
    options = {"n_resamples": 70, "rng": 4, "checkpoint": tmp_path / "band.npz"}
    band = fastkb.bootstrap_band(search(), X, y, points, out_of_bag=True, **options)
    assert 0.05 < band.prediction_error.err632plus < 0.2
    again = fastkb.bootstrap_band(search(), X, y, points, out_of_bag=True, **options)
    np.testing.assert_array_equal(again.distribution, band.distribution)
    assert again.seconds < band.seconds
    weights = bootstrap_counts(key_from_rng(4), 0, 70, 60)
    assert band.distribution.shape == (70, 7)
    assert weights.shape == (70, 60)


def test_targets_offsets_and_scales():
    X, y, points = data()
    targets = np.stack([y, 1e3 * y + 1e6, np.full(60, 4.0)], axis=1)
    for kind in KINDS:
        options = {"kind": kind, "n_resamples": 30, "rng": 0}
        band = fastkb.bootstrap_band(search(alpha_per_target=True), X, targets, points, **options)
        assert band.low.shape == (7, 3)
        np.testing.assert_allclose(band.low[:, 1], 1e3 * band.low[:, 0] + 1e6, rtol=1e-6)
        np.testing.assert_allclose(band.low[:, 2], 4.0)
        np.testing.assert_allclose(band.high[:, 2], 4.0)


def test_types_of_input():
    X, y, points = data(d=2)
    wanted = fastkb.bootstrap_band(model(), X, y, points, kind="confidence", n_resamples=20, rng=0)
    peer = sklearn.kernel_ridge.KernelRidge(alpha=0.1, kernel="rbf", gamma=3.0)
    for estimator, rows in ((peer, X), (model(), sparse.csr_array(X)), (model(), X[::-1][::-1])):
        band = fastkb.bootstrap_band(
            estimator, rows, y, points, kind="confidence", n_resamples=20, rng=0
        )
        np.testing.assert_allclose(band.low, wanted.low, atol=1e-9)
    single = fastkb.bootstrap_band(
        model(), X.astype(np.float32), y.astype(np.float32), points, kind="prediction", rng=0
    )
    assert single.low.dtype == np.float32
    K = fastkb.rbf_kernel(X, gamma=3.0)
    precomputed = fastkb.KernelRidge(0.1, kernel="precomputed")
    cross = fastkb.rbf_kernel(points, X, gamma=3.0)
    band = fastkb.bootstrap_band(precomputed, K, y, cross, kind="prediction", rng=0)
    direct = fastkb.bootstrap_band(model(), X, y, points, kind="prediction", rng=0)
    np.testing.assert_allclose(band.low, direct.low, atol=1e-7)
    with pytest.raises(ValueError, match="confidence needs a band of KernelRidge"):
        fastkb.bootstrap_band(precomputed, K, y, cross, n_resamples=3).confidence()


def test_pure_noise_has_a_band_as_wide_as_that_of_the_mean():
    """And not one of no width around a shrunken curve."""
    rng = np.random.default_rng(0)
    X = rng.uniform(0, 6, (200, 1))
    y = 3 + 0.5 * rng.standard_normal(200)
    points = np.linspace(0.3, 5.7, 10)[:, None]
    band = fastkb.bootstrap_band(search(), X, y, points, kind="confidence", rng=0)
    half = (band.high - band.low) / 2
    of_the_mean = 1.645 * 0.5 / np.sqrt(200)
    assert (half > 0.8 * of_the_mean).all()
    assert (half < 4 * of_the_mean).all()
    assert ((band.low <= 3) & (band.high >= 3)).all()


def test_confidence_covers_a_curve_that_refits_miss():
    """A peak under much smoothing: 40 data sets, points on its flanks."""
    points = np.linspace(2.2, 3.8, 9)[:, None]
    truth = 2 * np.exp(-((points[:, 0] - 3) ** 2) / 0.1)
    smooth = fastkb.KernelRidge(20.0, kernel="rbf", gamma=2.0, fit_intercept=True)
    held = {"percentile": [], "confidence": []}
    for seed in range(20):
        rng = np.random.default_rng(seed)
        X = rng.uniform(0, 6, (100, 1))
        y = 2 * np.exp(-((X[:, 0] - 3) ** 2) / 0.1) + 0.3 * rng.standard_normal(100)
        for kind, shares in held.items():
            band = fastkb.bootstrap_band(smooth, X, y, points, kind=kind, n_resamples=200, rng=0)
            shares.append(((band.low <= truth) & (truth <= band.high)).mean())
    assert np.mean(held["percentile"]) < 0.5
    assert np.mean(held["confidence"]) > 0.8


def test_a_result_keeps_what_it_needs_whatever_becomes_of_the_data():
    X, y, points = data()
    band = fastkb.bootstrap_band(search(), X, y, points, n_resamples=9, rng=0)
    wanted = fastkb.bootstrap_band(search(), X, y, points, n_resamples=9, rng=0).confidence()
    X[:], y[:], points[:] = 0.0, 0.0, 0.0
    np.testing.assert_array_equal(band.confidence(), wanted)


def test_other_kinds_of_a_precomputed_kernel():
    X, y, points = data()
    K, cross = fastkb.rbf_kernel(X, gamma=3.0), fastkb.rbf_kernel(points, X, gamma=3.0)
    precomputed = fastkb.KernelRidge(0.1, kernel="precomputed")
    band = fastkb.bootstrap_band(precomputed, K, y, cross, kind="prediction", rng=0)
    for kind in ("confidence", "simultaneous"):
        with pytest.raises(ValueError, match="needs the rows of X"):
            getattr(band, kind)()


@pytest.mark.parametrize("n_points", [1, 4])
def test_a_band_of_the_whole_curve_holds_its_parts(n_points):
    for seed in range(4):
        X, y, _ = data(12, seed=seed)
        band = fastkb.bootstrap_band(search(), X, y, X[:n_points], n_resamples=60, rng=seed)
        low, high = band.confidence()
        below, above = band.simultaneous()
        assert (below <= low).all()
        assert (high <= above).all()


@pytest.mark.parametrize("kind", KINDS[1:])
def test_one_row_is_refused(kind):
    with pytest.raises(ValueError, match="needs two at least"):
        fastkb.bootstrap_band(model(), [[1.0]], [2.0], [[1.0]], kind=kind, rng=0)


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_a_few_rows(n, kind):
    X, y, points = data(n)
    band = fastkb.bootstrap_band(search(), X, y, points, kind=kind, n_resamples=20, rng=0)
    if kind == "prediction":
        assert np.isinf(band.low).all()
    else:
        assert np.isfinite(band.low).all()


def test_float32_and_what_is_kept():
    """One band whether it is asked for first or later; and no more of the replicates than it needs."""
    import pickle

    X, y, points = data()
    X, y = X.astype(np.float32), (1e4 + y).astype(np.float32)
    options = {"n_resamples": 50, "rng": 0, "keep_distribution": False}
    band = fastkb.bootstrap_band(search(), X, y, points, kind="confidence", **options)
    assert band.low.dtype == np.float32
    np.testing.assert_array_equal(band.confidence(0.9), [band.low, band.high])
    assert len(pickle.dumps(band)) < 8 * 50 * (60 + 7) * 2
