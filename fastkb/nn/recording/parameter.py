"""Parameters: of layers, and a module's own."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from fastkb.checks.numbers import check_unmasked
from fastkb.checks.scalars import check_flag
from fastkb.checks.values import real_values
from fastkb.nn.recording.standing import Source, Standing, context

_REFLECTED = {
    np.add: "__radd__", np.subtract: "__rsub__", np.multiply: "__rmul__", np.true_divide: "__rtruediv__",
}  # fmt: skip

_MOST = 2**24  # float32 has all whole numbers up to here


class Parameter:
    """A parameter of a network: its numbers stand in the network, where compiled code has them.

    A layer of a :class:`Module` has them as attributes, such as ``net.fc1.weight``. A module gets one of
    its own by ``self.scale = nn.Parameter(np.ones(8))``. In ``forward`` that is an operand of arithmetic
    and of functions, and beside tensors it is broadcast as NumPy does it.

    Parameters
    ----------
    data : array_like
        The numbers that it begins with, of any shape.
    requires_grad : bool, default True
        Whether it is trained.

    Attributes
    ----------
    shape : tuple of int
    data : ndarray
        A copy of its numbers; numbers that are assigned take their place.
    grad : ndarray or None
        Derivatives of losses whose ``backward`` was called, as they add up; None: there are none.
    requires_grad : bool
        Whether it is trained.

    Raises
    ------
    TypeError, ValueError
        For what is no array of real numbers, NaN and infinity.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import nn
    >>> class Scaled(nn.Module):
    ...     def __init__(self):
    ...         super().__init__(rng=0)
    ...         self.fc = nn.Linear(3, 2)
    ...         self.scale = nn.Parameter(np.array([1.0, 10.0]))
    ...
    ...     def forward(self, x):
    ...         return self.scale * self.fc(x)
    >>> net = Scaled()
    >>> [(name, parameter.numel()) for name, parameter in net.named_parameters()]
    [('scale', 2), ('fc.weight', 6), ('fc.bias', 2)]
    """

    __slots__ = ("_kind", "_numbers", "_part", "_trained", "shape")

    _part: Any  # in which it has its name; None: it is no part of anything yet

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        self._numbers = numbers_of("data", data)
        self._trained = check_flag("requires_grad", requires_grad)
        self._part, self._kind, self.shape = None, "", self._numbers.shape

    @classmethod
    def _of(cls, part: Any, kind: str, shape: tuple[int, ...]) -> Parameter:
        """The one that has a name within a network or a part of one."""
        made: Parameter = cls.__new__(cls)
        made._part, made._kind, made.shape = part, kind, shape
        return made

    @property
    def _network(self) -> Any:
        if self._part is None:
            raise ValueError(
                "this parameter is no part of a network yet: make it an attribute of a Module"
            )
        return self._part._root()

    @property
    def _name(self) -> str:
        network = self._network
        path = self._part._path(network)
        return f"{path}.{self._kind}" if path else self._kind

    def _held(self) -> Any:
        """Of a module's own: what is known of it beside its numbers; None: it is a layer's."""
        part, kind = self._part, self._kind
        while "." in kind:
            place, _, kind = kind.partition(".")
            part = part._children().get(place)
            if part is None:  # within a layer that is made of others
                return None
        return vars(part).get("_own", {}).get(kind)

    def __repr__(self) -> str:
        return f"Parameter({self.numpy()!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Parameter):
            return NotImplemented
        if self._part is None or other._part is None:
            return self is other
        return self._network is other._network and self._name == other._name

    def __hash__(self) -> int:
        return id(self) if self._part is None else hash((id(self._network), self._name))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.numpy() if dtype is None else self.numpy().astype(dtype)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        """``array * parameter`` and the like are recorded in forward; else there are arrays."""
        if context.places:
            mine = self._standing()
            given = (mine if each is self else each for each in inputs)
            return mine.__array_ufunc__(ufunc, method, *given, **options)
        arrays = [each.numpy() if isinstance(each, Parameter) else each for each in inputs]
        return getattr(ufunc, method)(*arrays, **options)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("a parameter without axes has no length")
        return self.shape[0]

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def dim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of one axis."""
        return self.shape if dim is None else self.shape[dim]

    def numel(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape))

    def item(self) -> float:
        """Its only number."""
        return float(self.numpy().item())

    def tolist(self) -> Any:
        """Its numbers in nested lists."""
        return self.numpy().tolist()

    def numpy(self) -> np.ndarray:
        """A copy of its numbers."""
        if self._part is None:
            return self._numbers.copy()
        network, name, held = self._network, self._name, self._held()
        if held is not None and network._state is None:
            # Asked for before there are data, which tell the element type.
            found = np.array(network._carried.get(name, held.numbers))
            return found if network._dtype is None else found.astype(network._dtype)
        store, state, _ = network._ready(np.dtype(np.float64))
        return store.take_one(name, state.parameters[0])

    @property
    def data(self) -> np.ndarray:
        """A copy of its numbers."""
        return self.numpy()

    @data.setter
    def data(self, values: Any) -> None:
        array = np.asarray(values)
        if (
            array.shape != self.shape
            or array.dtype.kind not in "fiu"
            or not np.isfinite(array).all()
        ):
            name = "a parameter" if self._part is None else self._name
            raise ValueError(
                f"data of {name} must be finite numbers of shape {self.shape}, got {array.dtype} "
                f"of shape {array.shape}"
            )
        if self._part is None:
            self._numbers = numbers_of("data", array)
            return
        network, name, held = self._network, self._name, self._held()
        if held is not None and network._state is None:
            held.numbers = numbers_of("data", array)
            network._carried = {k: v for k, v in network._carried.items() if k != name}
            return
        store, state, _ = network._ready(np.dtype(np.float64))
        store.put(name, array, state.parameters[0])
        network._version += 1

    @property
    def grad(self) -> np.ndarray | None:
        """A copy of its derivatives; None: there are none."""
        return None if self._part is None else self._network._gradients.take(self._name)

    @grad.setter
    def grad(self, values: Any) -> None:
        self._network._gradients.put(self._name, self.shape, values)

    @property
    def requires_grad(self) -> bool:
        """Whether it is trained."""
        if self._part is None:
            return self._trained
        return self._name not in self._network._gradients.frozen

    @requires_grad.setter
    def requires_grad(self, requires_grad: bool) -> None:
        if self._part is None:
            self._trained = bool(requires_grad)
            return
        frozen = self._network._gradients.frozen
        (frozen.discard if requires_grad else frozen.add)(self._name)

    def requires_grad_(self, requires_grad: bool = True) -> Parameter:
        """Whether it is trained; returns itself."""
        self.requires_grad = requires_grad
        return self

    def _standing(self) -> Standing:
        """As a tensor of the forward that is recorded now."""
        held = None if self._part is None else self._held()
        if self._part is not None and held is None:
            raise TypeError(
                f"{self._name} is the parameter of a layer, and no operand: call the layer, take the "
                "numbers, .data, or make an nn.Parameter of the module's own"
            )
        if held is None or not context.places:
            raise ValueError(
                "a parameter is an operand in forward, of the module that has it as an attribute, or of "
                "one around that: elsewhere take its numbers, .data"
            )
        return standing(self._part, self._kind, held, self.numpy)


def standing(part: Any, kind: str, held: Any, numbers: Callable[[], np.ndarray]) -> Standing:
    """A module's own parameter or buffer in the forward that is recorded now."""
    place = context.places[-1]
    path = part._path(place.module)
    name = ".".join(filter(None, (place.prefix, path, kind)))
    network = None if place.symbolic else part._root()
    if place.symbolic and held.trained:
        numbers = _unknown
    return Standing.of(Source(held.numbers, held.trained, name, network, place.start, numbers))


def _unknown() -> np.ndarray:
    raise ValueError(
        "numbers of a parameter are asked for while forward is recorded for fit or predict, which train "
        "it: call the network, and train it by backward() and step()"
    )


def numbers_of(name: str, data: Any, *, whole: bool = False) -> np.ndarray:
    """A copy of real finite numbers of any shape: float32, or float64.

    Parameters
    ----------
    name : str
        Of the argument.
    data : array_like
    whole : bool, default False
        Whether whole numbers and truth values stay what they are; all of float32 are exact.
    """
    if callable(getattr(data, "detach", None)):  # PyTorch's
        data = data.detach()
    check_unmasked(name, data)
    array = np.asarray(real_values(name, data, frames=False))
    if array.size == 0:
        raise ValueError(f"{name} must have an element, got shape {array.shape}")
    kind: Any = np.float32 if array.dtype == np.float32 else np.float64
    if whole and array.dtype.kind in "iub":
        kind = array.dtype.newbyteorder("=")
        if array.dtype.kind != "b" and np.abs(array.astype(float)).max() > _MOST:
            raise ValueError(f"{name} must be whole numbers from -2**24 to 2**24, or of floats")
    array = np.array(array, kind, order="C")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has NaN or infinity")
    return array


def _delegated(name: str) -> Callable[..., Any]:
    @functools.wraps(getattr(Standing, name))
    def method(self: Parameter, *arguments: Any, **options: Any) -> Any:
        return getattr(self._standing(), name)(*arguments, **options)

    return method


# What a tensor can be asked to give.
for _name in (
    "__add__", "__radd__", "__sub__", "__rsub__", "__mul__", "__rmul__", "__truediv__", "__rtruediv__",
    "__neg__", "__pow__", "__matmul__", "__abs__", "__getitem__",
    "abs", "exp", "log", "sqrt", "square", "pow", "sin", "cos", "relu", "sigmoid", "tanh", "clamp",
    "view", "reshape", "flatten", "unsqueeze", "squeeze", "expand", "permute", "transpose",
    "mean", "sum", "detach",
):  # fmt: skip
    setattr(Parameter, _name, _delegated(_name))
