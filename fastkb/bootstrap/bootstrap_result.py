"""What :func:`fastkb.bootstrap` returns."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np


class ConfidenceInterval(NamedTuple):
    """The ends of a confidence interval.

    Parameters
    ----------
    low, high : float or ndarray
    """

    low: Any
    high: Any


@dataclass
class BootstrapResult:
    """A bootstrap distribution and the interval that was read off it.

    Parameters
    ----------
    confidence_interval : ConfidenceInterval
        `low` and `high`, numbers or arrays.
    bootstrap_distribution : ndarray of shape (…, n_resamples)
        The statistic of every resample.
    standard_error : float or ndarray
        The distribution's standard deviation (with n_resamples - 1).
    observed : float or ndarray
        The statistic of the data themselves.
    confidence_level : float
    alternative : {"two-sided", "less", "greater"}
    method : {"percentile", "basic", "bca", "studentized", "cheap"}
    scheme : Scheme or None
        How resamples were drawn, with the block length that was chosen; None: row by row.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import bootstrap
    >>> result = bootstrap((np.arange(30.0),), np.mean, n_resamples=999, rng=0)
    >>> result.bootstrap_distribution.shape, float(result.observed)
    ((999,), 14.5)
    >>> print(result.summary())
    observed        14.5
    bias            -0.02249 (mean of the resamples minus observed)
    standard error  1.544
    interval        11.4333 to 17.4667 (95%, BCa, two-sided)
    resamples       999
    """

    confidence_interval: ConfidenceInterval
    bootstrap_distribution: np.ndarray
    standard_error: Any
    observed: Any = None
    confidence_level: float | None = None
    alternative: str = "two-sided"
    method: str = ""
    scheme: Any = None

    def summary(self) -> str:
        r"""The result in a few lines of text.

        With the replicates :math:`\hat\theta_b` of the observed :math:`\hat\theta`, the bias is
        estimated as :math:`\frac{1}{B} \sum_b \hat\theta_b - \hat\theta`.

        Returns
        -------
        str
            The observed value, bias, standard error, interval and number of resamples; those that
            the result does not hold are left out.

        Raises
        ------
        ValueError
            If the result is of more than one statistic.
        """
        distribution = one_distribution(self, "summary")
        lines = []
        if self.observed is not None:
            with np.errstate(invalid="ignore"):
                bias = float(distribution.mean() - self.observed)
            lines.append(("observed", f"{float(self.observed):.6g}"))
            lines.append(("bias", f"{bias:.4g} (mean of the resamples minus observed)"))
        low, high = self.confidence_interval
        level = None if self.confidence_level is None else f"{100 * self.confidence_level:g}%"
        method = "BCa" if self.method == "bca" else self.method
        how = ", ".join(filter(None, [level, method, self.alternative]))
        lines += [
            ("standard error", f"{float(self.standard_error):.4g}"),
            ("interval", f"{float(low):.6g} to {float(high):.6g} ({how})"),
            ("resamples", f"{len(distribution):,}"),
        ]
        return "\n".join(f"{name:<14}  {text}" for name, text in lines)

    def plot(self, ax: Any = None) -> Any:
        """Draw the distribution, the interval and the observed value.

        See :func:`fastkb.plot.plot_distribution`.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ImportError
            Without matplotlib; the message says how to install it.
        ValueError
            If the result is of more than one statistic, or no replicate is a finite number.
        """
        # plot stands above this room, and needs matplotlib: it is loaded by the one who draws.
        import importlib

        return importlib.import_module("fastkb.plot").plot_distribution(self, ax)


def one_distribution(result: BootstrapResult, method: str) -> np.ndarray:
    """The distribution of a result of one statistic; an error that names `method` for others."""
    shape = np.shape(result.bootstrap_distribution)
    if len(shape) != 1:
        raise ValueError(
            f"{method} takes one statistic, and this result has {math.prod(shape[:-1])} (its "
            f"distribution has shape {shape}): choose one, by calling bootstrap with its data alone"
        )
    return np.asarray(result.bootstrap_distribution)
