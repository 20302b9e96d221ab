"""Weights and an intercept, by scaling and centring one Gram matrix in place.

With S = diag(√w), u = √w/‖√w‖ and P = I - uuᵀ, minimising Σᵢ wᵢ (yᵢ - b - f(xᵢ))² + λ‖f‖² over f and
b is ridge regression without either on the scaled and centred problem:

    (A + λI) c = z     with A = P S K S P, z = P S y     a = S c     b = ȳ - gᵀc / ‖√w‖

where ȳ is the weighted mean of y and g = S K S u. As z is orthogonal to u, so is c, and the
coefficients a add up to zero. Without an intercept A = S K S and z = S y.

A itself is singular: its eigenvalue for u, where nothing is to be fitted, is 0. So
:meth:`ScaledProblem.centre` makes A + t uuᵀ of S K S, with an eigenvalue t that no other can reach.
The solutions stay what they are; the system can be solved for λ = 0, and an eigendecomposition has u
for its last vector, to be dropped. It costs no second matrix:

    A + t uuᵀ = S K S - (uhᵀ + huᵀ)     with h = g - ½ (uᵀg + t) u

and the sum uᵢhⱼ + hᵢuⱼ is formed before it touches the matrix, as is the product √wᵢ √wⱼ: either
result is symmetric to the last bit, so that a solver may read either triangle.

Source: Suykens et al. (2002), Least Squares Support Vector Machines, section 3.1, for the system with
an intercept; Schölkopf, Smola, Müller (1998), Nonlinear Component Analysis as a Kernel Eigenvalue
Problem, Neural Computation 10(5), appendix A, for the centred matrix.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.linalg import get_lapack_funcs

# Numbers of a block of rows: with its companions of the same size it fits the second-level cache.
_BLOCK_SIZE = 2**13


@dataclass
class ScaledProblem:
    """Ridge regression of `y` on the symmetric matrix `K`, without weights and intercept.

    :meth:`in_place` makes one. What concerns an intercept is None where there is none.

    Parameters
    ----------
    K : ndarray
        S K S; after :meth:`centre` A + t uuᵀ.  # shape: (n, n)
    y : ndarray
        z, of the type of `K`.  # shape: (n, n_targets)
    root_weight : ndarray or None
        √w; None where every row weighs one.  # shape: (n,)
    direction : ndarray or None
        u.  # shape: (n,)
    column : ndarray or None
        g.  # shape: (n,)
    target_means : ndarray or None
        ȳ, in float64.  # shape: (n_targets,)
    shift : float
        t; 0 before :meth:`centre`.
    """

    K: np.ndarray
    y: np.ndarray
    root_weight: np.ndarray | None
    direction: np.ndarray | None = None
    column: np.ndarray | None = None
    target_means: np.ndarray | None = None
    shift: float = 0.0

    @classmethod
    def in_place(
        cls,
        K: np.ndarray,
        y: np.ndarray,
        sample_weight: np.ndarray | None = None,
        fit_intercept: bool = False,
    ) -> ScaledProblem:
        """The problem in the memory of `K`, not yet centred.

        Parameters
        ----------
        K : ndarray
            Gram matrix, C-ordered, which is overwritten.  # shape: (n, n)
        y : ndarray
            Targets, which are not.  # shape: (n, n_targets)
        sample_weight : ndarray, optional
            Weights, at least 0, not all 0.  # shape: (n,)
        fit_intercept : bool, default False
            Whether b is fitted, too.
        """
        root_weight = direction = column = target_means = None
        if sample_weight is not None:
            root_weight = np.sqrt(sample_weight).astype(K.dtype)
            for rows, block in _blocks(K):
                block *= root_weight[rows, None] * root_weight
        if fit_intercept:
            y, target_means = centre_targets(y, sample_weight)
            share = np.full(len(y), 1.0 / len(y))
            if sample_weight is not None:
                share = sample_weight / sample_weight.sum()
            direction = np.sqrt(share).astype(K.dtype)
            column = K @ direction
        if root_weight is not None:
            y = y * root_weight[:, None]
        y = y.astype(K.dtype, copy=False)
        return cls(K, y, root_weight, direction, column, target_means)

    @property
    def degrees_of_freedom(self) -> int:
        """How many numbers of y are free: one for each row with a weight, less one for b."""
        used = len(self.y) if self.root_weight is None else np.count_nonzero(self.root_weight)
        return int(used) - (self.direction is not None)

    def centre(self) -> None:
        """Replace S K S by A + t uuᵀ, where t ≥ 2‖A‖; nothing is done without an intercept.

        t is of the size of S K S, from whose rounding errors A has its own: what takes eigenvalues
        below n·eps of the largest for zero still judges by that.
        """
        if self.direction is None or self.column is None:
            return
        (lange,) = get_lapack_funcs(("lange",), (self.K,))
        self.shift = 2.0 * float(lange("1", self.K.T)) or 1.0
        u, g = self.direction, self.column
        h = (g - 0.5 * (float(u @ g) + self.shift) * u).astype(self.K.dtype)
        for rows, block in _blocks(self.K):
            block -= u[rows, None] * h + h[rows, None] * u

    def solution(self, c: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """The coefficients a and the intercept b (None without one) of a solution c.

        Parameters
        ----------
        c : ndarray
            # shape: (n, n_targets) or (n, n_targets, n_alphas)

        Returns
        -------
        a : ndarray
            # shape: as c
        b : ndarray or None
            # shape: as c without its first axis
        """
        columns = c.reshape(c.shape[0], -1)
        b = None
        if self.direction is not None and self.column is not None:
            # Orthogonal to u but for rounding errors, which a large mean of K would magnify.
            columns = columns - self.direction[:, None] * (self.direction @ columns)
            b = self._intercept((self.column @ columns).reshape(c.shape[1:]))
        if self.root_weight is not None:
            columns = columns * self.root_weight[:, None]
        return columns.reshape(c.shape), b

    def _intercept(self, fitted: np.ndarray) -> np.ndarray:
        """ȳ - gᵀc/‖√w‖, given gᵀc."""
        weight = len(self.y) if self.root_weight is None else self.root_weight @ self.root_weight
        return (self.target_means - fitted.T / np.sqrt(weight)).T


def centre_targets(
    y: np.ndarray, sample_weight: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Targets less their weighted means, and these, in float64.

    As exact for values around 1e8 as for values around 1: a mean has a rounding error of the size
    of the values, so that the mean of what is left is taken off as well. A target that is constant
    but for rounding errors becomes exactly zero.

    Parameters
    ----------
    y : ndarray
        # shape: (n, n_targets)
    sample_weight : ndarray or None
        # shape: (n,)

    Returns
    -------
    centred : ndarray of float64
        # shape: (n, n_targets)
    means : ndarray of float64
        # shape: (n_targets,)
    """
    y = y.astype(np.float64)
    first = np.average(y, axis=0, weights=sample_weight)
    centred = y - first
    second = np.average(centred, axis=0, weights=sample_weight)
    centred -= second
    used = slice(None) if sample_weight is None else sample_weight > 0.0
    rounding = 4.0 * np.finfo(np.float64).eps * np.abs(y[used]).max(axis=0)
    centred[:, np.abs(centred[used]).max(axis=0) <= rounding] = 0.0
    return centred, first + second


def _blocks(K: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Rows of `K`, a part at a time."""
    step = max(1, _BLOCK_SIZE // K.shape[0])
    for start in range(0, K.shape[0], step):
        rows = slice(start, start + step)
        yield rows, K[rows]
