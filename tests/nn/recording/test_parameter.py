"""Parameters of a module's own: against PyTorch, in loops and in fit, copies, errors."""

import copy
import pickle

import numpy as np
import pytest

import fastkb.nn.functional as F
import fastkb.optim as optim
from fastkb import nn
from fastkb.runtime.threads import use_threads
from tests.nn.recording import scaled

Block, Scaled = scaled.net_class(nn, F, np.asarray)


class Small(nn.Module):
    """One number and one row of its own."""

    def __init__(self, **options):
        super().__init__(**options)
        self.scale = nn.Parameter(np.array([1.0, 2.0, 3.0]))
        self.fc = nn.Linear(3, 2)
        self.shift = nn.Parameter(0.5, requires_grad=False)

    def forward(self, x):
        return self.fc(x * self.scale) + self.shift


def rows(n=7, dtype=np.float64):
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, 3)).astype(dtype), rng.standard_normal((n, 2))


# --- against PyTorch ----------------------------------------------------------------------------


@pytest.fixture
def torch():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    return torch


def pair(torch, dtype):
    """The network of either package, with the same numbers."""
    net = Scaled(rng=0, dtype=dtype)
    _, kind = scaled.net_class(torch.nn, torch.nn.functional, torch.tensor)
    other = kind().to(getattr(torch, dtype))
    assert list(net.state_dict()) == list(other.state_dict())
    for ours, theirs in (
        ("named_parameters", "named_parameters"),
        ("named_buffers", "named_buffers"),
    ):
        names = [[name for name, _ in getattr(each, ours)()] for each in (net, other)]
        assert names[0] == names[1], theirs
    other.load_state_dict({k: torch.tensor(v) for k, v in net.state_dict().items()})
    return net, other


def train(torch, other, X, y, batches, steps=20):
    optimizer = torch.optim.SGD(other.parameters(), lr=0.1, momentum=0.9)
    for step in range(steps):
        some = batches[step % len(batches)]
        optimizer.zero_grad()
        output = other(torch.tensor(X[some]))
        loss = torch.nn.functional.cross_entropy(output, torch.tensor(y[some]))
        loss.backward()
        optimizer.step()
    return loss.item()


def assert_alike(net, other, tolerance):
    for name, theirs in other.state_dict().items():
        ours = net.state_dict()[name]
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-4), ("float64", 1e-11)])
def test_a_loop_trains_as_pytorch(torch, dtype, tolerance):
    X, y = scaled.images(dtype=dtype)
    net, other = pair(torch, dtype)
    start = net.state_dict()
    optimizer = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    for _ in range(20):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(X), y)
        loss.backward()
        optimizer.step()
    theirs = train(torch, other, X, y, [slice(None)])
    assert loss.item() == pytest.approx(theirs, rel=tolerance)
    assert_alike(net, other, tolerance)
    moved = net.state_dict()
    assert all(np.abs(moved[name] - start[name]).max() > 1e-3 for name in ("mix", "block.gamma"))
    np.testing.assert_array_equal(moved["mean"], start["mean"])
    assert len(net._programs) == 1  # the graph was met again


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-4), ("float64", 1e-11)])
def test_fit_trains_as_pytorch(torch, dtype, tolerance):
    X, y = scaled.images(40, dtype=dtype)
    net, other = pair(torch, dtype)
    net.fit(
        X, y, loss="cross_entropy", optimizer=nn.SGD(lr=0.1, momentum=0.9), epochs=10, batch_size=20,
        shuffle=False, rng=0,
    )  # fmt: skip
    train(torch, other, X, y, [slice(0, 20), slice(20, 40)])
    assert_alike(net, other, tolerance)
    np.testing.assert_allclose(
        net.predict(X), other(torch.tensor(X)).detach().numpy(), rtol=1e-4, atol=1e-5
    )


# --- gradients ----------------------------------------------------------------------------------


def test_gradients_are_those_of_differences_in_a_loop_and_in_fit():
    X, y = scaled.images(9)
    net = Scaled(rng=0)
    F.cross_entropy(net(X), y).backward()
    _, gradients = net.loss_and_gradients(X, y, loss="cross_entropy")
    for name, parameter in net.named_parameters():
        np.testing.assert_allclose(parameter.grad, gradients[name], rtol=1e-9, atol=1e-12)
        data = parameter.data
        for place in {0, data.size - 1}:
            ends = []
            for step in (1e-6, -1e-6):
                moved = data.copy()
                moved.flat[place] += step
                parameter.data = moved
                ends.append(F.cross_entropy(net(X), y).item())
            parameter.data = data
            expected = (ends[0] - ends[1]) / 2e-6
            assert gradients[name].flat[place] == pytest.approx(expected, rel=1e-5, abs=1e-8), name


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_threads_bring_the_same_bits(dtype):
    X, y = scaled.images(70, dtype=dtype)
    found = []
    for threads in (1, 2):
        with use_threads(threads):
            net = Scaled(rng=0)
            net.loss_and_gradients(X, y, loss="cross_entropy")
            (engine,) = net._engines.values()
            engine.threads = lambda batch, threads=threads: threads
            net.fit(X, y, loss="cross_entropy", epochs=2, batch_size=35, rng=0)
            found.append(net.state_dict())
    for name in found[0]:
        np.testing.assert_array_equal(found[0][name], found[1][name])


# --- what it is ---------------------------------------------------------------------------------


def test_numbers_are_the_given_ones_and_of_the_network_from_the_first_data_on():
    given = np.array([1.0, 2.0, 3.0])
    parameter = nn.Parameter(given)
    given[0] = 9.0
    assert isinstance(parameter, nn.Parameter)
    assert parameter.requires_grad
    assert parameter.grad is None
    np.testing.assert_array_equal(parameter, [1.0, 2.0, 3.0])
    net = Small(rng=0)
    assert net.scale.data.dtype == np.float64
    assert net.dtype is None  # asking does not tell the element type
    net.scale.data = [1.0, 1.0, 1.0]
    np.testing.assert_array_equal(net.scale.data, [1.0, 1.0, 1.0])
    X, _ = rows(dtype=np.float32)
    assert net(X).numpy().dtype == np.float32
    assert net.scale.data.dtype == np.float32
    np.testing.assert_array_equal(net.scale.data, [1.0, 1.0, 1.0])
    assert (net.shift.shape, net.shift.item(), net.shift.ndim) == ((), 0.5, 0)
    assert net.scale.tolist() == [1.0, 1.0, 1.0]
    assert (len(net.scale), net.scale.dim(), net.scale.size(0)) == (3, 1, 3)
    with pytest.raises(TypeError, match="without axes has no length"):
        len(net.shift)


def test_the_object_that_was_assigned_is_the_parameter_wherever_its_module_goes():
    class Inner(nn.Module):
        def __init__(self, own):
            super().__init__()
            self.own = own

        def forward(self, x):
            return x * self.own

    own = nn.Parameter(np.ones(3))
    inner = Inner(own)
    assert own == inner.own
    whole = nn.Sequential(inner, nn.Linear(3, 1), rng=0)
    assert [name for name, _ in whole.named_parameters()] == ["0.own", "1.weight", "1.bias"]
    assert own == whole[0].own == next(iter(whole.parameters()))
    own.data = 2 * np.ones(3)
    np.testing.assert_array_equal(whole.state_dict()["0.own"], 2 * np.ones(3))
    X, _ = rows()
    twice = nn.Sequential(nn.Linear(3, 1), rng=0)
    twice.load_state_dict(
        {k.replace("1.", "0."): v for k, v in whole.state_dict().items() if k[0] == "1"}
    )
    np.testing.assert_allclose(whole.predict(X), twice.predict(2 * X))
    assert hash(own) == hash(whole[0].own)


def test_a_parameter_that_is_frozen_stays():
    X, y = rows()
    net = Small(rng=0)
    assert not net.shift.requires_grad
    before = net.state_dict()
    optimizer = optim.Adam(net.parameters(), lr=0.1)
    F.mse_loss(net(X), y).backward()
    assert net.shift.grad is None
    optimizer.step()
    assert net.state_dict()["shift"] == before["shift"]
    assert (net.state_dict()["scale"] != before["scale"]).all()
    with pytest.raises(ValueError, match="shift has requires_grad=False"):
        net.fit(X, y)
    assert net.shift.requires_grad_().requires_grad
    net.fit(X, y, epochs=1)
    assert net.state_dict()["shift"] != before["shift"]


def test_copies_pickles_and_state_dicts():
    X, y = rows()
    net = Small(rng=0)
    net.shift.requires_grad = True
    net.fit(X, y, epochs=3)
    expected = net.predict(X)
    other = Small(rng=1)
    other.load_state_dict(net.state_dict())
    for each in (copy.deepcopy(net), pickle.loads(pickle.dumps(net)), other):
        np.testing.assert_array_equal(each.predict(X), expected)
        np.testing.assert_array_equal(each(X).numpy(), expected)
    alone = copy.deepcopy(nn.Parameter(np.ones(2), requires_grad=False))
    assert (alone.shape, alone.requires_grad) == ((2,), False)
    again = copy.deepcopy(net)
    net.fit(X, y, epochs=2)
    again.fit(X, y, epochs=2)
    np.testing.assert_array_equal(net.predict(X), again.predict(X))


def test_many_networks_begin_with_the_given_numbers():
    X, y = rows(30)
    net = Small(rng=0)
    net.shift.requires_grad = True
    found = nn.bootstrap_fit(net, X, y, n_resamples=3, epochs=1, optimizer=nn.SGD(lr=1e-9), rng=0)
    scales = [found.state_dict(member)["scale"] for member in range(3)]
    np.testing.assert_allclose(scales, [[1.0, 2.0, 3.0]] * 3, atol=1e-7)
    assert (np.ptp(scales, axis=0) > 0).any()


def test_a_network_of_nothing_else_and_the_penalty_of_its_numbers():
    class Line(nn.Module):
        def __init__(self):
            super().__init__(rng=0)
            self.slope, self.height = nn.Parameter(np.zeros(1)), nn.Parameter(0.0)

        def forward(self, x):
            return x * self.slope + self.height

    X = np.linspace(-1.0, 1.0, 40)[:, None]
    net = Line().fit(X, 3.0 * X + 2.0, epochs=200, optimizer=nn.SGD(lr=0.1), rng=0)
    assert net.slope.item() == pytest.approx(3.0)
    assert net.height.item() == pytest.approx(2.0)
    whole = [net.loss_and_gradients(X, X, l2=l2) for l2 in (0.0, 0.5)]
    added = (0.5 / 2) * (net.slope.item() ** 2 + net.height.item() ** 2)
    assert whole[1][0] - whole[0][0] == pytest.approx(added)
    assert (whole[1][1]["height"] - whole[0][1]["height"]) == pytest.approx(0.5 * net.height.item())


def test_parameters_of_layers_within_layers():
    net = nn.Sequential(nn.Residual(nn.Linear(2, 2)), rng=0)
    for name, parameter in net.named_parameters():
        np.testing.assert_array_equal(parameter.data, net.state_dict()[name])


def test_lengths_of_derivatives_are_cut_by_their_names():
    X, y = rows()
    net = Small(rng=0)
    F.mse_loss(net(X), y).backward()
    before = net.scale.grad
    nn.utils.clip_grad_norm_([net.scale], 1e-3)
    np.testing.assert_allclose(net.scale.grad, before * 1e-3 / np.linalg.norm(before), rtol=1e-3)


def test_a_parameter_is_replaced_and_taken_away():
    X, _ = rows()
    net = Small(rng=0)
    before = net(X).numpy()
    weight = net.fc.weight.data
    net.scale = nn.Parameter(np.zeros(1))
    np.testing.assert_array_equal(net.fc.weight.data, weight)
    np.testing.assert_array_equal(net.state_dict()["scale"], [0.0])
    np.testing.assert_allclose(net(X).numpy(), net.fc.bias.data + 0.5 + 0 * before)
    net.scale = net.scale  # the same one
    net.scale = None
    assert net.scale is None
    assert [name for name, _ in net.named_parameters()] == ["shift", "fc.weight", "fc.bias"]
    net.scale = nn.Parameter(np.ones(3))
    assert net.scale.shape == (3,)
    del net.scale
    with pytest.raises(AttributeError, match="scale"):
        _ = net.scale
    net.scale = nn.Linear(3, 3)
    net.scale = nn.Parameter(np.ones(3))
    net.scale = nn.Linear(3, 3)
    assert list(net.state_dict()) == ["shift", "fc.weight", "fc.bias", "scale.weight", "scale.bias"]


# --- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (["a"], "data"),
        ([1.0, np.nan], "data has NaN or infinity"),
        (np.ones((2, 0)), "data must have an element"),
        (None, "data must be numbers, got None"),
    ],
)
def test_data_that_are_no_numbers(data, message):
    with pytest.raises((TypeError, ValueError), match=message):
        nn.Parameter(data)


def test_errors():
    X, y = rows()
    net = Small(rng=0)
    with pytest.raises(ValueError, match="has one name: use that one"):
        net.other = net.scale
    with pytest.raises(TypeError, match="scale is a parameter, and becomes no ndarray"):
        net.scale = np.ones(3)
    with pytest.raises(ValueError, match="an operand in forward"):
        _ = net.scale * 2.0
    with pytest.raises(ValueError, match="an operand in forward"):
        F.relu(nn.Parameter(1.0))
    with pytest.raises(ValueError, match="no part of a network yet"):
        optim.SGD([nn.Parameter(1.0)], lr=0.1)
    with pytest.raises(
        ValueError, match=r"data of a parameter must be finite numbers of shape \(\)"
    ):
        nn.Parameter(1.0).data = [1.0]

    class Early(nn.Module):
        def __init__(self):
            self.own = nn.Parameter(1.0)

    with pytest.raises(AttributeError, match=r"must call super\(\).__init__\(\)"):
        Early()

    class Wrong(nn.Module):
        def __init__(self, forward):
            super().__init__(rng=0)
            self.own, self.fc, self.f = nn.Parameter(np.ones((3, 3))), nn.Linear(3, 3), forward

        def forward(self, x):
            return self.f(self, x)

    for forward, kind, message in (
        (lambda net, x: x * net.fc.weight, TypeError, "fc.weight is the parameter of a layer"),
        (lambda net, x: x @ net.own, TypeError, "a product of matrices is a layer here"),
        (lambda net, x: x * net.own, ValueError, r"shape \(3, 3\) does not go together with"),
        (lambda net, x: x * net.own[0, :2], ValueError, r"shapes \(2,\) and \(\d, 3\) do not go"),
        (lambda net, x: x * net.own[None, None], ValueError, "has more axes than"),
        (lambda net, x: F.cat([x, net.own[:1]]), ValueError, "expand those"),
    ):
        for run in (lambda net: net(X), lambda net: net.fit(X, y)):
            with pytest.raises(kind, match=message):
                run(Wrong(forward))
    for name, forward in (
        ("parameter", lambda net, x: x * net.own[0, 0].item()),
        ("tensor", lambda net, x: x * net.own[0].sum().item()),
    ):
        with pytest.raises(ValueError, match=f"numbers of a {name} are asked for while forward is"):
            Wrong(forward).predict(X)
