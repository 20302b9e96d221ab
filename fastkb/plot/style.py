"""What all pictures share: colours, figures, axes, titles.

matplotlib is imported inside the functions only, and only its object interface is used when a
figure must be made: the caller's backend and current figure are left alone.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POINTS = "#7d838d"
CURVE = "#1f4e8c"
BAND = "#6ea3dd"
INK = "#30343b"
CAPTION = "#6b717b"
OUTSIDE = "#cfd4dc"
SECOND = "#c4622d"

# A colour and a mark for each class: either alone tells neighbours apart.
CLASS_COLOURS = (
    CURVE,
    SECOND,
    "#2f8a57",
    "#8b4aa0",
    "#b8901f",
    "#2b9bb0",
    "#b02f4a",
    "#6b717b",
    "#7a4f2c",
    "#d9709f",
)
CLASS_MARKS = "osD^vP<X>*"


def require_matplotlib() -> None:
    """The one error where matplotlib is not installed."""
    try:
        import matplotlib as _matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError("plots need matplotlib: pip install 'fastkb[plot]'") from error


def new_figure(
    n_panels: int = 1, *, width: float = 8.0, sharey: bool = True
) -> tuple[Figure, list[Axes]]:
    """A figure with `n_panels` panels in rows of at most three.

    It has a canvas of its own, so that saving it needs no display and no backend.

    Parameters
    ----------
    n_panels : int, default 1
    width : float, default 8.0
        Of one panel, or of two beside each other, in inches.
    sharey : bool, default True
        Whether the panels have one vertical axis.
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
    grid = figure.subplots(n_rows, n_columns, sharey=sharey, squeeze=False).ravel()
    for unused in grid[n_panels:]:
        unused.remove()
    return figure, list(grid[:n_panels])


def dress(ax: Axes) -> None:
    """Thin axes and a grid that stay behind the data."""
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("bottom", "left"):
        ax.spines[side].set_color("#b5bac2")
    ax.tick_params(colors=INK, labelsize=9.5, length=3, color="#b5bac2")
    ax.grid(axis="y", color="#e7e9ed", linewidth=0.8, zorder=0)
    ax.set_axisbelow(True)


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


def as_dates(ax: Axes) -> None:
    """Say the numbers of the x axis, which are days since 1970, as dates."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator()
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))
