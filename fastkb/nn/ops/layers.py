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
from fastkb.nn.ops.dropout import DROPOUT, Dropout
from fastkb.nn.ops.embedding import EMBEDDING, Embedding
from fastkb.nn.ops.graph import Network, in_order, recorded
from fastkb.nn.ops.images.convolution import CONVOLUTION, Conv1d, Conv2d
from fastkb.nn.ops.images.pooling import (
    AdaptiveAvgPool2d,
    AvgPool1d,
    AvgPool2d,
    MaxPool1d,
    MaxPool2d,
)
from fastkb.nn.ops.images.pooling_rules import LARGEST, MEAN
from fastkb.nn.ops.normalization.batch import BatchNorm1d, BatchNorm2d
from fastkb.nn.ops.normalization.batch_rules import BATCH_NORM, BATCH_NORM_BY_RUNNING
from fastkb.nn.ops.normalization.layer import LAYER_NORM, LayerNorm
from fastkb.nn.ops.operation import Join, Node, Row
from fastkb.nn.ops.residual import Residual
from fastkb.nn.ops.rules import rules_of
from fastkb.nn.ops.tensors.functions import FUNCTION
from fastkb.nn.ops.tensors.joins import ADD, CONCATENATE, PRODUCT, QUOTIENT
from fastkb.nn.ops.tensors.own import OWN_VALUE
from fastkb.nn.ops.tensors.reshape import Columns
from fastkb.nn.ops.tensors.softmax import SOFTMAX, LogSoftmax, Softmax
from fastkb.nn.ops.tensors.strided import REDUCE, TAKE
from fastkb.scalar.activations import activation_code, find

__all__ = [
    "DENSE_OPERATIONS",
    "DENSE_RULES",
    "ELU",
    "GELU",
    "IDENTITY",
    "IMAGE_OPERATIONS",
    "IMAGE_RULES",
    "OPERATIONS",
    "RULES",
    "Activation",
    "AdaptiveAvgPool2d",
    "AvgPool1d",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv1d",
    "Conv2d",
    "Dropout",
    "Embedding",
    "Flatten",
    "Identity",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MaxPool1d",
    "MaxPool2d",
    "ReLU",
    "Residual",
    "Sigmoid",
    "Sign",
    "Softmax",
    "Softplus",
    "Tanh",
    "activated",
    "lower",
]

#: An operation's code is its place in one of these, each of which begins with the one before. The first
#: serve networks of dense layers, and networks of images: these so wait for the compiler of no others.
DENSE_OPERATIONS = (DENSE, ELEMENTWISE)
IMAGE_OPERATIONS = (
    *DENSE_OPERATIONS, CONVOLUTION, LARGEST, MEAN, TO_LANES, TO_ROWS, BATCH_NORM, ADD,
)  # fmt: skip
OPERATIONS = (
    *IMAGE_OPERATIONS, BATCH_NORM_BY_RUNNING, LAYER_NORM, EMBEDDING, PRODUCT, QUOTIENT, CONCATENATE,
    FUNCTION, TAKE, REDUCE, SOFTMAX, DROPOUT, OWN_VALUE,
)  # fmt: skip
DENSE_RULES, IMAGE_RULES, RULES = map(rules_of, (DENSE_OPERATIONS, IMAGE_OPERATIONS, OPERATIONS))

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
    """The rows of a graph: what its end is made of.

    Of several inputs each is a part of the program's input, in the order of :func:`in_order`.
    """
    nodes = in_order(end)
    readers = _readers(nodes)
    starts = [node for node in nodes if node.layer is None]
    rows: list[Row] = []
    numbers = _parts(starts, rows)
    for node in nodes:
        layer, reads = node.layer, tuple(numbers[read] for read in node.reads)
        if layer is None:
            continue
        if _hands_on(node):
            numbers[node] = reads[0]
            continue
        alone = reads[0] == 0 or any(readers[read] > 1 for read in node.reads)
        before = None if alone else rows[reads[0] - 1]
        if isinstance(layer, Activation):
            if before is not None and before.activation == IDENTITY and not before.operation.closed:
                rows[reads[0] - 1] = activated(before, layer)
                numbers[node] = reads[0]
                continue
            own = [activated(Row(ELEMENTWISE, reads, math.prod(node.shape), {}), layer)]
        elif isinstance(layer, Join):
            own = layer.joining(reads, tuple(read.shape for read in node.reads), len(rows) + 1)
        else:
            own = layer.rows(reads[0], node.reads[0].shape, len(rows) + 1)
        if before is not None and own[-1].operation is LARGEST and _grows(before):
            # The largest of a function's values is the function of the largest: one in place of many.
            own = [*own[:-1], _with_function_of(own[-1], before)]
            rows[reads[0] - 1] = _with_function_of(before, None)
        if len(starts) > 1 and own[0].operation.draws:
            # Its masks are those that it has in a program of one input.
            window = own[0].window
            own[0] = own[0]._replace(window=(window[0] - len(starts), *window[1:]))
        with_tensors = [bool(row.shapes or row.buffers) for row in own]
        assert sum(with_tensors) <= 1, f"{layer}: two of its rows have tensors"
        rows += [
            row._replace(layer=node.name if has else "")
            for row, has in zip(own, with_tensors, strict=True)
        ]
        rows[-1] = rows[-1]._replace(shape=node.shape)
        numbers[node] = len(rows)
    # Rows that arrange what stands in rows are none.
    is_bare = all(row.operation is TO_ROWS for row in rows)
    if is_bare or numbers[end] != len(rows):
        rows.append(Row(ELEMENTWISE, (numbers[end],), math.prod(end.shape), {}, shape=end.shape))
    return arranged(rows, whole_shape(starts))


def whole_shape(starts: list[Node]) -> tuple[int, ...]:
    """The shape of a program's input: of one value, or of several behind one another."""
    if len(starts) == 1:
        return starts[0].shape
    return (sum(math.prod(start.shape) for start in starts),)


def _parts(starts: list[Node], rows: list[Row]) -> dict[Node, int]:
    """The numbers of the inputs; where there are several, rows take them out of the one."""
    if len(starts) == 1:
        return {starts[0]: 0}
    numbers, begin, whole = {}, 0, whole_shape(starts)
    for start in starts:
        stop = begin + math.prod(start.shape)
        rows += Columns(begin, stop, start.shape).rows(0, whole, len(rows) + 1)
        rows[-1] = rows[-1]._replace(shape=start.shape)
        numbers[start], begin = len(rows), stop
    return numbers


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
