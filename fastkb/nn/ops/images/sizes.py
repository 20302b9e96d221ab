"""What the operations of images share: their shapes, and sizes that are numbers or pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastkb.checks.scalars import check_whole
from fastkb.nn.ops.operation import Shape, shown


def check_pair(name: str, value: Any, least: int) -> tuple[int, int]:
    """One whole number for both sides of an image, or one for each: height, then width."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        if len(value) != 2:
            raise ValueError(f"{name} must be a whole number or two of them, got {value!r}")
        first, second = (check_whole(name, each, least) for each in value)
        return first, second
    both = check_whole(name, value, least)
    return both, both


def image_shape(shape: Shape, channels: int | None = None) -> tuple[int | None, ...]:
    """The shape (channels, height, width) of images that a layer takes.

    Parameters
    ----------
    shape : tuple of int or None
        Of what stands before the layer, without the observations.
    channels : int, optional
        That it takes.

    Raises
    ------
    ValueError
        If it is no image, or one of other channels.
    """
    if shape is None:
        return channels, None, None
    if len(shape) != 3:
        raise ValueError(
            f"takes images of shape (channels, height, width), and gets shape {shown(shape)}"
        )
    if channels is not None and shape[0] is not None and shape[0] != channels:
        raise ValueError(f"takes images of {channels} channels, and gets {shape[0]}")
    return (shape[0] if channels is None else channels), shape[1], shape[2]


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
