import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from fastkb import BandResult
from fastkb.plot import draw_band, new_figure, plot_band


def result(m=30, d=1, n_targets=None, varying=0):
    rng = np.random.default_rng(0)
    x = np.ones((m, d))
    x[:, varying] = rng.permutation(np.linspace(0, 1, m))  # evaluation points need no order
    shape = (m,) if n_targets is None else (m, n_targets)
    center = rng.normal(size=shape)
    return BandResult(
        x=x,
        center=center,
        mean=center,
        low=center - 1,
        high=center + 2,
        confidence_level=0.8,
        distribution=None,
        solver="cholesky",
        reason="",
        n_resamples=10,
        seconds=0.0,
    )


def curve(ax):
    (line,) = ax.get_lines()
    return line.get_xydata()


def test_curve_and_band_are_sorted_along_x():
    band = result()
    ax = plot_band(band)
    order = np.argsort(band.x[:, 0])
    np.testing.assert_array_equal(
        curve(ax), np.column_stack([band.x[order, 0], band.center[order]])
    )
    (area,) = ax.collections
    vertices = {tuple(v) for v in area.get_paths()[0].vertices.tolist()}
    assert {(x, y) for x, y in zip(band.x[:, 0], band.low, strict=True)} <= vertices
    assert {(x, y) for x, y in zip(band.x[:, 0], band.high, strict=True)} <= vertices
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend == ["80% band of refits", "fitted curve"]


def test_method_of_the_result_is_the_same_picture():
    band = result()
    np.testing.assert_array_equal(curve(band.plot()), curve(plot_band(band)))


def test_observations():
    band = result(d=2, varying=1)
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(50, 2)), rng.normal(size=50)
    ax = plot_band(band, X=X, y=y)
    points = ax.collections[0].get_offsets()
    np.testing.assert_array_equal(points, np.column_stack([X[:, 1], y]))
    assert ax.get_legend().get_texts()[0].get_text() == "observations"


def test_draws_on_given_axes_and_returns_them():
    figure, axes = new_figure(2)
    assert plot_band(result(), axes[1]) is axes[1]
    assert not axes[0].get_lines()
    assert axes[1].figure is figure


def test_which_output():
    band = result(n_targets=3)
    order = np.argsort(band.x[:, 0])
    np.testing.assert_array_equal(curve(plot_band(band, output=2))[:, 1], band.center[order, 2])
    with pytest.raises(ValueError, match="output=3: expected a column of y, from 0 to 2"):
        plot_band(band, output=3)


def test_which_feature():
    band = result(d=3, varying=2)
    np.testing.assert_array_equal(curve(plot_band(band))[:, 0], np.sort(band.x[:, 2]))
    band.x[0, 0] = 5.0
    with pytest.raises(ValueError, match=r"vary in 2 input columns \(0, 2\)"):
        plot_band(band)
    assert len(curve(plot_band(band, feature=2))) == 30
    with pytest.raises(ValueError, match="feature=3: expected a column of x, from 0 to 2"):
        plot_band(band, feature=3)


def test_x_and_y_go_together():
    with pytest.raises(ValueError, match="give both"):
        plot_band(result(), X=np.ones((3, 1)))


def test_backend_and_pyplot_are_left_alone(tmp_path):
    before = matplotlib.rcParams._get("backend")
    ax = plot_band(result())
    ax.figure.savefig(tmp_path / "band.png")
    assert (tmp_path / "band.png").read_bytes().startswith(b"\x89PNG")
    assert matplotlib.rcParams._get("backend") == before


def test_draws_on_axes_of_any_figure():
    ax = Figure().subplots()
    x = np.linspace(0, 1, 5)
    assert draw_band(ax, x, x, x - 1, x + 1) is ax
    assert [h.get_label() for h in ax.get_legend_handles_labels()[0]] == [
        "confidence band",
        "fitted curve",
    ]


def test_without_matplotlib(no_matplotlib):
    with pytest.raises(ImportError, match=r"pip install 'fastkb\[plot\]'"):
        plot_band(result())
