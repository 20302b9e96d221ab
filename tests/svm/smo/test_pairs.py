"""Pairs moved on a kernel matrix: against the definition, for each form that a problem can have."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastkb.reference import gram
from fastkb.reference import svm as reference
from fastkb.svm.smo.pairs import BLOCK, Rule, Work, solve_pairs

EPS = np.finfo(float).eps
FLOATS = (np.float32, np.float64)
MACHINES = ("c_svc", "nu_svc", "epsilon_svr", "nu_svr", "one_class")
# The numbers of coefficients around the edges of blocks.
SIZES = (1, 2, 3, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 2)
# More pairs than any of these problems takes.
MANY = 200_000


class Case(NamedTuple):
    """A problem in the order of its coefficients: those of group 1 last."""

    K: np.ndarray  # shape: (q, q)
    lower: np.ndarray
    upper: np.ndarray
    linear: np.ndarray
    kink: float
    split: int
    start: np.ndarray

    @property
    def reference(self):
        """The same problem, by the definition; a kink is a second variable of each row."""
        q = len(self.lower)
        row, none = np.arange(q), np.zeros(q)
        group = (row >= self.split).astype(int)
        if not self.kink:
            return reference.Problem(row, self.lower, self.upper, self.linear, group, self.start)
        return reference.Problem(
            np.tile(row, 2),
            np.concatenate([none, self.lower]),
            np.concatenate([self.upper, none]),
            np.concatenate([self.linear + self.kink, self.linear - self.kink]),
            np.tile(group, 2),
            both(self.start),
        )

    def variables(self, beta):
        return both(beta) if self.kink else beta


def both(beta):
    """The positive and the negative parts."""
    return np.concatenate([np.maximum(beta, 0.0), np.minimum(beta, 0.0)])


def draw(name, q, C=2.0, seed=0, K=None, dtype=np.float64):
    """A problem of q coefficients; of ν-regression each row has two of them."""
    rng = np.random.default_rng(seed)
    n = max(1, q // 2) if name == "nu_svr" else q
    X = rng.normal(size=(n, 3))
    K = gram.rbf(X, gamma=0.4) if K is None else K
    weight = rng.uniform(0.5, 1.5, n)
    y = X[:, 0] + 0.7 * rng.normal(size=n)
    signs = np.where(y > 0, 1.0, -1.0)
    signs = -np.sort(-signs)
    positive = int((signs > 0).sum())
    if name == "nu_svc":
        lightest = min(weight[signs > 0].sum(), weight[signs < 0].sum())
        problem = reference.nu_svc(signs, 1.6 * lightest / weight.sum(), weight)
        return Case(K.astype(dtype), *problem[1:4], 0.0, positive, problem.start)
    if name == "nu_svr":
        problem = reference.nu_svr(y, C * weight, 0.5)
        return Case(np.tile(K, (2, 2)).astype(dtype), *problem[1:4], 0.0, n, problem.start)
    if name == "epsilon_svr":
        limits = -C * weight, C * weight
        return Case(K.astype(dtype), *limits, -y, 0.1, n, np.zeros(n))
    if name == "one_class":
        problem = reference.one_class(0.4, weight)
    else:
        problem = reference.c_svc(signs, C * weight)
    return Case(K.astype(dtype), *problem[1:4], 0.0, n, problem.start)


def prepare(case):
    """What is moved, at the start: the gradient is that of the matrix as it is."""
    scratch = np.full((2, len(case.start)), np.nan)
    gradient = case.K.astype(float) @ case.start + case.linear
    diagonal = np.diag(case.K).copy()
    return Work(case.start.copy(), gradient, case.lower, case.upper, diagonal, *scratch)


def solve(case, tol=1e-3, most=MANY):
    work = prepare(case)
    count, violation = solve_pairs(case.K, work, Rule(case.kink, case.split, tol, most))
    return work, count, violation


def size(case):
    """What the gradient is made of, at most."""
    bound = np.maximum(np.abs(case.lower), np.abs(case.upper))
    bound = np.where(np.isfinite(bound), bound, 1.0)
    return float((np.abs(case.K.astype(float)) @ bound + np.abs(case.linear)).max()) + 1.0


def assert_within(case, work, count):
    """The bounds to the last bit, and the sums but for a rounding error a pair."""
    assert (work.beta >= case.lower).all()
    assert (work.beta <= case.upper).all()
    for group in (slice(0, case.split), slice(case.split, None)):
        change = work.beta[group].sum() - case.start[group].sum()
        largest = np.abs(work.beta).max(initial=0.0) + np.abs(case.start).max(initial=0.0)
        assert abs(change) <= (count + len(work.beta)) * EPS * largest


def assert_gradient(case, work, count):
    """Each pair adds a rounding error; a float32 matrix is taken as the numbers that it holds."""
    expected = case.K.astype(float) @ work.beta + case.linear
    atol = (count + len(work.beta)) * EPS * size(case)
    np.testing.assert_allclose(work.gradient, expected, rtol=0, atol=atol)


def assert_solves(case, tol, convex=True):
    """Everything that a solution must be."""
    work, count, violation = solve(case, tol)
    K, problem = case.K.astype(float), case.reference
    assert count < MANY
    assert violation <= tol
    assert_within(case, work, count)
    assert_gradient(case, work, count)
    exact = reference.most_violating(K, problem, case.variables(work.beta))[0]
    rounding = 2 * (count + len(work.beta)) * EPS * size(case)
    assert exact <= tol + rounding
    if np.isfinite(exact) and violation > -1e200:
        assert violation == pytest.approx(exact, abs=rounding)
    if convex:
        expected = reference.solve(K, problem, tol)
        best = reference.objective(K, problem, expected)
        found = reference.objective(K, problem, case.variables(work.beta))
        # Each unit that is moved to the minimum gains at most the violation. A matrix of float32 may
        # be indefinite by as much as its rounding.
        moved = np.abs(case.variables(work.beta) - expected).sum()
        rounding = np.finfo(case.K.dtype).eps * moved**2
        assert abs(found - best) <= tol * moved / 2 + rounding + 1e-12 * size(case)
    return work


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("q", SIZES)
@pytest.mark.parametrize("name", MACHINES)
def test_it_solves_the_problem_by_its_definition(name, q, dtype):
    case = draw(name, q, dtype=dtype)
    for tol in (1e-2, 1e-6):
        assert_solves(case, tol)


@settings(max_examples=150)
@given(
    name=st.sampled_from(MACHINES),
    q=st.sampled_from(SIZES) | st.integers(1, 2 * BLOCK + 2),
    C=st.sampled_from([0.01, 1.0, 30.0]),
    dtype=st.sampled_from(FLOATS),
    tol=st.sampled_from([1e-1, 1e-3, 1e-7]),
    seed=st.integers(0, 2**31),
)
def test_any_problem(name, q, C, dtype, tol, seed):
    assert_solves(draw(name, q, C, seed, dtype=dtype), tol)


@settings(max_examples=60)
@given(
    name=st.sampled_from(MACHINES),
    n_values=st.integers(1, 6),
    q=st.integers(2, BLOCK + 10),
    dtype=st.sampled_from(FLOATS),
    seed=st.integers(0, 2**31),
)
def test_many_equal_rows(name, n_values, q, dtype, seed):
    """The curvature along pairs of equal rows is zero; some of them have opposite labels."""
    n = max(1, q // 2) if name == "nu_svr" else q
    values = np.random.default_rng(seed).integers(0, n_values, (n, 2)).astype(float)
    K = gram.rbf(values, gamma=0.5)
    assert_solves(draw(name, q, 1.0, seed, K, dtype), 1e-4)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("coef0", [1.0, 0.0, -0.5, -2.0])
@pytest.mark.parametrize("name", MACHINES)
def test_an_indefinite_kernel_ends_at_a_stationary_point(name, coef0, dtype):
    """Of a sigmoid kernel; with a negative c the diagonal is negative, too."""
    n = 35 if name == "nu_svr" else 70
    X = np.random.default_rng(1).normal(size=(n, 3))
    K = gram.sigmoid(X, gamma=0.8, coef0=coef0)
    assert np.linalg.eigvalsh(K)[0] < -1e-3
    assert_solves(draw(name, 70, K=K, dtype=dtype), 1e-3, convex=False)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("size", [1e-3, 1.0, 1e5])
def test_a_negative_curvature_ends_at_the_bounds(size, dtype):
    """½ βᵀKβ with a negative multiple of 1 for K: the objective falls all the way."""
    case = draw("c_svc", 9, K=-size * np.eye(9), dtype=dtype)
    work = assert_solves(case, 1e-3, convex=False)
    sides = case.upper.sum(), -case.lower.sum()
    # The lighter class is at its bounds.
    lighter = case.upper > 0 if sides[0] < sides[1] else case.lower < 0
    assert (np.abs(work.beta) == case.upper - case.lower)[lighter].all()


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("n", [2, 3, 5, 8, 17, 40, BLOCK, BLOCK + 6, 2 * BLOCK + 2])
@pytest.mark.parametrize("ones", [0, 1])
@pytest.mark.parametrize("name", ["c_svc", "epsilon_svr"])
def test_rows_of_zeros(name, ones, n, dtype):
    """Of a linear kernel: neither a diagonal nor a curvature."""
    K = np.zeros((n, n))
    K[:ones, :ones] = 1.0
    case = draw(name, n, K=K, dtype=dtype)
    if name == "epsilon_svr":  # ends of both signs, wherever the largest stands
        y = np.ones(n)
        y[: n // 2] = -1.0
        case = case._replace(linear=-y)
    assert_solves(case, 1e-3)


@pytest.mark.parametrize("dtype", FLOATS)
def test_bounds_may_be_infinite(dtype):
    """Two classes apart from each other: as with a bound that none reaches."""
    rng = np.random.default_rng(2)
    X = rng.normal(size=(80, 2))
    signs = np.repeat([1.0, -1.0], 40)
    X[:, 0] += 4.0 * signs
    K = gram.linear(X).astype(dtype)
    problem = reference.c_svc(signs, np.inf)
    case = Case(K, *problem[1:4], 0.0, 80, np.zeros(80))
    work, count, violation = solve(case, 1e-5)
    assert violation <= 1e-5
    assert np.isfinite(work.beta).all()
    assert_within(case, work, count)
    finite = reference.c_svc(signs, 1e3)
    expected = reference.solve(K.astype(float), finite, 1e-5)
    assert np.abs(expected).max() < 1e3
    best = reference.objective(K.astype(float), finite, expected)
    found = reference.objective(K.astype(float), finite, work.beta)
    assert found == pytest.approx(best, abs=1e-5 * np.abs(work.beta - expected).sum() + 1e-9)


# --- how it goes on -----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", MACHINES)
def test_no_more_pairs_are_moved_than_asked_for(name, dtype):
    case = draw(name, 130, dtype=dtype)
    _, needed, _ = solve(case, 1e-6)
    assert needed > 20
    problem, K = case.reference, case.K.astype(float)
    before = np.inf
    for most in (0, 1, 2, 7, needed - 1):
        work, count, violation = solve(case, 1e-6, most)
        assert count == most
        assert violation > 1e-6
        assert_within(case, work, count)
        assert_gradient(case, work, count)
        exact = reference.most_violating(K, problem, case.variables(work.beta))[0]
        assert violation == pytest.approx(exact, abs=2 * (count + 130) * EPS * size(case))
        objective = reference.objective(K, problem, case.variables(work.beta))
        assert objective <= before + 1e-12 * size(case)
        before = objective
        # Of no pairs, nothing changes.
        assert (work.beta == case.start).all() == (most == 0)
    assert solve(case, 1e-6, needed)[2] <= 1e-6


@settings(max_examples=40)
@given(
    name=st.sampled_from(MACHINES),
    q=st.sampled_from(SIZES),
    most=st.integers(1, 40),
    dtype=st.sampled_from(FLOATS),
    seed=st.integers(0, 2**31),
)
def test_many_calls_move_the_pairs_of_one_call(name, q, most, dtype, seed):
    case = draw(name, q, seed=seed, dtype=dtype)
    whole, needed, violation = solve(case, 1e-4)
    work, total = prepare(case), 0
    while True:
        count, left = solve_pairs(case.K, work, Rule(case.kink, case.split, 1e-4, most))
        total += count
        if count < most:
            break
    assert (total, left) == (needed, violation)
    np.testing.assert_array_equal(work.beta, whole.beta)
    np.testing.assert_array_equal(work.gradient, whole.gradient)


@pytest.mark.parametrize("name", MACHINES)
def test_a_solution_is_left_alone(name):
    case = draw(name, 70)
    work, _, violation = solve(case)
    again, count, left = solve(case._replace(start=work.beta))
    assert count == 0
    np.testing.assert_array_equal(again.beta, work.beta)
    assert left == pytest.approx(violation, abs=1e-10)


@pytest.mark.parametrize("name", MACHINES)
def test_what_is_only_read_stays_as_it_is(name):
    case = draw(name, 70)
    copies = [np.copy(part) for part in case]
    K = case.K.copy()
    K.flags.writeable = False
    solve(case._replace(K=K))
    for part, kept in zip(case, copies, strict=True):
        np.testing.assert_array_equal(part, kept)


def test_a_pair_by_hand():
    # ½(α² + α²) - 2α is least at α = 1.
    case = Case(
        np.eye(2), np.array([0.0, -9.0]), np.array([9.0, 0.0]), np.array([-1.0, 1.0]), 0.0, 2,
        np.zeros(2),
    )  # fmt: skip
    work, count, violation = solve(case)
    np.testing.assert_array_equal(work.beta, [1.0, -1.0])
    np.testing.assert_array_equal(work.gradient, [0.0, 0.0])
    assert (count, violation) == (1, 0.0)


@pytest.mark.parametrize(
    ("start", "then"),
    [((-1.0, 1.0), (0.0, 0.0)), ((-1.0, 0.25), (-0.75, 0.0)), ((-0.25, 1.0), (0.0, 0.75))],
)
@pytest.mark.parametrize("kink", [0.25, 0.75])
def test_a_coefficient_stops_at_zero_where_the_kink_is(kink, start, then):
    """From the wrong side it takes two pairs to cross zero."""
    case = Case(
        np.eye(2), np.full(2, -9.0), np.full(2, 9.0), np.array([-0.5, 0.5]), kink, 2,
        np.array(start),
    )  # fmt: skip
    once, _, _ = solve(case, most=1)
    np.testing.assert_array_equal(once.beta, then)
    assert_solves(case, 1e-9)
    if start == (-1.0, 1.0):
        work, count, _ = solve(case)
        # ½(α² + α²) - α + 2 kink |α|
        expected = max(0.0, 0.5 - kink)
        np.testing.assert_array_equal(work.beta, [expected, -expected])
        assert count == (2 if expected else 1)


def test_of_two_groups_each_has_pairs_of_its_own():
    """The gradients of the groups are far from each other, and neither is moved for that."""
    case = draw("nu_svc", 60)
    linear = np.where(np.arange(60) < case.split, 1e3, -1e3)
    apart = case._replace(linear=linear)
    assert_solves(apart, 1e-9)
    # The sums are kept, so that the same coefficients are best; a unit of K = 1 hides 1e3 · eps.
    plain, _, _ = solve(case, 1e-9)
    np.testing.assert_allclose(solve(apart, 1e-9)[0].beta, plain.beta, rtol=0, atol=1e-5)


def test_a_group_without_room_has_no_violation():
    case = draw("nu_svc", 60)
    # All of group 1 at its bounds, which are one point.
    upper, lower, start = case.upper.copy(), case.lower.copy(), case.start.copy()
    upper[case.split :] = lower[case.split :] = start[case.split :]
    work, count, violation = solve(case._replace(upper=upper, lower=lower))
    assert violation <= 1e-3
    assert count > 0
    np.testing.assert_array_equal(work.beta[case.split :], start[case.split :])


@pytest.mark.parametrize("name", MACHINES)
def test_a_violation_that_is_not_a_number_ends_it(name):
    case = draw(name, 20)
    linear = case.linear.copy()
    linear[:] = np.nan
    work, count, _ = solve(case._replace(linear=linear))
    assert count == 0
    np.testing.assert_array_equal(work.beta, case.start)
