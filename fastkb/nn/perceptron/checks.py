"""Checks of what users pass to multi-layer perceptrons with scikit-learn's interface."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.multiclass import unique_labels

from fastkb.checks.scalars import check_count, check_parameter
from fastkb.runtime.callers import stacklevel

ACTIVATIONS = ("identity", "logistic", "tanh", "relu")
SOLVERS = ("lbfgs", "sgd", "adam")
LEARNING_RATES = ("constant", "invscaling", "adaptive")
LOSSES = ("squared_error",)

# Observations of a step where the user leaves that to us.
_AUTOMATIC_BATCH = 200


def _wrong(name: str, value: Any, expected: str) -> Exception:
    """An error of scikit-learn's class, both a ValueError and a TypeError, as its users expect."""
    return InvalidParameterError(f"{name} must be {expected}, got {value!r}")


def _one_of(*known: str) -> Callable[[str, Any], None]:
    def check(name: str, value: Any) -> None:
        if not (isinstance(value, str) and value in known):
            close = difflib.get_close_matches(str(value), known, n=1)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            raise _wrong(name, value, f"one of {', '.join(known)}{hint}")

    return check


def _loss(name: str, value: Any) -> None:
    if isinstance(value, str) and value == "poisson":
        raise InvalidParameterError(
            "loss='poisson' is not supported: expected 'squared_error', got 'poisson'"
        )
    _one_of(*LOSSES)(name, value)


def _flag(name: str, value: Any) -> None:
    if not isinstance(value, (bool, np.bool_)):
        raise _wrong(name, value, "True or False")


def _verbose(name: str, value: Any) -> None:
    if not isinstance(value, (bool, np.bool_)):
        check_count(name, value)


def _positive(name: str, value: Any) -> None:
    check_parameter(name, value, minimum=0.0, strict=True)


def _nonnegative(name: str, value: Any) -> None:
    check_parameter(name, value, minimum=0.0)


def _up_to_one(name: str, value: Any) -> None:
    if check_parameter(name, value, minimum=0.0) > 1.0:
        raise _wrong(name, value, "a number from 0 to 1")


def _below_one(name: str, value: Any) -> None:
    if check_parameter(name, value, minimum=0.0) >= 1.0:
        raise _wrong(name, value, "a number from 0 to below 1")


def _count(name: str, value: Any) -> None:
    check_count(name, value, minimum=1)


def _patience(name: str, value: Any) -> None:
    if not (isinstance(value, (float, np.floating)) and value == np.inf):
        check_count(name, value, minimum=1)


def _batch_size(name: str, value: Any) -> None:
    if isinstance(value, str) or not isinstance(value, Integral):
        if isinstance(value, str) and value == "auto":
            return
        raise _wrong(name, value, "'auto' or a whole number >= 1")
    check_count(name, value, minimum=1)


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "loss": _loss,
    "hidden_layer_sizes": lambda name, value: check_hidden_layer_sizes(value),
    "activation": _one_of(*ACTIVATIONS),
    "solver": _one_of(*SOLVERS),
    "alpha": _nonnegative,
    "batch_size": _batch_size,
    "learning_rate": _one_of(*LEARNING_RATES),
    "learning_rate_init": _positive,
    "power_t": _nonnegative,
    "max_iter": _count,
    "shuffle": _flag,
    "random_state": lambda name, value: None,  # by check_seed, when it is used
    "tol": _nonnegative,
    "verbose": _verbose,
    "warm_start": _flag,
    "momentum": _up_to_one,
    "nesterovs_momentum": _flag,
    "early_stopping": _flag,
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
        raise _wrong("random_state", random_state, expected)


def check_hidden_layer_sizes(sizes: Any) -> tuple[int, ...]:
    """Widths of the hidden layers, one number for one layer; there may be none."""
    is_one = not isinstance(sizes, Iterable) or isinstance(sizes, str)
    given = [sizes] if is_one or getattr(sizes, "shape", None) == () else list(sizes)
    for size in given:
        if isinstance(size, (bool, np.bool_)) or not isinstance(size, Integral) or size <= 0:
            raise InvalidParameterError(
                f"hidden_layer_sizes must be > 0, whole numbers, got {sizes!r}"
            )
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
    """Refuse targets that the network, which goes on from earlier training, has no outputs for."""
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
    # (unique_labels would check again what has been checked.)
    found = np.unique(y) if np.ndim(y) == 1 else unique_labels(y)
    if exactly and set(found) != set(known):
        raise ValueError(
            "warm_start can only be used where `y` has the same classes as in the previous call to "
            f"fit. Previously got {known}, `y` has {found}"
        )
    unknown = np.setdiff1d(found, known)
    if len(unknown):
        raise ValueError(f"y has the classes {unknown}, which are not among classes_: {known}")
