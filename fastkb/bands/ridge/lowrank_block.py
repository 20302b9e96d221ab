"""Weighted kernel ridge regression in a low-rank basis, for a block of replicates at a time.

In a whitened basis Ψ (:mod:`fastkb.bands.ridge.lowrank`) replicate b solves, with its weights W,

    (Ψᵀ W Ψ + D) z = Ψᵀ W y,      D = diag(λ / (σ² + λ)).

A block is BATCH replicates, and all that concerns them has the replicate as its last, contiguous index:
*packs* of `nr` lanes (:mod:`fastkb.linalg.lanes`), the shape of the micro-kernel's second operand. So
every step is a matrix product on the micro-kernel, or a vector instruction over lanes:

1. weights: drawn straight into packs.
2. the `strong` leading rows and columns of ΨᵀWΨ for all replicates at once: one product whose first
   operand holds ψᵢψⱼ, multiplied as it is packed, and its second operand W.
3. Cholesky factors of these, one matrix per lane. They are exact inverses if every direction is
   strong; else, with the identity for the weak directions (there ΨᵀWΨ + D is I up to the ratio σ²/λ),
   the preconditioner of
4. conjugate gradients, whose matrix-vector products pass over Ψ once for all replicates.
5. the true residual, in the same pass that yields α = W(y − Ψz)/λ; with both, the certificate.
6. predictions Ψ_eval z.

A replicate's arithmetic depends neither on the other replicates of its block (converged ones stand
still) nor on threads or chunks: results are the same to the last bit.
"""

from __future__ import annotations

import math

from numba import types

from fastkb.bands.ridge import lowrank_problem as slot
from fastkb.bands.ridge.lowrank_problem import (
    BATCH,
    DEPTH,
    MR,
    NR,
    PACKS,
    ROWS,
    LowRankProblem,
    LowRankWorkspace,
    Sizes,
)
from fastkb.linalg import lanes
from fastkb.random.streams import add_counts
from fastkb.runtime import inline, jit, prange
from fastkb.tile.multiply import Operand, Part, multiply_panels

_RESIDUALS = 3  # times that the true residual is computed, at most
_STEPS = 60  # of conjugate gradients between them, at most


# Kinds of pass over the rows of Ψ
INITIAL, RESIDUAL, STEP = range(3)


@inline
def _draw_weights(sizes, key, first, weights, words):
    """Packs of weights for replicates `first`, …."""
    lanes.clear(weights, 0, PACKS * sizes.n_padded)
    for b in range(BATCH):
        start = (b // NR) * sizes.n_padded * NR + b % NR
        add_counts(key, first + b, sizes.n, sizes.n, weights[start::NR], words)


@inline
def _strong_triangles(columns, sizes, weights, triangles, panel):
    """The lower triangles of ΨᵀWΨ over the strong directions, a product panel at a time."""
    height = lanes.triangle_row(sizes.strong)
    for start in range(0, sizes.n_padded, DEPTH):
        depth = min(DEPTH, sizes.n_padded - start)
        row = 0
        for i in range(sizes.strong):
            one = ((i // MR) * sizes.n_padded + start) * MR + i % MR
            for tile in range(i // MR + 1):
                other = (tile * sizes.n_padded + start) * MR
                for k in range(depth):
                    value = columns[one + k * MR]
                    for m in range(MR):
                        panel[k * MR + m] = columns[other + k * MR + m] * value
                into = Operand(triangles, row * NR, NR, 0, height * NR)
                multiply_panels(
                    Operand(panel, 0, 1, MR, 0),
                    Operand(weights, start * NR, 0, NR, sizes.n_padded * NR),
                    into,
                    into,
                    depth,
                    Part(0, MR, 0, PACKS, 0, 0),
                    start == 0,
                    panel,
                )
                row += MR


@inline
def _factorise(problem, sizes, work):
    """Add D to the triangles, factorise them, and leave max ψᵀB⁻¹ψ over ψ_eval in the scalars."""
    triangles, inverse, reach = work.triangles, work.inverse, work.scalars[slot.REACH]
    height = lanes.triangle_row(sizes.strong)
    lanes.clear(reach, 0, PACKS)
    for p in range(PACKS):
        start, at = p * height, p * sizes.strong
        for i in range(sizes.strong):
            diagonal = (start + lanes.triangle_row(i) + i) * NR
            for lane in range(NR):
                triangles[diagonal + lane] += problem.shrinkage[i]
        lanes.cholesky(triangles, start, inverse, at, sizes.strong)
        strong, weak = problem.eval_strong, problem.eval_weak
        mine = reach[p * NR : (p + 1) * NR]
        lanes.largest_forms(triangles, start, inverse, at, strong, weak, work.forms, mine)


@inline
def _bound_constants(problem, sizes, work):
    """Per replicate: τ = Σ wᵢdᵢ/λ, how far the preconditioner may be off, and h (docs/band.md)."""
    limits, scalars = problem.limits, work.scalars
    penalty, weak_ratio = limits[slot.PENALTY], limits[slot.WEAK_RATIO]
    lanes.clear(scalars[slot.TRACE], 0, PACKS)
    lanes.clear(scalars[slot.LARGEST], 0, PACKS)
    for p in range(PACKS):
        first = p * sizes.n_padded
        lanes.sum_scaled(
            scalars[slot.TRACE], p, work.weights, first, problem.residual, 0, sizes.n_padded
        )
        lanes.largest(scalars[slot.LARGEST], p, work.weights, first, sizes.n_padded)
    for b in range(BATCH):
        # ΨᵀWΨ + D ≥ f·B for the preconditioner B, with the largest f that docs/band.md derives.
        ratio = scalars[slot.LARGEST, b] * weak_ratio
        equivalence = 1.0
        if sizes.strong < sizes.rank:
            total = 2.0 + weak_ratio + ratio
            equivalence = 2.0 / (total + math.sqrt(total * total - 4.0 * (1.0 + weak_ratio)))
        scalars[slot.EQUIVALENCE, b] = equivalence
        scalars[slot.REACH, b] = min(
            scalars[slot.REACH, b] / equivalence, limits[slot.PRIOR_EVAL] / penalty
        )
        scalars[slot.TRACE, b] /= penalty


@inline
def _pass_over_rows(problem, sizes, target, work, what):
    """PRODUCT = Ψᵀ W u for u = y, y - Ψz or Ψp (`what`: INITIAL, RESIDUAL, STEP), tile by tile.

    Unless it is a step, also ρ = Σᵢ |αᵢ| √dᵢ of each replicate, where α = W(y - Ψz)/λ.
    """
    weights, tile = work.weights, work.tile
    source, product = work.vectors[slot.P if what == STEP else slot.Z], work.vectors[slot.PRODUCT]
    n, rank = sizes.n_padded, sizes.rank
    lanes.clear(work.scalars[slot.RHO], 0, PACKS)
    for start in range(0, n, ROWS):
        rows = min(ROWS, n - start)
        if what != INITIAL:
            into = Operand(tile, 0, NR, 0, ROWS * NR)
            multiply_panels(
                Operand(problem.rows, start * rank, 1, MR, MR * rank),
                Operand(source, 0, 0, NR, sizes.rank_padded * NR),
                into,
                into,
                rank,
                Part(0, rows, 0, PACKS, 0, 0),
                True,
                tile,
            )
        for p in range(PACKS):
            c, w = p * ROWS, p * n + start
            if what == STEP:
                lanes.multiply(tile, c, weights, w, rows)
            else:
                if what == INITIAL:
                    lanes.clear(tile, c, rows)
                lanes.weigh_misfit(tile, c, weights, w, problem.y[target], start, rows)
                lanes.add_sizes(
                    work.scalars[slot.RHO], p, tile, c, problem.root_residual, start, rows
                )
        into = Operand(product, 0, NR, 0, sizes.rank_padded * NR)
        multiply_panels(
            Operand(problem.columns, start * MR, 1, MR, MR * n),
            Operand(tile, 0, 0, NR, ROWS * NR),
            into,
            into,
            rows,
            Part(0, sizes.rank_padded, 0, PACKS, 0, 0),
            start == 0,
            tile,
        )


@inline
def _precondition(sizes, work):
    """Q = B⁻¹ R: the factor on the strong directions, the identity on the weak ones."""
    height = lanes.triangle_row(sizes.strong)
    q = work.vectors[slot.Q]
    lanes.copy(q, 0, work.vectors[slot.R], 0, PACKS * sizes.rank_padded)
    for p in range(PACKS):
        x = p * sizes.rank_padded
        at = p * sizes.strong
        lanes.solve_lower(work.triangles, p * height, work.inverse, at, q, x, sizes.strong)
        lanes.solve_upper(work.triangles, p * height, work.inverse, at, q, x, sizes.strong)


@inline
def _inner(sizes, a, b, out):
    """out[replicate] = Σ_k a_k b_k."""
    lanes.clear(out, 0, PACKS)
    for p in range(PACKS):
        first = p * sizes.rank_padded
        lanes.add_products(out, p, a, first, b, first, sizes.rank)


@inline
def _error(scalars, b):
    """Bound of a prediction's distance from the solution in the basis, by the residual's energy."""
    return math.sqrt(
        scalars[slot.REACH, b] * scalars[slot.ENERGY, b] / scalars[slot.EQUIVALENCE, b]
    )


@inline
def _finished(scalars, tolerance):
    unfinished = 0
    for b in range(BATCH):
        if not _error(scalars, b) <= tolerance:
            unfinished += 1
    return unfinished == 0


@inline
def _update_residual(problem, sizes, work, what, tolerance):
    """R from PRODUCT; with STEP also the step itself, z += a p and r -= a (ΨᵀWΨ + D) p."""
    vectors, scalars = work.vectors, work.scalars
    z, r, product = vectors[slot.Z], vectors[slot.R], vectors[slot.PRODUCT]
    factors = scalars[slot.FACTOR]
    if what == STEP:
        direction = vectors[slot.P]
        for p in range(PACKS):
            first = p * sizes.rank_padded
            lanes.add_scaled(product, first, direction, first, problem.shrinkage, 0, sizes.rank)
        _inner(sizes, direction, product, factors)
        for b in range(BATCH):
            # A finished replicate stands still, so that its company leaves no trace in it.
            moving = not _error(scalars, b) <= tolerance
            factors[b] = scalars[slot.ENERGY, b] / factors[b] if moving else 0.0
        for p in range(PACKS):
            first = p * sizes.rank_padded
            lanes.add_multiples(z, first, direction, first, factors, p, sizes.rank)
            lanes.subtract_multiples(r, first, product, first, factors, p, sizes.rank)
    else:
        for p in range(PACKS):
            first = p * sizes.rank_padded
            lanes.subtract_scaled(product, first, z, first, problem.shrinkage, 0, sizes.rank)
        lanes.copy(r, 0, product, 0, PACKS * sizes.rank_padded)


@inline
def _update_direction(sizes, work, what):
    """ENERGY = rᵀq, and p = q + (new energy / old energy) p, or p = q after a fresh residual."""
    vectors, scalars = work.vectors, work.scalars
    factors = scalars[slot.FACTOR]
    _inner(sizes, vectors[slot.R], vectors[slot.Q], scalars[slot.NEW])
    for b in range(BATCH):
        if what != STEP:
            factors[b] = 0.0
            scalars[slot.ENERGY, b] = scalars[slot.NEW, b]
        elif factors[b] != 0.0:
            factors[b] = scalars[slot.NEW, b] / scalars[slot.ENERGY, b]
            scalars[slot.ENERGY, b] = scalars[slot.NEW, b]
    for p in range(PACKS):
        first = p * sizes.rank_padded
        lanes.combine(vectors[slot.P], first, vectors[slot.Q], first, factors, p, sizes.rank)


@inline
def _solve(problem, sizes, target, work):
    """Z for one target of all replicates; ρ and the true residual's energy in the scalars.

    One loop for the three kinds of pass, so that each piece of code exists once: INITIAL sets
    z = B⁻¹ΨᵀWy, RESIDUAL computes y - Ψz afresh, STEP is one step of conjugate gradients.
    """
    tolerance = problem.limits[slot.TOLERANCE]
    for v in range(work.vectors.shape[0]):
        lanes.clear(work.vectors[v], 0, PACKS * sizes.rank_padded)
    what = INITIAL
    residuals = 0
    steps = 0
    while True:
        _pass_over_rows(problem, sizes, target, work, what)
        _update_residual(problem, sizes, work, what, tolerance)
        _precondition(sizes, work)
        _update_direction(sizes, work, what)
        if what == INITIAL:
            lanes.copy(work.vectors[slot.Z], 0, work.vectors[slot.Q], 0, PACKS * sizes.rank_padded)
            what = RESIDUAL
        elif what == RESIDUAL:
            residuals += 1
            # The recursion stops at the tolerance, and the true residual may lie a little above.
            if residuals == _RESIDUALS or _finished(work.scalars, 1.5 * tolerance):
                break
            what = STEP
            steps = 0
        else:
            steps += 1
            if steps == _STEPS or _finished(work.scalars, tolerance):
                what = RESIDUAL


@inline
def _predict(problem, sizes, z, tile, out):
    """out[replicate, e] = Ψ_eval z for as many replicates as `out` has rows."""
    for e in range(0, sizes.n_eval, MR):
        into = Operand(tile, 0, NR, 0, MR * NR)
        multiply_panels(
            Operand(problem.eval_rows, e * sizes.rank, 1, MR, 0),
            Operand(z, 0, 0, NR, sizes.rank_padded * NR),
            into,
            into,
            sizes.rank,
            Part(0, MR, 0, PACKS, 0, 0),
            True,
            tile,
        )
        for b in range(out.shape[0]):
            for m in range(min(MR, sizes.n_eval - e)):
                out[b, e + m] = tile[((b // NR) * MR + m) * NR + b % NR]


@inline
def _certify(problem, scalars, bounds):
    """The certificate of each replicate: a bound of |prediction - exact prediction| (docs/band.md)."""
    limits = problem.limits
    penalty, residual_eval = limits[slot.PENALTY], limits[slot.RESIDUAL_EVAL]
    for b in range(bounds.shape[0]):
        tau = scalars[slot.TRACE, b]
        outside = math.sqrt(residual_eval) * (1.0 + math.sqrt(tau))
        inside = math.sqrt(penalty * tau * (1.0 + tau) * scalars[slot.REACH, b])
        bounds[b] = scalars[slot.RHO, b] * (outside + inside) + _error(scalars, b)


@inline
def _block(problem, sizes, key, first, work, out, bounds):
    """One block: predictions and certificates of as many replicates as `out` has."""
    _draw_weights(sizes, key, first, work.weights, work.words)
    _strong_triangles(problem.columns, sizes, work.weights, work.triangles, work.panel)
    _factorise(problem, sizes, work)
    _bound_constants(problem, sizes, work)
    for target in range(problem.y.shape[0]):
        _solve(problem, sizes, target, work)
        _predict(problem, sizes, work.vectors[slot.Z], work.tile, out[target])
        _certify(problem, work.scalars, bounds[target])


def _signature(T):
    one, two, three = (types.Array(T, ndim, "C") for ndim in (1, 2, 3))
    key, words = (types.Array(types.uint32, ndim, "C") for ndim in (1, 3))
    problem = types.NamedTuple((one, one, one, three, two, one, one, one, two, one), LowRankProblem)
    sizes = types.NamedUniTuple(types.intp, len(Sizes._fields), Sizes)
    work = types.NamedTuple((two, two, two, three, two, two, two, three, words), LowRankWorkspace)
    return problem, sizes, key, types.intp, work, three, two


@jit(parallel=True, signature=_signature)
def solve_blocks(problem, sizes, key, first, work, out, bounds):
    """Predictions and certificates of replicates `first`, …, their blocks dealt out to the workers.

    Parameters
    ----------
    problem, sizes, work : LowRankProblem, Sizes, LowRankWorkspace
    key : array of uint32, shape (4,)
    first : int
        The first replicate, a multiple of BATCH.
    out : array of shape (n_targets, n_replicates, n_eval)
        Overwritten by the predictions.
    bounds : array of shape (n_targets, n_replicates)
        Overwritten by bounds of their errors, in y's units; NaN where a factorisation failed.
    """
    n_replicates = out.shape[1]
    workers = work.weights.shape[0]
    for worker in prange(workers):
        scratch = LowRankWorkspace(
            work.weights[worker],
            work.triangles[worker],
            work.inverse[worker],
            work.vectors[worker],
            work.tile[worker],
            work.forms[worker],
            work.panel[worker],
            work.scalars[worker],
            work.words[worker],
        )
        for start in range(worker * BATCH, n_replicates, workers * BATCH):
            stop = min(start + BATCH, n_replicates)
            mine, certificates = out[:, start:stop], bounds[:, start:stop]
            _block(problem, sizes, key, first + start, scratch, mine, certificates)
