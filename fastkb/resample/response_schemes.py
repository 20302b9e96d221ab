r"""Schemes for regression that hold the inputs fixed and draw new responses around a fit.

With fitted values :math:`\hat y` and residuals :math:`e = y - \hat y`, a resample is
:math:`y^* = \hat y + e^*`. The last sample of `data` is the response; the others are as they are.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Generator, Sequence
from copy import copy
from typing import Any

import numpy as np

from fastkb.random.bounded import bounded_rows
from fastkb.resample.checks import (
    check_fitted,
    check_labels,
    check_leverage,
    check_response,
)
from fastkb.resample.scheme import Block, Scheme, equal_blocks, rows_together


class ResponseScheme(Scheme):
    """New responses around fitted values.

    Parameters
    ----------
    fitted : array_like, optional
        Fitted values ŷ of the response. :func:`fastkb.bootstrap_band` takes those of its estimator where
        none are given.  # shape: (n,)
    leverage : array_like, optional
        Diagonal h of the hat matrix: residuals are divided by √(1 - h).  # shape: (n,)

    Attributes
    ----------
    fitted_values, residuals : ndarray
        Of the last sample; :meth:`prepare` stores them.  # shape: (…, n)

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import bootstrap, schemes
    >>> class Same(schemes.ResponseScheme):
    ...     # The responses as they were.
    ...     def responses(self, key, first, count):
    ...         return np.repeat((self.fitted_values + self.residuals)[..., None, :], count, axis=-2)
    >>> y = np.array([3.0, 8.0, 1.0])
    >>> result = bootstrap(
    ...     (y,), np.mean, scheme=Same([4.0, 4.0, 4.0]), method="percentile", n_resamples=2
    ... )
    >>> result.bootstrap_distribution.tolist()
    [4.0, 4.0]
    """

    fitted_values: np.ndarray
    residuals: np.ndarray

    knows_bca = False

    def __init__(self, fitted: Any = None, *, leverage: Any = None) -> None:
        self.fitted, self.leverage = fitted, leverage

    def _arguments(self) -> list[tuple[str, Any]]:
        names = ("fitted", "leverage")
        return [(name, getattr(self, name)) for name in names if getattr(self, name) is not None]

    def prepare(
        self, samples: Sequence[np.ndarray], paired: bool, axis: int = -1
    ) -> ResponseScheme:
        name = type(self).__name__
        y = np.asarray(samples[-1], np.float64)
        check_response(name, y)
        prepared = copy(self)
        prepared.fitted_values = check_fitted(name, self.fitted, y.shape, axis)
        prepared.residuals = y - prepared.fitted_values
        if self.leverage is not None:
            h = check_leverage(name, self.leverage, y.shape[-1])
            prepared.residuals /= np.sqrt(1.0 - h)
        prepared.set_up(y.shape[-1])
        return prepared

    def around(self, y: np.ndarray, fitted: np.ndarray) -> ResponseScheme:
        """Prepared for responses of a model, around `fitted` unless it was given others.

        Parameters
        ----------
        y : ndarray
            # shape: (n,) or (n, n_targets)
        fitted : ndarray
            # shape: that of y
        """
        scheme = self
        if self.fitted is None:
            scheme = copy(self)
            scheme.fitted = fitted
        return scheme.prepare([y.T], True, axis=0)

    def set_up(self, n: int) -> None:
        """What drawing needs, once the residuals are known; arguments are checked here."""

    @abstractmethod
    def responses(self, key: np.ndarray, first: int, count: int) -> np.ndarray:
        """Responses of replicates `first`, `first` + 1, ….  # shape: (…, count, n)"""

    def blocks(
        self, key: np.ndarray, n_resamples: int, largest: int, start: int = 0
    ) -> Generator[Block, None, None]:
        together = rows_together(largest, self.fitted_values.size)
        return equal_blocks(
            lambda first, count: [self.responses(key, first, count)], n_resamples, together, start
        )


class Residual(ResponseScheme):
    """Residuals are drawn with replacement, centred, and added to the fitted values (Efron 1979).

    Valid where the errors are independent and equally distributed: the same spread everywhere. The
    interval is conditional on the inputs.

    Parameters
    ----------
    fitted : array_like, optional
        Fitted values ŷ of the response, from the model whose statistic is asked for.  # shape: (n,)
        :func:`fastkb.bootstrap_band` takes those of its estimator where none are given.
    leverage : array_like, optional
        Diagonal h of the hat matrix: residuals are divided by √(1 - h), which gives them the
        variance of the errors (Davison, Hinkley 1997, section 6.2).  # shape: (n,)

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import bootstrap, schemes
    >>> rng = np.random.default_rng(0)
    >>> x = np.linspace(0, 1, 50)
    >>> y = 2 * x + 0.1 * rng.standard_normal(50)
    >>> def slope(x, y):
    ...     return np.polyfit(x, y, 1)[0]
    >>> scheme = schemes.Residual(np.polyval(np.polyfit(x, y, 1), x))
    >>> result = bootstrap(
    ...     (x, y), slope, paired=True, scheme=scheme, method="percentile", n_resamples=500, rng=0
    ... )
    >>> bool(result.confidence_interval.low < result.observed < result.confidence_interval.high)
    True
    """

    def set_up(self, n: int) -> None:
        self.residuals -= self.residuals.mean(axis=-1, keepdims=True)
        self._bounds = np.full(n, n)

    _bounds: np.ndarray

    def responses(self, key: np.ndarray, first: int, count: int) -> np.ndarray:
        drawn = bounded_rows(key, first, count, self._bounds)
        return self.fitted_values[..., None, :] + self.residuals[..., drawn]


# Mammen's distribution on two points has mean 0, variance 1 and third moment 1.
_ROOT = math.sqrt(5.0)
_MAMMEN = ((1 - _ROOT) / 2, (1 + _ROOT) / 2, (_ROOT + 1) / (2 * _ROOT))
_RADEMACHER = (-1.0, 1.0, 0.5)
_DISTRIBUTIONS = {"rademacher": _RADEMACHER, "mammen": _MAMMEN}


class Wild(ResponseScheme):
    """Each residual keeps its place and is multiplied by a random number of mean 0 and variance 1.

    Valid where the errors are independent and their spread may differ from place to place (Wu 1986; Liu
    1988; Mammen 1993); with `labels`, where they depend on each other within clusters, of which there are
    many (Cameron, Gelbach, Miller 2008). The interval is conditional on the inputs.

    Parameters
    ----------
    fitted : array_like, optional
        Fitted values ŷ of the response, from the model whose statistic is asked for.  # shape: (n,)
        :func:`fastkb.bootstrap_band` takes those of its estimator where none are given.
    leverage : array_like, optional
        Diagonal h of the hat matrix: residuals are divided by √(1 - h) (Davison, Hinkley 1997,
        section 6.2).  # shape: (n,)
    distribution : {"rademacher", "mammen"}, default "rademacher"
        Signs; or Mammen's two points (1 ± √5)/2, whose third moment of 1 keeps the errors' skewness.
    labels : array_like, optional
        Cluster of each observation: all of a cluster share one number.  # shape: (n,)

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import bootstrap, schemes
    >>> rng = np.random.default_rng(0)
    >>> x = np.linspace(0, 1, 50)
    >>> y = 2 * x + 0.3 * x * rng.standard_normal(50)  # the spread grows with x
    >>> def slope(x, y, axis=-1):
    ...     x = x - x.mean(axis=axis, keepdims=True)
    ...     return (x * y).sum(axis=axis) / (x**2).sum(axis=axis)
    >>> scheme = schemes.Wild(np.polyval(np.polyfit(x, y, 1), x))
    >>> result = bootstrap((x, y), slope, paired=True, scheme=scheme, method="basic", rng=0)
    >>> bool(result.confidence_interval.low < result.observed < result.confidence_interval.high)
    True
    """

    def __init__(
        self,
        fitted: Any = None,
        *,
        leverage: Any = None,
        distribution: str = "rademacher",
        labels: Any = None,
    ) -> None:
        super().__init__(fitted, leverage=leverage)
        self.distribution, self.labels = distribution, labels

    def _arguments(self) -> list[tuple[str, Any]]:
        own = [("distribution", self.distribution)]
        own += [] if self.labels is None else [("labels", self.labels)]
        return super()._arguments() + own

    def set_up(self, n: int) -> None:
        if self.distribution not in tuple(_DISTRIBUTIONS):
            raise ValueError(
                f"Wild: distribution must be one of {', '.join(_DISTRIBUTIONS)}, got "
                f"{self.distribution!r}"
            )
        self._low, self._high, probability = _DISTRIBUTIONS[self.distribution]
        self._lots = round(probability * 2**32)
        self._groups = None if self.labels is None else check_labels("Wild", self.labels, n)
        self._draws = n if self._groups is None else int(self._groups.max()) + 1

    _low: float
    _high: float
    _lots: int  # of 2³² fall on the lower point
    _groups: np.ndarray | None
    _draws: int

    def responses(self, key: np.ndarray, first: int, count: int) -> np.ndarray:
        # A bound of 2³² - 1 never gives the last word: a probability is off by 2⁻³².
        drawn = bounded_rows(key, first, count, np.full(self._draws, 2**32 - 1))
        factors = np.where(drawn < self._lots, self._low, self._high)
        if self._groups is not None:
            factors = factors[:, self._groups]
        return self.fitted_values[..., None, :] + self.residuals[..., None, :] * factors
