"""The CUDA twin of the sink "reduce": K(X, Y) times coefficients, and no value of K in device memory.

Two kernels, by the number of columns; both sum over the columns in registers::

    at most 8 columns                            more
    ─────────────────────────────────────        ────────────────────────────────────────────
    a thread owns two rows of X, in              a block owns a tile, summed as that of a Gram
    registers, and meets the rows of Y           matrix (fastkb.tile.cuda). Strips of its values
    one by one: all threads read the same        stay in shared memory, where each thread adds up
    16 bytes of shared memory at a time          a part of a row

* **A kernel for each formula** where columns are few: there the scalar function is half of the work, and
  is compiled into the loop. With many columns a kernel has all functions in its switch.
* **Coefficients.** One target at a time, or four: values of K are computed once for all of them.
* **The order of a sum is fixed**: from the first to the last row of Y in a tile (in each part of a row of
  values, then over the parts), then tile after tile of a group, then group after group. Groups are rows
  of Y that different blocks add up, so that few rows of X keep a device busy, too; they depend on the
  number of rows of Y alone (a group is one tile where columns are many). So a row's result depends on no
  other row of X, and is the same to the last bit at every call.
* **Short sums.** Each tile's sum begins at zero: rounding errors grow with the number of tiles and with
  their rows, not with the product of both.

Formulas, accumulations and codes are those of the Gram matrix.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from fastkb.runtime import cuda as runtime
from fastkb.scalar.cuda import on_device
from fastkb.scalar.kernels import FUNCTIONS, WEIGHTED, Form, Kernel, epilogue_code, n_parameters
from fastkb.tile import cuda as tiles
from fastkb.tile.blocking import CudaBlocking, cuda_blocking
from fastkb.tile.cuda_epilogue import make_apply
from fastkb.tile.cuda_layout import LOAD_BYTES, Layout, layout
from fastkb.tile.sinks import ADD, Into

cuda = runtime.module()
index = np.uint64  # see fastkb.tile.cuda for the reason

COLUMNS = (1, 2, 3, 4, 8)  # that a thread holds in registers: the next number that is enough
TARGETS = (1, 4)  # at a time
THREADS = 128  # of a block where columns are few; and rows of Y in shared memory at a time
EACH = 2  # rows of a thread: each load of shared memory serves as many
# At once on a multiprocessor: 128 registers for each thread, 168 in float64 (real powers need them).
BLOCKS = {"float32": 4, "float64": 3}

GROUPS = 32  # of rows of Y, at most
GROUP = 512  # rows of a group, at least
PARTIAL = 2**24  # numbers of all groups' results that are there at once


class Task(NamedTuple):
    """What one launch computes (all whole numbers)."""

    code: int  # the epilogue's
    rows: int  # of Y in a group, where columns are few; else it is one tile
    target: int  # the first one


def groups_of(m: int) -> tuple[int, int]:
    """How many groups m rows of Y have, and of how many rows each but the last is."""
    rows = max(GROUP, -(-m // GROUPS))
    rows = -(-rows // THREADS) * THREADS
    return -(-m // rows), rows


def reduce(
    row: Kernel,
    parameters: tuple[float, ...],
    X: Any,
    Y: Any,
    coefficients: Any,
    into: Into,
    weights: np.ndarray | None = None,
    sizes: CudaBlocking | None = None,
) -> Any:
    """K(X, Y) times coefficients of checked device arrays, stored or added as `into` says.

    The kernels are launched on X's stream and not waited for.

    Parameters
    ----------
    row, parameters, weights
        As for :func:`fastkb.tile.cuda.gram`.
    X, Y : device arrays of shapes (n, d), (m, d)
        Of one type, any strides.
    coefficients : device array of shape (targets, m)
        Of their type, any strides.
    into : Into
        A device array of shape (n, targets) and of their type; stored or added to, times the factor.
    sizes : CudaBlocking, optional
        Instead of the table's, and of the kernel for few columns.

    Raises
    ------
    CudaUnavailableError
        If there is no device.
    """
    runtime.load()
    a, b, c, out = (runtime.view(array) for array in (X, Y, coefficients, into.out))
    n, d = a.shape
    dtype, stream = np.dtype(a.dtype), a.stream
    form, scales = row.form, a  # of other forms the weights are not read
    if weights is not None:
        form = WEIGHTED[row.form]
        scales = runtime.load().to_device(weights.astype(dtype)[None, :], stream=stream)
    targets = c.shape[0]
    together = TARGETS[targets > 1]
    if sizes is None and d <= COLUMNS[-1]:
        columns = next(count for count in COLUMNS if d <= count)
        kernel = rows_kernel(form, epilogue_code(row), dtype.type, columns, together)
        height, threads = EACH * THREADS, THREADS
        groups, size = groups_of(b.shape[0])
    else:
        sizes = cuda_blocking(str(dtype)) if sizes is None else sizes
        kernel = tiles_kernel(form, dtype.type, sizes, together)
        height, threads = sizes.tile, sizes.side**2
        groups, size = -(-b.shape[0] // height), height
    at_once = min(n, max(1, PARTIAL // (groups * together * height)) * height)
    partial = runtime.load().device_array((groups * together, at_once), dtype)
    typed = tuple(dtype.type(value) for value in parameters)
    factor = dtype.type(into.factor)
    for target in range(0, targets, together):
        task = Task(epilogue_code(row), size, target)
        for begin in range(0, n, at_once):
            some, result = a[begin : begin + at_once], out[begin : begin + at_once]
            blocks = groups * -(-some.shape[0] // height)
            arguments = some, b, scales, c, partial, task, typed
            runtime.launch(kernel, blocks, threads, stream, *arguments)
            blocks = -(-some.shape[0] // THREADS)
            last = partial, groups, result, target, int(into.sink), factor
            runtime.launch(finish_kernel(dtype.type), blocks, THREADS, stream, *last)
    return into.out


@functools.cache
def rows_kernel(form: Form, code: int, kind: type, columns: int, targets: int) -> Any:
    """The kernel (X, Y, weights, coefficients, partial, task, p) for few columns.

    A row of Y and its coefficients stand together in shared memory, in whole loads of 16 bytes.
    """
    D, T = columns, targets
    STRIDE = stride_of(D + T, kind)
    N = n_parameters(FUNCTIONS[code])
    ZERO, ONE = kind(0), kind(1)
    IN_X, IN_SUMS = (EACH, D), (EACH, T)
    HAS_WEIGHTS = form in WEIGHTED.values()
    shared = _make_shared(STRIDE * THREADS, kind)
    accumulate = runtime.device(tiles._FORMS[form])
    function = on_device(FUNCTIONS[code], kind)

    def reduce_rows(X, Y, weights, coefficients, partial, task, p):
        memory = shared()
        x = cuda.local.array(IN_X, kind)
        y = cuda.local.array(STRIDE, kind)
        w = cuda.local.array(D, kind)
        sums = cuda.local.array(IN_SUMS, kind)
        totals = cuda.local.array(IN_SUMS, kind)
        thread = cuda.threadIdx.x
        n, d = X.shape
        across = (n + EACH * THREADS - 1) // (EACH * THREADS)
        group = cuda.blockIdx.x // across
        row = cuda.blockIdx.x % across * (EACH * THREADS) + thread
        for k in range(D):
            w[k] = weights[index(0), index(k)] if HAS_WEIGHTS and k < d else ONE
            for r in range(EACH):
                inside = row + r * THREADS < n and k < d
                # Zeros beyond the last column add nothing; beyond the last row nothing is written.
                x[r, k] = X[index(row + r * THREADS), index(k)] if inside else ZERO
        for r in range(EACH):
            for c in range(T):
                totals[r, c] = ZERO

        begin = group * task.rows
        end = min(begin + task.rows, Y.shape[0])
        for first in range(begin, end, THREADS):
            cuda.syncthreads()  # all threads have left the rows of Y before
            j = first + thread
            place = thread * STRIDE
            if j < end:
                for k in range(D):
                    memory[index(place + k)] = Y[index(j), index(k)] if k < d else ZERO
                for c in range(T):
                    inside = task.target + c < coefficients.shape[0]
                    value = coefficients[index(task.target + c), index(j)] if inside else ZERO
                    memory[index(place + D + c)] = value
            cuda.syncthreads()
            for r in range(EACH):
                for c in range(T):
                    sums[r, c] = ZERO
            # A while loop over places: a range of unknown length costs ten instructions each time.
            place = 0
            stop = min(THREADS, end - first) * STRIDE
            while place < stop:
                for k in range(D + T):
                    y[k] = memory[index(place + k)]
                for r in range(EACH):
                    t = ZERO
                    for k in range(D):
                        t = accumulate(t, x[r, k], y[k], w[k])
                    value = function(t, *p[:N])
                    for c in range(T):
                        sums[r, c] += value * y[D + c]
                place += STRIDE
            for r in range(EACH):
                for c in range(T):
                    totals[r, c] += sums[r, c]

        for r in range(EACH):
            if row + r * THREADS < n:
                for c in range(T):
                    partial[index(group * T + c), index(row + r * THREADS)] = totals[r, c]

    return runtime.kernel(reduce_rows, THREADS, BLOCKS[np.dtype(kind).name])


def stride_of(numbers: int, kind: type) -> int:
    """From row to row in shared memory: a power of two, or whole loads of 16 bytes."""
    vector = LOAD_BYTES // np.dtype(kind).itemsize
    if numbers <= vector:
        return 1 << (numbers - 1).bit_length()
    return -(-numbers // vector) * vector


@functools.cache
def tiles_kernel(form: Form, kind: type, sizes: CudaBlocking, targets: int) -> Any:
    """The kernel (X, Y, weights, coefficients, partial, task, p) for any number of columns."""
    plan, T = layout(sizes, np.dtype(kind)), targets
    TILE, SLAB, SPAN, KC = plan.tile, plan.slab, plan.span, plan.kc
    STRIPS = TILE // SPAN
    ACCUMULATED = (plan.each, plan.each)
    shared = _make_shared(shared_by_tiles(plan, T), kind)
    clear, multiply = tiles._make_multiply(plan, form, kind)
    fetch, store, FETCHED = tiles._make_slabs(plan, kind)
    stage, _, _ = tiles._make_strips(plan, kind)
    apply = make_apply(plan, kind)
    add, finish = _make_sums(plan, kind, T)

    def reduce_tiles(X, Y, weights, coefficients, partial, task, p):
        memory = shared()
        values = cuda.local.array(ACCUMULATED, kind)
        next_x = cuda.local.array(FETCHED, kind)
        next_y = cuda.local.array(FETCHED, kind)
        n, d = X.shape
        m = Y.shape[0]
        down = (n + TILE - 1) // TILE
        top = cuda.blockIdx.x % down * TILE
        left = cuda.blockIdx.x // down * TILE
        # As in fastkb.tile.cuda.gram_kernel.
        clear(values)
        fetch(X, n, d, top, 0, next_x)
        fetch(Y, m, d, left, 0, next_y)
        buffer = 0
        store(next_x, memory, 0)
        store(next_y, memory, SLAB)
        cuda.syncthreads()
        for k in range(0, d, KC):
            fetch(X, n, d, top, k + KC, next_x)
            fetch(Y, m, d, left, k + KC, next_y)
            multiply(memory, buffer, values, weights, k)
            buffer = 2 * SLAB - buffer
            store(next_x, memory, buffer)
            store(next_y, memory, buffer + SLAB)
            cuda.syncthreads()
        for strip in range(STRIPS):
            stage(memory, values, strip)
            cuda.syncthreads()
            apply(task.code, memory, p, cuda.threadIdx.x)
            cuda.syncthreads()
            add(memory, coefficients, task.target, left, strip)
            cuda.syncthreads()
        count = min(T, coefficients.shape[0] - task.target)
        finish(memory, partial, left // TILE * T, count, top, n)

    return runtime.kernel(reduce_tiles, sizes.side**2, sizes.blocks)


def shared_by_tiles(plan: Layout, targets: int) -> int:
    """Numbers in shared memory of the kernel for many columns: slabs or a strip, then all sums."""
    return plan.memory + plan.tile // plan.span * targets * plan.side**2


def _make_sums(plan: Layout, kind: type, targets: int) -> tuple[Any, Any]:
    """add: a part of a row of values, times coefficients; finish: the parts of a row together.

    The threads that share a row stand span apart: those of a warp read 16 bytes each of different rows,
    from different banks, and the same coefficients.
    """
    T, SPAN, VECTOR, STRIDE = targets, plan.span, plan.vector, plan.stride
    SUMS, ALL, ALIGNED = plan.memory, plan.side**2, plan.aligned
    PARTS = ALL // SPAN
    WIDE = plan.tile // PARTS  # columns of a part
    STRIPS = plan.tile // SPAN
    ZERO = kind(0)

    def add(memory, coefficients, target, left, strip):
        values = cuda.local.array(VECTOR, kind)
        first = cuda.threadIdx.x % SPAN * STRIDE + cuda.threadIdx.x // SPAN * WIDE
        column = left + cuda.threadIdx.x // SPAN * WIDE
        targets, m = coefficients.shape
        stop = min(WIDE, m - column)
        # A target at a time, in a loop that is not unrolled: all at once would need the registers that
        # other strips' values are still in.
        c = 0
        count = min(T, targets - target)
        while c < count:
            total = ZERO
            s = 0
            while s < stop:
                place = (first + s) & ALIGNED
                for v in range(VECTOR):  # all of them first: one load
                    values[v] = memory[index(place + v)]
                for v in range(VECTOR):
                    if s + v < stop:  # beyond it a value may be infinite
                        there = coefficients[index(target + c), index(column + s + v)]
                        total += values[v] * there
                s += VECTOR
            memory[index(SUMS + (strip * T + c) * ALL + cuda.threadIdx.x)] = total
            c += 1

    def finish(memory, partial, line, count, top, n):
        # All sums are there: a barrier follows the last of them.
        if cuda.threadIdx.x < SPAN:
            for i in range(STRIPS):
                row = top + i * SPAN + cuda.threadIdx.x
                if row < n:
                    for c in range(count):
                        place = SUMS + (i * T + c) * ALL + cuda.threadIdx.x
                        total = memory[index(place)]
                        for part in range(1, PARTS):
                            total += memory[index(place + part * SPAN)]
                        partial[index(line + c), index(row)] = total

    return runtime.device(add), runtime.device(finish)


def _make_shared(length: int, kind: type) -> Any:
    """The block's shared memory, of so many numbers."""

    def aligned():
        return cuda.shared.array(length, kind, alignment=LOAD_BYTES)

    def simulated():
        return cuda.shared.array(length, kind)

    return runtime.allocator(simulated if runtime.simulated() else aligned)


@functools.cache
def finish_kernel(kind: type) -> Any:
    """The kernel (partial, groups, out, target, sink, factor): the groups together, into the result."""
    ONE = kind(1)

    def finish_groups(partial, groups, out, target, sink, factor):
        row = cuda.grid(1)
        n, targets = out.shape
        if row >= n:
            return
        together = partial.shape[0] // groups
        for c in range(min(together, targets - target)):
            total = partial[index(c), index(row)]
            for group in range(1, groups):
                total += partial[index(group * together + c), index(row)]
            if factor != ONE:
                total *= factor
            if sink == ADD:
                total += out[index(row), index(target + c)]
            out[index(row), index(target + c)] = total

    return runtime.kernel(finish_groups, THREADS, 1)
