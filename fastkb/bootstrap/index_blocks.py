"""The resamples of a bootstrap as blocks of rows of indices, in the order in which SciPy draws them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from fastkb.random.numpy_indices import index_stream
from fastkb.runtime.threads import n_threads

# Indices of a block: enough for the threads to share, and few enough to stay in the caches.
_BLOCK = 2**19


class Block(NamedTuple):
    """Some replicates' indices."""

    first: int  # the first replicate
    indices: list[np.ndarray]  # one array for each sample.  # shapes: (rows, n_j)


def index_blocks(
    rng: np.random.Generator | np.random.RandomState,
    lengths: Sequence[int],
    n_resamples: int,
    batch: int | None,
    largest: int = _BLOCK,
) -> Iterator[Block]:
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

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb.bootstrap.index_blocks import index_blocks
    >>> (block,) = index_blocks(np.random.default_rng(0), [10], 3, None)
    >>> block.indices[0].tolist() == np.random.default_rng(0).integers(0, 10, (3, 10)).tolist()
    True
    """
    together = max(n_threads(), largest // max(1, sum(lengths)))
    stream = index_stream(rng)
    several = len(lengths) > 1
    size = (batch or n_resamples) if several else n_resamples
    for start in range(0, n_resamples, max(1, size)):
        count = min(size, n_resamples - start)
        streams = [stream]
        for n in lengths[:-1]:
            following = streams[-1].copy()
            following.skip(count, n)
            streams.append(following)
        for first in range(0, count, together):
            rows = min(together, count - first)
            drawn = [one.rows(rows, n) for one, n in zip(streams, lengths, strict=True)]
            yield Block(start + first, drawn)
        stream = streams[-1]
    stream.commit(rng)
