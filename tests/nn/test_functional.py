"""Functions of tensors against PyTorch's, with their derivatives."""

import numpy as np
import pytest

import fastkb.nn.functional as F
from fastkb import nn

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

RNG = np.random.default_rng(0)
IMAGES = RNG.standard_normal((3, 2, 6, 8))
SEQUENCES = RNG.standard_normal((3, 2, 9))

CASES = {
    "relu": ("relu", IMAGES, (), {}),
    "leaky_relu": ("leaky_relu", IMAGES, (), {}),
    "leaky_relu, slope": ("leaky_relu", IMAGES, (0.3,), {}),
    "elu": ("elu", IMAGES, (0.5,), {}),
    "gelu": ("gelu", IMAGES, (), {}),
    "sigmoid": ("sigmoid", IMAGES, (), {}),
    "tanh": ("tanh", IMAGES, (), {}),
    "softplus": ("softplus", IMAGES, (), {}),
    "max_pool2d": ("max_pool2d", IMAGES, ((2, 3),), {"stride": 2, "padding": 1}),
    "max_pool2d, list": ("max_pool2d", IMAGES, ([2, 2],), {}),
    "avg_pool2d": ("avg_pool2d", IMAGES, (3,), {"padding": 1, "count_include_pad": False}),
    "adaptive_avg_pool2d": ("adaptive_avg_pool2d", IMAGES, ((3, 2),), {}),
    "max_pool1d": ("max_pool1d", SEQUENCES, (3, 2), {}),
    "avg_pool1d": ("avg_pool1d", SEQUENCES, (2,), {}),
    "layer_norm": ("layer_norm", IMAGES, ((6, 8),), {}),
    "softmax": ("softmax", IMAGES, (1,), {}),
    "softmax of the last": ("softmax", IMAGES, (-1,), {}),
    "log_softmax": ("log_softmax", SEQUENCES, (2,), {}),
    "no dropout": ("dropout", IMAGES, (0.5, False), {}),
}


@pytest.mark.parametrize("case", CASES)
def test_they_are_torchs(case):
    name, data, arguments, options = CASES[case]
    x = nn.Tensor(data, requires_grad=True)
    y = torch.tensor(data, requires_grad=True)
    ours = getattr(F, name)(x, *arguments, **options)
    theirs = getattr(torch.nn.functional, name)(y, *arguments, **options)
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours.numpy(), theirs.detach(), rtol=1e-12, atol=1e-13)
    (ours.square() + ours).mean().backward()
    (theirs.square() + theirs).mean().backward()
    np.testing.assert_allclose(x.grad, y.grad, rtol=1e-10, atol=1e-13)


def test_arrays_are_taken_as_they_are():
    np.testing.assert_array_equal(F.relu(IMAGES).numpy(), np.maximum(IMAGES, 0))
    both = F.cat([IMAGES, 2 * IMAGES, IMAGES], dim=-3).numpy()
    np.testing.assert_array_equal(both, np.concatenate([IMAGES, 2 * IMAGES, IMAGES], axis=1))


def test_all_names_are_functions():
    for name in F.__all__:
        assert callable(getattr(F, name))
        assert getattr(F, name).__doc__


class Dropping(nn.Module):
    def __init__(self):
        super().__init__(rng=0)
        self.fc, self.drop = nn.Linear(4, 400), nn.Dropout(0.25)

    def forward(self, x):
        return self.drop(self.fc(x))


def test_dropout_in_a_module():
    """The same mask forward and back, another one in each call, none in evaluation."""
    X, net = np.ones((8, 4)), Dropping()
    whole = net.eval()(X).numpy()
    net.train()
    y = net(X)
    found = y.numpy()
    kept = found != 0
    assert 0.7 < kept.mean() < 0.8
    np.testing.assert_allclose(found, whole * kept / 0.75, rtol=1e-12)
    net.zero_grad()
    y.sum().backward()
    np.testing.assert_allclose(net.fc.bias.grad, kept.sum(0) / 0.75, rtol=1e-12)
    other = net(X).numpy()
    assert not np.array_equal(other != 0, kept)
    assert ((other != 0) == kept).mean() < 0.7
    again = Dropping()
    again.eval()(X)
    np.testing.assert_array_equal(again.train()(X).numpy(), found)
    np.testing.assert_allclose(net.predict(X), whole, rtol=1e-12)


def test_functional_dropout_has_masks_of_its_network():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__(rng=0)
            self.fc = nn.Linear(4, 300)

        def forward(self, x):
            x = self.fc(x)
            return F.cat([F.dropout(x, 0.5, self.training), F.dropout(x, 0.5, self.training)])

    net = Twice()
    y = net(np.ones((4, 4))).numpy()
    one, other = y[:, :300] != 0, y[:, 300:] != 0
    assert 0.4 < one.mean() < 0.6
    assert 0.4 < (one == other).mean() < 0.6
    z = net.eval()(np.ones((4, 4))).numpy()
    assert (z[:, :300] == z[:, 300:]).all()


def test_tables_and_sequences():
    class Text(nn.Module):
        def __init__(self):
            super().__init__(rng=0, dtype="float64")
            self.table, self.conv = nn.Embedding(11, 5), nn.Conv1d(5, 4, 3, padding=1)
            self.norm, self.out = nn.LayerNorm(4), nn.Linear(4, 3)

        def forward(self, x):
            x = self.conv(self.table(x).transpose(1, 2))
            return self.out(self.norm(x.mean(2)))

    class Theirs(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.conv = torch.nn.Embedding(11, 5), torch.nn.Conv1d(5, 4, 3, padding=1)
            self.norm, self.out = torch.nn.LayerNorm(4), torch.nn.Linear(4, 3)

        forward = Text.forward

    net, twin = Text(), Theirs().double()
    words, labels = RNG.integers(0, 11, (17, 6)), RNG.integers(0, 3, 17)
    net.load_state_dict(twin.state_dict())
    nn.CrossEntropyLoss()(net(words), labels).backward()
    torch.nn.CrossEntropyLoss()(twin(torch.tensor(words)), torch.tensor(labels)).backward()
    for ours, theirs in zip(net.parameters(), twin.parameters(), strict=True):
        np.testing.assert_allclose(ours.grad, theirs.grad, rtol=1e-9, atol=1e-14)
    net.fit(words, labels, loss="cross_entropy", epochs=1)
    for use in (net, net.predict, lambda X: net.fit(X, labels, loss="cross_entropy")):
        with pytest.raises(ValueError, match="table, Embedding"):
            use(words + 0.5)
        with pytest.raises(ValueError, match="table, Embedding"):
            use(words + 11)
