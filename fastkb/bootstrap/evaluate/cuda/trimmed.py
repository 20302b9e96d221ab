"""Trimmed means of rows: two order statistics, and the sum of what is between them.

The first pass over a row finds the smallest rank that is kept, the second the largest, and the third adds
up the values of the ranks between the two, as deviations from one in the middle, where the sum of their
sizes is smallest. Of the two values at the ends a part may be trimmed: how many are kept is known from
the counts. The formula is the CPU's (:func:`fastkb.bootstrap.evaluate.rank_kernels.trimmed_mean`); sums
are pairs as in `sums.py`, of the type of the data, where the CPU has float64.
"""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np

from fastkb.bootstrap.evaluate.cuda.order import make_select
from fastkb.bootstrap.evaluate.cuda.plan import Shape, Sizes, all_sizes
from fastkb.bootstrap.evaluate.cuda.rows import CELLS, make_row
from fastkb.bootstrap.evaluate.cuda.sums import make_pairs
from fastkb.random.cuda import Numbers, Source, index
from fastkb.runtime import cuda as runtime
from fastkb.scalar.sums import two_sum

cuda = runtime.in_kernels()


@functools.cache
def trimmed_kernel(source: Source, kind: type, sizes: Sizes, runs: bool = False) -> Any:
    """(table, how, shape, begins, ranks, ordered, order, out): means without both ends of rows.

    The shape's targets are the first place that is kept and the last.
    """
    ZERO, THREADS, WINDOW = kind(0), *sizes
    add, total = make_pairs(THREADS)
    add_exactly = runtime.device(two_sum.py_func)
    select = make_select(source, sizes, runs)

    def fetch(at, context):
        return context[0][index(context[1]), index(at)]

    def take(x, good, context, p, q):
        ordered, lower, higher, centre = context[2], context[3], context[4], context[5]
        rank = np.int64(x)
        if good and rank > lower and rank < higher:
            deviation, rest = add_exactly(ordered[index(context[1]), index(rank)], -centre)
            p, q = add(deviation, p, q + rest)
        return p, q

    row_of = make_row(source, sizes, runs, runtime.device(fetch), runtime.device(take))

    def trimmed(table, how, shape, begins, ranks, ordered, order, out):
        counts = cuda.shared.array(WINDOW, np.int32)
        partial = cuda.shared.array(THREADS, np.int32)
        cells = cuda.shared.array(CELLS, np.int32)
        highs = cuda.shared.array(THREADS, kind)
        lows = cuda.shared.array(THREADS, kind)
        row, s = cuda.blockIdx.x // shape.series, cuda.blockIdx.x % shape.series
        stream, begin, memory = (table, how, order), begins[index(row)], (counts, partial, cells)
        cut, wanted = shape.target, (shape.target, shape.low)
        lower, _, through, _ = select(stream, shape, row, begin, memory, (ranks, s), wanted)
        wanted = shape.far_target, shape.far_low
        higher, _, _, before = select(stream, shape, row, begin, memory, (ranks, s), wanted)
        centre = ordered[index(s), index((lower + higher) // 2)]
        context = ranks, s, ordered, np.int64(lower), np.int64(higher), centre
        p, q = row_of(stream, shape, row, begin, cells, context, (ZERO, ZERO))
        result = total(highs, lows, p, q)
        if cuda.threadIdx.x == 0:
            kept = kind(shape.size - 2 * cut)
            first, last = kind(through - cut), kind(shape.size - before - cut)
            result += first * (ordered[index(s), index(lower)] - centre)
            result += last * (ordered[index(s), index(higher)] - centre)
            out[index(s), index(row)] = (result + kept * centre) / kept

    return runtime.kernel(trimmed, THREADS, 1)


def kernels() -> list[tuple[str, Any, tuple]]:
    """Name, kernel and signature of each kernel here, for checks that compile them without a device."""
    from numba import types

    words, whole = types.Array(types.uint64, 2, "C"), types.intp
    how = types.NamedUniTuple(whole, len(Numbers._fields), Numbers)
    shape = types.NamedUniTuple(whole, len(Shape._fields), Shape)
    begins, order = types.Array(whole, 1, "C"), types.Array(types.uint32, 1, "C")
    ranks = types.Array(types.uint32, 2, "C")
    sources = [*((source, False) for source in Source), (Source.OWN, True)]
    found: list[tuple[str, Any, tuple]] = []
    for kind, T in ((np.float32, types.float32), (np.float64, types.float64)):
        values = types.Array(T, 2, "C")
        task = words, how, shape, begins, ranks, values, order, values
        for (source, runs), sizes in itertools.product(sources, all_sizes()):
            name = f"{source.name.lower()}{' runs' * runs}, {sizes.threads} threads"
            kernel = trimmed_kernel(source, kind, sizes, runs)
            found.append((f"trimmed means of {np.dtype(kind)}, {name}", kernel, task))
    return found
