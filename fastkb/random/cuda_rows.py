"""Where the rows of indices that NumPy would draw begin and end in its one sequence, on a device.

A row of n indices takes n numbers of the sequence and as many more as are rejected in it, and so where a
row begins depends on all rejections before it. The sequence is cut into equal segments, and a thread
counts the accepted numbers of each; sums of the counts tell in which segment each row ends, and a thread
for each row looks for the place there. With these places any block of threads draws any row by itself.
The numbers are drawn twice for it: less work than to write the indices and to read them again.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np

from fastkb.random.cuda import UNIT, Numbers, Source, Stream, draws, index
from fastkb.runtime import cuda as runtime

cuda = runtime.module()

# Numbers that one thread counts. Longer segments would leave threads of a large device without work.
SEGMENT = 4096
_THREADS = 128


class Stretch(NamedTuple):
    """The places that are counted: equal segments, of which the first begins with a whole unit."""

    begin: int  # places before it count as rejected
    first: int  # where the first segment begins
    segment: int  # places of a segment


@functools.cache
def count_kernel(source: Source) -> Any:
    """(table, how, stretch, counts): the accepted numbers of each segment."""
    seek, stride, draw, accept = draws(source)
    EACH = UNIT[source]

    def count(table, how, stretch, counts):
        s = cuda.grid(1)
        if s >= counts.size:
            return
        numbers = cuda.local.array(EACH, np.uint32)
        place = stretch.first + s * stretch.segment
        cursor = seek(table, 0, place // EACH)
        hop = stride(table, 0)
        accepted = 0
        for _ in range(stretch.segment // EACH):
            cursor = draw(table, 0, cursor, hop, numbers)
            for i in range(EACH):
                _, good = accept(numbers[index(i)], place, how)
                if good and place >= stretch.begin:
                    accepted += 1
                place += 1
        counts[index(s)] = accepted

    return runtime.kernel(count, _THREADS, 1)


@functools.cache
def end_kernel(source: Source) -> Any:
    """(table, how, stretch, segments, wanted, ends): the place behind a segment's accepted number.

    Of row r it is the wanted[r]-th (from 1 on) of segment segments[r].
    """
    seek, stride, draw, accept = draws(source)
    EACH = UNIT[source]

    def find(table, how, stretch, segments, wanted, ends):
        r = cuda.grid(1)
        if r >= ends.size:
            return
        numbers = cuda.local.array(EACH, np.uint32)
        place = stretch.first + segments[index(r)] * stretch.segment
        last = place + stretch.segment
        left = wanted[index(r)]
        cursor = seek(table, 0, place // EACH)
        hop = stride(table, 0)
        while left > 0 and place < last:
            cursor = draw(table, 0, cursor, hop, numbers)
            for i in range(EACH):
                _, good = accept(numbers[index(i)], place, how)
                place += 1
                if good and place > stretch.begin:
                    left -= 1
                    if left == 0:
                        ends[index(r)] = place

    return runtime.kernel(find, _THREADS, 1)


def row_ends(
    stream: Stream,
    table: Any,
    how: Numbers,
    begin: int,
    shape: tuple[int, int],
    segment: int = SEGMENT,
) -> np.ndarray:
    """The places behind the last number of each of some rows, the first of which begins at `begin`.

    Parameters
    ----------
    stream : Stream
        Of NumPy's generators.
    table : device array
        Its table.
    how : Numbers
    begin : int
    shape : tuple of int
        Rows, and indices of each.
    segment : int
        A multiple of 8.

    Returns
    -------
    ndarray of int64
        # shape: (rows,)
    """
    rows, each = shape
    wanted = each * np.arange(1, rows + 1, dtype=np.int64)
    if how.threshold == 0:
        return begin + wanted
    unit = UNIT[stream.source]
    share = how.threshold / 2**32
    need = rows * each
    # Ten standard deviations more than on average; if that should not do, as many again.
    places = math.ceil((need + 10 * math.sqrt(need * share)) / (1 - share)) + 2 * unit
    accepted = np.empty(0, np.int32)
    through = np.zeros(1, np.int64)
    device = runtime.load()
    stretch = Stretch(begin, begin // unit * unit, segment)
    while through[-1] < need:
        more = stretch._replace(first=stretch.first + len(accepted) * segment)
        counts = device.device_array(-(-places // segment), np.int32)
        blocks = -(-counts.size // _THREADS)
        runtime.launch(count_kernel(stream.source), blocks, _THREADS, 0, table, how, more, counts)
        accepted = np.concatenate([accepted, counts.copy_to_host()])
        through = np.cumsum(accepted, dtype=np.int64)
    segments = np.searchsorted(through, wanted)
    inside = wanted - (through - accepted)[segments]
    ends = device.device_array(rows, np.int64)
    there = (device.to_device(one) for one in (segments, inside))
    blocks = -(-rows // _THREADS)
    runtime.launch(
        end_kernel(stream.source), blocks, _THREADS, 0, table, how, stretch, *there, ends
    )
    return ends.copy_to_host()


def kernels() -> list[tuple[str, Any, tuple]]:
    """Name, kernel and signature of each kernel here, for checks that compile them without a device."""
    from numba import types

    table = types.Array(types.uint64, 2, "C")
    how = types.NamedUniTuple(types.intp, len(Numbers._fields), Numbers)
    stretch = types.NamedUniTuple(types.intp, len(Stretch._fields), Stretch)
    counts, places = types.Array(types.int32, 1, "C"), types.Array(types.intp, 1, "C")
    found: list[tuple[str, Any, tuple]] = []
    for source in (Source.PCG64, Source.PHILOX):
        name = source.name.lower()
        found.append((f"count {name}", count_kernel(source), (table, how, stretch, counts)))
        found.append(
            (f"ends {name}", end_kernel(source), (table, how, stretch, places, places, places))
        )
    return found
