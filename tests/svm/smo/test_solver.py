"""Solutions of all machines, on each path of the solver, against the definition in float64."""

import functools
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse

from fastkb import kernels
from fastkb.reference import gram
from fastkb.reference import svm as reference
from fastkb.runtime.threads import use_threads
from fastkb.svm import problem as problems
from fastkb.svm.kernel import KernelFunction, OfMatrix, OfRows
from fastkb.svm.problem import Problem, feasible
from fastkb.svm.smo import candidates
from fastkb.svm.smo import solver as module
from fastkb.svm.smo.rows import KernelRows
from fastkb.svm.smo.solver import Options, Solver

EPS = np.finfo(float).eps
MACHINES = ("c_svc", "nu_svc", "epsilon_svr", "nu_svr", "one_class")
each_machine = pytest.mark.parametrize("name", MACHINES)
# A sum, a kink, two groups of two variables for each row.
each_form = pytest.mark.parametrize("name", ["c_svc", "epsilon_svr", "nu_svr"])
N = 110
GAMMA = 0.4
RBF = KernelFunction("rbf", GAMMA)
# After so many rounds, or pairs, none of these problems is unsolved.
ROUNDS, PAIRS = 3000, 10_000_000


class Case(NamedTuple):
    problem: Problem
    start: np.ndarray
    reference: reference.Problem
    source: object
    K: np.ndarray  # by the definition, in float64

    def variables(self, beta):
        """Those of the definition: with a kink, two for each row."""
        if not self.problem.kink:
            return beta
        return np.concatenate([np.maximum(beta, 0.0), np.minimum(beta, 0.0)])

    def violation(self, beta):
        return reference.most_violating(self.K, self.reference, self.variables(beta))[0]

    def objective(self, beta):
        return reference.objective(self.K, self.reference, self.variables(beta))

    @property
    def room(self):
        """All that can be moved, where it is finite."""
        return float((self.problem.upper - self.problem.lower).sum())

    @property
    def rounding(self):
        """Of a gradient: a sum of a row of the kernel times coefficients."""
        return 4 * len(self.K) * EPS * (1.0 + np.abs(self.K).max() * self.room)


def rows_of(n, seed=0, d=3):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    y = X[:, 0] + 0.7 * rng.normal(size=n)
    order = np.argsort(y <= 0, kind="stable")  # the positive rows first
    return X[order], y[order]


def machine(name, y, C=1.0, nu=0.4):
    """The problem, where it begins, and the same by the definition."""
    n = len(y)
    weight = np.random.default_rng(5).uniform(0.5, 1.5, n)
    positive = int((y > 0).sum())
    signs = np.where(np.arange(n) < positive, 1.0, -1.0)
    if name == "c_svc":
        found = problems.c_classification(positive, C * weight)
        return found, np.zeros(n), reference.c_svc(signs, C * weight)
    if name == "nu_svc":
        found = problems.nu_classification(positive, weight)
        start = problems.start_of_classes(found, nu)
        return found, start, reference.nu_svc(signs, nu, weight)
    if name == "epsilon_svr":
        found = problems.epsilon_regression(y, C * weight, 0.1)
        return found, np.zeros(n), reference.epsilon_svr(y, C * weight, 0.1)
    if name == "nu_svr":
        found = problems.nu_regression(y, C * weight)
        start = problems.start_of_sides(found, nu)
        return found, start, reference.nu_svr(y, C * weight, nu)
    found = problems.density(weight)
    start = problems.filled(nu * weight.sum(), weight)
    return found, start, reference.one_class(nu, weight)


def draw(name, n=N, C=1.0, seed=0):
    X, y = rows_of(n, seed)
    problem, start, expected = machine(name, y, C)
    return Case(problem, start, expected, OfRows(RBF, X), gram.rbf(X, gamma=GAMMA))


def without_end(pairs, violation, rows):
    raise AssertionError(f"no end: {pairs} pairs, and a violation of {violation:g} is left")


class Watched(Solver):
    """A solver that is watched after every round, and that ends."""

    def __init__(self, case, start=None, **options):
        self.seen = []
        self.case = case
        super().__init__(
            case.problem, case.source, Options(tell=self.told, **options),
            case.start if start is None else start,
        )  # fmt: skip

    def told(self, pairs, violation, rows):
        self.seen.append((pairs, violation, rows))
        if len(self.seen) > ROUNDS or pairs > PAIRS:
            without_end(pairs, violation, rows)


def objective(solver):
    """What was minimised, from the solver's own gradient."""
    problem, beta = solver.problem, solver.beta
    quadratic = 0.5 * (solver.gradient + problem.linear) @ beta
    return quadratic + problem.kink * np.abs(beta).sum()


def solve(case, start=None, **options):
    solver = Watched(case, start, **options)
    solver.run()
    return solver


def assert_within(case, beta, start, pairs):
    """The bounds to the last bit; the sums but for a rounding error a pair."""
    assert (beta >= case.problem.lower).all()
    assert (beta <= case.problem.upper).all()
    for group in (slice(0, case.problem.split), slice(case.problem.split, None)):
        largest = np.abs(beta).max(initial=0.0) + np.abs(start).max(initial=0.0)
        change = beta[group].sum() - start[group].sum()
        assert abs(change) <= (pairs + len(beta)) * EPS * largest


def assert_solved(case, solver, tol, start=None):
    """Everything that holds of a solution, recomputed in float64 from its coefficients alone."""
    beta = solver.beta
    start = case.start if start is None else start
    assert solver.converged
    assert solver.violation <= tol
    assert_within(case, beta, start, solver.pairs)
    exact = case.violation(beta)
    assert exact <= tol + case.rounding
    if np.isfinite(exact):
        assert solver.violation == pytest.approx(exact, abs=case.rounding)
    np.testing.assert_allclose(
        solver.gradient,
        case.problem.linear
        + np.tile(case.K @ case.problem.row_sums(beta), len(beta) // case.problem.n),
        rtol=0,
        atol=case.rounding,
    )
    expected = case.objective(beta)
    assert objective(solver) == pytest.approx(expected, abs=case.rounding * (1 + case.room))


@pytest.fixture(autouse=True)
def never_more_rows_than_room(monkeypatch):
    """What would be written beyond the rows' memory is an error here."""
    slots = KernelRows.slots

    def checked(self, rows):
        assert len(np.unique(rows)) <= self.capacity, "more rows than there is room for"
        return slots(self, rows)

    monkeypatch.setattr(KernelRows, "slots", checked)


# Support vectors are moved together as soon as some are free.
ALL_TOGETHER = {
    "SETS": (8, 16),
    "ALL_UP_TO": 16,
    "LAST_ROUNDS": 1,
    "GROWTH": np.inf,
    "MANY_ROUNDS": -np.inf,
}
# The paths: name -> constants of the module that lead there with few rows.
PATHS = {
    "together": {},
    "together, float32": {"DOUBLE_UP_TO": 0},
    "sets": {"SETS": (24, 32), "ALL_UP_TO": 32},
    "small sets": {"SETS": (8, 16), "ALL_UP_TO": 16},
    "larger sets": {"SETS": (8, 40), "ALL_UP_TO": 40, "LARGE_FROM": 10},
    "sets, float32": {"SETS": (24, 32), "ALL_UP_TO": 32, "DOUBLE_UP_TO": 0},
    "sets, shrinking": {"SETS": (24, 32), "ALL_UP_TO": 32, "SHRINK_EVERY": 2, "SHRINK_SHARE": 0.02},
    "sets, shrinking, float32": {
        "SETS": (24, 32),
        "ALL_UP_TO": 32,
        "SHRINK_EVERY": 2,
        "SHRINK_SHARE": 0.02,
        "DOUBLE_UP_TO": 0,
    },
    "few pairs at once": {"PAIRS_OF_ALL": 7, "SHRINK_SHARE": 0.02},
    "free coefficients at once": {"PAIRS_OF_ALL": 20, "PAIRS_EACH": 0},
    "sets, few pairs at once": {"SETS": (24, 32), "ALL_UP_TO": 32, "PAIRS_AT_ONCE": 3},
    "all support vectors": ALL_TOGETHER,
    "all support vectors, float32, shrinking": {
        **ALL_TOGETHER,
        "DOUBLE_UP_TO": 0,
        "SHRINK_EVERY": 2,
        "SHRINK_SHARE": 0.02,
    },
}


@pytest.fixture(params=PATHS)
def path(request, monkeypatch):
    """Each path of the solver, for problems of a few hundred rows."""
    return take(request.param, monkeypatch)


@pytest.fixture(params=["together", "sets", "sets, shrinking, float32", "all support vectors"])
def main_path(request, monkeypatch):
    """The paths that differ most."""
    return take(request.param, monkeypatch)


def take(name, monkeypatch):
    for constant, value in PATHS[name].items():
        place = module if hasattr(module, constant) else candidates
        monkeypatch.setattr(place, constant, value)
    return name


# --- the paths ----------------------------------------------------------------------------------


@pytest.mark.parametrize("tol", [1e-3, 1e-8])
@each_machine
def test_solutions_meet_the_conditions_in_float64(name, tol, path):
    case = draw(name)
    assert_solved(case, solve(case, tol=tol), tol)


@pytest.mark.parametrize("cache_rows", [60, 33])
@each_form
def test_rows_that_are_not_all_kept(name, cache_rows, path):
    case = draw(name)
    solver = solve(case, tol=1e-4, cache_bytes=cache_rows * N * 8)
    assert_solved(case, solver, 1e-4)


@pytest.mark.parametrize("cache_rows", [0, 2, 3, 10, N - 1])
@each_form
def test_a_few_rows_of_memory_are_enough(name, cache_rows, main_path):
    case = draw(name)
    solver = solve(case, tol=1e-2, cache_bytes=max(1, cache_rows * N * 8))
    assert_solved(case, solver, 1e-2)


@each_machine
def test_the_minimum_is_that_of_the_definition(name, path):
    case = draw(name, 80)
    tol = 1e-6
    beta = case.variables(solve(case, tol=tol).beta)
    expected = reference.solve(case.K, case.reference, tol)
    moved = np.abs(beta - expected).sum()
    # Each unit that is moved to the minimum gains at most the violation.
    found, best = (reference.objective(case.K, case.reference, b) for b in (beta, expected))
    assert abs(found - best) <= tol * moved / 2 + case.rounding * moved


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(MACHINES),
    way=st.sampled_from(list(PATHS)),
    n=st.integers(2, 90),
    C=st.sampled_from([0.01, 1.0, 100.0]),
    shrinking=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_any_problem(name, way, n, C, shrinking, seed):
    X, y = rows_of(n, seed)
    y[0], y[-1] = abs(y[0]) + 0.1, -abs(y[-1]) - 0.1  # of both signs
    positive = (y > 0).sum()
    nu = 0.9 * min(positive, n - positive) / n if name == "nu_svc" else 0.4
    problem, start, expected = machine(name, y, C, nu / 1.5)
    case = Case(problem, start, expected, OfRows(RBF, X), gram.rbf(X, gamma=GAMMA))
    with pytest.MonkeyPatch.context() as patch:
        take(way, patch)
        assert_solved(case, solve(case, tol=1e-4, shrinking=shrinking), 1e-4)


@each_machine
def test_no_round_raises_the_objective(name, path):
    case = draw(name)
    values = [case.objective(case.start)]

    class Follows(Watched):
        def told(self, *now):
            super().told(*now)
            values.append(self.case.objective(self.beta))

    solver = Follows(case, tol=1e-7)
    solver.run()
    values.append(case.objective(solver.beta))
    rises = np.diff(values)
    # With rows of float32 a set's minimum is another one, by the rounding of what is moved.
    eps = np.finfo(np.float32).eps if "float32" in path else EPS
    assert rises.max() <= 4 * eps * case.room**2 + case.rounding
    assert values[-1] < values[0]
    pairs = [pairs for pairs, _, _ in solver.seen]
    assert pairs == sorted(pairs)
    assert pairs[-1] == solver.pairs


@each_machine
def test_rows_that_are_left_out_change_nothing(name, path):
    case = draw(name)
    with_them, without = (solve(case, tol=1e-6, shrinking=flag) for flag in (False, True))
    for solver in (with_them, without):
        assert_solved(case, solver, 1e-6)
    moved = np.abs(with_them.beta - without.beta).sum()
    assert abs(objective(with_them) - objective(without)) <= 1e-6 * moved + case.rounding * (
        1 + moved
    )
    assert {rows for _, _, rows in with_them.seen} == {N}


@each_form
def test_all_support_vectors_are_moved_together_where_asked(name, monkeypatch):
    solved = []
    original = module.Together.solve

    def counted(self, work, tol, most):
        solved.append(original(self, work, tol, most))
        return solved[-1]

    monkeypatch.setattr(module.Together, "solve", counted)
    take("all support vectors", monkeypatch)
    assert_solved(draw(name, C=30.0), solve(draw(name, C=30.0), tol=1e-6), 1e-6)
    assert sum(solved) > 0


def test_rows_are_left_out_where_they_may_be(monkeypatch):
    """Of the paths above, those that shrink do."""
    for way in ("sets, shrinking", "sets, shrinking, float32", "few pairs at once"):
        with monkeypatch.context() as patch:
            take(way, patch)
            solver = solve(draw("c_svc"), tol=1e-6)
            assert min(rows for _, _, rows in solver.seen) < N
            assert len(solver.gradient) == N


@pytest.mark.parametrize("other", [0.1, 10.0])
@each_form
def test_a_start_from_another_solution(name, other, main_path):
    before = draw(name, C=other)
    first = solve(before, tol=1e-3)
    case = draw(name)
    split = case.problem.split
    sums = (case.start[:split].sum(), case.start[split:].sum())[: 1 + case.problem.two_groups]
    start = feasible(case.problem, first.beta, sums)
    kept = start.copy()
    warm = solve(case, start=start, tol=1e-6)
    np.testing.assert_array_equal(start, kept)
    assert_solved(case, warm, 1e-6, start)
    cold = solve(case, tol=1e-6)
    moved = np.abs(warm.beta - cold.beta).sum()
    assert abs(objective(warm) - objective(cold)) <= 1e-6 * moved + case.rounding * (1 + moved)


@each_machine
def test_a_solution_is_left_alone(name, main_path):
    case = draw(name)
    first = solve(case, tol=1e-5)
    # Rounding may lift what is just below.
    again = solve(case, start=first.beta, tol=1e-5 + 2 * case.rounding)
    assert again.pairs == 0
    np.testing.assert_array_equal(again.beta, first.beta)


@each_machine
def test_no_more_pairs_are_moved_than_allowed(name, main_path):
    case = draw(name)
    whole = solve(case, tol=1e-6)
    assert whole.pairs > 20
    for most in (0, 1, 2, 10, whole.pairs // 2):
        solver = solve(case, tol=1e-6, most=most)
        assert solver.pairs == most
        assert not solver.converged
        assert_within(case, solver.beta, case.start, most)
        assert solver.violation == pytest.approx(case.violation(solver.beta), abs=case.rounding)
    enough = solve(case, tol=1e-6, most=whole.pairs)
    assert enough.converged
    np.testing.assert_array_equal(enough.beta, whole.beta)


@each_machine
def test_bits_depend_on_no_thread(name, main_path):
    case = draw(name)
    both = solve(case, tol=1e-5)
    with use_threads(1):
        one = solve(case, tol=1e-5)
    np.testing.assert_array_equal(one.beta, both.beta)
    assert one.seen == both.seen
    assert one.offsets() == both.offsets()


@each_machine
def test_offsets_are_gradients_of_free_coefficients(name, main_path):
    case = draw(name)
    solver = solve(case, tol=1e-6)
    expected = reference.offsets(case.K, case.reference, case.variables(solver.beta))
    np.testing.assert_allclose(solver.offsets(), expected, rtol=0, atol=1e-6)


@each_form
def test_an_interrupt_leaves_what_was_reached(name, main_path):
    case = draw(name)
    rounds = len(solve(case, tol=1e-6).seen)

    class Interrupted(Watched):
        def told(self, *now):
            super().told(*now)
            if len(self.seen) == self.last:
                raise KeyboardInterrupt

    for last in {1, 2, rounds // 2 + 1, rounds}:
        solver = Interrupted(case, tol=1e-6)
        solver.last = last
        with pytest.raises(KeyboardInterrupt):
            solver.run()
        assert_within(case, solver.beta, case.start, solver.pairs)
        assert np.isfinite(solver.beta).all()
        assert (solver.beta == case.start).all() == (solver.pairs == 0)
    # It goes on from there.
    rest = solve(case, start=solver.beta, tol=1e-6)
    assert_solved(case, rest, 1e-6)


# --- sources ------------------------------------------------------------------------------------


def sources(X):
    rbf = gram.rbf(X, gamma=GAMMA)
    given, turned = rbf.copy(), np.asfortranarray(rbf)
    given.flags.writeable = False
    sigma = (0.5 / GAMMA) ** 0.5
    return {
        "rows": (OfRows(RBF, X), rbf),
        "a matrix": (OfMatrix(given), rbf),
        "a matrix by columns": (OfMatrix(turned), rbf),
        "sparse rows": (OfRows(RBF, sparse.csr_matrix(X)), rbf),
        "an object": (OfRows(KernelFunction(kernels.RBF(sigma=sigma)), X), rbf),
        "a sum": (
            OfRows(KernelFunction(kernels.RBF(sigma=sigma) + 0.5 * kernels.Linear()), X),
            rbf + 0.5 * gram.linear(X),
        ),
        "many columns": (OfRows(RBF, np.hstack([X, np.zeros((len(X), 150))])), rbf),
        "a linear kernel": (OfRows(KernelFunction("linear"), X), gram.linear(X)),
    }


@pytest.mark.parametrize("kind", list(sources(np.ones((2, 1)))))
@pytest.mark.parametrize("name", ["c_svc", "epsilon_svr"])
def test_all_sources(name, kind, main_path):
    X, y = rows_of(N)
    source, K = sources(X)[kind]
    case = Case(*machine(name, y), source, K)
    assert_solved(case, solve(case, tol=1e-4), 1e-4)
    # Memory for a third of the rows.
    small = N // 3 * N * 8
    assert_solved(case, solve(case, tol=1e-4, cache_bytes=small), 1e-4)


@functools.cache
def many_rows():
    """So many that the solver takes working sets of its own accord, and float32."""
    n = 1100
    assert n > max(module.SETS[1], module.DOUBLE_UP_TO)
    X, y = rows_of(n)
    return X, y, gram.rbf(X, gamma=GAMMA)


@pytest.mark.parametrize("tol", [1e-3, 1e-8])
@each_machine
def test_many_rows(name, tol):
    X, y, K = many_rows()
    tol = max(tol, 1e-2) if name == "nu_svc" else tol  # a sum of 300, and no margin to speak of
    case = Case(*machine(name, y), OfRows(RBF, X), K)
    solver = solve(case, tol=tol)
    assert_solved(case, solver, tol)
    with use_threads(1):
        np.testing.assert_array_equal(solve(case, tol=tol).beta, solver.beta)


def test_many_rows_in_little_memory():
    X, y, K = many_rows()
    case = Case(*machine("c_svc", y), OfRows(RBF, X), K)
    for cache_rows in (1000, 20, 8):
        solver = solve(case, tol=1e-3, cache_bytes=cache_rows * len(X) * 4)
        assert_solved(case, solver, 1e-3)


# --- hard cases ---------------------------------------------------------------------------------


def of_kernel(name, X, y, function, K, C=1.0):
    return Case(*machine(name, y, C), OfRows(function, X), K)


@each_machine
def test_equal_rows_with_opposite_labels(name, path):
    X, y = rows_of(40)
    X, y = np.repeat(X, 4, axis=0), np.repeat(y, 4)
    y[::4] *= -1.0
    order = np.argsort(y <= 0, kind="stable")
    X, y = X[order], y[order]
    case = of_kernel(name, X, y, RBF, gram.rbf(X, gamma=GAMMA))
    assert_solved(case, solve(case, tol=1e-3), 1e-3)


@pytest.mark.parametrize("value", [0.0, 5.0])
@pytest.mark.parametrize("kernel", ["linear", "rbf", "poly", "cosine"])
@each_machine
def test_columns_that_are_constant(name, kernel, value):
    """All rows are one: nothing can be learnt, and an end is reached all the same."""
    _, y = rows_of(120)
    X = np.full((120, 2), value)
    K = {
        "linear": gram.linear,
        "rbf": lambda X: gram.rbf(X, gamma=GAMMA),
        "poly": lambda X: gram.polynomial(X, degree=3, gamma=GAMMA, coef0=0.0),
        "cosine": gram.cosine,
    }[kernel](X)
    case = of_kernel(name, X, y, KernelFunction(kernel, GAMMA), K)
    assert_solved(case, solve(case, tol=1e-3), 1e-3)


@pytest.mark.parametrize("coef0", [1.0, -2.0])
@each_machine
def test_an_indefinite_kernel(name, coef0, main_path):
    X, y = rows_of(120)
    K = gram.sigmoid(X, gamma=0.8, coef0=coef0)
    assert np.linalg.eigvalsh(K)[0] < -1e-3
    case = of_kernel(name, X, y, KernelFunction("sigmoid", 0.8, coef0=coef0), K)
    assert_solved(case, solve(case, tol=1e-3), 1e-3)


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
@pytest.mark.parametrize("tol", [1e-3, 1e-8])
def test_no_errors_are_allowed_of_classes_apart(kernel, tol, main_path):
    X, y = rows_of(100)
    signs = np.where(y > 0, 1.0, -1.0)
    X[:, 0] += 5.0 * signs
    K = gram.linear(X) if kernel == "linear" else gram.rbf(X, gamma=GAMMA)
    source = OfRows(KernelFunction(kernel, GAMMA), X)
    positive = int((y > 0).sum())
    C = np.full(100, np.inf)
    problem = problems.c_classification(positive, C)
    solver = solve(Case(problem, np.zeros(100), reference.c_svc(signs, C), source, K), tol=tol)
    assert solver.converged
    # As with a C that none reaches.
    largest = 2.0 * np.abs(solver.beta).max()
    finite = reference.c_svc(signs, largest)
    case = Case(problem, np.zeros(100), finite, source, K)
    size = 100 * EPS * np.abs(K).max() * np.abs(solver.beta).sum()
    assert case.violation(solver.beta) <= tol + size
    assert np.isfinite(solver.beta).all()
    assert ((solver.beta >= problem.lower) & (solver.beta <= problem.upper)).all()
    assert abs(solver.beta.sum()) <= solver.pairs * EPS * largest


@pytest.mark.parametrize("kernel", ["rbf", "poly"])
@pytest.mark.parametrize("name", ["c_svc", "epsilon_svr"])
def test_columns_of_very_different_scales(name, kernel, main_path):
    X, y = rows_of(120, d=6)
    X = X * np.logspace(-2, 3, 6)
    gamma = 1.0 / (6 * X.var())
    K = {
        "rbf": lambda: gram.rbf(X, gamma=gamma),
        "poly": lambda: gram.polynomial(X, degree=3, gamma=gamma, coef0=1.0),
    }[kernel]()
    case = of_kernel(name, X, y, KernelFunction(kernel, gamma, coef0=1.0), K)
    assert_solved(case, solve(case, tol=1e-3), 1e-3)


@pytest.mark.parametrize("offset", [1e3, 1e6])
@pytest.mark.parametrize("name", ["c_svc", "epsilon_svr"])
@pytest.mark.parametrize("kind", ["name", "object"])
def test_rows_far_from_the_origin(kind, name, offset, main_path):
    X, y = rows_of(150)
    X = X + offset
    sigma = (0.5 / GAMMA) ** 0.5
    function = RBF if kind == "name" else KernelFunction(kernels.RBF(sigma=sigma))
    case = of_kernel(name, X, y, function, gram.rbf(X, gamma=GAMMA))
    assert_solved(case, solve(case, tol=1e-6), 1e-6)


@pytest.mark.parametrize("n", [1, 2, 3])
@each_machine
def test_very_few_rows(name, n):
    X, _ = rows_of(n)
    y = np.array([1.0, -1.0, -0.5])[:n]
    if n == 1 and name == "nu_svc":
        pytest.skip("one class alone has no ν")
    case = of_kernel(name, X, y, RBF, gram.rbf(X, gamma=GAMMA))
    assert_solved(case, solve(case, tol=1e-6), 1e-6)


@pytest.mark.parametrize("tol", [1e-16, 1e-300])
@each_form
def test_a_tolerance_below_all_rounding_errors_ends(name, tol, path):
    """It is reached, or the solver says that it is not."""
    case = draw(name, 50)
    solver = solve(case, tol=tol)
    assert solver.converged == (solver.violation <= tol)
    assert solver.violation <= 1e3 * case.rounding
    assert case.violation(solver.beta) <= 1e3 * case.rounding


@pytest.mark.parametrize("way", ["together, float32", "sets, float32", "sets, shrinking, float32"])
def test_float64_takes_over_where_float32_does_not_help(way, monkeypatch):
    """Numbers of 3e6 hold a kernel of the size 1: float32 has no digits for it."""
    take(way, monkeypatch)
    X, y = rows_of(N)
    assert solve(of_kernel("c_svc", X, y, RBF, gram.rbf(X, gamma=GAMMA)))._dtype == np.float32
    X = X + 1e3
    case = of_kernel("c_svc", X, y, KernelFunction("linear"), gram.linear(X))
    solver = solve(case, tol=1e-3)
    assert_solved(case, solver, 1e-3)
    assert solver._dtype == np.float64
    assert solver._rows.dtype == np.float64


@pytest.mark.parametrize("offset", [1e5, 1e6, 1e8])
def test_a_linear_kernel_of_large_numbers_ends(offset, main_path):
    """The gradient's rounding errors are above the tolerance."""
    X, y = rows_of(N)
    X = X + offset
    case = of_kernel("c_svc", X, y, KernelFunction("linear"), gram.linear(X))
    solver = solve(case, tol=1e-3)
    assert solver.converged == (solver.violation <= 1e-3)
    assert_within(case, solver.beta, case.start, solver.pairs)


@pytest.mark.parametrize("offset", [1e5, 1e6])
def test_many_rows_of_large_numbers_end(offset):
    X, y, _ = many_rows()
    X = X + offset
    case = of_kernel("c_svc", X, y, KernelFunction("linear"), gram.linear(X))
    solver = solve(case, tol=1e-3)
    assert solver.converged == (solver.violation <= 1e-3)
    assert_within(case, solver.beta, case.start, solver.pairs)


def test_numbers_that_are_not_finite_end_it():
    X, y = rows_of(60)
    K = gram.rbf(X, gamma=GAMMA)
    K[3] = K[:, 3] = np.nan
    problem, start, expected = machine("c_svc", y)
    solver = solve(Case(problem, start, expected, OfMatrix(K), K), tol=1e-3)
    assert not solver.converged
