"""Layers as attributes of modules, and parameters."""

import copy
import pickle

import numpy as np
import pytest

from fastkb import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__(rng=0)
        self.conv = nn.Conv2d(1, 2, 3, bias=False)
        self.bn = nn.BatchNorm2d(2)
        self.around = nn.Residual(nn.Conv2d(2, 2, 1), nn.ReLU())

    def forward(self, x):
        return self.around(self.bn(self.conv(x)))


def test_a_layer_is_what_it_was():
    net = Net()
    assert isinstance(net.conv, nn.Conv2d)
    assert not isinstance(net.conv, nn.Linear)
    assert repr(net.conv) == repr(nn.Conv2d(1, 2, 3, bias=False))
    assert (net.conv.kernel_size, net.bn.eps) == ((3, 3), 1e-5)
    assert net.conv.bias is None
    with pytest.raises(AttributeError, match="nothing"):
        _ = net.conv.nothing


def test_layers_are_descriptions_that_several_networks_may_have():
    layer = nn.Linear(2, 2)
    one, other = nn.Sequential(layer, rng=0), nn.Sequential(layer, rng=1)
    X = np.eye(2)
    assert not np.allclose(one(X).numpy(), other(X).numpy())
    assert layer == nn.Linear(2, 2)


def test_parameters():
    net = Net()
    weight = net.conv.weight
    assert weight.shape == weight.size() == (2, 1, 3, 3)
    assert (weight.numel(), weight.size(1)) == (18, 1)
    assert weight == net.conv.weight
    assert weight != net.bn.weight
    assert len({*net.parameters(), weight}) == 5
    np.testing.assert_array_equal(np.asarray(weight), weight.data)
    assert np.asarray(weight, np.float32).dtype == np.float32
    assert repr(net.bn.bias) == "Parameter(array([0., 0.]))"
    names = [name for name, _ in net.around.named_parameters("p")]
    assert names == ["p.0.weight", "p.0.bias"]
    np.testing.assert_array_equal(net.bn.running_var, np.ones(2))


def test_numbers_of_a_parameter_are_set():
    net = Net()
    before = net.state_dict()
    net.conv.weight.data = before["conv.weight"] + 1.0
    np.testing.assert_array_equal(net.state_dict()["conv.weight"], before["conv.weight"] + 1.0)
    np.testing.assert_array_equal(net.state_dict()["around.0.weight"], before["around.0.weight"])
    copied = net.conv.weight.data
    copied[...] = 0.0
    assert net.conv.weight.data.any()
    for wrong in (np.ones((2, 1, 3)), np.full((2, 1, 3, 3), np.nan), np.full((2, 1, 3, 3), "a")):
        with pytest.raises(
            ValueError, match=r"data of conv.weight must be finite numbers of shape"
        ):
            net.conv.weight.data = wrong


def test_a_layer_alone_is_a_part_of_its_network():
    net = Net()
    for name in ("conv", "bn", "around"):
        assert getattr(net, name)._root() is net
    assert [name for name, _ in net.conv.named_modules("c")] == ["c"]


def test_layers_without_parameters_are_called_alone():
    X = np.random.default_rng(0).standard_normal((2, 3))
    np.testing.assert_array_equal(nn.ReLU()(X).numpy(), np.maximum(X, 0))
    x = nn.Tensor(X, requires_grad=True)
    nn.Residual(nn.ReLU())(x).sum().backward()
    np.testing.assert_array_equal(x.grad, 1.0 + (X > 0))
    for layer in (nn.Linear(3, 2), nn.Residual(nn.BatchNorm1d(3))):
        with pytest.raises(ValueError, match="has no parameters of its own: make it an attribute"):
            layer(X)

    class Inline(nn.Module):
        def __init__(self):
            super().__init__(rng=0)
            self.fc, self.inner = nn.Linear(3, 3), [nn.Sequential(nn.Linear(3, 3))]

        def forward(self, x, inner=False):
            x = nn.Tanh()(self.fc(x))
            return self.inner[0](x) if inner else x

    net = Inline()
    for _ in range(3):
        net(X).numpy()
    assert len(net._programs) == 1
    with pytest.raises(ValueError, match="is no part of the network whose forward calls it"):
        net(X, inner=True)


def test_buffers():
    net = Net()
    names = [name for name, _ in net.named_buffers()]
    assert names == ["bn.running_mean", "bn.running_var", "bn.num_batches_tracked"]
    assert next(iter(net.bn.named_buffers("p")))[0] == "p.running_mean"
    assert [buffer.shape for buffer in net.buffers()] == [(2,), (2,), ()]


def test_copies_of_a_layer():
    net = Net()
    net.bn.eval()
    for copied in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert isinstance(copied.bn, nn.BatchNorm2d)
        assert not copied.bn.training
        assert copied.conv.training
        np.testing.assert_array_equal(copied.conv.weight, net.conv.weight)
        copied.conv.weight.data = np.zeros((2, 1, 3, 3))
        assert net.conv.weight.data.any()
