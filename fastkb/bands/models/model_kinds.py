"""Bands of models that are refitted: networks side by side, any other model by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import _num_samples

from fastkb.bands.checks import check_stacked_data
from fastkb.bands.coverage.after_bootstrap import AfterBootstrap
from fastkb.bands.models.checks import is_network
from fastkb.bands.models.model_band import Options, band_of_model, make_draws
from fastkb.bands.models.models import GivenData
from fastkb.bands.networks.network_band import band_of_network
from fastkb.bands.parts import Parts
from fastkb.runtime.memory import require
from fastkb.runtime.threads import limit_blas
from fastkb.storage.checkpoint import Checkpoint


def _n_targets(y: Any) -> int:
    shape = np.shape(y)
    return shape[1] if len(shape) == 2 else 1


def of_model(
    estimator: Any, data: GivenData, solver: str, options: Options, checkpoint: Checkpoint | None
) -> Parts:
    """Refit the model on every resample; for prediction bands, evaluate it at the data, too."""
    predicts = options.kind == "prediction"
    if predicts:
        n, m = (_num_samples(part) for part in (data.X, data.X_eval))
        require(8 * m * n * _n_targets(data.y), "the left-out curves of a prediction band")
        data = data._replace(X_eval=check_stacked_data(data.X, data.X_eval))
    if is_network(estimator):
        band = band_of_network(estimator, data, options, checkpoint)
    else:
        band = band_of_model(estimator, data, solver, options, checkpoint)
    center, distribution = band.refits.center, band.refits.distribution
    study = None
    if predicts:
        n = len(data.y)
        y = np.asarray(data.y, np.float64).reshape(n, -1)
        replicates = distribution.reshape(*distribution.shape[:2], -1)
        weights = make_draws(options.scheme, data.y, options.key).weights
        assert weights is not None
        with limit_blas(1):  # products that do not depend on the number of threads
            study = AfterBootstrap(replicates[:, :-n], replicates[:, -n:], weights, y)
        center, distribution = center[:-n], distribution[:, :-n]
    about = {
        "solver": band.solver,
        "reason": band.reason,
        "classes": band.classes,
        "prediction_error": band.refits.prediction_error,
    }
    return Parts(
        options.kind, center, distribution, study, center.dtype, options.n_resamples, about
    )
