"""The table of operations, and how layers become rows of a program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
from fastkb.nn.ops.dense import DENSE, Linear
from fastkb.nn.ops.operation import rules_of
from fastkb.nn.program.layout import Layer
from fastkb.scalar.activations import activation_code, find

__all__ = [
    "ELU",
    "GELU",
    "IDENTITY",
    "OPERATIONS",
    "RULES",
    "Activation",
    "Identity",
    "LeakyReLU",
    "Linear",
    "ReLU",
    "Sigmoid",
    "Sign",
    "Softplus",
    "Tanh",
    "lower",
]

#: An operation's code is its place here.
OPERATIONS = (DENSE, ELEMENTWISE)
RULES = rules_of(OPERATIONS)

IDENTITY = activation_code(find("identity"))


def lower(layers: Sequence[Any]) -> tuple[list[Layer], dict[int, int]]:
    """The rows of a program, and which row each Linear layer became.

    An activation behind a Linear layer is computed with it; further ones are rows of their own.

    Parameters
    ----------
    layers : sequence of Linear and Activation
        Checked: widths fit together.
    """
    rows: list[Layer] = []
    places: dict[int, int] = {}
    width = next(layer.in_features for layer in layers if isinstance(layer, Linear))
    for place, layer in enumerate(layers):
        if isinstance(layer, Linear):
            places[place] = len(rows)
            width = layer.out_features
            dense = OPERATIONS.index(DENSE)
            rows.append(
                Layer(layer.in_features, width, True, layer.bias, IDENTITY, 0.0, True, dense)
            )
            continue
        found = find(layer.name)
        code = activation_code(found)
        if code == IDENTITY:
            continue
        about = (code, layer.parameter, found.from_output)
        if rows and rows[-1].activation == IDENTITY:
            rows[-1] = rows[-1]._replace(
                activation=about[0], parameter=about[1], from_output=about[2]
            )
        else:
            rows.append(Layer(width, width, False, False, *about, OPERATIONS.index(ELEMENTWISE)))
    return rows, places
