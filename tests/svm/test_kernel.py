"""Values of the kernel, from rows and from a matrix: against the definitions, and against each other."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from fastkb import kernels
from fastkb.reference import gram
from fastkb.scalar.kernels import KERNELS
from fastkb.svm import kernel as module
from fastkb.svm.kernel import KernelFunction, OfMatrix, OfRows, called

N, D = 23, 4
GAMMA, DEGREE, COEF0 = 0.3, 2.0, 0.5
FLOATS = (np.float32, np.float64)
each_dtype = pytest.mark.parametrize("dtype", FLOATS)


def chi2(X, Y):
    """exp(-γ Σ (x - x')² / (x + x'))"""
    return np.exp(GAMMA * additive_chi2(X, Y))


def additive_chi2(X, Y):
    """-Σ (x - x')² / (x + x')"""
    return -np.sum(gram.differences(X, Y) ** 2 / (X[:, None, :] + Y[None, :, :]), axis=2)


def polynomial(X, Y):
    return gram.polynomial(X, Y, DEGREE, GAMMA, COEF0)


# Every name that scikit-learn knows -> the definition.
NAMED = {
    "linear": gram.linear,
    "poly": polynomial,
    "polynomial": polynomial,
    "rbf": lambda X, Y: gram.rbf(X, Y, GAMMA),
    "laplacian": lambda X, Y: gram.laplacian(X, Y, GAMMA),
    "sigmoid": lambda X, Y: gram.sigmoid(X, Y, GAMMA, COEF0),
    "cosine": gram.cosine,
    "chi2": chi2,
    "additive_chi2": additive_chi2,
}
OBJECTS = {
    "rbf object": (kernels.RBF(sigma=0.7), lambda X, Y: gram.rbf(X, Y, 1 / (2 * 0.7**2))),
    "matern": (kernels.Matern(2.5, 0.8), lambda X, Y: gram.matern(X, Y, 2.5, 0.8)),
    "periodic": (kernels.Periodic(3.0, 2.0), lambda X, Y: gram.periodic(X, Y, 3.0, 2.0)),
    "sum": (
        kernels.RBF(sigma=0.7) + 0.5 * kernels.Linear(),
        lambda X, Y: gram.rbf(X, Y, 1 / (2 * 0.7**2)) + 0.5 * gram.linear(X, Y),
    ),
    "product": (
        kernels.RBF(sigma=0.7) * kernels.Matern(1.5),
        lambda X, Y: gram.rbf(X, Y, 1 / (2 * 0.7**2)) * gram.matern(X, Y, 1.5),
    ),
}
ALL = [*NAMED, *OBJECTS]
# Computed by scikit-learn, in float64 alone.
ELSEWHERE = ("chi2", "additive_chi2")
each_kernel = pytest.mark.parametrize("name", ALL)


def function_of(name):
    kernel = OBJECTS[name][0] if name in OBJECTS else name
    return KernelFunction(kernel, GAMMA, DEGREE, COEF0)


def definition(name, X, Y=None):
    formula = OBJECTS[name][1] if name in OBJECTS else NAMED[name]
    return formula(X, X if Y is None else Y)


def draw(n=N, d=D, seed=0):
    """Rows of positive numbers, as chi2 asks."""
    return np.random.default_rng(seed).uniform(0.1, 2.0, (n, d))


def bound(expected, dtype, d=D):
    """A sum of d terms, and a function of it that changes by no more than its argument, or so."""
    return 16 * (d + 2) * np.finfo(dtype).eps * max(1.0, np.abs(expected).max())


def assert_close(found, expected, dtype=np.float64):
    np.testing.assert_allclose(found, expected, rtol=0, atol=bound(expected, dtype))


def test_all_names_of_the_table_are_tested():
    assert {name for row in KERNELS for name in row.names} <= set(NAMED)


# --- of rows ------------------------------------------------------------------------------------


@each_dtype
@each_kernel
def test_blocks(name, dtype):
    X = draw()
    source, K = OfRows(function_of(name), X), definition(name, X)
    rows, columns = np.array([7, 0, 22]), np.array([3, 3, 9, 0, 15])
    out = np.full((3, N), np.nan, dtype)
    source.block(rows, None, out)
    assert_close(out, K[rows], dtype)
    out = np.full((3, 5), np.nan, dtype)
    source.block(rows, columns, out)
    assert_close(out, K[np.ix_(rows, columns)], dtype)


@each_dtype
@each_kernel
def test_squares_and_the_whole_matrix(name, dtype):
    X = draw()
    source, K = OfRows(function_of(name), X), definition(name, X)
    rows = np.array([7, 0, 22, 8])
    out = np.full((4, 4), np.nan, dtype)
    source.square(rows, out)
    assert_close(out, K[np.ix_(rows, rows)], dtype)
    np.testing.assert_array_equal(out, out.T)
    matrix = source.matrix(dtype)
    assert matrix.dtype == dtype
    assert_close(matrix, K, dtype)
    assert source.n == N
    assert source.whole() is None


@pytest.mark.parametrize("together", [1, 3 * N, 2**23])
@each_kernel
def test_products_and_the_diagonal(name, together, monkeypatch):
    monkeypatch.setattr(module, "_TOGETHER", together)
    X = draw()
    source, K = OfRows(function_of(name), X), definition(name, X)
    diagonal = source.diagonal()
    assert diagonal.dtype == np.float64
    assert_close(diagonal, np.diag(K))
    rows, columns = np.array([7, 0, 22, 8, 1]), np.array([3, 9, 0, 15])
    coefficients = np.random.default_rng(1).normal(size=4)
    size = np.abs(coefficients).sum()
    for chosen in (rows, None):
        found = source.product(chosen, columns, coefficients)
        assert found.dtype == np.float64
        expected = (K if chosen is None else K[chosen])[:, columns] @ coefficients
        np.testing.assert_allclose(found, expected, rtol=0, atol=size * bound(K, np.float64))


@each_kernel
def test_a_part_is_the_same_of_some_rows(name):
    X, rows = draw(), np.array([4, 9, 2, 20, 11])
    part = OfRows(function_of(name), X).part(rows)
    assert part.n == 5
    K = definition(name, X[rows])
    assert_close(part.matrix(np.float64), K)
    assert_close(part.diagonal(), np.diag(K))
    out = np.empty((2, 3), np.float64)
    part.block(np.array([0, 4]), np.array([1, 2, 3]), out)
    assert_close(out, K[np.ix_([0, 4], [1, 2, 3])])
    found = part.product(np.array([3]), np.arange(5), np.arange(5.0))
    np.testing.assert_allclose(
        found, K[[3]] @ np.arange(5.0), rtol=0, atol=10 * bound(K, np.float64)
    )


@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize("name", [name for name in ALL if name not in ELSEWHERE])
def test_sparse_rows(name, small, monkeypatch):
    """As they are, or as an array where that is small."""
    if not small:
        monkeypatch.setattr(module, "_DENSE", 0)
    X = draw()
    X[X < 1.0] = 0.0
    X[5] = 0.0
    source, K = OfRows(function_of(name), sparse.csr_matrix(X)), definition(name, X)
    assert source.has_single == small
    rows, columns = np.array([7, 5, 22]), np.array([3, 9, 5, 15])
    out = np.full((3, N), np.nan)
    source.block(rows, None, out)
    assert_close(out, K[rows])
    out = np.full((3, 4), np.nan)
    source.block(rows, columns, out)
    assert_close(out, K[np.ix_(rows, columns)])
    out = np.full((3, 3), np.nan)
    source.square(rows, out)
    assert_close(out, K[np.ix_(rows, rows)])
    assert_close(source.matrix(np.float64), K)
    assert_close(source.diagonal(), np.diag(K))
    for chosen in (rows, None):
        found = source.product(chosen, columns, np.arange(1.0, 5.0))
        expected = (K if chosen is None else K[chosen])[:, columns] @ np.arange(1.0, 5.0)
        np.testing.assert_allclose(found, expected, rtol=0, atol=10 * bound(K, np.float64))
    assert_close(source.part(rows).matrix(np.float64), K[np.ix_(rows, rows)])


@pytest.mark.parametrize("degree", [1.0, 3.0, 4.0, 2.5])
def test_degrees_of_polynomials(degree):
    X = draw()
    function = KernelFunction("poly", 0.7, degree, 1.5)
    K = gram.polynomial(X, None, degree, 0.7, 1.5)
    assert_close(function.matrix(X), K)
    assert_close(function.diagonal(X), np.diag(K))
    found = function.product(X, X, np.ones((N, 1)))
    np.testing.assert_allclose(found[:, 0], K.sum(axis=1), rtol=1e-13)


@given(
    n=st.integers(1, 40),
    d=st.sampled_from([1, 3, 130]),
    name=st.sampled_from(ALL),
    dtype=st.sampled_from(FLOATS),
    data=st.data(),
    seed=st.integers(0, 2**31),
)
def test_any_rows_and_columns(n, d, name, dtype, data, seed):
    X = draw(n, d, seed)
    source = OfRows(function_of(name), X)
    places = st.lists(st.integers(0, n - 1), min_size=1, max_size=2 * n)
    rows, columns = np.array(data.draw(places)), np.array(data.draw(places))
    K = definition(name, X)
    out = np.full((len(rows), len(columns)), np.nan, dtype)
    source.block(rows, columns, out)
    atol = bound(K, dtype, d) * (d if name in OBJECTS or d > 100 else 1)
    np.testing.assert_allclose(out, K[np.ix_(rows, columns)], rtol=0, atol=atol)


@each_dtype
def test_values_of_rows_and_of_squares_are_the_same(dtype):
    X = draw(150, 3)
    source = OfRows(function_of("rbf"), X)
    matrix = source.matrix(dtype)
    rows = np.random.default_rng(0).permutation(150)[:70]
    out = np.empty((70, 150), dtype)
    source.block(rows, None, out)
    np.testing.assert_array_equal(out, matrix[rows])
    square = np.empty((70, 70), dtype)
    source.square(rows, square)
    np.testing.assert_array_equal(square, matrix[np.ix_(rows, rows)])


# --- float32 ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["rbf", "laplacian"])
def test_what_all_rows_share_costs_no_digits(name):
    X = draw()
    plain = definition(name, X)
    moved = OfRows(function_of(name), X + 1e6)
    # The offset takes its digits from X itself, in float64.
    assert np.abs(moved.matrix(np.float64) - plain).max() <= 1e-8
    assert_close(moved.matrix(np.float32), plain, np.float32)
    assert function_of(name).of_differences


def test_kernels_of_inner_products_are_not_moved():
    X = draw() + 100.0
    for name in ("linear", "poly", "sigmoid", "cosine"):
        assert not function_of(name).of_differences
        assert_close(
            OfRows(function_of(name), X).matrix(np.float32), definition(name, X), np.float32
        )
    assert not function_of("chi2").of_differences


@pytest.mark.parametrize("name", ["rbf", "linear"])
def test_rows_beyond_float32_stay_finite_in_it(name):
    X = draw()
    X[3] *= 1e200
    source = OfRows(function_of(name), X)
    out = np.empty((2, N), np.float32)
    source.block(np.array([0, 3]), None, out)
    assert not np.isnan(out).any()
    if name == "rbf":
        np.testing.assert_array_equal(out[:, 3], [0.0, 1.0])


def test_the_rows_that_were_given_stay_as_they_are():
    X = draw() + 1e3
    kept = X.copy()
    source = OfRows(function_of("rbf"), X)
    source.matrix(np.float32)
    np.testing.assert_array_equal(X, kept)


# --- what a source says of itself ---------------------------------------------------------------


@each_kernel
def test_which_kernels_have_float32(name):
    X = draw()
    assert function_of(name).keeps_precision == (name not in ELSEWHERE)
    assert OfRows(function_of(name), X).has_single == (name not in ELSEWHERE)


def test_few_columns_are_quick(monkeypatch):
    rbf = function_of("rbf")
    limit = module._FEW_COLUMNS
    assert OfRows(rbf, draw(5, limit)).is_quick
    assert not OfRows(rbf, draw(5, limit + 1)).is_quick
    monkeypatch.setattr(module, "_DENSE", 0)
    assert not OfRows(rbf, sparse.csr_matrix(draw())).is_quick
    assert not OfRows(function_of("chi2"), draw()).is_quick


# --- of a matrix --------------------------------------------------------------------------------


def matrix_of(order="C"):
    K = np.random.default_rng(3).normal(size=(N, N))
    return np.array(K + K.T, order=order)


@pytest.mark.parametrize("order", ["C", "F"])
@each_dtype
def test_parts_of_a_matrix(order, dtype):
    K = matrix_of(order)
    source = OfMatrix(K)
    rows, columns = np.array([7, 0, 22]), np.array([3, 3, 9, 0, 15])
    out = np.full((3, N), np.nan, dtype)
    source.block(rows, None, out)
    np.testing.assert_array_equal(out, K[rows].astype(dtype))
    out = np.full((3, 5), np.nan, dtype)
    source.block(rows, columns, out)
    np.testing.assert_array_equal(out, K[np.ix_(rows, columns)].astype(dtype))
    out = np.full((3, 3), np.nan, dtype)
    source.square(rows, out)
    np.testing.assert_array_equal(out, K[np.ix_(rows, rows)].astype(dtype))
    matrix = source.matrix(dtype)
    np.testing.assert_array_equal(matrix, K.astype(dtype))
    assert matrix.flags.c_contiguous
    np.testing.assert_array_equal(source.diagonal(), np.diag(K))
    assert source.diagonal().flags.c_contiguous
    assert (source.n, source.has_single, source.is_quick) == (N, False, False)


@pytest.mark.parametrize("together", [1, 10, 2**23])
def test_products_of_a_matrix(together, monkeypatch):
    monkeypatch.setattr(module, "_TOGETHER", together)
    K, columns = matrix_of(), np.array([3, 9, 0, 15])
    coefficients = np.random.default_rng(1).normal(size=(4, 2))
    rows = np.array([7, 0, 22, 8, 1])
    for chosen in (rows, None):
        part = (K if chosen is None else K[chosen])[:, columns]
        atol = 8 * np.finfo(float).eps * (np.abs(part) @ np.abs(coefficients)).max()
        found = OfMatrix(K).product(chosen, columns, coefficients[:, 0])
        np.testing.assert_allclose(found, part @ coefficients[:, 0], rtol=0, atol=atol)
    # Of points that are no rows of it, and for several functions.
    new = np.random.default_rng(2).normal(size=(6, N))
    found = OfMatrix.times(new, columns, coefficients)
    np.testing.assert_allclose(found, new[:, columns] @ coefficients, rtol=0, atol=1e-13)


def test_a_matrix_that_is_there_is_not_copied():
    K = matrix_of()
    assert OfMatrix(K).whole() is K
    assert OfMatrix(np.asfortranarray(K)).whole() is None


def test_a_part_of_a_matrix():
    K, rows = matrix_of(), np.array([4, 9, 2])
    part = OfMatrix(K).part(rows)
    assert part.n == 3
    np.testing.assert_array_equal(part.matrix(np.float64), K[np.ix_(rows, rows)])
    assert part.whole() is not None


# --- functions of the user's --------------------------------------------------------------------


def test_what_a_function_returns_becomes_a_matrix():
    X, Y = draw(5), draw(3, seed=1)
    seen = []

    def function(x, y):
        seen.append((x, y))
        return np.asfortranarray((x @ y.T).astype(np.float32))

    K = called(function, X, Y)
    assert seen[0][0] is X
    assert seen[0][1] is Y
    assert K.dtype == np.float64
    assert K.flags.c_contiguous
    np.testing.assert_array_equal(K, (X @ Y.T).astype(np.float32))
    np.testing.assert_array_equal(called(lambda x, y: [[1, 2], [3, 4]], X, Y), [[1, 2], [3, 4]])


def test_a_sparse_result_becomes_dense():
    K = called(lambda x, y: sparse.csr_matrix(np.eye(3)), None, None)
    assert isinstance(K, np.ndarray)
    np.testing.assert_array_equal(K, np.eye(3))


@pytest.mark.parametrize(
    ("returned", "shape"),
    [(1.0, r"\(\)"), ([1.0, 2.0], r"\(2,\)"), (np.ones((1, 2, 3)), r"\(1, 2, 3\)")],
)
def test_a_result_that_is_no_matrix_is_refused(returned, shape):
    with pytest.raises(ValueError, match=f"two dimensions.*{shape}"):
        called(lambda x, y: returned, None, None)


def test_a_complex_result_is_refused():
    with pytest.raises(TypeError, match="the matrix that kernel returns must be real numbers"):
        called(lambda x, y: np.eye(2) * 1j, None, None)
