"""Parameters of networks: what is drawn, taken over and written."""

import numpy as np
import pytest

from fastkb import nn
from fastkb.nn.stored import Stored


def test_parameters_are_drawn_once_and_when_they_are_needed():
    net = nn.Sequential(nn.Linear(3, 2))
    assert isinstance(net, Stored)
    assert net._state is None
    first = net.state_dict()
    assert net._state is not None
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(array, first[name])


def test_a_change_of_parameters_is_counted():
    net = nn.Sequential(nn.Linear(3, 2), rng=0)
    before = net._version
    net.load_state_dict(net.state_dict())
    net.fit(np.ones((4, 3)), np.ones((4, 2)), epochs=1)
    assert net._version == before + 2


def test_carried_parameters_that_no_longer_fit_are_dropped():
    class Net(nn.Module):
        def __init__(self):
            super().__init__(rng=0)
            self.fc = nn.Linear(3, 2)

        def forward(self, x):
            return self.fc(x)

    net = Net()
    before = net.state_dict()
    net.fc = nn.Linear(3, 4)
    assert net.state_dict()["fc.weight"].shape == (4, 3)
    net.load_state_dict({"fc.weight": np.ones((4, 3)), "fc.bias": np.zeros(4)})
    np.testing.assert_array_equal(net.state_dict()["fc.weight"], np.ones((4, 3)))
    assert before["fc.weight"].shape == (2, 3)
    with pytest.raises(ValueError, match=r"state_dict lacks fc\.bias"):
        net.load_state_dict({"fc.weight": np.ones((4, 3))})
