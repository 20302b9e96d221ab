"""Free coefficients moved together: products of symmetric matrices, directions, whole problems."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastkb.reference import gram
from fastkb.reference import svm as reference
from fastkb.runtime.threads import use_threads
from fastkb.svm.smo import conjugate
from fastkb.svm.smo.conjugate import Together, multiply_symmetric
from fastkb.svm.smo.pairs import Rule, Work, solve_pairs

FLOATS = (np.float32, np.float64)
each_dtype = pytest.mark.parametrize("dtype", FLOATS)
# Four rows at a time, 16 strips, blocks of 1024 columns.
SIZES = (1, 2, 3, 4, 5, 7, 8, 63, 64, 67, 1023, 1024, 1029, 1030)


def symmetric(q, dtype, seed=0):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((q, q))
    return (A + A.T).astype(dtype), rng.standard_normal(q).astype(dtype)


def product(K, x, strips=16):
    out = np.full(len(x), np.nan, x.dtype)
    multiply_symmetric(K, x, np.full((strips, len(x)), np.nan, x.dtype), out)
    return out


@given(
    q=st.sampled_from(SIZES) | st.integers(1, 300),
    dtype=st.sampled_from(FLOATS),
    seed=st.integers(0, 2**31),
)
def test_a_product_reads_the_upper_half_alone(q, dtype, seed):
    K, x = symmetric(q, dtype, seed)
    terms = K.astype(np.longdouble) * x
    size = np.abs(terms).sum(axis=1)
    # Of blocks of four rows on the diagonal both halves are read.
    row, column = np.indices((q, q)) // 4
    K[column < row] = np.nan
    found = product(K, x)
    assert (np.abs(found - terms.sum(axis=1)) <= q * np.finfo(dtype).eps * size).all()


@each_dtype
@pytest.mark.parametrize("q", SIZES)
def test_bits_of_a_product_depend_on_no_thread(q, dtype):
    K, x = symmetric(q, dtype)
    found = []
    for threads in (1, 2):
        with use_threads(threads):
            found.append(product(K, x).tobytes())
    assert found[0] == found[1]


def classes(n=160, d=4, C=30.0, seed=0):
    """A classifier's problem of which most support vectors are free."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    y = np.where(np.sin(2.0 * X[:, 0]) + X[:, 1] * X[:, 2] > 0.0, 1.0, -1.0)
    return gram.rbf(X, gamma=0.5), reference.c_svc(y, C)


def regression(n=160, seed=1):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 3))
    return gram.rbf(X, gamma=0.5), rng.standard_normal(n)


def work_at(K, problem, beta):
    q = len(beta)
    return Work(
        beta.copy(),
        reference.gradient(K.astype(float), problem, beta),
        problem.lower.astype(float),
        problem.upper.astype(float),
        np.ascontiguousarray(np.diagonal(K)),
        np.empty(q),
        np.empty(q),
    )


def started(dtype, pairs=150, **options):
    K, problem = classes(**options)
    K = K.astype(dtype)
    work = work_at(K, problem, np.zeros(len(K)))
    solve_pairs(K, work, Rule(0.0, len(K), 1e-9, pairs))
    return K, problem, work


@each_dtype
@pytest.mark.parametrize("seed", range(6))
def test_the_objective_falls_and_bounds_and_sums_are_kept(dtype, seed):
    K, problem, work = started(dtype, seed=seed)
    before, exact = work.beta.copy(), K.astype(float)
    together = Together(K, len(K), 0.0)
    assert together.move(work, 1e-6)
    assert reference.objective(exact, problem, work.beta) < reference.objective(
        exact, problem, before
    )
    assert (work.beta >= problem.lower).all()
    assert (work.beta <= problem.upper).all()
    assert abs(work.beta.sum()) <= 1e-12 * np.abs(work.beta).sum()
    fixed = (before == 0.0) | (before == problem.lower) | (before == problem.upper)
    np.testing.assert_array_equal(work.beta[fixed], before[fixed])
    expected = reference.gradient(exact, problem, work.beta)
    atol = 200 * np.finfo(dtype).eps * np.abs(work.beta).sum()
    np.testing.assert_allclose(work.gradient, expected, rtol=0, atol=atol)


@each_dtype
def test_a_problem_is_solved_with_fewer_pairs_than_by_pairs_alone(dtype):
    tol = 1e-3
    K, problem, alone = started(dtype)
    pairs, left = solve_pairs(K, alone, Rule(0.0, len(K), tol, 10**6))
    assert left <= tol
    work = started(dtype)[2]
    assert Together(K, len(K), 0.0).solve(work, tol, 10**6) < pairs
    worst = reference.most_violating(K.astype(float), problem, work.beta)[0]
    assert worst <= tol + 200 * np.finfo(dtype).eps * np.abs(work.beta).sum()


def test_a_kink_at_zero_is_a_bound():
    K, y = regression()
    n = len(K)
    K = K + 0.1 * np.eye(n)
    beta = np.repeat([0.2, -0.2], n // 2)
    work = Work(
        beta.copy(), K @ beta - y, np.full(n, -9.0), np.full(n, 9.0),
        np.ascontiguousarray(np.diagonal(K)), np.empty(n), np.empty(n),
    )  # fmt: skip
    before = 0.5 * beta @ K @ beta - y @ beta + 0.3 * np.abs(beta).sum()
    assert Together(K, n, 0.3).move(work, 1e-6)
    found = work.beta
    after = 0.5 * found @ K @ found - y @ found + 0.3 * np.abs(found).sum()
    assert after < before
    assert (found[: n // 2] >= 0.0).all()
    assert (found[n // 2 :] <= 0.0).all()
    assert abs(found.sum()) < 1e-12


def test_both_groups_keep_their_sums():
    K, _, work = started(np.float64)
    split = 70
    before = work.beta.copy()
    assert Together(K, split, 0.0).move(work, 1e-6)
    for group in (slice(0, split), slice(split, None)):
        assert work.beta[group].sum() == pytest.approx(before[group].sum(), abs=1e-11)
    assert not np.array_equal(work.beta, before)


def test_no_more_pairs_than_allowed():
    K, _, work = started(np.float64, pairs=20)
    assert Together(K, len(K), 0.0).solve(work, 1e-9, 7) == 7


def test_nothing_is_moved_where_nothing_is_free_or_the_objective_cannot_fall():
    K, _, work = started(np.float64, pairs=10**6)
    before = work.beta.copy()
    for matrix in (-K, np.full_like(K, np.nan), np.zeros_like(K)):
        assert not Together(matrix, len(K), 0.0).move(work, 1e-6)
        np.testing.assert_array_equal(work.beta, before)
    nothing = work._replace(beta=np.zeros(len(K)))
    assert not Together(K, len(K), 0.0).move(nothing, 1e-6)


def test_bits_depend_on_no_thread():
    found = []
    for threads in (1, 2):
        K, _, work = started(np.float32)
        with use_threads(threads):
            Together(K, len(K), 0.0).solve(work, 1e-3, 10**6)
        found.append(work.beta.tobytes())
    assert found[0] == found[1]


@given(
    n=st.integers(1, 30),
    size=st.sampled_from([1e-3, 1.0, 1e6, 1e15]),
    seed=st.integers(0, 2**31),
)
def test_a_step_within_the_bounds_keeps_each_sum(n, size, seed):
    rng = np.random.default_rng(seed)
    low, high = -rng.uniform(0.0, 1.0, n), rng.uniform(0.0, 1.0, n)
    beta = rng.uniform(low, high)
    groups = [group for group in (np.arange(n) < n // 2, np.arange(n) >= n // 2) if group.any()]
    moved = conjugate._within(beta, size * rng.standard_normal(n), low, high, groups)
    assert (moved >= low).all()
    assert (moved <= high).all()
    for group in groups:
        assert abs(moved[group].sum() - beta[group].sum()) <= 1e-12 * np.abs(beta[group]).sum()
