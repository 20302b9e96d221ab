"""The table of operations, and how layers become rows of a program."""

from __future__ import annotations

import math
from collections import Counter

from fastkb.nn.ops.activation import (
    ELEMENTWISE,
    ELU,
    GELU,
    Activation,
    Identity,
    LeakyReLU,
    ReLU,
    Sigmoid,
    Sign,
    Softplus,
    Tanh,
)
from fastkb.nn.ops.arrangement import TO_LANES, TO_ROWS, Flatten, arranged
from fastkb.nn.ops.dense import DENSE, Linear
from fastkb.nn.ops.graph import Network, in_order, recorded
from fastkb.nn.ops.images.convolution import CONVOLUTION, Conv2d
from fastkb.nn.ops.images.pooling import AdaptiveAvgPool2d, AvgPool2d, MaxPool2d
from fastkb.nn.ops.images.pooling_rules import LARGEST, MEAN
from fastkb.nn.ops.normalization import BATCH_NORM, BatchNorm1d, BatchNorm2d
from fastkb.nn.ops.operation import Join, Node, Row, rules_of
from fastkb.nn.ops.residual import ADD, Residual
from fastkb.scalar.activations import activation_code, find

__all__ = [
    "DENSE_OPERATIONS",
    "DENSE_RULES",
    "ELU",
    "GELU",
    "IDENTITY",
    "OPERATIONS",
    "RULES",
    "Activation",
    "AdaptiveAvgPool2d",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv2d",
    "Flatten",
    "Identity",
    "LeakyReLU",
    "Linear",
    "MaxPool2d",
    "ReLU",
    "Residual",
    "Sigmoid",
    "Sign",
    "Softplus",
    "Tanh",
    "activated",
    "lower",
]

#: An operation's code is its place in one of these. The first serve networks of dense layers, which so
#: wait for the compiler of convolutions neither when they are first trained nor later.
DENSE_OPERATIONS = (DENSE, ELEMENTWISE)
OPERATIONS = (
    *DENSE_OPERATIONS, CONVOLUTION, LARGEST, MEAN, TO_LANES, TO_ROWS, BATCH_NORM, ADD,
)  # fmt: skip
DENSE_RULES, RULES = rules_of(DENSE_OPERATIONS), rules_of(OPERATIONS)

IDENTITY = activation_code(find("identity"))


def lower(network: Network, shape: tuple[int, ...]) -> list[Row]:
    """The rows of a program. An activation behind another layer is computed with it.

    Parameters
    ----------
    network : sequence of Layer, or Layer
        Checked: they take what the layers before them give.
    shape : tuple of int
        Of the inputs, without the observations.
    """
    return rows_of(recorded(network, shape))


def rows_of(end: Node) -> list[Row]:
    """The rows of a graph: what its end is made of, of one input."""
    nodes = in_order(end)
    readers = _readers(nodes)
    numbers: dict[Node, int] = {}
    rows: list[Row] = []
    for node in nodes:
        layer, reads = node.layer, tuple(numbers[read] for read in node.reads)
        if layer is None:
            numbers[node] = 0
            continue
        if _hands_on(node):
            numbers[node] = reads[0]
            continue
        alone = reads[0] == 0 or any(readers[read] > 1 for read in node.reads)
        before = None if alone else rows[reads[0] - 1]
        if isinstance(layer, Activation):
            if (
                before is not None
                and before.activation == IDENTITY
                and before.operation is not TO_ROWS
            ):
                rows[reads[0] - 1] = activated(before, layer)
                numbers[node] = reads[0]
                continue
            own = [activated(Row(ELEMENTWISE, reads, math.prod(node.shape), {}), layer)]
        elif isinstance(layer, Join):
            own = layer.joining(reads, tuple(read.shape for read in node.reads), len(rows) + 1)
        else:
            own = layer.rows(reads[0], node.reads[0].shape, len(rows) + 1)
        if before is not None and isinstance(layer, MaxPool2d) and _grows(before):
            # The largest of a function's values is the function of the largest: one in place of many.
            own = [*own[:-1], _with_function_of(own[-1], before)]
            rows[reads[0] - 1] = _with_function_of(before, None)
        with_tensors = [bool(row.shapes or row.buffers) for row in own]
        assert sum(with_tensors) <= 1, f"{layer}: two of its rows have tensors"
        rows += [
            row._replace(layer=node.name if has else "")
            for row, has in zip(own, with_tensors, strict=True)
        ]
        rows[-1] = rows[-1]._replace(shape=node.shape)
        numbers[node] = len(rows)
    start = next(node for node in nodes if node.layer is None)
    if numbers[end] == 0 or numbers[end] != len(rows):
        rows.append(Row(ELEMENTWISE, (numbers[end],), math.prod(end.shape), {}, shape=end.shape))
    return arranged(rows, start.shape)


def _hands_on(node: Node) -> bool:
    """Whether a value is the one that it reads."""
    return isinstance(node.layer, Activation) and activation_code(find(node.layer.name)) == IDENTITY


def _readers(nodes: list[Node]) -> Counter[Node]:
    """How often each value is read; the network's outputs once more."""
    readers = Counter({nodes[-1]: 1})
    for node in reversed(nodes):
        for read in node.reads:
            readers[read] += readers[node] if _hands_on(node) else 1
    return readers


_GROWING = frozenset(
    activation_code(find(name))
    for name in ("relu", "leaky_relu", "elu", "sigmoid", "tanh", "softplus")
)


def _grows(row: Row) -> bool:
    """Whether a row has a function that never falls."""
    return row.activation in _GROWING and row.parameter >= 0.0


def _with_function_of(row: Row, other: Row | None) -> Row:
    """A row with the function of another one, or with none."""
    if other is None:
        return row._replace(activation=IDENTITY, parameter=0.0, from_output=True)
    return row._replace(
        activation=other.activation, parameter=other.parameter, from_output=other.from_output
    )


def activated(row: Row, layer: Activation) -> Row:
    """A row with an activation behind what it adds up."""
    found = find(layer.name)
    return row._replace(
        activation=activation_code(found), parameter=layer.parameter, from_output=found.from_output
    )
