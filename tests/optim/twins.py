"""Small networks, and the same in torch with the same weights."""

import numpy as np
import pytest

from fastkb import nn, optim
from fastkb.nn import functional as F

RULES = ["SGD", "Adam", "AdamW", "Adagrad", "RMSprop"]
ALL = [
    ("SGD", {"momentum": 0.9, "dampening": 0.2}),
    ("SGD", {}),
    ("Adam", {"weight_decay": 0.1}),
    ("AdamW", {}),
    ("Adam", {"amsgrad": True}),
    ("RMSprop", {"centered": True, "momentum": 0.5}),
    ("Adagrad", {"lr_decay": 0.1, "initial_accumulator_value": 0.2}),
    ("RMSprop", {"momentum": 0.5}),
    ("LAMB", {}),
]
each_optimizer = pytest.mark.parametrize(
    ("name", "options"), ALL, ids=[f"{name} {options}" for name, options in ALL]
)


class Dense(nn.Module):
    """Linear, tanh, linear."""

    def __init__(self, **options):
        super().__init__(**options)
        self.fc1 = nn.Linear(3, 7)
        self.fc2 = nn.Linear(7, 2)

    def forward(self, x):
        return self.fc2(F.tanh(self.fc1(x)))


class Images(nn.Module):
    """A convolution, tanh, linear."""

    def __init__(self, **options):
        super().__init__(**options)
        self.conv = nn.Conv2d(1, 3, 3)
        self.fc = nn.Linear(27, 2)

    def forward(self, x):
        return self.fc(F.tanh(self.conv(x)).view(-1, 27))


def data_of(net, dtype, n=17):
    """Inputs and targets."""
    rng = np.random.default_rng(1)
    shape = (3,) if isinstance(net, Dense) else (1, 5, 5)
    return rng.standard_normal((n, *shape)).astype(dtype), rng.standard_normal((n, 2)).astype(dtype)


def backward(net, X, y):
    """Add the derivatives of the squared error."""
    loss = F.mse_loss(net(X), y)
    loss.backward()
    return loss


def twin_of(net, torch):
    """The same network in torch."""
    torch.set_num_threads(1)
    parts = torch.nn.ModuleDict()
    if isinstance(net, Dense):
        parts["fc1"], parts["fc2"] = torch.nn.Linear(3, 7), torch.nn.Linear(7, 2)
    else:
        parts["conv"], parts["fc"] = torch.nn.Conv2d(1, 3, 3), torch.nn.Linear(27, 2)
    state = {name: torch.tensor(each) for name, each in net.state_dict().items()}
    parts.to(next(iter(state.values())).dtype).load_state_dict(state)
    return parts


def backward_of_twin(parts, torch, X, y):
    """As :func:`backward`."""
    first, last = parts.values()
    hidden = torch.tanh(first(torch.tensor(X))).flatten(1)
    loss = torch.nn.functional.mse_loss(last(hidden), torch.tensor(y))
    loss.backward()
    return loss


def assert_close(net, parts):
    """The parameters of both: after 30 steps, of numbers around 1."""
    for name, theirs in parts.state_dict().items():
        ours, theirs = net.state_dict()[name], theirs.numpy()
        assert ours.dtype == theirs.dtype
        atol = 1e-10 if ours.dtype == np.float64 else 3e-5
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=atol, err_msg=name)


def train(net, optimizer, steps, dtype=np.float64):
    """Steps with all data."""
    X, y = data_of(net, dtype)
    for _ in range(steps):
        optimizer.zero_grad()
        backward(net, X, y)
        optimizer.step()


def same(first, second):
    """Whether two networks have the same bits."""
    one, other = first.state_dict(), second.state_dict()
    assert list(one) == list(other)
    return all(np.array_equal(one[name], other[name]) for name in one)


def both(torch, name, groups=None, **options):
    """A network and its twin, and optimisers of both; `groups` of what has named_parameters."""
    net = Dense(rng=0)
    net.state_dict()
    twin = twin_of(net, torch)
    found = []
    for package, parts in ((optim, net), (torch.optim, twin)):
        given = parts.parameters() if groups is None else groups(dict(parts.named_parameters()))
        found.append(getattr(package, name)(given, **options))
    return net, twin, *found


def one_step(torch, net, twin, ours, theirs):
    """A step of both."""
    X, y = data_of(net, np.float64)
    ours.zero_grad()
    theirs.zero_grad()
    backward(net, X, y)
    backward_of_twin(twin, torch, X, y)
    ours.step()
    theirs.step()
