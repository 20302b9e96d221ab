"""Where everything lies: the CUDA kernel's work, threads and shared memory, from its blocking."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastkb.tile.blocking import CudaBlocking

SHARED_BYTES = 48 * 1024  # what every device grants a block without being asked
LOAD_BYTES = 16  # the widest load of one thread


class Layout(NamedTuple):
    """A blocking and what follows from it; all lengths in elements."""

    tile: int  # rows and columns of a block's part of the result
    side: int  # threads along each side of it: side² in all
    kc: int  # columns of a slab
    vector: int  # elements in 16 bytes
    each: int  # rows and columns of a thread's part
    span: int  # rows of a strip: those of one group of `vector` rows of each thread
    stride: int  # from row to row of slabs and strips, in shared memory
    slab: int  # one operand's slab
    memory: int  # shared memory: two buffers of two slabs, or a strip
    aligned: int  # an offset ANDed with it is a multiple of 16 bytes, in the compiler's eyes too


def layout(sizes: CudaBlocking, dtype: np.dtype) -> Layout:
    """Lay the kernel's work out.

    Raises
    ------
    ValueError
        If the sizes do not divide one another as the kernel needs, or do not fit shared memory.
    """
    tile, side, kc, _ = sizes
    threads, vector = side * side, LOAD_BYTES // dtype.itemsize
    each = tile // side
    span = side * vector
    stride = tile + vector
    slab = kc * stride
    memory = max(4 * slab, span * stride)
    divided = (
        (tile, side), (each, vector), (threads, kc), (tile * kc, threads), (threads, tile),
        (span * tile, threads), (threads, span), (tile * span, threads * vector),
    )  # fmt: skip
    if any(whole % part for whole, part in divided):
        raise ValueError(
            f"{sizes} cannot be laid out for {dtype}: its sizes do not divide one another"
        )
    if memory * dtype.itemsize > SHARED_BYTES:
        raise ValueError(f"{sizes} needs {memory * dtype.itemsize} bytes of shared memory")
    aligned = (1 << memory.bit_length()) - vector
    return Layout(tile, side, kc, vector, each, span, stride, slab, memory, aligned)


def place(t, down, across, symmetric):
    """Row and column of tile t; if symmetric, of the t-th tile on or above the diagonal.

    In the upper triangle the first row and the last, the second and the last but one, …, have as many
    tiles together: laid end to end they fill a rectangle (if `down` is odd, the first row fills its
    first line alone), and dividing t by its width finds the place without a square root::

        down = 5:  00 01 02 03 04       down = 4:  33 00 01 02 03
                   44 11 12 13 14                  23 22 11 12 13
                   34 33 22 23 24
    """
    if not symmetric:
        return t // across, t % across
    shift = 1 - down % 2
    width = down + shift
    i = t // width
    j = t % width
    if j >= i + shift:
        return i, j - shift
    return down - shift - i, down - 1 - j
