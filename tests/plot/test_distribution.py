import numpy as np
import pytest
from matplotlib.figure import Figure

from fastkb import BootstrapResult
from fastkb.plot import draw_distribution, new_figure, plot_distribution

DRAWS = np.random.default_rng(0).normal(size=2000)


def bars(ax):
    """Left edge, right edge and height of each bar, of each histogram."""
    from matplotlib.patches import StepPatch

    found = [patch.get_data() for patch in ax.patches if isinstance(patch, StepPatch)]
    return [np.column_stack([d.edges[:-1], d.edges[1:], d.values]) for d in found]


def drawn(distribution=DRAWS, low=-1.0, high=2.0, **options):
    return draw_distribution(Figure().subplots(), np.asarray(distribution), low, high, **options)


def legend_of(ax):
    return ax.get_legend_handles_labels()[1]


def test_every_replicate_is_in_a_bar():
    whole, inside = bars(drawn())
    assert whole[:, 2].sum() == len(DRAWS)
    assert (whole[0, 0], whole[-1, 1]) == (DRAWS.min(), DRAWS.max())
    for left, right, count in whole[:-1]:
        assert count == np.sum((left <= DRAWS) & (right > DRAWS))
    assert 10 <= len(whole) <= 60
    # The coloured part ends where the interval ends, and has the height of the bars behind it.
    assert (inside[0, 0], inside[-1, 1]) == (-1.0, 2.0)
    for left, right, count in inside:
        behind = whole[(whole[:, 0] <= left) & (right <= whole[:, 1])]
        assert behind[:, 2].tolist() == [count]


def test_legend_of_a_distribution():
    assert legend_of(drawn(observed=0.25, level=0.9)) == [
        "2,000 resamples",
        "90% interval: -1 to 2",
        "observed: 0.25",
    ]
    assert legend_of(drawn()) == ["2,000 resamples", "confidence interval: -1 to 2"]


def test_without_an_interval():
    ax = drawn(low=np.nan, high=np.nan)
    assert legend_of(ax) == ["2,000 resamples", "no interval"]
    assert len(bars(ax)) == 1
    assert not ax.get_lines()


@pytest.mark.parametrize(("low", "high"), [(-np.inf, 1.0), (0.5, np.inf)])
def test_one_sided_intervals_reach_the_edge(low, high):
    ax = drawn(low=low, high=high)
    whole, inside = bars(ax)
    assert inside[0, 0] == max(low, whole[0, 0])
    assert inside[-1, 1] == min(high, whole[-1, 1])
    (end,) = ax.get_lines()
    assert end.get_xdata()[0] == (high if np.isfinite(high) else low)


def test_ends_beyond_the_bars_are_in_the_picture():
    ax = drawn(low=-40.0, high=-30.0, observed=50.0)
    left, right = ax.get_xlim()
    assert left < -40
    assert right > 50
    assert len(bars(ax)) == 1


def test_replicates_that_are_not_finite_are_told():
    ax = drawn([*DRAWS, np.nan, np.inf, -np.inf])
    assert legend_of(ax)[0] == "2,003 resamples (3 not drawn)"
    assert bars(ax)[0][:, 2].sum() == 2000
    with pytest.raises(ValueError, match="none of the resamples gave a finite number"):
        drawn([np.nan, np.inf])


def test_far_replicates_do_not_squeeze_the_others():
    ax = drawn([*DRAWS, 1e9, -1e7])
    assert legend_of(ax)[0] == "2,002 resamples (2 not drawn)"
    np.testing.assert_allclose(np.abs(ax.get_xlim()), 11, atol=2)
    # The ends of the interval are never left out.
    assert drawn([*DRAWS, 1e9, -1e7], high=100.0).get_xlim()[1] > 100


@pytest.mark.parametrize("value", [0.0, 3.0, -1e20, 1e-300])
@pytest.mark.parametrize("size", [1, 50])
def test_a_distribution_of_one_value(value, size):
    ax = drawn(np.full(size, value), low=value, high=value, observed=value)
    assert bars(ax)[0][:, 2].sum() == size
    ax.figure.canvas.draw()


@pytest.mark.parametrize("shift", [0.0, 1e6, -1e12])
@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_any_units(scale, shift):
    values = scale * (DRAWS + shift)
    ax = drawn(values, low=scale * (shift - 1), high=scale * (shift + 1))
    assert bars(ax)[0][:, 2].sum() == 2000
    ax.figure.canvas.draw()


@pytest.mark.parametrize("unit", [1.0, 0.1, 1e-7, 1e12])
@pytest.mark.parametrize("offset", [0.0, -3.0, 1e3])
def test_values_on_a_lattice_have_bars_of_their_own(unit, offset):
    # Means of two numbers of one decimal, some of which differ in the last bit alone.
    whole = np.random.default_rng(0).integers(0, 12, 500)
    values = unit * (offset + whole) * np.where(np.arange(500) % 2, 1.0, 1.0 + 2e-16)
    (heights,) = bars(drawn(values, low=np.nan, high=np.nan))
    assert heights[:, 2].tolist() == np.bincount(whole).tolist()
    np.testing.assert_allclose(
        heights[:, :2].mean(axis=1), unit * (offset + np.arange(12)), atol=1e-7 * unit
    )


def test_many_values_on_a_lattice_share_bars_in_equal_numbers():
    values = np.repeat(np.arange(100.0), 3)
    (heights,) = bars(drawn(values, low=np.nan, high=np.nan))
    assert heights[:, 2].tolist() == [12] * 25
    assert heights[:, 2].sum() == 300


def test_ticks_are_plain_numbers():
    ax = drawn(DRAWS + 1e12, low=1e12 - 1, high=1e12 + 1)
    ax.figure.canvas.draw()
    assert ax.xaxis.get_offset_text().get_text() == ""


def bootstrapped(**options):
    values = {"confidence_interval": (-1.0, 2.0), "bootstrap_distribution": DRAWS}
    more = {"standard_error": 1.0, "observed": 0.0, "confidence_level": 0.95}
    return BootstrapResult(**{**values, **more, **options})


def test_distribution_on_new_and_on_given_axes(tmp_path):
    ax = plot_distribution(bootstrapped())
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("value of the statistic", "resamples")
    assert len(ax.get_legend().get_texts()) == 3
    ax.figure.savefig(tmp_path / "ci.png")
    assert (tmp_path / "ci.png").read_bytes().startswith(b"\x89PNG")
    _, axes = new_figure(2)
    assert plot_distribution(bootstrapped(observed=None), axes[1]) is axes[1]
    assert not axes[0].patches


def test_legend_is_above_the_bars():
    ax = plot_distribution(bootstrapped())
    ax.figure.canvas.draw()
    box = ax.get_legend().get_window_extent().transformed(ax.transData.inverted())
    assert box.y0 > bars(ax)[0][:, 2].max()


def test_several_statistics_have_no_one_picture():
    with pytest.raises(ValueError, match="choose one"):
        plot_distribution(bootstrapped(bootstrap_distribution=np.zeros((2, 9))))


def test_without_matplotlib(no_matplotlib):
    with pytest.raises(ImportError, match=r"pip install 'fastkb\[plot\]'"):
        bootstrapped().plot()
