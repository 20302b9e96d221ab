"""Schemes that draw rows: a resample is a row of indices, made from bounded random numbers."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Generator, Iterator, Sequence
from typing import Any

import numpy as np

from fastkb.random.bounded import bounded_rows
from fastkb.resample.block_length import optimal_block_length
from fastkb.resample.checks import check_fraction_of, check_labels, check_length
from fastkb.resample.index_blocks import row_blocks
from fastkb.resample.scheme import Block, Scheme, rows_together


class IndexScheme(Scheme):
    """How rows of indices are made from bounded random numbers.

    Attributes
    ----------
    n : int
        Observations of the first sample; :meth:`prepare` stores them.

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
    ...         return list(both.reshape(len(drawn), -1))
    >>> x = np.array([1.0, -1.0, 2.0, -2.0, 5.0, -5.0])  # each pair has a mean of 0
    >>> result = bootstrap((x,), np.mean, scheme=Pairs(), method="percentile", rng=0)
    >>> float(result.standard_error)
    0.0
    """

    n: int

    @abstractmethod
    def bounds(self) -> np.ndarray:
        """Bounds of the random numbers that a resample takes.  # shape: (k,)"""

    @abstractmethod
    def rows(self, drawn: np.ndarray) -> list[np.ndarray]:
        """A resample's indices for each row of random numbers.  # drawn: (rows, k)"""

    def blocks(
        self, key: np.ndarray, n_resamples: int, largest: int
    ) -> Generator[Block, None, None]:
        bounds = self.bounds()
        together = rows_together(largest, len(bounds))
        for first in range(0, n_resamples, together):
            count = min(together, n_resamples - first)
            rows = self.rows(bounded_rows(key, first, count, bounds))
            yield from row_blocks(rows, largest, first)

    def counts(self, key: np.ndarray, first: int, count: int) -> np.ndarray:
        """How often each observation is drawn, from replicate `first` on.  # shape: (count, n)"""
        rows = self.rows(bounded_rows(key, first, count, self.bounds()))
        return np.array([np.bincount(row, minlength=self.n) for row in rows])


class _Grouped(IndexScheme):
    """Rows that carry a label."""

    def __init__(self, labels: Any) -> None:
        self.labels = labels

    def _arguments(self) -> list[tuple[str, Any]]:
        return [("labels", self.labels)]

    def prepare(self, samples: Sequence[np.ndarray], paired: bool, axis: int = -1) -> _Grouped:
        n = samples[0].shape[-1]
        prepared = type(self)(self.labels)
        codes = check_labels(type(self).__name__, self.labels, n)
        order = np.argsort(codes, kind="stable").astype(np.uint32)
        sizes = np.bincount(codes)
        prepared.n, prepared._order, prepared._sizes = n, order, sizes
        prepared._starts = np.cumsum(sizes) - sizes
        return prepared

    _order: np.ndarray  # rows, group after group.  # shape: (n,)
    _sizes: np.ndarray  # rows of each group.       # shape: (groups,)
    _starts: np.ndarray  # where a group begins.    # shape: (groups,)


class Stratified(_Grouped):
    """Rows are drawn within each stratum, as many as it has.

    Parameters
    ----------
    labels : array_like
        Stratum of each observation.  # shape: (n,)

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import bootstrap, schemes
    >>> x = np.array([1.0, 2.0, 3.0, 101.0, 102.0, 103.0])
    >>> result = bootstrap((x,), np.mean, scheme=schemes.Stratified([0, 0, 0, 1, 1, 1]), rng=0)
    >>> bool(result.standard_error < 1)  # every resample has three large values
    True
    """

    def bounds(self) -> np.ndarray:
        return np.repeat(self._sizes, self._sizes)

    def rows(self, drawn: np.ndarray) -> list[np.ndarray]:
        return list(self._order[np.repeat(self._starts, self._sizes) + drawn])

    def left_out(self) -> list[Iterator[np.ndarray]]:
        ends = self._starts + self._sizes
        return [
            (np.delete(self._order, i) for i in range(start, end))
            for start, end in zip(self._starts.tolist(), ends.tolist(), strict=True)
        ]


class Clusters(_Grouped):
    """Whole clusters are drawn with replacement, as many as there are.

    Parameters
    ----------
    labels : array_like
        Cluster of each observation.  # shape: (n,)

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import bootstrap, schemes
    >>> x, patient = np.repeat([1.0, 2.0, 5.0], 10), np.repeat([0, 1, 2], 10)
    >>> result = bootstrap((x,), np.mean, scheme=schemes.Clusters(patient), rng=0)
    >>> bool(result.standard_error > 0.9)  # three independent values, not thirty
    True
    """

    def bounds(self) -> np.ndarray:
        return np.full(len(self._sizes), len(self._sizes))

    def rows(self, drawn: np.ndarray) -> list[np.ndarray]:
        members = np.split(self._order, self._starts[1:])
        return [np.concatenate([members[g] for g in clusters]) for clusters in drawn]

    def left_out(self) -> list[Iterator[np.ndarray]]:
        groups = zip(self._starts, self._sizes, strict=True)
        return [(np.delete(self._order, np.s_[start : start + size]) for start, size in groups)]


class _Blocks(IndexScheme):
    """Stretches of neighbouring observations."""

    def __init__(self, length: float | None = None) -> None:
        self.length = length

    def _arguments(self) -> list[tuple[str, Any]]:
        return [("length", self.length)]

    def prepare(self, samples: Sequence[np.ndarray], paired: bool, axis: int = -1) -> _Blocks:
        n = samples[0].shape[-1]
        length = self.length
        if length is None:
            automatic = [self._automatic(series) for series in _all_series(samples)]
            length = max(1.0, max(automatic))
            length = length if isinstance(self, StationaryBlocks) else math.ceil(length)
        prepared = type(self)(check_length(type(self).__name__, length, n, self._whole))
        prepared.n = n
        return prepared

    _whole = True

    def _automatic(self, series: np.ndarray) -> float:
        return optimal_block_length(series)[1]

    def _count(self) -> int:
        return math.ceil(self.n / int(self.length or 1))

    def rows(self, drawn: np.ndarray) -> list[np.ndarray]:
        steps = np.arange(int(self.length or 1), dtype=np.uint32)
        whole = (drawn[:, :, None] + steps) % np.uint32(self.n)
        return list(whole.reshape(len(drawn), -1)[:, : self.n])

    def left_out(self) -> list[Iterator[np.ndarray]]:
        """Without each of the blocks that lie side by side."""
        length = max(1, round(float(self.length or 1)))
        everything = np.arange(self.n, dtype=np.uint32)
        starts = range(0, self.n - length + 1, length)
        return [(np.delete(everything, np.s_[start : start + length]) for start in starts)]


class MovingBlocks(_Blocks):
    """Blocks of `length` neighbours, from anywhere in the series, until n observations are drawn.

    Parameters
    ----------
    length : int, optional
        None: :func:`optimal_block_length` of the data (the longest, for several series).

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import bootstrap, schemes
    >>> noise = np.random.default_rng(0).standard_normal(200)
    >>> x = np.convolve(noise, np.ones(5), mode="valid")  # neighbours are alike
    >>> blocks = bootstrap((x,), np.mean, scheme=schemes.MovingBlocks(), rng=0)
    >>> bool(blocks.standard_error > 1.5 * bootstrap((x,), np.mean, rng=0).standard_error)
    True
    """

    def bounds(self) -> np.ndarray:
        return np.full(self._count(), self.n - int(self.length or 1) + 1)


class CircularBlocks(_Blocks):
    """:class:`MovingBlocks` on a circle: the first observation follows the last.

    Parameters
    ----------
    length : int, optional
        None: :func:`optimal_block_length` of the data (the longest, for several series).

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import bootstrap, schemes
    >>> x = np.sin(np.arange(100.0))
    >>> bootstrap((x,), np.mean, scheme=schemes.CircularBlocks(10), rng=0).scheme
    CircularBlocks(length=10)
    """

    def bounds(self) -> np.ndarray:
        return np.full(self._count(), self.n)


class StationaryBlocks(_Blocks):
    """Blocks on a circle whose lengths are geometrically distributed with mean `length`.

    Parameters
    ----------
    length : float, optional
        The mean; None: :func:`optimal_block_length` of the data (the longest, for several series).

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import bootstrap, schemes
    >>> x = np.sin(np.arange(100.0))
    >>> bootstrap((x,), np.mean, scheme=schemes.StationaryBlocks(7.5), rng=0).scheme
    StationaryBlocks(length=7.5)
    """

    _whole = False
    _EVERY = 2**31

    def _automatic(self, series: np.ndarray) -> float:
        return optimal_block_length(series)[0]

    def bounds(self) -> np.ndarray:
        # For each place: where a block would begin, and whether one does.
        return np.tile([self.n, self._EVERY], self.n)

    def rows(self, drawn: np.ndarray) -> list[np.ndarray]:
        starts, lots = drawn[:, 0::2].astype(np.int64), drawn[:, 1::2]
        begins = lots < self._EVERY / float(self.length or 1)
        begins[:, 0] = True
        places = np.arange(self.n)
        last = np.maximum.accumulate(np.where(begins, places, 0), axis=1)
        start = np.take_along_axis(starts, last, axis=1)
        return list(((start + places - last) % self.n).astype(np.uint32))


class _Fewer(IndexScheme):
    """Fewer observations than there are; deviations are scaled down to the size of all."""

    draws_fewer = True
    knows_bca = False

    def __init__(self, m: int, rate: float = 0.5) -> None:
        self.m, self.rate = m, rate

    def _arguments(self) -> list[tuple[str, Any]]:
        return [("m", self.m), ("rate", self.rate)]

    def prepare(self, samples: Sequence[np.ndarray], paired: bool, axis: int = -1) -> _Fewer:
        n = samples[0].shape[-1]
        m, rate = check_fraction_of(type(self).__name__, self.m, self.rate, n)
        prepared = type(self)(m, rate)
        prepared.n = n
        return prepared

    def scale(self) -> float:
        return (self.m / self.n) ** self.rate


class MOutOfN(_Fewer):
    """m observations with replacement.

    The interval (percentile or basic) is for n: the deviations θ* - θ̂ are scaled by (m/n)^rate.

    Parameters
    ----------
    m : int
        From 2 to n; much smaller than n where the ordinary bootstrap fails.
    rate : float, default 0.5
        The statistic's error is of order n^-rate: 0.5 for most, 1 for an extreme.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import bootstrap, schemes
    >>> x = np.random.default_rng(0).uniform(size=1000)
    >>> scheme = schemes.MOutOfN(50, rate=1)
    >>> low, high = bootstrap((x,), np.max, method="basic", scheme=scheme, rng=0).confidence_interval
    >>> bool(low <= 1 <= high)
    True
    """

    def bounds(self) -> np.ndarray:
        return np.full(self.m, self.n)

    def rows(self, drawn: np.ndarray) -> list[np.ndarray]:
        return list(drawn)


class Subsampling(_Fewer):
    """m different observations.

    The interval (percentile or basic) is for n: the deviations θ* - θ̂ are scaled by (m/n)^rate.

    Parameters
    ----------
    m : int
        From 2 to n - 1; much smaller than n.
    rate : float, default 0.5
        The statistic's error is of order n^-rate: 0.5 for most, 1 for an extreme.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import bootstrap, schemes
    >>> x = np.random.default_rng(0).normal(size=1000)
    >>> scheme = schemes.Subsampling(100)
    >>> result = bootstrap((x,), np.mean, method="basic", scheme=scheme, rng=0)
    >>> bool(result.confidence_interval.low < result.observed < result.confidence_interval.high)
    True
    """

    def bounds(self) -> np.ndarray:
        return self.n - np.arange(self.m)

    def rows(self, drawn: np.ndarray) -> list[np.ndarray]:
        """Fisher and Yates: the j-th draw is exchanged with place j."""
        out = []
        for row in drawn:
            moved: dict[int, int] = {}
            chosen = np.empty(self.m, np.uint32)
            for j, step in enumerate(row.tolist()):
                place = j + step
                chosen[j] = moved.get(place, place)
                moved[place] = moved.get(j, j)
            out.append(chosen)
        return out


def _all_series(samples: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    for sample in samples:
        yield from np.asarray(sample, np.float64).reshape(-1, sample.shape[-1])
