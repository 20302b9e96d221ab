"""Distances made of inner products: taken where that is certified, and then as accurate as promised."""

import numba
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fastkb
from fastkb import kernels
from fastkb.gram import drive, products
from fastkb.runtime.threads import use_threads
from fastkb.tile.blocking import PRODUCTS_FROM

D = PRODUCTS_FROM


@pytest.fixture(autouse=True)
def of_small_results(monkeypatch):
    """Products are taken for matrices that a test can compare."""
    monkeypatch.setattr(drive, "PRODUCTS_OF", 2**12)


@pytest.fixture
def taken(monkeypatch):
    """Whether each call made distances of inner products."""
    seen, run = [], drive.run_tiles

    def recording(a, b, out, task, *others):
        seen.append(bool(task.distances))
        return run(a, b, out, task, *others)

    monkeypatch.setattr(drive, "run_tiles", recording)
    return seen


def exact(gamma, X, Y=None):
    """In extended precision."""
    X = X.astype(np.longdouble)
    Y = X if Y is None else Y.astype(np.longdouble)
    t = np.array([((Y - x) ** 2).sum(axis=1) for x in X])
    return np.exp(-np.longdouble(gamma) * t)


def worst(K, right):
    """The largest relative error, in units of the last place; exp enlarges those of its argument."""
    condition = np.maximum(1, -np.log(right))
    return float(np.max(np.abs(K - right) / right / condition)) / np.finfo(K.dtype).eps


@pytest.mark.parametrize("d", [D, 100, 256, 784])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("two", [False, True])
def test_ordinary_data(d, dtype, two, taken):
    rng = np.random.default_rng(d)
    X = rng.uniform(size=(130, d)).astype(dtype)
    Y = rng.uniform(size=(97, d)).astype(dtype) if two else None
    K = fastkb.rbf_kernel(X, Y)
    assert taken == [True]
    assert worst(K, exact(1 / d, X, Y)) <= 4 * d


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e8, 1e12])
def test_offsets(offset, taken):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (90, 200)) + offset
    K = fastkb.rbf_kernel(X)
    assert taken == [True]
    assert worst(K, exact(1 / 200, X)) <= 4 * 200


@pytest.mark.parametrize("apart", [0.0, 1e-9, 1e-6, 1e-3])
def test_near_duplicates_far_from_the_mean(apart, taken):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (80, 200))
    X[:40] += 0.5
    X[40:] = X[:40] + apart * rng.normal(size=(40, 200))
    K = fastkb.rbf_kernel(X)
    assert taken == [True]
    assert worst(K, exact(1 / 200, X)) <= 4 * 200
    assert (K <= 1).all()


def test_a_row_far_away_takes_differences(taken):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (80, 200))
    X[7] = 100.0
    K = fastkb.rbf_kernel(X)
    assert taken == [False]
    right = exact(1 / 200, X)
    seen = right > 1e-300
    assert worst(K[seen], right[seen]) <= 4 * 200


@pytest.mark.parametrize(("factor", "certified"), [(1 - 1e-9, True), (1 + 1e-9, False)])
def test_the_edge_of_the_certificate(factor, certified, taken):
    """Rows of one norm around a centre of 0: R² is d exactly."""
    d = 128
    half = np.sign(np.random.default_rng(0).normal(size=(60, d)))
    X = np.concatenate([half, -half])
    gamma = 2 * d / (d + 8) / d * factor
    K = fastkb.rbf_kernel(X, gamma=gamma)
    assert taken == [certified]
    assert worst(K, exact(gamma, X)) <= 4 * d


@pytest.mark.parametrize(
    ("kernel", "certified"),
    [
        (kernels.RBF(16.0), True),
        (kernels.Matern(1.5, 16.0), True),
        (kernels.Matern(2.5, 16.0), True),
        (kernels.RationalQuadratic(2.0, 16.0), True),
        (kernels.Matern(0.5, 16.0), False),
        (kernels.RBF(16.0).scaled(np.full(256, 2.0)), False),
    ],
)
def test_kernels_whose_steepness_is_known(kernel, certified, taken, monkeypatch):
    X = np.random.default_rng(0).uniform(-1, 1, (100, 256))
    K = kernel(X)
    assert taken == [certified]
    monkeypatch.setattr(drive, "PRODUCTS_FROM", 10**9)
    differences = kernel(X)
    np.testing.assert_allclose(K, differences, rtol=4 * 256 * 2.3e-16)
    assert (differences == K).all() != certified
    np.testing.assert_array_equal(np.diag(K), 1.0)


def test_the_choice_and_the_bits_are_those_of_any_thread_and_layout(taken):
    rng = np.random.default_rng(0)
    X, Y = rng.uniform(size=(301, 100)), rng.uniform(size=(150, 100))
    K, both = fastkb.rbf_kernel(X), fastkb.rbf_kernel(X, Y)
    np.testing.assert_array_equal(K, K.T)
    np.testing.assert_array_equal(np.diag(K), 1.0)
    np.testing.assert_array_equal(fastkb.rbf_kernel(Y, X), both.T)
    before = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        np.testing.assert_array_equal(fastkb.rbf_kernel(X), K)
        np.testing.assert_array_equal(fastkb.rbf_kernel(X, Y), both)
    finally:
        numba.set_num_threads(before)
    np.testing.assert_array_equal(fastkb.rbf_kernel(np.asfortranarray(X)), K)
    for out in (np.empty((301, 301), order="F"), np.empty((301, 310))[:, 5:306]):
        np.testing.assert_array_equal(fastkb.rbf_kernel(X, out=out), K)
    assert set(taken) == {True}


def test_small_and_narrow_results_take_differences(taken):
    rng = np.random.default_rng(0)
    fastkb.rbf_kernel(rng.uniform(size=(300, D - 1)))
    fastkb.rbf_kernel(rng.uniform(size=(20, D)))
    assert taken == [False, False]


def test_predictions_do_not_depend_on_other_rows():
    """A product with coefficients takes differences."""
    rng = np.random.default_rng(0)
    X, y = rng.uniform(size=(200, 100)), rng.normal(size=200)
    model = fastkb.KernelRidge(alpha=0.1, kernel="rbf").fit(X, y)
    whole = model.predict(X)
    np.testing.assert_array_equal(
        np.concatenate([model.predict(X[:7]), model.predict(X[7:])]), whole
    )


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    n=st.sampled_from([64, 65, 95, 96, 97, 130, 193]),
    m=st.none() | st.sampled_from([64, 70, 129]),
    d=st.integers(D, 150),
    dtype=st.sampled_from([np.float32, np.float64]),
    offset=st.sampled_from([0.0, 5.0, 1e4]),
    width=st.sampled_from([0.1, 1.0, 3.0, 30.0]),
    seed=st.integers(0, 2**31),
)
def test_any_data(n, m, d, dtype, offset, width, seed):
    rng = np.random.default_rng(seed)
    X = (rng.normal(size=(n, d)) + offset).astype(dtype)
    Y = None if m is None else (rng.normal(size=(m, d)) + offset).astype(dtype)
    gamma = width / d
    right = exact(gamma, X, Y)
    seen = right > np.finfo(dtype).tiny
    K = fastkb.rbf_kernel(X, Y, gamma=gamma)
    assert worst(K[seen], right[seen]) <= 4 * d


# --- reductions ---------------------------------------------------------------------------------


def reduced(kernel, X, Y, coefficients, **parameters):
    found = products.product(kernel, X, Y, coefficients, parameters)
    assert found is not None
    return found


def rows_of(n, d, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


@pytest.mark.parametrize("d", [5, 20, 64, 200])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_values_of_a_reduction_are_as_loose_as_said(d, offset, taken):
    X, Y = rows_of(70, d) + offset, rows_of(900, d, seed=1) + offset
    found = reduced("rbf", X, Y, np.eye(900), gamma=1 / d)
    assert taken == [True]
    right = exact(1 / d, X, Y)
    eps = np.finfo(float).eps
    shift = 8 * d * eps * offset / d  # centred rows are rounded
    assert (np.abs(found - right) <= (64 * 2 * d + 4 * d + 8) * eps * right + shift).all()


def test_few_numbers_and_float32_of_wide_rows_are_added_as_before(taken):
    for X, Y in ((rows_of(9, 5), rows_of(99, 5)), (rows_of(9, 40), 9.0 * rows_of(900, 40))):
        Z = Y.astype(np.float32)
        c = np.ones((len(Y), 1), np.float32)
        reduced("rbf", X.astype(np.float32), Z, c, gamma=1.0)
        assert taken.pop() is False


SCALED = kernels.RBF(4.0).scaled([2.0] * 30)


@pytest.mark.parametrize("kernel", ["rbf", kernels.Matern(2.5, 4.0), SCALED])
def test_a_result_does_not_depend_on_other_rows(kernel, taken):
    """Not on their number, their order or their norms; those far away are added up by differences."""
    X, Y = rows_of(300, 30), rows_of(800, 30, seed=1)
    X[[3, 77, 250]] *= [[1e2], [1e4], [1e9]]
    X[5, 2] = 1e200
    coefficients = rows_of(800, 2, seed=2)
    whole = reduced(kernel, X, Y, coefficients, gamma=1 / 30)
    np.testing.assert_array_equal(
        np.concatenate([reduced(kernel, one[None], Y, coefficients, gamma=1 / 30) for one in X]),
        whole,
    )
    order = np.random.default_rng(3).permutation(300)
    np.testing.assert_array_equal(
        reduced(kernel, X[order], Y, coefficients, gamma=1 / 30), whole[order]
    )
    assert (True in taken) == (kernel != SCALED)


def test_both_ways_agree(monkeypatch):
    X, Y = rows_of(40, 20), rows_of(500, 20, seed=1)
    X[3], X[4, 1] = 1e5, 1e200
    coefficients = rows_of(500, 3, seed=2)
    found = reduced("rbf", X, Y, coefficients, gamma=0.05)
    monkeypatch.setattr(drive, "REDUCED_PRODUCTS_OF", 10**9)
    right = reduced("rbf", X, Y, coefficients, gamma=0.05)
    assert (found != right).any()
    np.testing.assert_array_equal(found[[3, 4]], right[[3, 4]])
    np.testing.assert_allclose(found, right, rtol=0, atol=1e-11)


def test_training_rows_that_are_far_away_take_differences(taken):
    X, Y = rows_of(40, 20), rows_of(500, 20, seed=1)
    Y[7] = 1e4
    reduced("rbf", X, Y, np.ones((500, 1)), gamma=0.05)
    assert taken == [False]


def test_bits_of_a_reduction_depend_on_no_thread(taken):
    X, Y, coefficients = rows_of(500, 40), rows_of(700, 40, seed=1), rows_of(700, 1, seed=2)
    found = []
    for threads in (1, 2):
        with use_threads(threads):
            found.append(reduced("rbf", X, Y, coefficients, gamma=0.01).tobytes())
    assert found[0] == found[1]
    assert all(taken)


def test_a_kernel_that_is_one_everywhere(taken):
    X, Y = rows_of(40, 20), rows_of(500, 20, seed=1)
    coefficients = rows_of(500, 1, seed=2)
    found = reduced("rbf", X, Y, coefficients, gamma=0.0)
    assert taken == [True]
    np.testing.assert_allclose(found, np.full((40, 1), coefficients.sum()), rtol=1e-12)
