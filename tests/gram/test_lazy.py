"""Gram matrices of Dask arrays: the bits of those in memory, however the rows are cut."""

import numpy as np
import pytest

import fastkb
from fastkb import kernels
from fastkb.gram.lazy import is_lazy

da = pytest.importorskip("dask.array")

X = np.random.default_rng(0).normal(size=(53, 7))
Y = np.random.default_rng(1).normal(size=(31, 7)) + 3.0
FUNCTIONS = [
    fastkb.linear_kernel,
    fastkb.polynomial_kernel,
    fastkb.sigmoid_kernel,
    fastkb.rbf_kernel,
    fastkb.laplacian_kernel,
]
CUTS = [(53, 7), (20, 7), ((1, 50, 2), (3, 4)), (9, 2)]


def lazy(array, chunks="auto"):
    return da.from_array(array, chunks=chunks)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("chunks", CUTS, ids=str)
def test_the_bits_are_those_of_arrays_in_memory(function, chunks):
    K = function(lazy(X, chunks))
    assert is_lazy(K)
    assert K.shape == (53, 53)
    np.testing.assert_array_equal(K.compute(), function(X))
    assert K.chunks[0] == K.chunks[1] == lazy(X, chunks).chunks[0]
    both = function(lazy(X, chunks), lazy(Y, (10, 7)))
    np.testing.assert_array_equal(both.compute(), function(X, Y))
    np.testing.assert_array_equal(function(lazy(X, chunks), Y).compute(), function(X, Y))
    np.testing.assert_array_equal(function(X, Y=lazy(Y)).compute(), function(X, Y))


def test_parameters_and_keywords():
    rows = lazy(X, (20, 7))
    for made, expected in (
        (fastkb.rbf_kernel(rows, gamma=0.3), fastkb.rbf_kernel(X, gamma=0.3)),
        (fastkb.rbf_kernel(X=rows, gamma=0.3), fastkb.rbf_kernel(X, gamma=0.3)),
        (
            fastkb.polynomial_kernel(rows, None, 2, 0.5, 2),
            fastkb.polynomial_kernel(X, None, 2, 0.5, 2),
        ),
        (
            fastkb.pairwise_kernels(rows, metric="poly", degree=2),
            fastkb.pairwise_kernels(X, metric="poly", degree=2),
        ),
        (
            fastkb.pairwise_kernels(rows, metric="cosine"),
            fastkb.pairwise_kernels(X, metric="cosine"),
        ),
        (
            fastkb.pairwise_kernels(rows, metric=kernels.RBF(2.0)),
            fastkb.pairwise_kernels(X, metric=kernels.RBF(2.0)),
        ),
    ):
        np.testing.assert_array_equal(made.compute(), expected)


@pytest.mark.parametrize(
    "kernel",
    [kernels.RBF(1.5), kernels.Matern(2.5, 2.0), 2.0 * kernels.Linear() + kernels.Cosine()],
)
def test_kernel_objects(kernel):
    rows = lazy(X, (20, 7))
    np.testing.assert_array_equal(fastkb.gram(kernel, rows).compute(), fastkb.gram(kernel, X))
    np.testing.assert_array_equal(kernel(rows, Y).compute(), kernel(X, Y))


def test_symmetric_to_the_last_bit_and_half_the_work():
    calls = []

    def counting(one, other=None):
        calls.append(other is None)
        return fastkb.rbf_kernel(one, other)

    from fastkb.gram.lazy import gram_of_blocks

    K = gram_of_blocks(counting, lazy(X, (10, 7)), None, None)
    calls.clear()
    found = K.compute(scheduler="sync")
    np.testing.assert_array_equal(found, found.T)
    assert (len(calls), sum(calls)) == (6 * 7 // 2, 6)


@pytest.mark.parametrize("types", [("f4", "f4"), ("f4", "f8"), ("i4", "f4"), ("?", "?")])
def test_types(types):
    one, other = (array.astype(kind) for array, kind in zip((X, Y), types, strict=True))
    K = fastkb.rbf_kernel(lazy(one, (20, 7)), lazy(other, (20, 7)))
    expected = fastkb.rbf_kernel(one, other)
    assert K.dtype == K.compute().dtype == expected.dtype
    np.testing.assert_array_equal(K.compute(), expected)


def test_rows_whose_number_is_not_known():
    rows = lazy(X, (20, 7))
    some = rows[rows[:, 0] > 0]
    K = fastkb.rbf_kernel(some)
    np.testing.assert_array_equal(K.compute(), fastkb.rbf_kernel(X[X[:, 0] > 0]))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda rows: fastkb.rbf_kernel(rows, gamma=-1), ValueError, "gamma"),
        (
            lambda rows: fastkb.rbf_kernel(rows, out=np.empty((53, 53))),
            ValueError,
            "out must be None",
        ),
        (lambda rows: fastkb.rbf_kernel(rows, Y[:, :3]), ValueError, r"X.shape\[1\] == 7 while"),
        (
            lambda rows: fastkb.rbf_kernel(rows[:, 0]),
            ValueError,
            "X must have two dimensions, got 1",
        ),
        (
            lambda rows: fastkb.rbf_kernel(rows * 1j),
            ValueError,
            "X must hold real numbers, got complex",
        ),
        (lambda rows: fastkb.pairwise_kernels(rows, metric="rbf", gama=1), TypeError, "gama"),
    ],
)
def test_what_is_wrong_is_said_at_once(call, error, message):
    with pytest.raises(error, match=message):
        call(lazy(X, (20, 7)))


def test_nan_is_found_in_its_block():
    wrong = X.copy()
    wrong[40, 2] = np.nan
    K = fastkb.rbf_kernel(lazy(wrong, (20, 7)))
    with pytest.raises(ValueError, match="NaN"):
        K.compute()


def test_arrays_in_memory_stay_there():
    assert not is_lazy(X, None)
    assert type(fastkb.rbf_kernel(X)) is np.ndarray
