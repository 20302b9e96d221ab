"""Values of a network's forward: they record what they are made of, and are computed when asked for.

The first axis of a tensor holds the observations of a batch, which no operation mixes: that a batch is
computed observation by observation, on all cores, needs nothing more than this. A loss is a number: a
mean over the observations, or a sum of such means.
"""

from __future__ import annotations

import contextlib
import math
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fastkb.checks.numbers import check_unmasked
from fastkb.checks.values import check_dense, real_values
from fastkb.nn.ops.operation import Layer, Node
from fastkb.nn.recording.operators import Operators


class Leaf(Node):
    """Data that a graph begins with.

    Attributes
    ----------
    array : ndarray of shape (n, …)
    tensor : weakref.ref
        To the :class:`Tensor` of it, which receives its derivatives.
    """

    __slots__ = ("array", "tensor")

    def __init__(self, array: np.ndarray, tensor: Tensor) -> None:
        super().__init__(None, (), array.shape[1:])
        self.array, self.tensor = array, weakref.ref(tensor)


_REFLECTED = {
    np.add: "__radd__", np.subtract: "__rsub__", np.multiply: "__rmul__", np.true_divide: "__rtruediv__",
}  # fmt: skip

#: What stands on this file, and serves it: by `run.py`, `losses.py` and `standing.py`.
uses: dict[str, Callable[..., Any]] = {}


class _State(threading.local):
    """Of each thread: whether derivatives are recorded."""

    records = True


_state = _State()


@contextlib.contextmanager
def no_grad() -> Iterator[None]:
    """Nothing that is computed within has derivatives; also a decorator.

    Examples
    --------
    >>> from fastkb import nn
    >>> with nn.no_grad():
    ...     y = 2.0 * nn.Tensor([[1.0, 2.0]], requires_grad=True)
    >>> y.requires_grad
    False
    """
    before, _state.records = _state.records, False
    try:
        yield
    finally:
        _state.records = before


class Tensor(Operators):
    """An array of observations, of which derivatives can be taken.

    Parameters
    ----------
    data : array_like of shape (n, …)
        float32 stays; other numbers become float64.
    requires_grad : bool, default False
        Whether :meth:`backward` gives derivatives with respect to it.

    Attributes
    ----------
    grad : ndarray or None
        The sum of derivatives that :meth:`backward` has found.

    Raises
    ------
    TypeError, ValueError
        For what is no array of real numbers, NaN and infinity.

    Notes
    -----
    The first axis counts observations, and operations keep it: a product of matrices over it, or a mean
    along it, is no operation of a network. Losses are means over it.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import nn
    >>> x = nn.Tensor(np.array([[1.0, -2.0]]), requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    array([[ 2., -4.]])
    """

    __slots__ = (
        "__weakref__",
        "_apart",
        "_array",
        "_call",
        "_n",
        "_network",
        "_node",
        "_version",
        "grad",
        "requires_grad",
    )

    grad: np.ndarray | None
    _array: np.ndarray | None
    _stands = False  # whether it is the same for all observations, and its axes count none

    def __init__(self, data: Any, requires_grad: bool = False) -> None:
        # A copy: it is read when numbers are asked for, and the caller's may be others by then.
        array = checked(data).copy()
        self._set(Leaf(array, self), len(array), None)
        self._array, self.requires_grad = array, bool(requires_grad)

    def _set(self, node: Node, n: int, network: Any) -> None:
        self._node, self._n, self._network = node, n, network
        self._array = None
        self._version = 0 if network is None else network._version
        self._apart = not _state.records
        self._call = 0  # of the network: each has masks of its own
        self.grad, self.requires_grad = None, False

    @classmethod
    def _of(cls, node: Node, n: int, network: Any, requires_grad: bool) -> Tensor:
        """What is recorded, of `n` observations, of the parameters of a network."""
        made: Tensor = cls.__new__(cls)
        made._set(node, n, network)
        made.requires_grad = requires_grad and _state.records
        return made

    # --- what is known of it --------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes, of which the first counts observations."""
        return (self._n, *self._node.shape)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return 1 + len(self._node.shape)

    @property
    def dtype(self) -> np.dtype:
        """float32 or float64: that of its numbers."""
        if self._array is not None:
            return self._array.dtype
        found: np.dtype = uses["element_of"](self)
        return found

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of one axis."""
        return self.shape if dim is None else self.shape[dim]

    def dim(self) -> int:
        """Number of axes."""
        return self.ndim

    def numel(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    def __len__(self) -> int:
        return self._n

    def __repr__(self) -> str:
        return f"Tensor({self.numpy()!r}{', requires_grad=True' * self.requires_grad})"

    # --- its numbers ----------------------------------------------------------------------------

    def numpy(self) -> np.ndarray:
        """Its numbers, which are computed now if they have not been."""
        if self._array is None:
            self._array = uses["evaluate"](self)
        return self._array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        found = self.numpy()
        return found if dtype is None else found.astype(dtype, copy=bool(copy))

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        """``array - tensor`` and the like are recorded; other functions of NumPy give arrays."""
        reflected = _REFLECTED.get(ufunc)
        if method == "__call__" and reflected and not options and inputs[1] is self:
            return getattr(self, reflected)(inputs[0])
        arrays = [each.numpy() if isinstance(each, Tensor) else each for each in inputs]
        return getattr(ufunc, method)(*arrays, **options)

    def __lt__(self, other: Any) -> Any:
        return self.numpy() < np.asarray(other)

    def __le__(self, other: Any) -> Any:
        return self.numpy() <= np.asarray(other)

    def __gt__(self, other: Any) -> Any:
        return self.numpy() > np.asarray(other)

    def __ge__(self, other: Any) -> Any:
        return self.numpy() >= np.asarray(other)

    def item(self) -> float:
        """Its only number."""
        return float(self.numpy().item())

    def tolist(self) -> Any:
        """Its numbers in nested lists."""
        return self.numpy().tolist()

    def detach(self) -> Tensor:
        """The same numbers, of which nothing is known."""
        return Tensor(self.numpy())

    def argmax(self, dim: int | None = None) -> Any:
        """Places of the largest numbers."""
        return self.numpy().argmax(dim)

    def backward(self) -> None:
        """Add the derivatives of this number to ``grad`` of what it is made of.

        Raises
        ------
        ValueError
            If it is not one number.
        """
        raise ValueError(
            f"backward starts at a loss, which is one number, and this tensor has shape {self.shape}: "
            "take a loss or its mean() first"
        )

    def _is_apart(self) -> bool:
        return self._apart and not isinstance(self._node, Leaf)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Whether :meth:`backward` gives derivatives with respect to it; returns itself."""
        if not isinstance(self._node, Leaf):
            raise ValueError(
                "requires_grad is that of data: what is computed from them has it of them"
            )
        self.requires_grad = bool(requires_grad)
        return self

    # --- others that are made of it -------------------------------------------------------------

    def _record(self, layer: Layer, *others: Any) -> Tensor:
        return record(layer, self, *others)

    def _beside(self, other: Any) -> Tensor:
        if isinstance(other, Tensor):
            if other._stands:
                found: Tensor = other._beside_of(self)  # type: ignore[attr-defined]
                return found
            if other.ndim == 0:
                raise TypeError("a loss is one number, and no operand of tensors: take its item()")
            return other
        if hasattr(other, "_standing"):
            return self._beside(other._standing())
        array = np.asarray(other)
        if array.ndim < self.ndim or array.shape[0] != self._n:
            array = np.broadcast_to(array, (self._n, *np.shape(array)[-(self.ndim - 1) :]))
            array = array.reshape(*array.shape, *[1] * (2 - array.ndim))
        return Tensor(array)

    def mean(self, dim: Any = None, keepdim: bool = False) -> Tensor:
        """The mean over some axes behind the first; without `dim` over all numbers, which is a loss."""
        if dim is not None:
            return self._reduce(dim, keepdim, True)
        found: Tensor = uses["mean_of"](self, 1.0)
        return found

    def sum(self, dim: Any = None, keepdim: bool = False) -> Tensor:
        """The sum over some axes behind the first; without `dim` over all numbers, which is a loss."""
        if dim is not None:
            return self._reduce(dim, keepdim, False)
        found: Tensor = uses["mean_of"](self, float(self.numel()))
        return found


def checked(data: Any) -> np.ndarray:
    """An array of real finite numbers, with an axis of observations; float32 or float64."""
    if type(data) is not np.ndarray or data.dtype not in (np.float32, np.float64):
        if isinstance(data, Tensor):
            data = data.numpy()
        check_unmasked("data", data)
        check_dense("data", data)
        array = real_values("data", data)
        if array.dtype == np.uint8 and array.ndim == 4:
            raise ValueError(
                "data is of bytes, from 0 to 255, whose scale is not said: divide them, such as "
                "data.astype(numpy.float32) / 255"
            )
        kind = np.float32 if array.dtype.newbyteorder("=") == np.float32 else np.float64
        data = array.astype(kind, copy=False)
    if data.ndim < 2:
        raise ValueError(
            f"data must have an axis of observations and another one, got shape {data.shape}"
        )
    if data.size == 0:
        raise ValueError(f"data must have an element, got shape {data.shape}")
    with np.errstate(over="ignore", invalid="ignore"):
        finite = np.isfinite(data.sum()) or np.isfinite(data).all()
    if not finite:
        raise ValueError("data has NaN or infinity")
    return np.ascontiguousarray(data)


def as_tensor(value: Any) -> Tensor:
    """A tensor, or an array as one."""
    if isinstance(value, Tensor):
        return value
    made: Tensor = value._standing() if hasattr(value, "_standing") else Tensor(value)
    return made


def record(layer: Layer, *values: Tensor, name: str = "", network: Any = None) -> Tensor:
    """What a layer gives for tensors.

    Parameters
    ----------
    layer : Layer
    *values : Tensor
    name : str
        The layer's within the network, of its tensors.
    network : Network, optional
        That has them.

    Raises
    ------
    ValueError
        If the layer does not take such tensors, naming it.
    """
    if _state.records:
        # What was computed under no_grad is numbers.
        values = tuple(value.detach() if value._is_apart() else value for value in values)
    n, trained = values[0]._n, network is not None
    call = 0 if network is None else network._calls
    for value in values:
        trained |= value.requires_grad
        if value._n != n:
            raise ValueError(f"tensors of {n} and of {value._n} observations do not go together")
        if value._network is not None:
            if network is not None and network is not value._network:
                raise ValueError(
                    "tensors of two networks do not go together: make both attributes of one Module"
                )
            network = value._network
    stands = values[0]._stands and all(value._stands for value in values)
    if stands:
        layer = uses["aligned"](layer)
    try:
        for value in values:
            if isinstance(value._node, Leaf):
                layer.check_values(value._node.array)
        if len(values) == 1:
            node = layer.record(values[0]._node, name)
        else:
            node = layer.record_all(tuple(value._node for value in values))  # type: ignore[attr-defined]
    except ValueError as error:
        called = f"layer {name}, " if name else ""
        raise ValueError(f"{called}{layer!r}, {error}") from None
    made = Tensor._of(node, n, network, trained)
    made._call = max(call, *(value._call for value in values))
    versions = [value._version for value in values if value._network is not None]
    made._version = min(versions, default=made._version)
    return uses["stand"](made, values[0]) if stands else made
