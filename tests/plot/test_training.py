import numpy as np
import pytest
from matplotlib.collections import LineCollection
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPClassifier as PeerClassifier

from fastkb import MLPClassifier, MLPRegressor, nn, plot

X = np.random.default_rng(0).normal(size=(40, 2))
Y = (X[:, 0] * X[:, 1] > 0).astype(np.int64)


def network(**options):
    net = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1), rng=0)
    return net.fit(X, Y, loss="binary_cross_entropy", batch_size=20, **options)


def lines(ax):
    return {line.get_label(): line.get_xydata().tolist() for line in ax.get_lines()}


def numbered(values):
    return [[float(epoch), value] for epoch, value in enumerate(values, 1)]


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_loss_of_a_network():
    net = network(epochs=7)
    ax = plot.history(net)
    assert lines(ax) == {"training loss": numbered(net.history["loss"])}
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "loss")
    assert legend(ax) == ["training loss"]
    # A learning rate that stays has no axis.
    assert ax.figure.axes == [ax]


def test_validation_loss_is_a_line_beside_the_loss():
    net = network(epochs=5, validation_data=(X[:10], Y[:10]))
    ax = plot.history(net)
    assert lines(ax) == {
        "training loss": numbered(net.history["loss"]),
        "validation loss": numbered(net.history["validation_loss"]),
    }
    assert lines(plot.history(net.history)) == lines(ax)


def test_a_schedule_has_an_axis_of_its_own():
    net = network(epochs=6, optimizer=nn.SGD(lr=0.1, schedule=nn.Step(2)))
    ax = plot.history(net)
    left, right = ax.figure.axes
    assert left is ax
    assert lines(right) == {"learning rate": numbered(net.history["learning_rate"])}
    assert right.get_ylabel() == "learning rate"
    assert right.yaxis.get_label_position() == "right"
    assert legend(ax) == ["training loss", "learning rate"]
    ax.figure.canvas.draw()
    # It covers neither axis' lines, which reach from edge to edge.
    assert ax.get_legend().get_window_extent().y0 >= ax.get_window_extent().y1


def test_every_member_and_their_median():
    net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    ensemble = nn.bootstrap_fit(
        net, X, Y, n_resamples=5, epochs=4, loss="binary_cross_entropy", rng=0
    )
    ax = plot.history(ensemble)
    (members,) = (c for c in ax.collections if isinstance(c, LineCollection))
    assert [s.tolist() for s in members.get_segments()] == [
        numbered(member) for member in ensemble.history.T
    ]
    median = np.median(ensemble.history, axis=1)
    assert lines(ax) == {"median": numbered(median)}
    assert legend(ax) == ["5 members", "median"]
    assert members.get_linewidths()[0] < ax.get_lines()[0].get_linewidth()
    # Collections do not move the axes' limits by themselves in every release of matplotlib.
    low, high = ax.get_ylim()
    assert low < ensemble.history.min() <= ensemble.history.max() < high


def test_a_schedule_of_an_ensemble_and_one_member():
    net = nn.Sequential(nn.Linear(2, 1))
    adam = nn.Adam(lr=0.1, schedule=nn.Cosine(3))
    ensemble = nn.bootstrap_fit(net, X, Y, n_resamples=1, epochs=3, optimizer=adam, rng=0)
    ax = plot.history(ensemble)
    assert legend(ax) == ["1 member", "median", "learning rate"]
    rates = ensemble.network.history["learning_rate"]
    assert lines(ax.figure.axes[1]) == {"learning rate": numbered(rates)}


@pytest.mark.parametrize("make", [MLPClassifier, PeerClassifier])
def test_loss_of_an_estimator(make):
    model = make((4,), max_iter=300, tol=1e-2, n_iter_no_change=3, random_state=0).fit(X, Y)
    ax = plot.history(model)
    assert lines(ax) == {"training loss": numbered(model.loss_curve_)}
    assert ax.figure.axes == [ax]


@pytest.mark.parametrize(
    ("make", "name"),
    [(MLPClassifier, "validation accuracy"), (MLPRegressor, "validation R²")],
)
def test_validation_scores_have_an_axis_of_their_own(make, name):
    model = make(
        hidden_layer_sizes=(4,),
        early_stopping=True,
        learning_rate_init=0.05,
        max_iter=300,
        tol=1e-2,
        n_iter_no_change=3,
        random_state=0,
    ).fit(X, Y)
    ax = plot.history(model)
    assert lines(ax) == {"training loss": numbered(model.loss_curve_)}
    assert lines(ax.figure.axes[1]) == {name: numbered(model.validation_scores_)}
    assert legend(ax) == ["training loss", name]


def test_one_epoch_is_seen():
    (line,) = plot.history({"loss": [0.5]}).get_lines()
    assert line.get_marker() == "o"
    (line,) = plot.history({"loss": [0.5, 0.4]}).get_lines()
    assert line.get_marker() == "None"


def test_epochs_are_whole():
    ax = plot.history({"loss": [3.0, 2.0, 1.0]})
    ax.figure.canvas.draw()
    assert (ax.get_xticks() % 1 == 0).all()


def test_draws_on_given_axes():
    _, axes = plot.new_figure(2)
    assert plot.history({"loss": [1.0]}, axes[1]) is axes[1]
    assert not axes[0].get_lines()


def test_gaps_are_drawn_as_gaps():
    ax = plot.history({"loss": [3.0, 2.0], "validation_loss": [np.nan, 1.0]})
    ax.figure.canvas.draw()
    assert np.isnan(ax.get_lines()[1].get_ydata()).tolist() == [True, False]


@pytest.mark.parametrize(
    ("source", "error", "words"),
    [
        (nn.Sequential(nn.Linear(2, 1)), ValueError, r"history\['loss'\] is empty: .* no training"),
        (nn.Sequential, TypeError, "got the class Sequential"),
        (MLPClassifier(), NotFittedError, "not fitted yet"),
        ([3.0, 2.0], TypeError, "source must be a Sequential.* got list"),
        ({"loss": []}, ValueError, r"source\['loss'\] is empty"),
    ],
)
def test_bad_sources(source, error, words):
    with pytest.raises(error, match=words):
        plot.history(source)


def test_lbfgs_records_nothing():
    model = MLPClassifier((3,), solver="lbfgs", random_state=0).fit(X[:, :1], X[:, 0] > 0)
    with pytest.raises(ValueError, match="no loss_curve_: the solver 'lbfgs' records no losses"):
        plot.history(model)


def test_without_matplotlib(no_matplotlib):
    with pytest.raises(ImportError, match=r"pip install 'fastkb\[plot\]'"):
        plot.history({"loss": [1.0]})
