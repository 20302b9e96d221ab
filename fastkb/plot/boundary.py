"""What a classifier decides in the plane: regions, their boundary, the observations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastkb.plot.checks import (
    check_class_names,
    check_classifier,
    check_known,
    check_points,
    check_resolution,
)
from fastkb.plot.responses import respond_at
from fastkb.plot.style import (
    CLASS_COLOURS,
    CLASS_MARKS,
    INK,
    dress,
    new_figure,
    require_matplotlib,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Beyond the outermost points, in parts of their range.
_MARGIN = 0.06
# Colour of a region, from a probability of nothing known to one of 1; without probabilities: flat.
_PALE, _DEEP, _FLAT = 0.1, 0.55, 0.3
# Shades of probability, few enough for the eye to count, with edges at 0.1, 0.2, …
_STEPS = 10
# Scores are interpolated to so many times as many points, or steps would show along the boundary.
_FINER = 4
_SMOOTH = 1.0  # standard deviation, in steps of the grid
_POINT_INK = 8000.0
_LEGEND_SIZE = 40.0
_BOUNDARY = "decision boundary"


def decision_boundary(
    classifier: Any,
    X: Any,
    y: Any,
    ax: Axes | None = None,
    *,
    class_names: Any = None,
    resolution: int = 200,
    legend: bool = True,
) -> Axes:
    """Draw what a classifier decides over two inputs, with the observations.

    Each region has the colour of its class. Where there are probabilities, its shade is that of the
    most probable class, in steps of 0.1; without, it is flat.

    Parameters
    ----------
    classifier : fitted classifier, Sequential or Ensemble
        Anything with `predict`; `predict_proba` or else `decision_function` are used where they agree
        with it. A network of one output tells 0 from 1 (logits), or -1 from 1, at an output of 0;
        one of several decides for the greatest. Outputs of a last linear layer are read as logits, one of
        a last Sigmoid as a probability, those of other activations as neither.
    X : array_like or data frame of shape (n, 2)
        Observations. The columns of a data frame name the axes.
    y : array_like of shape (n,)
        Their classes: numbers or text. For a network: the numbers it was trained on, or names of
        `class_names`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    class_names : sequence of str, optional
        For the legend, in the order of the classes: sorted, or as a network numbers them.
    resolution : int, default 200
        The classifier is evaluated on a grid of so many points along each axis, all in one call.
    legend : bool, default True
        Whether to name the classes: beside the panel if the figure makes room by itself (a layout
        engine such as "constrained"), else inside.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Raises
    ------
    ImportError
        Without matplotlib; the message says how to install it.
    TypeError
        For regressors, classes instead of instances, and things that cannot predict.
    ValueError
        For anything but two columns, for rows that do not fit together, for classes that the network
        does not have or that are not known by name; for classifiers that are not fitted.

    See Also
    --------
    sklearn.inspection.DecisionBoundaryDisplay

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import MLPClassifier, plot
    >>> X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> y = np.array(["same", "other", "other", "same"])
    >>> model = MLPClassifier(8, "tanh", solver="lbfgs", random_state=0).fit(X, y)
    >>> ax = plot.decision_boundary(model, X, y)
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['other', 'same', 'decision boundary']
    """
    require_matplotlib()
    from scipy.ndimage import gaussian_filter

    check_classifier(classifier)
    points = check_points(X, y)
    resolution = check_resolution(resolution)
    axes = [_along(column, resolution) for column in points.X.T]
    grid = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2).astype(points.X.dtype)
    response = respond_at(classifier, _like(X, grid), points.y, class_names)
    codes = check_known(points.y, response.classes)
    names = check_class_names(class_names, response.classes.tolist())
    if ax is None:
        _, (ax,) = new_figure()
    scores = response.scores.reshape(resolution, resolution, -1)
    if response.kind == "classes":
        # Between the points of the grid the boundary is not known; a line is likelier than stairs.
        scores = gaussian_filter(scores, (_SMOOTH, _SMOOTH, 0), mode="nearest")
    fine = _interpolate(axes, scores)
    _draw_regions(ax, fine, scores.shape[2], response.kind == "probabilities")
    _draw_lines(ax, fine, scores)
    _draw_points(ax, points.X, codes, names)
    dress(ax)
    ax.grid(False)
    ax.set_xlim(axes[0][0], axes[0][-1])
    ax.set_ylim(axes[1][0], axes[1][-1])
    ax.set_xlabel(points.names[0], color=INK)
    ax.set_ylabel(points.names[1], color=INK)
    if legend:
        _name(ax, len(points.X))
    return ax


def _along(values: np.ndarray, resolution: int) -> np.ndarray:
    """The grid's coordinates along one axis."""
    low, high = float(values.min()), float(values.max())
    margin = _MARGIN * (high - low) or 0.5 * abs(low) or 0.5
    return np.linspace(low - margin, high + margin, resolution)


def _like(X: Any, grid: np.ndarray) -> Any:
    """The grid as a data frame, where the observations are one: classifiers know columns by name."""
    return type(X)(grid, columns=X.columns) if hasattr(X, "iloc") else grid


class _Fine(NamedTuple):
    """Scores between the points of the grid."""

    axes: list[np.ndarray]  # coordinates
    winner: np.ndarray  # the class of the greatest score, as all of shape: (rows, columns)
    best: np.ndarray  # that score
    second: np.ndarray  # the one after it


def _interpolate(axes: list[np.ndarray], scores: np.ndarray) -> _Fine:
    """Find the winner everywhere.

    Parameters
    ----------
    axes : list of two ndarrays of shape (resolution,)
    scores : ndarray of shape (resolution, resolution, n_classes)
        Rows along the second axis.
    """
    fine = [np.linspace(v[0], v[-1], _FINER * (len(v) - 1) + 1) for v in axes]
    best = np.full((len(fine[1]), len(fine[0])), -np.inf)
    second, winner = best.copy(), np.zeros(best.shape, np.intp)
    # Class by class: all of them at once would take gigabytes where there are many.
    for k in range(scores.shape[2]):
        values = _finer(scores[:, :, k])
        better = values > best
        second = np.where(better, best, np.maximum(second, values))
        best = np.where(better, values, best)
        winner[better] = k
    return _Fine(fine, winner, best, second)


def _finer(values: np.ndarray) -> np.ndarray:
    """Interpolated in straight lines along each axis."""
    from scipy.ndimage import zoom

    n = len(values)
    return zoom(values.astype(np.float64), (_FINER * (n - 1) + 1) / n, order=1)


def _draw_regions(ax: Axes, fine: _Fine, n_classes: int, probabilities: bool) -> None:
    """Colours of the winners, the deeper the more probable they are."""
    from matplotlib.colors import to_rgb

    shade = np.full(fine.best.shape, _FLAT)
    if probabilities:
        # The deepest shade is of 0.9 and more; the palest of what is most probable by chance.
        first, last = int(_STEPS / n_classes), _STEPS - 1
        step = np.clip(np.floor(_STEPS * fine.best), first, last)
        shade = _PALE + (_DEEP - _PALE) * (step - first) / max(last - first, 1)
    # White, and so much of the colour.
    colours = np.array([to_rgb(_colour(k)) for k in range(n_classes)])
    image = 1 - shade[..., None] * (1 - colours[fine.winner])
    # Pixels stand around the points.
    (left, right), (bottom, top) = (
        (v[0] - (v[1] - v[0]) / 2, v[-1] + (v[1] - v[0]) / 2) for v in fine.axes
    )
    ax.imshow(
        image,
        origin="lower",
        extent=(left, right, bottom, top),
        aspect="auto",
        interpolation="nearest",
        zorder=0,
    )


def _draw_lines(ax: Axes, fine: _Fine, scores: np.ndarray) -> None:
    """Where two classes have the greatest score."""
    drawn = False
    for k in range(1, scores.shape[2]):
        # Above 0 where class k is the winner.
        lead = _finer(scores[:, :, k]) - np.where(fine.winner == k, fine.second, fine.best)
        if lead.min() < 0 < lead.max():
            ax.contour(*fine.axes, lead, levels=[0.0], colors=[INK], linewidths=1.6, zorder=2)
            drawn = True
    if drawn:
        ax.plot([], [], color=INK, linewidth=1.6, label=_BOUNDARY)


def _colour(k: int) -> str:
    return CLASS_COLOURS[k % len(CLASS_COLOURS)]


def _draw_points(ax: Axes, X: np.ndarray, codes: np.ndarray, names: list[str]) -> None:
    """The observations, class by class; also those that none is of, for the legend."""
    size = _point_size(len(X))
    for k, name in enumerate(names):
        ax.scatter(
            X[codes == k, 0],
            X[codes == k, 1],
            s=size,
            color=_colour(k),
            # After ten classes the colours come again, with other marks.
            marker=CLASS_MARKS[(k + k // len(CLASS_COLOURS)) % len(CLASS_MARKS)],
            edgecolors="white",
            linewidths=0.4,
            label=name,
            zorder=3,
        )


def _point_size(n: int) -> float:
    """In square points: large for few observations, never too small to tell marks apart."""
    return float(np.clip(_POINT_INK / n, 16, 60))


def _name(ax: Axes, n: int) -> None:
    """A legend beside the panel, where the figure makes room for it, else inside."""
    handles, labels = ax.get_legend_handles_labels()
    if _BOUNDARY in labels:  # behind the classes
        place = labels.index(_BOUNDARY)
        handles.append(handles.pop(place))
        labels.append(labels.pop(place))
    figure = ax.get_figure()
    style: dict[str, Any] = {"framealpha": 0.85, "edgecolor": "none"}
    if figure is not None and figure.get_layout_engine() is not None:
        style = {"frameon": False, "loc": "upper left", "bbox_to_anchor": (1.0, 1.0)}
    ax.legend(handles, labels, markerscale=float(np.sqrt(_LEGEND_SIZE / _point_size(n))), **style)
