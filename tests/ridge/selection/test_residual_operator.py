"""The residual operator of each factorisation, against a dense matrix made by its definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastkb.reference import gram as reference_gram
from fastkb.ridge.scaling import ScaledProblem
from fastkb.ridge.selection import residual_operator as module
from fastkb.ridge.selection.factorisation import certified_factor
from fastkb.ridge.selection.residual_operator import Eigenvectors, LowRank, inverses

EPS = np.finfo(float).eps
ALPHAS = np.array([1e-3, 1e-1, 10.0])


def operators(K, y, weight=None, fit_intercept=False, alphas=ALPHAS):
    """An operator of each kind, with those of single penalties in a list; they take turns."""

    def problem():
        return ScaledProblem.in_place(K.copy(), y, weight, fit_intercept)

    low = problem()
    yield "lowrank", [LowRank(low, alphas, certified_factor(low, alphas.min()))]
    dense = problem()
    dense.centre()
    yield "eigh", [Eigenvectors(dense, alphas)]
    dense = problem()
    dense.centre()
    yield "cholesky", inverses(dense, alphas)


def joined(parts, read):
    return np.concatenate([read(operator) for operator in parts], axis=-1)


def definition(K, y, weight, fit_intercept, alpha):
    """M and z: ridge regression on an orthonormal basis of what is orthogonal to √w."""
    n = len(K)
    root = np.ones(n) if weight is None else np.sqrt(weight)
    basis = np.eye(n)
    if fit_intercept:
        columns = np.column_stack([root, np.eye(n)[:, np.arange(n) != np.argmax(root)]])
        basis = np.linalg.qr(columns)[0][:, 1:]
    inner = basis.T @ (root[:, None] * K * root) @ basis
    M = alpha * basis @ np.linalg.solve(inner + alpha * np.eye(basis.shape[1]), basis.T)
    log_determinant = np.linalg.slogdet(inner / alpha + np.eye(basis.shape[1]))[1]
    return M, basis @ basis.T @ (root[:, None] * y), log_determinant


def bound(K, y, alpha, weight=None):
    """cond(K + αI) n eps for the operator, of norm one, and for what it is applied to."""
    largest = 1.0 if weight is None else weight.max()
    return 20 * len(K) * EPS * (1 + len(K) * largest / alpha) * (1 + np.abs(y).max() * largest)


@given(
    n=st.integers(2, 30),
    n_targets=st.integers(1, 3),
    sigma=st.sampled_from([0.1, 1.0, 10.0]),
    weights=st.sampled_from(["none", "all", "zeros"]),
    fit_intercept=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_kind_is_the_operator_of_the_definition(
    n, n_targets, sigma, weights, fit_intercept, seed
):
    rng = np.random.default_rng(seed)
    K = reference_gram.rbf(rng.normal(size=(n, 2)), gamma=1 / (2 * sigma**2))
    y = 2.0 + rng.normal(size=(n, n_targets))
    weight = None if weights == "none" else rng.uniform(0.2, 3.0, size=n)
    if weights == "zeros":
        weight[2:][rng.uniform(size=n - 2) < 0.4] = 0.0
    rows = rng.permutation(n)[: n // 2]
    expected = [definition(K, y, weight, fit_intercept, alpha) for alpha in ALPHAS]
    for name, parts in operators(K, y, weight, fit_intercept):

        def read(operator):
            e = operator.residuals()
            block = np.moveaxis(operator.blocks(rows, slice(None)), 0, 2)
            solved = operator.solve_block(rows, np.moveaxis(e[rows], 2, 0))
            return (
                e,
                operator.diagonal(),
                block,
                np.moveaxis(solved, 0, 2),
                operator.log_determinant(),
                operator.sum_of_squares(e),
            )

        pieces = [read(operator) for operator in parts]
        e, diagonal, block, solved, determinant, squares = (
            np.concatenate(arrays, axis=-1) for arrays in zip(*pieces, strict=True)
        )
        for index, (alpha, (M, z, log_determinant)) in enumerate(
            zip(ALPHAS, expected, strict=True)
        ):
            near = bound(K, y, alpha, weight)
            where = f"{name} {alpha}"
            np.testing.assert_allclose(e[..., index], M @ z, rtol=0, atol=near, err_msg=where)
            np.testing.assert_allclose(
                diagonal[:, index], M.diagonal(), rtol=0, atol=near, err_msg=where
            )
            inner = M[np.ix_(rows, rows)]
            np.testing.assert_allclose(block[..., index], inner, rtol=0, atol=near, err_msg=where)
            # M_TT⁻¹ is at most (K_TT + α)/α, and with an intercept that by the share of weight
            # that is kept: the residuals are of the size of y all the same.
            if rows.size:
                np.testing.assert_allclose(
                    inner @ solved[..., index], (M @ z)[rows], rtol=0, atol=near * 100 * n
                )
            assert determinant[index] == pytest.approx(log_determinant, abs=near * n), where
            np.testing.assert_allclose(
                squares[:, index], np.sum(z * (M @ z), axis=0), rtol=0, atol=near * n * 10
            )


@pytest.mark.parametrize("n", [511, 512, 513])
def test_blocks_of_rows_leave_no_seam(n):
    rng = np.random.default_rng(n)
    K = reference_gram.rbf(rng.normal(size=(n, 1)), gamma=1.0)
    y = rng.normal(size=(n, 1))
    alphas = np.array([1e-2])
    found = {
        name: joined(parts, lambda operator: operator.diagonal())
        for name, parts in operators(K, y, alphas=alphas)
    }
    for name in ("lowrank", "cholesky"):
        assert np.abs(found["eigh"] - found[name]).max() <= bound(K, y, 1e-2)


@pytest.mark.parametrize("fit_intercept", [False, True])
def test_few_penalties_at_a_time_give_the_same_blocks(monkeypatch, fit_intercept):
    rng = np.random.default_rng(0)
    K = reference_gram.rbf(rng.normal(size=(40, 1)), gamma=0.1)
    y = rng.normal(size=(40, 2))
    rows = np.arange(0, 40, 2)  # more than the rank
    right_sides = rng.normal(size=(3, 20, 2))

    def solve():
        return {
            name: parts[0].solve_block(rows, right_sides)
            for name, parts in operators(K, y, fit_intercept=fit_intercept)
            if name != "cholesky"
        }

    whole = solve()
    monkeypatch.setattr(module, "_BLOCK_SIZE", 1)
    for name, solved in solve().items():
        np.testing.assert_allclose(solved, whole[name], rtol=1e3 * EPS, atol=1e3 * EPS)


def test_an_indefinite_kernel_is_told_from_one_without_a_fit():
    rng = np.random.default_rng(0)
    rotation, _ = np.linalg.qr(rng.normal(size=(4, 4)))
    K = rotation @ np.diag([-1.0, 0.5, 1.0, 2.0]) @ rotation.T
    problem = ScaledProblem.in_place((K + K.T) / 2, np.ones((4, 1)))
    operator = Eigenvectors(problem, np.array([0.5, 1.0, 2.0]))
    np.testing.assert_array_equal(operator.singular, [False, True, False])
    np.testing.assert_array_equal(operator.indefinite, [True, True, False])
    assert np.isposinf(operator.log_determinant()[:2]).all()
    values = np.array([-1.0, 0.5, 1.0, 2.0])
    expected = np.log(values / 2.0 + 1.0).sum()
    assert operator.log_determinant()[2] == pytest.approx(expected, rel=64 * EPS)


def test_a_block_without_an_inverse_is_infinite_and_spoils_no_other():
    matrices = np.stack([np.eye(2), np.zeros((2, 2)), 2 * np.eye(2)])
    solved = module._solve(matrices, np.ones((3, 2, 1)))
    np.testing.assert_array_equal(solved[:, :, 0], [[1, 1], [np.inf, np.inf], [0.5, 0.5]])


def test_the_sum_of_squares_of_a_close_fit_does_not_cancel():
    """zᵀMz = λ‖f‖² here, seven digits below ‖z‖²: the difference of two norms would have nine."""
    X = np.linspace(-1, 1, 200)[:, None]
    K = reference_gram.rbf(X, gamma=0.5)
    y = K @ np.sin(X) / 200
    values, vectors = np.linalg.eigh(K)
    found = {}
    for name, parts in operators(K, y, alphas=np.array([1e-6])):
        found[name] = joined(parts, lambda operator: operator.sum_of_squares(operator.residuals()))
    expected = np.sum((vectors.T @ y)[:, 0] ** 2 * 1e-6 / (np.maximum(values, 0.0) + 1e-6))
    assert expected < 1e-7 * np.sum(y**2)
    for name in ("lowrank", "eigh"):
        # Projections have an error of n·eps ‖y‖ where l ≪ λ, and that is squared.
        assert found[name][0, 0] == pytest.approx(expected, rel=1e-11), name
    # The operator's own bound: n·eps times the condition number.
    assert found["cholesky"][0, 0] == pytest.approx(expected, rel=200 * EPS * 200 / 1e-6)
