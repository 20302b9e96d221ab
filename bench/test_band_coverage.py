"""The coverage study of bands: cells whose truth is right, and a table of what was counted."""

import numpy as np
import pytest

from bench import band_coverage as study
from bench.band_coverage import Cell, Held


def test_the_cells_are_those_of_the_guide():
    cells = study.cells()
    titles = [cell.title for cell in cells]
    assert len(set(titles)) == len(titles) == 42
    for title in ("step, n = 400", "sine, n = 100, growing", "peak, n = 2000"):
        assert title in titles


@pytest.mark.parametrize("cell", study.cells(), ids=lambda cell: cell.title)
def test_data_scatter_around_the_truth(cell):
    rng = np.random.default_rng(0)
    residuals = []
    for _ in range(4000 // cell.n):
        X, y = cell.draw(rng)
        assert X.shape == (cell.n, 2 if cell.design == "two inputs" else 1)
        assert X.min() >= 0
        assert X.max() <= study.SPAN
        residuals.append(y - cell.curve(X))
    residuals = np.concatenate(residuals)
    error = residuals.std() / np.sqrt(len(residuals))
    assert abs(residuals.mean()) < 5 * error
    spread = 0.6 if cell.noise == "growing" else 0.5
    assert 0.8 * spread < residuals.std() < 1.25 * spread


def test_points_near_a_peak():
    cell = Cell("peak", 100)
    apart = cell.points[~cell.is_smooth(0.3), 0]
    np.testing.assert_allclose(apart, [2.7, 3.0, 3.3])
    assert cell.is_smooth(0.29).sum() == 18
    assert Cell("sine", 100).is_smooth(0.3).all()


def held(inside, simultaneous=True):
    return Held(np.array(inside), simultaneous, 0.9, 0.8, 0.7, 2.0, 0.5)


def test_counts():
    cell = Cell("sine", 100, "normal", "3 levels")
    row = study.count(cell, [held([True, False, True]), held([True, True, False], False)])
    assert row.confidence == pytest.approx(2 / 3)
    assert row.least == row.least_smooth == 0.5
    assert row.simultaneous == 0.5
    assert (row.prediction, row.percentile, row.percentile_truth) == (0.9, 0.8, 0.7)
    assert (row.width, row.sigma) == (2.0, 0.5)


def test_one_data_set_a_table_and_a_picture(tmp_path):
    cell = Cell("line", 50)
    one = study.look(cell, 0)
    assert one.confidence.shape == (19,)
    assert 0.7 <= one.prediction <= 1.0
    assert 0.8 <= one.percentile <= 1.0
    results = {cell.title: study.count(cell, [one])}
    lines = study.table(results).splitlines()
    assert len(lines) == 3
    assert lines[2].startswith("| line, n = 50 | ")
    assert len(lines[0].split("|")) == len(lines[2].split("|"))
    study.draw(results, 1, tmp_path / "coverage.png")
    assert (tmp_path / "coverage.png").read_bytes().startswith(b"\x89PNG")
