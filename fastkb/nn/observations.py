"""Checks of the data of networks: rows or images, targets or labels, weights."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from fastkb.checks.choices import check_choice
from fastkb.checks.numbers import check_unmasked
from fastkb.checks.scalars import check_number
from fastkb.checks.values import check_dense, real_array, real_values
from fastkb.nn.checks import LOSSES
from fastkb.nn.ops.graph import (
    Network,
    check_batch,
    check_values,
    input_shape,
    known_shape,
    leaves,
    output_shape,
)
from fastkb.nn.ops.losses import OF_LABELS, OF_TWO, WITH_WEIGHTS, NamedLoss


class Observations(NamedTuple):
    """Checked data of a network, C-contiguous and of its element type."""

    inputs: np.ndarray  # shape: (n, inputs)
    # shape: (n, outputs), twice as many columns for losses WITH_WEIGHTS; (0, outputs) where labels serve
    targets: np.ndarray
    labels: np.ndarray  # shape: (n,), int64, or (0,)
    weights: np.ndarray  # shape: (n,), or (0,): all one


def check_inputs(
    X: Any,
    layers: Network,
    dtype: np.dtype | None = None,
    name: str = "X",
    scale: float | None = None,
) -> np.ndarray:
    """Finite inputs that a network takes: rows of its width, or images of its channels.

    Parameters
    ----------
    X : array_like
    layers : sequence of Layer, or Layer
    dtype : numpy.dtype, optional
        The network's; None: float32 stays, everything else becomes float64.
    name : str
    scale : float, optional
        What bytes are multiplied by, which become float32 then.
    """
    from sklearn.utils.validation import check_array

    if scale is not None:
        X = scaled(name, X, scale, dtype)
    dtype = dtype or np.dtype("f4" if getattr(X, "dtype", None) == np.float32 else "f8")
    shape = input_shape(layers)
    axes = 1 + (len(shape) or max(1, np.ndim(X) - 1))
    array = X
    if not _is_clean(X, dtype, axes):
        if axes > 2:
            _check_images(name, X, axes)
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused as infinite
            array = check_array(
                real_values(name, X), dtype=dtype, order="C", input_name=name,
                allow_nd=axes > 2, ensure_2d=axes == 2,
            )  # fmt: skip
    known = len(shape) == 1 and shape[0] is not None
    if known and array.shape[1] != shape[0]:
        raise ValueError(f"{name} has {array.shape[1]} columns, and the network takes {shape[0]}")
    try:
        if not known:
            output_shape(layers, array.shape[1:])
        check_values(layers, array)
    except ValueError as error:
        raise ValueError(
            f"{name} of shape {array.shape} does not fit the network: {error}"
        ) from None
    return array


def scaled(name: str, X: Any, scale: float, dtype: np.dtype | None = None) -> np.ndarray:
    """Bytes times a number, as float32 or of another type."""
    array = np.asarray(X)
    if array.dtype != np.uint8:
        raise ValueError(
            f"scale is that of bytes, and {name} is of {array.dtype}: multiply it before"
        )
    factor = check_number("scale", scale, 0.0, open_below=True)
    kind = dtype or np.dtype(np.float32)
    return np.multiply(array, kind.type(factor), dtype=kind)


def _check_images(name: str, X: Any, axes: int) -> None:
    """Arrays of so many axes; images are of numbers that are not bytes."""
    shape, kind = np.shape(X), getattr(X, "dtype", None)
    if len(shape) != axes:
        what = {3: "sequences of shape (n, channels, length)"}.get(
            axes, "images of shape (n, channels, height, width)"
        )
        raise ValueError(f"{name} must be {what}, got shape {shape}")
    if kind == np.uint8 and axes == 4:
        raise ValueError(
            f"{name} is of bytes, from 0 to 255, whose scale is not said: give fit and predict "
            "scale=1 / 255, or divide them before"
        )


def _is_clean(X: Any, dtype: np.dtype, axes: int) -> bool:
    """Whether check_array would find nothing: it takes 50 microseconds to say so."""
    if type(X) is not np.ndarray or X.dtype != dtype or X.ndim != axes:
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        return X.size > 0 and X.flags.c_contiguous and bool(np.isfinite(X.sum()))


def loss_of(loss: Any, y: Any) -> NamedLoss:
    """A loss as compiled code knows it; criteria such as CrossEntropyLoss say what they are."""
    of_criterion = getattr(loss, "known", None)
    if of_criterion is None or isinstance(loss, type):
        return NamedLoss(check_choice("loss", loss, LOSSES))
    found: NamedLoss = of_criterion(y)
    return found


class Told(NamedTuple):
    """What a loss is told of observations."""

    y: Any
    sample_weight: Any
    outputs: int  # of the network

    def by(self, loss: Any) -> Told:
        """The same as compiled code is told it."""
        told = getattr(loss, "told", None)
        return self if told is None else told(self)


def check_observations(
    X: Any,
    y: Any,
    sample_weight: Any,
    layers: Network,
    loss: Any,
    dtype: np.dtype | None,
    scale: float | None = None,
) -> Observations:
    """Data for a loss.

    Parameters
    ----------
    X, y : array_like
    sample_weight : array_like or None
    layers : sequence of Layer, or Layer
        Of the network.
    loss : str or criterion
    dtype : numpy.dtype or None
        As for :func:`check_inputs`.
    scale : float, optional
        Likewise.
    """
    named = loss_of(loss, y).name
    inputs = check_inputs(X, layers, dtype, scale=scale)
    n, outputs = len(inputs), outputs_for(layers, inputs)
    told = Told(y, sample_weight, outputs).by(loss)
    targets, labels = check_answers(told.y, (n, outputs), named, inputs.dtype)
    weights = np.zeros(0, inputs.dtype)
    if told.sample_weight is not None:
        weights = check_weights(told.sample_weight, n, inputs.dtype)
    return Observations(inputs, targets, labels, weights)


def outputs_for(layers: Network, inputs: np.ndarray) -> int:
    """How many outputs a network has for each of these inputs."""
    return math.prod(known_shape(layers, inputs.shape[1:]))


def check_answers(
    y: Any, shape: tuple[int, int], loss: str, dtype: np.dtype
) -> tuple[np.ndarray, np.ndarray]:
    """What outputs of a shape should be, for a loss: targets and labels, of which one array is empty."""
    n, outputs = shape
    labels = np.zeros(0, np.int64)
    targets = np.zeros((0, outputs), dtype)
    if loss in OF_LABELS:
        labels = _check_labels(y, n, outputs)
    else:
        columns = 2 * outputs if loss in WITH_WEIGHTS else outputs
        targets = _check_targets(y, n, columns, dtype)
        answers = targets[:, :outputs]
        if loss in OF_TWO and ((answers < 0) | (answers > 1)).any():
            raise ValueError(
                "y must be from 0 to 1 for binary_cross_entropy, got values from "
                f"{answers.min():g} to {answers.max():g}"
            )
    return targets, labels


def _check_labels(y: Any, n: int, outputs: int) -> np.ndarray:
    check_unmasked("y", y)
    check_dense("y", y)
    labels = np.asarray(y)
    if labels.ndim != 1:
        raise ValueError(f"y must be labels of shape (n,) for cross_entropy, got {labels.shape}")
    if labels.dtype.kind not in "iub":
        raise ValueError(
            f"y must be whole numbers for cross_entropy, the places of the classes, got {labels.dtype}"
        )
    if outputs < 2:
        raise ValueError(
            "cross_entropy needs a network of two outputs at least, and this one has 1: "
            "binary_cross_entropy is for one"
        )
    _check_length("y", len(labels), n)
    if labels.min() < 0 or labels.max() >= outputs:
        raise ValueError(
            f"y must be labels from 0 to {outputs - 1}, as the network has {outputs} outputs, got "
            f"labels from {labels.min()} to {labels.max()}"
        )
    return np.ascontiguousarray(labels, np.int64)


def columns_of(y: Any, outputs: int, dtype: np.dtype) -> np.ndarray:
    """Targets with a column for each output."""
    targets = real_array("y", y, dtype)
    if targets.ndim == 1 and outputs == 1:
        targets = targets[:, None]
    if targets.ndim != 2 or targets.shape[1] != outputs:
        raise ValueError(
            f"y must have shape (n, {outputs}), as the network has {outputs} outputs, got "
            f"{targets.shape}"
        )
    return targets


def _check_targets(y: Any, n: int, outputs: int, dtype: np.dtype) -> np.ndarray:
    targets = columns_of(y, outputs, dtype)
    _check_length("y", len(targets), n)
    if not np.isfinite(targets).all():
        raise ValueError(f"y has NaN or infinity, or numbers that are too large for {dtype}")
    return np.ascontiguousarray(targets)


def check_weights(sample_weight: Any, n: int, dtype: np.dtype) -> np.ndarray:
    """Weights of n observations: finite, none negative, not all 0.  # shape: (n,)"""
    weights = real_array("sample_weight", sample_weight, dtype)
    if weights.ndim != 1:
        raise ValueError(f"sample_weight must have shape (n,), got {weights.shape}")
    _check_length("sample_weight", len(weights), n)
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise ValueError(f"sample_weight must be finite and at least 0, in {dtype}")
    if not weights.any():
        raise ValueError("sample_weight must not be 0 everywhere")
    return np.ascontiguousarray(weights)


def check_validation(
    validation_data: Any, layers: Network, loss: Any, dtype: np.dtype, scale: float | None = None
) -> Observations | None:
    """The pair (X, y) that is evaluated after each epoch, or None."""
    if validation_data is None:
        return None
    if not isinstance(validation_data, tuple | list) or len(validation_data) != 2:
        raise TypeError(f"validation_data must be a pair (X, y), got {validation_data!r}")
    X, y = validation_data
    try:
        return check_observations(X, y, None, layers, loss, dtype, scale)
    except (TypeError, ValueError) as error:
        raise type(error)(f"validation_data: {error}") from None


def _check_length(name: str, length: int, n: int) -> None:
    if length != n:
        raise ValueError(f"{name} has {length} rows and X has {n}: they must agree")


def check_batches(layers: Network, inputs: np.ndarray, batch_size: int) -> None:
    """Whether a network can be trained on batches of this size, and on the last one of an epoch."""
    if not any(layer.needs_a_batch for _, layer in leaves(layers)):
        return
    n, shape = len(inputs), inputs.shape[1:]
    for observations in {min(batch_size, n), n % batch_size or batch_size}:
        check_batch(layers, shape, observations)
