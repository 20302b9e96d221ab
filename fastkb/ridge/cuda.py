"""Kernel ridge regression by way of a GPU: predictions, and fits whose Gram matrix has no room.

Predictions are products of the kernel with the dual coefficients (:mod:`fastkb.gram.products`, which also
knows what becomes of arrays on a GPU). Arrays of the CPU travel there some rows at a time.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastkb.gram.algebra import Kernel
from fastkb.gram.products import Function
from fastkb.ridge import conjugate
from fastkb.ridge.kernel_matrix import KernelChoice
from fastkb.runtime import cuda as runtime
from fastkb.runtime import memory
from fastkb.runtime.callers import stacklevel
from fastkb.scalar.kernels import named

# Bytes of rows and predictions that are on the device at a time; less where less is free.
_BYTES = 256 * 2**20


def check_kernel_there(kernel: Any) -> None:
    """Refuse kernels of which only the CPU has a formula.

    Raises
    ------
    ValueError
        Naming the kernel.
    """
    ours = isinstance(kernel, Kernel) or (isinstance(kernel, str) and named(kernel) is not None)
    if not ours:
        raise ValueError(
            "kernel must be one that fastkb computes, by name or of fastkb.kernels, with device='cuda'; "
            f"got {kernel!r}"
        )


def predict(model: Function, X: np.ndarray) -> np.ndarray:
    """f(x) for each row of an array of the CPU, computed on the device some rows at a time.

    # shape: (n, targets)

    Raises
    ------
    CudaUnavailableError
        If there is no device.
    """
    device = runtime.load()
    dtype = np.result_type(X, model.dtype)
    rows, coefficients = model.copied(dtype)
    targets = coefficients.shape[1]
    out = memory.empty((len(X), targets), dtype, "the predictions")
    step = max(1, _bytes_at_once() // (dtype.itemsize * (X.shape[1] + targets)))
    for start in range(0, len(X), step):
        some = np.ascontiguousarray(X[start : start + step], dtype)
        found = model.product(device.to_device(some), rows, coefficients)
        out[start : start + step] = runtime.to_host(found)
    out += np.asarray(model.constants).astype(dtype)
    return out


def _bytes_at_once() -> int:
    if runtime.simulated():
        return _BYTES
    free = runtime.load().current_context().get_memory_info()[0]
    return min(_BYTES, int(free) // 4)


def has_no_room(n: int, dtype: Any) -> bool:
    """Whether the Gram matrix of n samples does not fit the memory that is free."""
    available = memory.available_bytes()
    return available is not None and n * n * np.dtype(dtype).itemsize > available


def fit(
    choice: KernelChoice,
    X: np.ndarray,
    y: np.ndarray,
    alpha: np.ndarray,
    sample_weight: np.ndarray | None,
    fit_intercept: bool,
) -> conjugate.Solved:
    """The dual coefficients by conjugate gradients, whose products are computed on the device.

    Warns
    -----
    ConvergenceWarning
        If the residual stays far above :data:`fastkb.ridge.conjugate.TOLERANCE`.
    """
    device = runtime.load()
    there = device.to_device(np.ascontiguousarray(X))

    def times(V: np.ndarray) -> np.ndarray:
        given = device.to_device(np.ascontiguousarray(V, X.dtype))
        return runtime.to_host(choice.product(there, there, given)).astype(np.float64)

    tolerance = conjugate.TOLERANCE[X.dtype]
    found = conjugate.solve(
        times, y, alpha, sample_weight, fit_intercept=fit_intercept, tolerance=tolerance
    )
    if not found.residual <= 10.0 * tolerance:
        warnings.warn(
            f"conjugate gradients end after {found.iterations} iterations with a residual of "
            f"{found.residual:.1e} of y, where {tolerance:.0e} was wanted: a larger alpha, or data of "
            "float64, make it smaller",
            ConvergenceWarning,
            stacklevel=stacklevel(),
        )
    return found
