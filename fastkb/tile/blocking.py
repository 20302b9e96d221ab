"""The blocking table: the only place where the engine's sizes stand, each with its reason.

A tile of the result is `tile` x `tile`; it is covered by micro-tiles of `mr` x `nr`, each of which
stays in registers while `kc` columns of the data stream past::

              nr = nv vectors
            ┌───────────────┐      accumulators   mr x nv registers
         mr │ c c c │ c c c │      b              nv registers
            │ c c c │ c c c │      a              broadcast from memory
            └───────────────┘

========= ===================================================================================
size      reason
========= ===================================================================================
mr x nv   As many accumulators as fit beside nv registers of b and one of a: 8 x 3 = 24 of 32
          registers (AVX-512, NEON), 4 x 3 = 12 of 16 (AVX2, SSE). A fused multiply-add takes 4
          cycles and two start in each, so at least 8 must be under way.
kc        The b panel (kc x nr) stays in the first-level cache: 256 x 24 x 8 bytes = 48 KB.
tile      A multiple of every mr and nr of the table; tile² values are 72 KB in float64, small
          enough for a thread's stack and the second-level cache, and a row of 96 values is 12
          whole cache lines when it is written out.
========= ===================================================================================
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

from fastkb.runtime.cpu import cpu

# Bytes from which a result is written past the caches: more than a core's share of the last level.
STREAMED_FROM = 16 * 2**20

# Columns from which distances are made of inner products, where that is certified: below, the rows'
# scalar function takes most of the time.
PRODUCTS_FROM = 64
# Of a smaller result they do not pay for centring the rows and for their norms.
PRODUCTS_OF = 2**18

# Tiles that every thread should have, if the result is large enough: below, they are made smaller.
TILES_PER_THREAD = 6

# Tiles that a thread takes at a time (TBB). Few, so that a core that is busy elsewhere holds nobody up
# and both threads work near each other in a fresh result: the operating system zeroes its pages when
# they are first touched, and they are then still in the cache.
TILES_AT_A_TIME = 4

# Tiles side by side whose values are reduced one after the other, the same for any number of threads: so
# many that a partial result is nothing beside them, so few that threads share a single row of tiles.
TILES_REDUCED = 4


class Blocking(NamedTuple):
    """Sizes of the engine for one element type."""

    mr: int  # rows of a micro-tile
    nr: int  # columns of a micro-tile: a whole number of vectors
    width: int  # elements in a vector
    kc: int  # columns of the data between two visits to a micro-tile
    tile: int  # rows and columns of a tile


@functools.cache
def blocking(dtype: str) -> Blocking:
    """The sizes for ``"float32"`` or ``"float64"`` on this processor."""
    host = cpu()
    width = host.vector_bytes // np.dtype(dtype).itemsize
    mr = 8 if host.registers >= 32 else 4
    return Blocking(mr=mr, nr=3 * width, width=width, kc=256, tile=96)


class NetworkBlocking(NamedTuple):
    """Sizes of the layers of a network for one element type."""

    mr: int  # rows of a micro-tile: of the batch, or of the weights' gradient
    nr: int  # columns of a micro-tile, and outputs of a panel of weights: two vectors
    width: int  # elements in a vector
    kc: int  # terms between two visits to a micro-tile


@functools.cache
def network_blocking(dtype: str) -> NetworkBlocking:
    """The sizes of networks' layers for ``"float32"`` or ``"float64"`` on this processor.

    Layers are mostly powers of two wide: panels of two vectors waste nothing there, and with 8 x 2
    accumulators (4 x 2 on AVX2, SSE) as many multiply-adds are under way as the processor can start.
    kc rows of a panel, 32 KB of float32, and kc columns of mr rows stay in the first-level cache.
    """
    sizes = blocking(dtype)
    return NetworkBlocking(mr=sizes.mr, nr=2 * sizes.width, width=sizes.width, kc=256)


class CudaBlocking(NamedTuple):
    """Sizes of the CUDA kernel for one element type."""

    tile: int  # rows and columns of the part of the result that a block of threads computes
    side: int  # threads along each side of it: side² in all
    kc: int  # columns of the data in shared memory at a time
    blocks: int  # at once on a multiprocessor: limits the registers of a thread


def cuda_blocking(dtype: str) -> CudaBlocking:
    """The CUDA kernel's sizes for ``"float32"`` or ``"float64"``.

    ========= ==================================================================================
    size      reason
    ========= ==================================================================================
    tile      8 x 8 results a thread (float32) read 64 bytes of shared memory for 64 multiply-adds:
              what a multiprocessor can do at once (128 bytes and 128 multiply-adds a cycle, compute
              capability 9.0). 4 x 4 (float64) read 64 for 16, half of them broadcast, at half as many
              a cycle; 8 x 8 would need 220 registers and leave room for 8 warps alone.
    side      256 threads: with 8 warps in each of two blocks, one computes while another waits.
    kc        A row of 8 float32 is a sector (32 bytes) of device memory; and with rows padded by
              16 bytes, the transposed writes to shared memory then fall into different banks.
    blocks    2 x 256 threads leave 128 registers each, without spills in either type; three blocks
              spill in float64.
    ========= ==================================================================================
    """
    return CudaBlocking(tile=128 if dtype == "float32" else 64, side=16, kc=8, blocks=2)
