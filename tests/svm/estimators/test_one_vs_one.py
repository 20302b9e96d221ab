"""Where the coefficients of a pair of classes stand, and what its value votes for."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.multiclass import _ovr_decision_function

from fastkb.svm.estimators import one_vs_one

ROWS_OF = [np.array([0, 4]), np.array([1, 2, 6]), np.array([3, 5])]


def laid_out():
    """Three classes of which row 2 supports nothing."""
    layout = one_vs_one.Layout(ROWS_OF)
    layout.set((0, 1), np.array([1.0, 0.0, -2.0, 0.0, 0.0]))
    layout.set((0, 2), np.array([0.0, 3.0, -4.0, 0.0]))
    layout.set((1, 2), np.array([5.0, 0.0, 6.0, -7.0, -8.0]))
    return layout


def test_pairs_are_in_the_order_of_the_peer():
    assert one_vs_one.class_pairs(2) == [(0, 1)]
    assert one_vs_one.class_pairs(4) == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]


def test_support_vectors_stand_class_after_class():
    rows, counts, coefficients = laid_out().support()
    np.testing.assert_array_equal(rows, [0, 4, 1, 6, 3, 5])
    np.testing.assert_array_equal(counts, [2, 2, 2])
    assert counts.dtype == np.int32
    # Of class 0 against 1 and 2, of class 1 against 0 and 2, of class 2 against 0 and 1.
    expected = [[1.0, 0.0, -2.0, 0.0, -4.0, 0.0], [0.0, 3.0, 5.0, 6.0, -7.0, -8.0]]
    np.testing.assert_array_equal(coefficients, expected)


def test_terms_find_what_was_laid_out():
    _, counts, coefficients = laid_out().support()
    found = [
        (coefficients[a, first].tolist(), coefficients[b, second].tolist())
        for (first, a), (second, b) in one_vs_one.terms(counts)
    ]
    assert found == [
        ([1.0, 0.0], [-2.0, 0.0]),
        ([0.0, 3.0], [-4.0, 0.0]),
        ([5.0, 6.0], [-7.0, -8.0]),
    ]


def test_segments_may_be_empty():
    assert one_vs_one.segments([2, 0, 3]) == [slice(0, 2), slice(2, 2), slice(2, 5)]


def test_no_row_may_support():
    rows, counts, coefficients = one_vs_one.Layout(ROWS_OF[:2]).support()
    assert rows.shape == (0,)
    assert coefficients.shape == (1, 0)
    np.testing.assert_array_equal(counts, [0, 0])


def test_a_value_of_zero_votes_for_the_second_class():
    """As in LIBSVM; for `one_vs_rest` it votes for the first, as in scikit-learn."""
    values = np.array([[1.0, 0.0, -1.0], [0.0, 0.0, 0.0]])
    np.testing.assert_array_equal(one_vs_one.votes(values, 3), [[1, 0, 2], [0, 1, 2]])
    np.testing.assert_array_equal(one_vs_one.one_vs_rest(np.zeros((1, 3)), 3), [[2, 1, 0]])


@given(
    n_classes=st.integers(3, 6),
    whole=st.booleans(),
    scale=st.sampled_from([1e-200, 1.0, 1e200]),
    seed=st.integers(0, 2**32 - 1),
)
def test_one_value_for_each_class_is_the_peers(n_classes, whole, scale, seed):
    """Whole numbers give ties, and values of exactly zero."""
    pairs = n_classes * (n_classes - 1) // 2
    values = np.random.default_rng(seed).normal(size=(20, pairs))
    values = (np.rint(values) if whole else values) * scale
    found = one_vs_one.one_vs_rest(values, n_classes)
    expected = _ovr_decision_function(values < 0, -values, n_classes)
    # The sums of at most five values differ by their order; they count for less than a third each.
    np.testing.assert_allclose(found, expected, rtol=0, atol=20 * np.finfo(float).eps)
    count = one_vs_one.votes(np.where(values == 0.0, 1.0, values), n_classes)
    assert (np.abs(found - count) < 0.4).all()  # at most a third, before it is rounded
    np.testing.assert_array_equal(count.sum(axis=1), pairs)
