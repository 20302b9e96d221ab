"""Confidence bands: a curve, the band around it, the observations behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastkb.plot.style import (
    BAND,
    CURVE,
    INK,
    POINTS,
    dress,
    new_figure,
    plain,
    require_matplotlib,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fastkb.bands.result import BandResult

# One point of a few hundred must be seen; ten thousand must not become a grey wall.
_POINT_INK = 150.0
# A band is shown up to this part of the span of curve and observations beyond them.
_BEYOND = 0.4
# Lines of a rug that can be told apart.
_RUG = 600


def draw_band(
    ax: Axes,
    x: np.ndarray,  # shape: (m,)
    center: np.ndarray,  # shape: (m,)
    low: np.ndarray,  # shape: (m,)
    high: np.ndarray,  # shape: (m,)
    *,
    label: str = "confidence band",
    points: tuple[np.ndarray, np.ndarray] | None = None,
    points_label: str = "observations",
    rug: np.ndarray | None = None,
    near: np.ndarray | None = None,
) -> Axes:
    """Draw a curve with its band, and the observations behind it, on `ax`.

    A band that is far wider somewhere than the curve and the observations together does not rule the
    vertical axis: it goes beyond the picture there.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    x, center, low, high : ndarray of shape (m,)
        The evaluation points in any order, the fitted curve there, and the band's two edges.
    label : str, default "confidence band"
        What the band is called in the legend.
    points : tuple of two ndarrays of shape (n,), optional
        The observations' x and y.
    points_label : str, default "observations"
        What the observations are called in the legend.
    rug : ndarray of shape (n,), optional
        Where the data are on the x axis: a short line at its foot for each value.
    near : ndarray of bool of shape (m,), optional
        Which evaluation points have data nearby. Elsewhere the curve is dashed and the band pale.

    Returns
    -------
    matplotlib.axes.Axes
        `ax` itself.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb.plot import draw_band, new_figure
    >>> figure, (ax,) = new_figure()
    >>> x = np.linspace(0.0, 1.0, 20)
    >>> draw_band(ax, x, x**2, x**2 - 0.1, x**2 + 0.1) is ax
    True
    """
    order = np.argsort(x, kind="stable")
    x, center, low, high = (np.asarray(v)[order] for v in (x, center, low, high))
    near = np.ones(len(x), bool) if near is None else np.asarray(near, bool)[order]
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
    near = near if near.any() else ~near  # a curve that is far from all data is drawn in full
    far = ~near | ~np.append(near[1:], True) | ~np.append(True, near[:-1])
    style: dict[str, Any] = {"color": BAND, "linewidth": 0, "zorder": 2}
    ax.fill_between(x, low, high, where=near, alpha=0.45, label=label, **style)
    ax.plot(
        x,
        np.where(near, center, np.nan),
        color=CURVE,
        linewidth=2.2,
        label="fitted curve",
        zorder=3,
    )
    if not near.all():
        ax.fill_between(x, low, high, where=far, alpha=0.2, label=None, **style)
        ax.plot(
            x,
            np.where(far, center, np.nan),
            color=CURVE,
            linewidth=1.6,
            linestyle=(0, (3, 2)),
            zorder=3,
        )
    if rug is not None:
        _draw_rug(ax, np.asarray(rug))
    dress(ax)
    ax.margins(x=0.02)
    seen = [center] if points is None else [center, np.asarray(points[1])]
    limits = [np.concatenate(seen), low[near], high[near]]
    if ax.get_yscale() == "log":
        with np.errstate(divide="ignore", invalid="ignore"):
            ax.set_ylim(*np.exp(_visible(*map(np.log, limits))))
    else:
        ax.set_ylim(*_visible(*limits))
    return ax


def _visible(seen: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[float, float]:
    """Limits that show all of `seen`, and the band where it does not go far beyond."""
    finite = [v[np.isfinite(v)] for v in (seen, low, high)]
    every = np.concatenate(finite)
    if not every.size:
        return 0.0, 1.0
    bottom, top = float(every.min()), float(every.max())
    if all(part.size for part in finite):
        # The span of half of the band's edges is always shown.
        first = min(float(finite[0].min()), float(np.median(finite[1])))
        last = max(float(finite[0].max()), float(np.median(finite[2])))
        beyond = _BEYOND * (last - first)
        bottom, top = max(bottom, first - beyond), min(top, last + beyond)
    margin = 0.05 * (top - bottom) or 0.05 * abs(top) or 1.0
    return bottom - margin, top + margin


def _draw_rug(ax: Axes, x: np.ndarray) -> None:
    """Short lines at the foot of the axis, one for values that cannot be told apart."""
    from matplotlib.collections import LineCollection

    x = x[np.isfinite(x)]
    span = float(np.ptp(x)) if x.size else 0.0
    if span > 0.0:
        x = x[np.unique(np.round((x - x.min()) * (_RUG / span)), return_index=True)[1]]
    lines = [[(value, 0.0), (value, 0.018)] for value in x.tolist()]
    rug = LineCollection(
        lines, colors=POINTS, linewidths=0.7, alpha=0.55, transform=ax.get_xaxis_transform()
    )
    ax.add_collection(rug, autolim=False)


def plot_band(
    result: BandResult,
    ax: Axes | None = None,
    *,
    X: Any = None,
    y: Any = None,
    feature: int | str | None = None,
    output: int | str = 0,
    points: bool = True,
) -> Axes:
    """Draw a :class:`~fastkb.BandResult`: the fitted curve, the band around it, and the observations.

    Where no observation is near, the curve is dashed and the band pale. The axes are labelled by the
    names of the columns, where the data had them.

    Parameters
    ----------
    result : BandResult
        What :func:`fastkb.bootstrap_band` or :func:`fastkb.sampling_band` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    X, y : array-like of shapes (n, d) and (n,) or (n, n_outputs), optional
        The observations, drawn as points. By default those that the band was made of.
    feature : int or str, optional
        The input column along which to draw, or its name. By default the only one that varies over
        the evaluation points.
    output : int or str, default 0
        Which output to draw, for y with several columns: its place, or its name.
    points : bool, default True
        Whether to draw the observations.

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
    ['40 observations', '90% band of refits', 'fitted curve']
    """
    require_matplotlib()
    grid = _matrix(result.x)
    feature = _place("feature", feature, result.x_names)
    column = _place("output", output, result.y_names) or 0
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
        if not 0 <= column < curves[0].shape[1]:
            raise ValueError(
                f"output={output}: expected a column of y, from 0 to {curves[0].shape[1] - 1}"
            )
        curves = [v[:, column] for v in curves]
    if (X is None) != (y is None):
        raise ValueError("X and y: give both, to draw the observations, or neither")
    if X is None and result._observed is not None:
        X, y = result._observed
    drawn, rug, near = None, None, None
    if points and X is not None:
        rows = _matrix(X)
        rug = rows[:, feature]
        if rows.shape[1] == grid.shape[1]:
            near = _observed_nearby(rows, grid)
        if result.classes is None:
            targets = np.asarray(y)
            drawn = rug, targets if targets.ndim == 1 else targets[:, column]
    if ax is None:
        _, (ax,) = new_figure()
    draw_band(
        ax,
        grid[:, feature],
        *curves,
        label=result.label,
        points=drawn,
        points_label="observations" if drawn is None else f"{len(drawn[0]):,} observations",
        rug=rug,
        near=near,
    )
    if result.x_names is not None and len(result.x_names) == grid.shape[1]:
        ax.set_xlabel(plain(result.x_names[feature]), color=INK)
    if result.y_names is not None and result.classes is None and column < len(result.y_names):
        ax.set_ylabel(plain(result.y_names[column]), color=INK)
    ax.legend(frameon=False)
    return ax


def _matrix(X: Any) -> np.ndarray:
    """Rows of numbers, from arrays and data frames."""
    rows = X.toarray() if hasattr(X, "toarray") else np.asarray(X)
    return rows[:, None] if rows.ndim == 1 else rows


def _place(name: str, value: int | str | None, names: tuple[str, ...] | None) -> int | None:
    """The place of a column that is given by its name."""
    if not isinstance(value, str):
        return value
    if names is None or value not in names:
        known = "the data had no names" if names is None else f"the names are {', '.join(names)}"
        raise ValueError(f"{name}={value!r}: expected a column; {known}")
    return names.index(value)


def _observed_nearby(rows: np.ndarray, grid: np.ndarray) -> np.ndarray | None:
    """Which evaluation points have observations nearby; None where rows have no distances."""
    from fastkb.bands.coverage.neighbourhood import observed_nearby

    try:
        rows, grid = rows.astype(np.float64), grid.astype(np.float64)
    except (TypeError, ValueError):
        return None
    if not (np.isfinite(rows).all() and np.isfinite(grid).all()):
        return None
    scale = rows.std(axis=0)
    scale = np.where(scale > 0.0, scale, 1.0)
    return observed_nearby(rows / scale, grid / scale)
