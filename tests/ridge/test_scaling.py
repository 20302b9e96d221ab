"""Weights and an intercept: the scaled and centred problem, against its definition."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastkb.reference import gram as reference_gram
from fastkb.reference import ridge as reference
from fastkb.ridge.scaling import ScaledProblem, centre_targets

EPS = np.finfo(float).eps


def problem_data(n, n_targets, weights, seed, dtype=np.float64):
    rng = np.random.default_rng(seed)
    K = reference_gram.rbf(rng.normal(size=(n, 2)), gamma=0.7)
    weight = None
    if weights != "none":
        weight = rng.uniform(0.1, 3.0, size=n)
    if weights == "zeros":
        weight[1:][rng.uniform(size=n - 1) < 0.4] = 0.0
    return K.astype(dtype), rng.normal(size=(n, n_targets)).astype(dtype), weight


any_problem = given(
    n=st.integers(1, 60),
    n_targets=st.integers(1, 3),
    weights=st.sampled_from(["none", "all", "zeros"]),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 2**32 - 1),
)


@any_problem
def test_weights_scale_both_sides_and_keep_the_symmetry(n, n_targets, weights, dtype, seed):
    K, y, weight = problem_data(n, n_targets, weights, seed, dtype)
    K = ((K + K.T) / 2).astype(dtype)
    overwritten = K.copy()
    problem = ScaledProblem.in_place(overwritten, y, weight)
    problem.centre()  # does nothing without an intercept
    assert problem.K is overwritten
    assert problem.y.dtype == problem.K.dtype == dtype
    np.testing.assert_array_equal(problem.K, problem.K.T)
    root = np.ones(n) if weight is None else np.sqrt(weight)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(problem.K, root[:, None] * K * root, rtol=4 * eps)
    np.testing.assert_allclose(problem.y, root[:, None] * y, rtol=4 * eps)
    assert problem.degrees_of_freedom == np.count_nonzero(root)


@any_problem
def test_centring_is_a_projection_and_an_eigenvalue(n, n_targets, weights, dtype, seed):
    K, y, weight = problem_data(n, n_targets, weights, seed, dtype)
    K = ((K + K.T) / 2).astype(dtype)
    problem = ScaledProblem.in_place(K.copy(), y, weight, fit_intercept=True)
    problem.centre()
    np.testing.assert_array_equal(problem.K, problem.K.T)
    root = np.ones(n) if weight is None else np.sqrt(weight)
    u = root / np.linalg.norm(root)
    P = np.eye(n) - np.outer(u, u)
    A = P @ (root[:, None] * np.float64(K) * root) @ P
    # Some roundings of numbers up to those of S K S, whose row sums the shift is twice.
    bound = 40 * np.finfo(dtype).eps * problem.shift
    np.testing.assert_allclose(problem.K, A + problem.shift * np.outer(u, u), rtol=0, atol=bound)
    assert problem.shift >= 2 * np.linalg.norm(A, 2)
    np.testing.assert_allclose(u @ problem.y, 0.0, atol=n * np.finfo(dtype).eps * 3 * 6)
    assert problem.degrees_of_freedom == np.count_nonzero(root) - 1


@any_problem
def test_the_solution_is_that_of_the_profiled_constant(n, n_targets, weights, dtype, seed):
    K, y, weight = problem_data(n, n_targets, weights, seed)
    problem = ScaledProblem.in_place(K.copy(), 5.0 + y, weight, fit_intercept=True)
    problem.centre()
    alpha = 0.3
    c = np.linalg.solve(problem.K + alpha * np.eye(n), problem.y)
    a, b = problem.solution(c)
    expected_a, expected_b = reference.fit(K, 5.0 + y, alpha, weight, fit_intercept=True)
    # cond(W K + αI) ≤ 1 + 3 n/α, times n·eps for each solution.
    bound = 20 * n * EPS * (1 + 3 * n / alpha) * 10
    np.testing.assert_allclose(a, expected_a, rtol=0, atol=bound)
    np.testing.assert_allclose(b, expected_b, rtol=0, atol=bound)
    np.testing.assert_allclose(a.sum(axis=0), 0.0, atol=10 * n * EPS * np.abs(a).max(initial=1.0))
    # Several penalties at once have an axis of their own.
    many_a, many_b = problem.solution(np.stack([c, 2 * c], axis=2))
    assert many_a.shape == (n, n_targets, 2)
    np.testing.assert_allclose(many_a[:, :, 0], a, rtol=0, atol=bound)
    np.testing.assert_allclose(many_b[:, 0], b, rtol=0, atol=bound)


def test_without_an_intercept_there_is_none():
    K, y, weight = problem_data(5, 2, "all", 0)
    problem = ScaledProblem.in_place(K, y, weight)
    a, b = problem.solution(problem.y)
    assert b is None
    np.testing.assert_allclose(a, weight[:, None] * y, rtol=4 * EPS)


def test_nothing_to_centre_still_has_an_eigenvalue():
    problem = ScaledProblem.in_place(np.zeros((3, 3)), np.ones((3, 1)), None, fit_intercept=True)
    problem.centre()
    assert problem.shift == 1.0
    np.testing.assert_allclose(problem.K, np.full((3, 3), 1 / 3), rtol=4 * EPS)


def test_blocks_of_rows_leave_no_seam(monkeypatch):
    from fastkb.ridge import scaling

    K, y, weight = problem_data(37, 1, "all", 0)
    whole = ScaledProblem.in_place(K.copy(), y, weight, fit_intercept=True)
    whole.centre()
    monkeypatch.setattr(scaling, "_BLOCK_SIZE", 5 * 37)
    parts = ScaledProblem.in_place(K.copy(), y, weight, fit_intercept=True)
    parts.centre()
    np.testing.assert_array_equal(parts.K, whole.K)


def test_no_second_matrix_is_made():
    n = 1000
    K, y, weight = problem_data(n, 1, "all", 0)
    tracemalloc.start()
    try:
        ScaledProblem.in_place(K, y, weight, fit_intercept=True).centre()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 0.1 * K.nbytes


# --- targets ------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [0.0, 1.0, 2.0**27, -(2.0**40)])
@pytest.mark.parametrize("weighted", [False, True])
def test_an_offset_leaves_no_trace(offset, weighted):
    rng = np.random.default_rng(0)
    y = rng.integers(-32, 32, size=(50, 2)) / 64.0  # exact beside every offset
    weight = rng.uniform(0.5, 2.0, size=50) if weighted else None
    plain, means = centre_targets(y, weight)
    moved, moved_means = centre_targets(y + offset, weight)
    np.testing.assert_allclose(moved, plain, rtol=0, atol=4 * EPS)
    np.testing.assert_allclose(moved_means, means + offset, rtol=2 * EPS)
    shares = np.full(50, 1 / 50) if weight is None else weight / weight.sum()
    np.testing.assert_allclose(shares @ moved, 0.0, atol=4 * EPS)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e8 / 3, -7e-9])
def test_a_constant_becomes_zero(value):
    y = np.full((30, 1), value)
    y[4] *= 1 + EPS
    weight = np.ones(30)
    assert (centre_targets(y, None)[0] == 0.0).all()
    # A row of weight zero may hold anything.
    y[7], weight[7] = 9.0, 0.0
    centred, mean = centre_targets(y, weight)
    assert (centred == 0.0).all()
    assert mean == pytest.approx(value, rel=4 * EPS)
