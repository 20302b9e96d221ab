"""A block of replicates: the small dense problem in NumPy, lane by lane, and nothing else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkb.bands.ridge import lowrank_block as block
from fastkb.bands.ridge.lowrank_problem import (
    BATCH,
    MR,
    PENALTY,
    RESIDUAL_EVAL,
    Limits,
    LowRankProblem,
    Sizes,
    workspace,
)
from fastkb.linalg.lanes import QUAD
from fastkb.random.streams import bootstrap_counts, key_from_rng

KEY = key_from_rng(0)


def up(count, unit=MR):
    return -(-count // unit) * unit


def pack_rows(matrix):
    """Panels of MR rows, column by column."""
    padded = np.zeros((up(len(matrix)), matrix.shape[1]))
    padded[: len(matrix)] = matrix
    return np.concatenate([padded[i : i + MR].T.ravel() for i in range(0, len(padded), MR)])


def pack_columns(matrix):
    padded = np.zeros((up(len(matrix)), up(matrix.shape[1])))
    padded[: len(matrix), : matrix.shape[1]] = matrix
    parts = [padded[:, j : j + MR].ravel() for j in range(0, padded.shape[1], MR)]
    return np.concatenate(parts)


def make(
    n,
    rank,
    strong,
    n_eval,
    n_targets,
    tolerance=1e-12,
    seed=0,
    penalty=0.5,
    fit_intercept=False,
):
    """A whitened problem: ΨᵀΨ + D = I, with a spectrum that falls by half each direction."""
    rng = np.random.default_rng(seed)
    eigenvalues = 20.0 * 0.5 ** np.arange(rank)
    columns = rng.standard_normal((max(n, rank), rank))
    psi_eval = rng.standard_normal((n_eval, rank)) / np.sqrt(n)
    if fit_intercept:
        eigenvalues[0] = np.inf
        columns[:, 0] = 1.0
        psi_eval[:, 0] = 1.0 / np.sqrt(n)
    shrinkage = penalty / (eigenvalues + penalty)
    psi = np.linalg.qr(columns)[0][:n] * np.sqrt(1.0 - shrinkage)
    quads = up(n_eval, QUAD) // QUAD
    in_fours = np.zeros((quads * QUAD, rank))
    in_fours[:n_eval] = psi_eval
    in_fours = in_fours.reshape(quads, QUAD, rank).transpose(0, 2, 1)
    n_padded = up(n)
    y = np.zeros((n_targets, n_padded))
    y[:, :n] = rng.standard_normal((n_targets, n))
    residual = np.zeros(n_padded)
    residual[:n] = 1e-14 * rng.uniform(size=n)
    weak_ratio = eigenvalues[strong] / penalty if strong < rank else 0.0
    limits = Limits(penalty, weak_ratio, np.inf if fit_intercept else 1e6, 1e-15, tolerance)
    problem = LowRankProblem(
        pack_rows(psi),
        pack_columns(psi),
        pack_rows(psi_eval),
        np.ascontiguousarray(in_fours[:, :strong]),
        (in_fours[:, strong:] ** 2).sum(axis=1),
        shrinkage,
        residual,
        np.sqrt(residual) / penalty,
        y,
        np.array(limits),
    )
    sizes = Sizes(n, n_padded, rank, up(rank), strong, n_eval)
    return problem, sizes, psi, psi_eval


def solve(problem, sizes, first, count, workers=1):
    out = np.full((len(problem.y), count, sizes.n_eval), np.nan)
    bounds = np.full((len(problem.y), count), np.nan)
    work = workspace(sizes, workers)
    for array in work:  # poisoned: what is read before it is written shows
        array[...] = np.nan if array.dtype == np.float64 else 0
    block.solve_blocks(problem, sizes, KEY, first, work, out, bounds)
    return out, bounds


def expected(problem, sizes, psi, psi_eval, replicate):
    """Predictions and the bound of the truncation, by the formulas of docs/band.md."""
    w = bootstrap_counts(KEY, replicate, 1, sizes.n)[0].astype(float)
    M = (psi.T * w) @ psi + np.diag(problem.shrinkage)
    y, d = problem.y[:, : sizes.n], problem.residual[: sizes.n]
    z = np.linalg.solve(M, psi.T @ (w * y).T)
    alpha = w[:, None] * (y.T - psi @ z) / problem.limits[PENALTY]
    rho = np.sqrt(d) @ np.abs(alpha)
    tau = w @ d / problem.limits[PENALTY]
    h = np.einsum("ei,ij,ej->e", psi_eval, np.linalg.inv(M), psi_eval).max()
    bound = rho * (
        np.sqrt(problem.limits[RESIDUAL_EVAL]) * (1 + np.sqrt(tau))
        + np.sqrt(problem.limits[PENALTY] * tau * (1 + tau) * h)
    )
    return (psi_eval @ z).T, bound


@settings(max_examples=25)
@given(
    n=st.sampled_from([1, 7, 8, 9, 95, 96, 97, 130]),
    rank=st.sampled_from([1, 7, 8, 9, 17, 25]),
    data=st.data(),
    n_eval=st.integers(1, 9),
    n_targets=st.integers(1, 3),
    count=st.integers(1, BATCH + 3),
    blocks=st.integers(0, 3),
    fit_intercept=st.booleans(),
)
def test_every_replicate_is_its_dense_problem(
    n, rank, data, n_eval, n_targets, count, blocks, fit_intercept
):
    strong = data.draw(st.sampled_from([s for s in (8, 16, 24) if s < rank] + [rank]))
    problem, sizes, psi, psi_eval = make(
        n, rank, strong, n_eval, n_targets, fit_intercept=fit_intercept
    )
    first = BATCH * blocks
    out, bounds = solve(problem, sizes, first, count)
    for b in {0, count // 2, count - 1}:
        predictions, bound = expected(problem, sizes, psi, psi_eval, first + b)
        # Two solves to rounding, of matrices with a condition number of at most 7 (σ² + λ)/λ = 290;
        # conjugate gradients add their tolerance.
        np.testing.assert_allclose(out[:, b], predictions, rtol=0, atol=1e-10)
        # The strong split only loosens the bound, by the factor of the preconditioner.
        assert (bounds[:, b] >= 0.999 * bound).all()
        if strong == rank:
            np.testing.assert_allclose(bounds[:, b], bound, rtol=1e-6, atol=3e-12)


def test_company_leaves_no_trace():
    problem, sizes, *_ = make(90, 25, 8, 5, 2)
    out, bounds = solve(problem, sizes, 0, 3 * BATCH)
    for workers in (2, 3):
        again, again_bounds = solve(problem, sizes, 0, 3 * BATCH, workers)
        np.testing.assert_array_equal(again, out)
        np.testing.assert_array_equal(again_bounds, bounds)
    part, part_bounds = solve(problem, sizes, BATCH, 7)
    np.testing.assert_array_equal(part, out[:, BATCH : BATCH + 7])
    np.testing.assert_array_equal(part_bounds, bounds[:, BATCH : BATCH + 7])


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("tolerance", [1e-3, 1e-6, 1e-9])
def test_conjugate_gradients_keep_their_tolerance(tolerance, fit_intercept):
    problem, sizes, psi, psi_eval = make(
        200, 25, 8, 6, 1, tolerance, penalty=0.01, fit_intercept=fit_intercept
    )
    out, bounds = solve(problem, sizes, 0, BATCH)
    for b in range(0, BATCH, 5):
        predictions, _ = expected(problem, sizes, psi, psi_eval, b)
        assert np.abs(out[:, b] - predictions).max() <= bounds[0, b]
        assert np.abs(out[:, b] - predictions).max() <= 1.5 * tolerance


def test_second_call_does_not_compile():
    problem, sizes, *_ = make(20, 9, 9, 3, 1)
    solve(problem, sizes, 0, 5)
    before = len(block.solve_blocks.signatures)
    problem, sizes, *_ = make(33, 17, 8, 4, 2)
    solve(problem, sizes, BATCH, 50)
    assert len(block.solve_blocks.signatures) == before
