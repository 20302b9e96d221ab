"""A module as a layer: what its forward records is its graph."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastkb.nn.ops.graph import in_order
from fastkb.nn.ops.operation import Layer, Node, Shape
from fastkb.nn.recording.run import check_batch_of
from fastkb.nn.recording.standing import Place, context
from fastkb.nn.recording.tensor import Leaf, Tensor

# Observations of a graph that is recorded for a program: none is seen, and there may be any number.
_ANY = 2


class Composite(Layer):
    """A module as a layer: what its forward records.

    Parameters
    ----------
    module : Module
    """

    needs_a_batch = True

    def __init__(self, module: Any) -> None:
        self.module = module

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Composite) and self.module is other.module

    def __hash__(self) -> int:
        return id(self.module)

    def __repr__(self) -> str:
        return f"{type(self.module).__name__}(…)"

    @property
    def parts(self) -> dict[str, Layer]:
        """Its own parameters, its buffers, and the layers of its attributes."""
        own = [each for each in self.module._own.items() if each[1] is not None]
        own.sort(key=lambda each: not each[1].trained)
        return {**dict(own), **{k: part._layer_of() for k, part in self.module._modules.items()}}

    @property
    def takes(self) -> Shape:
        return ()

    def shape_of(self, shape: Shape) -> Shape:
        if shape is None or any(size is None for size in shape):
            return None
        return self.record(
            Node(None, (), tuple(size for size in shape if size is not None)), ""
        ).shape

    def check_batch(self, shape: tuple[int, ...], observations: int) -> None:
        for node in in_order(self.record(Node(None, (), shape), "")):
            check_batch_of(node, observations)

    def check_values(self, values: np.ndarray) -> None:
        start = Node(None, (), values.shape[1:])
        for node in in_order(self.record(start, "")):
            if node.layer is not None and start in node.reads:
                try:
                    node.layer.check_values(values)
                except ValueError as error:
                    raise ValueError(f"layer {node.name}, {node.layer!r}, {error}") from None

    def record(self, value: Node, name: str) -> Node:
        start = Tensor._of(value, _ANY, None, False)
        context.places.append(Place(self.module, name, True, start))
        # What is done in training alone is recorded; elsewhere the program leaves it out.
        modes = [(part, part.training) for part in self.module.modules()]
        self.module.train()
        try:
            given = self.module.forward(start)
        finally:
            context.places.pop()
            for part, mode in modes:
                vars(part)["training"] = mode
        if not isinstance(given, Tensor):
            raise TypeError(
                f"forward of {type(self.module).__name__} must give a tensor, got {type(given).__name__}"
            )
        for node in in_order(given._node):
            if isinstance(node, Leaf):
                raise ValueError(
                    f"forward of {type(self.module).__name__} takes an array of shape "
                    f"{node.array.shape[1:]} beside x, of which fit and predict record none: make it a "
                    "buffer in __init__, self.register_buffer(name, array), and take self.name; or call "
                    "the network, and train it by backward() and step()"
                )
        return given._node
