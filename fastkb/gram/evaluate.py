"""How kernel objects are evaluated: every part of a kernel is written to a Gram matrix, or a diagonal.

A kernel of the table is written by the engine; a sum is its terms, each added to what is there; a product
its factors, multiplied in the same way. So ``k1 + k2`` and ``k1 * k2`` need no memory but the result's.
What must be complete before it meets the rest (a sum that is a factor, a product that is a term, a
formula of one's own as either) is written to a buffer of the result's size. They are counted before any
work, and a MemoryError says if they cannot fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from fastkb.gram import engine
from fastkb.gram.engine import Rows
from fastkb.runtime.cuda import is_device_array
from fastkb.runtime.memory import empty, require
from fastkb.scalar.kernels import Form, Kernel, sums
from fastkb.tile.sinks import Into, Sink

# Numbers of a block of rows that a formula in NumPy is applied to: it fits the second-level cache.
_BLOCK = 2**15


def gram(kernel: Any, X: Any, Y: Any = None, out: Any = None) -> Any:
    """K(X, Y) of checked matrices, into `out` or a new array."""
    n, m = X.shape[0], X.shape[0] if Y is None else Y.shape[0]
    if not is_device_array(X):
        extra = kernel._buffers(Sink.STORE, X.shape[1])
        if extra:
            size = X.dtype.itemsize * n * m
            require(
                size * (extra + (out is None)), f"the {n} x {m} matrices that {kernel} is made of"
            )
    if out is None:
        out = engine.new_matrix(X, Y)
    kernel._write(Matrix(X, Y), None, Into(out))
    return out


def diagonal(kernel: Any, X: np.ndarray) -> np.ndarray:
    """K(x, x) for each row of a checked matrix.  # shape: (n,)"""
    if is_device_array(X):
        raise TypeError("X must be an array of the CPU for diag; got one on a GPU")
    out = np.empty(len(X), X.dtype)
    kernel._write(Diagonal(X, None), None, Into(out))
    return out


class Work:
    """What is being written: subclasses say how a kernel of the table is."""

    def __init__(self, X: Any, Y: Any) -> None:
        self.X, self.Y = X, Y
        self._free: list[Any] = []

    @property
    def d(self) -> int:
        """The number of columns."""
        return self.X.shape[1]

    def write_row(
        self, row: Kernel, parameters: tuple[float, ...], shift: int, lengths: Any, into: Into
    ) -> None:
        """A kernel of the table; it may not be one that :func:`fastkb.gram.engine.takes_room`."""
        raise NotImplementedError

    def write_formula(self, kernel: Any, lengths: Any, into: Into) -> None:
        """A kernel with a function of its own, NumPy's, of the sums called `form`: stored."""
        raise NotImplementedError

    def _new(self, like: Any) -> Any:
        raise NotImplementedError

    @contextmanager
    def buffer(self, like: Any) -> Iterator[Any]:
        """An array as large as the result, kept for the next that asks."""
        array = self._free.pop() if self._free else self._new(like)
        yield array
        self._free.append(array)

    def through_buffer(self, kernel: Any, lengths: Any, into: Into) -> None:
        """Write a kernel to a buffer, and combine that with the result."""
        with self.buffer(into.out) as array:
            kernel._write(self, lengths, Into(array, Sink.STORE, into.factor))
            _combine(into, array)


class Matrix(Work):
    """A Gram matrix."""

    def write_row(
        self, row: Kernel, parameters: tuple[float, ...], shift: int, lengths: Any, into: Into
    ) -> None:
        """See the base class."""
        engine.accumulate(row, parameters, shift, Rows(self.X, self.Y, lengths), into)

    def write_formula(self, kernel: Any, lengths: Any, into: Into) -> None:
        """See the base class."""
        if is_device_array(self.X):
            raise TypeError(
                f"X must be an array of the CPU for {kernel!r}, whose function is NumPy's; got one on a "
                "GPU"
            )
        out = into.out
        self.write_row(_sums(kernel.form), (), 0, lengths, Into(out))
        step = max(1, _BLOCK // out.shape[1])
        for start in range(0, len(out), step):
            block = out[start : start + step]
            _apply(kernel.function, np.ascontiguousarray(block), into.factor, block)

    def _new(self, like: Any) -> Any:
        if is_device_array(like):
            return engine.new_matrix(self.X, self.Y)
        return empty(like.shape, like.dtype, "a part of a Gram matrix")


class Diagonal(Work):
    """The diagonal of a Gram matrix."""

    def write_row(
        self, row: Kernel, parameters: tuple[float, ...], shift: int, lengths: Any, into: Into
    ) -> None:
        """See the base class."""
        found = engine.diagonal(row, parameters, shift, Rows(self.X, None, lengths))
        with np.errstate(over="ignore", invalid="ignore"):
            found *= min(into.factor, engine.LIMITS[found.dtype].largest)
        _combine(into, found)

    def write_formula(self, kernel: Any, lengths: Any, into: Into) -> None:
        """See the base class."""
        self.write_row(_sums(kernel.form), (), 0, lengths, Into(into.out))
        _apply(kernel.function, into.out.copy(), into.factor, into.out)

    def _new(self, like: Any) -> Any:
        return np.empty_like(like)


def _sums(form: str) -> Kernel:
    return sums(FORMS[form])


#: What a formula of one's own may be a function of.
FORMS = {"linear": Form.DOT, "sqeuclidean": Form.SQDIFF, "manhattan": Form.ABSDIFF}


def _apply(function: Callable, sums: np.ndarray, factor: float, out: np.ndarray) -> None:
    found = np.asarray(function(sums))
    if found.shape != sums.shape:
        raise ValueError(
            f"the kernel's function must return an array of the shape of t, {sums.shape}; got "
            f"{found.shape}"
        )
    if found.dtype.kind not in "biuf":
        raise ValueError(f"the kernel's function must return real numbers; got {found.dtype}")
    with np.errstate(over="ignore", invalid="ignore"):
        np.multiply(found, factor, out=out, casting="same_kind")


def _combine(into: Into, values: Any) -> None:
    """out ← out ⊕ values."""
    if is_device_array(into.out):
        from fastkb.tile import cuda_matrices

        cuda_matrices.combine(into.out, values, into.sink)
        return
    out = into.out
    with np.errstate(over="ignore", invalid="ignore"):
        if into.sink == Sink.ADD:
            np.add(out, values, out=out)
        elif into.sink == Sink.MULTIPLY:
            np.multiply(out, values, out=out)
        else:
            out[...] = values


def write_in_order(parts: tuple, work: Work, lengths: Any, into: Into, sink: Sink) -> None:
    """Write terms or factors one after another: the first as `into` says, the others into `sink`."""
    factor = into.factor if sink == Sink.ADD else 1.0
    first, _ = _best_first(parts, into.sink, sink, work.d)
    for part in (parts[first], *parts[:first], *parts[first + 1 :]):
        part._write(work, lengths, into)
        into = Into(into.out, sink, factor)


def buffers_in_order(parts: tuple, first: Sink, others: Sink, d: int) -> int:
    """How many buffers :func:`write_in_order` needs at once."""
    return _best_first(parts, first, others, d)[1]


def _best_first(parts: tuple, first: Sink, others: Sink, d: int) -> tuple[int, int]:
    """Which part is best written first, and how many buffers are then needed at once."""
    alone = [part._buffers(first, d) for part in parts]
    among = [part._buffers(others, d) for part in parts]
    most = [max(alone[i], *among[:i], *among[i + 1 :]) for i in range(len(parts))]
    return most.index(min(most)), min(most)
