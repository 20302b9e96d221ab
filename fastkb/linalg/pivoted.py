r"""Pivoted Cholesky decomposition of a Gram matrix that is never formed: K = L Lᵀ + E.

Each step takes the point with the largest residual diagonal dᵢ = Kᵢᵢ − ‖lᵢ‖² as the next pivot, asks for
that one column of K, and appends a column to L. E is positive semidefinite, with diagonal d, and so
\|Eᵢⱼ\| ≤ √(dᵢ dⱼ): the diagonal bounds everything that was left out.

Cost: r kernel columns and n·r² flops for rank r. The diagonal is known up to rounding, a few eps·Kᵢᵢ.

References
----------
Harbrecht, Peters, Schneider (2012), On the low-rank approximation by the pivoted Cholesky
decomposition, Applied Numerical Mathematics 62.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from fastkb.runtime import jit, prange
from fastkb.runtime.memory import empty

# Rows that one thread updates at a time: a column's part of this length stays in the first-level
# cache while all earlier columns pass by.
_ROWS = 1024

_TINY = np.finfo(np.float64).tiny

# A residual this small, relative to the kernel's diagonal, is made of rounding errors.
ROUNDING = 4 * np.finfo(np.float64).eps


@jit(parallel=True)
def _append_column(factor, rank, pivot, coefficients, column, residual):
    """factor[rank] = (column - Σ_k factor[k] coefficients[k]) / √residual[pivot]; update residual."""
    n = column.shape[0]
    pivot_residual = residual[pivot]
    scale = 1.0 / math.sqrt(pivot_residual)
    for part in prange((n + _ROWS - 1) // _ROWS):
        start = part * _ROWS
        stop = min(start + _ROWS, n)
        k = 0
        while k + 4 <= rank:
            c0, c1, c2, c3 = (
                coefficients[k],
                coefficients[k + 1],
                coefficients[k + 2],
                coefficients[k + 3],
            )
            for i in range(start, stop):
                column[i] -= (factor[k, i] * c0 + factor[k + 1, i] * c1) + (
                    factor[k + 2, i] * c2 + factor[k + 3, i] * c3
                )
            k += 4
        while k < rank:
            c0 = coefficients[k]
            for i in range(start, stop):
                column[i] -= factor[k, i] * c0
            k += 1
        for i in range(start, stop):
            # A pivot is represented exactly, and its residual is zero: rounding must not bring it
            # back. At other points what rounding made zero or negative is the smallest number above
            # zero: their values still count (0 in their place would be an error of √(dᵢ dⱼ) in Eᵢⱼ).
            value = column[i] * scale if residual[i] > 0.0 else 0.0
            if i == pivot:
                value = math.sqrt(pivot_residual)
            factor[rank, i] = value
            left = residual[i] - value * value
            if residual[i] > 0.0:
                residual[i] = 0.0 if i == pivot else max(left, _TINY)


class PivotedCholesky:
    """A pivoted Cholesky decomposition that grows on demand.

    Parameters
    ----------
    diagonal : ndarray
        The diagonal of K, not negative.  # shape: (n,)
    column : callable
        ``column(i)`` gives K[:, i].  # shape: (n,)
    max_rank : int
        Where to stop in any case; memory for so many columns is taken as needed.

    Attributes
    ----------
    rank : int
    pivots : list of int
    residual : ndarray
        The diagonal of E.  # shape: (n,)

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb.linalg.pivoted import PivotedCholesky
    >>> x = np.linspace(0, 1, 50)
    >>> K = np.exp(-((x[:, None] - x) ** 2))
    >>> decomposition = PivotedCholesky(np.ones(50), lambda i: K[:, i], max_rank=50)
    >>> decomposition.grow(lambda residual: residual.sum() <= 1e-8)
    True
    >>> L = decomposition.factor.T
    >>> bool(np.abs(K - L @ L.T).max() < 1e-8), decomposition.rank < 10
    (True, True)
    """

    def __init__(
        self, diagonal: np.ndarray, column: Callable[[int], np.ndarray], max_rank: int
    ) -> None:
        self.residual = np.array(diagonal, dtype=np.float64)
        self.pivots: list[int] = []
        self._column = column
        self._max_rank = min(max_rank, len(self.residual))
        self._floor = ROUNDING * float(self.residual.max(initial=0.0))
        self._storage = self._allocate(min(64, self._max_rank))

    def _allocate(self, capacity: int) -> np.ndarray:
        return empty((capacity, len(self.residual)), np.float64, "a low-rank factor")

    @property
    def rank(self) -> int:
        """Number of columns so far."""
        return len(self.pivots)

    @property
    def factor(self) -> np.ndarray:
        """Lᵀ, a view.  # shape: (rank, n)"""
        return self._storage[: self.rank]

    def grow(
        self,
        enough: Callable[[np.ndarray], bool],
        priority: np.ndarray | None = None,
    ) -> bool:
        """Append columns until ``enough(residual)``; False if the rank or rounding stopped it before.

        Parameters
        ----------
        enough : callable
            Looks at the residual diagonal.
        priority : ndarray, optional
            The next pivot is the largest residual · priority; ones by default.  # shape: (n,)
        """
        while not enough(self.residual):
            score = self.residual if priority is None else self.residual * priority
            pivot = int(score.argmax())
            if self.rank == self._max_rank or self.residual[pivot] <= self._floor:
                return False
            self._append(pivot)
        return True

    def _append(self, pivot: int) -> None:
        if self.rank == len(self._storage):
            larger = self._allocate(min(2 * self.rank, self._max_rank))
            larger[: self.rank] = self._storage
            self._storage = larger
        column = np.array(self._column(pivot), dtype=np.float64)
        coefficients = self._storage[: self.rank, pivot].copy()
        _append_column(self._storage, self.rank, pivot, coefficients, column, self.residual)
        self.pivots.append(pivot)
