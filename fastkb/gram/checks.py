"""Checks of what the Gram functions are given: matrices, widths, ``out``; and of estimators' kernels."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np

from fastkb.checks.arrays import check_matrix
from fastkb.checks.choices import check_choice
from fastkb.checks.device import check_device_matrices, check_device_out
from fastkb.checks.numbers import check_unmasked, wrong
from fastkb.checks.scalars import check_number, unexpected
from fastkb.runtime.cuda import is_device_array
from fastkb.scalar.kernels import ELSEWHERE, KERNELS

# scikit-learn's names: those of our own kernels, those of the kernels that it computes, and for data that
# are Gram matrices.
KERNEL_NAMES = tuple(
    sorted([*(name for row in KERNELS for name in row.names), *ELSEWHERE, "precomputed"])
)


def check_matrices(X: Any, Y: Any = None) -> tuple[np.ndarray, np.ndarray | None]:
    """X and Y as matrices of one floating type, finite, with as many columns; None if Y is X.

    float32 stays if both are; all else that holds real numbers becomes float64. Sparse matrices
    become dense. Arrays on a GPU stay there: see :mod:`fastkb.checks.device`.

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
    X = check_matrix(X, "X")
    if Y is None:
        return X, None
    Y = check_matrix(Y, "Y")
    if X.shape[1] != Y.shape[1]:
        raise ValueError(
            f"Incompatible dimension for X and Y matrices: X.shape[1] == {X.shape[1]} while "
            f"Y.shape[1] == {Y.shape[1]}"
        )
    if X.dtype != Y.dtype:
        X, Y = X.astype(np.float64, copy=False), Y.astype(np.float64, copy=False)
    return X, Y


def check_gammas(gammas: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """An array of gammas as finite floats that broadcast to the result.

    Raises
    ------
    ValueError
        Naming the argument, what it is, and what was expected.
    """
    check_unmasked("gamma", gammas)
    if gammas.dtype.kind not in "biuf" or not np.isfinite(gammas).all():
        raise unexpected("gamma", gammas, "an array of finite real numbers")
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


def check_length_scales(given: Any) -> tuple[float, ...]:
    """A positive number for each column, as floats.

    Raises
    ------
    ValueError
        Naming the argument, or its element, what it is, and what was expected.
    """
    if isinstance(given, (str, bytes, Real)) or not np.iterable(given):
        raise unexpected("length_scales", given, "a vector of numbers, one for each column")
    values = given.tolist() if isinstance(given, np.ndarray) else list(given)
    if not values:
        raise unexpected("length_scales", given, "a vector of numbers, one for each column")
    return tuple(
        check_number(f"length_scales[{place}]", value, minimum=0, open_below=True)
        for place, value in enumerate(values)
    )


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


def is_kernel_object(kernel: Any) -> bool:
    """Whether `kernel` is one of fastkb's own kernel objects, which take matrices and not rows."""
    return bool(getattr(kernel, "_is_fastkb_kernel", False)) and not isinstance(kernel, type)


def check_kernel(kernel: Any, gamma: Any, degree: Any, coef0: Any, kernel_params: Any) -> None:
    """Refuse parameters that no kernel can have."""
    if isinstance(kernel, str):
        check_choice("kernel", kernel, KERNEL_NAMES, ", a callable or a kernel of fastkb.kernels")
    elif isinstance(kernel, type) or not (callable(kernel) or is_kernel_object(kernel)):
        raise wrong(
            f"kernel must be a name, a callable or a kernel of fastkb.kernels (an instance, such "
            f"as RBF(sigma=1.0)), got {kernel!r}"
        )
    if gamma is not None:
        check_number("gamma", gamma, 0.0, hint="; None is for the kernel's default")
    check_number("degree", degree, 0.0)
    check_number("coef0", coef0)
    if kernel_params is not None:
        if not isinstance(kernel_params, Mapping):
            raise wrong(f"kernel_params must be a dict or None, got {kernel_params!r}")
        if kernel_params and is_kernel_object(kernel):
            raise wrong(
                f"kernel_params={dict(kernel_params)!r} has no use with kernel={kernel!r}, which "
                f"holds its own parameters: expected None"
            )
