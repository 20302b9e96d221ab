"""What :func:`fastkb.bootstrap` returns."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np

from fastkb.bootstrap.checks import ALTERNATIVES
from fastkb.bootstrap.intervals import Ends
from fastkb.checks.requests import check_level
from fastkb.runtime.hooks import hook
from fastkb.storage.html import html_table
from fastkb.storage.saved import SavedResult, require_pandas

_TEXTS = ("confidence_level", "alternative", "method")


class ConfidenceInterval(NamedTuple):
    """The ends of a confidence interval.

    Parameters
    ----------
    low, high : float or ndarray
    """

    low: Any
    high: Any


def one_sided(low: np.ndarray, high: np.ndarray, alternative: str) -> ConfidenceInterval:
    """The ends, of which one is infinite if the interval is one-sided."""
    if alternative == "less":
        low = np.full_like(low, -np.inf)
    elif alternative == "greater":
        high = np.full_like(high, np.inf)
    return ConfidenceInterval(low[()], high[()])


@dataclass
class BootstrapResult(SavedResult):
    """A bootstrap distribution and the interval that was read off it.

    A file holds the text of a scheme.

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
    _ends: Ends | None = field(default=None, repr=False, compare=False)

    _kind: ClassVar[str] = "bootstrap"

    def interval(self, level: float = 0.95, alternative: str | None = None) -> ConfidenceInterval:
        """The interval at another level, from the same resamples and by the same method.

        Parameters
        ----------
        level : float, default 0.95
            Between 0 and 1, exclusive.
        alternative : {"two-sided", "less", "greater"}, optional
            None: that of the result.

        Returns
        -------
        ConfidenceInterval
            `low` and `high`; NaN where there is no BCa interval.

        Raises
        ------
        ValueError
            If an argument is not what is expected, or the result was made by hand and its method needs
            more than the distribution.

        Examples
        --------
        >>> import numpy as np
        >>> from fastkb import bootstrap
        >>> x = np.arange(30.0)
        >>> result = bootstrap((x,), np.mean, n_resamples=999, rng=0)
        >>> result.interval(0.9) == bootstrap(
        ...     (x,), np.mean, n_resamples=999, confidence_level=0.9, rng=0
        ... ).confidence_interval
        True
        """
        level = check_level("level", level)
        alternative = self.alternative if alternative is None else alternative
        if alternative not in ALTERNATIVES:
            raise ValueError(
                f"alternative must be one of {', '.join(ALTERNATIVES)}, got {alternative!r}"
            )
        ends = self._ends
        if ends is None and self.method == "percentile":
            # A percentile interval needs nothing but the distribution.
            ends = Ends("percentile", np.empty(np.shape(self.bootstrap_distribution)[:-1]))
        if ends is None:
            raise ValueError(
                f"interval needs what bootstrap has computed beside the distribution, and this result of "
                f"method {self.method!r} was made without: call bootstrap with bootstrap_result= and "
                "n_resamples=0"
            )
        distribution = np.asarray(self.bootstrap_distribution)
        return one_sided(*ends.at(distribution, level, alternative), alternative)

    def to_frame(self) -> Any:
        """The result as a data frame of one row, or of one row for each statistic.

        Returns
        -------
        pandas.DataFrame
            Columns ``observed``, ``standard_error``, ``low``, ``high``, ``confidence_level`` and
            ``method``. Several statistics are in C order, as ``ravel`` has them.

        Raises
        ------
        ImportError
            Without pandas.
        """
        low, high = self.confidence_interval
        columns = {"observed": self.observed, "standard_error": self.standard_error}
        columns |= {"low": low, "high": high}
        shape = np.shape(self.bootstrap_distribution)[:-1]
        found = {
            name: np.broadcast_to(np.nan if value is None else value, shape).ravel()
            for name, value in columns.items()
        }
        about = {"confidence_level": self.confidence_level, "method": self.method}
        return require_pandas().DataFrame(found).assign(**about)

    def _content(self) -> tuple[dict[str, Any], dict[str, Any]]:
        about: dict[str, Any] = {name: getattr(self, name) for name in _TEXTS}
        about["scheme"] = None if self.scheme is None else str(self.scheme)
        low, high = self.confidence_interval
        arrays = {"low": low, "high": high, "distribution": self.bootstrap_distribution}
        arrays |= {"standard_error": self.standard_error, "observed": self.observed}
        if self._ends is not None:
            about["ends"] = {"method": self._ends.method, "scale": self._ends.scale}
            kept = self._ends._asdict().items()
            arrays |= {f"ends/{name}": value for name, value in kept if name not in about["ends"]}
        return about, arrays

    @classmethod
    def _made_of(cls, about: dict[str, Any], arrays: dict[str, Any]) -> BootstrapResult:
        ends = None
        if "ends" in about:
            kept = {name: arrays.get(f"ends/{name}") for name in Ends._fields}
            ends = Ends(**{**kept, **about["ends"]})
        found = {name: arrays[name][()] for name in ("low", "high", "standard_error")}
        return cls(
            confidence_interval=ConfidenceInterval(found["low"], found["high"]),
            bootstrap_distribution=arrays["distribution"],
            standard_error=found["standard_error"],
            observed=arrays["observed"][()] if "observed" in arrays else None,
            scheme=about["scheme"],
            _ends=ends,
            **{name: about[name] for name in _TEXTS},
        )

    def _repr_html_(self) -> str:
        shape = np.shape(self.bootstrap_distribution)[:-1]
        if shape:
            rows = [("statistics", " x ".join(map(str, shape))), ("method", self.method)]
        else:
            rows = [(line[:14].strip(), line[14:].strip()) for line in self.summary().splitlines()]
        return html_table("fastkb.BootstrapResult", rows)

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
        # plot stands above this room and needs matplotlib: it is loaded when a picture is drawn.

        return hook("plot_distribution")(self, ax)


def one_distribution(result: BootstrapResult, method: str) -> np.ndarray:
    """The distribution of a single statistic; an error that names `method` for several statistics."""
    shape = np.shape(result.bootstrap_distribution)
    if len(shape) != 1:
        raise ValueError(
            f"{method} takes one statistic, and this result has {math.prod(shape[:-1])} (its "
            f"distribution has shape {shape}): choose one, by calling bootstrap with its data alone"
        )
    return np.asarray(result.bootstrap_distribution)
