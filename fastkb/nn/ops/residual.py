"""Layers with a way around them: what they give is added to what they take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fastkb.nn.ops.graph import chain, check_batch, check_values, input_shape, output_shape
from fastkb.nn.ops.operation import Layer, Node, Shape
from fastkb.nn.ops.tensors.joins import Combination


@dataclass(frozen=True, init=False)
class Residual(Layer):
    """a = layers(x) + x: the layers learn what is to be added (He, Zhang, Ren, Sun 2016).

    Parameters
    ----------
    *layers : layer
        One behind the other, as in :class:`Sequential`.
    shortcut : layer, optional
        What x passes on the way around, such as a :class:`Conv2d` of window 1 where the layers change the
        shape; None: nothing.

    References
    ----------
    He, Zhang, Ren, Sun (2016), CVPR.

    Examples
    --------
    >>> from fastkb import nn
    >>> block = nn.Residual(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1))
    >>> block.shape_of((4, 8, 8))
    (4, 8, 8)
    """

    needs_a_batch: ClassVar[bool] = True

    layers: tuple[Any, ...]
    shortcut: Any

    def __init__(self, *layers: Any, shortcut: Any = None) -> None:
        object.__setattr__(self, "layers", tuple(layers))
        object.__setattr__(self, "shortcut", shortcut)

    def __repr__(self) -> str:
        inner = [repr(layer) for layer in self.layers]
        if self.shortcut is not None:
            inner.append(f"shortcut={self.shortcut!r}")
        return f"Residual({', '.join(inner)})"

    @property
    def parts(self) -> dict[str, Layer]:
        """The layers by their names within this one."""
        named = {str(place): layer for place, layer in enumerate(self.layers)}
        return named if self.shortcut is None else named | {"shortcut": self.shortcut}

    @property
    def takes(self) -> Shape:
        return input_shape(self.layers) or None

    def check_batch(self, shape: tuple[int, ...], observations: int) -> None:
        check_batch(self.layers, shape, observations)
        if self.shortcut is not None:
            check_batch((self.shortcut,), shape, observations)

    def check_values(self, values: np.ndarray) -> None:
        check_values(self.layers, values)
        if self.shortcut is not None:
            check_values((self.shortcut,), values)

    def shape_of(self, shape: Shape) -> Shape:
        if not self.layers:
            raise ValueError("has no layers")
        given = output_shape(self.layers, shape)
        around = shape if self.shortcut is None else self.shortcut.shape_of(shape)
        if None not in (given, around) and not _agree(given, around):
            raise ValueError(
                f"gives shape {given}, and what is added to it has shape {around}: give a shortcut that "
                "changes the shape likewise"
            )
        return around if given is None else given

    def evaluated(self) -> Layer:
        shortcut = None if self.shortcut is None else self.shortcut.evaluated()
        return Residual(*(layer.evaluated() for layer in self.layers), shortcut=shortcut)

    def record(self, value: Node, name: str) -> Node:
        given = chain(self.layers, value, f"{name}.")
        around = value
        if self.shortcut is not None:
            around = self.shortcut.record(value, f"{name}.shortcut")
        return Combination().record_all((given, around))


def _agree(one: Any, other: Any) -> bool:
    """Whether two shapes are the same as far as they are known."""
    return len(one) == len(other) and all(
        a is None or b is None or a == b for a, b in zip(one, other, strict=True)
    )
