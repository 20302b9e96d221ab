"""``fastkb ci``: from a column of a table to the bootstrap confidence interval of a statistic."""

from __future__ import annotations

import argparse
import csv
import functools
import json
import math
import time
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastkb.bootstrap import confidence
from fastkb.bootstrap.evaluate.statistics import NAMED
from fastkb.cli.errors import CommandError
from fastkb.cli.outputs import check_picture, reserved, write_picture
from fastkb.cli.table import Columns, Wanted, deviation, read_columns, reading_of
from fastkb.cli.terminal import (
    Line,
    Report,
    aligned,
    compilation,
    compiling,
    dropped,
    warned,
)
from fastkb.plot import INK, draw_distribution, frame, new_figure, plain
from fastkb.resample import schemes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fastkb.bootstrap.bootstrap_result import BootstrapResult


def run(options: argparse.Namespace, line: Line) -> Report:
    """Do the whole job that the command line describes, and tell `line` how far it is."""
    _check_columns(options)
    files = []
    if options.out is not None:
        check_picture("--out", options.out, options.size, options.dpi)
        files = [("--out", options.out)]
    with (
        reserved(files, options.data) as outputs,
        warnings.catch_warnings(record=True) as caught,
        compilation(line) as compiled,
    ):
        # The summary says in its own words what to do where there is no interval.
        warnings.filterwarnings("ignore", message="The BCa confidence interval cannot")
        start = time.perf_counter()
        line.say("reading")
        columns = read_columns(options.data, _wanted(options), reading_of(options))
        for name in columns.names:
            if name not in columns.levels:
                deviation(name, columns.column(name))
        groups = _groups(columns, options)
        line.say("resampling")
        job = _bootstrap(columns, groups, options, line)
        line.say("drawing")
        for output in outputs:
            write_picture(output, draw(columns, job, options), options.dpi)
    asides = warned(caught)
    if options.json:
        return Report(as_json(columns, job, options), asides)
    if options.quiet:
        low, high = job.result.confidence_interval
        looks = [] if job.look is None else [("look", job.look)]
        return Report(f"{float(low):.6g} {float(high):.6g}", [*asides, *columns.notes, *looks])
    lines = summary(columns, job, options)
    total = time.perf_counter() - start
    lines.append(("time", f"{total:.2f} s{compiling(sum(compiled))}"))
    if options.out is not None:
        lines.append(("written", f"{options.out} (picture)"))
    return Report(aligned(lines), asides)


class Job(NamedTuple):
    """What was computed, and of what."""

    result: BootstrapResult
    groups: tuple[str, str] | None = None  # of --by
    look: str | None = None  # what the user should know of the interval


def _check_columns(options: argparse.Namespace) -> None:
    """As many columns as the statistic takes."""
    if options.quantile is not None:
        name, n_columns = "a quantile", 1
    else:
        name, n_columns = options.statistic, NAMED[options.statistic].n_samples
    if n_columns == 2 and options.by is not None:
        raise CommandError(
            f"--statistic {name} takes two columns, and --by compares a statistic of one in two "
            "groups: give mean, median or another one, and --compare difference or ratio"
        )
    if n_columns == 2 and options.paired is None:
        raise CommandError(f"--statistic {name} takes two columns: name the other with --paired")
    if n_columns == 1 and options.paired is not None:
        pairs = ", ".join(other for other, known in NAMED.items() if known.n_samples == 2)
        raise CommandError(f"--paired: {name} takes one column ({pairs} take two)")
    for option in ("groups", "compare"):
        if getattr(options, option) is not None and options.by is None:
            raise CommandError(f"--{option} takes groups: name their column with --by")
    drawn = next((o for o in ("blocks", "clusters", "strata") if getattr(options, o)), None)
    if drawn is not None and options.by is not None:
        raise CommandError(
            f"--by draws within each of its groups, and --{drawn} does not go with it"
        )
    if drawn is not None and options.method == "studentized":
        raise CommandError(f"--method studentized draws row by row, and --{drawn} does not")


def _wanted(options: argparse.Namespace) -> list[Wanted]:
    wanted = [Wanted("--column", options.column, "bmi")]
    if options.paired is not None:
        wanted.append(Wanted("--paired", options.paired, ""))
    for option in ("by", "clusters", "strata"):
        if getattr(options, option) is not None:
            wanted.append(Wanted(f"--{option}", getattr(options, option), "", labels=True))
    return wanted


def _groups(columns: Columns, options: argparse.Namespace) -> tuple[str, str] | None:
    """The two groups of --by."""
    if options.by is None:
        return None
    known = columns.levels[options.by]
    found = [known[int(code)] for code in np.unique(columns.column(options.by))]
    chosen = found
    if options.groups is not None:
        chosen = [name.strip() for name in next(csv.reader([options.groups]))]
        for name in chosen:
            if name not in found:
                close = ", ".join(map(repr, found[:12]))
                raise CommandError(
                    f"--groups: column {options.by!r} has no {name!r}; it has {close}"
                )
    if len(chosen) != 2 or chosen[0] == chosen[1]:
        shown = ", ".join(map(repr, chosen[:6])) + (" and more" if len(chosen) > 6 else "")
        raise CommandError(
            f"--by {options.by}: expected two groups, got {len(chosen)} ({shown}): name two with "
            "--groups A,B"
        )
    first, second = chosen
    codes = columns.column(options.by)
    for name in chosen:
        n = int(np.count_nonzero(codes == known.index(name)))
        if n < 2:
            raise CommandError(f"--by {options.by}: group {name!r} has {n} row: two are needed")
    return first, second


def _bootstrap(
    columns: Columns, groups: tuple[str, str] | None, options: argparse.Namespace, line: Line
) -> Job:
    statistic: Any = options.statistic
    if options.quantile is not None:
        statistic = functools.partial(np.quantile, q=options.quantile)
    if groups is None:
        samples = [columns.column(name) for name in columns.names if name not in columns.levels]
    else:
        values, codes = columns.column(columns.names[0]), columns.column(options.by)
        places = [columns.levels[options.by].index(name) for name in groups]
        samples = [np.ascontiguousarray(values[codes == place]) for place in places]
        statistic = _compared(statistic, options.compare or "difference")
    how: dict[str, Any] = {
        "paired": options.paired is not None,
        "confidence_level": options.level,
        "alternative": options.alternative,
        "scheme": _scheme(columns, options),
    }
    look = None
    # What is not finite is told below and in the summary, and not by a warning of NumPy's.
    with np.errstate(divide="ignore", invalid="ignore"):
        try:
            result = confidence.bootstrap(
                tuple(samples),
                statistic,
                n_resamples=options.resamples,
                method=options.method,
                rng=options.seed,
                progress=line,
                **how,
            )
        except ValueError as error:  # a block length that does not fit, for one
            raise CommandError(str(error)) from None
        # A ratio whose denominator is 0, for one.
        if not math.isfinite(result.observed):
            raise CommandError(f"the {describe(columns, options, groups)} is {result.observed:g}")
        finite = np.isfinite(result.bootstrap_distribution)
        if not finite.any():
            raise CommandError(f"no resample has a finite {_name(options)}")
        if np.isnan(result.confidence_interval).any():
            if not finite.all():
                look = (
                    f"no interval: {np.count_nonzero(~finite):,} resamples have no finite "
                    f"{_name(options)}"
                )
            elif options.method == "bca":
                result = confidence.bootstrap(
                    tuple(samples),
                    statistic,
                    n_resamples=0,
                    method="percentile",
                    bootstrap_result=result,
                    **how,
                )
                look = (
                    "no BCa interval exists here, since too many resamples have the same value or the "
                    "statistic hardly changes without a row: this is the percentile interval"
                )
    if options.blocks is not None and columns.n_dropped:
        joined = (
            f"blocks of neighbouring rows are drawn, and {columns.n_dropped} rows with missing values "
            "are not there: what stood on either side of them counts as neighbours"
        )
        look = joined if look is None else f"{look}; {joined}"
    return Job(result, groups, look)


def _compared(statistic: Any, how: str) -> Any:
    """The difference or the ratio of a statistic in two samples."""
    if statistic == "mean":  # (compiled)
        return f"mean_{how}"
    one = _FUNCTIONS[statistic] if isinstance(statistic, str) else statistic
    combine = np.subtract if how == "difference" else np.divide

    def compared(x: np.ndarray, y: np.ndarray, axis: int) -> np.ndarray:
        return combine(one(x, axis=axis), one(y, axis=axis))

    return compared


def _trimmed_mean(x: np.ndarray, axis: int) -> Any:
    from scipy.stats import trim_mean

    return trim_mean(x, 0.1, axis=axis)


_FUNCTIONS: dict[str, Any] = {
    "sum": np.sum,
    "std": np.std,
    "var": np.var,
    "median": np.median,
    "min": np.min,
    "max": np.max,
    "ptp": np.ptp,
    "trimmed_mean": _trimmed_mean,
}


def _scheme(columns: Columns, options: argparse.Namespace) -> Any:
    """How rows are drawn, where not one by one."""
    if options.blocks is not None:
        return schemes.CircularBlocks(None if options.blocks == "auto" else options.blocks)
    for name, scheme in (("clusters", schemes.Clusters), ("strata", schemes.Stratified)):
        column = getattr(options, name)
        if column is not None:
            codes = columns.column(column).astype(np.int64)
            if name == "clusters" and len(np.unique(codes)) < 2:
                raise CommandError(f"--clusters {column}: expected two clusters at least, got one")
            return scheme(codes)
    return None


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
    name = _name(options)
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


def summary(columns: Columns, job: Job, options: argparse.Namespace) -> list[tuple[str, str]]:
    """The job in a few lines: a word and a sentence each."""
    used = f"{len(columns.values)} rows used, {dropped(columns.n_dropped)}"
    lines = [
        ("data", f"{columns.source}: {used}"),
        *columns.notes,
        ("statistic", describe(columns, options, job.groups)),
    ]
    if job.groups is not None:
        counts = _counts(columns, job.groups, options)
        lines.append(("groups", ", ".join(f"{name}: {n} rows" for name, n in counts.items())))
    drawn = _drawn(columns, job, options)
    if drawn is not None:
        lines.append(("drawn", drawn))
    for line in job.result.summary().splitlines():
        name, _, text = line.partition("  ")  # the names hold single blanks only
        lines.append((name, text.strip()))
    if job.look is not None:
        lines.append(("look", job.look))
    return lines


def _counts(
    columns: Columns, groups: tuple[str, str], options: argparse.Namespace
) -> dict[str, int]:
    codes, known = columns.column(options.by), columns.levels[options.by]
    return {name: int(np.count_nonzero(codes == known.index(name))) for name in groups}


def _drawn(columns: Columns, job: Job, options: argparse.Namespace) -> str | None:
    """How resamples were drawn, where not row by row."""
    if options.blocks is not None:
        chosen = " (chosen from the data)" if options.blocks == "auto" else ""
        return f"in blocks of {job.result.scheme.length} neighbouring rows{chosen}, on a circle"
    for name, how in (("clusters", "by whole clusters"), ("strata", "within strata")):
        column = getattr(options, name)
        if column is not None:
            n = len(np.unique(columns.column(column)))
            return f"{how}, {n} of them in {column}"
    return None


def as_json(columns: Columns, job: Job, options: argparse.Namespace) -> str:
    """The summary for programs; what is not finite is null."""
    result = job.result
    low, high = (float(end) for end in result.confidence_interval)
    distribution = result.bootstrap_distribution
    with np.errstate(invalid="ignore"):
        bias = float(distribution.mean() - result.observed)
    found: dict[str, Any] = {
        "data": columns.source,
        "rows": len(columns.values),
        "dropped": columns.n_dropped,
        "statistic": describe(columns, options, job.groups),
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
        "drawn": _drawn(columns, job, options),
        "notes": [f"{name}: {text}" for name, text in columns.notes],
        "look": job.look,
    }
    if job.groups is not None:
        found["groups"] = _counts(columns, job.groups, options)
    finite = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in found.items()
    }
    return json.dumps(finite, indent=1, ensure_ascii=False, allow_nan=False)


def draw(columns: Columns, job: Job, options: argparse.Namespace) -> Figure:
    """The picture of the distribution, under a title that names the statistic."""
    result, groups = job.result, job.groups
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
        f"The {_name(options)} in each of {options.resamples:,} bootstrap resamples of "
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
