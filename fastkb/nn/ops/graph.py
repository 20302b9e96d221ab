"""The graph of a network: its values, each of which a layer makes of others.

A network is a chain of layers, or one layer that is made of others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

import numpy as np

from fastkb.nn.ops.operation import Layer, Node, Shape

#: Layers one behind the other, or one that is made of others.
Network = Sequence[Layer] | Layer


def chain(layers: Sequence[Layer] | Mapping[str, Layer], value: Node, prefix: str = "") -> Node:
    """What layers give that stand one behind the other."""
    named = layers.items() if isinstance(layers, Mapping) else enumerate(layers)
    for place, layer in named:
        value = layer.record(value, f"{prefix}{place}")
    return value


def recorded(network: Network, shape: tuple[int, ...]) -> Node:
    """What a network gives for inputs of a shape, without the observations."""
    start = Node(None, (), shape)
    return network.record(start, "") if isinstance(network, Layer) else chain(network, start)


def in_order(end: Node) -> list[Node]:
    """All values that one is made of, each behind those that it reads; the last is itself."""
    found: list[Node] = []
    seen: set[int] = set()
    todo = [(end, False)]
    while todo:
        node, ready = todo.pop()
        if ready:
            found.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            todo.append((node, True))
            todo.extend((read, False) for read in reversed(node.reads))
    return found


def leaves(layers: Mapping[str, Layer] | Network) -> Iterator[tuple[str, Layer]]:
    """The layers of a network that have rows, by their names, in the order of their parameters.

    A layer's name is its place, and within a layer that is made of others it goes on after a dot.
    """
    if isinstance(layers, Layer):
        layers = layers.parts
    named = layers.items() if isinstance(layers, Mapping) else enumerate(layers)
    for place, layer in named:
        name = str(place)
        if layer.parts:
            yield from ((f"{name}.{own}", leaf) for own, leaf in leaves(layer.parts))
        else:
            yield name, layer


def input_shape(layers: Network) -> tuple[int | None, ...]:
    """The shape that a network takes, as far as it is known, without the observations; (): any."""
    if isinstance(layers, Layer):
        return layers.takes or ()
    return next((layer.takes for layer in layers if layer.takes is not None), ())


def check_batch(layers: Network, shape: tuple[int, ...], observations: int) -> None:
    """Whether each layer can be trained on a batch of so many observations, see the layers' own.

    Raises
    ------
    ValueError
        If one cannot, naming it.
    """
    if isinstance(layers, Layer):
        layers.check_batch(shape, observations)
        return
    for place, layer in enumerate(layers):
        try:
            layer.check_batch(shape, observations)
        except ValueError as error:
            raise ValueError(f"layer {place}, {layer!r}, {error}") from None
        shape = layer.gives(shape)


def check_values(layers: Network, values: np.ndarray) -> None:
    """Whether a network takes these inputs: the first layer is asked.

    Raises
    ------
    ValueError
        If it does not, naming it.
    """
    if isinstance(layers, Layer):
        layers.check_values(values)
        return
    for layer in layers[:1]:
        try:
            layer.check_values(values)
        except ValueError as error:
            raise ValueError(f"layer 0, {layer!r}, {error}") from None


def known_shape(layers: Network, shape: tuple[int, ...]) -> tuple[int, ...]:
    """:func:`output_shape` where all is known, of layers that fit together."""
    if isinstance(layers, Layer):
        return layers.gives(shape)
    given: Shape = shape
    for layer in layers:
        given = layer.shape_of(given)
    return cast("tuple[int, ...]", given)


def output_shape(layers: Network, shape: Shape = None) -> Shape:
    """The shape that a network gives for what it takes.

    Raises
    ------
    ValueError
        If a layer does not take what stands before it, naming the layer.
    """
    if isinstance(layers, Layer):
        return layers.shape_of(shape)
    for place, layer in enumerate(layers):
        try:
            shape = layer.shape_of(shape)
        except ValueError as error:
            raise ValueError(f"layer {place}, {layer!r}, {error}") from None
    return shape
