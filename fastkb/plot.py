"""Pictures of confidence bands.

matplotlib is imported inside the functions only, and only its object interface is used when a
figure must be made: the caller's backend and current figure are left alone.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from fastkb.bootstrap.result import BandResult

POINTS = "#7d838d"
CURVE = "#1f4e8c"
BAND = "#6ea3dd"
INK = "#30343b"
CAPTION = "#6b717b"

# One point of a few hundred must be seen; ten thousand must not become a grey wall.
_POINT_INK = 150.0


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
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("bottom", "left"):
        ax.spines[side].set_color("#b5bac2")
    ax.tick_params(colors=INK, labelsize=9.5, length=3, color="#b5bac2")
    ax.grid(axis="y", color="#e7e9ed", linewidth=0.8, zorder=0)
    ax.set_axisbelow(True)
    ax.margins(x=0.02)
    return ax


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
    try:
        import matplotlib as _matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError("plots need matplotlib: pip install 'fastkb[plot]'") from error

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
