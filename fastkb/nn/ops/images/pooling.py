"""Pooling: the largest value or the mean of each window, channel by channel.

The rules stand in :mod:`fastkb.nn.ops.images.pooling_rules`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from fastkb.checks.scalars import check_flag
from fastkb.nn.ops.images.pooling_rules import LARGEST, MEAN
from fastkb.nn.ops.images.sizes import CALLED, as_image, as_pair, check_sides, image_shape, windows
from fastkb.nn.ops.operation import Layer, Row, Shape


class _Pooling(Layer):
    """What all kinds have in common."""

    _axes: ClassVar[int]

    kernel_size: Any
    stride: Any
    padding: Any
    ceil_mode: bool

    def __post_init__(self) -> None:
        self._set("kernel_size", self._sides("kernel_size", self.kernel_size, 1))
        stride = self.kernel_size if self.stride is None else self.stride
        self._set("stride", self._sides("stride", stride, 1))
        self._set("padding", self._sides("padding", self.padding, 0))
        if any(2 * p > k for p, k in zip(self.padding, self.kernel_size, strict=True)):
            raise ValueError(
                f"padding must be at most half of kernel_size={self.kernel_size}, got {self.padding}"
            )
        self._set("ceil_mode", check_flag("ceil_mode", self.ceil_mode))

    def _sides(self, name: str, value: Any, least: int) -> tuple[int, ...]:
        return check_sides(name, value, least, self._axes)

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def _dilation(self) -> tuple[int, ...]:
        return (1,) * self._axes

    @property
    def takes(self) -> Shape:
        return None, *[None] * self._axes

    def shape_of(self, shape: Shape) -> Shape:
        channels, *sides = image_shape(shape, axes=self._axes)
        found: list[int | None] = []
        for k, size in enumerate(sides):
            count = None
            if size is not None:
                count = windows(
                    size, self.kernel_size[k], self.stride[k], self.padding[k], self._dilation()[k],
                    ceil=self.ceil_mode,
                )  # fmt: skip
                if count < 1:
                    raise ValueError(
                        f"has windows that are larger than the {CALLED[self._axes][0]}, which are "
                        + " x ".join(map(str, sides))
                    )
            found.append(count)
        return channels, *found

    def _window(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The row's whole numbers: those of sequences are of images of one row."""
        _, *given = as_image(self.gives(shape))
        sides = (
            *as_pair(self.kernel_size, 1),
            *as_pair(self.stride, 1),
            *as_pair(self.padding, 0),
            *as_pair(self._dilation(), 1),
        )
        return *as_image(shape), *given, *sides


class _MaxPool(_Pooling):
    """The largest value of each window."""

    dilation: Any

    def __post_init__(self) -> None:
        self._set("dilation", self._sides("dilation", self.dilation, 1))
        super().__post_init__()

    def _dilation(self) -> tuple[int, ...]:
        found: tuple[int, ...] = self.dilation
        return found

    def rows(self, read: int, shape: tuple[int, ...], following: int) -> list[Row]:
        outputs = math.prod(self.gives(shape))
        work = outputs * math.prod(self.kernel_size)
        window = self._window(shape)
        return [Row(LARGEST, (read,), outputs, {}, window=window, kept=outputs, work=work)]


class _AvgPool(_Pooling):
    """The mean of each window."""

    count_include_pad: bool

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("count_include_pad", check_flag("count_include_pad", self.count_include_pad))

    def rows(self, read: int, shape: tuple[int, ...], following: int) -> list[Row]:
        outputs = math.prod(self.gives(shape))
        window = *self._window(shape), int(self.count_include_pad), 0
        work = outputs * math.prod(self.kernel_size)
        return [Row(MEAN, (read,), outputs, {}, window=window, work=work)]


@dataclass(frozen=True)
class MaxPool2d(_MaxPool):
    """The largest value of each window; of equal ones the first has the derivative.

    Parameters
    ----------
    kernel_size : int or (int, int)
        Height and width of the windows.
    stride : int or (int, int), optional
        Their distance; None: as large as they are.
    padding : int or (int, int), default 0
        How far the first and the last windows reach beyond the images: half of `kernel_size` at most.
    dilation : int or (int, int), default 1
        Distance of a window's elements.
    ceil_mode : bool, default False
        Whether a last window that reaches over the edge counts.

    Examples
    --------
    >>> from fastkb import nn
    >>> nn.MaxPool2d(2).shape_of((6, 30, 30))
    (6, 15, 15)
    """

    _axes: ClassVar[int] = 2

    kernel_size: Any
    stride: Any = None
    padding: Any = 0
    dilation: Any = 1
    ceil_mode: bool = False


@dataclass(frozen=True)
class AvgPool2d(_AvgPool):
    """The mean of each window.

    Parameters
    ----------
    kernel_size, stride, padding, ceil_mode
        As for :class:`MaxPool2d`.
    count_include_pad : bool, default True
        Whether what a window has beyond the image counts, as zeros.

    Examples
    --------
    >>> from fastkb import nn
    >>> nn.AvgPool2d((2, 3)).shape_of((6, 30, 30))
    (6, 15, 10)
    """

    _axes: ClassVar[int] = 2

    kernel_size: Any
    stride: Any = None
    padding: Any = 0
    ceil_mode: bool = False
    count_include_pad: bool = True


@dataclass(frozen=True)
class MaxPool1d(_MaxPool):
    """The largest value of each window of a sequence; of equal ones the first has the derivative.

    Parameters
    ----------
    kernel_size : int
        Length of the windows.
    stride, padding, dilation, ceil_mode
        As for :class:`MaxPool2d`, of one side.

    Examples
    --------
    >>> from fastkb import nn
    >>> nn.MaxPool1d(2).shape_of((6, 30))
    (6, 15)
    """

    _axes: ClassVar[int] = 1

    kernel_size: Any
    stride: Any = None
    padding: Any = 0
    dilation: Any = 1
    ceil_mode: bool = False


@dataclass(frozen=True)
class AvgPool1d(_AvgPool):
    """The mean of each window of a sequence.

    Parameters
    ----------
    kernel_size : int
        Length of the windows.
    stride, padding, ceil_mode, count_include_pad
        As for :class:`AvgPool2d`, of one side.

    Examples
    --------
    >>> from fastkb import nn
    >>> nn.AvgPool1d(3, stride=2).shape_of((6, 31))
    (6, 15)
    """

    _axes: ClassVar[int] = 1

    kernel_size: Any
    stride: Any = None
    padding: Any = 0
    ceil_mode: bool = False
    count_include_pad: bool = True


@dataclass(frozen=True)
class AdaptiveAvgPool2d(Layer):
    """Means of as many windows as are wanted, which cover the image evenly and may overlap by one.

    Parameters
    ----------
    output_size : int or (int, int)
        Height and width of what it gives.

    Examples
    --------
    >>> from fastkb import nn
    >>> nn.AdaptiveAvgPool2d(1).shape_of((16, 28, 28))
    (16, 1, 1)
    """

    output_size: Any

    def __post_init__(self) -> None:
        object.__setattr__(self, "output_size", check_sides("output_size", self.output_size, 1))

    @property
    def takes(self) -> Shape:
        return None, None, None

    def shape_of(self, shape: Shape) -> Shape:
        channels, _, _ = image_shape(shape)
        return channels, *self.output_size

    def rows(self, read: int, shape: tuple[int, ...], following: int) -> list[Row]:
        window = (*shape, *self.output_size, *[0] * 9, 1)
        outputs = shape[0] * math.prod(self.output_size)
        return [Row(MEAN, (read,), outputs, {}, window=window, work=math.prod(shape))]
