"""What all pictures share: colours, figures, axes, titles.

matplotlib is imported inside the functions only, and only its object interface is used when a
figure must be made: the caller's backend and current figure are left alone.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

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
    n_panels: int = 1,
    *,
    width: float = 8.0,
    sharey: bool = True,
    size: tuple[float, float] | None = None,
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
    size : tuple of float, optional
        Width and height of the whole figure in inches, in place of `width`.

    Returns
    -------
    figure : matplotlib.figure.Figure
    axes : list of matplotlib.axes.Axes
        One for each panel.

    Examples
    --------
    >>> from fastkb.plot import new_figure
    >>> figure, axes = new_figure(5)
    >>> len(axes)
    5
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    n_columns = min(n_panels, 2 if n_panels in (2, 4) else 3)
    n_rows = -(-n_panels // n_columns)
    if size is not None:
        pass
    elif n_panels == 1:
        size = (width, 0.66 * width)
    else:
        size = (0.5 * width * n_columns, 0.45 * width * n_rows + 0.6)
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(n_rows, n_columns, sharey=sharey, squeeze=False).ravel()
    for unused in grid[n_panels:]:
        unused.remove()
    return figure, list(grid[:n_panels])


def plain(label: str, width: int = 64) -> str:
    r"""A label on lines of so many characters, and no formula where it has two dollar signs.

    Parameters
    ----------
    label : str
    width : int, default 64
        Characters of a line at most.

    Returns
    -------
    str

    Examples
    --------
    >>> from fastkb.plot import plain
    >>> print(plain("price in $ of 1990", 12))
    price in \$
    of 1990
    """
    return textwrap.fill(label, width).replace("$", r"\$")


def dress(ax: Axes) -> None:
    """Thin axes and a grid that stay behind the data.

    Parameters
    ----------
    ax : matplotlib.axes.Axes

    Examples
    --------
    >>> from fastkb.plot import dress, new_figure
    >>> figure, (ax,) = new_figure()
    >>> dress(ax)
    >>> bool(ax.spines["top"].get_visible())
    False
    """
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("bottom", "left"):
        ax.spines[side].set_color("#b5bac2")
    ax.tick_params(colors=INK, labelsize=9.5, length=3, color="#b5bac2")
    ax.grid(axis="y", color="#e7e9ed", linewidth=0.8, zorder=0)
    ax.set_axisbelow(True)


def frame(figure: Figure, axes: list[Axes], *, title: str, caption: str, grow: bool = True) -> None:
    """Put a title and the legend above the panels, and a caption below them.

    They get strips of their own, measured in inches: inside the panels some data set would have
    its points wherever the legend stood.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Of :func:`fastkb.plot.new_figure`.
    axes : list of matplotlib.axes.Axes
        Its panels; the legend is that of the first.
    title, caption : str
    grow : bool, default True
        Whether the figure becomes as much higher as the strips are.

    Examples
    --------
    >>> from fastkb.plot import frame, new_figure
    >>> figure, axes = new_figure()
    >>> _ = axes[0].plot([0, 1], [0, 1], label="a line")
    >>> before = figure.get_figheight()
    >>> frame(figure, axes, title="A line", caption="It rises.")
    >>> bool(figure.get_figheight() > before)
    True
    """
    from matplotlib.collections import PathCollection
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    width, height = figure.get_size_inches()
    title = textwrap.fill(title, max(10, int(8.8 * width)))
    caption = textwrap.fill(caption, max(20, int(14.5 * width)))
    title_height = 0.12 + 0.24 * (title.count("\n") + 1) if title else 0.05
    handles, labels = axes[0].get_legend_handles_labels()
    n_columns = _columns_of_legend(labels, width)
    header = title_height + 0.1 + 0.22 * -(-len(labels) // n_columns)
    footer = 0.1 + 0.17 * (caption.count("\n") + 1) if caption else 0.05
    if grow:
        height += header + footer
        figure.set_size_inches(width, height)
    header, footer = (min(strip, 0.4 * height) for strip in (header, footer))
    margin = 0.12 / width
    engine = figure.get_layout_engine()
    assert isinstance(engine, ConstrainedLayoutEngine)
    engine.set(rect=(0, footer / height, 1 - margin / 2, 1 - (header + footer) / height))
    figure.text(
        margin, 1 - 0.1 / height, title, va="top", fontsize=13, fontweight="bold", color=INK
    )
    legend = figure.legend(
        handles,
        labels,
        loc="upper left",
        bbox_to_anchor=(margin, 1 - title_height / height),
        borderaxespad=0,
        borderpad=0.2,
        ncols=n_columns,
        frameon=False,
        fontsize=10,
        labelcolor=INK,
    )
    legend.set_in_layout(False)
    # A mark that is faint among thousands of its kind is seen here by itself.
    for handle in legend.legend_handles:
        if isinstance(handle, PathCollection):
            handle.set(alpha=0.8, sizes=[22])
    figure.text(margin, 0.08 / height, caption, va="bottom", fontsize=9, color=CAPTION)


def _columns_of_legend(labels: list[str], width: float) -> int:
    """How many entries stand beside each other in a legend of a figure of so many inches."""
    widths = [0.65 + 0.078 * len(label) for label in labels]
    if sum(widths) <= width:
        return max(1, len(labels))
    return max(1, int(width / max(widths)))


def save(figure: Figure, file: Any, suffix: str, *, dpi: float = 150) -> None:
    """Write a figure as a journal and an editor want it, and the same bytes each time.

    Text stays text: in SVG it can be searched and edited, and PDF holds its fonts as TrueType, where
    Type 3, matplotlib's default, is refused by many journals.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    file : file opened for writing bytes
    suffix : {"png", "pdf", "svg"}
    dpi : float, default 150
        Dots per inch of PNG.

    Examples
    --------
    >>> import io
    >>> from fastkb.plot import new_figure, save
    >>> figure, axes = new_figure()
    >>> file = io.BytesIO()
    >>> save(figure, file, "pdf")
    >>> file.getvalue()[:4]
    b'%PDF'
    """
    import matplotlib

    as_text: dict[Any, Any] = {"pdf.fonttype": 42, "svg.fonttype": "none", "svg.hashsalt": "fastkb"}
    # No dates: two pictures of one seed are equal.
    metadata = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(suffix, {})
    with matplotlib.rc_context(as_text):
        figure.savefig(file, format=suffix, dpi=dpi, metadata=metadata)
