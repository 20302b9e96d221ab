"""Each machine as a quadratic problem, against the definitions; where it begins; points within bounds."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastkb.reference import svm as reference
from fastkb.svm import problem as problems
from fastkb.svm.problem import Problem, feasible, filled

EPS = np.finfo(float).eps
N_POSITIVE, N = 4, 11
SIGNS = np.concatenate([np.ones(N_POSITIVE), -np.ones(N - N_POSITIVE)])


@pytest.fixture
def weight():
    return np.random.default_rng(0).uniform(0.5, 2.0, N)


@pytest.fixture
def y():
    return np.random.default_rng(1).normal(size=N)


@pytest.fixture
def K():
    root = np.random.default_rng(2).normal(size=(N, N))
    return root @ root.T


def value(problem, K, beta):
    """What is minimised."""
    of_row = problem.row_sums(beta)
    kink = problem.kink * np.abs(beta).sum()
    return 0.5 * of_row @ K @ of_row + problem.linear @ beta + kink


def within(problem, seed):
    """Coefficients between the bounds."""
    at = np.random.default_rng(seed).uniform(size=len(problem.lower))
    return problem.lower + at * (problem.upper - problem.lower)


def assert_same_problem(problem, expected, K):
    """Of the same variables: the bounds, the groups, and the objective anywhere between the bounds."""
    np.testing.assert_array_equal(problem.lower, expected.lower)
    np.testing.assert_array_equal(problem.upper, expected.upper)
    assert (problem.lower <= 0.0).all()
    assert (problem.upper >= 0.0).all()
    m = len(problem.lower)
    np.testing.assert_array_equal(np.arange(m) % problem.n, expected.row)
    np.testing.assert_array_equal(np.arange(m) >= problem.split, expected.group == 1)
    assert problem.two_groups == (len(np.unique(expected.group)) == 2)
    for seed in range(20):
        beta = within(problem, seed)
        expected_value = reference.objective(K, expected, beta)
        assert value(problem, K, beta) == pytest.approx(expected_value, rel=1e-13, abs=1e-13)
        np.testing.assert_allclose(
            problem.row_sums(beta), reference.coefficients(K, expected, beta), rtol=1e-15
        )


# --- five machines ------------------------------------------------------------------------------


def test_c_classification(weight, K):
    found = problems.c_classification(N_POSITIVE, 3.0 * weight)
    assert_same_problem(found, reference.c_svc(SIGNS, 3.0 * weight), K)
    assert found.kink == 0.0


def test_nu_classification(weight, K):
    found = problems.nu_classification(N_POSITIVE, weight)
    assert_same_problem(found, reference.nu_svc(SIGNS, 0.3, weight), K)
    assert found.split == N_POSITIVE


def test_nu_regression(weight, y, K):
    found = problems.nu_regression(y, 3.0 * weight)
    assert_same_problem(found, reference.nu_svr(y, 3.0 * weight, 0.3), K)


def test_density(weight, K):
    found = problems.density(weight)
    assert_same_problem(found, reference.one_class(0.3, weight), K)


def test_epsilon_regression_has_a_kink_for_the_second_variable_of_each_row(weight, y, K):
    found = problems.epsilon_regression(y, 3.0 * weight, 0.2)
    expected = reference.epsilon_svr(y, 3.0 * weight, 0.2)
    assert (found.n, found.split, found.two_groups) == (N, N, False)
    np.testing.assert_array_equal(found.upper, expected.upper[:N])
    np.testing.assert_array_equal(found.lower, expected.lower[N:])
    for seed in range(20):
        beta = within(found, seed)
        both = np.concatenate([np.maximum(beta, 0.0), np.minimum(beta, 0.0)])
        expected_value = reference.objective(K, expected, both)
        assert value(found, K, beta) == pytest.approx(expected_value, rel=1e-13, abs=1e-13)
    # Another split of the same coefficient is dearer by 2ε for each unit in both.
    assert reference.objective(K, expected, both + np.repeat([0.1, -0.1], N)) == pytest.approx(
        value(found, K, beta) + 0.02 * 2 * N
    )


def test_what_is_passed_stays_as_it_is(weight, y):
    kept = weight.copy(), y.copy()
    for found in (
        problems.c_classification(N_POSITIVE, weight),
        problems.nu_classification(N_POSITIVE, weight),
        problems.epsilon_regression(y, weight, 0.2),
        problems.nu_regression(y, weight),
        problems.density(weight),
    ):
        assert np.isfinite(found.linear).all()
    np.testing.assert_array_equal(weight, kept[0])
    np.testing.assert_array_equal(y, kept[1])


def test_all_rows_of_one_sign():
    for n_positive, signs in ((0, -np.ones(3)), (3, np.ones(3))):
        found = problems.c_classification(n_positive, np.full(3, 2.0))
        assert_same_problem(found, reference.c_svc(signs, 2.0), np.eye(3))


# --- where they begin ---------------------------------------------------------------------------


@pytest.mark.parametrize("nu", [1e-3, 0.2, 0.4])
def test_each_class_begins_with_half_of_nu(nu, weight):
    problem = problems.nu_classification(N_POSITIVE, weight)
    found = problems.start_of_classes(problem, nu)
    np.testing.assert_allclose(
        found, reference.nu_svc(SIGNS, nu, weight).start, rtol=0, atol=N * EPS * weight.sum()
    )
    assert ((found >= problem.lower) & (found <= problem.upper)).all()
    half = nu * weight.sum() / 2
    assert found[:N_POSITIVE].sum() == pytest.approx(half, rel=N * EPS)
    assert found[N_POSITIVE:].sum() == pytest.approx(-half, rel=N * EPS)


def test_nu_may_be_as_large_as_the_smaller_class_allows():
    problem = problems.nu_classification(3, np.ones(10))
    found = problems.start_of_classes(problem, 0.6)
    np.testing.assert_array_equal(found[:3], 1.0)
    assert found[3:].sum() == -3.0
    with pytest.raises(ValueError, match="specified nu is infeasible") as caught:
        problems.start_of_classes(problem, 0.6 + 1e-9)
    most = float(re.search(r"at most ([\d.]+)", str(caught.value)).group(1))
    assert most == pytest.approx(0.6, rel=1e-5)


def test_weights_decide_whether_nu_is_feasible():
    # Of 6 the first class weighs 1: ν · 6/2 ≤ 1.
    problem = problems.nu_classification(1, np.array([1.0, 2.0, 3.0]))
    assert problems.start_of_classes(problem, 1 / 3)[0] == pytest.approx(1.0, rel=4 * EPS)
    with pytest.raises(ValueError, match=r"nu=0\.5 .*at most 0\.333333"):
        problems.start_of_classes(problem, 0.5)
    turned = problems.nu_classification(2, np.array([2.0, 3.0, 1.0]))
    with pytest.raises(ValueError, match=r"at most 0\.333333"):
        problems.start_of_classes(turned, 0.5)


@pytest.mark.parametrize("nu", [1e-3, 0.4, 1.0])
def test_each_sign_begins_with_half_of_nu(nu, weight, y):
    problem = problems.nu_regression(y, 3.0 * weight)
    found = problems.start_of_sides(problem, nu)
    np.testing.assert_allclose(
        found, reference.nu_svr(y, 3.0 * weight, nu).start, rtol=0, atol=N * EPS * 3 * weight.sum()
    )
    assert ((found >= problem.lower) & (found <= problem.upper)).all()
    np.testing.assert_array_equal(problem.row_sums(found), 0.0)


@given(
    most=st.lists(st.floats(0.0, 1e6), min_size=1, max_size=20),
    share=st.floats(0.0, 1.0),
)
def test_the_first_values_are_filled(most, share):
    most = np.array(most)
    total = share * most.sum()
    found = filled(total, most)
    assert ((found >= 0.0) & (found <= most)).all()
    rounding = len(most) * EPS * most.sum()
    assert abs(found.sum() - total) <= 2 * rounding
    # Full ones, one that may be in between, and none.
    begun = np.flatnonzero(found > rounding)
    if len(begun):
        before = slice(0, begun[-1])
        np.testing.assert_allclose(found[before], most[before], rtol=0, atol=rounding)


# --- points within the bounds -------------------------------------------------------------------


def assert_feasible(problem, beta, sums):
    assert ((beta >= problem.lower) & (beta <= problem.upper)).all()
    parts = [beta[: problem.split], beta[problem.split :]][: len(sums)]
    width = problem.upper - problem.lower
    for part, total in zip(parts, sums, strict=True):
        assert abs(part.sum() - total) <= 8 * len(beta) * EPS * width.sum()


@st.composite
def two_bounds(draw):
    """The same machine with two C, and coefficients that the first allows."""
    n = draw(st.integers(1, 12))
    seed = draw(st.integers(0, 2**31))
    rng = np.random.default_rng(seed)
    n_positive, y = draw(st.integers(0, n)), rng.normal(size=n)
    # Weights of any sizes, among them rows that have next to no room.
    costs = [10.0 ** rng.uniform(-6, 3, n) * C for C in (1.0, draw(st.sampled_from([0.01, 1, 50])))]
    make = draw(
        st.sampled_from(
            [
                lambda C: problems.c_classification(n_positive, C),
                lambda C: problems.nu_classification(n_positive, C),
                lambda C: problems.epsilon_regression(y, C, 0.1),
                lambda C: problems.nu_regression(y, C),
                problems.density,
            ]
        )
    )
    before, now = (make(C) for C in costs)
    at = rng.uniform(size=len(before.lower)) ** draw(st.sampled_from([0.0, 0.3, 1.0, 5.0]))
    beta = before.lower + at * (before.upper - before.lower)
    return now, beta, draw(st.floats(0.0, 1.0))


@given(two_bounds())
def test_any_coefficients_are_brought_within_other_bounds(drawn):
    problem, beta, share = drawn
    kept = beta.copy()
    groups = [slice(0, problem.split), slice(problem.split, None)][: 1 + problem.two_groups]
    sums = tuple(
        float((1 - share) * problem.lower[g].sum() + share * problem.upper[g].sum()) for g in groups
    )
    found = feasible(problem, beta, sums)
    assert_feasible(problem, found, sums)
    np.testing.assert_array_equal(beta, kept)
    # Again: there is nothing more to do.
    again = feasible(problem, found, sums)
    np.testing.assert_allclose(
        again, found, rtol=0, atol=16 * len(beta) * EPS * np.ptp([problem.lower, problem.upper])
    )


def test_what_clipping_takes_is_shared_by_the_room_that_there_is():
    problem = problems.density(np.array([1.0, 4.0, 3.0]))
    found = feasible(problem, np.array([3.0, 2.0, 1.0]), (6.0,))
    # Two are missing, and 2 + 2 is the room.
    np.testing.assert_allclose(found, [1.0, 3.0, 2.0], rtol=4 * EPS)
    fallen = feasible(problem, np.array([1.0, 4.0, 1.0]), (3.0,))
    np.testing.assert_allclose(fallen, [0.5, 2.0, 0.5], rtol=4 * EPS)


def test_each_group_keeps_its_own_sum():
    problem = problems.nu_regression(np.zeros(3), np.ones(3))
    found = feasible(problem, np.array([2.0, 0.2, 0.0, 0.0, -0.1, -5.0]), (1.5, -0.5))
    assert_feasible(problem, found, (1.5, -0.5))
    assert found[0] == 1.0
    assert found[4] != -0.1


def test_a_feasible_point_stays_where_it_is():
    problem = problems.c_classification(2, np.ones(4))
    beta = np.array([0.5, 0.25, -0.75, 0.0])
    np.testing.assert_array_equal(feasible(problem, beta, (0.0,)), beta)


def test_a_sum_out_of_reach_is_come_near():
    problem = problems.density(np.array([1.0, 2.0]))
    np.testing.assert_array_equal(feasible(problem, np.zeros(2), (5.0,)), [1.0, 2.0])
    np.testing.assert_array_equal(feasible(problem, np.ones(2), (-5.0,)), [0.0, 0.0])


@pytest.mark.parametrize(
    ("beta", "total"),
    [
        ([0.5, 0.25, -0.75, 0.0], 0.0),
        ([0.5, 0.5, -0.75, 0.0], 0.0),
        ([0.5, 0.25, -1.0, 0.0], 0.0),
        ([0.5, -0.25, -1.0, 0.5], 0.0),
    ],
)
def test_bounds_may_be_infinite(beta, total):
    """C = ∞, with a start from the fit before."""
    problem = problems.c_classification(2, np.full(4, np.inf))
    found = feasible(problem, np.array(beta), (total,))
    assert ((found >= problem.lower) & (found <= problem.upper)).all()
    assert found.sum() == pytest.approx(total, abs=16 * EPS)
    assert np.abs(found).max() <= 2.0  # near


def test_the_sum_of_a_row_is_that_of_its_variables():
    problem = Problem(np.zeros(6), np.ones(6), np.zeros(6), 0.0, 3, 3)
    np.testing.assert_array_equal(problem.row_sums(np.arange(6.0)), [3.0, 5.0, 7.0])
    one = problem._replace(lower=np.zeros(3), upper=np.ones(3), split=3)
    np.testing.assert_array_equal(one.row_sums(np.arange(3.0)), [0.0, 1.0, 2.0])
    assert problem.two_groups
    assert not one.two_groups
