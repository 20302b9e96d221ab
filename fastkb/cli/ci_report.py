"""What ``fastkb ci`` tells of an interval: the statistic in words, a summary, JSON, a picture."""

from __future__ import annotations

import argparse
import json
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastkb.cli.reading.table import Columns
from fastkb.cli.terminal import (
    dropped,
)
from fastkb.plot import INK, draw_distribution, frame, new_figure, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fastkb.bootstrap.bootstrap_result import BootstrapResult


class Interval(NamedTuple):
    """What was computed, and of what."""

    result: BootstrapResult
    groups: tuple[str, str] | None = None  # of --by
    look: str | None = None  # what the user should know of the interval


def describe(
    columns: Columns,
    options: argparse.Namespace,
    groups: tuple[str, str] | None = None,
    *,
    words: bool = False,
) -> str:
    """The statistic and its columns, such as "mean of bmi".

    Parameters
    ----------
    columns : Columns
        One column, or the two that are paired; and labels.
    options : argparse.Namespace
        Of the command line; `statistic`, `quantile` and `compare` are read.
    groups : tuple of str, optional
        The groups that are compared.
    words : bool, default False
        Columns by their meaning, where it is known, and not by their name.
    """
    name = name_of(options)
    names = [
        columns.meaning(column) if words else column
        for column in columns.names
        if column not in columns.levels
    ]
    if groups is not None:
        how = options.compare or "difference"
        between = "minus" if how == "difference" else "over"
        return f"{how} of the {name} of {names[0]}, {groups[0]} {between} {groups[1]}"
    if len(names) == 1:
        return f"{name} of {names[0]}"
    between = _BETWEEN[options.statistic]
    return f"{name} of {names[0]} {between} {names[1]}"


def name_of(options: argparse.Namespace) -> str:
    """The statistic's name in words."""
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
    columns: Columns, interval: Interval, options: argparse.Namespace
) -> list[tuple[str, str]]:
    """The interval in a few lines: a word and a sentence each."""
    used = f"{len(columns.values)} rows used, {dropped(columns.n_dropped)}"
    lines = [
        ("data", f"{columns.source}: {used}"),
        *columns.notes,
        ("statistic", describe(columns, options, interval.groups)),
    ]
    if interval.groups is not None:
        counts = _counts(columns, interval.groups, options)
        lines.append(("groups", ", ".join(f"{name}: {n} rows" for name, n in counts.items())))
    drawn = _drawn(columns, interval, options)
    if drawn is not None:
        lines.append(("drawn", drawn))
    for line in interval.result.summary().splitlines():
        name, _, text = line.partition("  ")  # the names hold single blanks only
        lines.append((name, text.strip()))
    if interval.look is not None:
        lines.append(("look", interval.look))
    return lines


def _counts(
    columns: Columns, groups: tuple[str, str], options: argparse.Namespace
) -> dict[str, int]:
    codes, known = columns.column(options.by), columns.levels[options.by]
    return {name: int(np.count_nonzero(codes == known.index(name))) for name in groups}


def _drawn(columns: Columns, interval: Interval, options: argparse.Namespace) -> str | None:
    """How resamples were drawn, where not row by row."""
    if options.blocks is not None:
        chosen = " (chosen from the data)" if options.blocks == "auto" else ""
        return (
            f"in blocks of {interval.result.scheme.length} neighbouring rows{chosen}, on a circle"
        )
    for name, how in (("clusters", "by whole clusters"), ("strata", "within strata")):
        column = getattr(options, name)
        if column is not None:
            n = len(np.unique(columns.column(column)))
            return f"{how}, {n} of them in {column}"
    return None


def as_json(columns: Columns, interval: Interval, options: argparse.Namespace) -> str:
    """The summary for programs; what is not finite is null."""
    result = interval.result
    low, high = (float(end) for end in result.confidence_interval)
    distribution = result.bootstrap_distribution
    with np.errstate(invalid="ignore"):
        bias = float(distribution.mean() - result.observed)
    found: dict[str, Any] = {
        "data": columns.source,
        "rows": len(columns.values),
        "dropped": columns.n_dropped,
        "statistic": describe(columns, options, interval.groups),
        "observed": float(result.observed),
        "bias": bias,
        "standard_error": float(result.standard_error),
        "low": low,
        "high": high,
        "level": options.level,
        "method": result.method,
        "alternative": options.alternative,
        "resamples": len(distribution),
        "seed": options.seed,
        "drawn": _drawn(columns, interval, options),
        "notes": [f"{name}: {text}" for name, text in columns.notes],
        "look": interval.look,
    }
    if interval.groups is not None:
        found["groups"] = _counts(columns, interval.groups, options)
    finite = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in found.items()
    }
    return json.dumps(finite, indent=1, ensure_ascii=False, allow_nan=False)


def draw(columns: Columns, interval: Interval, options: argparse.Namespace) -> Figure:
    """The picture of the distribution, under a title that names the statistic."""
    result, groups = interval.result, interval.groups
    figure, axes = new_figure(size=options.size)
    low, high = (float(end) for end in result.confidence_interval)
    draw_distribution(
        axes[0],
        result.bootstrap_distribution,
        low,
        high,
        observed=float(result.observed),
        level=options.level,
    )
    name = describe(columns, options, groups) if options.xlabel is None else options.xlabel
    axes[0].set_xlabel(plain(name, 64), color=INK, fontsize=11)
    counts = "resamples" if options.ylabel is None else options.ylabel
    axes[0].set_ylabel(plain(counts, 46), color=INK, fontsize=11)
    words = describe(columns, options, groups, words=True)
    method = "BCa" if result.method == "bca" else result.method
    caption = (
        f"The {name_of(options)} in each of {options.resamples:,} bootstrap resamples of "
        f"{len(columns.values):,} rows"
    )
    if math.isnan(low):
        caption += f". There is no {method} interval"
    else:
        caption += f", and the {100 * options.level:g}% {method} interval"
    title = words[:1].upper() + words[1:] if options.title is None else options.title
    frame(
        figure,
        axes,
        title=title.replace("$", r"\$"),
        caption=f"{caption}.",
        grow=options.size is None,
    )
    return figure
