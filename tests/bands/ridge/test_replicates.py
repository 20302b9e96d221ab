"""Chunks, interruptions, and who computes what."""

import itertools
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
from scipy.linalg import LinAlgWarning
from sklearn.linear_model import LinearRegression

import fastkb
from fastkb import bootstrap_band
from fastkb.bands.ridge import replicates
from fastkb.bands.ridge.kernel_source import KernelSource
from fastkb.random.streams import bootstrap_counts, key_from_rng
from fastkb.reference.streams import bootstrap_indices

intercepts = pytest.mark.parametrize("fit_intercept", [False, True])


class Bar:
    def __init__(self):
        self.counts = []

    def update(self, count):
        self.counts.append(count)


@pytest.mark.parametrize("total", [1, 47, 48, 1000])
@pytest.mark.parametrize("unit", [1, 48])
def test_chunks_cover_everything_in_whole_units(total, unit):
    bar = Bar()
    chunks = list(replicates._chunks(total, unit, bar))
    assert [first for first, _ in chunks] == list(
        np.cumsum([0, *[count for _, count in chunks]])[:-1]
    )
    assert all(first % unit == 0 for first, _ in chunks)
    assert sum(count for _, count in chunks) == total
    assert bar.counts == [count for _, count in chunks]


def test_chunks_grow_to_a_quarter_of_a_second(monkeypatch):
    clock = iter(np.arange(1000) * 0.01)  # a chunk takes 10 ms, whatever its size
    monkeypatch.setattr(replicates.time, "perf_counter", lambda: next(clock))
    counts = [count for _, count in replicates._chunks(5000, 2, Bar())]
    assert counts[:3] == [2, 8, 32]
    assert max(b / a for a, b in itertools.pairwise(counts)) <= 4


def test_the_first_chunk_is_a_tenth_if_a_guess_says_how_much_that_is(monkeypatch):
    clock = iter(np.arange(1000) * 0.01)
    monkeypatch.setattr(replicates.time, "perf_counter", lambda: next(clock))
    chunks = replicates._chunks(5000, 2, Bar(), guess=0.1 * replicates._SECONDS_A_CHUNK / 3)
    assert [count for _, count in chunks][:2] == [6, 24]


def test_slow_units_are_taken_one_by_one(monkeypatch):
    clock = iter(np.arange(1000) * 10.0)
    monkeypatch.setattr(replicates.time, "perf_counter", lambda: next(clock))
    assert [count for _, count in replicates._chunks(10, 3, Bar())] == [3, 3, 3, 1]


def job(alpha=0.01, gamma=5.0, n=60, fit_intercept=False):
    rng = np.random.default_rng(0)
    X, X_eval = rng.uniform(size=(n, 1)), rng.uniform(size=(7, 1))
    y = np.sin(5 * X) + 0.2 * rng.standard_normal((n, 1))
    model = fastkb.KernelRidge(alpha=alpha, kernel="rbf", gamma=gamma, fit_intercept=fit_intercept)
    return KernelSource(model, X, X_eval), y, np.array([alpha])


@pytest.mark.parametrize("solver", ["lowrank", "cholesky"])
def test_ctrl_c_between_chunks_leaves_nothing(solver, monkeypatch):
    source, y, alpha = job()
    module, name = {
        "lowrank": (replicates.LowRank, "predict"),
        "cholesky": (replicates.cholesky, "predict"),
    }[solver]
    original = getattr(module, name)
    calls = []

    def interrupted(*arguments, **options):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(*arguments, **options)

    monkeypatch.setattr(module, name, interrupted)
    monkeypatch.setattr(replicates, "_SECONDS_A_CHUNK", 0.0)
    with pytest.raises(KeyboardInterrupt):
        replicates.compute_replicates(
            replicates.Job(source, y, alpha, key_from_rng(0), 1000), solver
        )
    assert len(calls) == 3
    # And the next call is none the worse for it.
    monkeypatch.undo()
    again = replicates.compute_replicates(
        replicates.Job(source, y, alpha, key_from_rng(0), 60), solver
    )
    assert np.isfinite(again.distribution).all()


@intercepts
def test_a_larger_basis_is_tried_before_factorisations(monkeypatch, fit_intercept):
    source, y, alpha = job(fit_intercept=fit_intercept)
    key = key_from_rng(0)
    first = replicates.compute_replicates(replicates.Job(source, y, alpha, key, 200), "lowrank")
    # Half as much error as the worst certificate: many replicates fail in the first basis.
    monkeypatch.setattr(replicates, "_LIMIT", first.error_bound * 1e-2)
    monkeypatch.setattr(replicates, "_CENTER_LIMIT", 1.0)
    second = replicates.compute_replicates(replicates.Job(source, y, alpha, key, 200), "lowrank")
    assert second.rank > first.rank
    assert second.n_exact < 200


@intercepts
def test_a_fit_that_the_kernel_contradicts_is_not_trusted(monkeypatch, fit_intercept):
    source, y, alpha = job(fit_intercept=fit_intercept)
    rows = KernelSource.rows
    # A constant added to all values would be none of the fit's concern with an intercept.
    slope = 1e-3 * np.linspace(0.0, 1.0, 60)
    monkeypatch.setattr(KernelSource, "rows", lambda self, i: rows(self, i) + slope)
    result = replicates.compute_replicates(
        replicates.Job(source, y, alpha, key_from_rng(0), 20), "lowrank"
    )
    assert result.solved_by.solver == "cholesky"
    assert "could not be certified" in result.solved_by.reason


# --- with an intercept --------------------------------------------------------------------------


solvers = pytest.mark.parametrize("solver", ["auto", "lowrank", "cholesky"])


def data(n=60, d=1):
    rng = np.random.default_rng(0)
    X, X_eval = rng.uniform(size=(n, d)), rng.uniform(size=(11, d))
    return X, np.sin(5 * X[:, 0]) + 0.2 * rng.standard_normal(n), X_eval


def test_a_line_with_a_constant_and_no_penalty_is_least_squares():
    X, y, X_eval = data(30, 2)
    model = fastkb.KernelRidge(alpha=0.0, kernel="linear", fit_intercept=True)
    with pytest.warns(LinAlgWarning, match="singular"):
        result = bootstrap_band(model, X, y + 1e3, X_eval, n_resamples=10, rng=0)
    for b in range(10):
        rows = bootstrap_indices(key_from_rng(0), b, 30)
        peer = LinearRegression().fit(X[rows], y[rows] + 1e3)
        np.testing.assert_allclose(result.distribution[b], peer.predict(X_eval), atol=1e-8)


@solvers
@pytest.mark.parametrize("value", [0.0, 0.1, 1e8])
def test_constant_targets_are_a_constant(solver, value):
    X, _, X_eval = data()
    model = fastkb.KernelRidge(alpha=0.1, kernel="rbf", fit_intercept=True)
    y = np.full(60, value)
    result = bootstrap_band(model, X, y, X_eval, n_resamples=10, rng=0, solver=solver)
    np.testing.assert_allclose(result.distribution, value, rtol=4 * np.finfo(float).eps)
    np.testing.assert_allclose(result.center, value, rtol=4 * np.finfo(float).eps)


@solvers
@pytest.mark.parametrize("scheme", [None, fastkb.schemes.Bayesian()])
def test_a_constant_goes_with_the_targets(solver, scheme):
    X, y, X_eval = data()
    y = np.round(y * 2**20) / 2**20  # so that the sums are exact
    model = fastkb.KernelRidge(alpha=0.01, kernel="rbf", gamma=5.0, fit_intercept=True)
    options = {"n_resamples": 60, "rng": 0, "solver": solver, "scheme": scheme}
    before = bootstrap_band(model, X, y, X_eval, **options)
    after = bootstrap_band(model, X, y + 2.0**27, X_eval, **options)
    # Known to half an eps of 2²⁷ when they are written down, and as much from the mean.
    tolerance = np.finfo(float).eps * 2.0**27
    for field in ("distribution", "center", "low", "high"):
        moved = getattr(after, field) - 2.0**27
        assert np.abs(moved - getattr(before, field)).max() <= tolerance


@solvers
def test_noise_around_a_constant_has_the_band_of_its_mean(solver):
    rng = np.random.default_rng(0)
    X, grid = rng.uniform(size=(200, 1)), np.linspace(0.0, 1.0, 7)[:, None]
    y = 3.0 + 0.5 * rng.standard_normal(200)
    model = fastkb.KernelRidge(alpha=1e4, kernel="rbf", gamma=10.0, fit_intercept=True)
    band = bootstrap_band(model, X, y, grid, n_resamples=500, rng=0, solver=solver)
    means = bootstrap_counts(key_from_rng(0), 0, 500, 200) @ y / 200
    low, high = np.quantile(means, [0.05, 0.95])
    # The kernel's part is at most of the order of n/λ, here 2%.
    np.testing.assert_allclose(band.high - band.low, high - low, rtol=0.05)
    np.testing.assert_allclose(band.mean, means.mean(), atol=0.05 * (high - low))


@pytest.mark.parametrize("workers", ["threads", "processes"])
@pytest.mark.parametrize("alpha", [0.1, 0.0])
@pytest.mark.filterwarnings("ignore::scipy.linalg.LinAlgWarning")
def test_factorisations_on_an_executor_are_those_of_this_process(workers, alpha):
    rng = np.random.default_rng(0)
    X, points = rng.normal(size=(40, 3)), rng.normal(size=(6, 3))
    y = np.stack([X[:, 0], X[:, 1] ** 2], axis=1)
    model = fastkb.KernelRidge(alpha=alpha, kernel="rbf", gamma=0.3)
    options = {"n_resamples": 70, "rng": 2, "solver": "cholesky"}
    expected = fastkb.bootstrap_band(model, X, y, points, **options)
    make = ThreadPoolExecutor if workers == "threads" else ProcessPoolExecutor
    settings = {} if workers == "threads" else {"mp_context": get_context("spawn")}
    with make(2, **settings) as pool:
        found = fastkb.bootstrap_band(model, X, y, points, executor=pool, **options)
    np.testing.assert_array_equal(found.distribution, expected.distribution)
    np.testing.assert_array_equal(found.center, expected.center)
