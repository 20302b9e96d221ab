"""What modules have beside their parts: parameters and buffers of their own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastkb.checks.scalars import check_flag
from fastkb.nn.ops.storage import named
from fastkb.nn.ops.tensors.own import Held
from fastkb.nn.recording.member import Part
from fastkb.nn.recording.parameter import Parameter, numbers_of, standing
from fastkb.nn.recording.standing import context
from fastkb.nn.recording.tensor import Tensor


class Holder(Part):
    """Base of modules: their own parameters and buffers."""

    _own: dict[str, Held | None]
    _holds = True  # whether it may have some

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Make a parameter one of its own, as ``self.name = param`` does.

        Parameters
        ----------
        name : str
        param : Parameter or None
            None: the attribute is None, and there is no parameter.

        Raises
        ------
        AttributeError
            Before ``super().__init__()``.
        KeyError
            For a name that is empty, has a dot, or is that of another attribute.
        TypeError
            For what is no name or no parameter.
        """
        self._check_name("parameter", name)
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(f"param {name} must be an nn.Parameter or None, got {_kind(param)}")
        if param is None:
            self._own[name] = None
        else:
            self._hold_parameter(name, param)

    def register_buffer(self, name: str, tensor: Any, persistent: bool = True) -> None:
        """Make an array one of its own that is no parameter: in ``forward`` it is an operand, a constant.

        Elsewhere the attribute is an array that is not written to. Numbers that are assigned to it
        take their place, and those that are computed later are of them.

        Parameters
        ----------
        name : str
        tensor : array_like or None
            Of any shape; its numbers are copied. None: the attribute is None, and there is no buffer.
        persistent : bool, default True
            Whether it is part of the ``state_dict``.

        Raises
        ------
        AttributeError
            Before ``super().__init__()``.
        KeyError
            For a name that is empty, has a dot, or is that of another attribute.
        TypeError, ValueError
            For what is no name or no array of real numbers, NaN and infinity.

        Examples
        --------
        >>> import numpy as np
        >>> from fastkb import nn
        >>> class Centred(nn.Module):
        ...     def __init__(self, mean):
        ...         super().__init__()
        ...         self.register_buffer("mean", mean)
        ...
        ...     def forward(self, x):
        ...         return x - self.mean
        >>> Centred(np.array([1.0, 2.0]))(np.array([[3.0, 3.0]])).tolist()
        [[2.0, 1.0]]
        """
        self._check_name("buffer", name)
        persistent = check_flag("persistent", persistent)
        held = None if tensor is None else Held(_buffer_of(name, tensor), False, persistent)
        if self._own.get(name) is not None:
            self._let_go(name)
        if held is None:
            self._own[name] = None
            return
        self._changed()
        self._own[name] = held

    def _check_name(self, what: str, name: Any) -> None:
        if "_own" not in vars(self):
            raise AttributeError(
                f"{type(self).__name__} must call super().__init__() before it has a {what}"
            )
        if not self._holds:
            raise TypeError(
                f"{type(self).__name__} has layers alone: derive a class from nn.Module for a {what}"
            )
        if not isinstance(name, str):
            raise TypeError(f"name of a {what} must be a text, got {_kind(name)}")
        if name == "" or "." in name:
            raise KeyError(f"name of a {what} must have letters and no dot, got {name!r}")
        known = self._own.get(name)
        if known is not None and not known.trained and what == "buffer":
            return  # a buffer may be registered again
        if hasattr(type(self), name) or name in vars(self) or name in self._parts_and_own():
            raise KeyError(f"attribute {name!r} is there already")

    def _parts_and_own(self) -> set[str]:
        return {*self._children(), *self._own}

    def _changed(self) -> None:
        """Before parts change."""
        raise NotImplementedError

    # --- attributes -----------------------------------------------------------------------------

    def _hold_parameter(self, name: str, param: Parameter) -> None:
        """Take a parameter that is no module's yet, in the place of what has the name."""
        if "_own" not in vars(self):
            raise AttributeError(
                f"{type(self).__name__} must call super().__init__() before it sets {name}"
            )
        if param._part is not None:
            if name in self._own and param == getattr(self, name):
                return
            raise ValueError(
                f"{name} is a parameter already, {param._name}, and has one name: use that one, or "
                "nn.Parameter(parameter.data)"
            )
        if name in vars(self) or name in self._parts_and_own():
            delattr(self, name)
        self._check_name("parameter", name)
        self._changed()
        self._own[name] = Held(param._numbers, True)
        param._part, param._kind = self, name
        param.requires_grad = param._trained

    def _let_go(self, name: str) -> None:
        """Give up a parameter or a buffer, and what there is of it."""
        self._changed()
        root = self._root()
        whole = named(self._path(root), name)
        del self._own[name]
        root._carried = {k: v for k, v in root._carried.items() if k != whole}
        root._gradients.frozen.discard(whole)

    def _assign(self, name: str, value: Any) -> None:
        """Give one of its own other numbers, where it is a buffer."""
        held = self._own[name]
        if value is None:
            self._let_go(name)
            self._own[name] = None
            return
        if held is None:  # it has been None, and is a plain attribute from now on
            del self._own[name]
            setattr(self, name, value)
            return
        if held.trained:
            raise TypeError(
                f"{name} is a parameter, and becomes no {_kind(value)}: assign an nn.Parameter or None, "
                "or numbers to its data"
            )
        if context.places:
            raise ValueError(
                f"buffer {name} is assigned while forward is recorded, which computes nothing yet: "
                "assign it between calls"
            )
        numbers = _buffer_of(name, value)
        root = self._root()
        whole = named(self._path(root), name)
        if numbers.shape != held.numbers.shape:
            persistent = held.persistent
            self._let_go(name)
            self._own[name] = Held(numbers, False, persistent)
            return
        held.numbers = numbers
        if root._state is not None:
            root._store.put(whole, numbers, root._state.parameters[0])
        root._carried = {k: v for k, v in root._carried.items() if k != whole}
        root._numbers_changed()

    def _of_own(self, name: str) -> Any:
        """One of its own as an attribute."""
        held = self._own[name]
        if held is None:
            return None
        if held.trained:
            return Parameter._of(self, name, held.numbers.shape)
        shown = held.numbers.view()
        shown.flags.writeable = False
        return standing(self, name, held, lambda: held.numbers) if context.places else shown

    def _all_own(self) -> Iterator[tuple[str, Held]]:
        """Those of this module and of all modules within, by their names."""
        for path, part in self.named_modules():
            for name, held in vars(part).get("_own", {}).items():
                if held is not None:
                    yield named(path, name), held


def _buffer_of(name: str, value: Any) -> np.ndarray:
    if isinstance(value, Tensor | Parameter):
        value = value.numpy()
    return numbers_of(f"buffer {name}", value, whole=True)


def _kind(value: Any) -> str:
    return type(value).__name__
