"""Confidence bands: a curve, the band around it, the observations behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastkb.plot.style import BAND, CURVE, POINTS, dress, new_figure, require_matplotlib

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
    near = near if near.any() else ~near  # (a curve all of which is far away is a curve)
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
    limits = [np.concatenate(seen), low, high]
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
        # (Of a curve alone, what most of the band spans counts as seen.)
        first = min(float(finite[0].min()), float(np.quantile(finite[1], 0.1, method="higher")))
        last = max(float(finite[0].max()), float(np.quantile(finite[2], 0.9, method="lower")))
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
    ['observations', '90% band of refits', 'fitted curve']
    """
    require_matplotlib()
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
        label=result.label,
        points=points,
    )
    ax.legend(frameon=False)
    return ax
