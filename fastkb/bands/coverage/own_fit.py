"""What an estimator itself makes of responses: one fixed smoother, or the one that it chooses for
them.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from fastkb.bands.coverage.candidates import Candidates, Projected, best
from fastkb.ridge.selection.criterion import TIE_OF_ERRORS, TIE_OF_LIKELIHOODS

TIES = {"loo": TIE_OF_ERRORS, "reml": TIE_OF_LIKELIHOODS}


class OwnFit(Protocol):
    """The estimator's curves for many responses."""

    centred: bool  # whether there is an intercept: curves move with the responses

    def curves(
        self, y: np.ndarray, projected: list[Projected], criteria: np.ndarray, n_targets: int
    ) -> np.ndarray:
        """The fitted curves at the evaluation points.

        Parameters
        ----------
        y : ndarray
            Responses; columns of one replicate's targets lie `count` / `n_targets` apart.
            # shape: (n, count)
        projected : list of Projected
            The responses on the spectra of all candidates.
        criteria : ndarray
            # shape: (n_spectra, n_alphas, count)
        n_targets : int

        Returns
        -------
        ndarray
            # shape: (m, count)
        """


class FixedFit:
    """An estimator whose kernel and penalty are given.

    Parameters
    ----------
    smoothers : ndarray
        The matrix that makes a curve of responses, for each target.  # shape: (n_targets, m, n)
    centred : bool
    """

    def __init__(self, smoothers: np.ndarray, centred: bool) -> None:
        self._smoothers, self.centred = smoothers, centred

    def curves(
        self, y: np.ndarray, projected: list[Projected], criteria: np.ndarray, n_targets: int
    ) -> np.ndarray:
        """The smoothers' curves."""
        parts = np.split(y, n_targets, axis=1)
        fits = [s @ part for s, part in zip(self._smoothers, parts, strict=True)]
        return fits[0] if n_targets == 1 else np.concatenate(fits, axis=1)


class ChosenFit:
    """An estimator that chooses its kernel's width and its penalty for every response anew.

    Parameters
    ----------
    candidates : Candidates
    allowed : ndarray of bool
        Those that the estimator chooses from.  # shape: (n_spectra, n_alphas)
    criterion : {"reml", "loo"}
    per_target : bool
        Whether each target has a choice of its own.
    """

    def __init__(
        self, candidates: Candidates, allowed: np.ndarray, criterion: str, per_target: bool
    ) -> None:
        self._candidates, self.allowed = candidates, allowed
        self.criterion, self.per_target = criterion, per_target
        of_it = np.flatnonzero(allowed.any(axis=1))
        self.centred = all(candidates.spectra[i].centred for i in of_it)

    def choose(
        self, y: np.ndarray, projected: list[Projected], criteria: np.ndarray, n_targets: int
    ) -> np.ndarray:
        """The flat index of the candidate that is chosen for each response.  # shape: (count,)"""
        if self.criterion == "loo":
            criteria = self.leave_one_out(y, projected)
        criteria = criteria.reshape(*criteria.shape[:2], n_targets, -1)
        return best(criteria, self.allowed, TIES[self.criterion], self.per_target).ravel()

    def curves(
        self, y: np.ndarray, projected: list[Projected], criteria: np.ndarray, n_targets: int
    ) -> np.ndarray:
        """The chosen candidates' curves."""
        candidates = self._candidates
        chosen = self.choose(y, projected, criteria, n_targets)
        out = np.empty((candidates.m, y.shape[1]))
        for candidate in np.unique(chosen):
            index, alpha = divmod(int(candidate), len(candidates.alphas))
            columns = np.flatnonzero(chosen == candidate)
            shrink = candidates.tables[index].shrink[:, alpha, None]
            shrunk = shrink * projected[index].q[:, columns]
            out[:, columns] = candidates.curves(index, y[:, columns], shrunk)
        return out

    def leave_one_out(self, y: np.ndarray, projected: list[Projected]) -> np.ndarray:
        """Mean squared leave-one-out errors.  # shape: (n_spectra, n_alphas, count)"""
        candidates = self._candidates
        out = np.full((*self.allowed.shape, y.shape[1]), np.inf)
        for index, alpha in zip(*np.nonzero(self.allowed), strict=True):
            table = candidates.tables[index]
            shrunk = table.shrink[:, alpha, None] * projected[index].q
            left = candidates.residuals(index, y, shrunk)
            left /= np.maximum(1.0 - table.leverage[:, alpha, None], np.finfo(float).eps)
            out[index, alpha] = (left**2).mean(axis=0)
        return out
