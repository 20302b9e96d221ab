"""What a bootstrap band is: curves, the distribution behind them, and how they were computed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastkb.bootstrap.prediction_error import PredictionError
from fastkb.validation.bootstrap import check_level


@dataclass(frozen=True)
class BandResult:
    r"""A pointwise confidence band of a fitted function, from resampled data sets.

    For every evaluation point x the band holds the percentiles of the empirical distribution
    :math:`\hat F_x(t) = \frac{1}{B} \sum_b 1[f^{(b)}(x) \le t]` of the B refitted functions.

    Parameters
    ----------
    x : ndarray of shape (n_eval, d)
        The evaluation points, as given.
    center : ndarray of shape (n_eval,) or (n_eval, n_targets)
        The function fitted on all data (for :func:`fastkb.sampling_band`: `mean`).
    mean : ndarray, shaped as `center`
        The mean over the replicates.
    low, high : ndarray, shaped as `center`
        The band's edges: the (1 - level)/2 and (1 + level)/2 quantiles of the replicates.
    confidence_level : float
        The level of `low` and `high`.
    distribution : ndarray of shape (n_resamples, n_eval[, n_targets]), or None
        Every replicate's prediction; None if it was not kept.
    solver : str
        What computed the replicates: ``"lowrank"`` or ``"cholesky"`` (kernel ridge regression),
        ``"ensemble"`` (networks and perceptrons, trained side by side); for other models ``"weights"``,
        ``"rows"`` or ``"responses"``; ``"refit"`` (fresh samples).
    reason : str
        Why that solver, and why not the others.
    rank : int or None
        The rank that ``lowrank`` used.
    error_bound : float or None
        The largest certified distance of a prediction from the exact refit's, as a fraction of y's
        range; None where the solver is exact up to rounding.
    n_exact : int
        How many replicates the certificate refused, so that they were factorised in full instead.
    classes : ndarray or None
        Of a classifier: those that the last axis counts (`predict_proba` and `decision_function` of two
        classes are of the second alone).
    prediction_error : PredictionError or None
        With ``out_of_bag=True``: the out-of-bag error and the .632 and .632+ estimates.
    n_resamples : int
        The number B of replicates.
    seconds : float
        Wall-clock time of the whole call.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import BandResult
    >>> draws = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> curve = draws.mean(axis=0)
    >>> band = BandResult(
    ...     x=np.zeros((1, 1)), center=curve, mean=curve, low=draws.min(0), high=draws.max(0),
    ...     confidence_level=0.9, distribution=draws, solver="refit", reason="", n_resamples=4,
    ...     seconds=0.0,
    ... )
    >>> band.cdf(1.0)
    array([0.5])
    >>> low, high = band.interval(0.5)
    >>> float(low[0]), float(high[0])
    (0.75, 2.25)
    """

    x: np.ndarray
    center: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    confidence_level: float
    distribution: np.ndarray | None = field(repr=False)
    solver: str
    reason: str
    n_resamples: int
    seconds: float
    rank: int | None = None
    error_bound: float | None = None
    n_exact: int = 0
    classes: np.ndarray | None = None
    prediction_error: PredictionError | None = None

    def __repr__(self) -> str:
        points = " x ".join(map(str, self.center.shape))
        return (
            f"BandResult({points} points, {self.confidence_level:g} band of {self.n_resamples} "
            f"replicates, solver={self.solver!r}, {self.seconds:.3g} s)"
        )

    def cdf(self, value: Any) -> np.ndarray:
        """Empirical distribution function of the replicates at each evaluation point.

        Parameters
        ----------
        value : float or array-like
            Where to evaluate it: one number, or one for each evaluation point.

        Returns
        -------
        ndarray, shaped as `center`
            The fraction of replicates with a prediction of at most `value`.

        Raises
        ------
        ValueError
            If the distribution was not kept, or `value` is NaN or of another shape.
        """
        distribution = self._kept("cdf")
        values = np.asarray(value, dtype=float)
        if np.isnan(values).any():
            raise ValueError("value must be a number; got NaN")
        if values.shape not in ((), self.center.shape):
            raise ValueError(
                f"value must be one number, or have the shape {self.center.shape} of the evaluation "
                f"points; got shape {values.shape}"
            )
        return np.mean(distribution <= values, axis=0)

    def interval(self, level: float = 0.9) -> tuple[np.ndarray, np.ndarray]:
        """The band's edges at another confidence level.

        Parameters
        ----------
        level : float, default 0.9
            Between 0 and 1, exclusive.

        Returns
        -------
        low, high : ndarray, each shaped as `center`
            The (1 - level)/2 and (1 + level)/2 quantiles (linear interpolation).

        Raises
        ------
        ValueError
            If the distribution was not kept, or `level` is not between 0 and 1.
        """
        level = check_level("level", level)
        distribution = self._kept("interval")
        low, high = np.quantile(distribution, [(1 - level) / 2, (1 + level) / 2], axis=0)
        return low, high

    def plot(self, ax: Any = None, **options: Any) -> Any:
        """Draw the fitted curve and the band; see :func:`fastkb.plot.plot_band`.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure by default.
        **options
            Passed to :func:`fastkb.plot.plot_band`.

        Returns
        -------
        matplotlib.axes.Axes
        """
        # plot stands above this room, and needs matplotlib: it is loaded by the one who draws.
        import importlib

        return importlib.import_module("fastkb.plot").plot_band(self, ax, **options)

    def _kept(self, method: str) -> np.ndarray:
        if self.distribution is None:
            raise ValueError(
                f"{method} needs the replicates' predictions, which were not kept: compute the band "
                "with keep_distribution=True"
            )
        return self.distribution
