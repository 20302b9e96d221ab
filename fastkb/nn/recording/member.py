"""Layers as attributes of modules: with their parameters, which stand in the network."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fastkb.nn.ops.graph import leaves
from fastkb.nn.ops.operation import Layer, calls
from fastkb.nn.ops.storage import BIAS, named
from fastkb.nn.recording.parameter import Parameter
from fastkb.nn.recording.standing import context
from fastkb.nn.recording.tensor import Tensor, as_tensor, record


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
        known = leaves(own) if own.parts else iter([("", own)])
        for name, layer in known:
            for kind, shape in (layer.buffers() if buffers else layer.shapes()).items():
                yield named(name, kind), shape

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Parameter]]:
        """The parameters, with their names."""
        root = self._root()
        path = self._path(root)
        for name, shape in self._tensors(buffers=False):
            yield named(prefix, name), Parameter._of(root, named(path, name), shape)

    def parameters(self) -> Iterator[Parameter]:
        """The parameters: what an optimiser takes."""
        return (parameter for _, parameter in self.named_parameters())

    def named_buffers(self, prefix: str = "") -> Iterator[tuple[str, np.ndarray]]:
        """What is kept beside the parameters, such as running statistics, with names: copies."""
        root = self._root()
        path, state = self._path(root), root._tensors_now()
        for name, _ in self._tensors(buffers=True):
            yield named(prefix, name), state[named(path, name)]

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
            return Parameter._of(root, f"{self._path(root)}.{name}", layer.shapes()[name])
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
            module, prefix, symbolic, _ = context.places[-1]
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


def bound(part: Any, parent: Any, place: str) -> Any:
    """A layer or module as the part of another one, under a name."""
    member = Member(part) if isinstance(part, Layer) and not isinstance(part, Part) else part
    vars(member).update(_parent=weakref.ref(parent), _place=place, _orphan=False)
    return member
