"""What a command says while it works and when it has finished."""

from __future__ import annotations

import argparse
import contextlib
import sys
import warnings
from collections.abc import Iterator, Sequence


def watched(options: argparse.Namespace) -> bool:
    """Whether somebody is looking at the progress."""
    return not options.quiet and sys.stderr.isatty()


@contextlib.contextmanager
def status(text: str, options: argparse.Namespace) -> Iterator[None]:
    """Show `text` while the body runs, if somebody is looking."""
    shown = watched(options)
    if shown:
        print(f"{text} ...", end="\r", file=sys.stderr, flush=True)
    try:
        yield
    finally:
        if shown:
            print(" " * (len(text) + 4), end="\r", file=sys.stderr, flush=True)


def tell(lines: Sequence[tuple[str, str]], caught: Sequence[warnings.WarningMessage] = ()) -> None:
    """Print the summary, a word and a sentence on each line, and the warnings once each."""
    told = [" ".join(str(w.message).split()) for w in caught]
    lines = [*lines, *(("warning", message) for message in dict.fromkeys(told))]
    width = max(9, *(len(name) for name, _ in lines))
    for name, text in lines:
        print(f"{name:<{width}}  {text}")


def dropped(n_dropped: int) -> str:
    """How many rows were left out, in words."""
    return f"{n_dropped} dropped for missing values" if n_dropped else "none dropped"


def compiling(seconds: float) -> str:
    """The part of the time that a later run saves; nothing where there is hardly any."""
    if seconds <= 0.05:
        return ""
    return f"; {seconds:.2f} s of it compiling, for this and all later runs"
