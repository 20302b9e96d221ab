"""Work on whole device matrices beside the Gram matrix: rows prepared for it, results combined and moved.

One thread has a row of the data, or elements of a result in turns: little work beside the Gram matrix.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from fastkb.runtime import cuda as runtime
from fastkb.tile.sinks import ADD, Sink

cuda = runtime.module()

_THREADS = 128


def prepared(X: Any, weights: np.ndarray | None, unit: bool) -> Any:
    """A new device matrix of X's columns times `weights`, its rows divided by their norms if `unit`.

    The largest element of a row is brought to 1 before it is squared: norms do not overflow. A row of
    zeros stays one.
    """
    runtime.load()
    source = runtime.view(X)
    n, d = source.shape
    out = runtime.load().device_array((n, d), source.dtype)
    given = np.ones((1, d)) if weights is None else weights[None, :]
    scales = runtime.load().to_device(given.astype(source.dtype), stream=source.stream)
    kernel = _prepare_kernel(np.dtype(source.dtype).type)
    blocks = -(-n // _THREADS)
    runtime.launch(kernel, blocks, _THREADS, source.stream, source, scales, out, int(unit))
    return out


@functools.cache
def _prepare_kernel(kind: type) -> Any:
    ZERO = kind(0)
    root = runtime.device(_root(kind))

    def prepare(X, weights, out, unit):
        i = cuda.grid(1)
        n, d = X.shape
        if i >= n:
            return
        largest = ZERO
        for k in range(d):
            out[i, k] = X[i, k] * weights[0, k]
            largest = max(largest, abs(out[i, k]))
        if unit == 0 or largest == ZERO:
            return
        total = ZERO
        for k in range(d):
            out[i, k] /= largest
            total += out[i, k] * out[i, k]
        norm = root(total)
        for k in range(d):
            out[i, k] /= norm

    return runtime.kernel(prepare, _THREADS, 1)


def _root(kind: type) -> Any:
    """√x, which keeps the type in the simulator, too."""
    if runtime.simulated():
        return lambda x: kind(math.sqrt(x))

    def root(x):
        return math.sqrt(x)

    return root


def combine(out: Any, values: Any, sink: Sink) -> None:
    """out ← out + values, or out · values."""
    here, there = runtime.view(out), runtime.view(values)
    blocks = max(1, min(1024, here.size // _THREADS))
    runtime.launch(_combine_kernel(), blocks, _THREADS, here.stream, here, there, int(sink))


@functools.cache
def _combine_kernel() -> Any:
    def combined(out, values, sink):
        n, m = out.shape
        for place in range(cuda.grid(1), n * m, cuda.gridsize(1)):
            i, j = place // m, place % m
            if sink == ADD:
                out[i, j] += values[i, j]
            else:
                out[i, j] *= values[i, j]

    return runtime.kernel(combined, _THREADS, 1)


def add_constants(out: Any, constants: np.ndarray) -> None:
    """Add to each column of `out` a constant of its own, or the only one.  # shape: (columns,) or (1,)"""
    here = runtime.view(out)
    row = np.broadcast_to(constants.astype(here.dtype), (here.shape[1],))
    there = runtime.load().to_device(np.ascontiguousarray(row)[None, :], stream=here.stream)
    blocks = -(-here.shape[0] // _THREADS)
    runtime.launch(_constants_kernel(), blocks, _THREADS, here.stream, here, there)


@functools.cache
def _constants_kernel() -> Any:
    def add_row(out, constants):
        i = cuda.grid(1)
        if i < out.shape[0]:
            for k in range(out.shape[1]):
                out[i, k] += constants[0, k]

    return runtime.kernel(add_row, _THREADS, 1)
