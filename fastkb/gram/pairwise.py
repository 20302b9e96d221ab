"""Gram matrices under scikit-learn's names and signatures, and under the textbook's.

Every function here is *validate* (:mod:`fastkb.checks.arrays`), *plan* and *drive*
(:mod:`fastkb.gram.engine`). What is the same as in :mod:`sklearn.metrics.pairwise`: signatures,
dtypes, accepted inputs, errors. What is better: ``out=``; results symmetric to the last bit; distances
summed from differences, or from inner products where these are certified to be as accurate, so that
data far from the origin lose no digits; the diagonal of a distance kernel is exactly 1; and the speed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastkb.checks.scalars import check_number
from fastkb.gram import engine, peers, units
from fastkb.gram.checks import check_gammas, check_matrices, check_out
from fastkb.gram.kernels import Kernel, polynomial_row
from fastkb.gram.lazy import takes_dask
from fastkb.runtime.cuda import is_device_array
from fastkb.scalar.kernels import Kernel as Row
from fastkb.scalar.kernels import find, named, sums

# Numbers at a time that a function is applied to where every element has a gamma of its own.
_TOGETHER = 2**18


@takes_dask
def linear_kernel(X: Any, Y: Any = None, *, out: np.ndarray | None = None) -> np.ndarray:
    r"""Linear kernel :math:`K(x, x') = x^T x'`.

    Parameters
    ----------
    X : array-like or sparse matrix of shape (n, d)
        Of a Dask array the result is one, too: lazy, block by block.
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
    return _compute(find("linear"), X, Y, out, {})


@takes_dask
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
    check_number("degree", degree, minimum=1)
    given = {"gamma": gamma, "coef0": coef0, "degree": degree}
    return _compute(polynomial_row(degree), X, Y, out, given)


@takes_dask
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
    return _compute(find("sigmoid"), X, Y, out, {"gamma": gamma, "coef0": coef0})


@takes_dask
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
    return _compute(find("rbf"), X, Y, out, {"gamma": gamma})


@takes_dask
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
    return _compute(find("laplacian"), X, Y, out, {"gamma": gamma})


def gram(kernel: Kernel, X: Any, Y: Any = None, *, out: np.ndarray | None = None) -> np.ndarray:
    r"""Gram matrix :math:`K_{ij} = K(x_i, y_j)` of a kernel object.

    Parameters
    ----------
    kernel : fastkb.kernels.Kernel
        Such as ``RBF(sigma)``, ``Matern(nu, length_scale)`` or ``2.0 * Linear() + Periodic(period)``.
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
    return kernel(X, Y, out=out)


def _compute(row: Row, X: Any, Y: Any, out: Any, given: dict[str, Any]) -> np.ndarray:
    """Validate, and compute with a scalar gamma; an array of them is applied to the sums."""
    gammas: Any = given.get("gamma")
    several = isinstance(gammas, np.ndarray) and gammas.size != 1
    if several:
        given = given | {"gamma": 1.0}
    given = checked_parameters(row, given)
    X, Y = check_matrices(X, Y)
    shape = (len(X), len(X if Y is None else Y))
    if several:
        if is_device_array(X):
            raise ValueError("gamma must be a single number for arrays on a GPU; got an array")
        gammas = check_gammas(gammas, shape)
    if out is not None:
        check_out(out, shape, X.dtype, X, Y, *([gammas] if several else []))
    parameters = with_defaults(row, given, X.shape[1])
    if several:
        return _with_gammas(row, X, Y, out, gammas, parameters)
    return engine.compute(row, parameters, X, Y, out)


def checked_parameters(row: Row, given: dict[str, Any]) -> dict[str, Any]:
    """Parameters within the limits of the table; None stays for a default.

    Raises
    ------
    ValueError
        Naming the parameter, its value, and what was expected.
    """
    checked = {}
    for parameter in row.parameters:
        value = given.get(parameter.name, parameter.default)
        if isinstance(value, np.ndarray) and value.size == 1:
            value = value.item()
        if value is not None or parameter.default is not None:
            low, open_below = parameter.minimum, parameter.open_below
            value = check_number(parameter.name, value, low, open_below=open_below)
        checked[parameter.name] = value
    return checked


def with_defaults(row: Row, given: dict[str, Any], d: int) -> tuple[float, ...]:
    """The parameters of the row's function, for data of d columns."""
    values = (given[parameter.name] for parameter in row.parameters)
    return tuple(1.0 / d if value is None else value for value in values)


def _with_gammas(
    row: Row, X: Any, Y: Any, out: Any, gammas: np.ndarray, parameters: tuple[float, ...]
) -> np.ndarray:
    """A gamma for each element (broadcast against the result), as scikit-learn accepts it."""
    span, exponent = units.RANGES[X.dtype], units.largest_exponent(X, Y)
    sizes = np.frexp(gammas[gammas != 0.0])[1]
    if (np.abs(sizes) > span.plain).any() or not units.fits(span, X.shape[1], exponent):
        largest = np.finfo(np.float64).max
        with np.errstate(over="ignore"):
            gammas = np.ldexp(gammas, units.power_of(row.form) * exponent).clip(-largest, largest)
        X, Y = np.ldexp(X, -exponent), None if Y is None else np.ldexp(Y, -exponent)
    K = engine.compute(sums(row.form), (), X, Y, out)
    # What overflows is infinite, and says so without a warning.
    with np.errstate(over="ignore", invalid="ignore"):
        np.multiply(K, gammas, out=K, casting="same_kind")
    step = max(1, _TOGETHER // K.shape[1])
    for start in range(0, len(K), step):
        block = K[start : start + step]
        found = engine.values(row, (1.0, *parameters[1:]), block.reshape(-1))
        block[...] = found.reshape(block.shape)
    return K


def diagonal(metric: Any, X: Any, given: dict[str, Any]) -> np.ndarray | None:
    """K(x, x) for each row of X, of the kernel that scikit-learn calls `metric`; None if not one of ours.

    Of the parameters `given` it takes those that it has, as :func:`pairwise_kernels` does.
    """
    row = named(metric) if isinstance(metric, str) else None
    if row is None:
        return None
    given = checked_parameters(row, given)
    if "degree" in given:
        row = polynomial_row(given["degree"])
    X, _ = check_matrices(X)
    parameters = with_defaults(row, given, X.shape[1])
    return engine.diagonal(row, parameters, 0, engine.Rows(X))


@takes_dask
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
        ``"linear"``, ``"poly"``, ``"polynomial"``, ``"rbf"``, ``"sigmoid"``, ``"laplacian"`` and
        ``"cosine"`` run on the engine. ``"precomputed"`` returns X itself. Scikit-learn's other names
        (``"additive_chi2"``, ``"chi2"``), callables of two rows, and ``"cosine"`` of sparse rows run in
        scikit-learn.
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
    row = named(metric) if isinstance(metric, str) else None
    if row is None or (row.unit_rows and peers.is_sparse(X, Y)):
        return peers.compute(X, Y, metric, filter_params, n_jobs, kwds)
    known = {parameter.name for parameter in row.parameters}
    unknown = set(kwds) - known
    if unknown and not filter_params:
        raise TypeError(f"{metric}_kernel() got unexpected keywords {sorted(unknown)}")
    given = {name: value for name, value in kwds.items() if name in known}
    if "degree" in known:
        # scikit-learn checks a degree below 1 in polynomial_kernel alone; so does this.
        row = polynomial_row(checked_parameters(row, given | {"gamma": None})["degree"])
    return _compute(row, X, Y, None, given)
