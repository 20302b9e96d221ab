"""The epilogue: one scalar function over a tile, chosen once per tile by a small integer.

The switch is a chain of compiled functions, made from :data:`fastkb.scalar.kernels.FUNCTIONS`: each
link runs its own branch-free, vectorised loop if the code is its own, else asks the next link. (A
closure over compiled functions cannot be cached on disk on its own; inlined into a cached driver that
has none, it can.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastkb.runtime.jit import inline
from fastkb.scalar.kernels import FUNCTIONS, n_parameters


@inline
def _unknown(code, values, p):
    return


def _link(own_code: int, function: Callable, following: Any) -> Any:
    if function.__name__ == "identity":  # nothing to do, and a loop that does it would cost a pass

        def apply(code, values, p):
            if code != own_code:
                following(code, values, p)

    else:
        compiled = inline(function)
        n = n_parameters(function)

        def apply(code, values, p):
            if code == own_code:
                # From 0: an index that might be negative would be wrapped around, element by
                # element, and the loop not be vectorised (exp: 4 ns instead of 0.4).
                for j in range(len(values)):
                    values[j] = compiled(values[j], *p[:n])
            else:
                following(code, values, p)

    apply.__name__ = f"apply_{function.__name__}"
    return inline(apply)


def _chain() -> Any:
    link = _unknown
    for code, function in reversed(list(enumerate(FUNCTIONS))):
        link = _link(code, function, link)
    return link


# apply(code, values, p): values = g(values), in place, for a contiguous array. p is as long as the most
# parameters of any function; each takes as many of them as it has.
apply = _chain()
