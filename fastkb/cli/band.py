"""``fastkb band``: from a table to a picture of a regression with its bootstrap band."""

from __future__ import annotations

import argparse
import contextlib
import math
import time
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from numba.core.event import install_timer

import fastkb
from fastkb.cli import CommandError
from fastkb.cli.outputs import check_picture, reserved, write_picture
from fastkb.cli.report import Band, Choice, Seconds, draw, summary, write_csv
from fastkb.cli.table import Table, deviation, read_table
from fastkb.cli.terminal import status, tell, watched

# How the width sigma enters each kernel that has one (DESIGN: the textbook's terms).
_GAMMA = {"rbf": lambda sigma: 0.5 / sigma**2, "laplacian": lambda sigma: 1.0 / sigma}
_SIGMA = {"rbf": lambda gamma: math.sqrt(0.5 / gamma), "laplacian": lambda gamma: 1.0 / gamma}


def run(options: argparse.Namespace) -> None:
    """Do the whole job that the command line describes."""
    check_picture("--out", options.out)
    _check_sigma(options)
    compiling: list[float] = []
    with (
        reserved([("--out", options.out), ("--csv", options.csv)], options.data) as outputs,
        warnings.catch_warnings(record=True) as caught,
        install_timer("numba:compile", compiling.append),
    ):
        start = time.perf_counter()
        table = read_table(options.data, options.x, options.y)
        center, scale, offset = _standardisation(table)
        X, y = (table.X - center) / scale, table.y - offset
        with _clear_errors(), status("choosing by leave-one-out", options):
            choice = choose(X, y, options)
        chosen = time.perf_counter()
        grid = evaluation_points(table.X, options.grid)
        result = _bootstrap(X, y, (grid - center) / scale, choice, options)
        fitted = time.perf_counter()
        band = Band(
            grid, *(v + offset for v in (result.center, result.mean, result.low, result.high))
        )
        write_picture(outputs[0], draw(table, band, options))
        outputs[1].write(lambda file: write_csv(file, table, band))
    if not options.quiet:
        total = time.perf_counter() - start
        seconds = Seconds(chosen - start, fitted - chosen, total, sum(compiling))
        tell(summary(table, choice, result, seconds, options), caught)


def _check_sigma(options: argparse.Namespace) -> None:
    if options.sigma is None:
        return
    if options.kernel not in _GAMMA:
        raise CommandError(f"--sigma: the {options.kernel} kernel has no width (rbf, laplacian do)")
    # The inputs have standard deviation 1: beyond this, every kernel value is 0 or 1.
    if not 1e-9 <= options.sigma <= 1e9:
        raise CommandError(f"--sigma {options.sigma:g}: expected standard deviations, 1e-9 to 1e9")


@contextlib.contextmanager
def _clear_errors() -> Iterator[None]:
    """A system that cannot be solved is a mistake to put right."""
    try:
        yield
    except np.linalg.LinAlgError as error:
        raise CommandError(f"{error} (try a larger --alpha)") from None


def _standardisation(table: Table) -> tuple[np.ndarray, np.ndarray, float]:
    """Means and standard deviations of the inputs, and the mean of the target."""
    scale = np.array(
        [deviation(name, column) for name, column in zip(table.x_names, table.X.T, strict=True)]
    )
    deviation(table.y_name, table.y)
    return table.X.mean(axis=0), scale, float(table.y.mean())


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
    search = fastkb.KernelRidgeCV(
        alphas=None if options.alpha is None else [options.alpha],
        kernel=options.kernel,
        gammas=None if options.sigma is None else [_GAMMA[options.kernel](options.sigma)],
    ).fit(X, y)
    sigma, sigma_how = options.sigma, "given"
    if has_width and sigma is None:
        sigma = float(_SIGMA[options.kernel](search.gamma_))
        # A wider kernel has a smaller gamma: turned round, so that "largest" is said of sigma.
        sigma_how = _how(-search.gamma_, -np.asarray(search.path_.gammas))
    alpha, alpha_how = options.alpha, "given"
    if alpha is None:
        alpha = float(search.alpha_)
        alpha_how = _how(alpha, search.path_.alphas)
    return Choice(sigma, alpha, sigma_how, alpha_how)


def _how(chosen: float, candidates: np.ndarray) -> str:
    """How a parameter was chosen; a choice at the edge of the candidates is worth a second look."""
    how = f"chosen by leave-one-out from {len(candidates)} candidates"
    if len(candidates) > 1 and chosen in (candidates.min(), candidates.max()):
        how += f", the {'smallest' if chosen == candidates.min() else 'largest'} of them"
    return how


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
    return fastkb.bootstrap_band(
        fastkb.KernelRidge(alpha=choice.alpha, kernel=options.kernel, gamma=gamma),
        X,
        y,
        grid,
        n_resamples=options.resamples,
        confidence_level=options.level,
        rng=options.seed,
        keep_distribution=False,
        progress=watched(options),
    )
