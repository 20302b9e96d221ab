"""What support vector machines refuse, and in what words."""

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp

from fastkb import SVC, SVR, NuSVC, NuSVR, OneClassSVM, kernels
from fastkb.svm import checks as validation

MACHINES = (SVC, NuSVC, SVR, NuSVR, OneClassSVM)


@pytest.mark.parametrize(
    "good",
    [
        {"kernel": "precomputed"},
        {"kernel": kernels.RBF(1.0) * kernels.Linear()},
        {"kernel": lambda X, Y: X @ Y.T},
        {"degree": 2.5},
        {"degree": 0},
        {"gamma": "auto"},
        {"gamma": 0},
        {"gamma": np.float32(0.3)},
        {"coef0": -1},
        {"tol": 1e9},
        {"cache_size": 1e-9},
        {"verbose": True},
        {"verbose": 10},
        {"max_iter": 0},
        {"max_iter": np.int64(7)},
        {"max_iter": 2**70},
        {"shrinking": np.False_},
        {"warm_start": True},
    ],
)
def test_good_parameters_pass(good):
    for kind in MACHINES:
        validation.check_parameters(kind(**good))


@pytest.mark.parametrize(
    "good",
    [
        {"C": np.inf},
        {"C": 10},
        {"C": np.float32(1e-30)},
        {"class_weight": {}},
        {"class_weight": {"a": 0, "b": -1.0}},
        {"random_state": np.random.RandomState(0)},
        {"random_state": 2**32 - 1},
        {"decision_function_shape": "ovo"},
        {"break_ties": np.True_},
    ],
)
def test_good_parameters_of_classifiers_pass(good):
    validation.check_parameters(SVC(**good))


@pytest.mark.parametrize(
    ("kind", "parameter", "values", "words"),
    [
        (SVC, "C", [0, -1, np.nan, "1", None, True, 10**400], "a finite real number above 0"),
        (SVR, "C", [0, -np.inf], "a finite real number above 0"),
        (SVR, "epsilon", [-1e-9, np.nan, np.inf, None], "a finite real number of at least 0"),
        (NuSVC, "nu", [0, 1.01, None, True], "a number above 0 to 1"),
        (NuSVR, "nu", [0.0, "a"], "a number above 0 to 1"),
        (OneClassSVM, "nu", [-0.5, np.nan], "a number above 0 to 1"),
        (SVC, "kernel", ["rbff", None, 3, kernels.RBF], "(one of|a name, a callable or a kernel)"),
        (SVC, "degree", [-1, np.nan, "3", None], "a finite real number of at least 0"),
        (SVC, "gamma", [-1, np.nan, np.inf, None, [1.0], True], "a finite real number of at least"),
        (SVC, "gamma", ["", "scal"], "one of scale, auto or a number of at least 0"),
        (SVC, "coef0", [np.nan, np.inf, "a", None], "a finite real number"),
        (SVC, "tol", [0, -1e-3, np.inf, None], "a finite real number above 0"),
        (SVC, "cache_size", [0, -1, np.inf, "a"], "a finite real number above 0"),
        (SVC, "max_iter", [-2, 1.0, True, None, "a"], "a whole number of at least -1"),
        (SVC, "shrinking", [1, 0, None, "a"], "True or False"),
        (SVC, "warm_start", [1, None], "True or False"),
        (SVC, "break_ties", [1, None], "True or False"),
        (SVC, "verbose", [-1, 1.5, None], "a whole number of at least 0"),
        (SVC, "class_weight", ["balance"], "'balanced', a dict or None"),
        (SVC, "class_weight", [3, [1, 2]], "'balanced', a dict or None"),
        (SVC, "decision_function_shape", ["ovx", None, 1], "one of ovr, ovo"),
        (
            SVC,
            "random_state",
            [-1, 2**32, 1.5, "a", [1]],
            r"None, a whole number from 0 to 2\*\*32",
        ),
    ],
)
@pytest.mark.parametrize("error", [ValueError, TypeError])  # scikit-learn's class is both
def test_bad_parameters_are_refused_by_name(kind, parameter, values, words, error):
    for value in values:
        with pytest.raises(error, match=rf"^{parameter} must be {words}.*, got ") as caught:
            validation.check_parameters(kind(**{parameter: value}))
        assert repr(value) in str(caught.value)


@pytest.mark.parametrize("weight", [np.nan, np.inf, "a", None, 1j])
def test_weights_of_classes_are_numbers(weight):
    with pytest.raises(ValueError, match=r"class_weight\['b'\] must be a finite real number, got "):
        validation.check_parameters(SVC(class_weight={"a": 1.0, "b": weight}))


# --- weights ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, [1.0, 1.0, 1.0]),
        (2, [2.0, 2.0, 2.0]),
        (np.float32(0.5), [0.5, 0.5, 0.5]),
        ([1, 0, -2], [1.0, 0.0, -2.0]),
        ([True, False, True], [1.0, 0.0, 1.0]),
    ],
)
def test_weights(given, expected):
    found = validation.check_weights(given, 3)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([1.0, 2.0], r"sample_weight has shape \(2,\), expected one number or .* n_samples=3"),
        (np.ones((3, 1)), r"sample_weight has shape \(3, 1\).*must be 1D array or scalar"),
        ([], r"sample_weight has shape \(0,\)"),
        ([1.0, np.nan, 1.0], "sample_weight contains NaN or infinity: expected finite numbers"),
        (np.inf, "sample_weight contains NaN or infinity"),
        ([0.0, -1.0, 0.0], "all samples have zero or negative weights. Expected a sample_weight"),
        (0, "all samples have zero or negative weights"),
        (
            [1e308] * 3,
            r"sample_weight has a sum beyond .* its largest is 1e\+308: expected smaller",
        ),
        (np.ma.array(np.ones(3), mask=[True, False, False]), "sample_weight must have no masked"),
        (np.ones(3) + 0j, "sample_weight must be real numbers, got complex128"),
        (np.zeros(3, "M8[s]"), "sample_weight must be numbers, got datetime64"),
        (["a", "b", "c"], "sample_weight: could not convert string to float"),
    ],
)
def test_bad_weights_are_named(given, words):
    with pytest.raises(ValueError, match=words):
        validation.check_weights(given, 3)


def test_both_classes_have_rows():
    validation.check_both_classes(1, 2)
    for n_first in (0, 2):
        with pytest.raises(ValueError, match="positive weights belong to the same class: expected"):
            validation.check_both_classes(n_first, 2)


# --- labels and targets -------------------------------------------------------------------------


def test_targets_must_be_there_where_they_are_learned_from():
    validation.check_target_given(OneClassSVM(), None)
    validation.check_target_given(SVC(), [0, 1])
    for kind in MACHINES[:-1]:
        words = f"This {kind.__name__} estimator requires y to be passed, but the target y is None"
        with pytest.raises(ValueError, match=words):
            validation.check_target_given(kind(), None)


def test_labels_may_be_anything_but_masked_or_complex():
    for good in ([0, 1], np.array(["a", "b"]), np.array([0, 1], "M8[D]"), None):
        validation.check_labels(good)
    with pytest.raises(ValueError, match="y must have no masked values; got 1 of them"):
        validation.check_labels(np.ma.array([0, 1], mask=[True, False]))
    with pytest.raises(ValueError, match="y must be real labels, got complex128: Complex data not"):
        validation.check_labels(np.ones(2) + 1j)


def test_labels_as_signs():
    classes = np.array(["no", "yes"])
    np.testing.assert_array_equal(
        validation.check_signs(np.array(["yes", "no", "yes"]), classes), [1.0, -1.0, 1.0]
    )
    with pytest.raises(
        ValueError, match=r"y has the label .*'maybe'.*: expected .*\['no', 'yes'\]"
    ):
        validation.check_signs(np.array(["yes", "maybe"]), classes)


def test_two_classes():
    validation.check_two_classes(np.arange(2))
    with pytest.raises(ValueError, match="model must be fitted to two classes, got 3 of them"):
        validation.check_two_classes(np.arange(3))


# --- kernels ------------------------------------------------------------------------------------


@pytest.mark.parametrize("gamma", [0.0, np.inf, np.nan])
def test_a_gamma_of_the_data_is_a_number_where_it_is_read(gamma):
    for kernel in ("linear", "cosine", "precomputed", kernels.RBF(1.0), lambda X, Y: X @ Y.T):
        validation.check_scaled_gamma(kernel, gamma)
    for kernel in ("rbf", "poly", "sigmoid", "laplacian"):
        validation.check_scaled_gamma(kernel, 1e-300)
        with pytest.raises(
            ValueError, match=f"gamma='scale' is {gamma:g}, as the variance of X is"
        ):
            validation.check_scaled_gamma(kernel, gamma)


def test_the_matrix_of_a_users_function():
    validation.check_called(np.zeros((2, 3)), 2, 3)
    with pytest.raises(
        ValueError, match=r"kernel returned a matrix of shape \(3, 2\): .* \(2, 3\)"
    ):
        validation.check_called(np.zeros((3, 2)), 2, 3)
    for wrong in (np.nan, np.inf):
        with pytest.raises(ValueError, match="kernel returned NaN or infinity: expected finite"):
            validation.check_called(np.full((2, 3), wrong), 2, 3)


def test_a_given_matrix():
    validation.check_square(np.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"square matrix. Input is a 2x3 matrix: expected the k"):
        validation.check_square(np.zeros((2, 3)))
    validation.check_not_sparse(np.eye(2))
    with pytest.raises(TypeError, match=r"Sparse precomputed kernels .*such as X.toarray\(\)"):
        validation.check_not_sparse(sp.csr_matrix(np.eye(2)))
    validation.check_given(np.zeros((5, 3)), 3)
    with pytest.raises(ValueError, match=r"X.shape\[1\] = 2 should be equal to 3, the number of"):
        validation.check_given(np.zeros((5, 2)), 3)
    with pytest.raises(ValueError, match=r"should be equal to 3"):
        validation.check_given(np.zeros(3), 3)
    validation.check_training_matrix(np.zeros((3, 3)), 3)
    with pytest.raises(ValueError, match=r"of shape \(3, 3\), for .*; got shape \(2, 3\)"):
        validation.check_training_matrix(np.zeros((2, 3)), 3)


# --- results ------------------------------------------------------------------------------------


def test_results_are_finite():
    validation.check_finite_result(np.ones((1, 2)), np.zeros(1))
    for coefficients, intercepts in ((np.array([[np.inf]]), [0.0]), (np.ones((1, 1)), [np.nan])):
        with pytest.raises(ValueError, match="coefficients or intercepts are not finite: X may"):
            validation.check_finite_result(coefficients, np.array(intercepts))


def test_a_margin():
    for margin in (1e-300, -1.0, np.nan):  # of NaN the coefficients will tell
        validation.check_margin(margin)
    for margin in (0.0, 5e-324):
        with pytest.raises(
            ValueError, match=r"as the margin is .*: two classes have rows in common"
        ):
            validation.check_margin(margin)


def test_a_fit_goes_on_to_the_same_rows():
    validation.check_same_problem(3, 3, "samples")
    with pytest.raises(ValueError, match=r"goes on from the fit before, to 3 samples; got 4: fit"):
        validation.check_same_problem(3, 4, "samples")


def test_parts_of_a_model_go_together():
    model = SimpleNamespace(support_vectors_=np.zeros((3, 2)), n_support_=np.array([1, 2]))
    validation.check_untouched(model)
    model.n_support_ = np.array([1, 3])
    with pytest.raises(ValueError, match=r"was altered: n_support_ counts 4 .*_vectors_ holds 3"):
        validation.check_untouched(model)


def test_sparse_points_are_for_sparse_models():
    validation.check_predicted(SVC(), sp.csr_matrix(np.eye(2)), True)
    validation.check_predicted(SVC(), np.eye(2), True)
    with pytest.raises(ValueError, match="sparse input in 'SVC' trained on dense data: expected a"):
        validation.check_predicted(SVC(), sp.csr_matrix(np.eye(2)), False)


def test_weights_of_columns_are_a_linear_kernels():
    validation.check_coef_kernel("linear")
    for kernel in ("rbf", kernels.Linear(), lambda X, Y: X @ Y.T):
        with pytest.raises(AttributeError, match="only available when using a linear kernel"):
            validation.check_coef_kernel(kernel)


def test_a_cost_to_take_lambda_from():
    validation.check_has_cost(SVC())
    with pytest.raises(ValueError, match="lam must be given for NuSVC, which has no C: expected a"):
        validation.check_has_cost(NuSVC())


def test_a_finite_cost():
    validation.check_finite_cost(1e300)
    with pytest.raises(ValueError, match="C must be a finite number above 0 for ν-regression, got"):
        validation.check_finite_cost(np.inf)


@pytest.mark.parametrize("lam", [0, -1.0, np.inf, np.nan, "1", None])
def test_a_penalty(lam):
    assert validation.check_lambda(np.float32(0.5)) == 0.5
    with pytest.raises(ValueError, match="lam must be a finite real number above 0, got"):
        validation.check_lambda(lam)
