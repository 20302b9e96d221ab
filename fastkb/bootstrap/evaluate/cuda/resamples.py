"""The resamples of a bootstrap for the kernels: what draws them, and where their rows begin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from fastkb.bootstrap.evaluate.cuda.plan import Rows, all_rows
from fastkb.random.cuda import Numbers, Stream, every, given, numbers_of, numpy_stream, own_stream
from fastkb.random.cuda_rows import row_ends
from fastkb.random.numpy_indices import index_stream, is_computed
from fastkb.random.streams import key_from_rng
from fastkb.runtime import cuda as runtime

# Indices that are sent to the device at a time: 128 MB.
_SENT = 2**25


class Resamples(NamedTuple):
    """Those of one launch."""

    stream: Stream
    table: Any  # the stream's, on the device
    numbers: Numbers
    begins: np.ndarray  # the places where they begin, int64.  shape: (count,)
    first: int  # the first replicate
    rows: Rows


def every_observation(n: int) -> Resamples:
    """One that holds each of n observations once."""
    stream, begins = every(), np.zeros(1, np.int64)
    table = runtime.load().to_device(stream.table)
    return Resamples(stream, table, numbers_of(stream, n), begins, 0, all_rows(n))


def drawn_by_numpy(rng: Any, rows: Rows, count: int, together: int) -> Iterator[Resamples]:
    """What NumPy's generator would draw, `together` at a time; it is left where NumPy would leave it.

    PCG64 and Philox are drawn on the device; every other generator by NumPy, and sent there.
    """
    if not is_computed(rng):
        yield from _given(rng, rows, count, max(1, min(together, _SENT // rows.draws)))
        return
    with rng.bit_generator.lock:  # no other thread draws meanwhile
        indices = index_stream(rng)
        origin = indices.origin()
        assert origin is not None
        stream = numpy_stream(origin)
        table, numbers = runtime.load().to_device(stream.table), numbers_of(stream, rows.bound)
        begin = stream.begin
        for first in range(0, count, together):
            some = min(together, count - first)
            ends = row_ends(stream, table, numbers, begin, (some, rows.draws))
            begins = np.concatenate([[begin], ends[:-1]])
            begin = int(ends[-1])
            yield Resamples(stream, table, numbers, begins, first, rows)
        indices.pass_over(begin - stream.begin)
        indices.commit(rng)


def _given(rng: Any, rows: Rows, count: int, together: int) -> Iterator[Resamples]:
    indices = index_stream(rng)
    for first in range(0, count, together):
        some = min(together, count - first)
        stream = given(indices.rows(some, rows.bound))
        begins = rows.draws * np.arange(some, dtype=np.int64)
        table = runtime.load().to_device(stream.table)
        yield Resamples(stream, table, numbers_of(stream, rows.bound), begins, first, rows)


def drawn_by_key(source: Any, rows: Rows, count: int, together: int) -> Iterator[Resamples]:
    """Those of this package's streams, which a key or what makes one names, `together` at a time."""
    stream = own_stream(key_from_rng(source))
    table, numbers = runtime.load().to_device(stream.table), numbers_of(stream, rows.bound)
    for first in range(0, count, together):
        begins = np.zeros(min(together, count - first), np.int64)
        yield Resamples(stream, table, numbers, begins, first, rows)
