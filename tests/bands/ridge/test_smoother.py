"""Kernel ridge regression with new responses: every replicate is the refit on them."""

import warnings

import numpy as np
import pytest
import sklearn.kernel_ridge
from scipy.linalg import LinAlgWarning
from sklearn.linear_model import LinearRegression

import fastkb
from fastkb import bootstrap_band, schemes
from fastkb.bands.ridge import smoother
from fastkb.bands.ridge.kernel_source import KernelSource
from fastkb.bands.ridge.replicates import Job
from fastkb.bands.ridge.smoother import response_replicates
from fastkb.random.streams import key_from_rng
from fastkb.reference import band as reference
from fastkb.reference import gram

KEY = key_from_rng(3)
intercepts = pytest.mark.parametrize("fit_intercept", [False, True])


def data(n=35, seed=0, n_eval=8, n_targets=3):
    rng = np.random.default_rng(seed)
    X, X_eval = rng.uniform(size=(n, 2)), rng.uniform(size=(n_eval, 2))
    waves = np.sin(5 * X[:, :1] + np.arange(n_targets))
    return X, waves + 0.2 * rng.standard_normal((n, n_targets)), X_eval


def replicates(model, X, Y, X_eval, scheme, n_resamples=12):
    alpha = np.broadcast_to(np.asarray(model.alpha, float), Y.shape[1:]).copy()
    source = KernelSource(model, X, X_eval)
    return response_replicates(Job(source, Y, alpha, KEY, n_resamples, scheme=scheme))


SCHEMES = [
    schemes.Residual(),
    schemes.Wild(),
    schemes.Wild(distribution="mammen"),
    schemes.Wild(labels=np.arange(35) // 5),
    schemes.Residual(leverage=np.linspace(0.0, 0.5, 35)),
]


def refit(Y, X, X_eval, alpha, fit_intercept):
    """Plain NumPy, target by target."""
    K, cross = gram.rbf(X, gamma=3.0), gram.rbf(X_eval, X, gamma=3.0)
    rows = np.arange(len(X))
    alphas = np.broadcast_to(alpha, Y.shape[1:])
    fits = [
        reference.refit(K, cross, y, a, rows, fit_intercept)
        for y, a in zip(Y.T, alphas, strict=True)
    ]
    return np.stack(fits, axis=1)


@intercepts
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("alpha", [0.1, np.array([0.1, 2.0, 0.1])])
def test_every_replicate_is_a_refit(scheme, alpha, fit_intercept):
    X, Y, X_eval = data()
    model = fastkb.KernelRidge(alpha=alpha, kernel="rbf", gamma=3.0, fit_intercept=fit_intercept)
    result = replicates(model, X, Y, X_eval, scheme)
    assert result.distribution.shape == (12, 8, 3)
    prepared = scheme.around(Y, refit(Y, X, X, alpha, fit_intercept))
    responses = prepared.responses(KEY, 0, 12)  # (targets, replicates, rows)
    for b in range(12):
        expected = refit(responses[:, b].T, X, X_eval, alpha, fit_intercept)
        np.testing.assert_allclose(result.distribution[b], expected, atol=1e-10)
    center = refit(Y, X, X_eval, alpha, fit_intercept)
    np.testing.assert_allclose(result.center, center, atol=1e-10)
    assert result.solved_by.solver == "cholesky"
    assert result.rank is None
    assert result.n_exact == 0


@pytest.mark.parametrize("scheme", SCHEMES[:2])
def test_a_constant_goes_with_the_responses(scheme):
    X, Y, X_eval = data()
    Y = np.round(Y * 2**20) / 2**20  # so that the sums are exact
    model = fastkb.KernelRidge(alpha=0.1, kernel="rbf", gamma=3.0, fit_intercept=True)
    before = replicates(model, X, Y, X_eval, scheme)
    offset = np.array([2.0**27, 0.0, -3.0])
    after = replicates(model, X, Y + offset, X_eval, scheme)
    # New responses, and sums of the replicates, are known to an eps of the offset.
    tolerance = 8 * np.finfo(float).eps * (np.abs(offset) + 3)
    assert (np.abs(after.distribution - offset - before.distribution) <= tolerance).all()
    assert (np.abs(after.center - offset - before.center) <= tolerance).all()


def test_targets_are_drawn_together():
    """Rows of several targets belong together, and each target is as it is alone."""
    X, Y, X_eval = data()
    model = fastkb.KernelRidge(alpha=0.1, kernel="rbf", gamma=3.0)
    for scheme in (schemes.Residual(), schemes.Wild()):
        together = replicates(model, X, Y, X_eval, scheme).distribution
        for t in range(3):
            alone = replicates(model, X, Y[:, t : t + 1], X_eval, scheme).distribution
            np.testing.assert_allclose(together[:, :, t], alone[:, :, 0], atol=1e-12)


def test_given_fitted_values():
    X, Y, X_eval = data(n_targets=1)
    model = fastkb.KernelRidge(alpha=0.1, kernel="rbf", gamma=3.0)
    around = np.linspace(-1.0, 1.0, 35)
    result = replicates(model, X, Y, X_eval, schemes.Wild(around)).distribution
    signs = schemes.Wild(around).prepare([Y[:, 0]], True).responses(KEY, 0, 12)
    peer = sklearn.kernel_ridge.KernelRidge(alpha=0.1, kernel="rbf", gamma=3.0)
    expected = peer.fit(X, signs.T).predict(X_eval).T
    np.testing.assert_allclose(result[:, :, 0], expected, atol=1e-10)
    # The user's scheme is as it was.
    scheme = schemes.Residual()
    replicates(model, X, Y, X_eval, scheme)
    assert scheme.fitted is None


def test_blocks_change_nothing(monkeypatch):
    X, Y, X_eval = data()
    model = fastkb.KernelRidge(alpha=0.1, kernel="rbf", gamma=3.0)
    for scheme in (schemes.Residual(), schemes.Wild()):
        whole = replicates(model, X, Y, X_eval, scheme).distribution
        with monkeypatch.context() as patch:
            patch.setattr(smoother, "_VALUES", 5 * Y.size)
            cut = replicates(model, X, Y, X_eval, scheme).distribution
        np.testing.assert_array_equal(cut, whole)
        fewer = replicates(model, X, Y, X_eval, scheme, 4).distribution
        np.testing.assert_array_equal(fewer, whole[:4])


def test_precomputed_kernel():
    X, Y, X_eval = data()
    K, cross = fastkb.rbf_kernel(X, gamma=3.0), fastkb.rbf_kernel(X_eval, X, gamma=3.0)
    named = fastkb.KernelRidge(alpha=0.1, kernel="rbf", gamma=3.0)
    model = fastkb.KernelRidge(alpha=0.1, kernel="precomputed")
    before = K.copy()
    one = bootstrap_band(model, K, Y, cross, n_resamples=9, rng=3, scheme=schemes.Wild())
    other = bootstrap_band(named, X, Y, X_eval, n_resamples=9, rng=3, scheme=schemes.Wild())
    np.testing.assert_allclose(one.distribution, other.distribution, atol=1e-10)
    np.testing.assert_array_equal(K, before)


def test_a_line_with_a_constant_is_solved_by_least_squares():
    X, Y, X_eval = data(20, n_targets=2)
    X, Y = np.concatenate([X, X[:10]]), np.concatenate([Y, Y[:10] + 0.5])
    model = fastkb.KernelRidge(alpha=0.0, kernel="linear", fit_intercept=True)
    with pytest.warns(LinAlgWarning, match="singular to working precision"):
        band = bootstrap_band(model, X, Y, X_eval, n_resamples=9, rng=3, scheme=schemes.Wild())
    peer = LinearRegression().fit(X, Y)
    np.testing.assert_allclose(band.center, peer.predict(X_eval), atol=1e-8)
    responses = schemes.Wild().around(Y, peer.predict(X)).responses(KEY, 0, 9)
    for b in range(9):
        expected = LinearRegression().fit(X, responses[:, b].T).predict(X_eval)
        np.testing.assert_allclose(band.distribution[b], expected, atol=1e-8)


def test_regular_systems_with_a_constant_are_not_warned_of():
    # The centred kernel is singular whatever the kernel is, but nothing depends on that.
    X, Y, _ = data(12)
    model = fastkb.KernelRidge(alpha=0.0, kernel="laplacian", gamma=5.0, fit_intercept=True)
    band = bootstrap_band(model, X, Y, X, n_resamples=3, rng=3, scheme=schemes.Wild(Y - 1.0))
    np.testing.assert_allclose(band.center, Y, atol=1e-10)


def test_singular_systems_are_solved_by_least_squares():
    X, Y, X_eval = data(20, n_targets=2)
    X, Y = np.concatenate([X, X[:10]]), np.concatenate([Y, Y[:10] + 0.5])
    model = fastkb.KernelRidge(alpha=[0.0, 0.5], kernel="linear")
    with pytest.warns(LinAlgWarning, match="singular to working precision"):
        band = bootstrap_band(model, X, Y, X_eval, n_resamples=9, rng=3, scheme=schemes.Wild())
    assert np.isfinite(band.distribution).all()
    # Of rank two: the shortest solution is least squares of y on X.
    slope = np.linalg.lstsq(X, Y[:, 0], rcond=None)[0]
    np.testing.assert_allclose(band.center[:, 0], X_eval @ slope, atol=1e-8)
    # The other target's system is regular.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        regular = fastkb.KernelRidge(alpha=0.5, kernel="linear")
        alone = bootstrap_band(
            regular, X, Y[:, 1], X_eval, n_resamples=9, rng=3, scheme=schemes.Wild()
        )
    np.testing.assert_allclose(band.distribution[..., 1], alone.distribution, atol=1e-10)


def test_the_bar_counts_replicates(capsys):
    X, Y, X_eval = data()
    model = fastkb.KernelRidge(alpha=0.1, kernel="rbf")
    options = {"n_resamples": 13, "rng": 0, "scheme": schemes.Residual()}
    bootstrap_band(model, X, Y, X_eval, progress=True, **options)
    assert "13/13" in capsys.readouterr().err
