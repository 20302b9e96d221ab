"""The memory of the solver `lowrank`: what replicates share, scratch of the threads, and packing.

All matrices lie as the micro-kernel reads them (:mod:`fastkb.tile.pack`), all vectors of replicates in
packs of lanes (:mod:`fastkb.linalg.lanes`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastkb.linalg.lanes import QUAD, triangle_packs
from fastkb.random.streams import LANES as STREAM_LANES
from fastkb.runtime.memory import empty
from fastkb.tile.blocking import blocking

MR = blocking("float64").mr
NR = blocking("float64").nr
# Replicates in a block: a whole number of packs on every machine. Each panel of Ψ that is fetched, and
# each product that is packed, then serves 48 replicates (24: 83 GF/s, 48: 98, 96: 105, but half as many
# blocks for the threads to share).
BATCH = 48
PACKS = BATCH // NR

DEPTH = 512  # rows of Ψ per visit: a product panel (512 x mr) stays in the first-level cache
ROWS = 96  # rows of Ψ per tile of conjugate gradients: ΨZ for them stays in the first-level cache


class Limits(NamedTuple):
    """Constants of the certificate, for the basis as a whole."""

    # An array in LowRankProblem, since parallel regions take no tuple inside a tuple.

    penalty: float  # λ
    weak_ratio: float  # σ²/λ of the strongest weak direction; 0 if none is weak
    prior_eval: float  # the largest K(x, x) of an evaluation point; infinite with a constant
    residual_eval: float  # the largest residual diagonal of an evaluation point
    tolerance: float  # of a prediction, in y's units, for conjugate gradients


class LowRankProblem(NamedTuple):
    """What all replicates share. Rows are padded with zeros to a multiple of MR."""

    rows: np.ndarray  # Ψ in panels of MR rows.                  shape: (n/MR * rank * MR,)
    columns: np.ndarray  # Ψ in panels of MR columns.            shape: (rank/MR * n * MR,)
    eval_rows: np.ndarray  # Ψ_eval in panels of MR rows.        shape: (n_eval/MR * rank * MR,)
    eval_strong: np.ndarray  # ψ_eval, strong directions, in fours.  shape: (n_eval/4, strong, 4)
    eval_weak: np.ndarray  # ‖ψ_eval‖² over the weak ones, in fours. shape: (n_eval/4, 4)
    shrinkage: np.ndarray  # the diagonal of D.                  shape: (rank,)
    residual: np.ndarray  # d, the residual diagonal.            shape: (n,)
    root_residual: np.ndarray  # √d / λ.                         shape: (n,)
    y: np.ndarray  # shape: (n_targets, n)
    limits: np.ndarray  # Limits, at PENALTY, …                  shape: (5,)


class Sizes(NamedTuple):
    """Whole numbers of one problem."""

    n: int
    n_padded: int
    rank: int
    rank_padded: int
    strong: int
    n_eval: int


class LowRankWorkspace(NamedTuple):
    """Scratch; the first axis counts workers, each of which computes one block after another."""

    weights: np.ndarray  # W.                         shape: (workers, PACKS * n_padded * NR)
    triangles: np.ndarray  # ΨᵀWΨ, then its factor.   shape: (workers, PACKS * triangle_packs * NR)
    inverse: np.ndarray  # 1 / the factor's diagonal. shape: (workers, PACKS * strong * NR)
    vectors: np.ndarray  # five vectors of CG.        shape: (workers, 5, PACKS * rank_padded * NR)
    tile: np.ndarray  # a tile of ΨZ.                 shape: (workers, PACKS * ROWS * NR)
    forms: np.ndarray  # four ψ_eval in lanes.       shape: (workers, QUAD * (strong + 1) * NR)
    panel: np.ndarray  # products ψᵢψⱼ.               shape: (workers, DEPTH * MR)
    scalars: np.ndarray  # one number per replicate.  shape: (workers, 8, BATCH)
    words: np.ndarray  # shape: (workers, 4, STREAM_LANES)


# Places in LowRankProblem.limits
PENALTY, WEAK_RATIO, PRIOR_EVAL, RESIDUAL_EVAL, TOLERANCE = range(5)

# Rows of LowRankWorkspace.vectors and LowRankWorkspace.scalars
Z, R, Q, P, PRODUCT = range(5)
TRACE, LARGEST, EQUIVALENCE, REACH, RHO, ENERGY, FACTOR, NEW = range(8)


def workspace(sizes: Sizes, workers: int) -> LowRankWorkspace:
    """Uninitialised scratch for `workers` threads."""

    def take(*shape: int) -> np.ndarray:
        return empty((workers, *shape), np.float64, "scratch of the low-rank bootstrap")

    return LowRankWorkspace(
        take(PACKS * sizes.n_padded * NR),
        take(PACKS * triangle_packs(sizes.strong) * NR),
        take(PACKS * sizes.strong * NR),
        take(5, PACKS * sizes.rank_padded * NR),
        take(PACKS * ROWS * NR),
        take(QUAD * (sizes.strong + 1) * NR),
        take(DEPTH * MR),
        take(8, BATCH),
        np.empty((workers, 4, STREAM_LANES), np.uint32),
    )


def up(count: int) -> int:
    """The next multiple of MR."""
    return -(-count // MR) * MR


def pack_rows(matrix: np.ndarray) -> np.ndarray:
    """Panels of MR rows, column by column, filled up with zeros."""
    n, d = matrix.shape
    packed = empty((up(n) // MR, d, MR), np.float64, "a packed basis")
    whole = n // MR
    packed[:whole] = matrix[: whole * MR].reshape(whole, MR, d).transpose(0, 2, 1)
    if whole < len(packed):
        packed[whole:] = 0.0
        packed[whole, :, : n - whole * MR] = matrix[whole * MR :].T
    return packed.reshape(-1)


def pack_columns(matrix: np.ndarray) -> np.ndarray:
    """Panels of MR columns, row by row, filled up with zeros in both directions."""
    n, d = matrix.shape
    packed = empty((up(d) // MR, up(n), MR), np.float64, "a packed basis")
    packed[:, n:] = 0.0
    whole = d // MR
    packed[:whole, :n] = matrix[:, : whole * MR].reshape(n, whole, MR).transpose(1, 0, 2)
    if whole < len(packed):
        packed[whole, :n] = 0.0
        packed[whole, :n, : d - whole * MR] = matrix[:, whole * MR :]
    return packed.reshape(-1)
