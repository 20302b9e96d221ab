"""Threading layers: the one that is found, calls from many threads, and forks after use."""

import os
import subprocess
import sys
import threading

import numba
import numpy as np
import pytest
import scipy.linalg  # noqa: F401 (its BLAS must be loaded to be limited)
from threadpoolctl import threadpool_info, threadpool_limits

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


def blas_threads():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_limit_blas_is_temporary():
    before = blas_threads()
    with threads.limit_blas(1):
        assert set(blas_threads()) <= {1}
    assert blas_threads() == before
    assert threads.blas_libraries()


def test_limits_of_blas_may_overlap():
    """The one that began first ends first, in another thread: the rest keep theirs, all is restored."""

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


def test_a_limit_leaves_alone_what_somebody_else_has_set_meanwhile():
    """Somebody's own limit, begun before and ended inside, is not put back at the end."""
    before = blas_threads()
    somebody = threadpool_limits(limits=3, user_api="blas")
    if set(blas_threads()) != {3}:
        pytest.skip("this BLAS has no more threads")
    with threads.limit_blas():
        assert set(blas_threads()) == {1}
        somebody.restore_original_limits()
        with threads.limit_blas():  # one that begins later asks for its limit again
            assert set(blas_threads()) == {1}
    assert blas_threads() == before


BITS = """
import hashlib, sys, threading, warnings
import numpy as np
from sklearn.kernel_ridge import KernelRidge as Peer
from fastkb import KernelRidge, KernelRidgeCV, bootstrap, bootstrap_band, kernel_ridge_path, sampling_band

rng = np.random.default_rng(0)
X, y, Y = rng.normal(size=(1300, 5)), rng.normal(size=1300), rng.normal(size=(400, 20))
part, one = X[:400], Y[:, 0]

def sampler(generator):
    x = generator.normal(size=(300, 5))
    return x, x.sum(axis=1) + generator.normal(size=300)

def other():
    while not stop.is_set():
        bootstrap((y,), np.mean, n_resamples=999, rng=0)

peer = Peer(0.1, kernel="rbf")
tasks = {
    "large": lambda: KernelRidge(1e-3, kernel="rbf").fit(X, y).predict(X),
    "targets": lambda: KernelRidge(1e-3, kernel="rbf", fit_intercept=True).fit(part, Y).predict(X),
    "cosine": lambda: KernelRidge(1e-3, kernel="cosine").fit(part, one).predict(X),
    "singular": lambda: KernelRidge(0, kernel="linear").fit(part, one).predict(X),
    "search": lambda: KernelRidgeCV(fit_intercept=True).fit(part, one).predict(X),
    "path": lambda: kernel_ridge_path(part, Y, alphas=[0.1, 1.0], gammas=[0.1, 0.2]).loo_errors,
    "sampling": lambda: sampling_band(peer, sampler, X, n_resamples=4, rng=0).distribution,
    "rows": lambda: bootstrap_band(peer, part, one, X, n_resamples=4, rng=0, solver="rows").distribution,
}
stop = threading.Event()
worker = threading.Thread(target=other)
if sys.argv[1] == "beside":
    worker.start()
warnings.simplefilter("ignore")
for name, task in tasks.items():
    values = {np.ascontiguousarray(task()).tobytes() for _ in range(2)}
    print(name, *[hashlib.sha1(value).hexdigest() for value in values])
stop.set()
if worker.ident:
    worker.join()
"""


@pytest.mark.slow
def test_no_bit_depends_on_the_threads_of_blas_or_on_what_runs_beside():
    found = []
    for blas, regions, how in (("1", "2", "alone"), ("2", "2", "alone"), ("2", "1", "beside")):
        environment = {
            **os.environ,
            "OPENBLAS_NUM_THREADS": blas,
            "MKL_NUM_THREADS": blas,
            "NUMBA_NUM_THREADS": regions,
        }
        done = subprocess.run(
            [sys.executable, "-c", BITS, how],
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found.append(done.stdout.splitlines())
    assert len(found[0]) == 8
    assert found[1] == found[0]
    assert found[2] == found[0]


INSIDE = """
import numba, numpy as np
import fastkb

X = np.random.default_rng(0).standard_normal((6, 40, 3))
wanted = np.array([fastkb.rbf_kernel(one).sum() for one in X])

def total(one):
    return fastkb.rbf_kernel(one).sum()

@numba.njit(parallel=True, nogil=True)
def totals(X):
    out = np.empty(len(X))
    for k in numba.prange(len(X)):
        with numba.objmode(value="float64"):
            value = total(X[k])
        out[k] = value
    return out

np.testing.assert_allclose(totals(X), wanted, rtol=1e-12)
print("the same")
"""


@pytest.mark.parametrize("name", ["workqueue", "omp", "tbb"])
def test_calls_from_within_a_parallel_region_of_the_users(name):
    environment = {**os.environ, "NUMBA_THREADING_LAYER": name}
    done = subprocess.run(
        [sys.executable, "-W", "ignore::numba.NumbaWarning", "-c", INSIDE],
        capture_output=True,
        text=True,
        env=environment,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "the same\n"
