"""Several values of γ evaluated, as many at a time as there are threads.

Each γ is then computed on one thread. An eigendecomposition consists of tens of thousands of short
BLAS calls: spread over threads, each call waits for all of them, and on a machine that is busy with
something else they wait for each other most of the time (n=1000: 0.11 s on two idle cores, 0.8 s on
two busy ones, 0.2 s on one thread in either case). The result is also the same to the last bit for
any number of threads.

A single γ of many rows keeps the threads that BLAS is set to, and its last bits depend on them: on one
thread an eigendecomposition of 2000 rows takes 1.7 times as long as on two.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Sequence

import numpy as np

from fastkb.ridge.kernel_matrix import KernelChoice
from fastkb.ridge.selection.evaluation import Evaluation, TrainingData, evaluate
from fastkb.runtime.memory import require
from fastkb.runtime.threads import limit_blas, n_threads, thread_map

# Kernels that are decomposed at once may take so many bytes, at three matrices each: the Gram matrix,
# which turns into its vectors, and LAPACK's workspace, or a low-rank factor and its rotation.
_BYTES_AT_ONCE = 2**30

# Up to this many rows one thread is as fast as several, and not at the mercy of a busy machine.
_SMALL = 1000


def plan_workers(n: int, n_gammas: int, n_matrices: int = 3) -> int:
    """How many values of γ to compute at once for `n` rows, each on one thread; 0: BLAS's threads."""
    if n_gammas == 1:
        return 1 if n <= _SMALL else 0
    return max(1, min(n_threads(), n_gammas, _BYTES_AT_ONCE // (n_matrices * 8 * n * n)))


def sweep(
    choice: KernelChoice, gammas: Sequence[float | None], alphas: np.ndarray, data: TrainingData
) -> Generator[Evaluation, None, None]:
    """The evaluation of every γ, in their order.

    Parameters
    ----------
    choice : KernelChoice
        The kernel, whose own γ does not matter.
    gammas : sequence of float or None
        The candidates.
    alphas : ndarray of float64
        Penalties.  # shape: (n_alphas,)
    data : TrainingData
        What they are fitted to.
    """

    def one(gamma: float | None) -> Evaluation:
        candidate = choice._replace(gamma=gamma)
        K = candidate.fresh_matrix(data.X, np.float64)
        positive = candidate.is_positive_semidefinite
        return evaluate(K, data, alphas, positive_semidefinite=positive)

    # A fold that is refitted has a matrix of its own beside the Gram matrix.
    matrices = 4 if data.folds is not None and data.folds.refits else 3
    n, n_targets = data.y.shape
    workers = plan_workers(n, len(gammas), matrices)
    # Residuals, and what they are made of, come to three arrays of their size.
    require(
        8 * (max(1, workers) * matrices * n * n + 3 * n * n_targets * alphas.size),
        f"the errors of {alphas.size} penalties for {n} rows",
    )
    limited = limit_blas() if workers else contextlib.nullcontext()
    with limited, thread_map(workers, "sweep") as mapping:
        yield from mapping(one, gammas)
