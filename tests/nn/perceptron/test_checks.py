"""What the perceptrons refuse, and in what words."""

import numpy as np
import pytest

from fastkb.nn.perceptron import checks as validation


@pytest.mark.parametrize(
    "good",
    [
        {"hidden_layer_sizes": 5},
        {"hidden_layer_sizes": ()},
        {"hidden_layer_sizes": np.array([3, 4])},
        {"batch_size": "auto"},
        {"batch_size": np.int64(7)},
        {"momentum": 1},
        {"momentum": 0.0},
        {"n_iter_no_change": np.inf},
        {"n_iter_no_change": 3},
        {"tol": 0},
        {"tol": 1e9},
        {"verbose": True},
        {"verbose": 10},
        {"alpha": 0},
        {"validation_fraction": 0.0},
        {"shuffle": np.True_},
        {"loss": "squared_error"},
        {"random_state": object()},
    ],
)
def test_good_parameters_pass(good):
    validation.check_perceptron(good)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"hidden_layer_sizes": 0}, "hidden_layer_sizes must be > 0.*got 0"),
        ({"hidden_layer_sizes": np.array(2.5)}, r"hidden_layer_sizes must be > 0.*got array\(2\.5"),
        ({"hidden_layer_sizes": np.array("2020", "M8[Y]")}, "hidden_layer_sizes must be > 0"),
        ({"hidden_layer_sizes": (3, -1)}, r"hidden_layer_sizes must be > 0.*\(3, -1\)"),
        ({"hidden_layer_sizes": (3, 2.5)}, "hidden_layer_sizes"),
        ({"hidden_layer_sizes": "3"}, "hidden_layer_sizes"),
        ({"hidden_layer_sizes": True}, "hidden_layer_sizes"),
        ({"hidden_layer_sizes": None}, "hidden_layer_sizes"),
        ({"activation": "rellu"}, "activation must be one of .*got 'rellu'; did you mean 'relu'"),
        ({"activation": None}, "activation must be one of"),
        ({"solver": "adan"}, "solver must be .*did you mean 'adam'"),
        ({"learning_rate": 0.1}, "learning_rate must be one of constant, invscaling, adaptive"),
        ({"alpha": -1.0}, "alpha"),
        ({"alpha": np.nan}, "alpha"),
        ({"alpha": True}, "alpha"),
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": 1.5}, "batch_size must be 'auto' or"),
        (
            {"batch_size": "all"},
            "batch_size must be 'auto' or a whole number of at least 1, got 'all'",
        ),
        ({"learning_rate_init": 0.0}, "learning_rate_init"),
        ({"power_t": -0.5}, "power_t"),
        ({"max_iter": 0}, "max_iter"),
        ({"max_iter": 2.0}, "max_iter"),
        ({"shuffle": 1}, "shuffle must be True or False, got 1"),
        ({"tol": -1e-3}, "tol"),
        ({"verbose": -1}, "verbose"),
        ({"verbose": "yes"}, "verbose"),
        ({"momentum": 1.1}, "momentum must be a number from 0 to 1, got 1.1"),
        ({"validation_fraction": 1.0}, "validation_fraction must be .*below 1"),
        ({"beta_1": 1.0}, "beta_1 must be"),
        ({"beta_2": -0.1}, "beta_2 must be"),
        ({"epsilon": 0}, "epsilon"),
        ({"n_iter_no_change": 2.5}, "n_iter_no_change"),
        ({"max_fun": 0}, "max_fun"),
        ({"loss": "poisson"}, "loss='poisson' is not supported: expected 'squared_error'"),
        ({"loss": "squared_eror"}, "did you mean 'squared_error'"),
    ],
)
@pytest.mark.parametrize("error", [ValueError, TypeError])  # scikit-learn's class is both
def test_bad_parameters_are_refused_by_name(bad, words, error):
    with pytest.raises(error, match=words):
        validation.check_perceptron(bad)


def test_the_checks_know_all_parameters_of_the_peer():
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    theirs = {**MLPClassifier().get_params(), **MLPRegressor().get_params()}
    validation.check_perceptron(theirs)
    assert set(theirs) == set(validation._CHECKS)


@pytest.mark.parametrize(
    ("given", "expected"),
    [(4, (4,)), ((), ()), ([2, 3], (2, 3)), (np.array([5]), (5,)), (range(1, 3), (1, 2))],
)
def test_hidden_layer_sizes(given, expected):
    assert validation.check_hidden_layer_sizes(given) == expected


@pytest.mark.parametrize(
    ("given", "n", "expected"), [("auto", 1000, 200), ("auto", 3, 3), (7, 9, 7)]
)
def test_batch_size(given, n, expected):
    assert validation.check_batch_size(given, n) == expected


def test_a_batch_larger_than_the_data_is_clipped_with_a_warning():
    with pytest.warns(UserWarning, match="batch_size=10 is clipped to 4"):
        assert validation.check_batch_size(10, 4) == 4


def test_there_must_be_something_to_score_on():
    validation.check_aside(2, 10, 0.2)
    with pytest.raises(ValueError, match=r"too small: validation_fraction=0.1 of 10 .* are 1, and"):
        validation.check_aside(1, 10, 0.1)


def test_outputs_must_be_those_of_the_network():
    validation.check_outputs(np.zeros((3, 2)), 2)
    with pytest.raises(ValueError, match=r"y has 2 columns.* 1 outputs"):
        validation.check_outputs(np.zeros((3, 2)), 1)


def test_classes_of_partial_fit():
    known = np.array([0, 1])
    np.testing.assert_array_equal(validation.check_classes([1, 0], None), known)
    assert validation.check_classes(None, known) is None
    assert validation.check_classes([0, 1], known) is None
    with pytest.raises(ValueError, match="classes must be given in the first call"):
        validation.check_classes(None, None)
    with pytest.raises(ValueError, match="are not those of the first call"):
        validation.check_classes([0, 2], known)


def test_labels_of_other_classes():
    known = np.array(["a", "b", "c"])
    validation.check_same_classes(np.array(["a", "b"]), known, exactly=False)
    validation.check_same_classes(np.array(["c", "b", "a"]), known, exactly=True)
    with pytest.raises(ValueError, match=r"y has the classes \['d'\]"):
        validation.check_same_classes(np.array(["a", "d"]), known, exactly=False)
    with pytest.raises(ValueError, match="same classes as in the previous call"):
        validation.check_same_classes(np.array(["a", "b"]), known, exactly=True)
    validation.check_same_classes(np.array([[0, 1], [1, 1]]), np.arange(2), exactly=True)
