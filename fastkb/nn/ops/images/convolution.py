"""The convolution: sums over windows of images, whose observations stand side by side.

Every rule is one nest of :mod:`fastkb.tile.lanes.windows`:

========= ================================================================================
rule      what
========= ================================================================================
forward   each output: its window, times the weights
backward  each input: the windows that it is in; weights turned, and taps in reverse
gradients each weight: what its tap meets, times the outputs' deltas
========= ================================================================================
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fastkb.checks.scalars import check_flag, check_whole
from fastkb.nn.checks import check_initialization
from fastkb.nn.ops.images.sizes import CALLED, as_image, as_pair, check_sides, image_shape, windows
from fastkb.nn.ops.images.taps import (
    CHANNELS,
    COLUMNS,
    DILATION_ALONG,
    DILATION_DOWN,
    GROUPS,
    HEIGHT,
    KERNEL_COLUMNS,
    KERNEL_ROWS,
    OUTPUT_COLUMNS,
    OUTPUT_ROWS,
    OUTPUTS,
    PADDING_ALONG,
    PADDING_DOWN,
    ROWS,
    STRIDE_ALONG,
    STRIDE_DOWN,
    TURNED_HEIGHT,
    Taps,
)
from fastkb.nn.ops.operation import LANES, WINDOWS, Layer, Operation, Row, Shape
from fastkb.nn.ops.storage import BIAS, WEIGHT
from fastkb.nn.program.passes import Range
from fastkb.runtime import inline
from fastkb.tile.lanes.window_kernel import FROM_BASE, FROM_THERE, FROM_ZERO
from fastkb.tile.lanes.windows import Axis, Image, Weights, convolve, correlate

# What the sides of a window are called.
_SIDES = {1: ("length",), 2: ("height", "width")}


class _Convolution(Layer):
    """What both kinds have in common."""

    _axes: ClassVar[int]
    evenly_drawn: ClassVar[bool] = True

    in_channels: int
    out_channels: int
    kernel_size: Any
    stride: Any
    padding: Any
    dilation: Any
    groups: int
    bias: bool
    initialization: str

    def __post_init__(self) -> None:
        for name in ("in_channels", "out_channels", "groups"):
            self._set(name, check_whole(name, getattr(self, name), 1))
        for name in ("kernel_size", "stride", "dilation"):
            self._set(name, check_sides(name, getattr(self, name), 1, self._axes))
        self._set("padding", self._padding())
        for name in ("in_channels", "out_channels"):
            if getattr(self, name) % self.groups:
                raise ValueError(
                    f"{name} must be a multiple of groups={self.groups}, got {getattr(self, name)}"
                )
        self._set("bias", check_flag("bias", self.bias))
        check_initialization(self.initialization)

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def _padding(self) -> tuple[int, ...]:
        if not isinstance(self.padding, str):
            return check_sides("padding", self.padding, 0, self._axes)
        if self.padding not in ("same", "valid"):
            raise ValueError(
                f"padding must be whole numbers, 'same' or 'valid', got {self.padding!r}"
            )
        if self.padding == "valid":
            return (0,) * self._axes
        reach = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True)]
        if any(each > 1 for each in self.stride) or any(each % 2 for each in reach):
            raise ValueError(
                "padding='same' needs a stride of 1 and windows that reach as far to both sides, got "
                f"stride={self.stride}, kernel_size={self.kernel_size}, dilation={self.dilation}"
            )
        return tuple(each // 2 for each in reach)

    @property
    def takes(self) -> Shape:
        return self.in_channels, *[None] * self._axes

    @property
    def smallest(self) -> tuple[int, ...]:
        reach = (d * (k - 1) + 1 for d, k in zip(self.dilation, self.kernel_size, strict=True))
        return self.in_channels, *reach

    def shape_of(self, shape: Shape) -> Shape:
        _, *sides = image_shape(shape, self.in_channels, self._axes)
        found: list[int | None] = []
        for k, (size, what) in enumerate(zip(sides, _SIDES[self._axes], strict=True)):
            count = None
            if size is not None:
                count = windows(
                    size, self.kernel_size[k], self.stride[k], self.padding[k], self.dilation[k]
                )
                if count < 1:
                    raise ValueError(
                        f"has windows of {what} {self.dilation[k] * (self.kernel_size[k] - 1) + 1}, and "
                        f"gets {CALLED[self._axes][0]} that have {size + 2 * self.padding[k]} with their "
                        "padding"
                    )
            found.append(count)
        return self.out_channels, *found

    def shapes(self) -> dict[str, tuple[int, ...]]:
        weight = (self.out_channels, self.in_channels // self.groups, *self.kernel_size)
        return {WEIGHT: weight} | ({BIAS: (self.out_channels,)} if self.bias else {})

    def draw(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        shape, taps = self.shapes()[WEIGHT], math.prod(self.kernel_size)
        n, m = shape[1] * taps, shape[0] // self.groups * taps
        squared = {"torch": 1 / n, "he": 6 / n, "glorot": 6 / (n + m)}[self.initialization]
        r = math.sqrt(squared)
        drawn = {WEIGHT: rng.uniform(-r, r, shape)}
        if self.bias:
            even = self.initialization == "torch"
            drawn[BIAS] = rng.uniform(-r, r, shape[0]) if even else np.zeros(shape[0])
        return drawn

    def rows(self, read: int, shape: tuple[int, ...], following: int) -> list[Row]:
        given = self.gives(shape)
        # A sequence is an image of one row.
        window = (
            *as_image(shape), *as_image(given), *as_pair(self.kernel_size, 1), *as_pair(self.stride, 1),
            *as_pair(self.padding, 0), *as_pair(self.dilation, 1), self.groups,
        )  # fmt: skip
        outputs = math.prod(given)
        work = math.prod(self.shapes()[WEIGHT]) * math.prod(given[1:])
        return [Row(CONVOLUTION, (read,), outputs, self.shapes(), window=window, work=work)]


@dataclass(frozen=True)
class Conv2d(_Convolution):
    r"""A convolution of images, as PyTorch has it: no kernel is mirrored.

    .. math:: a_{o, y, x} = b_o + \sum_{c, i, j} W_{o, c, i, j}\, x_{c,\, s y - p + d i,\, s x - p + d j}

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the images that it takes and gives.
    kernel_size : int or (int, int)
        Height and width of the window.
    stride : int or (int, int), default 1
        Distance of windows.
    padding : int or (int, int), default 0
        Zeros around the images; ``"same"`` gives images of the same size, for a stride of 1 and windows
        that reach as far to both sides; ``"valid"`` is none.
    dilation : int or (int, int), default 1
        Distance of a window's elements.
    groups : int, default 1
        Parts into which channels fall: those of an output part are made of the same input part alone.
    bias : bool, default True
        Whether there are intercepts b.
    initialization : {"torch", "he", "glorot"}, default "torch"
        As for :class:`Linear`, of a window's number of elements.

    References
    ----------
    LeCun, Bottou, Bengio, Haffner (1998), Proceedings of the IEEE 86(11).

    Examples
    --------
    >>> from fastkb import nn
    >>> nn.Conv2d(1, 6, 3).kernel_size
    (3, 3)
    """

    _axes: ClassVar[int] = 2

    in_channels: int
    out_channels: int
    kernel_size: Any
    stride: Any = 1
    padding: Any = 0
    dilation: Any = 1
    groups: int = 1
    bias: bool = True
    initialization: str = "torch"


@dataclass(frozen=True)
class Conv1d(_Convolution):
    r"""A convolution of sequences of shape (channels, length).

    .. math:: a_{o, x} = b_o + \sum_{c, j} W_{o, c, j}\, x_{c,\, s x - p + d j}

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the sequences that it takes and gives.
    kernel_size : int
        Length of the window.
    stride, padding, dilation, groups, bias, initialization
        As for :class:`Conv2d`, of one side.

    Examples
    --------
    >>> from fastkb import nn
    >>> nn.Conv1d(2, 6, 3, padding="same").shape_of((2, 100))
    (6, 100)
    """

    _axes: ClassVar[int] = 1

    in_channels: int
    out_channels: int
    kernel_size: Any
    stride: Any = 1
    padding: Any = 0
    dilation: Any = 1
    groups: int = 1
    bias: bool = True
    initialization: str = "torch"


# --- rules --------------------------------------------------------------------------------------


@inline(references=False)
def _axes(row):
    """Those of the windows."""
    w = row.window
    return (
        Axis(w[KERNEL_ROWS], w[STRIDE_DOWN], w[PADDING_DOWN], w[DILATION_DOWN], 1, 1, w[DILATION_DOWN]),
        Axis(
            w[KERNEL_COLUMNS], w[STRIDE_ALONG], w[PADDING_ALONG], w[DILATION_ALONG], 1, 1,
            w[DILATION_ALONG],
        ),
    )  # fmt: skip


@inline(references=False)
def _reversed(axis):
    """The axis along which inputs find the outputs whose windows they are in; taps in reverse."""
    common = math.gcd(axis.stride, axis.dilation)
    return Axis(
        axis.kernel,
        1,
        (axis.kernel - 1) * axis.dilation - axis.padding,
        axis.dilation,
        axis.stride,
        axis.stride // common,
        axis.dilation // common,
    )


@inline(references=False)
def _inputs(row, group, data, sizes):
    """The images that it takes: the channels of one group."""
    w = row.window
    used = w[CHANNELS] // w[GROUPS]
    start = row.source * sizes.capacity + group * used * sizes.width
    return Image(data, start, w[ROWS], w[COLUMNS], w[CHANNELS], used)


@inline(references=False)
def _outputs(row, group, data, place, sizes):
    """The images that it gives: the channels of one group."""
    w = row.window
    used = w[OUTPUTS] // w[GROUPS]
    start = place * sizes.capacity + group * used * sizes.width
    return Image(data, start, w[OUTPUT_ROWS], w[OUTPUT_COLUMNS], w[OUTPUTS], used)


@inline(references=False)
def _elements(outputs, inputs, height, row):
    """Weights of a group, in panels of so many outputs."""
    taps = row.window[KERNEL_ROWS] * row.window[KERNEL_COLUMNS]
    return (outputs + height - 1) // height * height * inputs * taps


@inline(references=False)
def _lines(image, span):
    """Those of a band."""
    line = image.columns * image.channels
    return Range(span.first // line, min(span.last // line, image.rows))


def forward(row, parameters, values, span, sizes):
    """The windows' sums."""
    vertical, horizontal = _axes(row)
    for group in range(row.window[GROUPS]):
        source = _inputs(row, group, values, sizes)
        target = _outputs(row, group, values, row.kept, sizes)
        height = row.window[HEIGHT]
        start = row.weights + group * _elements(target.used, source.used, height, row)
        first = FROM_BASE if row.has_biases else FROM_ZERO
        weights = Weights(parameters, start, height, first, row.biases + group * target.used)
        convolve(weights, source, target, vertical, horizontal, span, _lines(target, span))


def backward(row, parameters, transposed, values, deltas, span, sizes):
    """The deltas of the images, from those of all windows that they are in."""
    vertical, horizontal = _axes(row)
    for group in range(row.window[GROUPS]):
        source = _inputs(row, group, deltas, sizes)
        target = _outputs(row, group, deltas, row.target, sizes)
        height = row.window[TURNED_HEIGHT]
        start = row.transposed + group * _elements(source.used, target.used, height, row)
        first = FROM_THERE if row.accumulate & 1 else FROM_ZERO
        weights = Weights(transposed, start, height, first, 0)
        convolve(
            weights, target, source, _reversed(vertical), _reversed(horizontal), span,
            _lines(source, span),
        )  # fmt: skip


def gradients_of(row, block, gradients, values, deltas, ones, room, sizes):
    """The gradient of one panel's weights, or of some rows of its taps, and of its intercepts."""
    w, height, width = row.window, row.window[HEIGHT], sizes.width
    panels = (w[OUTPUTS] // w[GROUPS] + height - 1) // height
    group, panel = block.panel // panels, block.panel % panels
    source = _inputs(row, group, values, sizes)
    target = _outputs(row, group, deltas, row.target, sizes)
    used = min(height, target.used - panel * height)
    mine = Image(
        deltas, target.start + panel * height * width, target.rows, target.columns, target.channels, used
    )  # fmt: skip
    vertical, horizontal = _axes(row)
    span = Range(0, (sizes.observations + width - 1) // width * width)
    taps = Range(block.input, block.input_stop)
    correlate(room, height, mine, source, vertical, horizontal, span, taps)
    for k in range(0, block.end - block.begin, height):
        for i in range(height):
            at = (k + i) * width
            gradients[block.begin + k + i] = (
                _sum(room[at : at + width]) if i < used else room.dtype.type(0.0)
            )
    if block.bias_begin < block.bias_end:
        for i in range(used):
            at = (block.end - block.begin + i) * width
            gradients[block.bias_begin + i] = _sum(room[at : at + width])


@inline(any_order=True, references=False)
def _sum(values):
    total = values.dtype.type(0.0)
    for k in range(len(values)):
        total += values[k]
    return total


def turn(row, block, parameters, transposed, sizes):
    """A block's weights as the backward rule reads them, if the deltas of the images are wanted."""
    if row.wanted & 1:
        w, height, back = row.window, row.window[HEIGHT], row.window[TURNED_HEIGHT]
        inputs, outputs = w[CHANNELS] // w[GROUPS], w[OUTPUTS] // w[GROUPS]
        panels = (outputs + height - 1) // height
        group, panel = block.panel // panels, block.panel % panels
        begin = row.transposed + group * _elements(inputs, outputs, back, row)
        taps = w[KERNEL_ROWS] * w[KERNEL_COLUMNS]
        first = block.input * w[KERNEL_COLUMNS]
        used = min(height, outputs - panel * height)
        for t in range(first, block.input_stop * w[KERNEL_COLUMNS]):
            for c in range(inputs):
                at = block.begin + ((t - first) * inputs + c) * height
                to = begin + (c // back * taps + taps - 1 - t) * outputs * back + c % back
                to += panel * height * back
                for i in range(used):
                    transposed[to + i * back] = parameters[at + i]


CONVOLUTION = Operation(
    "convolution", forward, backward, gradients_of, turn, Taps(), inner_products=True, reads=LANES,
    writes=LANES, bands=WINDOWS,
)  # fmt: skip
