"""Pictures of confidence bands and of bootstrap distributions.

matplotlib is imported inside the functions only, and only its object interface is used when a
figure must be made: the caller's backend and current figure are left alone.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from fastkb.bootstrap.bootstrap_result import one_distribution

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from fastkb.bootstrap.bootstrap_result import BootstrapResult
    from fastkb.bootstrap.result import BandResult

POINTS = "#7d838d"
CURVE = "#1f4e8c"
BAND = "#6ea3dd"
INK = "#30343b"
CAPTION = "#6b717b"
OUTSIDE = "#cfd4dc"

# One point of a few hundred must be seen; ten thousand must not become a grey wall.
_POINT_INK = 150.0
# Replicates further than this from the middle half, in its widths, are not drawn: a ratio whose
# denominator comes near 0 would squeeze all the others into one bar. Normal ones are within 2.4.
_FAR = 8.0
_MAX_BINS = 60


def new_figure(n_panels: int = 1, *, width: float = 8.0) -> tuple[Figure, list[Axes]]:
    """A figure with `n_panels` panels in rows of at most three, sharing the vertical axis.

    It has a canvas of its own, so that saving it needs no display and no backend.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    n_columns = min(n_panels, 2 if n_panels in (2, 4) else 3)
    n_rows = -(-n_panels // n_columns)
    if n_panels == 1:
        size = (width, 0.66 * width)
    else:
        size = (0.5 * width * n_columns, 0.45 * width * n_rows + 0.6)
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(n_rows, n_columns, sharey=True, squeeze=False).ravel()
    for unused in grid[n_panels:]:
        unused.remove()
    return figure, list(grid[:n_panels])


def draw_band(
    ax: Axes,
    x: np.ndarray,  # shape: (m,)
    center: np.ndarray,  # shape: (m,)
    low: np.ndarray,  # shape: (m,)
    high: np.ndarray,  # shape: (m,)
    *,
    level: float | None = None,
    points: tuple[np.ndarray, np.ndarray] | None = None,
    points_label: str = "observations",
) -> Axes:
    """Draw a curve with its band, and the observations behind it, on `ax`.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    x, center, low, high : ndarray of shape (m,)
        The evaluation points in any order, the fitted curve there, and the band's two edges.
    level : float, optional
        The confidence level, for the legend.
    points : tuple of two ndarrays of shape (n,), optional
        The observations' x and y.
    points_label : str, default "observations"
        What the observations are called in the legend.

    Returns
    -------
    matplotlib.axes.Axes
        `ax` itself.
    """
    order = np.argsort(x, kind="stable")
    x, center, low, high = (np.asarray(v)[order] for v in (x, center, low, high))
    if points is not None:
        n = max(1, len(points[0]))
        ax.scatter(
            *points,
            s=float(np.clip(_POINT_INK * 50 / n, 4, 22)),
            color=POINTS,
            alpha=float(np.clip(_POINT_INK / n, 0.12, 0.6)),
            linewidths=0,
            label=points_label,
            zorder=1,
        )
    name = "confidence band" if level is None else f"{100 * level:g}% confidence band"
    ax.fill_between(x, low, high, color=BAND, alpha=0.45, linewidth=0, label=name, zorder=2)
    ax.plot(x, center, color=CURVE, linewidth=2.2, label="fitted curve", zorder=3)
    _dress(ax)
    ax.margins(x=0.02)
    return ax


def _dress(ax: Axes) -> None:
    """Thin axes and a grid that stay behind the data."""
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("bottom", "left"):
        ax.spines[side].set_color("#b5bac2")
    ax.tick_params(colors=INK, labelsize=9.5, length=3, color="#b5bac2")
    ax.grid(axis="y", color="#e7e9ed", linewidth=0.8, zorder=0)
    ax.set_axisbelow(True)


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
        for end in (low, high):
            if np.isfinite(end):
                ax.axvline(end, color=CURVE, linewidth=1.1, linestyle=(0, (4, 3)), zorder=3)
    if observed is not None and np.isfinite(observed):
        ax.axvline(
            observed, color=CURVE, linewidth=2.2, label=f"observed: {observed:.5g}", zorder=4
        )
    _dress(ax)
    ax.set_xlim(left, right)
    ax.set_ylim(0, 1.06 * counts.max())
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
    width = 2 * middle / len(values) ** (1 / 3)
    n_bins = (high - low) / width if width > 0 else _MAX_BINS
    edges = np.linspace(low, high, 1 + int(np.clip(np.ceil(n_bins), 10, _MAX_BINS)))
    return edges, np.histogram(values, edges)[0]


def frame(figure: Figure, axes: list[Axes], *, title: str, caption: str) -> None:
    """Put a title and the legend above the panels, and a caption below them.

    They get strips of their own, measured in inches: inside the panels some data set would have
    its points wherever the legend stood.
    """
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    width, height = figure.get_size_inches()
    title = textwrap.fill(title, int(8.8 * width))
    caption = textwrap.fill(caption, int(14.5 * width))
    title_height = 0.12 + 0.24 * (title.count("\n") + 1)
    header = title_height + 0.32
    footer = 0.1 + 0.17 * (caption.count("\n") + 1)
    figure.set_size_inches(width, height + header + footer)
    height += header + footer
    margin = 0.12 / width
    engine = figure.get_layout_engine()
    assert isinstance(engine, ConstrainedLayoutEngine)
    engine.set(rect=(0, footer / height, 1 - margin / 2, 1 - (header + footer) / height))
    figure.text(
        margin, 1 - 0.1 / height, title, va="top", fontsize=13, fontweight="bold", color=INK
    )
    legend = figure.legend(
        *axes[0].get_legend_handles_labels(),
        loc="upper left",
        bbox_to_anchor=(margin, 1 - title_height / height),
        borderaxespad=0,
        borderpad=0.2,
        ncols=3,
        frameon=False,
        fontsize=10,
        labelcolor=INK,
    )
    legend.set_in_layout(False)
    figure.text(margin, 0.08 / height, caption, va="bottom", fontsize=9, color=CAPTION)


def _require_matplotlib() -> None:
    try:
        import matplotlib as _matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError("plots need matplotlib: pip install 'fastkb[plot]'") from error


def plot_band(
    result: BandResult,
    ax: Axes | None = None,
    *,
    X: Any = None,
    y: Any = None,
    feature: int | None = None,
    output: int = 0,
) -> Axes:
    """Draw a :class:`~fastkb.BandResult`: the fitted curve and the band around it.

    Parameters
    ----------
    result : BandResult
        What :func:`fastkb.bootstrap_band` or :func:`fastkb.sampling_band` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    X, y : array-like of shapes (n, d) and (n,) or (n, n_outputs), optional
        The observations, drawn as points.
    feature : int, optional
        The input column along which to draw. By default the only one that varies over
        the evaluation points.
    output : int, default 0
        Which output to draw, for y with several columns.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on; ``.figure.savefig("band.png")`` saves the picture.

    Raises
    ------
    ImportError
        Without matplotlib; the message says how to install it.
    ValueError
        If several input columns vary and `feature` is not given.

    Examples
    --------
    >>> import numpy as np, fastkb
    >>> x = np.linspace(0, 6, 40)[:, None]
    >>> band = fastkb.bootstrap_band(
    ...     fastkb.KernelRidge(kernel="rbf", gamma=1.0, alpha=0.1),
    ...     x,
    ...     np.sin(x[:, 0]),
    ...     x,
    ...     n_resamples=50,
    ...     rng=0,
    ... )
    >>> ax = band.plot(X=x, y=np.sin(x[:, 0]))
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['observations', '90% confidence band', 'fitted curve']
    """
    _require_matplotlib()
    grid = np.asarray(result.x)
    grid = grid[:, None] if grid.ndim == 1 else grid
    if feature is None:
        varying = np.flatnonzero(np.ptp(grid, axis=0) > 0)
        if len(varying) > 1:
            raise ValueError(
                f"feature: the evaluation points vary in {len(varying)} input columns "
                f"({', '.join(map(str, varying))}); say along which one to draw"
            )
        feature = int(varying[0]) if len(varying) else 0
    if not 0 <= feature < grid.shape[1]:
        raise ValueError(
            f"feature={feature}: expected a column of x, from 0 to {grid.shape[1] - 1}"
        )
    curves = [np.asarray(v) for v in (result.center, result.low, result.high)]
    if curves[0].ndim == 2:
        if not 0 <= output < curves[0].shape[1]:
            raise ValueError(
                f"output={output}: expected a column of y, from 0 to {curves[0].shape[1] - 1}"
            )
        curves = [v[:, output] for v in curves]
    if (X is None) != (y is None):
        raise ValueError("X and y: give both, to draw the observations, or neither")
    points = None
    if X is not None:
        X, y = np.asarray(X), np.asarray(y)
        points = (X if X.ndim == 1 else X[:, feature], y if y.ndim == 1 else y[:, output])
    if ax is None:
        _, (ax,) = new_figure()
    draw_band(
        ax,
        grid[:, feature],
        *curves,
        level=getattr(result, "confidence_level", None),
        points=points,
    )
    ax.legend(frameon=False)
    return ax


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
    _require_matplotlib()
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
