"""Standard errors of resamples by a bootstrap within the bootstrap."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastkb.bootstrap.evaluate.evaluators import Evaluator
from fastkb.bootstrap.intervals import standard_deviation
from fastkb.random.bounded import bounded_rows
from fastkb.random.streams import key_from_rng


class Nested:
    """A resample's standard error by a bootstrap of the resample itself.

    Parameters
    ----------
    evaluator : Evaluator
        Of the statistic.
    lengths : sequence of int
        Observations of each sample that is drawn by itself.
    key : ndarray of uint32
        # shape: (4,)
    """

    RESAMPLES = 50

    def __init__(self, evaluator: Evaluator, lengths: Sequence[int], key: np.ndarray) -> None:
        self.observed = np.full(evaluator.observed.shape, np.nan)
        self.largest_block = evaluator.largest_block
        self._evaluator = evaluator
        self._bounds = np.concatenate([np.full(n * self.RESAMPLES, n) for n in lengths])
        self.key = key
        self._done = 0

    def replicates(self, indices: Sequence[np.ndarray]) -> np.ndarray:
        """Of the following resamples, block after block."""
        together = max(1, self.largest_block // len(self._bounds))
        parts = []
        for start in range(0, len(indices[0]), together):
            part = [rows[start : start + together] for rows in indices]
            drawn = bounded_rows(self.key, self._done, len(part[0]), self._bounds)
            self._done += len(part[0])
            inner, at = [], 0
            for rows in part:
                count, n = rows.shape
                mine = drawn[:, at : at + n * self.RESAMPLES]
                taken = np.take_along_axis(rows, mine.astype(np.intp), axis=1)
                inner.append(np.ascontiguousarray(taken.reshape(count * self.RESAMPLES, n)))
                at += n * self.RESAMPLES
            values = self._evaluator.replicates(inner)
            shape = (*values.shape[:-1], len(part[0]), self.RESAMPLES)
            parts.append(standard_deviation(values.reshape(shape)))
        return np.concatenate(parts, axis=-1)

    def begin_at(self, first: int) -> None:
        """Of which resample the next one is."""
        self._done = first

    def jackknife(self) -> list[np.ndarray]:
        raise TypeError("a nested standard error has no jackknife")


def nested_key(generator: Any) -> np.ndarray:
    """A key for the inner resamples that leaves the generator as it is.  # shape: (4,)

    Of a key, it is one whose streams are independent of the key's own.
    """
    if isinstance(generator, np.ndarray):
        return generator ^ np.array([0, 0, 2**31, 0], np.uint32)
    twin = copy.deepcopy(generator)
    if isinstance(twin, np.random.RandomState):
        return twin.randint(0, 2**32, 4, dtype=np.uint32)
    return key_from_rng(twin)
