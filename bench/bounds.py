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
    lowrank    u·r² (LᵀWL, one triangle) + 2ur (LᵀWy) + r³/3 + 2r² + 2qr;  rank r

and the call, once, the factor of rank r (n·r²) and its values at the q points (q·r²), or nothing
worth counting with cholesky. Flops over the GEMM rate: the bound of the *method*, at the speed of the
fastest arithmetic that the machine was seen to do. Drawing resamples and taking percentiles are not
counted.
"""

from __future__ import annotations

import math
from typing import NamedTuple


class Bound(NamedTuple):
    """A least time, and what sets it."""

    seconds: float
    limit: str  # "write", "epilogue", "multiply", or the solver
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


def lowrank_flops(n: int, n_eval: int, rank: int) -> float:
    """Flops of one replicate with a factor of this rank."""
    distinct = (1.0 - 1.0 / math.e) * n
    accumulate = distinct * rank**2 + 2.0 * distinct * rank
    solve = rank**3 / 3.0 + 2.0 * rank**2
    return accumulate + solve + 2.0 * n_eval * rank


def band_bound(n: int, n_eval: int, result: BandFigures, flop_rate: float) -> Bound:
    """The bound of a band; see the module's text."""
    exact = result.n_resamples if result.rank is None else result.n_exact
    flops = exact * cholesky_flops(n, n_eval)
    if result.rank is not None:
        rank = result.rank
        flops += (result.n_resamples - exact) * lowrank_flops(n, n_eval, rank)
        flops += (n + n_eval) * float(rank) ** 2
    seconds = flops / flop_rate
    limit = result.solver if result.rank is None else f"{result.solver}, rank {result.rank}"
    return Bound(seconds, limit, {"flops": flops, "seconds": seconds})


class BandFigures(NamedTuple):
    """What the bound needs to know of a band that was computed."""

    n_resamples: int
    solver: str
    rank: int | None
    n_exact: int
