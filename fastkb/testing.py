"""Conformance suites that users can run on their own kernels.

>>> import fastkb
>>> fastkb.testing.check_kernel(fastkb.kernels.RBF(sigma=0.7))
"""

from __future__ import annotations

import copy

import numpy as np

from fastkb.gram.algebra import Kernel, Multiple, Product, Scaled, Sum
from fastkb.gram.evaluate import FORMS
from fastkb.gram.pairwise import gram
from fastkb.scalar.kernels import Form, n_parameters

# Rows around the edges of tiles, and columns around those of the blocks that are summed at a time.
_ROWS = (1, 2, 24, 25, 96, 97, 193)
_COLUMNS = (1, 7, 257)


def check_kernel(kernel: Kernel, *, rng: int = 0) -> None:
    """Check that a kernel obeys the laws of its kind, on random data of many shapes.

    The values are those of its formula, evaluated pair by pair in Python; the matrix is symmetric to
    the last bit; parts of it do not depend on the rest; float32 and float64 agree; ``out`` receives
    the same bits in any layout; ``diag`` is the diagonal, which is 1, and no eigenvalue is negative,
    where the kernel says so; and the object equals its copy, and hashes alike.

    Parameters
    ----------
    kernel : fastkb.kernels.Kernel
        One of the package, a sum or product of them, or a subclass with a formula of its own.
    rng : int, default 0
        Seed of the data.

    Raises
    ------
    AssertionError
        Saying which law is broken, for which shape and type.
    """
    generator = np.random.default_rng(rng)
    _check_object(kernel)
    width = _width(kernel)
    for d in _COLUMNS if width is None else (width,):
        for n in _ROWS:
            X = generator.uniform(-1, 1, (n, d)) / np.sqrt(d)
            _check_matrix(kernel, X)
            _check_matrix(kernel, X.astype(np.float32))


def _width(kernel: Kernel) -> int | None:
    """How many columns the data must have, if that is laid down."""
    if isinstance(kernel, Scaled):
        return len(kernel.length_scales)
    parts: tuple = getattr(kernel, "terms", getattr(kernel, "factors", ()))
    if isinstance(kernel, Multiple):
        parts = (kernel.kernel,)
    return next((width for width in map(_width, parts) if width is not None), None)


def _check_object(kernel: Kernel) -> None:
    other = copy.deepcopy(kernel)
    assert other == kernel, f"{kernel!r} does not equal its copy: make it a frozen dataclass"
    assert hash(other) == hash(kernel), f"{kernel!r} and its copy have different hashes"


def _check_matrix(kernel: Kernel, X: np.ndarray) -> None:
    n, d = X.shape
    where = f"{kernel!r}, n={n}, d={d}, {X.dtype}"
    K = gram(kernel, X)
    assert K.dtype == X.dtype, f"{where}: the result's type is {K.dtype}"
    assert np.array_equal(K, K.T, equal_nan=True), f"{where}: not symmetric to the last bit"
    some = slice(0, min(n, 20))
    part = gram(kernel, X[some], X)
    assert np.array_equal(part, K[some], equal_nan=True), f"{where}: a part differs from the whole"
    out = np.empty((n, n), dtype=X.dtype, order="F")
    gram(kernel, X, out=out)
    assert np.array_equal(out, K, equal_nan=True), f"{where}: `out` in Fortran order differs"
    _check_values(kernel, X[some], K[some, some], where)
    diagonal = kernel.diag(X)
    assert diagonal.shape == (n,), f"{where}: diag has the shape {diagonal.shape}"
    assert diagonal.dtype == X.dtype, f"{where}: diag has the type {diagonal.dtype}"
    if kernel.has_unit_diagonal:
        assert (np.diag(K) == 1).all(), f"{where}: the diagonal is not exactly 1"
        assert (diagonal == 1).all(), f"{where}: diag is not exactly 1"
    else:
        slack = 4 * (d + 8) * np.finfo(X.dtype).eps * (np.abs(diagonal).max() + 1)
        assert np.abs(diagonal - np.diag(K)).max() <= slack, f"{where}: diag is not the diagonal"
    if kernel.is_positive_semidefinite and X.dtype == np.float64:
        lowest = np.linalg.eigvalsh(K)[0]
        # LAPACK's own rounding: some tens of units of the largest eigenvalue there may be.
        limit = -30 * n * np.finfo(float).eps * np.abs(K).max()
        assert lowest >= limit, f"{where}: an eigenvalue is {lowest}"


def _check_values(kernel: Kernel, X: np.ndarray, K: np.ndarray, where: str) -> None:
    """Against the formula in Python, within the rounding of a sum of d terms and of its slope."""
    exact, slack = _exact(kernel, X.astype(np.float64), float(np.finfo(X.dtype).eps))
    wrong = ~((np.abs(K - exact) <= slack) | (np.isnan(K) & np.isnan(exact)))
    assert not wrong.any(), (
        f"{where}: the value of pair {tuple(np.argwhere(wrong)[0])} is {K[wrong][0]}, "
        f"and by its formula {exact[wrong][0]}"
    )


def _exact(kernel: Kernel, X: np.ndarray, eps: float) -> tuple[np.ndarray, np.ndarray]:
    """The values of a kernel and how far rounding may take them.  # shapes: (n, n)"""
    if isinstance(kernel, Scaled):
        return _exact(kernel.kernel, X / np.array(kernel.length_scales), eps)
    if isinstance(kernel, Multiple):
        exact, slack = _exact(kernel.kernel, X, eps)
        return kernel.factor * exact, kernel.factor * (slack + eps * np.abs(exact))
    if isinstance(kernel, Sum):
        exact, slack = _exact(kernel.terms[0], X, eps)
        for term in kernel.terms[1:]:
            more, slack_of_more = _exact(term, X, eps)
            slack = slack + slack_of_more + eps * (np.abs(exact) + np.abs(more))
            exact = exact + more
        return exact, slack
    if isinstance(kernel, Product):
        parts = [_exact(factor, X, eps) for factor in kernel.factors]
    elif not kernel.form and kernel.row.by_column:
        parts = [_exact_on(kernel, X[:, j : j + 1], eps) for j in range(X.shape[1])]
    else:
        parts = [_exact_on(kernel, X, eps)]
    exact, slack = parts[0]
    for more, slack_of_more in parts[1:]:
        slack = slack * (np.abs(more) + slack_of_more) + slack_of_more * np.abs(exact)
        exact = exact * more
        slack = slack + eps * np.abs(exact)
    return exact, slack


def _exact_on(kernel: Kernel, X: np.ndarray, eps: float) -> tuple[np.ndarray, np.ndarray]:
    """The same for one scalar function of one sum over the columns."""
    if kernel.form:
        form, g = FORMS[kernel.form], kernel.function
    else:
        row, parameters = kernel.row, kernel.parameters[: n_parameters(kernel.row.function)]
        form = row.form
        g = np.vectorize(lambda t: row.function(float(t), *parameters), otypes=[float])
        if row.unit_rows:
            norms = np.linalg.norm(X, axis=1, keepdims=True)
            X = X / np.where(norms == 0, 1, norms)
    d = X.shape[1]
    difference = X[:, None] - X[None]
    sums = {
        Form.DOT: X @ X.T,
        Form.SQDIFF: np.sum(difference**2, axis=2),
        Form.ABSDIFF: np.sum(np.abs(difference), axis=2),
    }[form]
    size = np.abs(X) @ np.abs(X).T if form is Form.DOT else sums
    step = 2 * (d + 4) * eps * size + np.finfo(np.float32 if eps > 1e-10 else np.float64).tiny
    exact = g(sums)
    # A smooth g moves with its argument by no more than over twice that distance. (Below 0 there is no
    # distance.)
    low = sums - 2 * step if form is Form.DOT else np.maximum(sums - 2 * step, 0.0)
    slack = np.abs(g(sums + 2 * step) - exact) + np.abs(exact - g(low))
    return exact, slack + 16 * eps * (np.abs(exact) + 1)
