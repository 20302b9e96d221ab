"""The command line of the benchmarks: ``report``, ``table``, ``accuracy``, ``gpu`` and so on."""

from __future__ import annotations

import argparse
import sys


def build_parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="print the names of all works and their rivals")
    report = commands.add_parser("report", help="run works and print the table")
    report.add_argument("--quick", action="store_true", help="few rows: to see that it runs")
    report.add_argument(
        "--only", nargs="+", default=[], metavar="NAME", help="works by name, prefix or pattern"
    )
    report.add_argument(
        "--save",
        action="store_true",
        help="keep the figures of this processor in bench/results/, row by row",
    )
    report.add_argument(
        "--grid", action="store_true", help="also rbf_kernel of all sizes against scikit-learn"
    )
    report.add_argument(
        "--startup", action="store_true", help="also import times, first calls and first fits"
    )
    report.add_argument(
        "--threads", type=int, default=0, help="threads of everybody (default: all cores)"
    )
    commands.add_parser(
        "table", help="write the tables of README.md and docs/benchmarks.md from what is kept"
    )
    accuracy = commands.add_parser(
        "accuracy", help="test accuracies of MLPClassifier() beside scikit-learn's"
    )
    accuracy.add_argument("--seeds", type=int, default=20, help="splits (default: 20)")
    accuracy.add_argument(
        "--save", action="store_true", help="write every accuracy to bench/results/"
    )
    device = commands.add_parser("gpu", help="rows of a GPU, checked and timed")
    device.add_argument("--minutes", type=float, default=6.0, help="at most (default: 6)")
    device.add_argument(
        "--save", action="store_true", help="keep rows in bench/results/ as they come"
    )
    device.add_argument(
        "--predict", action="store_true", help="print predictions, and what is kept; needs no GPU"
    )
    stress = commands.add_parser("stress", help="many processes at once on a cold cache")
    stress.add_argument("--processes", type=int, default=8, help="at once (default: 8)")
    stress.add_argument("--rounds", type=int, default=20, help="cold caches (default: 20)")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the exit status."""
    options = vars(build_parser().parse_args(arguments))
    command = options.pop("command")
    if command == "stress":
        from bench.stress import stress

        return 1 if stress(**options) else 0
    if command == "gpu":
        from bench.gpu import gpu
        from fastkb.runtime.cuda import CudaUnavailableError

        try:
            return gpu(**options)
        except CudaUnavailableError as error:
            print(f"python -m bench: {error}", file=sys.stderr)
            return 2
    if command == "list":
        from bench.registry import works

        for work in works():
            print(f"{work.name:24} {work.title}   vs {', '.join(work.rivals)}")
        return 0

    try:
        if command == "accuracy":
            from bench.accuracy import accuracy

            return accuracy(**options)
        from bench.report import Options, report, write_pages

        if command == "table":
            return write_pages()
        return report(Options(**options))
    except ValueError as error:
        print(f"python -m bench: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
