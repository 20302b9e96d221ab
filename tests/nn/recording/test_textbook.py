"""The textbook's class and loop with other imports: PyTorch's parameters after 100 steps."""

import numpy as np
import pytest

import fastkb.nn as nn
import fastkb.nn.functional as F
import fastkb.optim as optim
from fastkb.runtime.threads import use_threads
from tests.nn.recording import textbook

STEPS, BATCH = 100, 4


def batches(dtype, steps=STEPS, batch=BATCH):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((steps, batch, 1, 32, 32)).astype(dtype)
    return list(zip(X, rng.integers(0, 10, (steps, batch)), strict=True))


def both():
    """Torch, and twins with the same first parameters."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    twin = textbook.net_class(torch.nn, torch.nn.functional)().double()
    net = textbook.net_class(nn, F)()
    return torch, net, twin


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-9), (np.float32, 1e-4)])
def test_the_loop_gives_torchs_parameters(dtype, tolerance):
    torch, net, twin = both()
    first = {name: array.astype(dtype) for name, array in _state(twin).items()}
    net.load_state_dict(first)
    data = batches(dtype)
    losses = textbook.train(optim, net, nn.CrossEntropyLoss(), data)
    tensors = [(torch.tensor(X, dtype=torch.float64), torch.tensor(y)) for X, y in data]
    expected = textbook.train(torch.optim, twin, torch.nn.CrossEntropyLoss(), tensors)
    np.testing.assert_allclose(losses, expected, rtol=100 * tolerance)
    assert list(net.state_dict()) == list(twin.state_dict())
    moved = 0.0
    for name, array in _state(twin).items():
        np.testing.assert_allclose(net.state_dict()[name], array, atol=tolerance, err_msg=name)
        moved = max(moved, np.abs(array - first[name]).max())
    assert moved > 50 * tolerance


def _state(module):
    return {name: tensor.numpy().copy() for name, tensor in module.state_dict().items()}


@pytest.mark.parametrize(
    "make",
    [
        lambda optim, parameters: optim.SGD(parameters, lr=0.01, momentum=0.9),
        lambda optim, parameters: optim.SGD(
            parameters, 0.01, 0.9, weight_decay=0.01, nesterov=True
        ),
        lambda optim, parameters: optim.Adam(parameters, lr=1e-4),
    ],
    ids=["momentum", "Nesterov", "Adam"],
)
def test_other_optimizers_give_torchs_parameters(make):
    torch, net, twin = both()
    net.load_state_dict(twin.state_dict())
    ours, theirs = make(optim, net.parameters()), make(torch.optim, twin.parameters())
    for X, y in batches(np.float64):
        ours.zero_grad()
        nn.CrossEntropyLoss()(net(X), y).backward()
        ours.step()
        theirs.zero_grad()
        torch.nn.CrossEntropyLoss()(twin(torch.tensor(X)), torch.tensor(y)).backward()
        theirs.step()
    for name, array in _state(twin).items():
        np.testing.assert_allclose(net.state_dict()[name], array, atol=1e-9, err_msg=name)


def test_the_loop_gives_the_parameters_of_fit():
    """The same steps, in one call: to the last bit."""
    Net, data = textbook.net_class(nn, F), batches(np.float32, 12, 33)
    first = {name: array.astype(np.float32) for name, array in Net().state_dict().items()}
    one, other = Net(), Net()
    for net in (one, other):
        net.load_state_dict(first)
    textbook.train(optim, one, nn.CrossEntropyLoss(), data)
    X, y = (np.concatenate(each) for each in zip(*data, strict=True))
    other.fit(
        X, y, loss="cross_entropy", optimizer=nn.SGD(0.01), epochs=1, batch_size=33, shuffle=False
    )
    for name, array in one.state_dict().items():
        np.testing.assert_array_equal(array, other.state_dict()[name])


def test_threads_bring_the_same_bits():
    Net, data = textbook.net_class(nn, F), batches(np.float32, 6, 70)
    first, found = Net().state_dict(), []
    for threads in (1, 2, 3):
        with use_threads(threads):
            net = Net()
            net.load_state_dict({k: v.astype(np.float32) for k, v in first.items()})
            losses = textbook.train(optim, net, nn.CrossEntropyLoss(), data)
            found.append([losses, *net.state_dict().values()])
    for other in found[1:]:
        for one, array in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(one, array)


def test_a_network_learns():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((64, 1, 32, 32)).astype(np.float32)
    y = (X.mean((1, 2, 3)) > 0).astype(int)
    X += (2 * y - 1).reshape(-1, 1, 1, 1)
    net = textbook.net_class(nn, F)()
    optimizer = optim.Adam(net.parameters(), lr=1e-3)
    for _ in range(20):
        optimizer.zero_grad()
        loss = nn.CrossEntropyLoss()(net(X), y)
        loss.backward()
        optimizer.step()
    assert (net(X).argmax(1) == y).mean() > 0.95
