"""What every scheme of resampling has in common; :mod:`fastkb.resample.schemes` lists them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastkb.resample.runs import Runs
from fastkb.runtime.threads import n_threads


class Block(NamedTuple):
    """Some replicates' resamples."""

    places: slice | np.ndarray  # which replicates
    # For each sample that is drawn: rows of indices or of weights; of a ResponseScheme, the responses.
    # shapes: (rows, n_j), responses (…, rows, n)
    # Or, where they are asked for, the runs of all samples, which are paired.
    rows: Any

    @property
    def n_replicates(self) -> int:
        """How many replicates."""
        return len(self.rows.used) if isinstance(self.rows, Runs) else self.rows[0].shape[-2]


class Scheme(ABC):
    """How resamples are made from numbers that (key, replicate) names; see the subclasses.

    Examples
    --------
    >>> from fastkb import schemes
    >>> scheme = schemes.MovingBlocks(length=5)
    >>> isinstance(scheme, schemes.Scheme), scheme.knows_bca
    (True, True)
    """

    # Whether leaving out rows or groups tells the acceleration of BCa.
    knows_bca = True
    # Whether several samples that are not paired can be drawn.
    draws_unpaired = False
    # Whether a resample has fewer rows than there are.
    draws_fewer = False
    # Whether each row is drawn by itself from all of them, so that the jackknife leaves out single rows.
    row_by_row = False
    # Whether `prepare` looks at more than the lengths of the samples.
    reads_values = True
    # Raised when a key and a replicate no longer name the same resample: checkpoints hold it.
    stream = 0

    @abstractmethod
    def prepare(self, samples: Sequence[np.ndarray], paired: bool, axis: int = -1) -> Scheme:
        """The scheme for these samples (observations along the last axis), its arguments checked.

        `axis` is where arguments of the user's that are shaped as the data have their observations.
        """

    @abstractmethod
    def blocks(
        self, key: np.ndarray, n_resamples: int, largest: int, start: int = 0
    ) -> Generator[Block, None, None]:
        """All replicates from `start` on, as blocks of roughly `largest` numbers."""

    def left_out(self) -> list[Iterator[np.ndarray]]:
        """Indices without each of the independent groups, for each independent part of the data."""
        raise TypeError(f"{type(self).__name__} has no jackknife")

    def scale(self) -> float:
        """What a deviation of the resampled statistic is multiplied by."""
        return 1.0

    def __repr__(self) -> str:
        arguments = ", ".join(
            f"{name}={value if np.ndim(value) == 0 else '…'}" for name, value in self._arguments()
        )
        return f"{type(self).__name__}({arguments})"

    def _arguments(self) -> list[tuple[str, Any]]:
        return []


def rows_together(largest: int, each: int) -> int:
    """How many rows of `each` numbers are a block of roughly `largest`: as many for every thread."""
    threads = n_threads()
    return threads * max(1, largest // (threads * max(1, each)))


def equal_blocks(
    draw: Callable[[int, int], list[np.ndarray]], n_resamples: int, together: int, start: int = 0
) -> Generator[Block, None, None]:
    """Blocks of `together` replicates: ``draw(first, count)`` gives those of one."""
    for first in range(start, n_resamples, together):
        count = min(together, n_resamples - first)
        yield Block(slice(first, first + count), draw(first, count))
