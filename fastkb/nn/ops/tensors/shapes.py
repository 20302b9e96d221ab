"""What the layers of expressions have in common: shapes, axes, and the elements that there are."""

from __future__ import annotations

from typing import ClassVar, cast

from fastkb.nn.ops.operation import Layer, Shape, shown
from fastkb.runtime import inline


class Known(Layer):
    """Base of layers of expressions that read one value: its whole shape is known."""

    described: ClassVar[bool] = False

    def shape_of(self, shape: Shape) -> Shape:
        if shape is None or any(size is None for size in shape):
            return None
        return self.gives(cast("tuple[int, ...]", shape))

    def gives(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of what it gives for a value of a shape.

        Raises
        ------
        ValueError
            If it takes no value of this shape.
        """
        raise NotImplementedError


def check_axes(name: str, axes: tuple[int, ...], shape: tuple[int, ...]) -> None:
    """Axes that a value of this shape has, counted without the observations, none of them twice."""
    for axis in axes:
        if not 0 <= axis < len(shape):
            raise ValueError(
                f"{name} must be from 0 to {len(shape) - 1} for a value of shape {shown(shape)}, "
                f"got {axis}"
            )
    if len(set(axes)) < len(axes):
        raise ValueError(f"{name} must differ from each other, got {axes}")


def strides_of(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Of a value that stands element by element, the last axis first."""
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= size
    return tuple(reversed(strides))


# --- for the rules ------------------------------------------------------------------------------


@inline(references=False)
def runs(row, span, sizes):
    """How many runs of elements a span has, and how long they are: neither padding nor, in rows,
    observations that the batch does not have. They begin ``row.target_stride`` apart.
    """
    stop = span.stop if row.lanes else max(span.begin, min(span.stop, sizes.observations))
    if row.outputs == row.target_stride:
        return 1, (stop - span.begin) * row.target_stride
    return stop - span.begin, row.outputs


@inline(references=False)
def together(row, sizes):
    """Observations that stand together: a vector of them in lanes, one in rows."""
    return sizes.width if row.lanes else 1
