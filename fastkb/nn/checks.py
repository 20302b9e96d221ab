"""Checks of what users pass to networks: layers, data, losses, how they are trained."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np

from fastkb.checks.choices import check_choice, check_names
from fastkb.checks.numbers import check_unmasked
from fastkb.checks.scalars import check_flag, check_number, check_whole
from fastkb.checks.values import check_dense, real_array, real_values
from fastkb.nn.ops.operation import Layer, input_shape, known_shape, output_shape

LOSSES = ("squared_error", "binary_cross_entropy", "cross_entropy", "half_squared_error")
INITIALIZATIONS = ("torch", "he", "glorot")


class Observations(NamedTuple):
    """Checked data of a network, C-contiguous and of its element type."""

    inputs: np.ndarray  # shape: (n, inputs)
    targets: np.ndarray  # shape: (n, outputs), or (0, outputs) where labels serve
    labels: np.ndarray  # shape: (n,), int64, or (0,)
    weights: np.ndarray  # shape: (n,), or (0,): all one


def check_dtype(dtype: Any) -> np.dtype:
    """float32 or float64, or what NumPy takes for one of them."""
    try:
        name = np.dtype(dtype).name
    except (TypeError, ValueError, SyntaxError):
        name = dtype
    return np.dtype(check_choice("dtype", name, ("float32", "float64")))


def check_initialization(initialization: Any) -> str:
    """How first weights are drawn."""
    return check_choice("initialization", initialization, INITIALIZATIONS)


def check_member(member: Any, members: int) -> int:
    """The number of one of so many members, counted from 0; below 0 from the end."""
    if isinstance(member, Integral) and not -members <= int(member) < members:
        raise IndexError(f"member must be from 0 to {members - 1}, got {member}")
    return check_whole("member", member, -members, members - 1)


def check_network(network: Any) -> Any:
    """A Sequential network."""
    if isinstance(network, type) or not hasattr(network, "loss_and_gradients"):
        raise TypeError(f"network must be a fastkb.nn.Sequential, got {network!r}")
    return network


def check_layers(layers: Sequence[Any]) -> None:
    """Layers whose widths fit together, one with parameters at least."""
    for place, layer in enumerate(layers):
        if isinstance(layer, type):
            raise TypeError(
                f"layer {place} must be an instance, got the class {layer.__name__}: write "
                f"{layer.__name__}(...)"
            )
        if not isinstance(layer, Layer):
            raise TypeError(
                f"layer {place} must be one of fastkb.nn's layers, got {type(layer).__name__}"
            )
    if not any(layer.shapes() for layer in layers):
        raise ValueError(
            f"a network needs a layer with parameters, such as Linear, got {len(layers)} without"
        )
    output_shape(layers)


def check_inputs(
    X: Any, layers: Sequence[Layer], dtype: np.dtype | None = None, name: str = "X"
) -> np.ndarray:
    """Finite inputs that a network takes: rows of its width, or images of its channels.

    Parameters
    ----------
    X : array_like
    layers : sequence of Layer
    dtype : numpy.dtype, optional
        The network's; None: float32 stays, everything else becomes float64.
    name : str
    """
    from sklearn.utils.validation import check_array

    dtype = dtype or np.dtype("f4" if getattr(X, "dtype", None) == np.float32 else "f8")
    shape = input_shape(layers)
    axes = 1 + (len(shape) or max(1, np.ndim(X) - 1))
    array = X
    if not _is_clean(X, dtype, axes):
        if axes > 2:
            _check_images(name, X)
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused as infinite
            array = check_array(
                real_values(name, X), dtype=dtype, order="C", input_name=name,
                allow_nd=axes > 2, ensure_2d=axes == 2,
            )  # fmt: skip
    if len(shape) == 1:
        if shape[0] is not None and array.shape[1] != shape[0]:
            raise ValueError(
                f"{name} has {array.shape[1]} columns, and the network takes {shape[0]}"
            )
        return array
    try:
        output_shape(layers, array.shape[1:])
    except ValueError as error:
        raise ValueError(
            f"{name} of shape {array.shape} does not fit the network: {error}"
        ) from None
    return array


def _check_images(name: str, X: Any) -> None:
    """Images in an array of four axes, of numbers that are not bytes."""
    shape, kind = np.shape(X), getattr(X, "dtype", None)
    if len(shape) != 4:
        raise ValueError(
            f"{name} must be images of shape (n, channels, height, width), got shape {shape}"
        )
    if kind == np.uint8:
        raise ValueError(
            f"{name} is of bytes, from 0 to 255, whose scale is not said: divide them, such as "
            f"{name}.astype(numpy.float32) / 255"
        )


def _is_clean(X: Any, dtype: np.dtype, axes: int) -> bool:
    """Whether check_array would find nothing: it takes 50 microseconds to say so."""
    if type(X) is not np.ndarray or X.dtype != dtype or X.ndim != axes:
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        return X.size > 0 and X.flags.c_contiguous and bool(np.isfinite(X.sum()))


def check_observations(
    X: Any, y: Any, sample_weight: Any, layers: Sequence[Layer], loss: str, dtype: np.dtype | None
) -> Observations:
    """Data for a loss.

    Parameters
    ----------
    X, y : array_like
    sample_weight : array_like or None
    layers : sequence of Layer
        Of the network.
    loss : str
    dtype : numpy.dtype or None
        As for :func:`check_inputs`.
    """
    inputs = check_inputs(X, layers, dtype)
    n, outputs = len(inputs), math.prod(known_shape(layers, inputs.shape[1:]))
    labels = np.zeros(0, np.int64)
    targets = np.zeros((0, outputs), inputs.dtype)
    if loss == "cross_entropy":
        labels = _check_labels(y, n, outputs)
    else:
        targets = _check_targets(y, n, outputs, inputs.dtype)
        if loss == "binary_cross_entropy" and ((targets < 0) | (targets > 1)).any():
            raise ValueError(
                "y must be from 0 to 1 for binary_cross_entropy, got values from "
                f"{targets.min():g} to {targets.max():g}"
            )
    weights = np.zeros(0, inputs.dtype)
    if sample_weight is not None:
        weights = check_weights(sample_weight, n, inputs.dtype)
    return Observations(inputs, targets, labels, weights)


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


def _check_targets(y: Any, n: int, outputs: int, dtype: np.dtype) -> np.ndarray:
    targets = real_array("y", y, dtype)
    if targets.ndim == 1 and outputs == 1:
        targets = targets[:, None]
    if targets.ndim != 2 or targets.shape[1] != outputs:
        raise ValueError(
            f"y must have shape (n, {outputs}), as the network has {outputs} outputs, got "
            f"{targets.shape}"
        )
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
    validation_data: Any, layers: Sequence[Layer], loss: str, dtype: np.dtype
) -> Observations | None:
    """The pair (X, y) that is evaluated after each epoch, or None."""
    if validation_data is None:
        return None
    if not isinstance(validation_data, tuple | list) or len(validation_data) != 2:
        raise TypeError(f"validation_data must be a pair (X, y), got {validation_data!r}")
    X, y = validation_data
    try:
        return check_observations(X, y, None, layers, loss, dtype)
    except (TypeError, ValueError) as error:
        raise type(error)(f"validation_data: {error}") from None


def _check_length(name: str, length: int, n: int) -> None:
    if length != n:
        raise ValueError(f"{name} has {length} rows and X has {n}: they must agree")


class Settings(NamedTuple):
    """How a network is trained."""

    epochs: int
    batch_size: int
    shuffle: bool
    patience: int | None
    callbacks: tuple[Any, ...]

    def for_rows(self, n: int) -> Settings:
        """The same with steps of n observations at most: there are no more."""
        return self._replace(batch_size=min(self.batch_size, n))


def check_training(
    epochs: Any, batch_size: Any, shuffle: Any, patience: Any, callbacks: Any
) -> Settings:
    """What `fit` is asked for, beside the data."""
    epochs = check_whole("epochs", epochs, 1)
    batch_size = check_whole("batch_size", batch_size, 1)
    if patience is not None:
        patience = check_whole("patience", patience, 1)
    shuffle = check_flag("shuffle", shuffle)
    given = callbacks
    if callable(callbacks) or not isinstance(callbacks, Iterable):
        given = (callbacks,)
    given = tuple(given)
    for callback in given:
        if not callable(callback):
            raise TypeError(f"callbacks must be functions, got {callback!r}")
    return Settings(epochs, batch_size, shuffle, patience, given)


class FitParams(NamedTuple):
    """What :meth:`fastkb.nn.Sequential.fit`, and all that trains as it does, may be told."""

    loss: Any = "squared_error"
    optimizer: Any = None
    epochs: Any = 10
    batch_size: Any = 32
    l2: Any = 0.0
    shuffle: Any = True
    sample_weight: Any = None


def check_fit_params(fit_params: Mapping[str, Any] | None) -> FitParams:
    """Parameters of the training of a network by their names; None for none."""
    if fit_params is None:
        return FitParams()
    check_names(fit_params, FitParams._fields, "a network's")
    return FitParams(**fit_params)


def check_network_response(method: Any, loss: str) -> None:
    """What a band of a network is of: its values, or probabilities where the loss is a cross-entropy."""
    own = "predict_proba" if loss.endswith("cross_entropy") else "predict"
    if method not in ("auto", own):
        raise ValueError(
            f"response_method of a network with loss={loss!r} must be 'auto' or {own!r}, got {method!r}"
        )


def check_network_scheme(scheme: Any, loss: str, sample_weight: Any) -> None:
    """New responses are real numbers, and count alike."""
    if loss.endswith("cross_entropy"):
        raise ValueError(f"scheme {type(scheme).__name__} is for regression, got loss={loss!r}")
    if sample_weight is not None:
        raise ValueError(
            f"scheme {type(scheme).__name__} trains networks on equal weights, and fit_params has "
            "sample_weight"
        )


def check_network_labels(y: np.ndarray, loss: str, outputs: int) -> None:
    """Targets that are right or wrong, for the out-of-bag error."""
    if loss == "binary_cross_entropy" and (
        outputs > 1 or y.ndim > 1 or not np.isin(y, (0, 1)).all()
    ):
        raise ValueError(
            "out_of_bag=True with binary_cross_entropy needs one output, and y of shape (n,) of 0 and 1, "
            f"got {outputs} outputs and y of shape {y.shape}"
        )


def check_fit(
    layers: Sequence[Any], params: FitParams, patience: Any = None, callbacks: Any = ()
) -> tuple[str, float, Settings]:
    """The loss, the penalty and the settings of a training, all but its optimiser and its data."""
    loss = check_choice("loss", params.loss, LOSSES)
    l2 = check_number("l2", params.l2, 0.0)
    check_trainable(layers)
    settings = check_training(params.epochs, params.batch_size, params.shuffle, patience, callbacks)
    return loss, l2, settings


def check_trainable(layers: Sequence[Any]) -> None:
    """Layers that have a derivative."""
    for place, layer in enumerate(layers):
        if getattr(layer, "name", "") == "sign":
            raise ValueError(
                f"layer {place} is Sign(), which has no derivative: it serves forward alone. Train with "
                "Sigmoid() or Tanh() in its place, and move the parameters over"
            )


def as_parameter(name: str, value: Any) -> np.ndarray:
    """One entry of a state_dict as an array: NumPy's, PyTorch's on the CPU, or lists of numbers.

    A tensor of bfloat16, which NumPy has not, becomes float32: each of its numbers is one.
    """
    called = f"state_dict[{name!r}]"
    check_unmasked(called, value)
    try:
        if callable(getattr(value, "detach", None)):  # PyTorch's: NumPy takes none that is trained
            value = value.detach()
            if str(value.dtype) == "torch.bfloat16":
                value = value.float()
        array = np.asarray(value)
    except Exception as error:  # of a tensor elsewhere, a ragged list, ...
        raise ValueError(f"{called} must be an array: {error}") from error
    if array.dtype.kind == "O":
        raise ValueError(f"{called} must be numbers, got object: {type(value).__name__}")
    if array.dtype.kind == "V":
        return real_values(called, array)
    return array


def check_state(
    given: dict[str, np.ndarray], expected: dict[str, tuple[int, ...]], dtype: np.dtype
) -> None:
    """Parameters with the names and shapes that a network has, finite in its element type."""
    missing = [name for name in expected if name not in given]
    unknown = [name for name in given if name not in expected]
    if missing or unknown:
        parts = [
            f"{what} {', '.join(map(str, names))}"
            for what, names in (("lacks", missing), ("has the unknown", unknown))
            if names
        ]
        raise ValueError(f"state_dict {' and '.join(parts)}: the network has {', '.join(expected)}")
    for name, array in given.items():
        if array.dtype.kind not in "fiu":
            raise ValueError(f"state_dict[{name!r}] must be numbers, got {array.dtype}")
        if array.shape != expected[name]:
            raise ValueError(
                f"state_dict[{name!r}] has shape {array.shape}, expected {expected[name]}"
            )
        with np.errstate(over="ignore"):
            stored = array.astype(dtype)
        if not np.isfinite(stored).all():
            raise ValueError(
                f"state_dict[{name!r}] has NaN or infinity, or numbers that are too large for {dtype}"
            )
