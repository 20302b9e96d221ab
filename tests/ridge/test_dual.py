"""The dual coefficients, against the definition, for both solvers and all failures."""

import tracemalloc
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import LinAlgWarning

from fastkb.reference import ridge as reference
from fastkb.ridge import dual
from fastkb.runtime.threads import limit_blas


def positive_matrix(n, rng, dtype=np.float64, rank=None):
    root = rng.normal(size=(n, rank or n))
    return (root @ root.T).astype(dtype)


def condition(K, alpha, weight=None):
    scale = np.ones(len(K)) if weight is None else np.sqrt(weight)
    values = np.linalg.eigvalsh(np.float64(K) * scale[:, None] * scale + alpha * np.eye(len(K)))
    return values[-1] / max(values[0], np.finfo(float).tiny)


def solve(*arguments, **keywords):
    """The coefficients alone."""
    return dual.solve_dual(*arguments, **keywords).dual_coef


def assert_solves(coefficients, K, y, alpha, weight=None):
    """Normwise forward error of a backward stable solver: n·eps times the condition number."""
    eps = np.finfo(coefficients.dtype).eps
    for column in range(y.shape[1]):
        penalty = float(np.broadcast_to(alpha, y.shape[1])[column])
        expected = reference.dual_coefficients(K, y[:, column], penalty, weight)
        bound = 10 * len(K) * eps * condition(K, penalty, weight) * np.linalg.norm(expected)
        error = np.linalg.norm(coefficients[:, column] - expected)
        assert error <= bound + np.finfo(coefficients.dtype).tiny


@given(
    n=st.integers(1, 40),
    n_targets=st.integers(1, 4),
    weighted=st.booleans(),
    per_target=st.booleans(),
    dtype=st.sampled_from([np.float32, np.float64]),
    known=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_it_solves_the_problem_by_its_definition(
    n, n_targets, weighted, per_target, dtype, known, seed
):
    rng = np.random.default_rng(seed)
    K = positive_matrix(n, rng, dtype)
    y = rng.normal(size=(n, n_targets)).astype(dtype)
    alpha = rng.uniform(0.1, 10.0, size=n_targets if per_target else 1)
    weight = rng.uniform(0.1, 3.0, size=n) if weighted else None
    result = solve(K.copy(), y, alpha, weight, positive_semidefinite=known)
    assert result.dtype == dtype
    assert result.shape == y.shape
    assert_solves(result, K, y, alpha, weight)


def test_many_distinct_penalties_take_one_eigendecomposition():
    rng = np.random.default_rng(0)
    n_targets = dual.EIGENDECOMPOSITION_IN_CHOLESKYS + 1
    K = positive_matrix(30, rng)
    y = rng.normal(size=(30, n_targets))
    alpha = np.logspace(-3, 3, n_targets)
    assert dual.plan_dual(n_targets).solver == "spectral"
    assert dual.plan_dual(n_targets - 1).solver == "cholesky"
    assert_solves(solve(K.copy(), y, alpha), K, y, alpha)
    # The same targets with fewer penalties go the other way, and meet in the same numbers.
    few = np.full(n_targets, alpha[0])
    by_cholesky = solve(K.copy(), y, few)
    bound = 20 * 30 * np.finfo(float).eps * condition(K, alpha[0])
    by_eigenvectors = solve(K.copy(), y, alpha)[:, 0]
    error = np.linalg.norm(by_cholesky[:, 0] - by_eigenvectors)
    assert error <= bound * np.linalg.norm(by_eigenvectors)


def test_the_plan_says_why():
    assert "20" in dual.plan_dual(3).reason
    assert "25 distinct" in dual.plan_dual(25).reason


def test_targets_of_equal_penalty_share_a_factorisation(monkeypatch):
    calls = []
    original = dual.get_lapack_funcs

    def counting(names, arrays):
        functions = original(names, arrays)
        if "potrf" not in names:
            return functions

        def potrf(*args, **kwargs):
            calls.append(kwargs)
            return functions[0](*args, **kwargs)

        return [potrf, *functions[1:]]

    monkeypatch.setattr(dual, "get_lapack_funcs", counting)
    rng = np.random.default_rng(0)
    K, y = positive_matrix(10, rng), rng.normal(size=(10, 5))
    alpha = np.array([1.0, 2.0, 1.0, 2.0, 1.0])
    result = solve(K.copy(), y, alpha)
    assert len(calls) == 2
    assert_solves(result, K, y, alpha)


@pytest.mark.parametrize("n", [1, 2, 127, 128, 129, 300])
def test_a_triangle_restores_the_matrix(n):
    rng = np.random.default_rng(n)
    K = positive_matrix(n, rng)
    K = np.tril(K) + np.tril(K, -1).T
    spoilt = K.copy()
    spoilt[np.triu_indices(n)] = np.nan
    dual.restore_from_lower(spoilt, K.diagonal())
    np.testing.assert_array_equal(spoilt, K)


def test_one_gram_matrix_is_all_the_memory():
    n = 600
    rng = np.random.default_rng(0)
    K = positive_matrix(n, rng)
    y = rng.normal(size=(n, 1))
    weight = rng.uniform(0.5, 2.0, size=n)
    tracemalloc.start()
    try:
        solve(K, y, np.array([1.0]), weight)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # A block of the restored triangle and a few vectors, next to the matrix that was passed in.
    assert peak < 0.1 * K.nbytes


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_singular_system_warns_and_is_solved_by_least_squares(dtype):
    rng = np.random.default_rng(0)
    K = positive_matrix(20, rng, dtype, rank=3)
    y = (K @ rng.normal(size=(20, 2))).astype(dtype)
    with pytest.warns(LinAlgWarning, match=r"alpha=0.*larger alpha"):
        result = solve(K.copy(), y, np.array([0.0]))
    # y lies in the range of K, so least squares fits it: up to eps times the condition of the
    # range.
    values = np.linalg.eigvalsh(np.float64(K))
    bound = 10 * 20 * np.finfo(dtype).eps * values[-1] / values[-3]
    assert np.linalg.norm(K @ result - y) <= bound * np.linalg.norm(y)


@pytest.mark.parametrize("worth", [0, 10**6])
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_pivots_of_rounding_errors_are_no_pivots(seed, fit_intercept, worth, monkeypatch):
    """Cholesky's method meets no negative pivot in equal rows, or only by chance."""
    monkeypatch.setattr(dual.blocked, "WORTH", worth)
    rng = np.random.default_rng(seed)
    X = np.repeat(rng.normal(size=(5, 2)), 3, axis=0)
    K = np.exp(-((X[:, None] - X) ** 2).sum(axis=2))
    y = rng.normal(size=(15, 1))
    with limit_blas(), pytest.warns(LinAlgWarning, match="least squares solves it"):
        a, b = dual.solve_dual(
            K.copy(), y, np.zeros(1), positive_semidefinite=True, fit_intercept=fit_intercept
        )
    fitted = K @ a + (0.0 if b is None else b)
    means = np.repeat(y.reshape(5, 3).mean(axis=1), 3)[:, None]
    np.testing.assert_allclose(fitted, means, atol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_matrices_are_factored_in_squares(dtype, monkeypatch):
    monkeypatch.setattr(dual.blocked, "WORTH", 100)
    rng = np.random.default_rng(0)
    K, y = positive_matrix(300, rng, dtype), rng.normal(size=(300, 3)).astype(dtype)
    alpha = np.array([1.0, 2.0, 1.0])
    with limit_blas():
        result = solve(K.copy(), y, alpha)
    assert_solves(result, K, y, alpha)


def test_least_squares_takes_the_solution_of_least_norm():
    K = np.diag([2.0, 1.0, 0.0])
    with pytest.warns(LinAlgWarning, match=r"Cholesky's method fails"):
        result = solve(K, np.ones((3, 1)), np.array([0.0]))
    np.testing.assert_allclose(result[:, 0], [0.5, 1.0, 0.0], atol=4 * np.finfo(float).eps)


def test_an_indefinite_matrix_is_solved_all_the_same():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(15, 15))
    K = root + root.T
    y = rng.normal(size=(15, 1))
    with pytest.warns(LinAlgWarning, match=r"Cholesky's method fails"):
        result = solve(K.copy(), y, np.array([0.1]))
    residual = np.linalg.norm(K @ result + 0.1 * result - y)
    scale = np.linalg.norm(K, 2) * np.linalg.norm(result)
    assert residual <= 10 * 15 * np.finfo(float).eps * scale


def test_only_the_targets_that_fail_fall_back():
    K = np.diag([1.0, 0.0])
    y = np.ones((2, 2))
    with pytest.warns(LinAlgWarning) as caught:
        result = solve(K, y, np.array([1.0, 0.0]))
    np.testing.assert_allclose(result, [[0.5, 1.0], [1.0, 0.0]], atol=4 * np.finfo(float).eps)
    assert len(caught) == 1


def test_singular_among_many_penalties_warns():
    n_targets = dual.EIGENDECOMPOSITION_IN_CHOLESKYS + 1
    K = np.diag([1.0, 0.0])
    alpha = np.arange(n_targets, dtype=float)
    with pytest.warns(LinAlgWarning, match=r"solution of least norm"):
        result = solve(K, np.ones((2, n_targets)), alpha)
    np.testing.assert_allclose(result[:, 0], [1.0, 0.0], atol=4 * np.finfo(float).eps)


def test_an_ill_conditioned_system_warns():
    K = np.diag([1.0, 1e-17])
    with pytest.warns(LinAlgWarning, match=r"reciprocal condition number is about 1.0e-17"):
        solve(K, np.ones((2, 1)), np.array([0.0]))


def test_a_penalty_above_the_rounding_error_is_taken_at_its_word():
    """No estimate of the condition, and no warning, where theory rules a singular system out."""
    rng = np.random.default_rng(0)
    K = positive_matrix(50, rng, rank=2)
    y = rng.normal(size=(50, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = solve(K.copy(), y, np.array([1e-9]), positive_semidefinite=True)
    assert_solves(result, K, y, np.array([1e-9]))


@given(
    n=st.integers(1, 40),
    n_targets=st.integers(1, 3),
    weighted=st.booleans(),
    per_target=st.booleans(),
    dtype=st.sampled_from([np.float32, np.float64]),
    known=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_an_intercept_is_found_with_the_coefficients(
    n, n_targets, weighted, per_target, dtype, known, seed
):
    rng = np.random.default_rng(seed)
    K = positive_matrix(n, rng, dtype)
    y = (5.0 + rng.normal(size=(n, n_targets))).astype(dtype)
    alpha = rng.uniform(0.1, 10.0, size=n_targets if per_target else 1)
    weight = rng.uniform(0.1, 3.0, size=n) if weighted else None
    a, b = dual.solve_dual(
        K.copy(), y, alpha, weight, positive_semidefinite=known, fit_intercept=True
    )
    assert (a.dtype, b.dtype) == (dtype, np.float64)
    assert (a.shape, b.shape) == (y.shape, (n_targets,))
    eps = np.finfo(dtype).eps
    for column, penalty in enumerate(np.broadcast_to(alpha, n_targets)):
        expected_a, expected_b = reference.fit(K, y[:, column], penalty, weight, True)
        # n·eps times the condition number of the matrix before it was centred, for centred targets.
        relative = 40 * n * eps * condition(K, penalty, weight)
        spread = 3.0 * np.linalg.norm(y[:, column] - 5.0) + 1.0
        assert np.linalg.norm(a[:, column] - expected_a) <= relative * spread
        assert abs(b[column] - expected_b) <= relative * spread


@pytest.mark.parametrize("offset", [0.0, 2.0**27])
def test_an_offset_of_the_targets_goes_into_the_intercept(offset):
    rng = np.random.default_rng(0)
    K = positive_matrix(20, rng)
    y = rng.integers(-64, 64, size=(20, 2)) / 64.0  # exact beside the offset
    plain = dual.solve_dual(K.copy(), y, np.array([0.1]), fit_intercept=True)
    moved = dual.solve_dual(K.copy(), y + offset, np.array([0.1]), fit_intercept=True)
    bound = 10 * 20 * np.finfo(float).eps * condition(K, 0.1) * np.abs(plain.dual_coef).max()
    np.testing.assert_allclose(moved.dual_coef, plain.dual_coef, rtol=0, atol=bound)
    np.testing.assert_allclose(
        moved.intercept, plain.intercept + offset, rtol=4 * np.finfo(float).eps, atol=bound
    )


def test_no_penalty_and_an_intercept_is_no_singular_system():
    """K has an inverse, the centred K has not: the curve of least norm still interpolates."""
    rng = np.random.default_rng(0)
    K, y = positive_matrix(10, rng), rng.normal(size=(10, 1))
    many = dual.EIGENDECOMPOSITION_IN_CHOLESKYS + 1
    bordered = np.block([[K, np.ones((10, 1))], [np.ones((1, 10)), np.zeros((1, 1))]])
    expected = np.linalg.solve(bordered, np.append(y[:, 0], 0.0))
    bound = 40 * 10 * np.finfo(float).eps * np.linalg.cond(K) * np.abs(expected).max()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for targets, alpha in ((y, [0.0]), (np.repeat(y, many, axis=1), np.arange(many))):
            a, b = dual.solve_dual(
                K.copy(), targets, np.array(alpha, dtype=float), fit_intercept=True
            )
            np.testing.assert_allclose(a[:, 0], expected[:10], rtol=0, atol=bound)
            assert b[0] == pytest.approx(expected[10], abs=bound)


def test_a_singular_kernel_warns_with_an_intercept_too():
    with pytest.warns(LinAlgWarning, match=r"alpha=0"):
        a, b = dual.solve_dual(
            np.ones((4, 4)), np.arange(4.0)[:, None], np.array([0.0]), fit_intercept=True
        )
    np.testing.assert_allclose(a, 0.0, atol=1e-12)
    assert b[0] == pytest.approx(1.5, rel=1e-12)


def test_a_weight_of_zero_leaves_the_sample_out():
    rng = np.random.default_rng(0)
    K, y = positive_matrix(12, rng), rng.normal(size=(12, 1))
    weight = np.ones(12)
    weight[[2, 7]] = 0.0
    result = solve(K.copy(), y, np.array([0.5]), weight)
    rest = weight > 0
    assert (result[~rest] == 0.0).all()
    assert_solves(result[rest], K[np.ix_(rest, rest)], y[rest], 0.5)
