"""Images band by band: the same numbers for bands of one line, of some lines, and of whole images."""

import numpy as np
import pytest

from fastkb import nn
from fastkb.nn.observations import Observations
from fastkb.nn.program import layout
from fastkb.nn.program.engine import Engine

SIDES = 7, 5


def chain(c):
    """Functions behind convolutions, statistics, and sums, one behind the other."""
    return [
        nn.Conv2d(2, c, 3, padding=1), nn.Tanh(),
        nn.Residual(
            nn.Conv2d(c, c, 3, padding=1, bias=False), nn.BatchNorm2d(c), nn.GELU(),
            nn.Conv2d(c, c, 1), nn.BatchNorm2d(c),
        ),
        nn.ReLU(),
        nn.Residual(nn.Conv2d(c, c, 3, padding=1)), nn.Sigmoid(),
        nn.BatchNorm2d(c), nn.BatchNorm2d(c, affine=False), nn.LeakyReLU(0.1),
        nn.Conv2d(c, c, 3, stride=2, padding=1, groups=c), nn.ELU(),
    ]  # fmt: skip


def first_rows_normalise(c):
    """Sums over the batch of what no convolution gives, and of images of one line."""
    return [
        nn.BatchNorm2d(2), nn.Conv2d(2, c, (7, 1)), nn.BatchNorm2d(c), nn.ReLU(),
        nn.MaxPool2d((1, 2)), nn.BatchNorm2d(c), nn.Tanh(),
    ]  # fmt: skip


def computed(layers, X, y, lines, monkeypatch, threads=1):
    """Loss, gradients, and outputs by running statistics, with bands of so many lines."""
    monkeypatch.setattr(layout, "_BAND", lines)
    engine = Engine(layers, X.dtype, X.shape[1:])
    engine.threads = lambda batch: threads
    parameters = engine.empty_state(1, False, False).parameters
    engine.initialize(np.arange(4, dtype=np.uint32), 0, parameters[0])
    data = Observations(X, y, np.zeros(0, np.int64), np.zeros(0, X.dtype))
    loss, gradients = engine.loss_and_gradients(parameters[0], data, "squared_error", 0.0)
    return engine.program, loss, gradients, engine.forward(parameters[0], X)


def drawn(layers, n, dtype):
    rng = np.random.default_rng(0)
    X = (rng.standard_normal((n, 2, *SIDES)) + 3.0).astype(dtype)
    outputs = int(np.prod(nn.Sequential(*layers).forward(X[:1]).shape[1:]))
    return X, rng.standard_normal((n, outputs)).astype(dtype)


ONE_LINE, SOME_LINES, ALL_LINES = 1, 3000, 2**30


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [2, 16, 37])
@pytest.mark.parametrize("make", [chain, first_rows_normalise])
def test_the_numbers_do_not_depend_on_bands(make, n, dtype, monkeypatch):
    layers = make(3)
    X, y = drawn(layers, n, dtype)
    program, loss, gradients, outputs = computed(layers, X, y, ALL_LINES, monkeypatch)
    assert program.layers["along"].any()
    assert program.layers["along_back"].any() == (make is chain)
    eps = float(np.finfo(dtype).eps)
    for lines in (ONE_LINE, SOME_LINES):
        banded, *others = computed(layers, X, y, lines, monkeypatch)
        assert (banded.layers["band"] <= program.layers["band"]).all()
        assert banded.layers["band"].sum() < program.layers["band"].sum()
        assert others[0] == pytest.approx(loss, rel=50 * eps)
        np.testing.assert_allclose(
            others[1], gradients, rtol=0, atol=500 * eps * np.abs(gradients).max()
        )
        np.testing.assert_allclose(
            others[2], outputs, rtol=0, atol=50 * eps * np.abs(outputs).max()
        )


@pytest.mark.parametrize("lines", [ONE_LINE, SOME_LINES])
def test_threads_bring_the_same_bits(lines, monkeypatch):
    layers = chain(3)
    X, y = drawn(layers, 70, np.float32)
    _, loss, gradients, _ = computed(layers, X, y, lines, monkeypatch)
    for threads in (2, 3):
        _, other, others, _ = computed(layers, X, y, lines, monkeypatch, threads)
        assert other == loss
        np.testing.assert_array_equal(others, gradients)


def test_sequences_have_no_bands(monkeypatch):
    """A sequence is an image of one line."""
    layers = [nn.Conv1d(2, 3, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Conv1d(3, 1, 3)]
    X = np.random.default_rng(0).standard_normal((20, 2, 9))
    y = np.zeros((20, 5))
    program, loss, gradients, _ = computed(layers, X, y, ONE_LINE, monkeypatch)
    assert not program.layers["band"].any()
    _, other, others, _ = computed(layers, X, y, ALL_LINES, monkeypatch)
    assert loss == other
    np.testing.assert_array_equal(gradients, others)


def test_statistics_of_bands_keep_their_digits(monkeypatch):
    """Of numbers far from zero the variance is that of float64, to the rounding of the numbers."""
    rng, spread = np.random.default_rng(0), 1e-2
    X = (100.0 + spread * rng.standard_normal((32, 2, *SIDES))).astype(np.float32)
    monkeypatch.setattr(layout, "_BAND", ONE_LINE)
    net = nn.Sequential(nn.BatchNorm2d(2, momentum=1.0), rng=0, dtype="float32")
    net.fit(X, np.zeros((32, 70), np.float32), loss="squared_error", epochs=1, batch_size=32)
    state, exact = net.state_dict(), X.astype(np.float64)
    np.testing.assert_allclose(state["0.running_var"], exact.var((0, 2, 3), ddof=1), rtol=1e-4)
    np.testing.assert_allclose(state["0.running_mean"], exact.mean((0, 2, 3)), rtol=1e-7)


def test_sums_take_the_place_of_what_nobody_else_reads():
    """The value of a skip stays, and so does one that two rows read."""
    net = [nn.Conv2d(2, 2, 1), nn.Residual(nn.Conv2d(2, 2, 1)), nn.ReLU(), nn.Conv2d(2, 2, 1)]
    layers = Engine(net, np.dtype("f4"), (2, *SIDES)).program.layers
    codes = layers["code"]
    (add,) = (
        k
        for k in range(1, len(layers))
        if codes[k] != layers["code"][k - 1] and layers[k]["wanted"] == 3
    )
    assert layers[add]["target"] == layers[add - 1]["target"]
    places = layers["target"][np.arange(len(layers)) != add]
    assert len(np.unique(places)) == len(places)
    doubled = [nn.Conv2d(2, 2, 1), nn.Residual(nn.Identity()), nn.Conv2d(2, 2, 1)]
    layers = Engine(doubled, np.dtype("f4"), (2, *SIDES)).program.layers
    assert len(np.unique(layers["target"])) == len(layers)
