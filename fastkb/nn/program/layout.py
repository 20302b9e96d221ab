"""The program of a network: a row for each operation, with the places of all that it reads and writes.

Three flat buffers hold everything. **Parameters** (and, of the same form, gradients and the optimiser's
state): for each row its weights, as its operation stores them, then its biases. **Values**: for the
network's inputs and for each row what it gives, a row for each observation of the batch, `stride` apart.
**Deltas**: of the same form, the loss's derivatives with respect to what a row adds up, before its
activation.

A value may be read by several rows. The program is reversed for the deltas: of a value's readers the last
one comes first, which writes the value's deltas, and each other one adds its own.

Widths are padded to whole micro-tiles, so that no loop needs a remainder. Padding holds zeros: its
weights, values and deltas are zero, hence its gradients, and an optimiser leaves it there.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastkb.nn.ops.operation import ELEMENTS, Operation, Row
from fastkb.nn.ops.storage import BIAS, OWN, WEIGHT
from fastkb.tile.blocking import NetworkBlocking, network_blocking

_I = np.int64

#: Numbers of its own that a row can hold, and whole numbers.
_NUMBERS, _WHOLE = 8, 24

#: One row: activation(operation), such as activation(input · weights + biases).
LAYER = np.dtype(
    [
        ("code", _I),  # place of its operation in the interpreter's table
        # Bits, of the first value that it reads and of the second: whether something before it has
        # parameters, so that the value's deltas are wanted; whether they are added to others. A third
        # bit: whether the backward rule is called for the row's own sake.
        ("wanted", _I),
        ("accumulate", _I),
        ("differentiated", _I),  # 1: it has parameters, or its deltas are wanted by a row that has
        ("has_weights", _I),
        ("has_biases", _I),
        ("across", _I),  # 1: it needs all observations of a batch at once
        ("again", _I),  # 1: its parameters are those of a row before it
        ("bounded", _I),  # 1: norms bound its gradients, see Operation.inner_products
        ("lanes", _I),  # 1: what it writes stands in lanes
        # See fastkb.nn.program.bands. Of what it writes in lanes: elements of a line and of a band, or 0;
        # and how many rows behind it go along. The same of what its backward rule gives.
        ("line", _I),
        ("band", _I),
        ("along", _I),
        ("back_line", _I),
        ("back_band", _I),
        ("back_stride", _I),
        ("along_back", _I),
        ("inputs", _I),  # width of the first value that it reads
        ("outputs", _I),
        ("activation", _I),  # code: place in fastkb.scalar.activations.ACTIVATIONS
        ("parameter", np.float64),  # of the activation: slope, alpha
        ("from_output", _I),  # 1: the derivative is computed from the activation's output
        ("apart", _I),  # 1: what it adds up is kept beside its values, for the derivative
        ("numbers", np.float64, (_NUMBERS,)),  # of the operation's own
        ("window", _I, (_WHOLE,)),  # likewise
        # places in the parameters
        ("weights", _I),
        ("biases", _I),
        ("biases_end", _I),
        # of dense layers
        ("thin", _I),  # 1: weights stand output by output
        ("inputs_padded", _I),  # rows of a panel
        ("panels", _I),
        # places in the values and deltas of one observation
        ("source", _I),  # the first value that it reads
        ("source_stride", _I),
        ("other", _I),  # the second one, or the first again
        ("other_stride", _I),
        ("target", _I),  # what it writes; its deltas stand at the same place
        ("target_stride", _I),
        ("kept", _I),  # where the activation's input is kept; `target` if it need not be
        ("extra", _I),  # what the operation itself keeps for its backward rule
        ("shared", _I),  # what all observations share, behind all values
        ("buffers", _I),  # in the parameters, behind all that is trained
        ("transposed", _I),  # place of what it wants of its weights turned
    ],
    align=True,
)

#: One block of a layer's parameters, whose gradient is computed and used by one thread at a time.
BLOCK = np.dtype(
    [
        ("layer", _I),
        # of dense layers: the panel, and its inputs; of convolutions: the panel, and its rows of taps
        ("panel", _I),
        ("input", _I),
        ("input_stop", _I),
        # places in the parameters: a run of weights, and a run of biases (or none)
        ("begin", _I),
        ("end", _I),
        ("bias_begin", _I),
        ("bias_end", _I),
        ("again", _I),  # the block of another row that is the same parameters, see `Rows`; -1: none
    ],
    align=True,
)


class Program(NamedTuple):
    """The rows, and the sizes of the buffers."""

    made_of: tuple[Row, ...]
    layers: np.ndarray  # of LAYER
    blocks: np.ndarray  # of BLOCK
    again: np.ndarray  # likewise
    across: np.ndarray  # rows that need all observations of a batch at once
    parameters: int  # elements
    values: int  # elements for one observation
    transposed: int  # elements
    room: int  # elements, for each thread
    shared: int  # elements behind all values
    buffers: int  # elements behind all parameters
    unit: int  # observations that are computed together: spans are multiples of it
    lanes: bool  # whether values stand in lanes
    inputs_trained: bool  # whether the inputs' deltas are computed
    inputs: int
    outputs: int
    blocking: NetworkBlocking
    dtype: np.dtype

    @property
    def rows(self) -> Rows:
        """What the interpreter reads."""
        return Rows(self.layers, self.blocks, self.again, self.across)


class Rows(NamedTuple):
    """A program, as the interpreter reads it."""

    layers: np.ndarray  # of LAYER
    blocks: np.ndarray  # of BLOCK; each parameter is in one
    again: np.ndarray  # of BLOCK: the same parameters, as other rows read them
    across: np.ndarray  # rows that need all observations of a batch at once


def _up(count: int, unit: int) -> int:
    return -(-count // unit) * unit


class _Value(NamedTuple):
    """What rows read: the network's inputs, or what a row gives."""

    place: int
    width: int
    stride: int
    trained: bool  # whether parameters stand behind it


def _stride(row: Row, across: int) -> int:
    """Elements of an observation; in rows they are padded."""
    return row.outputs if row.lanes else _up(row.outputs, across)


class Places(NamedTuple):
    """Where parameters stand already."""

    rows: Mapping[str, Any]  # of LAYER, by the names of their layers
    parameters: int  # elements that are trained
    buffers: int  # elements behind them


def make_program(
    inputs: int,
    rows: Sequence[Row],
    dtype: str,
    operations: Sequence[Operation],
    places: Places | None = None,
    *,
    inputs_trained: bool = False,
) -> Program:
    """Lay out the buffers of a network.

    Parameters
    ----------
    inputs : int
        Columns of the network's inputs.
    rows : sequence of Row
        Of which the first reads the inputs, and each other one is read by a later one but for the last.
    dtype : {"float32", "float64"}
    operations : sequence of Operation
        The interpreter's table, with those of the rows.
    places : Places, optional
        Of the rows' parameters; None: one row's stand behind those of the row before.
    inputs_trained : bool, default False
        Whether the inputs' deltas are wanted.

    Examples
    --------
    >>> from fastkb.nn.ops.layers import OPERATIONS, Linear, lower
    >>> from fastkb.nn.program.layout import make_program
    >>> program = make_program(8, lower([Linear(8, 3)], (8,)), "float64", OPERATIONS)
    >>> program.inputs, program.outputs, len(program.layers)
    (8, 3, 1)
    """
    sizes = network_blocking(dtype)
    across = max(sizes.nr, sizes.mr)
    layers = np.zeros(len(rows), LAYER)
    values = [_Value(0, inputs, _up(inputs, across), inputs_trained)]
    end = values[0].stride
    parameters = transposed = room = shared = buffers = 0
    first: dict[str, int] = {}  # row of each layer's parameters
    readers = Counter(number for row in rows for number in row.reads)
    for layer, row, accumulate in zip(layers, rows, _accumulated(rows), strict=True):
        read = [values[number] for number in row.reads]
        layer["code"] = operations.index(row.operation)
        layer["wanted"] = sum(value.trained << j for j, value in enumerate(read))
        layer["accumulate"] = accumulate
        layer["has_weights"] = WEIGHT in row.shapes or OWN in row.shapes
        layer["has_biases"] = BIAS in row.shapes
        independent = row.operation.independent
        layer["wanted"] |= (independent and bool(row.shapes)) << 2
        trained = bool(row.shapes) or (not independent and any(value.trained for value in read))
        layer["differentiated"], layer["bounded"] = trained, row.operation.inner_products
        layer["across"], layer["lanes"] = row.operation.across is not None, row.lanes
        layer["inputs"], layer["outputs"] = read[0].width, row.outputs
        layer["activation"], layer["parameter"] = row.activation, row.parameter
        layer["from_output"] = row.from_output
        layer["numbers"][: len(row.numbers)] = row.numbers
        layer["window"][: len(row.window)] = row.window
        layer["source"], layer["source_stride"] = read[0].place, read[0].stride
        layer["other"], layer["other_stride"] = read[-1].place, read[-1].stride
        stride = _stride(row, across)
        layer["panels"] = stride // sizes.nr
        if row.shapes:
            size = row.operation.storage.place(layer, row.shapes, sizes)
            layer["weights"], layer["transposed"] = parameters, transposed
            layer["biases"] = layer["biases_end"] = parameters + size.weights
            layer["biases_end"] += math.prod(row.shapes.get(BIAS, (0,)))
            if row.layer in first:
                layer["transposed"] = layers[first[row.layer]]["transposed"]
            else:
                parameters += size.weights + size.biases
                transposed += size.transposed
            room = max(room, row.operation.storage.room(layer, sizes))
        layer["target_stride"] = stride
        given = _taken_over(row, rows, readers)
        if given:
            layer["target"] = layer["kept"] = values[given].place
        else:
            layer["target"] = layer["kept"] = end
            end += stride
        values.append(_Value(int(layer["target"]), row.outputs, stride, trained))
        if not row.from_output and row.operation.hands_on:
            layer["kept"] = read[0].place  # what it adds up is there
        elif not row.from_output:
            layer["kept"], layer["apart"] = end, True
            end += stride
        layer["extra"], layer["shared"], layer["buffers"] = end, shared, buffers
        end += row.kept
        shared += row.shared
        if row.layer not in first:
            buffers += sum(math.prod(shape) for shape in row.buffers.values())
        layer["again"] = bool(row.layer) and row.layer in first
        if row.layer:
            first.setdefault(row.layer, len(values) - 2)
    layers["buffers"] += parameters
    if places is not None:
        parameters, buffers = places.parameters, places.buffers
    for layer, row in zip(layers, rows, strict=True):
        if row.layer and (places is not None or layer["again"]):
            known = layers[first[row.layer]] if places is None else places.rows[row.layer]
            for field in ("weights", "biases", "biases_end", "buffers"):
                layer[field] = known[field]
    _set_bands(rows, layers, sizes.width * np.dtype(dtype).itemsize)
    blocks, again = _blocks(rows, layers, sizes)
    longest = [
        block["end"] - block["begin"] + block["bias_end"] - block["bias_begin"] for block in again
    ]
    outputs = rows[-1].outputs
    return Program(
        tuple(rows),
        layers,
        blocks,
        again,
        np.flatnonzero(layers["across"]),
        parameters,
        end,
        transposed,
        room + max(longest, default=0),
        shared,
        buffers,
        max(sizes.mr, sizes.width) if any(row.lanes for row in rows) else sizes.mr,
        any(row.lanes for row in rows),
        inputs_trained,
        inputs,
        outputs,
        sizes,
        np.dtype(dtype),
    )


# Bytes of a band of one value, at most, if one line is not more.
_BAND = 2**16


def _set_bands(rows: Sequence[Row], layers: np.ndarray, vector: int) -> None:
    """Which rows go along with which, band by band; a vector has so many bytes."""
    for k, (layer, row) in enumerate(zip(layers, rows, strict=True)):
        if row.lanes and len(row.shape) == 3:
            layer["line"] = row.shape[0] * row.shape[2]
        if not row.operation.bands or row.reads[0] == 0:
            continue
        by_elements = row.operation.bands == ELEMENTS
        given = layer if by_elements else layers[row.reads[0] - 1]
        layer["back_line"], layer["back_stride"] = given["line"], given["target_stride"]
        for name, line in (("band", layer["line"]), ("back_band", given["line"])):
            layer[name] = line * max(1, _BAND // max(1, int(line) * vector))
        above = layers[k - 1]
        if by_elements and layer["band"] and _agree(layer, above, "line", "target_stride"):
            above["along"] = 1 if above["band"] else 0
    for k in range(len(rows) - 2, -1, -1):
        if layers[k]["along"]:
            layers[k]["along"] += layers[k + 1]["along"]
    for k in range(1, len(rows)):
        layer, below = layers[k], layers[k - 1]
        goes_along = rows[k - 1].operation.bands == ELEMENTS and not below["across"]
        agrees = (below["line"], below["target_stride"]) == (
            layer["back_line"], layer["back_stride"],
        )  # fmt: skip
        if layer["back_band"] and goes_along and agrees:
            layer["along_back"] = 1 + below["along_back"]


def _agree(one: np.ndarray, other: np.ndarray, *names: str) -> bool:
    return all(one[name] == other[name] for name in names)


def _blocks(
    rows: Sequence[Row], layers: np.ndarray, sizes: NetworkBlocking
) -> tuple[np.ndarray, np.ndarray]:
    """The blocks of all parameters, and those of rows whose parameters another row has, too."""
    own: list[tuple[int, ...]] = []
    more: list[tuple[int, ...]] = []
    last: dict[tuple[str, int], tuple[list[tuple[int, ...]], int]] = {}
    for k, row in enumerate(rows):
        pieces = row.operation.storage.pieces(layers[k], sizes) if row.shapes else ()
        for number, piece in enumerate(pieces):
            into, key = more if layers[k]["again"] else own, (row.layer, number)
            if layers[k]["again"]:
                before, index = last[key]
                before[index] = (*before[index][:-1], len(more))
            last[key] = into, len(into)
            into.append((k, *piece, -1))
    return np.array(own, BLOCK), np.array(more, BLOCK)


def put_tensor(
    program: Program, index: int, name: str, buffer: np.ndarray, tensor: np.ndarray
) -> None:
    """Store a tensor of a row, of PyTorch's shape, in a buffer of the parameters' form."""
    storage = program.made_of[index].operation.storage
    storage.put(program.layers[index], name, buffer, tensor, program.blocking)


def take_tensor(program: Program, index: int, name: str, buffer: np.ndarray) -> np.ndarray:
    """What :func:`put_tensor` has stored: a copy."""
    row = program.made_of[index]
    shape, storage = row.shapes[name], row.operation.storage
    return storage.take(program.layers[index], name, buffer, shape, program.blocking)


def _taken_over(row: Row, rows: Sequence[Row], readers: Mapping[int, int]) -> int:
    """The value in whose place a row's own value stands, as nobody else reads it; 0: none.

    A sum has the derivative 1 by each of its terms: the term's deltas are those of the sum. Rows whose
    rules take bands do not look at what they gave when they go back, unless a function does.
    """
    if row.operation.takes_over and row.lanes and row.from_output:
        for number, factor in zip(row.reads, row.numbers, strict=True):
            alone = number > 0 and readers[number] == 1 and factor == 1.0
            if alone and rows[number - 1].operation.bands and rows[number - 1].activation == 0:
                return number
    return 0


def _accumulated(rows: Sequence[Row]) -> list[int]:
    """For each row the bits of what it reads whose deltas a reader before it has written.

    Before: in the reversed program, and of one row in the order of what it reads.
    """
    written: set[int] = set()
    found = []
    for row in reversed(rows):
        bits = 0
        for j, number in enumerate(row.reads):
            bits |= (number in written) << j
            written.add(number)
        found.append(bits)
    return found[::-1]
