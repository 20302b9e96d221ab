"""The replicates of a band: plan, run in chunks that can be interrupted, repair what is not certified."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from fastkb.bands.ridge import cholesky
from fastkb.bands.ridge.basis import TOLERANCE, Basis, Refused
from fastkb.bands.ridge.kernel_source import KernelSource
from fastkb.bands.ridge.lowrank import BATCH, LowRank
from fastkb.bands.ridge.solver_choice import SolverChoice, choose_solver, largest_useful_rank
from fastkb.executors import carriers
from fastkb.executors.parts import Parts, spans
from fastkb.random.streams import bootstrap_counts
from fastkb.runtime.callers import stacklevel
from fastkb.runtime.memory import empty
from fastkb.runtime.progress import ProgressLike, counted
from fastkb.runtime.threads import limit_blas, n_threads
from fastkb.storage.checkpoint import Checkpoint

# Between two looks at the keyboard and the progress bar.
_SECONDS_A_CHUNK = 0.25
# Above this fraction of replicates without a certificate a larger basis is cheaper than factorisations.
_MANY = 0.02
_ATTEMPTS = 3
# Certificates above these are refused: of replicates, and of the fit on all data.
_LIMIT = _CENTER_LIMIT = TOLERANCE


# Targets below 2 to this power, and above its inverse, have squares in range.
_SQUARED = 450


class Replicates(NamedTuple):
    """Predictions of all replicates, and how they came about."""

    center: np.ndarray  # shape: (n_eval, n_targets)
    distribution: np.ndarray  # shape: (n_resamples, n_eval, n_targets)
    solved_by: SolverChoice
    rank: int | None
    error_bound: float | None
    n_exact: int


class Job(NamedTuple):
    """What is asked for."""

    source: KernelSource
    y: np.ndarray  # shape: (n, n_targets)
    alpha: np.ndarray  # shape: (n_targets,)
    key: np.ndarray  # shape: (4,)
    n_resamples: int
    progress: ProgressLike = False
    scheme: Any = None  # None: rows are drawn one by one
    checkpoint: Checkpoint | None = None  # finished replicates are loaded from it, and saved to it
    work: Parts | None = (
        None  # what computes replicates on an executor; None: they are computed here
    )


def compute_replicates(job: Job, solver: str) -> Replicates:
    """Fit all replicates, and all data, and evaluate.

    Parameters
    ----------
    job : Job
        Its scheme, if there is one, is prepared and gives weights.
    solver : str
    """
    exponent = int(np.frexp(np.abs(job.y).max(initial=0.0))[1])
    if abs(exponent) > _SQUARED:
        # Certificates are made of squares; everything is linear in y, and a power of two rounds nothing.
        found = compute_replicates(job._replace(y=np.ldexp(job.y, -exponent)), solver)
        np.ldexp(found.distribution, exponent, out=found.distribution)
        return found._replace(center=np.ldexp(found.center, exponent))
    # One pool of threads at a time: BLAS would spin beside the compiled regions.
    with limit_blas(1):
        scale = _scale(job.y)
        means = np.zeros(job.y.shape[1])
        if job.source.fit_intercept:
            # A shift of the targets is one of the constant: no digits are lost to a large one.
            means = job.y.mean(axis=0)
            job = job._replace(y=job.y - means)
        choice, lowrank, basis = _choose(job, solver, scale)
        if lowrank is None or basis is None:
            result = _exactly(job, choice)
        else:
            result = _with_basis(job, choice, lowrank, basis, scale)
    if not means.any():
        return result
    # Whole rows at a time: an axis as short as that of the targets takes five times as long.
    result.distribution.reshape(job.n_resamples, -1)[...] += np.tile(means, job.source.n_eval)
    return result._replace(center=result.center + means)


def _scale(y: np.ndarray) -> np.ndarray:
    """What errors of each target are measured by: its range, its size where it is constant."""
    scale = np.ptp(y, axis=0)
    scale = np.where(scale > 0, scale, np.abs(y).max(axis=0))
    return np.where(scale > 0, scale, 1.0)


def _choose(
    job: Job, solver: str, scale: np.ndarray
) -> tuple[SolverChoice, LowRank | None, Basis | None]:
    n, n_targets = job.y.shape
    size = (n, job.source.n_eval, n_targets)
    lowrank = basis = splits = None
    refusal = "another solver was asked for"
    if job.scheme is not None:
        refusal = "the low-rank solver draws rows one by one"
    elif solver != "cholesky":
        try:
            limit = n if solver == "lowrank" else largest_useful_rank(*size)
            basis = Basis(job.source, job.y, job.alpha, scale, limit)
            lowrank = LowRank(job.source, basis, job.y, job.alpha, scale)
            splits = lowrank.splits
        except Refused as refused:
            refusal = str(refused)
    rank = 0 if lowrank is None else lowrank.rank
    choice = choose_solver(solver, *size, splits, rank, refusal)
    return (choice, lowrank, basis) if choice.solver == "lowrank" else (choice, None, None)


def _with_basis(
    job: Job, choice: SolverChoice, lowrank: LowRank, basis: Basis, scale: np.ndarray
) -> Replicates:
    distribution = allocate(job)
    bounds = np.empty(job.n_resamples)
    saved = _saved(job.checkpoint)
    done = len(saved.get("bounds", ()))
    done -= done % BATCH if done < job.n_resamples else 0
    reached = int(saved.get("attempt", 1))
    for attempt in range(1, _ATTEMPTS + 1):
        if attempt < reached:  # its replicates were given up, and so will the basis be
            basis.raise_accuracy(100.0**attempt)
            lowrank = LowRank(job.source, basis, job.y, job.alpha, scale)
            continue
        lowrank.prepare()
        center, center_bound = lowrank.center()
        if not center_bound <= _CENTER_LIMIT:
            why = "the low-rank fit on all data could not be certified"
            return _exactly(
                job, SolverChoice("cholesky", f"one factorisation for each replicate, since {why}")
            )
        distribution[:done] = saved.get("distribution", distribution[:0])[:done]
        bounds[:done] = saved.get("bounds", bounds[:0])[:done]
        with (
            counted(job.progress, "replicates", job.n_resamples) as bar,
            Saving(job.checkpoint) as saving,
        ):
            together = BATCH * n_threads()
            guess = BATCH * sum(split.seconds for split in lowrank.splits)
            for first, count in _chunks(job.n_resamples, together, bar, guess, done):
                part = slice(first, first + count)
                bounds[part] = lowrank.predict(job.key, first, distribution[part])
                ready = slice(0, first + count)
                saving.finished(
                    distribution=distribution[ready], bounds=bounds[ready], attempt=attempt
                )
        saved, done = {}, 0
        uncertified = np.flatnonzero(~(bounds <= _LIMIT))
        if len(uncertified) <= _MANY * job.n_resamples or attempt == _ATTEMPTS:
            break
        try:
            basis.raise_accuracy(100.0**attempt)
        except Refused:
            break
        lowrank = LowRank(job.source, basis, job.y, job.alpha, scale)
    if len(uncertified):
        exact = _Exact(job)
        with counted(job.progress, "replicates", len(uncertified)) as bar:
            for first, count in _chunks(len(uncertified), n_threads(), bar):
                some = uncertified[first : first + count]
                distribution[some] = exact.predict(_weights(job, some))
        exact.warn()
        bounds[uncertified] = 0.0
    worst = max(center_bound, float(bounds.max()))
    return Replicates(center, distribution, choice, lowrank.rank, worst, len(uncertified))


def _exactly(job: Job, choice: SolverChoice) -> Replicates:
    exact = _Exact(job)
    distribution = allocate(job)
    done = restore(job.checkpoint, "exact", distribution)
    with (
        counted(job.progress, "replicates", job.n_resamples) as bar,
        Saving(job.checkpoint) as saving,
    ):
        for first, values in _exact_parts(job, exact, bar, done):
            ready = first + len(values)
            distribution[first:ready] = values
            saving.finished(exact=distribution[:ready])
    center = exact.center()
    exact.warn()
    return Replicates(center, distribution, choice, None, None, 0)


def _exact_parts(job: Job, exact: _Exact, bar: Any, done: int) -> Iterator[tuple[int, np.ndarray]]:
    """(first replicate, predictions) from `done` on, some at a time: here, or on an executor."""
    if job.work is None:
        for first, count in _chunks(job.n_resamples, n_threads(), bar, start=done):
            yield first, exact.predict(_weights(job, np.arange(first, first + count)))
        return
    bar.update(done)
    task = carriers.Job(_ExactPart, (job._replace(progress=False, checkpoint=None, work=None),))
    parts = spans(job.n_resamples)
    k = next((k for k, (begin, count) in enumerate(parts) if begin + count > done), len(parts))
    for values, singular in job.work.results(task, parts, k):
        exact.singular += singular
        first = parts[k][0]
        skipped = max(0, done - first)
        yield first + skipped, values[skipped:]
        bar.update(len(values) - skipped)
        k += 1


class _ExactPart:
    """Replicates by factorisation, in a worker."""

    def __init__(self, job: Job) -> None:
        self._job = job
        with limit_blas(1):
            self._exact = _Exact(job)

    def __call__(self, first: int, count: int) -> tuple[np.ndarray, int]:
        """Predictions, and how many systems were singular."""
        exact, before = self._exact, self._exact.singular
        with limit_blas(1):
            values = exact.predict(_weights(self._job, np.arange(first, first + count)))
        return values, exact.singular - before


class _Exact:
    """Replicates by factorisation of their distinct rows, by least squares where that is singular."""

    def __init__(self, job: Job) -> None:
        self._job = job
        targets = np.ascontiguousarray(job.y.T)
        source = job.source
        self._problem = cholesky.CholeskyProblem(
            source.gram(), source.cross(), targets, job.alpha, source.fit_intercept
        )
        self._work = cholesky.workspace(self._problem)
        self.singular = 0

    def predict(self, weights: np.ndarray) -> np.ndarray:
        """Predictions for rows of weights.  # shape: (len(weights), n_eval, n_targets)"""
        values, failed = cholesky.predict(self._problem, weights, self._work)
        values = np.ascontiguousarray(values)
        for b in np.flatnonzero(failed):
            values[b] = self._least_squares(weights[b])
        self.singular += int(failed.sum())
        return values

    def center(self) -> np.ndarray:
        """The fit on all data.  # shape: (n_eval, n_targets)"""
        return self.predict(np.ones((1, len(self._job.y))))[0]

    def _least_squares(self, weights: np.ndarray) -> np.ndarray:
        """As KernelRidge solves a singular system: least squares, the shortest solution.

        The rows' duplicates enter by S = diag(√w): (S K S + λI) c = S y, f = K(x, ·) S c. A constant is
        projected out of the system, P = I - s sᵀ/‖s‖² for s = √w, and is the weighted mean of what
        K S c leaves of y.
        """
        K, cross, y, alpha, fit_intercept = self._problem
        u = np.flatnonzero(weights)
        root = np.sqrt(weights[u])
        A = K[np.ix_(u, u)] * np.outer(root, root)
        projection = np.eye(len(u))
        if fit_intercept:
            projection -= np.outer(root, root) / (root @ root)
        out = np.empty((len(cross), len(y)))
        for penalty in np.unique(alpha):
            t = np.flatnonzero(alpha == penalty)
            system, right = A, y[np.ix_(t, u)].T * root[:, None]
            if fit_intercept:
                system = projection @ A @ projection
            # The shortest solution of the projected system is orthogonal to s, for any `right`.
            c = np.zeros_like(right)
            system = system + penalty * projection
            if np.abs(system).max() > np.finfo(np.float64).tiny:  # else a kernel of zeros
                c = np.linalg.lstsq(system, right, rcond=None)[0]
            out[:, t] = cross[:, u] @ (root[:, None] * c)
            if fit_intercept:
                out[:, t] += root @ (right - A @ c) / (root @ root)
        return out

    def warn(self) -> None:
        """Say how many systems were singular, if any."""
        if self.singular:
            from scipy.linalg import LinAlgWarning

            warnings.warn(
                f"{self.singular} of {self._job.n_resamples + 1} systems K + alpha·I were singular "
                "to working precision and solved by least squares. A larger alpha makes them well "
                "posed.",
                LinAlgWarning,
                stacklevel=stacklevel(),
            )


def _saved(checkpoint: Checkpoint | None) -> dict[str, np.ndarray]:
    return (checkpoint.load() if checkpoint is not None else None) or {}


def restore(checkpoint: Checkpoint | None, name: str, distribution: np.ndarray) -> int:
    """Put the finished replicates that were saved as `name` in their places; their number."""
    before = _saved(checkpoint).get(name, distribution[:0])
    distribution[: len(before)] = before
    return len(before)


class Saving:
    """Saves what is finished: from time to time, and at the end, however it comes."""

    def __init__(self, checkpoint: Checkpoint | None) -> None:
        self._checkpoint = checkpoint
        self._arrays: dict[str, Any] = {}

    def __enter__(self) -> Saving:
        return self

    def finished(self, **arrays: Any) -> None:
        """These arrays are the state to save from now on."""
        self._arrays = arrays
        if self._checkpoint is not None:
            self._checkpoint.save_if_due(lambda: arrays)

    def __exit__(self, *exception: object) -> None:
        if self._checkpoint is not None and self._arrays:
            self._checkpoint.save(self._arrays)


def allocate(job: Job) -> np.ndarray:
    """Room for the predictions.  # shape: (n_resamples, n_eval, n_targets)"""
    shape = (job.n_resamples, job.source.n_eval, job.y.shape[1])
    return empty(shape, np.float64, "the predictions of all replicates")


def _weights(job: Job, replicates: np.ndarray) -> np.ndarray:
    """Counts of the given replicates as floats.  # shape: (len(replicates), n)"""
    n = len(job.y)
    if job.scheme is not None:
        return job.scheme.counts(job.key, int(replicates[0]), len(replicates)).astype(np.float64)
    if len(replicates) and replicates[-1] - replicates[0] == len(replicates) - 1:
        counts = bootstrap_counts(job.key, int(replicates[0]), len(replicates), n)
    else:
        counts = np.concatenate([bootstrap_counts(job.key, int(b), 1, n) for b in replicates])
    return counts.astype(np.float64)


def _chunks(
    total: int, unit: int, bar: Any, guess: float = _SECONDS_A_CHUNK, start: int = 0
) -> Iterator[tuple[int, int]]:
    """(first, count) of chunks of whole units, each of about a quarter of a second.

    `guess` is what a unit may take, in seconds. It may be wrong, or the first chunk may have to
    compile: the first is a tenth of a full chunk, if it can be.
    """
    if start:
        bar.update(start)
    first, units = start, max(1, int(0.1 * _SECONDS_A_CHUNK / max(guess, 1e-6)))
    while first < total:
        count = min(units * unit, total - first)
        begin = time.perf_counter()
        yield first, count
        seconds = time.perf_counter() - begin
        bar.update(count)
        first += count
        # Never shrink below one unit, grow fourfold at most.
        wanted = units * _SECONDS_A_CHUNK / max(seconds, 1e-6)
        units = max(1, min(int(wanted), 4 * units))
