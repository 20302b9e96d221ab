"""Pictures: confidence bands, bootstrap distributions, training, what classifiers decide.

Every function draws on the axes that it is given, or on a new figure with a canvas of its own, and
returns the axes; ``ax.figure.savefig("picture.png")`` saves the picture. It stands on matplotlib, and on
every room but the command line, which draws by it.

================ ================================================================================
`band.py`         :func:`plot_band`: a curve, the band around it, the observations
`distribution.py` :func:`plot_distribution`: a histogram and an interval
`training.py`     :func:`history`: the losses of each epoch
`boundary.py`     :func:`decision_boundary`: the regions of a classifier in the plane
`responses.py`    what classifiers of any make say at points of the plane
`style.py`        colours, figures, axes, titles
`ticks.py`        tick labels
`checks.py`       curves of training and classified points
================ ================================================================================

Begin with `band.py`.
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
    dress,
    frame,
    new_figure,
    plain,
    save,
)
from fastkb.plot.ticks import date_ticks, log_ticks, number_ticks
from fastkb.plot.training import history

__all__ = [
    "BAND",
    "CAPTION",
    "CURVE",
    "INK",
    "OUTSIDE",
    "POINTS",
    "date_ticks",
    "decision_boundary",
    "draw_band",
    "draw_distribution",
    "dress",
    "frame",
    "history",
    "log_ticks",
    "new_figure",
    "number_ticks",
    "plain",
    "plot_band",
    "plot_distribution",
    "save",
]
