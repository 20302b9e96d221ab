"""Schemes that draw rows of the data: single ones, groups of them, and stretches of a series."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from fastkb.random.bounded import bounded_rows
from fastkb.random.orders import partial_shuffles
from fastkb.resample.block_length import optimal_block_length
from fastkb.resample.checks import check_fraction_of, check_labels, check_length
from fastkb.resample.row_schemes import IndexScheme, RowScheme, RunScheme
from fastkb.resample.runs import (
    Runs,
    equal_runs,
    geometric_runs,
    group_runs,
    most_geometric_runs,
    runs_without,
)


class _Grouped(RowScheme):
    """Rows that carry a label."""

    reads_values = False

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
        prepared.n, prepared.order, prepared._sizes = n, order, sizes
        prepared._starts = np.cumsum(sizes) - sizes
        prepared.most = len(sizes)
        return prepared

    order: np.ndarray  # rows, group after group.   # shape: (n,)
    most: int
    _sizes: np.ndarray  # rows of each group.       # shape: (groups,)
    _starts: np.ndarray  # where a group begins.    # shape: (groups,)


class Stratified(_Grouped, IndexScheme):
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

    def prepare(self, samples: Sequence[np.ndarray], paired: bool, axis: int = -1) -> Stratified:
        prepared: Any = super().prepare(samples, paired, axis)
        offsets = np.repeat(prepared._starts, prepared._sizes).astype(np.uint32)
        sorted_already = (prepared.order == np.arange(prepared.n)).all()
        prepared.places = prepared.order[: 0 if sorted_already else prepared.n], offsets
        return prepared

    def bounds(self) -> np.ndarray:
        return np.repeat(self._sizes, self._sizes)

    def rows(self, drawn: np.ndarray) -> np.ndarray:
        return drawn

    def left_out(self) -> list[Iterator[np.ndarray]]:
        ends = self._starts + self._sizes
        return [
            (np.delete(self.order, i) for i in range(start, end))
            for start, end in zip(self._starts.tolist(), ends.tolist(), strict=True)
        ]


class Clusters(_Grouped, RunScheme):
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

    def runs(self, key: np.ndarray, first: int, count: int) -> Runs:
        drawn = bounded_rows(key, first, count, np.full(self.most, self.most))
        return group_runs(drawn.reshape(-1, self.most), self._starts, self._sizes)

    def runs_left(self) -> list[Runs]:
        return [runs_without(self._starts, self._sizes, self.n)]


class BlockScheme(RunScheme):
    """Stretches of neighbouring observations."""

    _whole = True  # whether the length is a whole number
    _on_a_circle = True  # whether the first observation follows the last

    def __init__(self, length: float | None = None) -> None:
        self.length = length

    def _arguments(self) -> list[tuple[str, Any]]:
        return [("length", self.length)]

    @property
    def reads_values(self) -> bool:  # type: ignore[override]
        """The automatic length is that of the series."""
        return self.length is None

    def prepare(self, samples: Sequence[np.ndarray], paired: bool, axis: int = -1) -> BlockScheme:
        n = samples[0].shape[-1]
        length = self.length
        if length is None:
            automatic = [self._automatic(series) for series in _all_series(samples)]
            length = max(1.0, max(automatic))
            length = length if isinstance(self, StationaryBlocks) else math.ceil(length)
        prepared = type(self)(check_length(type(self).__name__, length, n, self._whole))
        prepared.n, prepared.most = n, prepared._most(n)
        prepared.order = np.arange(2 * n if self._on_a_circle else n, dtype=np.uint32) % np.uint32(
            n
        )
        return prepared

    def _automatic(self, series: np.ndarray) -> float:
        return optimal_block_length(series)[1]

    def _most(self, n: int) -> int:
        """Blocks of a resample, at most."""
        return math.ceil(n / int(self.length or 1))

    def runs(self, key: np.ndarray, first: int, count: int) -> Runs:
        length = int(self.length or 1)
        bound = self.n if self._on_a_circle else self.n - length + 1
        starts = bounded_rows(key, first, count, np.full(self.most, bound))
        return equal_runs(starts.reshape(-1, self.most), length, self.n)

    def runs_left(self) -> list[Runs]:
        """Without each of the blocks that lie side by side."""
        length = max(1, round(float(self.length or 1)))
        starts = np.arange(0, self.n - length + 1, length)
        return [runs_without(starts, np.full(len(starts), length), self.n)]


class MovingBlocks(BlockScheme):
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

    _on_a_circle = False


class CircularBlocks(BlockScheme):
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


class StationaryBlocks(BlockScheme):
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

    stream = 1
    _whole = False

    def _automatic(self, series: np.ndarray) -> float:
        return optimal_block_length(series)[0]

    def _most(self, n: int) -> int:
        return most_geometric_runs(n, float(self.length or 1))

    def runs(self, key: np.ndarray, first: int, count: int) -> Runs:
        return geometric_runs(key, first, count, self.n, float(self.length or 1))


class _Fewer(IndexScheme):
    """Fewer observations than there are; deviations are scaled down to the size of all."""

    draws_fewer = True
    knows_bca = False
    reads_values = False

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

    def rows(self, drawn: np.ndarray) -> np.ndarray:
        return drawn


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

    def rows(self, drawn: np.ndarray) -> np.ndarray:
        return partial_shuffles(drawn, self.n)


def _all_series(samples: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    for sample in samples:
        yield from np.asarray(sample, np.float64).reshape(-1, sample.shape[-1])
