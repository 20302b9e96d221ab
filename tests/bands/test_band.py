"""Bands as users see them: every replicate is the refit, whoever computed it and however."""

import copy
import doctest
import warnings
from functools import partial
from pathlib import Path

import numba
import numpy as np
import pandas as pd
import pytest
import sklearn.kernel_ridge
import sklearn.linear_model
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.linalg import LinAlgWarning
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastkb
from fastkb import bootstrap_band
from fastkb.bands.ridge import replicates
from fastkb.random.streams import bootstrap_counts, key_from_rng
from fastkb.reference import band as reference
from fastkb.reference.streams import bootstrap_indices

PROMISE = 1e-6  # of y's range
solvers = pytest.mark.parametrize("solver", ["auto", "lowrank", "cholesky"])
intercepts = pytest.mark.parametrize("fit_intercept", [False, True])


def data(n=60, d=1, seed=0, n_eval=11):
    rng = np.random.default_rng(seed)
    X, X_eval = rng.uniform(size=(n, d)), rng.uniform(size=(n_eval, d))
    return X, np.sin(5 * X[:, 0]) + 0.2 * rng.standard_normal(n), X_eval


def refit(model, X, y, X_eval, weights):
    """scikit-learn's KernelRidge; plain NumPy where a constant is fitted, which that knows nothing of."""
    parameters = model.get_params()
    assert parameters.pop("device", "cpu") == "cpu"
    if not parameters.pop("fit_intercept", False):
        peer = sklearn.kernel_ridge.KernelRidge(**parameters)
        used = weights > 0
        return peer.fit(X[used], y[used], sample_weight=weights[used]).predict(X_eval)
    K, cross = model._get_kernel(X), model._get_kernel(X_eval, X)
    targets = y.reshape(len(y), -1)
    fits = [
        reference.weighted_fit(K, cross, target, alpha, weights, True)
        for target, alpha in zip(
            targets.T, np.broadcast_to(model.alpha, targets.shape[1]), strict=True
        )
    ]
    return np.stack(fits, axis=1).reshape(-1, *y.shape[1:])


def assert_refits(result, model, X, y, X_eval, seed=0, scheme=None):
    scale = np.ptp(y, axis=0)
    replicates = range(0, result.n_resamples, 6)
    for b in replicates:
        if scheme is None:
            weights = bootstrap_counts(key_from_rng(seed), b, 1, len(y))[0]
        else:
            weights = scheme.prepare([y.T], True).counts(key_from_rng(seed), b, 1)[0]
        expected = refit(model, X, y, X_eval, weights.astype(float))
        assert (np.abs(result.distribution[b] - expected) <= PROMISE * scale).all()
    center = refit(model, X, y, X_eval, np.ones(len(y)))
    assert (np.abs(result.center - center) <= PROMISE * scale).all()


KernelRidgeWithConstant = partial(fastkb.KernelRidge, fit_intercept=True)


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32),
    n=st.integers(2, 80),
    d=st.integers(1, 3),
    kernel=st.sampled_from(["rbf", "laplacian", "poly", "linear", "sigmoid", "cosine"]),
    alpha=st.sampled_from([1e-3, 0.1, 10.0]),
    solver=st.sampled_from(["auto", "lowrank", "cholesky"]),
    cls=st.sampled_from(
        [fastkb.KernelRidge, sklearn.kernel_ridge.KernelRidge, KernelRidgeWithConstant]
    ),
    unit=st.sampled_from([1.0, 1e-9]),
    offset=st.sampled_from([0.0, 1e6]),
)
def test_every_replicate_is_a_refit(seed, n, d, kernel, alpha, solver, cls, unit, offset):
    X, y, X_eval = data(n, d, seed)
    y *= unit
    if cls is KernelRidgeWithConstant:
        y += offset * unit
    if kernel == "sigmoid":
        alpha = max(alpha, 5.0)  # an indefinite kernel: smaller penalties may leave it so
    model = cls(alpha=alpha, kernel=kernel)
    result = bootstrap_band(model, X, y, X_eval, n_resamples=13, rng=seed, solver=solver)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LinAlgWarning)  # the peer's
        assert_refits(result, model, X, y, X_eval, seed)


@intercepts
@solvers
def test_several_targets_and_penalties(solver, fit_intercept):
    X, y, X_eval = data()
    Y = np.stack([y, X[:, 0] ** 2, y - 3.0], axis=1)
    model = fastkb.KernelRidge(
        alpha=[1e-2, 1.0, 1e-2], kernel="rbf", gamma=5.0, fit_intercept=fit_intercept
    )
    result = bootstrap_band(model, X, Y, X_eval, n_resamples=20, rng=1, solver=solver)
    assert result.distribution.shape == (20, 11, 3)
    assert result.low.shape == result.center.shape == (11, 3)
    assert_refits(result, model, X, Y, X_eval, 1)


@intercepts
@pytest.mark.parametrize(
    "scheme", [fastkb.schemes.Bayesian(), fastkb.schemes.Clusters(np.arange(60) // 4)]
)
def test_weights_of_schemes(scheme, fit_intercept):
    X, y, X_eval = data()
    Y = np.stack([y, 1e-6 * y, y + 1e6], axis=1)
    model = fastkb.KernelRidge(
        alpha=[0.1, 0.1, 2.0], kernel="rbf", gamma=5.0, fit_intercept=fit_intercept
    )
    result = bootstrap_band(model, X, Y, X_eval, n_resamples=20, rng=1, scheme=scheme)
    assert_refits(result, model, X, Y, X_eval, 1, scheme)


@solvers
def test_one_column_of_targets_keeps_its_axis(solver):
    X, y, X_eval = data()
    model = fastkb.KernelRidge(kernel="rbf")
    column = bootstrap_band(model, X, y[:, None], X_eval, n_resamples=5, rng=0, solver=solver)
    flat = bootstrap_band(model, X, y, X_eval, n_resamples=5, rng=0, solver=solver)
    assert column.low.shape == (11, 1)
    np.testing.assert_array_equal(column.distribution[..., 0], flat.distribution)


@intercepts
@solvers
def test_precomputed_kernel(solver, fit_intercept):
    X, y, X_eval = data()
    K, cross = fastkb.rbf_kernel(X, gamma=3.0), fastkb.rbf_kernel(X_eval, X, gamma=3.0)
    before = K.copy()
    cls = partial(fastkb.KernelRidge, alpha=0.1, fit_intercept=fit_intercept)
    result = bootstrap_band(
        cls(kernel="precomputed"), K, y, cross, n_resamples=12, rng=2, solver=solver
    )
    named = cls(kernel="rbf", gamma=3.0)
    same = bootstrap_band(named, X, y, X_eval, n_resamples=12, rng=2, solver=solver)
    assert np.abs(result.distribution - same.distribution).max() <= PROMISE * np.ptp(y)
    assert result.solver == "cholesky"
    np.testing.assert_array_equal(K, before)


def test_callable_and_sparse():
    X, y, X_eval = data(30)
    by_rows = fastkb.KernelRidge(alpha=0.1, kernel=lambda a, b: (1 + a @ b) ** 2)
    result = bootstrap_band(by_rows, X, y, X_eval, n_resamples=6, rng=0)
    assert_refits(result, by_rows, X, y, X_eval)
    model = fastkb.KernelRidge(alpha=0.1, kernel="rbf")
    thin = bootstrap_band(
        model, sparse.csr_matrix(X), y, sparse.csr_matrix(X_eval), n_resamples=6, rng=0
    )
    dense = bootstrap_band(model, X, y, X_eval, n_resamples=6, rng=0)
    np.testing.assert_allclose(thin.distribution, dense.distribution, atol=PROMISE * np.ptp(y))


def test_the_band_is_the_percentiles():
    X, y, X_eval = data()
    model = fastkb.KernelRidge(alpha=0.1, kernel="rbf", gamma=5.0)
    result = bootstrap_band(model, X, y, X_eval, n_resamples=101, confidence_level=0.8, rng=0)
    low, high = reference.percentiles(result.distribution, 0.8)
    np.testing.assert_allclose(result.low, low, rtol=1e-12)
    np.testing.assert_allclose(result.high, high, rtol=1e-12)
    np.testing.assert_allclose(result.mean, result.distribution.mean(axis=0), rtol=1e-12)
    interval = result.interval(0.8)
    np.testing.assert_array_equal(interval, [result.low, result.high])
    assert result.confidence_level == 0.8


# --- reproducibility ----------------------------------------------------------------------------


@solvers
def test_replicates_are_addressed_by_seed_and_number(solver):
    X, y, X_eval = data()
    model = fastkb.KernelRidge(alpha=0.01, kernel="rbf", gamma=5.0)

    def draw(n_resamples, rng=7):
        band = bootstrap_band(model, X, y, X_eval, n_resamples=n_resamples, rng=rng, solver=solver)
        return band.distribution

    many = draw(120)
    for n_resamples in (1, 47, 48, 49, 97):
        np.testing.assert_array_equal(draw(n_resamples), many[:n_resamples])
    np.testing.assert_array_equal(draw(5, np.random.SeedSequence(7)), many[:5])
    assert (draw(5, 8) != many[:5]).any()
    generator = np.random.default_rng(7)
    assert (draw(5, generator) != draw(5, generator)).any()
    assert (draw(5, None) != draw(5, None)).any()


@intercepts
@solvers
@pytest.mark.parametrize("gamma", [2.0, 100.0])
def test_neither_threads_nor_chunks_change_a_bit(solver, gamma, fit_intercept, monkeypatch):
    X, y, X_eval = data(90, n_eval=20)
    Y = np.stack([y, -y + X[:, 0]], axis=1)
    model = fastkb.KernelRidge(
        alpha=[0.01, 0.1], kernel="rbf", gamma=gamma, fit_intercept=fit_intercept
    )

    def run():
        return bootstrap_band(model, X, Y, X_eval, n_resamples=200, rng=3, solver=solver)

    expected = run()
    before = numba.get_num_threads()
    for n_threads, seconds in ((before, 0.0), (1, 0.0), (1, 0.25), (1, 1e9)):
        monkeypatch.setattr(replicates, "_SECONDS_A_CHUNK", seconds)
        try:
            numba.set_num_threads(n_threads)
            result = run()
        finally:
            numba.set_num_threads(before)
        for field in ("distribution", "center", "mean", "low", "high"):
            np.testing.assert_array_equal(getattr(result, field), getattr(expected, field))
        assert (result.solver, result.rank) == (expected.solver, expected.rank)
        assert result.error_bound == expected.error_bound


# --- solvers ------------------------------------------------------------------------------------


def test_auto_chooses_by_the_kernels_rank():
    X, y, X_eval = data(300)
    smooth = fastkb.KernelRidge(alpha=0.01, kernel="rbf", gamma=1.0)
    rough = fastkb.KernelRidge(alpha=0.01, kernel="laplacian", gamma=5.0)
    low = bootstrap_band(smooth, X, y, X_eval, n_resamples=100, rng=0)
    whole = bootstrap_band(rough, X, y, X_eval, n_resamples=100, rng=0)
    assert (low.solver, whole.solver) == ("lowrank", "cholesky")
    assert low.rank < 30
    assert whole.rank is None
    assert low.error_bound < PROMISE
    assert "rank" in low.reason
    assert "rank" in whole.reason


@intercepts
def test_replicates_without_certificate_are_factorised(monkeypatch, fit_intercept):
    X, y, X_eval = data(80)
    model = fastkb.KernelRidge(alpha=0.01, kernel="rbf", gamma=5.0, fit_intercept=fit_intercept)
    exact = bootstrap_band(model, X, y, X_eval, n_resamples=200, rng=0, solver="cholesky")
    for scale, low, high in ((0.5, 1, 199), (0.0, 200, 200)):
        # A limit that the basis was not made for: some, or all, replicates exceed it.
        certified = bootstrap_band(model, X, y, X_eval, n_resamples=200, rng=0, solver="lowrank")
        limit = scale * certified.error_bound
        monkeypatch.setattr(replicates, "_LIMIT", limit)
        monkeypatch.setattr(replicates, "_ATTEMPTS", 1)
        monkeypatch.setattr(replicates, "_CENTER_LIMIT", 1.0)
        result = bootstrap_band(model, X, y, X_eval, n_resamples=200, rng=0, solver="lowrank")
        monkeypatch.undo()
        assert low <= result.n_exact <= high
        repaired = np.isclose(result.distribution, exact.distribution, rtol=0, atol=0).all(axis=1)
        assert repaired.sum() >= result.n_exact
        assert np.abs(result.distribution - exact.distribution).max() <= PROMISE * np.ptp(y)


@intercepts
@solvers
def test_without_penalty_distinct_points_are_interpolated(solver, fit_intercept):
    X, y, _ = data(12)
    model = fastkb.KernelRidge(
        alpha=0.0, kernel="laplacian", gamma=5.0, fit_intercept=fit_intercept
    )
    result = bootstrap_band(model, X, y, X, n_resamples=15, rng=0, solver=solver)
    for b in range(15):
        rows = bootstrap_indices(key_from_rng(0), b, 12)
        np.testing.assert_allclose(result.distribution[b, rows], y[rows], atol=1e-9)
    np.testing.assert_allclose(result.center, y, atol=1e-9)
    assert result.solver == "cholesky"


@intercepts
def test_singular_systems_are_solved_by_least_squares_with_one_warning(fit_intercept):
    X, y, _ = data(14)
    X[1] = X[0]  # equal inputs, unequal targets, no penalty
    model = fastkb.KernelRidge(
        alpha=0.0, kernel="laplacian", gamma=5.0, fit_intercept=fit_intercept
    )
    with pytest.warns(LinAlgWarning, match="singular") as caught:
        result = bootstrap_band(model, X, y, X, n_resamples=10, rng=0)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    counts = np.array([bootstrap_indices(key_from_rng(0), b, 14) for b in range(10)])
    both = [b for b in range(10) if {0, 1} <= set(counts[b])]
    assert both
    for b in both:
        n0, n1 = (counts[b] == 0).sum(), (counts[b] == 1).sum()
        # One input with two targets: the weighted mean of them, as least squares has it.
        expected = (n0 * y[0] + n1 * y[1]) / (n0 + n1)
        np.testing.assert_allclose(result.distribution[b, 0], expected, atol=1e-8)
        # And elsewhere what the estimator makes of the rows with their counts.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LinAlgWarning)
            peer = fastkb.KernelRidge(**model.get_params())
            peer.fit(X, y, sample_weight=np.bincount(counts[b], minlength=14))
        np.testing.assert_allclose(result.distribution[b], peer.predict(X), atol=1e-8)


@intercepts
@pytest.mark.parametrize("kernel", ["rbf", "linear", "laplacian", "poly"])
def test_rows_in_three_copies_and_no_penalty_are_their_means(kernel, fit_intercept):
    """Equal rows leave a pivot of either sign, of rounding errors alone."""
    rng = np.random.default_rng(0)
    X, y = np.repeat(rng.normal(size=(5, 2)), 3, axis=0), rng.normal(size=15)
    points = X[::3] + 0.1
    model = fastkb.KernelRidge(0.0, kernel=kernel, fit_intercept=fit_intercept)
    with pytest.warns(LinAlgWarning, match="501 of 501 systems") as caught:
        result = bootstrap_band(model, X, y, points, n_resamples=500, rng=0)
    assert len(caught) == 1
    for b in range(0, 500, 25):
        counts = np.bincount(bootstrap_indices(key_from_rng(0), b, 15), minlength=15)
        groups = counts.reshape(5, 3).sum(axis=1)
        means = (counts * y).reshape(5, 3).sum(axis=1)[groups > 0] / groups[groups > 0]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LinAlgWarning)
            peer = fastkb.KernelRidge(**model.get_params()).fit(
                X[::3][groups > 0], means, groups[groups > 0]
            )
        np.testing.assert_allclose(
            result.distribution[b], peer.predict(points), rtol=1e-6, atol=1e-6
        )


@pytest.mark.parametrize("solver", ["auto", "lowrank", "cholesky"])
@intercepts
def test_a_kernel_of_zeros_has_the_band_of_a_constant(solver, fit_intercept):
    y = np.arange(12.0)
    model = fastkb.KernelRidge(1.0, kernel="linear", fit_intercept=fit_intercept)
    result = bootstrap_band(
        model, np.zeros((12, 2)), y, np.zeros((3, 2)), n_resamples=20, rng=0, solver=solver
    )
    counts = [np.bincount(bootstrap_indices(key_from_rng(0), b, 12)) for b in range(20)]
    means = [count @ y[: len(count)] / 12 * fit_intercept for count in counts]
    np.testing.assert_allclose(result.distribution, np.repeat(means, 3).reshape(20, 3), atol=1e-12)


# --- what goes in and out -----------------------------------------------------------------------


@solvers
def test_inputs_and_estimator_are_left_alone(solver):
    X, y, X_eval = data()
    arrays = [X, y, X_eval]
    copies = copy.deepcopy(arrays)
    for array in arrays:
        array.flags.writeable = False
    model = fastkb.KernelRidge(alpha=0.1, kernel="rbf")
    before = dict(vars(model))
    result = bootstrap_band(model, X, y, X_eval, n_resamples=5, rng=0, solver=solver)
    for array, saved in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, saved)
    assert vars(model) == before
    assert not np.shares_memory(result.x, X_eval) or not result.x.flags.writeable
    strided = bootstrap_band(
        model,
        np.asfortranarray(X)[::-1][::-1],
        np.repeat(y, 2)[::2],
        X_eval.astype(">f8"),
        n_resamples=5,
        rng=0,
        solver=solver,
    )
    np.testing.assert_array_equal(strided.distribution, result.distribution)


@intercepts
@solvers
def test_float32_comes_back_as_float32(solver, fit_intercept):
    X, y, X_eval = (array.astype(np.float32) for array in data())
    y += 1e4 * fit_intercept
    model = fastkb.KernelRidge(alpha=0.1, kernel="rbf", fit_intercept=fit_intercept)
    single = bootstrap_band(model, X, y, X_eval, n_resamples=9, rng=0, solver=solver)
    wide = [array.astype(np.float64) for array in (X, y, X_eval)]
    double = bootstrap_band(model, *wide, n_resamples=9, rng=0, solver=solver)
    for field in ("distribution", "center", "mean", "low", "high"):
        assert getattr(single, field).dtype == np.float32
        assert getattr(double, field).dtype == np.float64
        expected = getattr(double, field).astype(np.float32)
        np.testing.assert_array_equal(getattr(single, field), expected)


def test_without_the_distribution():
    X, y, X_eval = data()
    model = fastkb.KernelRidge(alpha=0.1, kernel="rbf")
    kept = bootstrap_band(model, X, y, X_eval, n_resamples=20, rng=0)
    dropped = bootstrap_band(model, X, y, X_eval, n_resamples=20, rng=0, keep_distribution=False)
    assert dropped.distribution is None
    np.testing.assert_array_equal(dropped.low, kept.low)


def test_fitted_estimators_are_fine():
    X, y, X_eval = data()
    model = sklearn.kernel_ridge.KernelRidge(alpha=0.1, kernel="rbf").fit(X, y)
    result = bootstrap_band(model, X, y, X_eval, n_resamples=3, rng=0)
    np.testing.assert_allclose(result.center, model.predict(X_eval), atol=PROMISE * np.ptp(y))


@intercepts
@pytest.mark.parametrize("n", [1, 2, 3])
@solvers
def test_tiny_data(n, solver, fit_intercept):
    X, y, X_eval = data(n)
    model = fastkb.KernelRidge(alpha=0.1, kernel="rbf", fit_intercept=fit_intercept)
    result = bootstrap_band(model, X, y, X_eval, n_resamples=30, rng=0, solver=solver)
    exact = [
        reference.refit(
            fastkb.rbf_kernel(X),
            fastkb.rbf_kernel(X_eval, X),
            y,
            0.1,
            bootstrap_indices(key_from_rng(0), b, n),
            fit_intercept,
        )
        for b in range(30)
    ]
    np.testing.assert_allclose(result.distribution, exact, atol=PROMISE * np.abs(y).max())


def test_constant_targets():
    X, _, X_eval = data()
    for value in (0.0, 3.0):
        model = fastkb.KernelRidge(alpha=0.1, kernel="rbf")
        result = bootstrap_band(model, X, np.full(60, value), X_eval, n_resamples=10, rng=0)
        exact = bootstrap_band(
            model, X, np.full(60, value), X_eval, n_resamples=10, rng=0, solver="cholesky"
        )
        np.testing.assert_allclose(result.distribution, exact.distribution, atol=1e-6 * value)


def test_bad_input_is_refused_before_any_work(monkeypatch):
    X, y, X_eval = data()
    monkeypatch.setattr("fastkb.bands.ridge.ridge_band.compute_replicates", None)
    model = fastkb.KernelRidge(kernel="rbf")
    for arguments, options, error in (
        ((sklearn.linear_model.Ridge, X, y, X_eval), {}, TypeError),
        ((model, X, y, X_eval), {"scheme": fastkb.schemes.MOutOfN(5)}, ValueError),
        ((model, X, y, X_eval), {"scheme": fastkb.schemes.Wild(), "out_of_bag": True}, ValueError),
        ((model, X, y, X_eval), {"response_method": "predict_proba"}, ValueError),
        ((model, X, y, X_eval), {"checkpoint": "a.npz"}, ValueError),
        ((model, X[:, 0], y, X_eval), {}, ValueError),
        ((model, X, y[:-1], X_eval), {}, ValueError),
        ((model, X, y, X_eval[:, [0, 0]]), {}, ValueError),
        ((model, X, y, X_eval), {"n_resamples": 0}, ValueError),
        ((model, X, y, X_eval), {"confidence_level": 90}, ValueError),
        ((model, X, y, X_eval), {"rng": "0"}, TypeError),
        ((model, X, y, X_eval), {"solver": "fast"}, ValueError),
        ((fastkb.KernelRidge(alpha=[1.0, 2.0]), X, y, X_eval), {}, ValueError),
    ):
        with pytest.raises(error):
            bootstrap_band(*arguments, **options)


@solvers
def test_progress_bar(solver, capsys):
    X, y, X_eval = data()
    model = fastkb.KernelRidge(alpha=0.1, kernel="rbf")
    bootstrap_band(model, X, y, X_eval, n_resamples=20, rng=0, solver=solver, progress=True)
    captured = capsys.readouterr()
    assert "20/20" in captured.err
    assert captured.out == ""
    bootstrap_band(model, X, y, X_eval, n_resamples=20, rng=0, solver=solver)
    assert capsys.readouterr().err == ""


# --- statistics ---------------------------------------------------------------------------------


def test_bands_of_a_known_function_cover_it():
    # With little smoothing bias, a pointwise 90% band covers the truth at about 90% of the points.
    rng = np.random.default_rng(0)
    grid = np.linspace(0.1, 0.9, 9)[:, None]
    model = fastkb.KernelRidge(alpha=0.05, kernel="rbf", gamma=20.0)
    covered = []
    for seed in range(60):
        X = rng.uniform(size=(200, 1))
        y = np.sin(5 * X[:, 0]) + 0.3 * rng.standard_normal(200)
        band = bootstrap_band(model, X, y, grid, n_resamples=200, rng=seed)
        truth = np.sin(5 * grid[:, 0])
        covered.append((band.low <= truth) & (truth <= band.high))
    # 540 indicators, correlated along each curve: a standard error of about 0.02.
    assert 0.80 <= np.mean(covered) <= 0.96


# --- the guide ----------------------------------------------------------------------------------


def test_examples_of_the_guide():
    guide = Path(__file__).resolve().parents[2] / "docs" / "band.md"
    failures, examples = doctest.testfile(str(guide), module_relative=False, encoding="utf-8")
    assert examples > 8
    assert failures == 0


# --- models that look like kernel ridge regressions, and columns by their names ---------------------


class AroundTheMean(fastkb.KernelRidge):
    """Subtracts the mean of y, and adds it again."""

    def fit(self, X, y, sample_weight=None):
        weight = np.ones(len(y)) if sample_weight is None else sample_weight
        self.mean_ = np.average(y, weights=weight)
        return super().fit(X, y - self.mean_, sample_weight)

    def predict(self, X):
        return super().predict(X) + self.mean_


class SearchAroundTheMean(fastkb.KernelRidgeCV):
    def predict(self, X):
        return super().predict(X) + 7.0


@pytest.mark.parametrize("kind", ["percentile", "simultaneous", "prediction"])
def test_a_subclass_has_the_band_of_what_it_predicts(kind):
    X, y = np.arange(6.0)[:, None], np.array([10.0, 11.0] * 3)
    model = AroundTheMean(0.1, kernel="rbf", gamma=1.0)
    band = fastkb.bootstrap_band(model, X, y, [[100.0]], n_resamples=20, rng=0, kind=kind)
    assert band.center[0] == pytest.approx(10.5)
    assert 9.5 < band.mean[0] < 11.5
    search = SearchAroundTheMean(kernel="rbf", gammas=[1.0])
    band = fastkb.bootstrap_band(search, X, y, [[100.0]], n_resamples=20, rng=0, kind=kind)
    assert band.center[0] == pytest.approx(7.0)


def test_a_subclass_has_no_band_that_knows_another_model():
    X, y = np.arange(6.0)[:, None], np.array([10.0, 11.0] * 3)
    models = {
        "lowrank": AroundTheMean(0.1, kernel="rbf"),
        "search": SearchAroundTheMean(kernel="rbf"),
    }
    for solver, model in models.items():
        with pytest.raises(ValueError, match="kind='confidence' is for KernelRidge"):
            fastkb.bootstrap_band(model, X, y, X, kind="confidence")
        with pytest.raises(ValueError, match="solver="):
            fastkb.bootstrap_band(model, X, y, X, solver=solver)


def test_a_pipeline_says_that_it_is_refitted_by_itself():
    X = np.random.default_rng(0).normal(size=(30, 1))
    ridge = fastkb.KernelRidge(0.1, kernel="rbf")
    with pytest.warns(UserWarning, match="give the regression alone") as caught:
        band = fastkb.bootstrap_band(
            make_pipeline(StandardScaler(), ridge), X, X[:, 0], X[:3], n_resamples=5, rng=0
        )
    assert caught[0].filename == __file__
    assert band.distribution.shape == (5, 3)


@pytest.mark.parametrize("model", [fastkb.KernelRidge(0.1, kernel="rbf"), LinearRegression()])
def test_columns_have_the_same_names_in_the_same_order(model, tmp_path):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(30, 2)), columns=["a", "b"])
    y = pd.Series(X["a"] - X["b"], name="c")
    with pytest.raises(ValueError, match="must be in the same order as they are in X"):
        fastkb.bootstrap_band(model, X, y, X[["b", "a"]], n_resamples=5, rng=0)
    options = {"n_resamples": 5, "rng": 0, "checkpoint": tmp_path / "band.npz"}
    band = fastkb.bootstrap_band(model, X, y, X[:3], **options)
    assert (band.x_names, band.y_names) == (("a", "b"), ("c",))
    turned = X.set_axis(["b", "a"], axis=1)
    with pytest.raises(ValueError, match="belongs to another job"):
        fastkb.bootstrap_band(model, turned, y, turned[:3], **options)


def test_columns_of_an_estimator_have_the_names_of_fit():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(30, 2)), columns=["a", "b"])
    for model in (fastkb.KernelRidge(0.1), fastkb.KernelRidgeCV(gammas=[1.0])):
        model.fit(X, X["a"])
        with pytest.raises(ValueError, match="in the same order as they were in fit"):
            model.predict(X[["b", "a"]])
        with pytest.raises(ValueError, match="should match those that were passed during fit"):
            model.predict(X.rename(columns={"b": "c"}))
