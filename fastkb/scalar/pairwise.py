"""Sums as NumPy forms them, to the last bit: ``numpy.sum`` of a contiguous row.

NumPy halves a row until at most 128 terms are left, adds those in eight interleaved sums, and adds the
parts up again. The order depends on the number of terms alone, so it is written down once as a list of
leaves and of the additions that follow each (:func:`summation_tree`). NumPy 1 does so with 8192 terms at
a time, and adds these sums one after the other.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.datamodel import default_manager
from numba.extending import intrinsic

from fastkb.runtime import inline
from fastkb.runtime.stack import stack_array

LEAF = 128  # terms of a leaf at most
_LANES = 8
_DEPTH = 64  # levels of the tree: enough for any number of terms
_INDEX = ir.IntType(64)


class Tree(NamedTuple):
    """The order of a sum."""

    leaves: np.ndarray  # terms of each leaf.                                shape: (count,)
    merges: np.ndarray  # additions of two partial sums that follow a leaf.  shape: (count,)


@lru_cache(maxsize=1)
def _together() -> int:
    """How many terms this NumPy takes at a time; 0: all."""
    x = np.zeros(2**13 + 1)
    # As a whole, the last two numbers meet first: half a unit of the last place each. One after the other
    # they are rounded away.
    x[[0, 2**12, 2**13]] = 1.0, 2.0**-53, 2.0**-53
    return 0 if x.sum() > 1.0 else 2**13


@lru_cache(maxsize=8)
def summation_tree(n: int) -> Tree:
    """The order in which NumPy adds n terms; kept, as every block of resamples asks for it.

    Examples
    --------
    >>> from fastkb.scalar.pairwise import summation_tree
    >>> [part.tolist() for part in summation_tree(300)]
    [[72, 72, 72, 84], [0, 1, 0, 2]]
    """
    leaves: list[int] = []
    merges: list[int] = []
    together = _together() or max(n, 1)
    todo: list[int] = []
    for begin in range(0, n, together):
        todo += [min(together, n - begin), *([-1] if begin else [])]
    todo.reverse()
    while todo:
        count = todo.pop()
        if count < 0:  # both halves are there
            merges[-1] += 1
        elif count <= LEAF:
            leaves.append(count)
            merges.append(0)
        else:
            half = count // 2 // _LANES * _LANES
            todo += [-1, count - half, half]
    return Tree(np.array(leaves, np.intp), np.array(merges, np.intp))


@intrinsic
def _leaf(typing_context, values, start, count):
    """Sum of 8 to 128 contiguous values, in eight interleaved sums."""
    kind = values.dtype

    def codegen(context, builder, signature, arguments):
        element = default_manager[kind].get_data_type()
        vector = ir.VectorType(element, _LANES)
        data = context.make_array(values)(context, builder, arguments[0]).data
        start, count = arguments[1], arguments[2]

        def load(offset):
            pointer = builder.gep(data, [builder.add(start, offset)])
            return builder.load(
                builder.bitcast(pointer, vector.as_pointer()), align=kind.bitwidth // 8
            )

        sums = cgutils.alloca_once_value(builder, load(_INDEX(0)))
        whole = builder.sdiv(count, _INDEX(_LANES))
        with cgutils.for_range(builder, builder.sub(whole, _INDEX(1)), intp=_INDEX) as loop:
            offset = builder.mul(builder.add(loop.index, _INDEX(1)), _INDEX(_LANES))
            # No flags: nothing may be reordered or fused.
            builder.store(builder.fadd(builder.load(sums), load(offset)), sums)
        parts = [builder.extract_element(builder.load(sums), _INDEX(k)) for k in range(_LANES)]
        while len(parts) > 1:
            parts = [builder.fadd(*parts[k : k + 2]) for k in range(0, len(parts), 2)]
        total = cgutils.alloca_once_value(builder, parts[0])
        done = builder.mul(whole, _INDEX(_LANES))
        with cgutils.for_range(builder, builder.sub(count, done), intp=_INDEX) as loop:
            place = builder.add(start, builder.add(done, loop.index))
            value = builder.load(builder.gep(data, [place]))
            builder.store(builder.fadd(builder.load(total), value), total)
        return builder.load(total)

    return kind(values, types.intp, types.intp), codegen


@inline
def pairwise_sum_of(prepare, a, b, c, buffer, leaves, merges):
    """NumPy's sum of terms that are made leaf by leaf, while they are in the first-level cache.

    ``prepare(a, b, c, buffer, start, count)`` writes terms start, …, start + count - 1 somewhere into
    `buffer`, one after another, and returns where they begin. `leaves` and `merges` are those of
    :func:`summation_tree`.
    """
    partial = stack_array(_DEPTH, buffer)
    depth = 0
    start = 0
    for i in range(len(leaves)):
        count = leaves[i]
        place = prepare(a, b, c, buffer, start, count)
        if count >= _LANES:
            partial[depth] = _leaf(buffer, place, count)
        else:
            partial[depth] = -0.0
            for k in range(count):
                partial[depth] += buffer[place + k]
        depth += 1
        start += count
        for _ in range(merges[i]):
            depth -= 1
            partial[depth - 1] += partial[depth]
    return partial[0]
