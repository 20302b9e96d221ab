"""Sums and means over axes, and the way back: a value whose elements stand for many."""

from __future__ import annotations

import math
from dataclasses import dataclass

from fastkb.nn.ops.operation import Row, shown
from fastkb.nn.ops.tensors.shapes import Known, check_axes, strides_of
from fastkb.nn.ops.tensors.strided import REDUCE, taking, walk


@dataclass(frozen=True)
class Reduce(Known):
    """The sum or the mean over some axes.

    Parameters
    ----------
    axes : tuple of int
        Counted without the observations.
    mean : bool
        Whether the sums are divided by how many they are of.
    keepdim : bool, default False
        Whether the axes stay, of size 1. Else they are gone, and where none is left the shape is (1,).

    Examples
    --------
    >>> from fastkb.nn.ops.tensors.reduction import Reduce
    >>> Reduce((1, 2), mean=True).gives((16, 8, 8))
    (16,)
    """

    axes: tuple[int, ...]
    mean: bool
    keepdim: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "axes", tuple(self.axes))

    def gives(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        check_axes("axes", self.axes, shape)
        if self.keepdim:
            return self._kept(shape)
        return tuple(size for axis, size in enumerate(shape) if axis not in self.axes) or (1,)

    def _kept(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(1 if axis in self.axes else size for axis, size in enumerate(shape))

    def rows(self, read: int, shape: tuple[int, ...], following: int) -> list[Row]:
        kept = self._kept(shape)
        strides = tuple(
            0 if axis in self.axes else stride for axis, stride in enumerate(strides_of(kept))
        )
        outputs, size = math.prod(kept), math.prod(shape)
        factor = outputs / size if self.mean else 1.0
        window = walk(shape, strides)
        return [Row(REDUCE, (read,), outputs, {}, (factor,), window, work=size)]


@dataclass(frozen=True)
class Expand(Known):
    """A value of sizes 1, or of fewer axes, as one of a larger shape, in which its elements stand often.

    Parameters
    ----------
    shape : tuple of int
        Axes are aligned at the end, as NumPy does.

    Examples
    --------
    >>> from fastkb.nn.ops.tensors.reduction import Expand
    >>> Expand((16, 8, 8)).gives((16, 1, 1))
    (16, 8, 8)
    """

    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(self.shape))

    def gives(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        aligned = self._aligned(shape)
        fits = len(aligned) == len(self.shape) and all(
            size in (1, wanted) for size, wanted in zip(aligned, self.shape, strict=True)
        )
        if not fits:
            raise ValueError(
                f"shape must be one to which {shown(shape)} can be expanded, got {self.shape}"
            )
        return self.shape

    def _aligned(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (1,) * (len(self.shape) - len(shape)) + shape

    def rows(self, read: int, shape: tuple[int, ...], following: int) -> list[Row]:
        aligned = self._aligned(shape)
        strides = tuple(
            0 if size == 1 else stride
            for size, stride in zip(aligned, strides_of(aligned), strict=True)
        )
        window = walk(self.shape, strides)
        return [taking(read, math.prod(shape), math.prod(self.shape), window)]
