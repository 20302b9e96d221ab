"""The same elements in another shape or in another order, or some of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from fastkb.nn.ops.arrangement import to_rows
from fastkb.nn.ops.operation import Row, shown
from fastkb.nn.ops.tensors.shapes import Known, check_axes, strides_of
from fastkb.nn.ops.tensors.strided import taking, walk


@dataclass(frozen=True)
class Reshape(Known):
    """All elements, channel by channel, in another shape: no work where a value stands in rows.

    Parameters
    ----------
    shape : tuple of int

    Examples
    --------
    >>> from fastkb.nn.ops.tensors.reshape import Reshape
    >>> Reshape((4, 9)).gives((4, 3, 3))
    (4, 9)
    """

    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(self.shape))

    def gives(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if math.prod(shape) != math.prod(self.shape):
            raise ValueError(
                f"shape must have the {math.prod(shape)} elements of {shown(shape)}, got {self.shape}"
            )
        return self.shape

    def rows(self, read: int, shape: tuple[int, ...], following: int) -> list[Row]:
        return [to_rows(read, shape)]


@dataclass(frozen=True)
class Columns(Known):
    """Some elements of a value, counted channel by channel, in a shape of their own.

    Parameters
    ----------
    begin, stop : int
        The first of them, and one behind the last.
    shape : tuple of int

    Examples
    --------
    >>> from fastkb.nn.ops.tensors.reshape import Columns
    >>> Columns(2, 8, (2, 3)).gives((10,))
    (2, 3)
    """

    begin: int
    stop: int
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(self.shape))

    def gives(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        _check_part(self.begin, self.stop, math.prod(shape))
        if math.prod(self.shape) != self.stop - self.begin:
            raise ValueError(
                f"shape must have {self.stop - self.begin} elements, from begin={self.begin} to "
                f"stop={self.stop}, got {self.shape}"
            )
        return self.shape

    def rows(self, read: int, shape: tuple[int, ...], following: int) -> list[Row]:
        count = self.stop - self.begin
        return [taking(read, math.prod(shape), count, walk((count,), (1,), self.begin))]


@dataclass(frozen=True)
class Slice(Known):
    """Part of a value along one axis.

    Parameters
    ----------
    axis : int
        Counted without the observations.
    begin, stop : int
        The first place along it, and one behind the last.

    Examples
    --------
    >>> from fastkb.nn.ops.tensors.reshape import Slice
    >>> Slice(0, 1, 3).gives((4, 8, 8))
    (2, 8, 8)
    """

    axis: int
    begin: int
    stop: int

    def gives(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        check_axes("axis", (self.axis,), shape)
        _check_part(self.begin, self.stop, shape[self.axis])
        return (*shape[: self.axis], self.stop - self.begin, *shape[self.axis + 1 :])

    def rows(self, read: int, shape: tuple[int, ...], following: int) -> list[Row]:
        given, strides = self.gives(shape), strides_of(shape)
        window = walk(given, strides, self.begin * strides[self.axis])
        return [taking(read, math.prod(shape), math.prod(given), window)]


@dataclass(frozen=True)
class Permute(Known):
    """The axes in another order.

    Parameters
    ----------
    order : tuple of int
        Of each axis of what it gives the axis that it was, counted without the observations.

    Examples
    --------
    >>> from fastkb.nn.ops.tensors.reshape import Permute
    >>> Permute((1, 2, 0)).gives((3, 8, 9))
    (8, 9, 3)
    """

    order: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "order", tuple(self.order))

    def gives(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        check_axes("order", self.order, shape)
        if len(self.order) != len(shape):
            raise ValueError(
                f"order must have all {len(shape)} axes of a value of shape {shown(shape)}, got "
                f"{self.order}"
            )
        return tuple(shape[axis] for axis in self.order)

    def rows(self, read: int, shape: tuple[int, ...], following: int) -> list[Row]:
        strides, size = strides_of(shape), math.prod(shape)
        window = walk(self.gives(shape), tuple(strides[axis] for axis in self.order))
        return [taking(read, size, size, window)]


def _check_part(begin: int, stop: int, size: int) -> None:
    if not 0 <= begin < stop <= size:
        raise ValueError(f"begin and stop must be a part of 0 to {size}, got {begin} and {stop}")
