"""Programs of dense rows and element-wise ones, each of which reads the one before."""

from typing import NamedTuple

from fastkb.nn.ops.activation import ELEMENTWISE
from fastkb.nn.ops.dense import DENSE
from fastkb.nn.ops.layers import DENSE_OPERATIONS
from fastkb.nn.ops.operation import Row
from fastkb.nn.ops.storage import BIAS, WEIGHT
from fastkb.nn.program.layout import Program, make_program


class Link(NamedTuple):
    """A row of a chain."""

    inputs: int
    outputs: int
    has_weights: bool = True
    has_biases: bool = True
    activation: int = 0
    parameter: float = 0.0
    from_output: bool = True


def rows_of(links) -> list[Row]:
    rows = []
    for k, link in enumerate(links):
        shapes = {WEIGHT: (link.outputs, link.inputs), BIAS: (link.outputs,)}
        if not link.has_weights:
            shapes = {}
        elif not link.has_biases:
            del shapes[BIAS]
        operation = DENSE if link.has_weights else ELEMENTWISE
        function = dict(zip(Link._fields[4:], link[4:], strict=True))
        rows.append(Row(operation, (k,), link.outputs, shapes, **function))
    return rows


def chain(links, dtype) -> Program:
    """The program of links whose widths fit together."""
    return make_program(links[0].inputs, rows_of(links), dtype, DENSE_OPERATIONS)
