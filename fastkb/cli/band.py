"""``fastkb band``: from a table to a picture of a regression with its bootstrap band."""

from __future__ import annotations

import argparse
import contextlib
import math
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

import fastkb
from fastkb.bands.coverage.jackknife import place_of
from fastkb.bands.coverage.levels import through_means
from fastkb.bands.coverage.neighbourhood import observed_nearby
from fastkb.bands.coverage.study import choose
from fastkb.cli.ahead import compiling_ahead
from fastkb.cli.errors import CommandError
from fastkb.cli.outputs import check_picture, reserved, write_picture
from fastkb.cli.reading.table import Table, deviation, read_table, reading_of
from fastkb.cli.report import Band, Choice, Seconds, draw, labels_of, summary, write_csv
from fastkb.cli.terminal import Line, Report, aligned, compilation, warned

# How the width sigma enters each kernel that has one (DESIGN: the textbook's terms).
_GAMMA = {"rbf": lambda sigma: 0.5 / sigma**2, "laplacian": lambda sigma: 1.0 / sigma}
_SIGMA = {"rbf": lambda gamma: math.sqrt(0.5 / gamma), "laplacian": lambda gamma: 1.0 / gamma}


def run(options: argparse.Namespace, line: Line) -> Report:
    """Do the whole job that the command line describes, and tell `line` how far it is."""
    check_picture("--out", options.out, options.size, options.dpi)
    _check_sigma(options)
    with (
        reserved([("--out", options.out), ("--csv", options.csv)], options.data) as outputs,
        warnings.catch_warnings(record=True) as caught,
        compilation(line) as compiled,
    ):
        start = time.perf_counter()
        line.say("reading")
        table = read_table(options.data, options.x, options.y, reading_of(options))
        labels = labels_of(table, options)
        fitted_to = _logarithms(table, options)
        center, scale = _standardisation(fitted_to)
        X, y = (fitted_to.X - center) / scale, fitted_to.y
        _check_rows_for(options, len(y))
        loaded = time.perf_counter()
        grid = evaluation_points(fitted_to.X, options.grid)
        points = (grid - center) / scale
        line.say("fitting")
        model = model_of(X, y, options)
        with _clear_errors(), compiling_ahead("band"):
            if options.kind == "percentile":
                line.say("choosing")
                model, choice = choose(model, X, y, line)
            result = _bootstrap(model, X, y, points, options, line)
        if options.kind != "percentile":
            choice = result.choice
        fitted = time.perf_counter()
        line.say("drawing")
        if options.log_x:
            grid = np.exp(grid)
        curves = [result.center, result.mean, result.low, result.high]
        if options.log_y:
            with np.errstate(over="ignore"):
                curves = [np.exp(curve) for curve in curves]
        center, mean, low, high = curves
        band = Band(grid, center, mean, low, high, observed_nearby(X, points))
        figure = draw(table, band, result.label, labels, options, chosen=choice is not None)
        write_picture(outputs[0], figure, options.dpi)
        outputs[1].write(lambda file: write_csv(file, table, band))
    if options.quiet:
        return Report("", [*warned(caught), *table.notes])
    total = time.perf_counter() - start
    seconds = Seconds(loaded - start, fitted - loaded, total, sum(compiled))
    lines = summary(table, chosen(model, choice, options), result, seconds, options)
    return Report(aligned(lines), warned(caught))


def _check_sigma(options: argparse.Namespace) -> None:
    if options.sigma is None:
        return
    if options.kernel not in _GAMMA:
        raise CommandError(f"--sigma: the {options.kernel} kernel has no width (rbf, laplacian do)")
    # The inputs have standard deviation 1: beyond this, every kernel value is 0 or 1.
    if not 1e-9 <= options.sigma <= 1e9:
        raise CommandError(f"--sigma {options.sigma:g}: expected standard deviations, 1e-9 to 1e9")


def _check_rows_for(options: argparse.Namespace, n: int) -> None:
    """Few rows cannot say what holds nearly all new ones."""
    if options.kind == "prediction" and place_of(options.level, n) > n:
        raise CommandError(
            f"--level {options.level:g}: {n} rows can say what holds a share of {n / (n + 1):.3g} of new "
            "observations at most"
        )


@contextlib.contextmanager
def _clear_errors() -> Iterator[None]:
    """A system that cannot be solved, or so many rows, is a mistake to put right."""
    try:
        yield
    except np.linalg.LinAlgError as error:
        raise CommandError(f"{error} (try a larger --alpha)") from None
    except ValueError as error:
        raise CommandError(str(error)) from None


def _logarithms(table: Table, options: argparse.Namespace) -> Table:
    """The table with logarithms in place of what is to have them."""

    def of(option: str, name: str, values: np.ndarray, is_date: bool = False) -> np.ndarray:
        if is_date:
            raise CommandError(f"{option}: column {name!r} holds dates, which have no logarithm")
        n_wrong = int(np.count_nonzero(values <= 0.0))
        if n_wrong:
            raise CommandError(
                f"{option}: column {name!r} has {n_wrong} value{'s' * (n_wrong > 1)} that no logarithm "
                f"has (the smallest is {values.min():g}): numbers above 0 were expected"
            )
        return np.log(values)

    X, y = table.X, table.y
    if options.log_x:
        columns = zip(table.x_names, X.T, table.are_dates, strict=True)
        X = np.column_stack([of("--log-x", *column) for column in columns])
    if options.log_y:
        y = of("--log-y", table.y_name, y)
    return replace(table, X=X, y=y)


def _standardisation(table: Table) -> tuple[np.ndarray, np.ndarray]:
    """Means and standard deviations of the inputs."""
    scale = np.array(
        [deviation(name, column) for name, column in zip(table.x_names, table.X.T, strict=True)]
    )
    deviation(table.y_name, table.y)
    return table.X.mean(axis=0), scale


def model_of(X: np.ndarray, y: np.ndarray, options: argparse.Namespace) -> Any:
    """Kernel ridge regression with an intercept, which chooses what the options do not give.

    Parameters
    ----------
    X : ndarray
        Standardised inputs.  # shape: (n, d)
    y : ndarray
        # shape: (n,)
    options : argparse.Namespace
        Of the command line; `kernel`, `sigma` and `alpha` are read.
    """
    kernel, sigma, alpha = options.kernel, options.sigma, options.alpha
    if sigma is None and alpha is None and kernel in _GAMMA:
        model = through_means(X, y, kernel)
        if model is not None:
            return model
    gamma = None if sigma is None else _GAMMA[kernel](sigma)
    if alpha is not None and (sigma is not None or kernel not in _GAMMA):
        return fastkb.KernelRidge(alpha, kernel=kernel, gamma=gamma, fit_intercept=True)
    return fastkb.KernelRidgeCV(
        None if alpha is None else [alpha],
        kernel=kernel,
        gammas=None if gamma is None else [gamma],
        criterion="reml",
        fit_intercept=True,
    )


def chosen(model: Any, choice: Any, options: argparse.Namespace) -> Choice:
    """Width and penalty in the command's terms, and how each was found."""
    sigma, alpha, given = options.sigma, options.alpha, "given"
    if choice is None:
        if alpha is not None:
            return Choice(sigma, alpha, given, given, None)
        how = "so small that the curve goes through the means of the few levels"
        sigma = float(_SIGMA[options.kernel](model.gamma))
        return Choice(sigma, model.alpha, "chosen by restricted likelihood", how, None)
    sigma_how = alpha_how = given
    if sigma is None and choice.gamma is not None and options.kernel in _GAMMA:
        sigma = float(_SIGMA[options.kernel](choice.gamma))
        # A wider kernel has a smaller gamma: turned round, so that "largest" is said of sigma.
        sigma_how = _how(-choice.gamma, -choice.gammas)
    if alpha is None:
        alpha = float(choice.alpha[0])
        alpha_how = _how(alpha, choice.alphas)
    return Choice(sigma, alpha, sigma_how, alpha_how, choice.n_judged)


def _how(chosen: float, candidates: np.ndarray) -> str:
    """How a parameter was chosen; a choice at the edge of the candidates is worth a second look."""
    how = f"chosen by restricted likelihood from {len(candidates)} candidates"
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


def _bootstrap(
    model: Any,
    X: np.ndarray,
    y: np.ndarray,
    grid: np.ndarray,
    options: argparse.Namespace,
    line: Line,
) -> Any:
    line.say("choosing and resampling" if options.kind != "prediction" else "leaving rows out")
    return fastkb.bootstrap_band(
        model,
        X,
        y,
        grid,
        kind=options.kind,
        n_resamples=options.resamples,
        confidence_level=options.level,
        rng=options.seed,
        keep_distribution=False,
        progress=line,
    )
