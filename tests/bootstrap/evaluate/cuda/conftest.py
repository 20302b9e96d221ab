"""What the tests of kernels over rows work with: quick barriers, and watched shared memory."""

import sys
import threading

import numpy as np
import pytest

from fastkb.runtime import cuda as runtime


@pytest.fixture(autouse=True, scope="session")
def quick_barriers():
    """The simulator's threads poll each other at barriers: they take turns more often."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


class Watched:
    """Shared memory, poisoned, that finds two threads at one element between two barriers.

    Several threads may alter an element by atomic instructions, but not while another reads or writes it.
    """

    def __init__(self, length, kind):
        poison = np.nan if np.dtype(kind).kind == "f" else 2**30
        self.values = np.full(length, poison, dtype=kind)
        self.seen = {}  # place -> (barriers passed, who wrote, who read, who altered it)
        self.races = 0
        self.lock = threading.RLock()

    def touch(self, place, how):
        thread = threading.current_thread()
        with self.lock:
            seen = self.seen.get(place)
            if seen is None or seen[0] != thread.barriers:
                seen = self.seen[place] = (thread.barriers, set(), set(), set())
            me = {thread.thread_id}
            seen[how].update(me)
            _, wrote, read, altered = seen
            if how == 1:
                self.races += bool((wrote | read | altered) - me)
            elif how == 2:
                self.races += bool((wrote | altered) - me)
            else:
                self.races += bool((wrote | read) - me)

    def __getitem__(self, place):
        self.touch(int(place), 2)
        return self.values[place]

    def __setitem__(self, place, value):
        self.touch(int(place), 1)
        self.values[place] = value

    def alter(self, place, function):
        self.touch(int(place), 3)
        with self.lock:
            self.values[place] = function(self.values[place])


@pytest.fixture
def watch(monkeypatch):
    """A function: call `compute`, with barrier number `without` of each thread left out; gives the result
    and the number of races.
    """
    if not runtime.simulated():
        pytest.skip("only the simulator's threads can be watched")
    from numba.cuda.simulator import kernel as simulator
    from numba.cuda.simulator import kernelapi

    made, lock, left_out = {}, threading.Lock(), []
    wait = simulator.BlockThread.syncthreads

    def array(self, shape, dtype, alignment=None):
        frame = sys._getframe(1)
        where = threading.current_thread().blockIdx.x, frame.f_code.co_filename, frame.f_lineno
        with lock:
            return made.setdefault(where, Watched(shape, dtype))

    def syncthreads(thread):
        thread.calls += 1
        if thread.calls - 1 not in left_out:
            wait(thread)
            thread.barriers += 1

    def atomic(function):
        return lambda self, values, place, value: values.alter(place, lambda x: function(x, value))

    monkeypatch.setattr(simulator.BlockThread, "barriers", 0, raising=False)
    monkeypatch.setattr(simulator.BlockThread, "calls", 0, raising=False)
    monkeypatch.setattr(simulator.BlockThread, "syncthreads", syncthreads)
    monkeypatch.setattr(kernelapi.FakeCUDAShared, "array", array)
    for name, function in (("add", lambda a, b: a + b), ("min", min), ("max", max)):
        monkeypatch.setattr(kernelapi.FakeCUDAAtomic, name, atomic(function))

    def run(compute, without=None):
        left_out[:] = [without]
        made.clear()
        with np.errstate(all="ignore"):
            result = compute()
        return result, sum(one.races for one in made.values())

    return run
