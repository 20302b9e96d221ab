"""How often bands of kernel ridge regression hold what they say: ``python -m bench.coverage --bands``.

Each cell draws many data sets whose true curve is known, makes the bands as ``fastkb band`` makes them,
and counts. One factor changes at a time: the truth, the number of rows, the noise, the design. Writes
the table of docs/band.md, its picture and the raw figures.
"""

from __future__ import annotations

import concurrent.futures
import datetime
import functools
import json
import math
import multiprocessing
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
LEVEL = 0.9
NOISE = 0.5  # standard deviation
SPAN = 6.0  # x lies between 0 and this
POINTS = np.linspace(0.0, SPAN, 21)[1:-1]  # interior points of evaluation
FEATURE = SPAN / 2  # where the peak and the step are
NEW = 50  # new observations at each point

TRUTHS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "constant": lambda x: np.full_like(x, 3.0),
    "line": lambda x: x / 2,
    "sine": np.sin,
    "peak": lambda x: 2 * np.exp(-((x - FEATURE) ** 2) / 0.1),
    "fast sine": lambda x: np.sin(3 * x),
    "step": lambda x: (x > FEATURE).astype(float),
    "weak line": lambda x: x / 24,
}


def _growing(rng: np.random.Generator, x: np.ndarray) -> np.ndarray:
    """From 0.4 times the usual spread to twice it."""
    return (0.4 + 1.6 * x / SPAN) * rng.standard_normal(x.shape)


NOISES: dict[str, Callable[[np.random.Generator, np.ndarray], np.ndarray]] = {
    "normal": lambda rng, x: rng.standard_normal(x.shape),
    "skewed": lambda rng, x: rng.exponential(size=x.shape) - 1,
    "Student t₃": lambda rng, x: rng.standard_t(3, x.shape) / math.sqrt(3),
    "growing": _growing,
}


def _clustered(rng: np.random.Generator, n: int) -> np.ndarray:
    centers = np.array([0.6, 2.2, 3.2, 5.2])[rng.integers(0, 4, n)]
    return np.clip(centers + 0.35 * rng.standard_normal(n), 0, SPAN)


DESIGNS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "uniform": lambda rng, n: rng.uniform(0, SPAN, n),
    "clustered": _clustered,
    "tied": lambda rng, n: np.round(2 * rng.uniform(0, SPAN, n)) / 2,
    "3 levels": lambda rng, n: np.array([1.0, 3.0, 5.0])[rng.integers(0, 3, n)],
    "two inputs": lambda rng, n: rng.uniform(0, SPAN, (n, 2)),
}


class Cell(NamedTuple):
    """A truth, and how data are drawn from it."""

    truth: str
    n: int
    noise: str = "normal"
    design: str = "uniform"

    @property
    def title(self) -> str:
        """Its name in the table."""
        other = [name for name in (self.noise, self.design) if name not in ("normal", "uniform")]
        return ", ".join([self.truth, f"n = {self.n}", *other])

    def curve(self, X: np.ndarray) -> np.ndarray:
        """The true curve.  # X: shape (m, d)"""
        values = TRUTHS[self.truth](X[:, 0])
        return values + X[:, 1] / SPAN - 0.5 if X.shape[1] == 2 else values

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """A data set.  # shapes: (n, d), (n,)"""
        X = DESIGNS[self.design](rng, self.n).reshape(self.n, -1)
        return X, self.curve(X) + NOISE * NOISES[self.noise](rng, X[:, 0])

    @property
    def points(self) -> np.ndarray:
        """Where bands are evaluated.  # shape: (m, d)"""
        if self.design == "3 levels":
            return np.array([[1.0], [3.0], [5.0]])
        if self.design == "two inputs":
            return np.stack([POINTS, np.full_like(POINTS, FEATURE)], axis=1)
        return POINTS[:, None]

    def is_smooth(self, width: float) -> np.ndarray:
        """Which points are further than `width` from a peak or a step.  # shape: (m,)"""
        if self.truth not in ("peak", "step") or self.design == "3 levels":
            return np.ones(len(self.points), bool)
        # Points lie 0.3 apart: one at a distance of 0.3 is not nearer for a rounding error.
        return np.abs(self.points[:, 0] - FEATURE) > width + 1e-9


def cells() -> tuple[Cell, ...]:
    """All cells, in the order of the table."""
    both = (100, 400)
    found = [Cell(truth, n) for n in both for truth in TRUTHS if truth != "weak line"]
    some = ("sine", "peak")
    found += [Cell(t, n, noise) for t in some for noise in list(NOISES)[1:] for n in both]
    found += [Cell(t, n, "normal", d) for t in some for d in list(DESIGNS)[1:4] for n in both]
    found += [Cell(truth, n) for truth in some for n in (50, 2000)]
    found += [Cell(truth, 400, "normal", "two inputs") for truth in some]
    found += [Cell("weak line", 100)]
    return tuple(found)


class Held(NamedTuple):
    """What the bands of one data set hold."""

    confidence: np.ndarray  # whether the truth is inside, at each point.  shape: (m,)
    simultaneous: bool  # at all points
    prediction: float  # the share of new observations
    percentile: float  # the share of other refits
    percentile_truth: float  # the share of points where it holds the truth
    width: float  # of the confidence band, by the standard deviation of the noise
    sigma: float  # the kernel's width that was chosen, in the units of x


def look(cell: Cell, seed: int) -> Held:
    """Draw one data set, and make all bands as the command does."""
    import fastkb
    from fastkb.cli.band import model_of
    from fastkb.cli.parser import build_parser

    rng = np.random.default_rng([seed, *cell.title.encode()])
    X, y = cell.draw(rng)
    center, scale = X.mean(axis=0), X.std(axis=0)
    Z, points = (X - center) / scale, (cell.points - center) / scale
    model = model_of(Z, y, build_parser().parse_args(["band"]))
    band = fastkb.bootstrap_band(
        model, Z, y, points, kind="confidence", confidence_level=LEVEL, rng=seed
    )
    truth = cell.curve(cell.points)
    low, high = band.simultaneous(LEVEL)
    below, above = band.prediction(LEVEL)
    noise = NOISES[cell.noise](rng, np.tile(cell.points[:, 0], (NEW, 1)))
    new = truth + NOISE * noise
    if band.choice is not None:
        model = fastkb.KernelRidge(
            band.choice.alpha[0], kernel="rbf", gamma=band.choice.gamma, fit_intercept=True
        )
    refits, others = (
        fastkb.bootstrap_band(model, Z, y, points, rng=key) for key in (seed, seed + 1)
    )
    drawn = others.distribution
    return Held(
        (band.low <= truth) & (truth <= band.high),
        bool(((low <= truth) & (truth <= high)).all()),
        float(((below <= new) & (new <= above)).mean()),
        float(((refits.low <= drawn) & (drawn <= refits.high)).mean()),
        float(((refits.low <= truth) & (truth <= refits.high)).mean()),
        float((band.high - band.low).mean() / NOISE),
        float(scale[0] * math.sqrt(0.5 / model.gamma)),
    )


class Counted(NamedTuple):
    """A row of the table."""

    confidence: float
    least: float  # the confidence band's coverage at the point where it is least
    least_smooth: float  # the same, points within σ of a peak or a step apart
    simultaneous: float
    prediction: float
    percentile: float
    percentile_truth: float
    width: float
    sigma: float


def count(cell: Cell, held: Sequence[Held]) -> Counted:
    """Averages over data sets."""
    at_points = np.mean([one.confidence for one in held], axis=0)
    sigma = float(np.median([one.sigma for one in held]))
    means = [float(np.mean([getattr(one, name) for one in held])) for name in Held._fields[1:-1]]
    smooth = at_points[cell.is_smooth(sigma)]
    return Counted(float(at_points.mean()), at_points.min(), smooth.min(), *means, sigma)


def study(
    chosen: Sequence[Cell], datasets: int, say: Callable[[str], Any] = print
) -> dict[str, Counted]:
    """Count for some cells, one process on each core."""
    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    context = multiprocessing.get_context("spawn")
    results = {}
    with concurrent.futures.ProcessPoolExecutor(workers, context, _one_thread) as pool:
        for cell in chosen:
            step = max(1, datasets // (8 * (workers or 1)))
            jobs = pool.map(functools.partial(look, cell), range(datasets), chunksize=step)
            results[cell.title] = counted = count(cell, list(jobs))
            say(f"{cell.title:<32} " + "  ".join(f"{value:.3f}" for value in counted))
    return results


def _one_thread() -> None:
    import numba

    numba.set_num_threads(1)


HEADER = (
    "truth, rows, noise, design",
    "confidence",
    "its least point",
    "off peaks and steps",
    "simultaneous",
    "prediction",
    "percentile: refits",
    "percentile: truth",
    "width / noise",
    "σ",
)


def table(results: dict[str, Counted]) -> str:
    """A Markdown table of percentages."""
    lines = [f"| {' | '.join(HEADER)} |", "| --- |" + " ---: |" * (len(HEADER) - 1)]
    for title, row in results.items():
        shares = [f"{100 * value:.0f}" for value in row[:7]]
        lines.append(f"| {' | '.join([title, *shares, f'{row.width:.2f}', f'{row.sigma:.2f}'])} |")
    return "\n".join(lines)


def draw(results: dict[str, Counted], datasets: int, path: Path) -> None:
    """The table as a picture: a row for each cell, a mark for each kind of band."""
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(figsize=(8.5, 0.26 * len(results) + 1.4), layout="constrained")
    rows = np.arange(len(results))[::-1]
    ax.axvline(LEVEL, color="0.4", lw=1)
    marks = {
        "confidence": ("o", "#1f5fa8", "confidence: the true curve, on average over points"),
        "simultaneous": ("s", "#8a5fb0", "simultaneous: the whole true curve"),
        "prediction": ("^", "#3b8f5a", "prediction: new observations"),
        "percentile_truth": ("x", "#c2543a", "percentile band of refits: the true curve"),
    }
    for name, (marker, color, label) in marks.items():
        values = [getattr(row, name) for row in results.values()]
        ax.plot(values, rows, marker, color=color, label=label, ms=5, alpha=0.9)
    ax.set_yticks(rows, list(results), fontsize=8)
    ax.set_xlabel(f"share held, of {datasets} data sets (nominal {LEVEL:.0%})")
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    ax.grid(axis="x", color="0.9")
    ax.set_axisbelow(True)
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    ax.tick_params(axis="y", length=0)
    ax.margins(y=0.01)
    figure.legend(loc="outside upper left", ncols=2, frameon=False, fontsize=9)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def write(results: dict[str, Counted], datasets: int) -> list[Path]:
    """The table and the picture of docs/band.md, and the raw figures; the files written."""
    from bench.table import write_between_markers

    page, picture = ROOT / "docs" / "band.md", ROOT / "docs" / "band-coverage.png"
    raw = ROOT / "bench" / "results" / "band-coverage.json"
    draw(results, datasets, picture)
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    rows = {title: row._asdict() for title, row in results.items()}
    text = json.dumps(
        {"date": today, "datasets": datasets, "level": LEVEL, "cells": rows}, indent=1
    )
    raw.write_text(text + "\n", encoding="utf-8")
    write_between_markers(page, table(results), "coverage")
    return [page, picture, raw]


def run(datasets: int) -> None:
    """The whole study."""
    results = study(cells(), datasets)
    print(table(results))
    print("written:", *(path.relative_to(ROOT) for path in write(results, datasets)))
