"""Walks through the elements of a value by strides, and the two operations that take them.

A walk meets the elements of a value one behind the other; beside it stands another value, whose place
moves by a stride along each axis: 0 where one element meets many. Taking goes from the value beside to
the one that is walked through, and reducing, the other way, adds up. Each is the other's backward rule::

                 forward                       backward
    TAKE         walked = beside               beside += walked
    REDUCE       beside = factor · Σ walked    walked += factor · beside
"""

from __future__ import annotations

from fastkb.nn.ops.arrangement import to_rows
from fastkb.nn.ops.operation import Operation, Row, nothing
from fastkb.nn.optim.updates import scale
from fastkb.nn.program.passes import clear
from fastkb.runtime import inline

AXES = 5  # at most

# Whole numbers of a row: the axes' sizes, the strides beside, and where the value beside begins.
_SIZES, _STRIDES, _FIRST = 0, AXES, 2 * AXES


def walk(shape: tuple[int, ...], strides: tuple[int, ...], first: int = 0) -> tuple[int, ...]:
    """A row's whole numbers of a walk through a value of this shape.

    Parameters
    ----------
    shape, strides : tuple of int
        Strides of the value beside.
    first : int, default 0
        The element of the value beside that the walk begins at.

    Raises
    ------
    ValueError
        If it has more axes than a row can hold. Neighbours that are one walk are one axis.

    Examples
    --------
    >>> from fastkb.nn.ops.tensors.strided import walk
    >>> walk((4, 1, 5, 6), (60, 7, 6, 1))
    (1, 1, 1, 4, 30, 0, 0, 0, 60, 1, 0)
    """
    axes: list[tuple[int, int]] = []
    for size, stride in zip(shape, strides, strict=True):
        if size == 1:
            continue
        if axes and axes[-1][1] == stride * size:
            axes[-1] = axes[-1][0] * size, stride
        else:
            axes.append((size, stride))
    if len(axes) > AXES:
        raise ValueError(f"takes values of {AXES} axes at most, and gets one of {len(shape)}")
    axes = axes or [(1, 1)]
    axes = [(1, 0)] * (AXES - len(axes)) + axes
    sizes, steps = zip(*axes, strict=True)
    return *sizes, *steps, first


def taking(read: int, size: int, outputs: int, window: tuple[int, ...]) -> Row:
    """The row that takes elements of a value of a size; none that does anything if it takes all."""
    if size == outputs and window == walk((size,), (1,)):
        return to_rows(read, (size,))
    return Row(TAKE, (read,), outputs, {}, window=window, work=outputs)


# --- rules --------------------------------------------------------------------------------------


@inline(references=False)
def take_into(walked, at, beside, begin, row, factor, added):
    """walked = factor · beside, or that added to it."""
    w = row.window
    length, step = w[_SIZES + 4], w[_STRIDES + 4]
    begin += w[_FIRST]
    for a in range(w[_SIZES]):
        for b in range(w[_SIZES + 1]):
            for c in range(w[_SIZES + 2]):
                place = begin + a * w[_STRIDES] + b * w[_STRIDES + 1] + c * w[_STRIDES + 2]
                for _ in range(w[_SIZES + 3]):
                    into = walked[at : at + length]
                    if added:
                        _add_run(into, beside, place, step, factor)
                    else:
                        _copy_run(into, beside, place, step)
                    at += length
                    place += w[_STRIDES + 3]


@inline(references=False)
def _copy_run(into, beside, place, step):
    if step == 1:
        run = beside[place : place + len(into)]
        for k in range(len(into)):
            into[k] = run[k]
    else:
        for k in range(len(into)):
            into[k] = beside[place + k * step]


@inline(references=False)
def _add_run(into, beside, place, step, factor):
    if step == 1:
        run = beside[place : place + len(into)]
        for k in range(len(into)):
            into[k] += factor * run[k]
    elif step == 0:
        one = factor * beside[place]
        for k in range(len(into)):
            into[k] += one
    else:
        for k in range(len(into)):
            into[k] += factor * beside[place + k * step]


@inline(references=False)
def add_into(beside, begin, walked, at, row):
    """beside += walked."""
    w = row.window
    length, step = w[_SIZES + 4], w[_STRIDES + 4]
    begin += w[_FIRST]
    for a in range(w[_SIZES]):
        for b in range(w[_SIZES + 1]):
            for c in range(w[_SIZES + 2]):
                place = begin + a * w[_STRIDES] + b * w[_STRIDES + 1] + c * w[_STRIDES + 2]
                for _ in range(w[_SIZES + 3]):
                    run = walked[at : at + length]
                    if step == 1:
                        _add_all(beside[place : place + length], run)
                    elif step == 0:
                        beside[place] += total(run)
                    else:
                        for k in range(length):
                            beside[place + k * step] += run[k]
                    at += length
                    place += w[_STRIDES + 3]


@inline(references=False)
def _add_all(target, source):
    for k in range(len(target)):
        target[k] += source[k]


@inline(any_order=True, references=False)
def total(values):
    """The sum of some numbers, in an order that depends on how many they are."""
    found = values.dtype.type(0.0)
    for k in range(len(values)):
        found += values[k]
    return found


def take(row, parameters, values, span, sizes):
    """Elements of a value."""
    source, target = row.source * sizes.capacity, row.kept * sizes.capacity
    one = values.dtype.type(1.0)
    for r in range(span.begin, min(span.stop, sizes.observations)):
        take_into(
            values, target + r * row.target_stride, values, source + r * row.source_stride, row, one,
            False,
        )  # fmt: skip


def take_backward(row, parameters, transposed, values, deltas, span, sizes):
    """The deltas of elements that are taken; those of others are zero."""
    source, target = row.source * sizes.capacity, row.target * sizes.capacity
    for r in range(span.begin, min(span.stop, sizes.observations)):
        at = source + r * row.source_stride
        if not row.accumulate & 1:
            clear(deltas[at : at + row.source_stride])
        add_into(deltas, at, deltas, target + r * row.target_stride, row)


def reduce(row, parameters, values, span, sizes):
    """Sums over some axes, times a factor."""
    source, target = row.source * sizes.capacity, row.kept * sizes.capacity
    for r in range(span.begin, min(span.stop, sizes.observations)):
        at = target + r * row.target_stride
        clear(values[at : at + row.target_stride])
        add_into(values, at, values, source + r * row.source_stride, row)
        if row.numbers[0] != 1.0:
            scale(values[at : at + row.outputs], row.numbers[0])


def reduce_backward(row, parameters, transposed, values, deltas, span, sizes):
    """A sum's delta, to all that it is a sum of."""
    source, target = row.source * sizes.capacity, row.target * sizes.capacity
    factor = deltas.dtype.type(row.numbers[0])
    for r in range(span.begin, min(span.stop, sizes.observations)):
        at = source + r * row.source_stride
        if not row.accumulate & 1:
            clear(deltas[at : at + row.source_stride])
        take_into(deltas, at, deltas, target + r * row.target_stride, row, factor, True)


TAKE = Operation("take", take, take_backward, nothing, nothing)
REDUCE = Operation("reduce", reduce, reduce_backward, nothing, nothing)
