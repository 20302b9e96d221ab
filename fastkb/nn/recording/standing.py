"""Tensors that are the same for all observations: a module's own parameters and buffers, in its forward.

Their axes are those of the parameter, none of which counts observations. Beside a tensor of observations
they are broadcast, as NumPy does it. In the graph such a value reads another one for the number of
observations alone: what it stands beside, or the input of the network's call.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastkb.nn.ops.operation import Layer
from fastkb.nn.ops.tensors.own import Own
from fastkb.nn.ops.tensors.softmax import LogSoftmax, Softmax
from fastkb.nn.recording.operators import axis_of, layer_of, sizes_of
from fastkb.nn.recording.tensor import Tensor, record, uses


class Place(NamedTuple):
    """Where recording takes place: names count from this module, under a prefix."""

    module: Any
    prefix: str
    symbolic: bool  # whether the graph is recorded for a program, and not for these data
    start: Tensor | None = None  # what the module is called with


class _Context(threading.local):
    """Of each thread: the places of the calls that have begun, the innermost last."""

    def __init__(self) -> None:
        self.places: list[Place] = []


context = _Context()


class Source(NamedTuple):
    """The parameter or buffer that a value is of."""

    base: np.ndarray  # numbers that it held, for views of it
    parameter: bool  # or a buffer
    name: str  # in the graph
    network: Any  # None where a program is recorded
    start: Tensor | None
    numbers: Callable[[], np.ndarray]


class Standing(Tensor):
    """A parameter, a buffer, or what is computed from them alone.

    Made by :class:`Parameter` and by buffers, where they are met in ``forward``.
    """

    __slots__ = ("_seen", "_sizes", "_source")

    _source: Source | None  # None: it is computed from others
    _seen: Any  # the source's numbers, as a view shows them
    _sizes: tuple[int, ...]
    _stands = True

    @classmethod
    def of(cls, source: Source, seen: np.ndarray | None = None) -> Standing:
        """A parameter or a buffer as it is, or as a view of its numbers shows it."""
        made: Standing = cls.__new__(cls)
        made._source, made._seen = source, source.base if seen is None else seen
        made._sizes = made._seen.shape
        n = 0 if source.start is None else source.start._n
        made._set(None, n, source.network)  # type: ignore[arg-type]
        del made._node  # it is made when it is asked for
        made._call = 0 if source.network is None else source.network._calls
        made.requires_grad = source.parameter and not made._apart
        return made

    @classmethod
    def made_of(cls, value: Tensor, sizes: tuple[int, ...]) -> Standing:
        """A recorded value that is the same for all observations."""
        made: Standing = cls.__new__(cls)
        made._source = made._seen = None
        made._sizes = sizes
        made._set(value._node, value._n, value._network)
        made._call, made._version = value._call, value._version
        made.requires_grad = value.requires_grad
        return made

    def __getattr__(self, name: str) -> Any:
        if name != "_node":
            raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")
        assert self._source is not None
        start = self._source.start
        if start is None:
            raise ValueError(
                f"{self._source.name} has as many observations as what its module is called with, and "
                "that is no tensor"
            )
        self._node = self._layer(self._sizes or (1,)).record(start._node, self._source.name)
        return self._node

    def _layer(self, sizes: tuple[int, ...]) -> Own:
        """What gives it, broadcast to sizes."""
        assert self._source is not None
        numbers, seen = self._source.base, np.broadcast_to(self._seen, sizes)
        width = numbers.itemsize
        begins = (each.__array_interface__["data"][0] for each in (seen, numbers))
        first = (next(begins) - next(begins)) // width
        steps = tuple(
            stride // width if size > 1 else 0
            for size, stride in zip(sizes, seen.strides, strict=True)
        )
        trained = self._source.parameter
        found: Own = layer_of(Own, numbers.shape, sizes, steps, first, trained)
        return found

    # --- what is known of it --------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes, none of which counts observations."""
        return self._sizes

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self._sizes)

    def __len__(self) -> int:
        if not self._sizes:
            raise TypeError("a tensor without axes has no length")
        return self._sizes[0]

    def numpy(self) -> np.ndarray:
        """Its numbers, which are computed now if they have not been."""
        if self._array is None:
            if self._source is None:
                self._array = self._plain().numpy()[0].reshape(self._sizes)
            else:
                self._array = self._look(self._source.numbers())
        return self._array

    def _look(self, numbers: np.ndarray) -> np.ndarray:
        """The same view of other numbers as that of those that are held."""
        assert self._source is not None
        held = self._source.base
        width = held.itemsize
        first = self._seen.__array_interface__["data"][0] - held.__array_interface__["data"][0]
        flat = np.ascontiguousarray(numbers).reshape(-1)
        strides = [stride // width * flat.itemsize for stride in self._seen.strides]
        found = np.lib.stride_tricks.as_strided(flat[first // width :], self._sizes, strides)
        return found.copy()

    def detach(self) -> Tensor:
        """The same numbers, of which nothing is known."""
        return self._constant(self.numpy())

    # --- beside others --------------------------------------------------------------------------

    def _plain(self, sizes: tuple[int, ...] | None = None) -> Tensor:
        """The same as a tensor of observations, all of which are alike."""
        made = Tensor._of(self._node, self._n, self._network, self.requires_grad)
        made._call, made._version = self._call, self._version
        return made if sizes is None else made.view(self._n, *sizes)

    def _beside_of(self, other: Tensor) -> Tensor:
        """As a tensor of observations, for an operation with another one."""
        sizes = self._sizes
        if len(sizes) == other.ndim:
            if sizes[0] != 1:
                raise ValueError(
                    f"shape {sizes} does not go together with {other.shape}, whose first axis counts "
                    "observations"
                )
            sizes = sizes[1:]
        if len(sizes) >= other.ndim:
            raise ValueError(f"shape {self._sizes} has more axes than {other.shape}")
        if self._source is None:
            return self._plain(sizes or (1,))
        one = Standing.of(self._source, self._seen.reshape(sizes))
        try:
            whole = np.broadcast_shapes(sizes, other.shape[1:])
        except ValueError:
            raise ValueError(f"shapes {self._sizes} and {other.shape} do not go together") from None
        node = one._layer(whole).record(other._node, self._source.name)
        made = Tensor._of(node, other._n, self._network, self.requires_grad)
        made._call, made._version = self._call, self._version
        return made

    def _constant(self, array: Any) -> Standing:
        """Numbers that are no tensor's, as one that is the same for all observations."""
        numbers = np.asarray(array)
        one = Tensor(
            np.broadcast_to(numbers.reshape(numbers.shape or (1,)), self._as_often(numbers))
        )
        return Standing.made_of(one, numbers.shape)

    def _as_often(self, numbers: np.ndarray) -> tuple[int, ...]:
        self._node  # noqa: B018  (asks for the number of observations)
        return self._n, *(numbers.shape or (1,))

    def _join(self, other: Any, layer: Layer, *, reversed: bool = False) -> Any:
        other = standing_of(other)
        if isinstance(other, Tensor) and not other._stands:
            if other.ndim == 0:
                raise TypeError("a loss is one number, and no operand of tensors: take its item()")
            return self._beside_of(other)._join(other, layer, reversed=reversed)
        if not isinstance(other, Standing):
            other = self._constant(other)
        shape = np.broadcast_shapes(self._sizes, other._sizes)
        one, two = self.expand(*shape), other.expand(*shape)
        return record(layer, two, one) if reversed else record(layer, one, two)

    # --- other shapes and axes ------------------------------------------------------------------

    def _moved(self, move: Callable[[Any], Any], rest: Callable[[Tensor], Tensor]) -> Standing:
        """What a function of arrays shows of it, or one of tensors of observations gives."""
        found = move(np.broadcast_to(np.int8(0), self._sizes))
        if self._source is not None:
            seen = move(self._seen)
            if np.may_share_memory(seen, self._seen):
                return Standing.of(self._source, seen)
        return Standing.made_of(rest(self._plain()), found.shape)

    def view(self, *shape: Any) -> Any:
        """The same elements in another shape, of which one size may be -1."""
        wanted = sizes_of(shape)
        return self._moved(
            lambda array: array.reshape(wanted),
            lambda plain: plain.view(
                plain._n, *(np.empty(self._sizes).reshape(wanted).shape or (1,))
            ),
        )

    reshape = view

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Any:
        """Some axes as one."""
        sizes = self._sizes or (1,)
        first, last = axis_of(start_dim, len(sizes)), axis_of(end_dim, len(sizes))
        return self.view(*sizes[:first], math.prod(sizes[first : last + 1]), *sizes[last + 1 :])

    def unsqueeze(self, dim: int) -> Any:
        """With an axis of size 1 more."""
        place = axis_of(dim, self.ndim + 1)
        return self.view(*self._sizes[:place], 1, *self._sizes[place:])

    def squeeze(self, dim: int | None = None) -> Any:
        """Without an axis of size 1, or without all of them."""
        place = None if dim is None else axis_of(dim, self.ndim)
        return self.view(
            [s for k, s in enumerate(self._sizes) if s != 1 or (place is not None and k != place)]
        )

    def expand(self, *shape: Any) -> Any:
        """With axes of size 1 repeated to other sizes; -1 leaves one as it is.

        An axis of size 1 in front that becomes as long as there are observations counts those.
        """
        sizes, mine = sizes_of(shape), self._sizes
        aligned = (1,) * (len(sizes) - len(mine)) + mine
        wanted = tuple(
            have if size == -1 else size for size, have in zip(sizes, aligned, strict=True)
        )
        if wanted == mine:
            return self
        start = None if self._source is None else self._source.start
        n = self._n if start is None else start._n
        if (
            len(wanted) > 1
            and len(wanted) == len(mine)
            and (wanted[0], mine[0]) == (n, 1)
            and n > 1
        ):
            return self.view(mine[1:]).expand(*wanted[1:])._plain()
        return self._moved(
            lambda array: np.broadcast_to(array, wanted),
            lambda plain: plain.view(plain._n, *(mine or (1,))).expand(plain._n, *wanted),
        )

    def permute(self, *dims: Any) -> Any:
        """With the axes in another order."""
        order = tuple(axis_of(dim, self.ndim) for dim in sizes_of(dims))
        if sorted(order) != list(range(self.ndim)):
            raise ValueError(f"dims must be the axes in an order, got {dims}")
        return self._moved(
            lambda array: array.transpose(order),
            lambda plain: plain.permute(0, *(place + 1 for place in order)),
        )

    def transpose(self, dim0: int, dim1: int) -> Any:
        """With two axes exchanged."""
        order = list(range(self.ndim))
        first, second = axis_of(dim0, len(order)), axis_of(dim1, len(order))
        order[first], order[second] = second, first
        return self.permute(*order)

    def __getitem__(self, key: Any) -> Any:
        """Parts of axes, such as w[0] or w[:, None]."""
        keys = key if isinstance(key, tuple) else (key,)
        for each in keys:
            if isinstance(each, bool) or not (
                each is None or each is Ellipsis or isinstance(each, int | np.integer | slice)
            ):
                raise TypeError(f"an index must be a whole number, a slice or None, got {each!r}")
        keys = keys if Ellipsis in keys else (*keys, ...)
        found = np.broadcast_to(np.int8(0), self._sizes)[keys]
        if found.size == 0:
            raise ValueError(f"index {key!r} of shape {self._sizes} leaves nothing")

        def rest(plain: Tensor) -> Tensor:
            bare = tuple(each for each in keys if each is not None)
            return plain[(slice(None), *bare)].view(plain._n, *(found.shape or (1,)))

        return self._moved(lambda array: array[keys], rest)

    def _reduce(self, dim: Any, keepdim: bool, mean: bool) -> Any:
        axes = (dim,) if isinstance(dim, int | np.integer) else tuple(dim)
        places = sorted({axis_of(int(axis), self.ndim) for axis in axes})
        sizes = [1 if k in places else size for k, size in enumerate(self._sizes)]
        found = self._plain()._reduce([place + 1 for place in places], True, mean)
        if not keepdim:
            sizes = [size for k, size in enumerate(self._sizes) if k not in places]
            found = found.view(found._n, *(sizes or (1,)))
        return Standing.made_of(found, tuple(sizes))

    def mean(self, dim: Any = None, keepdim: bool = False) -> Any:
        """The mean over some axes; without `dim` over all numbers."""
        return self._over(dim, keepdim, True)

    def sum(self, dim: Any = None, keepdim: bool = False) -> Any:
        """The sum over some axes; without `dim` over all numbers."""
        return self._over(dim, keepdim, False)

    def _over(self, dim: Any, keepdim: bool, mean: bool) -> Any:
        if dim is None and not self._sizes:
            return self
        return self._reduce(tuple(range(self.ndim)) if dim is None else dim, keepdim, mean)


def standing_of(value: Any) -> Any:
    """A parameter as a tensor of forward; all else as it is."""
    made = getattr(value, "_standing", None)
    return value if made is None else made()


def aligned(layer: Layer) -> Layer:
    """A layer whose axes count observations, for a tensor whose axes do not."""
    if isinstance(layer, Softmax | LogSoftmax) and layer.dim >= 0:
        kind: Any = type(layer)
        found: Layer = layer_of(kind, layer.dim + 1)
        return found
    return layer


def stand(made: Tensor, first: Tensor) -> Standing:
    """What is recorded of tensors that are the same for all observations, of which one is the first."""
    same = made._node.shape == first._node.shape
    return Standing.made_of(made, first.shape if same else made._node.shape)


uses["aligned"], uses["stand"] = aligned, stand
