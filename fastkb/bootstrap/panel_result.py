"""What :func:`fastkb.bootstrap_panel` returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastkb.bootstrap.bootstrap_result import ConfidenceInterval
from fastkb.storage.checks import check_suffix, check_target
from fastkb.storage.html import html_table
from fastkb.storage.result_file import read_result, write_result

_ABOUT = ("confidence_level", "alternative", "method", "n_resamples", "common_draws")
_ARRAYS = ("observed", "standard_error", "low", "high")


@dataclass
class PanelResult:
    """An interval for each of many series. The resamples' statistics are not kept.

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
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError("to_frame needs pandas: pip install pandas") from error
        columns = {name: values.ravel() for name, values in self._arrays().items()}
        matching = self.names is not None and len(self.names) == len(columns["observed"])
        return pd.DataFrame(columns, index=list(self.names or ()) if matching else None)

    def save(self, path: Any) -> None:
        """Write the result to a file, which appears whole or not at all.

        Parameters
        ----------
        path : str or os.PathLike
            Ending in ``.npz``. Nothing is pickled. Of names and schemes their texts are kept.

        Raises
        ------
        ValueError, TypeError
            If `path` is not what is expected.
        OSError
            If the file cannot be written.
        """
        target = check_target("path", path)
        check_suffix("path", target, (".npz",))
        about: dict[str, Any] = {name: getattr(self, name) for name in _ABOUT}
        for name in ("names", "schemes"):
            kept = getattr(self, name)
            about[name] = None if kept is None else list(map(str, kept))
        write_result(target, "panel", about, self._arrays())

    @classmethod
    def load(cls, path: Any) -> PanelResult:
        """The result that :meth:`save` has written.

        Parameters
        ----------
        path : str or os.PathLike

        Raises
        ------
        ValueError
            If the file is damaged, or is something else.
        OSError
            If it cannot be read.

        Examples
        --------
        >>> import os, tempfile
        >>> import numpy as np
        >>> from fastkb import PanelResult, bootstrap_panel
        >>> result = bootstrap_panel((np.eye(4),), np.mean, n_resamples=999, rng=0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     result.save(os.path.join(folder, "means.npz"))
        ...     again = PanelResult.load(os.path.join(folder, "means.npz"))
        >>> bool((again.confidence_interval.low == result.confidence_interval.low).all())
        True
        """
        about, arrays = read_result(path, "panel")
        try:
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
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"path {path!r} is not a panel that fastkb saved: {error} is missing"
            ) from None

    def _repr_html_(self) -> str:
        shape = " x ".join(map(str, np.shape(self.observed))) or "1"
        method = "BCa" if self.method == "bca" else self.method
        rows = [
            ("series", shape),
            ("interval", f"{100 * self.confidence_level:g}%, {method}, {self.alternative}"),
            ("resamples", f"{self.n_resamples:,} of each series"),
        ]
        return html_table("fastkb.PanelResult", rows)
