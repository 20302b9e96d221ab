"""What becomes of a strip of sums in shared memory: the scalar function, the factor, and the sink.

The twins of :mod:`fastkb.tile.epilogue` and :mod:`fastkb.tile.sinks`, with the same codes. Every thread
works on the elements that it will write, so that no barrier is needed between the two. (The thread's
number is passed: the simulator knows it in the kernel's own module alone.)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastkb.runtime import cuda as runtime
from fastkb.scalar.cuda import on_device
from fastkb.scalar.kernels import FUNCTIONS, n_parameters
from fastkb.tile.cuda_layout import Layout
from fastkb.tile.sinks import ADD, MULTIPLY

index = np.uint64  # see fastkb.tile.cuda for the reason


def make_apply(plan: Layout, kind: type) -> Any:
    """apply(code, memory, p, thread): g of a whole strip in shared memory, in place.

    As on the CPU a chain made from the table: each link runs its own loop if the code is its own, else
    asks the next.
    """

    def unknown(code, memory, p, thread):
        return

    link = runtime.device(unknown)
    for code, function in reversed(list(enumerate(FUNCTIONS))):
        if function.__name__ == "identity":  # nothing to do
            continue
        link = _make_link(plan, (code, n_parameters(function)), on_device(function, kind), link)
    return link


def _make_link(plan: Layout, own: tuple[int, int], function: Any, following: Any) -> Any:
    own_code, N = own
    TILE, STRIDE = plan.tile, plan.stride
    ROWS = plan.side**2 // TILE
    TIMES = plan.span // ROWS

    def apply(code, memory, p, thread):
        if code == own_code:
            first = thread // TILE * STRIDE + thread % TILE
            for s in range(TIMES):
                place = index(first + s * ROWS * STRIDE)
                memory[place] = function(memory[place], *p[:N])
        else:
            following(code, memory, p, thread)

    return runtime.device(apply)


def make_combine(plan: Layout, kind: type) -> Any:
    """combine(sink, factor, memory, out, …): the strip times the factor, and with what stands in `out`.

    A thread meets the elements that it applied the function to, and will write.
    """
    TILE, STRIDE = plan.tile, plan.stride
    ROWS = plan.side**2 // TILE
    TIMES = plan.span // ROWS
    ONE = kind(1)

    def combine(sink, factor, memory, out, row, column, thread):
        n, m = out.shape
        row += thread // TILE
        column += thread % TILE
        first = thread // TILE * STRIDE + thread % TILE
        if factor != ONE:
            for s in range(TIMES):
                memory[index(first + s * ROWS * STRIDE)] *= factor
        if sink in (ADD, MULTIPLY) and column < m:
            s = 0
            while row + s < n and s < TIMES * ROWS:
                place = index(first + s * STRIDE)
                before = out[index(row + s), index(column)]
                memory[place] = before + memory[place] if sink == ADD else before * memory[place]
                s += ROWS

    return runtime.device(combine)
