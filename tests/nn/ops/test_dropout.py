"""Dropout: its masks beside the definition of their generator; training, evaluation, resumption."""

import pickle

import numpy as np
import pytest

from fastkb import nn
from fastkb.nn.observations import Observations
from fastkb.nn.program import engine as engine_module
from fastkb.nn.program.engine import Engine, each_of, loss_code
from fastkb.nn.program.step import BY_NOTHING, Steps
from fastkb.reference.normalization import dropout
from fastkb.reference.streams import philox
from fastkb.runtime.threads import use_threads
from tests.nn.ops.differences import assert_gradients, assert_same_bits
from tests.nn.ops.test_graph import Wired, total

SEED = 2**62 + 12345


def factors(layers, n, width, seed=SEED, step=0, dtype="float64"):
    """What layers of Dropout multiply by: a step from a table of ones tells.  # shape: (n, width)"""
    network = [nn.Embedding(n, width), *layers]
    engine = Engine(network, np.dtype(dtype), (1,))
    state = engine.empty_state(1, False, False)
    engine.put("0.weight", np.ones((n, width)), state.parameters[0])
    none = np.zeros(0, dtype)
    data = Observations(
        np.arange(n, dtype=dtype)[:, None], np.zeros((n, width), dtype), np.zeros(0, np.int64), none
    )
    steps = Steps(loss_code("half_squared_error"), 0.0, BY_NOTHING, 0.0, 0.0, n)
    each = each_of(1, 1.0, step, np.array([seed]))
    engine.train(state, data, np.arange(n)[None, :], steps, nn.SGD(1.0).hyper(1.0, 1), each)
    by_weight = 1.0 - engine.take(state.parameters[0])["0.weight"].astype(float)
    return np.sqrt(by_weight * n * width)


def lots(n, width, place, seed=SEED, step=0):
    """The words of observations and elements.  # shape: (n, width), uint32"""
    quarter = -(-width // 4)
    counter = np.zeros((n, quarter, 4), np.uint64)
    counter[..., 0], counter[..., 1] = np.arange(quarter), np.arange(n)[:, None]
    counter[..., 2], counter[..., 3] = step % 2**32, place
    words = philox(counter, (seed % 2**32, seed >> 32))
    return words.transpose(0, 2, 1).reshape(n, -1)[:, :width]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("lanes", [False, True])
@pytest.mark.parametrize("width", [1, 2, 3, 5, 7, 8, 16, 17, 64, 70])
def test_masks_are_those_of_the_generator(width, lanes, dtype):
    """On any processor: neither the rows nor the lanes of its vectors have to do with them."""
    layers = [nn.MaxPool1d(1), nn.Dropout(0.3), nn.MaxPool1d(1)] if lanes else [nn.Dropout(0.3)]
    for n, step in ((1, 0), (17, 3), (33, 2**40 + 9)):
        found = factors(layers, n, width, step=step, dtype=dtype)
        words = lots(n, width, 2 + lanes, step=step)
        expected = dropout(np.ones((n, width)), words >= round(0.3 * 2**32), 0.3)
        np.testing.assert_allclose(found, expected, rtol=1e-2 if dtype == "float32" else 1e-9)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_shares_are_those_wanted_and_the_mean_is_kept(p):
    found = factors([nn.Dropout(p)], 256, 1000)
    deviation = np.sqrt(p * (1 - p) / found.size)
    assert abs((found == 0).mean() - p) < 5 * deviation
    assert abs(found.mean() - 1.0) < 5 * deviation / (1 - p)
    for axis in (0, 1):  # of each observation, and of each element
        shares = (found == 0).mean(axis=axis)
        assert np.abs(shares - p).max() < 6 * np.sqrt(p * (1 - p) / found.shape[axis])


def correlation(one, other):
    return np.corrcoef(one.ravel() > 0, other.ravel() > 0)[0, 1]


def test_masks_are_independent():
    """Of steps, of seeds, of two layers, of neighbours among observations and among elements."""
    layers = [nn.Dropout(0.5)]
    first = factors(layers, 256, 1000)
    bound = 5 / np.sqrt(first.size)
    np.testing.assert_array_equal(factors(layers, 256, 1000), first)
    for other in (
        factors(layers, 256, 1000, step=1),
        factors(layers, 256, 1000, seed=SEED + 1),
        factors(layers, 256, 1000, seed=SEED ^ 2**40),
    ):
        assert abs(correlation(first, other)) < bound
    for one, other in ((first[1:], first[:-1]), (first[:, 1:], first[:, :-1])):
        assert abs(correlation(one, other)) < 1.01 * bound
    both = factors([nn.Dropout(0.5), nn.Tanh(), nn.Dropout(0.5)], 256, 1000)
    assert abs((both > 0).mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / both.size)


@pytest.mark.parametrize(("p", "expected"), [(0.0, 1.0), (1.0, 0.0)])
def test_all_or_nothing(p, expected):
    np.testing.assert_allclose(factors([nn.Dropout(p)], 17, 9), expected, rtol=1e-9)
    network = nn.Sequential(nn.Linear(3, 5), nn.Dropout(p), nn.Linear(5, 1), rng=0)
    X = np.random.default_rng(0).standard_normal((17, 3))
    _, gradients = network.loss_and_gradients(X, np.ones(17))
    assert np.any(gradients["0.weight"] != 0) == (p == 0)


def test_elsewhere_nothing_is_dropped():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((50, 2, 9)), rng.standard_normal(50)
    layers = nn.Conv1d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(28, 1)
    plain = nn.Sequential(*layers, rng=0)
    c, f, flat, last = layers
    network = nn.Sequential(c, nn.Dropout(0.4), f, flat, nn.Dropout(0.7), last, rng=0)
    np.testing.assert_array_equal(network.forward(X), plain.forward(X))
    network.fit(X, y, epochs=1, optimizer=nn.SGD(1e-300), validation_data=(X, y))
    expected = np.mean((plain.forward(X)[:, 0] - y) ** 2)
    assert network.history["validation_loss"][0] == pytest.approx(expected, rel=1e-12)
    assert network.history["loss"][0] != pytest.approx(expected, rel=1e-3)


DENSE = {
    "a": nn.Linear(3, 17), "drop": nn.Dropout(0.3), "tanh": nn.Tanh(), "b": nn.Linear(17, 2),
}  # fmt: skip
IMAGES = {
    "a": nn.Conv2d(2, 3, 3, padding=1), "drop": nn.Dropout(0.3), "tanh": nn.GELU(),
    "b": nn.Conv2d(3, 2, 1),
}  # fmt: skip


def around(call, x):
    """Four rows: of two values that others read as well."""
    h = call("a", x)
    return call("b", total(call("drop", h), call("tanh", call("drop", h)), h, call("drop", h)))


def behind(call, x):
    """A function that is computed with it, and one that must be kept apart."""
    return call("b", call("drop", call("tanh", call("drop", call("a", x)))))


@pytest.mark.parametrize("layers", [DENSE, IMAGES], ids=["dense", "images"])
@pytest.mark.parametrize("wire", [around, behind])
@pytest.mark.parametrize("n", [1, 19])
def test_gradients_are_those_of_differences(layers, wire, n):
    """Of the loss with the same mask."""
    X = np.random.default_rng(0).standard_normal((n, 3) if layers is DENSE else (n, 2, 3, 5))
    assert_gradients(Wired(layers, wire), X, seed=5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layers", [DENSE, IMAGES], ids=["dense", "images"])
def test_threads_bring_the_same_bits(layers, dtype):
    shape = (33, 3) if layers is DENSE else (33, 2, 3, 5)
    assert_same_bits(
        Wired(layers, around), np.random.default_rng(0).standard_normal(shape).astype(dtype), seed=7
    )


LAYERS = (
    nn.Linear(4, 30), nn.ReLU(), nn.Dropout(0.5), nn.Linear(30, 30), nn.Tanh(), nn.Dropout(0.2),
    nn.Linear(30, 1),
)  # fmt: skip


def draw():
    rng = np.random.default_rng(0)
    return rng.standard_normal((75, 4)), rng.standard_normal(75)


OPTIONS = {"optimizer": nn.Adam(0.01), "batch_size": 16}


def trained(epochs=6, **options):
    return nn.Sequential(*LAYERS, rng=0).fit(*draw(), epochs=epochs, **OPTIONS, **options)


@pytest.mark.parametrize("shared", [10**12, 1])
def test_training_gives_the_same_bits(shared, monkeypatch, assert_same):
    """On any number of threads, and whether epochs are trained together or by themselves."""
    expected = trained()
    monkeypatch.setattr(engine_module, "_A_THREAD", shared)
    for threads in (1, 2, 3):
        with use_threads(threads):
            assert_same(trained(), expected)
            assert_same(trained(callbacks=lambda *_: None), expected)


def test_what_is_resumed_is_what_was_not_interrupted(tmp_path, assert_same):
    X, y = draw()
    whole, half = trained(), trained(3)
    half.save(tmp_path / "half.npz")
    for resumed in (half, nn.load(tmp_path / "half.npz"), pickle.loads(pickle.dumps(trained(3)))):
        resumed.fit(X, y, epochs=3, **OPTIONS)
        assert_same(resumed, whole)


def test_another_optimiser_does_not_meet_the_same_masks():
    """Steps so short that losses tell masks apart, and nothing else."""
    X, y = draw()
    network = nn.Sequential(*LAYERS, rng=0)
    for rate in (1e-200, 1e-200, 2e-200):
        network.fit(X, y, epochs=2, optimizer=nn.SGD(rate), batch_size=75, shuffle=False)
    assert len(set(network.history["loss"])) == 6
    other = nn.Sequential(*LAYERS, rng=0)
    other.fit(X, y, epochs=2, optimizer=nn.SGD(2e-200), batch_size=75, shuffle=False)
    assert other.history["loss"] == network.history["loss"][:2]


def test_a_seed_of_training_is_one_of_masks():
    X, y = draw()
    losses = []
    for seed in (1, 2, 1):
        network = nn.Sequential(*LAYERS, rng=0)
        network.fit(
            X, y, epochs=1, optimizer=nn.SGD(1e-200), batch_size=75, shuffle=False, rng=seed
        )
        losses += network.history["loss"]
    assert losses[0] == losses[2] != losses[1]


def test_members_have_masks_of_their_own_whoever_trains_them():
    X, y = draw()
    network = nn.Sequential(*LAYERS)
    found = []
    for threads, count in ((1, 5), (2, 5), (2, 3)):
        with use_threads(threads):
            found.append(
                nn.bootstrap_fit(network, X, y, n_resamples=count, epochs=3, rng=0, **OPTIONS)
            )
    for ensemble in found[1:]:
        for b in range(3):
            for name, value in ensemble.state_dict(b).items():
                np.testing.assert_array_equal(value, found[0].state_dict(b)[name])


@pytest.mark.parametrize("value", [-0.1, 1.5, "x", True, float("nan")])
def test_bad_arguments(value):
    with pytest.raises((TypeError, ValueError), match="p must be a number from 0 to 1, got"):
        nn.Dropout(value)


@pytest.mark.parametrize("value", [-1, 2**63, 0.5])
def test_bad_seeds(value):
    network = nn.Sequential(*LAYERS, rng=0)
    with pytest.raises((TypeError, ValueError), match="seed must be a whole number from 0 to"):
        network.loss_and_gradients(*draw(), seed=value)
