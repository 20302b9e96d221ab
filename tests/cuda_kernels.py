"""Every CUDA kernel of the package, in the types that it is launched with, and what it may need.

``.ci/cuda_check.py`` compiles them all without a device. A new kernel gets a function here that yields
its entries, named in :data:`SOURCES`; ``tests/test_cuda_kernels.py`` finds kernels that have none.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numba import types

from fastkb.bootstrap.evaluate.cuda import order as ranks
from fastkb.bootstrap.evaluate.cuda import sums, trimmed
from fastkb.random import cuda_rows
from fastkb.runtime import cuda as runtime
from fastkb.scalar.kernels import KERNELS, N_PARAMETERS, WEIGHTED, Form, epilogue_code, find
from fastkb.tile import cuda as tile
from fastkb.tile import cuda_matrices, cuda_reduce
from fastkb.tile.blocking import cuda_blocking

KINDS = (np.float32, np.float64)


class Entry(NamedTuple):
    """A kernel for one set of types."""

    name: str
    kind: str  # "float32" and "whole": no instruction of double precision may be in it
    make: Callable[[], Any]  # the kernel, as fastkb.runtime.cuda.kernel gives it
    signature: tuple
    registers: int  # of a thread, at most
    shared: int = 0  # bytes of shared memory of a block, at most


def number(kind: type) -> Any:
    """Numba's name of an element type."""
    return types.float32 if kind is np.float32 else types.float64


def matrix(kind: type, order: str = "C") -> Any:
    """Of C, F or (order "A") any strides."""
    return types.Array(number(kind), 2, order)


def entry(name: str, kind: type, make: Callable, signature: tuple, *limits: int) -> Entry:
    """An entry for one element type."""
    return Entry(name, np.dtype(kind).name, make, signature, *limits)


def of_runtime() -> Iterator[Entry]:
    """The search for NaN."""
    for kind in KINDS:
        for order in "CFA":
            found = types.Array(types.int32, 1, "C")
            signature = (matrix(kind, order), types.intp, types.intp, found)
            yield entry(f"nan {order}", kind, runtime._finder, signature, 64)


def of_gram() -> Iterator[Entry]:
    """Gram matrices: all scalar functions are in the switch of a kernel."""
    task = types.NamedUniTuple(types.intp, 3, tile.Task)
    for kind in KINDS:
        sizes = cuda_blocking(np.dtype(kind).name)
        parameters = types.UniTuple(number(kind), N_PARAMETERS)
        most = 65536 // (sizes.side**2 * sizes.blocks)
        for form, order in [*((form, "C") for form in Form), (Form.SQDIFF, "A")]:
            m = matrix(kind, order)
            yield entry(
                f"gram {form.name.lower()} {order}",
                kind,
                lambda form=form, kind=kind, sizes=sizes: tile.gram_kernel(form, kind, sizes),
                (m, m, m, m, task, number(kind), parameters),
                most,
                33792 if kind is np.float32 else 16896,
            )


def of_matrices() -> Iterator[Entry]:
    """Rows prepared, results combined."""
    for kind in KINDS:
        for order in "CA":
            m = matrix(kind, order)
            yield entry(
                f"prepare {order}",
                kind,
                lambda kind=kind: cuda_matrices._prepare_kernel(kind),
                (m, matrix(kind), matrix(kind), types.intp),
                64,
            )
            yield entry(
                f"combine {order}", kind, cuda_matrices._combine_kernel, (m, m, types.intp), 64
            )
            yield entry(
                f"constants {order}", kind, cuda_matrices._constants_kernel, (m, matrix(kind)), 64
            )


def of_reductions() -> Iterator[Entry]:
    """Products with coefficients: every formula at the largest sizes, and all sizes with one formula."""
    task = types.NamedUniTuple(types.intp, 3, cuda_reduce.Task)
    most, widest = cuda_reduce.TARGETS[-1], cuda_reduce.COLUMNS[-1]
    formulas = {(row.form, epilogue_code(row)): row.name for row in KERNELS}
    formulas |= {
        (WEIGHTED[row.form], epilogue_code(row)): row.name
        for row in KERNELS
        if row.form in WEIGHTED
    }
    rbf = find("rbf")
    usual = rbf.form, epilogue_code(rbf)
    rows = [(*each, widest, most, "C") for each in formulas]
    rows += [
        (*usual, columns, targets, "C")
        for columns in cuda_reduce.COLUMNS
        for targets in cuda_reduce.TARGETS
        if (columns, targets) != (widest, most)
    ]
    rows.append((*usual, widest, most, "A"))
    tiles = [(form, most, "C") for form in Form]
    tiles += [(Form.SQDIFF, 1, "C"), (Form.SQDIFF, most, "A")]
    for kind in KINDS:
        parameters = types.UniTuple(number(kind), N_PARAMETERS)

        def signature(order: str, kind: type = kind, parameters: Any = parameters) -> tuple:
            m = matrix(kind, order)
            coefficients = matrix(kind, "F" if order == "C" else "A")  # of a transposed matrix
            return m, m, m, coefficients, matrix(kind), task, parameters

        for form, code, columns, targets, order in rows:
            yield entry(
                f"reduce {formulas[form, code]} {form.name.lower()} {columns} x {targets} {order}",
                kind,
                lambda a=(form, code, kind, columns, targets): cuda_reduce.rows_kernel(*a),
                signature(order),
                96 if kind is np.float32 else 168,
                6144 if kind is np.float32 else 12288,
            )
        sizes = cuda_blocking(np.dtype(kind).name)
        for form, targets, order in tiles:
            yield entry(
                f"reduce tiles {form.name.lower()} x {targets} {order}",
                kind,
                lambda a=(form, kind, sizes, targets): cuda_reduce.tiles_kernel(*a),
                signature(order),
                128,
                41984 if kind is np.float32 else 33280,
            )
        for order in "CA":
            m = matrix(kind, order)
            whole = types.intp
            yield entry(
                f"reduce groups {order}",
                kind,
                lambda kind=kind: cuda_reduce.finish_kernel(kind),
                (matrix(kind), whole, m, whole, whole, number(kind)),
                64,
            )


def of_bootstrap() -> Iterator[Entry]:
    """Resamples and their statistics; those that count have no element type."""
    for module, registers, shared in (
        (cuda_rows, 96, 0), (sums, 128, 4128), (ranks, 96, 25632), (trimmed, 128, 29728),
    ):  # fmt: skip
        for name, kernel, signature in module.kernels():
            kind = "float64" if "float64" in name else "float32" if "float32" in name else "whole"
            name = f"{module.__name__.rpartition('.')[2]}: {name}"
            yield Entry(name, kind, _made(kernel), signature, registers, shared)


def _made(kernel: Any) -> Callable[[], Any]:
    return lambda: kernel


#: Functions that yield entries.
SOURCES = [of_runtime, of_gram, of_matrices, of_reductions, of_bootstrap]


def entries() -> list[Entry]:
    """All of them, in a fixed order."""
    return [each for source in SOURCES for each in source()]
