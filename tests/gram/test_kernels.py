"""Kernel objects: immutable values that check their parameters."""

import doctest
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.gaussian_process import kernels as peer

from fastkb import gram, kernels, pairwise_kernels
from fastkb.reference import gram as reference
from fastkb.tile.blocking import blocking
from fastkb.tile.cpu import TILE


@pytest.mark.parametrize(
    "kernel",
    [
        kernels.Linear(),
        kernels.Polynomial(2),
        kernels.RBF(0.3),
        kernels.Laplacian(2.0),
        kernels.Sigmoid(0.1, -1.0),
        kernels.Cosine(),
        kernels.Matern(2.5, 0.3),
        kernels.RationalQuadratic(0.3, 2.0),
        kernels.Periodic(0.3, 2.0),
    ],
    ids=repr,
)
def test_objects_are_values(kernel):
    assert pickle.loads(pickle.dumps(kernel)) == kernel
    assert hash(kernel) == hash(eval(f"kernels.{kernel!r}"))
    with pytest.raises(AttributeError):
        kernel.sigma = 3.0
    X = np.random.default_rng(0).standard_normal((6, 2))
    np.testing.assert_array_equal(kernel(X), gram(kernel, X))
    np.testing.assert_array_equal(kernel(X, X[:2]), gram(kernel, X, X[:2]))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: kernels.RBF(0), "sigma must be a finite real number above 0, got 0"),
        (lambda: kernels.RBF("1"), "sigma must be a finite real number above 0, got '1'"),
        (lambda: kernels.Laplacian(-1.0), "gamma must be a finite real number above 0, got -1.0"),
        (
            lambda: kernels.Polynomial(-0.5),
            "degree must be a finite real number of at least 0, got -0.5",
        ),
        (
            lambda: kernels.Polynomial(2, coef0=np.inf),
            "coef0 must be a finite real number, got inf",
        ),
        (
            lambda: kernels.Sigmoid(gamma=-2),
            "gamma must be a finite real number of at least 0, got -2",
        ),
        (lambda: kernels.Matern(nu=2.0), "nu must be 0.5, 1.5 or 2.5, got 2.0"),
        (lambda: kernels.Matern(nu="1.5"), "nu must be a finite real number above 0, got '1.5'"),
        (
            lambda: kernels.Matern(length_scale=0),
            "length_scale must be a finite real number above 0, got 0",
        ),
        (
            lambda: kernels.RationalQuadratic(alpha=-1),
            "alpha must be a finite real number above 0, got -1",
        ),
        (
            lambda: kernels.RationalQuadratic(1, np.nan),
            "length_scale must be a finite real number above 0, got nan",
        ),
        (
            lambda: kernels.Periodic(period=np.inf),
            "period must be a finite real number above 0, got inf",
        ),
        (
            lambda: kernels.Periodic(1, 0.0),
            "length_scale must be a finite real number above 0, got 0.0",
        ),
    ],
)
def test_bad_parameters_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("degree", "row"),
    [(0, "polynomial"), (1, "polynomial"), (2, "polynomial2"), (3.0, "polynomial3"),
     (63, "polynomial"), (64, "polynomial_real"), (0.5, "polynomial_real")],
)  # fmt: skip
def test_the_cheapest_polynomial_is_chosen(degree, row):
    assert kernels.Polynomial(degree).row.name == row


def test_the_base_class_says_what_is_missing():
    with pytest.raises(TypeError, match="Kernel has no row of the table"):
        gram(kernels.Kernel(), [[1.0]])


@pytest.mark.parametrize("sigma", [np.int8(100), np.int32(50_000), np.float16(300), 300])
def test_numpy_numbers_do_not_overflow(sigma):
    kernel = kernels.RBF(sigma)
    assert type(kernel.sigma) is float
    assert kernel.parameters[0] == pytest.approx(1 / (2 * float(sigma) ** 2), rel=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sigma", [1e-200, 1e-160, 1e-20, 1e200])
def test_extreme_widths_keep_the_diagonal(sigma, dtype):
    K = gram(kernels.RBF(sigma), np.array([[0.0], [1.0]], dtype=dtype))
    np.testing.assert_array_equal(np.diag(K), 1.0)
    assert K[0, 1] == (0.0 if sigma < 1 else 1.0)


# --- against scikit-learn's Gaussian processes, and against the formulas in more digits -----------

PAIRS = {
    "matern12": (kernels.Matern(0.5, 1.3), peer.Matern(1.3, nu=0.5)),
    "matern32": (kernels.Matern(1.5, 1.3), peer.Matern(1.3, nu=1.5)),
    "matern52": (kernels.Matern(2.5, 1.3), peer.Matern(1.3, nu=2.5)),
    "rational quadratic": (
        kernels.RationalQuadratic(0.7, 1.4),
        peer.RationalQuadratic(alpha=0.7, length_scale=1.4),
    ),
    "rbf, anisotropic": (kernels.RBF().scaled([1.0, 2.0, 0.3]), peer.RBF([1.0, 2.0, 0.3])),
    "matern52, anisotropic": (
        kernels.Matern(2.5).scaled([1.0, 2.0, 0.3]),
        peer.Matern([1.0, 2.0, 0.3], nu=2.5),
    ),
    "sum and product": (
        2.0 * kernels.RBF(0.7) * kernels.Matern(1.5) + kernels.Linear(),
        peer.ConstantKernel(2.0) * peer.RBF(0.7) * peer.Matern(1.0, nu=1.5) + peer.DotProduct(0.0),
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_agrees_with_scikit_learn(name):
    ours, theirs = PAIRS[name]
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((40, 3)), rng.standard_normal((25, 3))
    # Their distances err by some eps, too, and values are below 30.
    for other in (None, Y):
        np.testing.assert_allclose(ours(X, other), theirs(X, other), rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(ours.diag(X), theirs.diag(X), rtol=1e-14)


def test_periodic_agrees_with_scikit_learn_in_one_column():
    X = np.random.default_rng(0).standard_normal((40, 1))
    theirs = peer.ExpSineSquared(length_scale=0.8, periodicity=1.7)
    np.testing.assert_allclose(kernels.Periodic(1.7, 0.8)(X), theirs(X), rtol=1e-13)


def wide(X):
    """In more digits. (Times a longdouble, a float32 array of NumPy 1 stays what it is.)"""
    return np.asarray(X, np.longdouble)


def exact(name, X, Y, parameters):
    """Values in more digits, and the sizes of the arguments of exp and sin, times what they move."""
    X, Y = wide(X), None if Y is None else wide(Y)
    a, scale = (np.longdouble(value) for value in parameters)
    if name == "cosine":
        return reference.cosine(X, Y), 0.0
    if name.startswith("matern"):
        nu = {"matern12": 0.5, "matern32": 1.5, "matern52": 2.5}[name]
        reach = np.sqrt(2 * nu) * reference.distances(X, Y, scale)
        return reference.matern(X, Y, nu, scale), reach
    if name == "rational_quadratic":
        K = reference.rational_quadratic(X, Y, a, scale)
        return K, -np.log(K)
    K = reference.periodic(X, Y, a, scale)
    turns = np.abs(reference.differences(X, Y)).sum(axis=2) / a
    return K, -np.log(K) + 2 / scale**2 * np.pi * turns


MAKE = {
    "cosine": lambda a, scale: kernels.Cosine(),
    "matern12": lambda a, scale: kernels.Matern(0.5, scale),
    "matern32": lambda a, scale: kernels.Matern(1.5, scale),
    "matern52": lambda a, scale: kernels.Matern(2.5, scale),
    "rational_quadratic": kernels.RationalQuadratic,
    "periodic": kernels.Periodic,
}
edges = st.sampled_from(
    sorted(
        {
            max(1, size + step)
            for size in (blocking("float64").mr, blocking("float64").nr, TILE)
            for step in (-1, 0, 1)
        }
        | {1, 2}
    )
)


def laid_out(X, layout):
    if layout == "F":
        return np.asfortranarray(X)
    if layout == "strided":
        wide = np.full((2 * X.shape[0], 3 * X.shape[1]), np.nan, dtype=X.dtype)
        wide[::2, ::3] = X
        return wide[::2, ::3]
    X.flags.writeable = layout != "readonly"
    return X


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="needs an extended longdouble")
@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(sorted(MAKE)),
    n=edges,
    m=st.none() | edges,
    d=st.sampled_from([1, 2, 7, 30]),
    dtype=st.sampled_from([np.float32, np.float64]),
    layout=st.sampled_from(["C", "F", "strided", "readonly"]),
    parameters=st.tuples(st.floats(0.2, 5.0), st.floats(0.5, 5.0)),
    scale=st.sampled_from([1e-3, 1.0, 5.0]),
    offset=st.sampled_from([0.0, 0.0, 1e3, 1e8]),
    weighted=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_values_are_those_of_the_formula(
    name, n, m, d, dtype, layout, parameters, scale, offset, weighted, seed
):
    """To eps·(4d + 8 + 4·|argument of exp or sin|)."""
    rng = np.random.default_rng(seed)
    X = laid_out((offset + scale * rng.standard_normal((n, d))).astype(dtype), layout)
    Y = None if m is None else (offset + scale * rng.standard_normal((m, d))).astype(dtype)
    kernel, lengths = MAKE[name](*parameters), np.ones(d)
    if weighted:
        lengths = rng.uniform(0.5, 2.0, d)
        kernel = kernel.scaled(lengths)
    got = kernel(X, Y)
    assert got.dtype == dtype
    # Quotients of large numbers are rounded, differences not.
    start = 0.0 if name == "cosine" else X[0]
    right, reach = exact(
        name,
        (wide(X) - start) / lengths,
        None if Y is None else (wide(Y) - start) / lengths,
        parameters,
    )
    bound = np.finfo(dtype).eps * (4 * d + 8 + 4 * reach)
    size = np.maximum(np.abs(right), 1.0 if name == "cosine" else 0.0)
    assert (np.abs(got - right) <= bound * size + np.finfo(dtype).tiny).all()
    if Y is None:
        np.testing.assert_array_equal(got, got.T)
        if kernel.has_unit_diagonal:
            np.testing.assert_array_equal(np.diag(got), 1.0)
            np.testing.assert_array_equal(kernel.diag(X), 1.0)
        some = slice(n // 2, n)
        np.testing.assert_array_equal(kernel(X[some], X.copy()), got[some])


@pytest.mark.parametrize("name", ["matern12", "matern52", "rational_quadratic", "periodic"])
@pytest.mark.parametrize("weighted", [False, True])
def test_an_offset_changes_no_bit(name, weighted):
    X = np.round(np.random.default_rng(0).uniform(-1, 1, (30, 3)) * 1024) / 1024
    kernel = MAKE[name](0.7, 1.3)
    kernel = kernel.scaled([0.5, 1.0, 3.0]) if weighted else kernel
    np.testing.assert_array_equal(kernel(X + 2.0**27), kernel(X))


def test_periods_and_limits():
    x = np.arange(7.0)[:, None]
    np.testing.assert_array_equal(kernels.Periodic(1.0)(x), 1.0)
    np.testing.assert_allclose(kernels.Periodic(2.0)(x)[0], np.exp(-2.0 * (np.arange(7) % 2)))
    np.testing.assert_array_equal(kernels.Periodic(0.5)(x * 1e300), 1.0)
    X = np.random.default_rng(0).standard_normal((20, 3))
    wide = kernels.RationalQuadratic(1e12)(X)
    np.testing.assert_allclose(wide, kernels.RBF()(X), rtol=1e-10)


def test_a_product_of_columns_is_positive_semidefinite_where_a_distance_is_not():
    X = np.random.default_rng(0).uniform(0, 3, (60, 3))
    assert np.linalg.eigvalsh(kernels.Periodic(1.0)(X))[0] > -1e-12
    r = reference.distances(X)
    assert np.linalg.eigvalsh(np.exp(-2 * np.sin(np.pi * r) ** 2))[0] < -0.1


def test_cosines_of_rows_of_any_size():
    sizes = np.array([1.0, 1e200, 1e-200, 0.0])[:, None] * [[3.0, 4.0]]
    X = np.concatenate([sizes, [[-4.0, 3.0], [5e-324, 0.0]]])
    K = kernels.Cosine()(X)
    unit = np.array([[0.6, 0.8]] * 3 + [[0, 0], [-0.8, 0.6], [1, 0]])
    np.testing.assert_allclose(K, unit @ unit.T, atol=1e-15)
    np.testing.assert_allclose(kernels.Cosine().diag(X), (unit**2).sum(axis=1), rtol=1e-15)
    np.testing.assert_array_equal(pairwise_kernels(X, metric="cosine"), K)


def test_the_examples_of_the_guide():
    guide = Path(__file__).parents[2] / "docs" / "kernels.md"
    failed, tried = doctest.testfile(str(guide), module_relative=False, encoding="utf-8")
    assert tried > 15
    assert failed == 0


def test_the_guide_has_every_kernel():
    text = (Path(__file__).parents[2] / "docs" / "kernels.md").read_text(encoding="utf-8")
    algebra = {"Kernel", "Sum", "Product", "Multiple", "Scaled"}
    assert all(f"| `{name}(" in text for name in set(kernels.__all__) - algebra)
