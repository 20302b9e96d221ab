"""What this machine can do at most, measured in the run that is compared with it.

The fastest of repeated measurements counts, and the faster of two ways to do the same: a ceiling
that noise had lowered would flatter every fraction of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numba
import numpy as np

from bench.timing import PAUSE, garbage_collection_off
from fastkb.random.numpy_words import SEGMENT, pcg_indices, pcg_jumps, split_words
from fastkb.runtime import jit, pages, prange
from fastkb.runtime.memory import empty
from fastkb.scalar.kernels import N_PARAMETERS, epilogue_code, find
from fastkb.tile import vector as simd
from fastkb.tile.blocking import blocking
from fastkb.tile.epilogue import apply
from fastkb.tile.multiply import OF_FORM, Operand, Part

ROUNDS = 9
DTYPES = ("float64", "float32")
FORMS = ("dot", "sqdiff", "absdiff")
_dot, _sqdiff, _absdiff = OF_FORM[: len(FORMS)]
# The kernel of the report -> a row of the engine's table with the same scalar function (the
# polynomial has degree 3). The linear kernel has none: it costs nothing.
EPILOGUES = {
    "polynomial": "polynomial3",
    "sigmoid": "sigmoid",
    "rbf": "rbf",
    "laplacian": "rbf",
    "matern32": "matern32",
    "matern52": "matern52",
    "rational_quadratic": "rational_quadratic",
    "periodic": "periodic",
}

SIDE = 4000  # the filled matrix: as large as the Gram matrices that are compared with it
ROWS_AT_A_TIME = 8  # the other way to share a fill: small pieces near each other
GEMM_SIDE = 2000
RESIDENT = 2048  # elements of an epilogue's buffer: 16 KB in float64, within any first-level cache
PANEL_DEPTHS = (64, 256)  # columns of a micro-kernel's panels: the fastest counts
OBSERVATIONS = 10_000  # of a bootstrap: 80 KB of values
DRAWN = (2**17, 2**19)  # indices drawn in one call, 0.5 and 2 MB: the fastest counts
PIECE = 200  # values gathered at a time: they divide OBSERVATIONS
RESAMPLES = 4  # rows of indices, of each thread, that values are gathered by
SECONDS = 0.02  # about how long one measurement in a loop lasts


@dataclass(frozen=True)
class Ceilings:
    """Rates on all threads. Flops: a multiplication and an addition are two, in every form."""

    threads: int
    write_existing: float  # bytes a second into pages that are there
    write_fresh: float  # bytes a second into pages that the system must supply first
    epilogues: dict[str, float]  # "rbf float64" (a row of the engine's table) -> seconds an element
    blas: dict[str, float]  # dtype -> flops a second
    micro_kernel: dict[str, float]  # "dot float64" -> flops a second
    draw: float  # seconds an index of a resample
    gather: float  # seconds a value at such an index, added up

    def epilogue(self, kernel: str, dtype: str) -> float:
        """Seconds an element of a kernel's scalar function in cache."""
        row = EPILOGUES.get(kernel)
        return self.epilogues[f"{row} {dtype}"] if row else 0.0

    def flop_rate(self, dtype: str, form: str) -> float:
        """Flops a second: ``"gemm"`` is the better of BLAS and micro-kernel."""
        if form == "gemm":
            return max(self.blas[dtype], self.micro_kernel[f"dot {dtype}"])
        return self.micro_kernel[f"{form} {dtype}"]

    def best_with(self, other: Ceilings) -> Ceilings:
        """The better of two measurements, figure by figure."""

        def best(of: Callable, name: str) -> dict[str, float]:
            ours, theirs = getattr(self, name), getattr(other, name)
            return {key: of(ours[key], theirs[key]) for key in ours}

        return Ceilings(
            self.threads,
            max(self.write_existing, other.write_existing),
            max(self.write_fresh, other.write_fresh),
            best(min, "epilogues"),
            best(max, "blas"),
            best(max, "micro_kernel"),
            min(self.draw, other.draw),
            min(self.gather, other.gather),
        )

    def as_dict(self) -> dict[str, Any]:
        """For the file of raw figures."""
        return asdict(self)


def measure() -> Ceilings:
    """Measure everything on the threads that numba and BLAS use now; compiles when first called."""
    with garbage_collection_off():
        existing, fresh = _write_rates()
        return Ceilings(
            numba.get_num_threads(),
            existing,
            fresh,
            {
                f"{row} {dtype}": _epilogue_seconds(row, dtype)
                for row in dict.fromkeys(EPILOGUES.values())
                for dtype in DTYPES
            },
            {dtype: _blas_rate(dtype) for dtype in DTYPES},
            {
                f"{form} {dtype}": _micro_kernel_rate(form, dtype)
                for form in FORMS
                for dtype in DTYPES
            },
            min(_draw_seconds(count) for count in DRAWN),
            _gather_seconds(),
        )


def _fastest(call: Callable[[], Any]) -> float:
    """Seconds of the fastest of ROUNDS calls after one that is not timed."""
    call()
    time.sleep(PAUSE)
    call()
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        result = call()
        times.append(time.perf_counter() - start)
        del result
    return min(times)


# The functions below are compiled anew in each process: the cache on disk knows the sources of the
# package, and would not see an edit here.


def _fill(out, line):
    for i in prange(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = line[0]


def _stream(out, line):
    """Past the caches; rows of `out` must be aligned and a whole number of vectors."""
    width = simd.width(line)
    for i in prange(out.shape[0]):
        for j in range(0, out.shape[1], width):
            simd.stream(line, 0, out, i, j)
    simd.fence()


FILLS = [
    jit(function, parallel=True, cache=False, chunk=chunk)
    for function in (_fill, _stream)
    for chunk in (0, ROWS_AT_A_TIME)
]


def _write_rates() -> tuple[float, float]:
    """Bytes a second into an existing and into a fresh matrix: the best of four ways to fill it."""
    line = np.ones(blocking("float64").width)
    existing = empty((SIDE, SIDE), np.float64, "the matrix to fill")

    def into_fresh(fill):
        pages.release()
        fresh = empty((SIDE, SIDE), np.float64, "the matrix to fill")
        fill(fresh, line)
        return fresh  # freed after the clock stops

    size = existing.nbytes
    return (
        size / min(_fastest(partial(fill, existing, line)) for fill in FILLS),
        size / min(_fastest(partial(into_fresh, fill)) for fill in FILLS),
    )


@jit(parallel=True, cache=False)
def _apply_repeatedly(values, code, parameters, repeats):
    for t in prange(values.shape[0]):
        for _ in range(repeats):
            apply(code, values[t], parameters)


def _epilogue_seconds(row: str, dtype: str) -> float:
    """Seconds an element of g, applied in place again and again: each result is the next argument.

    With γ = 0.5 and c = 0.1 every g has a fixed point of ordinary size, so no argument turns into
    infinity or a subnormal number.
    """
    code = epilogue_code(find(row))
    values = empty((numba.get_num_threads(), RESIDENT), dtype, "the epilogue's buffer")
    values[:] = np.linspace(0, 1, RESIDENT)
    kind = np.dtype(dtype).type
    parameters = (kind(0.5), kind(0.1), kind(3))
    assert len(parameters) == N_PARAMETERS

    run = partial(_apply_repeatedly, values, code, parameters)
    repeats = _repeats(run)
    return _fastest(partial(run, repeats)) / (repeats * values.size)


def _blas_rate(dtype: str) -> float:
    rng = np.random.default_rng(0)
    A = rng.standard_normal((GEMM_SIDE, GEMM_SIDE)).astype(dtype)
    B = rng.standard_normal((GEMM_SIDE, GEMM_SIDE)).astype(dtype)  # with itself it would be a SYRK
    C = np.empty_like(A)
    return 2.0 * GEMM_SIDE**3 / _fastest(lambda: np.matmul(A, B, out=C))


@jit(parallel=True, cache=False)
def _multiply_repeatedly(a, b, c, form, sizes, depth, repeats):
    part = Part(0, sizes.mr, 0, 1, 0, 0)
    for t in prange(a.shape[0]):
        left, right = Operand(a[t], 0, 1, sizes.mr, 0), Operand(b[t], 0, 0, sizes.nr, 0)
        into = Operand(c[t], 0, sizes.nr, 0, 0)
        for _ in range(repeats):
            if form == 0:
                _dot(left, right, into, into, depth, part, False, a[t])
            elif form == 1:
                _sqdiff(left, right, into, into, depth, part, False, a[t])
            else:
                _absdiff(left, right, into, into, depth, part, False, a[t])


def _micro_kernel_rate(form: str, dtype: str) -> float:
    """Flops a second of the engine's inner loop on panels that stay in the first-level cache."""
    sizes = blocking(dtype)
    threads, code = numba.get_num_threads(), FORMS.index(form)
    best = 0.0
    for depth in PANEL_DEPTHS:
        a = empty((threads, depth * sizes.mr), dtype, "a panel")
        b = empty((threads, depth * sizes.nr), dtype, "a panel")
        c = empty((threads, sizes.mr * sizes.nr), dtype, "a micro-tile")
        a[:], b[:], c[:] = 1e-3, 2e-3, 0.0  # the sums stay far from overflow

        run = partial(_multiply_repeatedly, a, b, c, code, sizes, depth)
        repeats = _repeats(run)
        flops = 2.0 * c.size * depth * repeats
        best = max(best, flops / _fastest(partial(run, repeats)))
    return best


def _draw_seconds(count: int) -> float:
    """Seconds an index below OBSERVATIONS of NumPy's PCG64, into memory that stays in the caches."""
    inner = np.random.PCG64(0).state["state"]
    out = empty((count,), np.uint32, "the indices of some resamples")
    counts = np.empty(-(-count // (2 * SEGMENT)), np.int64)
    draw = partial(
        pcg_indices,
        split_words(inner["state"]),
        split_words(inner["inc"]),
        pcg_jumps(inner["inc"], len(counts)),
        np.uint64(OBSERVATIONS),
        np.uint64(2**32 % OBSERVATIONS),
        out,
        counts,
    )

    def run(repeats):
        for _ in range(repeats):
            draw()

    repeats = _repeats(run)
    return _fastest(partial(run, repeats)) / (repeats * count)


@jit(parallel=True, cache=False)
def _gather_repeatedly(values, indices, sums, repeats):
    for t in prange(indices.shape[0]):
        a = b = c = d = values[0]
        for repeat in range(repeats):
            row = indices[t, repeat % indices.shape[1]]
            for k in range(0, len(row) - 3, 4):
                a += values[row[k]]
                b += values[row[k + 1]]
                c += values[row[k + 2]]
                d += values[row[k + 3]]
        sums[t] = a + b + c + d


@jit(parallel=True, cache=False)
def _gather_aside_repeatedly(values, indices, sums, repeats):
    """The other way: gather a piece, then add it up in vectors."""
    for t in prange(indices.shape[0]):
        piece = np.empty(PIECE, values.dtype)
        partial_sums = np.zeros(PIECE, values.dtype)
        for repeat in range(repeats):
            row = indices[t, repeat % indices.shape[1]]
            for start in range(0, len(row), PIECE):
                for k in range(PIECE):
                    piece[k] = values[row[start + k]]
                for k in range(PIECE):
                    partial_sums[k] += piece[k]
        sums[t] = partial_sums.sum()


def _gather_seconds() -> float:
    """Seconds a value of OBSERVATIONS at a random place, added up: the best of two ways."""
    rng = np.random.default_rng(0)
    threads = numba.get_num_threads()
    values = rng.exponential(size=OBSERVATIONS)
    indices = rng.integers(0, OBSERVATIONS, (threads, RESAMPLES, OBSERVATIONS), dtype=np.uint32)
    sums = np.empty(threads)
    best = np.inf
    for gather in (_gather_repeatedly, _gather_aside_repeatedly):
        run = partial(gather, values, indices, sums)
        repeats = _repeats(run)
        best = min(best, _fastest(partial(run, repeats)) / (repeats * threads * OBSERVATIONS))
    return best


def _repeats(run: Callable[[int], Any]) -> int:
    """How many repeats last about SECONDS; the first call of `run` may compile."""
    run(1)
    repeats = 1
    while True:
        start = time.perf_counter()
        run(repeats)
        seconds = time.perf_counter() - start
        if seconds > SECONDS / 10:
            return max(1, round(repeats * SECONDS / seconds))
        repeats *= 4
