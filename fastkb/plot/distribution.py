"""Bootstrap distributions: a histogram, the interval and the observed value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastkb.bootstrap.bootstrap_result import one_distribution
from fastkb.plot.style import BAND, CURVE, INK, OUTSIDE, dress, new_figure, require_matplotlib
from fastkb.plot.ticks import number_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fastkb.bootstrap.bootstrap_result import BootstrapResult

# Replicates further than this from the middle half, in its widths, are not drawn: a ratio whose
# denominator comes near 0 would squeeze all the others into one bar. Normal ones are within 2.4.
_FAR = 8.0
_MAX_BINS = 60
# The horizontal axis is about as long.
_INCHES = 6.0
# Bars of values on a lattice at most, and values that are looked at for one.
_LATTICE_BINS, _MANY_VALUES = 30, 1000


def draw_distribution(
    ax: Axes,
    distribution: np.ndarray,  # shape: (n_resamples,)
    low: float,
    high: float,
    *,
    observed: float | None = None,
    level: float | None = None,
) -> Axes:
    """Draw a bootstrap distribution as a histogram, with its interval, on `ax`.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    distribution : ndarray of shape (n_resamples,)
        The replicates. Those that are not finite or lie far from all others are not drawn, and
        their number is told in the legend.
    low, high : float
        The interval's ends; NaN where there is none, infinite for one-sided intervals.
    observed : float, optional
        The statistic of the data themselves.
    level : float, optional
        The confidence level, for the legend.

    Returns
    -------
    matplotlib.axes.Axes
        `ax` itself.

    Raises
    ------
    ValueError
        If no replicate is a finite number.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb.plot import draw_distribution, new_figure
    >>> figure, (ax,) = new_figure()
    >>> replicates = np.random.default_rng(0).normal(size=999)
    >>> draw_distribution(ax, replicates, -1.96, 1.96, observed=0.0, level=0.95) is ax
    True
    """
    marks = [v for v in (low, high, observed) if v is not None and np.isfinite(v)]
    edges, counts = _histogram(distribution, marks)
    left, right = min(edges[0], *marks, edges[-1]), max(edges[-1], *marks, edges[0])
    margin = 0.03 * (right - left)
    left, right = left - margin, right + margin
    missing = len(distribution) - int(counts.sum())
    name = f"{len(distribution):,} resamples" + (f" ({missing:,} not drawn)" if missing else "")
    ax.stairs(counts, edges, fill=True, color=OUTSIDE, label=name, zorder=1)
    if not np.isnan([low, high]).any():
        # The bars are cut exactly at the ends of the interval.
        ends = np.clip([low, high], edges[0], edges[-1])
        inner = np.unique(np.concatenate([ends, edges[(edges > ends[0]) & (edges < ends[1])]]))
        if len(inner) > 1:
            bars = np.searchsorted(edges, (inner[1:] + inner[:-1]) / 2) - 1
            ax.stairs(counts[bars], inner, fill=True, color=BAND, zorder=2)
        of_level = "confidence interval" if level is None else f"{100 * level:g}% interval"
        ax.axvspan(
            max(low, left),
            min(high, right),
            color=BAND,
            alpha=0.2,
            linewidth=0,
            label=f"{of_level}: {low:.5g} to {high:.5g}",
            zorder=0.5,
        )
    else:
        ax.fill([], [], color="none", label="no interval")
    for end in (low, high):
        if np.isfinite(end):
            ax.axvline(end, color=CURVE, linewidth=1.1, linestyle=(0, (4, 3)), zorder=3)
    if observed is not None and np.isfinite(observed):
        ax.axvline(
            observed, color=CURVE, linewidth=2.2, label=f"observed: {observed:.5g}", zorder=4
        )
    dress(ax)
    ax.set_xlim(left, right)
    ax.set_ylim(0, 1.06 * counts.max())
    number_ticks(ax.xaxis, inches=_INCHES)
    number_ticks(ax.yaxis, whole=True)
    return ax


def _histogram(distribution: np.ndarray, marks: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Edges and counts, by the rule of Freedman and Diaconis: width 2·IQR / B^(1/3)."""
    values = np.asarray(distribution, dtype=np.float64)
    values = values[np.isfinite(values)]
    if not len(values):
        raise ValueError("plot: none of the resamples gave a finite number")
    low, high = float(values.min()), float(values.max())
    first, last = np.quantile(values, [0.25, 0.75])
    middle = float(last - first)
    if middle > 0:
        low = max(low, min(first - _FAR * middle, *marks, first))
        high = min(high, max(last + _FAR * middle, *marks, last))
    # So many units in the last place are needed for edges that differ.
    narrowest = 1e-12 * max(abs(low), abs(high))
    if high - low <= narrowest:
        half = 0.5 * abs(low) or 0.5
        low, high = low - half, high + half
    steps = _lattice(values[(values >= low) & (values <= high)])
    if steps is not None:
        return steps, np.histogram(values, steps)[0]
    width = 2 * middle / len(values) ** (1 / 3)
    n_bins = (high - low) / width if width > 0 else _MAX_BINS
    edges = np.linspace(low, high, 1 + int(np.clip(np.ceil(n_bins), 10, _MAX_BINS)))
    return edges, np.histogram(values, edges)[0]


def _lattice(values: np.ndarray) -> np.ndarray | None:
    """Edges halfway between values that are multiples of one step, such as medians of whole numbers.

    Of other edges some bins would hold two of them and some one, which looks like a comb. Where there are
    many, several make a bin. None where the values lie on no such lattice.
    """
    # Values may be equal but for rounding: the mean of 0.1 and 0.2, and 0.15.
    unit = max(1e-9 * float(np.ptp(values)), 1e-15 * float(np.abs(values).max())) or 1.0
    if unit < np.finfo(np.float64).tiny:  # a processor may take such a number for 0
        return None
    found = np.unique(np.round(values / unit)) * unit
    if not 2 <= len(found) <= _MANY_VALUES:
        return None
    gaps = np.diff(found)
    step = float(gaps.min())
    places = (found - found[0]) / step
    if (np.abs(places - np.round(places)) > 1e-6 * (1.0 + places)).any():
        return None
    each = -(-int(round(places[-1]) + 1) // _LATTICE_BINS)
    count = -(-int(round(places[-1]) + 1) // each)
    return found[0] + step * (each * np.arange(count + 1) - 0.5)


def plot_distribution(result: BootstrapResult, ax: Axes | None = None) -> Axes:
    """Draw a :class:`~fastkb.BootstrapResult` of one statistic.

    A histogram of the bootstrap distribution, the part inside the confidence interval coloured,
    and a line at the observed value.

    Parameters
    ----------
    result : BootstrapResult
        What :func:`fastkb.bootstrap` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on; ``.figure.savefig("ci.png")`` saves the picture.

    Raises
    ------
    ImportError
        Without matplotlib; the message says how to install it.
    ValueError
        If the result is of more than one statistic, or no replicate is a finite number.

    Examples
    --------
    >>> import numpy as np, fastkb
    >>> result = fastkb.bootstrap((np.arange(30.0),), np.mean, n_resamples=999, rng=0)
    >>> ax = result.plot()
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['999 resamples', '95% interval: 11.433 to 17.467', 'observed: 14.5']
    """
    require_matplotlib()
    distribution = one_distribution(result, "plot")
    if ax is None:
        _, (ax,) = new_figure()
    low, high = (float(end) for end in result.confidence_interval)
    draw_distribution(
        ax,
        distribution,
        low,
        high,
        observed=None if result.observed is None else float(result.observed),
        level=result.confidence_level,
    )
    ax.set_xlabel("value of the statistic", color=INK)
    ax.set_ylabel("resamples", color=INK)
    # Above the bars, which reach the top in the middle.
    ax.set_ylim(top=1.25 * ax.get_ylim()[1])
    ax.legend(loc="upper right", framealpha=0.9, edgecolor="none")
    return ax
