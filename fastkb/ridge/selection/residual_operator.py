"""What one fit at each of many penalties says of its data: the operator that gives its residuals.

On the scaled and centred problem (:mod:`fastkb.ridge.scaling`), where u is the direction of the
intercept, let lₖ be the eigenvalues of A on the directions vₖ orthogonal to u. The residual operator

    M = Σₖ λ/(lₖ + λ) vₖ vₖᵀ        (without an intercept M = λ (A + λI)⁻¹ = I - H)

takes z to the residuals e = M z = λ c of the fit, and all that a choice of λ needs is read off it:

=============== =============================================================================
the diagonal    leave-one-out residuals eᵢ / Mᵢᵢ (:mod:`fastkb.ridge.selection.leave_one_out`)
blocks M_TT     residuals M_TT⁻¹ e_T of rows T that are left out together
the determinant and zᵀ M z = ‖e‖² + λ‖f‖²: the likelihood (:mod:`fastkb.ridge.selection.criterion`)
=============== =============================================================================

An operator comes from eigenvectors, from a low-rank factor or from the inverse itself, as
:mod:`fastkb.ridge.selection.factorisation` decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.linalg import LinAlgError, get_lapack_funcs

from fastkb.ridge.dual import has_true_pivots, restore_from_lower
from fastkb.ridge.lapack import eigh_in_place
from fastkb.ridge.scaling import ScaledProblem

_ROWS = 512  # rows of the vectors whose squares are held at a time

# Numbers that the blocks of several penalties may take at once: 16 MB.
_BLOCK_SIZE = 2**21


class ResidualOperator:
    """M for several penalties: what the three factorisations have in common.

    Parameters
    ----------
    problem : ScaledProblem
        The problem whose residuals they are.
    alphas : ndarray
        The penalties.  # shape: (n_alphas,)
    """

    def __init__(self, problem: ScaledProblem, alphas: np.ndarray) -> None:
        self.y = problem.y
        self.direction = problem.direction
        self.degrees_of_freedom = problem.degrees_of_freedom
        self.alphas = alphas
        # Penalties that cancel an eigenvalue of an indefinite kernel have no fit; neither they nor
        # those that leave a negative one have a likelihood.
        self.singular = np.zeros(alphas.size, dtype=bool)
        self.indefinite = np.zeros(alphas.size, dtype=bool)

    def residuals(self) -> np.ndarray:
        """e = M z.  # shape: (n, n_targets, n_alphas)"""
        raise NotImplementedError

    def diagonal(self) -> np.ndarray:
        """# shape: (n, n_alphas)"""
        raise NotImplementedError

    def blocks(self, rows: np.ndarray, penalties: slice) -> np.ndarray:
        """M for a part of the rows and columns.  # shape: (n_penalties, n_rows, n_rows)"""
        raise NotImplementedError

    def solve_block(self, rows: np.ndarray, right_sides: np.ndarray) -> np.ndarray:
        """The inverse of a part of M, times right sides; infinite where none exists.

        # right_sides and result: shape (n_alphas, n_rows, n_targets)
        """
        solved = np.empty_like(right_sides)
        step = max(1, _BLOCK_SIZE // (rows.size * self.y.shape[0]))
        for start in range(0, self.alphas.size, step):
            penalties = slice(start, start + step)
            solved[penalties] = self._solve_some(rows, right_sides[penalties], penalties)
        return solved

    def _solve_some(
        self, rows: np.ndarray, right_sides: np.ndarray, penalties: slice
    ) -> np.ndarray:
        return _solve(self.blocks(rows, penalties), right_sides)

    def log_determinant(self) -> np.ndarray:
        """Σₖ log((lₖ + λ)/λ): minus the logarithm of M's determinant, u apart.  # shape: (n_alphas,)"""
        raise NotImplementedError

    def sum_of_squares(self, residuals: np.ndarray) -> np.ndarray:
        """zᵀ M z = ‖e‖² + λ‖f‖², given e.  # shape: (n_targets, n_alphas)"""
        raise NotImplementedError


class Eigenvectors(ResidualOperator):
    """M from all eigenvectors of the problem's matrix, which is overwritten with them.

    Of a matrix that is singular to working precision, penalties below its rounding error count as that.
    """

    def __init__(self, problem: ScaledProblem, alphas: np.ndarray) -> None:
        super().__init__(problem, alphas)
        values, vectors = eigh_in_place(problem.K)
        rounding = values.size * np.finfo(np.float64).eps * np.abs(values).max()
        if problem.direction is not None:
            # The last is u, whose eigenvalue no other reaches.
            values, vectors = values[:-1], vectors[:, :-1]
        # A slightly negative eigenvalue is a rounding error of zero, and the rest stands for a
        # kernel that is not positive.
        values[(values < 0.0) & (values >= -rounding)] = 0.0
        shifted = values[:, None] + alphas  # shape: (n_vectors, n_alphas)
        # Where eigenvalues are rounding errors, a penalty below these would have them decide what is
        # left out and what is not: they count as none, and the penalty as large as their error.
        lost = np.abs(values) <= rounding
        if lost.any():
            alphas = self.alphas = np.maximum(alphas, rounding)
            shifted = np.where(
                lost[:, None] & (alphas == rounding), alphas, values[:, None] + alphas
            )
        negative = (values < 0.0)[:, None]
        self.singular = (negative & (np.abs(shifted) <= rounding)).any(axis=0)
        self.indefinite = self.singular | (shifted <= 0.0).any(axis=0)
        shifted[:, self.singular] = 1.0
        self.vectors = vectors
        self.ratio = alphas / shifted  # shape: (n_vectors, n_alphas)
        self.projected = vectors.T @ problem.y  # shape: (n_vectors, n_targets)

    def residuals(self) -> np.ndarray:
        return _combine(self.vectors, self.projected, self.ratio)

    def diagonal(self) -> np.ndarray:
        return _squares_times(self.vectors, self.ratio)

    def blocks(self, rows: np.ndarray, penalties: slice) -> np.ndarray:
        return _blocks(self.vectors[rows], self.ratio[:, penalties])

    def log_determinant(self) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            total = -np.log(self.ratio).sum(axis=0)
        return np.where(self.indefinite, np.inf, total)

    def sum_of_squares(self, residuals: np.ndarray) -> np.ndarray:
        return (self.projected**2).T @ self.ratio


class LowRank(ResidualOperator):
    """M from a factor L of the problem's matrix."""

    def __init__(self, problem: ScaledProblem, alphas: np.ndarray, factor: np.ndarray) -> None:
        super().__init__(problem, alphas)
        values, rotation = eigh_in_place(factor.T @ factor)
        self.values = np.maximum(values, 0.0)
        self.vectors = factor @ rotation  # Z, shape: (n, rank)
        self.inverse = 1.0 / (self.values[:, None] + alphas)  # shape: (rank, n_alphas)
        self.projected = self.vectors.T @ problem.y  # shape: (rank, n_targets)

    def residuals(self) -> np.ndarray:
        return self.y[:, :, None] - _combine(self.vectors, self.projected, self.inverse)

    def diagonal(self) -> np.ndarray:
        # Mᵢᵢ ≥ λ/(Kᵢᵢ + λ), with an intercept that times the weight that the others have; rounding
        # errors of the difference are below the bound's part of that.
        fitted = _squares_times(self.vectors, self.inverse)
        return self._kept()[:, None] - fitted

    def blocks(self, rows: np.ndarray, penalties: slice) -> np.ndarray:
        result = -_blocks(self.vectors[rows], self.inverse[:, penalties])
        result += np.eye(rows.size)
        if self.direction is not None:
            result -= np.multiply.outer(self.direction[rows], self.direction[rows])
        return result

    def _solve_some(
        self, rows: np.ndarray, right_sides: np.ndarray, penalties: slice
    ) -> np.ndarray:
        Z = self.vectors[rows]
        if self.direction is not None:
            Z = np.column_stack([Z, self.direction[rows]])
        if rows.size <= Z.shape[1]:
            return super()._solve_some(rows, right_sides, penalties)
        # M_TT⁻¹ = I + Z (D⁻¹ - ZᵀZ)⁻¹ Zᵀ by Woodbury, where D⁻¹ - ZᵀZ is what the other rows add up
        # to, with λ on its diagonal: ridge regression on them.
        alphas = self.alphas[penalties]
        inner = np.repeat(-(Z.T @ Z)[None], alphas.size, axis=0)
        diagonal = np.ones((alphas.size, Z.shape[1]))
        diagonal[:, : self.values.size] = self.values + alphas[:, None]
        columns = np.arange(Z.shape[1])
        inner[:, columns, columns] += diagonal
        return right_sides + Z @ _solve(inner, Z.T @ right_sides)

    def log_determinant(self) -> np.ndarray:
        with np.errstate(over="ignore"):
            return np.log1p(self.values[:, None] / self.alphas).sum(axis=0)

    def sum_of_squares(self, residuals: np.ndarray) -> np.ndarray:
        # Not as ‖z‖² less what lies within the factor: that cancels where the fit is close.
        norms = (self.projected**2).T @ (self.inverse * np.sqrt(self.alphas)) ** 2
        return np.sum(residuals**2, axis=0) + norms

    def _kept(self) -> np.ndarray:
        """The diagonal of I - uuᵀ.  # shape: (n,)"""
        if self.direction is None:
            return np.ones(self.y.shape[0])
        return 1.0 - self.direction**2


class Inverse(ResidualOperator):
    """M of a single penalty from the inverse itself.

    Parameters
    ----------
    problem : ScaledProblem
        Whose K holds a Cholesky factor of A + t uuᵀ + λI in LAPACK's terms (`factor`), which is
        overwritten with the inverse.
    alpha : float
        The penalty.
    factor : ndarray
        # shape: (n, n)
    """

    def __init__(self, problem: ScaledProblem, alpha: float, factor: np.ndarray) -> None:
        super().__init__(problem, np.array([alpha]))
        potrs, potri = get_lapack_funcs(("potrs", "potri"), (factor,))
        self.solution = potrs(factor, problem.y, lower=1)[0]  # c, shape: (n, n_targets)
        self.logarithm = 2.0 * np.log(factor.diagonal()).sum()
        self.n_values = factor.shape[0]
        self.shifted = problem.shift + alpha
        self.inverse, _ = potri(factor, lower=1, overwrite_c=1)  # the lower triangle only
        self.alpha = alpha

    def residuals(self) -> np.ndarray:
        return self.alpha * self.solution[:, :, None]

    def diagonal(self) -> np.ndarray:
        diagonal = self.inverse.diagonal()
        if self.direction is not None:
            diagonal = diagonal - self.direction**2 / self.shifted
        return self.alpha * diagonal[:, None]

    def blocks(self, rows: np.ndarray, penalties: slice) -> np.ndarray:
        block = self.inverse[np.maximum.outer(rows, rows), np.minimum.outer(rows, rows)]
        if self.direction is not None:
            along = self.direction[rows]
            block -= np.multiply.outer(along, along) / self.shifted
        return self.alpha * block[None]

    def log_determinant(self) -> np.ndarray:
        total, n_values = self.logarithm, self.n_values
        if self.direction is not None:
            total, n_values = total - np.log(self.shifted), n_values - 1
        return np.array([total - n_values * np.log(self.alpha)])

    def sum_of_squares(self, residuals: np.ndarray) -> np.ndarray:
        return np.sum(self.y[:, :, None] * residuals, axis=0)


def inverses(problem: ScaledProblem, alphas: np.ndarray) -> Iterator[Inverse]:
    """The operator of each penalty, the next in the place of the last.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a matrix is not positive definite to working precision. The strictly lower triangle of
        the problem's matrix is then still what it was.
    """
    K, diagonal = problem.K, problem.K.diagonal().copy()
    (potrf,) = get_lapack_funcs(("potrf",), (K,))
    for index, alpha in enumerate(alphas):
        if index:
            restore_from_lower(K, diagonal)
        K.flat[:: K.shape[0] + 1] = diagonal + alpha
        factor, info = potrf(K.T, lower=1, clean=0, overwrite_a=1)
        if info != 0 or not has_true_pivots(factor.diagonal(), diagonal + alpha):
            raise LinAlgError(f"no Cholesky factor for alpha={alpha:g}")
        yield Inverse(problem, float(alpha), factor)


def _combine(vectors: np.ndarray, projected: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Vectors · diag(factors[:, a]) · projected for each a.  # shape: (n, n_targets, n_alphas)"""
    weighted = projected[:, :, None] * factors[:, None, :]
    columns = projected.shape[1] * factors.shape[1]
    product = vectors @ weighted.reshape(projected.shape[0], columns)
    return product.reshape(vectors.shape[0], projected.shape[1], factors.shape[1])


def _squares_times(vectors: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """The elementwise square of `vectors`, times `factors`.  # shape: (n, n_alphas)"""
    product = np.empty((vectors.shape[0], factors.shape[1]))
    for start in range(0, vectors.shape[0], _ROWS):
        rows = slice(start, start + _ROWS)
        np.matmul(vectors[rows] ** 2, factors, out=product[rows])
    return product


def _blocks(vectors: np.ndarray, factors: np.ndarray) -> Any:
    """Vectors · diag(factors[:, a]) · vectorsᵀ for each a.  # shape: (n_alphas, n_rows, n_rows)"""
    return (vectors * factors.T[:, None, :]) @ vectors.T


def _solve(matrices: np.ndarray, right_sides: np.ndarray) -> np.ndarray:
    try:
        return np.linalg.solve(matrices, right_sides)
    except LinAlgError:
        if len(matrices) == 1:
            return np.full_like(right_sides, np.inf)
        # One of them has no inverse: each by itself.
        pairs = zip(matrices, right_sides, strict=True)
        return np.concatenate([_solve(one[None], side[None]) for one, side in pairs])
