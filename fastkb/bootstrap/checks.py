"""Checks of what users pass to :func:`fastkb.bootstrap`."""

from __future__ import annotations

import contextlib
import functools
import inspect
import math
import sys
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from fastkb.bootstrap.evaluate.statistics import Statistic
from fastkb.checks.numbers import check_unmasked
from fastkb.checks.requests import check_level
from fastkb.checks.scalars import as_whole
from fastkb.resample.scheme import Scheme
from fastkb.runtime.memory import check_available

ALTERNATIVES = ("two-sided", "less", "greater")


METHODS = ("percentile", "basic", "bca", "studentized", "cheap")


class Samples(NamedTuple):
    """Checked data: observations along the last axis, the other axes broadcast against each other."""

    arrays: tuple[np.ndarray, ...]  # shapes: (…, n_j)
    finite: bool


class Request(NamedTuple):
    """Everything else; as the user passes it, and once it is checked."""

    vectorized: Any  # bool
    paired: Any  # bool
    level: Any  # float
    alternative: Any  # str
    n_resamples: Any  # int
    batch: Any  # int or None
    method: Any  # str
    previous: Any  # a result, then its distribution or None.  # shape: (…, B)


def _flag(name: str, value: Any, allowed: tuple) -> Any:
    """True, False or None, or what equals them, as SciPy takes it; the error is in SciPy's words."""
    simple = value is None or isinstance(value, bool | np.bool_ | int)
    if not simple or value not in allowed:
        *most, last = (f"`{one}`" for one in allowed)
        comma = "," if len(most) > 1 else ""
        raise ValueError(f"`{name}` must be {', '.join(most)}{comma} or {last}, got {value!r}")
    return value


def check_samples(data: Any, axis: Any, paired: bool) -> Samples:
    """A sequence of samples, each with two observations or more along `axis`."""
    as_axis(axis, None, "")
    try:
        # A loop over a table, a mapping or a text would give names or letters, and no samples.
        if isinstance(data, str | bytes | Mapping | Set) or hasattr(data, "columns"):
            raise TypeError
        count = len(data)
    except TypeError:
        raise ValueError(
            f"`data` must be a sequence of samples, got {type(data).__name__}: for one sample x write "
            "(x,)"
        ) from None
    if count == 0:
        raise ValueError("`data` must contain at least one sample, got none")
    arrays = [as_numbers(sample, f"data[{j}]") for j, sample in enumerate(data)]
    for j, array in enumerate(arrays):
        if array.ndim == 0:
            raise ValueError(
                "each sample in `data` must contain two or more observations along `axis`: data["
                f"{j}] is a single number (for one sample x write (x,))"
            )
    whole = as_axis(axis, max(array.ndim for array in arrays), "the samples in `data`")
    arrays = _broadcast(arrays, whole)
    for j, array in enumerate(arrays):
        if array.shape[-1] < 2:
            raise ValueError(
                "each sample in `data` must contain two or more observations along `axis`: data["
                f"{j}] has {array.shape[-1]}"
            )
    if 0 in arrays[0].shape[:-1]:
        raise ValueError(
            f"`data` must not have an axis of length 0: its shape without `axis` is "
            f"{arrays[0].shape[:-1]}"
        )
    lengths = {array.shape[-1] for array in arrays}
    if paired and len(lengths) > 1:
        raise ValueError(
            "When `paired is True`, all samples must have the same length along `axis`: they have "
            f"{', '.join(str(array.shape[-1]) for array in arrays)}"
        )
    finite = all(a.dtype.kind != "f" or bool(np.isfinite(a).all()) for a in arrays)
    return Samples(tuple(arrays), finite)


def as_axis(axis: Any, ndim: int | None, whose: str) -> int:
    """A whole number that names one of `ndim` axes, as it is given; None: of whatever many axes."""
    whole = as_whole(axis)
    if whole is None:
        raise _no_number(axis)(f"`axis` must be an integer, got {axis!r}")
    if ndim is not None and not -ndim <= whole < ndim:
        raise np.exceptions.AxisError(f"`axis` is {whole}, and {whose} have {ndim} axes")
    return whole


def as_numbers(sample: Any, name: str) -> np.ndarray:
    """A sample as an array of numbers of this machine's byte order; `name` is for errors."""
    check_unmasked(name, sample)
    if hasattr(sample, "toarray"):
        raise ValueError(
            f"{name} must be a dense array, got {type(sample).__name__}: write `toarray()`"
        )
    try:
        array = np.asarray(sample)
    except ValueError as error:
        raise ValueError(f"{name} is not an array of numbers: {error}") from None
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    if array.dtype.kind not in "biuf":
        example = f", such as {array.flat[0]!r}" if array.size else ""
        raise ValueError(f"{name} must be numbers, got {array.dtype}{example}")
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _broadcast(arrays: list[np.ndarray], axis: int) -> list[np.ndarray]:
    """All axes but the observations', which becomes the last one.

    Axes are matched from the last one on, as NumPy does it, before the observations' is moved.
    """
    most = max(array.ndim for array in arrays)
    padded = [array.reshape((1,) * (most - array.ndim) + array.shape) for array in arrays]
    moved = [np.moveaxis(array, axis, -1) for array in padded]
    try:
        lead = np.broadcast_shapes(*(array.shape[:-1] for array in moved))
    except ValueError:
        shapes = ", ".join(str(array.shape) for array in arrays)
        raise ValueError(
            "Array shapes are incompatible for broadcasting: the samples in `data` must agree in all "
            f"axes but `axis`, or have length 1 there, and their shapes are {shapes}"
        ) from None
    return [np.broadcast_to(array, (*lead, array.shape[-1])) for array in moved]


def check_request(asked: Request, statistic: Any) -> Request:
    """All arguments but the data and the generator."""
    n_resamples, batch = asked.n_resamples, asked.batch
    vectorized = _flag("vectorized", asked.vectorized, (True, False, None))
    paired = bool(_flag("paired", asked.paired, (True, False)))
    if vectorized is None:
        vectorized = takes_axis(statistic)
    level = check_level("confidence_level", _as_number("confidence_level", asked.level))
    number = as_whole(n_resamples)
    if number is None or number < 0:
        raise _no_number(n_resamples)(
            f"`n_resamples` must be a non-negative integer, got {n_resamples!r}"
        )
    size = None
    if batch is not None:
        size = as_whole(batch)
        if size is None or size <= 0:
            raise _no_number(batch)(f"`batch` must be a positive integer or None, got {batch!r}")
    return Request(
        bool(vectorized),
        paired,
        level,
        _name("alternative", asked.alternative, ALTERNATIVES),
        number,
        size,
        _name("method", asked.method, METHODS),
        _previous(asked.previous, number),
    )


# Bytes of a distribution from which on it is compared with the free memory.
_COMPARED_FROM = 2**26


def check_memory(request: Request, shape: tuple[int, ...], like: Sequence[np.ndarray]) -> None:
    """Raise a MemoryError that names `n_resamples` if their distribution does not fit.

    Parameters
    ----------
    request : Request
    shape : tuple of int
        Of the statistic.
    like : sequence of ndarray
        Whose type that of the distribution is, if it is one of floats.
    """
    kind = np.result_type(*like)
    each = kind.itemsize if kind.kind == "f" else 8
    # Beside the distribution stand its sorted copy, and the standard errors of resamples.
    copies = 3 if request.method == "studentized" else 2
    size = copies * request.n_resamples * math.prod(shape) * each
    if size < _COMPARED_FROM:
        return
    what = f"`n_resamples`={request.n_resamples} of a statistic of shape {shape}"
    check_available(size, what)
    if size >= sys.maxsize:
        raise MemoryError(f"{what}: no array holds as many numbers")


# What has been asked before: a signature takes as long to read as a hundred small resamples. Functions of
# users are not kept alive by it; those of NumPy have no weak references, and live as long as NumPy.
_WITH_AXIS: weakref.WeakKeyDictionary[Any, bool] = weakref.WeakKeyDictionary()


def takes_axis(statistic: Any) -> bool:
    """Whether a function has a parameter `axis`: then it works on many resamples at once."""
    if type(statistic) is type(np.mean):
        return _of_numpy_with_axis(statistic)
    try:
        return _WITH_AXIS[statistic]
    except (KeyError, TypeError):
        # A TypeError: of such objects there are no weak references, or no hashes.
        pass
    found = _has_axis(statistic)
    with contextlib.suppress(TypeError):
        _WITH_AXIS[statistic] = found
    return found


def _has_axis(statistic: Any) -> bool:
    try:
        return "axis" in inspect.signature(statistic).parameters
    except (TypeError, ValueError):
        return False


_of_numpy_with_axis = functools.lru_cache(maxsize=None)(_has_axis)


def _previous(result: Any, n_resamples: int) -> np.ndarray | None:
    if result is None:
        distribution = None
    elif not hasattr(result, "bootstrap_distribution"):
        raise ValueError(
            "`bootstrap_result` must have attribute `bootstrap_distribution', as a result of this "
            f"function has; got {type(result).__name__}"
        )
    else:
        distribution = np.asarray(result.bootstrap_distribution)
        if distribution.ndim == 0:
            raise ValueError(
                "`bootstrap_result.bootstrap_distribution` must have resamples along its last axis, got "
                f"the single value {distribution!r}"
            )
    if n_resamples == 0 and (distribution is None or not distribution.size):
        raise ValueError(
            "Either `bootstrap_result.bootstrap_distribution.size` or `n_resamples` must be positive"
        )
    return distribution


def check_statistic(statistic: Any, names: Iterable[str]) -> Callable:
    """Something that can be called, or one of `names`."""
    if isinstance(statistic, str) and statistic not in names:
        raise ValueError(
            f"statistic must be a function or one of {', '.join(names)}, got {statistic!r}"
        )
    if not isinstance(statistic, str) and not callable(statistic):
        raise TypeError(f"statistic must be a function or a name, got {statistic!r}")
    return statistic


def check_rng_of_numpy(
    rng: Any, random_state: Any, given: Any
) -> np.random.Generator | np.random.RandomState:
    """A generator, by SciPy's rules for `rng` and for the older `random_state`.

    Parameters
    ----------
    rng, random_state
        `given` where the caller passed nothing.
    """
    if rng is not given and random_state is not given:
        raise TypeError(
            "bootstrap() got multiple values for argument now known as `rng`. Specify one of `rng` or "
            "`random_state`"
        )
    if rng is not given:
        try:
            return np.random.default_rng(rng)
        except (TypeError, ValueError) as error:
            raise type(error)(
                "`rng` must be None, a non-negative integer, a numpy.random.Generator or what else "
                f"numpy.random.default_rng takes, got {rng!r} ({error})"
            ) from None
    state = None if random_state is given else random_state
    if state is None or state is np.random:
        return np.random.mtrand._rand
    if isinstance(state, np.random.Generator | np.random.RandomState):
        return state
    seed = as_whole(state)
    if seed is not None and 0 <= seed < 2**32:
        return np.random.RandomState(seed)
    if seed is not None:
        raise ValueError(f"random_state must be from 0 to 2**32 - 1, got {state!r}")
    raise ValueError(
        f"random_state must be None, an integer, a numpy.random.RandomState or a Generator, got {state!r}"
    )


def _no_number(value: Any) -> type[Exception]:
    """The class of SciPy's error for what is no whole number: what int() raises."""
    return ValueError if isinstance(value, str | Real) else TypeError


def _as_number(name: str, value: Any) -> Any:
    """A number that came as a text (SciPy takes those)."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError as error:  # SciPy's words
        raise ValueError(f"{name} must be a number between 0 and 1: {error}") from None


def _name(name: str, value: Any, allowed: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value.lower() not in allowed:
        relation = "one of" if name == "alternative" else "in"  # SciPy's words
        raise ValueError(f"`{name}` must be {relation} {{{', '.join(allowed)}}}, got {value!r}")
    return value.lower()


def check_previous(previous: np.ndarray | None, shape: tuple[int, ...]) -> None:
    """A distribution that is extended is of the same statistic of the same data."""
    if previous is not None and previous.shape[:-1] != shape:
        raise ValueError(
            f"`bootstrap_result` has a distribution of shape {previous.shape}, and this data and "
            f"statistic give {shape} before the last axis"
        )


def check_known(known: Statistic, lengths: Sequence[int], request: Request) -> None:
    """Samples of these lengths are those that a compiled statistic takes."""
    if len(lengths) != known.n_samples:
        raise ValueError(
            f"statistic {known.name} takes {known.n_samples} sample{'s' * (known.n_samples > 1)}, and "
            f"`data` has {len(lengths)}"
        )
    if known.pair and len(set(lengths)) > 1:
        raise ValueError(
            f"statistic {known.name} takes two samples of the same length, and those of `data` have "
            f"{lengths[0]} and {lengths[1]}"
        )
    if known.pair and request.method == "bca" and not request.paired:
        raise ValueError(
            f"method='BCa' takes statistic {known.name} with paired=True alone: without an observation "
            "of one sample the two differ in length"
        )


def check_combination(
    request: Request, samples: Samples, scheme: Any, standard_error: Any, random_state: bool
) -> None:
    """Options that exclude each other."""
    if request.method == "studentized":
        if request.previous is not None:
            raise ValueError(
                "`bootstrap_result` cannot be extended with method='studentized': the standard "
                "errors of its resamples are not known"
            )
        if getattr(scheme, "draws_unpaired", False):
            raise ValueError(
                f"method='studentized' is not valid with {type(scheme).__name__}: use 'percentile'"
            )
        if scheme is not None and standard_error is None:
            raise ValueError("method='studentized' with a scheme needs `standard_error`, got None")
    elif standard_error is not None:
        raise ValueError(
            f"`standard_error` is used by method='studentized' alone, and method is {request.method!r}"
        )
    if scheme is None:
        return
    if isinstance(scheme, type) or not isinstance(scheme, Scheme):
        hint = f": write {scheme.__name__}(…)" if isinstance(scheme, type) else ""
        raise TypeError(f"scheme must be None or one of fastkb.schemes, got {scheme!r}{hint}")
    if random_state:
        raise TypeError("with a scheme the seed is `rng`, not `random_state`")
    if len(samples.arrays) > 1 and not request.paired and not scheme.draws_unpaired:
        raise ValueError(
            f"a scheme draws one sample, or several with paired=True; `data` has {len(samples.arrays)}"
        )
    if request.method == "bca" and not scheme.knows_bca:
        raise ValueError(
            f"method='BCa' is not valid with {type(scheme).__name__}: use 'percentile', 'basic' or "
            "'cheap'"
        )
