"""The axes of a kernel on a data set, on which every penalty shrinks differently.

Ridge regression with a kernel K and an intercept is a linear smoother. With the kernel centred over the
data, K̃ = PKP = QΛQᵀ for P = I - 11ᵀ/n, the fit with penalty λ at the rows R of evaluation points is

    f(x) = ȳ + r(x)ᵀ Λ(Λ + λ)⁻¹ Qᵀ y,      r(x) = Λ⁻¹ Qᵀ k̃(x),

so that one decomposition serves every λ and every response. As a Gaussian process, the same kernel is a
prior of the curve: var f(x) = k̃(x, x), up to its scale.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastkb.bands.ridge.kernel_source import KernelSource
from fastkb.linalg.pivoted import PivotedCholesky
from fastkb.ridge.lapack import eigh_in_place

# The part of the kernel's trace that a low-rank decomposition leaves, by the smallest penalty:
# leverages and likelihoods are then right to five digits for the smallest penalty, and fits to
# a millionth of the range of the responses.
_LEFT = 1e-5
_EPS, _TINY = np.finfo(np.float64).eps, np.finfo(np.float64).tiny


class Spectrum(NamedTuple):
    """A kernel decomposed on n data points and m evaluation points."""

    values: np.ndarray  # Λ; negative ones only of indefinite kernels.  shape: (rank,)
    axes: np.ndarray  # Q.                                          shape: (n, rank)
    rows: np.ndarray  # R, so that curves are R·shrink·Qᵀy.         shape: (m, rank)
    prior: np.ndarray  # k̃(x, x) of the evaluation points.          shape: (m,)
    centred: bool  # whether there is an intercept
    left: float  # the trace of K̃ that the decomposition left out


def spectrum(
    source: KernelSource, centred: bool, smallest_alpha: float, max_rank: int, dense_up_to: int
) -> Spectrum | None:
    """Decompose a kernel, by pivoted Cholesky where its rank is low, else as a whole.

    Parameters
    ----------
    source : KernelSource
        A positive semidefinite kernel on the data and the evaluation points.
    centred : bool
        Whether the regression has an intercept.
    smallest_alpha : float
        The smallest penalty that will be asked for.
    max_rank : int
        Of a low-rank decomposition.
    dense_up_to : int
        Data sets with more rows are not decomposed as a whole.

    Returns
    -------
    Spectrum or None
        None where the rank is above `max_rank` and there are more than `dense_up_to` rows.
    """
    n = source.n
    diagonal = source.diagonal()
    worth = min(max_rank, n // 3 if n <= dense_up_to else n)
    decomposition = PivotedCholesky(diagonal, source.column, worth)
    wanted = _LEFT * smallest_alpha
    if decomposition.grow(lambda residual: float(residual[:n].sum()) <= wanted) or (
        # Rounding errors ended it: all that the kernel's values say is in the factor.
        decomposition.rank < worth
    ):
        return from_factor(decomposition.factor, decomposition.residual, n, centred)
    if n > dense_up_to:
        return None
    K = np.array(source.gram())
    return from_matrix(K, source.cross(), diagonal[n:], centred)


def truncated_spectrum(source: KernelSource, centred: bool, rank: int) -> Spectrum:
    """The part of a kernel that `rank` rows span; the rest of its variance stays in `prior`."""
    diagonal = source.diagonal()
    decomposition = PivotedCholesky(diagonal, source.column, rank)
    decomposition.grow(lambda residual: False, (np.arange(len(diagonal)) < source.n).astype(float))
    return from_factor(decomposition.factor, decomposition.residual, source.n, centred)


def constant(n: int, m: int) -> Spectrum:
    """The spectrum of a kernel that is 0: with an intercept, every curve is a constant."""
    return Spectrum(np.zeros(0), np.zeros((n, 0)), np.zeros((m, 0)), np.zeros(m), True, 0.0)


def from_factor(factor: np.ndarray, residual: np.ndarray, n: int, centred: bool) -> Spectrum:
    """The spectrum of LLᵀ.

    Parameters
    ----------
    factor : ndarray
        Lᵀ over data and evaluation points.  # shape: (rank, n + m)
    residual : ndarray
        The diagonal that L leaves out.  # shape: (n + m,)
    n : int
    centred : bool
    """
    if centred:
        factor = factor - factor[:, :n].mean(axis=1, keepdims=True)
    data, points = factor[:, :n], factor[:, n:]
    values, rotation = np.linalg.eigh(data @ data.T)
    keep = _significant(values, n)
    values, rotation = values[keep], rotation[:, keep]
    root = np.sqrt(values)
    axes = (data.T @ rotation) / root
    rows = (points.T @ rotation) / root
    prior = (rows**2) @ values + residual[n:]
    return Spectrum(values, axes, rows, prior, centred, float(residual[:n].sum()))


def from_matrix(K: np.ndarray, cross: np.ndarray, prior: np.ndarray, centred: bool) -> Spectrum:
    """The spectrum of a whole Gram matrix, which is overwritten.

    Parameters
    ----------
    K : ndarray
        # shape: (n, n)
    cross : ndarray
        Kernel of evaluation points with the data.  # shape: (m, n)
    prior : ndarray
        Kernel of each evaluation point with itself.  # shape: (m,)
    centred : bool
    """
    if centred:
        means = K.mean(axis=1)
        mean = float(means.mean())
        of_points = cross.mean(axis=1)
        cross = cross - means - of_points[:, None] + mean
        prior = prior - 2.0 * of_points + mean
        K -= means[:, None]
        K -= (means - mean)[None, :]
        # The constants are made the last eigenvector, which no other can be confused with.
        K += 1.5 * float(np.abs(K).sum(axis=1).max(initial=_TINY)) / len(K)
    values, vectors = eigh_in_place(K)
    if centred:
        values, vectors = values[:-1], vectors[:, :-1]
    keep = _significant(values, len(K))
    values, vectors = values[keep], np.ascontiguousarray(vectors[:, keep])
    return Spectrum(values, vectors, (cross @ vectors) / values, prior, centred, 0.0)


def _significant(values: np.ndarray, n: int) -> np.ndarray:
    """Which eigenvalues are more than rounding errors of a matrix of n rows."""
    return np.abs(values) > n * _EPS * np.abs(values).max(initial=_TINY)
