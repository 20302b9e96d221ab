r"""Rows in other units, so that kernels keep their values at the edges of a float's range.

A kernel of :math:`\gamma t`, where t is a sum over the columns, is the same for rows times
:math:`2^k` and γ times :math:`2^{-pk}`, with p = 2 for inner products and squared distances and p = 1
for Manhattan distances. A power of two rounds nothing. With it γ is made about 1 where t or γ alone
would overflow or underflow, though their product does not: for a width of 1e-200, or for rows of the
size of 1e160. Where columns have length scales of their own, each has a power of its own.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from fastkb.scalar.kernels import Form, Kernel


class Range(NamedTuple):
    """What a floating type holds, in powers of two."""

    top: int  # all below 2^top is finite
    plain: int  # γ from 2^-plain to 2^plain needs nothing: where t overflows g(γt) is at its limit,
    # and where t underflows it is 1, to rounding errors (of the square root in a Matérn kernel, too)


RANGES = {np.dtype(np.float64): Range(1024, 960), np.dtype(np.float32): Range(128, 96)}


class Units(NamedTuple):
    """γ and rows that give the same kernel; the weights of a weighted form."""

    gamma: float
    X: np.ndarray
    Y: np.ndarray | None
    weights: np.ndarray | None = None


def in_range(row: Kernel, gamma: float, shift: int, X: np.ndarray, Y: np.ndarray | None) -> Units:
    r"""The kernel of :math:`\gamma 2^{shift}`, with rows in units that keep it in range.

    Parameters
    ----------
    row : Kernel
        What is summed over the columns, and how fast its function falls.
    gamma : float
        γ ≥ 0.
    shift : int
        A power of two that γ is multiplied by, which alone may be out of range.
    X, Y : ndarray
        # shapes: (n, d), (m, d)
    """
    if gamma == 0.0:
        # Nothing but 0·∞ could come of the rows.
        return Units(0.0, np.zeros_like(X), None if Y is None else np.zeros_like(Y))
    span = RANGES[X.dtype]
    size = math.frexp(gamma)[1] + shift
    inside = abs(size) <= span.plain
    if inside and (row.form == Form.DOT or row.slow):
        inside = fits(span, X.shape[1], largest_exponent(X, Y))
    if inside:
        return Units(math.ldexp(gamma, shift), X, Y)
    power = power_of(row.form)
    k = min(size // power, _room(span, row.form, X.shape[1], largest_exponent(X, Y)))
    try:
        gamma = math.ldexp(gamma, shift - power * k)
    except OverflowError:
        gamma = float(np.finfo(np.float64).max)
    return Units(gamma, np.ldexp(X, k), None if Y is None else np.ldexp(Y, k))


def weighted_in_range(
    row: Kernel,
    gamma: float,
    shift: int,
    lengths: np.ndarray,
    X: np.ndarray,
    Y: np.ndarray | None,
) -> Units:
    r"""The same for a kernel of differences that are divided by a length scale in each column.

    Parameters
    ----------
    row, gamma, shift, X, Y
        As for :func:`in_range`; γ > 0.
    lengths : ndarray of float64
        # shape: (d,)
    """
    span, power, dtype = RANGES[X.dtype], power_of(row.form), X.dtype
    mantissas, exponents = np.frexp(lengths)
    size = math.frexp(gamma)[1] + shift
    inside = abs(size) <= span.plain // 2 and int(np.abs(exponents).max()) <= span.plain // 4
    if inside and row.slow:
        largest = largest_exponent(X, Y) - int(exponents.min())
        inside = fits(span, X.shape[1], largest) and fits(span, X.shape[1], largest_exponent(X, Y))
    if inside:
        return Units(math.ldexp(gamma, shift), X, Y, (1.0 / lengths).astype(dtype))
    # γ's power of two goes into the weights, and those of the weights, as far as they can, into the rows.
    common = size // power
    powers = common - exponents
    columns = np.maximum(np.abs(X).max(axis=0), 0.0 if Y is None else np.abs(Y).max(axis=0))
    k = np.minimum(powers, _room(span, row.form, X.shape[1], np.frexp(columns)[1]))
    with np.errstate(over="ignore", under="ignore"):
        weights = np.ldexp(1.0 / mantissas, powers - k).clip(max=np.finfo(dtype).max)
        X, Y = np.ldexp(X, k), None if Y is None else np.ldexp(Y, k)
    return Units(math.ldexp(gamma, shift - power * common), X, Y, weights.astype(dtype))


def multiplied(lengths: np.ndarray, others: np.ndarray) -> np.ndarray:
    """lengths · others, positive and finite."""
    limits = np.finfo(np.float64)
    with np.errstate(over="ignore", under="ignore"):
        return (lengths * others).clip(limits.smallest_subnormal, limits.max)


def divided(X: np.ndarray, lengths: np.ndarray, k: int = 0) -> np.ndarray:
    """X / lengths · 2ᵏ, column by column; what is beyond the type is its largest number."""
    largest = np.finfo(X.dtype).max
    mantissas, exponents = np.frexp(lengths)
    with np.errstate(over="ignore", under="ignore"):
        rows = np.ldexp(X / mantissas.astype(X.dtype), k - exponents)
    return rows.clip(-largest, largest, out=rows)


def divided_exponent(X: np.ndarray, Y: np.ndarray | None, lengths: np.ndarray) -> int:
    """The power of two that all of X / lengths stays below in size; 0 if all are 0."""
    exponents = np.frexp(lengths)[1]
    found = [
        np.frexp(np.abs(Z).max(axis=0))[1] - exponents + 1
        for Z in (X, Y)
        if Z is not None and Z.any()
    ]
    return int(max((each.max() for each in found), default=0))


def of_norm_one(X: np.ndarray, lengths: np.ndarray | None = None) -> np.ndarray:
    """Rows (of X / lengths) divided by their Euclidean norms, whatever their size; zeros stay zeros."""
    mantissas, exponents = np.frexp(X)
    if lengths is not None:
        scale, powers = np.frexp(lengths)
        mantissas, exponents = mantissas / scale.astype(X.dtype), exponents - powers
    # All of a row's numbers are brought to 2 or less by one power of two.
    exponents = np.where(mantissas == 0.0, np.iinfo(np.int32).min // 2, exponents)
    with np.errstate(under="ignore"):
        rows = np.ldexp(mantissas, exponents - exponents.max(axis=1, keepdims=True), dtype=X.dtype)
    norms = np.sqrt(np.sum(np.square(rows, dtype=np.float64, order="C"), axis=1))
    norms[norms == 0.0] = 1.0
    return np.divide(rows, norms[:, None], out=rows, casting="same_kind")


def power_of(form: Form) -> int:
    """How t grows with the rows: t of rows times s is t times s to this power."""
    return 1 if form == Form.ABSDIFF else 2


def largest_exponent(X: np.ndarray, Y: np.ndarray | None) -> int:
    """The power of two that all elements stay below in size; 0 if all are 0."""
    arrays = [X] if Y is None else [X, Y]
    return math.frexp(max(max(float(a.max()), -float(a.min())) for a in arrays))[1]


def fits(span: Range, d: int, exponent: int) -> bool:
    """Whether no inner product of rows of this size overflows, or loses digits to underflow."""
    return abs(exponent) <= span.top // 2 - 20 - d.bit_length()


def _room(span: Range, form: Form, d: int, exponent: Any) -> Any:
    """How many more powers of two rows below 2^exponent may be multiplied by."""
    return span.top // power_of(form) - 2 - d.bit_length() - exponent
