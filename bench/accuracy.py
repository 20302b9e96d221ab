"""Whether both libraries' ``MLPClassifier()`` learn the digits: ``python -m bench accuracy``.

Each seed splits scikit-learn's digits into a part for training and one for testing (a quarter), and is
the `random_state` of both estimators, whose settings are the defaults. Prints a Markdown table of test
accuracies, mean ± standard error over the seeds; that of their difference is of pairs.
"""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench import machine
from bench.perceptron import digits, fitted
from bench.report import RESULTS
from bench.rivals import SKLEARN
from bench.work import FASTKB
from fastkb.storage.files import replace_file

DTYPES = ("float64", "float32")


def accuracies(dtype: str, seeds: int, **settings: Any) -> dict[str, list[float]]:
    """Test accuracies of both, for each seed.

    Parameters
    ----------
    dtype : {"float64", "float32"}
    seeds : int
    **settings
        Of both estimators.
    """
    from sklearn.model_selection import train_test_split
    from sklearn.neural_network import MLPClassifier

    import fastkb

    kinds = {FASTKB: fastkb.MLPClassifier, SKLEARN: MLPClassifier}
    found: dict[str, list[float]] = {name: [] for name in kinds}
    for seed in range(seeds):
        X, X_test, y, y_test = train_test_split(*digits(dtype), random_state=seed)
        for name, kind in kinds.items():
            model = fitted(kind(random_state=seed, **settings), X, y)
            found[name].append(float(np.mean(model.predict(X_test) == y_test)))
    return found


def mean_and_error(values: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """Mean and its standard error."""
    return float(np.mean(values)), float(np.std(values, ddof=1) / math.sqrt(len(values)))


def table(results: dict[str, dict[str, list[float]]]) -> str:
    """A Markdown table: a row for each element type."""
    (first, *_) = results.values()
    seeds = len(first[FASTKB])
    lines = [
        f"| test accuracy on digits, {seeds} splits | {FASTKB} | {SKLEARN} | difference |",
        "| --- |" + " ---: |" * 3,
    ]
    for dtype, found in results.items():
        difference = np.subtract(found[FASTKB], found[SKLEARN])
        cells = [
            "{:.2f} ± {:.2f}%".format(*(100 * x for x in mean_and_error(found[name])))
            for name in (FASTKB, SKLEARN)
        ]
        cells.append("{:+.2f} ± {:.2f}%".format(*(100 * x for x in mean_and_error(difference))))
        lines.append(f"| {dtype} | {' | '.join(cells)} |")
    return "\n".join(lines)


def write(results: dict[str, dict[str, list[float]]], folder: Path) -> Path:
    """Every accuracy, beside the machine's description."""
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    path = folder / f"{today}-accuracy-digits.json"
    content = {
        "date": today,
        "machine": machine.describe(machine.available_cores()),
        "accuracies": results,
    }
    folder.mkdir(exist_ok=True)
    replace_file(str(path), lambda file: file.write(f"{json.dumps(content, indent=1)}\n".encode()))
    return path


def accuracy(seeds: int, save: bool) -> int:
    """Train, print the table, and write a file if asked to; the exit status.

    Raises
    ------
    ValueError
        If there are too few seeds for a standard error.
    """
    if seeds < 2:
        raise ValueError(f"--seeds must be at least 2, for a standard error, got {seeds}")
    results = {dtype: accuracies(dtype, seeds) for dtype in DTYPES}
    print(table(results))
    if save:
        print(f"written: {write(results, RESULTS).name}")
    return 0
