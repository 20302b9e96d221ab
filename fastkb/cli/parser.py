"""The options of every command, and the checks of their numbers."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import Any, NoReturn

from fastkb._version import __version__
from fastkb.cli.errors import CommandError
from fastkb.cli.terminal import Line, watched

KERNELS = ("rbf", "laplacian", "polynomial", "linear")
# Those of fastkb.bootstrap, which need not be loaded for "fastkb --help".
ONE_COLUMN = ("mean", "sum", "std", "var", "median", "min", "max", "ptp", "trimmed_mean")
TWO_COLUMNS = ("pearson", "spearman", "mean_difference", "mean_ratio")
METHODS = ("bca", "percentile", "basic", "studentized", "cheap")
KINDS = ("confidence", "simultaneous", "prediction", "percentile")

_BAND = """\
Fit kernel ridge regression with an intercept to a column of a table, and draw the fitted curve
with a band, by the bootstrap. --kind says what the band holds:

  confidence    the true curve, with the given probability at three quarters of the curve or more
  simultaneous  the whole true curve, at all points at once
  prediction    new observations
  percentile    the middle of the curves that are refitted to resamples of the rows

Rows with a missing value in a chosen column are dropped and counted. The inputs are
standardised (mean 0, standard deviation 1): --sigma is in these units. Without --sigma or
--alpha, they are chosen by restricted likelihood; for confidence and simultaneous bands again in
every replicate of the bootstrap. With several input columns there is one panel for each, the
others held at their medians.
"""

_BAND_EXAMPLES = """\
examples:
  the diabetes data that scikit-learn ships, bmi against target:
    fastkb band
  the same data, two input columns:
    fastkb band --x bmi,bp
  your own table, which is any file with a header:
    fastkb band houses.csv --x area --y price --level 0.95 --out houses.pdf --csv houses-band.csv
"""

_CI = """\
Compute a statistic of a column of a table, and its confidence interval from many bootstrap
resamples of the rows: the numbers of scipy.stats.bootstrap with the same seed.

Rows with a missing value in a chosen column are dropped and counted. Statistics of two columns
(pearson, spearman, mean_difference, mean_ratio) take the other column from --paired; rows are
drawn whole, so that the pairs stay together. --by compares two groups of rows, each resampled by
itself. Rows that are not independent are drawn in blocks of neighbours (--blocks), by whole
clusters (--clusters) or within strata (--strata).
"""

_CI_EXAMPLES = """\
examples:
  the diabetes data that scikit-learn ships, the mean of bmi:
    fastkb ci
  the correlation of two of its columns, with a picture:
    fastkb ci --column bmi --paired target --statistic pearson --out ci.png
  your own table, which is any file with a header:
    fastkb ci houses.csv --column price --quantile 0.9 --level 0.99
  the ratio of the medians of two groups of a long table:
    fastkb ci trial.csv --column dose --statistic median --by arm --compare ratio
  the mean of a time series, in blocks of automatic length, for another program:
    fastkb ci river.csv --column flow --blocks auto --json
"""


class _Parser(argparse.ArgumentParser):
    """An argument parser that answers mistakes with one line instead of a page of usage."""

    def error(self, message: str) -> NoReturn:
        raise CommandError(f"{message} (see {self.prog} --help)")


def _number(what: str, convert: Callable[[str], Any], accept: Callable[[Any], bool]) -> Any:
    """A converter for argparse, whose error says what was expected and what was found."""

    def parse(text: str) -> Any:
        try:
            value = convert(text)
        except ValueError:
            value = None
        if value is None or not accept(value):
            raise argparse.ArgumentTypeError(f"expected {what}, got {text!r}")
        return value

    return parse


_positive = _number("a number above 0", float, lambda v: math.isfinite(v) and v > 0)
_whole_positive = _number("a whole number of at least 2", int, lambda v: v >= 2)
_at_most_32_bits = _number(f"a number below 2**32 ({2**32:,})", int, lambda v: v < 2**32)
_dots = _number("dots per inch, 30 to 2400", float, lambda v: 30 <= v <= 2400)
_seed = _number("a whole number of at least 0", int, lambda v: v >= 0)


def _resamples(text: str) -> int:
    return min(_whole_positive(text), _at_most_32_bits(text))


def _block_length(text: str) -> int | str:
    if text == "auto":
        return text
    return int(_number("auto or a whole number of at least 1", int, lambda v: v >= 1)(text))


def _inches(text: str) -> tuple[float, float]:
    """Width and height, as in "6x4"."""
    sides = _number("a width and a height in inches, such as 6x4", _two_numbers, _is_size)(text)
    return sides[0], sides[1]


def _two_numbers(text: str) -> tuple[float, float]:
    width, height = text.lower().split("x")
    return float(width), float(height)


def _is_size(sides: tuple[float, float]) -> bool:
    return all(2.0 <= side <= 100.0 for side in sides)


def _fraction(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if 0 < value < 1:
        return value
    hint = f" (did you mean {value / 100:g}?)" if 1 < value < 100 else ""
    raise argparse.ArgumentTypeError(f"expected a number between 0 and 1, got {text!r}{hint}")


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; each command sets ``run`` to its function."""
    parser = _Parser(
        prog="fastkb",
        description="Fast kernel methods, bootstrap bands and bootstrap confidence intervals.",
        epilog="Start with 'fastkb band' or 'fastkb ci': they need no data of yours.",
    )
    parser.add_argument("--version", action="version", version=f"fastkb {__version__}")
    parser.set_defaults(run=lambda options: parser.print_help())
    commands = parser.add_subparsers(title="commands", metavar="{band,ci,info,warmup}")
    _add_band(commands)
    _add_ci(commands)
    info = commands.add_parser("info", help="what fastkb found on this machine")
    info.set_defaults(run=_run_info)
    warmup = commands.add_parser(
        "warmup",
        help="compile everything now, so that no later call waits for it",
        description="Call every public function once on a small job in float32 and float64: the "
        "compiled code is kept on disk ('fastkb info' says where) for all later processes.",
    )
    warmup.add_argument("--quiet", action="store_true", help="no progress and no summary")
    warmup.set_defaults(run=_run_warmup)
    return parser


def _add_band(commands: Any) -> None:
    band = commands.add_parser(
        "band",
        help="a confidence band around a kernel regression of your data",
        description=_BAND,
        epilog=_BAND_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_data(band)
    band.add_argument("--x", metavar="COL[,COL...]", help="the input column or columns")
    band.add_argument("--y", metavar="COL", help="the column to explain")
    band.add_argument("--kernel", choices=KERNELS, default="rbf", help="default: %(default)s")
    band.add_argument(
        "--sigma",
        type=_positive,
        metavar="S",
        help="width of the rbf or laplacian kernel, in standard deviations of the inputs "
        "(default: chosen by restricted likelihood)",
    )
    band.add_argument(
        "--alpha",
        type=_positive,
        metavar="L",
        help="the penalty, lambda (default: chosen by restricted likelihood)",
    )
    band.add_argument(
        "--kind", choices=KINDS, default="confidence", help="of band, see above (%(default)s)"
    )
    _add_resampling(band, 1000)
    band.add_argument(
        "--level",
        type=_fraction,
        default=0.9,
        metavar="P",
        help="of the band (%(default)s)",
    )
    band.add_argument(
        "--grid",
        type=_whole_positive,
        default=200,
        metavar="N",
        help="points along each input where the band is computed (%(default)s)",
    )
    band.add_argument(
        "--out",
        default="band.png",
        metavar="FILE",
        help="the picture: png, pdf or svg (%(default)s)",
    )
    band.add_argument(
        "--csv", default="band.csv", metavar="FILE", help="the band as a table (%(default)s)"
    )
    picture = _add_picture(band)
    picture.add_argument(
        "--log-x", action="store_true", help="take the logarithms of the inputs, and such an axis"
    )
    picture.add_argument(
        "--log-y", action="store_true", help="take the logarithm of the target, and such an axis"
    )
    picture.add_argument("--no-points", action="store_true", help="leave the observations out")
    band.add_argument(
        "--quiet", action="store_true", help="no progress and no summary; warnings are said"
    )
    band.set_defaults(run=_run_band)


def _add_ci(commands: Any) -> None:
    ci = commands.add_parser(
        "ci",
        help="a bootstrap confidence interval of a statistic of your data",
        description=_CI,
        epilog=_CI_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_data(ci)
    ci.add_argument("--column", metavar="COL", help="the column (bmi of the diabetes data)")
    statistic = ci.add_mutually_exclusive_group()
    statistic.add_argument(
        "--statistic",
        choices=(*ONE_COLUMN, *TWO_COLUMNS),
        default="mean",
        metavar="NAME",
        help=f"of one column: {', '.join(ONE_COLUMN)}; of two: {', '.join(TWO_COLUMNS)} "
        "(%(default)s)",
    )
    statistic.add_argument(
        "--quantile", type=_fraction, metavar="Q", help="this quantile as the statistic"
    )
    ci.add_argument("--paired", metavar="COL", help="the second column of statistics of two")
    ci.add_argument("--by", metavar="COL", help="compare the two groups that this column names")
    ci.add_argument(
        "--groups", metavar="A,B", help="the groups of --by: A compared with B (default: both)"
    )
    ci.add_argument(
        "--compare",
        choices=("difference", "ratio"),
        help="of the statistic in the groups of --by (difference)",
    )
    ci.add_argument(
        "--level", type=_fraction, default=0.95, metavar="P", help="of the interval (%(default)s)"
    )
    ci.add_argument("--method", choices=METHODS, default="bca", help="default: %(default)s")
    ci.add_argument(
        "--alternative",
        choices=("two-sided", "less", "greater"),
        default="two-sided",
        help="one-sided intervals end at infinity on the other side (%(default)s)",
    )
    _add_resampling(ci, 9999)
    scheme = ci.add_mutually_exclusive_group()
    scheme.add_argument(
        "--blocks",
        type=_block_length,
        metavar="L",
        help="draw blocks of L neighbouring rows, of a series in order: a whole number, or auto",
    )
    scheme.add_argument(
        "--clusters", metavar="COL", help="draw whole clusters, which this column names"
    )
    scheme.add_argument(
        "--strata", metavar="COL", help="draw within the strata that this column names"
    )
    ci.add_argument("--out", metavar="FILE", help="a picture, too: png, pdf or svg (default: none)")
    _add_picture(ci)
    said = ci.add_mutually_exclusive_group()
    said.add_argument("--json", action="store_true", help="the summary for programs")
    said.add_argument(
        "--quiet", action="store_true", help="the ends of the interval alone, and warnings"
    )
    ci.set_defaults(run=_run_ci)


def _add_data(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "data",
        nargs="?",
        metavar="DATA",
        help="a table with a header: text (CSV and the like, compressed or not), Excel (.xlsx) or "
        "Parquet; '-' reads standard input (default: the diabetes data of scikit-learn)",
    )
    table = command.add_argument_group("the table", "What a file does not say for certain:")
    table.add_argument(
        "--sep", metavar="S", help="what separates columns: a character, tab or blank"
    )
    table.add_argument("--decimal", choices=(".", ","), help="the decimal sign")
    table.add_argument("--encoding", metavar="NAME", help="of text, such as latin-1")
    table.add_argument("--sheet", metavar="NAME", help="of an Excel file, by its name or number")
    table.add_argument(
        "--na",
        metavar="WORD[,WORD...]",
        default="",
        help="more words for a missing value (NA, NaN, null, ? and the like are known)",
    )


def _add_picture(command: argparse.ArgumentParser) -> Any:
    picture = command.add_argument_group("the picture")
    picture.add_argument("--title", metavar="TEXT", help="in place of the command's own")
    picture.add_argument("--xlabel", metavar="TEXT", help="of the horizontal axis")
    picture.add_argument("--ylabel", metavar="TEXT", help="of the vertical axis")
    picture.add_argument(
        "--size", type=_inches, metavar="WxH", help="of the whole picture, in inches"
    )
    picture.add_argument(
        "--dpi", type=_dots, default=150.0, metavar="N", help="dots per inch of PNG (150)"
    )
    return picture


def _add_resampling(command: argparse.ArgumentParser, resamples: int) -> None:
    command.add_argument(
        "--resamples", type=_resamples, default=resamples, metavar="B", help="default: %(default)s"
    )
    command.add_argument(
        "--seed", type=_seed, default=0, metavar="N", help="of the resamples (%(default)s)"
    )


# The commands load when run: 'fastkb --help' answers at once.
_LOADING = "loading"
# Seconds that a cold cache costs, on two machines of 2024 and 2025.
_COMPILES = {
    "band": " (first run only, 10 to 20 s in all)",
    "ci": " (first run only, 5 to 10 s in all)",
}


def _run_band(options: argparse.Namespace) -> None:
    with Line(watched(options), _LOADING, _COMPILES["band"]) as line:
        from fastkb.cli.band import run

        report = run(options, line)
    report.deliver()


def _run_ci(options: argparse.Namespace) -> None:
    with Line(watched(options), _LOADING, _COMPILES["ci"]) as line:
        from fastkb.cli.ci import run

        report = run(options, line)
    report.deliver()


def _run_info(options: argparse.Namespace) -> None:
    from fastkb.cli.info import describe

    facts = describe()
    width = max(map(len, facts))
    for name, value in facts.items():
        print(f"{name:<{width}}  {value}")


def _run_warmup(options: argparse.Namespace) -> None:
    with Line(watched(options), _LOADING) as line:
        from fastkb.cli.warmup import run

        report = run(options, line)
    report.deliver()
