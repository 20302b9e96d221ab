"""What ``fastkb band`` reports: the picture, the table and the summary."""

from __future__ import annotations

import argparse
import csv
import io
import textwrap
from typing import IO, TYPE_CHECKING, NamedTuple

import numpy as np

from fastkb.cli.table import Table
from fastkb.cli.terminal import compiling, dropped
from fastkb.plot import INK, draw_band, frame, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fastkb.bootstrap.result import BandResult

CURVES = ("center", "mean", "low", "high")


class Choice(NamedTuple):
    """The regression's parameters, and how each was chosen."""

    sigma: float | None  # in standard deviations of the inputs; None for kernels without a width
    alpha: float
    sigma_how: str
    alpha_how: str


class Band(NamedTuple):
    """The band in the units of the table, panel after panel."""

    x: np.ndarray  # shape: (d * grid, d)
    center: np.ndarray  # shape: (d * grid,), as the next three
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


class Seconds(NamedTuple):
    """Wall-clock time of the parts of the job."""

    choosing: float  # loading libraries and reading the table included
    replicates: float
    total: float
    compiling: float  # part of the others; 0 once the compiled code is on disk


def draw(table: Table, band: Band, options: argparse.Namespace) -> Figure:
    """The picture: one panel for each input column."""
    d = len(table.x_names)
    figure, axes = new_figure(d)
    for j, ax in enumerate(axes):
        part = slice(j * options.grid, (j + 1) * options.grid)
        draw_band(
            ax,
            band.x[part, j],
            band.center[part],
            band.low[part],
            band.high[part],
            level=options.level,
            points=(table.X[:, j], table.y),
            points_label=f"{len(table.y):,} observations",
        )
        label = plain(table.label(table.x_names[j]), 64 if d == 1 else 32)
        ax.set_xlabel(label, color=INK, fontsize=11)
        place = ax.get_subplotspec()
        if place is not None and place.is_first_col():
            ax.set_ylabel(plain(table.label(table.y_name), 46), color=INK, fontsize=11)
    inputs = [table.meaning(name) for name in table.x_names]
    target = table.meaning(table.y_name)
    if target != table.y_name:  # words, not the name of a column, may take a capital
        target = target[:1].upper() + target[1:]
    held = "" if d == 1 else " In each panel the other inputs are held at their medians."
    caption = (
        f"At each point the band holds the middle {100 * options.level:g}% of the curves fitted to "
        f"{options.resamples:,} bootstrap resamples.{held}"
    )
    title = f"{target} explained by {_enumerate(inputs)}"
    frame(figure, axes, title=title.replace("$", r"\$"), caption=caption)
    return figure


def plain(label: str, width: int) -> str:
    """A column's name on lines of its own, and no formula where it has two dollar signs."""
    return textwrap.fill(label, width).replace("$", r"\$")


def _enumerate(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def write_csv(file: IO[bytes], table: Table, band: Band) -> None:
    """The band as a table: inputs in their own units, then center, mean, low and high."""
    d = len(table.x_names)
    # An input called "mean" must not share its name with the curve.
    header = [f"{name} (x)" if name in (*CURVES, "panel") else name for name in table.x_names]
    panels = np.repeat(np.arange(d), len(band.x) // d)
    lines = [[*(["panel"] if d > 1 else []), *header, *CURVES]]
    for panel, x, *values in zip(panels, band.x, *band[1:], strict=True):
        name = [table.x_names[panel]] if d > 1 else []
        lines.append([*name, *(repr(float(v)) for v in (*x, *values))])
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
    lines = [
        ("data", f"{table.source}: {len(table.y)} rows used, {dropped(table.n_dropped)}"),
        ("model", f"kernel ridge regression of {table.y_name} on {', '.join(table.x_names)}"),
        (
            "units",
            "inputs standardised (mean 0, standard deviation 1), mean of the target subtracted",
        ),
    ]
    if choice.sigma is None:
        lines.append(("kernel", options.kernel))
    else:
        width = f"sigma = {choice.sigma:.4g} standard deviations"
        lines.append(("kernel", f"{options.kernel}, {width} ({choice.sigma_how})"))
    lines.append(("lambda", f"{choice.alpha:.4g} ({choice.alpha_how})"))
    if "the smallest of them" in choice.alpha_how:
        advice = f"give a larger --alpha, such as {1e4 * choice.alpha:g}, if the curve swings"
        lines.append(("look", f"the data ask for hardly any penalty: {advice}"))
    solver = result.solver
    if result.rank is not None and "rank" not in result.reason:
        solver += f", rank {result.rank}"
    rate = options.resamples / seconds.replicates
    lines += [
        ("solver", f"{solver}: {result.reason}"),
        (
            "time",
            f"{seconds.total:.2f} s: {seconds.choosing:.2f} s to load, read and choose, "
            f"{seconds.replicates:.2f} s for {options.resamples:,} replicates "
            f"({rate:,.0f} a second){compiling(seconds.compiling)}",
        ),
        ("written", f"{options.out} (picture), {options.csv} (table)"),
    ]
    return lines
