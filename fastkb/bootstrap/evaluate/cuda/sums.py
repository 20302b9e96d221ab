"""Mean, sum, variance and standard deviation of rows.

Sums are pairs of numbers, of which the second holds what the first has rounded away. A thread adds up
what it draws, in the order of the sequence; then the first half of the threads adds the pairs of the
second half, and so on. That order depends on the row alone, not on the grid, and hardly anything depends
on the order: a pair is right to twice the digits of its type. So resamples that hold the same
observations have the same mean, as the bias correction needs. A variance takes a second pass over the
row, as NumPy's does: squared deviations from the mean, each rounded, are summed in the same way.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any

import numpy as np

from fastkb.bootstrap.evaluate.cuda.plan import Shape, Sizes, all_sizes
from fastkb.bootstrap.evaluate.cuda.rows import CELLS, REJECTED, make_row
from fastkb.bootstrap.evaluate.statistics import Code
from fastkb.random.cuda import Numbers, Source, index
from fastkb.runtime import cuda as runtime
from fastkb.scalar.sums import two_sum

cuda = runtime.in_kernels()

MEAN, SUM, VARIANCE = int(Code.MEAN), int(Code.SUM), int(Code.VARIANCE)


def make_pairs(threads: int) -> tuple[Any, Any]:
    """(x, p, q): x in a pair; and (highs, lows, p, q): the pairs of all threads, shared, added up."""
    add_exactly = runtime.device(two_sum.py_func)

    def add(x, p, q):
        p, error = add_exactly(p, x)
        return p, q + error

    def total(highs, lows, p, q):
        thread = cuda.threadIdx.x
        highs[thread] = p
        lows[thread] = q
        half = threads // 2
        while half > 0:
            cuda.syncthreads()
            if thread < half:
                p, error = add_exactly(p, highs[thread + half])
                q = q + (lows[thread + half] + error)
                highs[thread] = p
                lows[thread] = q
            half //= 2
        cuda.syncthreads()
        p, q = highs[0], lows[0]
        cuda.syncthreads()  # before they are written again
        # A sum that overflows has left nothing but NaN behind.
        return p + q if math.isfinite(p) else p

    return runtime.device(add), runtime.device(total)


def _make_square(kind: type) -> Any:
    """x², rounded: not fused with the addition that follows."""
    if runtime.simulated():
        return lambda x: x * x
    rounded = cuda.libdevice.fmul_rn if kind is np.float32 else cuda.libdevice.dmul_rn
    return runtime.device(lambda x: rounded(x, x))


def _make_root(kind: type) -> Any:
    if runtime.simulated():
        return lambda x: kind(math.sqrt(x))
    return runtime.device(lambda x: math.sqrt(x))


@functools.cache
def moment_kernel(source: Source, kind: type, sizes: Sizes, runs: bool = False) -> Any:
    """(table, how, shape, begins, values, order, divisors, out): mean, sum, variance or deviation.

    divisors: the observations of a row, for the mean, and for the variance less ddof.
    """
    ZERO, THREADS = kind(0), sizes.threads
    add, total = make_pairs(THREADS)
    square, root = _make_square(kind), _make_root(kind)

    def fetch(at, context):
        return context[0][index(context[1]), index(at)]

    def take(x, good, context, p, q):
        return add(x if good else ZERO, p, q)

    def take_square(x, good, context, p, q):
        return add(square(x - context[2]) if good else ZERO, p, q)

    fetch = runtime.device(fetch)
    values_of, squares_of = (
        make_row(source, sizes, runs, fetch, runtime.device(one)) for one in (take, take_square)
    )

    def moments(table, how, shape, begins, values, order, divisors, out):
        cells = cuda.shared.array(CELLS, np.int32)
        highs = cuda.shared.array(THREADS, kind)
        lows = cuda.shared.array(THREADS, kind)
        row, s = cuda.blockIdx.x // shape.series, cuda.blockIdx.x % shape.series
        stream, begin = (table, how, order), begins[index(row)]
        if cuda.threadIdx.x == 0:
            cells[REJECTED] = 0
        cuda.syncthreads()
        p, q = values_of(stream, shape, row, begin, cells, (values, s, ZERO), (ZERO, ZERO))
        result = total(highs, lows, p, q)
        if shape.code != SUM:
            result = result / divisors[0]
            if shape.code != MEAN:
                p, q = squares_of(
                    stream, shape, row, begin, cells, (values, s, result), (ZERO, ZERO)
                )
                result = total(highs, lows, p, q) / divisors[1]
                if shape.code != VARIANCE:
                    result = root(result)
        if cuda.threadIdx.x == 0:
            out[index(s), index(row)] = result

    return runtime.kernel(moments, THREADS, 1)


def kernels() -> list[tuple[str, Any, tuple]]:
    """Name, kernel and signature of each kernel here, for checks that compile them without a device."""
    from numba import types

    words, whole = types.Array(types.uint64, 2, "C"), types.intp
    how = types.NamedUniTuple(whole, len(Numbers._fields), Numbers)
    shape = types.NamedUniTuple(whole, len(Shape._fields), Shape)
    begins, order = types.Array(whole, 1, "C"), types.Array(types.uint32, 1, "C")
    sources = [*((source, False) for source in Source), (Source.OWN, True)]
    found: list[tuple[str, Any, tuple]] = []
    for kind, T in ((np.float32, types.float32), (np.float64, types.float64)):
        values, divisors = types.Array(T, 2, "C"), types.UniTuple(T, 2)
        task = words, how, shape, begins, values, order, divisors, values
        for (source, runs), sizes in itertools.product(sources, all_sizes()):
            name = f"{source.name.lower()}{' runs' * runs}, {sizes.threads} threads"
            kernel = moment_kernel(source, kind, sizes, runs)
            found.append((f"moments of {np.dtype(kind)}, {name}", kernel, task))
    return found
