"""Tensors: data, numbers that are computed when asked for, no_grad, errors."""

import gc
import weakref

import numpy as np
import pytest

import fastkb.nn.functional as F
from fastkb import nn

DATA = np.random.default_rng(0).standard_normal((4, 3))


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (DATA, np.float64),
        (DATA.astype(np.float32), np.float32),
        (DATA.astype(np.float16), np.float64),
        (DATA.astype(">f8"), np.float64),
        (DATA.astype(">f4"), np.float32),
        (DATA[::-1, ::2], np.float64),
        (np.asfortranarray(DATA), np.float64),
        ([[1, 2], [3, 4]], np.float64),
        (DATA > 0, np.float64),
    ],
)
def test_data_are_numbers_of_one_of_two_types(data, dtype):
    tensor = nn.Tensor(data)
    assert tensor.dtype == dtype
    assert tensor.dtype.isnative
    np.testing.assert_array_equal(tensor.numpy(), np.asarray(data, dtype))


def test_data_are_not_changed_and_may_be_read_only():
    data = DATA.copy()
    data.flags.writeable = False
    x = nn.Tensor(data, requires_grad=True)
    (x * 2.0).square().mean().backward()
    np.testing.assert_array_equal(data, DATA)
    np.testing.assert_allclose(x.grad, 8 * DATA / DATA.size, rtol=1e-12)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([[1.0, np.nan]], "data has NaN or infinity"),
        ([[1.0, np.inf]], "data has NaN or infinity"),
        (np.ones(3), "an axis of observations and another one"),
        (3.0, "an axis of observations"),
        (np.ones((0, 3)), "must have an element"),
        ([[1j]], "data"),
        ([["a"]], "data"),
        (np.ma.array([[1.0]], mask=[[True]]), "data"),
        (np.zeros((2, 3, 4, 4), np.uint8), "bytes, from 0 to 255, whose scale is not said"),
    ],
)
def test_bad_data(data, message):
    with pytest.raises((TypeError, ValueError), match=message):
        nn.Tensor(data)


def test_tensors_of_another_package():
    torch = pytest.importorskip("torch")
    x = nn.Tensor(torch.tensor(DATA))
    np.testing.assert_array_equal(x.numpy(), DATA)


def test_large_data_whose_sum_overflows_are_finite():
    assert nn.Tensor(np.full((2, 2), 1e308)).numpy().max() == 1e308


def test_what_is_known_of_it():
    x = nn.Tensor(np.zeros((4, 2, 3)))
    assert (x.shape, x.size(), x.size(1), x.size(-1)) == ((4, 2, 3), (4, 2, 3), 2, 3)
    assert (x.ndim, x.dim(), len(x), x.numel()) == (3, 3, 4, 24)
    assert (
        repr(nn.Tensor([[1.0]], requires_grad=True)) == "Tensor(array([[1.]]), requires_grad=True)"
    )


def test_numpy_takes_it():
    x = nn.Tensor(DATA) * 2.0
    np.testing.assert_array_equal(np.asarray(x), 2 * DATA)
    assert np.asarray(x, np.float32).dtype == np.float32
    np.testing.assert_array_equal(np.exp(x), np.exp(2 * DATA))
    np.testing.assert_array_equal(x > 0.5, 2 * DATA > 0.5)
    np.testing.assert_array_equal(x <= x.numpy(), np.ones((4, 3), bool))
    np.testing.assert_array_equal(x.argmax(1), DATA.argmax(1))
    assert x.tolist() == (2 * DATA).tolist()
    assert nn.Tensor([[3.0]]).item() == 3.0
    with pytest.raises(ValueError, match="size 1"):
        x.item()


def test_numbers_are_computed_once():
    net = nn.Sequential(nn.Linear(3, 2), rng=0)
    y = net(DATA)
    first = y.numpy()
    assert y.numpy() is first
    np.testing.assert_allclose(first, net.forward(DATA), rtol=1e-12)


def test_what_the_caller_changes_later_does_not_count():
    net, data, labels = nn.Sequential(nn.Linear(3, 2), rng=0), DATA.copy(), np.array([0, 1, 1, 0])
    targets = DATA[:, :2].copy()
    expected = net.forward(data)
    y = net(data)
    losses = [F.cross_entropy(y, labels), F.mse_loss(y, targets)]
    wanted = [F.cross_entropy(net(data), labels).item(), F.mse_loss(net(data), targets).item()]
    data[...], labels[...], targets[...] = 0.0, 0, 0.0
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-12)
    assert [loss.item() for loss in losses] == wanted


def test_detached_numbers_have_no_past():
    x = nn.Tensor(DATA, requires_grad=True)
    y = (x * 3.0).detach()
    assert not y.requires_grad
    (y * x).sum().backward()
    np.testing.assert_allclose(x.grad, 3 * DATA, rtol=1e-12)


def test_no_grad():
    net = nn.Sequential(nn.Linear(3, 2), rng=0)
    with nn.no_grad():
        y = net(DATA)
    assert not y.requires_grad
    assert net(DATA).requires_grad
    with pytest.raises(ValueError, match="no_grad"):
        y.square().mean().backward()

    @nn.no_grad()
    def give():
        return net(DATA)

    assert not give().requires_grad
    with pytest.raises(ZeroDivisionError), nn.no_grad():
        _ = 1 / 0
    assert net(DATA).requires_grad


def test_derivatives_are_wanted_of_data_alone():
    x = nn.Tensor(DATA)
    assert x.requires_grad_() is x
    assert (x * 2.0).requires_grad
    with pytest.raises(ValueError, match="requires_grad is that of data"):
        (x * 2.0).requires_grad_()
    with pytest.raises(ValueError, match=r"has shape \(4, 3\): take a loss or its mean\(\) first"):
        (x * 2.0).backward()


def test_derivatives_add_up():
    x = nn.Tensor(DATA, requires_grad=True)
    for k in range(1, 4):
        (x * 2.0).sum().backward()
        np.testing.assert_allclose(x.grad, np.full((4, 3), 2.0 * k))
    x.grad = None
    x.sum().backward()
    np.testing.assert_array_equal(x.grad, np.ones((4, 3)))


def test_tensors_of_two_networks_do_not_go_together():
    one, other = (nn.Sequential(nn.Linear(3, 3), rng=0) for _ in range(2))
    with pytest.raises(ValueError, match="make both attributes of one Module"):
        _ = one(DATA) + other(DATA)
    with pytest.raises(ValueError, match="make both attributes of one Module"):
        other(one(DATA))


def test_what_nobody_holds_is_freed():
    net = nn.Sequential(nn.Linear(3, 2), rng=0)
    data = DATA.copy()
    alive = weakref.ref(data)
    loss = F.relu(net(data)).mean()
    loss.backward()
    del loss, data
    gc.collect()
    assert alive() is None
