"""The oracle of prediction errors against numbers computed by hand."""

import pytest

from fastkb.reference import prediction_error as reference


def test_losses():
    assert reference.squared_error(1.0, 3.0) == 4.0
    assert reference.squared_error([1.0, 0.0], [3.0, 1.0]) == 2.5
    assert reference.zero_one("a", "a") == 0.0
    assert reference.zero_one("a", "b") == 1.0


def test_training_error():
    assert reference.training_error([0, 1, 1], [0, 1, 0], reference.zero_one) == pytest.approx(
        1 / 3
    )


def test_leave_one_out_bootstrap():
    """Row 0 is left out twice, with losses 1 and 9; row 1 once, with 4; row 2 never."""
    y = [0.0, 0.0, 0.0]
    predictions = [[1.0, 7.0, 7.0], [3.0, 2.0, 7.0]]
    weights = [[0, 1, 2], [0, 0, 3]]
    out = reference.leave_one_out_bootstrap(y, predictions, weights, reference.squared_error)
    assert out == ((5.0 + 4.0) / 2, 1)


def test_no_information():
    """Of a binary rule (Efron and Tibshirani 1997, eq. 26): p (1 - q) + (1 - p) q."""
    y, fitted = [1] * 3 + [0] * 7, [1] * 4 + [0] * 6
    gamma = reference.no_information(y, fitted, reference.zero_one)
    assert gamma == pytest.approx(0.3 * 0.6 + 0.7 * 0.4)
    # Pairs (0, 1), (0, 3), (2, 1), (2, 3).
    assert reference.no_information([0.0, 2.0], [1.0, 3.0], reference.squared_error) == 3.0


def test_632():
    assert reference.err632(0.1, 0.3) == pytest.approx(0.2264)


@pytest.mark.parametrize(
    ("training", "out_of_bag", "gamma", "plus", "relative"),
    [
        (0.0, 0.5, 0.5, 0.5, 1.0),  # no better than no information
        (0.0, 0.25, 0.5, 0.632 / 0.816 * 0.25, 0.5),  # w = .632/(1 - .184)
        (0.0, 0.6, 0.5, 0.632 * 0.6 + 0.368 * 0.5, 1.0),  # R is 1 at most
        (0.2, 0.1, 0.5, 0.368 * 0.2 + 0.632 * 0.1, 0.0),  # no overfitting
        (0.6, 0.7, 0.5, 0.368 * 0.6 + 0.632 * 0.7, 0.0),  # worse than no information
    ],
)
def test_632plus(training, out_of_bag, gamma, plus, relative):
    assert reference.err632plus(training, out_of_bag, gamma) == pytest.approx((plus, relative))
