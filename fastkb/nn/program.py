"""The program of a network: a row for each layer, with the places of all that it reads and writes.

Three flat buffers hold everything. **Parameters** (and, of the same form, gradients and the optimiser's
state): for each layer its weights in *panels* of `nr` outputs, input by input, as the micro-kernel reads
them, then its biases::

    weight (output o, input i)  at  weights + (o // nr) · padded inputs · nr + i · nr + o % nr

**Values**: for each layer its outputs, a row for each observation of the batch, `stride` apart.
**Deltas**: of the same form, the loss's derivatives with respect to what a layer adds up, before its
activation.

Rows are padded to whole micro-tiles, so that no loop needs a remainder. Padding holds zeros: its weights,
values and deltas are zero, hence its gradients, and an optimiser leaves it there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fastkb.tile.blocking import NetworkBlocking, network_blocking

_I = np.int64

#: One layer: activation(input · weights + biases), or an activation alone.
LAYER = np.dtype(
    [
        ("has_weights", _I),
        ("has_biases", _I),
        ("inputs", _I),
        ("outputs", _I),
        ("activation", _I),  # code: place in fastkb.scalar.activations.ACTIVATIONS
        ("parameter", np.float64),  # of the activation: slope, alpha
        ("from_output", _I),  # 1: the derivative is computed from the activation's output
        ("trained_before", _I),  # 1: a layer before has parameters, and so needs this one's deltas
        # places in the parameters
        ("weights", _I),
        ("biases", _I),
        ("inputs_padded", _I),  # rows of a panel
        ("panels", _I),
        # places in the values and deltas of one observation
        ("source", _I),  # what the layer reads
        ("source_stride", _I),
        ("target", _I),  # what it writes; its deltas stand at the same place
        ("target_stride", _I),
        ("kept", _I),  # where the activation's input is kept; `target` if it need not be
        # place of the transposed weights: panels of nr inputs, output by output
        ("transposed", _I),
        ("transposed_panels", _I),
    ],
    align=True,
)


class Layer(NamedTuple):
    """What a row is made of."""

    inputs: int
    outputs: int
    has_weights: bool
    has_biases: bool
    activation: int
    parameter: float
    from_output: bool


class Program(NamedTuple):
    """The rows, and the sizes of the buffers."""

    layers: np.ndarray  # of LAYER
    parameters: int  # elements
    values: int  # elements for one observation
    transposed: int  # elements
    inputs: int
    outputs: int
    blocking: NetworkBlocking


def _up(count: int, unit: int) -> int:
    return -(-count // unit) * unit


def make_program(layers: Sequence[Layer], dtype: str) -> Program:
    """Lay out the buffers of a network.

    Parameters
    ----------
    layers : sequence of Layer
        Whose widths fit together.
    dtype : {"float32", "float64"}

    Examples
    --------
    >>> from fastkb.nn.program import Layer, make_program
    >>> program = make_program([Layer(8, 3, True, True, 0, 0.0, True)], "float64")
    >>> program.inputs, program.outputs, len(program.layers)
    (8, 3, 1)
    """
    sizes = network_blocking(dtype)
    # Rows of a gradient and of a batch come in micro-tiles of mr, which may be more than a vector.
    tile, across = max(sizes.width, sizes.mr), max(sizes.nr, sizes.mr)
    rows = np.zeros(len(layers), LAYER)
    stride = _up(layers[0].inputs, across)
    parameters = transposed = source = 0
    values = stride
    trained = False
    for row, layer in zip(rows, layers, strict=True):
        row["has_weights"], row["has_biases"] = layer.has_weights, layer.has_biases
        row["inputs"], row["outputs"] = layer.inputs, layer.outputs
        row["activation"], row["parameter"] = layer.activation, layer.parameter
        row["from_output"], row["trained_before"] = layer.from_output, trained
        trained |= layer.has_weights
        row["source"], row["source_stride"] = source, stride
        if layer.has_weights:
            row["inputs_padded"] = _up(layer.inputs, tile)
            row["panels"] = _up(layer.outputs, across) // sizes.nr
            row["weights"] = parameters
            parameters += int(row["panels"] * row["inputs_padded"]) * sizes.nr
            row["biases"] = parameters
            parameters += int(row["panels"]) * sizes.nr
            row["transposed"] = transposed
            row["transposed_panels"] = _up(layer.inputs, across) // sizes.nr
            transposed += int(row["transposed_panels"] * row["panels"]) * sizes.nr * sizes.nr
            stride = int(row["panels"]) * sizes.nr
        row["panels"] = stride // sizes.nr
        row["target"], row["target_stride"] = values, stride
        row["kept"] = values
        if not layer.from_output and not layer.has_weights:
            row["kept"] = source  # an activation alone: its input is there
        source = values
        values += stride
        if not layer.from_output and layer.has_weights:
            row["kept"] = values
            values += stride
    return Program(
        rows, parameters, values, transposed, layers[0].inputs, layers[-1].outputs, sizes
    )


def weights_of(program: Program, index: int, buffer: np.ndarray) -> np.ndarray:
    """The weights of one layer in a buffer of the parameters' form, as torch has them: a copy.

    # shape: (outputs, inputs)
    """
    row, nr = program.layers[index], program.blocking.nr
    inputs, panels = int(row["inputs_padded"]), int(row["panels"])
    start = int(row["weights"])
    part = buffer[start : start + panels * inputs * nr].reshape(panels, inputs, nr)
    whole = part.transpose(0, 2, 1).reshape(panels * nr, inputs)
    return np.array(whole[: row["outputs"], : row["inputs"]])


def set_weights(program: Program, index: int, buffer: np.ndarray, weights: np.ndarray) -> None:
    """Put weights of shape (outputs, inputs) where the micro-kernel reads them."""
    row, nr = program.layers[index], program.blocking.nr
    inputs, panels = int(row["inputs_padded"]), int(row["panels"])
    start = int(row["weights"])
    whole = np.zeros((panels * nr, inputs), buffer.dtype)
    whole[: row["outputs"], : row["inputs"]] = weights
    part = buffer[start : start + panels * inputs * nr].reshape(panels, inputs, nr)
    part[...] = whole.reshape(panels, nr, inputs).transpose(0, 2, 1)


def biases_of(program: Program, index: int, buffer: np.ndarray) -> np.ndarray:
    """The biases of one layer in a buffer of the parameters' form: a view.  # shape: (outputs,)"""
    row = program.layers[index]
    return buffer[row["biases"] : row["biases"] + row["outputs"]]
