"""What the operations of images and sequences share: their shapes, and sizes of windows' sides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastkb.checks.scalars import check_whole
from fastkb.nn.ops.operation import Shape, shown


def check_sides(name: str, value: Any, least: int, axes: int = 2) -> tuple[int, ...]:
    """One whole number for all sides of an image, or one for each: height, then width."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        if len(value) != axes:
            several = {1: "one of them in a tuple", 2: "two of them"}[axes]
            raise ValueError(f"{name} must be a whole number or {several}, got {value!r}")
        return tuple(check_whole(name, each, least) for each in value)
    return (check_whole(name, value, least),) * axes


#: What observations of so many axes besides their channels are called, and their shape.
CALLED = {
    1: ("sequences", "(channels, length)"),
    2: ("images", "(channels, height, width)"),
}


def image_shape(shape: Shape, channels: int | None = None, axes: int = 2) -> tuple[int | None, ...]:
    """The shape (channels, height, width) of images, or (channels, length) of sequences.

    Parameters
    ----------
    shape : tuple of int or None
        Of what stands before the layer, without the observations.
    channels : int, optional
        That it takes.
    axes : {1, 2}
        Of sequences, or of images.

    Raises
    ------
    ValueError
        If it is no image, or one of other channels.
    """
    what, expected = CALLED[axes]
    if shape is None:
        return channels, *[None] * axes
    if len(shape) != 1 + axes:
        raise ValueError(f"takes {what} of shape {expected}, and gets shape {shown(shape)}")
    if channels is not None and shape[0] is not None and shape[0] != channels:
        raise ValueError(f"takes {what} of {channels} channels, and gets {shape[0]}")
    return (shape[0] if channels is None else channels), *shape[1:]


def as_image(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a sequence as that of an image of one row; that of an image as it is."""
    return shape if len(shape) == 3 else (shape[0], 1, shape[1])


def as_pair(sides: tuple[int, ...], row: int) -> tuple[int, ...]:
    """Sizes of a window's sides: those of a sequence's, with one for the row that it is as an image."""
    return sides if len(sides) == 2 else (row, *sides)


def windows(
    size: int, kernel: int, stride: int, padding: int, dilation: int, *, ceil: bool = False
) -> int:
    """How many windows stand along a side of so many elements; 0 or less: none fits.

    With `ceil` the last one may reach over the end, if it begins in the image or in the padding before.
    """
    rest = size + 2 * padding - dilation * (kernel - 1) - 1
    count = (-(-rest // stride) if ceil else rest // stride) + 1
    if ceil and (count - 1) * stride >= size + padding:
        count -= 1
    return count
