"""The drop-in functions: accuracy, symmetry, dtypes, inputs, and agreement with scikit-learn."""

import numba
import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import pairwise as peer

import fastkb
from fastkb import kernels
from fastkb.reference import gram as reference
from fastkb.tile.blocking import PRODUCTS_FROM

FUNCTIONS = {
    "linear": fastkb.linear_kernel,
    "polynomial": fastkb.polynomial_kernel,
    "rbf": fastkb.rbf_kernel,
    "sigmoid": fastkb.sigmoid_kernel,
    "laplacian": fastkb.laplacian_kernel,
}
ORACLES = {name: getattr(reference, name) for name in FUNCTIONS}
PEERS = {name: getattr(peer, f"{name}_kernel") for name in FUNCTIONS}
names = pytest.mark.parametrize("name", FUNCTIONS)
floats = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def _wide(name, X, Y=None, **parameters):
    """The oracle in extended precision."""
    Y = None if Y is None else Y.astype(np.longdouble)
    return ORACLES[name](X.astype(np.longdouble), Y, **parameters)


@names
@floats
@pytest.mark.parametrize("d", [1, 2, 10, 50, 200, 784])
def test_relative_error_on_ordinary_data(name, dtype, d):
    X = np.random.default_rng(d).standard_normal((150, d)).astype(dtype)
    got, exact = FUNCTIONS[name](X), _wide(name, X)
    eps = np.finfo(dtype).eps
    if name in ("rbf", "laplacian"):
        # exp multiplies the relative error of its argument by the argument: for d = 1 and points
        # five standard deviations apart that is 25, for larger d it is about 2.
        condition = np.maximum(1, -np.log(exact))
        assert (np.abs(got - exact) / exact <= 4 * d * eps * condition).all()
        if d >= 10:
            assert np.max(np.abs(got - exact) / exact) <= 4 * d * eps
        X = np.random.default_rng(d).uniform(0, 1, (150, d)).astype(dtype)
        got, exact = FUNCTIONS[name](X), _wide(name, X)
        assert np.max(np.abs(got - exact) / exact) <= 4 * d * eps
    else:
        # Inner products cancel, whatever computes them: relative to the sum of sizes.
        size = np.abs(X).astype(float) @ np.abs(X).astype(float).T
        slope = {"linear": 1.0, "sigmoid": 1.0 / d, "polynomial": 3 / d * (size / d + 1) ** 2}[name]
        assert (np.abs(got - exact) <= 4 * d * eps * (size * slope + np.abs(exact))).all()


@pytest.mark.parametrize("name", ["rbf", "laplacian"])
@floats
@pytest.mark.parametrize("d", [1, 10, 200])
def test_an_offset_costs_no_digits(name, dtype, d):
    """Data far from the origin: as good as the same data, rounded to the same grid, at the origin."""
    X = np.random.default_rng(0).uniform(-1, 1, (100, d)).astype(dtype)
    offset = dtype(1e8 if dtype is np.float64 else 1e3)
    shifted = X + offset
    rounded = shifted - offset  # exact
    K, at_origin = FUNCTIONS[name](shifted), FUNCTIONS[name](rounded)
    if name == "rbf" and d >= PRODUCTS_FROM:  # of rows that are centred, each in its own way
        np.testing.assert_allclose(K, at_origin, rtol=4 * d * np.finfo(dtype).eps)
    else:
        np.testing.assert_array_equal(K, at_origin)
    exact = _wide(name, rounded)
    assert np.max(np.abs(FUNCTIONS[name](shifted) - exact) / exact) <= 4 * d * np.finfo(dtype).eps


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(sorted(FUNCTIONS)),
    n=st.integers(1, 130),
    m=st.none() | st.integers(1, 130),
    d=st.integers(1, 30),
    dtype=st.sampled_from([np.float32, np.float64]),
    gamma=st.none() | st.floats(0.01, 2.0),
    scale=st.sampled_from([1e-3, 1.0, 3.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_agrees_with_the_oracle_and_is_symmetric(name, n, m, d, dtype, gamma, scale, seed):
    rng = np.random.default_rng(seed)
    X = (scale * rng.standard_normal((n, d))).astype(dtype)
    Y = None if m is None else (scale * rng.standard_normal((m, d))).astype(dtype)
    parameters = {} if name == "linear" else {"gamma": gamma}
    got, exact = FUNCTIONS[name](X, Y, **parameters), _wide(name, X, Y, **parameters)
    assert got.shape == (n, n if m is None else m)
    assert got.dtype == dtype
    # The argument g of the scalar function has a relative error of about (d + 3)·eps of the sum of
    # the sizes of its terms, and the functions' slopes are at most max(1, 3·(|g| + 1)²).
    size = np.abs(X).astype(float) @ np.abs(X if Y is None else Y).astype(float).T
    spread = np.abs(X).max() + np.abs(X if Y is None else Y).max()
    gamma = gamma or 1 / d
    argument = {"linear": size, "laplacian": gamma * d * spread, "rbf": gamma * d * spread**2}
    argument = argument.get(name, gamma * size + 1)
    slope = 3 * (argument + 1) ** 2 if name == "polynomial" else 1.0
    bound = (d + 8) * np.finfo(dtype).eps * (slope * argument + np.abs(exact).astype(float) + 1)
    assert (np.abs(got - exact) <= bound).all()
    if Y is None:
        np.testing.assert_array_equal(got, got.T)
        if name in ("rbf", "laplacian"):
            np.testing.assert_array_equal(np.diag(got), 1.0)


@names
@floats
def test_agrees_with_scikit_learn(name, dtype):
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((60, 7)).astype(dtype), rng.standard_normal((40, 7)).astype(dtype)
    for other in (None, Y):
        got, expected = FUNCTIONS[name](X, other), PEERS[name](X, other)
        # scikit-learn's Laplacian alone turns float32 into float64; here float32 stays throughout.
        assert got.dtype == (dtype if name == "laplacian" else expected.dtype)
        np.testing.assert_allclose(got, expected, rtol=2000 * np.finfo(dtype).eps, atol=1e-6)


@pytest.mark.parametrize("degree", [1, 1.5, 2, 3, 4, 7, 63, 64])
def test_polynomial_degrees(degree):
    X = np.random.default_rng(1).uniform(0.1, 1.0, (30, 3))
    got = fastkb.polynomial_kernel(X, degree=degree, gamma=0.3, coef0=0.2)
    exact = _wide("polynomial", X, degree=np.longdouble(degree), gamma=0.3, coef0=0.2)
    assert np.max(np.abs(got - exact) / exact) <= 8 * degree * np.finfo(float).eps


def test_a_fractional_power_of_a_negative_number_is_nan_as_in_scikit_learn():
    X = np.array([[1.0], [-2.0]])
    with np.errstate(invalid="ignore"):
        expected = peer.polynomial_kernel(X, degree=1.5, coef0=0)
    np.testing.assert_allclose(fastkb.polynomial_kernel(X, degree=1.5, coef0=0), expected)


class TestTextbook:
    """The kernel objects against the formulas of the textbook."""

    X = np.random.default_rng(5).standard_normal((20, 3))

    def test_rbf_sigma(self):
        got = fastkb.gram(kernels.RBF(sigma=1.7), self.X)
        np.testing.assert_array_equal(got, fastkb.rbf_kernel(self.X, gamma=1 / (2 * 1.7**2)))

    def test_polynomials_up_to_and_exactly(self):
        inner = self.X @ self.X.T
        up_to = fastkb.gram(kernels.Polynomial(3), self.X)
        np.testing.assert_allclose(up_to, (1 + inner) ** 3, rtol=1e-12, atol=1e-12)
        exactly = fastkb.gram(kernels.Polynomial(2, coef0=0.0), self.X)
        np.testing.assert_allclose(exactly, inner**2, rtol=1e-12, atol=1e-12)

    def test_sigmoid_linear_laplacian(self):
        inner = self.X @ self.X.T
        got = fastkb.gram(kernels.Sigmoid(0.5, 0.1), self.X)
        np.testing.assert_allclose(got, np.tanh(0.5 * inner + 0.1), rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(fastkb.gram(kernels.Linear(), self.X), inner, atol=1e-13)
        got = kernels.Laplacian(0.7)(self.X, self.X[:4])
        np.testing.assert_allclose(got, reference.laplacian(self.X, self.X[:4], 0.7), rtol=1e-13)

    def test_gram_refuses_other_things(self):
        with pytest.raises(TypeError, match=r"kernel must be an object of fastkb\.kernels.*'rbf'"):
            fastkb.gram("rbf", self.X)


class TestInputs:
    X = np.arange(12.0).reshape(4, 3) / 7

    @names
    @pytest.mark.parametrize(
        "dtype", [np.int8, np.int64, np.uint16, bool, np.float16, ">f8", ">f4"]
    )
    def test_other_real_types(self, name, dtype):
        X = (self.X * 3).astype(dtype)
        got = FUNCTIONS[name](X)
        native = np.dtype(dtype).newbyteorder("=")
        kept = np.float32 if native == np.float32 else np.float64
        assert got.dtype == kept
        np.testing.assert_array_equal(got, FUNCTIONS[name](X.astype(kept)))

    def test_mixed_types_become_float64(self):
        assert fastkb.rbf_kernel(self.X, self.X.astype(np.float32)).dtype == np.float64
        assert fastkb.rbf_kernel(self.X.astype(np.float32), self.X.astype(int)).dtype == np.float64

    @names
    @pytest.mark.parametrize("form", [scipy.sparse.csr_array, scipy.sparse.coo_matrix])
    def test_sparse_gives_dense(self, name, form):
        got = FUNCTIONS[name](form(self.X), self.X)
        assert type(got) is np.ndarray
        np.testing.assert_array_equal(got, FUNCTIONS[name](self.X, self.X.copy()))

    def test_lists_and_frames(self):
        pandas = pytest.importorskip("pandas")
        expected = fastkb.rbf_kernel(self.X)
        np.testing.assert_array_equal(fastkb.rbf_kernel(self.X.tolist()), expected)
        np.testing.assert_array_equal(fastkb.rbf_kernel(pandas.DataFrame(self.X)), expected)

    def test_y_that_is_x_is_the_symmetric_case(self):
        np.testing.assert_array_equal(fastkb.rbf_kernel(self.X, self.X), fastkb.rbf_kernel(self.X))

    @names
    @pytest.mark.parametrize(
        ("bad", "message"),
        [
            (np.array([[1.0, np.nan, 0.0]]), "X contains NaN"),
            (np.array([[1.0, np.inf, 0.0]]), "X contains infinity"),
            (np.array([1.0, 2.0, 3.0]), "Expected 2D array, got 1D array"),
            (np.zeros((2, 2, 2)), "dim 3"),
            (np.array([[1j, 0, 0]]), "Complex data not supported"),
            (np.zeros((0, 3)), "0 sample"),
            (np.zeros((3, 0)), "0 feature"),
            (np.array([["a", "b", "c"]]), "could not convert string"),
        ],
    )
    def test_bad_matrices_are_refused(self, name, bad, message):
        with pytest.raises(ValueError, match=message):
            FUNCTIONS[name](bad)

    def test_bad_y_is_named(self):
        with pytest.raises(ValueError, match="Y contains NaN"):
            fastkb.rbf_kernel(self.X, np.full((2, 3), np.nan))
        with pytest.raises(ValueError, match=r"X\.shape\[1\] == 3 while Y\.shape\[1\] == 2"):
            fastkb.rbf_kernel(self.X, self.X[:, :2])

    def test_large_finite_values_are_not_taken_for_infinity(self):
        X = np.full((3, 2), np.finfo(float).max)
        np.testing.assert_array_equal(fastkb.rbf_kernel(X), 1.0)

    @pytest.mark.parametrize("name", ["polynomial", "rbf", "sigmoid", "laplacian"])
    @pytest.mark.parametrize("gamma", ["0.1", -1.0, np.nan, np.inf, True, [1.0], 1j])
    def test_bad_gamma_is_refused(self, name, gamma):
        with pytest.raises(ValueError, match="gamma must be"):
            FUNCTIONS[name](self.X, gamma=gamma)

    def test_gamma_zero(self):
        np.testing.assert_array_equal(fastkb.rbf_kernel(self.X, gamma=0), 1.0)
        with pytest.raises(ValueError, match="gamma must be a finite real number above 0, got 0"):
            fastkb.laplacian_kernel(self.X, gamma=0)

    @pytest.mark.parametrize("degree", [0.5, 0, -1, "3", np.nan])
    def test_bad_degree_is_refused(self, degree):
        with pytest.raises(ValueError, match="degree must be"):
            fastkb.polynomial_kernel(self.X, degree=degree)

    @pytest.mark.parametrize("name", ["polynomial", "rbf", "sigmoid", "laplacian"])
    def test_gamma_arrays(self, name):
        Y = self.X[:2] + 0.5
        one = FUNCTIONS[name](self.X, Y, gamma=np.array([0.3]))
        np.testing.assert_array_equal(one, FUNCTIONS[name](self.X, Y, gamma=0.3))
        both = FUNCTIONS[name](self.X, Y, gamma=np.array([0.3, 0.9]))
        for j, gamma in enumerate((0.3, 0.9)):
            column = FUNCTIONS[name](self.X, Y[j : j + 1], gamma=gamma)[:, 0]
            np.testing.assert_allclose(both[:, j], column, rtol=1e-14)

    @pytest.mark.parametrize("name", ["polynomial", "rbf", "sigmoid", "laplacian"])
    @pytest.mark.parametrize(
        "gamma",
        [np.array(-1.0), np.array([np.nan]), np.array([1j]), np.array([0.1, np.inf]), np.ones(3)],
    )
    def test_bad_gamma_arrays_are_refused(self, name, gamma):
        out = np.full((4, 4), -1.0)
        with pytest.raises(ValueError, match="gamma must"):
            FUNCTIONS[name](self.X, gamma=gamma, out=out)
        np.testing.assert_array_equal(out, -1.0)

    def test_gamma_may_not_be_overwritten_by_out(self):
        gamma = np.ones((4, 4))
        with pytest.raises(ValueError, match="out must not share memory"):
            fastkb.rbf_kernel(self.X, gamma=gamma, out=gamma)

    @pytest.mark.parametrize("gamma", [10**400, 1e39])
    def test_gamma_beyond_the_type(self, gamma):
        X = self.X.astype(np.float32)
        if gamma > 1e300:
            with pytest.raises(ValueError, match="gamma must be a finite"):
                fastkb.rbf_kernel(X, gamma=gamma)
        else:
            np.testing.assert_array_equal(fastkb.rbf_kernel(X, gamma=gamma), np.eye(4))

    def test_float32_stays_in_lists_and_frames(self):
        pandas = pytest.importorskip("pandas")
        X = self.X.astype(np.float32)
        assert fastkb.rbf_kernel(pandas.DataFrame(X)).dtype == np.float32
        assert fastkb.rbf_kernel(list(X)).dtype == np.float32

    @pytest.mark.parametrize("dtype", [object, "M8[D]", "m8[s]"])
    def test_other_types_are_refused(self, dtype):
        X = np.ones((2, 2), dtype=int).astype(dtype)
        with pytest.raises(ValueError, match="X must be numbers"):
            fastkb.rbf_kernel(X)

    def test_masked_values_are_refused(self):
        X = np.ma.array([[1.0, 2.0]], mask=[[False, True]])
        with pytest.raises(ValueError, match="X must have no masked values"):
            fastkb.linear_kernel(X)
        assert fastkb.linear_kernel(np.ma.array([[1.0, 2.0]]))[0, 0] == 5.0


class TestOut:
    X = np.random.default_rng(2).standard_normal((50, 3))

    @names
    def test_is_filled_and_returned(self, name):
        out = np.empty((50, 50))
        assert FUNCTIONS[name](self.X, out=out) is out
        np.testing.assert_array_equal(out, FUNCTIONS[name](self.X))

    @pytest.mark.parametrize(
        ("out", "error", "message"),
        [
            (np.empty((50, 49)), ValueError, r"out must have shape \(50, 50\).*got \(50, 49\)"),
            (np.empty((50, 50), np.float32), ValueError, "out must have dtype float64.*float32"),
            (np.empty((50, 50), ">f8"), ValueError, "out must have dtype float64.*>f8"),
            ([[0.0]], TypeError, "out must be a NumPy array; got list"),
            (np.broadcast_to(0.0, (50, 50)), ValueError, "out must be writeable"),
        ],
    )
    def test_bad_out_is_refused(self, out, error, message):
        with pytest.raises(error, match=message):
            fastkb.rbf_kernel(self.X, out=out)

    def test_interleaved_views_do_not_overlap(self):
        both = np.random.default_rng(0).standard_normal((5, 8))
        X = both[:, :3].copy()
        got = fastkb.rbf_kernel(both[:, :3], out=both[:, 3:])
        np.testing.assert_array_equal(got, fastkb.rbf_kernel(X))

    @pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
    @pytest.mark.parametrize("kind", [np.matrix, np.ma.array])
    def test_subclasses_with_a_mind_of_their_own_are_refused(self, kind):
        with pytest.raises(TypeError, match="out must be a NumPy array"):
            fastkb.rbf_kernel(self.X, out=kind(np.empty((50, 50))))

    def test_overlap_is_refused(self):
        X = np.random.default_rng(0).standard_normal((3, 3))
        with pytest.raises(ValueError, match="out must not share memory"):
            fastkb.rbf_kernel(X, out=X)


class TestPairwiseKernels:
    X = np.random.default_rng(3).standard_normal((20, 4))
    Y = np.random.default_rng(4).standard_normal((10, 4))

    @pytest.mark.parametrize("metric", [*FUNCTIONS, "poly"])
    def test_names(self, metric):
        function = FUNCTIONS["polynomial" if metric == "poly" else metric]
        got = fastkb.pairwise_kernels(self.X, self.Y, metric=metric)
        np.testing.assert_array_equal(got, function(self.X, self.Y))

    def test_cosine_is_the_engines(self):
        got = fastkb.pairwise_kernels(self.X, self.Y, metric="cosine")
        np.testing.assert_array_equal(got, fastkb.gram(kernels.Cosine(), self.X, self.Y))
        np.testing.assert_allclose(got, peer.cosine_similarity(self.X, self.Y), atol=1e-15)

    @pytest.mark.parametrize("metric", ["chi2", "additive_chi2"])
    def test_scikit_learns_other_names(self, metric):
        X = np.abs(self.X)
        np.testing.assert_array_equal(
            fastkb.pairwise_kernels(X, metric=metric), peer.pairwise_kernels(X, metric=metric)
        )

    def test_precomputed_is_the_same_object(self):
        K = np.eye(4)
        assert fastkb.pairwise_kernels(K, metric="precomputed") is K

    def test_callable_gets_two_rows(self):
        seen = []

        def dot(x, y):
            seen.append((x.shape, y.shape))
            return float(x @ y)

        got = fastkb.pairwise_kernels(self.X, self.Y, metric=dot)
        np.testing.assert_allclose(got, self.X @ self.Y.T)
        assert set(seen) == {((4,), (4,))}

    def test_kernel_objects(self):
        got = fastkb.pairwise_kernels(self.X, metric=kernels.RBF(0.5))
        np.testing.assert_array_equal(got, fastkb.rbf_kernel(self.X, gamma=2.0))

    def test_unknown_keywords(self):
        with pytest.raises(TypeError, match=r"holds its parameters.*gamma"):
            fastkb.pairwise_kernels(self.X, metric=kernels.RBF(0.5), gamma=1.0)
        with pytest.raises(TypeError, match="gamma"):
            fastkb.pairwise_kernels(self.X, metric="linear", gamma=1.0)
        with pytest.raises(TypeError, match="bandwidth"):
            fastkb.pairwise_kernels(self.X, metric="poly", bandwidth=1.0)
        got = fastkb.pairwise_kernels(self.X, metric="linear", filter_params=True, gamma=1.0)
        np.testing.assert_array_equal(got, fastkb.linear_kernel(self.X))

    def test_degrees_below_one_are_allowed_here(self):
        got = fastkb.pairwise_kernels(np.abs(self.X), metric="poly", degree=0.5, gamma=1.0)
        exact = np.sqrt(np.abs(self.X) @ np.abs(self.X).T + 1)
        np.testing.assert_allclose(got, exact, rtol=1e-14)

    def test_unknown_metric(self):
        with pytest.raises(ValueError, match="metric"):
            fastkb.pairwise_kernels(self.X, metric="gaussian")


@names
def test_a_second_call_does_not_compile(name):
    from fastkb.tile.cpu import gram_tiles
    from fastkb.tile.pack import pack

    X = np.random.default_rng(0).standard_normal((9, 2))
    FUNCTIONS[name](X)
    before = (list(gram_tiles.signatures), list(pack.signatures))
    FUNCTIONS[name](X[::2], np.asfortranarray(X))
    FUNCTIONS[name](X[:, ::-1], out=np.empty((9, 9), order="F"))
    assert (gram_tiles.signatures, pack.signatures) == before


def test_threads_are_left_as_they_were():
    before = numba.get_num_threads()
    fastkb.rbf_kernel(np.ones((3, 2)))
    assert numba.get_num_threads() == before


def test_chunks_of_tiles_change_no_bit(monkeypatch):
    from fastkb.gram import plan

    X = np.random.default_rng(6).standard_normal((500, 5))
    expected = (fastkb.rbf_kernel(X), fastkb.rbf_kernel(X, X[:300]))
    monkeypatch.setattr(plan, "SECONDS_A_CHUNK", 1e-5)
    np.testing.assert_array_equal(fastkb.rbf_kernel(X), expected[0])
    np.testing.assert_array_equal(fastkb.rbf_kernel(X, X[:300]), expected[1])
