"""Bands of any model: what is asked for, made ready for :mod:`fastkb.bands.models.refits`."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from fastkb._version import __version__
from fastkb.bands.machines.machine_refits import (
    is_machine,
    refit_on_one_matrix,
    why_not_on_one_matrix,
)
from fastkb.bands.models.checks import (
    check_labels_are_numbers,
    check_pairwise,
    check_response_method,
    is_classifier,
    is_network,
    is_pairwise,
)
from fastkb.bands.models.models import GivenData, Model, Prediction, predict_replicates
from fastkb.bands.models.refits import Draws, Refits, refit
from fastkb.bands.networks.perceptron_refits import SIDE_BY_SIDE, refit_side_by_side
from fastkb.executors.carriers import Job
from fastkb.executors.parts import Parts, spans
from fastkb.random.streams import bootstrap_counts
from fastkb.resample.response_schemes import ResponseScheme
from fastkb.resample.weight_schemes import WeightScheme
from fastkb.runtime.progress import ProgressLike
from fastkb.storage.checkpoint import Checkpoint
from fastkb.storage.identity import describe_estimator


class Options(NamedTuple):
    """What a band is asked for, beside the data."""

    key: np.ndarray  # shape: (4,)
    n_resamples: int
    scheme: Any
    response_method: str
    n_jobs: int | None
    out_of_bag: bool
    progress: ProgressLike
    fit_params: Mapping[str, Any] | None = None
    kind: str = "percentile"  # of band; for prediction bands models are evaluated at the data, too
    work: Parts | None = (
        None  # what computes replicates on an executor; None: they are computed here
    )


class ModelBand(NamedTuple):
    """A band's replicates, and how they came about."""

    refits: Refits
    solver: str
    reason: str
    classes: np.ndarray | None


def band_of_model(
    estimator: Any, data: GivenData, solver: str, options: Options, checkpoint: Checkpoint | None
) -> ModelBand:
    """Refit the model on every resample; perceptrons side by side, where that is possible.

    Parameters
    ----------
    estimator : estimator or callable
    data : GivenData
    solver : {"auto", "ensemble", "weights", "rows"}
    options : Options
    checkpoint : Checkpoint or None

    Raises
    ------
    ValueError
        If the options exclude each other; before any fit.
    """
    scheme = options.scheme
    responses = isinstance(scheme, ResponseScheme)
    if is_pairwise(estimator):
        data = data._replace(**check_pairwise(data.X, data.X_eval))
    model, reason = _model(estimator, data, solver, options)
    classifier = not model.is_function and is_classifier(estimator)
    if isinstance(scheme, WeightScheme) and not model.weighted:
        raise ValueError(
            f"scheme {type(scheme).__name__} needs an estimator whose fit takes sample_weight, and "
            f"{reason}"
        )
    if responses and classifier:
        raise ValueError(
            f"scheme {type(scheme).__name__} is for regression, got the classifier {estimator!r}"
        )
    loss = ("zero_one" if classifier else "squared_error") if options.out_of_bag else ""
    draws = make_draws(scheme, data.y, options.key)
    n_resamples, progress = options.n_resamples, options.progress
    if is_machine(estimator) and solver in ("auto", "ensemble"):
        apart = "every replicate has new responses" if responses else ""
        apart = apart or why_not_on_one_matrix(estimator, data.X, data.y)
        if not apart:
            refits, reason = refit_on_one_matrix(
                model, data, draws, n_resamples, loss, checkpoint, progress
            )
            return ModelBand(refits, "ensemble", reason, model.classes)
        if solver == "ensemble":
            raise ValueError(f"solver='ensemble': {apart}")
        reason = f"{reason}, and replicates are not solved on one kernel matrix: {apart}"
    alone = None if is_machine(estimator) else _why_alone(estimator, solver, responses)
    if alone == "":
        refits = refit_side_by_side(model, data, draws, n_resamples, loss, checkpoint, progress)
        return ModelBand(refits, "ensemble", SIDE_BY_SIDE, model.classes)
    elsewhere = None
    if options.work is not None:
        elsewhere = partial(_elsewhere, options, model, data, bool(loss))
    where = options.n_jobs, elsewhere
    refits = refit(model, data, draws, n_resamples, loss, where, checkpoint, progress)
    solver = "weights" if model.weighted else "rows"
    if responses:
        solver, reason = (
            "responses",
            "the inputs are held fixed, and every replicate has new responses",
        )
    elif alone:
        reason = f"{reason}, and they are not trained side by side: {alone}"
    return ModelBand(refits, solver, reason, model.classes)


class _Refitter:
    """What refits replicates in a worker."""

    def __init__(
        self,
        model: Model,
        data: GivenData,
        scheme: Any,
        key: np.ndarray,
        at_data: Any,
        out_of_bag: bool,
    ) -> None:
        self._model, self._data, self._out_of_bag = model, data, out_of_bag
        draws = make_draws(scheme, data.y, key)
        self._weights = draws.weights
        self._responses = draws.responses(at_data) if draws.responses else None

    def __call__(self, first: int, count: int) -> list[Prediction]:
        weights = self._weights(first, count) if self._weights else None
        new = self._responses(first, count) if self._responses else None
        return predict_replicates(self._model, self._data, first, weights, new, self._out_of_bag)


def _elsewhere(
    options: Options, model: Model, data: GivenData, out_of_bag: bool, at_data: Any, done: int
) -> Generator[list[Prediction], None, None]:
    """The replicates from `done` on, computed on an executor."""
    assert options.work is not None
    job = Job(_Refitter, (model, data, options.scheme, options.key, at_data, out_of_bag))
    parts = spans(options.n_resamples)
    first = next((k for k, (begin, count) in enumerate(parts) if begin + count > done), len(parts))
    for k, some in enumerate(options.work.results(job, parts, first), first):
        yield some[max(0, done - parts[k][0]) :]


def _why_alone(estimator: Any, solver: str, responses: bool) -> str | None:
    """Why a perceptron's replicates are not trained side by side, "" if they are; None: no perceptron.

    Raises
    ------
    ValueError
        If that was asked for.
    """
    from fastkb.nn.perceptron.base import is_perceptron, why_alone

    if solver not in ("auto", "ensemble"):
        return None
    known = is_perceptron(estimator)
    if not known:
        name = getattr(estimator, "__name__", type(estimator).__name__)
        alone = (
            f"{name} is neither a network of fastkb.nn nor fastkb's MLPClassifier, MLPRegressor, SVC or "
            "SVR"
        )
    else:
        alone = "every replicate has new responses" if responses else why_alone(estimator)
    if alone and solver == "ensemble":
        raise ValueError(f"solver='ensemble': {alone}")
    return alone if known else None


def _model(estimator: Any, data: GivenData, solver: str, options: Options) -> tuple[Model, str]:
    """How replicates are fitted and evaluated, and why so."""
    from sklearn.utils.validation import has_fit_parameter

    if not hasattr(estimator, "fit"):
        return Model(estimator, True, "", None, options.key), "the function takes weights"
    name = type(estimator).__name__
    takes = has_fit_parameter(estimator, "sample_weight")
    if solver == "weights" and not takes:
        raise ValueError(f"solver='weights': the fit of {name} takes no sample_weight")
    weighted = takes and solver != "rows"
    if weighted:
        reason = f"the fit of {name} takes sample_weight"
    elif takes:
        reason = "asked for"
    else:
        reason = f"the fit of {name} takes no sample_weight"
    pairwise = is_pairwise(estimator)
    classes = None
    response = check_response_method(estimator, options.response_method, is_classifier(estimator))
    if response != "predict":
        classes = np.unique(np.asarray(data.y))
        if np.ndim(data.y) != 1:
            raise ValueError(
                f"a band of {response} needs y of shape (n,), got {np.shape(data.y)}: one band for each "
                "target, or response_method='predict'"
            )
    elif is_classifier(estimator):
        check_labels_are_numbers(data.y)
    fit_params = options.fit_params
    return Model(estimator, weighted, response, classes, options.key, pairwise, fit_params), reason


def make_draws(scheme: Any, y: Any, key: np.ndarray) -> Draws:
    """Weights or responses of replicates."""
    n = len(y)
    if scheme is None:
        return Draws(lambda first, count: bootstrap_counts(key, first, count, n), None)
    if isinstance(scheme, ResponseScheme):
        targets = np.asarray(y, np.float64)
        scheme.around(targets, targets)  # what is wrong with its arguments is found before any fit

        def around(fitted: np.ndarray) -> Any:
            prepared = scheme.around(targets, fitted)
            return lambda first, count: _last_to_first(prepared.responses(key, first, count))

        return Draws(None, around)
    prepared = scheme.prepare([numbers_of(y)], True)
    return Draws(lambda first, count: prepared.counts(key, first, count), None)


def _last_to_first(responses: np.ndarray) -> np.ndarray:
    """From (n_targets, count, n) to (count, n, n_targets)."""
    return responses if responses.ndim == 2 else np.moveaxis(responses, 0, -1)


def numbers_of(y: Any) -> np.ndarray:
    """The response as numbers, observations along the last axis; labels are numbered."""
    array = np.asarray(y)
    if array.dtype.kind not in "biuf":
        array = np.unique(array, return_inverse=True)[1].reshape(array.shape)
    return np.asarray(array, np.float64).T


def describe_job(estimator: Any, data: GivenData, solver: str, options: Options) -> dict[str, Any]:
    """What makes a job: a checkpoint of another one is refused."""
    # The architecture of a network counts, and not the parameters that it has learnt before.
    model = (
        (estimator._architecture(), str(estimator.dtype)) if is_network(estimator) else estimator
    )
    told = options.fit_params
    return {
        "version": __version__,
        "estimator": describe_estimator(model),
        **({"fit_params": describe_estimator(dict(told))} if told else {}),
        **{name: _as_data(value) for name, value in data._asdict().items()},
        "n_resamples": options.n_resamples,
        "seed": " ".join(map(str, options.key.tolist())),
        "solver": solver,
        "scheme": describe_scheme(options.scheme),
        "response_method": options.response_method,
        "out_of_bag": options.out_of_bag,
        **({"kind": options.kind} if options.kind == "prediction" else {}),
    }


def _as_data(value: Any) -> Any:
    return value if hasattr(value, "shape") else np.asarray(value)


def describe_scheme(scheme: Any) -> str:
    """A scheme with its arguments in full, and the version of its stream."""
    if scheme is None:
        return "rows"
    arguments = [f"{name}={np.asarray(value).tolist()!r}" for name, value in scheme._arguments()]
    stream = f", stream {scheme.stream}" if scheme.stream else ""
    return f"{type(scheme).__name__}({', '.join(arguments)}){stream}"
