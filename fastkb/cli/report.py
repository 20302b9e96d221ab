"""What ``fastkb band`` reports: the picture, the table and the summary."""

from __future__ import annotations

import argparse
import csv
import io
from typing import IO, TYPE_CHECKING, NamedTuple

import numpy as np

from fastkb.cli.errors import CommandError
from fastkb.cli.reading.numerals import date_of
from fastkb.cli.reading.table import Table
from fastkb.cli.terminal import compiling, dropped
from fastkb.plot import (
    INK,
    date_ticks,
    draw_band,
    frame,
    log_ticks,
    new_figure,
    number_ticks,
    plain,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from fastkb.bands.result import BandResult

CURVES = ("center", "mean", "low", "high")


class Choice(NamedTuple):
    """The regression's parameters, and how each was chosen."""

    sigma: float | None  # in standard deviations of the inputs; None for kernels without a width
    alpha: float
    sigma_how: str
    alpha_how: str
    n_judged: int | None  # rows on which kernels of high rank were judged; None: all


class Band(NamedTuple):
    """The band in the units of the table, panel after panel."""

    x: np.ndarray  # shape: (d * grid, d)
    center: np.ndarray  # shape: (d * grid,), as the next three
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    near: np.ndarray  # whether observations are near


class Seconds(NamedTuple):
    """Wall-clock time of the parts of the job."""

    loading: float  # libraries and the table
    computing: float
    total: float
    compiling: float  # part of the others; 0 once the compiled code is on disk


class Labels(NamedTuple):
    """The words of the picture."""

    title: str
    x: list[str]  # of each panel
    y: str


def labels_of(table: Table, options: argparse.Namespace) -> Labels:
    """The words that the options give, or the command's own.

    Raises
    ------
    CommandError
        If there are not as many labels as panels.
    """
    target = table.meaning(table.y_name)
    if target != table.y_name:  # words, not the name of a column, may take a capital
        target = target[:1].upper() + target[1:]
    title = f"{target} against {_enumerate([table.meaning(name) for name in table.x_names])}"
    x = [table.label(name) for name in table.x_names]
    if options.xlabel is not None:
        x = [options.xlabel]
        if len(table.x_names) > 1:
            x = [
                label.strip()
                for label in next(csv.reader([options.xlabel], skipinitialspace=True), [])
            ]
        if len(x) != len(table.x_names):
            raise CommandError(
                f"--xlabel: expected {len(table.x_names)} labels with commas between them, one for each "
                f"panel, got {len(x)}"
            )
    return Labels(
        title if options.title is None else options.title,
        x,
        table.label(table.y_name) if options.ylabel is None else options.ylabel,
    )


def draw(
    table: Table,
    band: Band,
    label: str,
    labels: Labels,
    options: argparse.Namespace,
    *,
    chosen: bool = True,
) -> Figure:
    """The picture: one panel for each input column.

    Parameters
    ----------
    table : Table
    band : Band
    label : str
        The band's in the legend.
    labels : Labels
    options : argparse.Namespace
    chosen : bool, default True
        Whether width or penalty was chosen from the data.
    """
    d = len(table.x_names)
    figure, axes = new_figure(d, size=options.size)
    for j, ax in enumerate(axes):
        part = slice(j * options.grid, (j + 1) * options.grid)
        if options.log_x:
            ax.set_xscale("log")
        if options.log_y:
            ax.set_yscale("log")
        draw_band(
            ax,
            band.x[part, j],
            band.center[part],
            band.low[part],
            band.high[part],
            label=label,
            points=None if options.no_points else (table.X[:, j], table.y),
            points_label=f"{len(table.y):,} observations",
            rug=table.X[:, j],
            near=band.near[part],
        )
        ax.set_xlabel(plain(labels.x[j], 64 if d == 1 else 32), color=INK, fontsize=11)
        place = ax.get_subplotspec()
        if place is not None and place.is_first_col():
            ax.set_ylabel(plain(labels.y, 46), color=INK, fontsize=11)
    _finish_axes(axes, table, options, figure.get_figwidth())
    caption = meaning(options, options.resamples, chosen)
    if options.log_y:
        caption += f" The logarithm of {table.y_name} was fitted: the curve is a geometric mean."
    if d > 1:
        caption += " In each panel the other inputs are held at their medians."
    if not band.near.all():
        caption += " Dashed where no observation is near."
    if _goes_beyond(axes, band):
        caption += " The band goes beyond the picture."
    frame(
        figure,
        axes,
        title=labels.title.replace("$", r"\$"),
        caption=caption.replace("$", r"\$"),
        grow=options.size is None,
    )
    return figure


def _finish_axes(
    axes: list[Axes], table: Table, options: argparse.Namespace, inches: float
) -> None:
    """Limits and tick labels."""
    values = two_values(table.y)
    limits = [ax.get_ylim() for ax in axes]
    bottom, top = min(low for low, _ in limits), max(high for _, high in limits)
    if values is not None and not options.log_y:
        margin = 0.06 * (values[1] - values[0])
        bottom, top = values[0] - margin, values[1] + margin
    columns = {2: 2, 4: 2}.get(len(axes), min(len(axes), 3))
    for j, ax in enumerate(axes):
        ax.set_ylim(bottom, top)
        if options.log_y:
            log_ticks(ax.yaxis)
        else:
            number_ticks(ax.yaxis, whole=_whole(table.y))
        if table.are_dates[j]:
            date_ticks(ax, few=len(axes) > 1)
        elif options.log_x:
            log_ticks(ax.xaxis)
        else:
            room = 0.85 * inches / columns
            number_ticks(ax.xaxis, whole=_whole(table.X[:, j]), inches=room)


def _whole(values: np.ndarray) -> bool:
    return bool((values == np.floor(values)).all())


def _goes_beyond(axes: list[Axes], band: Band) -> bool:
    bottom, top = axes[0].get_ylim()
    return bool((band.low < bottom).any() or (band.high > top).any())


def meaning(options: argparse.Namespace, n_resamples: int, chosen: bool = True) -> str:
    """What the band says, in a sentence or two."""
    counts = "Noise and the bias of smoothing count"
    if chosen:
        counts = "Noise, the bias of smoothing and the choice of width and penalty count"
    level = f"{100 * options.level:g}%"
    return {
        "percentile": (
            f"At each point the band holds the middle {level} of the curves fitted to {n_resamples:,} "
            "bootstrap resamples. It says how much the fit would move, and does not count the bias of "
            "smoothing: it holds the true curve less often."
        ),
        "confidence": (
            f"The band is made to hold the true curve with {level} probability at three quarters of the "
            f"curve or more. {counts} ({n_resamples:,} bootstrap replicates)."
        ),
        "simultaneous": (
            f"The band is made to hold the whole true curve, at all points at once, with {level} "
            f"probability. {counts} ({n_resamples:,} bootstrap replicates)."
        ),
        "prediction": (
            f"The band is made to hold {level} of new observations, on average over the inputs "
            "(jackknife+)."
        ),
    }[options.kind]


def two_values(y: np.ndarray) -> tuple[float, float] | None:
    """The values of a target that has two of them, the smaller first."""
    low, high = float(y.min()), float(y.max())
    return (low, high) if bool(((y == low) | (y == high)).all()) else None


def _enumerate(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def write_csv(file: IO[bytes], table: Table, band: Band) -> None:
    """The band as a table: inputs in their own units (dates as text), then center, mean, low and high."""
    d = len(table.x_names)
    # An input called "mean" must not share its name with the curve.
    header = [f"{name} (x)" if name in (*CURVES, "panel") else name for name in table.x_names]
    panels = np.repeat(np.arange(d), len(band.x) // d)
    lines = [[*(["panel"] if d > 1 else []), *header, *CURVES]]
    for panel, x, *values in zip(panels, band.x, *band[1:5], strict=True):
        name = [table.x_names[panel]] if d > 1 else []
        inputs = [
            date_of(float(v)) if is_date else repr(float(v))
            for v, is_date in zip(x, table.are_dates, strict=True)
        ]
        lines.append([*name, *inputs, *(repr(float(v)) for v in values)])
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(lines)
    file.write(text.getvalue().encode())


def summary(
    table: Table,
    choice: Choice,
    result: BandResult,
    seconds: Seconds,
    options: argparse.Namespace,
) -> list[tuple[str, str]]:
    """The job in a few lines: a word and a sentence each."""
    inputs = ", ".join(table.x_names)
    of = "logarithms of the inputs" if options.log_x else "inputs"
    lines = [
        ("data", f"{table.source}: {len(table.y)} rows used, {dropped(table.n_dropped)}"),
        *table.notes,
        ("model", f"kernel ridge regression of {table.y_name} on {inputs}, with an intercept"),
        ("units", f"{of} standardised (mean 0, standard deviation 1)"),
    ]
    values = two_values(table.y)
    if options.log_y:
        lines.append(
            ("target", f"its logarithm is fitted: the curve is a geometric mean of {table.y_name}")
        )
    elif values is not None:
        lines.append(("target", _of_two_values(table.y_name, *values)))
    if choice.sigma is None:
        lines.append(("kernel", options.kernel))
    else:
        width = f"sigma = {choice.sigma:.4g} standard deviations"
        lines.append(("kernel", f"{options.kernel}, {width} ({choice.sigma_how})"))
    lines.append(("lambda", f"{choice.alpha:.4g} ({choice.alpha_how})"))
    if choice.n_judged is not None:
        lines.append(
            (
                "choice",
                f"on all rows; kernels of high rank were judged on {choice.n_judged:,} rows drawn at "
                "random",
            )
        )
    lines += [("look", text) for text in _edges(choice)]
    chosen = result.choice is not None
    lines.append(("band", f"{options.kind}. {meaning(options, options.resamples, chosen)}"))
    solver = result.solver
    if result.rank is not None and "rank" not in result.reason:
        solver += f", rank {result.rank}"
    lines += [
        ("solver", f"{solver}: {result.reason}"),
        (
            "time",
            f"{seconds.total:.2f} s: {seconds.loading:.2f} s to load and read, "
            f"{seconds.computing:.2f} s to choose, fit and bootstrap{compiling(seconds.compiling)}",
        ),
        ("written", f"{options.out} (picture), {options.csv} (table)"),
    ]
    return lines


def _of_two_values(name: str, low: float, high: float) -> str:
    """What a curve through a target of two values is."""
    share = f"the share of rows with {name} = {high:g}"
    if (low, high) != (0.0, 1.0):
        share = f"{low:g} and {high - low:g} times {share}"
    return (
        f"{name} has two values, {low:g} and {high:g}: the curve is {share}, by least squares, and may "
        "leave their range. For a band of probabilities give fastkb.bootstrap_band a classifier, such "
        "as fastkb.MLPClassifier"
    )


def _edges(choice: Choice) -> list[str]:
    """What a choice at the edge of its candidates means."""
    found = []
    if "the smallest of them" in choice.alpha_how:
        found.append(
            "the data ask for hardly any penalty: give a larger --alpha, such as "
            f"{1e4 * choice.alpha:g}, if the curve swings"
        )
    if "the largest of them" in choice.alpha_how:
        found.append("the data ask for the largest penalty: the curve is nearly a constant")
    if "the smallest of them" in choice.sigma_how:
        found.append(
            "the data ask for the narrowest kernel: the curve may follow single points; give a larger "
            "--sigma for a smoother one"
        )
    if "the largest of them" in choice.sigma_how:
        found.append(
            "the data ask for the widest kernel: the curve is nearly a polynomial of low degree"
        )
    return found
