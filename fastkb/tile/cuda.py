"""The CUDA driver: a Gram matrix, tile by tile, one block of threads for each.

A block computes one square tile of the result::

    X, Y in device memory        kc columns at a time
          │
          ▼
    slabs in shared memory       transposed, two buffers
          │
          ▼
    registers                    8 x 8 or 4 x 4 accumulators a thread
          │
          ▼
    strips in shared memory      the epilogue, in place
          │
          ▼
    result                       rows of the tile; columns too, if the result is symmetric

* **Slabs.** kc columns of the tile's rows of X and of Y lie in shared memory, transposed, so that a
  thread finds the values of neighbouring rows side by side and reads 16 bytes at a time. There are two
  buffers: while one is multiplied, the next columns travel from device memory into registers, and from
  there into the other buffer. So one barrier for each slab is enough.
* **Registers.** A thread accumulates `each` x `each` outputs: groups of `vector` neighbouring rows and
  columns, one group in each half of the tile. Four loads of 16 bytes serve 64 multiply-adds (float32)
  or 16 (float64).
* **Strips.** The accumulated values go back through shared memory, a strip of rows at a time. There the
  epilogue runs as a short loop (unrolled over registers it would be 64 copies of every formula), and
  from there rows *and* columns leave in runs of neighbouring addresses: the mirrored tile of a
  symmetric result is as cheap to write as the tile itself.
* **No bank conflicts.** Rows of slabs and strips are 16 bytes longer than needed: eight threads that
  read 16 bytes each from neighbouring rows, or write neighbouring columns, then touch different banks.
* **Symmetry.** Only tiles on and above the diagonal are launched; see
  :func:`fastkb.tile.cuda_layout.place`.

Formulas and epilogue codes are those of the CPU (:data:`fastkb.scalar.kernels.FUNCTIONS`), as are the
sinks and the order of a sum over columns: the first to the last.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from fastkb.runtime import cuda as runtime
from fastkb.scalar.kernels import WEIGHTED, Form, Kernel, epilogue_code
from fastkb.tile.blocking import CudaBlocking, cuda_blocking
from fastkb.tile.cuda_epilogue import make_apply, make_combine
from fastkb.tile.cuda_layout import LOAD_BYTES, Layout, layout
from fastkb.tile.cuda_layout import place as tile_place
from fastkb.tile.sinks import Into

cuda = runtime.in_kernels()

# Numba lets a negative index count from the end, and tests each signed one for it, in the innermost
# loops too. An unsigned one is taken as it is. (Arithmetic stays signed: Numba's sum of an unsigned and a
# signed 64-bit number is a float.)
index = np.uint64


class Task(NamedTuple):
    """What one launch computes (all whole numbers)."""

    code: int  # the epilogue's
    sink: int  # fastkb.tile.sinks.Sink
    symmetric: int  # 1: Y is X, only tiles on and above the diagonal are computed, and mirrored


def gram(
    row: Kernel,
    parameters: tuple[float, ...],
    X: Any,
    Y: Any = None,
    into: Into | None = None,
    weights: np.ndarray | None = None,
    sizes: CudaBlocking | None = None,
) -> Any:
    """The Gram matrix of checked device arrays, into a new array of X's kind, or as `into` says.

    The kernel is launched on X's stream and not waited for.

    Parameters
    ----------
    row : Kernel
        A row of :data:`fastkb.scalar.kernels.KERNELS`.
    parameters : tuple of float
        :data:`fastkb.scalar.kernels.N_PARAMETERS` numbers, of which the row's function reads the first.
    X : device array of shape (n, d)
        float32 or float64, any strides. Contiguous rows are read fastest.
    Y : device array of shape (m, d), optional
        X if absent: then only half of the result is computed, and it is symmetric to the last bit.
    into : Into, optional
        A device array of shape (n, m), and how the values meet what stands in it.
    weights : ndarray of shape (d,), optional
        Of the differences in each column; the row's form is then the weighted one.
    sizes : CudaBlocking, optional
        Instead of the table's.

    Raises
    ------
    CudaUnavailableError
        If there is no device.
    MemoryError
        If the result cannot fit into the device's memory.
    """
    runtime.load()
    a = runtime.view(X)
    b = a if Y is None else runtime.view(Y)
    shape = (a.shape[0], b.shape[0])
    if into is None:
        into = Into(runtime.empty_like(X, shape))
    dtype = np.dtype(a.dtype)
    sizes = cuda_blocking(str(dtype)) if sizes is None else sizes
    form, scales = row.form, a  # of other forms the weights are not read
    if weights is not None:
        form = WEIGHTED[row.form]
        scales = runtime.load().to_device(weights.astype(dtype)[None, :], stream=a.stream)
    kernel = gram_kernel(form, dtype.type, sizes)
    down, across = (-(-length // sizes.tile) for length in shape)
    blocks = down * (down + 1) // 2 if Y is None else down * across
    typed = tuple(dtype.type(value) for value in parameters)
    task = Task(epilogue_code(row), int(into.sink), int(Y is None))
    arguments = a, b, scales, runtime.view(into.out), task, dtype.type(into.factor), typed
    runtime.launch(kernel, blocks, sizes.side**2, a.stream, *arguments)
    return into.out


@functools.cache
def gram_kernel(form: Form, kind: type, sizes: CudaBlocking) -> Any:
    """The kernel (X, Y, weights, out, task, factor, p) for one accumulation and element type."""
    plan = layout(sizes, np.dtype(kind))
    TILE, SLAB, SPAN = plan.tile, plan.slab, plan.span
    STRIPS = TILE // SPAN
    ACCUMULATED = (plan.each, plan.each)
    shared = _make_shared(plan, kind)
    clear, multiply = _make_multiply(plan, form, kind)
    fetch, store, FETCHED = _make_slabs(plan, kind)
    stage, write, mirror = _make_strips(plan, kind)
    apply = make_apply(plan, kind)
    combine = make_combine(plan, kind)
    place, KC = runtime.device(tile_place), plan.kc

    def gram_tile(X, Y, weights, out, task, factor, p):
        memory = shared()
        totals = cuda.local.array(ACCUMULATED, kind)
        next_x = cuda.local.array(FETCHED, kind)
        next_y = cuda.local.array(FETCHED, kind)
        n, d = X.shape
        m = Y.shape[0]
        i, j = place(
            cuda.blockIdx.x, (n + TILE - 1) // TILE, (m + TILE - 1) // TILE, task.symmetric
        )
        top, left = i * TILE, j * TILE

        clear(totals)
        fetch(X, n, d, top, 0, next_x)
        fetch(Y, m, d, left, 0, next_y)
        buffer = 0
        store(next_x, memory, 0)
        store(next_y, memory, SLAB)
        cuda.syncthreads()
        for k in range(0, d, KC):
            # What is fetched beyond the last column is zero, and not used.
            fetch(X, n, d, top, k + KC, next_x)
            fetch(Y, m, d, left, k + KC, next_y)
            multiply(memory, buffer, totals, weights, k)
            # The other buffer: all threads have left it before the last barrier.
            buffer = 2 * SLAB - buffer
            store(next_x, memory, buffer)
            store(next_y, memory, buffer + SLAB)
            cuda.syncthreads()

        for strip in range(STRIPS):
            stage(memory, totals, strip)
            cuda.syncthreads()
            apply(task.code, memory, p, cuda.threadIdx.x)
            row = top + strip * SPAN
            combine(task.sink, factor, memory, out, row, left, cuda.threadIdx.x)
            cuda.syncthreads()
            write(memory, out, n, m, row, left)
            if task.symmetric and i != j:
                mirror(memory, out, m, row, left)
            cuda.syncthreads()

    return runtime.kernel(gram_tile, sizes.side**2, sizes.blocks)


def _make_shared(plan: Layout, kind: type) -> Any:
    """The block's shared memory."""
    LENGTH = plan.memory

    def aligned():
        # The compiler must know that it begins at a multiple of 16 bytes, to load as many at a time.
        return cuda.shared.array(LENGTH, kind, alignment=LOAD_BYTES)

    def simulated():
        return cuda.shared.array(LENGTH, kind)

    return runtime.allocator(simulated if runtime.simulated() else aligned)


def _make_slabs(plan: Layout, kind: type) -> tuple[Any, Any, int]:
    """fetch: device memory to registers; store: registers to shared memory, transposed.

    kc neighbouring threads read kc neighbouring columns of a row.
    """
    KC, STRIDE = plan.kc, plan.stride
    ROWS = plan.side**2 // KC  # that the block fetches at a time
    TIMES = plan.tile // ROWS
    ZERO = kind(0)

    def fetch(source, height, width, row, column, registers):
        row += cuda.threadIdx.x // KC
        column += cuda.threadIdx.x % KC
        for s in range(TIMES):
            value = ZERO  # adds nothing to any sum, and is not stored
            if row + s * ROWS < height and column < width:
                value = source[index(row + s * ROWS), index(column)]
            registers[s] = value

    def store(registers, memory, start):
        first = start + cuda.threadIdx.x % KC * STRIDE + cuda.threadIdx.x // KC
        for s in range(TIMES):
            memory[index(first + s * ROWS)] = registers[s]

    return runtime.device(fetch), runtime.device(store), TIMES


def _dot(total, x, y, weight):
    return total + x * y


def _sqdiff(total, x, y, weight):
    difference = x - y
    return total + difference * difference


def _absdiff(total, x, y, weight):
    return total + abs(x - y)


def _weighted_sqdiff(total, x, y, weight):
    difference = (x - y) * weight
    return total + difference * difference


def _weighted_absdiff(total, x, y, weight):
    return total + abs(x - y) * weight


_FORMS = {
    Form.DOT: _dot,
    Form.SQDIFF: _sqdiff,
    Form.ABSDIFF: _absdiff,
    Form.WEIGHTED_SQDIFF: _weighted_sqdiff,
    Form.WEIGHTED_ABSDIFF: _weighted_absdiff,
}


def _make_weight(form: Form, kind: type) -> Any:
    """weight(weights, k): that of column k; of the others nothing is read."""
    ONE = kind(1)

    def one(weights, k):
        return ONE

    def of_column(weights, k):
        # Beyond the last column both rows are zero.
        return weights[index(0), index(min(k, weights.shape[1] - 1))]

    return runtime.device(of_column if form in WEIGHTED.values() else one)


def _make_multiply(plan: Layout, form: Form, kind: type) -> tuple[Any, Any]:
    """clear: the accumulators; multiply: add one slab's columns to them."""
    SIDE, KC, VECTOR, EACH = plan.side, plan.kc, plan.vector, plan.each
    SPAN, STRIDE, SLAB, ALIGNED = plan.span, plan.stride, plan.slab, plan.aligned
    GROUPS = EACH // VECTOR
    ZERO = kind(0)
    accumulate, weight = runtime.device(_FORMS[form]), _make_weight(form, kind)

    def clear(totals):
        for i in range(EACH):
            for j in range(EACH):
                totals[i, j] = ZERO

    def multiply(memory, start, totals, weights, column):
        x = cuda.local.array(EACH, kind)
        y = cuda.local.array(EACH, kind)
        x_first = start + cuda.threadIdx.x // SIDE * VECTOR
        y_first = start + cuda.threadIdx.x % SIDE * VECTOR + SLAB
        for k in range(KC):
            x_offset = (x_first + k * STRIDE) & ALIGNED
            y_offset = (y_first + k * STRIDE) & ALIGNED
            for group in range(GROUPS):
                for v in range(VECTOR):
                    x[group * VECTOR + v] = memory[index(x_offset + group * SPAN + v)]
                    y[group * VECTOR + v] = memory[index(y_offset + group * SPAN + v)]
            w = weight(weights, column + k)
            for i in range(EACH):
                for j in range(EACH):
                    totals[i, j] = accumulate(totals[i, j], x[i], y[j], w)

    return runtime.device(clear), runtime.device(multiply)


def _make_strips(plan: Layout, kind: type) -> tuple[Any, Any, Any]:
    """stage: a strip of the accumulators to shared memory; write, mirror: from there to the result."""
    TILE, SIDE, VECTOR, EACH = plan.tile, plan.side, plan.vector, plan.each
    SPAN, STRIDE, ALIGNED = plan.span, plan.stride, plan.aligned
    GROUPS = EACH // VECTOR
    ROWS = SIDE**2 // TILE  # that the block writes at a time
    TIMES = SPAN // ROWS
    COLUMNS = SIDE**2 // SPAN * VECTOR  # that it mirrors at a time
    MIRRORED = TILE // COLUMNS

    def stage(memory, totals, strip):
        first = cuda.threadIdx.x // SIDE * VECTOR * STRIDE + cuda.threadIdx.x % SIDE * VECTOR
        first &= ALIGNED
        # The strip's number is not known when this is compiled, and registers have no addresses: each
        # group of rows is asked whether it is meant.
        for i in range(EACH):
            if i // VECTOR == strip:
                for group in range(GROUPS):
                    for v in range(VECTOR):
                        place = index(first + i % VECTOR * STRIDE + group * SPAN + v)
                        memory[place] = totals[i, group * VECTOR + v]

    def write(memory, out, n, m, row, column):
        row += cuda.threadIdx.x // TILE
        column += cuda.threadIdx.x % TILE
        first = cuda.threadIdx.x // TILE * STRIDE + cuda.threadIdx.x % TILE
        if column >= m:
            return
        if row + (TIMES - 1) * ROWS < n:  # nearly always: no test for each row
            for s in range(TIMES):
                value = memory[index(first + s * ROWS * STRIDE)]
                out[index(row + s * ROWS), index(column)] = value
        else:
            s = 0
            while row + s < n:
                out[index(row + s), index(column)] = memory[index(first + s * STRIDE)]
                s += ROWS

    def mirror(memory, out, m, row, column):
        # The strip has all its rows: it stands above the diagonal, so it is not at the lower edge.
        values = cuda.local.array(VECTOR, kind)
        row += cuda.threadIdx.x % SPAN
        column += cuda.threadIdx.x // SPAN * VECTOR
        first = cuda.threadIdx.x % SPAN * STRIDE + cuda.threadIdx.x // SPAN * VECTOR
        first &= ALIGNED
        if column + (MIRRORED - 1) * COLUMNS + VECTOR <= m:
            for s in range(MIRRORED):
                for v in range(VECTOR):  # all of them first: one load
                    values[v] = memory[index(first + s * COLUMNS + v)]
                for v in range(VECTOR):
                    out[index(column + s * COLUMNS + v), index(row)] = values[v]
        else:
            for v in range(VECTOR):
                s = v
                while column + s < m and s < TILE:
                    out[index(column + s), index(row)] = memory[index(first + s)]
                    s += COLUMNS

    return runtime.device(stage), runtime.device(write), runtime.device(mirror)
