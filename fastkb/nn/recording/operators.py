"""The operators of tensors, and the methods that give other tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from fastkb.nn.ops.arrangement import Flatten
from fastkb.nn.ops.layers import ReLU, Sigmoid, Tanh
from fastkb.nn.ops.operation import Layer
from fastkb.nn.ops.tensors.functions import Function
from fastkb.nn.ops.tensors.joins import Combination, Product, Quotient
from fastkb.nn.ops.tensors.reduction import Expand, Reduce
from fastkb.nn.ops.tensors.reshape import Permute, Reshape, Slice

# A graph is told by its layers, one object each.
_FLAT, _RELU, _SIGMOID, _TANH = Flatten(), ReLU(), Sigmoid(), Tanh()
_SUM, _DIFFERENCE, _PRODUCT, _QUOTIENT = (
    Combination(), Combination(1.0, -1.0), Product(), Quotient(),
)  # fmt: skip
_NUMBERS = int, float, np.integer, np.floating


class Operators:
    """What a tensor can be asked to give: another one, of the class that derives from this."""

    __slots__ = ()

    def _record(self, layer: Layer, *others: Any) -> Any:
        """What a layer gives for it, and for others."""
        raise NotImplementedError

    def _beside(self, other: Any) -> Any:
        """Another operand as a tensor of as many observations."""
        raise NotImplementedError

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes."""
        raise NotImplementedError

    # --- of two ---------------------------------------------------------------------------------

    def _join(self, other: Any, layer: Layer, *, reversed: bool = False) -> Any:
        """What a layer gives for it and another operand, of shapes that go together."""
        other = self._beside(other)
        one: Any = self
        shape = np.broadcast_shapes(one.shape[1:], other.shape[1:])
        one, other = one.expand(-1, *shape), other.expand(-1, *shape)
        if reversed:
            one, other = other, one
        return one._record(layer, other)

    def __add__(self, other: Any) -> Any:
        if isinstance(other, _NUMBERS):
            return self._record(function("shift", float(other)))
        return self._join(other, _SUM)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        if isinstance(other, _NUMBERS):
            return self._record(function("shift", -float(other)))
        return self._join(other, _DIFFERENCE)

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, _NUMBERS):
            return self._record(function("scale", float(other)))
        return self._join(other, _PRODUCT)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        if isinstance(other, _NUMBERS):
            return self._record(function("scale", 1.0 / float(other)))
        return self._join(other, _QUOTIENT)

    def __rtruediv__(self, other: Any) -> Any:
        inverse = self._record(function("reciprocal"))
        return inverse * other

    def __neg__(self) -> Any:
        return self._record(function("scale", -1.0))

    def __pow__(self, exponent: float) -> Any:
        if not isinstance(exponent, _NUMBERS):
            raise TypeError(f"the exponent must be a number, got {type(exponent).__name__}")
        named = {2.0: "square", 0.5: "sqrt", -1.0: "reciprocal"}.get(float(exponent))
        return self._record(function(named) if named else function("power", float(exponent)))

    def __matmul__(self, other: Any) -> Any:
        raise TypeError(
            "a product of matrices is a layer here: Linear(in_features, out_features, bias=False)"
        )

    # --- element by element ---------------------------------------------------------------------

    def __abs__(self) -> Any:
        return self._record(function("abs"))

    def abs(self) -> Any:
        """Absolute values."""
        return self._record(function("abs"))

    def exp(self) -> Any:
        """eˣ."""
        return self._record(function("exp"))

    def log(self) -> Any:
        """The natural logarithm."""
        return self._record(function("log"))

    def sqrt(self) -> Any:
        """The square root."""
        return self._record(function("sqrt"))

    def square(self) -> Any:
        """x²."""
        return self._record(function("square"))

    def pow(self, exponent: float) -> Any:
        """Powers."""
        return self**exponent

    def sin(self) -> Any:
        """The sine."""
        return self._record(function("sin"))

    def cos(self) -> Any:
        """The cosine."""
        return self._record(function("cos"))

    def relu(self) -> Any:
        """max(x, 0)."""
        return self._record(_RELU)

    def sigmoid(self) -> Any:
        """1 / (1 + e⁻ˣ)."""
        return self._record(_SIGMOID)

    def tanh(self) -> Any:
        """The hyperbolic tangent."""
        return self._record(_TANH)

    def clamp(self, min: float | None = None, max: float | None = None) -> Any:
        """No less than `min`, no more than `max`."""
        found: Any = self
        if min is not None:
            found = found._record(function("clamp_min", float(min)))
        if max is not None:
            found = found._record(function("clamp_max", float(max)))
        return found

    # --- over axes ------------------------------------------------------------------------------

    def _reduce(self, dim: Any, keepdim: bool, mean: bool) -> Any:
        axes = (dim,) if isinstance(dim, int | np.integer) else tuple(dim)
        places = sorted({axis_of(int(axis), len(self.shape)) for axis in axes})
        if places and places[0] == 0:
            raise ValueError(
                "dim 0 counts observations, which no operation mixes: mean() or sum() without dim gives "
                "a loss"
            )
        if len(places) == len(self.shape) - 1 and not keepdim:
            raise ValueError(
                f"a tensor of shape {self.shape} keeps an axis beside the observations: take keepdim=True"
            )
        return self._record(
            layer_of(Reduce, tuple(place - 1 for place in places), mean, bool(keepdim))
        )

    # --- other shapes ---------------------------------------------------------------------------

    def view(self, *shape: Any) -> Any:
        """The same elements in another shape, of which one size may be -1.

        Raises
        ------
        ValueError
            If the first size is not the number of observations, or the elements are not as many.
        """
        wanted = reshaped(self.shape, sizes_of(shape))
        if wanted == self.shape:
            return self
        return self._record(_FLAT if len(wanted) == 2 else layer_of(Reshape, wanted[1:]))

    reshape = view

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Any:
        """Some axes as one; not the first, which counts observations."""
        sizes = self.shape
        first, last = axis_of(start_dim, len(sizes)), axis_of(end_dim, len(sizes))
        if first == 0:
            raise ValueError("start_dim must be 1 at least: the first axis counts observations")
        middle = math.prod(sizes[first : last + 1])
        return self.view(*sizes[:first], middle, *sizes[last + 1 :])

    def unsqueeze(self, dim: int) -> Any:
        """With an axis of size 1 more."""
        place = axis_of(dim, len(self.shape) + 1)
        return self.view(*self.shape[:place], 1, *self.shape[place:])

    def squeeze(self, dim: int | None = None) -> Any:
        """Without an axis of size 1, or without all of them; not the first."""
        kept = [
            size
            for place, size in enumerate(self.shape)
            if place == 0
            or size != 1
            or (dim is not None and axis_of(dim, len(self.shape)) != place)
        ]
        return self.view(*kept)

    def expand(self, *shape: Any) -> Any:
        """With axes of size 1 repeated to other sizes; -1 leaves one as it is."""
        sizes, mine = sizes_of(shape), self.shape
        aligned = (mine[0], *[1] * (len(sizes) - len(mine)), *mine[1:])
        wanted = tuple(
            have if size == -1 else size for size, have in zip(sizes, aligned, strict=True)
        )
        if wanted == mine:
            return self
        if wanted[0] != mine[0]:
            raise ValueError(
                f"the first axis counts the {mine[0]} observations, got shape {wanted}"
            )
        return self._record(layer_of(Expand, wanted[1:]))

    def permute(self, *dims: Any) -> Any:
        """With the axes in another order, of which the first stays."""
        order = tuple(axis_of(dim, len(self.shape)) for dim in sizes_of(dims))
        if sorted(order) != list(range(len(self.shape))) or order[0] != 0:
            raise ValueError(f"dims must be the axes in an order that begins with 0, got {dims}")
        return self._record(layer_of(Permute, tuple(place - 1 for place in order[1:])))

    def transpose(self, dim0: int, dim1: int) -> Any:
        """With two axes exchanged; not the first."""
        order = list(range(len(self.shape)))
        first, second = axis_of(dim0, len(order)), axis_of(dim1, len(order))
        order[first], order[second] = second, first
        return self.permute(*order)

    def __getitem__(self, key: Any) -> Any:
        """Parts of axes behind the first, such as x[:, 2:5] or x[:, 0]."""
        keys = key if isinstance(key, tuple) else (key,)
        if Ellipsis in keys:
            place = keys.index(Ellipsis)
            rest = len(self.shape) - len(keys) + 1
            keys = (*keys[:place], *[slice(None)] * rest, *keys[place + 1 :])
        if not keys or keys[0] != slice(None):
            raise ValueError(
                "all observations are computed together: index behind them, x[:, …], or take x.numpy()[…]"
            )
        found: Any = self
        gone: list[int] = []
        for axis, each in enumerate(keys[1:], 1):
            size = self.shape[axis]
            if isinstance(each, int | np.integer):
                begin = axis_of(int(each), size)
                stop, gone = begin + 1, [*gone, axis]
            elif isinstance(each, slice) and each.step in (None, 1):
                begin, stop, _ = each.indices(size)
            else:
                raise TypeError(
                    f"an index must be a whole number or a slice of step 1, got {each!r}"
                )
            if stop <= begin:
                raise ValueError(f"index {each!r} of axis {axis} of size {size} leaves nothing")
            if (begin, stop) != (0, size):
                found = found._record(layer_of(Slice, axis - 1, begin, stop))
        kept = [size for axis, size in enumerate(found.shape) if axis not in gone]
        return found.view(*kept) if gone and len(kept) > 1 else found


@lru_cache(maxsize=4096)
def layer_of(kind: type, *arguments: Any) -> Any:
    """A layer with some arguments, the same object each time: a graph is told by its layers."""
    return kind(*arguments)


def function(name: str, parameter: float = 0.0) -> Function:
    """A function of numbers, likewise."""
    found: Function = layer_of(Function, name, parameter)
    return found


def sizes_of(shape: Sequence[Any]) -> tuple[int, ...]:
    """Sizes one by one, or all in one sequence."""
    if len(shape) == 1 and isinstance(shape[0], Sequence):
        shape = shape[0]
    return tuple(int(size) for size in shape)


def axis_of(dim: int, axes: int) -> int:
    """The place of an axis; below 0 they count from the end."""
    if not -axes <= dim < axes:
        raise ValueError(f"dim must be from {-axes} to {axes - 1}, got {dim}")
    return dim % axes


def reshaped(shape: tuple[int, ...], wanted: tuple[int, ...]) -> tuple[int, ...]:
    """The sizes of another shape of as many elements, of which one may be -1."""
    count, known = math.prod(shape), math.prod(size for size in wanted if size >= 0)
    if wanted.count(-1) == 1 and known > 0 and count % known == 0:
        wanted = tuple(count // known if size == -1 else size for size in wanted)
    if math.prod(wanted) != count or any(size < 0 for size in wanted):
        raise ValueError(
            f"a tensor of shape {shape} has no shape {wanted}: it has {count} elements"
        )
    if not wanted or wanted[0] != shape[0] or len(wanted) < 2:
        raise ValueError(
            f"the first axis counts the {shape[0]} observations and stays, got shape {wanted} for a "
            f"tensor of shape {shape}"
        )
    return wanted
