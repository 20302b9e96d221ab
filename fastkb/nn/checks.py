"""Checks of what users pass to networks: layers, data, losses, how they are trained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np

from fastkb.checks.choices import check_choice, check_names
from fastkb.checks.numbers import check_unmasked
from fastkb.checks.scalars import check_flag, check_number, check_whole
from fastkb.checks.values import real_values
from fastkb.nn.ops.graph import Network, input_shape, leaves, output_shape
from fastkb.nn.ops.losses import OF_CLASSES, OF_TWO
from fastkb.nn.ops.operation import Layer

LOSSES = ("squared_error", "binary_cross_entropy", "cross_entropy", "half_squared_error")
INITIALIZATIONS = ("torch", "he", "glorot")


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
    _check_kinds({str(place): layer for place, layer in enumerate(layers)}, "layer ")
    if not any(layer.shapes() for _, layer in leaves(layers)):
        raise ValueError(
            f"a network needs a layer with parameters, such as Linear, got {len(layers)} without"
        )
    output_shape(layers, input_shape(layers) or None)


def _check_kinds(layers: Mapping[str, Any], called: str) -> None:
    """Layers, also within layers."""
    for place, layer in layers.items():
        if isinstance(layer, type):
            raise TypeError(
                f"{called}{place} must be an instance, got the class {layer.__name__}: write "
                f"{layer.__name__}(...)"
            )
        if not isinstance(layer, Layer):
            raise TypeError(
                f"{called}{place} must be one of fastkb.nn's layers, got {type(layer).__name__}"
            )
        _check_kinds(layer.parts, f"{called}{place}.")


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
    scale: Any = None


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
    if loss in OF_TWO and (outputs > 1 or y.ndim > 1 or not np.isin(y, (0, 1)).all()):
        raise ValueError(
            "out_of_bag=True with binary_cross_entropy needs one output, and y of shape (n,) of 0 and 1, "
            f"got {outputs} outputs and y of shape {y.shape}"
        )
    if loss in OF_CLASSES and y.ndim > 1:
        raise ValueError(
            f"out_of_bag=True with cross_entropy needs labels of shape (n,), got y of shape {y.shape}"
        )


def check_fit(
    layers: Network, params: FitParams, patience: Any = None, callbacks: Any = ()
) -> tuple[float, Settings]:
    """The penalty and the settings of a training, all but its loss, its optimiser and its data."""
    l2 = check_number("l2", params.l2, 0.0)
    check_trainable(layers)
    settings = check_training(params.epochs, params.batch_size, params.shuffle, patience, callbacks)
    return l2, settings


def check_trainable(layers: Network) -> None:
    """Layers that have a derivative."""
    for place, layer in leaves(layers):
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
        if array.dtype.kind not in "fiub":
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
