"""Sums, products, multiples and length scales of kernels; kernels of one's own, wherever one is named."""

import copy
import pickle
from dataclasses import dataclass

import numpy as np
import pytest
from sklearn.base import clone

import fastkb
from fastkb import gram, kernels
from fastkb.gram.algebra import Multiple, Product, Scaled, Sum
from fastkb.testing import check_kernel

X = np.random.default_rng(0).standard_normal((30, 2))
Y = np.random.default_rng(1).standard_normal((11, 2))
A, B, C = kernels.RBF(0.7), kernels.Linear(), kernels.Matern(2.5)
EXPRESSIONS = {
    "sum": A + B,
    "sum of three": A + (B + C),
    "product": A * B * C,
    "multiple": 2.0 * A,
    "multiple of a product": 2.0 * (A * B),
    "product of a multiple": A * (2.0 * B),
    "both": (A + B) * C + 0.5 * (B * C + A),
    "scaled": (A + 3.0 * B).scaled([0.5, 2.0]),
    "scaled parts": A.scaled([0.5, 2.0]) * B + C.scaled([1.0, 3.0]).scaled([2.0, 0.1]),
}
each = pytest.mark.parametrize("kernel", EXPRESSIONS.values(), ids=EXPRESSIONS)


@each
def test_expressions_are_values(kernel):
    assert eval(repr(kernel), vars(kernels)) == kernel
    for other in (pickle.loads(pickle.dumps(kernel)), copy.deepcopy(kernel)):
        assert other == kernel
        assert hash(other) == hash(kernel)
    assert kernel != A
    with pytest.raises(AttributeError):
        kernel.form = "linear"


def value(kernel, X, Y):
    """What an expression means, by the values of its parts."""
    if isinstance(kernel, Sum):
        return sum(value(term, X, Y) for term in kernel.terms)
    if isinstance(kernel, Product):
        return np.prod([value(factor, X, Y) for factor in kernel.factors], axis=0)
    if isinstance(kernel, Multiple):
        return kernel.factor * value(kernel.kernel, X, Y)
    if isinstance(kernel, Scaled):
        return value(kernel.kernel, X / kernel.length_scales, Y / kernel.length_scales)
    return gram(kernel, X, Y)


@each
def test_expressions_are_what_they_say(kernel):
    # A few roundings for each operation; values are below 100 here.
    close = {"rtol": 1e-13, "atol": 1e-13}
    np.testing.assert_allclose(kernel(X, Y), value(kernel, X, Y), **close)
    np.testing.assert_allclose(gram(kernel, X), value(kernel, X, X), **close)
    np.testing.assert_array_equal(gram(kernel, X), gram(kernel, X).T)
    np.testing.assert_allclose(kernel.diag(X), np.diag(kernel(X)), **close)
    check_kernel(kernel)


def test_brackets_that_mean_nothing_are_left_out():
    assert A + (B + C) == (A + B) + C == Sum((A, B, C))
    assert A * (B * C) == (A * B) * C == Product((A, B, C))
    assert 2.0 * (3.0 * A) == A * 2.0 * 3.0 == Multiple(6.0, A)
    assert repr(2.0 * (A + B)) == "2.0 * (RBF(sigma=0.7) + Linear())"


@pytest.mark.parametrize("factor", [2, 2.0, np.float32(2.0), np.int64(2), np.float64(2.0)])
def test_factors_are_any_real_numbers(factor):
    for kernel in (factor * A, A * factor):
        assert kernel == Multiple(2.0, A)
        assert type(kernel.factor) is float


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: -1.0 * A, ValueError, "factor must be a finite real number above 0, got -1.0"),
        (lambda: A * 0, ValueError, "factor must be a finite real number above 0, got 0"),
        (lambda: np.nan * A, ValueError, "factor must be a finite real number above 0, got nan"),
        (lambda: 1e200 * (1e200 * A), ValueError, "factor must be a finite real number above 0, got inf"),
        (lambda: True * A, ValueError, "factor must be a finite real number above 0, got True"),
        (lambda: A + 1.0, TypeError, "unsupported operand"),
        (lambda: "2" * A, TypeError, "unsupported operand|can't multiply"),
        (lambda: np.ones(2) * A, TypeError, "unsupported operand"),
        (lambda: Multiple(2.0, "rbf"), TypeError, "kernel must be an object.*got 'rbf'"),
        (lambda: Sum((A,)), ValueError, "terms must be two kernels or more; got 1"),
        (lambda: Product((A, 2.0)), TypeError, "factors must be an object of fastkb.kernels; got 2.0"),
        (lambda: A.scaled(2.0), ValueError, "length_scales must be a vector of numbers.*got 2.0"),
        (lambda: A.scaled([]), ValueError, "length_scales must be a vector of numbers"),
        (lambda: A.scaled("ab"), ValueError, "length_scales must be a vector of numbers"),
        (
            lambda: A.scaled([1.0, 0.0]),
            ValueError,
            r"length_scales\[1\] must be a finite real number above 0, got 0.0",
        ),
        (lambda: A.scaled([[1.0, 2.0]]), ValueError, r"length_scales\[0\] must be a finite real"),
        (lambda: A.scaled([1.0, 2.0, 3.0])(X), ValueError, "length_scales has 3 numbers, and X has"),
        (lambda: (A + B.scaled([1.0])).diag(X), ValueError, "length_scales has 1 numbers, and X has 2"),
        (lambda: A.diag([1.0, 2.0]), ValueError, "Expected 2D array"),
        (lambda: A.diag([[np.nan]]), ValueError, "X contains NaN"),
    ],
)  # fmt: skip
def test_errors_name_what_is_wrong(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_what_is_positive_semidefinite():
    good, bad = A * B + 2.0 * C, kernels.Sigmoid()
    for kernel in (good, good.scaled([1.0, 2.0]), 0.5 * good, good * good):
        assert kernel.is_positive_semidefinite
    for kernel in (bad, good + bad, good * bad, 3.0 * bad, bad.scaled([1.0])):
        assert not kernel.is_positive_semidefinite


def test_which_diagonals_are_one():
    for kernel in (A, A * C, C.scaled([1.0, 2.0]), Multiple(1.0, A)):
        assert kernel.has_unit_diagonal
        np.testing.assert_array_equal(np.diag(kernel(X)), 1.0)
        np.testing.assert_array_equal(kernel.diag(X), 1.0)
    for kernel in (A + C, 2.0 * A, A * B, kernels.Cosine()):
        assert not kernel.has_unit_diagonal


def test_diag_has_the_bits_of_the_diagonal_where_parts_have_unit_diagonals():
    for kernel in (A, 0.1 * A + 0.7 * C, (0.3 * A + C) * (0.7 * A) + 0.1 * C):
        for dtype in (np.float32, np.float64):
            rows = X.astype(dtype)
            np.testing.assert_array_equal(kernel.diag(rows), np.diag(kernel(rows)))


# --- a kernel of one's own ------------------------------------------------------------------------


@dataclass(frozen=True)
class Cauchy(kernels.Kernel):
    """1 / (1 + |x - x'|²/w²): no row of the table has it."""

    width: float = 1.0
    form = "sqeuclidean"
    positive_semidefinite = True
    unit_diagonal = True

    def function(self, t):
        return 1.0 / (1.0 + t / self.width**2)


@dataclass(frozen=True)
class Shifted(kernels.Kernel):
    """xᵀx' + 1"""

    form = "linear"
    positive_semidefinite = True

    def function(self, t):
        return t + 1.0


def test_it_keeps_the_laws():
    for kernel in (Cauchy(0.7), Shifted(), 2.0 * Cauchy() + B, Cauchy() * Shifted(), Cauchy() * A):
        check_kernel(kernel)
    check_kernel(Cauchy().scaled([0.5, 2.0]))


def test_it_is_a_value():
    kernel = 2.0 * Cauchy(0.5) + B
    assert eval(repr(kernel), {**vars(kernels), "Cauchy": Cauchy}) == kernel
    assert hash(copy.deepcopy(kernel)) == hash(kernel)
    assert clone(fastkb.KernelRidge(kernel=kernel)).kernel == kernel


def test_its_matrices_in_any_layout():
    exact = 1 / (1 + ((X[:, None] - Y) ** 2).sum(axis=2) / 0.25)
    for order in ("C", "F"):
        out = np.full((30, 11), np.nan, order=order)
        assert gram(Cauchy(0.5), X, Y, out=out) is out
        np.testing.assert_allclose(out, exact, rtol=1e-14)
    wide = np.full((60, 22), np.nan)
    gram(Cauchy(0.5), X, Y, out=wide[::2, ::2])
    np.testing.assert_allclose(wide[::2, ::2], exact, rtol=1e-14)
    assert np.isnan(wide[1::2]).all()
    assert Cauchy()(X.astype(np.float32)).dtype == np.float32
    np.testing.assert_array_equal(fastkb.pairwise_kernels(X, metric=Cauchy()), gram(Cauchy(), X))


def test_it_is_taken_wherever_a_kernel_is_named():
    x = np.linspace(0, 6, 60)[:, None]
    y = np.sin(x[:, 0])
    kernel = 2.0 * Cauchy(1.5)
    K = gram(kernel, x)
    model = fastkb.KernelRidge(alpha=0.1, kernel=kernel).fit(x, y)
    np.testing.assert_allclose(
        model.dual_coef_, np.linalg.solve(K + 0.1 * np.eye(60), y), rtol=1e-9
    )
    path = fastkb.kernel_ridge_path(x, y, alphas=[0.1, 1.0], kernel=kernel)
    inverse = np.linalg.inv(K + 0.1 * np.eye(60))
    assert path.loo_errors[0, 0] == pytest.approx(np.mean((inverse @ y / np.diag(inverse)) ** 2))
    search = fastkb.KernelRidgeCV(alphas=[0.1, 1.0], kernel=kernel).fit(x, y)
    assert search.alpha_ == path.best_alpha
    for solver in ("lowrank", "cholesky"):
        band = fastkb.bootstrap_band(model, x, y, x[::7], n_resamples=20, rng=0, solver=solver)
        assert band.solver == solver
        np.testing.assert_allclose(band.center, model.predict(x[::7]), atol=1e-6)


def test_a_kernel_that_claims_nothing_gets_no_low_rank():
    class Quiet(Cauchy):
        positive_semidefinite = False

    x = np.linspace(0, 6, 40)[:, None]
    band = fastkb.bootstrap_band(
        fastkb.KernelRidge(alpha=0.1, kernel=Quiet()), x, x[:, 0], x[:3], n_resamples=5, rng=0
    )
    assert band.solver == "cholesky"


def test_what_it_lacks_is_named():
    with pytest.raises(
        ValueError, match=r"form of Bad must be one of linear, .*did you mean 'manhattan'"
    ):

        class Bad(kernels.Kernel):
            form = "manhatten"

    class Silent(kernels.Kernel):
        form = "linear"

    with pytest.raises(TypeError, match="Silent has form='linear', and no function"):
        gram(Silent(), X)

    class Wrong(kernels.Kernel):
        form = "linear"

        def function(self, t):
            return t.sum()

    with pytest.raises(
        ValueError, match=r"must return an array of the shape of t, \(30, 30\); got \(\)"
    ):
        gram(Wrong(), X)

    class Complex(kernels.Kernel):
        form = "linear"

        def function(self, t):
            return t * 1j

    with pytest.raises(ValueError, match="must return real numbers; got complex128"):
        gram(Complex(), X)
