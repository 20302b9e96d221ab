import pytest

from fastkb.plot import frame, new_figure
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
