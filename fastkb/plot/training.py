"""Training: the losses of each epoch, and what else was recorded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastkb.plot.checks import check_curve, check_curves, is_ensemble, is_network
from fastkb.plot.style import (
    BAND,
    CURVE,
    INK,
    POINTS,
    SECOND,
    dress,
    new_figure,
    require_matplotlib,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# As points of observations: a hundred lines must be seen, a thousand not become a wall.
_LINE_INK = 20.0
_RATE = "learning rate"


class Curves(NamedTuple):
    """What was recorded, epoch by epoch."""

    loss: np.ndarray  # shape: (epochs,)
    validation_loss: np.ndarray | None = None
    members: np.ndarray | None = None  # shape: (epochs, members)
    # On an axis of its own: what it is, and its values.
    beside: tuple[str, np.ndarray] | None = None


def history(source: Any, ax: Axes | None = None) -> Axes:
    """Draw how training went: the loss after each epoch.

    Parameters
    ----------
    source : Sequential, Ensemble, MLPClassifier, MLPRegressor or dict
        What was trained, or a network's history: ``loss``, and where there are any ``validation_loss``
        and ``learning_rate``. Estimators are fastkb's or scikit-learn's. Of an ensemble every member is
        a thin line, and their median a thick one.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on; ``ax.set_yscale("log")`` suits losses that fall by powers of ten. Validation
        scores, or learning rates if they change, have an axis of their own on the right.

    Raises
    ------
    ImportError
        Without matplotlib; the message says how to install it.
    TypeError
        For anything else.
    ValueError
        If there has been no training, or if what was recorded does not fit together: a network that was
        trained both with and without validation has no losses for some epochs. Of estimators, ``lbfgs``
        records nothing.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import nn, plot
    >>> x = np.linspace(-1.0, 1.0, 50)[:, None]
    >>> net = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1), rng=0)
    >>> net = net.fit(x, x[:, 0] ** 2, epochs=20, validation_data=(x, x[:, 0] ** 2))
    >>> ax = plot.history(net)
    >>> [line.get_label() for line in ax.get_lines()]
    ['training loss', 'validation loss']
    """
    require_matplotlib()
    from matplotlib.ticker import MaxNLocator

    curves = _read(source)
    if ax is None:
        _, (ax,) = new_figure()
    epochs = np.arange(1, len(curves.loss) + 1)
    # A line of one epoch would not be seen.
    style: dict[str, Any] = {"linewidth": 2.2, "marker": "o" if len(epochs) == 1 else None}
    if curves.members is None:
        ax.plot(epochs, curves.loss, color=CURVE, label="training loss", zorder=3, **style)
    else:
        _draw_members(ax, epochs, curves.members)
        ax.plot(epochs, curves.loss, color=CURVE, label="median", zorder=3, **style)
    if curves.validation_loss is not None:
        ax.plot(
            epochs, curves.validation_loss, color=SECOND, label="validation loss", zorder=3, **style
        )
    dress(ax)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("epoch", color=INK)
    ax.set_ylabel("loss", color=INK)
    ax.margins(x=0.02)
    if curves.beside is None:
        ax.legend(frameon=False)
    else:
        _draw_beside(ax, epochs, *curves.beside, style)
    return ax


def _draw_members(ax: Axes, epochs: np.ndarray, members: np.ndarray) -> None:
    from matplotlib.collections import LineCollection

    count = members.shape[1]
    lines = LineCollection(
        [np.column_stack([epochs, member]) for member in members.T],
        colors=BAND,
        linewidths=0.8,
        alpha=float(np.clip(_LINE_INK / count, 0.08, 0.6)),
        label=f"{count:,} members" if count > 1 else "1 member",
        zorder=2,
    )
    ax.add_collection(lines)


def _draw_beside(
    ax: Axes, epochs: np.ndarray, name: str, values: np.ndarray, style: dict[str, Any]
) -> None:
    """Another measure, on an axis on the right, in the colour of its line."""
    right = ax.twinx()
    colour = SECOND
    if name == _RATE:  # explains the losses, and must not hide them
        colour = POINTS
        style = {**style, "linewidth": 1.4, "linestyle": (0, (4, 2))}
    right.plot(epochs, values, color=colour, label=name, **style)
    dress(right)
    right.grid(False)
    right.spines["right"].set_visible(True)
    right.spines["right"].set_color("#b5bac2")
    right.spines["left"].set_visible(False)
    right.set_ylabel(name, color=colour)
    # Above the panel: no corner is free of both axes' lines.
    handles, labels = ax.get_legend_handles_labels()
    more = right.get_legend_handles_labels()
    ax.legend(
        handles + more[0],
        labels + more[1],
        loc="lower left",
        bbox_to_anchor=(0, 1),
        borderaxespad=0.2,
        ncols=3,
        frameon=False,
    )


def _read(source: Any) -> Curves:
    """The curves of a network, an ensemble, a perceptron or a mapping."""
    if isinstance(source, type):
        raise TypeError(f"source must be trained, got the class {source.__name__}")
    if isinstance(source, Mapping):
        return _of_history(source, "source")
    if is_network(source):
        return _of_history(source.history, "history")
    if is_ensemble(source):
        members = np.asarray(source.history)
        rates = check_curve("learning_rate", source.network.history["learning_rate"])
        return Curves(np.median(members, axis=1), members=members, beside=_changing(rates))
    if hasattr(source, "loss_curve_") or hasattr(source, "hidden_layer_sizes"):
        return _of_estimator(source)
    raise TypeError(
        "source must be a Sequential, an Ensemble, an MLPClassifier, an MLPRegressor or a history, "
        f"got {type(source).__name__}"
    )


def _of_history(recorded: Mapping[str, Any], name: str) -> Curves:
    curves = check_curves(recorded, name)
    rates = curves.get("learning_rate")
    return Curves(
        curves["loss"],
        curves.get("validation_loss"),
        beside=None if rates is None else _changing(rates),
    )


def _changing(rates: np.ndarray) -> tuple[str, np.ndarray] | None:
    """Learning rates that differ: those of a schedule."""
    return (_RATE, rates) if np.ptp(rates) > 0 else None


def _of_estimator(estimator: Any) -> Curves:
    from sklearn.utils.validation import check_is_fitted

    check_is_fitted(estimator)
    if not hasattr(estimator, "loss_curve_"):
        raise ValueError(
            f"source has no loss_curve_: the solver {estimator.solver!r} records no losses"
        )
    loss = check_curve("loss_curve_", estimator.loss_curve_)
    scores = getattr(estimator, "validation_scores_", None)
    if scores is None:
        return Curves(loss)
    score = "accuracy" if hasattr(estimator, "classes_") else "R²"
    return Curves(loss, beside=(f"validation {score}", check_curve("validation_scores_", scores)))
