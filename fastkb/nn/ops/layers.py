"""The table of operations, and how layers become rows of a program."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

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
from fastkb.nn.ops.images.convolution import CONVOLUTION, Conv2d
from fastkb.nn.ops.images.pooling import AdaptiveAvgPool2d, AvgPool2d, MaxPool2d
from fastkb.nn.ops.images.pooling_rules import LARGEST, MEAN
from fastkb.nn.ops.normalization import BATCH_NORM, BatchNorm1d, BatchNorm2d
from fastkb.nn.ops.operation import Layer, Row, rules_of
from fastkb.nn.ops.residual import ADD, Residual, added
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
    _lower({str(place): layer for place, layer in enumerate(layers)}, "", 0, shape, rows)
    return arranged(rows, shape)


def _lower(
    layers: Mapping[str, Layer], prefix: str, read: int, shape: tuple[int, ...], rows: list[Row]
) -> int:
    """Add the rows of layers that stand one behind the other; the value that the last one gives."""
    others_read = True  # what the first one takes may be read by others, and is left as it is
    for name, layer in layers.items():
        given = layer.gives(shape)
        if isinstance(layer, Residual):
            around = read
            last = _lower(_chain(layer), f"{prefix}{name}.", read, shape, rows)
            if layer.shortcut is not None:
                around = _lower({"shortcut": layer.shortcut}, f"{prefix}{name}.", read, shape, rows)
            rows.append(added(last, around, math.prod(given)))
        elif not isinstance(layer, Activation):
            own = layer.rows(read, shape, len(rows) + 1)
            if not others_read and isinstance(layer, MaxPool2d) and _grows(rows[-1]):
                # The largest of a function's values is the function of the largest: one in place of many.
                own = [*own[:-1], _with_function_of(own[-1], rows[-1])]
                rows[-1] = _with_function_of(rows[-1], None)
            with_tensors = [bool(row.shapes or row.buffers) for row in own]
            assert sum(with_tensors) <= 1, f"{layer}: two of its rows have tensors"
            rows += [
                row._replace(layer=f"{prefix}{name}" if has else "")
                for row, has in zip(own, with_tensors, strict=True)
            ]
        elif activation_code(find(layer.name)) == IDENTITY:
            continue
        else:
            alone = others_read or rows[-1].activation != IDENTITY or rows[-1].operation is TO_ROWS
            row = Row(ELEMENTWISE, (read,), math.prod(shape), {}) if alone else rows.pop()
            rows.append(activated(row, layer))
        rows[-1] = rows[-1]._replace(shape=given)
        read, shape, others_read = len(rows), given, False
    return read


def _chain(layer: Residual) -> dict[str, Layer]:
    """The layers that are not on the way around."""
    return {str(place): each for place, each in enumerate(layer.layers)}


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
