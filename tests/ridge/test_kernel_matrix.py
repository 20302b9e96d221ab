"""Which matrix the parameters name, and what is claimed of it."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics.pairwise import pairwise_kernels

from fastkb import kernels
from fastkb.ridge.kernel_matrix import KernelChoice, to_dense

NAMES = ["linear", "rbf", "laplacian", "poly", "polynomial", "sigmoid", "cosine", "chi2"]
EPS = np.finfo(float).eps


@pytest.mark.parametrize("name", [*NAMES, "additive_chi2"])
def test_every_name_gives_the_matrix_of_the_peer(name):
    rng = np.random.default_rng(0)
    X, Y = rng.uniform(size=(9, 4)), rng.uniform(size=(5, 4))
    parameters = {"gamma": 0.7, "degree": 2, "coef0": 0.5}
    ours = KernelChoice(name, **parameters).matrix(X, Y)
    theirs = pairwise_kernels(X, Y, metric=name, filter_params=True, **parameters)
    # Sums of four products, and a function of slope at most a few around them.
    np.testing.assert_allclose(ours, theirs, rtol=64 * EPS, atol=64 * EPS)


def test_a_callable_gets_its_own_parameters_and_no_others():
    def kernel(x, y, *, scale):
        return scale * float(x @ y)

    X = np.arange(6.0).reshape(3, 2)
    K = KernelChoice(kernel, gamma=3.0, kernel_params={"scale": 2.0}).matrix(X)
    np.testing.assert_array_equal(K, 2.0 * X @ X.T)


def test_precomputed_passes_through_and_is_copied_when_it_will_be_overwritten():
    K = np.eye(3)
    choice = KernelChoice("precomputed")
    assert choice.matrix(K) is K
    fresh = choice.fresh_matrix(K, np.float64)
    assert not np.may_share_memory(fresh, K)
    np.testing.assert_array_equal(fresh, K)


@pytest.mark.parametrize("container", [sp.csr_matrix, sp.csc_array])
def test_a_sparse_precomputed_matrix_becomes_dense(container):
    K = container(np.eye(3))
    np.testing.assert_array_equal(to_dense(K), np.eye(3))
    np.testing.assert_array_equal(
        KernelChoice("precomputed").fresh_matrix(K, np.float64), np.eye(3)
    )


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("wanted", ["f4", "f8"])
def test_a_fresh_matrix_is_of_the_wider_type_and_contiguous(dtype, wanted):
    rng = np.random.default_rng(0)
    K = KernelChoice("rbf").fresh_matrix(rng.normal(size=(6, 2)).astype(dtype), wanted)
    assert K.dtype == np.result_type(dtype, wanted)
    assert K.flags.c_contiguous
    assert K.flags.writeable


@pytest.mark.parametrize(
    "K",
    [
        np.asfortranarray(np.arange(9.0).reshape(3, 3)),
        np.arange(36.0).reshape(6, 6)[::2, ::2],
        np.arange(9, dtype=">f8").reshape(3, 3),
        np.arange(9).reshape(3, 3),
    ],
    ids=["F-ordered", "strided", "big-endian", "integer"],
)
def test_any_layout_of_a_precomputed_matrix_is_read_right(K):
    fresh = KernelChoice("precomputed").fresh_matrix(K, np.float64)
    np.testing.assert_array_equal(fresh, K)
    assert fresh.dtype == np.dtype(np.float64)
    assert fresh.flags.c_contiguous


def test_an_overflow_is_named():
    X = np.full((3, 1), 1e200)
    with (
        pytest.raises(
            ValueError, match=r"Gram matrix of KernelChoice.*'linear'.*overflows float64"
        ),
        np.errstate(over="ignore"),
    ):
        KernelChoice("linear").fresh_matrix(X, np.float64)


def test_a_matrix_that_is_not_square_is_named():
    with pytest.raises(ValueError, match=r"must have shape|shape"):
        KernelChoice("precomputed").fresh_matrix(np.ones((3, 2)), np.float64)


@given(
    name=st.sampled_from(NAMES),
    degree=st.sampled_from([0.5, 1, 2, 3.0]),
    coef0=st.sampled_from([-1.0, 0.0, 1.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_no_kernel_is_called_positive_that_is_not(name, degree, coef0, seed):
    choice = KernelChoice(name, 0.5, degree, coef0)
    if not choice.is_positive_semidefinite:
        return
    X = np.random.default_rng(seed).uniform(0.1, 1.0, size=(12, 3))
    values = np.linalg.eigvalsh(choice.matrix(X))
    assert values[0] >= -20 * 12 * EPS * values[-1]


@pytest.mark.parametrize(
    "choice",
    [
        KernelChoice("sigmoid"),
        KernelChoice("additive_chi2"),
        KernelChoice("precomputed"),
        KernelChoice("poly", degree=2.5),
        KernelChoice("poly", coef0=-1),
        KernelChoice(lambda x, y: 1.0),
        KernelChoice(kernels.Sigmoid()),
        KernelChoice(kernels.Polynomial(2, coef0=-1.0)),
        KernelChoice(kernels.Polynomial(2.5)),
        KernelChoice(kernels.RBF() + kernels.Sigmoid()),
    ],
)
def test_nothing_is_claimed_of_the_others(choice):
    assert not choice.is_positive_semidefinite


@pytest.mark.parametrize(
    "kernel",
    [
        kernels.RBF(2.0),
        kernels.Laplacian(),
        kernels.Linear(),
        kernels.Polynomial(3),
        kernels.Polynomial(64),
        kernels.Matern(2.5),
        kernels.RationalQuadratic(),
        kernels.Periodic(2.0),
        kernels.Cosine(),
        2.0 * kernels.RBF() * kernels.Linear() + kernels.Matern().scaled([1.0, 2.0]),
    ],
    ids=repr,
)
def test_kernel_objects_say_what_they_are(kernel):
    choice = KernelChoice(kernel)
    assert choice.is_positive_semidefinite
    assert not choice.takes_gamma
    X = np.random.default_rng(0).normal(size=(5, 2))
    np.testing.assert_array_equal(choice.matrix(X), kernel(X))
    np.testing.assert_array_equal(choice.fresh_matrix(X, np.float64), kernel(X))


@pytest.mark.parametrize(
    "choice",
    [
        *(KernelChoice(name, 0.3, 2, 0.5) for name in NAMES if name != "chi2"),
        KernelChoice("poly", degree=1.5),
        KernelChoice("rbf"),
        KernelChoice(kernels.Matern(2.5)),
        KernelChoice(kernels.Linear() + 2.0 * kernels.RBF()),
    ],
    ids=lambda choice: str(choice.kernel),
)
def test_a_diagonal_without_the_matrix(choice, monkeypatch):
    X = np.random.default_rng(0).uniform(size=(9, 3))
    K = choice.matrix(X)
    monkeypatch.setattr(KernelChoice, "matrix", lambda *a: pytest.fail("a matrix was computed"))
    for rows in (X, sp.csr_matrix(X)):
        np.testing.assert_allclose(choice.diagonal(rows), np.diag(K), rtol=16 * EPS)


def test_of_other_kernels_no_diagonal_is_known():
    X = np.ones((3, 2))
    for kernel in ("chi2", "additive_chi2", "precomputed", lambda x, y: 1.0):
        assert KernelChoice(kernel).diagonal(X) is None


def test_only_some_kernels_have_a_gamma():
    X = np.random.default_rng(0).uniform(size=(4, 3))
    for name in [*NAMES, "additive_chi2"]:
        matrices = [KernelChoice(name, gamma).matrix(X) for gamma in (0.3, 0.6)]
        assert KernelChoice(name).takes_gamma == (not np.array_equal(*matrices)), name


def test_the_kernel_of_an_estimator():
    import fastkb

    model = fastkb.KernelRidge(kernel="poly", gamma=0.3, degree=2, coef0=0.5)
    assert KernelChoice.of(model) == KernelChoice("poly", 0.3, 2, 0.5)
    assert KernelChoice.of(fastkb.KernelRidgeCV(gammas=[1.0])) == KernelChoice("rbf")
