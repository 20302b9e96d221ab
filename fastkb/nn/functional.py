"""Functions of tensors, under the names of ``torch.nn.functional``: what a module's forward is made of.

>>> import numpy as np
>>> import fastkb.nn.functional as F
>>> F.relu(np.array([[1.0, -2.0]])).tolist()
[[1.0, 0.0]]
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from fastkb.nn.ops.layers import (
    ELU,
    GELU,
    AdaptiveAvgPool2d,
    AvgPool1d,
    AvgPool2d,
    Dropout,
    LayerNorm,
    LeakyReLU,
    LogSoftmax,
    MaxPool1d,
    MaxPool2d,
    ReLU,
    Sigmoid,
    Softmax,
    Softplus,
    Tanh,
)
from fastkb.nn.ops.tensors.joins import Concatenate
from fastkb.nn.recording.losses.functions import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    huber_loss,
    l1_loss,
    mse_loss,
    nll_loss,
    smooth_l1_loss,
)
from fastkb.nn.recording.operators import axis_of, layer_of
from fastkb.nn.recording.parameter import Parameter
from fastkb.nn.recording.standing import Standing
from fastkb.nn.recording.tensor import Tensor, as_tensor, record

__all__ = [
    "adaptive_avg_pool2d",
    "avg_pool1d",
    "avg_pool2d",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cat",
    "cross_entropy",
    "dropout",
    "elu",
    "gelu",
    "huber_loss",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "log_softmax",
    "max_pool1d",
    "max_pool2d",
    "mse_loss",
    "nll_loss",
    "relu",
    "sigmoid",
    "smooth_l1_loss",
    "softmax",
    "softplus",
    "tanh",
]


def _record(value: Any, kind: type, *arguments: Any) -> Tensor:
    arguments = tuple(tuple(each) if isinstance(each, list) else each for each in arguments)
    return record(layer_of(kind, *arguments), as_tensor(value))


def relu(input: Any) -> Tensor:
    """max(x, 0), as :class:`fastkb.nn.ReLU`."""
    return _record(input, ReLU)


def leaky_relu(input: Any, negative_slope: float = 0.01) -> Tensor:
    """x where it is positive, else negative_slope · x, as :class:`fastkb.nn.LeakyReLU`."""
    return _record(input, LeakyReLU, negative_slope)


def elu(input: Any, alpha: float = 1.0) -> Tensor:
    """x where it is positive, else alpha · (eˣ - 1), as :class:`fastkb.nn.ELU`."""
    return _record(input, ELU, alpha)


def gelu(input: Any) -> Tensor:
    """x Φ(x), as :class:`fastkb.nn.GELU`."""
    return _record(input, GELU)


def sigmoid(input: Any) -> Tensor:
    """1 / (1 + e⁻ˣ), as :class:`fastkb.nn.Sigmoid`."""
    return _record(input, Sigmoid)


def tanh(input: Any) -> Tensor:
    """Hyperbolic tangent, as :class:`fastkb.nn.Tanh`."""
    return _record(input, Tanh)


def softplus(input: Any) -> Tensor:
    """log(1 + eˣ), as :class:`fastkb.nn.Softplus`."""
    return _record(input, Softplus)


def max_pool2d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False,
) -> Tensor:  # fmt: skip
    """The largest of each window of images, as :class:`fastkb.nn.MaxPool2d`."""
    return _record(input, MaxPool2d, kernel_size, stride, padding, dilation, ceil_mode)


def avg_pool2d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:  # fmt: skip
    """The mean of each window of images, as :class:`fastkb.nn.AvgPool2d`."""
    return _record(input, AvgPool2d, kernel_size, stride, padding, ceil_mode, count_include_pad)


def adaptive_avg_pool2d(input: Any, output_size: Any) -> Tensor:
    """Means over as many parts of images, as :class:`fastkb.nn.AdaptiveAvgPool2d`."""
    return _record(input, AdaptiveAvgPool2d, output_size)


def max_pool1d(
    input: Any, kernel_size: int, stride: int | None = None, padding: int = 0, dilation: int = 1,
    ceil_mode: bool = False,
) -> Tensor:  # fmt: skip
    """The largest of each window of sequences, as :class:`fastkb.nn.MaxPool1d`."""
    return _record(input, MaxPool1d, kernel_size, stride, padding, dilation, ceil_mode)


def avg_pool1d(
    input: Any, kernel_size: int, stride: int | None = None, padding: int = 0,
    ceil_mode: bool = False, count_include_pad: bool = True,
) -> Tensor:  # fmt: skip
    """The mean of each window of sequences, as :class:`fastkb.nn.AvgPool1d`."""
    return _record(input, AvgPool1d, kernel_size, stride, padding, ceil_mode, count_include_pad)


def layer_norm(input: Any, normalized_shape: Any, eps: float = 1e-5) -> Tensor:
    """The last axes normalised, as :class:`fastkb.nn.LayerNorm` without weights."""
    return _record(input, LayerNorm, normalized_shape, eps, False)


def dropout(input: Any, p: float = 0.5, training: bool = True) -> Tensor:
    """Elements that are 0 at random, as :class:`fastkb.nn.Dropout`; not where `training` is False."""
    if not training:
        return as_tensor(input)
    found = _record(input, Dropout, p)
    if found._network is None:
        found._call = next(_calls)
    return found


_calls = itertools.count(1)


def softmax(input: Any, dim: int = 1) -> Tensor:
    """Shares of the exponentials along an axis, as :class:`fastkb.nn.Softmax`."""
    return _record(input, Softmax, _axis_of(input, dim))


def log_softmax(input: Any, dim: int = 1) -> Tensor:
    """Logarithms of :func:`softmax`, as :class:`fastkb.nn.LogSoftmax`."""
    return _record(input, LogSoftmax, _axis_of(input, dim))


def _axis_of(value: Any, dim: int) -> int:
    """An axis of a tensor; of a parameter, no axis of which counts observations, one from the end."""
    stands = isinstance(value, Parameter | Standing)
    return axis_of(dim, value.ndim) - value.ndim if stands else dim


def cat(tensors: Sequence[Any], dim: int = 1) -> Tensor:
    """Tensors behind one another along an axis, as ``torch.cat``; not the first axis.

    Parameters
    ----------
    tensors : sequence of Tensor or array_like
        Of the same shape but for that axis.
    dim : int, default 1
    """
    if len(tensors) == 0:
        raise ValueError("tensors must hold one at least, got none")
    values = [as_tensor(each) for each in tensors]
    axis = axis_of(dim, values[0].ndim)
    stand = [value._stands for value in values]
    if any(stand) and not all(stand):
        raise ValueError(
            "tensors have observations, or are parameters and buffers alone: expand those, such as "
            "self.token.expand(x.shape[0], -1, -1) of one of shape (1, 1, width)"
        )
    if axis == 0 and not any(stand):
        raise ValueError("dim must be 1 at least: the first axis counts observations")
    axis -= not any(stand)
    found = values[0]
    for each in values[1:]:
        found = record(layer_of(Concatenate, axis), found, each)
    return found
