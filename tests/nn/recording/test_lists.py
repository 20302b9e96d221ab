"""Modules whose parts, or parameters, are numbered."""

import numpy as np
import pytest

from fastkb import nn


class Layers(nn.Module):
    """Layers in a list, and a scale behind each."""

    def __init__(self):
        super().__init__(rng=0)
        self.layers = nn.ModuleList([nn.Linear(3, 3)])
        self.layers.append(nn.Linear(3, 3)).extend([nn.Linear(3, 3)])
        self.scales = nn.ParameterList([np.full(3, 2.0)])
        self.scales.append(nn.Parameter(3.0)).extend([[4.0]])

    def forward(self, x):
        for layer, scale in zip(self.layers, self.scales, strict=True):
            x = layer(x) * scale
        return x


def test_parts_and_parameters_are_numbered():
    net = Layers()
    assert (len(net.layers), len(net.scales)) == (3, 3)
    assert [scale.shape for scale in net.scales] == [(3,), (), (1,)]
    assert net.scales[-1] == net.scales[2] == next(net.scales[1:][-1:].__iter__())
    names = [name for name, _ in net.named_parameters()]
    assert names[:3] == ["layers.0.weight", "layers.0.bias", "layers.1.weight"]
    assert names[6:] == ["scales.0", "scales.1", "scales.2"]
    X = np.random.default_rng(0).standard_normal((5, 3))
    state = net.state_dict()
    expected = X
    for k, scale in enumerate((2.0, 3.0, 4.0)):
        expected = scale * (expected @ state[f"layers.{k}.weight"].T + state[f"layers.{k}.bias"])
    np.testing.assert_allclose(net(X).numpy(), expected)
    np.testing.assert_allclose(net.predict(X), expected)


def test_errors():
    with pytest.raises(TypeError, match="module must be a layer or a Module, got 3"):
        nn.ModuleList([3])
    with pytest.raises(TypeError, match="data"):
        nn.ParameterList([None])
