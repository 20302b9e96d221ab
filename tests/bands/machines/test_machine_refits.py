"""Bands of support vector machines: replicates on one kernel matrix are those of refits."""

import numpy as np
import pytest

import fastkb
from fastkb import schemes
from fastkb.bands.machines import machine_refits


def rows(n=100, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 2))
    return X, X[:, 0] * X[:, 1] + 0.3 * rng.standard_normal(n)


def band(machine, y, **options):
    X, _ = rows()
    return fastkb.bootstrap_band(machine, X, y, X[:9] + 0.1, n_resamples=40, rng=0, **options)


@pytest.mark.parametrize("kind", ["svc", "svr"])
def test_replicates_are_those_of_refits(kind):
    _, y = rows()
    machine = fastkb.SVC(gamma=0.5, tol=1e-7) if kind == "svc" else fastkb.SVR(gamma=0.5, tol=1e-7)
    y = y > 0.0 if kind == "svc" else y
    together = band(machine, y, out_of_bag=True)
    apart = band(machine, y, out_of_bag=True, solver="weights")
    assert (together.solver, apart.solver) == ("ensemble", "weights")
    np.testing.assert_allclose(together.distribution, apart.distribution, atol=2e-6)
    np.testing.assert_allclose(together.center, apart.center)
    assert together.prediction_error.out_of_bag == pytest.approx(
        apart.prediction_error.out_of_bag, abs=1e-5
    )


def test_the_reason_says_gamma():
    _, y = rows()
    reason = band(fastkb.SVC(), y > 0.0).reason
    assert "one kernel matrix" in reason
    assert "gamma='scale'" in reason
    assert f"{1.0 / (2 * rows()[0].var()):.6g}" in reason
    assert "gamma" not in band(fastkb.SVC(gamma=0.5), y > 0.0).reason


def test_labels_where_they_are_asked_for():
    _, y = rows()
    found = band(fastkb.SVC(), (y > 0.0).astype(int), response_method="predict")
    assert set(np.unique(found.distribution)) <= {0.0, 1.0}


def test_resamples_of_one_class_are_counted_and_reported():
    y = rows()[1]
    rare = np.arange(100) < 1
    with pytest.warns(UserWarning, match="of 40 resamples had one class alone"):
        found = band(fastkb.SVC(), rare)
    lost = (found.distribution == -1.0).all(axis=1).sum()
    assert lost > 5
    assert f"{lost} of 40 resamples had one class alone" in found.reason
    stratified = band(fastkb.SVC(), y > 0.0, scheme=schemes.Stratified(y > 0.0))
    assert "alone" not in stratified.reason


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        (fastkb.NuSVC(nu=0.2), "neither SVC nor SVR"),
        (fastkb.SVC(cache_size=0.01), "cache_size=0.01 MB"),
    ],
)
def test_what_cannot_share_a_matrix_says_why(machine, words):
    _, y = rows()
    found = band(machine, y > 0.0)
    assert found.solver == "weights"
    assert words in found.reason
    with pytest.raises(ValueError, match=words):
        band(machine, y > 0.0, solver="ensemble")


def test_sparse_rows_are_refitted_one_by_one():
    from scipy.sparse import csr_matrix

    X, y = rows()
    machine, points = fastkb.SVC(gamma=0.5, tol=1e-7), X[:9] + 0.1
    found = fastkb.bootstrap_band(
        machine, csr_matrix(X), y > 0.0, csr_matrix(points), n_resamples=5, rng=0
    )
    assert "X is sparse" in found.reason
    dense = fastkb.bootstrap_band(machine, X, y > 0.0, points, n_resamples=5, rng=0)
    np.testing.assert_allclose(found.distribution, dense.distribution, atol=2e-6)


def test_new_responses_are_fitted_one_by_one():
    _, y = rows()
    found = band(fastkb.SVR(), y, scheme=schemes.Residual())
    assert found.solver == "responses"


def test_max_iter_is_reported():
    from sklearn.exceptions import ConvergenceWarning

    _, y = rows()
    with pytest.warns(ConvergenceWarning, match="max_iter=2") as caught:
        band(fastkb.SVR(max_iter=2), y)
    assert any("40 of 40 replicates violate" in str(warning.message) for warning in caught)


def test_a_checkpoint_goes_on_with_the_same_bits(tmp_path):
    _, y = rows()
    whole = band(fastkb.SVC(), y > 0.0)
    path = tmp_path / "band.npz"
    calls = []

    def stop(what, done, total):
        calls.append(done)
        if done >= machine_refits._TOGETHER:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        band(fastkb.SVC(), y > 0.0, checkpoint=path, progress=stop)
    assert path.exists()
    again = band(fastkb.SVC(), y > 0.0, checkpoint=path)
    np.testing.assert_array_equal(again.distribution, whole.distribution)


def test_which_models_are_machines():
    from sklearn.svm import SVC

    assert machine_refits.is_machine(fastkb.OneClassSVM())
    assert not machine_refits.is_machine(SVC())
