"""Sequential: outputs, gradients, parameters in and out, element types, what it may be given."""

import contextlib
import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from fastkb import nn
from fastkb.nn.checks import LOSSES
from fastkb.reference import networks as reference

each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])

ACTIVATIONS = [
    nn.ReLU(), nn.LeakyReLU(0.2), nn.ELU(0.7), nn.Sigmoid(), nn.Tanh(), nn.Softplus(), nn.GELU(),
    nn.Identity(),
]  # fmt: skip
SMOOTH = [nn.Sigmoid(), nn.Tanh(), nn.Softplus(), nn.GELU()]


def data(loss="squared_error", dtype=np.float64, n=40):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 4)).astype(dtype)
    if loss == "cross_entropy":
        return X, rng.integers(0, 3, n)
    return X, rng.uniform(size=(n, 3)).astype(dtype)


def network(*activations, rng=0, dtype=None, bias=True):
    first, second = activations or (nn.Tanh(), nn.GELU())
    layers = [nn.Linear(4, 11, bias), first, nn.Linear(11, 6), second, nn.Linear(6, 3, bias)]
    return nn.Sequential(*layers, rng=rng, dtype=dtype)


def plain_layers(net):
    """The network as the reference takes it, in float64."""
    found, parameters = [], net.state_dict()
    for place, layer in enumerate(net.layers):
        if isinstance(layer, nn.Linear):
            W, b = parameters[f"{place}.weight"], parameters.get(f"{place}.bias")
            found.append(("linear", W.astype(float), None if b is None else b.astype(float)))
        else:
            found.append(("activation", layer.name, layer.parameter))
    return found


def torch_network(torch, net):
    names = {
        "relu": "ReLU", "leaky_relu": "LeakyReLU", "elu": "ELU", "sigmoid": "Sigmoid",
        "tanh": "Tanh", "softplus": "Softplus", "gelu": "GELU", "identity": "Identity",
    }  # fmt: skip
    layers = []
    for layer in net.layers:
        if isinstance(layer, nn.Linear):
            bias = layer.bias
            layers.append(torch.nn.Linear(layer.in_features, layer.out_features, bias=bias))
        else:
            arguments = [layer.parameter] if layer.name in ("leaky_relu", "elu") else []
            layers.append(getattr(torch.nn, names[layer.name])(*arguments))
    return torch.nn.Sequential(*layers)


# --- what it is ---------------------------------------------------------------------------------


def test_widths_and_name():
    net = nn.Sequential(nn.Tanh(), nn.Linear(4, 7), nn.ReLU(), nn.Linear(7, 2), nn.Sigmoid())
    assert (net.in_features, net.out_features) == (4, 2)
    lines = repr(net).splitlines()
    assert lines[0] == "Sequential("
    assert lines[1:-1] == [f"  ({k}): {layer!r}" for k, layer in enumerate(net.layers)]


def test_calling_is_forward():
    net = network()
    X, _ = data()
    np.testing.assert_array_equal(net(X), net.forward(X))
    assert net(X).shape == (40, 3)


def test_first_weights_have_the_range_of_their_initialization():
    layers = nn.Linear(9, 50), nn.Linear(50, 40, initialization="he"), nn.Linear(40, 2, bias=False)
    state = nn.Sequential(*layers, rng=0, dtype=np.float64).state_dict()
    assert list(state) == ["0.weight", "0.bias", "1.weight", "1.bias", "2.weight"]
    assert 0.32 < np.abs(state["0.weight"]).max() <= 1 / 3
    assert 0 < np.abs(state["0.bias"]).max() <= 1 / 3
    assert 0.34 < np.abs(state["1.weight"]).max() <= np.sqrt(6 / 50)
    assert not state["1.bias"].any()


def test_the_single_node_as_a_classifier():
    net = nn.Sequential(nn.Linear(2, 1), nn.Sign())
    net.load_state_dict({"0.weight": [[1.0, -1.0]], "0.bias": [0.5]})
    X = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.5]])
    np.testing.assert_array_equal(net.forward(X), [[1.0], [-1.0], [0.0]])


# --- outputs, losses, gradients -----------------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=repr)
@pytest.mark.parametrize("weighted", [False, True])
def test_the_reference_has_the_same_gradients(loss, activation, weighted):
    X, y = data(loss)
    weights = np.random.default_rng(1).uniform(0, 2, len(X)) if weighted else None
    for bias in (True, False):
        net = network(activation, nn.Softplus(), bias=bias)
        value, gradients = net.loss_and_gradients(X, y, loss=loss, sample_weight=weights, l2=0.3)
        expected, each = reference.loss_and_gradients(plain_layers(net), X, y, loss, weights, 0.3)
        # Sums of at most 40 terms of size one, three layers deep.
        assert value == pytest.approx(expected, rel=1e-13)
        named = {}
        for place, pair in enumerate(each):
            if pair is not None:
                named[f"{place}.weight"] = pair[0]
                if pair[1] is not None:
                    named[f"{place}.bias"] = pair[1]
        assert gradients.keys() == named.keys() == net.state_dict().keys()
        for name, gradient in gradients.items():
            np.testing.assert_allclose(gradient, named[name], rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", SMOOTH, ids=repr)
def test_finite_differences(loss, activation):
    """Of fourth order: h⁴ = 1e-12 times a fifth derivative, and 1e-16 / h = 1e-13 of rounding."""
    X, y = data(loss)
    weights = np.random.default_rng(1).uniform(0, 2, len(X))
    net = network(activation, activation, dtype=np.float64)
    start = net.state_dict()
    kwargs = {"loss": loss, "sample_weight": weights, "l2": 0.3}
    _, gradients = net.loss_and_gradients(X, y, **kwargs)
    h, rng = 1e-3, np.random.default_rng(2)

    def moved(directions, length):
        net.load_state_dict({name: start[name] + length * directions[name] for name in start})
        return net.loss_and_gradients(X, y, **kwargs)[0]

    for name in start:  # one tensor at a time, along a line through it
        directions = {other: np.zeros_like(value) for other, value in start.items()}
        line = rng.normal(size=start[name].shape)
        directions[name] = line / np.linalg.norm(line)
        near = (moved(directions, h) - moved(directions, -h)) / (2 * h)
        far = (moved(directions, 2 * h) - moved(directions, -2 * h)) / (4 * h)
        slope = float(np.sum(gradients[name] * directions[name]))
        assert (4 * near - far) / 3 == pytest.approx(slope, abs=1e-9), name


@each_dtype
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=repr)
def test_pytorch_has_the_same_gradients(loss, activation, dtype):
    torch = pytest.importorskip("torch")
    X, y = data(loss, dtype)
    net = network(activation, nn.Tanh(), dtype=dtype)
    theirs = torch_network(torch, net).to(getattr(torch, np.dtype(dtype).name))
    theirs.load_state_dict({name: torch.tensor(value) for name, value in net.state_dict().items()})
    value, gradients = net.loss_and_gradients(X, y, loss=loss)
    function = {
        "squared_error": torch.nn.MSELoss(),
        "half_squared_error": lambda z, y: torch.nn.MSELoss()(z, y) / 2,
        "binary_cross_entropy": torch.nn.BCEWithLogitsLoss(),
        "cross_entropy": torch.nn.CrossEntropyLoss(),
    }[loss]
    expected = function(theirs(torch.tensor(X)), torch.tensor(y))
    expected.backward()
    # Sums of at most 40 terms, three layers deep, all of size one or less.
    error = 100 * float(np.finfo(dtype).eps)
    assert value == pytest.approx(expected.item(), rel=error)
    for name, parameter in theirs.named_parameters():
        assert gradients[name].dtype == dtype
        np.testing.assert_allclose(gradients[name], parameter.grad.numpy(), rtol=0, atol=error)


def test_gradients_change_nothing(assert_same):
    X, y = data()
    net, other = network(), network()
    net.loss_and_gradients(X, y)
    assert_same(net.fit(X, y, epochs=2), other.fit(X, y, epochs=2))


# --- state_dict ---------------------------------------------------------------------------------


@each_dtype
@pytest.mark.parametrize("bias", [True, False])
def test_parameters_go_to_pytorch_and_come_back(bias, dtype):
    torch = pytest.importorskip("torch")
    X, y = data(dtype=dtype)
    net = network(bias=bias).fit(X, y, epochs=2)
    theirs = torch_network(torch, net).to(getattr(torch, np.dtype(dtype).name))
    assert list(theirs.state_dict()) == list(net.state_dict())
    theirs.load_state_dict({name: torch.tensor(value) for name, value in net.state_dict().items()})
    for name, tensor in theirs.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), net.state_dict()[name])
    error = 100 * float(
        np.finfo(dtype).eps
    )  # sums of at most 11 terms of size one, three layers deep
    with torch.no_grad():
        outputs = theirs(torch.tensor(X)).numpy()
    np.testing.assert_allclose(net.forward(X), outputs, rtol=0, atol=error)
    back = network(bias=bias, rng=5)
    back.load_state_dict(theirs.state_dict())
    assert back.dtype == dtype
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(back.state_dict()[name], value)
    np.testing.assert_array_equal(back.forward(X), net.forward(X))


@each_dtype
def test_parameters_of_pytorch_are_taken_over(dtype):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    net = network(rng=None)
    theirs = torch_network(torch, net).to(getattr(torch, np.dtype(dtype).name))
    net.load_state_dict(theirs.state_dict())
    assert net.dtype == dtype
    for name, tensor in theirs.state_dict().items():
        np.testing.assert_array_equal(net.state_dict()[name], tensor.numpy())


def test_state_dicts_are_copies():
    X, _ = data()
    net = network()
    before = net.forward(X)
    state = net.state_dict()
    given = {name: value.copy() for name, value in state.items()}
    for value in state.values():
        value[...] = 7
    np.testing.assert_array_equal(net.forward(X), before)
    other = network(rng=9)
    other.load_state_dict(given)
    for value in given.values():
        value[...] = 7
    np.testing.assert_array_equal(other.forward(X), before)


def test_parameters_of_any_kind_and_order():
    net = nn.Sequential(nn.Linear(3, 2), dtype=np.float64)
    W, b = np.arange(6.0).reshape(2, 3), np.array([1.0, -1.0])
    for given in (
        {"0.weight": W.tolist(), "0.bias": [1, -1]},
        {"0.bias": b.astype(np.int8), "0.weight": np.asfortranarray(W)},
        {"0.bias": b.astype(">f8"), "0.weight": np.repeat(W, 2, axis=1)[:, ::2]},
    ):
        net.load_state_dict({"0.weight": np.zeros((2, 3)), "0.bias": np.zeros(2)})
        net.load_state_dict(given)
        np.testing.assert_array_equal(net.state_dict()["0.weight"], W)
        np.testing.assert_array_equal(net.state_dict()["0.bias"], b)


# --- element types ------------------------------------------------------------------------------


@each_dtype
def test_one_element_type_everywhere(dtype):
    X, y = data(dtype=dtype)
    net = network()
    assert net.dtype is None
    net.fit(X, y.astype(np.float64), epochs=2, sample_weight=np.ones(40, int))
    assert net.dtype == dtype
    assert net.forward(X).dtype == dtype
    assert net.forward(X.astype(np.float64)).dtype == dtype
    _, gradients = net.loss_and_gradients(X.astype(np.float64), y)
    for arrays in (net.state_dict(), gradients):
        assert {value.dtype for value in arrays.values()} == {np.dtype(dtype)}
    net.load_state_dict({name: value.astype(float) for name, value in net.state_dict().items()})
    net.fit(X.astype(np.float64), y, epochs=1)
    assert net.dtype == dtype


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (np.int64, np.float64), (np.uint8, np.float64), (bool, np.float64),
        (np.float16, np.float64), (">f8", np.float64), (np.float32, np.float32),
    ],
)  # fmt: skip
def test_the_element_type_is_that_of_the_first_data(given, expected):
    X = np.eye(4)[:, :, None].repeat(3, axis=0)[..., 0].astype(given)
    y = np.arange(12.0)[:, None].repeat(3, axis=1)
    for use in ("forward", "fit", "loss_and_gradients"):
        net = network()
        getattr(net, use)(X, *([] if use == "forward" else [y]))
        assert net.dtype == expected
        assert net.state_dict()["0.weight"].dtype == expected
    assert network().fit(X.tolist(), y.tolist()).dtype == np.float64


@each_dtype
def test_the_element_type_that_is_asked_for(dtype):
    X, y = data()
    for name in (dtype, np.dtype(dtype), np.dtype(dtype).name, np.dtype(dtype).newbyteorder(">")):
        net = network(dtype=name)
        assert net.dtype == dtype
        assert net.fit(X, y, epochs=1).forward(X).dtype == dtype
        assert net.state_dict()["0.weight"].dtype == dtype


def test_first_parameters_of_both_types_are_the_same():
    single, double = network(dtype=np.float32).state_dict(), network(dtype=np.float64).state_dict()
    for name, value in double.items():
        np.testing.assert_array_equal(single[name], value.astype(np.float32))


# --- inputs -------------------------------------------------------------------------------------


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def strided(array):
    return np.repeat(array, 2, axis=0)[::2]


FORMS = {
    "read-only": read_only,
    "Fortran order": lambda array: np.array(array, order="F"),
    "strided": strided,
    "reversed": lambda array: np.ascontiguousarray(array[::-1])[::-1],
    "big-endian": lambda array: array.astype(array.dtype.newbyteorder(">")),
    "list": lambda array: array.tolist(),
    "data frame": lambda array: (
        pd.DataFrame(array) if array.ndim == 2 else pd.Series(array, index=range(5, 5 + len(array)))
    ),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("loss", ["squared_error", "cross_entropy"])
def test_forms_of_the_data(assert_same, form, loss):
    X, y = data(loss)
    weights = np.random.default_rng(3).uniform(size=len(X))
    expected = network().fit(X, y, loss=loss, sample_weight=weights, validation_data=(X, y))
    change = FORMS[form]
    given = [change(X), change(y), change(weights)]
    before = copy.deepcopy(given)
    net = network().fit(
        given[0], given[1], loss=loss, sample_weight=given[2], validation_data=tuple(given[:2])
    )
    assert_same(net, expected)
    np.testing.assert_array_equal(net.forward(given[0]), expected.forward(X))
    value, gradients = net.loss_and_gradients(given[0], given[1], loss=loss, sample_weight=given[2])
    wanted, each = expected.loss_and_gradients(X, y, loss=loss, sample_weight=weights)
    assert value == wanted
    for name, gradient in gradients.items():
        np.testing.assert_array_equal(gradient, each[name])
    for now, then in zip(given, before, strict=True):
        assert type(now) is type(then)
        np.testing.assert_array_equal(np.asarray(now), np.asarray(then))
        if isinstance(now, np.ndarray):
            assert now.dtype == then.dtype


def test_a_single_output_takes_a_vector(assert_same):
    X, y = data()
    layers = nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 1)
    as_vector = nn.Sequential(*layers, rng=0).fit(X, y[:, 0])
    as_column = nn.Sequential(*layers, rng=0).fit(X, y[:, :1])
    assert_same(as_vector, as_column)
    assert as_vector.forward(X).shape == (40, 1)


def test_weights_count_as_repetitions():
    X, y = data()
    counts = np.random.default_rng(4).integers(0, 3, len(X))
    repeated = np.repeat(np.arange(len(X)), counts)
    kwargs = {"optimizer": "adam", "epochs": 5, "shuffle": False, "batch_size": 1000}
    weighted = network().fit(X, y, sample_weight=counts, **kwargs).state_dict()
    plain = network().fit(X[repeated], y[repeated], **kwargs).state_dict()
    for name, value in plain.items():
        # Five steps of Adam, each of which divides a gradient that is off by 1e-15 by its size.
        np.testing.assert_allclose(weighted[name], value, rtol=0, atol=1e-11)


@pytest.mark.parametrize("form", [bool, np.int8, np.uint64, np.int64])
def test_labels_of_any_whole_type(assert_same, form):
    X, _ = data()
    labels = (np.arange(len(X)) % 2).astype(form)
    expected = network().fit(X, labels.astype(np.int64), loss="cross_entropy")
    assert_same(network().fit(X, labels, loss="cross_entropy"), expected)


def test_an_order_that_is_longer_than_the_data(assert_same):
    """A batch of more than there is; one observation alone."""
    X, y = data()
    one = network().fit(X, y, epochs=2, batch_size=40)
    assert_same(network().fit(X, y, epochs=2, batch_size=10**6), one)
    net = network().fit(X[:1], y[:1], epochs=2)
    assert len(net.history["loss"]) == 2


# --- several Python threads ---------------------------------------------------------------------


def test_a_network_may_be_used_from_several_threads():
    net = network(dtype=np.float64)
    rng = np.random.default_rng(0)
    inputs = [rng.normal(size=(300, 4)) for _ in range(8)]
    targets = [rng.normal(size=(300, 3)) for _ in range(8)]
    outputs = [net.forward(X) for X in inputs]
    losses = [net.loss_and_gradients(X, y)[0] for X, y in zip(inputs, targets, strict=True)]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(20):
            for got, expected in zip(pool.map(net.forward, inputs), outputs, strict=True):
                np.testing.assert_array_equal(got, expected)
            found = pool.map(net.loss_and_gradients, inputs, targets)
            assert [value for value, _ in found] == losses


# --- copies -------------------------------------------------------------------------------------


@each_dtype
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies_work_and_train_on(assert_same, copied, dtype):
    X, y = data(dtype=dtype)
    kwargs = {
        "optimizer": nn.Adam(0.01, schedule=nn.ReduceOnPlateau(0.5, patience=0, tol=0.1)),
        "validation_data": (X, y),
    }
    net = network().fit(X, y, epochs=3, **kwargs)
    other = copied(net)
    assert other.layers == net.layers
    assert_same(other, net)
    np.testing.assert_array_equal(other.forward(X), net.forward(X))
    before = net.state_dict()
    other.fit(X, y, epochs=2, **kwargs)
    for name, value in before.items():  # nothing is shared
        np.testing.assert_array_equal(net.state_dict()[name], value)
    assert len(net.history["loss"]) == 3
    net.fit(X, y, epochs=2, **kwargs)
    assert_same(other, net)
    assert_same(network().fit(X, y, epochs=5, **kwargs), net)


def test_copies_of_a_network_that_has_no_parameters_yet(assert_same):
    X, y = data()
    net = network(rng=4)
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert other.dtype is None
        assert_same(other.fit(X, y), network(rng=4).fit(X, y))


# --- far too large ------------------------------------------------------------------------------

WIDE = [(10**6, 10**6), (3, 10**12), (10**30, 2), (2**62, 2**62), (10**4, 10**9)]


@pytest.mark.parametrize("widths", WIDE)
def test_a_network_that_no_memory_holds_is_refused_at_once(widths, monkeypatch, tmp_path):
    """Nothing of it is laid out before: that alone would take hours."""
    monkeypatch.setattr("fastkb.runtime.memory.available_bytes", lambda: 10**9)
    X, y = np.ones((4, 3)), np.ones(4)
    inner, outer = widths
    net = nn.Sequential(
        nn.Linear(3, inner), nn.ReLU(), nn.Linear(inner, outer), nn.Linear(outer, 1)
    )
    net.save(tmp_path / "net.npz")
    message = r"a network of these widths needs .* GB, and 1\.0 GB of memory are free"
    for each in (net, nn.load(tmp_path / "net.npz")):
        for call in (
            lambda each=each: each.fit(X, y),
            lambda each=each: each.forward(X),
            lambda each=each: each.loss_and_gradients(X, y),
            lambda each=each: each.state_dict(),
            lambda each=each: nn.bootstrap_fit(each, X, y),
        ):
            with pytest.raises(MemoryError, match=message):
                call()
    assert net.dtype is None


def test_first_parameters_that_cannot_be_drawn_are_not_zero_afterwards(monkeypatch):
    net = nn.Sequential(nn.Linear(3000, 3000), rng=0)
    with monkeypatch.context() as patch:
        patch.setattr("fastkb.nn.program.store.require", refuse_drawing)
        with pytest.raises(MemoryError, match="drawing"):
            net.state_dict()
    assert net.state_dict()["0.weight"].all()


def refuse_drawing(size, what):
    if "drawing" in what:
        raise MemoryError(what)


# --- whole numbers that compiled code cannot hold -----------------------------------------------


@pytest.mark.parametrize("large", [2**31, 2**63 - 1, 2**63, 2**70, 10**400])
def test_large_numbers_are_as_good_as_all(large):
    """Of a batch, of patience and of epochs."""
    X, y = np.random.default_rng(0).normal(size=(20, 3)), np.ones(20)

    def trained(**kwargs):
        net = nn.Sequential(nn.Linear(3, 2), nn.Tanh(), nn.Linear(2, 1), rng=0)
        return net.fit(X, y, **kwargs).state_dict()

    expected = trained(batch_size=20, epochs=3)
    for found in (
        trained(batch_size=large, epochs=3),
        trained(batch_size=20, epochs=3, patience=large),
        trained(
            batch_size=20, epochs=large, callbacks=lambda net, _: len(net.history["loss"]) == 3
        ),
    ):
        for name, value in expected.items():
            np.testing.assert_array_equal(found[name], value)


@pytest.mark.parametrize("callbacks", [3, None, True, 1.5, "no", [3]])
def test_callbacks_that_are_none(callbacks):
    net = nn.Sequential(nn.Linear(1, 1))
    with pytest.raises(TypeError, match="callbacks must be functions, got"):
        net.fit(np.ones((2, 1)), np.ones(2), callbacks=callbacks)


@pytest.mark.parametrize("dtype", ["float16", "x", 3, np.nan, [0.1], int, np.ones(2), "0.1"])
def test_element_types_of_another_kind(dtype):
    with pytest.raises(ValueError, match="dtype must be one of float32, float64, got"):
        nn.Sequential(nn.Linear(1, 1), dtype=dtype)


# --- parameters of all makes --------------------------------------------------------------------


class Tensor:
    """What a PyTorch tensor on the CPU shows to NumPy; torch itself is not always there."""

    def __init__(self, values, dtype="torch.float32", trained=False):
        self.values, self.dtype, self.trained = np.asarray(values), dtype, trained

    def __array__(self, dtype=None, copy=None):
        if self.trained:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad.")
        if self.dtype == "torch.bfloat16":
            raise TypeError("Got unsupported ScalarType BFloat16")
        return np.array(self.values, dtype=dtype)

    def detach(self):
        return Tensor(self.values, self.dtype)

    def float(self):
        return Tensor(self.values.astype(np.float32))


@pytest.mark.parametrize("dtype", ["torch.float32", "torch.bfloat16"])
@pytest.mark.parametrize("trained", [False, True])
def test_tensors_are_taken_over(dtype, trained):
    """All numbers of bfloat16 are numbers of float32."""
    weight = np.float32([[1.0, -2.5, 2.0**100], [0.0, 3.0e-38, 7.0]])
    net = nn.Sequential(nn.Linear(3, 2, bias=False))
    net.load_state_dict({"0.weight": Tensor(weight, dtype, trained)})
    assert net.dtype == np.float32
    np.testing.assert_array_equal(net.state_dict()["0.weight"], weight)


def test_short_floats_of_ml_dtypes_are_taken_over():
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    weight = np.arange(6.0).reshape(2, 3).astype(bfloat16)
    net = nn.Sequential(nn.Linear(3, 2, bias=False))
    net.load_state_dict({"0.weight": weight})
    np.testing.assert_array_equal(net.state_dict()["0.weight"], weight.astype(np.float64))
    np.testing.assert_array_equal(
        net.forward(np.eye(3)[:1].astype(bfloat16)), weight.T[:1].astype(np.float64)
    )


class OnAnotherDevice(Tensor):
    def detach(self):
        return self

    def __array__(self, dtype=None, copy=None):
        raise TypeError("can't convert cuda:0 device type tensor to numpy")


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ((row for row in [[1.0, 2.0]]), "must be numbers, got object: generator"),
        (iter([[1.0, 2.0]]), "must be numbers, got object: list_iterator"),
        ([[1.0], [1.0, 2.0]], "must be an array: setting an array element"),
        (OnAnotherDevice([[1.0, 2.0]]), "must be an array: can't convert cuda:0"),
        (np.ma.array([[1.0, 2.0]], mask=[[False, True]]), "must have no masked values; got 1 of"),
        (np.array([["1.0", "2.0"]]), "must be numbers, got <U3"),
        (np.zeros((1, 2), "datetime64[s]"), r"must be numbers, got datetime64\[s\]"),
        (np.zeros((1, 2), "timedelta64[s]"), r"must be numbers, got timedelta64\[s\]"),
        (np.zeros((1, 2), "V4"), r"must be numbers, got \|V4"),
        (np.zeros((1, 2), [("a", "f4")]), "must be numbers, got "),
        (np.array([[1, 10**400]], object), "must be numbers, got object"),
        (
            np.array([[1e300, 1.0]]),
            "has NaN or infinity, or numbers that are too large for float32",
        ),
        (None, "must be numbers, got object: NoneType"),
    ],
)
def test_parameters_that_are_none_are_named(weight, message):
    net = nn.Sequential(nn.Linear(2, 1, bias=False), rng=0, dtype="float32")
    before = net.state_dict()
    with pytest.raises(ValueError, match=r"state_dict\['0.weight'\] " + message):
        net.load_state_dict({"0.weight": weight})
    np.testing.assert_array_equal(net.state_dict()["0.weight"], before["0.weight"])


def test_names_that_are_no_texts():
    net = nn.Sequential(nn.Linear(2, 1, bias=False))
    with pytest.raises(ValueError, match=r"state_dict lacks 0.weight and has the unknown 0, None"):
        net.load_state_dict({0: np.ones((1, 2)), None: 1})
    with pytest.raises(TypeError, match="state_dict must map names to arrays, got generator"):
        net.load_state_dict((name, value) for name, value in net.state_dict().items())


# --- data of all makes --------------------------------------------------------------------------

NO_NUMBERS = {
    "masked": np.ma.array(np.ones((8, 3)), mask=np.eye(8, 3, dtype=bool)),
    "dates": np.zeros((8, 3), "datetime64[s]"),
    "durations": np.zeros((8, 3), "timedelta64[s]"),
    "complex": np.ones((8, 3), complex),
    "texts": np.full((8, 3), "a"),
    "things": np.full((8, 3), object()),
    "digits": np.full((8, 3), 10**400, object),
}


@pytest.mark.parametrize("case", NO_NUMBERS)
def test_data_that_are_no_numbers_are_named(case):
    wrong, X, y = NO_NUMBERS[case], np.ones((8, 3)), np.ones((8, 3))
    net = nn.Sequential(nn.Linear(3, 3), rng=0)
    ensemble = nn.bootstrap_fit(net, X, y, n_resamples=2, epochs=1, rng=0)
    weights = wrong[:, 0]
    calls = {
        "X": [
            lambda: net.fit(wrong, y),
            lambda: net.forward(wrong),
            lambda: net.loss_and_gradients(wrong, y),
            lambda: nn.bootstrap_fit(net, wrong, y),
            lambda: ensemble.forward(wrong),
            lambda: ensemble.predict(wrong),
            lambda: ensemble.band(wrong),
        ],
        "y": [
            lambda: net.fit(X, wrong),
            lambda: net.loss_and_gradients(X, wrong),
            lambda: nn.bootstrap_fit(net, X, wrong),
            lambda: net.fit(X, wrong, loss="binary_cross_entropy"),
            lambda: net.fit(X, weights, loss="cross_entropy"),
        ],
        "sample_weight": [
            lambda: net.fit(X, y, sample_weight=weights),
            lambda: net.loss_and_gradients(X, y, sample_weight=weights),
            lambda: nn.bootstrap_fit(net, X, y, sample_weight=weights),
        ],
        "validation_data: X": [lambda: net.fit(X, y, validation_data=(wrong, y))],
        "validation_data: y": [lambda: net.fit(X, y, validation_data=(X, wrong))],
    }
    for name, each in calls.items():
        for call in each:
            with pytest.raises(ValueError, match=f"^{name} must "):
                call()


def test_sparse_targets_are_named():
    net, X = nn.Sequential(nn.Linear(3, 2), rng=0), np.ones((8, 3))
    for loss in LOSSES:
        with pytest.raises(TypeError, match="Sparse data was passed for y, but dense data is req"):
            net.fit(X, sparse.eye_array(8, 2).tocsr(), loss=loss)


@pytest.mark.parametrize("scale", [1e-300, 1e300, 1.7e308])
@pytest.mark.parametrize("loss", LOSSES)
def test_extreme_numbers_give_no_warnings(scale, loss):
    """They are accepted, or refused with an error. (Warnings are errors here.)"""
    rng = np.random.default_rng(0)
    X, y = scale * rng.uniform(-1, 1, (40, 3)), rng.integers(0, 2, (40, 2)).astype(float)
    y = y[:, 0].astype(int) if loss == "cross_entropy" else y
    for dtype in ("float32", "float64"):
        net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2), rng=0, dtype=dtype)
        for call in (
            lambda net=net: net.fit(X, y, loss=loss, validation_data=(X, y)),
            lambda net=net: net.fit(X, y if loss == "cross_entropy" else y * scale, loss=loss),
            lambda net=net: net.loss_and_gradients(X, y, loss=loss),
            lambda net=net: net.forward(X),
            lambda net=net: nn.bootstrap_fit(net, X / scale, y, loss=loss, n_resamples=3).predict(
                X
            ),
            lambda net=net: nn.bootstrap_fit(net, X / scale, y, loss=loss, n_resamples=3).band(X),
        ):
            with contextlib.suppress(FloatingPointError, ValueError):
                call()
