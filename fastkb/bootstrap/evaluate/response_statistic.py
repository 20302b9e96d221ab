"""A statistic of a regression whose inputs are held fixed and whose responses are drawn anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from fastkb.bootstrap.evaluate.python_function import PythonFunction, along_last_axis
from fastkb.resample.index_blocks import VALUES


class OfResponses:
    """Any Python function of the inputs and of new responses, the last sample.

    Parameters
    ----------
    function : callable
        ``function(*samples, axis=-1)`` if `vectorized`, else of one-dimensional samples.
    samples : sequence of ndarray
        Inputs, and the response at the end.  # shapes: (…, n)
    vectorized : bool
    batch : int or None
        Replicates handed over at a time, at most.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb.bootstrap.evaluate.response_statistic import OfResponses
    >>> def slope(x, y):
    ...     return np.polyfit(x, y, 1)[0]
    >>> x = np.arange(4.0)
    >>> of_responses = OfResponses(slope, [x, 2 * x], False, None)
    >>> of_responses.replicates([np.array([2 * x, 3 * x])]).round(6).tolist()
    [2.0, 3.0]
    """

    largest_block = VALUES // 8

    def __init__(
        self,
        function: Callable,
        samples: Sequence[np.ndarray],
        vectorized: bool,
        batch: int | None,
    ) -> None:
        self.observed = PythonFunction(function, samples, True, vectorized, batch).observed
        self._function = function if vectorized else along_last_axis(function)
        self._inputs = samples[:-1]
        values = sum(sample.size for sample in samples)
        self._together = min(max(1, VALUES // max(1, values)), batch or 2**63)

    def replicates(self, rows: Sequence[np.ndarray]) -> np.ndarray:
        (responses,) = rows
        parts = []
        for start in range(0, responses.shape[-2], self._together):
            some = responses[..., start : start + self._together, :]
            inputs = [np.broadcast_to(x[..., None, :], some.shape) for x in self._inputs]
            parts.append(np.asarray(self._function(*inputs, some, axis=-1)))
        return np.concatenate(parts, axis=-1)

    def jackknife(self) -> list[np.ndarray]:
        raise TypeError("responses around a fit have no jackknife")
