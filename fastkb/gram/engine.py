"""Plan and drive of a Gram matrix: which row of the table, which driver, which buffers."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from fastkb.gram.units import in_range
from fastkb.runtime.cuda import is_device_array
from fastkb.runtime.memory import ALIGNMENT, empty, scratch
from fastkb.runtime.threads import n_threads
from fastkb.scalar.kernels import Kernel as Row
from fastkb.scalar.kernels import Parameters, epilogue_code
from fastkb.tile import cpu
from fastkb.tile.blocking import STREAMED_FROM, TILES_PER_THREAD, Blocking, blocking
from fastkb.tile.pack import pack, packed_length
from fastkb.tile.sinks import Sink

# How long a chunk of tiles may take, and what a core needs about (a slow one; only Ctrl-C waits for it).
_SECONDS_A_CHUNK = 0.25
_SECONDS_A_VALUE = 3e-9
_SECONDS_A_TERM = 1e-10


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
    sizes = blocking(str(X.dtype))
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


def _tile_size(shape: tuple[int, int], symmetric: bool, sizes: Blocking) -> int:
    """The largest tile that leaves every thread some tiles to do, so that none waits for long."""
    smallest = math.lcm(sizes.mr, sizes.nr)
    for tile in (sizes.tile, sizes.tile // 2, sizes.tile // 4):
        across = [-(-side // tile) for side in shape]
        count = across[0] * across[1] // (2 if symmetric else 1)
        if count >= TILES_PER_THREAD * n_threads() or (tile // 2) % smallest:
            break
    return tile


def drive(
    chosen: Plan, X: np.ndarray, Y: np.ndarray | None, out: np.ndarray, parameters: Parameters
) -> None:
    """Compute ``out = K(X, Y)`` as planned."""
    if chosen.transposed:
        out = out.T
        X, Y = (X, None) if Y is None else (Y, X)
    sizes, d, dtype = chosen.sizes, chosen.d, chosen.dtype
    Z = X if Y is None else Y
    lead = chosen.lead if chosen.symmetric else 0
    length_a = packed_length(len(X), d, sizes.mr, lead)
    length_b = packed_length(len(Z), d, sizes.nr, chosen.lead)
    what = "the packed form of the data"
    with scratch("a", length_a, dtype, what) as a, scratch("b", length_b, dtype, what) as b:
        pack(X, a, sizes.mr, lead)
        pack(Z, b, sizes.nr, chosen.lead)
        # Between two chunks Ctrl-C is answered.
        for first in range(0, chosen.n_tiles, chosen.chunk):
            task = cpu.Task(
                form=int(chosen.row.form),
                code=epilogue_code(chosen.row),
                sink=int(Sink.STORE),
                symmetric=int(chosen.symmetric),
                d=d,
                streaming=int(chosen.streaming),
                lead=chosen.lead,
                tile=chosen.tile,
                first=first,
                stop=min(first + chosen.chunk, chosen.n_tiles),
            )
            cpu.gram_tiles(a, b, a[:0], out, task, 1.0, parameters)


def compute(
    row: Row,
    parameters: Parameters,
    X: np.ndarray,
    Y: np.ndarray | None,
    out: np.ndarray | None = None,
    shift: int = 0,
) -> np.ndarray:
    """The Gram matrix of checked arguments, into `out` or a new array; on the GPU if they are there.

    γ is that of the parameters times 2 to the power of `shift`, which alone may be out of range.
    """
    if shift and is_device_array(X):
        with np.errstate(over="ignore"):
            parameters = parameters._replace(gamma=float(np.ldexp(parameters.gamma, shift)))
    if is_device_array(X):
        from fastkb.tile import cuda

        return cuda.gram(row, parameters, X, Y, out)
    shape = (X.shape[0], X.shape[0] if Y is None else Y.shape[0])
    if out is None:
        out = empty(shape, X.dtype, f"a Gram matrix of {shape[0]} x {shape[1]} {X.dtype}")
    if row.takes_gamma:
        gamma, X, Y = in_range(row.form, parameters.gamma, shift, X, Y)
        parameters = parameters._replace(gamma=gamma)
    # A parameter beyond the element type would be infinite there, and 0·∞ no number.
    largest = float(np.finfo(X.dtype).max)
    parameters = Parameters(*(max(-largest, min(value, largest)) for value in parameters))
    drive(plan(row, X, Y, out), X, Y, out, parameters)
    return out
