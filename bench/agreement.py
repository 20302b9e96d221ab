"""When two results agree: tolerances from the rounding errors that each formula can make.

u = eps/2 is the unit roundoff; both sides may err, and each bound below is for their sum. Norms and
inner products over d columns err by at most about d·u times the sum of absolute values (Higham,
Accuracy and Stability of Numerical Algorithms, section 3.1), so:

========== ================================ =======================
kernel     Δ: error of its argument         error of K = g(argument)
========== ================================ =======================
linear     (d+1)·eps·|x||x'|                Δ
polynomial (d+2)·eps·b,  b = γ|x||x'| + |c| k·bᵏ⁻¹·Δ + (k+2)·eps·bᵏ
sigmoid    (d+2)·eps·b                      Δ + 4·eps
rbf        2(d+3)·eps·(|x|² + |x'|²)        K·(γΔ + 8·eps)
laplacian  (d+2)·eps·|x - x'|₁              K·(γΔ + 8·eps)
matern     (d+8)·eps·s                      K·(3 - 2 log K)·(d+8)·eps
rational   (d+8)·eps·z                      K·(3 - 2 log K)·(d+8)·eps
periodic   4·eps·u                          K·eps·(16 + 8πγu)
========== ================================ =======================

The arguments of the Matérn kernels' exponentials are s ≤ 3 - 2 log K; that of the rational quadratic
kernel's power, as an exponential, is -log K. The periodic kernel's sine moves by πΔ, with u the distance
in periods.

rbf's Δ is large because the rivals compute |x|² + |x'|² - 2xᵀx', which cancels. 8·eps is for two
exponentials of 2 ulp each, the rounding of their argument z (worth at most u·z·e^-z < 0.4u), and the
square root and square in exp(-γ·cdist²).

Bands: every replicate's prediction is promised to be within 1e-6 of y's range of an exact refit.

Bootstrap intervals: SciPy's resamples are fastkb's, and every number must be the same to 1e-12 of the
largest; what comes out of sums of n terms errs by some n·u at most. Another library draws resamples of
its own. Of its interval, an end at level p of its B' replicates stands in our B at a level whose variance
is p(1-p)(1/B + 1/B'); and with BCa p itself comes from z₀ = Φ⁻¹(share of replicates below the observed
value): its variance of π/2·(1/B + 1/B') is that of p once it is multiplied by (2φ(z_p))². The correlation
of the two lowers the sum. Five standard deviations are one tolerance.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

BAND_TOLERANCE = 1e-6  # of y's range: what bootstrap_band promises for each prediction

INTERVAL_TOLERANCE = 1e-12  # of the largest value: SciPy's numbers
DEVIATIONS = 5.0  # of the level at which an interval's end from other resamples stands

# Rows compared at a time: the temporaries stay small beside the matrices.
ROWS = 256


class GramParameters(NamedTuple):
    """The kernel of a Gram matrix as every contender computes it."""

    kernel: str
    gamma: float
    coef0: float = 1.0
    degree: int = 3


def gram_tolerance(p: GramParameters, ours: np.ndarray, X: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """The allowed absolute difference of each entry of K(X, Y).  # shape: (n, m)"""
    eps = float(np.finfo(ours.dtype).eps)
    tiny = float(np.finfo(ours.dtype).tiny)
    d = X.shape[1]
    X, Y, K = (np.asarray(A, dtype=np.float64) for A in (X, Y, ours))
    x2, y2 = np.sum(X * X, axis=1)[:, None], np.sum(Y * Y, axis=1)[None, :]
    product = np.sqrt(x2 * y2)
    base = p.gamma * product + abs(p.coef0)
    if p.kernel == "linear":
        return (d + 1) * eps * product + tiny
    if p.kernel == "polynomial":
        return (p.degree * (d + 2) + p.degree + 2) * eps * base**p.degree + tiny
    if p.kernel == "sigmoid":
        return (d + 2) * eps * base + 4 * eps
    if p.kernel == "rbf":
        return K * (2 * (d + 3) * eps * p.gamma * (x2 + y2) + 8 * eps) + tiny
    if p.kernel == "laplacian":
        gamma_t = -np.log(np.maximum(K, tiny))
        return K * ((d + 2) * eps * gamma_t + 8 * eps) + tiny
    if p.kernel in ("matern32", "matern52", "rational_quadratic"):
        return K * (d + 8) * eps * (3 - 2 * np.log(np.maximum(K, tiny))) + tiny
    if p.kernel == "periodic":
        turns = np.abs(X[:, None] - Y[None]).sum(axis=2)
        return K * eps * (16 + 8 * np.pi * p.gamma * turns) + tiny
    raise ValueError(f"no tolerance is derived for the kernel {p.kernel!r}")


def gram_disagreement(
    p: GramParameters, ours: np.ndarray, theirs: np.ndarray, X: np.ndarray, Y: np.ndarray
) -> float:
    """The largest |ours - theirs| / tolerance; infinite if they cannot be compared."""
    if ours.shape != theirs.shape or ours.dtype != theirs.dtype:
        return np.inf
    worst = 0.0
    for start in range(0, len(ours), ROWS):
        rows = slice(start, start + ROWS)
        with np.errstate(invalid="ignore"):  # infinity minus infinity: not equal, see below
            difference = np.abs(ours[rows].astype(np.float64) - theirs[rows])
        ratio = float(np.max(difference / gram_tolerance(p, ours[rows], X[rows], Y)))
        if not ratio < np.inf:  # NaN too
            return np.inf
        worst = max(worst, ratio)
    return worst


def band_disagreement(ours: np.ndarray, theirs: np.ndarray, y: np.ndarray) -> float:
    """The largest difference of two predictions, in units of the tolerance."""
    if ours.shape != theirs.shape:
        return np.inf
    worst = float(np.max(np.abs(ours - theirs))) / (BAND_TOLERANCE * float(np.ptp(y)))
    return worst if worst < np.inf else np.inf


def interval_disagreement(ours: np.ndarray, theirs: np.ndarray | None) -> float:
    """The largest difference of two arrays, in units of INTERVAL_TOLERANCE of the largest value."""
    if theirs is None or ours.shape != theirs.shape:
        return np.inf
    difference = float(np.max(np.abs(ours - theirs)))
    if difference == 0.0:
        return 0.0
    worst = difference / (INTERVAL_TOLERANCE * float(np.max(np.abs(ours))))
    return worst if worst < np.inf else np.inf


def drawn_interval_disagreement(
    distribution: np.ndarray,  # ours.  # shape: (B,)
    ours: np.ndarray,  # low and high
    theirs: np.ndarray,  # low and high
    n_resamples: int,  # theirs
    bca: bool,
) -> float:
    """How far the ends of an interval from other resamples stand from ours, as levels.

    Where replicates tie, an end stands at a range of levels, and the nearest ones count.
    """
    from scipy.special import ndtri

    if ours.shape != theirs.shape or not np.isfinite(theirs).all():
        return np.inf
    ordered = np.sort(distribution)
    B = len(ordered)
    worst = 0.0
    for our_end, their_end in zip(ours, theirs, strict=True):
        (a, b), (c, d) = (_levels(ordered, end) for end in (our_end, their_end))
        p = float(np.clip((a + b) / 2, 1 / B, 1 - 1 / B))
        variance = p * (1 - p) * (1 / n_resamples + 1 / B)
        if bca:
            density = np.exp(-(ndtri(p) ** 2) / 2) / np.sqrt(2 * np.pi)
            variance += (2 * density) ** 2 * (np.pi / 2) * (1 / n_resamples + 1 / B)
        worst = max(worst, max(c - b, a - d, 0.0) / (DEVIATIONS * np.sqrt(variance)))
    return worst


def panel_disagreement(
    ours: np.ndarray,  # low and high of each series.  # shape: (2, series)
    errors: np.ndarray,  # standard errors of each.    # shape: (series,)
    theirs: np.ndarray,  # low and high.               # shape: (2, series)
    n_resamples: int,
) -> float:
    """How far 95% percentile intervals of means stand from those of other resamples.

    Each series' ends, and the ends' mean over all series, in standard deviations of what resampling
    leaves open, for replicates that are nearly normal.
    """
    from scipy.special import ndtri

    if ours.shape != theirs.shape or not np.isfinite(theirs).all():
        return np.inf
    p = 0.025
    density = np.exp(-(ndtri(p) ** 2) / 2) / np.sqrt(2 * np.pi)
    deviation = np.sqrt(2 * p * (1 - p) / n_resamples) / density
    apart = (ours - theirs) / (errors * deviation)
    together = np.abs(apart.mean(axis=1)) * np.sqrt(apart.shape[1])
    return float(max(np.abs(apart).max(), together.max()) / DEVIATIONS)


def _levels(ordered: np.ndarray, end: float) -> tuple[float, float]:
    """The shares of replicates below and up to an end, but for rounding errors."""
    rounding = INTERVAL_TOLERANCE * float(np.max(np.abs(ordered)))
    below = np.searchsorted(ordered, end - rounding, "left")
    up_to = np.searchsorted(ordered, end + rounding, "right")
    return below / len(ordered), up_to / len(ordered)
