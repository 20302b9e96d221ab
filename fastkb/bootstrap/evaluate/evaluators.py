"""What evaluates a statistic, chosen here.

Of rows that are drawn: compiled by this package (`compiled_statistic.py`; of runs, `run_sums.py`), by the
user with Numba (`jitted_function.py`), or any Python function (`python_function.py`). Of weights:
`weighted_statistic.py`. Of new responses: `response_statistic.py`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numba.core.errors import TypingError

from fastkb.bootstrap.checks import Request, Samples, check_known, takes_axis
from fastkb.bootstrap.evaluate.compiled_statistic import Compiled
from fastkb.bootstrap.evaluate.jitted_function import JittedFunction, NotANumber, ParallelInside
from fastkb.bootstrap.evaluate.python_function import PythonFunction
from fastkb.bootstrap.evaluate.response_statistic import OfResponses
from fastkb.bootstrap.evaluate.run_sums import over_runs
from fastkb.bootstrap.evaluate.statistics import Code, Statistic, plain_function
from fastkb.bootstrap.evaluate.weighted_statistic import Weighted
from fastkb.resample.response_schemes import ResponseScheme
from fastkb.resample.row_schemes import RunScheme
from fastkb.resample.scheme import Scheme
from fastkb.resample.weight_schemes import WeightScheme


class Evaluator(Protocol):
    """What the bootstrap asks of a statistic. The last axis of the results counts replicates."""

    largest_block: int  # indices that are evaluated at a time, roughly

    @property
    def observed(self) -> np.ndarray:
        """Of the data.  # shape: (…)"""

    def replicates(self, rows: Sequence[np.ndarray], /) -> np.ndarray:
        """Of resamples, given by the rows of a :class:`Block`.  # shape: (…, rows)"""

    def jackknife(self) -> list[np.ndarray]:
        """For each sample, without each of its observations.  # shapes: (…, n_j)"""


def make_evaluator(
    statistic: Any,
    known: Statistic | None,
    samples: Samples,
    request: Request,
    prepared: Scheme | None = None,
    alone: bool = False,
) -> Evaluator:
    """What evaluates the statistic, given as `statistic` and, if it is compiled, as `known`.

    `alone`: the sums of each series are formed as if there were no other.
    """
    if known is not None:
        samples = _widened(samples)
    if isinstance(prepared, WeightScheme):
        return Weighted(statistic, known, samples, request)
    if isinstance(statistic, str) and known is not None:
        statistic = plain_function(known)
        request = request._replace(vectorized=_on_arrays(known))
    if isinstance(prepared, ResponseScheme):
        vectorized = request.vectorized and (known is None or _on_arrays(known))
        return OfResponses(statistic, samples.arrays, vectorized, request.batch)
    if known is not None and _compiled_serves(known, samples, request):
        observed = PythonFunction(
            statistic, samples.arrays, request.paired, _on_arrays(known), None
        ).observed
        compiled = Compiled(known, samples.arrays, request.paired, observed, alone)
        return over_runs(compiled, prepared) if isinstance(prepared, RunScheme) else compiled
    if _is_jitted(statistic) and not request.vectorized and len(samples.arrays) <= 3:
        # A function that returns an array, needs Python's objects or calls a parallel function runs
        # as a Python function.
        with contextlib.suppress(NotANumber, ParallelInside, TypingError):
            return JittedFunction(statistic, samples.arrays, request.paired)
    return PythonFunction(
        statistic, samples.arrays, request.paired, request.vectorized, request.batch
    )


def _widened(samples: Samples) -> Samples:
    """Small whole numbers as 64 bits: their differences would wrap around."""
    arrays = [
        a.astype(np.int64) if a.dtype.kind in "iu" and a.itemsize < 8 else a for a in samples.arrays
    ]
    return samples._replace(arrays=tuple(arrays))


def _on_arrays(known: Statistic) -> bool:
    """scipy.stats.spearmanr takes the columns of a matrix for variables: series are passed one by one."""
    return known.code != Code.SPEARMAN


def _compiled_serves(known: Statistic, samples: Samples, request: Request) -> bool:
    arrays = samples.arrays
    check_known(known, [array.shape[-1] for array in arrays], request)
    for j, array in enumerate(arrays):
        missing = np.isnan(array) if array.dtype.kind == "f" else np.zeros(array.shape, bool)
        if missing.any(axis=-1).all():
            raise ValueError(
                f"data[{j}] contains {int(missing.sum())} NaN, and so {known.name} would be NaN: drop "
                "them, or pass a function that leaves them out, such as numpy.nanmean"
            )
    # Infinity makes no order and no correlation, whole numbers beyond 2**53 are no float64, and NumPy
    # rounds each step of float16: the function itself says what then is.
    exact = all(a.dtype.kind == "f" or a.itemsize < 8 or _small(a) for a in arrays)
    return samples.finite and exact and not any(a.dtype == np.float16 for a in arrays)


def _small(array: np.ndarray) -> bool:
    return bool(np.abs(array.astype(np.float64)).max(initial=0.0) < 2.0**52 / array.shape[-1])


def _is_jitted(statistic: Any) -> bool:
    """Whether a function may run inside a loop on all cores; one that is parallel itself does not."""
    from numba.core.registry import CPUDispatcher

    if not isinstance(statistic, CPUDispatcher) or takes_axis(statistic):
        return False
    return not statistic.targetoptions.get("parallel", False)
