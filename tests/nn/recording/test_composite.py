"""Modules as layers: what is recorded for programs, and what cannot be."""

import numpy as np
import pytest

import fastkb.nn.functional as F
from fastkb import nn
from fastkb.nn.recording.composite import Composite

X = np.random.default_rng(0).standard_normal((40, 3))


class Net(nn.Module):
    def __init__(self):
        super().__init__(rng=0)
        self.fc, self.factor, self.center = nn.Linear(3, 50), 1.0, None

    def forward(self, x):
        if self.center is not None:
            x = x - self.center
        return F.dropout(self.fc(x), 0.5, self.training) * self.factor


def test_equality_and_text():
    net = Net()
    assert Composite(net) == Composite(net)
    assert Composite(net) != Composite(Net())
    assert hash(Composite(net)) == hash(Composite(net))
    assert repr(Composite(net)) == "Net(…)"
    assert list(Composite(net).parts) == ["fc"]
    assert Composite(net).shape_of((3,)) == (50,)
    assert Composite(net).shape_of((None,)) is None


def test_what_is_done_in_training_alone_is_recorded_whatever_the_mode():
    one, other = Net().eval(), Net()
    one.predict(X)
    for net in (one, other):
        net.fit(X, np.ones((40, 50)), epochs=2)
    np.testing.assert_array_equal(one.predict(X), other.predict(X))
    assert not one.training
    assert one.fc.training is False


def test_attributes_that_change_are_followed():
    net = Net()
    before = net.predict(X)
    net.factor = 2.0
    np.testing.assert_allclose(net.predict(X), 2 * before, rtol=1e-12)
    np.testing.assert_allclose(net.eval()(X).numpy(), 2 * before, rtol=1e-12)


def test_arrays_beside_the_input_are_for_calls():
    net = Net().eval()
    net.center = np.array([1.0, 2.0, 3.0])
    state = net.state_dict()
    expected = (X - net.center) @ state["fc.weight"].T + state["fc.bias"]
    np.testing.assert_allclose(net(X).numpy(), expected, rtol=1e-10, atol=1e-12)
    for use in (net.predict, lambda X: net.fit(X, np.ones((40, 50)))):
        with pytest.raises(ValueError, match=r"takes an array of shape \(3,\) beside x"):
            use(X)


def test_numbers_are_not_there_while_forward_is_recorded():
    class Looks(nn.Module):
        def __init__(self):
            super().__init__(rng=0)
            self.fc = nn.Linear(3, 1)

        def forward(self, x):
            return self.fc(x) if x.numpy().sum() > 0 else self.fc(-x)

    net = Looks()
    assert net(X).shape == (40, 1)
    with pytest.raises(ValueError, match="while forward is recorded for fit or predict"):
        net.predict(X)


def test_frozen_parameters_are_for_loops():
    net = Net()
    net.fc.requires_grad_(False)
    with pytest.raises(ValueError, match="fit trains all parameters"):
        nn.bootstrap_fit(net, X, np.ones((40, 50)), n_resamples=2)
    with pytest.raises(
        ValueError, match=r"fit trains all parameters, and fc.bias has requires_grad=False"
    ):
        net.fit(X, np.ones((40, 50)))
