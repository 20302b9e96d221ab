"""The study of dependent data: truths are right, blocks matter, and the table shows what was counted."""

import numpy as np
import pytest

from bench import dependent_coverage as study
from bench.dependent_coverage import CASES


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_the_truth_of_each_case_is_zero(case):
    data = case.draw(np.random.default_rng(0), case.n, 300)
    assert data.shape == (case.n, 300)
    values = getattr(np, case.statistic)(data, axis=0)
    assert abs(values.mean()) < 5 * values.std() / np.sqrt(len(values))


def test_series_and_clusters_depend_as_they_say():
    rng = np.random.default_rng(0)
    series = study.autoregressive(0.5)(rng, 1000, 50)
    assert np.mean(series[1:] * series[:-1]) / np.mean(series**2) == pytest.approx(0.5, abs=0.03)
    rows = study.clustered(rng, 1000, 50).reshape(100, study.CLUSTER, 50)
    assert np.mean(rows[:, 0] * rows[:, 1]) == pytest.approx(0.3, abs=0.06)
    assert np.mean(rows**2) == pytest.approx(1.0, abs=0.06)


def test_blocks_cover_more_often_than_rows(monkeypatch):
    monkeypatch.setattr(study, "N_RESAMPLES", 199)
    found = study.coverage(CASES[1], 200)
    assert set(found) == set(study.BLOCKS)
    assert found["moving"] > found[study.ROWS] + 0.1
    lines = study.table(
        {CASES[1].title: found, CASES[-1].title: {"clusters": 0.875}}, study.COLUMNS
    ).splitlines()
    assert lines[0].count("|") == lines[2].count("|") == len(study.COLUMNS) + 2
    assert lines[3].endswith("|  |  |  |  | 87.5% |")
