import itertools

import numpy as np
import pytest

from fastkb.plot import date_ticks, log_ticks, new_figure, number_ticks


def labels(axis):
    axis.get_figure().canvas.draw()
    low, high = axis.get_view_interval()
    ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    return [tick.label1.get_text() for tick in ticks]


def panel(low, high):
    _, (ax,) = new_figure()
    ax.set_xlim(low, high)
    return ax.xaxis


def test_whole_numbers_have_no_halves():
    axis = panel(0, 3)
    number_ticks(axis, whole=True)
    assert labels(axis) == ["0", "1", "2", "3"]
    number_ticks(axis)
    assert "0.5" in labels(axis)


@pytest.mark.parametrize("span", [(1e12, 1e12 + 4), (-1e5 - 2, -1e5), (7e6, 7.5e6)])
def test_large_numbers_have_no_offset(span):
    axis = panel(*span)
    number_ticks(axis)
    labels(axis)
    assert "+" not in axis.get_offset_text().get_text()


@pytest.mark.parametrize("span", [(0, 1), (123456.5, 123457.5), (-1e5, 1e5), (0, 3e-5)])
@pytest.mark.parametrize("inches", [1.5, 3.0, 6.0])
def test_labels_stand_apart(span, inches):
    figure, (ax,) = new_figure(size=(inches + 1, 3))
    ax.set_xlim(*span)
    number_ticks(ax.xaxis, inches=inches)
    ax.tick_params(labelsize=9.5)
    figure.canvas.draw()
    boxes = [label.get_window_extent() for label in ax.get_xticklabels() if label.get_text()]
    boxes = [box for box in boxes if ax.bbox.x0 <= (box.x0 + box.x1) / 2 <= ax.bbox.x1]
    assert all(one.x1 < two.x0 for one, two in itertools.pairwise(boxes))


@pytest.mark.parametrize(
    ("span", "wanted"),
    [
        ((1, 1e6), ["1", "10", "100", "1000", "10000", "100000", "1000000"]),
        ((1, 100), ["1", "3", "10", "30", "100"]),
        ((10, 100), ["10", "20", "50", "100"]),
        ((100, 200), ["100", "120", "140", "160", "180", "200"]),
        ((0.9e-4, 0.11), ["0.0001", "0.001", "0.01", "0.1"]),
    ],
)
def test_logarithmic_axes_have_plain_numbers(span, wanted):
    _, (ax,) = new_figure()
    ax.set_xscale("log")
    ax.set_xlim(*span)
    log_ticks(ax.xaxis)
    found = labels(ax.xaxis)
    assert [text for text in found if text in wanted] == wanted or found == wanted
    assert not ax.xaxis.get_minorticklocs().size


@pytest.mark.parametrize("few", [False, True])
def test_dates(few):
    axis = panel(0, 365)
    date_ticks(axis.axes, few=few)
    found = labels(axis)
    assert "Mar" in found or "Apr" in found
    assert len(found) <= (5 if few else 8)
    assert np.isfinite(axis.get_majorticklocs()).all()
