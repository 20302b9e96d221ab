"""Checks of what the Gram functions are given: matrices, parameters, ``out``."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np

from fastkb.runtime.cuda import is_device_array
from fastkb.runtime.memory import require
from fastkb.validation.device import check_device_matrices, check_device_out
from fastkb.validation.numbers import check_kinds, check_unmasked, naming, wrong

_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def check_parameter(
    name: str, value: Any, *, minimum: float | None = None, strict: bool = False
) -> float:
    """`value` as a float; a ValueError or TypeError that names it otherwise.

    Parameters
    ----------
    name : str
    value : a real number; bool and str are refused
    minimum : float, optional
        The smallest value allowed; excluded if `strict`.
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (Real, Integral)):
        raise _wrong(name, value, "a real number")
    try:
        number = float(value)
    except OverflowError:
        number = np.inf
    expected = "finite"
    if minimum is not None:
        expected = f"finite and {'>' if strict else '>='} {minimum}"
    below = minimum is not None and (number <= minimum if strict else number < minimum)
    if not np.isfinite(number) or below:
        raise _wrong(name, value, expected)
    return number


def check_count(name: str, value: Any, *, minimum: int = 0, maximum: int | None = None) -> int:
    """`value` as an int in these bounds; a ValueError or TypeError that names it otherwise."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Integral) or value < minimum:
        raise _wrong(name, value, f"a whole number >= {minimum}")
    if maximum is not None and int(value) > maximum:
        raise _wrong(name, value, f"a whole number <= {maximum}")
    return int(value)


def check_progress(progress: Any) -> None:
    """Refuse what is neither a truth value nor a function to be told."""
    if not isinstance(progress, (bool, np.bool_)) and not callable(progress):
        raise _wrong("progress", progress, "True, False or a function")


def _wrong(name: str, value: Any, expected: str) -> Exception:
    return wrong(f"{name} must be {expected}; got {value!r}")


def check_matrices(X: Any, Y: Any = None) -> tuple[np.ndarray, np.ndarray | None]:
    """X and Y as matrices of one floating type, finite, with as many columns; None if Y is X.

    float32 stays if both are; all else that holds real numbers becomes float64. Sparse matrices
    become dense. Arrays on a GPU stay there: see :mod:`fastkb.validation.device`.

    Raises
    ------
    ValueError
        For complex numbers, NaN, infinity, no rows or columns, other than two dimensions, or
        different numbers of columns; with the argument's name.
    """
    if Y is X:
        Y = None
    if is_device_array(X) or is_device_array(Y):
        return check_device_matrices(X, Y)
    X = _matrix(X, "X")
    if Y is None:
        return X, None
    Y = _matrix(Y, "Y")
    if X.shape[1] != Y.shape[1]:
        raise ValueError(
            f"Incompatible dimension for X and Y matrices: X.shape[1] == {X.shape[1]} while "
            f"Y.shape[1] == {Y.shape[1]}"
        )
    if X.dtype != Y.dtype:
        X, Y = X.astype(np.float64, copy=False), Y.astype(np.float64, copy=False)
    return X, Y


def _matrix(values: Any, name: str) -> np.ndarray:
    if (
        type(values) is np.ndarray
        and values.dtype in _FLOATS
        and values.dtype.isnative
        and values.ndim == 2
        and values.size
        and _surely_finite(values)
    ):
        return values
    return _converted(values, name)


def _surely_finite(values: np.ndarray) -> bool:
    """Whether the sum is finite: then so are its terms. Otherwise it may have overflowed."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(np.add.reduce(values, axis=None)))


def _converted(values: Any, name: str) -> np.ndarray:
    """Anything but a plain finite float matrix: scikit-learn's checks, with its error messages."""
    from scipy.sparse import issparse
    from sklearn.utils import check_array

    if issparse(values):
        if len(values.shape) == 2:
            size = values.shape[0] * values.shape[1] * values.dtype.itemsize
            require(size, f"{name} as a dense matrix of {values.shape[0]} x {values.shape[1]}")
        values = values.toarray()
    check_kinds(name, values)
    # A DataFrame's own columns decide about missing values; all else is looked at as an array.
    array = np.asarray(values)
    if not hasattr(values, "dtypes"):
        values = array
        if array.dtype.kind not in "biufcU":
            raise ValueError(f"{name} must be numbers, got {array.dtype}")
    keep = array.dtype.kind == "f" and array.dtype.itemsize == 4
    with naming(name):
        return check_array(
            values,
            dtype=np.float32 if keep else np.float64,
            input_name=name,
            ensure_all_finite=True,
        )


def check_gammas(gammas: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """An array of gammas as finite floats that broadcast to the result.

    Raises
    ------
    ValueError
        Naming the argument, what it is, and what was expected.
    """
    check_unmasked("gamma", gammas)
    if gammas.dtype.kind not in "biuf" or not np.isfinite(gammas).all():
        raise _wrong("gamma", gammas, "an array of finite real numbers")
    try:
        fits = np.broadcast_shapes(gammas.shape, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"gamma must be one number, or broadcast to the result's shape {shape}; got an array of "
            f"shape {gammas.shape}"
        )
    return gammas.astype(np.float64, copy=False)


def check_out(
    out: Any, shape: tuple[int, int], dtype: np.dtype, *inputs: np.ndarray | None
) -> None:
    """Check that `out` can receive a (n, m) result of this type and overlaps no input.

    Raises
    ------
    TypeError, ValueError
        Naming what is wrong: no array, wrong shape, wrong type, read-only, overlapping.
    """
    if inputs and is_device_array(inputs[0]):
        return check_device_out(out, shape, *inputs)
    if not isinstance(out, np.ndarray) or isinstance(out, (np.matrix, np.ma.MaskedArray)):
        raise TypeError(f"out must be a NumPy array; got {type(out).__name__}")
    if out.shape != shape:
        raise ValueError(f"out must have shape {shape}, that of the result; got {out.shape}")
    if out.dtype != dtype or not out.dtype.isnative:
        raise ValueError(f"out must have dtype {dtype}, that of the result; got {out.dtype}")
    if not out.flags.writeable:
        raise ValueError("out must be writeable; got a read-only array")
    for array in inputs:
        if array is not None and _overlap(out, array):
            raise ValueError("out must not share memory with an input, which it would overwrite")


def _overlap(a: np.ndarray, b: np.ndarray) -> bool:
    try:
        return bool(np.shares_memory(a, b, max_work=10_000))  # type: ignore[arg-type]
    except np.exceptions.TooHardError:  # strides that interleave beyond telling
        return True
