"""Checks of the weights of observations."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastkb.checks.values import real_array


def check_sample_weight(
    sample_weight: Any, n_samples: int, *, minimum: int = 1
) -> np.ndarray | None:
    """One weight for each sample, or None where all weigh one.  # shape: (n_samples,)

    At least `minimum` of them must be positive.
    """
    if sample_weight is None:
        return None
    weight = real_array("sample_weight", sample_weight, texts=False)
    if weight.ndim == 0:
        weight = np.full(n_samples, weight)
    if weight.shape != (n_samples,):
        raise ValueError(
            f"sample_weight has shape {weight.shape}: expected one number, or a vector of "
            f"n_samples={n_samples} of them (Sample weights must be 1D array or scalar)"
        )
    if not np.isfinite(weight).all():
        raise ValueError("sample_weight contains NaN or infinity: expected finite numbers")
    if (weight < 0.0).any():
        raise ValueError(
            f"sample_weight must be at least 0, got {weight.min():g} for sample {weight.argmin()}"
        )
    if np.count_nonzero(weight) < minimum:
        raise ValueError(
            f"sample_weight is zero for all but {np.count_nonzero(weight)} of {n_samples} samples: "
            f"at least {minimum} must have a positive weight"
        )
    return weight
