"""The coverage study: cases whose truth is right, and a table of what was counted."""

import numpy as np
import pytest

from bench import coverage
from fastkb.bootstrap.evaluate.statistics import NAMED, plain_function


@pytest.mark.parametrize("case", coverage.CASES, ids=lambda case: case.title)
def test_the_truth_of_each_case(case):
    """The statistic of 300 data sets together lies within five standard errors of the truth."""
    rng = np.random.default_rng(0)
    function = plain_function(NAMED[case.statistic])
    drawn = [case.draw(rng) for _ in range(300)]
    samples = [np.concatenate(part) for part in zip(*drawn, strict=True)]
    values = [function(*data) for data in drawn]
    spread = np.std(values) / np.sqrt(len(values))
    assert abs(function(*samples) - case.truth) < 5 * spread


def test_a_small_study(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(coverage, "N_RESAMPLES", 99)
    results = {case.title: coverage.coverage(case, 20) for case in coverage.CASES[:2]}
    assert all(0.5 <= share <= 1 for row in results.values() for share in row.values())
    lines = coverage.table(results).splitlines()
    assert len(lines) == 4
    assert lines[2].startswith("| mean, normal, n = 20 | ")
    coverage.draw(results, 20, tmp_path / "coverage.png")
    assert (tmp_path / "coverage.png").read_bytes().startswith(b"\x89PNG")
