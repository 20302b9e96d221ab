"""What compiled code is told for losses."""

import numpy as np
import pytest

from fastkb.nn.recording.losses.targets import by_label, counted, shared, smoothed, weighted
from fastkb.reference import losses

LABELS = np.array([0, 2, -100, 1, 2])
WEIGHT = [0.5, 2.0, 3.0]


def test_labels_that_count():
    labels = np.array([0, 2, 1])
    same, counts = counted(labels, None, -100)
    assert same is labels
    assert counts is None
    found, counts = counted(LABELS, WEIGHT, -100)
    assert found.tolist() == [0, 2, 0, 1, 2]
    assert counts.tolist() == [0.5, 3.0, 0.0, 2.0, 3.0]
    assert by_label(labels, None).tolist() == [1.0, 1.0, 1.0]
    with pytest.raises(ValueError, match="y must be labels from 0 to 2, as there are weights of 3"):
        by_label(labels + 1, WEIGHT)
    with pytest.raises(ValueError, match="weight must be 1 numbers"):
        by_label(labels, [-1.0])


@pytest.mark.parametrize("weight", [None, WEIGHT, [0.0, 1.0, 2.0]])
@pytest.mark.parametrize("smoothing", [0.0, 0.3, 1.0])
def test_smoothed_labels_are_the_reference(weight, smoothing):
    z = np.random.default_rng(0).standard_normal((5, 3))
    targets, counts = smoothed(LABELS, 3, weight, -100, smoothing)
    expected, _ = losses.cross_entropy(z, LABELS, weight, label_smoothing=smoothing)
    logarithms = z - np.log(np.exp(z).sum(1, keepdims=True))
    each = -(targets * logarithms).sum(1)
    assert counts[2] == 0.0
    assert (counts * each).sum() / counts.sum() == pytest.approx(expected, rel=1e-12)
    assert np.isfinite(targets.astype(np.float32)).all()


def test_probabilities_of_classes():
    shares = np.array([[0.2, 0.8], [1.0, 0.0]])
    assert shared(shares, None, 0.0).tolist() == shares.tolist()
    np.testing.assert_allclose(shared(shares, [2.0, 1.0], 0.5), [[0.7, 0.65], [1.5, 0.25]])
    with pytest.raises(ValueError, match="weight must be 2 numbers"):
        shared(shares, [1.0], 0.0)


def test_weights_behind_targets():
    y = np.array([[0.0, 1.0], [0.25, 0.5]])
    z = np.array([[0.3, -2.0], [5.0, 0.0]])
    for weight, positive in ((None, None), ([1.0, 3.0], None), (2.0, [4.0, 0.0]), (None, 3.0)):
        found = weighted(y, weight, positive)
        answers, share = found[:, :2], found[:, 2:]
        expected, _ = losses.binary_cross_entropy_with_logits(z, y, weight, positive)
        mine = (share * (np.logaddexp(0.0, z) - answers * z)).mean()
        assert mine == pytest.approx(expected, rel=1e-14)
        assert ((answers >= 0) & (answers <= 1)).all()
    with pytest.raises(ValueError, match="y must be from 0 to 1, got values from 0 to 2"):
        weighted(2 * y, None)
    with pytest.raises(
        ValueError, match=r"weight of shape \(3,\) does not go with targets of \(2, 2\)"
    ):
        weighted(y, np.ones(3))
    with pytest.raises(ValueError, match="pos_weight must be finite and at least 0"):
        weighted(y, None, np.nan)
