import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression

from fastkb import nn, plot
from fastkb.plot.style import CLASS_COLOURS, INK

RNG = np.random.default_rng(0)
X = RNG.uniform(-1, 1, (60, 2))
UPPER = (X.sum(axis=1) > 0).astype(np.int64)


class Plane:
    """Class 1 where the sum of the inputs is above 0; its probability rises evenly.

    Straight lines between the points of a grid meet it exactly.
    """

    classes_ = np.array([0, 1])

    def __init__(self):
        self.calls = []

    def predict(self, points):
        self.calls.append(("predict", len(points)))
        return (points.sum(axis=1) > 0).astype(np.int64)

    def predict_proba(self, points):
        self.calls.append(("predict_proba", len(points)))
        second = 0.5 + 0.22 * points.sum(axis=1)
        assert (np.abs(second - 0.5) <= 0.5).all()
        return np.column_stack([1 - second, second])


def contours(ax):
    return [c for c in ax.collections if isinstance(c, ContourSet)]


def vertices(ax):
    return np.concatenate([path.vertices for c in contours(ax) for path in c.get_paths()])


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def picture(ax):
    """The image, and the coordinates of its pixels' centres."""
    (image,) = ax.get_images()
    array = image.get_array()
    left, right, bottom, top = image.get_extent()
    rows, columns = array.shape[:2]
    x = left + (np.arange(columns) + 0.5) * (right - left) / columns
    y = bottom + (np.arange(rows) + 0.5) * (top - bottom) / rows
    return np.asarray(array), *np.meshgrid(x, y)


def tinted(colour, shade):
    return 1 - shade * (1 - np.array(to_rgb(colour)))


def test_the_line_is_where_the_probabilities_are_equal():
    ax = plot.decision_boundary(Plane(), X, UPPER, resolution=50)
    (lines,) = contours(ax)
    assert lines.levels.tolist() == [0.0]
    assert np.abs(vertices(ax).sum(axis=1)).max() < 64 * np.finfo(float).eps
    low, high = ax.get_xlim()
    assert np.isclose(vertices(ax)[:, 0].min(), max(low, -ax.get_ylim()[1]))
    assert np.isclose(vertices(ax)[:, 0].max(), min(high, -ax.get_ylim()[0]))


def test_the_grid_is_evaluated_in_one_call():
    plane = Plane()
    plot.decision_boundary(plane, X, UPPER, resolution=31)
    assert sorted(plane.calls) == [("predict", 31 * 31), ("predict_proba", 31 * 31)]


def test_shades_are_steps_of_the_probability():
    ax = plot.decision_boundary(Plane(), X, UPPER)
    image, x, y = picture(ax)
    second = 0.5 + 0.22 * (x + y)
    for k, probability in enumerate([1 - second, second]):
        for step in range(5, 10):
            # At an edge rounding decides.
            inside = (probability > step / 10 + 1e-9) & (probability < (step + 1) / 10 - 1e-9)
            assert inside.any()
            shade = 0.1 + 0.45 * (step - 5) / 4
            expected = tinted(CLASS_COLOURS[k], shade)
            np.testing.assert_allclose(
                image[inside], np.broadcast_to(expected, (inside.sum(), 3)), atol=1e-12
            )


def test_points_by_class():
    ax = plot.decision_boundary(Plane(), X, UPPER)
    names, offsets, colours = zip(
        *[(c.get_label(), c.get_offsets(), c.get_facecolor()) for c in points(ax)], strict=True
    )
    assert names == ("0", "1")
    for k in (0, 1):
        np.testing.assert_array_equal(offsets[k], X[k == UPPER])
        np.testing.assert_allclose(colours[k][0, :3], to_rgb(CLASS_COLOURS[k]))
    assert legend(ax) == ["0", "1", "decision boundary"]


def points(ax):
    return [c for c in ax.collections if not isinstance(c, ContourSet)]


def three_sectors():
    """Three classes around the origin, and a network that tells them apart by its weights."""
    angles = 2 * np.pi * np.arange(3) / 3
    net = nn.Sequential(nn.Linear(2, 3))
    weights = 5 * np.column_stack([np.cos(angles), np.sin(angles)])
    net.load_state_dict({"0.weight": weights, "0.bias": np.zeros(3)})
    return net, (X @ weights.T).argmax(axis=1), weights


def test_three_classes_of_a_network():
    net, y, weights = three_sectors()
    ax = plot.decision_boundary(net, X, y)
    assert legend(ax) == ["0", "1", "2", "decision boundary"]
    image, x, y = picture(ax)
    logits = np.stack([x, y], axis=-1) @ weights.T
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    # The hue says which class wins, wherever one clearly does.
    clear = np.sort(logits, axis=-1)
    clear = clear[..., 2] - clear[..., 1] > 0.2
    winner = logits.argmax(axis=-1)
    for k in range(3):
        mine = clear & (winner == k)
        white = 1 - np.array(to_rgb(CLASS_COLOURS[k]))
        shade = (1 - image[mine]) / white
        np.testing.assert_allclose(shade, shade[:, :1] * np.ones(3), atol=1e-12)
        # Deeper where it is more probable.
        order = np.argsort(probabilities[mine][:, k])
        assert (np.diff(shade[order, 0]) > -0.08).all()
        assert shade.max() <= 0.55 + 1e-12
    # Every line is where two logits are the greatest.
    top = np.sort(vertices(ax) @ weights.T, axis=1)
    step = np.ptp(ax.get_xlim()) / 199
    assert (top[:, 2] - top[:, 1]).max() < np.abs(weights).max() * step


def test_text_labels_and_names():
    text = np.array(["lower", "upper"])[UPPER]
    model = LogisticRegression().fit(X, text)
    assert legend(plot.decision_boundary(model, X, text))[:2] == ["lower", "upper"]
    named = plot.decision_boundary(model, X, text, class_names=["below", "above"])
    assert legend(named)[:2] == ["below", "above"]


def test_text_labels_of_a_network_are_names_of_its_numbers():
    net, y, _ = three_sectors()
    names = ["z", "b", "a"]  # not in the order of the alphabet
    ax = plot.decision_boundary(net, X, np.array(names)[y], class_names=names)
    for k, drawn in enumerate(points(ax)):
        assert drawn.get_label() == names[k]
        np.testing.assert_array_equal(drawn.get_offsets(), X[y == k])
    with pytest.raises(ValueError, match=r"y is text.* class_names"):
        plot.decision_boundary(net, X, np.array(names)[y])


def test_flat_without_probabilities():
    ax = plot.decision_boundary(OnlyPredict(), X, UPPER)
    image, x, y = picture(ax)
    for k, side in enumerate([x + y < -0.1, x + y > 0.1]):
        expected = tinted(CLASS_COLOURS[k], 0.3)
        np.testing.assert_allclose(
            image[side], np.broadcast_to(expected, (side.sum(), 3)), atol=1e-12
        )
    # A line of slope -1, though the grid knows classes alone.
    step = np.ptp(ax.get_xlim()) / 199
    assert np.abs(vertices(ax).sum(axis=1)).max() < 1.5 * step


class OnlyPredict:
    def predict(self, points):
        return (points.sum(axis=1) > 0).astype(np.int64)


def test_a_classifier_that_decides_for_one_class_has_no_line():
    class Constant:
        def predict(self, points):
            return np.zeros(len(points), np.int64)

    ax = plot.decision_boundary(Constant(), X, UPPER)
    assert not contours(ax)
    assert legend(ax) == ["0", "1"]


def test_columns_of_a_data_frame_name_the_axes():
    frame = pytest.importorskip("pandas").DataFrame(X, columns=["width", "height"])
    # A warning that the grid had no names would be an error.
    ax = plot.decision_boundary(LogisticRegression().fit(frame, UPPER), frame, UPPER)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("width", "height")


def test_limits_hold_all_points():
    shifted = X * [1000, 1e-3] + [5e5, -7]
    model = LogisticRegression().fit(shifted, UPPER)
    ax = plot.decision_boundary(model, shifted, UPPER)
    for limits, values in zip((ax.get_xlim(), ax.get_ylim()), shifted.T, strict=True):
        assert limits[0] < values.min() <= values.max() < limits[1]
    # A picture of one point has some room, too.
    ax = plot.decision_boundary(model, shifted[:1], UPPER[:1])
    assert ax.get_xlim()[0] < shifted[0, 0] < ax.get_xlim()[1]


def test_more_classes_than_colours():
    y = np.arange(60) % 23
    weights = RNG.normal(size=(23, 2))
    net = nn.Sequential(nn.Linear(2, 23))
    net.load_state_dict({"0.weight": weights, "0.bias": np.zeros(23)})
    ax = plot.decision_boundary(net, X, y, resolution=20)
    ax.figure.canvas.draw()
    drawn = points(ax)
    looks = {(tuple(c.get_facecolor()[0]), c.get_paths()[0].vertices.tobytes()) for c in drawn}
    assert len(drawn) == len(looks) == 23


def test_legend_is_beside_the_panel_or_inside(tmp_path):
    ax = plot.decision_boundary(Plane(), X, UPPER)
    ax.figure.savefig(tmp_path / "plane.png")
    inside = ax.get_window_extent()
    box = ax.get_legend().get_window_extent()
    assert box.x0 >= inside.x1
    assert box.x1 <= ax.figure.bbox.x1
    ax = plot.decision_boundary(Plane(), X, UPPER, Figure().subplots())
    ax.figure.savefig(tmp_path / "plain.png")
    box, inside = ax.get_legend().get_window_extent(), ax.get_window_extent()
    assert inside.x0 < box.x0 < box.x1 < inside.x1
    assert plot.decision_boundary(Plane(), X, UPPER, legend=False).get_legend() is None


def test_given_axes_and_backend_are_left_alone():
    before = matplotlib.rcParams._get("backend")
    _, axes = plot.new_figure(2)
    assert plot.decision_boundary(Plane(), X, UPPER, axes[1]) is axes[1]
    assert not axes[0].get_images()
    assert matplotlib.rcParams._get("backend") == before


def test_boundary_has_the_ink_of_the_package():
    (lines,) = contours(plot.decision_boundary(Plane(), X, UPPER))
    np.testing.assert_allclose(lines.get_edgecolor()[0, :3], to_rgb(INK))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"X": X[:, :1]}, ValueError, "X must have 2 columns.* got 1"),
        ({"y": UPPER[:-1]}, ValueError, "y has 59 rows and X has 60"),
        ({"y": UPPER + 1}, ValueError, "y has the class 2, and the classifier knows 0, 1"),
        ({"classifier": LogisticRegression}, TypeError, "got the class LogisticRegression"),
        ({"classifier": LogisticRegression()}, NotFittedError, "not fitted yet"),
        ({"resolution": 1}, ValueError, "resolution must be a whole number from 2 to 2000, got 1"),
        ({"class_names": ["a"]}, ValueError, "class_names must have 2 names"),
    ],
)
def test_bad_input(change, error, words):
    arguments = {"classifier": Plane(), "X": X, "y": UPPER, **change}
    with pytest.raises(error, match=words):
        plot.decision_boundary(**arguments)


def test_without_matplotlib(no_matplotlib):
    with pytest.raises(ImportError, match=r"pip install 'fastkb\[plot\]'"):
        plot.decision_boundary(Plane(), X, UPPER)
