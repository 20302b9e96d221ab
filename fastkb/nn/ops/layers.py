"""The table of operations, and how layers become rows of a program."""

from __future__ import annotations

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
from fastkb.nn.ops.dense import DENSE, Linear
from fastkb.nn.ops.operation import Layer, Row, rules_of
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
    "activated",
    "lower",
    "widths_of",
]

#: An operation's code is its place here.
OPERATIONS = (DENSE, ELEMENTWISE)
RULES = rules_of(OPERATIONS)

IDENTITY = activation_code(find("identity"))


def widths_of(layers: Sequence[Layer]) -> tuple[int, int]:
    """Inputs and outputs of a network, of which one layer at least has widths of its own."""
    known = [layer.widths for layer in layers if layer.widths is not None]
    return known[0][0], known[-1][1]


def lower(layers: Sequence[Layer]) -> tuple[list[Row], dict[int, int]]:
    """The rows of a program, and which row has the tensors of which layer.

    An activation behind another layer is computed with it; further ones are rows of their own.

    Parameters
    ----------
    layers : sequence of Layer
        Checked: widths fit together.
    """
    rows: list[Row] = []
    places: dict[int, int] = {}
    width = widths_of(layers)[0]
    for place, layer in enumerate(layers):
        read = len(rows)
        if not isinstance(layer, Activation):
            for row in layer.rows(read, width, read + 1):
                if row.shapes:
                    assert place not in places, f"{layer}: two of its rows have tensors"
                    places[place] = len(rows)
                rows.append(row)
                width = row.outputs
            continue
        if activation_code(find(layer.name)) == IDENTITY:
            continue
        alone = not rows or rows[-1].activation != IDENTITY
        rows.append(activated(Row(ELEMENTWISE, (read,), width, {}) if alone else rows.pop(), layer))
    return rows, places


def activated(row: Row, layer: Activation) -> Row:
    """A row with an activation behind what it adds up."""
    found = find(layer.name)
    return row._replace(
        activation=activation_code(found), parameter=layer.parameter, from_output=found.from_output
    )
