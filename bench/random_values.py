"""Random data as users have them, and arguments that are wrong: for :mod:`bench.random_calls`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

_TYPES = (np.float64, np.float64, np.float64, np.float32, np.int64, np.int16)


def matrix(rng: np.random.Generator, n: int, d: int, *, plain: bool = False) -> np.ndarray:
    """Random rows: of any type, order and strides, read-only, with offsets and scales.

    Parameters
    ----------
    plain : bool, default False
        Whether values are of the size of 1, as where a condition must stay moderate.
    """
    values = rng.normal(size=(n, d))
    dtype = _TYPES[int(rng.integers(len(_TYPES)))]
    if np.dtype(dtype).kind == "i":
        values = np.round(3 * values)
    elif not plain:
        values = values * 10 ** rng.uniform(-3, 3)
        if rng.random() < 0.3:
            values = values + 10 ** rng.uniform(0, 3)
    elif dtype == np.float32:
        dtype = np.float64
    values = values.astype(dtype)
    how = rng.integers(5)
    if how == 1:
        values = np.asfortranarray(values)
    elif how == 2:
        wider = np.zeros((2 * n, d), dtype)
        wider[::2] = values
        values = wider[::2]
    elif how == 3:
        values = values[::-1]
    elif how == 4:
        values.flags.writeable = False
    return values


def target(rng: np.random.Generator, n: int, *, whole: bool = False) -> np.ndarray:
    """Random numbers with a scale and perhaps an offset; with `whole` perhaps whole and with ties."""
    if whole and rng.random() < 0.3:
        return rng.integers(-5, 6, n).astype(_TYPES[int(rng.integers(3, 6))])
    values = rng.normal(size=n) * 10 ** rng.uniform(-3, 3)
    return values + (10 ** rng.uniform(0, 3) if rng.random() < 0.3 else 0.0)


class Spoiled(NamedTuple):
    """An argument that is wrong."""

    name: str
    value: Any

    def __str__(self) -> str:
        return f"{self.name}={' '.join(repr(self.value).split())[:60]}"

    def is_named_in(self, message: str) -> bool:
        """Whether an error tells which argument it is about."""
        names = {self.name, *_ALSO_CALLED.get(self.name, ())}
        return any(name in message for name in names)


# scikit-learn's and SciPy's own checks have other words for data.
_ALSO_CALLED = {
    "X": ("Input", "array", "features", "sample", "input", "Array", "dtype", "sparse", "Sparse"),
    "Y": ("Input", "array", "features", "sample", "input", "Array", "dtype", "sparse", "Sparse"),
    "y": ("Input", "array", "target", "sample", "Array", "dtype", "sparse", "Sparse", "label"),
    "X_eval": ("Input", "array", "features", "sample", "Array", "dtype", "sparse", "Sparse"),
    "sample_weight": ("Sample weights", "weights", "Input sample"),
    "data": ("sample",),
    "alpha": ("diverged",),  # a penalty of 2**70 is one
    "alphas": ("alpha",),
    "gammas": ("gamma",),
}

_DATA = {"X", "Y", "y", "X_eval", "data", "sample_weight"}
_SCALARS: tuple[Any, ...] = (
    "x",
    np.nan,
    np.inf,
    -1,
    -0.5,
    1 + 2j,
    [1, "a"],
    2**70,
    object(),
    {},
    np.array("2020", "M8[Y]"),
)


def _wrong_data(rng: np.random.Generator, value: Any) -> Any:
    """Data of which something is wrong, made from right ones."""
    data = np.array(value, dtype=object if value is None else None)
    if data.ndim == 0:
        data = np.ones(3)
    kinds = [
        lambda: _with(data, np.nan),
        lambda: _with(data, np.inf),
        lambda: data + 1j,
        lambda: np.full(data.shape, "a"),
        lambda: _with(data.astype(object), float("inf")),
        lambda: data[:0],
        lambda: data[None, None],
        lambda: np.ma.masked_array(data, np.arange(data.size).reshape(data.shape) == 0),
        lambda: (
            data.astype("M8[D]")
            if data.dtype.kind in "iu"
            else np.full(data.shape, "2020", "M8[D]")
        ),
        lambda: {"a": 1},
        lambda: sparse.csr_array(_with(np.atleast_2d(data).astype(float), np.nan)),
        lambda: None,
    ]
    return kinds[int(rng.integers(len(kinds)))]()


def _with(data: np.ndarray, value: float) -> np.ndarray:
    spoiled = data.astype(data.dtype if data.dtype.kind in "fcO" else np.float64)
    if spoiled.size:
        spoiled.flat[0] = value
    return spoiled


def spoil(
    rng: np.random.Generator, arguments: dict[str, Any], share: float, leave: tuple[str, ...] = ()
) -> tuple[dict[str, Any], Spoiled | None]:
    """The arguments; in a share of the calls one of them is wrong."""
    if rng.random() >= share:
        return arguments, None
    names = [name for name in arguments if name not in leave]
    name = str(rng.choice(names))
    value = arguments[name]
    if name == "data":
        wrong: Any = (_wrong_data(rng, value[0]), *value[1:])
    elif name in _DATA:
        wrong = _wrong_data(rng, value)
    else:
        wrong = _SCALARS[int(rng.integers(len(_SCALARS)))]
    return {**arguments, name: wrong}, Spoiled(name, wrong)
