"""The program of a network: a row for each layer, with the places of all that it reads and writes.

Three flat buffers hold everything. **Parameters** (and, of the same form, gradients and the optimiser's
state): for each layer its weights in *panels* of `nr` outputs, input by input, as the micro-kernel reads
them, then its biases::

    weight (output o, input i)  at  weights + (o // nr) · padded inputs · nr + i · nr + o % nr

A layer of very few outputs would waste most of a panel: its weights stand as PyTorch has them, output
by output (it is *thin*)::

    weight (output o, input i)  at  weights + o · padded inputs + i

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
        ("code", _I),  # place in fastkb.nn.ops.layers.OPERATIONS
        ("accumulate", _I),  # 1: what it reads has other readers, to whose deltas it adds its own
        ("has_weights", _I),
        ("has_biases", _I),
        ("inputs", _I),
        ("outputs", _I),
        ("activation", _I),  # code: place in fastkb.scalar.activations.ACTIVATIONS
        ("parameter", np.float64),  # of the activation: slope, alpha
        ("thin", _I),  # 1: weights stand output by output
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
    ],
    align=True,
)

#: One block of a layer's parameters, whose gradient is computed and used by one thread at a time.
BLOCK = np.dtype(
    [
        ("layer", _I),
        ("panel", _I),
        ("input", _I),  # the first one
        ("input_stop", _I),
        # places in the parameters: a run of weights, and a run of biases (or none)
        ("begin", _I),
        ("end", _I),
        ("bias_begin", _I),
        ("bias_end", _I),
    ],
    align=True,
)

# Outputs up to which a layer is thin: with four, a panel's half costs no more.
_THIN = 3

# Inputs of a block, about: 16 to 32 KB of weights and their gradients stay in the first-level cache.
_BLOCK = 256


class Layer(NamedTuple):
    """What a row is made of."""

    inputs: int
    outputs: int
    has_weights: bool
    has_biases: bool
    activation: int
    parameter: float
    from_output: bool
    code: int  # place in fastkb.nn.ops.layers.OPERATIONS


class Program(NamedTuple):
    """The rows, and the sizes of the buffers."""

    layers: np.ndarray  # of LAYER
    blocks: np.ndarray  # of BLOCK
    parameters: int  # elements
    values: int  # elements for one observation
    transposed: int  # elements
    inputs: int
    outputs: int
    blocking: NetworkBlocking
    dtype: np.dtype

    @property
    def rows(self) -> Rows:
        """What the interpreter reads."""
        return Rows(self.layers, self.blocks)


class Rows(NamedTuple):
    """A program, as the interpreter reads it."""

    layers: np.ndarray  # of LAYER
    blocks: np.ndarray  # of BLOCK


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
    >>> from fastkb.nn.program.layout import Layer, make_program
    >>> program = make_program([Layer(8, 3, True, True, 0, 0.0, True, 0)], "float64")
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
        row["code"] = layer.code
        row["has_weights"], row["has_biases"] = layer.has_weights, layer.has_biases
        row["inputs"], row["outputs"] = layer.inputs, layer.outputs
        row["activation"], row["parameter"] = layer.activation, layer.parameter
        row["from_output"], row["trained_before"] = layer.from_output, trained
        trained |= layer.has_weights
        row["source"], row["source_stride"] = source, stride
        if layer.has_weights:
            thin = layer.outputs <= _THIN
            row["thin"] = thin
            row["inputs_padded"] = stride if thin else _up(layer.inputs, tile)
            row["panels"] = _up(layer.outputs, across) // sizes.nr
            row["weights"] = parameters
            columns = layer.outputs if thin else int(row["panels"]) * sizes.nr
            parameters += columns * int(row["inputs_padded"])
            row["biases"] = parameters
            parameters += int(row["panels"]) * sizes.nr
            row["transposed"] = transposed
            if not thin:
                transposed += _up(layer.inputs, across) * int(row["panels"]) * sizes.nr
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
    blocks = _blocks(rows, sizes.nr, tile)
    ends = layers[0].inputs, layers[-1].outputs
    return Program(rows, blocks, parameters, values, transposed, *ends, sizes, np.dtype(dtype))


def _blocks(rows: np.ndarray, nr: int, tile: int) -> np.ndarray:
    """Cut the layers' parameters into blocks, the same for any number of threads."""
    found = []
    for k, row in enumerate(rows):
        if not row["has_weights"]:
            continue
        start, padded, biases = (int(row[name]) for name in ("weights", "inputs_padded", "biases"))
        if row["thin"]:
            panels, inputs = 1, biases - start  # one block
            height = inputs
        else:
            panels, inputs = int(row["panels"]), padded
            height = _up(-(-inputs // -(-inputs // _BLOCK)), tile)
        for panel in range(panels):
            for first in range(0, inputs, height):
                stop = min(first + height, inputs)
                unit = 1 if row["thin"] else nr
                begin = start + panel * padded * nr + first * unit
                bias = biases + panel * nr
                width = nr if row["has_biases"] and first == 0 else 0
                found.append(
                    (
                        k,
                        panel,
                        first,
                        stop,
                        begin,
                        begin + (stop - first) * unit,
                        bias,
                        bias + width,
                    )
                )
    return np.array(found, BLOCK)


def weights_of(program: Program, index: int, buffer: np.ndarray) -> np.ndarray:
    """The weights of one layer in a buffer of the parameters' form, as torch has them: a copy.

    # shape: (outputs, inputs)
    """
    row, part = program.layers[index], _weights_in(program, index, buffer)
    whole = part if row["thin"] else part.transpose(0, 2, 1).reshape(-1, part.shape[1])
    return np.array(whole[: row["outputs"], : row["inputs"]])


def _weights_in(program: Program, index: int, buffer: np.ndarray) -> np.ndarray:
    """A view of one layer's weights, as they stand.

    # shape: (panels, inputs, nr); (outputs, inputs) of a thin layer
    """
    row, nr = program.layers[index], program.blocking.nr
    part = buffer[int(row["weights"]) : int(row["biases"])]
    inputs = int(row["inputs_padded"])
    return part.reshape((-1, inputs) if row["thin"] else (-1, inputs, nr))


def set_weights(program: Program, index: int, buffer: np.ndarray, weights: np.ndarray) -> None:
    """Put weights of shape (outputs, inputs) where the micro-kernel reads them."""
    row, part = program.layers[index], _weights_in(program, index, buffer)
    panels, inputs = part.shape[:2]
    whole = np.zeros((panels if row["thin"] else panels * part.shape[2], inputs), buffer.dtype)
    whole[: row["outputs"], : row["inputs"]] = weights
    if not row["thin"]:
        whole = whole.reshape(panels, -1, inputs).transpose(0, 2, 1)
    part[...] = whole


def biases_of(program: Program, index: int, buffer: np.ndarray) -> np.ndarray:
    """The biases of one layer in a buffer of the parameters' form: a view.  # shape: (outputs,)"""
    row = program.layers[index]
    return buffer[row["biases"] : row["biases"] + row["outputs"]]
