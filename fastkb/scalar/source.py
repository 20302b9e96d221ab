"""One source for CPU and CUDA: the same Python function, compiled with other meanings for its names."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any


def rebind(function: Callable, **names: Any) -> Callable:
    """`function` with some of its global names meaning something else.

    A formula says ``exp(-p.gamma * t)``; on the CPU ``exp`` is the polynomial of
    :mod:`fastkb.scalar.elementary`, on CUDA the device's own. The text is one and the same.
    """
    copy = types.FunctionType(
        function.__code__,
        {**function.__globals__, **names},
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    copy.__doc__ = function.__doc__
    copy.__module__ = function.__module__
    copy.__qualname__ = function.__qualname__
    return copy
