"""A planned Gram matrix, run on the CPU: rows are packed, and the tiles computed some at a time.

Squared distances of many columns are made of inner products where that is *certified*: differences take
two operations for each term, inner products one. The rows are centred before, and their largest norm
bounds what the rounding errors of the products can do to a value of the kernel. The choice reads the
data, and neither threads nor tiles.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from fastkb.gram.plan import (
    SECONDS_A_CHUNK,
    SECONDS_A_TERM,
    SECONDS_A_VALUE,
    Plan,
    sizes_of,
)
from fastkb.runtime import memory
from fastkb.runtime.cpu import cpu as processor
from fastkb.runtime.threads import n_threads
from fastkb.scalar.kernels import Form, epilogue_code
from fastkb.scalar.kernels import Kernel as Row
from fastkb.tile import cpu
from fastkb.tile.blocking import PRODUCTS_FROM, PRODUCTS_OF, TILES_REDUCED
from fastkb.tile.pack import column_sums, pack, packed_length, packed_norms
from fastkb.tile.sinks import Into, Sink

# Numbers of a packed matrix, or of partial results, in a reduction: 32 MB in float64.
PARTIAL = 2**22

# Numbers of Y from which a reduction looks whether inner products will do.
REDUCED_PRODUCTS_OF = 2**12

# A value of float64 that is added up with others may be wrong by so many times what is promised of one
# that is returned: by 3e-13 for 20 columns. Scikit-learn's distances, of rows that are not centred, have
# errors of that size or more.
LOOSE = {np.dtype(np.float32): 1.0, np.dtype(np.float64): 64.0}

Norms = tuple[np.ndarray, np.ndarray]  # of the packed rows on the left, and on the right


class Typed(NamedTuple):
    """The numbers that compiled code reads beside the data."""

    parameters: tuple[float, ...]
    weights: np.ndarray | None = None  # of a weighted form.  # shape: (d,)
    coefficients: np.ndarray | None = None  # of a reduction.  # shape: (targets, m)


def drive(
    chosen: Plan,
    X: np.ndarray,
    Y: np.ndarray | None,
    into: Into,
    numbers: Typed,
    steepness: float | None = None,
) -> None:
    """Compute K(X, Y) as planned, into its place.

    With the `steepness` of the scalar function, distances may be made of inner products.
    """
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
        distances=0,
        first=0,
        stop=0,
    )
    tiles = chosen.n_tiles, chosen.chunk
    if steepness is not None and _worth_products(chosen):
        centre = _centre(X, Y)
        with (
            packed(X, "a", sizes.mr, lead, centre) as a,
            packed(Z, "b", sizes.nr, chosen.lead, centre) as b,
        ):
            right = _norms(b, sizes.nr, chosen.d)
            left = _norms(a, sizes.mr, chosen.d) if Y is not None else right
            norms = left, right
            if _certified(steepness, norms, chosen.d):
                task = task._replace(form=int(Form.DOT), distances=1)
                run_tiles(a, b, out, task, tiles, into.factor, numbers, norms)
                return
    with packed(X, "a", sizes.mr, lead) as a, packed(Z, "b", sizes.nr, chosen.lead) as b:
        run_tiles(a, b, out, task, tiles, into.factor, numbers)


def drive_reduction(
    row: Row,
    X: np.ndarray,
    Y: np.ndarray,
    numbers: Typed,
    found: np.ndarray,
    steepness: float | None = None,
) -> None:
    """Set `found` to K(X, Y) times coefficients, without the matrix K.

    With the `steepness` of the scalar function, distances may be made of inner products. Whether they
    are is asked of Y and of each row of X alone: a row's result does not depend on other rows of X.
    """
    sizes, d = sizes_of(X.dtype), X.shape[1]
    if steepness is not None and len(Y) * d >= REDUCED_PRODUCTS_OF and processor().has_fma:
        centre, loose = _centre(Y, None), LOOSE[X.dtype]
        with packed(Y, "b", sizes.nr, 0, centre) as b:
            right = _norms(b, sizes.nr, d)
            limit = loose * 2.0 * d / (d + 8) / steepness if steepness else np.inf  # see _certified
            if right.max() <= limit:
                far = _reduce(row, (X, len(Y), b), numbers, found, Reduced(centre, right, limit))
                if len(far):
                    of_far = np.empty((len(far), found.shape[1]), found.dtype)
                    drive_reduction(row, X[far], Y, numbers, of_far)
                    found[far] = of_far
                return
    with packed(Y, "b", sizes.nr) as b:
        _reduce(row, (X, len(Y), b), numbers, found, None)


class Reduced(NamedTuple):
    """What distances of inner products are made of in a reduction."""

    centre: np.ndarray  # shape: (d,)
    norms: np.ndarray  # squared, of the packed rows on the right
    limit: float  # of the squared norm of a row on the left


def _reduce(
    row: Row,
    of: tuple[np.ndarray, int, np.ndarray],  # X, the rows of Y, and these packed
    numbers: Typed,
    found: np.ndarray,
    products: Reduced | None,
) -> np.ndarray:
    """:func:`drive_reduction` in one way; the rows of X that are beyond its limit."""
    X, m, b = of
    d, dtype = X.shape[1], X.dtype
    assert numbers.coefficients is not None
    targets, sizes = len(numbers.coefficients), sizes_of(dtype)
    groups = -(-m // (sizes.tile * TILES_REDUCED))
    at_once = max(1, PARTIAL // (max(groups * targets, d) * sizes.tile)) * sizes.tile
    seconds = TILES_REDUCED * sizes.tile**2 * (SECONDS_A_VALUE + d * SECONDS_A_TERM)
    chunk = n_threads() * max(1, int(SECONDS_A_CHUNK / seconds))
    far = []
    for begin in range(0, len(X), at_once):
        some = X[begin : begin + at_once]
        n = len(some)
        partial = memory.zeros(
            (groups * n, targets), dtype, "the product of a kernel and coefficients"
        )
        task = cpu.Task(
            form=int(Form.DOT if products else row.form),
            code=epilogue_code(row),
            sink=int(Sink.REDUCE),
            symmetric=0,
            n=n,
            m=m,
            d=d,
            streaming=0,
            lead=0,
            tile=sizes.tile,
            distances=int(products is not None),
            first=0,
            stop=0,
        )
        tiles = groups * -(-n // sizes.tile), chunk
        centre = None if products is None else products.centre
        with packed(some, "a", sizes.mr, 0, centre) as a:
            norms = None
            if products is not None:
                norms = _norms(a, sizes.mr, d), products.norms
                far.append(begin + np.flatnonzero(~(norms[0][:n] <= products.limit)))
            run_tiles(a, b, partial, task, tiles, 1.0, numbers, norms)
        total = found[begin : begin + n]
        total[...] = partial[:n]
        with np.errstate(over="ignore", invalid="ignore"):
            for group in range(1, groups):
                total += partial[group * n : (group + 1) * n]
    return np.concatenate(far) if far else np.empty(0, np.intp)


def _worth_products(chosen: Plan) -> bool:
    """Whether inner products are so much quicker than differences that a look at the data pays."""
    return (
        chosen.d >= PRODUCTS_FROM and math.prod(chosen.shape) >= PRODUCTS_OF and processor().has_fma
    )


def _centre(X: np.ndarray, Y: np.ndarray | None) -> np.ndarray:
    """The mean of all rows, the same for any memory layout, and for Y and X.  # shape: (d,)"""
    parts = [X] if Y is None else [X, Y]
    sums = np.empty((len(parts), X.shape[1]))
    for part, out in zip(parts, sums, strict=True):
        column_sums(part, out)
    with np.errstate(over="ignore", invalid="ignore"):
        return (sums.sum(axis=0) / sum(map(len, parts))).astype(X.dtype)


def _norms(panels: np.ndarray, height: int, d: int) -> np.ndarray:
    """Squared norms of packed rows.  # shape: (rows,)"""
    rows = len(panels) // d
    out, scratch = np.empty(rows, panels.dtype), np.empty((rows // height, height), panels.dtype)
    packed_norms(panels, height, d, out, scratch)
    return out


def _certified(steepness: float, norms: Norms, d: int) -> bool:
    r"""Whether distances of inner products are right to :math:`2 d \epsilon` of the kernel's values.

    With R² the largest squared norm of a centred row, a sum of d products is wrong by
    :math:`d \epsilon R^2 / 2` at most, and counts twice; centring, norms and the last sums take some
    units :math:`\epsilon R^2` more. The scalar function turns an error of the distance into one of its
    value, relative to it, of no more than its steepness times as much.
    """
    largest = max(float(one.max()) for one in norms)
    return bool(steepness * largest * (d + 8) <= 2.0 * d)


@contextlib.contextmanager
def packed(
    X: np.ndarray, name: str, height: int, lead: int = 0, centre: np.ndarray | None = None
) -> Iterator[np.ndarray]:
    """The rows of X, less a centre, as the micro-kernel reads them, in panels of `height`."""
    length = packed_length(len(X), X.shape[1], height, lead)
    with memory.scratch(name, length, X.dtype, "the packed form of the data") as panels:
        pack(X, panels, height, lead, np.empty(0, X.dtype) if centre is None else centre)
        yield panels


def run_tiles(
    a: np.ndarray,
    b: np.ndarray,
    out: np.ndarray,
    task: cpu.Task,
    tiles: tuple[int, int],  # all of them, and how many at a time
    factor: float,
    numbers: Typed,
    norms: Norms | None = None,
) -> None:
    """All tiles, some at a time: between two runs Ctrl-C is answered."""
    count, together = tiles
    weights = a[:0] if numbers.weights is None else numbers.weights
    coefficients = a[:0].reshape(0, 0) if numbers.coefficients is None else numbers.coefficients
    packed = cpu.Packed(a, b, weights, coefficients, *(norms or (a[:0], a[:0])))
    for first in range(0, count, together):
        some = task._replace(first=first, stop=min(first + together, count))
        cpu.gram_tiles(packed, out, some, factor, numbers.parameters)
