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
from fastkb.ridge.kernel_matrix import KernelChoice
from fastkb.ridge.selection.grid import DEFAULT_ALPHAS

EPS = np.finfo(float).eps


def over_grid(function, X, y, alphas, gammas, kernel="rbf", *, data=(), **parameters):
    """A function of the reference for every candidate."""
    return np.array(
        [
            [
                function(KernelChoice(kernel, gamma, **parameters).matrix(X), y, alpha, *data)
                for alpha in alphas
            ]
            for gamma in gammas
        ]
    )


def rtol(n, alphas, scale=1.0):
    """Each residual is right to cond(K + αI) n eps of y, and cond ≤ 1 + n·max K/α (trace bound)."""
    return 20 * n * EPS * (1 + n * scale / np.min(alphas))


@given(
    n=st.integers(2, 20),
    n_targets=st.one_of(st.none(), st.integers(1, 3)),
    weighted=st.booleans(),
    kernel=st.sampled_from(["rbf", "laplacian", "poly", "linear", "cosine"]),
    n_alphas=st.sampled_from([1, 3, 8]),
    fit_intercept=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_errors_and_likelihoods_are_those_of_the_definition(
    n, n_targets, weighted, kernel, n_alphas, fit_intercept, seed
):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, size=(n, 2))
    y = 1.0 + rng.normal(size=n if n_targets is None else (n, n_targets))
    weight = rng.uniform(0.2, 2.0, size=n) if weighted else None
    alphas = np.logspace(-2, 1, n_alphas)
    gammas = [0.3, 3.0]
    path = kernel_ridge_path(
        X,
        y,
        alphas=alphas,
        gammas=gammas,
        kernel=kernel,
        degree=2,
        sample_weight=weight,
        fit_intercept=fit_intercept,
    )
    used = gammas if kernel in ("rbf", "laplacian", "poly") else [None]
    data = (weight, fit_intercept)
    grid = (X, y, alphas, used, kernel)
    expected = over_grid(reference.leave_one_out_error, *grid, data=data, degree=2)
    likelihoods = over_grid(reference.restricted_likelihood, *grid, data=data, degree=2)
    assert path.loo_errors.shape == path.reml.shape == (len(used), n_alphas, *y.shape[1:])
    # (γ xᵀx' + 1)² ≤ 49 for the widest of these, and weights up to 2.
    scale = {"poly": 49.0, "linear": 2.0}.get(kernel, 1.0) * 2.0
    spread = np.abs(y).max() ** 2 * rtol(n, alphas, scale)
    np.testing.assert_allclose(path.loo_errors, expected, rtol=rtol(n, alphas, scale), atol=spread)
    # Logarithms of sums that are right to the same relative error, n of them.
    near = 10 * n * rtol(n, alphas, scale)
    np.testing.assert_allclose(path.reml, likelihoods, rtol=0, atol=near)


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


@pytest.mark.parametrize("criterion", ["loo", "reml"])
def test_with_an_intercept_an_offset_of_the_targets_leaves_no_trace(criterion):
    X, y = noisy_sine(50)
    y = np.rint(64 * y) / 64  # exact beside the offset
    options = {"fit_intercept": True, "criterion": criterion, "alphas": [1e-3, 0.1, 10.0]}
    plain, moved = (kernel_ridge_path(X, y + offset, **options) for offset in (0.0, 2.0**27))
    assert moved.best_index == plain.best_index
    np.testing.assert_allclose(moved.loo_errors, plain.loo_errors, rtol=rtol(50, [1e-3]))
    np.testing.assert_allclose(moved.reml, plain.reml, rtol=0, atol=50 * rtol(50, [1e-3]))
    # Without one it matters very much.
    assert kernel_ridge_path(X, y + 2.0**27).best_error > 1e3 * moved.best_error


def test_the_criterion_chooses_and_the_other_is_there_to_compare():
    X, y = noisy_sine(60)
    grid = {"alphas": np.logspace(-4, 2, 13), "gammas": [0.03, 0.3, 3.0, 30.0]}
    loo = kernel_ridge_path(X, y, **grid)
    reml = kernel_ridge_path(X, y, criterion="reml", **grid)
    np.testing.assert_array_equal(reml.loo_errors, loo.loo_errors)
    np.testing.assert_array_equal(reml.reml, loo.reml)
    assert (loo.criterion, reml.criterion) == ("loo", "reml")
    assert loo.mean_errors[loo.best_index] == loo.loo_errors.min() == loo.best_error
    assert reml.reml[reml.best_index] == reml.reml.min()
    assert reml.best_error == reml.loo_errors[reml.best_index] >= loo.best_error
    # Both find a function whose bandwidth is of the order of the sine's.
    assert {loo.best_gamma, reml.best_gamma} <= {0.3, 3.0}


def test_likelihoods_of_several_targets_add_up():
    X, y = noisy_sine(60)
    both = np.stack([y, np.random.default_rng(1).normal(size=60)], axis=1)
    path = kernel_ridge_path(X, both, criterion="reml", fit_intercept=True)
    total = path.reml.sum(axis=2)
    assert total[path.best_index] == total.min()
    alone = kernel_ridge_path(X, both[:, 1], criterion="reml", fit_intercept=True)
    np.testing.assert_allclose(path.reml[:, :, 1], alone.reml, rtol=0, atol=1e-6)


def test_two_levels_tell_no_width_and_get_the_widest():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2, size=100).astype(float)
    y = 5.0 + 2.0 * x + rng.normal(size=100)
    for criterion in ("loo", "reml"):
        for kernel in ("rbf", "laplacian"):
            path = kernel_ridge_path(
                x[:, None], y, kernel=kernel, criterion=criterion, fit_intercept=True
            )
            model = KernelRidge(
                path.best_alpha, kernel=kernel, gamma=path.best_gamma, fit_intercept=True
            ).fit(x[:, None], y)
            low, middle, high = model.predict([[0.0], [0.5], [1.0]])
            assert middle == pytest.approx((low + high) / 2, abs=1e-6)


@pytest.mark.parametrize("criterion", ["loo", "reml"])
def test_of_equal_kernels_the_widest_wins(criterion):
    """A constant is fitted by every candidate, and a kernel may be listed twice."""
    X, y = noisy_sine(30)
    grid = {"alphas": [0.1, 10.0, 1.0], "gammas": [3.0, 0.3, 30.0]}
    options = {"criterion": criterion, "fit_intercept": True}
    constant = kernel_ridge_path(X, np.full(30, 0.1), **grid, **options)
    assert constant.best_alpha == 10.0
    if criterion == "loo":
        assert constant.best_gamma == 0.3
    same = kernel_ridge_path(np.ones((30, 1)), y, **grid, **options)
    assert (same.best_gamma, same.best_alpha) == (0.3, 10.0)


def test_a_choice_at_an_edge_is_told():
    X, y = noisy_sine(60)

    def edges(alphas, gammas):
        return kernel_ridge_path(X, y, alphas=alphas, gammas=gammas).edges()

    good = kernel_ridge_path(X, y)
    assert good.edges() == {}
    alpha, gamma = good.best_alpha, good.best_gamma
    assert edges([alpha, 1e3 * alpha], [1e-3, gamma, 1e3]) == {"alpha": "smallest"}
    assert edges([1e-9, alpha, 1e3], [gamma, 1e3]) == {"gamma": "smallest"}
    assert edges([1e-9, alpha], [1e-3, gamma]) == {"alpha": "largest", "gamma": "largest"}
    assert edges([alpha], [gamma]) == {}, "a single candidate is no choice"
    linear = kernel_ridge_path(X, y, kernel="linear", alphas=[1e-6, 1e6])
    assert set(linear.edges()) <= {"alpha"}
    # A choice of somebody else's.
    assert good.edges(alpha=1e2) == {"alpha": "largest"}
    assert good.edges(gamma=good.gammas[-1]) == {"gamma": "largest"}


@pytest.mark.parametrize("share", [1e-9, 0.0])
def test_a_row_of_all_weight_is_refused_with_an_intercept(share):
    X, y = noisy_sine(10)
    weight = np.full(10, share)
    weight[[2, 3]] = 1.0, share or 1e-30
    with pytest.raises(ValueError, match=r"sample_weight must leave .* fit_intercept=True"):
        kernel_ridge_path(X, y, sample_weight=weight, fit_intercept=True)
    kernel_ridge_path(X, y, sample_weight=weight, alphas=[0.1, 1.0], gammas=[1.0])


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
        ({"criterion": "lo"}, ValueError, "criterion must be one of loo, reml, got 'lo'; did you"),
        ({"criterion": None}, TypeError, "criterion must be one of loo, reml, got None"),
        ({"fit_intercept": 1}, TypeError, "fit_intercept must be True or False, got 1"),
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
    with pytest.raises(np.linalg.LinAlgError, match=r"no candidate .* leave-one-out error"):
        kernel_ridge_path(K, np.ones(3), kernel="precomputed", alphas=[1.0] * 10)
    options = {"kernel": "precomputed", "alphas": [0.5] * 10}
    assert np.isfinite(kernel_ridge_path(K, np.ones(3), **options).best_error)
    with pytest.raises(np.linalg.LinAlgError, match=r"no candidate .* finite likelihood"):
        kernel_ridge_path(K, np.ones(3), criterion="reml", **options)


def test_an_error_on_the_way_gives_the_threads_of_blas_back():
    from threadpoolctl import threadpool_info

    from fastkb.ridge.path import errors_over_grid, training_data

    X, y = noisy_sine(20)
    before = [library["num_threads"] for library in threadpool_info()]

    def visit(index, residuals):
        raise RuntimeError("no such luck")

    data = training_data(X, y, None, False)
    # The error is kept, and with it the frames that it went through.
    with pytest.raises(RuntimeError, match=r"no such luck") as kept:
        errors_over_grid(KernelChoice("rbf"), np.ones(3), np.ones(40), data, "loo", visit)
    assert [library["num_threads"] for library in threadpool_info()] == before
    assert kept.tb is not None


def test_the_guide_runs_as_it_stands():
    guide = Path(__file__).resolve().parents[2] / "docs" / "ridge.md"
    failed, tried = doctest.testfile(str(guide), module_relative=False, encoding="utf-8")
    assert tried >= 10
    assert not failed


@pytest.mark.parametrize("alphas", [[1e-20], [1e-300, 1e-16], np.logspace(-300, -15, 9)])
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_a_penalty_below_rounding_predicts_a_row_by_its_copies(seed, fit_intercept, alphas):
    rng = np.random.default_rng(seed)
    X, y = np.repeat(rng.normal(size=(5, 2)), 3, axis=0), rng.normal(size=15)
    path = kernel_ridge_path(X, y, alphas=alphas, gammas=[1.0], fit_intercept=fit_intercept)
    others = (y.reshape(5, 3).sum(axis=1, keepdims=True) - y.reshape(5, 3)) / 2
    expected = np.mean((y.reshape(5, 3) - others) ** 2)
    np.testing.assert_allclose(path.loo_errors[0], expected, rtol=1e-2)


@pytest.mark.parametrize("alphas", [None, [1.0], [1e-300], [1e300]])
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("n", [2, 3, 12, 200])
def test_a_kernel_of_zeros_leaves_the_targets(n, fit_intercept, alphas, capfd):
    y = np.random.default_rng(n).normal(size=(n, 2))
    expected = y**2
    if fit_intercept:
        expected = ((y - y.mean(axis=0)) * n / (n - 1)) ** 2
    kernels = ["linear", "cosine", "precomputed"] + ([lambda a, b: 0.0] if n < 20 else [])
    for kernel in kernels:
        X = np.zeros((n, n if kernel == "precomputed" else 2))
        path = kernel_ridge_path(X, y, kernel=kernel, alphas=alphas, fit_intercept=fit_intercept)
        for errors in path.loo_errors[0]:
            np.testing.assert_allclose(errors, expected.mean(axis=0), rtol=1e-9)
    assert capfd.readouterr() == ("", "")
