"""``fastkb ci``: from a column of a table to the bootstrap confidence interval of a statistic."""

from __future__ import annotations

import argparse
import csv
import functools
import math
import time
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from fastkb.bootstrap import confidence
from fastkb.bootstrap.evaluate.statistics import NAMED
from fastkb.cli.ci_report import Interval, as_json, describe, draw, name_of, summary
from fastkb.cli.errors import CommandError
from fastkb.cli.outputs import check_picture, reserved, write_picture
from fastkb.cli.reading.table import Columns, Wanted, deviation, read_columns, reading_of
from fastkb.cli.terminal import (
    Line,
    Report,
    aligned,
    compilation,
    compiling,
    warned,
)
from fastkb.resample import schemes

if TYPE_CHECKING:
    pass


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
        interval = _bootstrap(columns, groups, options, line)
        line.say("drawing")
        for output in outputs:
            write_picture(output, draw(columns, interval, options), options.dpi)
    asides = warned(caught)
    if options.json:
        return Report(as_json(columns, interval, options), asides)
    if options.quiet:
        low, high = interval.result.confidence_interval
        looks = [] if interval.look is None else [("look", interval.look)]
        return Report(f"{float(low):.6g} {float(high):.6g}", [*asides, *columns.notes, *looks])
    lines = summary(columns, interval, options)
    total = time.perf_counter() - start
    lines.append(("time", f"{total:.2f} s{compiling(sum(compiled))}"))
    if options.out is not None:
        lines.append(("written", f"{options.out} (picture)"))
    return Report(aligned(lines), asides)


def _check_columns(options: argparse.Namespace) -> None:
    """Refuse other numbers of columns than the statistic takes."""
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
) -> Interval:
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
    # Values that are not finite are told below and in the summary, and not by a warning of NumPy's.
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
            raise CommandError(f"no resample has a finite {name_of(options)}")
        if np.isnan(result.confidence_interval).any():
            if not finite.all():
                look = (
                    f"no interval: {np.count_nonzero(~finite):,} resamples have no finite "
                    f"{name_of(options)}"
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
    return Interval(result, groups, look)


def _compared(statistic: Any, how: str) -> Any:
    """The difference or the ratio of a statistic in two samples."""
    if statistic == "mean":  # it has a compiled form
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
