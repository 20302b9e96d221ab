"""Modules: networks whose forward is Python over tensors."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from fastkb.nn.base import Network
from fastkb.nn.ops.graph import in_order
from fastkb.nn.ops.operation import Layer, Node, Shape
from fastkb.nn.program.step import State
from fastkb.nn.program.store import Store
from fastkb.nn.recording.member import Member, Part, Place, bound, context
from fastkb.nn.recording.run import Compiled, Gradients, check_batch_of
from fastkb.nn.recording.tensor import Tensor, as_tensor

# Observations of a graph that is recorded for a program: none is seen, and there may be any number.
_ANY = 2


class Module(Network, Part):
    """A network whose forward is Python: derive a class from it, as from ``torch.nn.Module``.

    Layers and modules that are assigned to attributes are its parts, and their parameters its own. A call
    records what `forward` does; numbers are computed when they are asked for, all of them by one compiled
    program, which is looked up where the same graph was met before. :meth:`fit` records once, and trains
    whole epochs in compiled code.

    Parameters
    ----------
    rng : None, int, numpy.random.SeedSequence or numpy.random.Generator, default None
        Seed of the first weights and of what training draws; None: :meth:`fit`'s seed.
    dtype : {"float32", "float64"}, optional
        Of the parameters and of all that is computed. None: that of the first data or parameters;
        what is not float32 is float64.

    Attributes
    ----------
    training : bool
        Whether batch normalisation and dropout do what they do in training; see :meth:`train`.
    history : dict of str to list
        Of :meth:`fit`: one entry for each epoch.

    Notes
    -----
    `forward` may depend on shapes and on Python values: each way through it is a graph of its own. What
    depends on numbers of a tensor sees them by :meth:`Tensor.item` or :meth:`Tensor.numpy`.

    Examples
    --------
    >>> import numpy as np
    >>> import fastkb.nn as nn
    >>> import fastkb.nn.functional as F
    >>> class Net(nn.Module):
    ...     def __init__(self):
    ...         super().__init__(rng=0)
    ...         self.conv = nn.Conv2d(1, 4, 3)
    ...         self.fc = nn.Linear(4 * 3 * 3, 2)
    ...
    ...     def forward(self, x):
    ...         x = F.max_pool2d(F.relu(self.conv(x)), 2)
    ...         return self.fc(x.view(-1, 36))
    >>> net = Net()
    >>> net(np.zeros((5, 1, 8, 8))).shape
    (5, 2)
    >>> [name for name, _ in net.named_parameters()]
    ['conv.weight', 'conv.bias', 'fc.weight', 'fc.bias']
    """

    _modules: dict[str, Any]
    _calls = 0

    def __init__(self, *, rng: Any = None, dtype: Any = None) -> None:
        vars(self).update(_modules={}, training=True)
        self._begin(rng, dtype)
        self._start_recording()

    def _start_recording(self) -> None:
        self._programs: OrderedDict[Any, Compiled] = OrderedDict()
        self._gradients = Gradients(self)

    def forward(self, *inputs: Any) -> Any:
        """What the module gives for tensors: to be written in a class derived from this one."""
        raise TypeError(f"{type(self).__name__} must define forward(self, x)")

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """Record :meth:`forward` of arrays or tensors."""
        values = [as_tensor(x) if _is_data(x) else x for x in inputs]
        if context.places:
            return self.forward(*values, **options)
        root = self._root()
        root._calls += 1
        context.places.append(Place(root, "", False))
        try:
            return self.forward(*values, **options)
        finally:
            context.places.pop()

    # --- its parts ------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        modules = vars(self).get("_modules")
        if isinstance(value, Layer | Part):
            if modules is None:
                raise AttributeError(
                    f"{type(self).__name__} must call super().__init__() before it sets {name}"
                )
            self._bind(name, value)
            return
        if modules is not None and name in modules:
            self._changed()
            vars(modules.pop(name))["_parent"] = None
        super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        modules = vars(self).get("_modules", {})
        if name in modules:
            return modules[name]
        raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")

    def __delattr__(self, name: str) -> None:
        if name in self._modules:
            self._changed()
            vars(self._modules.pop(name))["_parent"] = None
        else:
            super().__delattr__(name)

    def _bind(self, name: str, value: Any) -> None:
        """Make a layer or a module a part of this."""
        self._changed()
        self._modules[name] = self._as_part(name, value)

    def _as_part(self, name: str, value: Any) -> Any:
        part = bound(value.module if isinstance(value, Composite) else value, self, name)
        if isinstance(part, Module):
            self._take_over(part)
        return part

    def _take_over(self, part: Module) -> None:
        """What there is of a module's parameters goes on as that of the whole."""
        root = self._root()
        path = part._path(root)
        root._gradients.frozen |= {f"{path}.{each}" for each in part._gradients.frozen}
        if part._state is not None:
            taken = {f"{path}.{each}": array for each, array in part._own_state().items()}
            root._carried = {**root._carried, **taken}
            part._forget()

    def add_module(self, name: str, module: Any) -> None:
        """Make a layer or a module a part of this, under a name."""
        setattr(self, name, module)

    register_module = add_module

    def _changed(self) -> None:
        """Before parts change: what there is of parameters goes on under its names."""
        root = self._root()
        if root._state is not None:
            root._carried = {**root._carried, **root._own_state()}
            root._forget()

    def _own_state(self) -> dict[str, np.ndarray]:
        assert self._store is not None
        assert self._state is not None
        return self._store.take(self._state.parameters[0])

    def _forget(self) -> None:
        self._store = self._state = None
        self._engines = {}
        frozen = self._gradients.frozen
        self._start_recording()
        self._gradients.frozen = frozen
        self._version += 1

    def _children(self) -> dict[str, Any]:
        return self._modules

    def _layer_of(self) -> Layer:
        return Composite(self)

    @property
    def _graph(self) -> Any:
        self._check_whole()
        return Composite(self)

    def _check_whole(self) -> None:
        if self._root() is not self:
            raise ValueError(
                f"this {type(self).__name__} is a part of another network, which has its parameters: "
                "call that one"
            )

    def _ready(self, dtype: np.dtype, *, draw: bool = True) -> tuple[Store, State, np.ndarray]:
        self._check_whole()
        return super()._ready(dtype, draw=draw)

    def _architecture(self) -> Any:
        code = [
            module.forward.__code__.co_code.hex() for module in self.modules() if _has_code(module)
        ]
        return type(self).__qualname__, repr(self), *code

    def _blank(self, dtype: np.dtype) -> Any:
        """A network like this, without parameters."""
        made = copy.deepcopy(self)
        made._begin(None, dtype)
        return made

    def state_dict(self) -> dict[str, np.ndarray]:
        root = self._root()
        if root is self:
            return super().state_dict()
        start = self._path(root) + "."
        return {
            name.removeprefix(start): array
            for name, array in root.state_dict().items()
            if name.startswith(start)
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        root = self._root()
        if root is self:
            super().load_state_dict(state_dict)
        else:
            start = self._path(root) + "."
            root.load_state_dict(
                {**root.state_dict(), **{start + name: each for name, each in state_dict.items()}}
            )

    state_dict.__doc__ = Network.state_dict.__doc__
    load_state_dict.__doc__ = Network.load_state_dict.__doc__

    def zero_grad(self) -> None:
        """Forget the derivatives of its parameters."""
        root = self._root()
        if root is self:
            self._gradients.present.clear()
        else:
            super().zero_grad()

    def __repr__(self) -> str:
        inner = "".join(
            f"\n  ({name}): " + repr(module).replace("\n", "\n  ")
            for name, module in self._modules.items()
        )
        return f"{type(self).__name__}({inner}\n)" if inner else f"{type(self).__name__}()"

    # --- pickles --------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        state = {**super().__getstate__(), "_frozen": self._gradients.frozen}
        for name in ("_programs", "_gradients", "_parent"):
            state.pop(name, None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(_modules={}, training=True)
        vars(self).update({**state, "_state": None})
        for name, module in self._modules.items():
            bound(module, self, name)
        self._start_recording()
        self._gradients.frozen = set(vars(self).pop("_frozen", ()))
        self._restore(state["_state"])


def _has_code(part: Any) -> bool:
    """Whether a part is a module whose forward is written in Python."""
    return hasattr(part.forward, "__code__") if type(part) is not Member else False


def _is_data(value: Any) -> bool:
    """Whether a module is given a value as a tensor."""
    return isinstance(value, np.ndarray | list) or hasattr(value, "__array__")


class Listed(Module):
    """Base of modules whose parts are numbered."""

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._modules.values())

    def __getitem__(self, place: Any) -> Any:
        return list(self._modules.values())[place]


class ModuleList(Listed):
    """Modules and layers in a list; each is a part of what the list is assigned to.

    Parameters
    ----------
    modules : iterable of Module or layer, default ()

    Examples
    --------
    >>> from fastkb import nn
    >>> layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))
    >>> len(layers), layers[-1]
    (3, Linear(in_features=4, out_features=4, bias=True, initialization='torch'))
    """

    def __init__(self, modules: Iterable[Any] = ()) -> None:
        super().__init__()
        for module in modules:
            self.append(module)

    def append(self, module: Any) -> ModuleList:
        """Add one at the end; returns itself."""
        if not isinstance(module, Layer | Part):
            raise TypeError(f"module must be a layer or a Module, got {module!r}")
        self._bind(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Any]) -> ModuleList:
        """Add several at the end; returns itself."""
        for module in modules:
            self.append(module)
        return self


class Composite(Layer):
    """A module as a layer: what its forward records.

    Parameters
    ----------
    module : Module
    """

    needs_a_batch = True

    def __init__(self, module: Module) -> None:
        self.module = module

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Composite) and self.module is other.module

    def __hash__(self) -> int:
        return id(self.module)

    def __repr__(self) -> str:
        return f"{type(self.module).__name__}(…)"

    @property
    def parts(self) -> dict[str, Layer]:
        """The layers of its attributes."""
        return {name: part._layer_of() for name, part in self.module._modules.items()}

    @property
    def takes(self) -> Shape:
        return ()

    def shape_of(self, shape: Shape) -> Shape:
        if shape is None or any(size is None for size in shape):
            return None
        return self.record(
            Node(None, (), tuple(size for size in shape if size is not None)), ""
        ).shape

    def check_batch(self, shape: tuple[int, ...], observations: int) -> None:
        for node in in_order(self.record(Node(None, (), shape), "")):
            check_batch_of(node, observations)

    def check_values(self, values: np.ndarray) -> None:
        start = Node(None, (), values.shape[1:])
        for node in in_order(self.record(start, "")):
            if node.layer is not None and start in node.reads:
                try:
                    node.layer.check_values(values)
                except ValueError as error:
                    raise ValueError(f"layer {node.name}, {node.layer!r}, {error}") from None

    def record(self, value: Node, name: str) -> Node:
        context.places.append(Place(self.module, name, True))
        try:
            given = self.module.forward(Tensor._of(value, _ANY, None, False))
        finally:
            context.places.pop()
        if not isinstance(given, Tensor):
            raise TypeError(
                f"forward of {type(self.module).__name__} must give a tensor, got {type(given).__name__}"
            )
        return given._node


def as_layer(part: Any) -> Any:
    """A module as a layer; all else as it is."""
    return Composite(part) if isinstance(part, Module) else part
