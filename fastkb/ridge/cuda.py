"""Kernel ridge regression on a GPU: predictions of fitted models, and fits whose Gram matrix has no room.

Predictions are products of the kernel with the dual coefficients (:mod:`fastkb.gram.products`). Training
rows and coefficients are copied to the device when they are first needed there, and kept until the model
is fitted again. Arrays on a GPU give predictions there; NumPy arrays travel there some rows at a time.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastkb.checks.device import check_device_matrices
from fastkb.gram.algebra import Kernel
from fastkb.ridge import conjugate
from fastkb.ridge.kernel_matrix import KernelChoice
from fastkb.runtime import cuda as runtime
from fastkb.runtime import memory
from fastkb.runtime.callers import stacklevel
from fastkb.scalar.kernels import named

# Bytes of rows and predictions that are on the device at a time; less where less is free.
_BYTES = 256 * 2**20


class Fitted(NamedTuple):
    """A model: what it predicts by, and its copies on devices."""

    choice: KernelChoice
    rows: Any  # shape: (n_samples, n_features)
    dual_coef: np.ndarray  # shape: (n_samples,) or (n_samples, n_targets)
    intercept: Any  # shape: () or (n_targets,)
    copies: runtime.Copies

    @property
    def dtype(self) -> np.dtype:
        """Of rows and coefficients."""
        return np.result_type(self.rows, self.dual_coef)


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


def check_rows_there(X: Any) -> None:
    """Refuse sparse rows.

    Raises
    ------
    TypeError
        Naming their type.
    """
    if not isinstance(X, np.ndarray):
        raise TypeError(f"X must be dense for a GPU; got {type(X).__name__}: X.toarray() is")


def predict(model: Fitted, X: Any) -> Any:
    """f(x) for each row of an array on the GPU, there; the kernels are launched and not waited for.

    Raises
    ------
    TypeError, ValueError
        If X is not a finite matrix of the model's type and number of columns, or the kernel is not
        computed on a GPU.
    CudaUnavailableError
        If there is no device.
    """
    runtime.load()
    check_rows_there(model.rows)
    check_device_matrices(X)
    width = model.rows.shape[1]
    if X.shape[1] != width:
        raise ValueError(f"X must have {width} columns, as in fit; got {X.shape[1]}")
    dtype = np.dtype(runtime.interface(X)["typestr"])
    if dtype != model.dtype:
        raise ValueError(
            f"X must have dtype {model.dtype} on a GPU, that of the fitted model; got {dtype}: convert "
            f"it, or fit the model to data of {dtype}"
        )
    rows, coefficients = model.copies.of(dtype, model.rows, model.dual_coef)
    found = model.choice.product(X, rows, coefficients)
    constants = np.atleast_1d(np.asarray(model.intercept, np.float64))
    if constants.any():
        from fastkb.tile import cuda_matrices

        cuda_matrices.add_constants(found, constants)
    return found.reshape(-1) if model.dual_coef.ndim == 1 else found


def predict_moved(model: Fitted, X: np.ndarray) -> np.ndarray:
    """f(x) for each row of an array of the CPU, computed on the device some rows at a time.

    Raises
    ------
    CudaUnavailableError
        If there is no device.
    """
    device = runtime.load()
    dtype = np.result_type(X, model.dtype)
    shape = (len(X), *model.dual_coef.shape[1:])
    out = memory.empty(shape, dtype, "the predictions")
    rows, coefficients = model.copies.of(dtype, model.rows, model.dual_coef)
    a_row = dtype.itemsize * (X.shape[1] + coefficients.shape[1])
    step = max(1, _bytes_at_once() // a_row)
    for start in range(0, len(X), step):
        some = np.ascontiguousarray(X[start : start + step], dtype)
        found = model.choice.product(device.to_device(some), rows, coefficients)
        out[start : start + step] = found.copy_to_host().reshape(len(some), *shape[1:])
    return out + np.asarray(model.intercept).astype(dtype)


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
        return choice.product(there, there, given).copy_to_host().astype(np.float64)

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
