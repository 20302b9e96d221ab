r"""Rows in other units, so that kernels keep their values at the edges of a float's range.

A kernel of :math:`\gamma t`, where t is a sum over the columns, is the same for rows times
:math:`2^k` and γ times :math:`2^{-pk}`, with p = 2 for inner products and squared distances and p = 1
for Manhattan distances. A power of two rounds nothing. With it γ is made about 1 where t or γ alone
would overflow or underflow, though their product does not: for a width of 1e-200, or for rows of the
size of 1e160.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from fastkb.scalar.kernels import Form


class Range(NamedTuple):
    """What a floating type holds, in powers of two."""

    top: int  # all below 2^top is finite
    plain: int  # γ from 2^-plain to 2^plain needs nothing: where t overflows exp(-γt) is 0,
    # and where t underflows it is 1, to rounding errors


RANGES = {np.dtype(np.float64): Range(1024, 1010), np.dtype(np.float32): Range(128, 115)}


class Units(NamedTuple):
    """γ and rows that give the same kernel."""

    gamma: float
    X: np.ndarray
    Y: np.ndarray | None


def in_range(form: Form, gamma: float, shift: int, X: np.ndarray, Y: np.ndarray | None) -> Units:
    r"""The kernel of :math:`\gamma 2^{shift}`, with rows in units that keep it in range.

    Parameters
    ----------
    form : Form
        What is summed over the columns.
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
    if inside and form == Form.DOT:
        inside = fits(span, X.shape[1], largest_exponent(X, Y))
    if inside:
        return Units(math.ldexp(gamma, shift), X, Y)
    power = power_of(form)
    room = span.top // power - 2 - X.shape[1].bit_length() - largest_exponent(X, Y)
    k = min(size // power, room)
    try:
        gamma = math.ldexp(gamma, shift - power * k)
    except OverflowError:
        gamma = float(np.finfo(np.float64).max)
    return Units(gamma, np.ldexp(X, k), None if Y is None else np.ldexp(Y, k))


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
