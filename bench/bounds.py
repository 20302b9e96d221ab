"""The least time that a machine needs for a work, from its measured ceilings: arithmetic alone.

Gram matrix of n x m entries over d columns. Three things must happen, and each could be hidden
behind the slowest of them but not avoided::

    write      every entry is written once:      n·m·itemsize / write bandwidth
    epilogue   every scalar function once:       count · seconds per element
    multiply   2·d flops for every inner product: count · 2d / GEMM rate

count is n·m, or n(n+1)/2 where Y is X: the other half is a copy. The bound is their maximum.

Band of B replicates of kernel ridge regression at q points. Of n rows, a resample has about
u = (1 - 1/e)·n distinct ones. With the solver that ran, each replicate needs at least::

    cholesky   u³/3 (factorise) + 2u² (solve) + 2qu (predict)
    lowrank    u·s² (one triangle of ΨᵀWΨ over s directions) + s³/3 + 2s²(k+1)
               + 4k·ur (k steps of conjugate gradients) + 2ur (ΨᵀWy) + 2qr (predict)

In a basis of r directions with eigenvalues σ₁² ≥ … ≥ σᵣ² of the Gram matrix, s strong ones are
factorised and precondition the rest, whose condition number is about κ = 1 + σ²ₛ₊₁/λ; so
k = ln(2/1e-7) / ln((√κ + 1)/(√κ - 1)) steps, rounded up, for a tenth of the promised tolerance, and none
if s = r. The cheapest s counts, whichever fastkb chose.

Flops over the GEMM rate: the bound of the *method*, at the speed of the fastest arithmetic that the
machine was seen to do. Drawing resamples, building the basis, certificates and percentiles are not
counted.

Bootstrap interval of B resamples of n observations, in one sample or two: every index must be drawn, and
a value gathered by it from each sample::

    B·n · (seconds a drawn index + samples · seconds a gathered value)

By a scheme that draws runs of rows, a mean needs a draw and two partial sums for each run instead.

Both are arithmetic on all cores, so neither hides behind the other. What the statistic does with the
values beyond adding them up, quantiles and jackknife are not counted.

Step of training on a batch of b observations, with layers of n inputs and m outputs: 2bnm flops forward,
as many for the gradient of the weights, and as many for that of the inputs, but in the first layer. At
the GEMM rate of all cores; activations, the loss and the update are not counted. A prediction is the
first of the three. A convolution takes 2b flops for each of its outputs and each element of their
windows: a method that multiplies less could beat that.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

from bench.agreement import BAND_TOLERANCE

CG_ACCURACY = BAND_TOLERANCE / 10


class Bound(NamedTuple):
    """A least time, and what sets it."""

    seconds: float
    limit: str  # "write", "epilogue", "multiply", the solver, or "draw, gather"
    parts: dict[str, float]


def gram_bound(
    shape: tuple[int, int, int],  # n, m, d
    symmetric: bool,
    itemsize: int,
    write_rate: float,
    epilogue_seconds: float,
    flop_rate: float,
) -> Bound:
    """The bound of a Gram matrix; see the module's text."""
    n, m, d = shape
    count = n * (n + 1) // 2 if symmetric else n * m
    parts = {
        "write": n * m * itemsize / write_rate,
        "epilogue": count * epilogue_seconds,
        "multiply": count * 2.0 * d / flop_rate,
    }
    limit = max(parts, key=parts.__getitem__)
    return Bound(parts[limit], limit, parts)


def cholesky_flops(n: int, n_eval: int) -> float:
    """Flops of one replicate on its distinct rows."""
    distinct = (1.0 - 1.0 / math.e) * n
    return distinct**3 / 3.0 + 2.0 * distinct**2 + 2.0 * n_eval * distinct


def lowrank_flops(n: int, n_eval: int, ratios: Sequence[float]) -> float:
    """Flops of one replicate in a basis whose directions have these σ²/λ, descending."""
    distinct = (1.0 - 1.0 / math.e) * n
    rank = len(ratios)
    least = math.inf
    for strong in range(1, rank + 1):
        steps = 0 if strong == rank else conjugate_gradient_steps(ratios[strong])
        factor = distinct * strong**2 + strong**3 / 3.0 + 2.0 * strong**2 * (steps + 1)
        least = min(least, factor + 4.0 * steps * distinct * rank)
    return least + 2.0 * distinct * rank + 2.0 * n_eval * rank


def conjugate_gradient_steps(ratio: float) -> int:
    """Steps for a condition number of 1 + `ratio`, by the textbook's rate."""
    root = math.sqrt(1.0 + max(ratio, 1e-12))
    return max(1, math.ceil(math.log(2.0 / CG_ACCURACY) / math.log((root + 1.0) / (root - 1.0))))


class BandFigures(NamedTuple):
    """What the bound needs to know of a band that was computed."""

    n_resamples: int
    solver: str
    n_exact: int  # replicates of the low-rank solver that were factorised after all
    ratios: tuple[float, ...] = ()  # σ²/λ of the low-rank basis, descending


def band_bound(n: int, n_eval: int, band: BandFigures, flop_rate: float) -> Bound:
    """The bound of a band; see the module's text."""
    if not band.ratios:
        flops = band.n_resamples * cholesky_flops(n, n_eval)
        limit = band.solver
    else:
        flops = (band.n_resamples - band.n_exact) * lowrank_flops(n, n_eval, band.ratios)
        flops += band.n_exact * cholesky_flops(n, n_eval)
        limit = f"{band.solver}, rank {len(band.ratios)}"
    seconds = flops / flop_rate
    return Bound(seconds, limit, {"flops": flops, "seconds": seconds})


def interval_bound(indices: int, samples: int, draw: float, gather: float) -> Bound:
    """The bound of a bootstrap interval; see the module's text."""
    parts = {"draw": indices * draw, "gather": indices * samples * gather}
    return Bound(sum(parts.values()), "draw, gather", parts)


def step_bound(widths: Sequence[int], batch: int, flop_rate: float) -> Bound:
    """The bound of a step of training; see the module's text."""
    return layers_step_bound(_dense(widths), batch, flop_rate)


def forward_bound(widths: Sequence[int], n: int, flop_rate: float) -> Bound:
    """The bound of a network's outputs for n observations; see the module's text."""
    return layers_forward_bound(_dense(widths), n, flop_rate)


def layers_step_bound(products: Sequence[int], batch: int, flop_rate: float) -> Bound:
    """The same for layers of any kind, by their multiply-adds for one observation."""
    flops = 2.0 * batch * (3 * sum(products) - products[0])
    return Bound(flops / flop_rate, "multiply", {"flops": flops})


def layers_forward_bound(products: Sequence[int], n: int, flop_rate: float) -> Bound:
    """The same for layers of any kind, by their multiply-adds for one observation."""
    flops = 2.0 * n * sum(products)
    return Bound(flops / flop_rate, "multiply", {"flops": flops})


def _dense(widths: Sequence[int]) -> list[int]:
    return [n * m for n, m in itertools.pairwise(widths)]
