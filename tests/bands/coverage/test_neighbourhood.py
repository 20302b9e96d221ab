import numpy as np
import pytest
from scipy import sparse

from fastkb.bands.coverage.neighbourhood import among_data, near_rows, observed_nearby


@pytest.mark.parametrize("offset", [0.0, 1e8])
def test_points_among_the_data(offset):
    rng = np.random.default_rng(0)
    X = rng.uniform(0, 1, (120, 2)) + offset
    X[60:, 0] += 5
    points = np.array([[0.5, 0.5], [5.5, 0.5], [3.0, 0.5], [0.5, 9.0], [-40.0, 0.0]]) + offset
    among = [True, True, False, False, False]
    assert among_data(np.repeat(X, 2, axis=0), points).tolist() == among  # ties tell nothing
    assert among_data(sparse.csr_array(X), points).tolist() == among
    assert among_data(X, sparse.csr_array(points)).tolist() == among
    # Where none is among them, all are: a band far outside has a width.
    assert among_data(X, points[2:]).all()
    assert among_data(X[:1].repeat(5, axis=0), points).all()
    many = offset + np.sort(rng.uniform(0, 1, (10_000, 1)), axis=0)
    inside = among_data(many, np.linspace(0, 2, 3001)[:, None] + offset)
    assert 0.8 < inside[:1500].mean() <= 1.0  # gaps between random rows vary
    assert not inside[1510:].any()


def test_points_at_a_few_levels():
    X = np.repeat([[1.0], [2.0], [5.0]], 6, axis=0)
    points = np.linspace(0, 6, 121)[:, None]
    assert points[among_data(X, points), 0].tolist() == pytest.approx([1.0, 2.0, 5.0])
    assert among_data(X, points[:1]).all()


def test_near_rows():
    X = np.array([[0.0], [1.0], [2.0], [3.0], [30.0]])
    points = np.array([[0.5], [4.0], [5.5], [28.0]])
    # Four of five rows have another at a distance of 1, the last one at 27.
    assert near_rows(np.repeat(X[:4], 3, axis=0), points).tolist() == [True, True, False, False]
    assert near_rows(X[:4], points, 3.0).tolist() == [True, True, True, False]
    assert near_rows(X[:4], points, least=3.0).tolist() == [True, True, True, False]


def test_a_gap_of_a_tenth_of_the_range_is_told():
    x = np.concatenate([np.linspace(0, 4, 50), np.linspace(6, 10, 50)])[:, None]
    seen = observed_nearby(x, np.array([[2.0], [4.4], [5.0], [5.6], [10.4], [12.0]]))
    assert seen.tolist() == [True, True, False, True, True, False]
    # Values rounded to tenths: single gaps in the tails are none.
    x = np.round(np.random.default_rng(0).normal(size=400), 1)[:, None]
    assert observed_nearby(x, np.linspace(x.min(), x.max(), 200)[:, None]).all()
