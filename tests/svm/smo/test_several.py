"""Many problems at once are each solved as they would be alone."""

import numpy as np
import pytest

from fastkb.reference import svm as reference
from fastkb.runtime.threads import use_threads
from fastkb.svm.kernel import OfMatrix
from fastkb.svm.problem import (
    c_classification,
    epsilon_regression,
    nu_classification,
    start_of_classes,
)
from fastkb.svm.smo import several
from fastkb.svm.smo.several import solve_several
from fastkb.svm.smo.solver import Options, Solver


def matrix(n=90, seed=0):
    X = np.random.default_rng(seed).standard_normal((n, 3))
    return np.exp(-0.3 * ((X[:, None] - X) ** 2).sum(-1))


def classifiers(count=7, n=90, seed=0):
    rng = np.random.default_rng(seed)
    problems, rows = [], []
    for k in range(count):
        some = rng.permutation(n)[: 20 + 9 * k]
        rows.append(some)
        problems.append(c_classification(5 + 3 * k, rng.uniform(0.1, 5.0, len(some))))
    return problems, rows


def zeros(rows):
    return [np.zeros(len(some)) for some in rows]


def as_reference(problem):
    group = (np.arange(len(problem.lower)) >= problem.split).astype(int)
    return reference.Problem(
        np.arange(len(problem.lower)) % problem.n, problem.lower, problem.upper, problem.linear,
        group, None,
    )  # fmt: skip


@pytest.mark.parametrize("tol", [1e-3, 1e-8])
def test_each_problem_is_solved_to_tol(tol):
    K = matrix()
    problems, rows = classifiers()
    found = solve_several(K, problems, rows, zeros(rows), tol)
    for problem, some, beta, offsets in zip(problems, rows, found.beta, found.offsets, strict=True):
        part, plain = K[np.ix_(some, some)], as_reference(problem)
        assert reference.most_violating(part, plain, beta)[0] <= tol * (1 + 1e-9)
        np.testing.assert_allclose(offsets, reference.offsets(part, plain, beta), atol=tol)
        solver = Solver(problem, OfMatrix(part), Options(tol=tol), np.zeros(len(some)))
        solver.run()
        np.testing.assert_allclose(
            reference.objective(part, plain, beta),
            reference.objective(part, plain, solver.beta),
            rtol=1e-5 if tol > 1e-4 else 1e-9,
        )
    assert (found.violation <= tol).all()
    assert (found.pairs > 0).all()


def test_two_groups_and_a_kink():
    K, rng = matrix(), np.random.default_rng(1)
    rows = [rng.permutation(90)[:40] for _ in range(3)]
    nu = [nu_classification(20, np.ones(40)) for _ in rows]
    found = solve_several(K, nu, rows, [start_of_classes(one, 0.4) for one in nu], 1e-6)
    for some, problem, beta in zip(rows, nu, found.beta, strict=True):
        part = K[np.ix_(some, some)]
        assert reference.most_violating(part, as_reference(problem), beta)[0] <= 1e-6
        np.testing.assert_allclose([beta[:20].sum(), beta[20:].sum()], [8.0, -8.0])
    assert all(len(offsets) == 2 for offsets in found.offsets)
    y = rng.standard_normal(90)
    svr = [epsilon_regression(y[some], np.full(40, 2.0), 0.2) for some in rows]
    found = solve_several(K, svr, rows, zeros(rows), 1e-6)
    for some, problem, beta in zip(rows, svr, found.beta, strict=True):
        part = K[np.ix_(some, some)]
        solver = Solver(problem, OfMatrix(part), Options(tol=1e-6), np.zeros(40))
        solver.run()
        both = [
            0.5 * one @ part @ one - y[some] @ one + 0.2 * np.abs(one).sum()
            for one in (beta, solver.beta)
        ]
        np.testing.assert_allclose(*both, rtol=1e-8)


def test_pairs_at_most_and_going_on(monkeypatch):
    K = matrix()
    problems, rows = classifiers()
    few = solve_several(K, problems, rows, zeros(rows), 1e-9, most=3)
    assert (few.pairs == 3).all()
    whole = solve_several(K, problems, rows, zeros(rows), 1e-9)
    monkeypatch.setattr(several, "_PAIRS", 3)
    parts = solve_several(K, problems, rows, zeros(rows), 1e-9)
    np.testing.assert_array_equal(parts.pairs, whole.pairs)
    for one, other in zip(parts.beta, whole.beta, strict=True):
        np.testing.assert_array_equal(one, other)


def test_it_begins_where_it_is_told():
    K = matrix()
    problems, rows = classifiers()
    first = solve_several(K, problems, rows, zeros(rows), 1e-6)
    again = solve_several(K, problems, rows, first.beta, 1e-5)
    assert (again.pairs == 0).all()


def test_the_same_bits_for_any_threads():
    K = matrix()
    problems, rows = classifiers(count=19)
    found = []
    for threads in (1, 2):
        with use_threads(threads):
            found.append(solve_several(K, problems, rows, zeros(rows), 1e-6))
    for one, other in zip(found[0].beta, found[1].beta, strict=True):
        np.testing.assert_array_equal(one, other)
    assert found[0].offsets == found[1].offsets


def test_what_is_reached_is_kept_when_it_is_interrupted(monkeypatch):
    monkeypatch.setattr(several, "_COEFFICIENTS", 50)
    K = matrix()
    problems, rows = classifiers(count=19)
    reached = []

    def interrupt(done):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        solve_several(K, problems, rows, zeros(rows), 1e-6, tell=interrupt, reached=reached)
    assert len(reached) == 19
    assert reached[0].any()
    assert not reached[-1].any()
