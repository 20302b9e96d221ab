"""Schemes whose resamples are rows of the data, given by their indices or as runs of neighbours."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator, Iterator, Sequence

import numpy as np

from fastkb.random.bounded import bounded_rows
from fastkb.resample.index_blocks import VALUES, row_blocks
from fastkb.resample.runs import Runs, counts_of_runs, parts_of_runs, rows_of_runs
from fastkb.resample.scheme import Block, Scheme, equal_blocks, rows_together


class RowScheme(Scheme):
    """How rows of the data are drawn.

    Attributes
    ----------
    n : int
        Observations of the first sample; :meth:`prepare` stores them.
    """

    n: int

    @abstractmethod
    def counts(self, key: np.ndarray, first: int, count: int) -> np.ndarray:
        """How often each observation is drawn, from replicate `first` on.  # shape: (count, n)"""


class SingleRows(Scheme):
    """Row by row with replacement, from streams that a key names.

    Attributes
    ----------
    lengths : list of int
        Observations of each sample that is drawn by itself; :meth:`prepare` stores them.
    """

    row_by_row = True
    reads_values = False
    draws_unpaired = True
    lengths: list[int]

    def prepare(self, samples: Sequence[np.ndarray], paired: bool, axis: int = -1) -> SingleRows:
        prepared = SingleRows()
        prepared.lengths = [sample.shape[-1] for sample in samples][: 1 if paired else None]
        return prepared

    def rows(
        self, key: np.ndarray, first: int, count: int, buffer: np.ndarray | None = None
    ) -> list[np.ndarray]:
        """Indices into each sample; of several keys, those of one after the other.

        # shapes: (rows, n_j)
        """
        drawn = bounded_rows(key, first, count, np.repeat(self.lengths, self.lengths), buffer)
        drawn = drawn.reshape(-1, sum(self.lengths))
        ends = np.cumsum(self.lengths)[:-1]
        return [np.ascontiguousarray(part) for part in np.split(drawn, ends, axis=1)]

    def blocks(
        self, key: np.ndarray, n_resamples: int, largest: int, start: int = 0
    ) -> Generator[Block, None, None]:
        together = rows_together(largest, sum(self.lengths))
        return equal_blocks(
            lambda first, count: self.rows(key, first, count), n_resamples, together, start
        )


class IndexScheme(RowScheme):
    """How rows of indices are made from bounded random numbers.

    Attributes
    ----------
    n : int
        Observations of the first sample; :meth:`prepare` stores them.
    places : tuple of two ndarrays of uint32
        Order and offsets, where a number d of column j means order[offsets[j] + d]: that is what
        :meth:`rows` gets. Without an order it gets offsets[j] + d, without offsets d.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import bootstrap, schemes
    >>> class Pairs(schemes.IndexScheme):
    ...     # Neighbours stay together: pairs are drawn with replacement.
    ...     def prepare(self, samples, paired, axis=-1):
    ...         prepared = Pairs()
    ...         prepared.n = samples[0].shape[-1]
    ...         return prepared
    ...     def bounds(self):
    ...         return np.full(self.n // 2, self.n // 2)
    ...     def rows(self, drawn):
    ...         both = 2 * drawn[:, :, None] + np.arange(2, dtype=np.uint32)
    ...         return both.reshape(len(drawn), -1)
    >>> x = np.array([1.0, -1.0, 2.0, -2.0, 5.0, -5.0])  # each pair has a mean of 0
    >>> result = bootstrap((x,), np.mean, scheme=Pairs(), method="percentile", rng=0)
    >>> float(result.standard_error)
    0.0
    """

    places: tuple[np.ndarray, np.ndarray] = (np.empty(0, np.uint32), np.empty(0, np.uint32))

    @abstractmethod
    def bounds(self) -> np.ndarray:
        """Bounds of the random numbers that a resample takes.  # shape: (k,)"""

    @abstractmethod
    def rows(self, drawn: np.ndarray) -> Sequence[np.ndarray] | np.ndarray:
        """A resample's indices for each row of random numbers.  # drawn: (rows, k)

        One array if all resamples have the same length, else a sequence of arrays. What is returned may
        stand where the numbers stood; others are written there later.
        """

    def blocks(
        self, key: np.ndarray, n_resamples: int, largest: int, start: int = 0
    ) -> Generator[Block, None, None]:
        bounds = self.bounds()
        together = rows_together(largest, len(bounds))
        buffer = np.empty(min(together, n_resamples - start) * len(bounds), np.uint32)
        for first in range(start, n_resamples, together):
            count = min(together, n_resamples - first)
            rows = self.rows(bounded_rows(key, first, count, bounds, buffer, self.places))
            yield from row_blocks(rows, largest, first)

    def counts(self, key: np.ndarray, first: int, count: int) -> np.ndarray:
        """How often each observation is drawn, from replicate `first` on.  # shape: (count, n)"""
        rows = self.rows(bounded_rows(key, first, count, self.bounds(), places=self.places))
        return np.array([np.bincount(row, minlength=self.n) for row in rows])


class RunScheme(RowScheme):
    """How runs of neighbouring rows are drawn.

    Attributes
    ----------
    order : ndarray of uint32
        The arrangement that runs are stretches of: which observation stands at each place.
        # shape: (places,)
    most : int
        Runs of a resample, at most.
    """

    order: np.ndarray
    most: int

    @abstractmethod
    def runs(self, key: np.ndarray, first: int, count: int) -> Runs:
        """The runs of replicates `first`, `first` + 1, …; of several keys, those of one after the other.

        # shape of key: (4,) or (keys, 4)
        """

    @abstractmethod
    def runs_left(self) -> list[Runs]:
        """Runs without each of the independent groups, for each independent part of the data."""

    def run_blocks(
        self, key: np.ndarray, n_resamples: int, largest: int, start: int = 0
    ) -> Generator[Block, None, None]:
        """All replicates from `start` on as runs, in blocks of roughly `largest` runs."""
        together = rows_together(largest, self.most)
        for first in range(start, n_resamples, together):
            count = min(together, n_resamples - first)
            yield Block(slice(first, first + count), self.runs(key, first, count))

    def blocks(
        self, key: np.ndarray, n_resamples: int, largest: int, start: int = 0
    ) -> Generator[Block, None, None]:
        for block in self.run_blocks(key, n_resamples, largest, start):
            for runs in parts_of_runs(block.rows, largest):
                yield from row_blocks(self.indices(runs), largest, start)
                start += len(runs.used)

    def indices(self, runs: Runs) -> Sequence[np.ndarray] | np.ndarray:
        """The rows of each resample: one array if all have the same length, else a list of arrays."""
        rows, sizes = rows_of_runs(runs, self.order), runs.sizes
        if (sizes == sizes[:1]).all():
            return rows
        return [row[:size] for row, size in zip(rows, sizes.tolist(), strict=True)]

    def counts(self, key: np.ndarray, first: int, count: int) -> np.ndarray:
        return counts_of_runs(self.runs(key, first, count), self.order, self.n)

    def left_out(self) -> list[Iterator[np.ndarray]]:
        return [
            (row for part in parts_of_runs(runs, VALUES) for row in self.indices(part))
            for runs in self.runs_left()
        ]
