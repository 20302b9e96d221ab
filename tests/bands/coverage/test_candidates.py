import numpy as np
import pytest
from scipy.stats import multivariate_normal

from fastkb.bands.coverage.candidates import LOUDEST, Candidates, Projected, best
from fastkb.bands.coverage.spectrum import from_matrix
from fastkb.ridge.selection.criterion import TIE_OF_ERRORS, TIE_OF_LIKELIHOODS
from tests.bands.conftest import make_problem

ALPHAS = np.array([0.05, 0.5, 5.0])


def make(centred=True):
    problem = make_problem(3, 20)
    kernels = [problem.kernel(width) for width in (1.5, 0.4)]
    spectra = [from_matrix(K.copy(), cross, np.ones(8), centred) for K, cross in kernels]
    return problem, kernels, Candidates(spectra, ALPHAS, np.ones((2, 3)))


@pytest.mark.parametrize("centred", [True, False])
def test_differences_of_criteria_are_those_of_densities(centred):
    """Of the contrasts of y, by their normal density at the best variance."""
    problem, kernels, candidates = make(centred)
    y = problem.y + (100.0 if centred else 0.0)
    n = len(y)
    contrasts = np.linalg.qr(np.column_stack([np.ones(n), np.eye(n)[:, : n - 1]]))[0][:, 1:]
    if not centred:
        contrasts = np.eye(n)
    z = contrasts.T @ y
    wanted, found = [], []
    for index, (K, _) in enumerate(kernels):
        part = candidates.project(index, y[:, None])
        for a, alpha in enumerate(ALPHAS):
            shape = contrasts.T @ (K / alpha + np.eye(n)) @ contrasts
            variance = z @ np.linalg.solve(shape, z) / len(z)
            assert part.noise[a, 0] == pytest.approx(variance, rel=1e-8)
            wanted.append(-2 * multivariate_normal(cov=variance * shape).logpdf(z))
            found.append(part.criterion[a, 0])
    np.testing.assert_allclose(np.diff(found), np.diff(wanted), atol=1e-7)


def test_the_posterior():
    _, _, candidates = make()
    values = np.array([[0.0, 2.0, 40.0], [1.0, np.inf, 0.0]])
    moderate = np.array([[True, True, True], [True, True, False]])

    def parts(moderate):
        return [
            Projected(np.empty(0), c[:, None], np.ones((3, 1)), m[:, None])
            for c, m in zip(values, moderate, strict=True)
        ]

    weights = candidates.posterior(parts(moderate))[..., 0]
    relative = np.exp(-0.5 * values)
    relative[~moderate | (relative < 1e-8)] = 0.0
    np.testing.assert_allclose(weights, relative / relative.sum())
    # Where no prior is moderate, all are taken.
    weights = candidates.posterior(parts(np.zeros((2, 3), bool)))[..., 0]
    assert weights[1, 2] == weights[0, 0]
    only = Candidates(candidates.spectra, ALPHAS, np.eye(2, 3))
    weights = only.posterior(parts(moderate))[..., 0]
    assert weights[0, 0] == weights.sum() == 1.0


def test_a_constant_is_the_limit_of_large_penalties():
    problem, kernels, candidates = make()
    y = problem.y[:, None]
    with_it = candidates.with_constant(2.5)
    K, cross = kernels[0]
    flat = Candidates(
        [from_matrix(K.copy(), cross, np.ones(8), True)], 1e12 * ALPHAS, np.ones((1, 3))
    )
    limit, part = flat.project(0, y), with_it.project(2, y)
    np.testing.assert_allclose(part.criterion, limit.criterion, atol=1e-6)
    np.testing.assert_allclose(part.noise, y.var(ddof=1), rtol=1e-12)
    assert part.moderate.all()
    np.testing.assert_array_equal(with_it.smoother(2, 2), np.full((8, 20), 1 / 20))
    projected = [with_it.project(i, y) for i in range(3)]
    weights = with_it.posterior(projected, 0.0)[..., 0]
    ratio = 2.5 * np.exp(0.5 * (projected[0].criterion[0, 0] - part.criterion[2, 0]))
    assert weights[2, 2] == pytest.approx(ratio * weights[0, 0])
    assert not weights[2, :2].any()


def test_a_prior_louder_than_the_responses_is_not_plausible():
    """Two levels: the likelihood cannot tell how far curves may go between them."""
    rng = np.random.default_rng(0)
    x = np.repeat([0.0, 1.0], 50)
    y = (2 * x + rng.standard_normal(100))[:, None]
    K = np.exp(-np.abs(x[:, None] - x) / 10)
    spectrum = from_matrix(K, np.exp(-np.abs(0.5 - x) / 10)[None], np.ones(1), True)
    alphas = np.logspace(-6, 2, 17)
    candidates = Candidates([spectrum], alphas, np.ones((1, 17)))
    part = candidates.project(0, y)
    variance = (part.noise[:, 0] / alphas) * spectrum.values.sum() / 100
    np.testing.assert_array_equal(part.moderate[:, 0], variance <= LOUDEST * y.var())
    assert not part.moderate[:6].any()
    assert part.moderate[-6:].all()


def test_an_exact_fit_has_a_finite_likelihood():
    _, _, candidates = make()
    part = candidates.project(0, np.full((20, 1), 7.0))
    assert np.isfinite(part.criterion).all()


def test_bias_is_that_of_curves_drawn_from_the_prior():
    """E(f - Lf)² over 4000 draws of f, within five standard errors."""
    problem, kernels, candidates = make()
    rng = np.random.default_rng(0)
    K, cross = kernels[1]
    at = np.concatenate([problem.X, problem.X_eval])
    joint = np.exp(-((at[:, None] - at) ** 2).sum(axis=2) / (2 * 0.4**2))
    draws = rng.multivariate_normal(np.zeros(len(at)), joint, 4000, check_valid="ignore")
    for a, alpha in enumerate(ALPHAS):
        smoother = candidates.smoother(1, a)
        squares = (draws[:, 20:] - draws[:, :20] @ smoother.T) ** 2
        error = squares.std(axis=0) / np.sqrt(4000)
        off = np.abs(squares.mean(axis=0) - alpha * candidates.tables[1].bias[:, a])
        assert (off < 5 * error + 1e-9).all()
    assert K.shape == (20, 20)
    assert cross.shape == (8, 20)


def test_the_best_and_the_smoothest():
    criteria = np.array([[3.0, 1.0, 1.0], [1.0, 0.5, 2.0]])[:, :, None, None]
    everything = np.ones((2, 3), bool)
    assert best(criteria, everything, TIE_OF_ERRORS, False).tolist() == [[4]]
    allowed = everything.copy()
    allowed[1] = False
    # Of equal ones the largest penalty.
    assert best(criteria, allowed, TIE_OF_ERRORS, False).tolist() == [[2]]
    tied = criteria.copy()
    tied[1, 1] = 1.0 - 1e-8
    # Of equal kernels the widest, where likelihoods are equal but for rounding.
    assert best(tied, everything, TIE_OF_LIKELIHOODS, False).tolist() == [[2]]
    assert best(tied, everything, TIE_OF_ERRORS, False).tolist() == [[4]]


def test_a_choice_for_all_targets_or_for_each():
    criteria = np.array([[[9.0, 1.0], [5.0, 4.0]], [[1.0, 9.0], [2.0, 9.0]]])[..., None]
    everything = np.ones((2, 2), bool)
    # One penalty for both: sums are 10, 9; 10, 11.
    assert best(criteria, everything, TIE_OF_ERRORS, False).ravel().tolist() == [1, 1]
    # One kernel for both, a penalty for each: 5 + 1 and 1 + 9.
    assert best(criteria, everything, TIE_OF_ERRORS, True).ravel().tolist() == [1, 0]
