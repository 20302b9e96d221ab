"""Leave-one-out residuals for several values of γ, as many at a time as there are threads.

Each γ is then computed on one thread. An eigendecomposition consists of tens of thousands of short
BLAS calls: spread over threads, each call waits for all of them, and on a machine that is busy with
something else they wait for each other most of the time (n=1000: 0.11 s on two idle cores, 0.8 s on
two busy ones, 0.2 s on one thread in either case). The result is also the same to the last bit for
any number of threads.

A single γ of many rows keeps the threads that BLAS is set to.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import numpy as np

from fastkb.ridge.dual import scale_by_weight
from fastkb.ridge.kernel_matrix import KernelChoice
from fastkb.ridge.leave_one_out import LeaveOneOut, leave_one_out
from fastkb.runtime.threads import limit_blas, n_threads

# What runs at once may take this many bytes, at three matrices each: the Gram matrix, which turns
# into its vectors, and LAPACK's workspace, or a low-rank factor and its rotation.
_BYTES_AT_ONCE = 2**30

# Up to this many rows one thread is as fast as several, and not at the mercy of a busy machine.
_SMALL = 1000


def plan_workers(n: int, n_gammas: int) -> int:
    """How many values of γ to compute at once for `n` rows, each on one thread; 0: BLAS's threads."""
    if n_gammas == 1:
        return 1 if n <= _SMALL else 0
    return max(1, min(n_threads(), n_gammas, _BYTES_AT_ONCE // (3 * 8 * n * n)))


def sweep(
    choice: KernelChoice,
    gammas: Sequence[float | None],
    X: Any,
    y: np.ndarray,
    alphas: np.ndarray,
    sample_weight: np.ndarray | None,
) -> Generator[LeaveOneOut, None, None]:
    """Residuals √wᵢ (yᵢ - f₋ᵢ(xᵢ)) of every γ, in their order.

    Parameters
    ----------
    choice : KernelChoice
        The kernel, whose own γ does not matter.
    gammas : sequence of float or None
        The candidates.
    X : array or sparse matrix
        # shape: (n, d)
    y : ndarray of float64
        # shape: (n, n_targets)
    alphas : ndarray of float64
        # shape: (n_alphas,)
    sample_weight : ndarray or None
        # shape: (n,)
    """

    def one(gamma: float | None) -> LeaveOneOut:
        candidate = choice._replace(gamma=gamma)
        K = candidate.fresh_matrix(X, np.float64)
        scaled, _ = scale_by_weight(K, y, sample_weight)
        return leave_one_out(
            K, scaled, alphas, positive_semidefinite=candidate.is_positive_semidefinite
        )

    workers = plan_workers(y.shape[0], len(gammas))
    with limit_blas() if workers else contextlib.nullcontext():
        if workers <= 1:
            yield from map(one, gammas)
            return
        pool = ThreadPoolExecutor(
            workers,
            thread_name_prefix="fastkb-sweep",
            # Numba keeps the number of threads for each Python thread: hand the caller's on.
            initializer=numba.set_num_threads,
            initargs=(n_threads(),),
        )
        try:
            yield from pool.map(one, gammas)
        finally:
            # After an error or Ctrl-C nothing new is begun; what runs comes to its end first.
            pool.shutdown(wait=True, cancel_futures=True)
