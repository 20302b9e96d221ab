"""The convolution's class: shapes, first weights, errors. Its rules: tests/nn/test_image_gradients.py."""

import math

import numpy as np
import pytest

from fastkb import nn


@pytest.mark.parametrize(
    ("layer", "shape", "given"),
    [
        (nn.Conv2d(1, 6, 3), (1, 32, 32), (6, 30, 30)),
        (nn.Conv2d(3, 4, (3, 5), (2, 1), (1, 0)), (3, 9, 9), (4, 5, 5)),
        (nn.Conv2d(4, 4, 3, padding="same", dilation=2, groups=4), (4, 7, 8), (4, 7, 8)),
        (nn.Conv2d(2, 2, (3, 1), padding="valid"), (2, 3, 3), (2, 1, 3)),
        (nn.Conv2d(2, 5, 3), None, (5, None, None)),
        (nn.Conv2d(2, 5, 3), (None, None, 4), (5, None, 2)),
        (nn.Conv1d(1, 6, 3), (1, 32), (6, 30)),
        (nn.Conv1d(3, 4, 5, 2, 1, 2), (3, 19), (4, 7)),
        (nn.Conv1d(4, 4, (3,), padding="same", dilation=2, groups=4), (4, 8), (4, 8)),
        (nn.Conv1d(2, 5, 3, padding="valid"), None, (5, None)),
        (nn.Conv1d(2, 5, 3), (None, 4), (5, 2)),
    ],
)
def test_shapes(layer, shape, given):
    assert layer.shape_of(shape) == given


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 1, 3), "in_channels must be a whole number of at least 1, got 0"),
        ((1, 2.5, 3), "out_channels must be a whole number"),
        ((1, 1, 0), "kernel_size must be a whole number of at least 1, got 0"),
        ((1, 1, (3, 3, 3)), r"kernel_size must be a whole number or two of them, got \(3, 3, 3\)"),
        ((1, 1, 3, (1, -1)), "stride must be a whole number of at least 1, got -1"),
        ((1, 1, 3, 1, -1), "padding must be a whole number of at least 0, got -1"),
        ((1, 1, 3, 1, "some"), "padding must be whole numbers, 'same' or 'valid', got 'some'"),
        (
            (1, 1, 2, 1, "same"),
            r"padding='same' needs .* got stride=\(1, 1\), kernel_size=\(2, 2\)",
        ),
        ((1, 1, 3, 2, "same"), r"padding='same' needs a stride of 1 .* got stride=\(2, 2\)"),
        ((4, 6, 3, 1, 0, 1, 3), "in_channels must be a multiple of groups=3, got 4"),
        ((6, 4, 3, 1, 0, 1, 3), "out_channels must be a multiple of groups=3, got 4"),
        ((1, 1, 3, 1, 0, 1, 1, "yes"), "bias must be"),
        ((1, 1, 3, 1, 0, 1, 1, True, "zeros"), "initialization must be"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        nn.Conv2d(*arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1, 1, (3, 3)), r"kernel_size must be a whole number or one of them in a tuple, got \(3, 3\)"),
        ((1, 1, 3, 0), "stride must be a whole number of at least 1, got 0"),
        ((1, 1, 3, 2, "same"), r"padding='same' needs a stride of 1 .* got stride=\(2,\)"),
        ((1, 1, 2, 1, "same"), r"padding='same' needs .* kernel_size=\(2,\)"),
        ((4, 6, 3, 1, 0, 1, 3), "in_channels must be a multiple of groups=3, got 4"),
    ],
)  # fmt: skip
def test_bad_arguments_of_sequences(arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        nn.Conv1d(*arguments)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([nn.Conv1d(1, 6, 3), nn.Conv1d(5, 2, 3)],
         r"layer 1, Conv1d\(.*\), takes sequences of 5 channels, and gets 6"),
        ([nn.Conv1d(1, 6, 3), nn.Conv2d(6, 2, 3)],
         r"layer 1, Conv2d\(.*\), takes images of shape .*, and gets shape \(6, \?\)"),
        ([nn.Conv1d(1, 6, 3), nn.Linear(6, 2)],
         r"layer 1, Linear\(.*\), takes 6 inputs, and gets shape \(6, \?\): put Flatten\(\)"),
        ([nn.Conv2d(1, 6, 3), nn.Conv2d(5, 2, 3)],
         r"layer 1, Conv2d\(.*\), takes images of 5 channels, and gets 6"),
        ([nn.Conv2d(1, 6, 3), nn.Linear(6, 2)],
         r"layer 1, Linear\(.*\), takes 6 inputs, and gets images \(6, \?, \?\): put Flatten\(\)"),
        ([nn.Linear(6, 2), nn.Conv2d(1, 6, 3)],
         r"layer 1, Conv2d\(.*\), takes images of shape .*, and gets shape \(2,\)"),
    ],
)  # fmt: skip
def test_layers_that_do_not_fit(layers, message):
    with pytest.raises(ValueError, match=message):
        nn.Sequential(*layers)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros((4, 2, 9, 9)), r"X of shape \(4, 2, 9, 9\) .*layer 0, .* 1 channels, and gets 2"),
        (
            np.zeros((4, 1, 2, 9)),
            "layer 0, .* has windows of height 3, and gets images that have 2",
        ),
        (np.zeros((4, 1, 9, 8)), "layer 2, .* takes 98 inputs, and gets 84"),
        (
            np.zeros((4, 81)),
            r"X must be images of shape \(n, channels, height, width\), got .*4, 81",
        ),
        (
            np.zeros((4, 1, 9, 9), np.uint8),
            "X is of bytes, .* whose scale is not said: give fit and predict scale=1 / 255",
        ),
        (np.full((4, 1, 9, 9), np.nan), "NaN"),
        (np.zeros((4, 1, 9, 9), complex), "complex"),
        (np.zeros((0, 1, 9, 9)), "0 sample"),
    ],
)
def test_images_that_do_not_fit(X, message):
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(98, 3))
    for call in (network.forward, lambda X: network.fit(X, np.zeros((len(X), 3)))):
        with pytest.raises((TypeError, ValueError), match=message):
            call(X)
    assert network.dtype is None  # nothing has been done


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros((4, 2, 9)), r"X of shape \(4, 2, 9\) .*layer 0, .* 1 channels, and gets 2"),
        (
            np.zeros((4, 1, 2)),
            "layer 0, .* has windows of length 3, and gets sequences that have 2",
        ),
        (np.zeros((4, 9)), r"X must be sequences of shape \(n, channels, length\), got .*4, 9"),
        (np.full((4, 1, 9), np.nan), "NaN"),
    ],
)
def test_sequences_that_do_not_fit(X, message):
    network = nn.Sequential(nn.Conv1d(1, 2, 3), nn.Flatten(), nn.Linear(14, 3))
    for call in (network.forward, lambda X: network.fit(X, np.zeros((len(X), 3)))):
        with pytest.raises((TypeError, ValueError), match=message):
            call(X)
    assert network.dtype is None  # nothing has been done


@pytest.mark.parametrize("initialization", ["torch", "he", "glorot"])
def test_first_weights_fill_their_range(initialization):
    layer = nn.Conv2d(8, 12, (3, 5), groups=2, initialization=initialization)
    n, m = 4 * 15, 6 * 15
    r = math.sqrt({"torch": 1 / n, "he": 6 / n, "glorot": 6 / (n + m)}[initialization])
    state = nn.Sequential(layer, rng=0).state_dict()
    weight, bias = state["0.weight"], state["0.bias"]
    assert weight.shape == (12, 4, 3, 5)
    assert bias.shape == (12,)
    assert 0.98 * r < np.abs(weight).max() <= r
    assert (np.abs(bias).max() > 0) == (initialization == "torch")


def test_other_forms_of_arrays_give_the_same():
    network = nn.Sequential(nn.Conv2d(2, 3, 3), rng=0, dtype="float64")
    X = np.random.default_rng(0).standard_normal((5, 2, 8, 7))
    expected = network.forward(X)
    readonly = X.copy()
    readonly.flags.writeable = False
    mirrored = np.ascontiguousarray(X[:, :, ::-1])[:, :, ::-1]
    for form in (X.tolist(), np.asfortranarray(X), X.astype(">f8"), readonly, mirrored):
        np.testing.assert_array_equal(network.forward(form), expected)
    np.testing.assert_allclose(network.forward(X.astype(np.float32)), expected, atol=1e-6)


def test_a_network_is_saved_and_trained_on(tmp_path):
    """Before it has seen images, and after; images of another size need no other parameters."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((40, 1, 9, 9)), rng.standard_normal((40, 2))
    layers = nn.Conv2d(1, 3, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2)
    network = nn.Sequential(*layers, rng=0)
    state = network.state_dict()
    network.fit(X, y, epochs=2, optimizer=nn.Adam())
    network.save(tmp_path / "network.npz")
    loaded = nn.load(tmp_path / "network.npz")
    assert loaded.layers == network.layers
    assert state.keys() == loaded.state_dict().keys()
    for each in (network, loaded):
        each.fit(X, y, epochs=2, optimizer=nn.Adam())
    for name, value in network.state_dict().items():
        assert not np.array_equal(value, state[name])
        np.testing.assert_array_equal(loaded.state_dict()[name], value)
    assert network.forward(rng.standard_normal((2, 1, 20, 11))).shape == (2, 2)


def test_ensembles_of_images():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((30, 1, 8, 8)), rng.standard_normal(30)
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 1))
    ensemble = nn.bootstrap_fit(network, X, y, n_resamples=4, epochs=2, rng=0)
    found = ensemble.forward(X)
    assert found.shape == (4, 30, 1)
    member = nn.Sequential(*network.layers)
    member.load_state_dict(ensemble.state_dict(2))
    np.testing.assert_array_equal(member.forward(X), found[2])


SEQUENCES = [
    nn.Conv1d(2, 6, 5, 2, 2, dilation=2), nn.BatchNorm1d(6), nn.ReLU(), nn.MaxPool1d(3, 2, 1),
    nn.Conv1d(6, 8, 3, padding="same", groups=2, bias=False), nn.Tanh(), nn.AvgPool1d(2),
    nn.Flatten(), nn.Linear(24, 3),
]  # fmt: skip


def test_steps_on_sequences_are_torchs():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((40, 2, 31)), rng.standard_normal((40, 3))
    network = nn.Sequential(*SEQUENCES, rng=0)
    T = torch.nn
    theirs = T.Sequential(
        T.Conv1d(2, 6, 5, 2, 2, dilation=2), T.BatchNorm1d(6), T.ReLU(), T.MaxPool1d(3, 2, 1),
        T.Conv1d(6, 8, 3, padding="same", groups=2, bias=False), T.Tanh(), T.AvgPool1d(2),
        T.Flatten(), T.Linear(24, 3),
    ).double()  # fmt: skip
    state = network.state_dict()
    assert list(state) == list(theirs.state_dict())
    theirs.load_state_dict({name: torch.tensor(value) for name, value in state.items()})
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9)
    for begin in [0, 16, 32] * 10:
        optimizer.zero_grad()
        batch = slice(begin, begin + 16)
        T.functional.mse_loss(theirs(torch.tensor(X[batch])), torch.tensor(y[batch])).backward()
        optimizer.step()
    network.fit(X, y, optimizer=nn.SGD(0.1, 0.9), epochs=10, batch_size=16, shuffle=False)
    for name, value in theirs.state_dict().items():
        np.testing.assert_allclose(network.state_dict()[name], value.numpy(), atol=1e-9)
    outputs = theirs.eval()(torch.tensor(X)).detach().numpy()
    np.testing.assert_allclose(network.forward(X), outputs, atol=1e-9)


def test_a_network_of_sequences_is_saved_and_trained_on(tmp_path):
    """Sequences of another length need no other parameters."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((20, 2, 31)), rng.standard_normal((20, 3))
    network = nn.Sequential(*SEQUENCES, rng=0).fit(X, y, epochs=2, batch_size=10)
    network.save(tmp_path / "network.npz")
    loaded = nn.load(tmp_path / "network.npz")
    assert loaded.layers == network.layers
    for each in (network, loaded):
        each.fit(X, y, epochs=2, batch_size=10)
    for name, value in network.state_dict().items():
        np.testing.assert_array_equal(loaded.state_dict()[name], value)
    front = nn.Sequential(*SEQUENCES[:2], rng=0)
    assert front.forward(X).shape == (20, 6, 14)
    assert front.forward(X[:, :, :9]).shape == (20, 6, 3)
