"""A Gram matrix times coefficients, Σⱼ cⱼ K(x, yⱼ), without the matrix: what estimators predict by.

A kernel of the table is reduced tile by tile, while its values are in the cache. So are sums and
multiples of such kernels, as the product is linear in K, and kernels with length scales. Any other kernel
is not: its matrix is multiplied.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastkb.gram import engine
from fastkb.gram.checks import check_matrices
from fastkb.gram.engine import LIMITS, Rows
from fastkb.gram.evaluate import Work
from fastkb.gram.kernels import Kernel, polynomial_row
from fastkb.gram.pairwise import checked_parameters, with_defaults
from fastkb.scalar.kernels import Kernel as Row
from fastkb.scalar.kernels import named
from fastkb.tile.sinks import Into, Sink


class _HasNone(Exception):
    """A kernel that is not reduced."""


class _Trial(Work):
    """Looks whether all parts of a kernel are reduced, and computes nothing."""

    def write_row(
        self, row: Row, parameters: tuple[float, ...], shift: int, lengths: Any, into: Into
    ) -> None:
        """See the base class."""
        if into.sink == Sink.MULTIPLY or (row.by_column and self.d > 1):
            raise _HasNone

    def write_formula(self, kernel: Any, lengths: Any, into: Into) -> None:
        """See the base class."""
        raise _HasNone

    def through_buffer(self, kernel: Any, lengths: Any, into: Into) -> None:
        """See the base class."""
        raise _HasNone


class _Reduced(_Trial):
    """The product, part by part."""

    def __init__(self, X: Any, Y: Any, coefficients: np.ndarray) -> None:
        super().__init__(X, Y)
        self._coefficients = coefficients

    def write_row(
        self, row: Row, parameters: tuple[float, ...], shift: int, lengths: Any, into: Into
    ) -> None:
        """See the base class."""
        rows = Rows(self.X, self.Y, lengths)
        found = engine.reduce(row, parameters, shift, rows, self._coefficients)
        with np.errstate(over="ignore", invalid="ignore"):
            if into.factor != 1.0:
                found *= min(into.factor, LIMITS[found.dtype].largest)
            if into.sink == Sink.ADD:
                found += into.out
        into.out[...] = found


def product(
    metric: Any, X: np.ndarray, Y: np.ndarray, coefficients: np.ndarray, given: dict[str, Any]
) -> np.ndarray | None:
    """K(X, Y) times coefficients; None for a kernel that is not reduced.

    Parameters
    ----------
    metric : str, callable or fastkb.kernels.Kernel
    X, Y : ndarray
        # shapes: (n, d), (m, d)
    coefficients : ndarray
        # shape: (m, targets)
    given : dict
        Parameters of a kernel that is named; those that it does not have are passed over.

    Returns
    -------
    ndarray or None
        # shape: (n, targets)
    """
    row = named(metric) if isinstance(metric, str) else None
    if row is None and not isinstance(metric, Kernel):
        return None
    X, other = check_matrices(X, Y)
    Z = X if other is None else other
    if coefficients.dtype != X.dtype:
        return None
    rows = np.ascontiguousarray(coefficients.T)
    if row is not None:
        given = checked_parameters(row, given)
        row = polynomial_row(given["degree"]) if "degree" in given else row
        return engine.reduce(row, with_defaults(row, given, X.shape[1]), 0, Rows(X, Z), rows)
    out = np.empty((len(X), len(rows)), X.dtype)
    try:
        metric._write(_Trial(X, Z), None, Into(out))
    except _HasNone:
        return None
    metric._write(_Reduced(X, Z, rows), None, Into(out))
    return out
