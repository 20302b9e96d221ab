"""Bands of networks of :mod:`fastkb.nn`: all members are trained side by side, in compiled code."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import numpy as np

from fastkb.bands.models.model_band import ModelBand, Options, make_draws
from fastkb.bands.models.models import GivenData, Prediction
from fastkb.bands.models.refits import Center, collect
from fastkb.nn.checks import (
    check_fit_params,
    check_network_labels,
    check_network_response,
    check_network_scheme,
)
from fastkb.nn.observations import check_inputs
from fastkb.nn.ops.losses import OF_CLASSES, OF_TWO
from fastkb.resample.response_schemes import ResponseScheme
from fastkb.storage.checkpoint import Checkpoint


def band_of_network(
    network: Any, data: GivenData, options: Options, checkpoint: Checkpoint | None
) -> ModelBand:
    """Train a network of this architecture on all data, and one on every resample.

    Parameters
    ----------
    network : fastkb.nn.Sequential
        It is not changed.
    data : GivenData
    options : Options
    checkpoint : Checkpoint or None

    Raises
    ------
    TypeError, ValueError
        For bad input; before any training.
    FloatingPointError
        If a network's loss is no longer finite, naming it.
    """
    from fastkb.nn.ensemble import REASON, classes, curves
    from fastkb.nn.training.members import Members

    params = check_fit_params(options.fit_params)
    members = Members(network, data.X, data.y, params, options.key)
    loss, engine = members.loss, members.engine
    check_network_response(options.response_method, loss)
    responses = isinstance(options.scheme, ResponseScheme)
    if responses:
        check_network_scheme(options.scheme, loss, params.sample_weight)
    points = check_inputs(data.X_eval, network._graph, engine.dtype, "X_eval", params.scale)
    y = np.asarray(data.y)
    draws = make_draws(options.scheme, y, members.stream)
    out_of_bag = ""
    if options.out_of_bag:
        out_of_bag = "squared_error"
        if loss.endswith("cross_entropy"):
            out_of_bag = "zero_one"
            check_network_labels(y, loss, network.out_features)
    whole = members.fit_center()
    at_data = whole.forward(members.data.inputs)
    center = Center(curves(whole.forward(points), loss), _answers(at_data, y, loss))
    draw = _drawing(draws, _in_place_of(y, at_data) if responses else None)

    def predict(done: int) -> Generator[list[Prediction], None, None]:
        for first, count in members.groups(repeated=responses)(done, options.n_resamples):
            weights, new = draw(first, count)
            parameters = members.empty(count)
            members.train(parameters, first, weights, new)
            values = curves(np.array([engine.forward(p, points) for p in parameters]), loss)
            some = []
            for member in range(count):
                out = at_out = None
                if out_of_bag and weights is not None:
                    out = np.flatnonzero(weights[member] == 0)
                if out is not None and len(out):
                    outputs = engine.forward(parameters[member], members.data.inputs[out])
                    at_out = _answers(outputs, y, loss)
                some.append(Prediction(values[member], out, at_out))
            yield some

    refits = collect(
        predict, center, y, options.n_resamples, out_of_bag, checkpoint, options.progress
    )
    reason = REASON
    if responses:
        reason = "all networks are trained side by side, each on new responses"
    return ModelBand(refits, "ensemble", reason, classes(network, loss))


def _drawing(
    draws: Any, fitted: np.ndarray | None
) -> Callable[[int, int], tuple[np.ndarray | None, np.ndarray | None]]:
    """(first, count) -> weights or responses, the latter around fitted values."""
    if fitted is None:
        return lambda first, count: (draws.weights(first, count), None)
    responses = draws.responses(fitted)
    return lambda first, count: (None, responses(first, count))


def _in_place_of(y: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """Fitted values in the shape of the targets."""
    return outputs.reshape(y.shape).astype(np.float64)


def _answers(outputs: np.ndarray, y: np.ndarray, loss: str) -> np.ndarray:
    """Labels of the kind of `y`, or values."""
    if loss in OF_CLASSES:
        return outputs.argmax(axis=1)
    if loss in OF_TWO:
        least = (
            0.5 if loss == "plain_binary_cross_entropy" else 0.0
        )  # of probabilities, or of logits
        return (outputs[:, 0] > least).astype(y.dtype)
    return outputs
