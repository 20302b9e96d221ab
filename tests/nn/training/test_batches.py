"""Training on batches of an iterable: the steps of arrays, what is found in time, what is refused."""

import numpy as np
import pytest

import fastkb.nn.functional as F
from fastkb import nn

RNG = np.random.default_rng(0)
X = RNG.standard_normal((50, 3))
Y = np.sin(X[:, :2])
BATCHES = [(X[k : k + 16], Y[k : k + 16]) for k in range(0, 50, 16)]


def network(**options):
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2), rng=0, **options)


class Reading:
    """Begins anew for each epoch, as a data loader does."""

    def __init__(self, batches):
        self.batches, self.read = batches, 0

    def __iter__(self):
        for batch in self.batches:
            self.read += 1
            yield batch


@pytest.mark.parametrize("optimizer", [nn.SGD(0.05, 0.9), nn.Adam(0.01)])
def test_the_steps_are_those_of_arrays(optimizer):
    options = {"optimizer": optimizer, "epochs": 3, "l2": 0.01}
    whole = network().fit(X, Y, batch_size=16, shuffle=False, **options)
    for batches in (BATCHES, Reading(BATCHES), [list(each) for each in BATCHES]):
        net = network().fit(batches, **options)
        for name, array in whole.state_dict().items():
            np.testing.assert_array_equal(net.state_dict()[name], array)
        np.testing.assert_allclose(net.history["loss"], whole.history["loss"], rtol=1e-12)
        assert net.history["learning_rate"] == whole.history["learning_rate"]


def test_an_iterator_serves_one_epoch():
    whole = network().fit(X, Y, batch_size=16, shuffle=False, epochs=1)
    net = network().fit(iter(BATCHES), epochs=1)
    np.testing.assert_array_equal(net.predict(X), whole.predict(X))
    with pytest.raises(ValueError, match=r"ends after one epoch, and epochs=2"):
        network().fit(iter(BATCHES), epochs=2)


def test_no_more_is_read_than_is_trained():
    reading = Reading(BATCHES)
    network().fit(reading, epochs=2)
    assert reading.read == 2 * len(BATCHES) + 1  # the first one is looked at before


def test_training_goes_on_and_is_looked_at():
    once = network().fit(BATCHES, epochs=4, optimizer=nn.Adam(0.01), validation_data=(X, Y))
    twice = network()
    for _ in range(2):
        twice.fit(BATCHES, epochs=2, optimizer=nn.Adam(0.01), validation_data=(X, Y))
    np.testing.assert_array_equal(once.predict(X), twice.predict(X))
    assert len(once.history["validation_loss"]) == 4
    seen = []
    network().fit(BATCHES, epochs=3, callbacks=lambda net, record: seen.append(record["loss"]))
    assert len(seen) == 3


def test_modules_and_dropout():
    class Net(nn.Module):
        def __init__(self):
            super().__init__(rng=0)
            self.a, self.drop, self.b = nn.Linear(3, 40), nn.Dropout(0.5), nn.Linear(40, 2)

        def forward(self, x):
            return self.b(self.drop(F.relu(self.a(x))))

    whole = Net().fit(X, Y, batch_size=16, shuffle=False, epochs=2)
    net = Net().fit(BATCHES, epochs=2)
    np.testing.assert_array_equal(net.predict(X), whole.predict(X))


def test_float32_stays():
    net = network().fit([(x.astype("f4"), y.astype("f4")) for x, y in BATCHES], epochs=1)
    assert net.dtype == np.float32


def test_a_batch_that_does_not_fit_is_named():
    before = network()
    first = before.state_dict()
    with pytest.raises(ValueError, match="batch 0: X has 2 columns, and the network takes 3"):
        before.fit([(X[:, :2], Y)], epochs=1)
    for name, array in first.items():
        np.testing.assert_array_equal(before.state_dict()[name], array)
    with pytest.raises(ValueError, match="batch 2: Input X contains NaN"):
        network().fit([*BATCHES[:2], (np.full((3, 3), np.nan), Y[:3])], epochs=1)
    normal = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    with pytest.raises(
        ValueError, match=r"batch 1: layer 1, .*one value per channel in a batch of 1"
    ):
        normal.fit([BATCHES[0], (X[:1], Y[:1])], epochs=1)


@pytest.mark.parametrize(
    ("X", "options", "error", "message"),
    [
        (X, {}, TypeError, "an iterable of batches .* where there is no y, got ndarray"),
        (3, {}, TypeError, "got int"),
        ([], {}, ValueError, "X has no batch"),
        ([X], {}, TypeError, r"batch 0 must be a pair \(X, y\), got ndarray"),
        (BATCHES, {"sample_weight": np.ones(50)}, ValueError, "sample_weight is for arrays"),
        (BATCHES, {"loss": "nothing"}, ValueError, "loss must be"),
    ],
)
def test_bad_batches(X, options, error, message):
    with pytest.raises(error, match=message):
        network().fit(X, **options)


def test_a_step_that_diverges_is_named():
    net = network()
    with pytest.raises(FloatingPointError, match="in epoch 1, step 2"):
        net.fit([BATCHES[0], (X[:16], 1e200 + Y[:16]), BATCHES[2]], epochs=1)
    assert np.isfinite(net.predict(X)).all()


# --- losses as objects, and images of bytes -----------------------------------------------------


def test_losses_as_objects_are_those_by_name():
    labels, shares = RNG.integers(0, 2, 50), RNG.uniform(size=(50, 2))
    for criterion, name, y in (
        (nn.MSELoss(), "squared_error", Y),
        (nn.CrossEntropyLoss(), "cross_entropy", labels),
        (nn.BCEWithLogitsLoss(), "binary_cross_entropy", shares),
    ):
        found = [network().fit(X, y, loss=loss, epochs=2).predict(X) for loss in (criterion, name)]
        np.testing.assert_array_equal(*found)


def test_classes_have_weights_and_some_labels_do_not_count():
    labels = RNG.integers(0, 2, 50)
    labels[::5] = -100
    criterion = nn.CrossEntropyLoss(weight=[1.0, 3.0])
    net = network()
    net.fit(
        X, labels, loss=criterion, epochs=1, batch_size=50, shuffle=False, optimizer=nn.SGD(0.1)
    )
    other = network()
    loss = criterion(other(X), labels)
    loss.backward()
    assert net.history["loss"][0] == pytest.approx(loss.item(), rel=1e-12)
    for name, parameter in other.named_parameters():
        expected = parameter.numpy() - 0.1 * parameter.grad
        np.testing.assert_allclose(net.state_dict()[name], expected, rtol=1e-10, atol=1e-14)
    members = nn.bootstrap_fit(
        network(), X, np.abs(labels) % 2, loss=criterion, n_resamples=2, epochs=1
    )
    assert members.loss == "cross_entropy"


@pytest.mark.parametrize(
    "criterion",
    [nn.L1Loss(reduction="none"), nn.MSELoss(reduction="sum")],
)
def test_losses_that_fit_does_not_have(criterion):
    with pytest.raises(ValueError, match=r"fit has no compiled form of .*train by a loop"):
        network().fit(X, np.abs(Y), loss=criterion, epochs=1)


def test_images_of_bytes_have_a_scale():
    images = RNG.integers(0, 256, (20, 1, 5, 5)).astype(np.uint8)
    y = RNG.integers(0, 2, 20)
    layers = nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(18, 2)
    net, other = nn.Sequential(*layers, rng=0), nn.Sequential(*layers, rng=0)
    options = {"loss": "cross_entropy", "epochs": 2}
    net.fit(images, y, scale=1 / 255, validation_data=(images, y), **options)
    floats = images * np.float32(1 / 255)
    other.fit(floats, y, validation_data=(floats, y), **options)
    assert net.dtype == np.float32
    np.testing.assert_array_equal(net.predict(images, scale=1 / 255), other.predict(floats))
    assert net.history == other.history
    batches = [(images[:10], y[:10]), (images[10:], y[10:])]
    streamed = nn.Sequential(*layers, rng=0).fit(batches, scale=1 / 255, **options)
    assert streamed.dtype == np.float32
    with pytest.raises(
        ValueError, match="whose scale is not said: give fit and predict scale=1 / 255"
    ):
        net.predict(images)
    with pytest.raises(ValueError, match="scale is that of bytes, and X is of float32"):
        net.predict(floats, scale=1 / 255)
    with pytest.raises(ValueError, match="scale must be"):
        net.predict(images, scale=-1.0)
