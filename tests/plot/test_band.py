import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import fastkb
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
    assert ax.get_legend().get_texts()[0].get_text() == "50 observations"


def test_draws_on_given_axes_and_returns_them():
    figure, axes = new_figure(2)
    assert plot_band(result(), axes[1]) is axes[1]
    assert not axes[0].get_lines()
    assert axes[1].figure is figure


def test_a_band_knows_its_observations_and_their_names():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.uniform(0, 1, (40, 1)), columns=["width in $"])
    y = pd.DataFrame({"height": X.iloc[:, 0] ** 2, "depth": -X.iloc[:, 0]})
    grid = pd.DataFrame(np.linspace(0, 3, 60), columns=X.columns)
    model = fastkb.KernelRidge(0.1, kernel="rbf")
    band = fastkb.bootstrap_band(model, X, y, grid, n_resamples=20, rng=0)
    ax = band.plot(output="depth", feature="width in $")
    assert (ax.get_xlabel(), ax.get_ylabel()) == (r"width in \$", "depth")
    np.testing.assert_array_equal(ax.collections[0].get_offsets()[:, 1], y["depth"])
    solid, dashed = ax.get_lines()
    assert np.nanmax(solid.get_xdata()[np.isfinite(solid.get_ydata())]) < 1.5
    assert dashed.is_dashed()
    bare = band.plot(points=False)
    assert len(bare.collections) == 1
    assert len(bare.get_lines()) == 1
    with pytest.raises(ValueError, match="output='size': expected a column; the names are height"):
        band.plot(output="size")
    with pytest.raises(ValueError, match="feature='b': expected a column; the data had no names"):
        plot_band(result(), feature="b")


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


def drawn(center, low, high, **options):
    x = np.linspace(0.0, 1.0, len(center))
    return draw_band(Figure().subplots(), x, center, low, high, **options)


def test_a_spike_of_the_band_does_not_rule_the_axis():
    center = np.linspace(0.0, 1.0, 50)
    high = center + 0.1
    high[25] = 1e6
    ax = drawn(center, center - 0.1, high)
    assert ax.get_ylim()[1] < 2.0
    points = np.array([0.0, 1.0]), np.array([-3.0, 3.0])
    ax = drawn(center, center - 0.1, high, points=points)
    assert ax.get_ylim()[0] < -3
    assert 3 < ax.get_ylim()[1] < 7


def test_a_wide_band_is_shown_whole():
    center = np.zeros(50)
    ax = drawn(center, center - 5.0, center + 5.0)
    assert ax.get_ylim()[0] < -5
    assert ax.get_ylim()[1] > 5


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_edges_that_are_not_finite(value):
    center = np.linspace(0.0, 1.0, 9)
    for high in (np.where(center > 0.5, value, center + 1), np.full(9, value)):
        ax = drawn(center, center - 1, high)
        assert np.isfinite(ax.get_ylim()).all()
        ax.figure.canvas.draw()
    drawn(np.full(9, np.nan), center, center).figure.canvas.draw()


def test_where_no_data_are_near_the_curve_is_dashed():
    center = np.linspace(0.0, 1.0, 10)
    near = np.arange(10) < 7
    ax = drawn(center, center - 1, center + 1, near=near)
    solid, dashed = ax.get_lines()
    np.testing.assert_array_equal(np.isfinite(solid.get_ydata()), near)
    # From the last point that is near.
    np.testing.assert_array_equal(np.isfinite(dashed.get_ydata()), np.arange(10) >= 6)
    assert dashed.is_dashed()
    assert not solid.is_dashed()
    assert len(ax.get_legend_handles_labels()[1]) == 2
    ax = drawn(center, center - 1, center + 1, near=np.zeros(10, bool))
    assert len(ax.get_lines()) == 1


def test_a_rug_has_a_line_for_each_value_that_can_be_told_apart():
    from matplotlib.collections import LineCollection

    center = np.linspace(0.0, 1.0, 10)
    rug = np.concatenate([np.repeat([0.0, 0.5, 1.0], 1000), [0.5 + 1e-9, np.nan]])
    ax = drawn(center, center, center, rug=rug)
    (lines,) = (c for c in ax.collections if isinstance(c, LineCollection))
    assert sorted(s[0, 0] for s in lines.get_segments()) == [0.0, 0.5, 1.0]
    drawn(center, center, center, rug=np.array([2.0]))


def test_a_logarithmic_axis():
    ax = Figure().subplots()
    ax.set_yscale("log")
    x = np.linspace(0, 1, 9)
    draw_band(ax, x, 10**x, 10 ** (x - 1), 10 ** (x + 1), points=(x, 10**x))
    low, high = ax.get_ylim()
    assert 0.03 < low < 0.1
    assert 100 < high < 300


def test_without_matplotlib(no_matplotlib):
    with pytest.raises(ImportError, match=r"pip install 'fastkb\[plot\]'"):
        plot_band(result())
