"""Bands as users see them: every replicate is the refit, whoever computed it and however."""

import copy
import doctest
import warnings
from pathlib import Path

import numba
import numpy as np
import pytest
import sklearn.kernel_ridge
import sklearn.linear_model
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.linalg import LinAlgWarning

import fastkb
from fastkb import bootstrap_band, sampling_band
from fastkb.bootstrap import band as band_module
from fastkb.bootstrap import replicates
from fastkb.random.streams import bootstrap_indices, key_from_rng
from fastkb.reference import band as reference

PROMISE = 1e-6  # of y's range
solvers = pytest.mark.parametrize("solver", ["auto", "lowrank", "cholesky"])


def data(n=60, d=1, seed=0, n_eval=11):
    rng = np.random.default_rng(seed)
    X, X_eval = rng.uniform(size=(n, d)), rng.uniform(size=(n_eval, d))
    return X, np.sin(5 * X[:, 0]) + 0.2 * rng.standard_normal(n), X_eval


def refits(model, X, y, X_eval, replicates, seed):
    """scikit-learn's KernelRidge, fitted on the duplicated rows."""
    parameters = {name: getattr(model, name) for name in model.get_params()}
    for b in replicates:
        rows = bootstrap_indices(key_from_rng(seed), b, 1, len(y))[0]
        peer = sklearn.kernel_ridge.KernelRidge(**parameters)
        yield b, peer.fit(X[rows], y[rows]).predict(X_eval)


def assert_refits(result, model, X, y, X_eval, seed=0):
    scale = np.ptp(y, axis=0)
    for b, expected in refits(model, X, y, X_eval, range(0, result.n_resamples, 6), seed):
        assert (np.abs(result.distribution[b] - expected) <= PROMISE * scale).all()
    peer = sklearn.kernel_ridge.KernelRidge(
        **{name: getattr(model, name) for name in model.get_params()}
    )
    center = peer.fit(X, y).predict(X_eval)
    assert (np.abs(result.center - center) <= PROMISE * scale).all()


@settings(max_examples=30)
@given(
    seed=st.integers(0, 2**32),
    n=st.integers(2, 80),
    d=st.integers(1, 3),
    kernel=st.sampled_from(["rbf", "laplacian", "poly", "linear", "sigmoid", "cosine"]),
    alpha=st.sampled_from([1e-3, 0.1, 10.0]),
    solver=st.sampled_from(["auto", "lowrank", "cholesky"]),
    cls=st.sampled_from([fastkb.KernelRidge, sklearn.kernel_ridge.KernelRidge]),
)
def test_every_replicate_is_a_refit(seed, n, d, kernel, alpha, solver, cls):
    X, y, X_eval = data(n, d, seed)
    if kernel == "sigmoid":
        alpha = max(alpha, 5.0)  # an indefinite kernel: smaller penalties may leave it so
    model = cls(alpha=alpha, kernel=kernel)
    result = bootstrap_band(model, X, y, X_eval, n_resamples=13, rng=seed, solver=solver)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LinAlgWarning)  # the peer's
        assert_refits(result, model, X, y, X_eval, seed)


@solvers
def test_several_targets_and_penalties(solver):
    X, y, X_eval = data()
    Y = np.stack([y, X[:, 0] ** 2, y - 3.0], axis=1)
    model = fastkb.KernelRidge(alpha=[1e-2, 1.0, 1e-2], kernel="rbf", gamma=5.0)
    result = bootstrap_band(model, X, Y, X_eval, n_resamples=20, rng=1, solver=solver)
    assert result.distribution.shape == (20, 11, 3)
    assert result.low.shape == result.center.shape == (11, 3)
    assert_refits(result, model, X, Y, X_eval, 1)


@solvers
def test_one_column_of_targets_keeps_its_axis(solver):
    X, y, X_eval = data()
    model = fastkb.KernelRidge(kernel="rbf")
    column = bootstrap_band(model, X, y[:, None], X_eval, n_resamples=5, rng=0, solver=solver)
    flat = bootstrap_band(model, X, y, X_eval, n_resamples=5, rng=0, solver=solver)
    assert column.low.shape == (11, 1)
    np.testing.assert_array_equal(column.distribution[..., 0], flat.distribution)


@solvers
def test_precomputed_kernel(solver):
    X, y, X_eval = data()
    K, cross = fastkb.rbf_kernel(X, gamma=3.0), fastkb.rbf_kernel(X_eval, X, gamma=3.0)
    before = K.copy()
    model = fastkb.KernelRidge(alpha=0.1, kernel="precomputed")
    result = bootstrap_band(model, K, y, cross, n_resamples=12, rng=2, solver=solver)
    named = fastkb.KernelRidge(alpha=0.1, kernel="rbf", gamma=3.0)
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


@solvers
@pytest.mark.parametrize("gamma", [2.0, 100.0])
def test_neither_threads_nor_chunks_change_a_bit(solver, gamma, monkeypatch):
    X, y, X_eval = data(90, n_eval=20)
    Y = np.stack([y, -y + X[:, 0]], axis=1)
    model = fastkb.KernelRidge(alpha=[0.01, 0.1], kernel="rbf", gamma=gamma)

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


def test_replicates_without_certificate_are_factorised(monkeypatch):
    X, y, X_eval = data(80)
    model = fastkb.KernelRidge(alpha=0.01, kernel="rbf", gamma=5.0)
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


@solvers
def test_without_penalty_distinct_points_are_interpolated(solver):
    X, y, _ = data(12)
    model = fastkb.KernelRidge(alpha=0.0, kernel="laplacian", gamma=5.0)
    result = bootstrap_band(model, X, y, X, n_resamples=15, rng=0, solver=solver)
    for b in range(15):
        rows = bootstrap_indices(key_from_rng(0), b, 1, 12)[0]
        np.testing.assert_allclose(result.distribution[b, rows], y[rows], atol=1e-9)
    np.testing.assert_allclose(result.center, y, atol=1e-9)
    assert result.solver == "cholesky"


def test_singular_systems_are_solved_by_least_squares_with_one_warning():
    X, y, _ = data(14)
    X[1] = X[0]  # equal inputs, unequal targets, no penalty
    model = fastkb.KernelRidge(alpha=0.0, kernel="laplacian", gamma=5.0)
    with pytest.warns(LinAlgWarning, match="singular") as caught:
        result = bootstrap_band(model, X, y, X, n_resamples=10, rng=0)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    counts = np.array([bootstrap_indices(key_from_rng(0), b, 1, 14)[0] for b in range(10)])
    both = [b for b in range(10) if {0, 1} <= set(counts[b])]
    assert both
    for b in both:
        n0, n1 = (counts[b] == 0).sum(), (counts[b] == 1).sum()
        # One input with two targets: the weighted mean of them, as least squares has it.
        expected = (n0 * y[0] + n1 * y[1]) / (n0 + n1)
        np.testing.assert_allclose(result.distribution[b, 0], expected, atol=1e-8)


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


@solvers
def test_float32_comes_back_as_float32(solver):
    X, y, X_eval = (array.astype(np.float32) for array in data())
    model = fastkb.KernelRidge(alpha=0.1, kernel="rbf")
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


@pytest.mark.parametrize("n", [1, 2, 3])
@solvers
def test_tiny_data(n, solver):
    X, y, X_eval = data(n)
    model = fastkb.KernelRidge(alpha=0.1, kernel="rbf")
    result = bootstrap_band(model, X, y, X_eval, n_resamples=30, rng=0, solver=solver)
    exact = [
        reference.refit(
            fastkb.rbf_kernel(X),
            fastkb.rbf_kernel(X_eval, X),
            y,
            0.1,
            bootstrap_indices(key_from_rng(0), b, 1, n)[0],
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
    monkeypatch.setattr(band_module, "compute_replicates", None)
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


# --- the guide ----------------------------------------------------------------------------------


def test_examples_of_the_guide():
    guide = Path(__file__).resolve().parents[2] / "docs" / "band.md"
    failures, examples = doctest.testfile(str(guide), module_relative=False, encoding="utf-8")
    assert examples > 8
    assert failures == 0


# --- fresh samples ------------------------------------------------------------------------------


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
