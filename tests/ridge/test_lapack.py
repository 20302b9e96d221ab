"""Two LAPACK routines by address: right numbers, in place, and no lock held."""

import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastkb.ridge import lapack
from fastkb.runtime.threads import limit_blas

EPS = np.finfo(float).eps


def positive_matrix(n, seed, rank=None):
    root = np.random.default_rng(seed).normal(size=(n, rank or n))
    K = root @ root.T
    return (K + K.T) / 2


@given(n=st.integers(1, 80), order=st.sampled_from("CF"), seed=st.integers(0, 2**32 - 1))
def test_eigenvectors_make_up_the_matrix(n, order, seed):
    root = np.random.default_rng(seed).normal(size=(n, n))
    K = root + root.T
    overwritten = np.array(K, order=order)
    values, vectors = lapack.eigh_in_place(overwritten)
    assert np.may_share_memory(vectors, overwritten)
    assert (np.diff(values) >= 0).all()
    scale = 10 * n * EPS * np.abs(values).max()
    assert np.abs(vectors.T @ vectors - np.eye(n)).max() <= 10 * n * EPS
    assert np.abs((vectors * values) @ vectors.T - K).max() <= scale
    assert np.abs(values - np.linalg.eigvalsh(K)).max() <= scale


def test_a_matrix_of_nothing_has_no_eigenvalues():
    values, vectors = lapack.eigh_in_place(np.empty((0, 0)))
    assert values.shape == (0,)
    assert vectors.shape == (0, 0)


@given(
    n=st.integers(1, 80),
    missing=st.integers(0, 79),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_pivoted_factor_makes_up_the_matrix(n, missing, seed):
    rank = max(1, n - missing)
    K = positive_matrix(n, seed, rank)
    tolerance = 100 * n * EPS * K.diagonal().max()
    packed, pivots = lapack.pivoted_cholesky_in_place(K.copy(), tolerance)
    assert sorted(pivots) == list(range(n))
    assert packed.shape[1] <= rank
    factor = np.tril(packed)
    left = K[np.ix_(pivots, pivots)] - factor @ factor.T
    # What is left is positive semidefinite with this diagonal, which bounds all of it.
    assert np.abs(left).max() <= 2 * tolerance
    assert pivots[0] == K.diagonal().argmax()


def test_the_lower_triangle_stays():
    K = positive_matrix(150, 0)
    overwritten = K.copy()
    lapack.pivoted_cholesky_in_place(overwritten, 0.0)
    np.testing.assert_array_equal(np.tril(overwritten, -1), np.tril(K, -1))
    assert not np.array_equal(overwritten, K)


@pytest.mark.parametrize(
    "K",
    [
        np.eye(3, dtype=np.float32),
        np.eye(6)[::2, ::2],
        np.ones((2, 3)),
        np.eye(3).astype(">f8"),
    ],
    ids=["float32", "strided", "oblong", "big-endian"],
)
def test_what_lapack_cannot_read_is_refused(K):
    with pytest.raises(TypeError, match=r"K must be a"):
        lapack.eigh_in_place(K)
    with pytest.raises(TypeError, match=r"K must be a"):
        lapack.pivoted_cholesky_in_place(K, 0.0)


def test_a_read_only_matrix_is_refused():
    K = np.eye(3)
    K.flags.writeable = False
    with pytest.raises(TypeError, match=r"may be overwritten"):
        lapack.eigh_in_place(K)


def test_other_threads_run_meanwhile():
    """A counter goes on in the middle of LAPACK's work; with the lock held it would stand still."""
    K = positive_matrix(600, 0)
    counted, done = [], threading.Event()

    def count():
        while not done.wait(1e-4):
            counted.append(time.perf_counter())

    def counts_in_the_middle():
        counted.clear()
        started = time.perf_counter()
        lapack.eigh_in_place(K.copy())
        quarter = (time.perf_counter() - started) / 4
        return any(started + quarter < t < started + 3 * quarter for t in list(counted))

    counter = threading.Thread(target=count)
    with limit_blas():
        counter.start()
        try:
            # A busy machine may give the counter no turn once, but hardly fifty times.
            assert any(counts_in_the_middle() for _ in range(50))
        finally:
            done.set()
            counter.join()


def test_many_at_once_give_what_one_gives():
    from concurrent.futures import ThreadPoolExecutor

    matrices = [positive_matrix(90, seed) for seed in range(8)]
    with limit_blas():
        alone = [lapack.eigh_in_place(K.copy()) for K in matrices]
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(lambda K: lapack.eigh_in_place(K.copy()), matrices))
    for (values, vectors), (other_values, other_vectors) in zip(alone, together, strict=True):
        np.testing.assert_array_equal(values, other_values)
        np.testing.assert_array_equal(vectors, other_vectors)
