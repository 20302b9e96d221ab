"""Bands of the same data that hold something else, or at another level."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastkb.bands.checks import check_share
from fastkb.bands.kinds import SHARE
from fastkb.bands.simultaneous import studentized_maximum
from fastkb.checks.requests import check_level

Edges = tuple[np.ndarray, np.ndarray]


class OtherBands:
    """What a result of a band can make of its data and its replicates."""

    center: np.ndarray
    distribution: np.ndarray | None
    kind: str
    solver: str
    _study: Any
    _from_file: bool

    def confidence(self, level: float = 0.9, share: float = SHARE) -> Edges:
        """The band that holds the true function, point by point.

        At the `share` of the evaluation points where that is easiest, of those that lie among the data,
        it holds the true function with probability `level` at least. Noise, the bias of smoothing, and
        where the estimator chooses its width and penalty that choice, are accounted for
        (:mod:`fastkb.bands`).

        Parameters
        ----------
        level : float, default 0.9
            Between 0 and 1, exclusive.
        share : float, default 0.75
            From 0 to 1. Where the function bends most, bias is large, and a band that holds it there
            would be too wide elsewhere. With 0.75 bands cover at the level on average.

        Returns
        -------
        low, high : ndarray, each shaped as `center`

        Raises
        ------
        ValueError
            If the band is not of kernel ridge regression, or was resampled by a scheme.
        """
        level, share = check_level("level", level), check_share(share)
        self._check_data_are_there("confidence")
        if not hasattr(self._study, "confidence"):
            raise ValueError(
                "confidence needs a band of KernelRidge or KernelRidgeCV without a scheme, whose bias of "
                f"smoothing can be estimated; this one is by solver {self.solver!r}: simultaneous and "
                "prediction bands serve any model"
            )
        return self._of_study("confidence", level, share)

    def simultaneous(self, level: float = 0.9) -> Edges:
        """The band that holds the whole function, at all evaluation points at once.

        Of kernel ridge regression the true function, by the studentized maximum of the wild bootstrap
        (`coverage/calibration.py`). Of other models, and of schemes, by that of the replicates,
        which does not know the bias of the fit.

        Parameters
        ----------
        level : float, default 0.9
            Between 0 and 1, exclusive.

        Returns
        -------
        low, high : ndarray, each shaped as `center`

        Raises
        ------
        ValueError
            If the distribution is needed and was not kept.
        """
        level = check_level("level", level)
        if hasattr(self._study, "simultaneous"):
            return self._of_study("simultaneous", level)
        return studentized_maximum(self.center, self._kept("simultaneous"), level)

    def prediction(self, level: float = 0.9) -> Edges:
        """The band that holds new observations, by the jackknife+.

        With probability `level` on average over the inputs; theory guarantees 2·level - 1 for
        exchangeable observations and given parameters (:mod:`fastkb.bands.coverage.jackknife`). Those of
        KernelRidgeCV are chosen once, from all rows, and some ten rows are then held less often.
        Where the noise varies from place to place the band is too wide here and too narrow there.

        Parameters
        ----------
        level : float, default 0.9
            Between 0 and 1, exclusive.

        Returns
        -------
        low, high : ndarray, each shaped as `center`
            Infinite where there are fewer than level/(1 - level) observations.

        Raises
        ------
        ValueError
            For models other than kernel ridge regression, unless the band is of ``kind="prediction"``.
        """
        level = check_level("level", level)
        self._check_data_are_there("prediction")
        if not hasattr(self._study, "prediction"):
            raise ValueError(
                "prediction needs what replicates predict at the rows that they left out, and a band of "
                f"kind {self.kind!r} by solver {self.solver!r} has none: take kind='prediction'"
            )
        return self._of_study("prediction", level)

    def _check_data_are_there(self, kind: str) -> None:
        if self._from_file and not hasattr(self._study, kind):
            raise ValueError(
                f"this band was loaded from a file, which holds no data: take {kind} bands of other "
                "levels from the band that was saved"
            )

    def _of_study(self, kind: str, *arguments: float) -> Edges:
        """A band of the study, in the shape and the type of this one."""
        low, high = (
            edge.reshape(self.center.shape).astype(self.center.dtype, copy=False)
            for edge in getattr(self._study, kind)(*arguments)
        )
        return low, high

    def _kept(self, method: str) -> np.ndarray:
        """The replicates, for a method that needs them."""
        if self.distribution is None:
            raise ValueError(
                f"{method} needs the replicates' predictions, which were not kept: compute the band "
                "with keep_distribution=True"
            )
        return self.distribution
