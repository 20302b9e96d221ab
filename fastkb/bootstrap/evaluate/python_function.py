"""Any Python function as a statistic: called as SciPy calls it, on blocks of resamples."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from fastkb.bootstrap.statistic_error import statistic_error
from fastkb.resample.index_blocks import EVERY_ROW, VALUES, left_out_rows

# Indices that are drawn at a time: the function takes a copy of the data for each.
_INDICES = 2**18


class PythonFunction:
    """Any Python function, on blocks of resamples.

    Parameters
    ----------
    function : callable
        ``function(*samples, axis=-1)`` if `vectorized`, else of one-dimensional samples.
    samples : sequence of ndarray
        # shapes: (…, n_j)
    paired, vectorized : bool
    batch : int or None
        Rows handed over at a time, at most.
    """

    def __init__(
        self,
        function: Callable,
        samples: Sequence[np.ndarray],
        paired: bool,
        vectorized: bool,
        batch: int | None,
    ) -> None:
        if not vectorized:
            # SciPy joins the samples of such a function in one array.
            kind = np.result_type(*samples)
            samples = [sample.astype(kind, copy=False) for sample in samples]
            function = along_last_axis(function)
        self._function = function
        self.largest_block = _INDICES
        self._samples = samples
        self._paired = paired
        values = sum(sample.size for sample in samples)
        self._together = min(max(1, VALUES // max(1, values)), batch or 2**63)
        self.observed = _checked(self._function, samples)
        if vectorized:
            twice = [np.stack([sample, sample], axis=-2) for sample in samples]
            shape, expected = _checked(self._function, twice).shape, (*self.observed.shape, 2)
            if shape != expected:
                raise ValueError(
                    f"statistic returned shape {shape} for 2 resamples, expected {expected}: it must "
                    "reduce `axis` and no other (without a parameter `axis` it gets one at a time)"
                )

    def replicates(self, indices: Sequence[np.ndarray]) -> np.ndarray:
        rows = indices if len(indices) == len(self._samples) else [indices[0]] * len(self._samples)
        parts = []
        for start in range(0, len(rows[0]), self._together):
            part = slice(start, start + self._together)
            taken = [s[..., r[part]] for s, r in zip(self._samples, rows, strict=True)]
            parts.append(np.asarray(self._function(*taken, axis=-1)))
        return np.concatenate(parts, axis=-1)

    def jackknife(self) -> list[np.ndarray]:
        return [self.leave_out(j) for j in range(1 if self._paired else len(self._samples))]

    def leave_out(self, j: int, part: slice = EVERY_ROW) -> np.ndarray:
        """Without each observation of sample j, or some of them in turn.  # shape: (…, rows)"""
        parts = []
        for rows in left_out_rows(self._samples[j].shape[-1], self._together, part):
            taken = [
                s[..., rows]
                if self._paired or k == j
                else np.broadcast_to(s[..., None, :], (*s.shape[:-1], len(rows), s.shape[-1]))
                for k, s in enumerate(self._samples)
            ]
            parts.append(np.asarray(self._function(*taken, axis=-1)))
        return np.concatenate(parts, axis=-1)


def _checked(function: Callable, samples: Sequence[np.ndarray]) -> np.ndarray:
    """What the function says of whole samples: an error now is better than one after hours."""
    try:
        value = function(*samples, axis=-1)
    except Exception as error:
        raise statistic_error(error, "the data") from error
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"statistic must return numbers, got {value!r}")
    return array


def along_last_axis(function: Callable) -> Callable:
    """``function`` of one-dimensional samples for arrays of them; its own axes come first."""

    def call(*samples: np.ndarray, axis: int = -1) -> np.ndarray:
        lead = samples[0].shape[:-1]
        values = [
            np.asarray(function(*[sample[place].copy() for sample in samples]))
            for place in np.ndindex(lead)
        ]
        own = values[0].shape
        return np.moveaxis(np.array(values), 0, -1).reshape((*own, *lead))

    return call
