"""Which coefficients violate the conditions: against the definition, one by one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastkb.svm.problem import Problem
from fastkb.svm.smo.candidates import LAST_ROUNDS, Progress, candidates


def draw(n, copies, kink, seed, active=False):
    """A problem of coefficients at their bounds, at zero and between; Kβ of the rows in play."""
    rng = np.random.default_rng(seed)
    m = n * copies
    upper, lower = rng.uniform(0.5, 2.0, m), -rng.uniform(0.5, 2.0, m)
    split = m if copies == 1 else n
    problem = Problem(lower, upper, rng.normal(size=m), kink, split, n)
    beta = np.choose(rng.integers(0, 4, m), [lower, upper, np.zeros(m), 0.5 * upper])
    rows = np.flatnonzero(rng.random(n) < 0.6) if active else None
    part = rng.normal(size=n if rows is None else len(rows))
    return problem, beta, part, rows


any_problem = given(
    n=st.integers(1, 40),
    copies=st.integers(1, 2),
    kink=st.sampled_from([0.0, 0.3]),
    active=st.booleans(),
    seed=st.integers(0, 2**31),
)


@any_problem
def test_gradients_with_room(n, copies, kink, active, seed):
    problem, beta, part, rows = draw(n, copies, kink, seed, active)
    found = candidates(problem, beta, part, rows)
    in_play = np.arange(n) if rows is None else rows
    places = [row + n * copy for copy in range(copies) for row in in_play]
    np.testing.assert_array_equal(found.places, places)
    for k, t in enumerate(places):
        gradient = part[k % len(in_play)] + problem.linear[t]
        above = gradient + (kink if beta[t] >= 0.0 else -kink)
        below = gradient + (kink if beta[t] > 0.0 else -kink)
        assert found.above[k] == (above if beta[t] < problem.upper[t] else np.inf)
        assert found.below[k] == (below if beta[t] > problem.lower[t] else -np.inf)


@any_problem
def test_the_violation_is_that_of_the_worst_pair_of_a_group(n, copies, kink, active, seed):
    problem, beta, part, rows = draw(n, copies, kink, seed, active)
    found = candidates(problem, beta, part, rows)
    differences = [
        found.below[j] - found.above[i]
        for i in range(len(found.places))
        for j in range(len(found.places))
        if (found.places[i] < problem.split) == (found.places[j] < problem.split)
    ]
    assert found.violation().largest == max(differences, default=-np.inf)


@any_problem
def test_a_working_set_has_the_worst_of_each_end(n, copies, kink, active, seed):
    problem, beta, part, rows = draw(n, copies, kink, seed, active)
    now = candidates(problem, beta, part, rows)
    size = 8
    before = np.array([0, n * copies - 1])
    chosen = now.working_set(before[:1], size)
    assert (np.diff(chosen) > 0).all()
    assert len(chosen) <= max(size, min(size, len(now.places)))
    if len(now.places) <= size:
        assert len(chosen) == len(now.places)
        return
    assert now.places.searchsorted(0) in chosen or 0 not in now.places
    found = now.violation()
    for group, least, greatest in zip(now.groups, found.least, found.greatest, strict=True):
        mine = chosen[(chosen >= group.start) & (chosen < group.stop)]
        if np.isfinite(least):
            assert now.above[mine].min() == least
        # The one that is lowered may be in the set to be raised already.
        if np.isfinite(greatest):
            assert now.below[mine].max() == greatest


@any_problem
def test_all_that_is_used_is_chosen_and_of_zeros_the_worst(n, copies, kink, active, seed):
    problem, beta, part, rows = draw(n, copies, kink, seed, active)
    now = candidates(problem, beta, part, rows)
    found = now.violation()
    count = 4
    chosen = now.used_and_violating(found, count)
    assert (np.diff(chosen) > 0).all()
    assert set(np.flatnonzero(now.beta)) <= set(chosen)
    joined = [k for k in chosen if now.beta[k] == 0.0]
    assert len(joined) <= count
    groups = zip(now.groups, found.least, found.greatest, strict=True)
    for group, least, greatest in groups:
        for k in joined:
            if group.start <= k < group.stop:
                assert now.above[k] < greatest or now.below[k] > least


@any_problem
def test_what_is_beyond_is_in_no_pair_that_violates(n, copies, kink, active, seed):
    problem, beta, part, rows = draw(n, copies, kink, seed, active)
    now = candidates(problem, beta, part, rows)
    found = now.violation()
    beyond = now.beyond(found)
    for group, least, greatest in zip(now.groups, found.least, found.greatest, strict=True):
        for k in np.flatnonzero(beyond[group]) + group.start:
            assert now.above[k] > greatest
            assert now.below[k] < least


def test_free_coefficients_are_counted():
    ones = np.ones(5)
    problem = Problem(-ones, ones, 0.0 * ones, 0.0, 5, 5)
    now = candidates(problem, np.array([-1.0, 1.0, 0.0, 0.5, -0.2]), np.zeros(5), None)
    assert now.n_free == 2
    assert now.used.sum() == 4


@pytest.mark.parametrize("copies", [1, 2])
def test_groups_of_the_rows_in_play(copies):
    n = 6
    bounds = np.ones(n * copies)
    problem = Problem(-bounds, bounds, 0.0 * bounds, 0.0, n, n)
    rows = np.array([1, 4])
    now = candidates(problem, 0.0 * bounds, np.zeros(2), rows)
    assert now.groups == [slice(0, 2), slice(2, 4)][:copies]


def progress(violations, used):
    """What is said at the end of rounds that began with these."""
    found = Progress()
    for violation, count in zip(violations, used, strict=True):
        beta = (np.arange(100) < count).astype(float)
        problem = Problem(-2.0 * np.ones(100), 2.0 * np.ones(100), np.zeros(100), 0.0, 100, 100)
        found.add(candidates(problem, beta, np.zeros(100), None), violation)
    return found


@pytest.mark.parametrize(
    ("violations", "used", "slow"),
    [
        ([1.0] * (LAST_ROUNDS + 1), [50] * (LAST_ROUNDS + 1), True),
        ([1.0] * LAST_ROUNDS, [50] * LAST_ROUNDS, False),  # too few to tell
        (0.3 ** np.arange(LAST_ROUNDS + 1), [50] * (LAST_ROUNDS + 1), False),  # done soon
        ([1.0] * (LAST_ROUNDS + 1), range(10, 10 * (LAST_ROUNDS + 2), 10), False),  # more come in
    ],
)
def test_when_rounds_are_slow(violations, used, slow):
    assert progress(violations, used).is_slow(1e-3) == slow


def test_what_was_slow_stays_so():
    found = progress([1.0] * (LAST_ROUNDS + 1), [50] * (LAST_ROUNDS + 1))
    assert found.is_slow(1e-3)
    now = candidates(
        Problem(-np.ones(3), np.ones(3), np.zeros(3), 0.0, 3, 3), np.zeros(3), np.zeros(3), None
    )
    found.add(now, 1e-2)
    assert found.is_slow(1e-3)
