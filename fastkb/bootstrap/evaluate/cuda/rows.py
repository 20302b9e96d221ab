"""How a block of threads goes through a row: the loop that all kernels of this room are made with.

The row of a replicate is a stretch of a generator's numbers (:mod:`fastkb.random.cuda`), from its first
place on until as many are accepted as the row has draws. The threads of the block take its units in turn,
each every THREADS-th. The rejected ones are counted, and as many places more are drawn, until none is
missing. What a draw means is left to two device functions::

    fetch(index, context)          what is read for an index; for rejected numbers too, whose indices are
                                   as good, so that all reads of a unit are under way at once
    take(x, good, context, p, q)   the two numbers that a thread carries along, with x in them if `good`

A scheme of blocks draws *runs*: an index is then the place where a run begins, in an order of the
observations. The last run of a row, which may be shorter, is drawn after all others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastkb.bootstrap.evaluate.cuda.plan import Sizes
from fastkb.random.cuda import UNIT, Source, draws, index
from fastkb.runtime import cuda as runtime

cuda = runtime.in_kernels()

# Shared whole numbers of a block, by their place.
REJECTED, BELOW, ABOVE, LOWER, UPPER, THROUGH, BEFORE = range(7)
CELLS = 8


def make_rows(source: Source, sizes: Sizes, runs: bool, fetch: Callable, take: Callable) -> Any:
    """(stream, stretch, cells, context, carried): go through a row; all threads call it.

    `stream` is (table, how, order), `stretch` (replicate, first place, draws, length of a run); `cells`
    are shared, with 0 at REJECTED. It gives the place behind the row, and what the thread carries.
    """
    seek, stride, draw, accept = draws(source)
    EACH, THREADS = UNIT[source], sizes.threads
    LEVEL = THREADS.bit_length() - 1
    reads = np.uint32

    def rows(stream, stretch, cells, context, carried):
        table, how, order = stream
        replicate, first, missing, length = stretch
        p, q = carried
        numbers = cuda.local.array(EACH, reads)
        hop = stride(table, LEVEL)
        while missing > 0:
            end = first + missing
            unit = first // EACH + cuda.threadIdx.x
            cursor = seek(table, replicate, unit)
            rejected = 0
            while unit * EACH < end:
                cursor = draw(table, replicate, cursor, hop, numbers)
                for i in range(EACH):
                    place = unit * EACH + i
                    at, good = accept(numbers[index(i)], place, how)
                    inside = place >= first and place < end
                    if inside and not good:
                        rejected += 1
                    if runs:
                        if inside and good:
                            for k in range(length):
                                x = fetch(order[index(at) + index(k)], context)
                                p, q = take(x, True, context, p, q)
                    else:
                        p, q = take(fetch(at, context), inside and good, context, p, q)
                unit += THREADS
            first = end
            if how.threshold == 0:
                missing = 0
            else:
                if rejected > 0:
                    cuda.atomic.add(cells, REJECTED, np.int32(rejected))
                cuda.syncthreads()
                missing = np.int64(cells[REJECTED])
                cuda.syncthreads()
                if missing > 0:
                    if cuda.threadIdx.x == 0:
                        cells[REJECTED] = 0
                    cuda.syncthreads()
        return first, p, q

    return runtime.device(rows)


def make_row(source: Source, sizes: Sizes, runs: bool, fetch: Callable, take: Callable) -> Any:
    """(stream, shape, row, begin, cells, context, carried): a whole row, its last run included.

    The arguments are those of :func:`make_rows`; it gives what the thread carries.
    """
    rows = make_rows(source, sizes, runs, fetch, take)

    def row_of(stream, shape, row, begin, cells, context, carried):
        replicate = shape.replicate + row
        stretch = replicate, begin, shape.draws, shape.length
        place, p, q = rows(stream, stretch, cells, context, carried)
        if runs and shape.last > 0:
            _, p, q = rows(stream, (replicate, place, 1, shape.last), cells, context, (p, q))
        return p, q

    return runtime.device(row_of)
