"""Pictures: confidence bands, bootstrap distributions, training, what classifiers decide.

Every function draws on the axes that it is given, or on a new figure with a canvas of its own, and
returns the axes; ``ax.figure.savefig("picture.png")`` saves the picture.
"""

from fastkb.plot.band import draw_band, plot_band
from fastkb.plot.boundary import decision_boundary
from fastkb.plot.distribution import draw_distribution, plot_distribution
from fastkb.plot.style import (
    BAND,
    CAPTION,
    CURVE,
    INK,
    OUTSIDE,
    POINTS,
    as_dates,
    dress,
    frame,
    new_figure,
)
from fastkb.plot.training import history

__all__ = [
    "BAND",
    "CAPTION",
    "CURVE",
    "INK",
    "OUTSIDE",
    "POINTS",
    "as_dates",
    "decision_boundary",
    "draw_band",
    "draw_distribution",
    "dress",
    "frame",
    "history",
    "new_figure",
    "plot_band",
    "plot_distribution",
]
