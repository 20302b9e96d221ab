"""From resamples of a device to a distribution and its interval."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastkb.bootstrap.bootstrap_result import BootstrapResult
from fastkb.bootstrap.checks import Samples, check_memory, check_previous
from fastkb.bootstrap.distribution import Draws, Estimate, extended, result_of
from fastkb.bootstrap.evaluate.compiled_statistic import Compiled
from fastkb.bootstrap.evaluate.evaluators import make_evaluator
from fastkb.resample.scheme import Scheme
from fastkb.runtime.progress import Count


def resampled_on_device(
    estimate: Estimate, samples: Samples, prepared: Scheme | None, source: Any, count: Count
) -> BootstrapResult:
    """As :func:`fastkb.bootstrap.distribution.resampled`, with resamples of the current device.

    The checks of :mod:`fastkb.bootstrap.evaluate.cuda.checks` have let them through.
    """
    from fastkb.bootstrap.evaluate.cuda.statistic import OnDevice

    request = estimate.request
    with np.errstate(all="ignore"):
        compiled = make_evaluator(estimate.statistic, estimate.known, samples, request)
        assert isinstance(compiled, Compiled)
        check_previous(request.previous, compiled.lead)
        check_memory(request, compiled.lead, samples.arrays)
        evaluator = OnDevice(compiled, prepared)
        with count as bar:
            values = evaluator.distribution(source, request.n_resamples, bar.update)
        draws = extended(Draws(values, None), request)
        return result_of(evaluator, None, draws, prepared, request)
