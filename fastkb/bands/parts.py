"""What a band is made of, before its level is known."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastkb.bands.kinds import SHARE
from fastkb.bands.simultaneous import studentized_maximum
from fastkb.linalg.quantiles import column_quantiles


class Parts(NamedTuple):
    """Curves, replicates, and how they came about; without an axis of targets where there is one."""

    kind: str
    center: np.ndarray  # the fit on all data.          shape: (m[, n_targets])
    distribution: np.ndarray | None  # all replicates.  shape: (n_resamples, m[, n_targets])
    study: Any  # makes the bands of other kinds; None if it cannot
    dtype: np.dtype
    n_resamples: int
    about: dict[str, Any]  # fields of BandResult

    @property
    def mean(self) -> np.ndarray:
        """Of the replicates; the fit on all data where there are none."""
        return self.center if self.distribution is None else self.distribution.mean(axis=0)

    def edges(self, level: float) -> tuple[np.ndarray, np.ndarray]:
        """The band's edges at a level."""
        if self.kind == "percentile":
            assert self.distribution is not None
            low, high = column_quantiles(self.distribution, [(1 - level) / 2, (1 + level) / 2])
            return low, high
        if self.kind == "simultaneous" and not hasattr(self.study, "simultaneous"):
            assert self.distribution is not None
            return studentized_maximum(self.center, self.distribution, level)
        arguments = (level, SHARE) if self.kind == "confidence" else (level,)
        low, high = getattr(self.study, self.kind)(*arguments)
        return low.reshape(self.center.shape), high.reshape(self.center.shape)
