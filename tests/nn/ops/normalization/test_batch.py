"""Batch normalisation beside the definition and PyTorch: training, running statistics, evaluation."""

import numpy as np
import pytest

from fastkb import nn
from fastkb.reference import normalization as reference
from fastkb.runtime.threads import use_threads


def only(layer, X, dtype="float64"):
    """A network of the layer alone, with weights that differ from channel to channel."""
    network = nn.Sequential(layer, rng=0, dtype=dtype)
    state = network.state_dict()
    rng = np.random.default_rng(0)
    for name in ("0.weight", "0.bias", "0.running_mean"):
        if name in state:
            state[name] = rng.standard_normal(state[name].shape).astype(dtype)
    state["0.running_var"] = rng.uniform(0.5, 2.0, state["0.running_var"].shape).astype(dtype)
    network.load_state_dict(state)
    return network, state


CASES = [
    (nn.BatchNorm2d(3), (7, 3, 4, 5)),
    (nn.BatchNorm2d(20, eps=0.1), (40, 20, 1, 1)),
    (nn.BatchNorm2d(1), (1, 1, 3, 2)),
    (nn.BatchNorm1d(9), (33, 9)),
    (nn.BatchNorm1d(1, eps=1e-3), (2, 1)),
    (nn.BatchNorm1d(3), (17, 3, 7)),
    (nn.BatchNorm1d(9, eps=0.1), (1, 9, 16)),
]


@pytest.mark.parametrize(("layer", "shape"), CASES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_loss_and_gradients_are_of_the_batch(layer, shape, dtype, offset):
    rng = np.random.default_rng(1)
    X = (offset + rng.standard_normal(shape)).astype(dtype)
    network, state = only(layer, X, dtype)
    y = rng.standard_normal((len(X), X[0].size)).astype(dtype)
    x = X.astype(float)
    weight, bias = (state[f"0.{name}"].astype(float) for name in ("weight", "bias"))
    mean, variance = reference.batch_statistics(x)
    outputs = reference.batch_norm(x, weight, bias, mean, variance, layer.eps)
    difference = outputs.reshape(len(X), -1) - y
    delta = (2 * difference / difference.size).reshape(shape)
    _, by_weight, by_bias = reference.batch_norm_backward(delta, x, weight, layer.eps)
    loss, gradients = network.loss_and_gradients(X, y)
    # Inputs are known to `eps` of their size, and are divided by their spread.
    tolerance = 40 * float(np.finfo(dtype).eps) * (10 + offset)
    assert loss == pytest.approx(float(np.mean(difference**2)), rel=tolerance)
    np.testing.assert_allclose(gradients["0.weight"], by_weight, rtol=0, atol=tolerance)
    np.testing.assert_allclose(gradients["0.bias"], by_bias, rtol=0, atol=tolerance)
    assert sorted(gradients) == ["0.bias", "0.weight"]
    for name, value in network.state_dict().items():  # nothing has been trained
        np.testing.assert_array_equal(value, state[name])


@pytest.mark.parametrize(("layer", "shape"), CASES)
def test_elsewhere_running_statistics_serve(layer, shape):
    X = np.random.default_rng(1).standard_normal(shape)
    network, state = only(layer, X)
    expected = reference.batch_norm(
        X,
        *(state[f"0.{name}"] for name in ("weight", "bias", "running_mean", "running_var")),
        layer.eps,
    )
    np.testing.assert_allclose(network.forward(X), expected, rtol=1e-12, atol=1e-12)
    for one in (0, len(X) - 1):  # of any batch
        np.testing.assert_array_equal(network.forward(X[one : one + 1])[0], network.forward(X)[one])


@pytest.mark.parametrize("momentum", [0.1, 1.0, 0.0, None])
def test_running_statistics_follow(momentum):
    """Over batches of 8, 8 and 3."""
    layer = nn.BatchNorm2d(2, momentum=momentum)
    X = np.random.default_rng(1).standard_normal((19, 2, 3, 3))
    network, state = only(layer, X)
    network.fit(
        X, np.zeros((19, 18)), optimizer=nn.SGD(1e-9), epochs=1, batch_size=8, shuffle=False
    )
    mean, variance = state["0.running_mean"], state["0.running_var"]
    for k, begin in enumerate((0, 8, 16)):
        share = 1 / (k + 1) if momentum is None else momentum
        mean, variance = reference.running(mean, variance, X[begin : begin + 8], share)
    found = network.state_dict()
    np.testing.assert_allclose(found["0.running_mean"], mean, rtol=1e-12)
    np.testing.assert_allclose(found["0.running_var"], variance, rtol=1e-12)
    assert found["0.num_batches_tracked"] == 3
    assert found["0.num_batches_tracked"].dtype == np.int64


RESIDUAL = [
    nn.Conv2d(1, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU(),
    nn.Residual(nn.Conv2d(6, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU(),
                nn.Conv2d(6, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6, momentum=None)),
    nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 12), nn.BatchNorm1d(12, affine=False),
    nn.Tanh(), nn.Linear(12, 5),
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_training_gives_the_same_bits_on_any_number_of_threads(dtype):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((75, 1, 8, 8)).astype(dtype), rng.integers(0, 5, 75)
    found = []
    for threads in (1, 2, 3):
        with use_threads(threads):
            network = nn.Sequential(*RESIDUAL, rng=0, dtype=dtype)
            network.fit(X, y, loss="cross_entropy", epochs=3, batch_size=33, rng=1)
            found.append({**network.state_dict(), "outputs": network.forward(X)})
    for other in found[1:]:
        for name, value in other.items():
            np.testing.assert_array_equal(value, found[0][name], err_msg=name)


@pytest.fixture
def torch():
    """PyTorch on one thread: the networks are so small that others would only wait."""
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield torch
    torch.set_num_threads(threads)


def torchs(torch, state, X, y, orders, momentum=0.9):
    T = torch.nn

    class Block(T.Sequential):
        def forward(self, x):
            return super().forward(x) + x

    net = T.Sequential(
        T.Conv2d(1, 6, 3, padding=1, bias=False), T.BatchNorm2d(6), T.ReLU(),
        Block(T.Conv2d(6, 6, 3, padding=1, bias=False), T.BatchNorm2d(6), T.ReLU(),
              T.Conv2d(6, 6, 3, padding=1, bias=False), T.BatchNorm2d(6, momentum=None)),
        T.ReLU(), T.AdaptiveAvgPool2d(1), T.Flatten(), T.Linear(6, 12), T.BatchNorm1d(12, affine=False),
        T.Tanh(), T.Linear(12, 5),
    ).to(getattr(torch, X.dtype.name))  # fmt: skip
    net.load_state_dict({k: torch.tensor(v) for k, v in state.items()})
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=momentum)
    for batch in orders:
        optimizer.zero_grad()
        T.functional.cross_entropy(net(torch.tensor(X[batch])), torch.tensor(y[batch])).backward()
        optimizer.step()
    found = {key: value.numpy() for key, value in net.state_dict().items()}
    return found, net.eval()(torch.tensor(X)).detach().numpy()


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-8), ("float32", 0.0)])
def test_a_hundred_steps_are_torchs(torch, dtype, tolerance):
    """In float32 within three times what PyTorch changes with the order of each batch.

    A value that a rounding error moves over the corner of a ReLU changes all that comes after it.
    """
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((64, 1, 8, 8)).astype(dtype), rng.integers(0, 5, 64)
    orders = np.tile(np.arange(64).reshape(4, 16), (25, 1))
    network = nn.Sequential(*RESIDUAL, rng=0, dtype=dtype)
    state = network.state_dict()
    theirs, outputs = torchs(torch, state, X, y, orders)
    network.fit(
        X,
        y,
        loss="cross_entropy",
        optimizer=nn.SGD(0.01, 0.9),
        epochs=25,
        batch_size=16,
        shuffle=False,
    )
    if not tolerance:
        changed = [torchs(torch, state, X, y, rng.permuted(orders, axis=1))[0] for _ in range(8)]
        tolerance = 3 * max(
            np.abs(one[key] - theirs[key]).max() for one in changed for key in theirs
        )
    found = network.state_dict()
    assert found.keys() == theirs.keys()
    for name, value in found.items():
        assert value.shape == theirs[name].shape
        np.testing.assert_allclose(value, theirs[name], rtol=0, atol=tolerance, err_msg=name)
    np.testing.assert_allclose(network.forward(X), outputs, rtol=0, atol=100 * tolerance)


def test_counts_of_batches_do_not_make_the_element_type():
    network = nn.Sequential(*RESIDUAL, rng=0, dtype="float32")
    loaded = nn.Sequential(*RESIDUAL)
    loaded.load_state_dict(network.state_dict())
    assert loaded.dtype == np.float32


def test_files_and_resumption(tmp_path):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((40, 1, 8, 8)), rng.integers(0, 5, 40)
    options = {"loss": "cross_entropy", "optimizer": nn.Adam(), "batch_size": 20}
    whole = nn.Sequential(*RESIDUAL, rng=0).fit(X, y, epochs=4, **options)
    half = nn.Sequential(*RESIDUAL, rng=0).fit(X, y, epochs=2, **options)
    half.save(tmp_path / "half.npz")
    loaded = nn.load(tmp_path / "half.npz")
    assert loaded.layers == half.layers
    loaded.fit(X, y, epochs=2, **options)
    for name, value in whole.state_dict().items():
        np.testing.assert_array_equal(loaded.state_dict()[name], value, err_msg=name)


@pytest.mark.parametrize(
    ("layer", "X", "batch"),
    [
        (nn.BatchNorm1d(3), np.zeros((9, 3)), 4),
        (nn.BatchNorm1d(3), np.zeros((1, 3)), 4),
        (nn.BatchNorm2d(3), np.zeros((5, 3, 1, 1)), 1),
    ],
)
def test_one_value_has_no_variance(layer, X, batch):
    """Found before the first epoch, also where it is the last batch that has one observation."""
    network = nn.Sequential(layer, nn.Flatten(), nn.Linear(3, 1), rng=0)
    before = network.state_dict()
    with pytest.raises(ValueError, match=r"layer 0, BatchNorm.*one value per channel"):
        network.fit(X, np.zeros(len(X)), batch_size=batch)
    for name, value in network.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.BatchNorm2d(0), "num_features must be"),
        (lambda: nn.BatchNorm2d(3, eps=-1.0), "eps must be"),
        (lambda: nn.BatchNorm2d(3, momentum=1.5), "momentum must be"),
        (lambda: nn.BatchNorm2d(3, affine=2), "affine must be"),
        (lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(3)),
         "layer 1, BatchNorm2d.*takes images of 3 channels, and gets 4"),
        (lambda: nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(3)), "layer 1, .* takes 3 inputs, and"),
        (lambda: nn.Sequential(nn.BatchNorm1d(3), nn.Linear(4, 2)), "layer 0, .* takes 3 inputs, and"),
        (lambda: nn.Sequential(nn.Conv1d(1, 4, 3), nn.BatchNorm1d(3)),
         "layer 1, BatchNorm1d.*takes sequences of 3 channels, and gets 4"),
        (lambda: nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm1d(3)),
         r"layer 1, .* takes 3 inputs, or sequences of as many channels, and gets shape \(3, \?, \?\)"),
    ],
)  # fmt: skip
def test_bad_arguments(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make()


def test_ensembles_have_statistics_of_their_own():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((40, 1, 8, 8)), rng.integers(0, 5, 40)
    network = nn.Sequential(*RESIDUAL, rng=0)
    ensemble = nn.bootstrap_fit(
        network, X, y, n_resamples=3, loss="cross_entropy", epochs=2, batch_size=20, rng=0
    )
    states = [ensemble.state_dict(b) for b in range(3)]
    assert not np.array_equal(states[0]["1.running_mean"], states[1]["1.running_mean"])
    member = nn.Sequential(*RESIDUAL)
    member.load_state_dict(states[1])
    np.testing.assert_array_equal(member.forward(X), ensemble.forward(X)[1])
