"""Gram matrices of Dask arrays: lazy ones, block by block.

Every block of rows meets every other in one task. Of K(X, X) the blocks above the diagonal are computed,
and those below are their transposes. Below 64 columns an entry depends on its two rows alone, so that the
matrix has the bits of that of arrays in memory, however X is cut; from 64 on the form that its distances
are summed in, and its last digits, may depend on the block.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

_Function = TypeVar("_Function", bound=Callable[..., Any])


def is_lazy(*arrays: Any) -> bool:
    """Whether one of them is a Dask array. Dask is not loaded for it."""
    dask = sys.modules.get("dask.array")
    return dask is not None and any(isinstance(array, dask.Array) for array in arrays)


def takes_dask(function: _Function) -> _Function:
    """Let a function of X, Y and options take Dask arrays, for which it is called block by block."""

    @functools.wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        if not is_lazy(*arguments[:2], options.get("X"), options.get("Y")):
            return function(*arguments, **options)
        given = inspect.signature(function).bind(*arguments, **options)
        given.apply_defaults()
        named = dict(given.arguments)
        X, Y, out = named.pop("X"), named.pop("Y"), named.pop("out", None)
        named.update(named.pop("kwds", {}))
        # By its public name: that is what reaches the workers.
        return gram_of_blocks(functools.partial(call, **named), X, Y, out)

    return call  # type: ignore[return-value]


def gram_of_blocks(function: Callable[..., np.ndarray], X: Any, Y: Any, out: Any) -> Any:
    """The lazy Gram matrix of the blocks ``function(X_i, Y_j)``, on the diagonal ``function(X_i)``.

    Parameters
    ----------
    function : callable
        Of matrices in memory. What is wrong with its options is found out at once.
    X, Y : dask.array.Array or array_like
        Y may be None.
    out : None

    Returns
    -------
    dask.array.Array
        # shape: (n, m), in chunks as the rows of X and Y are
    """
    if out is not None:
        raise ValueError("out must be None for Dask arrays: their Gram matrix is lazy")
    Y = None if Y is X else Y
    X = _by_rows(X, "X")
    Y = None if Y is None else _by_rows(Y, "Y")
    if Y is not None and X.shape[1] != Y.shape[1]:
        raise ValueError(
            f"Incompatible dimension for X and Y matrices: X.shape[1] == {X.shape[1]} while "
            f"Y.shape[1] == {Y.shape[1]}"
        )
    one, other = (np.zeros((1, X.shape[1]), array.dtype) for array in (X, X if Y is None else Y))
    return _assembled(function, X, Y, function(one, other).dtype)


def _by_rows(array: Any, name: str) -> Any:
    """A Dask array whose chunks are whole rows."""
    import dask.array as da

    if not isinstance(array, da.Array):
        array = da.from_array(np.asarray(array), chunks=-1)
    if array.ndim != 2:
        raise ValueError(f"{name} must have two dimensions, got {array.ndim}")
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} must hold real numbers, got {array.dtype}")
    return array.rechunk({1: -1})


def _assembled(function: Callable[..., np.ndarray], X: Any, Y: Any, dtype: np.dtype) -> Any:
    import dask.array as da
    from dask.base import tokenize
    from dask.highlevelgraph import HighLevelGraph

    right = X if Y is None else Y
    name = f"gram-{tokenize(function, X.name, right.name)}"
    tasks: dict[Any, tuple] = {}
    for i in range(X.numblocks[0]):
        for j in range(right.numblocks[0]):
            if Y is None and i > j:
                tasks[name, i, j] = (np.transpose, (name, j, i))
            elif Y is None and i == j:
                tasks[name, i, j] = (function, (X.name, i, 0))
            else:
                tasks[name, i, j] = (function, (X.name, i, 0), (right.name, j, 0))
    graph = HighLevelGraph.from_collections(name, tasks, dependencies=[X, right])
    return da.Array(graph, name, (X.chunks[0], right.chunks[0]), dtype=dtype)
