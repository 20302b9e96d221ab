import pytest

from fastkb.plot import new_figure


@pytest.mark.parametrize(
    ("n_panels", "rows"), [(1, 1), (2, 1), (3, 1), (4, 2), (5, 2), (6, 2), (10, 4)]
)
def test_panels_fill_rows(n_panels, rows):
    figure, axes = new_figure(n_panels)
    assert len(axes) == len(figure.axes) == n_panels
    assert axes[0].get_subplotspec().get_gridspec().nrows == rows
