"""Losses as objects are those of the functions."""

import numpy as np
import pytest

import fastkb.nn.functional as F
from fastkb import nn, optim

Z = np.random.default_rng(0).standard_normal((6, 3))
Y = np.random.default_rng(1).uniform(0.1, 0.9, (6, 3))
LABELS = np.array([0, 1, 2, 0, 1, 2])

CASES = [
    (nn.MSELoss(), F.mse_loss, Y),
    (nn.MSELoss(reduction="sum"), lambda z, y: F.mse_loss(z, y, reduction="sum"), Y),
    (nn.L1Loss(), F.l1_loss, Y),
    (nn.SmoothL1Loss(beta=0.5), lambda z, y: F.smooth_l1_loss(z, y, beta=0.5), Y),
    (nn.HuberLoss(delta=0.5), lambda z, y: F.huber_loss(z, y, delta=0.5), Y),
    (nn.BCEWithLogitsLoss(), F.binary_cross_entropy_with_logits, Y),
    (nn.BCELoss(), lambda z, y: F.binary_cross_entropy(z, y), Y),
    (nn.CrossEntropyLoss(), F.cross_entropy, LABELS),
    (
        nn.CrossEntropyLoss([1.0, 2.0, 3.0], label_smoothing=0.1),
        lambda z, y: F.cross_entropy(z, y, weight=[1.0, 2.0, 3.0], label_smoothing=0.1),
        LABELS,
    ),
    (nn.NLLLoss(ignore_index=1), lambda z, y: F.nll_loss(z, y, ignore_index=1), LABELS),
]


@pytest.mark.parametrize(
    ("criterion", "function", "target"), CASES, ids=map(str, range(len(CASES)))
)
def test_they_are_the_functions(criterion, function, target):
    z = Y[::-1].copy() if isinstance(criterion, nn.BCELoss) else Z
    assert criterion(nn.Tensor(z), target).item() == function(nn.Tensor(z), target).item()


def test_texts_and_errors():
    assert repr(nn.MSELoss()) == "MSELoss(reduction='mean')"
    assert repr(nn.SmoothL1Loss(beta=2.0)) == "SmoothL1Loss(reduction='mean', beta=2.0)"
    with pytest.raises(ValueError, match="delta must be"):
        nn.HuberLoss(delta=0.0)
    for kind in (nn.MSELoss, nn.L1Loss, nn.BCELoss, nn.CrossEntropyLoss, nn.NLLLoss, nn.HuberLoss):
        with pytest.raises(ValueError, match="reduction must be"):
            kind(reduction="average")
    with pytest.raises(ValueError, match="label_smoothing must be"):
        nn.CrossEntropyLoss(label_smoothing=-0.1)


# --- in fit -------------------------------------------------------------------------------------

WEIGHT = [0.5, 2.0, 1.0]
X = np.random.default_rng(2).standard_normal((30, 3))
TARGETS = 2 * np.random.default_rng(3).standard_normal((30, 3))
SHARES = np.random.default_rng(4).uniform(size=(30, 3))
CLASSES = np.random.default_rng(5).integers(0, 3, 30)
SOME = np.where(np.arange(30) % 5, CLASSES, -100)

# The criterion's name, its options, the answers, and what stands at the end of the network.
FITTED = {
    "squared": ("MSELoss", {}, TARGETS, None),
    "absolute": ("L1Loss", {}, TARGETS, None),
    "smooth": ("SmoothL1Loss", {"beta": 0.7}, TARGETS, None),
    "huber": ("HuberLoss", {"delta": 0.6}, TARGETS, None),
    "logits": ("BCEWithLogitsLoss", {}, SHARES, None),
    "logits, weights": ("BCEWithLogitsLoss", {"weight": WEIGHT, "pos_weight": 3.0}, SHARES, None),
    "probabilities": ("BCELoss", {}, SHARES, nn.Sigmoid()),
    "probabilities, weight": ("BCELoss", {"weight": WEIGHT}, SHARES, nn.Sigmoid()),
    "labels": ("CrossEntropyLoss", {"weight": WEIGHT}, SOME, None),
    "smoothed": ("CrossEntropyLoss", {"label_smoothing": 0.2}, SOME, None),
    "smoothed, weight": ("CrossEntropyLoss", {"label_smoothing": 0.2, "weight": WEIGHT}, SOME, None),
    "smoothed, none": (
        "CrossEntropyLoss", {"label_smoothing": 0.2, "weight": [0.0, 2.0, 1.0]}, SOME, None,
    ),
    "shares": (
        "CrossEntropyLoss", {"label_smoothing": 0.1, "weight": WEIGHT},
        SHARES / SHARES.sum(1, keepdims=True), None,
    ),
    "logarithms": ("NLLLoss", {"weight": WEIGHT}, SOME, nn.LogSoftmax()),
}  # fmt: skip
each_fitted = pytest.mark.parametrize("case", FITTED)


def criterion_of(case):
    name, options, target, end = FITTED[case]
    return getattr(nn, name)(**options), target, end


class Net(nn.Module):
    def __init__(self, end, **options):
        super().__init__(rng=0, **options)
        self.first, self.last, self.end = nn.Linear(3, 5), nn.Linear(5, 3), end or nn.Identity()

    def forward(self, x):
        return self.end(self.last(self.first(x).tanh()))


def sequential(end, **options):
    layers = nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 3), *([] if end is None else [end])
    return nn.Sequential(*layers, rng=0, **options)


def loop(net, criterion, target, epochs, step):
    for _ in range(epochs):
        for begin in range(0, len(X), 10):
            some = slice(begin, begin + 10)
            step(lambda some=some: criterion(net(X[some]), target[some]))


@each_fitted
@pytest.mark.parametrize("kind", [Net, sequential])
def test_fit_is_the_loop_to_the_last_bit(case, kind):
    criterion, target, end = criterion_of(case)
    fitted, looped = kind(end, dtype="float64"), kind(end, dtype="float64")
    fitted.fit(
        X, target, loss=criterion, optimizer=nn.SGD(0.1, momentum=0.9), epochs=6, batch_size=10,
        shuffle=False, validation_data=(X, target),
    )  # fmt: skip
    optimizer = optim.SGD(looped.parameters(), lr=0.1, momentum=0.9)

    def step(make):
        optimizer.zero_grad()
        make().backward()
        optimizer.step()

    loop(looped, criterion, target, 6, step)
    for name, array in fitted.state_dict().items():
        np.testing.assert_array_equal(array, looped.state_dict()[name], err_msg=name)
    # Of equal weights; with others validation is a mean over batches, too.
    expected = criterion(looped(X), target).item()
    assert fitted.history["validation_loss"][-1] == pytest.approx(expected, rel=1e-12)


@each_fitted
def test_fifty_steps_are_those_of_torch(case):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    criterion, target, end = criterion_of(case)
    net = sequential(end, dtype="float64")
    tail = {nn.Sigmoid: [torch.nn.Sigmoid()], nn.LogSoftmax: [torch.nn.LogSoftmax(1)]}
    twin = torch.nn.Sequential(
        torch.nn.Linear(3, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3), *tail.get(type(end), [])
    ).double()
    twin.load_state_dict({name: torch.tensor(each) for name, each in net.state_dict().items()})
    net.fit(
        X, target, loss=criterion, optimizer=nn.SGD(0.1, momentum=0.9), epochs=17, batch_size=10,
        shuffle=False,
    )  # fmt: skip
    name, options, _, _ = FITTED[case]
    options = {
        key: torch.tensor(value, dtype=torch.float64) if "weight" in key else value
        for key, value in options.items()
    }
    theirs = getattr(torch.nn, name)(**options)
    optimizer = torch.optim.SGD(twin.parameters(), lr=0.1, momentum=0.9)
    for _ in range(17):
        for begin in range(0, 30, 10):
            some = slice(begin, begin + 10)
            optimizer.zero_grad()
            theirs(twin(torch.tensor(X[some])), torch.tensor(target[some])).backward()
            optimizer.step()
    for key, array in twin.state_dict().items():
        np.testing.assert_allclose(net.state_dict()[key], array.numpy(), rtol=0, atol=1e-12)


@each_fitted
def test_weights_of_observations_count_as_repetitions(case):
    criterion, target, end = criterion_of(case)
    counts = np.arange(30) % 3
    again = np.repeat(np.arange(30), counts)
    net = sequential(end, dtype="float64")
    value, gradients = net.loss_and_gradients(X, target, loss=criterion, sample_weight=counts)
    more, repeated = net.loss_and_gradients(X[again], target[again], loss=criterion)
    assert value == pytest.approx(more, rel=1e-12)
    for name, array in gradients.items():
        np.testing.assert_allclose(array, repeated[name], rtol=1e-10, atol=1e-14)


@each_fitted
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_members_of_ensembles_are_trained_by_them(case, dtype):
    criterion, target, end = criterion_of(case)
    network = sequential(end, dtype=dtype)
    options = {"loss": criterion, "epochs": 2, "batch_size": 10, "rng": 0}
    members = nn.bootstrap_fit(network, X, target, n_resamples=2, **options)
    whole = sequential(end, dtype=dtype).fit(X, target, **options)
    assert whole.history["loss"] == members.network.history["loss"]
    found = members.predict(X)
    assert np.isfinite(found).all()
    if members.loss.endswith("cross_entropy"):
        assert ((found >= 0) & (found <= 1)).all()
    if members.loss in ("cross_entropy", "soft_cross_entropy", "log_cross_entropy"):
        np.testing.assert_allclose(found.sum(1), 1.0, rtol=1e-5)


def test_probabilities_of_zero_and_one_are_trained():
    net = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Sigmoid(), dtype="float64")
    net.load_state_dict({"0.weight": [[1000.0]]})
    value, gradients = net.loss_and_gradients([[1.0], [-1.0]], [0.0, 1.0], loss=nn.BCELoss())
    assert value == 100.0
    assert gradients["0.weight"].tolist() == [[0.0]]  # times the sigmoid's derivative
    right, gradients = net.loss_and_gradients([[1.0], [-1.0]], [1.0, 0.0], loss=nn.BCELoss())
    assert (right, gradients["0.weight"].tolist()) == (0.0, [[0.0]])
    net.fit([[1.0], [-1.0]], [0.0, 1.0], loss=nn.BCELoss(), epochs=2)
    assert net.state_dict()["0.weight"].tolist() == [[1000.0]]


@pytest.mark.parametrize(
    ("criterion", "y", "message"),
    [
        (
            nn.L1Loss(reduction="sum"),
            TARGETS,
            "fit has no compiled form of L1Loss.*its losses are means",
        ),
        (nn.SmoothL1Loss(), TARGETS[:, :2], r"y must have shape \(n, 3\)"),
        (nn.BCELoss(), TARGETS, "y must be from 0 to 1"),
        (
            nn.BCEWithLogitsLoss(pos_weight=2.0),
            2 * SHARES,
            "y must be from 0 to 1",
        ),
        (
            nn.BCEWithLogitsLoss(weight=np.ones(30)),
            SHARES,
            "weight must be a number for each",
        ),
        (nn.BCEWithLogitsLoss(pos_weight=0.0), SHARES + 0.5, "y must be from 0 to 1"),
        (nn.BCEWithLogitsLoss(pos_weight=-1.0), SHARES, "pos_weight must be finite and at least 0"),
        (nn.CrossEntropyLoss(label_smoothing=0.1), CLASSES + 1, "y must be labels from 0 to 2"),
        (
            nn.CrossEntropyLoss(label_smoothing=0.1),
            np.eye(3, dtype=int)[CLASSES],
            "y must be labels",
        ),
        (
            nn.CrossEntropyLoss([1.0, 2.0], label_smoothing=0.1),
            CLASSES,
            "weight|labels from 0 to 1",
        ),
        (nn.CrossEntropyLoss(), SHARES[:, :2], r"y must have shape \(n, 3\)"),
        (nn.NLLLoss(), SHARES, "y must be labels of shape"),
        (nn.NLLLoss(ignore_index=0), np.zeros(30, int), "sample_weight must not be 0 everywhere"),
        (nn.NLLLoss, CLASSES, "loss must be"),
    ],
)
def test_what_fit_refuses(criterion, y, message):
    net = sequential(None, dtype="float64")
    before = net.state_dict()
    with pytest.raises((TypeError, ValueError), match=message):
        net.fit(X, y, loss=criterion, epochs=1)
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
