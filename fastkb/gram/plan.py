"""What is decided before a Gram matrix is computed: tiles, the order of writing, and why."""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np

from fastkb.runtime.memory import ALIGNMENT
from fastkb.runtime.threads import n_threads
from fastkb.scalar.kernels import Form
from fastkb.scalar.kernels import Kernel as Row
from fastkb.tile.blocking import (
    PRODUCTS_FROM,
    STREAMED_FROM,
    TILES_PER_THREAD,
    Blocking,
    blocking,
)

# How long a chunk of tiles may take, and what a core needs about (a slow one; only Ctrl-C waits for it).
SECONDS_A_CHUNK = 0.25
SECONDS_A_VALUE = 3e-9
SECONDS_A_TERM = 1e-10


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
    sizes = sizes_of(X.dtype)
    streaming = aligned and out.nbytes >= STREAMED_FROM
    reasons = (
        _reason(row),
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
    seconds = tile**2 * (SECONDS_A_VALUE + X.shape[1] * SECONDS_A_TERM) / n_threads()
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
        max(1, int(SECONDS_A_CHUNK / seconds)),
        sizes,
        reasons,
    )


def _reason(row: Row) -> str:
    """Of what the sums are made, and why."""
    if row.form == Form.DOT:
        return "dot form: the kernel is a function of the inner product"
    reason = (
        f"{row.form.name.lower()} form: distances are summed from differences, so nothing cancels"
    )
    if row.steepness is None:
        return reason
    return (
        f"{reason}; from {PRODUCTS_FROM} columns on from inner products of centred rows, where their "
        "norms certify as few rounding errors"
    )


@functools.cache  # a type's name is looked up in 3 µs
def sizes_of(dtype: np.dtype) -> Blocking:
    """The blocking of an element type."""
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
