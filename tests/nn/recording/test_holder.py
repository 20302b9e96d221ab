"""Buffers, and parameters under names that are said: what they are, new numbers, errors."""

import copy
import pickle

import numpy as np
import pytest

import fastkb.nn.functional as F
import fastkb.optim as optim
from fastkb import nn


class Centred(nn.Module):
    """What a network does with means and spreads that are known; and a whole number."""

    def __init__(self, **options):
        super().__init__(**options)
        self.register_buffer("mean", np.array([1.0, 2.0, 3.0]))
        self.register_buffer("spread", np.full((1, 3), 2.0), persistent=False)
        self.register_buffer("seen", np.array(5))
        self.register_buffer("nothing", None)
        self.fc = nn.Linear(3, 2)

    def forward(self, x):
        assert self.nothing is None
        return self.fc((x - self.mean) / self.spread)


def rows(n=7, dtype=np.float64):
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, 3)).astype(dtype), rng.standard_normal((n, 2))


def by_hand(net, X, mean, spread):
    state = net.state_dict()
    return (X - mean) / spread @ state["fc.weight"].T + state["fc.bias"]


def test_names_and_what_attributes_are():
    net = Centred(rng=0)
    assert [name for name, _ in net.named_parameters()] == ["fc.weight", "fc.bias"]
    assert list(net.state_dict()) == ["mean", "seen", "fc.weight", "fc.bias"]
    assert [name for name, _ in net.named_buffers()] == ["mean", "spread", "seen"]
    assert [each.shape for each in net.buffers()] == [(3,), (1, 3), ()]
    assert isinstance(net.mean, np.ndarray)
    np.testing.assert_array_equal(net.mean, [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="read-only"):
        net.mean[0] = 4.0
    assert net.state_dict()["seen"].dtype == net.seen.dtype == np.array(5).dtype
    whole = nn.Sequential(net, rng=0)
    assert list(whole.state_dict()) == ["0.mean", "0.seen", "0.fc.weight", "0.fc.bias"]
    assert [name for name, _ in whole[0].named_buffers()] == ["mean", "spread", "seen"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_that_are_assigned_are_seen_by_all_that_comes_later(dtype):
    X, y = rows(dtype=dtype)
    net = Centred(rng=0)
    tolerance = 1e-4 if dtype is np.float32 else 1e-11
    optimizer = optim.SGD(net.parameters(), lr=0.1)
    mean = np.array([1.0, 2.0, 3.0])
    for step, spread in enumerate((2.0, 3.0, 0.5, 4.0)):
        if step:
            net.spread = np.full((1, 3), spread)
            mean = mean + 1
            net.mean = mean
        expected = by_hand(net, X, mean, spread)
        np.testing.assert_allclose(net(X).numpy(), expected, rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(net.predict(X), expected, rtol=tolerance, atol=tolerance)
        F.mse_loss(net(X), y).backward()
        optimizer.step()
        optimizer.zero_grad()
        other = nn.Sequential(nn.Linear(3, 2), rng=0)
        other.load_state_dict(
            {k.replace("fc", "0"): v for k, v in net.state_dict().items() if k[:2] == "fc"}
        )
        for each, inputs in ((net, X), (other, ((X - mean) / spread).astype(dtype))):
            each.fit(inputs, y, epochs=3, batch_size=4, shuffle=False, rng=0)
        np.testing.assert_allclose(
            net.fc.weight.data, other[0].weight.data, rtol=tolerance, atol=tolerance
        )
    np.testing.assert_array_equal(net.state_dict()["mean"], mean)


def test_numbers_of_another_shape_and_none():
    X, _ = rows()
    net = Centred(rng=0)
    before = net.predict(X)
    weight = net.fc.weight.data
    net.mean = 1.0
    np.testing.assert_allclose(net.predict(X), by_hand(net, X, 1.0, 2.0))
    np.testing.assert_array_equal(net.fc.weight.data, weight)
    net.mean = np.array([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(net.predict(X), before)
    net.nothing = 3
    assert net.nothing == 3
    net.seen = None
    assert net.seen is None
    assert "seen" not in net.state_dict()
    net.mean = nn.Parameter(np.ones(3))
    assert [name for name, _ in net.named_parameters()] == ["mean", "fc.weight", "fc.bias"]
    del net.mean
    with pytest.raises(AttributeError, match="mean"):
        _ = net.mean


def test_copies_pickles_and_state_dicts():
    X, _ = rows()
    net = Centred(rng=0)
    net.mean, net.spread, net.seen = np.zeros(3), np.full((1, 3), 5.0), 7
    expected = by_hand(net, X, 0.0, 5.0)
    for each in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        np.testing.assert_allclose(each.predict(X), expected)
        assert each.seen == 7
    for early in (True, False):
        other = Centred(rng=1)
        if not early:
            other.predict(X)
        other.load_state_dict(net.state_dict())
        np.testing.assert_array_equal(other.mean, np.zeros(3))
        np.testing.assert_array_equal(other.spread, np.full((1, 3), 2.0))
        np.testing.assert_allclose(other.predict(X), by_hand(net, X, 0.0, 2.0))
        assert other.seen.dtype.kind == "i"
    with pytest.raises(ValueError, match="spread, which is a buffer with persistent=False"):
        other.load_state_dict({**net.state_dict(), "spread": np.ones((1, 3))})
    with pytest.raises(ValueError, match="lacks mean"):
        other.load_state_dict({k: v for k, v in net.state_dict().items() if k != "mean"})
    whole = nn.Sequential(net, rng=0)
    part = copy.deepcopy(whole[0])
    np.testing.assert_allclose(part.predict(X), expected)
    single = Centred(rng=0)
    state = {k: v.astype("f4") if k[:2] == "fc" else v for k, v in net.state_dict().items()}
    single.load_state_dict(state)  # buffers do not tell the element type
    assert single.dtype == np.float32


def test_truth_values_are_masks():
    class Masked(nn.Module):
        def __init__(self):
            super().__init__(rng=0)
            self.register_buffer("mask", np.array([True, False, True]))
            self.fc = nn.Linear(3, 1)

        def forward(self, x):
            return self.fc(x * self.mask)

    X, _ = rows()
    net = Masked()
    assert net.state_dict()["mask"].dtype == bool
    net.load_state_dict(net.state_dict())
    moved = X + np.array([0.0, 5.0, 0.0])
    np.testing.assert_array_equal(net.predict(X), net.predict(moved))
    assert net.mask.tolist() == [True, False, True]


def test_numbers_of_buffers_may_decide_in_forward():
    class Chosen(nn.Module):
        def __init__(self):
            super().__init__(rng=0)
            self.register_buffer("times", np.array(1))
            self.fc = nn.Linear(3, 3)

        def forward(self, x):
            for _ in range(int(self.times.item())):
                x = self.fc(x)
            return x

    X, _ = rows()
    net = Chosen()
    once = net.predict(X)
    np.testing.assert_array_equal(net(X).numpy(), once)
    net.times = 2
    np.testing.assert_allclose(net.predict(X), net(X).numpy())
    weight, bias = net.fc.weight.data, net.fc.bias.data
    np.testing.assert_allclose(net.predict(X), once @ weight.T + bias)


def test_an_output_of_other_numbers_is_none():
    X, _ = rows()
    net = Centred(rng=0)
    output = net(X)
    net.mean = np.zeros(3)
    with pytest.raises(ValueError, match="have changed since this tensor was recorded"):
        output.numpy()


def test_arrays_in_forward_find_a_home():
    class Beside(nn.Module):
        def __init__(self):
            super().__init__(rng=0)
            self.fc = nn.Linear(3, 2)

        def forward(self, x):
            return self.fc(x + np.ones(3))

    X, y = rows()
    with pytest.raises(ValueError, match=r"self.register_buffer\(name, array\)"):
        Beside().fit(X, y)


def test_a_buffer_may_be_registered_again():
    net = Centred(rng=0)
    net.register_buffer("mean", np.full(3, 2.0))
    assert net.state_dict()["mean"].tolist() == [2.0, 2.0, 2.0]
    with pytest.raises(ValueError, match="buffer mean has NaN"):
        net.register_buffer("mean", np.full(3, np.nan))
    assert net.mean.tolist() == [2.0, 2.0, 2.0]
    net.register_buffer("mean", np.zeros(3), persistent=False)
    assert "mean" not in net.state_dict()
    with pytest.raises(KeyError, match="is there already"):
        net.register_parameter("mean", None)


def test_errors():
    net = Centred(rng=0)
    for register, what in ((net.register_buffer, "buffer"), (net.register_parameter, "parameter")):
        for name in ("fc", "training", "forward"):
            with pytest.raises(KeyError, match="is there already"):
                register(name, None)
        for name in ("", "a.b"):
            with pytest.raises(KeyError, match=f"name of a {what} must have letters and no dot"):
                register(name, None)
        with pytest.raises(TypeError, match=f"name of a {what} must be a text, got int"):
            register(3, None)
    with pytest.raises(TypeError, match=r"param a must be an nn\.Parameter or None, got ndarray"):
        net.register_parameter("a", np.ones(3))
    with pytest.raises(ValueError, match="buffer a has NaN or infinity"):
        net.register_buffer("a", [np.inf])
    with pytest.raises(ValueError, match="buffer a must be whole numbers from"):
        net.register_buffer("a", np.array([2**40]))
    with pytest.raises((TypeError, ValueError), match="buffer a must be numbers"):
        net.register_buffer("a", {})
    with pytest.raises(TypeError, match="Sequential has layers alone"):
        nn.Sequential(nn.Linear(1, 1)).register_buffer("a", np.ones(2))
    with pytest.raises(TypeError, match="Sequential has layers alone"):
        nn.Sequential(nn.Linear(1, 1)).a = nn.Parameter(np.ones(2))

    class Early(nn.Module):
        def __init__(self):
            self.register_buffer("a", np.ones(3))

    with pytest.raises(
        AttributeError, match=r"must call super\(\).__init__\(\) before it has a buffer"
    ):
        Early()

    class Counting(nn.Module):
        def __init__(self):
            super().__init__(rng=0)
            self.register_buffer("count", np.array(0))

        def forward(self, x):
            self.count = 1
            return x

    with pytest.raises(ValueError, match="buffer count is assigned while forward is recorded"):
        Counting()(rows()[0])
