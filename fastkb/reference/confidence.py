"""Confidence bands of kernel ridge regression, one candidate and one replicate after the other.

The formulas are those of :mod:`fastkb.bands`; here every candidate is solved by its own inverse.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Candidate(NamedTuple):
    """A kernel on the data and the evaluation points, and a penalty; a kernel of zeros is a constant."""

    K: np.ndarray  # shape: (n, n)
    cross: np.ndarray  # shape: (m, n)
    diagonal: np.ndarray  # of the kernel between the evaluation points.  # shape: (m,)
    alpha: float
    weight: float = 1.0  # how plausible it is beforehand, up to a common factor
    own: bool = True  # whether the estimator chooses from it


class Fit(NamedTuple):
    """One candidate's fit of one response."""

    criterion: float  # twice the negative logarithm of the restricted likelihood, up to a constant
    loudness: float  # the prior's mean variance over the data, by that of the responses
    curve: np.ndarray  # shape: (m,)
    fitted: np.ndarray  # shape: (n,)
    leverage: np.ndarray  # shape: (n,)
    variance: np.ndarray  # the sandwich, and the mean squared bias.  # shape: (m,)


def centred(candidate: Candidate) -> Candidate:
    """The kernel of f less its mean over the data."""
    K, cross, diagonal = candidate.K, candidate.cross, candidate.diagonal
    n = len(K)
    P = np.eye(n) - 1.0 / n
    mean = K.mean()
    return candidate._replace(
        K=P @ K @ P,
        cross=(cross - K.mean(axis=0)) @ P,
        diagonal=diagonal - 2.0 * cross.mean(axis=1) + mean,
    )


def fit(candidate: Candidate, y: np.ndarray) -> Fit:
    """Kernel ridge regression with an intercept, and how far it may be from the curve."""
    n = len(y)
    K, cross, diagonal, alpha, *_ = centred(candidate)
    inverse = np.linalg.inv(K + alpha * np.eye(n))
    P = np.eye(n) - 1.0 / n
    at_points = cross @ inverse @ P + 1.0 / n  # the smoother at the evaluation points
    at_data = K @ inverse @ P + 1.0 / n
    fitted = at_data @ y
    leverage = np.diag(at_data)
    residuals = (y - fitted) / (1.0 - leverage)
    contrast = y - y.mean()
    noise = alpha * (contrast @ inverse @ contrast) / (n - 1)
    # E(f(x) - L f)², f ~ N(0, noise/alpha · K)
    shrunk = cross @ inverse
    bias = diagonal - 2.0 * (shrunk * cross).sum(axis=1) + ((shrunk @ K) * shrunk).sum(axis=1)
    # The constant is an eigenvector of eigenvalue 0, and adds log 1.
    determinant = np.linalg.slogdet(np.eye(n) + K / alpha)[1]
    return Fit(
        (n - 1) * np.log(noise) + determinant,
        noise / alpha * np.trace(K) / (contrast @ contrast),
        at_points @ y,
        fitted,
        leverage,
        (at_points**2) @ residuals**2 + noise / alpha * np.maximum(bias, 0.0),
    )


class Look(NamedTuple):
    """What one response says."""

    average: np.ndarray  # shape: (m,)
    own: np.ndarray  # the fit of the likeliest candidate of the estimator's.  # shape: (m,)
    spread: np.ndarray  # its standard error.  # shape: (m,)
    fitted: np.ndarray  # shape: (n,)
    leverage: np.ndarray  # shape: (n,)


def look(candidates: list[Candidate], y: np.ndarray, negligible: float, loudest: float) -> Look:
    """Average the candidates by their posterior probabilities."""
    fits = [fit(candidate, y) for candidate in candidates]
    criteria = np.array([one.criterion for one in fits])
    mine = np.where([candidate.own for candidate in candidates], criteria, np.inf)
    own = fits[int(mine.argmin())].curve
    moderate = np.array([one.loudness <= loudest for one in fits])
    if moderate.any():
        criteria[~moderate] = np.inf
    weights = np.exp(-0.5 * (criteria - criteria.min()))
    weights *= [candidate.weight for candidate in candidates]
    weights /= weights.sum()
    weights[weights < negligible] = 0.0
    weights /= weights.sum()
    average = sum(p * one.curve for p, one in zip(weights, fits, strict=True))
    variance = sum(
        p * (one.variance + (one.curve - average) ** 2)
        for p, one in zip(weights, fits, strict=True)
    )
    return Look(
        average,
        own,
        np.sqrt(variance + (average - own) ** 2),
        sum(p * one.fitted for p, one in zip(weights, fits, strict=True)),
        sum(p * one.leverage for p, one in zip(weights, fits, strict=True)),
    )


def statistics(
    candidates: list[Candidate],
    y: np.ndarray,
    signs: np.ndarray,
    negligible: float,
    loudest: float,
) -> tuple[Look, np.ndarray, np.ndarray]:
    """The wild bootstrap with given signs, of an estimator that takes the likeliest candidate.

    Parameters
    ----------
    candidates : list of Candidate
        The smoothest first.
    y : ndarray
        # shape: (n,)
    signs : ndarray
        # shape: (n_resamples, n)
    negligible : float
        Candidates of less probability are left out.
    loudest : float
        Priors whose mean variance is more than this many times that of the responses are not plausible.

    Returns
    -------
    look : Look
    statistic, curves : ndarray
        # shape: (n_resamples, m)
    """
    data = look(candidates, y, negligible, loudest)
    residuals = (y - data.fitted) / (1.0 - data.leverage)
    statistic, curves = [], []
    for sign in signs:
        one = look(candidates, data.fitted + sign * residuals, negligible, loudest)
        statistic.append(np.abs(one.own - data.average) / one.spread)
        curves.append(one.own)
    return data, np.array(statistic), np.array(curves)


def jackknife_plus(
    K: np.ndarray, cross: np.ndarray, y: np.ndarray, alpha: float, level: float
) -> tuple[np.ndarray, np.ndarray]:
    """The jackknife+ of kernel ridge regression with an intercept, by n refits."""
    n = len(y)
    curves, errors = [], []
    for i in range(n):
        rest = np.delete(np.arange(n), i)
        k = K[np.ix_(rest, rest)]
        system = np.block([[k + alpha * np.eye(n - 1), np.ones((n - 1, 1))], [np.ones(n - 1), 0.0]])
        solution = np.linalg.solve(system, np.append(y[rest], 0.0))
        dual, intercept = solution[:-1], solution[-1]
        curves.append(cross[:, rest] @ dual + intercept)
        errors.append(abs(y[i] - K[i, rest] @ dual - intercept))
    upper = np.sort(np.array(curves) + np.array(errors)[:, None], axis=0)
    lower = np.sort(np.array(curves) - np.array(errors)[:, None], axis=0)
    place = int(np.ceil(level * (n + 1) - 1e-9))
    return lower[n - place], upper[place - 1]
