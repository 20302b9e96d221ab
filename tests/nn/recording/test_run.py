"""Recorded graphs as programs: what is looked up, derivatives that add up, statistics, staleness."""

import copy

import numpy as np
import pytest

from fastkb import nn
from fastkb.nn.ops.graph import in_order
from fastkb.nn.recording.run import compiled

RNG = np.random.default_rng(0)
X = RNG.standard_normal((9, 3))
Y = RNG.standard_normal((9, 2))
mse = nn.MSELoss()


class Two(nn.Module):
    """Layers of which a call meets one or both."""

    def __init__(self, **options):
        super().__init__(rng=0, **options)
        self.a, self.b = nn.Linear(3, 2), nn.Linear(3, 2)

    def forward(self, x, way="ab"):
        found = [getattr(self, name)(x) for name in way]
        return found[0] if len(found) == 1 else found[0] + found[1]


def gradients(net):
    return {name: parameter.grad for name, parameter in net.named_parameters()}


def test_a_loss_adds_to_what_is_there():
    net = Two()
    mse(net(X), Y).backward()
    one = gradients(net)
    mse(net(X), Y).backward()
    for name, gradient in gradients(net).items():
        np.testing.assert_allclose(gradient, 2 * one[name], rtol=1e-12)
    net.zero_grad()
    assert all(gradient is None for gradient in gradients(net).values())
    mse(net(X), Y).backward()
    for name, gradient in gradients(net).items():
        np.testing.assert_array_equal(gradient, one[name])


def test_layers_that_were_not_met_have_no_derivatives():
    net = Two()
    mse(net(X, "a"), Y).backward()
    found = gradients(net)
    assert found["b.weight"] is None
    assert found["a.weight"] is not None
    mse(net(X, "b"), Y).backward()
    after = gradients(net)
    np.testing.assert_array_equal(after["a.weight"], found["a.weight"])
    assert after["b.weight"] is not None
    alone = Two()
    mse(alone(X, "b"), Y).backward()
    np.testing.assert_array_equal(after["b.weight"], gradients(alone)["b.weight"])
    mse(net(X), Y).backward()
    both = Two()
    mse(both(X), Y).backward()
    for name, gradient in gradients(net).items():
        np.testing.assert_allclose(gradient, after[name] + gradients(both)[name], rtol=1e-12)


def test_what_stood_there_before_zero_grad_is_gone():
    """Derivatives of a layer that is met again only later."""
    net = Two()
    mse(net(X), Y).backward()
    net.zero_grad()
    mse(net(X, "a"), Y).backward()
    assert gradients(net)["b.weight"] is None
    mse(net(X, "b"), Y).backward()
    alone = Two()
    mse(alone(X, "b"), Y).backward()
    np.testing.assert_array_equal(gradients(net)["b.weight"], gradients(alone)["b.weight"])


def test_frozen_parameters_have_none():
    net = Two()
    net.a.requires_grad_(False)
    assert [parameter.requires_grad for parameter in net.parameters()] == [False, False, True, True]
    mse(net(X), Y).backward()
    assert gradients(net)["a.weight"] is None
    assert gradients(net)["b.weight"] is not None
    net.a.requires_grad_(True)
    net.zero_grad()
    mse(net(X), Y).backward()
    assert gradients(net)["a.weight"] is not None


def test_what_is_frozen_stays_so():
    net = Two()
    net.a.requires_grad_(False)
    net.c = nn.Linear(1, 1)
    assert not net.a.weight.requires_grad
    assert not copy.deepcopy(net).a.weight.requires_grad
    outer = nn.Sequential(net)
    assert [parameter.requires_grad for parameter in outer.parameters()] == [False] * 2 + [True] * 4


def test_derivatives_may_be_set():
    net = Two()
    net.a.weight.grad = np.ones((2, 3))
    np.testing.assert_array_equal(net.a.weight.grad, np.ones((2, 3)))
    assert net.a.bias.grad is None
    mse(net(X, "a"), Y).backward()
    alone = Two()
    mse(alone(X, "a"), Y).backward()
    np.testing.assert_allclose(net.a.weight.grad, 1 + alone.a.weight.grad, rtol=1e-12)
    with pytest.raises(ValueError, match=r"grad of a.weight must have shape \(2, 3\), got \(3,\)"):
        net.a.weight.grad = np.ones(3)


def test_numbers_of_before_a_change_of_parameters_are_not_given():
    net = Two()
    y, z = net(X), net(X)
    before = y.numpy()
    net.load_state_dict({name: 2 * array for name, array in net.state_dict().items()})
    assert y.numpy() is before
    with pytest.raises(ValueError, match="parameters have changed since this tensor was recorded"):
        z.numpy()
    np.testing.assert_allclose(net(X).numpy(), 2 * before, rtol=1e-12)


def test_backward_gives_the_outputs_as_well():
    net = Two()
    y = net(X)
    loss = mse(y, Y)
    loss.backward()
    net.a.weight.data = np.zeros((2, 3))
    assert loss.item() == pytest.approx(np.mean((y.numpy() - Y) ** 2), rel=1e-12)


def test_a_loss_that_is_not_finite():
    net = Two(dtype="float32")
    net.a.weight.data = np.full((2, 3), 1e30)
    with pytest.raises(FloatingPointError, match="the loss is inf"):
        mse(net(1e10 * np.ones((2, 3))), np.zeros((2, 2))).backward()
    assert all(gradient is None for gradient in gradients(net).values())


class Normal(nn.Module):
    def __init__(self):
        super().__init__(rng=0)
        self.fc, self.bn = nn.Linear(3, 2), nn.BatchNorm1d(2)

    def forward(self, x):
        return self.bn(self.fc(x))


def test_running_statistics_follow_each_call_once():
    net = Normal()
    y = net(X)
    assert net.bn.num_batches_tracked == 0
    y.numpy()
    assert net.bn.num_batches_tracked == 1
    mean = net.bn.running_mean
    mse(y, Y).backward()
    assert net.bn.num_batches_tracked == 1
    np.testing.assert_array_equal(net.bn.running_mean, mean)
    mse(net(X), Y).backward()
    assert net.bn.num_batches_tracked == 2
    net.eval()
    mse(net(X), Y).backward()
    net(X).numpy()
    assert net.bn.num_batches_tracked == 2


def test_float32_stays():
    net = Two()
    y = net(X.astype(np.float32))
    assert y.numpy().dtype == np.float32
    assert net.dtype == np.float32
    assert net(X).numpy().dtype == np.float32


def test_the_last_programs_are_kept():
    net = nn.Sequential(nn.Conv2d(1, 2, 1), rng=0)
    for size in range(1, 41):
        net(np.ones((2, 1, size, 2))).numpy()
    assert len(net._programs) == 32
    y = net(np.ones((2, 1, 40, 2)))
    one, other = (compiled(in_order(y._node), net, frozenset()) for _ in range(2))
    assert one is other


def test_numbers_that_depend_on_those_of_before_are_not_given():
    net = Two()
    y = net(X)
    net.load_state_dict({name: 2 * array for name, array in net.state_dict().items()})
    for make in (lambda: (y * 1.0).numpy(), lambda: (net(X) - y).numpy(), lambda: y.mean().item()):
        with pytest.raises(ValueError, match="parameters have changed since"):
            make()


def test_what_was_computed_under_no_grad_is_numbers():
    net = Two()
    with nn.no_grad():
        target = net(X[::-1].copy())
    nn.L1Loss()(net(X), target).backward()
    found, numbers = gradients(net), target.numpy()
    net.zero_grad()
    nn.L1Loss()(net(X), numbers).backward()
    for name, gradient in gradients(net).items():
        np.testing.assert_array_equal(found[name], gradient)
    teacher = Two()
    with nn.no_grad():
        target = teacher(X)
    nn.MSELoss()(net(X), target).backward()


def test_statistics_of_a_part_that_was_computed_before_follow_once():
    class Chain(nn.Module):
        def __init__(self):
            super().__init__(rng=0)
            self.one, self.two = nn.BatchNorm1d(3), nn.BatchNorm1d(3)

        def forward(self, x):
            return self.two(self.one(x).tanh())

    net = Chain()
    h = net.one(X)
    h.numpy()
    net.two(h.tanh()).numpy()
    assert (net.one.num_batches_tracked, net.two.num_batches_tracked) == (1, 1)


def test_masks_of_a_tensor_are_the_same_in_every_use():
    class Drop(nn.Module):
        def __init__(self):
            super().__init__(rng=0)
            self.fc, self.drop = nn.Linear(3, 20), nn.Dropout(0.5)

        def forward(self, x):
            return self.drop(self.fc(x))

    y = Drop()(X)
    numbers = y.numpy()
    target = np.ones((9, 20))
    assert nn.L1Loss()(y, target).item() == pytest.approx(
        np.abs(numbers - target).mean(), rel=1e-12
    )


def test_the_inputs_have_the_say_on_the_element_type():
    net = Two()
    loss = nn.L1Loss()(net(X.astype(np.float32)), Y)
    loss.backward()
    assert net.dtype == np.float32
