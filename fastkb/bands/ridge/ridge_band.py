"""Bands of kernel ridge regression, with given parameters or with those that it chooses."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastkb.bands.checks import (
    check_kind_of_ridge,
    check_search,
    check_search_is_linear,
    check_stacked_data,
    check_two_rows,
)
from fastkb.bands.coverage import plausible
from fastkb.bands.coverage.own_fit import ChosenFit
from fastkb.bands.coverage.study import Choice, RidgeStudy, in_threads
from fastkb.bands.models.checks import check_response_method
from fastkb.bands.models.model_band import Options
from fastkb.bands.models.models import GivenData
from fastkb.bands.models.prediction_error import OutOfBag, PredictionError
from fastkb.bands.parts import Parts
from fastkb.bands.ridge.checks import BandData, check_band_data
from fastkb.bands.ridge.kernel_source import KernelSource
from fastkb.bands.ridge.replicates import Job, Replicates, Saving, compute_replicates, restore
from fastkb.bands.ridge.searched_refits import SearchedRefits
from fastkb.bands.ridge.smoother import response_replicates
from fastkb.bands.ridge.solver_choice import SolverChoice
from fastkb.checks.numbers import check_squares
from fastkb.random.streams import bootstrap_counts
from fastkb.resample.response_schemes import ResponseScheme
from fastkb.ridge.estimator import KernelRidge
from fastkb.ridge.search import KernelRidgeCV
from fastkb.runtime.memory import empty, require
from fastkb.runtime.progress import counted
from fastkb.storage.checkpoint import Checkpoint

# Resamples between two looks at the keyboard and the progress bar.
_TOGETHER = 32
# Weights that are drawn again at a time, for the out-of-bag error.
_WEIGHTS = 2**20


def check_ridge(estimator: Any, given: GivenData, options: Options, checkpoint: Any) -> BandData:
    """All that can be wrong with a band of kernel ridge regression, and its data."""
    kind = options.kind
    check_kind_of_ridge(estimator, kind, options.scheme, options.out_of_bag, checkpoint)
    check_response_method(estimator, options.response_method, False)
    model = estimator
    if isinstance(estimator, KernelRidgeCV):
        check_search(estimator)
        check_search_is_linear(estimator, kind)
        model = KernelRidge(kernel=estimator.kernel)
    data = check_band_data(model, *given)
    if kind != "percentile":
        check_two_rows(len(data.y), kind)
    return data


def of_ridge(
    estimator: Any, data: BandData, solver: str, options: Options, checkpoint: Checkpoint | None
) -> Parts:
    """The replicates of a percentile band, or what the other kinds need."""
    _require_memory(data, solver, options)
    alpha = None if isinstance(estimator, KernelRidgeCV) else data.alpha
    where = plausible.Data(*(_own_copy(part, estimator) for part in (data.X, data.y, data.X_eval)))
    study = RidgeStudy(estimator, where, alpha, options.key, options.n_resamples, options.progress)
    if options.kind == "percentile":
        return _percentile(estimator, data, solver, options, checkpoint, study)
    distribution, n_resamples = None, 0
    if options.kind != "prediction":  # a prediction band needs no bootstrap
        distribution, n_resamples = study.wild_bootstrap().distribution, options.n_resamples
    choice, fixed = study.choice, study.fixed
    penalties = data.alpha if choice is None else choice.alpha
    source = KernelSource(fixed, data.X, data.X_eval)
    # One replicate, for the fit on all data and its certificate.
    fit = compute_replicates(Job(source, data.y, penalties, options.key, 1), solver)
    study.center = fit.center
    about = _about(fit) | {"choice": choice}
    about["reason"] = f"the fit on all data by {about['solver']}: {about['reason']}"
    return _parts(data, options.kind, fit.center, distribution, study, n_resamples, about)


def _require_memory(data: BandData, solver: str, options: Options) -> None:
    """Refuse, before any work, what cannot fit into memory."""
    (n, n_targets), m = data.y.shape, data.X_eval.shape[0]
    points = m + n * options.out_of_bag
    replicates = 8 * options.n_resamples * points * n_targets
    if options.kind == "prediction":
        require(8 * n_targets * m * n, "the smoothers of a prediction band")
    elif options.kind == "percentile":
        require(replicates, "the predictions of all replicates")
    else:
        require(2 * replicates, "the predictions and statistics of all replicates")
    if isinstance(options.scheme, ResponseScheme):
        require(8 * n * (3 * n + 2 * m), "the smoother of a response scheme")
    elif solver == "cholesky":
        require(8 * n * (n + m), "the Gram matrices of a band")


def _percentile(
    estimator: Any,
    data: BandData,
    solver: str,
    options: Options,
    checkpoint: Checkpoint | None,
    study: RidgeStudy,
) -> Parts:
    """Refits to resampled rows."""
    m, points = data.X_eval.shape[0], data.X_eval
    if options.out_of_bag:  # the data themselves are evaluation points too
        points = check_stacked_data(data.X, points)
        check_squares("y", data.y)
    prepared = options.scheme
    if prepared is not None and not isinstance(prepared, ResponseScheme):
        prepared = prepared.prepare([data.y.T], True)
    if isinstance(estimator, KernelRidgeCV):
        where = plausible.Data(data.X, data.y, points)
        replicates, choice = _searched_replicates(estimator, where, options, prepared, checkpoint)
    else:
        choice = None
        job = Job(
            KernelSource(estimator, data.X, points),
            data.y,
            data.alpha,
            options.key,
            options.n_resamples,
            options.progress,
            prepared,
            checkpoint,
            options.work,
        )
        if isinstance(prepared, ResponseScheme):
            replicates = response_replicates(job)
        else:
            replicates = compute_replicates(job, solver)
    error = _out_of_bag(replicates, data, options.key, prepared) if options.out_of_bag else None
    about = _about(replicates) | {"prediction_error": error, "choice": choice}
    distribution = replicates.distribution[:, :m]
    study.center = replicates.center[:m]
    # A scheme says how rows depend on each other; bands of other kinds take them for independent.
    other = study if options.scheme is None and not _is_precomputed(estimator) else None
    return _parts(
        data,
        options.kind,
        replicates.center[:m],
        distribution,
        other,
        options.n_resamples,
        about,
    )


def _searched_replicates(
    estimator: Any,
    data: plausible.Data,
    options: Options,
    prepared: Any,
    checkpoint: Checkpoint | None,
) -> tuple[Replicates, Choice]:
    """Refit on every resample, the choice included; and the choice from all data."""
    study = RidgeStudy(estimator, data, None, options.key, options.n_resamples, options.progress)
    found, n = study.searched(), len(data.y)
    assert isinstance(found.own, ChosenFit)
    choice = study.chosen_from(found)
    refits = SearchedRefits(found.candidates, found.own, data.y)
    distribution = empty(
        (options.n_resamples, data.X_eval.shape[0], data.y.shape[1]),
        np.float64,
        "the predictions of all replicates",
    )
    done = restore(checkpoint, "searched", distribution)
    with (
        in_threads() as mapping,
        counted(options.progress, "replicates", options.n_resamples) as bar,
        Saving(checkpoint) as saving,
    ):
        bar.update(done)

        def block(first: int) -> list[np.ndarray]:
            count = min(_TOGETHER, options.n_resamples - first)
            weights = _drawn_weights(prepared, options.key, first, count, n)
            return [refits.curves(one) for one in weights]

        starts = range(done, options.n_resamples, _TOGETHER)
        for first, curves in zip(starts, mapping(block, starts), strict=True):
            distribution[first : first + len(curves)] = curves
            saving.finished(searched=distribution[: first + len(curves)])
            bar.update(len(curves))
        center = refits.curves(np.ones(n))
    kernels = len(refits.factors)
    reason = f"every replicate chooses anew, in the spectra of {kernels} kernels on all data"
    return Replicates(center, distribution, SolverChoice("search", reason), None, None, 0), choice


def _drawn_weights(prepared: Any, key: np.ndarray, first: int, count: int, n: int) -> np.ndarray:
    """How often replicates hold each row, as floats.  # shape: (count, n)"""
    if prepared is None:
        return bootstrap_counts(key, first, count, n).astype(np.float64)
    return prepared.counts(key, first, count).astype(np.float64)


def _own_copy(array: Any, estimator: Any) -> Any:
    """What the result may look at later, whatever becomes of the caller's arrays; but no Gram matrix."""
    return array if _is_precomputed(estimator) else array.copy()


def _is_precomputed(estimator: Any) -> bool:
    return isinstance(estimator.kernel, str) and estimator.kernel == "precomputed"


def _about(replicates: Replicates) -> dict[str, Any]:
    return {
        "solver": replicates.solved_by.solver,
        "reason": replicates.solved_by.reason,
        "rank": replicates.rank,
        "error_bound": replicates.error_bound,
        "n_exact": replicates.n_exact,
    }


def _parts(
    data: BandData,
    kind: str,
    center: np.ndarray,
    distribution: np.ndarray | None,
    study: Any,
    n_resamples: int,
    about: dict[str, Any],
) -> Parts:
    """Without the axis of targets where y has none."""
    if data.single_target:
        center = center[..., 0]
        distribution = None if distribution is None else distribution[..., 0]
    return Parts(kind, center, distribution, study, data.dtype, n_resamples, about)


def _out_of_bag(
    replicates: Replicates, data: BandData, key: np.ndarray, prepared: Any
) -> PredictionError:
    """From predictions whose last points are the data."""
    n = len(data.y)
    errors = OutOfBag(data.y)
    together = max(1, _WEIGHTS // n)
    for first in range(0, len(replicates.distribution), together):
        some = replicates.distribution[first : first + together, -n:]
        errors.add_many(some, _drawn_weights(prepared, key, first, len(some), n))
    return errors.result(replicates.center[-n:])
