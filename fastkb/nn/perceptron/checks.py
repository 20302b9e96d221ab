"""Checks of what users pass to multi-layer perceptrons with scikit-learn's interface."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils.multiclass import unique_labels

from fastkb.checks.choices import check_choice
from fastkb.checks.numbers import wrong
from fastkb.checks.scalars import check_flag, check_number, check_whole, unexpected
from fastkb.runtime.callers import stacklevel

ACTIVATIONS = ("identity", "logistic", "tanh", "relu")
SOLVERS = ("lbfgs", "sgd", "adam")
LEARNING_RATES = ("constant", "invscaling", "adaptive")
LOSSES = ("squared_error",)

# Observations of a step where the user leaves that to us.
_AUTOMATIC_BATCH = 200


def _loss(name: str, value: Any) -> None:
    if isinstance(value, str) and value == "poisson":
        raise wrong("loss='poisson' is not supported: expected 'squared_error', got 'poisson'")
    check_choice(name, value, LOSSES)


def _verbose(name: str, value: Any) -> None:
    if not isinstance(value, (bool, np.bool_)):
        check_whole(name, value)


def _patience(name: str, value: Any) -> None:
    if not (isinstance(value, (float, np.floating)) and value == np.inf):
        check_whole(name, value, 1)


def _batch_size(name: str, value: Any) -> None:
    if isinstance(value, str) or not isinstance(value, Integral):
        if isinstance(value, str) and value == "auto":
            return
        raise unexpected(name, value, "'auto' or a whole number of at least 1")
    check_whole(name, value, 1)


_positive = partial(check_number, minimum=0.0, open_below=True)
_nonnegative = partial(check_number, minimum=0.0)
_below_one = partial(check_number, minimum=0.0, maximum=1.0, open_above=True)
_count = partial(check_whole, minimum=1)

_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "loss": _loss,
    "hidden_layer_sizes": lambda name, value: check_hidden_layer_sizes(value),
    "activation": partial(check_choice, known=ACTIVATIONS),
    "solver": partial(check_choice, known=SOLVERS),
    "alpha": _nonnegative,
    "batch_size": _batch_size,
    "learning_rate": partial(check_choice, known=LEARNING_RATES),
    "learning_rate_init": _positive,
    "power_t": _nonnegative,
    "max_iter": _count,
    "shuffle": check_flag,
    "random_state": lambda name, value: None,  # by check_seed, when it is used
    "tol": _nonnegative,
    "verbose": _verbose,
    "warm_start": check_flag,
    "momentum": partial(check_number, minimum=0.0, maximum=1.0),
    "nesterovs_momentum": check_flag,
    "early_stopping": check_flag,
    "validation_fraction": _below_one,
    "beta_1": _below_one,
    "beta_2": _below_one,
    "epsilon": _positive,
    "n_iter_no_change": _patience,
    "max_fun": _count,
}


def check_perceptron(parameters: Mapping[str, Any]) -> None:
    """Refuse parameters that no perceptron can have, by scikit-learn's names for them."""
    for name, value in parameters.items():
        _CHECKS[name](name, value)


def check_seed(random_state: Any) -> None:
    """Refuse what makes no numpy.random.RandomState."""
    seed = isinstance(random_state, Integral) and 0 <= int(random_state) < 2**32
    state = random_state is np.random or isinstance(random_state, np.random.RandomState)
    if not (random_state is None or seed or state):
        expected = "None, a whole number from 0 to 2**32 - 1 or a numpy.random.RandomState"
        raise unexpected("random_state", random_state, expected)


def check_hidden_layer_sizes(sizes: Any) -> tuple[int, ...]:
    """Widths of the hidden layers, one number for one layer; there may be none."""
    is_one = not isinstance(sizes, Iterable) or isinstance(sizes, str)
    given = [sizes] if is_one or getattr(sizes, "shape", None) == () else list(sizes)
    for size in given:
        if isinstance(size, (bool, np.bool_)) or not isinstance(size, Integral) or size <= 0:
            raise wrong(f"hidden_layer_sizes must be > 0, whole numbers, got {sizes!r}")
    return tuple(int(size) for size in given)


def check_batch_size(batch_size: Any, n: int) -> int:
    """Observations of a step, for so many in all; a warning if there are fewer than asked for."""
    if isinstance(batch_size, str):
        return min(_AUTOMATIC_BATCH, n)
    if batch_size > n:
        warnings.warn(
            f"batch_size={batch_size} is clipped to {n}, the observations that there are",
            stacklevel=stacklevel(),
        )
    return min(int(batch_size), n)


def check_aside(aside: int, n: int, fraction: float) -> None:
    """Enough observations to score on."""
    if aside < 2:
        raise ValueError(
            f"The validation set is too small: validation_fraction={fraction} of {n} observations are "
            f"{aside}, and two are needed"
        )


def check_outputs(targets: np.ndarray, outputs: int) -> None:
    """Refuse targets for which a network that was trained before has no outputs."""
    if targets.shape[1] != outputs:
        raise ValueError(
            f"y has {targets.shape[1]} columns, and the network that was trained before has "
            f"{outputs} outputs"
        )


def check_targets(targets: np.ndarray, dtype: np.dtype) -> None:
    """Refuse targets that are too large for the type that is computed in."""
    with np.errstate(over="ignore"):
        finite = np.isfinite(targets.astype(dtype, copy=False)).all()
    if not finite:
        raise ValueError(f"y has numbers that are too large for {dtype}")


def check_classes(classes: Any, known: np.ndarray | None) -> np.ndarray | None:
    """The classes of the first partial_fit; None in later ones, where they must be the same.

    Parameters
    ----------
    classes : array_like or None
    known : ndarray or None
        The classes of an earlier fit.
    """
    if classes is None:
        if known is None:
            raise ValueError("classes must be given in the first call of partial_fit")
        return None
    found = unique_labels(classes)
    if known is None:
        return found
    if not np.array_equal(known, found):
        raise ValueError(
            f"classes={classes!r} are not those of the first call of partial_fit or fit: {known}"
        )
    return None


def check_same_classes(y: Any, known: Sequence[Any] | np.ndarray, exactly: bool) -> None:
    """Refuse labels of other classes than an earlier fit has seen; `exactly`, all must be there."""
    # unique_labels would repeat the checks.
    found = np.unique(y) if np.ndim(y) == 1 else unique_labels(y)
    if exactly and set(found) != set(known):
        raise ValueError(
            "warm_start can only be used where `y` has the same classes as in the previous call to "
            f"fit. Previously got {known}, `y` has {found}"
        )
    unknown = np.setdiff1d(found, known)
    if len(unknown):
        raise ValueError(f"y has the classes {unknown}, which are not among classes_: {known}")
