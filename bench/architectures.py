"""Networks of images, and of rows, as fastkb, PyTorch and JAX build them.

For another one, write a dataclass that has what :class:`Architecture` asks for, and name it in
:mod:`bench.registry`. Everybody's parameters go by torch's names and, but in JAX, have torch's shapes:

============ =============================== =======================================================
layer        torch                           JAX
============ =============================== =======================================================
convolution  (outputs, inputs, rows, columns) the same, or (rows, columns, inputs, outputs) where
                                             channels are the last axis of images
dense        (outputs, inputs)               (inputs, outputs); behind images whose channels are last,
                                             the inputs in that order
============ =============================== =======================================================
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np


class Architecture(Protocol):
    """A network from images to logits of classes."""

    @property
    def name(self) -> str:
        """Short, for the names of works."""

    @property
    def title(self) -> str:
        """The same in words, for tables."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of an image: channels, height, width; or of a row."""

    @property
    def classes(self) -> int:
        """Number of outputs."""

    @property
    def multiply_adds(self) -> tuple[int, ...]:
        """Of one image forward, layer by layer; those that meet the images come first."""

    @property
    def flattened(self) -> Mapping[str, tuple[int, int, int]]:
        """Weights of the dense layers that take images, and the shape of those."""

    def fastkb(self, seed: int) -> Any:
        """Fastkb's network, float32."""

    def torch(self) -> Any:
        """PyTorch's module."""

    def jax(self, parameters: Any, x: Any, channels_last: bool) -> Any:
        """JAX's outputs for images x, from parameters of :func:`for_jax`."""

    @property
    def rivals(self) -> tuple[str, ...]:
        """Names of those that build it."""

    @property
    def has_buffers(self) -> bool:
        """Whether a step changes more than parameters."""


@dataclass(frozen=True)
class LeNet:
    """Two convolutions with pooling and three dense layers, after LeCun et al. (1998).

    As in PyTorch's tutorials, with ReLU and pooling by the largest value; windows are 3 x 3.
    """

    side: int = 32  # of the images, in pixels

    name = "lenet"
    rivals = ("JAX", "torch", "torch.compile")
    has_buffers = False
    classes = 10
    channels = (1, 6, 16)
    hidden = (120, 84)
    window = 3

    @property
    def title(self) -> str:
        return f"LeNet, {self.side} x {self.side}"

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.channels[0], self.side, self.side

    @property
    def sides(self) -> tuple[int, int, int]:
        """Of the images, and of what each pooling gives."""
        first = (self.side - self.window + 1) // 2
        return self.side, first, (first - self.window + 1) // 2

    @property
    def flattened(self) -> dict[str, tuple[int, int, int]]:
        return {"7.weight": (self.channels[-1], self.sides[-1], self.sides[-1])}

    @property
    def widths(self) -> tuple[int, int, int, int]:
        """Of the dense layers."""
        return math.prod(self.flattened["7.weight"]), *self.hidden, self.classes

    @property
    def multiply_adds(self) -> tuple[int, ...]:
        a, b, c = self.channels
        area = self.window**2
        first, second = ((side - self.window + 1) ** 2 for side in self.sides[:2])
        d, e, f, g = self.widths
        return first * a * b * area, second * b * c * area, d * e, e * f, f * g

    def fastkb(self, seed: int) -> Any:
        from fastkb import nn

        return nn.Sequential(*self._layers(nn), rng=seed, dtype="float32")

    def torch(self) -> Any:
        import torch

        return torch.nn.Sequential(*self._layers(torch.nn))

    def _layers(self, nn: Any) -> list[Any]:
        """Both libraries call them alike."""
        a, b, c = self.channels
        d, e, f, g = self.widths
        return [
            *(nn.Conv2d(a, b, self.window), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(b, c, self.window), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(d, e), nn.ReLU(), nn.Linear(e, f), nn.ReLU()),
            nn.Linear(f, g),
        ]

    def jax(self, parameters: Any, x: Any, channels_last: bool) -> Any:
        import jax.numpy as jnp

        for place in ("0", "3"):
            x = jnp.maximum(convolved(parameters, place, x, channels_last), 0)
            x = largest_of_four(x, channels_last)
        x = x.reshape(len(x), -1)
        for place in ("7", "9", "11"):
            x = x @ parameters[f"{place}.weight"] + parameters[f"{place}.bias"]
            x = jnp.maximum(x, 0) if place != "11" else x
        return x


@dataclass(frozen=True)
class ResNet:
    """A convolution, residual blocks with batch normalisation, the mean over positions, a dense layer.

    After He, Zhang, Ren, Sun (2016). No convolution has a bias, which normalisation would take away.
    """

    channels: int
    blocks: int
    side: int  # of the images, in pixels

    classes = 10
    flattened: ClassVar[dict[str, tuple[int, int, int]]] = {}
    rivals = ("torch", "torch.compile")  # no state of JAX's is kept beside its parameters here
    has_buffers = True

    @property
    def name(self) -> str:
        return f"resnet{self.channels}x{self.blocks}-{self.side}"

    @property
    def title(self) -> str:
        return (
            f"{self.blocks} residual blocks of {self.channels} channels, {self.side} x {self.side}"
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        return 1, self.side, self.side

    @property
    def multiply_adds(self) -> tuple[int, ...]:
        places = (3 * self.side) ** 2  # with those beyond an edge, as everybody counts
        inner = [places * self.channels**2] * (2 * self.blocks)
        return places * self.channels, *inner, self.channels * self.classes

    def fastkb(self, seed: int) -> Any:
        from fastkb import nn

        return nn.Sequential(*self._layers(nn, nn.Residual), rng=seed, dtype="float32")

    def torch(self) -> Any:
        import torch

        class Block(torch.nn.Sequential):
            def forward(self, x: Any) -> Any:
                return super().forward(x) + x

        return torch.nn.Sequential(*self._layers(torch.nn, Block))

    def _layers(self, nn: Any, block: Any) -> list[Any]:
        """Both libraries call them alike."""
        c = self.channels

        def normalized(inputs: int) -> list[Any]:
            return [nn.Conv2d(inputs, c, 3, padding=1, bias=False), nn.BatchNorm2d(c)]

        layers = [*normalized(1), nn.ReLU()]
        for _ in range(self.blocks):
            layers += [block(*normalized(c), nn.ReLU(), *normalized(c)), nn.ReLU()]
        return [*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, self.classes)]

    def jax(self, parameters: Any, x: Any, channels_last: bool) -> Any:
        raise ImportError("JAX has no running statistics here")


@dataclass(frozen=True)
class NormalizedDense:
    """Dense layers with ReLU behind batch normalisation of each column.

    After Ioffe, Szegedy (2015). No hidden layer has a bias, which normalisation would take away.
    """

    widths: tuple[int, ...]  # of the inputs, the hidden layers and the outputs

    flattened: ClassVar[dict[str, tuple[int, int, int]]] = {}
    rivals = ResNet.rivals
    has_buffers = True

    @property
    def name(self) -> str:
        return "-".join(["norm", *map(str, self.widths)])

    @property
    def title(self) -> str:
        return f"{list(self.widths)} with batch normalisation"

    @property
    def classes(self) -> int:
        return self.widths[-1]

    @property
    def shape(self) -> tuple[int]:
        return (self.widths[0],)

    @property
    def multiply_adds(self) -> tuple[int, ...]:
        return tuple(math.prod(pair) for pair in itertools.pairwise(self.widths))

    def fastkb(self, seed: int) -> Any:
        from fastkb import nn

        return nn.Sequential(*self._layers(nn), rng=seed, dtype="float32")

    def torch(self) -> Any:
        import torch

        return torch.nn.Sequential(*self._layers(torch.nn))

    def _layers(self, nn: Any) -> list[Any]:
        """Both libraries call them alike."""
        layers: list[Any] = []
        *hidden, (inputs, outputs) = itertools.pairwise(self.widths)
        for before, after in hidden:
            layers += [nn.Linear(before, after, bias=False), nn.BatchNorm1d(after), nn.ReLU()]
        return [*layers, nn.Linear(inputs, outputs)]

    def jax(self, parameters: Any, x: Any, channels_last: bool) -> Any:
        raise ImportError("JAX has no running statistics here")


def convolved(parameters: Any, place: str, x: Any, channels_last: bool) -> Any:
    """JAX's convolution with the weights and the bias of a place."""
    import jax

    weight, bias = parameters[f"{place}.weight"], parameters[f"{place}.bias"]
    axes = ("NHWC", "HWIO", "NHWC") if channels_last else ("NCHW", "OIHW", "NCHW")
    x = jax.lax.conv_general_dilated(x, weight, (1, 1), "VALID", dimension_numbers=axes)
    return x + (bias if channels_last else bias[:, None, None])


def largest_of_four(x: Any, channels_last: bool) -> Any:
    """Pooling by windows of 2 x 2 in JAX.

    A step with the quarters' maximum takes 0.6 to 0.8 of the time of one with ``reduce_window``, and 0.6
    to 1 of one with the maximum over two axes of a reshaped array.
    """
    import jax.numpy as jnp

    down = 1 if channels_last else 2
    height, width = (size // 2 * 2 for size in x.shape[down : down + 2])
    before = (slice(None),) * down
    first, second, third, fourth = (
        x[(*before, slice(i, height, 2), slice(j, width, 2))] for i in (0, 1) for j in (0, 1)
    )
    return jnp.maximum(jnp.maximum(first, second), jnp.maximum(third, fourth))


def images_for_jax(x: np.ndarray, channels_last: bool) -> np.ndarray:
    """Images in the order of axes that JAX is to take."""
    return np.ascontiguousarray(np.moveaxis(x, -3, -1)) if channels_last and x.ndim > 2 else x


def for_jax(
    architecture: Architecture, parameters: Mapping[str, np.ndarray], channels_last: bool
) -> dict[str, np.ndarray]:
    """Parameters in the shapes of the module's table."""
    found = dict(parameters)
    for name, value in parameters.items():
        if channels_last and value.ndim == 4:
            found[name] = value.transpose(2, 3, 1, 0)
        elif value.ndim == 2:
            if channels_last and name in architecture.flattened:
                images = value.reshape(len(value), *architecture.flattened[name])
                value = images.transpose(0, 2, 3, 1).reshape(value.shape)
            found[name] = value.T
    return found


def from_jax(
    architecture: Architecture, parameters: Mapping[str, Any], channels_last: bool
) -> dict[str, np.ndarray]:
    """The other way round."""
    found = {name: np.asarray(value) for name, value in parameters.items()}
    for name, value in found.items():
        if channels_last and value.ndim == 4:
            found[name] = value.transpose(3, 2, 0, 1)
        elif value.ndim == 2:
            found[name] = value.T
            if channels_last and name in architecture.flattened:
                channels, height, width = architecture.flattened[name]
                images = value.T.reshape(-1, height, width, channels)
                found[name] = images.transpose(0, 3, 1, 2).reshape(value.T.shape)
    return found
