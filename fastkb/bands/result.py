"""What a band is: curves, their distribution, how they came about, and other bands of the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from fastkb.bands import saved
from fastkb.bands.kinds import KINDS
from fastkb.bands.models.prediction_error import PredictionError
from fastkb.bands.other_bands import OtherBands
from fastkb.checks.requests import check_level
from fastkb.runtime.hooks import hook
from fastkb.storage.html import html_table
from fastkb.storage.saved import SavedResult


@dataclass(frozen=True)
class BandResult(OtherBands, SavedResult):
    r"""A band of a fitted function.

    `kind` says what `low` and `high` hold:

    ================ ===================================================================================
    `percentile`     at each point x the middle of the refitted functions: percentiles of
                     :math:`\hat F_x(t) = \frac{1}{B} \sum_b 1[f^{(b)}(x) \le t]`
    `confidence`     the true function, with the probability `confidence_level` at three quarters or more
                     of the evaluation points that lie among the data
    `simultaneous`   the whole true function, at all points at once, with that probability
    `prediction`     new observations, with that probability on average over the inputs
    ================ ===================================================================================

    A file (:meth:`save`) holds no data: :meth:`load` gives the curves, the replicates if they were kept,
    and confidence and simultaneous bands at any level if they have been computed; prediction bands at
    another level need the data.

    The methods :meth:`confidence`, :meth:`simultaneous` and :meth:`prediction` make bands of the other
    kinds from the same data; how often each holds what it says is measured in docs/band.md.

    Parameters
    ----------
    x : ndarray of shape (n_eval, d)
        The evaluation points, as given.
    center : ndarray of shape (n_eval,) or (n_eval, n_targets)
        The function fitted on all data (for :func:`fastkb.sampling_band`: `mean`).
    mean : ndarray, shaped as `center`
        The mean over the replicates.
    low, high : ndarray, shaped as `center`
        The band's edges.
    confidence_level : float
        The level of `low` and `high`.
    distribution : ndarray of shape (n_resamples, n_eval[, n_targets]), or None
        Every replicate's prediction: of refits to resampled rows, or, for confidence and simultaneous
        bands of kernel ridge regression, of refits to responses with random signs of the residuals.
        None if it was not kept, or where nothing was resampled.
    solver : str
        What computed the replicates: ``"lowrank"`` or ``"cholesky"`` (kernel ridge regression),
        ``"ensemble"`` (networks and perceptrons, trained side by side); for other models ``"weights"``,
        ``"rows"`` or ``"responses"``; ``"refit"`` (fresh samples).
    reason : str
        Why that solver, and why no other one.
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
        The number B of replicates; of a prediction band of kernel ridge regression 0.
    seconds : float
        Wall-clock time of the whole call.
    kind : {"percentile", "confidence", "simultaneous", "prediction"}
        What `low` and `high` hold.
    choice : Choice or None
        Of an estimator that chooses its parameters: `gamma`, `alpha`, the candidates `gammas` and
        `alphas`, the `criterion`, and `n_judged`, the number of rows on which kernels of high rank were
        judged (None: all rows).
    x_names, y_names : tuple of str or None
        The names of the columns of X and y, where they were data frames or series.

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
    kind: str = "percentile"
    choice: Any = None
    x_names: tuple[str, ...] | None = None
    y_names: tuple[str, ...] | None = None
    _study: Any = field(default=None, repr=False, compare=False)
    _observed: tuple[Any, Any] | None = field(default=None, repr=False, compare=False)
    _from_file: bool = field(default=False, repr=False, compare=False)

    _kind: ClassVar[str] = "band"

    def __repr__(self) -> str:
        points = " x ".join(map(str, self.center.shape))
        return (
            f"BandResult({points} points, {self.kind} {self.confidence_level:g} of "
            f"{self.n_resamples} replicates, solver={self.solver!r}, {self.seconds:.3g} s)"
        )

    @property
    def label(self) -> str:
        """What the band is called in a legend, such as "90% confidence band"."""
        return f"{100 * self.confidence_level:g}% {KINDS[self.kind]}"

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
        """Percentiles of the replicates: the edges of a percentile band at another level.

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

    def to_frame(self) -> Any:
        """The evaluation points and the curves as a data frame.

        Returns
        -------
        pandas.DataFrame
            A row for each evaluation point: its coordinates under the names of the columns of X (``x``,
            or ``x0``, … where they have none), then ``center``, ``mean``, ``low`` and ``high``; of
            several targets ``center: first``, ….

        Raises
        ------
        ImportError
            Without pandas.

        Examples
        --------
        >>> import numpy as np
        >>> from fastkb import KernelRidge, bootstrap_band
        >>> x = np.linspace(0, 3, 20)[:, None]
        >>> model = KernelRidge(alpha=0.1, kernel="rbf")
        >>> band = bootstrap_band(model, x, np.sin(x[:, 0]), x[::10], n_resamples=50, rng=0)
        >>> band.to_frame().columns.tolist()
        ['x', 'center', 'mean', 'low', 'high']
        """
        return saved.frame_of(self)

    def _content(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return saved.content_of(self)

    @classmethod
    def _made_of(cls, about: dict[str, Any], arrays: dict[str, Any]) -> BandResult:
        return cls(**saved.fields_of(about, arrays), _from_file=True)

    def _repr_html_(self) -> str:
        solver = f"{self.solver}: {self.reason}" if self.reason else self.solver
        points = " x ".join(map(str, self.center.shape))
        rows = [
            ("band", self.label),
            ("points", points),
            ("replicates", f"{self.n_resamples:,}"),
            ("solver", solver),
            ("time", f"{self.seconds:.3g} s"),
        ]
        return html_table("fastkb.BandResult", rows)

    def plot(self, ax: Any = None, **options: Any) -> Any:
        """Draw the fitted curve, the band and the observations; see :func:`fastkb.plot.plot_band`.

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
        # plot stands above this room and needs matplotlib: it is loaded when a picture is drawn.

        return hook("plot_band")(self, ax, **options)
