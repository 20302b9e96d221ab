"""The resamples of a bootstrap as blocks of rows of indices, drawn as SciPy draws them."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastkb.random.numpy_indices import (
    IndexStream,
    drawn_by_numpy,
    index_stream,
    is_computed,
)
from fastkb.resample.scheme import Block, rows_together

# Indices of a block: enough for the threads to share, and few enough to stay in the caches.
INDICES = 2**20

# Values that a statistic gets at a time at most, where that is not a matter of indices.
VALUES = 2**21

# Of all observations, each is left out once.
EVERY_ROW = slice(None)

# Indices of a batch below which NumPy draws it as fast as all threads together.
_SMALL_BATCH = 2**15


def index_blocks(
    rng: np.random.Generator | np.random.RandomState,
    lengths: Sequence[int],
    n_resamples: int,
    batch: int | None,
    largest: int,
    ahead: bool = False,
) -> Generator[Block, None, None]:
    """All replicates' indices; at the end the generator is where NumPy would have left it.

    SciPy draws a batch's rows for the first sample, then for the second, …. What `batch` is matters for
    two samples or more, and never for one.

    Parameters
    ----------
    rng : Generator or RandomState
    lengths : sequence of int
        Observations of each sample.
    n_resamples : int
    batch : int or None
        None: all replicates are one batch.
    largest : int
        Indices of a block, roughly; a block has at least a row for each thread.
    ahead : bool, default False
        Whether the generator has moved past a batch before its first block is handed out, as SciPy's
        has: a statistic that draws from it too then sees what it would see there.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb.resample.index_blocks import index_blocks
    >>> (block,) = index_blocks(np.random.default_rng(0), [10], 3, None, 1000)
    >>> block.rows[0].tolist() == np.random.default_rng(0).integers(0, 10, (3, 10)).tolist()
    True
    """
    together = rows_together(largest, sum(lengths))
    size = max(1, batch or n_resamples)
    if len(lengths) > 1 and not ahead and size * sum(lengths) <= _SMALL_BATCH:
        yield from _small_batches(rng, lengths, n_resamples, size, together)
        return
    if ahead:
        for start in range(0, n_resamples, size):
            count = min(size, n_resamples - start)
            stream = index_stream(rng)  # the statistic may have drawn from it
            streams = _side_by_side(stream.copy(), lengths, count)
            for n in lengths:
                stream.skip(count, n)
            stream.commit(rng)
            yield from _batch(streams, lengths, start, count, together)
        return
    if len(lengths) == 1:
        size = max(1, n_resamples)
    # No other thread draws meanwhile: NumPy takes the lock for each of its own draws.
    with _undisturbed(rng):
        stream = index_stream(rng)
        for start in range(0, n_resamples, size):
            count = min(size, n_resamples - start)
            streams = _side_by_side(stream, lengths, count)
            yield from _batch(streams, lengths, start, count, together)
            stream = streams[-1]
        stream.commit(rng)


class IndexPart(NamedTuple):
    """Some of the replicates of one batch, which can be drawn anywhere."""

    start: int  # the first replicate
    n_replicates: int
    streams: list[IndexStream]  # of each sample, where its rows begin
    lengths: Sequence[int]

    def blocks(self, largest: int) -> Generator[Block, None, None]:
        """Their rows, in blocks of roughly `largest` indices. The part's streams stay where they are."""
        streams = [one.copy() for one in self.streams]
        together = rows_together(largest, sum(self.lengths))
        return _batch(streams, self.lengths, self.start, self.n_replicates, together)


def index_parts(
    rng: np.random.Generator | np.random.RandomState,
    lengths: Sequence[int],
    n_resamples: int,
    batch: int | None,
    size: int,
) -> list[list[IndexPart]]:
    """All replicates of :func:`index_blocks` in parts of roughly `size` replicates.

    All indices are drawn once for it, and none is kept. The generator is then where NumPy would have left
    it.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb.resample.index_blocks import index_parts
    >>> parts = index_parts(np.random.default_rng(0), [10], 5, None, 3)
    >>> [sum(one.n_replicates for one in part) for part in parts]
    [3, 2]
    >>> (block,) = parts[1][0].blocks(1000)
    >>> expected = np.random.default_rng(0).integers(0, 10, (5, 10))[3:]
    >>> bool((block.rows[0] == expected).all())
    True
    """
    together = n_resamples if len(lengths) == 1 else batch or n_resamples
    found: list[list[IndexPart]] = []
    held = size
    with _undisturbed(rng):
        stream = index_stream(rng)
        for start in range(0, n_resamples, max(1, together)):
            count = min(together, n_resamples - start)
            streams = _side_by_side(stream, lengths, count)
            for first in range(0, count, size):
                rows = min(size, count - first)
                copies = [one.copy() for one in streams]
                if held >= size:
                    found.append([])
                    held = 0
                found[-1].append(IndexPart(start + first, rows, copies, lengths))
                held += rows
                for one, n in zip(streams, lengths, strict=True):
                    one.skip(rows, n)
            stream = streams[-1]
        stream.commit(rng)
    return found


def _undisturbed(rng: Any) -> contextlib.AbstractContextManager:
    """The generator's lock, where nothing here draws from the generator itself."""
    return rng.bit_generator.lock if is_computed(rng) else contextlib.nullcontext()


def _side_by_side(stream: IndexStream, lengths: Sequence[int], count: int) -> list[IndexStream]:
    """A stream for each sample, each beginning where the one before has drawn `count` rows."""
    streams = [stream]
    for n in lengths[:-1]:
        following = streams[-1].copy()
        following.skip(count, n)
        streams.append(following)
    return streams


def _batch(
    streams: list[IndexStream], lengths: Sequence[int], start: int, count: int, together: int
) -> Generator[Block, None, None]:
    """The rows of one batch, a part at a time."""
    for first in range(0, count, together):
        rows = min(together, count - first)
        drawn = [one.rows(rows, n) for one, n in zip(streams, lengths, strict=True)]
        yield Block(slice(start + first, start + first + rows), drawn)


def _small_batches(
    rng: np.random.Generator | np.random.RandomState,
    lengths: Sequence[int],
    n_resamples: int,
    size: int,
    together: int,
) -> Generator[Block, None, None]:
    """Several batches in one block, drawn by NumPy, which is quicker for a few thousand numbers."""
    stream = drawn_by_numpy(rng)
    batches = max(1, together // size)
    for first in range(0, n_resamples, size * batches):
        last = min(first + size * batches, n_resamples)
        drawn: list[list[np.ndarray]] = [[] for _ in lengths]
        for start in range(first, last, size):
            for rows, n in zip(drawn, lengths, strict=True):
                rows.append(stream.rows(min(size, last - start), n))
        yield Block(slice(first, last), [np.concatenate(rows) for rows in drawn])


def row_blocks(
    rows: Iterable[np.ndarray] | np.ndarray, largest: int, start: int = 0
) -> Generator[Block, None, None]:
    """Rows of indices, which may differ in length unless they are one array, as blocks of one length.

    Their places are counted from `start`.
    """
    if isinstance(rows, np.ndarray):
        together = rows_together(largest, rows.shape[1])
        for first in range(0, len(rows), together):
            part = np.ascontiguousarray(rows[first : first + together], np.uint32)
            yield Block(start + first + np.arange(len(part)), [part])
        return
    rows = iter(rows)
    while True:
        some: list[np.ndarray] = []
        taken = 0
        for row in itertools.islice(rows, largest):
            some.append(row)
            taken += len(row)
            if taken >= largest:
                break
        if not some:
            return
        lengths = np.array([len(row) for row in some])
        for length in np.unique(lengths):
            members = np.flatnonzero(lengths == length)
            stacked = np.array([some[k] for k in members], np.uint32)
            yield Block(start + members, [stacked])
        start += len(some)


def left_out_rows(n: int, together: int, part: slice = EVERY_ROW) -> Iterator[np.ndarray]:
    """Rows of the n - 1 indices without i, for each i or those of a part, `together` at a time.

    # shape: (rows, n - 1), uint32
    """
    base = np.arange(n - 1, dtype=np.uint32)
    first, last, _ = part.indices(n)
    for start in range(first, last, together):
        omitted = np.arange(start, min(start + together, last), dtype=np.uint32)[:, None]
        yield base + (base >= omitted).astype(np.uint32)
