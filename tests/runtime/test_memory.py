"""Allocation: aligned, and refused with the sizes when it cannot fit."""

import threading

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn.metrics.pairwise
from sklearn.linear_model import LinearRegression

import fastkb
from fastkb.gram import engine
from fastkb.ridge.kernel_matrix import KernelChoice
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


class Begun(Exception):
    """Some work was begun."""


def begin(*arguments, **keywords):
    raise Begun


class Model(LinearRegression):
    fit = begin


X = np.random.default_rng(0).normal(size=(300, 2))
y, few = X[:, 0], X[:20]
RIDGE, SEARCH = fastkb.KernelRidge(kernel="rbf"), fastkb.KernelRidgeCV()


def band(model, X, y, X_eval, n_resamples, **options):
    return lambda: fastkb.bootstrap_band(
        model, X, y, X_eval, n_resamples=n_resamples, rng=0, **options
    )


LARGE = {
    "fit": lambda: RIDGE.fit(X, y),
    "fit by name": lambda: fastkb.KernelRidge(kernel="cosine").fit(X, y),
    "fit by function": lambda: fastkb.KernelRidge(kernel=begin).fit(X, y),
    "path": lambda: fastkb.kernel_ridge_path(X, y, gammas=[1.0]),
    "search": lambda: SEARCH.fit(X, y),
    "chi2": lambda: fastkb.pairwise_kernels(abs(X), metric="chi2"),
    "function": lambda: fastkb.pairwise_kernels(X, metric=begin),
    "sparse": lambda: fastkb.rbf_kernel(sp.csr_array((300, 1000))),
    "Taylor": lambda: fastkb.TaylorFeatures(degree=9).fit(few).transform(X),
    "percentile": band(RIDGE, few, few, X, 300),
    "searched": band(SEARCH, few, few, X, 300),
    "confidence": band(RIDGE, few, few, X, 300, kind="confidence"),
    "simultaneous": band(SEARCH, few, few, X, 300, kind="simultaneous"),
    "prediction": band(RIDGE, X, y, X, 5, kind="prediction"),
    "cholesky": band(RIDGE, X, y, few, 5, solver="cholesky"),
    "responses": band(RIDGE, X, y, few, 5, scheme=fastkb.schemes.Residual()),
    "out of bag": band(RIDGE, X, y, few, 300, out_of_bag=True),
    "refits": band(Model(), few, few, X, 600),
    "left out": band(Model(), X, y, X, 3, kind="prediction"),
    "sampling": lambda: fastkb.sampling_band(RIDGE, begin, X, n_resamples=600),
}


@pytest.mark.parametrize("job", LARGE)
def test_what_cannot_fit_is_refused_before_any_work(job, monkeypatch):
    for where, name in (
        (engine, "drive"),
        (KernelChoice, "matrix"),
        (sklearn.metrics.pairwise, "pairwise_kernels"),
        (fastkb.TaylorFeatures, "_features"),
    ):
        monkeypatch.setattr(where, name, begin)
    monkeypatch.setattr(memory, "_CHECKED_FROM", 100_000)
    with pytest.raises((Begun, ValueError)):  # A model's own error is put in words.
        LARGE[job]()
    monkeypatch.setattr(memory, "available_bytes", lambda: 120_000)
    with pytest.raises(MemoryError, match=r"needs .* GB, and 0\.0 GB of memory are free"):
        LARGE[job]()
