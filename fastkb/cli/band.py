"""``fastkb band``: from a table to a picture of a regression with its bootstrap band."""

from __future__ import annotations

import argparse
import math
import sys
import time
import warnings
from typing import Any

import numpy as np

import fastkb
from fastkb.cli import CommandError, _plain
from fastkb.cli.outputs import Output, publish_all
from fastkb.cli.report import Band, Choice, Seconds, draw, summary, write_csv
from fastkb.cli.table import read_table

# How the width sigma enters each kernel that has one (DESIGN: the textbook's terms).
_GAMMA = {"rbf": lambda sigma: 0.5 / sigma**2, "laplacian": lambda sigma: 1.0 / sigma}
_SIGMA = {"rbf": lambda gamma: math.sqrt(0.5 / gamma), "laplacian": lambda gamma: 1.0 / gamma}

PICTURE_SUFFIXES = (".png", ".pdf", ".svg")


def run(options: argparse.Namespace) -> None:
    """Do the whole job that the command line describes."""
    _require_matplotlib()
    if options.sigma is not None and options.kernel not in _GAMMA:
        raise CommandError(
            f"--sigma: the {options.kernel} kernel has no width; only rbf and laplacian"
        )
    outputs = _reserve(options)
    try:
        with warnings.catch_warnings(record=True) as caught:
            start = time.perf_counter()
            table = read_table(options.data, options.x, options.y)
            center, scale = table.X.mean(axis=0), table.X.std(axis=0)
            offset = table.y.mean()
            X, y = (table.X - center) / scale, table.y - offset
            choice = choose(X, y, options)
            chosen = time.perf_counter()
            grid = evaluation_points(table.X, options.grid)
            result = _bootstrap(X, y, (grid - center) / scale, choice, options)
            fitted = time.perf_counter()
            band = Band(
                grid, *(v + offset for v in (result.center, result.mean, result.low, result.high))
            )
            figure = draw(table, band, options)
            suffix = options.out.rpartition(".")[2].lower()
            outputs[0].write(lambda file: figure.savefig(file, format=suffix, dpi=150))
            outputs[1].write(lambda file: write_csv(file, table, band))
        publish_all(outputs)
    finally:
        for output in outputs:
            output.discard()
    if not options.quiet:
        seconds = Seconds(chosen - start, fitted - chosen, time.perf_counter() - start)
        for name, text in summary(table, choice, result, seconds, options):
            print(f"{name:<9}  {text}")
        for message in dict.fromkeys(str(w.message) for w in caught):
            print(f"warning    {' '.join(message.split())}")


def _require_matplotlib() -> None:
    try:
        import matplotlib as _matplotlib  # noqa: F401
    except ImportError:
        raise CommandError("the picture needs matplotlib: pip install 'fastkb[cli]'") from None


def _reserve(options: argparse.Namespace) -> list[Output]:
    """Both outputs, found to be writable before any work."""
    if not options.out.lower().endswith(PICTURE_SUFFIXES):
        raise CommandError(
            f"--out {options.out}: expected a name ending in {', '.join(PICTURE_SUFFIXES)}"
        )
    outputs: list[Output] = []
    try:
        for option, path in (("--out", options.out), ("--csv", options.csv)):
            output = Output(option, path)
            outputs.append(output)
            if options.data not in (None, "-") and output.same_file(options.data):
                raise CommandError(f"{option} {path} would overwrite the data")
        if outputs[0].same_file(options.csv):
            raise CommandError(f"--out and --csv name the same file: {options.csv}")
    except BaseException:
        for output in outputs:
            output.discard()
        raise
    return outputs


def _public(name: str) -> Any:
    try:
        return getattr(fastkb, name)
    except ImportError:
        return getattr(_plain, name)


def choose(X: np.ndarray, y: np.ndarray, options: argparse.Namespace) -> Choice:
    """The given width and penalty, and by leave-one-out errors those that are not given.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Standardised inputs.
    y : ndarray of shape (n,)
        The target, centred.
    options : argparse.Namespace
        Of the command line; `kernel`, `sigma` and `alpha` are read.
    """
    has_width = options.kernel in _GAMMA
    if options.alpha is not None and (options.sigma is not None or not has_width):
        return Choice(options.sigma, options.alpha, "given", "given")
    search = _public("KernelRidgeCV")(
        alphas=None if options.alpha is None else [options.alpha],
        kernel=options.kernel,
        gammas=None if options.sigma is None else [_GAMMA[options.kernel](options.sigma)],
    ).fit(X, y)
    by_loo = "chosen by leave-one-out"
    return Choice(
        (options.sigma or _SIGMA[options.kernel](search.gamma_)) if has_width else None,
        options.alpha or float(search.alpha_),
        by_loo if options.sigma is None else "given",
        by_loo if options.alpha is None else "given",
    )


def evaluation_points(X: np.ndarray, n: int) -> np.ndarray:
    """A line of `n` points along each column, the other columns at their medians.

    The lines follow each other: column 0 varies in the first n rows.  # shape: (d * n, d)
    """
    d = X.shape[1]
    points = np.tile(np.median(X, axis=0), (d * n, 1))
    for j in range(d):
        points[j * n : (j + 1) * n, j] = np.linspace(X[:, j].min(), X[:, j].max(), n)
    return points


def _bootstrap(X: np.ndarray, y: np.ndarray, grid: np.ndarray, choice: Choice, options: Any) -> Any:
    gamma = None if choice.sigma is None else _GAMMA[options.kernel](choice.sigma)
    return _public("bootstrap_band")(
        _public("KernelRidge")(alpha=choice.alpha, kernel=options.kernel, gamma=gamma),
        X,
        y,
        grid,
        n_resamples=options.resamples,
        confidence_level=options.level,
        rng=options.seed,
        keep_distribution=False,
        progress=not options.quiet and sys.stderr.isatty(),
    )
