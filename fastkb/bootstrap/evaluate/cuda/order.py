"""Order statistics and extremes of rows, from ranks (places in the sorted data), as on the CPU.

The ranks of a window are counted in shared memory; of those below it only how many they are, and of those
above it the smallest. Where the order statistic is not in the window, the row is drawn again for the next
window on that side: what is found is exact, and the window decides the time alone.
"""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np

from fastkb.bootstrap.evaluate.cuda.plan import Shape, Sizes, all_sizes
from fastkb.bootstrap.evaluate.cuda.rows import (
    ABOVE,
    BEFORE,
    BELOW,
    CELLS,
    LOWER,
    REJECTED,
    THROUGH,
    UPPER,
    make_row,
)
from fastkb.random.cuda import Numbers, Source, index
from fastkb.runtime import cuda as runtime

cuda = runtime.in_kernels()

_NONE_ABOVE = np.int32(2**31 - 1)


def make_select(source: Source, sizes: Sizes, runs: bool) -> Any:
    """(stream, shape, row, begin, memory, ranks, wanted): the ranks of two order statistics of a row.

    `memory` is (counts, sums, cells), `ranks` (ranks, series), `wanted` (target, the window's low end).
    All threads get the ranks of the order statistics `target` and `target` + 1 (or twice the last), and
    how many draws do not exceed the first one, and how many are less.
    """
    THREADS, ONE = sizes.threads, np.int32(1)
    EACH = -(-sizes.window // THREADS)  # counts that a thread adds up

    def fetch(at, context):
        return context[0][index(context[1]), index(at)]

    def take(x, good, context, below, above):
        counts, low, width = context[2], context[3], context[4]
        place = np.int64(x) - low
        if good:
            if place < 0:
                below += 1
            elif place < width:
                cuda.atomic.add(counts, place, ONE)
            else:
                above = min(above, np.int64(x))
        return below, above

    row_of = make_row(source, sizes, runs, runtime.device(fetch), runtime.device(take))

    def add_up(counts, sums, width):
        """Counts of a thread's part of the window, and of all parts up to its own, in `sums`."""
        thread = cuda.threadIdx.x
        own = 0
        for k in range(thread * EACH, min((thread + 1) * EACH, width)):
            own += counts[index(k)]
        sums[thread] = np.int32(own)
        step = 1
        while step < THREADS:
            cuda.syncthreads()
            before = sums[thread - step] if thread >= step else np.int32(0)
            cuda.syncthreads()
            sums[thread] += before
            step *= 2
        cuda.syncthreads()
        return np.int64(own)

    add_up = runtime.device(add_up)

    def select(stream, shape, row, begin, memory, ranks, wanted):
        counts, sums, cells = memory
        target, low = wanted
        thread, width = cuda.threadIdx.x, shape.width
        own = np.int64(0)
        below, inside = np.int64(-1), np.int64(0)
        while not (below >= 0 and below <= target and target < below + inside):
            if below > target:
                low = max(0, low - width)
            elif below >= 0:
                low += width
            for k in range(thread, width, THREADS):
                counts[index(k)] = 0
            if thread == 0:
                cells[REJECTED] = 0
                cells[BELOW] = 0
                cells[ABOVE] = _NONE_ABOVE
            cuda.syncthreads()
            context = (ranks[0], ranks[1], counts, low, width)
            carried = (np.int64(0), np.int64(_NONE_ABOVE))
            fewer, above = row_of(stream, shape, row, begin, cells, context, carried)
            if fewer > 0:
                cuda.atomic.add(cells, BELOW, np.int32(fewer))
            if above < _NONE_ABOVE:
                cuda.atomic.min(cells, ABOVE, np.int32(above))
            cuda.syncthreads()
            own = add_up(counts, sums, width)
            below, inside = np.int64(cells[BELOW]), np.int64(sums[THREADS - 1])
            through = below + np.int64(sums[thread])
            cuda.syncthreads()  # before they are written again
        # One thread has the target in its part, and one the next order statistic, unless it is the first
        # rank above the window, or there is none.
        before = through - own
        if before <= target and target < through:
            k, seen = _walk(counts, thread * EACH, before, target)
            cells[LOWER] = np.int32(low + k)
            cells[THROUGH] = np.int32(seen)
            cells[BEFORE] = np.int32(seen - counts[index(k)])
            if target + 1 == shape.size:
                cells[UPPER] = np.int32(low + k)
        if before <= target + 1 and target + 1 < through:
            k, _ = _walk(counts, thread * EACH, before, target + 1)
            cells[UPPER] = np.int32(low + k)
        if thread == 0 and target + 1 == below + inside and target + 1 < shape.size:
            cells[UPPER] = cells[ABOVE]
        cuda.syncthreads()
        found = cells[LOWER], cells[UPPER], cells[THROUGH], cells[BEFORE]
        cuda.syncthreads()
        return found

    return runtime.device(select)


def _walk_to(counts, k, seen, target):
    """The rank that has the target, from place k on, before which there are `seen`; how many then are."""
    seen += counts[index(k)]
    while seen <= target:
        k += 1
        seen += counts[index(k)]
    return k, seen


_walk = runtime.device(_walk_to)


@functools.cache
def rank_kernel(source: Source, sizes: Sizes, runs: bool = False) -> Any:
    """(table, how, shape, begins, ranks, order, out): two neighbouring order statistics' ranks.

    # shape of out: (2, series, rows), uint32
    """
    select = make_select(source, sizes, runs)
    THREADS, WINDOW = sizes

    def order_statistics(table, how, shape, begins, ranks, order, out):
        counts = cuda.shared.array(WINDOW, np.int32)
        sums = cuda.shared.array(THREADS, np.int32)
        cells = cuda.shared.array(CELLS, np.int32)
        row, s = cuda.blockIdx.x // shape.series, cuda.blockIdx.x % shape.series
        stream, begin = (table, how, order), begins[index(row)]
        wanted = shape.target, shape.low
        lower, upper, _, _ = select(
            stream, shape, row, begin, (counts, sums, cells), (ranks, s), wanted
        )
        if cuda.threadIdx.x == 0:
            out[index(0), index(s), index(row)] = lower
            out[index(1), index(s), index(row)] = upper

    return runtime.kernel(order_statistics, THREADS, 1)


@functools.cache
def extreme_kernel(source: Source, sizes: Sizes, runs: bool = False) -> Any:
    """(table, how, shape, begins, ranks, order, out): the smallest and the largest rank, as above."""

    def fetch(at, context):
        return context[0][index(context[1]), index(at)]

    def take(x, good, context, smallest, largest):
        if good:
            return min(smallest, np.int64(x)), max(largest, np.int64(x))
        return smallest, largest

    row_of = make_row(source, sizes, runs, runtime.device(fetch), runtime.device(take))

    def extremes(table, how, shape, begins, ranks, order, out):
        cells = cuda.shared.array(CELLS, np.int32)
        row, s = cuda.blockIdx.x // shape.series, cuda.blockIdx.x % shape.series
        if cuda.threadIdx.x == 0:
            cells[REJECTED] = 0
            cells[LOWER] = _NONE_ABOVE
            cells[UPPER] = -1
        cuda.syncthreads()
        carried = (np.int64(_NONE_ABOVE), np.int64(-1))
        smallest, largest = row_of(
            (table, how, order), shape, row, begins[index(row)], cells, (ranks, s), carried
        )
        cuda.atomic.min(cells, LOWER, np.int32(smallest))
        cuda.atomic.max(cells, UPPER, np.int32(largest))
        cuda.syncthreads()
        if cuda.threadIdx.x == 0:
            out[index(0), index(s), index(row)] = cells[LOWER]
            out[index(1), index(s), index(row)] = cells[UPPER]

    return runtime.kernel(extremes, sizes.threads, 1)


def kernels() -> list[tuple[str, Any, tuple]]:
    """Name, kernel and signature of each kernel here, for checks that compile them without a device."""
    from numba import types

    words, whole = types.Array(types.uint64, 2, "C"), types.intp
    how = types.NamedUniTuple(whole, len(Numbers._fields), Numbers)
    shape = types.NamedUniTuple(whole, len(Shape._fields), Shape)
    begins, order = types.Array(whole, 1, "C"), types.Array(types.uint32, 1, "C")
    ranks, out = types.Array(types.uint32, 2, "C"), types.Array(types.uint32, 3, "C")
    task = words, how, shape, begins, ranks, order, out
    drawn = [source for source in Source if source != Source.EVERY]
    sources = [*((source, False) for source in drawn), (Source.OWN, True)]
    found: list[tuple[str, Any, tuple]] = []
    for (source, runs), sizes in itertools.product(sources, all_sizes()):
        name = f"{source.name.lower()}{' runs' * runs}, {sizes.threads} threads"
        found.append((f"order statistics, {name}", rank_kernel(source, sizes, runs), task))
        found.append((f"extremes, {name}", extreme_kernel(source, sizes, runs), task))
    return found
