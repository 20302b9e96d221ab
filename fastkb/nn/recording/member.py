"""Layers as attributes of modules: with their parameters, which stand in the network."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from fastkb.nn.ops.graph import leaves
from fastkb.nn.ops.operation import Layer, calls
from fastkb.nn.ops.storage import BIAS
from fastkb.nn.recording.tensor import Tensor, as_tensor, record


class Place(NamedTuple):
    """Where recording takes place: names count from this module, under a prefix."""

    module: Part
    prefix: str
    symbolic: bool  # whether the graph is recorded for a program, and not for these data


class _Context(threading.local):
    """Of each thread: the places of the calls that have begun, the innermost last."""

    def __init__(self) -> None:
        self.places: list[Place] = []


context = _Context()


class Part:
    """What stands in a network under a name: a module, or a layer."""

    training = True
    _parent: Any = None
    _place = ""
    _orphan = False

    def _root(self) -> Any:
        """The whole that it is a part of."""
        part: Any = self
        if self._orphan:
            raise ValueError(
                f"this {type(self).__name__} was a part of a network, which has its parameters, and is "
                "none any more: keep the network, or take copy.deepcopy(...) of a module within it"
            )
        while part._parent is not None:
            above = part._parent()
            if above is None:
                raise ValueError(
                    f"the network that {type(self).__name__} was a part of is gone, and its parameters "
                    "with it: keep the network"
                )
            part = above
        return part

    def _path(self, base: Any) -> str:
        """Its name within another part."""
        names: list[str] = []
        part: Any = self
        while part is not base:
            above = None if part._parent is None else part._parent()
            if above is None:
                raise ValueError(
                    f"{self!r} is no part of the network whose forward calls it: make it an attribute, "
                    "or one of a ModuleList"
                )
            names.append(part._place)
            part = above
        return ".".join(reversed(names))

    def _layer_of(self) -> Layer:
        """What it is in a graph."""
        raise NotImplementedError

    def _children(self) -> dict[str, Any]:
        return {}

    # --- its parts ------------------------------------------------------------------------------

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Any]]:
        """Itself and all modules and layers within, with their names."""
        yield prefix, self
        for name, child in self._children().items():
            yield from child.named_modules(f"{prefix}.{name}" if prefix else name)

    def modules(self) -> Iterator[Any]:
        """Itself and all modules and layers within."""
        return (module for _, module in self.named_modules())

    def named_children(self) -> Iterator[tuple[str, Any]]:
        """The modules and layers that are its attributes, with their names."""
        return iter(self._children().items())

    def children(self) -> Iterator[Any]:
        """The modules and layers that are its attributes."""
        return iter(self._children().values())

    def apply(self, function: Callable[[Any], Any]) -> Any:
        """Call a function with each module and layer within, and then with this; returns itself."""
        for child in self.children():
            child.apply(function)
        function(self)
        return self

    def train(self, mode: bool = True) -> Any:
        """Whether batch normalisation and dropout do what they do in training; returns itself."""
        for module in self.modules():
            vars(module)["training"] = bool(mode)
        return self

    def eval(self) -> Any:
        """As ``train(False)``."""
        return self.train(False)

    # --- its parameters -------------------------------------------------------------------------

    def _tensors(self, buffers: bool) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Names within this, and shapes, of parameters or of buffers."""
        own = self._layer_of()
        named = leaves(own) if own.parts else iter([("", own)])
        for name, layer in named:
            for kind, shape in (layer.buffers() if buffers else layer.shapes()).items():
                yield f"{name}.{kind}" if name else kind, shape

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Parameter]]:
        """The parameters, with their names."""
        root = self._root()
        path = self._path(root)
        for name, shape in self._tensors(buffers=False):
            whole = f"{path}.{name}" if path else name
            yield f"{prefix}.{name}" if prefix else name, Parameter(root, whole, shape)

    def parameters(self) -> Iterator[Parameter]:
        """The parameters: what an optimiser takes."""
        return (parameter for _, parameter in self.named_parameters())

    def named_buffers(self, prefix: str = "") -> Iterator[tuple[str, np.ndarray]]:
        """What is kept beside the parameters, such as running statistics, with names: copies."""
        root = self._root()
        path, state = self._path(root), root.state_dict()
        for name, _ in self._tensors(buffers=True):
            yield f"{prefix}.{name}" if prefix else name, state[f"{path}.{name}" if path else name]

    def buffers(self) -> Iterator[np.ndarray]:
        """What is kept beside the parameters: copies."""
        return (buffer for _, buffer in self.named_buffers())

    def requires_grad_(self, requires_grad: bool = True) -> Any:
        """Whether its parameters are trained; returns itself."""
        for parameter in self.parameters():
            parameter.requires_grad = requires_grad
        return self

    def zero_grad(self) -> None:
        """Forget the derivatives of its parameters."""
        for parameter in self.parameters():
            parameter.grad = None


class Member(Part):
    """A layer as an attribute of a module: called, it records; its tensors are attributes of it.

    ``isinstance`` takes it for what the layer is.

    Parameters
    ----------
    layer : Layer
    """

    def __init__(self, layer: Layer) -> None:
        vars(self)["_layer"] = layer
        vars(self)["_evaluated"] = layer.evaluated()

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return type(self._layer)

    def __getattr__(self, name: str) -> Any:
        layer = vars(self)["_layer"]
        if name in layer.shapes():
            root = self._root()
            return Parameter(root, f"{self._path(root)}.{name}", layer.shapes()[name])
        if name in layer.buffers():
            root = self._root()
            return root.state_dict()[f"{self._path(root)}.{name}"]
        if name == BIAS and hasattr(layer, BIAS):
            return None  # of the layer itself it says whether there is one
        return getattr(layer, name)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(
            f"a layer of a network is not changed, got {name} = {value!r}: put another layer in its "
            "place, or set numbers of a parameter by its data"
        )

    def __repr__(self) -> str:
        return repr(self._layer)

    def __reduce__(self) -> tuple[Any, ...]:
        return Member._restored, (self._layer, self.training)

    @staticmethod
    def _restored(layer: Layer, training: bool) -> Member:
        made = Member(layer)
        vars(made)["training"] = training
        return made

    def _layer_of(self) -> Layer:
        return self._layer

    def __call__(self, x: Any) -> Tensor:
        if context.places:
            module, prefix, symbolic = context.places[-1]
        else:
            module, prefix, symbolic = self._root(), "", False
        path = self._path(module)
        layer = self._layer if symbolic or self.training else self._evaluated
        has = bool(layer.shapes() or layer.buffers() or layer.parts or self._evaluated != layer)
        network = None if symbolic or not has else self._root()
        name = f"{prefix}.{path}" if prefix else path
        return record(layer, as_tensor(x), name=name, network=network)


_alone: dict[Layer, Layer] = {}


def call_alone(layer: Layer, values: tuple[Any, ...]) -> Tensor:
    """What a layer gives that is no part of a network."""
    if any(leaf.shapes() or leaf.buffers() for _, leaf in leaves((layer,))):
        raise ValueError(
            f"{layer!r} has no parameters of its own: make it an attribute of a Module, or put it into "
            "Sequential"
        )
    if len(_alone) > 1000:
        _alone.clear()
    # A graph is told by its layers: equal ones are the same.
    return record(_alone.setdefault(layer, layer), *map(as_tensor, values))


calls["alone"] = call_alone


class Parameter:
    """A parameter of a network: its numbers stand in the network, where compiled code has them.

    A layer of a :class:`Module` has them as attributes, such as ``net.fc1.weight``.

    Parameters
    ----------
    network : Network
    name : str
        As in the network's :meth:`Module.state_dict`.
    shape : tuple of int

    Attributes
    ----------
    shape : tuple of int
    data : ndarray
        A copy of its numbers; numbers that are assigned take their place.
    grad : ndarray or None
        Derivatives of losses whose ``backward`` was called, as they add up; None: there are none.
    requires_grad : bool
        Whether it is trained.

    Examples
    --------
    >>> from fastkb import nn
    >>> net = nn.Sequential(nn.Linear(3, 2), rng=0)
    >>> net[0].weight.shape, [parameter.numel() for parameter in net.parameters()]
    ((2, 3), [6, 2])
    """

    __slots__ = ("_name", "_network", "shape")

    def __init__(self, network: Any, name: str, shape: tuple[int, ...]) -> None:
        self._network, self._name, self.shape = network, name, shape

    def __repr__(self) -> str:
        return f"Parameter({self.numpy()!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Parameter):
            return NotImplemented
        return self._network is other._network and self._name == other._name

    def __hash__(self) -> int:
        return hash((id(self._network), self._name))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.numpy() if dtype is None else self.numpy().astype(dtype)

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of one axis."""
        return self.shape if dim is None else self.shape[dim]

    def numel(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape))

    def numpy(self) -> np.ndarray:
        """A copy of its numbers."""
        store, state, _ = self._network._ready(np.dtype(np.float64))
        return store.take_one(self._name, state.parameters[0])

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
            raise ValueError(
                f"data of {self._name} must be finite numbers of shape {self.shape}, got {array.dtype} "
                f"of shape {array.shape}"
            )
        store, state, _ = self._network._ready(np.dtype(np.float64))
        store.put(self._name, array, state.parameters[0])
        self._network._version += 1

    @property
    def grad(self) -> np.ndarray | None:
        """A copy of its derivatives; None: there are none."""
        return self._network._gradients.take(self._name)

    @grad.setter
    def grad(self, values: Any) -> None:
        self._network._gradients.put(self._name, self.shape, values)

    @property
    def requires_grad(self) -> bool:
        """Whether it is trained."""
        return self._name not in self._network._gradients.frozen

    @requires_grad.setter
    def requires_grad(self, requires_grad: bool) -> None:
        frozen = self._network._gradients.frozen
        (frozen.discard if requires_grad else frozen.add)(self._name)


def bound(part: Any, parent: Any, place: str) -> Any:
    """A layer or module as the part of another one, under a name."""
    member = Member(part) if isinstance(part, Layer) and not isinstance(part, Part) else part
    vars(member).update(_parent=weakref.ref(parent), _place=place, _orphan=False)
    return member
