"""KernelRidge: the numbers of the peer, its manners, and where it does better."""

import pickle
import tracemalloc
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn.kernel_ridge
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import LinAlgWarning
from sklearn.base import clone, is_regressor
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastkb import KernelRidge, bootstrap_band, kernel_ridge_path, kernels
from fastkb.reference import ridge as reference
from fastkb.ridge import estimator as module

NAMES = ["linear", "rbf", "laplacian", "poly", "polynomial", "cosine", "chi2"]


@parametrize_with_checks(
    [
        KernelRidge(),
        KernelRidge(alpha=0.1, kernel="rbf"),
        KernelRidge(alpha=0.1, kernel="rbf", fit_intercept=True),
    ]
)
@pytest.mark.filterwarnings("ignore::scipy.linalg.LinAlgWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_it_is_an_estimator_of_scikit_learn(estimator, check):
    check(estimator)


def condition(K, alpha, weight=None):
    scale = np.ones(len(K)) if weight is None else np.sqrt(weight)
    values = np.linalg.eigvalsh(np.float64(K) * scale[:, None] * scale + alpha * np.eye(len(K)))
    return values[-1] / values[0]


def assert_same_model(ours, theirs, K, alpha, X_new, weight=None):
    """Two backward stable solutions of one system, from Gram matrices right to some eps each.

    Both errors are the condition number times the relative error of the matrix: n·eps from the
    solver and 100·eps for entries of the two Gram matrices (4·d·eps with the d ≤ 6 of these tests,
    and the loss of digits in the peer's distances between rows of order one).
    """
    eps = np.finfo(ours.dual_coef_.dtype).eps
    relative = (10 * len(K) + 100) * eps * condition(K, np.min(alpha), weight)
    assert ours.dual_coef_.shape == theirs.dual_coef_.shape
    norm = np.linalg.norm(theirs.dual_coef_)
    assert np.linalg.norm(ours.dual_coef_ - theirs.dual_coef_) <= relative * norm
    predictions = ours.predict(X_new), theirs.predict(X_new)
    assert predictions[0].shape == predictions[1].shape
    largest = np.abs(np.asarray(theirs._get_kernel(X_new, theirs.X_fit_))).max()
    error = np.linalg.norm(predictions[0] - predictions[1])
    assert error <= 2 * relative * norm * largest * np.sqrt(predictions[0].size * len(K))


@given(
    name=st.sampled_from(NAMES),
    n=st.integers(1, 30),
    n_features=st.integers(1, 6),
    n_targets=st.one_of(st.none(), st.integers(1, 3)),
    weights=st.sampled_from(["none", "scalar", "vector"]),
    per_target=st.booleans(),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_numbers_of_the_peer(name, n, n_features, n_targets, weights, per_target, dtype, seed):
    rng = np.random.default_rng(seed)
    X = rng.uniform(0.1, 1.0, size=(n, n_features)).astype(dtype)
    y = rng.normal(size=n if n_targets is None else (n, n_targets)).astype(dtype)
    weight = {"none": None, "scalar": 2.0, "vector": rng.uniform(0.2, 2.0, size=n)}[weights]
    alpha = rng.uniform(0.5, 2.0, size=n_targets or 1) if per_target else 0.7
    parameters = {"kernel": name, "gamma": 0.8, "degree": 2, "coef0": 0.5, "alpha": alpha}
    ours = KernelRidge(**parameters).fit(X, y, weight)
    theirs = sklearn.kernel_ridge.KernelRidge(**parameters).fit(X, y, weight)
    assert ours.dual_coef_.dtype == dtype
    K = theirs._get_kernel(X)
    X_new = rng.uniform(0.1, 1.0, size=(7, n_features)).astype(dtype)
    vector = None if weight is None else np.broadcast_to(np.asarray(weight), n)
    assert_same_model(ours, theirs, K, alpha, X_new, vector)


@given(
    n=st.integers(1, 25),
    n_features=st.integers(1, 4),
    alpha=st.floats(0.01, 10.0),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_numbers_of_the_definition(n, n_features, alpha, seed):
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(n, n_features)), rng.normal(size=(n, 2))
    weight = rng.uniform(0.2, 2.0, size=n)
    K = np.exp(-0.5 * np.sum((X[:, None] - X[None]) ** 2, axis=2))
    model = KernelRidge(alpha, kernel="rbf", gamma=0.5).fit(X, y, weight)
    expected = reference.dual_coefficients(K, y, alpha, weight)
    bound = (10 * n + 100) * np.finfo(float).eps * condition(K, alpha, weight)
    assert np.linalg.norm(model.dual_coef_ - expected) <= bound * np.linalg.norm(expected)


def data(n=20, n_features=3, n_targets=None, seed=0):
    rng = np.random.default_rng(seed)
    shape = n if n_targets is None else (n, n_targets)
    return rng.normal(size=(n, n_features)), rng.normal(size=shape)


# --- dtypes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("X_type", "y_type", "expected"),
    [
        ("f4", "f4", "f4"),
        ("f4", "f8", "f8"),
        ("f8", "f4", "f8"),
        ("f8", "f8", "f8"),
        ("f2", "f2", "f8"),
        ("i4", "f4", "f8"),
        ("f4", "i4", "f8"),
        ("?", "f8", "f8"),
        (">f8", "f8", "f8"),
        ("f8", ">f8", "f8"),
    ],
)
@pytest.mark.parametrize("weighted", [False, True])
def test_types_in_and_out(X_type, y_type, expected, weighted):
    X, y = data()
    X, y = np.rint(3 * X).astype(X_type), np.rint(3 * y).astype(y_type)
    weight = np.linspace(0.5, 1.5, 20) if weighted else None
    model = KernelRidge(kernel="rbf", gamma=0.1).fit(X, y, weight)
    assert model.dual_coef_.dtype == np.dtype(expected)
    theirs = KernelRidge(kernel="rbf", gamma=0.1).fit(X.astype("f8"), y.astype("f8"), weight)
    eps = np.finfo(model.dual_coef_.dtype).eps
    K = theirs._get_kernel(X.astype("f8"))
    bound = 300 * eps * condition(K, 1.0, weight) * np.linalg.norm(theirs.dual_coef_)
    assert np.linalg.norm(model.dual_coef_ - theirs.dual_coef_) <= bound


def test_predictions_keep_float32():
    X, y = data()
    model = KernelRidge(kernel="rbf").fit(X.astype("f4"), y.astype("f4"))
    assert model.predict(X.astype("f4")).dtype == np.float32
    assert model.predict(X).dtype == np.float64


def test_float64_targets_get_a_float64_gram_matrix():
    """Rounding K to float32 would spoil coefficients at a small penalty; the peer does round."""
    X, y = data(30, 1)
    X = X.astype("f4")
    exact = KernelRidge(1e-4, kernel="rbf", gamma=1.0).fit(X.astype("f8"), y)
    mixed = KernelRidge(1e-4, kernel="rbf", gamma=1.0).fit(X, y)
    np.testing.assert_array_equal(mixed.dual_coef_, exact.dual_coef_)
    np.testing.assert_array_equal(mixed.predict(X), exact.predict(X.astype("f8")))


@pytest.mark.parametrize("bad", ["complex X", "complex y", "NaN X", "inf y", "NaN y", "1-D X"])
def test_bad_data_are_refused(bad):
    X, y = data()
    if bad == "complex X":
        X = X + 1j
    elif bad == "complex y":
        y = y + 1j
    elif bad == "NaN X":
        X[0, 0] = np.nan
    elif bad == "inf y":
        y[0] = np.inf
    elif bad == "NaN y":
        y[0] = np.nan
    else:
        X = X[:, 0]
    with pytest.raises(ValueError, match=r"[Cc]omplex|NaN|infinity|inf|1D|2D"):
        KernelRidge().fit(X, y)


def test_no_rows_and_mismatched_rows_are_refused():
    X, y = data()
    with pytest.raises(ValueError, match=r"0 sample|minimum of 1"):
        KernelRidge().fit(X[:0], y[:0])
    with pytest.raises(ValueError, match=r"inconsistent"):
        KernelRidge().fit(X, y[:-1])


# --- penalties ----------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [[1.0, 2.0], [1.0, 2.0, 3.0, 4.0], []])
def test_alpha_of_the_wrong_length_is_refused(alpha):
    X, y = data(n_targets=3)
    with pytest.raises(ValueError, match=r"alpha has shape .* n_targets=3"):
        KernelRidge(alpha).fit(X, y)
    with pytest.raises(ValueError, match=r"alpha has shape .* n_targets=1"):
        KernelRidge([1.0, 2.0]).fit(X, y[:, 0])


def test_alpha_of_zero_interpolates():
    X, y = data(10, 2)
    model = KernelRidge(0, kernel="rbf", gamma=2.0).fit(X, y)
    bound = 10 * 10 * np.finfo(float).eps * condition(model._get_kernel(X), 0.0)
    assert np.linalg.norm(model.predict(X) - y) <= bound * np.linalg.norm(y)


def test_a_singular_system_warns_where_it_was_asked_for_and_still_returns():
    X, y = data(20, 2)
    with pytest.warns(LinAlgWarning, match=r"alpha=0") as caught:
        model = KernelRidge(0).fit(X, y)
    assert caught[0].filename == __file__
    least_squares = X @ np.linalg.lstsq(X, y, rcond=None)[0]
    bound = 100 * 20 * np.finfo(float).eps * np.linalg.cond(X) ** 2
    assert np.linalg.norm(model.predict(X) - least_squares) <= bound * np.linalg.norm(y)


def test_an_ill_conditioned_system_warns_where_it_was_asked_for():
    with pytest.warns(LinAlgWarning, match=r"reciprocal condition") as caught:
        KernelRidge(0, kernel="precomputed").fit(np.diag([1.0, 1e-18]), [1.0, 2.0])
    assert caught[0].filename == __file__


def test_the_sigmoid_kernel_needs_no_positive_matrix():
    X, y = data(15, 3)
    model = KernelRidge(0.1, kernel="sigmoid", gamma=1.0, coef0=-1.0)
    K = np.tanh(X @ X.T - 1.0)
    assert np.linalg.eigvalsh(K + 0.1 * np.eye(15))[0] < 0
    with pytest.warns(LinAlgWarning, match=r"least squares"):
        model.fit(X, y)
    expected = np.linalg.solve(K + 0.1 * np.eye(15), y)
    bound = (10 * 15 + 100) * np.finfo(float).eps * np.linalg.cond(K + 0.1 * np.eye(15))
    assert np.linalg.norm(model.dual_coef_ - expected) <= bound * np.linalg.norm(expected)


# --- kernels ------------------------------------------------------------------------------------


def test_a_fractional_degree_is_accepted():
    X = np.random.default_rng(0).uniform(0.1, 1.0, size=(12, 2))
    y = X[:, 0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LinAlgWarning)
        ours = KernelRidge(kernel="poly", degree=0.5).fit(X, y)
        theirs = sklearn.kernel_ridge.KernelRidge(kernel="poly", degree=0.5).fit(X, y)
    bound = 220 * np.finfo(float).eps * condition(theirs._get_kernel(X), 1.0)
    error = np.linalg.norm(ours.dual_coef_ - theirs.dual_coef_)
    assert error <= bound * np.linalg.norm(theirs.dual_coef_)


def test_a_precomputed_matrix_is_left_as_it_is():
    X, y = data()
    K = X @ X.T
    kept = K.copy()
    model = KernelRidge(kernel="precomputed").fit(K, y, np.linspace(0.5, 2, 20))
    np.testing.assert_array_equal(K, kept)
    direct = KernelRidge().fit(X, y, np.linspace(0.5, 2, 20))
    bound = 300 * np.finfo(float).eps * condition(K, 1.0) * np.linalg.norm(direct.dual_coef_)
    assert np.linalg.norm(model.dual_coef_ - direct.dual_coef_) <= bound
    assert model.__sklearn_tags__().input_tags.pairwise
    assert not direct.__sklearn_tags__().input_tags.pairwise
    with pytest.raises(ValueError, match=r"features"):
        model.predict(K[:, :5])


def test_a_precomputed_matrix_must_be_square():
    with pytest.raises(ValueError, match=r"shape"):
        KernelRidge(kernel="precomputed").fit(np.ones((5, 4)), np.ones(5))


def test_a_callable_is_called_on_two_rows():
    def kernel(x, y, scale=1.0):
        assert x.shape == y.shape == (3,)
        return scale * float(x @ y)

    X, y = data()
    model = KernelRidge(kernel=kernel, kernel_params={"scale": 0.5}).fit(X, y)
    direct = KernelRidge(kernel="precomputed").fit(0.5 * X @ X.T, y)
    bound = 300 * np.finfo(float).eps * condition(X @ X.T, 1.0) * np.linalg.norm(direct.dual_coef_)
    assert np.linalg.norm(model.dual_coef_ - direct.dual_coef_) <= bound


def test_kernels_of_gaussian_processes_serve():
    from sklearn.gaussian_process.kernels import RBF

    X, y = data()
    ours = KernelRidge(kernel=RBF(0.7)).fit(X, y)
    named = KernelRidge(kernel="rbf", gamma=1 / (2 * 0.7**2)).fit(X, y)
    bound = 300 * np.finfo(float).eps * condition(named._get_kernel(X), 1.0)
    error = np.linalg.norm(ours.dual_coef_ - named.dual_coef_)
    assert error <= bound * np.linalg.norm(named.dual_coef_)


def test_kernel_objects_serve():
    X, y = data()
    model = KernelRidge(0.3, kernel=kernels.RBF(0.7)).fit(X, y)
    named = KernelRidge(0.3, kernel="rbf", gamma=1 / (2 * 0.7**2)).fit(X, y)
    np.testing.assert_array_equal(model.dual_coef_, named.dual_coef_)
    np.testing.assert_array_equal(model.predict(X), named.predict(X))
    again = pickle.loads(pickle.dumps(clone(model).fit(X, y)))
    np.testing.assert_array_equal(again.predict(X), named.predict(X))
    with pytest.raises(ValueError, match=r"kernel_params=.* has no use with kernel=RBF"):
        KernelRidge(kernel=kernels.RBF(0.7), kernel_params={"sigma": 1.0}).fit(X, y)
    with pytest.raises(TypeError, match=r"an instance, such as RBF"):
        KernelRidge(kernel=kernels.RBF).fit(X, y)


@pytest.mark.parametrize("container", [sp.csr_matrix, sp.csc_matrix, sp.csr_array, sp.csc_array])
@pytest.mark.parametrize("name", ["linear", "rbf", "laplacian", "poly", "sigmoid"])
@pytest.mark.filterwarnings("ignore::scipy.linalg.LinAlgWarning")
def test_sparse_data_give_the_same_model(container, name):
    X, y = data()
    X[np.abs(X) < 0.5] = 0.0
    dense = KernelRidge(2.0, kernel=name, gamma=0.1).fit(X, y)
    sparse = KernelRidge(2.0, kernel=name, gamma=0.1).fit(container(X), y)
    K = dense._get_kernel(X)
    bound = 300 * np.finfo(float).eps * np.linalg.cond(K + 2 * np.eye(20))
    norm = np.linalg.norm(dense.dual_coef_)
    assert np.linalg.norm(sparse.dual_coef_ - dense.dual_coef_) <= bound * norm
    error = np.linalg.norm(sparse.predict(container(X)) - dense.predict(X))
    assert error <= 2 * bound * norm * np.abs(K).max() * 20


@pytest.mark.parametrize(
    ("parameters", "error", "words"),
    [
        ({"kernel": "rbff"}, ValueError, "did you mean 'rbf'"),
        ({"kernel": "rbf", "gamma": -1}, ValueError, "gamma must be .*got -1"),
        ({"kernel": "rbf", "gamma": "scale"}, TypeError, "gamma must be .*got 'scale'"),
        ({"degree": -1}, ValueError, "degree must be .*got -1"),
        ({"coef0": "a"}, TypeError, "coef0 must be .*got 'a'"),
        ({"kernel_params": 3}, TypeError, "kernel_params must be .*got 3"),
        ({"alpha": -1}, ValueError, "alpha must be .*got -1"),
    ],
)
def test_bad_parameters_are_refused_before_any_work(parameters, error, words):
    X, y = data()
    with pytest.raises(error, match=words):
        KernelRidge(**parameters).fit(X, y)


def test_an_overflowing_kernel_is_refused():
    X, y = data()
    with pytest.raises(ValueError, match=r"Gram matrix .* overflows"), np.errstate(all="ignore"):
        KernelRidge(kernel="poly", degree=400).fit(X * 1e10, y)


# --- the intercept ------------------------------------------------------------------------------


@given(
    n=st.integers(1, 25),
    n_targets=st.one_of(st.none(), st.integers(1, 3)),
    weighted=st.booleans(),
    alpha=st.floats(0.01, 10.0),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_numbers_of_the_definition_with_an_intercept(n, n_targets, weighted, alpha, seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2))
    y = 9.0 + rng.normal(size=n if n_targets is None else (n, n_targets))
    weight = rng.uniform(0.2, 2.0, size=n) if weighted else None
    model = KernelRidge(alpha, kernel="rbf", gamma=0.5, fit_intercept=True).fit(X, y, weight)
    K = np.exp(-0.5 * np.sum((X[:, None] - X[None]) ** 2, axis=2))
    a, b = reference.fit(K, y, alpha, weight, fit_intercept=True)
    # Condition number times n·eps, and the reference does not centre the targets.
    bound = (10 * n + 100) * np.finfo(float).eps * condition(K, alpha, weight) * 20
    assert np.abs(model.dual_coef_ - a).max() <= bound / alpha
    assert np.abs(model.intercept_ - b).max() <= bound
    X_new = rng.normal(size=(5, 2))
    K_new = np.exp(-0.5 * np.sum((X_new[:, None] - X[None]) ** 2, axis=2))
    expected = reference.predictions(K_new, a, b)
    assert np.abs(model.predict(X_new) - expected).max() <= bound * n / alpha
    assert model.predict(X_new).shape == expected.shape


def test_the_intercept_is_a_number_or_one_for_each_target():
    X, y = data(n_targets=2)
    one = KernelRidge(fit_intercept=True).fit(X, y[:, 0])
    both = KernelRidge(fit_intercept=True).fit(X, y)
    assert isinstance(one.intercept_, float)
    assert both.intercept_.shape == (2,)
    assert both.intercept_[0] == pytest.approx(one.intercept_, rel=1e-12)
    for model in (KernelRidge().fit(X, y), KernelRidge().fit(X, y[:, 0])):
        assert model.intercept_ == 0.0
        assert isinstance(model.intercept_, float)


def test_far_from_all_points_an_rbf_model_is_its_intercept():
    X, y = data()
    model = KernelRidge(0.1, kernel="rbf", gamma=1.0, fit_intercept=True).fit(X, 40.0 + y)
    assert model.predict([[1e3, 1e3, 1e3]])[0] == model.intercept_
    assert abs(model.intercept_ - 40.0) < 1.0
    assert model.dual_coef_.sum() == pytest.approx(0.0, abs=1e-13 * np.abs(model.dual_coef_).sum())


def test_a_linear_kernel_with_an_intercept_is_ridge_regression():
    from sklearn.linear_model import Ridge

    X, y = data(30, 4, 2)
    weight = np.linspace(0.5, 2.0, 30)
    ours = KernelRidge(0.7, fit_intercept=True).fit(X, 10.0 + y, weight)
    theirs = Ridge(0.7).fit(X, 10.0 + y, weight)
    np.testing.assert_allclose(ours.X_fit_.T @ ours.dual_coef_, theirs.coef_.T, atol=1e-12)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_targets", [None, 2])
def test_a_large_offset_costs_no_digits(dtype, n_targets):
    X, y = data(30, 2, n_targets)
    X = X.astype(dtype)
    y = (np.rint(8 * y) / 8).astype(dtype)
    offset = dtype(2.0 ** (18 if dtype == np.float32 else 40))
    parameters = {"alpha": 0.1, "kernel": "rbf", "gamma": 0.5, "fit_intercept": True}
    plain, moved = (KernelRidge(**parameters).fit(X, y + shift) for shift in (dtype(0), offset))
    assert plain.dual_coef_.dtype == plain.predict(X).dtype == dtype
    assert np.asarray(moved.intercept_).dtype in (dtype, np.float64)
    eps = np.finfo(dtype).eps
    bound = 400 * eps * condition(plain._get_kernel(X), 0.1)
    np.testing.assert_allclose(moved.dual_coef_, plain.dual_coef_, rtol=0, atol=bound)
    np.testing.assert_allclose(
        moved.predict(X), plain.predict(X) + offset, rtol=2 * eps, atol=bound
    )


@pytest.mark.parametrize("kind", ["precomputed", "callable", "sparse", "kernel object", "sigmoid"])
@pytest.mark.filterwarnings("ignore::scipy.linalg.LinAlgWarning")
def test_every_kind_of_kernel_takes_an_intercept(kind):
    X, y = data(25, 3)
    y = y + 6.0
    K = np.exp(-0.5 * np.sum((X[:, None] - X[None]) ** 2, axis=2))
    parameters, argument = {
        "precomputed": ({"kernel": "precomputed"}, K),
        "callable": ({"kernel": lambda a, b: np.exp(-0.5 * np.sum((a - b) ** 2))}, X),
        "sparse": ({"kernel": "rbf", "gamma": 0.5}, sp.csr_array(X)),
        "kernel object": ({"kernel": kernels.RBF(1.0)}, X),
        "sigmoid": ({"kernel": "sigmoid", "gamma": 0.5, "coef0": -1.0}, X),
    }[kind]
    if kind == "sigmoid":
        K = np.tanh(0.5 * X @ X.T - 1.0)
    kept = argument.copy()
    model = KernelRidge(0.1, fit_intercept=True, **parameters).fit(argument, y)
    assert (argument != kept).sum() == 0
    a, b = reference.fit(K, y, 0.1, fit_intercept=True)
    bound = 400 * np.finfo(float).eps * np.linalg.cond(K + 0.1 * np.eye(25)) * 10
    assert np.abs(model.dual_coef_ - a).max() <= bound * np.abs(a).max()
    assert abs(model.intercept_ - b) <= bound * 10


@pytest.mark.parametrize("value", [None, 1, "yes", np.nan])
def test_an_intercept_is_asked_for_by_true(value):
    X, y = data()
    with pytest.raises(TypeError, match=r"fit_intercept must be True or False, got"):
        KernelRidge(fit_intercept=value).fit(X, y)
    assert KernelRidge(fit_intercept=np.True_).fit(X, y).intercept_ != 0.0


# --- manners ------------------------------------------------------------------------------------


def test_the_signature_is_the_peers_with_an_intercept_and_a_device_behind_it():
    import inspect

    ours = inspect.signature(KernelRidge.__init__).parameters
    theirs = inspect.signature(sklearn.kernel_ridge.KernelRidge.__init__).parameters
    assert [(p.name, p.default, p.kind) for p in ours.values()] == [
        *((p.name, p.default, p.kind) for p in theirs.values()),
        ("fit_intercept", False, inspect.Parameter.KEYWORD_ONLY),
        ("device", "cpu", inspect.Parameter.KEYWORD_ONLY),
    ]
    peers = sklearn.kernel_ridge.KernelRidge().get_params()
    assert KernelRidge().get_params() == {**peers, "fit_intercept": False, "device": "cpu"}


def test_pickles_and_clones():
    X, y = data()
    model = KernelRidge(0.3, kernel="rbf", gamma=0.5).fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    fresh = clone(model)
    assert fresh.get_params() == model.get_params()
    assert not hasattr(fresh, "dual_coef_")
    assert is_regressor(model)


def test_feature_names_are_kept_and_compared():
    import pandas as pd

    X, y = data()
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    model = KernelRidge().fit(frame, y)
    assert list(model.feature_names_in_) == ["a", "b", "c"]
    assert model.n_features_in_ == 3
    with pytest.raises(ValueError, match=r"feature names"):
        model.predict(frame[["c", "b", "a"]])


def test_inputs_are_never_modified():
    X, y = data(n_targets=2)
    weight = np.linspace(0.5, 1.5, 20)
    alpha = np.array([1.0, 2.0])
    kept = [a.copy() for a in (X, y, weight, alpha)]
    for array in (X, y, weight, alpha):
        array.flags.writeable = False
    model = KernelRidge(alpha, kernel="rbf").fit(X, y, weight)
    model.predict(X)
    for array, copy in zip((X, y, weight, alpha), kept, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("layout", ["F", "strided", "reversed"])
def test_any_layout_gives_the_same_model(layout):
    X, y = data(24, 4)
    other = {
        "F": np.asfortranarray(X),
        "strided": np.repeat(X, 2, axis=1)[:, ::2],
        "reversed": X[::-1].copy()[::-1],
    }[layout]
    plain = KernelRidge(kernel="rbf").fit(X, y)
    np.testing.assert_array_equal(
        KernelRidge(kernel="rbf").fit(other, y).dual_coef_, plain.dual_coef_
    )


def test_predictions_come_in_blocks_of_bounded_memory(monkeypatch):
    X, y = data(20, 3, 2)
    model = KernelRidge(kernel="rbf").fit(X, y)
    whole = model.predict(np.tile(X, (5, 1)))
    monkeypatch.setattr(module, "_PREDICTION_BYTES", 7 * 20 * 8)
    sizes = []
    original = KernelRidge._get_kernel

    def spy(self, X, Y=None):
        sizes.append(X.shape[0])
        return original(self, X, Y)

    monkeypatch.setattr(KernelRidge, "_get_kernel", spy)
    blocks = model.predict(np.tile(X, (5, 1)))
    assert sizes == [7] * 14 + [2]
    scale = np.abs(model.dual_coef_).sum()
    np.testing.assert_allclose(blocks, whole, rtol=0, atol=20 * np.finfo(float).eps * scale)


def test_a_weight_counts_as_that_many_copies():
    X, y = data()
    copies = np.random.default_rng(1).integers(0, 4, size=20)
    weighted = KernelRidge(0.5, kernel="rbf").fit(X, y, copies)
    rows = np.repeat(np.arange(20), copies)
    repeated = KernelRidge(0.5, kernel="rbf").fit(X[rows], y[rows])
    K = repeated._get_kernel(X[rows])
    bound = 10 * rows.size * np.finfo(float).eps * condition(K, 0.5)
    scale = np.abs(repeated.dual_coef_).sum()
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=0, atol=bound * scale)


def test_scores_and_pipelines():
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    X, _ = data(60, 2)
    y = np.sin(X[:, 0]) + X[:, 1]
    model = make_pipeline(StandardScaler(), KernelRidge(kernel="rbf"))
    search = GridSearchCV(model, {"kernelridge__alpha": [1e-3, 1e3]}, cv=3).fit(X, y)
    assert search.best_params_ == {"kernelridge__alpha": 1e-3}
    assert search.score(X, y) > 0.9


@pytest.mark.parametrize("name", ["rbf", "linear", "laplacian", "poly", "sigmoid"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.filterwarnings("ignore::scipy.linalg.LinAlgWarning")
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_a_fit_takes_the_memory_of_one_gram_matrix(name, weighted, fit_intercept):
    n = 500
    X, y = data(n, 3)
    weight = np.ones(n) if weighted else None
    # Cholesky's method must do: the sigmoid kernel with its least squares takes more.
    model = KernelRidge(1e3, kernel=name, gamma=0.1, fit_intercept=fit_intercept)
    model.fit(X, y, weight)  # compiles what must be
    tracemalloc.start()
    try:
        model.fit(X, y, weight)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1.2 * 8 * n * n


@pytest.mark.parametrize("size", [1e-160, 1e-157])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_a_kernel_below_all_normal_numbers_is_zero(size, fit_intercept):
    """Its inverse would overflow, and 0·∞ is no number."""
    X, y = size * np.random.default_rng(0).normal(size=(14, 2)), np.arange(14.0)
    model = KernelRidge(0, kernel="linear", fit_intercept=fit_intercept)
    with pytest.warns(LinAlgWarning, match="singular"):
        predictions = model.fit(X, y).predict(X)
    np.testing.assert_allclose(predictions, 6.5 if fit_intercept else 0.0, atol=1e-12)
    with pytest.warns(LinAlgWarning, match="singular"):
        band = bootstrap_band(model, X, y, X, n_resamples=10, rng=0)
    assert np.isfinite(band.distribution).all()
    np.testing.assert_allclose(band.center, predictions, atol=1e-12)
    path = kernel_ridge_path(X, y, kernel="linear", alphas=[1e-290, 1.0])
    assert np.isfinite(path.loo_errors).all()
