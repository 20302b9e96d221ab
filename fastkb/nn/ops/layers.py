"""The table of operations, and how layers become rows of a program."""

from __future__ import annotations

import math
from collections.abc import Sequence

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
from fastkb.nn.ops.convolution import CONVOLUTION, Conv2d
from fastkb.nn.ops.dense import DENSE, Linear
from fastkb.nn.ops.operation import Layer, Row, rules_of
from fastkb.nn.ops.pooling import AdaptiveAvgPool2d, AvgPool2d, MaxPool2d
from fastkb.nn.ops.pooling_rules import LARGEST, MEAN
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
    "Conv2d",
    "Flatten",
    "Identity",
    "LeakyReLU",
    "Linear",
    "MaxPool2d",
    "ReLU",
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
OPERATIONS = (*DENSE_OPERATIONS, CONVOLUTION, LARGEST, MEAN, TO_LANES, TO_ROWS)
DENSE_RULES, RULES = rules_of(DENSE_OPERATIONS), rules_of(OPERATIONS)

IDENTITY = activation_code(find("identity"))


def lower(layers: Sequence[Layer], shape: tuple[int, ...]) -> list[Row]:
    """The rows of a program. An activation behind another layer is computed with it.

    Parameters
    ----------
    layers : sequence of Layer
        Checked: they take what the layers before them give.
    shape : tuple of int
        Of the inputs, without the observations.
    """
    rows: list[Row] = []
    taken = shape
    for place, layer in enumerate(layers):
        read, given = len(rows), layer.gives(shape)
        if not isinstance(layer, Activation):
            own = layer.rows(read, shape, read + 1)
            if rows and isinstance(layer, MaxPool2d) and _grows(rows[-1]):
                # The largest of a function's values is the function of the largest: one in place of many.
                own = [*own[:-1], _with_function_of(own[-1], rows[-1])]
                rows[-1] = _with_function_of(rows[-1], None)
            assert sum(bool(row.shapes) for row in own) <= 1, (
                f"{layer}: two of its rows have tensors"
            )
            rows += [row._replace(layer=place if row.shapes else -1) for row in own]
            rows[-1] = rows[-1]._replace(shape=given)
        elif activation_code(find(layer.name)) != IDENTITY:
            alone = not rows or rows[-1].activation != IDENTITY or rows[-1].operation is TO_ROWS
            size = math.prod(shape)
            row = Row(ELEMENTWISE, (read,), size, {}, shape=shape) if alone else rows.pop()
            rows.append(activated(row, layer))
        shape = given
    return arranged(rows, taken)


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
