"""One replicate of a model: its random states, its fit, what is asked of it."""

import numpy as np
import pandas as pd
import pytest
import sklearn.kernel_ridge
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.ensemble import BaggingRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC, SVR
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from fastkb import bootstrap_band, rbf_kernel, schemes
from fastkb.bands.models.models import (
    ALL_DATA,
    Fitted,
    GivenData,
    Model,
    fit,
    predict_replicate,
    predict_replicates,
    respond,
    seeded,
)
from fastkb.random.streams import bootstrap_counts, key_from_rng

KEY = key_from_rng(0)


def labels_of(y, names):
    cuts = np.quantile(y, np.arange(1, len(names)) / len(names))
    return np.array(names)[np.searchsorted(cuts, y)]


def rare_labels(n=40):
    """Three classes, one of two rows only."""
    labels = np.array(["b", "c"] * (n // 2))
    labels[:2] = "a"
    return labels


def drawn(seed, n_resamples, n):
    """The counts of all replicates, and the rows that they stand for."""
    for weights in bootstrap_counts(key_from_rng(seed), 0, n_resamples, n):
        yield weights, np.repeat(np.arange(n), weights)


# --- every replicate is the plain loop's --------------------------------------------------------


@pytest.mark.parametrize("n_targets", [None, 1, 3])
def test_with_weights(data, n_targets):
    X, y, X_eval = data()
    if n_targets:
        y = np.stack([y + t * X[:, 1] for t in range(n_targets)], axis=1)
    band = bootstrap_band(LinearRegression(), X, y, X_eval, n_resamples=15, rng=3)
    assert band.solver == "weights"
    assert band.classes is None
    assert band.distribution.shape == (15, 7, *y.shape[1:])
    for b, (weights, _) in enumerate(drawn(3, 15, 40)):
        expected = LinearRegression().fit(X, y, sample_weight=weights).predict(X_eval)
        np.testing.assert_allclose(band.distribution[b], expected, rtol=1e-9, atol=1e-11)
    np.testing.assert_array_equal(band.center, LinearRegression().fit(X, y).predict(X_eval))


@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(StandardScaler(), LinearRegression()),
        KNeighborsRegressor(3),
        DecisionTreeRegressor(max_features=1, random_state=5),
    ],
)
def test_with_rows(data, model):
    X, y, X_eval = data()
    band = bootstrap_band(model, X, y, X_eval, n_resamples=10, rng=3, solver="rows")
    assert band.solver == "rows"
    for b, (_, rows) in enumerate(drawn(3, 10, 40)):
        expected = model.__sklearn_clone__().fit(X[rows], y[rows]).predict(X_eval)
        np.testing.assert_array_equal(band.distribution[b], expected)
    assert not hasattr(model, "n_features_in_")


class Noted(LinearRegression):
    """Takes something for each row, and something for all."""

    def fit(self, X, y, sample_weight=None, groups=None, note=None):
        self.seen_ = groups, note
        return super().fit(X, y, sample_weight)

    def predict(self, X):
        groups, note = self.seen_
        return super().predict(X) + note * np.mean(groups)


@pytest.mark.parametrize("solver", ["weights", "rows"])
@pytest.mark.parametrize("weighted", [False, True])
def test_what_fit_is_told(data, solver, weighted):
    """Weights are multiplied by counts, what has a value for each row goes with it, the rest stays."""
    X, y, X_eval = data()
    weight = np.random.default_rng(0).integers(0, 3, 40).astype(float) if weighted else None
    told = {"groups": list(range(40)), "note": 10.0, "sample_weight": weight}
    band = bootstrap_band(
        Noted(), X, y, X_eval, n_resamples=8, rng=3, solver=solver, fit_params=told
    )
    for b, (counts, rows) in enumerate(drawn(3, 8, 40)):
        if solver == "weights":
            each = counts * weight if weighted else counts
            rows = np.flatnonzero(each)
            expected = Noted().fit(X[rows], y[rows], each[rows], rows, 10.0)
        else:
            each = weight[rows] if weighted else None
            expected = Noted().fit(X[rows], y[rows], each, rows, 10.0)
        np.testing.assert_array_equal(band.distribution[b], expected.predict(X_eval))
    center = Noted().fit(X, y, weight, np.arange(40), 10.0).predict(X_eval)
    np.testing.assert_array_equal(band.center, center)


def test_what_the_fits_of_pipelines_and_new_responses_are_told(data):
    X, y, X_eval = data()
    weight = np.random.default_rng(0).uniform(size=40)
    pipeline = make_pipeline(StandardScaler(), LinearRegression())
    told = {"linearregression__sample_weight": weight}
    band = bootstrap_band(pipeline, X, y, X_eval, n_resamples=4, rng=3, fit_params=told)
    for b, (_, rows) in enumerate(drawn(3, 4, 40)):
        one = clone(pipeline).fit(X[rows], y[rows], linearregression__sample_weight=weight[rows])
        np.testing.assert_array_equal(band.distribution[b], one.predict(X_eval))
    told = {"sample_weight": weight}
    wild = schemes.Wild()
    band = bootstrap_band(
        LinearRegression(), X, y, X_eval, n_resamples=4, rng=3, fit_params=told, scheme=wild
    )
    fitted = LinearRegression().fit(X, y, weight).predict(X)
    for b, new in enumerate(wild.around(y, fitted).responses(key_from_rng(3), 0, 4)):
        expected = LinearRegression().fit(X, new, weight).predict(X_eval)
        np.testing.assert_array_equal(band.distribution[b], expected)


@pytest.mark.parametrize("model", [KNeighborsRegressor(3), make_pipeline(LinearRegression())])
def test_models_without_weights_get_rows(data, model):
    X, y, X_eval = data()
    band = bootstrap_band(model, X, y, X_eval, n_resamples=2, rng=3)
    assert band.solver == "rows"
    assert "takes no sample_weight" in band.reason
    with pytest.raises(ValueError, match="takes no sample_weight"):
        bootstrap_band(model, X, y, X_eval, n_resamples=2, rng=3, solver="weights")


@pytest.mark.parametrize("solver", ["weights", "rows"])
@pytest.mark.parametrize("names", [["n", "y"], ["a", "b", "c"]])
def test_probabilities_of_text_labels(data, names, solver):
    X, y, X_eval = data()
    labels = labels_of(y, names)
    model = LogisticRegression(tol=1e-9)
    band = bootstrap_band(model, X, labels, X_eval, n_resamples=10, rng=1, solver=solver)
    assert band.classes.tolist() == names
    for b, (_, rows) in enumerate(drawn(1, 10, 40)):
        expected = LogisticRegression(tol=1e-9).fit(X[rows], labels[rows]).predict_proba(X_eval)
        expected = expected[:, 1] if len(names) == 2 else expected
        np.testing.assert_allclose(band.distribution[b], expected, atol=1e-5)
    assert band.center.shape == ((7,) if len(names) == 2 else (7, 3))


def test_a_class_that_was_not_drawn_has_no_probability(data):
    X, _, X_eval = data()
    labels = rare_labels()
    band = bootstrap_band(LogisticRegression(), X, labels, X_eval, n_resamples=30, rng=0)
    missing = 0
    for b, (weights, rows) in enumerate(drawn(0, 30, 40)):
        seen = np.unique(rows)
        one = LogisticRegression().fit(X[seen], labels[seen], sample_weight=weights[seen])
        expected = np.zeros((7, 3))
        for column, name in enumerate(one.classes_):
            expected[:, "abc".index(name)] = one.predict_proba(X_eval)[:, column]
        np.testing.assert_array_equal(band.distribution[b], expected)
        missing += len(one.classes_) == 2
    assert missing  # else nothing was tested
    np.testing.assert_allclose(band.distribution.sum(axis=-1), 1.0)


def test_resamples_of_one_class(data):
    """A tree is content with one class; the probability of the other is 0 then."""
    X, _, X_eval = data()
    labels = np.array(["n"] * 38 + ["y"] * 2)
    model = DecisionTreeClassifier(random_state=0)
    band = bootstrap_band(model, X, labels, X_eval, n_resamples=30, rng=0, out_of_bag=True)
    alone = [b for b, (weights, _) in enumerate(drawn(0, 30, 40)) if not weights[38:].any()]
    assert alone
    assert (band.distribution[alone] == 0).all()
    assert band.distribution.shape == (30, 7)
    assert band.prediction_error.loss == "zero_one"


@pytest.mark.parametrize("names", [["n", "y"], ["a", "b", "c"]])
def test_decision_functions(data, names):
    X, y, X_eval = data()
    labels = labels_of(y, names)
    band = bootstrap_band(SVC(), X, labels, X_eval, n_resamples=10, rng=1, solver="rows")
    for b, (_, rows) in enumerate(drawn(1, 10, 40)):
        expected = SVC().fit(X[rows], labels[rows]).decision_function(X_eval)
        np.testing.assert_array_equal(band.distribution[b], expected)
    assert band.classes.tolist() == names


def test_a_missing_class_has_no_decision_function(data):
    X, _, X_eval = data()
    labels = rare_labels()
    first = next(b for b, (w, _) in enumerate(drawn(0, 30, 40)) if not w[:2].any())
    with pytest.raises(ValueError, match=rf"replicate {first}: .*class 'a'.*Stratified") as info:
        bootstrap_band(SVC(), X, labels, X_eval, n_resamples=30, rng=0)
    assert isinstance(info.value.__cause__, ValueError)


def test_predicted_classes(data):
    X, y, X_eval = data()
    labels = (y > 0.5).astype(int)
    band = bootstrap_band(
        SVC(), X, labels, X_eval, n_resamples=5, rng=0, response_method="predict", solver="rows"
    )
    for b, (_, rows) in enumerate(drawn(0, 5, 40)):
        expected = SVC().fit(X[rows], labels[rows]).predict(X_eval)
        np.testing.assert_array_equal(band.distribution[b], expected)
    assert band.distribution.dtype == np.float64


def test_predicted_text_is_refused(data):
    X, y, X_eval = data()
    with pytest.raises(ValueError, match=r"'predict' gives labels.*<U1.*predict_proba"):
        bootstrap_band(
            SVC(), X, labels_of(y, ["n", "y"]), X_eval, n_resamples=5, response_method="predict"
        )


def fit_predict(X, y, w, X_eval):
    """Weighted least squares by its normal equations."""
    A = np.column_stack([np.ones(len(X)), X])
    beta = np.linalg.solve(A.T @ (w[:, None] * A), A.T @ (w * y))
    return np.column_stack([np.ones(len(X_eval)), X_eval]) @ beta


def test_functions(data):
    X, y, X_eval = data()
    band = bootstrap_band(fit_predict, X, y, X_eval, n_resamples=10, rng=4)
    for b, (weights, _) in enumerate(drawn(4, 10, 40)):
        expected = fit_predict(X, y, weights.astype(float), X_eval)
        np.testing.assert_array_equal(band.distribution[b], expected)
    np.testing.assert_array_equal(band.center, fit_predict(X, y, np.ones(40), X_eval))
    peer = bootstrap_band(LinearRegression(), X, y, X_eval, n_resamples=10, rng=4)
    np.testing.assert_allclose(band.distribution, peer.distribution, atol=1e-9)


# --- what X may be ------------------------------------------------------------------------------


def test_data_frames(data):
    pandas = pytest.importorskip("pandas")
    X, y, X_eval = data()
    index = np.arange(40)[::-1] + 100  # labels of rows are no positions
    frame = pandas.DataFrame({"u": X[:, 0], "s": labels_of(y, ["k", "l", "m"])}, index=index)
    points = pandas.DataFrame({"u": X_eval[:, 0], "s": ["k", "l"] * 3 + ["never seen"]})
    target = pandas.Series(y, index=index)

    def model():
        encode = OneHotEncoder(handle_unknown="ignore")
        columns = make_column_transformer((StandardScaler(), ["u"]), (encode, ["s"]))
        return make_pipeline(columns, LinearRegression())

    band = bootstrap_band(model(), frame, target, points, n_resamples=8, rng=2, out_of_bag=True)
    for b, (_, rows) in enumerate(drawn(2, 8, 40)):
        expected = model().fit(frame.iloc[rows], target.iloc[rows]).predict(points)
        np.testing.assert_array_equal(band.distribution[b], expected)
    assert band.x is points
    plain = bootstrap_band(model(), frame, y, points, n_resamples=8, rng=2, out_of_bag=True)
    assert plain.prediction_error == band.prediction_error


def test_labels_in_a_series(data):
    pandas = pytest.importorskip("pandas")
    X, y, X_eval = data()
    labels = labels_of(y, ["a", "b", "c"])
    series = pandas.Series(labels, index=np.arange(40) + 7)
    same = [
        bootstrap_band(
            LogisticRegression(), X, target, X_eval, n_resamples=5, rng=0, out_of_bag=True
        )
        for target in (labels, series, labels.tolist())
    ]
    for band in same[1:]:
        np.testing.assert_array_equal(band.distribution, same[0].distribution)
        assert band.prediction_error == same[0].prediction_error
        assert list(band.classes) == ["a", "b", "c"]


@pytest.mark.parametrize("make", [sparse.coo_array, sparse.dia_matrix])
def test_sparse_formats_without_rows(data, make):
    X, y, X_eval = data()
    expected = bootstrap_band(LinearRegression(), X, y, X_eval, n_resamples=5, rng=0)
    found = bootstrap_band(LinearRegression(), make(X), y, make(X_eval), n_resamples=5, rng=0)
    np.testing.assert_allclose(found.distribution, expected.distribution, atol=1e-5)


def test_sparse(data):
    X, y, X_eval = data()
    thin = sparse.csr_matrix(np.where(X > 0.5, X, 0.0))
    points = sparse.csr_matrix(X_eval)
    for solver in ("weights", "rows"):
        band = bootstrap_band(
            KNeighborsRegressor() if solver == "rows" else LinearRegression(),
            thin, y, points, n_resamples=6, rng=2, solver=solver, out_of_bag=True,
        )  # fmt: skip
        for b, (_, rows) in enumerate(drawn(2, 6, 40)):
            model = KNeighborsRegressor() if solver == "rows" else LinearRegression()
            expected = model.fit(thin[rows], y[rows]).predict(points)
            np.testing.assert_allclose(band.distribution[b], expected, atol=1e-5)
        assert band.x is points


def test_lists(data):
    X, y, X_eval = data()
    given = [X.tolist(), y.tolist(), X_eval.tolist()]
    for model in (LinearRegression(), KNeighborsRegressor()):
        band = bootstrap_band(model, *given, n_resamples=4, rng=2, out_of_bag=True)
        same = bootstrap_band(model, X, y, X_eval, n_resamples=4, rng=2, out_of_bag=True)
        np.testing.assert_array_equal(band.distribution, same.distribution)
        assert band.prediction_error == same.prediction_error


# --- random states ------------------------------------------------------------------------------


def states(model):
    parameters = model.get_params(deep=True)
    return {k: v for k, v in parameters.items() if k.endswith("random_state")}


def test_random_states_are_addressed_by_key_and_replicate():
    model = BaggingRegressor(DecisionTreeRegressor(max_features=1))
    one, again = states(seeded(model, KEY, 4)), states(seeded(model, KEY, 4))
    assert one == again
    assert len(one) == 2
    assert len(set(one.values())) == 2
    assert all(isinstance(state, int) and 0 <= state < 2**31 for state in one.values())
    others = [seeded(model, KEY, b) for b in (ALL_DATA, 0, 5)]
    others.append(seeded(model, key_from_rng(1), 4))
    assert len({tuple(states(other).values()) for other in others}) == 4
    assert states(model) == dict.fromkeys(one)


def test_fixed_random_states_stay():
    model = BaggingRegressor(DecisionTreeRegressor(random_state=3), random_state=None)
    given = states(seeded(model, KEY, 0))
    assert given["estimator__random_state"] == 3
    assert given["random_state"] is not None
    generator = DecisionTreeRegressor(random_state=np.random.RandomState(0))
    assert isinstance(seeded(generator, KEY, 0).random_state, int)
    assert states(seeded(make_pipeline(LinearRegression()), KEY, 0)) == {}


def test_random_models_are_reproducible(data):
    X, y, X_eval = data()
    model = DecisionTreeRegressor(max_features=1, splitter="random")

    def draw(rng, n_resamples=12):
        return bootstrap_band(model, X, y, X_eval, n_resamples=n_resamples, rng=rng)

    one = draw(5)
    np.testing.assert_array_equal(one.distribution, draw(5).distribution)
    np.testing.assert_array_equal(one.center, draw(5).center)
    np.testing.assert_array_equal(one.distribution[:5], draw(5, 5).distribution)
    assert (one.distribution != draw(6).distribution).any()


# --- precomputed kernels and metrics ------------------------------------------------------------


@pytest.mark.parametrize("solver", ["weights", "rows"])
@pytest.mark.parametrize(
    ("own", "precomputed"),
    [
        (SVR(kernel="rbf", gamma=2.0), SVR(kernel="precomputed")),
        (
            sklearn.kernel_ridge.KernelRidge(kernel="rbf", gamma=2.0),
            sklearn.kernel_ridge.KernelRidge(kernel="precomputed"),
        ),
    ],
)
def test_precomputed_kernels(data, own, precomputed, solver):
    X, y, X_eval = data()
    options = {"solver": solver, "n_resamples": 15, "rng": 2, "out_of_bag": True}
    expected = bootstrap_band(own, X, y, X_eval, **options)
    K, cross = rbf_kernel(X, gamma=2.0), rbf_kernel(X_eval, X, gamma=2.0)
    found = bootstrap_band(precomputed, K, y, cross, **options)
    np.testing.assert_allclose(found.distribution, expected.distribution, atol=1e-8)
    np.testing.assert_allclose(
        found.prediction_error.out_of_bag, expected.prediction_error.out_of_bag, rtol=1e-8
    )


@pytest.mark.filterwarnings("ignore:Precomputed sparse input")
@pytest.mark.parametrize("make", [np.asarray, pd.DataFrame, sparse.csr_array])
def test_precomputed_distances(data, make):
    X, y, X_eval = data()
    options = {"n_resamples": 15, "rng": 2, "out_of_bag": True}
    expected = bootstrap_band(KNeighborsRegressor(3), X, y, X_eval, **options)
    distances = 1.0 + euclidean_distances(X), 1.0 + euclidean_distances(X_eval, X)
    model = KNeighborsRegressor(3, metric="precomputed")
    found = bootstrap_band(model, make(distances[0]), y, make(distances[1]), **options)
    np.testing.assert_allclose(found.distribution, expected.distribution)
    assert found.prediction_error.out_of_bag == pytest.approx(expected.prediction_error.out_of_bag)


def test_precomputed_shapes(data):
    X, y, X_eval = data()
    model = SVR(kernel="precomputed")
    with pytest.raises(ValueError, match=r"X of a precomputed .* square, got shape \(40, 2\)"):
        bootstrap_band(model, X, y, X_eval, n_resamples=3)
    with pytest.raises(ValueError, match=r"X_eval must .* \(n_eval, 40\), got \(7, 2\)"):
        bootstrap_band(model, rbf_kernel(X), y, X_eval, n_resamples=3)


# --- estimators of another make -----------------------------------------------------------------


class Mean:
    """No BaseEstimator."""

    def get_params(self, deep=True):
        return {}

    def set_params(self):
        return self

    def fit(self, X, y):
        self.mean_ = np.mean(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.mean_)


class Frequencies(Mean):
    def fit(self, X, y):
        self.classes_, self.counts_ = np.unique(y, return_counts=True)
        return self

    def predict_proba(self, X):
        return np.tile(self.counts_ / self.counts_.sum(), (len(X), 1))


@pytest.mark.filterwarnings("ignore:.*__sklearn_tags__:DeprecationWarning")
def test_estimators_of_another_make(data):
    X, y, X_eval = data()
    band = bootstrap_band(Mean(), X, y, X_eval, n_resamples=8, rng=1)
    labels = labels_of(y, ["n", "y"])
    proba = bootstrap_band(Frequencies(), X, labels, X_eval, n_resamples=8, rng=1)
    assert proba.classes.tolist() == ["n", "y"]
    for b, (_, rows) in enumerate(drawn(1, 8, 40)):
        np.testing.assert_allclose(band.distribution[b], y[rows].mean())
        np.testing.assert_allclose(proba.distribution[b], (labels[rows] == "y").mean())


# --- the parts ----------------------------------------------------------------------------------


def test_rows_of_weight_zero_are_left_out(data):
    X, y, X_eval = data()
    weights = np.r_[np.zeros(10, int), np.full(20, 2), np.zeros(10, int)]
    model = Model(DecisionTreeRegressor(random_state=0), True, "predict", None, KEY)
    fitted = fit(model, GivenData(X, y, X_eval), 0, weights)
    assert fitted.estimator.tree_.n_node_samples[0] == 20
    assert fitted.estimator.tree_.weighted_n_node_samples[0] == 40
    by_rows = fit(model._replace(weighted=False), GivenData(X, y, X_eval), 0, weights)
    assert by_rows.estimator.tree_.n_node_samples[0] == 40
    assert fit(model, GivenData(X, y, X_eval), 0, None).estimator.tree_.n_node_samples[0] == 40


def test_respond(data):
    X, y, X_eval = data()
    labels = labels_of(y, ["n", "y"])
    fitted = LogisticRegression().fit(X, labels)
    model = Model(LogisticRegression(), True, "predict_proba", np.array(["n", "y"]), KEY)
    proba = fitted.predict_proba(X_eval)
    fitted = Fitted(fitted, None)
    np.testing.assert_array_equal(respond(model, fitted, X_eval), proba[:, 1])
    three = model._replace(classes=np.array(["n", "o", "y"]))
    np.testing.assert_array_equal(
        respond(three, fitted, X_eval), np.column_stack([proba[:, 0], np.zeros(7), proba[:, 1]])
    )
    with pytest.raises(ValueError, match="class 'o'"):
        respond(three._replace(response="decision_function"), fitted, X_eval)
    plain = respond(model._replace(response="predict"), fitted, X_eval)
    np.testing.assert_array_equal(plain, fitted.estimator.predict(X_eval))


def test_predictions_at_rows_left_out(data):
    X, y, X_eval = data()
    weights = np.ones(40, int)
    weights[[3, 8]] = 0, 2
    for estimator in (LinearRegression(), fit_predict):
        model = Model(estimator, True, "predict", None, KEY)
        one = predict_replicate(model, GivenData(X, y, X_eval), 0, weights, True)
        assert one.out.tolist() == [3]
        expected = fit_predict(X, y, weights.astype(float), X[3:4])
        np.testing.assert_allclose(one.at_out, expected)
        without = predict_replicate(model, GivenData(X, y, X_eval), 0, weights, False)
        assert without.out is None
        assert without.at_out is None
        np.testing.assert_array_equal(one.values, without.values)
        # Where no row is left out there is nothing to predict.
        every = predict_replicate(model, GivenData(X, y, X_eval), 0, np.ones(40, int), True)
        assert every.at_out is None


def test_functions_are_never_asked_about_no_rows(data):
    """Two rows in one cluster each: a replicate often leaves nothing out."""
    X, y, X_eval = data(n=4)

    def strict(X, y, w, X_eval):
        assert len(X_eval)
        return np.full(len(X_eval), w @ y / w.sum())

    band = bootstrap_band(
        strict,
        X,
        y,
        X_eval,
        n_resamples=30,
        rng=0,
        out_of_bag=True,
        scheme=schemes.Stratified([0, 1, 2, 2]),
    )
    assert band.distribution.shape == (30, 7)


def test_a_weighted_fit_that_fails_hints_at_rows(data):
    class Unweighted(LinearRegression):
        def fit(self, X, y, sample_weight=None):
            if sample_weight is not None:
                raise ValueError("sample weights are not supported with this option")
            return super().fit(X, y)

    X, y, X_eval = data()
    with pytest.raises(ValueError, match=r"replicate 0: .*solver='rows'"):
        bootstrap_band(Unweighted(), X, y, X_eval, n_resamples=3)
    assert bootstrap_band(Unweighted(), X, y, X_eval, n_resamples=3, solver="rows").solver == "rows"


def test_what_is_left_out_must_be_finite(data):
    X, y, X_eval = data()

    def far(X, y, w, X_eval):
        return np.full(len(X_eval), np.nan if len(X_eval) not in (7, 40) else 1.0)

    with pytest.raises(ValueError, match=r"replicate 0: .* at rows that were left out"):
        bootstrap_band(far, X, y, X_eval, n_resamples=3, rng=0, out_of_bag=True)


def test_predict_replicates(data):
    X, y, X_eval = data()
    model = Model(LinearRegression(), True, "predict", None, KEY)
    training = GivenData(X, y, X_eval)
    weights = bootstrap_counts(KEY, 2, 3, 40)
    several = predict_replicates(model, training, 2, weights, None, False)
    for one, row in zip(several, weights, strict=True):
        expected = predict_replicate(model, training, 2, row, False).values
        np.testing.assert_array_equal(one.values, expected)
    (new,) = predict_replicates(model, training, 2, None, -y[None, :], False)
    np.testing.assert_allclose(new.values, -LinearRegression().fit(X, y).predict(X_eval))
    assert predict_replicates(model, training, 0, None, None, False) == []


@pytest.mark.parametrize(("replicate", "words"), [(ALL_DATA, "all data"), (17, "replicate 17")])
def test_failures_say_where(data, replicate, words):
    def fails(X, y, w, X_eval):
        raise ZeroDivisionError("no luck")

    model = Model(fails, True, "", None, KEY)
    with pytest.raises(ValueError, match=f"on {words}: ZeroDivisionError: no luck") as info:
        predict_replicate(model, GivenData(*data()), replicate, None, False)
    assert isinstance(info.value.__cause__, ZeroDivisionError)
