"""Gram matrices under scikit-learn's names and signatures, and under the textbook's.

Every function here is *validate* (:mod:`fastkb.checks.arrays`), *plan* and *drive*
(:mod:`fastkb.gram.engine`). What is the same as in :mod:`sklearn.metrics.pairwise`: signatures,
dtypes, accepted inputs, errors. What is better: ``out=``; results symmetric to the last bit; distances
summed from differences, so that data far from the origin lose no digits, and the diagonal of a
distance kernel is exactly 1; and the speed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastkb.checks.scalars import check_number
from fastkb.gram import engine, peers, units
from fastkb.gram.checks import check_gammas, check_matrices, check_out
from fastkb.gram.kernels import Kernel, polynomial_row
from fastkb.runtime.cuda import is_device_array
from fastkb.scalar.kernels import Kernel as Row
from fastkb.scalar.kernels import Parameters, find


def linear_kernel(X: Any, Y: Any = None, *, out: np.ndarray | None = None) -> np.ndarray:
    r"""Linear kernel :math:`K(x, x') = x^T x'`.

    Parameters
    ----------
    X : array-like or sparse matrix of shape (n, d)
    Y : array-like or sparse matrix of shape (m, d), optional
        X if absent.
    out : ndarray of shape (n, m), optional
        Where the result goes; of the result's dtype, with any strides.

    Returns
    -------
    ndarray of shape (n, m)
        float32 if X and Y are, else float64.

    Raises
    ------
    ValueError
        If X or Y holds NaN, infinity or complex numbers, is empty or not two-dimensional, or if
        their numbers of columns differ.
    MemoryError
        If the result cannot fit into free memory.

    Examples
    --------
    >>> from fastkb import linear_kernel
    >>> linear_kernel([[1.0, 2.0]], [[3.0, 4.0], [0.0, 1.0]])
    array([[11.,  2.]])
    """
    return _compute(find("linear"), X, Y, out)


def polynomial_kernel(
    X: Any,
    Y: Any = None,
    degree: float = 3,
    gamma: float | None = None,
    coef0: float = 1,
    *,
    out: np.ndarray | None = None,
) -> np.ndarray:
    r"""Polynomial kernel :math:`K(x, x') = (\gamma\, x^T x' + c)^k`.

    Parameters
    ----------
    X, Y, out
        As in :func:`linear_kernel`.
    degree : float, default 3
        k ≥ 1. A whole number is computed by multiplication.
    gamma : float, optional
        γ ≥ 0; 1/d if absent.
    coef0 : float, default 1
        c.

    Returns
    -------
    ndarray of shape (n, m)

    Raises
    ------
    ValueError, MemoryError
        As :func:`linear_kernel`; and for a parameter out of its range.

    Examples
    --------
    >>> from fastkb import polynomial_kernel
    >>> polynomial_kernel([[1.0, 2.0]], [[3.0, 4.0]], degree=2, gamma=1)
    array([[144.]])
    """
    degree = check_number("degree", degree, 1)
    return _polynomial(X, Y, degree, gamma, coef0, out)


def _polynomial(X, Y, degree, gamma, coef0, out=None):
    coef0 = check_number("coef0", coef0)
    return _compute(polynomial_row(degree), X, Y, out, gamma=gamma, coef0=coef0, degree=degree)


def sigmoid_kernel(
    X: Any,
    Y: Any = None,
    gamma: float | None = None,
    coef0: float = 1,
    *,
    out: np.ndarray | None = None,
) -> np.ndarray:
    r"""Sigmoid kernel :math:`K(x, x') = \tanh(\gamma\, x^T x' + c)`; not positive definite.

    Parameters
    ----------
    X, Y, out
        As in :func:`linear_kernel`.
    gamma : float, optional
        γ ≥ 0; 1/d if absent.
    coef0 : float, default 1
        c.

    Returns
    -------
    ndarray of shape (n, m)

    Raises
    ------
    ValueError, MemoryError
        As :func:`linear_kernel`; and for a parameter out of its range.

    Examples
    --------
    >>> from fastkb import sigmoid_kernel
    >>> sigmoid_kernel([[0.0]], [[5.0]], coef0=0)
    array([[0.]])
    """
    coef0 = check_number("coef0", coef0)
    return _compute(find("sigmoid"), X, Y, out, gamma=gamma, coef0=coef0)


def rbf_kernel(
    X: Any, Y: Any = None, gamma: float | None = None, *, out: np.ndarray | None = None
) -> np.ndarray:
    r"""Gaussian (RBF) kernel :math:`K(x, x') = \exp(-\gamma \|x - x'\|^2)`.

    The squared distance is summed from the differences of the coordinates: data shifted far from the
    origin give the same matrix, where :math:`\|x\|^2 + \|x'\|^2 - 2x^Tx'` would lose every digit. The
    relative error is at most 4·d·eps times the larger of 1 and :math:`\gamma \|x - x'\|^2`.

    Parameters
    ----------
    X, Y, out
        As in :func:`linear_kernel`.
    gamma : float, optional
        γ ≥ 0; 1/d if absent. The textbook's σ is :math:`\sqrt{1 / 2\gamma}`.

    Returns
    -------
    ndarray of shape (n, m)
        For Y absent, symmetric to the last bit, with a diagonal of exactly 1.

    Raises
    ------
    ValueError, MemoryError
        As :func:`linear_kernel`; and for a negative gamma.

    Examples
    --------
    >>> from fastkb import rbf_kernel
    >>> rbf_kernel([[0.0], [1.0]], gamma=0.5).round(3)
    array([[1.   , 0.607],
           [0.607, 1.   ]])
    """
    return _compute(find("rbf"), X, Y, out, gamma=gamma)


def laplacian_kernel(
    X: Any, Y: Any = None, gamma: float | None = None, *, out: np.ndarray | None = None
) -> np.ndarray:
    r"""Laplacian kernel :math:`K(x, x') = \exp(-\gamma \|x - x'\|_1)`.

    Parameters
    ----------
    X, Y, out
        As in :func:`linear_kernel`.
    gamma : float, optional
        γ > 0; 1/d if absent.

    Returns
    -------
    ndarray of shape (n, m)

    Raises
    ------
    ValueError, MemoryError
        As :func:`linear_kernel`; and for a gamma that is not positive.

    Examples
    --------
    >>> from fastkb import laplacian_kernel
    >>> laplacian_kernel([[0.0, 0.0]], [[1.0, -1.0]], gamma=0.5).round(3)
    array([[0.368]])
    """
    return _compute(find("laplacian"), X, Y, out, gamma=gamma)


def gram(kernel: Kernel, X: Any, Y: Any = None, *, out: np.ndarray | None = None) -> np.ndarray:
    r"""Gram matrix :math:`K_{ij} = K(x_i, y_j)` of a kernel object.

    Parameters
    ----------
    kernel : fastkb.kernels.Kernel
        ``Linear()``, ``Polynomial(degree)``, ``RBF(sigma)``, ``Laplacian(gamma)`` or ``Sigmoid()``.
    X, Y, out
        As in :func:`linear_kernel`.

    Returns
    -------
    ndarray of shape (n, m)

    Raises
    ------
    TypeError
        If `kernel` is no kernel object.
    ValueError, MemoryError
        As :func:`linear_kernel`.

    Examples
    --------
    >>> import fastkb
    >>> fastkb.gram(fastkb.kernels.Polynomial(2), [[1.0]], [[3.0]])
    array([[16.]])
    """
    if not isinstance(kernel, Kernel):
        raise TypeError(
            f"kernel must be an object of fastkb.kernels, such as RBF(sigma=1.0); got {kernel!r}"
        )
    X, Y = check_matrices(X, Y)
    if out is not None:
        check_out(out, (len(X), len(X if Y is None else Y)), X.dtype, X, Y)
    parameters, shift = kernel.scaled_parameters
    return engine.compute(kernel.row, parameters, X, Y, out, shift)


def _compute(row: Row, X, Y, out, gamma=1.0, coef0=0.0, degree=1.0) -> np.ndarray:
    """Validate, and compute with a scalar gamma; an array of them is applied by NumPy."""
    if isinstance(gamma, np.ndarray) and gamma.size == 1:
        gamma = gamma.item()
    several = isinstance(gamma, np.ndarray)
    if not several and gamma is not None:
        gamma = check_number("gamma", gamma, 0, open_below=row.name == "laplacian")
    X, Y = check_matrices(X, Y)
    shape = (len(X), len(X if Y is None else Y))
    if several:
        if is_device_array(X):
            raise ValueError("gamma must be a single number for arrays on a GPU; got an array")
        gamma = check_gammas(gamma, shape)
    if out is not None:
        check_out(out, shape, X.dtype, X, Y, *([gamma] if several else []))
    if several:
        return _with_gammas(row, X, Y, out, gamma, Parameters(1.0, coef0, degree))
    if gamma is None:
        gamma = 1.0 / X.shape[1]
    return engine.compute(row, Parameters(gamma, coef0, degree), X, Y, out)


def _with_gammas(row: Row, X, Y, out, gammas: np.ndarray, p: Parameters) -> np.ndarray:
    """A gamma for each element (broadcast against the result), as scikit-learn accepts it."""
    distances = {"rbf": "sqeuclidean", "laplacian": "manhattan"}
    span, exponent = units.RANGES[X.dtype], units.largest_exponent(X, Y)
    sizes = np.frexp(gammas[gammas != 0.0])[1]
    if (np.abs(sizes) > span.plain).any() or not units.fits(span, X.shape[1], exponent):
        largest = np.finfo(np.float64).max
        with np.errstate(over="ignore"):
            gammas = np.ldexp(gammas, units.power_of(row.form) * exponent).clip(-largest, largest)
        X, Y = np.ldexp(X, -exponent), None if Y is None else np.ldexp(Y, -exponent)
    base = engine.compute(find(distances.get(row.name, "linear")), p, X, Y, out)
    # What overflows is infinite, and says so without a warning.
    with np.errstate(over="ignore", invalid="ignore"):
        np.multiply(base, gammas, out=base, casting="same_kind")
        if row.name in distances:
            return np.exp(np.negative(base, out=base), out=base)
        base += p.coef0
        return (
            np.tanh(base, out=base) if row.name == "sigmoid" else np.power(base, p.degree, out=base)
        )


# metric -> (function, the keywords it takes), under scikit-learn's names
_METRICS: dict[str, tuple[Callable, tuple[str, ...]]] = {
    "linear": (linear_kernel, ()),
    "polynomial": (_polynomial, ("degree", "gamma", "coef0")),
    "poly": (_polynomial, ("degree", "gamma", "coef0")),
    "rbf": (rbf_kernel, ("gamma",)),
    "sigmoid": (sigmoid_kernel, ("gamma", "coef0")),
    "laplacian": (laplacian_kernel, ("gamma",)),
}


def pairwise_kernels(
    X: Any,
    Y: Any = None,
    metric: str | Callable | Kernel = "linear",
    *,
    filter_params: bool = False,
    n_jobs: int | None = None,
    **kwds: Any,
) -> np.ndarray:
    r"""Gram matrix of any kernel: by name, as a function of two rows, or computed before.

    Parameters
    ----------
    X : array-like or sparse matrix of shape (n, d); (n, m) if ``metric="precomputed"``
    Y : array-like or sparse matrix of shape (m, d), optional
    metric : str, callable or fastkb.kernels.Kernel, default "linear"
        ``"linear"``, ``"poly"``, ``"polynomial"``, ``"rbf"``, ``"sigmoid"`` and ``"laplacian"`` run on
        the engine. ``"precomputed"`` returns X itself. Scikit-learn's other names
        (``"additive_chi2"``, ``"chi2"``, ``"cosine"``) and callables of two rows run in scikit-learn.
    filter_params : bool, default False
        Whether keywords that the kernel does not take are dropped instead of refused.
    n_jobs : int, optional
        Threads for scikit-learn's kernels; the engine always uses all.
    **kwds
        The kernel's parameters.

    Returns
    -------
    ndarray of shape (n, m)

    Raises
    ------
    TypeError
        If a keyword is none of the kernel's and `filter_params` is False.
    ValueError
        As the kernel's own function.

    Examples
    --------
    >>> from fastkb import pairwise_kernels
    >>> pairwise_kernels([[0.0], [1.0]], metric="rbf", gamma=0.5).round(3)
    array([[1.   , 0.607],
           [0.607, 1.   ]])
    """
    if isinstance(metric, Kernel):
        if kwds and not filter_params:
            raise TypeError(
                f"a kernel object holds its parameters; got the keywords {sorted(kwds)}"
            )
        return gram(metric, X, Y)
    if isinstance(metric, str) and metric in _METRICS:
        function, known = _METRICS[metric]
        if filter_params:
            kwds = {name: value for name, value in kwds.items() if name in known}
        if function is _polynomial:
            defaults = {"degree": 3, "gamma": None, "coef0": 1}
            unknown = set(kwds) - set(defaults)
            if unknown:
                raise TypeError(f"polynomial_kernel() got unexpected keywords {sorted(unknown)}")
            defaults.update(kwds)
            # scikit-learn checks a degree below 1 in polynomial_kernel alone; so does this.
            degree = check_number("degree", defaults["degree"], 0)
            return _polynomial(X, Y, degree, defaults["gamma"], defaults["coef0"])
        return function(X, Y, **kwds)
    return peers.compute(X, Y, metric, filter_params, n_jobs, kwds)
