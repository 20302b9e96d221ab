"""The engine of Gram matrices: one kernel of the table on checked rows, stored, added or reduced."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastkb.gram import units
from fastkb.gram.drive import Typed, drive, drive_reduction
from fastkb.gram.plan import plan
from fastkb.runtime import cuda
from fastkb.runtime.cuda import is_device_array
from fastkb.runtime.memory import empty
from fastkb.scalar.kernels import N_PARAMETERS, WEIGHTED, Form
from fastkb.scalar.kernels import Kernel as Row
from fastkb.tile.sinks import Into, Sink

Parameters = tuple[float, ...]  # of a row's scalar function, in its order


class Limits(NamedTuple):
    """Of an element type."""

    least: float  # normal number above 0
    largest: float


LIMITS = {
    np.dtype(kind): Limits(float(np.finfo(kind).tiny), float(np.finfo(kind).max))
    for kind in (np.float32, np.float64)
}
_NOTHING = (0.0,) * N_PARAMETERS


class Rows(NamedTuple):
    """What a kernel is to be evaluated on: checked matrices, and length scales of their columns."""

    X: Any  # shape: (n, d)
    Y: Any = None  # shape: (m, d); None: X
    lengths: np.ndarray | None = None  # shape: (d,); None: ones


def compute(
    row: Row,
    parameters: Parameters,
    X: np.ndarray,
    Y: np.ndarray | None = None,
    out: np.ndarray | None = None,
    shift: int = 0,
) -> np.ndarray:
    """The Gram matrix of checked arguments, into `out` or a new array; on the GPU if they are there.

    The first parameter is multiplied by 2 to the power of `shift`: alone it may be out of range.
    """
    if out is None:
        out = new_matrix(X, Y)
    accumulate(row, parameters, shift, Rows(X, Y), Into(out))
    return out


def new_matrix(X: Any, Y: Any = None) -> Any:
    """Where the Gram matrix of X and Y has room: a new array of X's kind."""
    shape = (X.shape[0], X.shape[0] if Y is None else Y.shape[0])
    if is_device_array(X):
        return cuda.empty_like(X, shape)
    return empty(shape, X.dtype, f"a Gram matrix of {shape[0]} x {shape[1]} {X.dtype}")


def takes_room(row: Row, sink: Sink, d: int) -> bool:
    """Whether :func:`accumulate` cannot do it in place: a product over columns, to be added."""
    return row.by_column and d > 1 and sink == Sink.ADD


def accumulate(row: Row, parameters: Parameters, shift: int, rows: Rows, into: Into) -> None:
    """:func:`compute`, combined with what stands in the result as `into` says.

    The result must not be one that :func:`takes_room`.
    """
    X, Y, lengths = rows
    d = X.shape[1]
    if row.by_column and d > 1:
        alone = row._replace(by_column=False)
        for j in range(d):
            some = slice(j, j + 1)
            x, y = X[:, some], None if Y is None else Y[:, some]
            column = Rows(x, y, None if lengths is None else lengths[some])
            accumulate(alone, parameters, shift, column, into)
            into = Into(into.out, Sink.MULTIPLY)
        return
    if is_device_array(X):
        _on_device(row, parameters, shift, rows, into)
        return
    row, parameters, (X, Y, weights) = _prepared(row, parameters, shift, rows)
    numbers = Typed(_typed(row, parameters, X.dtype), weights)
    if into.factor != 1.0:
        into = into._replace(factor=min(into.factor, LIMITS[X.dtype].largest))
    steepness = None if row.steepness is None else row.steepness(*parameters)
    if row.form != Form.SQDIFF:  # length scales: the differences have weights
        steepness = None
    drive(plan(row, X, Y, into.out), X, Y, into, numbers, steepness)


def reduce(
    row: Row,
    parameters: Parameters,
    shift: int,
    rows: Rows,
    coefficients: Any,
    into: Into | None = None,
) -> Any:
    """K(X, Y) times coefficients, without the matrix K; not of a product over columns.

    Parameters
    ----------
    row, parameters, shift, rows
        As for :func:`accumulate`, with both matrices.
    coefficients : ndarray or device array
        Of the type of X, and where X is.  # shape: (targets, m)
    into : Into, optional
        An array of shape (n, targets), of X's kind: the product times the factor is stored there or
        added to it. A new array where left out.

    Returns
    -------
    ndarray or device array
        The same for any number of threads; a row's does not depend on other rows of X.
        # shape: (n, targets)
    """
    if is_device_array(rows.X):
        return _reduced_on_device(row, parameters, shift, rows, coefficients, into)
    row, parameters, (X, Y, weights) = _prepared(row, parameters, shift, rows)
    numbers = Typed(_typed(row, parameters, X.dtype), weights, coefficients)
    assert Y is not None
    found = empty((len(X), len(coefficients)), X.dtype, "the product of a kernel and coefficients")
    steepness = row.steepness(*parameters) if row.form == Form.SQDIFF and row.steepness else None
    drive_reduction(row, X, Y, numbers, found, steepness)
    if into is None:
        return found
    with np.errstate(over="ignore", invalid="ignore"):
        if into.factor != 1.0:
            found *= min(into.factor, LIMITS[found.dtype].largest)
        if into.sink == Sink.ADD:
            found += into.out
    into.out[...] = found
    return into.out


def diagonal(row: Row, parameters: Parameters, shift: int, rows: Rows) -> np.ndarray:
    """K(x, x) for each row of X.  # shape: (n,)"""
    X = rows.X
    if row.unit_diagonal:
        return np.ones(len(X), X.dtype)
    if row.form != Form.DOT:
        return values(row, parameters, np.zeros(len(X), X.dtype))
    row, parameters, (X, _, _) = _prepared(row, parameters, shift, rows._replace(Y=None))
    with np.errstate(over="ignore"):
        return values(row, parameters, np.sum(np.square(X, order="C"), axis=1))


def values(row: Row, parameters: Parameters, sums: np.ndarray) -> np.ndarray:
    """g of sums that are there already.  # shapes: (n,) -> (n,)

    As a row of inner products with 1, so that it is the engine's own g.
    """
    out = np.empty((1, len(sums)), sums.dtype)
    one, t = np.ones((1, 1), sums.dtype), np.ascontiguousarray(sums)[:, None]
    row = row._replace(form=Form.DOT)
    numbers = Typed(_typed(row, parameters, sums.dtype))
    drive(plan(row, one, t, out), one, t, Into(out), numbers)
    return out[0]


class _Prepared(NamedTuple):
    X: np.ndarray
    Y: np.ndarray | None
    weights: np.ndarray | None


def _prepared(
    row: Row, parameters: Parameters, shift: int, rows: Rows
) -> tuple[Row, Parameters, _Prepared]:
    """Row, parameters and matrices as the engine takes them: in range, without shift and lengths."""
    X, Y, lengths = rows
    if row.unit_rows:
        X, Y = units.of_norm_one(X, lengths), None if Y is None else units.of_norm_one(Y, lengths)
        return row, parameters, _Prepared(X, Y, None)
    if lengths is not None and row.form == Form.DOT:
        # On both sides alike: the result stays symmetric to the last bit.
        power = units.divided_exponent(X, Y, lengths) if parameters else 0
        power = 0 if units.fits(units.RANGES[X.dtype], X.shape[1], power) else power
        X = units.divided(X, lengths, -power)
        Y = None if Y is None else units.divided(Y, lengths, -power)
        shift, lengths = shift + 2 * power, None
    gamma = parameters[0] if parameters else 1.0
    if lengths is not None:
        gamma, X, Y, weights = units.weighted_in_range(row, gamma, shift, lengths, X, Y)
        row = row._replace(form=WEIGHTED[row.form])
    else:
        weights = None
        if parameters:
            gamma, X, Y, _ = units.in_range(row, gamma, shift, X, Y)
    return row, (gamma, *parameters[1:])[: len(parameters)], _Prepared(X, Y, weights)


def _typed(row: Row, parameters: Parameters, dtype: np.dtype) -> tuple[float, ...]:
    """The parameters within the element type, and as many numbers as compiled code reads."""
    # Beyond the type they would be infinite there, and 0·∞ no number; 0 / 0 neither.
    least, largest = LIMITS[dtype]
    clipped = [
        max(least if known.open_below else -largest, min(value, largest))
        for known, value in zip(row.parameters, parameters, strict=True)
    ]
    return (*clipped, *_NOTHING[len(clipped) :])


def _on_device(row: Row, parameters: Parameters, shift: int, rows: Rows, into: Into) -> None:
    from fastkb.tile import cuda as driver

    typed, (X, Y, weights), dtype = _prepared_on_device(row, parameters, shift, rows)
    into = into._replace(factor=min(into.factor, LIMITS[dtype].largest))
    driver.gram(row, typed, X, Y, into, weights)


def _reduced_on_device(
    row: Row,
    parameters: Parameters,
    shift: int,
    rows: Rows,
    coefficients: Any,
    into: Into | None,
) -> Any:
    from fastkb.tile import cuda_reduce as driver

    typed, (X, Y, weights), dtype = _prepared_on_device(row, parameters, shift, rows)
    if into is None:
        into = Into(cuda.empty_like(rows.X, (rows.X.shape[0], coefficients.shape[0])))
    into = into._replace(factor=min(into.factor, LIMITS[dtype].largest))
    return driver.reduce(row, typed, X, Y, coefficients, into, weights)


def _prepared_on_device(
    row: Row, parameters: Parameters, shift: int, rows: Rows
) -> tuple[Parameters, _Prepared, np.dtype]:
    """Parameters and matrices as the CUDA kernels take them, and the matrices' type."""
    from fastkb.tile import cuda_matrices

    X, Y, lengths = rows
    dtype = np.dtype(cuda.interface(X)["typestr"])
    weights = None if lengths is None else (1.0 / lengths).clip(max=LIMITS[dtype].largest)
    if row.unit_rows or (weights is not None and row.form == Form.DOT):
        X, Y = (
            None if Z is None else cuda_matrices.prepared(Z, weights, row.unit_rows) for Z in (X, Y)
        )
        weights = None
    if parameters:
        with np.errstate(over="ignore"):
            parameters = (float(np.ldexp(parameters[0], shift)), *parameters[1:])
    return _typed(row, parameters, dtype), _Prepared(X, Y, weights), dtype
