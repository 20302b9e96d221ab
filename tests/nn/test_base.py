"""What all networks have: parameters that are carried over, outputs, and what a file says of them."""

import numpy as np
import pytest

from fastkb import nn
from fastkb.nn.base import Network


class Double(nn.Module):
    def __init__(self, **options):
        super().__init__(**options)
        self.fc = nn.Linear(3, 2)

    def forward(self, x):
        return self.fc(x) + self.fc(x)


NETWORKS = {
    "sequential": lambda **options: nn.Sequential(nn.Linear(3, 2), **options),
    "module": Double,
    "a module in a chain": lambda **options: nn.Sequential(Double(), nn.Tanh(), **options),
}
each = pytest.mark.parametrize("kind", NETWORKS)
X = np.random.default_rng(0).standard_normal((40, 3))


@each
def test_outputs_are_those_of_a_call(kind):
    net = NETWORKS[kind](rng=0)
    assert isinstance(net, Network)
    assert net.dtype is None
    np.testing.assert_allclose(net.predict(X), net(X).numpy(), rtol=1e-12)
    assert net.dtype == np.float64


@each
def test_a_seed_gives_the_same_parameters(kind):
    one, other = NETWORKS[kind](rng=3).state_dict(), NETWORKS[kind](rng=3).state_dict()
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name])
    third = NETWORKS[kind](rng=4).state_dict()
    assert all(not np.array_equal(array, third[name]) for name, array in one.items())


@each
def test_gradients_are_those_of_backward(kind):
    net = NETWORKS[kind](rng=0)
    Y = X[:, :2]
    loss, gradients = net.loss_and_gradients(X, Y)
    recorded = nn.MSELoss()(net(X), Y)
    recorded.backward()
    assert recorded.item() == pytest.approx(loss, rel=1e-12)
    for name, parameter in net.named_parameters():
        np.testing.assert_allclose(parameter.grad, gradients[name], rtol=1e-12)


@each
def test_training_goes_on_where_it_stopped(kind):
    Y = X[:, :2]
    options = {"optimizer": nn.Adam(0.01), "batch_size": 16}
    once = NETWORKS[kind](rng=0).fit(X, Y, epochs=4, **options)
    twice = NETWORKS[kind](rng=0).fit(X, Y, epochs=2, **options).fit(X, Y, epochs=2, **options)
    np.testing.assert_array_equal(once.predict(X), twice.predict(X))
    assert once.history == twice.history
    assert len(once.history["loss"]) == 4


@each
def test_a_blank_one_is_alike(kind):
    net = NETWORKS[kind](rng=0).fit(X, X[:, :2], epochs=1)
    blank = net._blank(np.dtype(np.float32))
    assert list(blank.state_dict()) == list(net.state_dict())
    assert blank.dtype == np.float32
    assert blank.history["loss"] == []
    assert blank._architecture() == net._architecture()


def test_only_a_chain_of_layers_is_described(tmp_path):
    NETWORKS["sequential"](rng=0).save(tmp_path / "net.npz")
    assert type(nn.load(tmp_path / "net.npz")) is nn.Sequential
    for kind in ("module", "a module in a chain"):
        NETWORKS[kind](rng=0).save(tmp_path / "other.npz")
        with pytest.raises(ValueError, match="of a network whose forward is Python"):
            nn.load(tmp_path / "other.npz")
