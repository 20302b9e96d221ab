"""Plan and drive of a Gram matrix: which row of the table, which driver, which buffers."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from fastkb.gram import units
from fastkb.runtime import cuda
from fastkb.runtime.cuda import is_device_array
from fastkb.runtime.memory import ALIGNMENT, empty, scratch, zeros
from fastkb.runtime.threads import n_threads
from fastkb.scalar.kernels import N_PARAMETERS, WEIGHTED, Form, epilogue_code
from fastkb.scalar.kernels import Kernel as Row
from fastkb.tile import cpu
from fastkb.tile.blocking import STREAMED_FROM, TILES_PER_THREAD, TILES_REDUCED, Blocking, blocking
from fastkb.tile.pack import pack, packed_length
from fastkb.tile.sinks import Into, Sink

Parameters = tuple[float, ...]  # of a row's scalar function, in its order

# How long a chunk of tiles may take, and what a core needs about (a slow one; only Ctrl-C waits for it).
_SECONDS_A_CHUNK = 0.25
_SECONDS_A_VALUE = 3e-9
_SECONDS_A_TERM = 1e-10

# Numbers of a packed matrix, or of partial results, in a reduction: 32 MB in float64.
_PARTIAL = 2**22


class Limits(NamedTuple):
    """Of an element type."""

    least: float  # normal number above 0
    largest: float


LIMITS = {
    np.dtype(kind): Limits(float(np.finfo(kind).tiny), float(np.finfo(kind).max))
    for kind in (np.float32, np.float64)
}
_NOTHING = (0.0,) * N_PARAMETERS


class Plan(NamedTuple):
    """All that is decided before a Gram matrix is computed, and why."""

    row: Row  # accumulation and scalar function
    shape: tuple[int, int]
    d: int
    dtype: np.dtype
    symmetric: bool  # Y is X: half of the tiles are mirrored
    transposed: bool  # the result's columns are contiguous: K(Y, X) is written into its transpose
    streaming: bool  # the result is written past the caches
    lead: int  # elements between the beginning of a cache line and that of a row of the result
    tile: int  # rows and columns of a tile
    n_tiles: int  # tiles that are computed
    chunk: int  # how many of them at a time: about a quarter of a second
    sizes: Blocking
    reasons: tuple[str, ...]


def plan(row: Row, X: np.ndarray, Y: np.ndarray | None, out: np.ndarray) -> Plan:
    """Decide how ``out = K(X, Y)`` is computed. Reads shapes, strides and addresses, no data."""
    symmetric = Y is None
    item = X.dtype.itemsize
    transposed = out.strides[0] == item and out.strides[1] != item
    lines = out.T if transposed else out
    # Every row must begin at the same place of a cache line: then tiles can begin where lines do.
    lead, odd = divmod(lines.ctypes.data % ALIGNMENT, item)
    aligned = odd == 0 and lines.strides[0] % ALIGNMENT == 0 and lines.strides[1] == item
    sizes = _sizes(X.dtype)
    streaming = aligned and out.nbytes >= STREAMED_FROM
    reasons = (
        f"{row.form.name.lower()} form: distances are summed from differences, so nothing cancels"
        if row.form.name != "DOT"
        else "dot form: the kernel is a function of the inner product",
        "Y is X: the upper triangle of tiles is computed and mirrored"
        if symmetric
        else "X and Y differ: every tile is computed",
        "the result is larger than the caches: written past them"
        if streaming
        else "the result may fit the caches, or its rows are not aligned alike: written through them",
    )
    lead = lead if streaming else 0
    tile = _tile_size(lines.shape, symmetric, sizes)
    across = -(-(lines.shape[1] + lead) // tile)
    n_tiles = across * (across + 1) // 2 if symmetric else across * -(-lines.shape[0] // tile)
    seconds = tile**2 * (_SECONDS_A_VALUE + X.shape[1] * _SECONDS_A_TERM) / n_threads()
    return Plan(
        row,
        out.shape,
        X.shape[1],
        X.dtype,
        symmetric,
        transposed,
        streaming,
        lead,
        tile,
        n_tiles,
        max(1, int(_SECONDS_A_CHUNK / seconds)),
        sizes,
        reasons,
    )


@functools.cache  # a type's name is looked up in 3 µs
def _sizes(dtype: np.dtype) -> Blocking:
    return blocking(str(dtype))


def _tile_size(shape: tuple[int, int], symmetric: bool, sizes: Blocking) -> int:
    """The largest tile that leaves every thread some tiles to do, so that none waits for long."""
    smallest = math.lcm(sizes.mr, sizes.nr)
    for tile in (sizes.tile, sizes.tile // 2, sizes.tile // 4):
        across = [-(-side // tile) for side in shape]
        count = across[0] * across[1] // (2 if symmetric else 1)
        if count >= TILES_PER_THREAD * n_threads() or (tile // 2) % smallest:
            break
    return tile


class Rows(NamedTuple):
    """What a kernel is to be evaluated on: checked matrices, and length scales of their columns."""

    X: Any  # shape: (n, d)
    Y: Any = None  # shape: (m, d); None: X
    lengths: np.ndarray | None = None  # shape: (d,); None: ones


class Typed(NamedTuple):
    """The numbers that compiled code reads beside the data."""

    parameters: tuple[float, ...]
    weights: np.ndarray | None = None  # of a weighted form.  # shape: (d,)
    coefficients: np.ndarray | None = None  # of a reduction.  # shape: (targets, m)


def drive(chosen: Plan, X: np.ndarray, Y: np.ndarray | None, into: Into, numbers: Typed) -> None:
    """Compute K(X, Y) as planned, into its place."""
    out = into.out
    if chosen.transposed:
        out = out.T
        X, Y = (X, None) if Y is None else (Y, X)
    sizes, Z = chosen.sizes, X if Y is None else Y
    lead = chosen.lead if chosen.symmetric else 0
    task = cpu.Task(
        form=int(chosen.row.form),
        code=epilogue_code(chosen.row),
        sink=int(into.sink),
        symmetric=int(chosen.symmetric),
        n=len(X),
        m=len(Z),
        d=chosen.d,
        streaming=int(chosen.streaming),
        lead=chosen.lead,
        tile=chosen.tile,
        first=0,
        stop=0,
    )
    with _packed(X, "a", sizes.mr, lead) as a, _packed(Z, "b", sizes.nr, chosen.lead) as b:
        _run(a, b, out, task, (chosen.n_tiles, chosen.chunk), into.factor, numbers)


@contextlib.contextmanager
def _packed(X: np.ndarray, name: str, height: int, lead: int = 0) -> Iterator[np.ndarray]:
    """The rows of X as the micro-kernel reads them, in panels of `height`."""
    length = packed_length(len(X), X.shape[1], height, lead)
    with scratch(name, length, X.dtype, "the packed form of the data") as panels:
        pack(X, panels, height, lead)
        yield panels


def _run(
    a: np.ndarray,
    b: np.ndarray,
    out: np.ndarray,
    task: cpu.Task,
    tiles: tuple[int, int],  # all of them, and how many at a time
    factor: float,
    numbers: Typed,
) -> None:
    """All tiles, some at a time: between two runs Ctrl-C is answered."""
    count, together = tiles
    weights = a[:0] if numbers.weights is None else numbers.weights
    coefficients = a[:0].reshape(0, 0) if numbers.coefficients is None else numbers.coefficients
    for first in range(0, count, together):
        some = task._replace(first=first, stop=min(first + together, count))
        cpu.gram_tiles(a, b, weights, coefficients, out, some, factor, numbers.parameters)


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
    drive(plan(row, X, Y, into.out), X, Y, into, numbers)


def reduce(
    row: Row, parameters: Parameters, shift: int, rows: Rows, coefficients: np.ndarray
) -> np.ndarray:
    """K(X, Y) times coefficients, without the matrix K; not of a product over columns.

    Parameters
    ----------
    row, parameters, shift, rows
        As for :func:`accumulate`, with both matrices.
    coefficients : ndarray
        Of the type of X.  # shape: (targets, m)

    Returns
    -------
    ndarray
        The same for any number of threads; a row's does not depend on other rows of X.
        # shape: (n, targets)
    """
    row, parameters, (X, Y, weights) = _prepared(row, parameters, shift, rows)
    numbers = Typed(_typed(row, parameters, X.dtype), weights, coefficients)
    sizes, d, dtype = _sizes(X.dtype), X.shape[1], X.dtype
    targets, m = coefficients.shape
    assert Y is not None
    groups = -(-m // (sizes.tile * TILES_REDUCED))
    at_once = max(1, _PARTIAL // (max(groups * targets, d) * sizes.tile)) * sizes.tile
    seconds = TILES_REDUCED * sizes.tile**2 * (_SECONDS_A_VALUE + d * _SECONDS_A_TERM)
    chunk = n_threads() * max(1, int(_SECONDS_A_CHUNK / seconds))
    what = "the product of a kernel and coefficients"
    found = empty((len(X), targets), dtype, what)
    with _packed(Y, "b", sizes.nr) as b:
        for begin in range(0, len(X), at_once):
            some = X[begin : begin + at_once]
            n = len(some)
            partial = zeros((groups * n, targets), dtype, what)
            task = cpu.Task(
                form=int(row.form),
                code=epilogue_code(row),
                sink=int(Sink.REDUCE),
                symmetric=0,
                n=n,
                m=m,
                d=d,
                streaming=0,
                lead=0,
                tile=sizes.tile,
                first=0,
                stop=0,
            )
            with _packed(some, "a", sizes.mr) as a:
                _run(a, b, partial, task, (groups * -(-n // sizes.tile), chunk), 1.0, numbers)
            total = found[begin : begin + n]
            total[...] = partial[:n]
            with np.errstate(over="ignore", invalid="ignore"):
                for group in range(1, groups):
                    total += partial[group * n : (group + 1) * n]
    return found


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
    from fastkb.tile import cuda_matrices

    X, Y, lengths = rows
    dtype = np.dtype(cuda.interface(X)["typestr"])
    largest = LIMITS[dtype].largest
    weights = None if lengths is None else (1.0 / lengths).clip(max=largest)
    if row.unit_rows or (weights is not None and row.form == Form.DOT):
        X, Y = (
            None if Z is None else cuda_matrices.prepared(Z, weights, row.unit_rows) for Z in (X, Y)
        )
        weights = None
    if parameters:
        with np.errstate(over="ignore"):
            parameters = (float(np.ldexp(parameters[0], shift)), *parameters[1:])
    into = into._replace(factor=min(into.factor, largest))
    driver.gram(row, _typed(row, parameters, dtype), X, Y, into, weights)
