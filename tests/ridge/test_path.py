"""Leave-one-out errors over a grid: exact, weighted, and for every kernel."""

import doctest
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from fastkb import KernelRidge, kernel_ridge_path, kernels
from fastkb.reference import ridge as reference
from fastkb.ridge.grid import DEFAULT_ALPHAS
from fastkb.ridge.kernel_matrix import KernelChoice

EPS = np.finfo(float).eps


def brute_force(X, y, alphas, gammas, kernel="rbf", weight=None, **parameters):
    """Refit n times for every candidate."""
    errors = [
        [
            reference.leave_one_out_error(
                KernelChoice(kernel, gamma, **parameters).matrix(X), y, alpha, weight
            )
            for alpha in alphas
        ]
        for gamma in gammas
    ]
    return np.array(errors)


def rtol(n, alphas, scale=1.0):
    """Each residual is right to cond(K + αI) n eps of y, and cond ≤ 1 + n·max K/α (trace bound)."""
    return 20 * n * EPS * (1 + n * scale / np.min(alphas))


@given(
    n=st.integers(2, 20),
    n_targets=st.one_of(st.none(), st.integers(1, 3)),
    weighted=st.booleans(),
    kernel=st.sampled_from(["rbf", "laplacian", "poly", "linear", "cosine"]),
    n_alphas=st.sampled_from([1, 3, 8]),
    seed=st.integers(0, 2**32 - 1),
)
def test_errors_are_those_of_refitting(n, n_targets, weighted, kernel, n_alphas, seed):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, size=(n, 2))
    y = 1.0 + rng.normal(size=n if n_targets is None else (n, n_targets))
    weight = rng.uniform(0.2, 2.0, size=n) if weighted else None
    alphas = np.logspace(-2, 1, n_alphas)
    gammas = [0.3, 3.0]
    path = kernel_ridge_path(
        X, y, alphas=alphas, gammas=gammas, kernel=kernel, degree=2, sample_weight=weight
    )
    used = gammas if kernel in ("rbf", "laplacian", "poly") else [None]
    expected = brute_force(X, y, alphas, used, kernel, weight, degree=2)
    assert path.loo_errors.shape == (len(used), n_alphas, *y.shape[1:])
    # (γ xᵀx' + 1)² ≤ 49 for the widest of these, and weights up to 2.
    scale = {"poly": 49.0, "linear": 2.0}.get(kernel, 1.0) * 2.0
    spread = np.abs(y).max() ** 2 * rtol(n, alphas, scale)
    np.testing.assert_allclose(path.loo_errors, expected, rtol=rtol(n, alphas, scale), atol=spread)


def noisy_sine(n=120, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.uniform(0, 6, size=(n, 1))
    return X, np.sin(2 * X[:, 0]) + 0.1 * rng.normal(size=n)


def test_the_defaults_find_a_good_fit():
    X, y = noisy_sine()
    path = kernel_ridge_path(X, y)
    assert path.loo_errors.shape == (9, 17)
    np.testing.assert_array_equal(path.alphas, DEFAULT_ALPHAS)
    # The noise has a variance of 0.01, whose estimate from 120 rows strays by √(2/120) = 13%; a fit
    # of some ten degrees of freedom adds a tenth.
    assert 0.01 * (1 - 3 * 0.13) < path.best_error < 0.01 * (1 + 3 * 0.13 + 0.2)
    model = KernelRidge(path.best_alpha, kernel="rbf", gamma=path.best_gamma).fit(X, y)
    grid = np.linspace(0.2, 5.8, 50)[:, None]
    assert np.abs(model.predict(grid) - np.sin(2 * grid[:, 0])).max() < 0.15


def test_the_best_is_where_the_error_is_least():
    X, y = noisy_sine()
    path = kernel_ridge_path(X, y, alphas=[1e-3, 1.0, 10.0], gammas=[0.1, 1.0])
    row, column = path.best_index
    assert path.loo_errors[row, column] == path.loo_errors.min() == path.best_error
    assert (path.best_alpha, path.best_gamma) == (path.alphas[column], path.gammas[row])
    np.testing.assert_allclose(path.sigmas, [np.sqrt(5.0), np.sqrt(0.5)], rtol=4 * EPS)


def test_several_targets_are_judged_by_their_mean():
    X, y = noisy_sine()
    both = np.stack([y, 3 * y[::-1]], axis=1)
    path = kernel_ridge_path(X, both, alphas=[1e-3, 1.0], gammas=[0.1, 1.0])
    assert path.loo_errors.shape == (2, 2, 2)
    np.testing.assert_array_equal(path.mean_errors, path.loo_errors.mean(axis=2))
    for target in (0, 1):
        alone = kernel_ridge_path(X, both[:, target], alphas=[1e-3, 1.0], gammas=[0.1, 1.0])
        np.testing.assert_allclose(
            path.loo_errors[:, :, target], alone.loo_errors, rtol=rtol(120, [1e-3])
        )


def test_kernels_without_gamma_have_one_row():
    X, y = noisy_sine()
    path = kernel_ridge_path(X, y, kernel="linear", gammas=[1.0, 2.0], alphas=[0.1, 1.0])
    assert path.loo_errors.shape == (1, 2)
    assert path.gammas is None
    assert path.sigmas is None
    assert path.best_gamma is None
    poly = kernel_ridge_path(X, y, kernel="poly", alphas=[1.0])
    assert poly.gammas is None, "the kernel's own default where no candidates are given"


def test_a_precomputed_matrix_serves_and_is_left_as_it_is():
    X, y = noisy_sine(40)
    K = KernelChoice("rbf", 1.0).matrix(X)
    kept = K.copy()
    path = kernel_ridge_path(K, y, kernel="precomputed", alphas=[0.1, 1.0])
    np.testing.assert_array_equal(K, kept)
    by_name = kernel_ridge_path(X, y, alphas=[0.1, 1.0], gammas=[1.0])
    np.testing.assert_allclose(path.loo_errors, by_name.loo_errors, rtol=rtol(40, [0.1]))


def test_callables_kernel_objects_and_sparse_data_serve():
    X, y = noisy_sine(30)
    dense = kernel_ridge_path(X, y, alphas=[0.1], gammas=[1.0])
    called = kernel_ridge_path(
        X, y, alphas=[0.1], kernel=lambda a, b: float(np.exp(-np.sum((a - b) ** 2)))
    )
    sparse = kernel_ridge_path(sp.csr_array(X), y, alphas=[0.1], gammas=[1.0])
    thing = kernel_ridge_path(X, y, alphas=[0.1], kernel=kernels.RBF(np.sqrt(0.5)), gammas=[3.0])
    assert thing.gammas is None
    for other in (called, sparse, thing):
        np.testing.assert_allclose(other.loo_errors, dense.loo_errors, rtol=rtol(30, [0.1]))


def test_float32_is_computed_in_float64():
    """An error of 6e-8 in each entry of K would drown these penalties."""
    X, y = noisy_sine(60)
    X, y = X.astype("f4"), y.astype("f4")
    single = kernel_ridge_path(X, y, alphas=[1e-6], gammas=[1.0])
    double = kernel_ridge_path(X.astype("f8"), y.astype("f8"), alphas=[1e-6], gammas=[1.0])
    np.testing.assert_array_equal(single.loo_errors, double.loo_errors)


def test_weights_of_zero_take_rows_out_of_everything():
    X, y = noisy_sine(40)
    weight = np.ones(40)
    weight[::4] = 0.0
    path = kernel_ridge_path(X, y, sample_weight=weight)
    rest = kernel_ridge_path(X[weight > 0], y[weight > 0])
    np.testing.assert_array_equal(path.gammas, rest.gammas)
    large = rest.alphas >= 1e-3
    np.testing.assert_allclose(
        path.loo_errors[:, large], rest.loo_errors[:, large], rtol=rtol(40, [1e-3])
    )


def test_scaling_the_targets_scales_the_errors():
    X, y = noisy_sine(50)
    plain = kernel_ridge_path(X, y)
    scaled = kernel_ridge_path(X, 4.0 * y)
    # A power of two is exact in every operation.
    np.testing.assert_array_equal(scaled.loo_errors, 16.0 * plain.loo_errors)
    assert scaled.best_index == plain.best_index


def test_more_rows_than_one_thread_takes_and_the_median_sees():
    n = 1500
    X, y = noisy_sine(n)
    path = kernel_ridge_path(X, y, alphas=[1e-3, 1e-1])
    assert set(path.solvers) == {"lowrank"}
    assert len(path.reasons) == 9
    # 0.01 and three standard deviations of its estimate from n rows, and some degrees of freedom.
    assert abs(path.best_error / 0.01 - 1) < 3 * np.sqrt(2 / n) + 30 / n


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"alphas": [0.0, 1.0]}, ValueError, r"alphas must be finite and positive.*alphas\[0\]=0"),
        ({"alphas": []}, ValueError, "alphas must be a vector of at least one number"),
        ({"gammas": [-1.0]}, ValueError, r"gammas must be finite and at least 0.*gammas\[0\]=-1"),
        ({"kernel": "bf"}, ValueError, "did you mean 'rbf'"),
        ({"degree": "2"}, TypeError, "degree must be"),
        ({"sample_weight": [1.0]}, ValueError, r"sample_weight has shape \(1,\)"),
        ({"sample_weight": [1.0] + [0.0] * 9}, ValueError, "at least 2 must have a positive"),
        ({"X": np.full((10, 1), np.nan)}, ValueError, "NaN"),
        ({"y": np.arange(9.0)}, ValueError, "inconsistent"),
        ({"X": np.ones((1, 1)), "y": [1.0]}, ValueError, "minimum of 2"),
    ],
)
def test_bad_input_is_refused(changes, error, words):
    arguments = {"X": np.arange(10.0)[:, None], "y": np.arange(10.0), **changes}
    with pytest.raises(error, match=words):
        kernel_ridge_path(arguments.pop("X"), arguments.pop("y"), **arguments)


def test_no_finite_error_anywhere_is_an_error():
    K = np.diag([-1.0, 1.0, 2.0])
    with pytest.raises(np.linalg.LinAlgError, match=r"no candidate"):
        kernel_ridge_path(K, np.ones(3), kernel="precomputed", alphas=[1.0] * 10)


def test_an_error_on_the_way_gives_the_threads_of_blas_back():
    from threadpoolctl import threadpool_info

    from fastkb.ridge.path import errors_over_grid

    X, y = noisy_sine(20)
    before = [library["num_threads"] for library in threadpool_info()]

    def visit(index, residuals):
        raise RuntimeError("no such luck")

    # The error is kept, and with it the frames that it went through.
    with pytest.raises(RuntimeError, match=r"no such luck") as kept:
        errors_over_grid(KernelChoice("rbf"), X, y, np.ones(3), np.ones(40), None, visit)
    assert [library["num_threads"] for library in threadpool_info()] == before
    assert kept.tb is not None


def test_the_guide_runs_as_it_stands():
    guide = Path(__file__).resolve().parents[2] / "docs" / "ridge.md"
    failed, tried = doctest.testfile(str(guide), module_relative=False, encoding="utf-8")
    assert tried >= 10
    assert not failed
