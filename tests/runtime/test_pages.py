"""Pages of dropped results: taken over by the next one, never by two at a time."""

import gc
import mmap
import subprocess
import sys
import threading

import numpy as np
import pytest

import fastkb
from fastkb.runtime import memory, pages

pytestmark = pytest.mark.skipif(not pages._SUPPORTED, reason="no MADV_FREE on this system")

SIZE = pages.SMALLEST


@pytest.fixture(autouse=True)
def nothing_kept():
    pages.release()
    yield
    pages.release()


def _empty(size=SIZE):
    return memory.empty((size,), np.uint8, "a test")


def test_the_next_result_takes_over_the_pages_of_a_dropped_one():
    first = _empty()
    place = first.ctypes.data
    del first
    assert _empty().ctypes.data == place


def test_a_view_keeps_its_pages():
    whole = _empty()
    whole[:] = 1
    part = whole[5:10][::-1].view(np.int8)
    del whole
    gc.collect()
    other = _empty()
    other[:] = 2
    assert (part == 1).all()
    assert not np.shares_memory(part, other)
    del part
    assert len(pages._kept) == 1


def test_two_living_results_never_share_pages():
    results = [_empty() for _ in range(4)]
    for k, result in enumerate(results):
        result[:] = k
    assert [set(np.unique(result)) for result in results] == [{0}, {1}, {2}, {3}]


def test_much_larger_pages_are_not_wasted_on_a_small_result():
    large = _empty(4 * SIZE)
    del large
    assert pages.kept(SIZE) is None
    assert pages.kept(5 * SIZE) is None
    assert pages.kept(4 * SIZE - 100).size == 4 * SIZE - 100


def test_small_results_have_no_pages_of_their_own():
    small = _empty(SIZE - 1)
    del small
    assert not pages._kept


def test_no_more_is_kept_than_the_limit(monkeypatch):
    monkeypatch.setattr(pages, "KEPT", 3 * SIZE)
    several = [_empty() for _ in range(5)]
    latest = several[-1].ctypes.data
    while several:
        del several[0]
    assert len(pages._kept) == 3
    assert _empty().ctypes.data == latest
    too_large = _empty(4 * SIZE)
    del too_large
    assert max(map(len, pages._kept)) < 4 * SIZE


def test_what_the_system_cannot_take_back_is_not_kept(monkeypatch):
    monkeypatch.setattr(pages, "_advise", lambda *arguments: False)
    array = _empty()
    del array
    assert not pages._kept


def test_a_refusal_names_the_size(monkeypatch):
    def refuse(*arguments, **options):
        raise OSError("no")

    monkeypatch.setattr(mmap, "mmap", refuse)
    with pytest.raises(MemoryError, match=r"a test needs 0\.0 GB, which cannot be allocated"):
        _empty()


def test_without_the_systems_help_numpy_allocates(monkeypatch):
    monkeypatch.setattr(pages, "_SUPPORTED", False)
    array = _empty()
    array[:] = 1
    del array
    assert not pages._kept


def test_threads_that_drop_and_take_at_once_keep_their_values():
    wrong = []

    def work(value):
        for _ in range(200):
            array = _empty()
            array[::4096] = value
            if not (array[::4096] == value).all():
                wrong.append(value)
            del array

    workers = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong
    assert sum(map(len, pages._kept)) <= pages.KEPT


def test_a_result_on_used_pages_is_the_same_to_the_last_bit():
    X = np.random.default_rng(0).standard_normal((800, 3))
    first = fastkb.rbf_kernel(X)
    expected = first.copy()
    first[:] = np.nan
    place = first.ctypes.data
    del first
    again = fastkb.rbf_kernel(X)
    assert again.ctypes.data == place
    np.testing.assert_array_equal(again, expected)


# Of all that still holds results when the interpreter ends, NumPy's and Numba's modules go after this
# package's names are gone.
AT_THE_END = """
import sys
import numba, numpy as np
import fastkb
from fastkb.runtime import pages

class Holder:
    pass

def held(result):
    cycle = Holder()
    cycle.itself, cycle.result = cycle, result
    return cycle

X = np.random.default_rng(0).standard_normal((800, 3))
mine = fastkb.rbf_kernel(X)
np.mine, numba.mine, sys.mine = fastkb.rbf_kernel(X), held(fastkb.linear_kernel(X)), mine
band = fastkb.bootstrap_band(
    fastkb.KernelRidge(kernel="rbf", gamma=1.0), X[:40], X[:40, 0], X, n_resamples=1000, rng=0
)
np.band, fastkb.mine, pages.mine = band, held(band), held(fastkb.laplacian_kernel(X))
assert mine.nbytes >= pages.SMALLEST
"""


def test_results_may_live_until_the_interpreter_ends():
    done = subprocess.run(
        [sys.executable, "-c", AT_THE_END], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
