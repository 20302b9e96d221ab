"""What the tests of the CUDA kernel work with: watched shared memory, and the compiler for a device."""

import importlib.metadata
import shutil
import subprocess
import threading

import numpy as np
import pytest

from fastkb.runtime import cuda as runtime


@pytest.fixture
def fresh_kernels():
    """Kernels made in this test are its own."""
    from fastkb.tile import cuda, cuda_reduce

    made = (cuda.gram_kernel, cuda_reduce.rows_kernel, cuda_reduce.tiles_kernel)
    for kernel in made:
        kernel.cache_clear()
    yield
    for kernel in made:
        kernel.cache_clear()


class Watched:
    """Shared memory, poisoned, that finds two threads at one element between two barriers."""

    def __init__(self, length, kind):
        self.values = np.full(length, np.nan, dtype=kind)
        self.seen = {}  # place -> (barriers passed, who wrote, who read)
        self.races = 0
        self.lock = threading.Lock()

    def touch(self, place, writes):
        thread = threading.current_thread()
        with self.lock:
            seen = self.seen.get(place)
            if seen is None or seen[0] != thread.barriers:
                seen = self.seen[place] = (thread.barriers, set(), set())
            me = {thread.thread_id}
            seen[1 if writes else 2].update(me)
            self.races += bool(seen[1] - me) or bool(writes and seen[2] - me)

    def __getitem__(self, place):
        self.touch(int(place), False)
        return self.values[place]

    def __setitem__(self, place, value):
        self.touch(int(place), True)
        self.values[place] = value


@pytest.fixture
def watch(monkeypatch, fresh_kernels):
    """A function: call `compute`, with barrier number `without` left out of the kernel; gives the result
    and the number of races in each block.
    """
    if not runtime.simulated():
        pytest.skip("only the simulator's threads can be watched")
    from numba.cuda.simulator import kernel as simulator

    from fastkb.tile import cuda as tile
    from fastkb.tile import cuda_reduce

    blocks, lock, left_out = {}, threading.Lock(), []
    wait = simulator.BlockThread.syncthreads

    def make_shared_of(length, kind):
        def shared():
            where = threading.current_thread().blockIdx.x
            with lock:
                return blocks.setdefault(where, Watched(length, kind))

        return shared

    def make_shared(plan, kind):
        return make_shared_of(plan.memory, kind)

    def syncthreads(thread):
        thread.calls += 1
        if thread.calls - 1 not in left_out:
            wait(thread)
            thread.barriers += 1

    monkeypatch.setattr(simulator.BlockThread, "barriers", 0, raising=False)
    monkeypatch.setattr(simulator.BlockThread, "calls", 0, raising=False)
    monkeypatch.setattr(simulator.BlockThread, "syncthreads", syncthreads)
    monkeypatch.setattr(tile, "_make_shared", make_shared)
    monkeypatch.setattr(cuda_reduce, "_make_shared", make_shared_of)

    def run(compute, without=None):
        left_out[:] = [without]
        blocks.clear()
        with np.errstate(all="ignore"):  # without a barrier anything may come out
            result = compute()
        return result, [block.races for block in blocks.values()]

    return run


def assembler():
    """The path of ptxas, from the path or from its wheel."""
    for package in ("nvidia-cuda-nvcc", "nvidia-cuda-nvcc-cu12"):
        try:
            files = importlib.metadata.files(package) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        for file in files:
            if file.name in ("ptxas", "ptxas.exe"):
                return str(file.locate())
    return shutil.which("ptxas")


def has_nvrtc():
    """Whether NVIDIA's runtime compiler can be loaded: an assembler alone does not compile."""
    try:
        from cuda.bindings import nvrtc

        nvrtc.nvrtcVersion()
    except (ImportError, RuntimeError, OSError):
        return False
    return True


@pytest.fixture
def compile_for_hopper(monkeypatch, tmp_path, fresh_kernels):
    """A function: a kernel's PTX for compute capability 9.0, and what the assembler says of it."""
    if runtime.simulated():
        pytest.skip("the simulator does not compile")
    if runtime.module().implementation == "Built-in" or not assembler() or not has_nvrtc():
        pytest.skip("no compiler: pip install 'numba-cuda[cu13]' nvidia-cuda-nvcc")
    from numba.cuda import dispatcher

    # Device functions ask the device which code they are for.
    hopper = type("Hopper", (), {"compute_capability": (9, 0)})
    monkeypatch.setattr(dispatcher, "get_current_device", lambda: hopper)

    def build(kernel, signature):
        bounds = kernel.targetoptions["launch_bounds"]
        ptx, _ = runtime.module().compile_ptx(
            kernel.py_func, signature, cc=(9, 0), launch_bounds=bounds
        )
        source = tmp_path / "kernel.ptx"
        source.write_text(ptx)
        command = [assembler(), "-arch=sm_90", "-v", str(source), "-o", str(tmp_path / "kernel")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return ptx, done.stderr

    return build


TERMS = {
    "product": lambda a, b, w: a * b,
    "square": lambda a, b, w: (a - b) ** 2,
    "size": lambda a, b, w: np.abs(a - b),
    "weighted square": lambda a, b, w: (w * (a - b)) ** 2,
    "weighted size": lambda a, b, w: w * np.abs(a - b),
}


def placed(matrix, start, row, step=1):
    """A flat array, else NaN, that holds element [i, k] at start + i·row + k·step."""
    i, k = np.indices(matrix.shape)
    places = start + i * row + k * step
    flat = np.full(places.max(initial=start) + 4, np.nan, matrix.dtype)
    flat[places] = matrix
    return flat, places


def bound_and_expected(term, a, b, base, weights, dtype):
    """The sum in extended precision; three roundings in a term, and one for each addition."""
    a, b, base, weights = (array.astype(np.longdouble) for array in (a, b, base, weights))
    terms = TERMS[term](a[:, :, None], b[None], weights[1:, None])
    size = np.abs(base) + np.abs(terms).sum(axis=1)
    return (a.shape[1] + 4) * np.finfo(dtype).eps * size, base + terms.sum(axis=1)
