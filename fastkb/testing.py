"""Conformance suites that users can run on their own kernels.

>>> import fastkb
>>> fastkb.testing.check_kernel(fastkb.kernels.RBF(sigma=0.7))
"""

from __future__ import annotations

import numpy as np

from fastkb.gram.kernels import Kernel
from fastkb.gram.pairwise import gram
from fastkb.scalar.kernels import Form

# Rows around the edges of tiles, and columns around those of the blocks that are summed at a time.
_ROWS = (1, 2, 24, 25, 96, 97, 193)
_COLUMNS = (1, 7, 257)


def check_kernel(kernel: Kernel, *, rng: int = 0) -> None:
    """Check that a kernel obeys the laws of its kind, on random data of many shapes.

    The values are those of its formula, evaluated pair by pair in Python; the matrix is symmetric to
    the last bit; parts of it do not depend on the rest; float32 and float64 agree; ``out`` receives
    the same bits in any layout; the diagonal is 1, and no eigenvalue negative, where the kernel's row
    of the table says so.

    Parameters
    ----------
    kernel : fastkb.kernels.Kernel
    rng : int, default 0
        Seed of the data.

    Raises
    ------
    AssertionError
        Saying which law is broken, for which shape and type.
    """
    generator = np.random.default_rng(rng)
    for d in _COLUMNS:
        for n in _ROWS:
            X = generator.uniform(-1, 1, (n, d)) / np.sqrt(d)
            _check_matrix(kernel, X)
            _check_matrix(kernel, X.astype(np.float32))


def _check_matrix(kernel: Kernel, X: np.ndarray) -> None:
    n, d = X.shape
    where = f"{kernel!r}, n={n}, d={d}, {X.dtype}"
    K = gram(kernel, X)
    assert K.dtype == X.dtype, f"{where}: the result's type is {K.dtype}"
    assert np.array_equal(K, K.T, equal_nan=True), f"{where}: not symmetric to the last bit"
    if kernel.row.unit_diagonal:
        assert (np.diag(K) == 1).all(), f"{where}: the diagonal is not exactly 1"
    some = slice(0, min(n, 20))
    part = gram(kernel, X[some], X)
    assert np.array_equal(part, K[some], equal_nan=True), f"{where}: a part differs from the whole"
    out = np.empty((n, n), dtype=X.dtype, order="F")
    gram(kernel, X, out=out)
    assert np.array_equal(out, K, equal_nan=True), f"{where}: `out` in Fortran order differs"
    if kernel.row.positive_definite and X.dtype == np.float64:
        lowest = np.linalg.eigvalsh(K)[0]
        limit = -10 * n * np.finfo(float).eps * np.abs(K).max()
        assert lowest >= limit, f"{where}: an eigenvalue is {lowest}"
    _check_values(kernel, X[some], K[some, some], where)


def _check_values(kernel: Kernel, X: np.ndarray, K: np.ndarray, where: str) -> None:
    """Against the formula in Python, within the rounding of a sum of d terms and of its slope."""
    d = X.shape[1]
    eps = float(np.finfo(X.dtype).eps)
    wide = X.astype(np.float64)
    difference = wide[:, None] - wide[None]
    sums = {
        Form.DOT: wide @ wide.T,
        Form.SQDIFF: np.sum(difference**2, axis=2),
        Form.ABSDIFF: np.sum(np.abs(difference), axis=2),
    }[kernel.row.form]
    size = np.abs(wide) @ np.abs(wide).T if kernel.row.form is Form.DOT else sums
    step = 2 * (d + 4) * eps * size + np.finfo(X.dtype).tiny
    g = np.vectorize(lambda t: kernel.row.function(float(t), kernel.parameters), otypes=[float])
    exact = g(sums)
    # A smooth g moves with its argument by no more than over twice that distance.
    low, high = g(sums - 2 * step), g(sums + 2 * step)
    slack = np.abs(high - exact) + np.abs(exact - low) + 16 * eps * (np.abs(exact) + 1)
    wrong = ~((np.abs(K - exact) <= slack) | (np.isnan(K) & np.isnan(exact)))
    assert not wrong.any(), (
        f"{where}: the value of pair {tuple(np.argwhere(wrong)[0])} is {K[wrong][0]}, "
        f"and by its formula {exact[wrong][0]}"
    )
