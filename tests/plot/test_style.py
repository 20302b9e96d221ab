import io
import re
import zlib

import numpy as np
import pytest

from fastkb.plot import frame, new_figure, save
from fastkb.plot.style import CLASS_COLOURS, CLASS_MARKS, dress


@pytest.mark.parametrize(
    ("n_panels", "rows"), [(1, 1), (2, 1), (3, 1), (4, 2), (5, 2), (6, 2), (10, 4)]
)
def test_panels_fill_rows(n_panels, rows):
    figure, axes = new_figure(n_panels)
    assert len(axes) == len(figure.axes) == n_panels
    assert axes[0].get_subplotspec().get_gridspec().nrows == rows


@pytest.mark.parametrize("sharey", [True, False])
def test_panels_share_an_axis_if_asked(sharey):
    _, (first, second) = new_figure(2, sharey=sharey)
    first.set_ylim(3, 7)
    assert (second.get_ylim() == (3, 7)) is sharey


def test_every_class_has_a_colour_and_a_mark_of_its_own():
    assert len(set(CLASS_COLOURS)) == len(CLASS_COLOURS) == len(set(CLASS_MARKS)) == 10


def test_dress_keeps_the_grid_behind():
    _, (ax,) = new_figure()
    dress(ax)
    assert ax.get_axisbelow() is True
    assert not ax.spines["top"].get_visible()


def test_title_legend_and_caption_have_strips_of_their_own():
    figure, axes = new_figure(2)
    for ax in axes:
        ax.plot([0, 1], [0, 1], label="a line")
    before = figure.get_size_inches()[1]
    frame(figure, axes, title="A title", caption="A caption " * 40)
    assert figure.get_size_inches()[1] > before
    figure.canvas.draw()
    title, caption = figure.texts
    (legend,) = figure.legends
    panels = [ax.get_tightbbox() for ax in axes]
    boxes = [thing.get_window_extent() for thing in (title, legend, caption)]
    assert boxes[0].y0 >= boxes[1].y0
    assert all(boxes[1].y0 >= panel.y1 - 1 for panel in panels)
    assert all(boxes[2].y1 <= panel.y0 + 1 for panel in panels)
    assert [text.get_text() for text in legend.get_texts()] == ["a line"]


def test_a_figure_of_a_given_size_keeps_it():
    figure, axes = new_figure(3, size=(6, 4))
    axes[0].plot([0, 1], label="a line")
    frame(figure, axes, title="A title", caption="A caption", grow=False)
    assert figure.get_size_inches().tolist() == [6, 4]
    figure.canvas.draw()
    assert all(ax.get_window_extent().height > 50 for ax in axes)


def test_without_a_title_and_a_caption_there_are_no_strips():
    heights = []
    for words in ("", "Some words"):
        figure, axes = new_figure()
        frame(figure, axes, title=words, caption=words)
        heights.append(figure.get_figheight())
    assert heights[0] < heights[1] - 0.3


@pytest.mark.parametrize("width", [3.0, 8.0])
def test_a_legend_is_no_wider_than_the_figure(width):
    figure, axes = new_figure(width=width)
    for label in ("123,456 observations", "90% simultaneous band", "fitted curve"):
        axes[0].plot([0, 1], label=label)
    frame(figure, axes, title="", caption="")
    figure.canvas.draw()
    (legend,) = figure.legends
    assert legend.get_window_extent().x1 <= figure.bbox.x1


def test_the_mark_of_many_faint_points_is_seen():
    figure, axes = new_figure()
    axes[0].scatter([0], [0], alpha=0.1, s=1, label="points")
    frame(figure, axes, title="", caption="")
    (handle,) = figure.legends[0].legend_handles
    assert handle.get_alpha() > 0.5


def saved(suffix, **options):
    figure, axes = new_figure()
    axes[0].plot([0, 1], [0, 1], label="a line")
    axes[0].set_xlabel("income")
    frame(figure, axes, title="A title", caption="A caption")
    file = io.BytesIO()
    save(figure, file, suffix, **options)
    return file.getvalue()


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_a_picture_is_the_same_to_the_last_byte(suffix):
    assert saved(suffix) == saved(suffix)


def test_text_stays_text():
    svg = saved("svg").decode()
    assert ">income</text>" in svg
    pdf = saved("pdf")
    assert b"/Type3" not in pdf
    streams = re.findall(rb"stream\r?\n(.*?)endstream", pdf, re.DOTALL)
    unpacked = b"".join(zlib.decompress(s) for s in streams if s[:1] == b"x")
    assert b"/Type3" not in unpacked
    assert b"/CIDFontType2" in pdf + unpacked  # TrueType


def test_dots_per_inch():
    from matplotlib.image import imread

    shapes = [imread(io.BytesIO(saved("png", dpi=dpi))).shape for dpi in (50, 100)]
    np.testing.assert_allclose(2 * np.array(shapes[0][:2]), shapes[1][:2], atol=2)
