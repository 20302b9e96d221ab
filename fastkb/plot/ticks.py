"""Tick labels that can be read: whole numbers where values are whole, no offsets, no overlap."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

# Inches of a character of a tick label, and of the room between two labels.
_CHARACTER, _BETWEEN = 0.085, 0.2
_MOST, _FEWEST = 8, 2


def number_ticks(axis: Axis, *, whole: bool = False, inches: float | None = None) -> None:
    """Plain numbers on a linear axis whose limits are set.

    Parameters
    ----------
    axis : matplotlib.axis.Axis
    whole : bool, default False
        Whether its values are whole numbers, of which there are no halves.
    inches : float, optional
        The length of a horizontal axis: so few labels are then taken that they stand apart.

    Examples
    --------
    >>> from fastkb.plot import new_figure, number_ticks
    >>> figure, (ax,) = new_figure()
    >>> _ = ax.plot([0, 3], [0, 1])
    >>> number_ticks(ax.xaxis, whole=True)
    >>> all(float(tick).is_integer() for tick in ax.get_xticks())
    True
    """
    from matplotlib.ticker import MaxNLocator, ScalarFormatter

    low, high = sorted(axis.get_view_interval())
    formatter = ScalarFormatter(useOffset=False)
    axis.set_major_formatter(formatter)
    for most in range(_MOST, _FEWEST - 1, -1):
        locator = MaxNLocator(nbins=most, integer=whole, steps=[1, 2, 2.5, 5, 10])
        axis.set_major_locator(locator)
        if inches is None:
            return
        places = np.asarray(locator.tick_values(low, high))
        inside = places[(places >= low) & (places <= high)]
        labels = formatter.format_ticks(inside.tolist())
        room = _BETWEEN + _CHARACTER * max(map(len, labels), default=0)
        if room * len(labels) <= inches:
            return


def log_ticks(axis: Axis) -> None:
    """Plain numbers on a logarithmic axis, also between powers of ten where there are few.

    Parameters
    ----------
    axis : matplotlib.axis.Axis

    Examples
    --------
    >>> from fastkb.plot import log_ticks, new_figure
    >>> figure, (ax,) = new_figure()
    >>> _ = ax.loglog([1, 100], [1, 100])
    >>> log_ticks(ax.xaxis)
    >>> ax.xaxis.get_major_formatter()(30.0, 0)
    '30'
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

    low, high = axis.get_view_interval()
    decades = np.log10(high / low)
    # Three decades are three, whichever way the logarithm is rounded.
    subs = (1.0,) if decades > 3 - 1e-9 else (1.0, 3.0) if decades > 1.5 else (1.0, 2.0, 5.0)
    if decades < 0.5:  # so short an axis is nearly linear
        number_ticks(axis)
    else:
        axis.set_major_locator(LogLocator(subs=subs, numticks=12))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.12g}"))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def date_ticks(ax: Axes, *, few: bool = False) -> None:
    """Say the numbers of the x axis, which are days since 1970, as dates.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    few : bool, default False
        Whether the axis is short.

    Examples
    --------
    >>> from fastkb.plot import date_ticks, new_figure
    >>> figure, (ax,) = new_figure()
    >>> _ = ax.plot([7305, 7670], [0, 1])
    >>> date_ticks(ax)
    >>> [label.get_text() for label in ax.get_xticklabels()][:2]
    ['1990', 'Mar']
    """
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=3, maxticks=5 if few else 8)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))
