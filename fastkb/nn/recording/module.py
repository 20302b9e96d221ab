"""Modules: networks whose forward is Python over tensors."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np

from fastkb.nn.base import Network
from fastkb.nn.ops.operation import Layer
from fastkb.nn.program.step import State
from fastkb.nn.program.store import Store
from fastkb.nn.recording.composite import Composite
from fastkb.nn.recording.holder import Holder
from fastkb.nn.recording.member import Member, Part, bound
from fastkb.nn.recording.parameter import Parameter
from fastkb.nn.recording.run import Compiled, Gradients
from fastkb.nn.recording.standing import Place, context
from fastkb.nn.recording.tensor import Tensor, as_tensor


class Module(Network, Holder):
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

    def __init__(self, *, rng: Any = None, dtype: Any = None) -> None:
        vars(self).update(_modules={}, _own={}, training=True)
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
        start = values[0] if values else None
        if not isinstance(start, Tensor):
            start = next((value for value in values if isinstance(value, Tensor)), None)
        context.places.append(Place(root, "", False, start))
        try:
            return self.forward(*values, **options)
        finally:
            context.places.pop()

    # --- its parts ------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        modules, own = vars(self).get("_modules"), vars(self).get("_own")
        if isinstance(value, Parameter):
            self._hold_parameter(name, value)
            return
        if isinstance(value, Layer | Part):
            if modules is None:
                raise AttributeError(
                    f"{type(self).__name__} must call super().__init__() before it sets {name}"
                )
            if own and name in own:
                self._let_go(name)
            self._bind(name, value)
            return
        if own and name in own:
            self._assign(name, value)
            return
        if modules is not None and name in modules:
            self._changed()
            self._drop(name)
        super().__setattr__(name, value)
        if modules is not None and not name.startswith("_") and name != "history":
            self._root()._engines.clear()  # forward may depend on it

    def __getattr__(self, name: str) -> Any:
        modules = vars(self).get("_modules", {})
        if name in modules:
            return modules[name]
        if name in vars(self).get("_own", {}):
            return self._of_own(name)
        raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")

    def __delattr__(self, name: str) -> None:
        if name in self._modules:
            self._changed()
            self._drop(name)
        elif name in self._own:
            self._let_go(name)
        else:
            super().__delattr__(name)

    def _bind(self, name: str, value: Any) -> None:
        """Make a layer or a module a part of this, in the place of what has the name."""
        if self._modules.get(name) is value:
            return
        self._changed()
        part = self._as_part(name, value)
        if name in self._modules:
            self._drop(name)
        self._modules[name] = part
        if isinstance(part, Module):
            self._take_over(part)

    def _drop(self, name: str) -> None:
        """Give up a part, and what there is of its parameters."""
        old = self._modules.pop(name)
        root = self._root()
        path = ".".join(filter(None, (self._path(root), name)))

        def is_its(each: str) -> bool:
            return each.startswith(f"{path}.")

        root._carried = {k: v for k, v in root._carried.items() if not is_its(k)}
        frozen = root._gradients.frozen
        frozen.difference_update({each for each in frozen if is_its(each)})
        vars(old)["_parent"], vars(old)["_orphan"] = None, True

    def _as_part(self, name: str, value: Any) -> Any:
        value = value.module if isinstance(value, Composite) else value
        above = value._parent if isinstance(value, Part) else None
        if above is not None and above() is not None:
            raise ValueError(
                f"{name} is a part of a network already, which has its parameters: use that one, or "
                "copy.deepcopy(...) of a module, or another layer"
            )
        return bound(value, self, name)

    def _take_over(self, part: Module) -> None:
        """What there is of a module's parameters goes on as that of the whole."""
        root = self._root()
        path = part._path(root)
        root._gradients.frozen |= {f"{path}.{each}" for each in part._gradients.frozen}
        own = part._own_state() if part._state is not None else part._carried
        root._carried = {**root._carried, **{f"{path}.{each}": v for each, v in own.items()}}
        part._forget()
        part._carried = {}

    def add_module(self, name: str, module: Any) -> None:
        """Make a layer or a module a part of this, under a name."""
        setattr(self, name, module)

    register_module = add_module
    # Here as well, for the reference of what modules have.
    register_buffer, register_parameter = Holder.register_buffer, Holder.register_parameter

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
        self._progress.optimizer = None  # whose state is given up
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
        own = [(name, each.numbers.shape, each.numbers.tobytes()) for name, each in self._all_own()]
        return type(self).__qualname__, repr(self), *code, *own

    def _check_frozen(self) -> None:
        if self._gradients.frozen:
            raise ValueError(
                f"fit trains all parameters, and {min(self._gradients.frozen)} has requires_grad=False: "
                "train by backward() and the optimiser's step()"
            )

    def _blank(self, dtype: np.dtype) -> Any:
        """A network like this, without parameters."""
        made = copy.deepcopy(self)
        made._begin(None, dtype)
        return made

    def state_dict(self) -> dict[str, np.ndarray]:
        root = self._root()
        if root is self:
            found = super().state_dict()
            for name, held in self._all_own():
                if not held.persistent:
                    del found[name]
            return found
        start = self._path(root) + "."
        return {
            name.removeprefix(start): array
            for name, array in root.state_dict().items()
            if name.startswith(start)
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        root = self._root()
        if root is self:
            self._load(state_dict)
        else:
            start = self._path(root) + "."
            root.load_state_dict(
                {**root.state_dict(), **{start + name: each for name, each in state_dict.items()}}
            )

    def _load(self, state_dict: Mapping[str, Any]) -> None:
        buffers = {name: held for name, held in self._all_own() if not held.trained}
        kept = {name: held.numbers for name, held in buffers.items() if not held.persistent}
        if isinstance(state_dict, Mapping):
            unknown = [name for name in kept if name in state_dict]
            if unknown:
                raise ValueError(
                    f"state_dict has {', '.join(unknown)}, which is a buffer with persistent=False"
                )
            state_dict = {**state_dict, **kept}
        super().load_state_dict(state_dict)
        assert self._store is not None
        assert self._state is not None
        for name, held in buffers.items():
            found = self._store.take_one(name, self._state.parameters[0])
            if held.persistent:
                held.numbers = found.astype(held.numbers.dtype)
        self._engines.clear()  # forward may depend on them

    def _tensors_now(self) -> dict[str, np.ndarray]:
        found = super()._tensors_now()
        for name, held in self._all_own():
            if not held.trained and held.numbers.dtype.kind in "iub":
                found[name] = held.numbers.copy()
        return found

    def _tells_its_type(self, name: str) -> bool:
        buffers = (own for own, held in self._all_own() if not held.trained)
        return super()._tells_its_type(name) and name not in buffers

    def _numbers_changed(self) -> None:
        """Buffers have other numbers, of which outputs that were recorded before are none."""
        self._version += 1
        self._engines.clear()  # forward may depend on them

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
        state["_orphan"] = self._parent is not None  # until it is a part again
        for name in ("_programs", "_gradients", "_parent"):
            state.pop(name, None)
        return state

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        made = memo[id(self)] = type(self).__new__(type(self))
        made.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        root = self._root()
        if root is not self and id(root) not in memo:
            path = f"{self._path(root)}."
            state, frozen = root.state_dict(), root._gradients.frozen
            made._carried = {
                k.removeprefix(path): v for k, v in state.items() if k.startswith(path)
            }
            made._gradients.frozen = {k.removeprefix(path) for k in frozen if k.startswith(path)}
            made._dtype, made._orphan = root._dtype, False
        return made

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(_modules={}, _own={}, training=True)
        vars(self).update({**state, "_state": None})
        for name, module in self._modules.items():
            bound(module, self, name)
        self._start_recording()
        self._gradients.frozen = set(vars(self).pop("_frozen", ()))
        self._restore(state["_state"])


def _has_code(part: Any) -> bool:
    """Whether a part is a module whose forward is written in Python."""
    return type(part) is not Member and hasattr(part.forward, "__code__")


def _is_data(value: Any) -> bool:
    """Whether a module is given a value as a tensor."""
    return isinstance(value, np.ndarray | list) or hasattr(value, "__array__")


def as_layer(part: Any) -> Any:
    """A module as a layer; all else as it is."""
    return Composite(part) if isinstance(part, Module) else part
