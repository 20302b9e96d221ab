"""The rows of resamples, the blocks of threads that go through them, and what one launch computes."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from fastkb.resample.index_schemes import CircularBlocks, MOutOfN, MovingBlocks
from fastkb.resample.scheme import Scheme


class Rows(NamedTuple):
    """What a row is made of."""

    bound: int  # indices are below it
    draws: int
    length: int  # observations of each draw, a run of neighbours
    last: int  # of one more, shorter run; 0: there is none
    size: int  # observations of a row
    order: np.ndarray | None  # what runs are stretches of; None: observations are drawn one by one

    @property
    def runs(self) -> bool:
        """Whether runs are drawn."""
        return self.order is not None


def all_rows(n: int) -> Rows:
    """n of n observations, one by one."""
    return Rows(n, n, 1, 0, n, None)


# The schemes that are drawn on a device.
SCHEMES = (MOutOfN, MovingBlocks, CircularBlocks)


def rows_of(prepared: Scheme | None, n: int) -> Rows:
    """The rows of a prepared scheme, one of :data:`SCHEMES`, or without one."""
    if isinstance(prepared, MOutOfN):
        return all_rows(n)._replace(draws=prepared.m, size=prepared.m)
    if isinstance(prepared, MovingBlocks | CircularBlocks):
        length = int(prepared.length or 1)
        bound = n - length + 1 if isinstance(prepared, MovingBlocks) else n
        return Rows(bound, n // length, length, n % length, n, prepared.order)
    return all_rows(n)


class Sizes(NamedTuple):
    """Of a block of threads."""

    threads: int  # a power of two
    window: int  # ranks that are counted at a time: 4 bytes of shared memory each


# By the draws of a row, up to so many. Where there are few, two warps for each row keep more rows under
# way than wide blocks that wait at barriers. The widest window holds the ranks that the median of 1.8
# million draws nearly always has (4.5 standard deviations to both sides), and eight such blocks, all the
# threads that a multiprocessor takes, fit its shared memory.
_TABLE = (
    (1024, Sizes(64, 1024)),
    (2**31, Sizes(256, 6144)),
)


def sizes_for(draws: int) -> Sizes:
    """The block for rows of so many draws; of nothing else, as the order of sums depends on it."""
    return next(sizes for most, sizes in _TABLE if draws <= most)


def all_sizes() -> list[Sizes]:
    """Every block that is launched."""
    return [sizes for _, sizes in _TABLE]


# Half a window's width, in standard deviations of the rank that an order statistic has.
_WINDOW = 4.5


def window_of(target: int, size: int, ranks: int, sizes: Sizes) -> tuple[int, int]:
    """The ranks among which an order statistic of a row nearly always is: the first, and how many.

    Parameters
    ----------
    target : int
        Its place in the row, from 0 on.
    size : int
        Observations of the row.
    ranks : int
        Observations of the data.
    sizes : Sizes
    """
    level = target / (size - 1) if size > 1 else 0.5
    half = math.ceil(_WINDOW * ranks * math.sqrt(level * (1 - level) / size)) + 8
    width = min(2 * half + 1, ranks, sizes.window)
    return max(0, min(round(level * (ranks - 1)) - width // 2, ranks - width)), width


class Shape(NamedTuple):
    """What one launch computes (all whole numbers)."""

    code: int  # fastkb.bootstrap.evaluate.statistics.Code
    series: int
    draws: int  # of a row: single observations, or runs of `length`
    length: int  # observations of a run
    last: int  # observations of one more run; 0: there is none
    size: int  # observations of a row
    replicate: int  # that of the first row
    width: int  # ranks of a window
    target: int  # the order statistic that is looked for, from 0 on
    low: int  # the window's first rank, where it is looked for first
    far_target: int = 0  # the second one, of trimmed means
    far_low: int = 0
