r"""Prediction bands for new observations: the jackknife+.

With the curve :math:`\hat f_{-i}` fitted without observation i and its error
:math:`r_i = |y_i - \hat f_{-i}(x_i)|` there, the band at x is from the ⌊α(n + 1)⌋-th smallest of
:math:`\hat f_{-i}(x) - r_i` to the ⌈(1 - α)(n + 1)⌉-th smallest of :math:`\hat f_{-i}(x) + r_i`. Where
observations are exchangeable it holds a new one with probability 1 - 2α at least, whatever the model;
1 - α is what is seen unless the model is unstable.

Kernel ridge regression needs no refits: its smoother maps the data with yᵢ replaced by f₋ᵢ(xᵢ) to f₋ᵢ
itself, so that :math:`\hat f_{-i}(x) = \hat f(x) - L(x)_i (y_i - \hat f_{-i}(x_i))`.

References
----------
Barber, Candès, Ramdas, Tibshirani (2021), Predictive inference with the jackknife+, Annals of
Statistics 49.
Kim, Xu, Barber (2020), Predictive inference is free with the jackknife+-after-bootstrap, NeurIPS
33.
"""

from __future__ import annotations

import math

import numpy as np

from fastkb.bands.coverage.spectrum import Spectrum

# Values that are sorted at a time.
_VALUES = 2**22


def jackknife_plus(
    center: np.ndarray, smoother: np.ndarray, errors: np.ndarray, level: float
) -> tuple[np.ndarray, np.ndarray]:
    """The band of a linear smoother.

    Parameters
    ----------
    center : ndarray
        The curve fitted to all data.  # shape: (m,)
    smoother : ndarray
        The matrix that makes a curve of responses.  # shape: (m, n)
    errors : ndarray
        yᵢ - f₋ᵢ(xᵢ).  # shape: (n,)
    level : float

    Returns
    -------
    low, high : ndarray
        Infinite where n is below level/(1 - level): so few cannot say.  # shape: (m,)
    """
    m, n = smoother.shape
    low, high = np.empty(m), np.empty(m)
    step = max(1, _VALUES // n)
    for start in range(0, m, step):
        part = slice(start, start + step)
        curves = center[part, None] - smoother[part] * errors
        low[part], high[part] = interval(curves, np.abs(errors), level)
    return low, high


def place_of(level: float, n: int) -> int:
    """Which of n ordered errors holds a new one at the level; above n there is none."""
    # A rounding error must not make 0.9 · 10 a little more than 9.
    return math.ceil(level * (n + 1) - 1e-9)


def interval(curves: np.ndarray, errors: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """The interval at each point, from left-out curves and the sizes of their errors.

    Parameters
    ----------
    curves : ndarray
        f₋ᵢ(x).  # shape: (m, n)
    errors : ndarray
        Not negative.  # shape: (n,)
    level : float
    """
    n, place = len(errors), place_of(level, len(errors))
    if place > n:
        return np.full(len(curves), -np.inf), np.full(len(curves), np.inf)
    high = np.partition(curves + errors, place - 1, axis=1)[:, place - 1]
    low = np.partition(curves - errors, n - place, axis=1)[:, n - place]
    return low, high


def left_out_errors(one: Spectrum, alpha: float, y: np.ndarray) -> np.ndarray:
    """yᵢ - f₋ᵢ(xᵢ) = cᵢ / Gᵢᵢ for G = (K̃ + λI)⁻¹ off the constants, and c = Gy.

    Parameters
    ----------
    one : Spectrum
    alpha : float
    y : ndarray
        # shape: (n,)

    References
    ----------
    Cawley, Talbot (2004), Fast exact leave-one-out cross-validation of sparse least-squares support
    vector machines, Neural Networks 17.
    """
    n, rank = one.axes.shape
    constant = 1.0 / n if one.centred else 0.0
    y = y - y.mean() if one.centred else y
    q = one.axes.T @ y
    shifted = one.values + alpha
    if rank == n - int(one.centred):
        # Sums of terms of one sign: right for a penalty of 0, too.
        return (one.axes @ (q / shifted)) / ((one.axes**2) @ (1.0 / shifted))
    # The same times λ. What no axis explains has the eigenvalue 0.
    shrink = one.values / shifted
    kept = 1.0 - constant - (one.axes**2) @ shrink
    return (y - one.axes @ (shrink * q)) / np.maximum(kept, np.finfo(np.float64).eps)
