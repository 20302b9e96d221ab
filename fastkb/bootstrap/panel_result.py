"""What :func:`fastkb.bootstrap_panel` returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fastkb.bootstrap.bootstrap_result import ConfidenceInterval
from fastkb.storage.html import html_table
from fastkb.storage.saved import SavedResult, require_pandas

_ABOUT = ("confidence_level", "alternative", "method", "n_resamples", "common_draws")
_ARRAYS = ("observed", "standard_error", "low", "high")


@dataclass
class PanelResult(SavedResult):
    """An interval for each of many series. The resamples' statistics are not kept.

    A file holds the texts of names and schemes.

    Parameters
    ----------
    confidence_interval : ConfidenceInterval
        `low` and `high`, of the shape of the series.
    standard_error : ndarray
        The standard deviation of each series' resampled statistics (with n_resamples - 1).
    observed : ndarray
        The statistic of each series itself.
    confidence_level : float
    alternative : {"two-sided", "less", "greater"}
    method : {"percentile", "basic", "bca", "studentized", "cheap"}
    n_resamples : int
        Of each series.
    common_draws : bool
        Whether series of one length have the same resamples.
    names : tuple or None
        Of the series, where the data had them.
    schemes : tuple of Scheme or None
        How the resamples of each series were drawn, with the block length that was chosen; None: row by
        row.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import bootstrap_panel
    >>> series = {"rising": np.arange(30.0), "short": np.array([1.0, 5.0, 3.0])}
    >>> result = bootstrap_panel((series,), np.mean, n_resamples=999, rng=0)
    >>> result.observed.tolist(), result.names
    ([14.5, 3.0], ('rising', 'short'))
    """

    confidence_interval: ConfidenceInterval
    standard_error: Any
    observed: Any
    confidence_level: float
    alternative: str
    method: str
    n_resamples: int
    common_draws: bool
    names: tuple | None = None
    schemes: tuple | None = None

    _kind: ClassVar[str] = "panel"

    def _arrays(self) -> dict[str, np.ndarray]:
        low, high = self.confidence_interval
        values = (self.observed, self.standard_error, low, high)
        return dict(zip(_ARRAYS, map(np.asarray, values), strict=True))

    def to_frame(self) -> Any:
        """The result as a data frame with a row for each series.

        Returns
        -------
        pandas.DataFrame
            Columns ``observed``, ``standard_error``, ``low`` and ``high``, and the names of the series as
            index, where they have names. Otherwise series are in C order, as ``ravel`` has them.

        Raises
        ------
        ImportError
            Without pandas.

        Examples
        --------
        >>> import numpy as np
        >>> from fastkb import bootstrap_panel
        >>> series = {"rising": np.arange(30.0), "short": np.array([1.0, 5.0, 3.0])}
        >>> bootstrap_panel((series,), np.mean, n_resamples=999, rng=0).to_frame()["observed"]
        rising    14.5
        short      3.0
        Name: observed, dtype: float64
        """
        columns = {name: values.ravel() for name, values in self._arrays().items()}
        matching = self.names is not None and len(self.names) == len(columns["observed"])
        return require_pandas().DataFrame(
            columns, index=list(self.names or ()) if matching else None
        )

    def _content(self) -> tuple[dict[str, Any], dict[str, Any]]:
        about: dict[str, Any] = {name: getattr(self, name) for name in _ABOUT}
        for name in ("names", "schemes"):
            kept = getattr(self, name)
            about[name] = None if kept is None else list(map(str, kept))
        return about, self._arrays()

    @classmethod
    def _made_of(cls, about: dict[str, Any], arrays: dict[str, Any]) -> PanelResult:
        found = {name: arrays[name][()] for name in _ARRAYS}
        names, schemes = (
            None if about[name] is None else tuple(about[name]) for name in ("names", "schemes")
        )
        return cls(
            confidence_interval=ConfidenceInterval(found["low"], found["high"]),
            standard_error=found["standard_error"],
            observed=found["observed"],
            **{name: about[name] for name in _ABOUT},
            names=names,
            schemes=schemes,
        )

    def _repr_html_(self) -> str:
        shape = " x ".join(map(str, np.shape(self.observed))) or "1"
        method = "BCa" if self.method == "bca" else self.method
        rows = [
            ("series", shape),
            ("interval", f"{100 * self.confidence_level:g}%, {method}, {self.alternative}"),
            ("resamples", f"{self.n_resamples:,} of each series"),
        ]
        return html_table("fastkb.PanelResult", rows)
