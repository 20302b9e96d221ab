"""Allocation: aligned, and refused with the sizes when it cannot fit."""

import threading

import numpy as np
import pytest

import fastkb
from fastkb.runtime import memory


@pytest.mark.parametrize("shape", [(1,), (3, 5), (0, 4), (1000, 7)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_arrays_are_aligned_and_contiguous(shape, dtype):
    array = memory.empty(shape, dtype, "a test")
    assert array.shape == shape
    assert array.dtype == dtype
    assert array.flags.c_contiguous
    assert array.flags.writeable
    if array.size:
        assert array.ctypes.data % memory.ALIGNMENT == 0


def test_what_cannot_fit_is_refused_with_the_sizes(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 10**9)
    with pytest.raises(MemoryError, match=r"a test needs 8\.0 GB, and 1\.0 GB of memory are free"):
        memory.empty((10**9,), np.float64, "a test")
    X = np.zeros((20_000, 1))
    with pytest.raises(MemoryError, match=r"Gram matrix of 20000 x 20000 float64 needs 3\.2 GB"):
        fastkb.rbf_kernel(X)


def test_unknown_memory_is_not_guessed(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: None)
    memory.check_available(2**60, "a test")


def test_numpys_own_refusal_is_explained(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: None)
    with pytest.raises(MemoryError, match=r"a test needs .* GB, which cannot be allocated"):
        memory.empty((2**58,), np.float64, "a test")


def test_free_memory_is_plausible():
    available = memory.available_bytes()
    assert available is None or 2**20 < available < 2**50


def test_the_containers_limit_counts(monkeypatch, tmp_path):
    (tmp_path / "memory.max").write_text("3000\n")
    (tmp_path / "memory.current").write_text("1000\n")
    (tmp_path / "memory.stat").write_text("anon 900\ninactive_file 50\n")
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    assert memory._cgroup_available() == 2050
    (tmp_path / "memory.max").write_text("max\n")
    assert memory._cgroup_available() is None


def _start_of_scratch(name, size):
    with memory.scratch(name, size, np.uint8, "a test") as vector:
        assert vector.nbytes == size
        assert vector.ctypes.data % memory.ALIGNMENT == 0
        return vector.ctypes.data


def test_scratch_is_kept_by_the_thread_under_its_name():
    first = _start_of_scratch("one", 1000)
    assert _start_of_scratch("one", 500) == first
    assert _start_of_scratch("one", 1000) == first
    assert _start_of_scratch("other", 1000) != first
    elsewhere = []
    worker = threading.Thread(target=lambda: elsewhere.append(_start_of_scratch("one", 1000)))
    worker.start()
    worker.join()
    assert elsewhere[0] != first


def test_scratch_in_use_is_not_given_twice():
    with (
        memory.scratch("nested", 1000, np.float64, "a test") as outer,
        memory.scratch("nested", 1000, np.float64, "a test") as inner,
    ):
        assert not np.shares_memory(outer, inner)


def test_large_scratch_is_not_kept():
    with memory.scratch("large", memory._KEPT + 1, np.uint8, "a test"):
        pass
    assert "large" not in memory._thread.__dict__
