"""The dense layer: an inner product for each output, on the tile engine.

An element of a result is always added up by the same multiply-adds in the same order, whatever part it
is computed in: results do not depend on threads. Every rule is one product, for a batch of values A
(rows: observations), weights W and deltas D:

========= =============================== ==================== ============================
rule      what                            rows of a            rows of b
========= =============================== ==================== ============================
forward   A W + biases                    observations         inputs: a panel of W
backward  D Wᵀ                            observations         outputs: a panel of Wᵀ
gradients Aᵀ D                            inputs               observations: of D
========= =============================== ==================== ============================

Weights stand in *panels* of `nr` outputs, input by input, as the micro-kernel reads them, then biases::

    weight (output o, input i)  at  weights + (o // nr) · padded inputs · nr + i · nr + o % nr

A layer of very few outputs would waste most of a panel: it is *thin*, its weights stand output by output
as PyTorch has them, and each output is an inner product of two rows::

    weight (output o, input i)  at  weights + o · padded inputs + i
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fastkb.checks.scalars import check_flag, check_whole
from fastkb.nn.checks import check_initialization
from fastkb.nn.ops.operation import Layer, Operation, Row
from fastkb.nn.ops.storage import BIAS, WEIGHT, Piece, Size, Storage
from fastkb.runtime import inline
from fastkb.tile import vector as simd
from fastkb.tile.blocking import NetworkBlocking
from fastkb.tile.multiply import Operand, Part, multiply_layers, multiply_rows


@dataclass(frozen=True)
class Linear(Layer):
    r"""A dense layer: :math:`a = W x + b`.

    Parameters
    ----------
    in_features, out_features : int
        Widths, 1 at least.
    bias : bool, default True
        Whether there is an intercept b.
    initialization : {"torch", "he", "glorot"}, default "torch"
        Weights are drawn evenly from -r to r: PyTorch's :math:`r = \sqrt{1/n}` for n inputs, and
        intercepts likewise; He's :math:`\sqrt{6/n}` (for ReLU) and Glorot's
        :math:`\sqrt{6/(n + m)}` for m outputs, and intercepts of zero.

    References
    ----------
    Glorot, Bengio (2010), AISTATS. He, Zhang, Ren, Sun (2015), ICCV.

    Examples
    --------
    >>> from fastkb import nn
    >>> nn.Linear(10, 64)
    Linear(in_features=10, out_features=64, bias=True, initialization='torch')
    """

    evenly_drawn: ClassVar[bool] = True

    in_features: int
    out_features: int
    bias: bool = True
    initialization: str = "torch"

    def __post_init__(self) -> None:
        for name in ("in_features", "out_features"):
            object.__setattr__(self, name, check_whole(name, getattr(self, name), 1))
        object.__setattr__(self, "bias", check_flag("bias", self.bias))
        check_initialization(self.initialization)

    @property
    def widths(self) -> tuple[int, int]:
        return self.in_features, self.out_features

    def shapes(self) -> dict[str, tuple[int, ...]]:
        weight: dict[str, tuple[int, ...]] = {WEIGHT: (self.out_features, self.in_features)}
        return weight | ({BIAS: (self.out_features,)} if self.bias else {})

    def draw(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        n, m = self.in_features, self.out_features
        squared = {"torch": 1 / n, "he": 6 / n, "glorot": 6 / (n + m)}[self.initialization]
        r = math.sqrt(squared)
        drawn = {WEIGHT: rng.uniform(-r, r, (m, n))}
        if self.bias:
            even = self.initialization == "torch"
            drawn[BIAS] = rng.uniform(-r, r, m) if even else np.zeros(m)
        return drawn

    def rows(self, read: int, shape: tuple[int, ...], following: int) -> list[Row]:
        work = self.in_features * self.out_features
        return [Row(DENSE, (read,), self.out_features, self.shapes(), work=work)]


# --- rules --------------------------------------------------------------------------------------


@inline(references=False)
def _dots(row, parameters, values, span, sizes):
    """What a thin layer adds up: each output is a product of two rows."""
    depth = (row.inputs + sizes.width - 1) // sizes.width * sizes.width
    source, stride = row.source * sizes.capacity, row.source_stride
    target = row.kept * sizes.capacity
    for r in range(span.begin, span.stop, sizes.mr):
        for o in range(row.outputs):
            simd.dot_rows(
                values, source + r * stride, stride, parameters, row.weights + o * row.inputs_padded,
                depth, parameters, row.biases + o, values, target + r * row.target_stride + o,
                row.target_stride,
            )  # fmt: skip


def forward(row, parameters, values, span, sizes):
    """A W + biases."""
    if row.thin:
        _dots(row, parameters, values, span, sizes)
    else:
        multiply_layers(
            Operand(
                values,
                row.source * sizes.capacity,
                row.source_stride,
                1,
                sizes.mr * row.source_stride,
            ),
            Operand(parameters, row.weights, 0, sizes.nr, row.inputs_padded * sizes.nr),
            Operand(parameters, row.biases, 0, 0, sizes.nr),
            Operand(values, row.kept * sizes.capacity, row.target_stride, 0, sizes.nr),
            row.inputs,
            Part(span.begin, span.stop, 0, row.panels, sizes.observations, row.outputs),
            False,
            parameters,
        )


def backward(row, parameters, transposed, values, deltas, span, sizes):
    """D Wᵀ."""
    source, stride = row.source * sizes.capacity, row.source_stride
    turned = Operand(transposed, row.transposed, 0, sizes.nr, row.panels * sizes.nr * sizes.nr)
    if row.thin:
        turned = Operand(parameters, row.weights, 0, row.inputs_padded, sizes.nr)
    into = Operand(deltas, source, stride, 0, sizes.nr)
    multiply_layers(
        Operand(
            deltas, row.target * sizes.capacity, row.target_stride, 1, sizes.mr * row.target_stride
        ),
        turned,
        into,
        into,
        row.outputs,
        Part(span.begin, span.stop, 0, stride // sizes.nr, sizes.observations, row.inputs),
        row.accumulate & 1 == 0,
        parameters,
    )


def gradients_of(row, block, gradients, values, deltas, ones, room, sizes):
    """Aᵀ D, for a block of weights, and the sums of D for its biases."""
    source, source_stride = row.source * sizes.capacity, row.source_stride
    target, stride = row.target * sizes.capacity, row.target_stride
    if row.thin:
        into = Operand(gradients, row.weights, row.inputs_padded, 0, sizes.nr)
        multiply_rows(
            Operand(deltas, target, 0, stride, 1),
            Operand(values, source, 0, source_stride, sizes.nr),
            into,
            into,
            sizes.observations,
            Part(
                0,
                row.outputs,
                0,
                (row.inputs_padded + sizes.nr - 1) // sizes.nr,
                row.outputs,
                row.inputs_padded,
            ),
            True,
            ones,
        )
    else:
        inputs = (row.inputs + sizes.mr - 1) // sizes.mr * sizes.mr
        into = Operand(gradients, row.weights, sizes.nr, 0, row.inputs_padded * sizes.nr)
        multiply_layers(
            Operand(values, source, 1, source_stride, sizes.mr),
            Operand(deltas, target, 0, stride, sizes.nr),
            into,
            into,
            sizes.observations,
            Part(
                block.input,
                min(block.input_stop, inputs),
                block.panel,
                block.panel + 1,
                row.inputs,
                row.outputs,
            ),
            True,
            ones,
        )
    if block.bias_begin < block.bias_end:
        into = Operand(gradients, block.bias_begin, 0, 0, 0)
        multiply_rows(
            Operand(ones, 0, 0, 0, 0),
            Operand(deltas, target + block.panel * sizes.nr, 0, stride, 0),
            into,
            into,
            sizes.observations,
            Part(0, 1, 0, 1, 1, sizes.nr),
            True,
            ones,
        )


def transpose(row, block, parameters, transposed, sizes):
    """The transpose of a block of weights, if the deltas of the inputs are wanted."""
    if row.wanted & 1 and not row.thin:
        height = row.panels * sizes.nr * sizes.nr
        column = row.transposed + block.panel * sizes.nr * sizes.nr
        start = block.begin - block.input * sizes.nr
        for i in range(block.input, block.input_stop, sizes.width):
            to = column + (i // sizes.nr) * height + i % sizes.nr
            for j in range(0, sizes.nr, sizes.width):
                simd.transpose_block(
                    parameters,
                    start + i * sizes.nr + j,
                    sizes.nr,
                    transposed,
                    to + j * sizes.nr,
                    sizes.nr,
                )


# --- storage ------------------------------------------------------------------------------------

# Outputs up to which a layer is thin: with four, a panel's half costs no more.
_THIN = 3

# Inputs of a block, about: 16 to 32 KB of weights and their gradients stay in the first-level cache.
_BLOCK = 256


def _up(count: int, unit: int) -> int:
    return -(-count // unit) * unit


def _tile(sizes: NetworkBlocking) -> int:
    """Rows of a gradient come in micro-tiles of mr, which may be more than a vector."""
    return max(sizes.width, sizes.mr)


class Panels(Storage):
    """Weights in panels, see above, and a bias for each of their columns."""

    def place(
        self, row: Any, shapes: Mapping[str, tuple[int, ...]], sizes: NetworkBlocking
    ) -> Size:
        thin = row["outputs"] <= _THIN
        row["thin"] = thin
        row["inputs_padded"] = row["source_stride"] if thin else _up(row["inputs"], _tile(sizes))
        across = int(row["panels"]) * sizes.nr
        columns = int(row["outputs"]) if thin else across
        transposed = 0 if thin else int(row["source_stride"]) * across
        return Size(columns * int(row["inputs_padded"]), across, transposed)

    def pieces(self, row: Any, sizes: NetworkBlocking) -> Iterator[Piece]:
        nr = sizes.nr
        start, padded, biases = (int(row[name]) for name in ("weights", "inputs_padded", "biases"))
        if row["thin"]:
            panels, inputs = 1, biases - start  # one block
            height = inputs
        else:
            panels, inputs = int(row["panels"]), padded
            height = _up(-(-inputs // -(-inputs // _BLOCK)), _tile(sizes))
        for panel in range(panels):
            for first in range(0, inputs, height):
                stop = min(first + height, inputs)
                unit = 1 if row["thin"] else nr
                begin = start + panel * padded * nr + first * unit
                bias = biases + panel * nr
                width = nr if row["has_biases"] and first == 0 else 0
                end = begin + (stop - first) * unit
                yield Piece(panel, first, stop, begin, end, bias, bias + width)

    def put(
        self, row: Any, name: str, buffer: np.ndarray, tensor: np.ndarray, sizes: NetworkBlocking
    ) -> None:
        if name == BIAS:
            super().put(row, name, buffer, tensor, sizes)
            return
        part = self._weights(row, buffer, sizes)
        panels, inputs = part.shape[:2]
        whole = np.zeros((panels * (1 if row["thin"] else sizes.nr), inputs), buffer.dtype)
        whole[: row["outputs"], : row["inputs"]] = tensor
        if not row["thin"]:
            whole = whole.reshape(panels, -1, inputs).transpose(0, 2, 1)
        part[...] = whole

    def take(
        self, row: Any, name: str, buffer: np.ndarray, shape: Sequence[int], sizes: NetworkBlocking
    ) -> np.ndarray:
        if name == BIAS:
            return super().take(row, name, buffer, shape, sizes)
        part = self._weights(row, buffer, sizes)
        whole = part if row["thin"] else part.transpose(0, 2, 1).reshape(-1, part.shape[1])
        return np.array(whole[: shape[0], : shape[1]])

    def _weights(self, row: Any, buffer: np.ndarray, sizes: NetworkBlocking) -> np.ndarray:
        """A view of the weights as they stand.

        # shape: (panels, inputs, nr); (outputs, inputs) of a thin layer
        """
        part, inputs = self.run(row, WEIGHT, buffer), int(row["inputs_padded"])
        return part.reshape((-1, inputs) if row["thin"] else (-1, inputs, sizes.nr))


DENSE = Operation(
    "dense", forward, backward, gradients_of, transpose, Panels(), inner_products=True
)
