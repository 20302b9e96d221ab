"""Bad input to networks: one clear error, which names the argument, before any work."""

import inspect
import re

import numpy as np
import pytest

from fastkb import nn
from fastkb.nn import checks as validation
from fastkb.nn.program.engine import Engine

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 3))
Y = X[:, 0]
LABELS = np.arange(12) % 2


@pytest.fixture(autouse=True)
def no_work(monkeypatch):
    """Whoever draws parameters or trains has begun to work."""

    def work(*arguments):
        raise AssertionError("there was work before the error")

    for name in ("initialize", "train", "forward", "loss_and_gradients"):
        monkeypatch.setattr(Engine, name, work)


def network(outputs=1, **kwargs):
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, outputs), **kwargs)


def replaced(value, array=X):
    changed = array.astype(float)
    changed.flat[4] = value
    return changed


def fit(net, X, y, **kwargs):
    return net.fit(X, y, **kwargs)


def gradients(net, X, y, **kwargs):
    return net.loss_and_gradients(X, y, **kwargs)


def ensemble(net, X, y, **kwargs):
    return nn.bootstrap_fit(net, X, y, n_resamples=2, **kwargs)


each_function = pytest.mark.parametrize("function", [fit, gradients, ensemble])
each_training = pytest.mark.parametrize("function", [fit, ensemble])


def refused(function, X, y, message, *, outputs=1, error=ValueError, **kwargs):
    net = network(outputs)
    with pytest.raises(error, match=message):
        function(net, X, y, **kwargs)
    assert net.dtype is None  # as if nothing had been asked
    assert net.history == {"loss": [], "learning_rate": []}


# --- inputs -------------------------------------------------------------------------------------

BAD_INPUTS = {
    "width": (X[:, :2], "X has 2 columns, and the network takes 3"),
    "NaN": (replaced(np.nan), "Input X contains NaN"),
    "infinity": (replaced(-np.inf), "Input X contains infinity"),
    "no rows": (X[:0], r"Found array with 0 sample\(s\)"),
    "no columns": (X[:, :0], r"Found array with 0 feature\(s\)"),
    "one axis": (X[0], "Expected 2D array, got 1D array"),
    "three axes": (X[None], "dim 3"),
    "a number": (3.0, "Expected 2D array, got scalar array"),
    "text": (np.full((12, 3), "a"), "could not convert string to float|dtype='numeric'"),
    "complex": (X + 1j, "Complex data not supported"),
}


@each_function
@pytest.mark.parametrize("kind", BAD_INPUTS)
def test_inputs(function, kind):
    wrong, message = BAD_INPUTS[kind]
    refused(function, wrong, Y, message)


@pytest.mark.parametrize("kind", BAD_INPUTS)
def test_inputs_of_forward(kind):
    wrong, message = BAD_INPUTS[kind]
    net = network()
    with pytest.raises(ValueError, match=message):
        net.forward(wrong)
    assert net.dtype is None


@pytest.mark.parametrize("kind", BAD_INPUTS)
def test_inputs_of_validation(kind):
    wrong, message = BAD_INPUTS[kind]
    refused(fit, X, Y, message, validation_data=(wrong, Y))


def test_targets_of_validation():
    refused(fit, X, Y, "y has 11 rows and X has 12", validation_data=(X, Y[1:]))
    refused(fit, X, Y, "y has NaN or infinity", validation_data=(X, replaced(np.nan, Y)))
    for wrong in (X, (X,), (X, Y, Y)):
        refused(fit, X, Y, "validation_data", error=(TypeError, ValueError), validation_data=wrong)


# --- targets ------------------------------------------------------------------------------------

BAD_TARGETS = {
    "rows": (1, Y[1:], "y has 11 rows and X has 12: they must agree"),
    "one column": (2, Y, r"y must have shape \(n, 2\), as the network has 2 outputs, got \(12,\)"),
    "columns": (1, X, r"y must have shape \(n, 1\), as the network has 1 outputs, got \(12, 3\)"),
    "axes": (1, Y[:, None, None], r"y must have shape \(n, 1\), .* got \(12, 1, 1\)"),
    "a number": (1, 1.0, r"y must have shape \(n, 1\), .* got \(\)"),
    "empty": (1, Y[:0], "y has 0 rows and X has 12"),
    "NaN": (1, replaced(np.nan, Y), "y has NaN or infinity"),
    "infinity": (1, replaced(np.inf, Y), "y has NaN or infinity"),
    "text": (1, ["a"] * 12, "y must be numbers, got"),
    "things": (1, [object()] * 12, "y must be numbers, got object"),
}


@each_function
@pytest.mark.parametrize("loss", ["squared_error", "half_squared_error", "binary_cross_entropy"])
@pytest.mark.parametrize("kind", BAD_TARGETS)
def test_targets(function, loss, kind):
    outputs, wrong, message = BAD_TARGETS[kind]
    refused(function, X, wrong, message, outputs=outputs, loss=loss)


@each_function
def test_complex_targets(function):
    refused(function, X, Y + 1j, "y must be", error=(TypeError, ValueError))


@each_function
@pytest.mark.parametrize("labels", [[0, 2], [-1, 1]])
def test_targets_of_binary_cross_entropy(function, labels):
    wrong = np.resize(labels, 12)
    message = f"y must be from 0 to 1 for binary_cross_entropy, got values from {min(labels)} to"
    refused(function, X, wrong, message, loss="binary_cross_entropy")


BAD_LABELS = {
    "too large": (
        3,
        np.arange(12) % 4,
        r"labels from 0 to 2, .* 3 outputs, got labels from 0 to 3",
    ),
    "negative": (2, LABELS - 1, "labels from 0 to 1, .* got labels from -1 to 0"),
    "very large": (2, np.full(12, 2**63, np.uint64), "labels from 0 to 1, as"),
    "fractions": (2, LABELS.astype(float), "whole numbers for cross_entropy, .* got float64"),
    "text": (2, np.array(["a", "b"])[LABELS], "y must be whole numbers for cross_entropy"),
    "things": (2, [None] * 12, "y must be whole numbers for cross_entropy, .* got object"),
    "one-hot": (2, np.eye(2, dtype=int)[LABELS], r"labels of shape \(n,\) .* got \(12, 2\)"),
    "one column": (2, LABELS[:, None], r"labels of shape \(n,\) for cross_entropy, got \(12, 1\)"),
    "rows": (2, LABELS[1:], "y has 11 rows and X has 12"),
    "empty": (2, LABELS[:0], "y has 0 rows and X has 12"),
    "one class": (1, LABELS * 0, "two outputs at least, .* binary_cross_entropy is for one"),
}


@each_function
@pytest.mark.parametrize("kind", BAD_LABELS)
def test_labels(function, kind):
    outputs, wrong, message = BAD_LABELS[kind]
    refused(function, X, wrong, message, outputs=outputs, loss="cross_entropy")


# --- weights ------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", [fit, gradients])
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (replaced(-1.0, np.ones(12)), "sample_weight must be finite and at least 0"),
        (replaced(np.nan, np.ones(12)), "sample_weight must be finite and at least 0"),
        (replaced(np.inf, np.ones(12)), "sample_weight must be finite and at least 0"),
        (np.zeros(12), "sample_weight must not be 0 everywhere"),
        (np.ones(11), "sample_weight has 11 rows and X has 12: they must agree"),
        (np.ones((12, 1)), r"sample_weight must have shape \(n,\), got \(12, 1\)"),
        (1.0, r"sample_weight must have shape \(n,\), got \(\)"),
        (["a"] * 12, "sample_weight must be"),
    ],
)
def test_weights(function, wrong, message):
    refused(function, X, Y, message, sample_weight=wrong)


# --- losses, optimisers, numbers ----------------------------------------------------------------


@each_function
@pytest.mark.parametrize(
    ("name", "closest"),
    [("square_error", "squared_error"), ("crossentropy", "cross_entropy"),
     ("binary_crossentropy", "binary_cross_entropy")],
)  # fmt: skip
def test_the_closest_loss_is_suggested(function, name, closest):
    refused(
        function, X, Y, f"loss must be one of .*, got '{name}'; did you mean '{closest}'", loss=name
    )


@each_function
@pytest.mark.parametrize("name", ["nonsense", None, 3, ["squared_error"]])
def test_unknown_losses(function, name):
    message = f"loss must be one of {', '.join(validation.LOSSES)}, got {name!r}"
    refused(function, X, Y, re.escape(message), loss=name)


@each_training
@pytest.mark.parametrize(
    ("name", "closest"),
    [("adm", "adam"), ("adma-w", "adamw"), ("rmsprob", "rmsprop"), ("sdg", "sgd")],
)
def test_the_closest_optimizer_is_suggested(function, name, closest):
    message = f"optimizer must be one of sgd, .*, got '{name}'; did you mean '{closest}'"
    refused(function, X, Y, message, optimizer=name)


@each_training
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (nn.Adam, r"optimizer must be an optimiser or the name of one, got .*: write Adam\("),
        (3, "optimizer must be an optimiser or the name of one, got 3"),
        (nn.Cosine(3), "optimizer must be an optimiser or the name of one, got Cosine"),
    ],
)
def test_no_optimizers(function, wrong, message):
    refused(function, X, Y, message, optimizer=wrong, error=TypeError)


@pytest.mark.parametrize("optimizer", [nn.SGD, nn.Adagrad, nn.RMSprop, nn.Adam, nn.AdamW, nn.LAMB])
@pytest.mark.parametrize("lr", [-0.1, 0, np.nan, np.inf])
def test_learning_rates(optimizer, lr):
    with pytest.raises(ValueError, match="lr must be a finite real number above 0, got"):
        optimizer(lr=lr)


@each_training
@pytest.mark.parametrize("name", ["epochs", "batch_size"])
@pytest.mark.parametrize("wrong", [0, -1, 2.0, "3", None, True])
def test_counts(function, name, wrong):
    refused(function, X, Y, f"{name} must be a whole number of at least 1, got", **{name: wrong})


@pytest.mark.parametrize("wrong", [0, -1, 2.0, "3", True])
def test_patience(wrong):
    refused(fit, X, Y, "patience must be a whole number of at least 1, got", patience=wrong)


@each_function
@pytest.mark.parametrize("wrong", [-1, np.nan, np.inf, "a", None, True])
def test_penalties(function, wrong):
    refused(function, X, Y, "l2 must be", l2=wrong)


@each_training
@pytest.mark.parametrize("wrong", [1, 0, "yes", None])
def test_flags(function, wrong):
    refused(function, X, Y, "shuffle must be True or False, got", shuffle=wrong, error=TypeError)


@pytest.mark.parametrize("wrong", [[3], ["print"], [print, None]])
def test_callbacks(wrong):
    refused(fit, X, Y, "callbacks must be functions, got", callbacks=wrong, error=TypeError)


@each_training
def test_seeds(function):
    refused(function, X, Y, "rng must not be negative, got -1", rng=-1)
    refused(function, X, Y, "rng must be None, a non-negative integer", rng="0", error=TypeError)
    with pytest.raises(ValueError, match="rng must not be negative"):
        network(rng=-1)


@pytest.mark.parametrize("wrong", [0, -1])
def test_numbers_of_resamples(wrong):
    with pytest.raises(ValueError, match="n_resamples must be a whole number from 1"):
        nn.bootstrap_fit(network(), X, Y, n_resamples=wrong)


@pytest.mark.parametrize("wrong", [nn.Sequential, nn.Linear(3, 1), [nn.Linear(3, 1)], None])
def test_networks(wrong):
    with pytest.raises(TypeError, match=r"network must be a fastkb\.nn\.Sequential, got"):
        nn.bootstrap_fit(wrong, X, Y)


@pytest.mark.parametrize("wrong", ["float16", np.int64, complex])
def test_element_types(wrong):
    with pytest.raises(ValueError, match="dtype must be one of float32, float64, got"):
        network(dtype=wrong)


# --- layers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            [nn.Linear(3, 4), nn.Linear(5, 1)],
            r"layer 1, Linear\(in_features=5, .*\), takes 5 inputs, and gets 4",
        ),
        (
            [nn.Linear(3, 4), nn.ReLU(), nn.Tanh(), nn.Linear(3, 4)],
            r"layer 3, Linear\(in_features=3, .*\), takes 3 inputs, and gets 4",
        ),
        ([], "a network needs a layer with parameters, such as Linear, got 0 without"),
        (
            [nn.ReLU(), nn.Tanh()],
            "a network needs a layer with parameters, such as Linear, got 2 without",
        ),
    ],
)
def test_layers_that_do_not_fit(layers, message):
    with pytest.raises(ValueError, match=message):
        nn.Sequential(*layers)


class _Foreign:
    """A layer of another make, whose widths have the same names."""

    in_features, out_features = 3, 1


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            [nn.Linear(3, 1), nn.ReLU],
            r"layer 1 must be an instance, got the class ReLU: write ReLU\(",
        ),
        ([nn.Linear], "layer 0 must be an instance, got the class Linear"),
        ([[nn.Linear(3, 1), nn.ReLU()]], r"layer 0 must be one of fastkb\.nn's layers, got list"),
        ([nn.Linear(3, 1), "relu"], r"layer 1 must be one of fastkb\.nn's layers, got str"),
        ([nn.Linear(3, 1), None], r"layer 1 must be one of fastkb\.nn's layers, got NoneType"),
        ([nn.Linear(3, 1), np.tanh], r"layer 1 must be one of fastkb\.nn's layers, got ufunc"),
        ([_Foreign()], r"layer 0 must be one of fastkb\.nn's layers, got _Foreign"),
    ],
)
def test_things_that_are_no_layers(layers, message):
    with pytest.raises(TypeError, match=message):
        nn.Sequential(*layers)


@each_function
def test_sign_is_not_trained(function):
    net = nn.Sequential(nn.Linear(3, 4), nn.Sign(), nn.Linear(4, 1))
    with pytest.raises(ValueError, match=r"layer 1 is Sign\(\), which has no derivative"):
        function(net, X, Y)
    assert net.dtype is None


# --- state_dict ---------------------------------------------------------------------------------

GOOD = {"0.weight": np.ones((4, 3)), "0.bias": np.ones(4), "2.weight": np.ones((1, 4)),
        "2.bias": np.ones(1)}  # fmt: skip

BAD_STATES = {
    "empty": ({}, r"lacks 0\.weight, 0\.bias, 2\.weight, 2\.bias: the network has 0\.weight,"),
    "missing": (
        {k: GOOD[k] for k in GOOD if k != "2.bias"},
        r"state_dict lacks 2\.bias: the network",
    ),
    "unknown": (
        {**GOOD, "4.weight": np.ones((1, 1))},
        r"has the unknown 4\.weight: the network has",
    ),
    "both": (
        {**{k: GOOD[k] for k in GOOD if k != "0.bias"}, "0.biases": np.ones(4)},
        r"state_dict lacks 0\.bias and has the unknown 0\.biases: the network has",
    ),
    "transposed": (
        {**GOOD, "0.weight": np.ones((3, 4))},
        r"state_dict\['0\.weight'\] has shape \(3, 4\), expected \(4, 3\)",
    ),
    "a column": (
        {**GOOD, "0.bias": np.ones((4, 1))},
        r"state_dict\['0\.bias'\] has shape \(4, 1\), expected \(4,\)",
    ),
    "a number": ({**GOOD, "0.bias": 1.0}, r"state_dict\['0\.bias'\] has shape \(\), expected"),
    "NaN": ({**GOOD, "2.bias": [np.nan]}, r"state_dict\['2\.bias'\] has NaN or infinity"),
    "infinity": ({**GOOD, "2.bias": [-np.inf]}, r"state_dict\['2\.bias'\] has NaN or infinity"),
    "text": ({**GOOD, "2.bias": ["a"]}, r"state_dict\['2\.bias'\] must be numbers, got"),
    "complex": (
        {**GOOD, "2.bias": [1j]},
        r"state_dict\['2\.bias'\] must be numbers, got complex128",
    ),
    "things": ({**GOOD, "2.bias": [None]}, r"state_dict\['2\.bias'\] must be numbers, got object"),
}


@pytest.mark.parametrize("kind", BAD_STATES)
def test_bad_states_leave_the_network_as_it_is(kind, monkeypatch):
    monkeypatch.undo()
    wrong, message = BAD_STATES[kind]
    net = network(rng=0, dtype=np.float64)
    before = net.state_dict()
    with pytest.raises(ValueError, match=message):
        net.load_state_dict(wrong)
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


@pytest.mark.parametrize("kind", ["empty", "missing", "transposed", "NaN"])
def test_bad_states_leave_a_new_network_as_it_is(kind, monkeypatch):
    """Its element type is still that of the first data."""
    monkeypatch.undo()
    wrong, message = BAD_STATES[kind]
    net = network(rng=0)
    with pytest.raises(ValueError, match=message):
        net.load_state_dict({name: np.float32(value) for name, value in wrong.items()})
    assert net.dtype is None
    assert net.forward(X).dtype == np.float64


def test_states_too_large_for_the_element_type(monkeypatch):
    monkeypatch.undo()
    net = network(rng=0, dtype=np.float32)
    before = net.state_dict()
    with pytest.raises(ValueError, match=r"state_dict\['2\.bias'\]"):
        net.load_state_dict({**GOOD, "2.bias": [1e300]})
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


# --- an error changes nothing -------------------------------------------------------------------


def test_a_trained_network_is_left_as_it_is(monkeypatch):
    monkeypatch.undo()
    net = network(rng=0).fit(X, Y, epochs=2)
    before, history = net.state_dict(), {name: list(v) for name, v in net.history.items()}
    for wrong in (
        {"X": X[:, :2]},
        {"y": Y[1:]},
        {"loss": "squared"},
        {"optimizer": "adm"},
        {"epochs": 0},
        {"validation_data": (X, replaced(np.nan, Y))},
        {"rng": -1},
    ):
        with pytest.raises(ValueError):
            net.fit(**{"X": X, "y": Y, **wrong})
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    assert net.history == history
    again = network(rng=0).fit(X, Y, epochs=2).fit(X, Y, epochs=1)
    net.fit(X, Y, epochs=1)
    np.testing.assert_array_equal(net.state_dict()["0.weight"], again.state_dict()["0.weight"])


# --- what is accepted ---------------------------------------------------------------------------


def test_settings():
    settings = validation.check_training(np.int64(3), 8, np.True_, None, print)
    assert settings == (3, 8, True, None, (print,))
    assert [type(value) for value in settings[:3]] == [int, int, bool]
    assert validation.check_training(1, 1, False, 2, [print, repr])[3:] == (2, (print, repr))


def test_parameters_of_fits():
    defaults = validation.check_fit_params(None)
    assert defaults == validation.check_fit_params({})
    parameters = inspect.signature(nn.Sequential.fit).parameters
    assert defaults._asdict() == {name: parameters[name].default for name in defaults._fields}
    assert validation.check_fit_params({"l2": 3, "epochs": 4}) == defaults._replace(l2=3, epochs=4)
    with pytest.raises(
        ValueError, match=r"^fit_params has the unknown 'epoch': a network's are loss, .* scale; "
        r"did you mean 'epochs'\?$",
    ):  # fmt: skip
        validation.check_fit_params({"epoch": 3})
    with pytest.raises(
        ValueError, match=r"unknown 3: a network's are loss, .*sample_weight, scale$"
    ):
        validation.check_fit_params({3: 3})


def test_fits():
    layers = network().layers
    params = validation.FitParams(l2=1, epochs=np.int64(3), shuffle=np.True_)
    l2, settings = validation.check_fit(layers, params, 4, print)
    assert l2 == 1.0
    assert settings == (3, 32, True, 4, (print,))
    for wrong in ({"l2": -1.0}, {"epochs": 0}, {"batch_size": 0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            validation.check_fit(layers, params._replace(**wrong))
    with pytest.raises(ValueError, match="has no derivative"):
        validation.check_fit((*layers, nn.Sign()), params)


def test_what_a_band_of_a_network_is_of():
    for loss in validation.LOSSES:
        own = "predict_proba" if loss.endswith("cross_entropy") else "predict"
        for method in ("auto", own):
            validation.check_network_response(method, loss)
        for method in {"predict", "predict_proba", "decision_function"} - {own}:
            with pytest.raises(ValueError, match=f"with loss='{loss}' must be 'auto' or '{own}'"):
                validation.check_network_response(method, loss)


def test_labels_of_the_out_of_bag_error():
    labels, column = np.array([0, 1, 1]), np.array([[0.0], [1.0]])
    validation.check_network_labels(labels, "binary_cross_entropy", 1)
    validation.check_network_labels(labels.astype(bool), "binary_cross_entropy", 1)
    validation.check_network_labels(labels + 5, "cross_entropy", 9)
    for y, outputs in ((labels, 2), (column, 1), (np.array([0.0, 0.5]), 1)):
        with pytest.raises(ValueError, match="needs one output, and y of shape"):
            validation.check_network_labels(y, "binary_cross_entropy", outputs)
