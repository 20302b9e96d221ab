"""The multi-layer perceptron for classes, with scikit-learn's interface."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit, softmax
from sklearn.base import ClassifierMixin
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import column_or_1d
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted, validate_data

from fastkb.checks.numbers import check_unmasked, wrong
from fastkb.nn.perceptron.base import Perceptron, trains_in_steps
from fastkb.nn.perceptron.checks import check_classes, check_same_classes


class MLPClassifier(ClassifierMixin, Perceptron):
    r"""Multi-layer perceptron for classes or labels, trained by backpropagation.

    Minimises :math:`-\frac{1}{n} \sum_i w_i \log p(y_i | x_i) + \frac{\alpha}{2n} \|W\|^2`, in which n
    is the sum of the weights :math:`w_i`. A drop-in for :class:`sklearn.neural_network.MLPClassifier`.

    Parameters
    ----------
    hidden_layer_sizes : int or array-like of int, default (100,)
        Width of each hidden layer; an empty one for none.
    activation : {"identity", "logistic", "tanh", "relu"}, default "relu"
        Of the hidden layers.
    solver : {"lbfgs", "sgd", "adam"}, default "adam"
        L-BFGS takes all observations together; stochastic gradient descent and Adam take batches.
    alpha : float, default 0.0001
        The penalty α, at least 0. Intercepts have none.
    batch_size : int, default "auto"
        Observations of a step; "auto" is 200, or all if they are fewer.
    learning_rate : {"constant", "invscaling", "adaptive"}, default "constant"
        Of ``sgd``: learning_rate_init; divided by (t + 1) to the power of power_t, after t
        observations in all; or divided by 5 whenever there has been no progress for
        n_iter_no_change epochs, until it is 1e-6.
    learning_rate_init : float, default 0.001
        Above 0.
    power_t : float, default 0.5
        See `learning_rate`.
    max_iter : int, default 200
        Epochs, or iterations of L-BFGS.
    shuffle : bool, default True
        Whether each epoch takes the observations in an order of its own.
    random_state : int, RandomState or None, default None
        Seed of first coefficients, orders and what is set aside: the same as scikit-learn's.
    tol : float, default 0.0001
        Progress that counts as such; for ``lbfgs``, bound of the gradient's elements.
    verbose : bool or int, default False
        Whether to print the loss of each epoch or iteration.
    warm_start : bool, default False
        Whether `fit` resumes from the coefficients that there are.
    momentum : float, default 0.9
        Of ``sgd``, from 0 to 1.
    nesterovs_momentum : bool, default True
        Whether this momentum looks ahead.
    early_stopping : bool, default False
        Whether a part of the data is set aside, and training stops when the score on it makes no
        progress; the coefficients of the best score are kept.
    validation_fraction : float, default 0.1
        That part, below 1.
    beta_1, beta_2 : float, default 0.9 and 0.999
        What Adam keeps of its means of gradients and of their squares, below 1.
    epsilon : float, default 1e-8
        Of Adam, above 0.
    n_iter_no_change : int or inf, default 10
        Training stops after more epochs than this in which loss or score got no better by `tol`.
    max_fun : int, default 15000
        Evaluations of L-BFGS at most.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes, sorted.
    coefs_ : list of ndarray of shape (inputs, outputs)
        The weights of each layer. They may be set: predictions and further training use what is here.
    intercepts_ : list of ndarray of shape (outputs,)
        The intercepts of each layer.
    loss_ : float
        Of the last epoch: mean over its steps, the penalty included.
    loss_curve_ : list of float
        Of each epoch; not with ``lbfgs``.
    best_loss_ : float or None
        The smallest of them; None with early stopping.
    validation_scores_ : list of float or None
        Accuracy of what was set aside, after each epoch.
    best_validation_score_ : float or None
        The greatest of them.
    n_iter_ : int
        Epochs or iterations of the last `fit`.
    t_ : int
        Observations that training has taken in all.
    n_layers_, n_outputs_ : int
        Number of layers, inputs and outputs among them, and of outputs.
    out_activation_ : str
        "logistic" for two classes and for labels, else "softmax".
    n_features_in_ : int
        Number of columns seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where all are strings.

    See Also
    --------
    fastkb.MLPRegressor : for real targets.
    fastkb.nn.Sequential : any layers, losses and optimisers.
    fastkb.bootstrap_band : how far resamples move it; they are trained side by side.

    Notes
    -----
    One epoch is one call into compiled code, which runs all its steps. float32 data are trained on in
    float32; L-BFGS computes in float64. Sparse data are made dense: wholly for training, and some rows
    at a time for predictions. Ctrl-C ends the training with a warning and keeps what has been learnt.

    Training that diverges ends at once and raises a ValueError; with early stopping it warns, and the
    best coefficients are kept.

    The same `random_state` gives scikit-learn's first coefficients and orders, and its training up to
    rounding.

    References
    ----------
    Rumelhart, Hinton, Williams (1986), Nature 323. Glorot, Bengio (2010), AISTATS. Kingma, Ba (2015),
    ICLR. Byrd, Lu, Nocedal, Zhu (1995), SIAM Journal on Scientific Computing 16.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkb import MLPClassifier
    >>> X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> y = np.array(["same", "other", "other", "same"])
    >>> model = MLPClassifier(8, "tanh", solver="lbfgs", random_state=0).fit(X, y)
    >>> [str(label) for label in model.predict(X)]
    ['same', 'other', 'other', 'same']
    """

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def _validate_input(
        self, X: Any, y: Any, incremental: bool, reset: bool
    ) -> tuple[Any, np.ndarray]:
        check_unmasked("y", y)
        if getattr(y, "dtype", None) is not None and getattr(y.dtype, "kind", "") == "c":
            # Labels may be texts, dates and objects.
            raise wrong(f"y must be real labels, got {y.dtype}: Complex data not supported")
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=("csr", "csc"),
            multi_output=True,
            dtype=(np.float64, np.float32),
            reset=reset,
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if not hasattr(self, "classes_") or not (self.warm_start or incremental):
            self._label_binarizer = LabelBinarizer().fit(y)
            self.classes_ = self._label_binarizer.classes_
        else:
            check_same_classes(y, self.classes_, exactly=self.warm_start)
        return X, self._encode(y)

    def _output(self) -> str:
        return "softmax" if self._label_binarizer.y_type_ == "multiclass" else "logistic"

    def _encode(self, y: np.ndarray) -> np.ndarray:
        """A column for each output: whether the observation is of its class."""
        kind = self._label_binarizer.y_type_
        if kind.startswith("multilabel") or y.ndim != 1:
            return self._label_binarizer.transform(y).astype(bool)
        # The binarizer would repeat the checks, which takes longer than an epoch.
        codes = np.searchsorted(self.classes_, y)
        if kind != "multiclass":
            return (codes == 1)[:, None]
        return codes[:, None] == np.arange(len(self.classes_))

    def _decode(self, logits: np.ndarray) -> np.ndarray:
        """The most probable classes."""
        if self._label_binarizer.y_type_.startswith("multilabel"):
            return self._label_binarizer.inverse_transform(self._respond(logits))
        if self.out_activation_ == "softmax":
            return self.classes_[logits.argmax(axis=1)]
        return self.classes_[np.minimum(logits[:, 0] > 0.0, len(self.classes_) - 1)]

    def _score_outputs(
        self, logits: np.ndarray, targets: np.ndarray, weights: np.ndarray | None
    ) -> float:
        """Accuracy; of labels, the part of rows in which all are right."""
        if self.out_activation_ == "softmax":
            right = logits.argmax(axis=1) == targets.argmax(axis=1)
        else:
            right = ((logits > 0.0) == targets).all(axis=1)
        return float(np.average(right, weights=weights))

    @property
    def _stratified(self) -> bool:
        return self.n_outputs_ == 1

    @available_if(trains_in_steps)
    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None
    ) -> MLPClassifier:
        """Train one epoch more.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.
        classes : array-like of shape (n_classes,), optional
            All classes that there will be: needed in the first call.

        Returns
        -------
        self : MLPClassifier
            This estimator.

        Raises
        ------
        ValueError, TypeError
            As `fit`; for `early_stopping`, and for classes that are missing or have changed.
        """
        self._check(incremental=True)
        found = check_classes(classes, getattr(self, "classes_", None))
        if found is not None:
            labels = type_of_target(y).startswith("multilabel")
            self._label_binarizer = LabelBinarizer().fit(y if labels else found)
            self.classes_ = found
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each row.

        Parameters
        ----------
        X : array or sparse matrix of shape (n, n_features)

        Returns
        -------
        ndarray of shape (n,) or (n, n_classes)
            For labels, an indicator of those that are as probable as not.
        """
        check_is_fitted(self)
        return self._answers(self._forward(X), "predict")

    def _answers(self, outputs: np.ndarray, method: str) -> np.ndarray:
        if method == "predict":
            return self._decode(outputs)
        return self._respond(np.hstack([-outputs, outputs]) if self.n_outputs_ == 1 else outputs)

    def _respond(self, logits: np.ndarray) -> np.ndarray:
        if self.out_activation_ != "softmax":
            return expit(logits)
        with np.errstate(over="ignore", invalid="ignore"):  # of logits that are as large as can be
            return softmax(logits, axis=1)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the classes.

        Parameters
        ----------
        X : array or sparse matrix of shape (n, n_features)

        Returns
        -------
        ndarray of shape (n, n_classes)
            In the order of `classes_`.
        """
        check_is_fitted(self)
        return self._answers(self._forward(X), "predict_proba")

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Logarithms of what :meth:`predict_proba` gives.

        Parameters
        ----------
        X : array or sparse matrix of shape (n, n_features)

        Returns
        -------
        ndarray of shape (n, n_classes)
            In the order of `classes_`.
        """
        with np.errstate(divide="ignore"):  # of 0: minus infinity
            return np.log(self.predict_proba(X))
