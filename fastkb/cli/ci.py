"""``fastkb ci``: from a column of a table to the bootstrap confidence interval of a statistic."""

from __future__ import annotations

import argparse
import functools
import math
import time
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from numba.core.event import install_timer

from fastkb.bootstrap import confidence
from fastkb.bootstrap.statistics import NAMED
from fastkb.cli import CommandError
from fastkb.cli.outputs import check_picture, reserved, write_picture
from fastkb.cli.report import plain
from fastkb.cli.table import Columns, Wanted, deviation, read_columns, reading_of
from fastkb.cli.terminal import compiling, dropped, status, tell
from fastkb.plot import INK, draw_distribution, frame, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fastkb.bootstrap.bootstrap_result import BootstrapResult


def run(options: argparse.Namespace) -> None:
    """Do the whole job that the command line describes."""
    _check_columns(options)
    files = []
    if options.out is not None:
        check_picture("--out", options.out)
        files = [("--out", options.out)]
    compiled: list[float] = []
    with (
        reserved(files, options.data) as outputs,
        warnings.catch_warnings(record=True) as caught,
        install_timer("numba:compile", compiled.append),
    ):
        # The summary says in its own words what to do where there is no interval.
        warnings.filterwarnings("ignore", message="The BCa confidence interval cannot")
        start = time.perf_counter()
        columns = read_columns(options.data, _wanted(options), reading_of(options))
        for name, values in zip(columns.names, columns.values.T, strict=True):
            deviation(name, values)
        with status(f"{options.resamples:,} resamples", options):
            result = _bootstrap(columns, options)
        for output in outputs:
            write_picture(output, draw(columns, result, options))
    if not options.quiet:
        lines = summary(columns, result, options)
        total = time.perf_counter() - start
        lines.append(("time", f"{total:.2f} s{compiling(sum(compiled))}"))
        if options.out is not None:
            lines.append(("written", f"{options.out} (picture)"))
        tell(lines, caught)


def _check_columns(options: argparse.Namespace) -> None:
    """As many columns as the statistic takes."""
    if options.quantile is not None:
        name, n_columns = "a quantile", 1
    else:
        name, n_columns = options.statistic, NAMED[options.statistic].n_samples
    if n_columns == 2 and options.paired is None:
        raise CommandError(f"--statistic {name} takes two columns: name the other with --paired")
    if n_columns == 1 and options.paired is not None:
        pairs = ", ".join(other for other, known in NAMED.items() if known.n_samples == 2)
        raise CommandError(f"--paired: {name} takes one column ({pairs} take two)")


def _wanted(options: argparse.Namespace) -> list[Wanted]:
    wanted = [Wanted("--column", options.column, "bmi")]
    if options.paired is not None:
        wanted.append(Wanted("--paired", options.paired, ""))
    return wanted


def _bootstrap(columns: Columns, options: argparse.Namespace) -> BootstrapResult:
    statistic: Any = options.statistic
    if options.quantile is not None:
        statistic = functools.partial(np.quantile, q=options.quantile)
    # What is not finite is told below and in the summary, and not by a warning of NumPy's.
    with np.errstate(divide="ignore", invalid="ignore"):
        result = confidence.bootstrap(
            tuple(np.ascontiguousarray(columns.values.T)),
            statistic,
            n_resamples=options.resamples,
            paired=options.paired is not None,
            confidence_level=options.level,
            method=options.method,
            rng=options.seed,
        )
    # A ratio whose denominator is 0, for one.
    if not math.isfinite(result.observed):
        raise CommandError(f"the {describe(columns, options)} is {result.observed:g}")
    if not np.isfinite(result.bootstrap_distribution).any():
        raise CommandError(f"no resample has a finite {_name(options)}")
    return result


def describe(columns: Columns, options: argparse.Namespace, *, words: bool = False) -> str:
    """The statistic and its columns, such as "mean of bmi".

    Parameters
    ----------
    columns : Columns
        One column, or the two that are paired.
    options : argparse.Namespace
        Of the command line; `statistic` and `quantile` are read.
    words : bool, default False
        Columns by their meaning, where it is known, and not by their name.
    """
    name = _name(options)
    names = [columns.meaning(column) if words else column for column in columns.names]
    if len(names) == 1:
        return f"{name} of {names[0]}"
    between = _BETWEEN[options.statistic]
    return f"{name} of {names[0]} {between} {names[1]}"


def _name(options: argparse.Namespace) -> str:
    if options.quantile is not None:
        return f"{options.quantile:g}-quantile"
    return _WORDS.get(options.statistic, options.statistic)


# Statistics whose names for programs are no words.
_WORDS = {
    "std": "standard deviation",
    "var": "variance",
    "min": "minimum",
    "max": "maximum",
    "ptp": "range",
    "trimmed_mean": "trimmed mean",
    "pearson": "Pearson correlation",
    "spearman": "Spearman correlation",
    "mean_difference": "difference of the means",
    "mean_ratio": "ratio of the means",
}
# What stands between the names of two columns; the order matters to a difference and to a ratio.
_BETWEEN = {
    "pearson": "and",
    "spearman": "and",
    "mean_difference": "minus",
    "mean_ratio": "over",
}


def summary(
    columns: Columns, result: BootstrapResult, options: argparse.Namespace
) -> list[tuple[str, str]]:
    """The job in a few lines: a word and a sentence each."""
    used = f"{len(columns.values)} rows used, {dropped(columns.n_dropped)}"
    lines = [
        ("data", f"{columns.source}: {used}"),
        *columns.notes,
        ("statistic", describe(columns, options)),
    ]
    for line in result.summary().splitlines():
        name, _, text = line.partition("  ")  # the names hold single blanks only
        lines.append((name, text.strip()))
    if np.isnan(result.confidence_interval).any():
        n_undefined = np.count_nonzero(~np.isfinite(result.bootstrap_distribution))
        advice = "no BCa interval exists here: try --method percentile"
        if n_undefined:
            advice = f"no interval: {n_undefined:,} resamples have no finite {_name(options)}"
        lines.append(("look", advice))
    return lines


def draw(columns: Columns, result: BootstrapResult, options: argparse.Namespace) -> Figure:
    """The picture of the distribution, under a title that names the statistic."""
    figure, axes = new_figure()
    low, high = (float(end) for end in result.confidence_interval)
    draw_distribution(
        axes[0],
        result.bootstrap_distribution,
        low,
        high,
        observed=float(result.observed),
        level=options.level,
    )
    axes[0].set_xlabel(plain(describe(columns, options), 64), color=INK, fontsize=11)
    axes[0].set_ylabel("resamples", color=INK, fontsize=11)
    words = describe(columns, options, words=True)
    method = "BCa" if options.method == "bca" else options.method
    caption = (
        f"The {_name(options)} in each of {options.resamples:,} bootstrap resamples of "
        f"{len(columns.values):,} rows"
    )
    if not math.isnan(low):
        caption += f", and the {100 * options.level:g}% {method} interval"
    title = (words[:1].upper() + words[1:]).replace("$", r"\$")
    frame(figure, axes, title=title, caption=f"{caption}.")
    return figure
