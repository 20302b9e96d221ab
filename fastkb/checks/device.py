"""Checks of arrays on a GPU: the rules of the CPU, without moving the data.

What differs: the element type must be float32 or float64, the same for all (nothing is converted, which
would take device memory unasked), and all arrays must be on the GPU.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastkb.runtime import cuda

_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def check_device_matrices(X: Any, Y: Any = None) -> tuple[Any, Any]:
    """X and Y as they are, if they are finite matrices of one floating type with as many columns.

    NaN and infinity are looked for on the device, which waits for the answer: about the time of reading
    X and Y once, and a launch.

    Raises
    ------
    ValueError
        For another element type, NaN, infinity, no rows or columns, other than two dimensions, or
        different numbers of columns; with the argument's name.
    TypeError
        If one of the two is not on the GPU.
    """
    _check_matrix(X, "X")
    if Y is None:
        return X, None
    _check_matrix(Y, "Y")
    (x_shape, x_type), (y_shape, y_type) = _described(X), _described(Y)
    if x_shape[1] != y_shape[1]:
        raise ValueError(
            f"Incompatible dimension for X and Y matrices: X.shape[1] == {x_shape[1]} while "
            f"Y.shape[1] == {y_shape[1]}"
        )
    if x_type != y_type:
        raise ValueError(
            f"X and Y must have one element type on a GPU; got {x_type} and {y_type}: convert one"
        )
    return X, Y


def _check_matrix(values: Any, name: str) -> None:
    if not cuda.is_device_array(values):
        raise TypeError(
            f"{name} must be on the GPU too, as the other matrix is; got {type(values).__name__}"
        )
    shape, dtype = _described(values)
    if dtype not in _FLOATS:
        raise ValueError(f"{name} must be float32 or float64 on a GPU; got {dtype}: convert it")
    if len(shape) != 2 or 0 in shape:
        raise ValueError(
            f"{name} must be a matrix with rows and columns; got an array of shape {shape}"
        )
    if not cuda.all_finite(values):
        raise ValueError(f"Input {name} contains NaN or infinity.")


def check_device_out(out: Any, shape: tuple[int, int], *inputs: Any) -> None:
    """Check that `out` can receive a (n, m) result of the inputs' type and overlaps none of them.

    Raises
    ------
    TypeError, ValueError
        Naming what is wrong: not on the GPU, wrong shape, wrong type, read-only, overlapping.
    """
    if not cuda.is_device_array(out):
        raise TypeError(f"out must be on the GPU, as X is; got {type(out).__name__}")
    found, dtype = _described(out)
    wanted = _described(inputs[0])[1]
    if found != shape:
        raise ValueError(f"out must have shape {shape}, that of the result; got {found}")
    if dtype != wanted:
        raise ValueError(f"out must have dtype {wanted}, that of the result; got {dtype}")
    if cuda.interface(out)["data"][1]:
        raise ValueError("out must be writeable; got a read-only array")
    low, high = _extent(out)
    for array in inputs:
        if array is not None:
            first, last = _extent(array)
            if low < last and first < high:
                raise ValueError("out must not share memory with X or Y, which it would overwrite")


def _described(array: Any) -> tuple[tuple[int, ...], np.dtype]:
    described = cuda.interface(array)
    return tuple(described["shape"]), np.dtype(described["typestr"])


def _extent(array: Any) -> tuple[int, int]:
    """First address of an array, and the one after its last."""
    described = cuda.interface(array)
    shape, dtype = _described(array)
    strides = described.get("strides")
    if strides is None:
        strides = (shape[1] * dtype.itemsize, dtype.itemsize)
    spans = [(length - 1) * stride for length, stride in zip(shape, strides, strict=True)]
    start = described["data"][0]
    low = start + sum(span for span in spans if span < 0)
    return low, start + sum(span for span in spans if span > 0) + dtype.itemsize
