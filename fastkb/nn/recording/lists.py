"""Modules whose parts, or parameters, are numbered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from fastkb.nn.ops.operation import Layer
from fastkb.nn.recording.member import Part
from fastkb.nn.recording.module import Module
from fastkb.nn.recording.parameter import Parameter


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


class ParameterList(Module):
    """Parameters in a list; each is one of what the list is assigned to.

    Parameters
    ----------
    values : iterable of Parameter or array_like, default ()
        Arrays become parameters.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import nn
    >>> scales = nn.ParameterList(np.ones(4) for _ in range(3))
    >>> len(scales), scales[-1].shape
    (3, (4,))
    """

    def __init__(self, values: Iterable[Any] = ()) -> None:
        super().__init__()
        self.extend(values)

    def append(self, value: Any) -> ParameterList:
        """Add one at the end; returns itself."""
        own = value if isinstance(value, Parameter) else Parameter(value)
        self.register_parameter(str(len(self)), own)
        return self

    def extend(self, values: Iterable[Any]) -> ParameterList:
        """Add several at the end; returns itself."""
        for value in values:
            self.append(value)
        return self

    def __len__(self) -> int:
        return len(self._own)

    def __iter__(self) -> Iterator[Any]:
        return (getattr(self, name) for name in self._own)

    def __getitem__(self, place: Any) -> Any:
        return list(self)[place]
