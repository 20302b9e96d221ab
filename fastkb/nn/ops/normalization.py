"""Batch normalisation: values centred and scaled by their mean and variance over a batch.

The statistics need all observations of the batch before any of them goes on: :class:`Across` says what is
done then. With N values of a channel, x̂ = (x - mean) / √(variance + ε), y = γ x̂ + β, and the derivatives
δ of the loss in y::

    d/dγ = Σ δ x̂        d/dβ = Σ δ        d/dx = γ / √(variance + ε) · (δ - Σ δ / N - x̂ Σ δ x̂ / N)

Sums over a batch are taken lane by lane within a vector of observations, and then in float64 over lanes
and vectors, the same for any number of threads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fastkb.checks.scalars import check_flag, check_number, check_whole
from fastkb.nn.ops.images.sizes import image_shape
from fastkb.nn.ops.operation import LANES, Across, Layer, Operation, Row, Shape, nothing
from fastkb.nn.ops.storage import BIAS, WEIGHT
from fastkb.nn.optim.updates import scale
from fastkb.nn.program.passes import clear
from fastkb.runtime import inline
from fastkb.tile.lanes.loops import (
    denormalize_channels,
    denormalize_more_channels,
    multiply_channels,
    normalize_channels,
    square_channels,
    sum_channels,
)

MEAN, VARIANCE, BATCHES = "running_mean", "running_var", "num_batches_tracked"

# Whole numbers of a row; its own numbers; and what stands at `row.shared`, of each channel.
CHANNELS, POSITIONS = 0, 1
EPS, MOMENTUM = 0, 1
(
    CENTER, SCALE, SHIFT, TOTAL, PRODUCT, UNBIASED, INVERSE, BY_WEIGHT, BY_BIAS
) = range(9)  # fmt: skip
_SHARED = 9


class _BatchNorm(Layer):
    """What both kinds have in common."""

    needs_a_batch: ClassVar[bool] = True

    num_features: int
    eps: float
    momentum: float | None
    affine: bool

    def __post_init__(self) -> None:
        self._set("num_features", check_whole("num_features", self.num_features, 1))
        self._set("eps", check_number("eps", self.eps, 0.0))
        if self.momentum is not None:
            self._set("momentum", check_number("momentum", self.momentum, 0.0, 1.0))
        self._set("affine", check_flag("affine", self.affine))

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        shape = (self.num_features,)
        return {WEIGHT: shape, BIAS: shape} if self.affine else {}

    def buffers(self) -> dict[str, tuple[int, ...]]:
        return {MEAN: (self.num_features,), VARIANCE: (self.num_features,), BATCHES: ()}

    def draw(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        ones = np.ones(self.num_features)
        drawn = {WEIGHT: ones, BIAS: 0.0 * ones} if self.affine else {}
        return drawn | {MEAN: 0.0 * ones, VARIANCE: ones, BATCHES: np.zeros(())}

    def check_batch(self, shape: tuple[int, ...], observations: int) -> None:
        if observations * math.prod(shape) // self.num_features < 2:
            raise ValueError(
                f"gets one value per channel in a batch of {observations}, which has no variance: take "
                "another batch_size"
            )

    def rows(self, read: int, shape: tuple[int, ...], following: int) -> list[Row]:
        size = math.prod(shape)
        momentum = -1.0 if self.momentum is None else self.momentum
        return [
            Row(
                BATCH_NORM,
                (read,),
                size,
                self.shapes(),
                numbers=(self.eps, momentum),
                window=(self.num_features, size // self.num_features),
                buffers=self.buffers(),
                kept=2 * self.num_features,
                shared=_SHARED * self.num_features,
                work=size,
            )
        ]


@dataclass(frozen=True)
class BatchNorm2d(_BatchNorm):
    r"""Batch normalisation of images, channel by channel.

    .. math:: y = \frac{x - \mu}{\sqrt{\sigma^2 + \varepsilon}}\, \gamma + \beta

    In training μ and σ² are mean and variance over the batch and over all positions, and running ones
    follow them; elsewhere the running ones serve.

    Parameters
    ----------
    num_features : int
        Channels.
    eps : float, default 1e-5
        ε.
    momentum : float or None, default 0.1
        Share of a batch in the running statistics; None: their plain mean over all batches.
    affine : bool, default True
        Whether there are γ and β, ``"weight"`` and ``"bias"``; else they are 1 and 0.

    References
    ----------
    Ioffe, Szegedy (2015), ICML.

    Examples
    --------
    >>> from fastkb import nn
    >>> sorted(nn.Sequential(nn.BatchNorm2d(4), rng=0).state_dict())[:3]
    ['0.bias', '0.num_batches_tracked', '0.running_mean']
    """

    num_features: int
    eps: float = 1e-5
    momentum: float | None = 0.1
    affine: bool = True

    @property
    def takes(self) -> Shape:
        return self.num_features, None, None

    @property
    def smallest(self) -> tuple[int, ...]:
        return self.num_features, 1, 1

    def shape_of(self, shape: Shape) -> Shape:
        return image_shape(shape, self.num_features)


@dataclass(frozen=True)
class BatchNorm1d(_BatchNorm):
    """Batch normalisation of values that are no images: of each column.

    Parameters
    ----------
    num_features : int
        Columns.
    eps, momentum, affine
        As for :class:`BatchNorm2d`.

    Examples
    --------
    >>> from fastkb import nn
    >>> nn.BatchNorm1d(64).shape_of((64,))
    (64,)
    """

    num_features: int
    eps: float = 1e-5
    momentum: float | None = 0.1
    affine: bool = True

    @property
    def widths(self) -> tuple[int, int]:
        return self.num_features, self.num_features


# --- rules --------------------------------------------------------------------------------------


@inline(references=False)
def _shared(row, sizes, what):
    return sizes.shared + row.shared + what * row.window[CHANNELS]


def reduce(row, values, deltas, span, sizes):
    """Lane by lane: the mean over positions, and the sum of squared distances to it."""
    channels, positions = row.window[CHANNELS], row.window[POSITIONS]
    size = channels * sizes.width
    for begin in range(span.begin, span.stop, sizes.width):
        x = row.source * sizes.capacity + begin * row.source_stride
        at = row.extra * sizes.capacity + begin * 2 * channels
        clear(values[at : at + 2 * size])
        sum_channels(values, (x,), values, (x,), values, (0,), values, (at,), (positions, channels))
        scale(values[at : at + size], 1.0 / positions)
        square_channels(
            values, (x,), values, (x,), values, (0,), values, (at, at + size), (positions, channels)
        )


def combine(row, parameters, values, deltas, sizes):
    """Mean and variance over the batch, of the means and squares of each observation."""
    channels, positions, width = row.window[CHANNELS], row.window[POSITIONS], sizes.width
    count = sizes.observations * positions
    first = row.extra * sizes.capacity
    for c in range(channels):
        mean, squares = 0.0, 0.0
        for n in range(sizes.observations):
            mean += values[first + (n // width * 2 * channels + c) * width + n % width]
        mean /= sizes.observations
        for n in range(sizes.observations):
            at = first + (n // width * 2 * channels + c) * width + n % width
            distance = values[at] - mean
            squares += values[at + channels * width] + positions * distance * distance
        inverse = 1.0 / math.sqrt(squares / count + row.numbers[EPS])
        weight = parameters[row.weights + c] if row.has_weights else 1.0
        values[_shared(row, sizes, CENTER) + c] = mean
        values[_shared(row, sizes, INVERSE) + c] = inverse
        values[_shared(row, sizes, SCALE) + c] = weight * inverse
        values[_shared(row, sizes, SHIFT) + c] = (
            parameters[row.biases + c] if row.has_biases else 0.0
        )
        values[_shared(row, sizes, UNBIASED) + c] = squares / max(count - 1, 1)


def forward(row, parameters, values, span, sizes):
    """Centred and scaled, by the batch's statistics or by the running ones."""
    channels, positions = row.window[CHANNELS], row.window[POSITIONS]
    center, scale, shift = (
        _shared(row, sizes, CENTER), _shared(row, sizes, SCALE), _shared(row, sizes, SHIFT)
    )  # fmt: skip
    if not sizes.training:
        # Each thread has its own, where the statistics of its observations would be.
        center = row.extra * sizes.capacity + span.begin * 2 * channels
        scale, shift = center + channels, center + 2 * channels
        for c in range(channels):
            weight = parameters[row.weights + c] if row.has_weights else 1.0
            variance = parameters[row.buffers + channels + c]
            values[center + c] = parameters[row.buffers + c]
            values[scale + c] = weight / math.sqrt(variance + row.numbers[EPS])
            values[shift + c] = parameters[row.biases + c] if row.has_biases else 0.0
    for begin in range(span.begin, span.stop, sizes.width):
        x = row.source * sizes.capacity + begin * row.source_stride
        y = row.kept * sizes.capacity + begin * row.target_stride
        normalize_channels(
            values, (x,), values, (x,), values, (center, scale, shift), values, (y,),
            (positions, channels),
        )  # fmt: skip


def reduce_back(row, values, deltas, span, sizes):
    """Lane by lane: the sums of deltas, and of deltas times distances to the mean."""
    channels, positions = row.window[CHANNELS], row.window[POSITIONS]
    size = channels * sizes.width
    for begin in range(span.begin, span.stop, sizes.width):
        x = row.source * sizes.capacity + begin * row.source_stride
        d = row.target * sizes.capacity + begin * row.target_stride
        at = row.extra * sizes.capacity + begin * 2 * channels
        clear(deltas[at : at + 2 * size])
        multiply_channels(
            deltas, (d,), values, (x,), values, (_shared(row, sizes, CENTER),), deltas,
            (at, at + size), (positions, channels),
        )  # fmt: skip


def combine_back(row, parameters, values, deltas, sizes):
    """The sums over the batch: derivatives by γ and β, and what the deltas lose."""
    channels, width = row.window[CHANNELS], sizes.width
    count = sizes.observations * row.window[POSITIONS]
    first = row.extra * sizes.capacity
    for c in range(channels):
        total, product = 0.0, 0.0
        for n in range(sizes.observations):
            at = first + (n // width * 2 * channels + c) * width + n % width
            total += deltas[at]
            product += deltas[at + channels * width]
        inverse = float(values[_shared(row, sizes, INVERSE) + c])
        values[_shared(row, sizes, TOTAL) + c] = total / count
        values[_shared(row, sizes, PRODUCT) + c] = product * inverse * inverse / count
        values[_shared(row, sizes, BY_WEIGHT) + c] = product * inverse
        values[_shared(row, sizes, BY_BIAS) + c] = total


def backward(row, parameters, transposed, values, deltas, span, sizes):
    """The deltas of what it takes."""
    channels, positions, width = row.window[CHANNELS], row.window[POSITIONS], sizes.width
    center, scale = _shared(row, sizes, CENTER), _shared(row, sizes, SCALE)
    total, product = _shared(row, sizes, TOTAL), _shared(row, sizes, PRODUCT)
    for begin in range(span.begin, span.stop, width):
        x = row.source * sizes.capacity + begin * row.source_stride
        d = row.target * sizes.capacity + begin * row.target_stride
        if row.accumulate & 1:
            denormalize_more_channels(
                deltas, (d, x), values, (x,), values, (center, scale, total, product), deltas, (x,),
                (positions, channels),
            )  # fmt: skip
        else:
            denormalize_channels(
                deltas, (d,), values, (x,), values, (center, scale, total, product), deltas, (x,),
                (positions, channels),
            )  # fmt: skip
        for lane in range(max(0, sizes.observations - begin), width):
            for k in range(positions * channels):
                deltas[x + k * width + lane] = 0.0


def gradients_of(row, block, gradients, values, deltas, ones, room, sizes):
    """Those of γ and β, which are summed up already."""
    for c in range(row.window[CHANNELS]):
        gradients[block.begin + c] = values[_shared(row, sizes, BY_WEIGHT) + c]
        gradients[block.bias_begin + c] = values[_shared(row, sizes, BY_BIAS) + c]


def settle(row, parameters, values, sizes):
    """Let the running statistics follow the batch's."""
    channels = row.window[CHANNELS]
    batches = row.buffers + 2 * channels
    parameters[batches] += 1.0
    share = row.numbers[MOMENTUM]
    if share < 0.0:
        share = 1.0 / parameters[batches]
    for c in range(channels):
        for what, at in (
            (CENTER, row.buffers + c),
            (UNBIASED, row.buffers + channels + c),
        ):
            new = values[_shared(row, sizes, what) + c]
            parameters[at] = (1.0 - share) * parameters[at] + share * new


BATCH_NORM = Operation(
    "batch normalisation", forward, backward, gradients_of, nothing, reads=LANES, writes=LANES,
    across=Across(reduce, combine, reduce_back, combine_back, settle),
)  # fmt: skip
