"""Threading layers: the one that is found, calls from many threads, and forks after use."""

import os
import subprocess
import sys
import threading

import numba
import numpy as np
import pytest
import scipy.linalg  # noqa: F401 (its BLAS must be loaded to be limited)
from threadpoolctl import threadpool_info

from fastkb import rbf_kernel
from fastkb.runtime import threads

X = np.random.default_rng(0).standard_normal((300, 3))


def test_the_layer_is_known_and_tbb_where_it_is_installed():
    assert threads.layer() in {"tbb", "omp", "workqueue"}
    if threads.load_tbb():
        assert threads.layer() == "tbb"
    assert threads.n_threads() == numba.get_num_threads()


def test_eight_threads_at_once():
    expected = rbf_kernel(X)
    wrong = []

    def work():
        for _ in range(10):
            if not np.array_equal(rbf_kernel(X), expected):
                wrong.append(1)

    workers = [threading.Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


SCRIPT = """
import os, sys, threading, warnings
import numpy as np
from fastkb import rbf_kernel
from fastkb.runtime import threads
X = np.random.default_rng(0).standard_normal((300, 3))
expected = rbf_kernel(X)
assert threads.layer() == sys.argv[1], threads.layer()

def work():
    for _ in range(5):
        assert np.array_equal(rbf_kernel(X), expected)

workers = [threading.Thread(target=work) for _ in range(4)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()

if hasattr(os, "fork"):
    warnings.simplefilter("ignore")  # Python warns that threads and fork do not mix: the point
    child = os.fork()
    if child == 0:
        for _ in range(3):
            same = np.array_equal(rbf_kernel(X), expected)
        os._exit(0 if same else 1)
    status = os.waitpid(child, 0)[1]
    assert os.waitstatus_to_exitcode(status) == 0, status
assert np.array_equal(rbf_kernel(X), expected)
print("right")
"""


@pytest.mark.slow
@pytest.mark.parametrize("layer", ["tbb", "omp", "workqueue"])
def test_threads_and_forks_on_every_layer(layer):
    """Four Python threads at once, then a fork after use, then the parent again."""
    environment = {**os.environ, "NUMBA_THREADING_LAYER": layer, "NUMBA_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, layer],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if "No threading layer could be loaded" in done.stderr:
        pytest.skip(f"{layer} is not available here")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == "right"  # TBB may say before that it could not join threads


def test_limit_blas_is_temporary():
    def blas_threads():
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    before = blas_threads()
    with threads.limit_blas(1):
        assert set(blas_threads()) <= {1}
    assert blas_threads() == before
    assert threads.blas_libraries()


def test_limits_of_blas_may_overlap():
    """The one that began first ends first, in another thread: the rest keep theirs, all is restored."""

    def blas_threads():
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    before = blas_threads()
    began, second, ended = threading.Event(), threading.Event(), threading.Event()

    def first():
        with threads.limit_blas(1):
            began.set()
            second.wait()
        ended.set()

    worker = threading.Thread(target=first)
    worker.start()
    began.wait()
    with threads.limit_blas(1):
        second.set()
        ended.wait()
        assert set(blas_threads()) <= {1}
    worker.join()
    assert blas_threads() == before


@pytest.mark.parametrize("workers", [0, 1, 2, 5])
def test_a_map_on_threads_keeps_the_order_and_the_width_of_regions(workers):
    with threads.thread_map(workers, "test") as mapping:
        assert list(mapping(lambda x: x**2, range(20))) == [x**2 for x in range(20)]
        assert set(mapping(lambda _: threads.n_threads(), range(9))) == {threads.n_threads()}


def test_an_error_ends_a_map_on_threads():
    begun = []

    def fail(x):
        begun.append(x)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), threads.thread_map(2, "test") as mapping:
        list(mapping(fail, range(1000)))
    assert len(begun) < 1000
