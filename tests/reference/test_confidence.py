import numpy as np
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

from fastkb.reference import confidence


def candidate(alpha=0.3, width=0.7, n=15):
    rng = np.random.default_rng(0)
    x, at = rng.uniform(0, 3, n), np.linspace(0, 3, 4)
    K, cross = (np.exp(-(np.subtract.outer(a, x) ** 2) / (2 * width**2)) for a in (x, at))
    return confidence.Candidate(K, cross, np.ones(4), alpha), np.sin(2 * x), x, at


def test_centring_is_that_of_curves_less_their_mean():
    one, _, _, _ = candidate()
    n = len(one.K)
    joint = np.block([[one.K, one.cross.T], [one.cross, np.eye(4)]])
    take = np.eye(n + 4)
    take[:, :n] -= 1.0 / n
    wanted = take @ joint @ take.T
    found = confidence.centred(one)
    np.testing.assert_allclose(found.K, wanted[:n, :n], atol=1e-12)
    np.testing.assert_allclose(found.cross, wanted[n:, :n], atol=1e-12)
    np.testing.assert_allclose(found.diagonal, np.diag(wanted)[n:], atol=1e-12)


def test_the_fit_is_a_gaussian_process_with_a_vague_constant():
    one, y, x, at = candidate()
    fit = confidence.fit(one, y)
    kernel = ConstantKernel(1e7) + RBF(0.7) + WhiteKernel(0.3)
    peer = GaussianProcessRegressor(kernel, optimizer=None).fit(x[:, None], y)
    np.testing.assert_allclose(fit.curve, peer.predict(at[:, None]), atol=1e-5)
    # With residuals that are all alike, sandwich and bias would add up to the posterior variance.
    n = len(y)
    P = np.eye(n) - 1 / n
    smoother = (
        confidence.centred(one).cross @ np.linalg.inv(P @ one.K @ P + 0.3 * np.eye(n)) @ P + 1 / n
    )
    contrast = y - y.mean()
    noise = 0.3 * contrast @ np.linalg.solve(P @ one.K @ P + 0.3 * np.eye(n), contrast) / (n - 1)
    residuals = (y - fit.fitted) / (1 - fit.leverage)
    bias = fit.variance - smoother**2 @ residuals**2
    _, spread = peer.predict(at[:, None], return_std=True)
    posterior = (spread**2 - 0.3) * noise / 0.3
    np.testing.assert_allclose(bias + noise * (smoother**2).sum(axis=1), posterior, rtol=1e-4)


def test_one_candidate_has_all_the_weight():
    one, y, _, _ = candidate()
    look = confidence.look([one], y, 0.01, 4.0)
    np.testing.assert_array_equal(look.average, look.own)
    other, _, _, _ = candidate(1e6)
    both = confidence.look([one, other], y, 0.01, 4.0)
    np.testing.assert_allclose(both.average, look.average)


def test_statistics_of_no_signs():
    """Without any change each replicate is the data's own fit, smoothed once more."""
    one, y, _, _ = candidate()
    look, statistic, curves = confidence.statistics([one], y, np.zeros((2, 15)), 0.01, 4.0)
    again = confidence.fit(one, look.fitted)
    np.testing.assert_allclose(curves, [again.curve] * 2)
    assert (statistic > 0).all()
