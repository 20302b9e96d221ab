r"""Refits of an estimator that chooses its kernel's width and its penalty, on weighted rows.

A resample gives each row an integer weight. With the factor L of a kernel K = LLᵀ on the data, all that a
candidate of that kernel makes of the weights w is in

.. math:: G = L^T W L - s\, m m^T, \quad g = L^T W y - s\, m \bar y, \quad m = L^T w / s, \quad s =
\sum_i w_i,

matrices of the size of the rank: with :math:`G = V \Lambda V^T` the refit with penalty λ is

.. math:: f(x) = \bar y + (l(x) - m)^T V (\Lambda + \lambda)^{-1} V^T g,

and the criterion is that of :class:`fastkb.KernelRidgeCV` with ``sample_weight=w``, rows of weight 0
left out. So nothing is factorised but G, once for each kernel and resample.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastkb.bands.coverage.candidates import Candidates, best
from fastkb.bands.coverage.own_fit import TIES, ChosenFit
from fastkb.ridge.selection.criterion import minus_twice_log_likelihood

_EPS = np.finfo(np.float64).eps


class Factor(NamedTuple):
    """L of one kernel on the data and the evaluation points."""

    data: np.ndarray  # shape: (n, rank)
    points: np.ndarray  # shape: (m, rank)
    centred: bool


class SearchedRefits:
    """Refits of one estimator.

    Parameters
    ----------
    candidates : Candidates
    own : ChosenFit
        Which of them the estimator chooses from, and by what.
    y : ndarray
        # shape: (n, n_targets)
    """

    def __init__(self, candidates: Candidates, own: ChosenFit, y: np.ndarray) -> None:
        self._candidates, self._own, self._y = candidates, own, y
        self.factors: dict[int, Factor] = {}
        for index in np.flatnonzero(own.allowed.any(axis=1)):
            one = candidates.spectra[index]
            root = np.sqrt(one.values)
            self.factors[int(index)] = Factor(one.axes * root, one.rows * root, one.centred)

    def curves(self, weights: np.ndarray) -> np.ndarray:
        """The refit's curves for one resample.

        Parameters
        ----------
        weights : ndarray of float64
            # shape: (n,)

        Returns
        -------
        ndarray
            # shape: (m, n_targets)
        """
        used = np.flatnonzero(weights)
        w, y = weights[used], self._y[used]
        alphas, n_targets = self._candidates.alphas, y.shape[1]
        criteria = np.full((*self._own.allowed.shape, n_targets), np.inf)
        solved = {}
        for index, factor in self.factors.items():
            solved[index] = problem = _Weighted(factor, factor.data[used], w, y)
            if self._own.criterion == "loo":
                criteria[index] = problem.leave_one_out(alphas)
            else:
                criteria[index] = problem.likelihood(alphas)
        ties = TIES[self._own.criterion]
        chosen = best(criteria[..., None], self._own.allowed, ties, self._own.per_target).ravel()
        out = np.empty((self._candidates.m, n_targets))
        for target, candidate in enumerate(chosen.tolist()):
            index, alpha = divmod(candidate, len(alphas))
            out[:, target] = solved[index].curve(target, float(alphas[alpha]))
        return out


class _Weighted:
    """One kernel's part of one resample."""

    def __init__(self, factor: Factor, L: np.ndarray, w: np.ndarray, y: np.ndarray) -> None:
        total = float(w.sum())
        self._factor, self._w = factor, w
        if factor.centred:
            self._mean, self._level = (w @ L) / total, (w @ y) / total
            L, y = L - self._mean, y - self._level
        else:
            self._mean, self._level = np.zeros(L.shape[1]), np.zeros(y.shape[1])
        self._L, self._y = L, y
        weighted = L * w[:, None]
        values, self._vectors = np.linalg.eigh(weighted.T @ L)
        self._values = np.maximum(values, 0.0)
        self._g = self._vectors.T @ (weighted.T @ y)  # shape: (rank, n_targets)
        self._square = w @ y**2
        # With a single row there is nothing to choose by.
        self._degrees = max(1, len(w) - int(factor.centred))

    def likelihood(self, alphas: np.ndarray) -> np.ndarray:
        """Minus twice the logarithm of the restricted likelihood.  # shape: (n_alphas, n_targets)"""
        shifted = self._values[:, None] + alphas
        # zᵀMz = zᵀz - Σ g²/(Λ + λ)
        left = self._square - (1.0 / shifted).T @ self._g**2
        left = np.maximum(left, self._square * _EPS)
        logarithm = np.log(shifted / alphas).sum(axis=0)
        return minus_twice_log_likelihood(left, self._degrees, logarithm[:, None])

    def leave_one_out(self, alphas: np.ndarray) -> np.ndarray:
        """Mean squared leave-one-out errors.  # shape: (n_alphas, n_targets)"""
        axes = self._L @ self._vectors  # shape: (n, rank)
        root = np.sqrt(self._w)
        inverse = 1.0 / (self._values[:, None] + alphas)
        kept = 1.0 - self._w[:, None] * (axes**2 @ inverse)
        if self._factor.centred:
            kept -= self._w[:, None] / self._w.sum()
        kept = np.maximum(kept, _EPS)
        out = np.empty((len(alphas), self._y.shape[1]))
        for a in range(len(alphas)):
            fit = axes @ (self._g * inverse[:, a, None])
            errors = root[:, None] * (self._y - fit) / kept[:, a, None]
            out[a] = (errors**2).sum(axis=0) / self._w.sum()
        return out

    def curve(self, target: int, alpha: float) -> np.ndarray:
        """The refit at the evaluation points.  # shape: (m,)"""
        dual = self._vectors @ (self._g[:, target] / (self._values + alpha))
        return self._level[target] + (self._factor.points - self._mean) @ dual
