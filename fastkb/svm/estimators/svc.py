"""Classification by support vector machines: the hinge loss with C, and ν instead of C."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastkb.svm import checks
from fastkb.svm.estimators.classification import Classifier
from fastkb.svm.estimators.machine import Solution
from fastkb.svm.problem import Problem, c_classification, nu_classification, start_of_classes


class SVC(Classifier):
    r"""Classification that minimises the hinge loss in the space that a kernel spans.

    Minimises :math:`\tfrac12 \|f\|^2 + \sum_i C_i \max(0, 1 - y_i (f(x_i) + b))`; with
    :math:`C = 1 / (2 n \lambda)` that is the textbook's :math:`\tfrac1n \sum_i \max(0, 1 - y_i
    (f(x_i) + b)) + \lambda \|f\|^2` (:func:`fastkb.svm.regularization_to_C`). A drop-in for
    :class:`sklearn.svm.SVC` on all cores.

    Parameters
    ----------
    C : float, default 1.0
        Cost of errors, above 0; infinity allows none.
    kernel : str, callable or kernel object, default "rbf"
        A name (``linear``, ``poly``, ``rbf``, ``sigmoid``, ``laplacian``, ``cosine``, ``chi2`` and the
        others of :func:`fastkb.pairwise_kernels`), ``"precomputed"`` where the data are Gram matrices, a
        kernel of :mod:`fastkb.kernels`, or a function of two matrices that returns their Gram matrix.
    degree : float, default 3
        Degree of the polynomial kernel.
    gamma : {"scale", "auto"} or float, default "scale"
        The kernel's γ: 1 / (n_features · variance of X), 1 / n_features, or a number of at least 0.
    coef0 : float, default 0.0
        Constant of the polynomial and sigmoid kernels.
    shrinking : bool, default True
        Whether rows are left out for a time whose coefficients are at a bound to stay.
    probability : bool, default "deprecated"
        Not offered, and deprecated by the peer: False is taken, True is refused.
    tol : float, default 1e-3
        How much the optimality conditions may be violated, exactly.
    cache_size : float, default 200
        Megabytes for kernel values.
    class_weight : dict or "balanced", optional
        What C is multiplied by for each class.
    verbose : bool or int, default False
        Whether to write to standard error how far a fit is.
    max_iter : int, default -1
        How many pairs of coefficients may be moved, for each pair of classes; -1: no limit.
    decision_function_shape : {"ovr", "ovo"}, default "ovr"
        What `decision_function` returns for more than two classes.
    break_ties : bool, default False
        Whether `predict` looks at values where votes are equal.
    random_state : int or RandomState, optional
        Not used: nothing is drawn.
    warm_start : bool, default False
        Whether `fit` goes on from the coefficients of the fit before, or of one that Ctrl-C broke off.
        The peer has none.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels.
    support_ : ndarray of shape (n_support,)
        Rows of the training data that support a machine, class after class.
    support_vectors_ : array or sparse matrix of shape (n_support, n_features)
        These rows; empty for a precomputed kernel or a function of your own.
    n_support_ : ndarray of shape (n_classes,)
        How many there are of each class.
    dual_coef_ : array or sparse matrix of shape (n_classes - 1, n_support)
        Their coefficients in each problem, times the sign of their class.
    coef_ : array or sparse matrix of shape (pairs, n_features)
        Weights of the columns, of a linear kernel.
    intercept_ : ndarray of shape (pairs,)
        The constants b.
    fit_status_ : int
        0 if the conditions hold to `tol`, else 1.
    n_iter_ : ndarray of shape (pairs,)
        Pairs of coefficients that were moved.
    class_weight_ : ndarray of shape (n_classes,)
        What C was multiplied by.
    shape_fit_ : tuple
        The shape of the training data.
    n_features_in_ : int
        Number of columns seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where all are strings.

    See Also
    --------
    NuSVC : a share of support vectors instead of C.
    fastkb.bootstrap_band : bands of the decision function.

    Notes
    -----
    See :mod:`fastkb.svm.smo.solver` for the method. The result is the same to the last bit for any number
    of threads. For probabilities, wrap the machine in
    :class:`sklearn.calibration.CalibratedClassifierCV`.

    References
    ----------
    Platt (1998), Fast Training of Support Vector Machines using Sequential Minimal Optimization.
    Fan, Chen, Lin (2005), Working Set Selection Using Second Order Information for Training SVM, JMLR 6.

    Examples
    --------
    >>> from fastkb import SVC
    >>> X = [[0.0], [1.0], [2.0], [3.0]]
    >>> SVC(kernel="linear").fit(X, ["a", "a", "b", "b"]).predict([[0.5], [2.5]]).tolist()
    ['a', 'b']
    """

    def __init__(
        self,
        *,
        C: float = 1.0,
        kernel: Any = "rbf",
        degree: float = 3,
        gamma: Any = "scale",
        coef0: float = 0.0,
        shrinking: bool = True,
        probability: Any = "deprecated",
        tol: float = 1e-3,
        cache_size: float = 200,
        class_weight: Any = None,
        verbose: Any = False,
        max_iter: int = -1,
        decision_function_shape: str = "ovr",
        break_ties: bool = False,
        random_state: Any = None,
        warm_start: bool = False,
    ) -> None:
        self.C = C
        self.kernel = kernel
        self.degree = degree
        self.gamma = gamma
        self.coef0 = coef0
        self.shrinking = shrinking
        self.probability = probability
        self.tol = tol
        self.cache_size = cache_size
        self.class_weight = class_weight
        self.verbose = verbose
        self.max_iter = max_iter
        self.decision_function_shape = decision_function_shape
        self.break_ties = break_ties
        self.random_state = random_state
        self.warm_start = warm_start

    def _problem(self, n_first: int, weight: np.ndarray) -> tuple[Problem, np.ndarray]:
        checks.check_both_classes(n_first, len(weight))
        return c_classification(n_first, float(self.C) * weight), np.zeros(len(weight))

    def _result(self, solution: Solution) -> tuple[np.ndarray, float]:
        return solution.beta, solution.offsets[0]


class NuSVC(Classifier):
    r"""Classification with a share ν of support vectors: at least of them, at most of errors.

    The machine of :class:`SVC` for the C that belongs to ν. A drop-in for :class:`sklearn.svm.NuSVC` on
    all cores.

    Parameters
    ----------
    nu : float, default 0.5
        At most this share of the rows is on the wrong side of its margin, at least this share supports;
        above 0, at most 1 and, for two classes of unlike size, twice the share of the smaller.
    kernel, degree, gamma, coef0, shrinking, probability, tol, cache_size, class_weight, verbose, \
max_iter, decision_function_shape, break_ties, random_state, warm_start
        As for :class:`SVC`.

    Attributes
    ----------
    classes_, support_, support_vectors_, n_support_, dual_coef_, coef_, intercept_, fit_status_, \
n_iter_, class_weight_, shape_fit_, n_features_in_, feature_names_in_
        As for :class:`SVC`.

    References
    ----------
    Schölkopf, Smola, Williamson, Bartlett (2000), New Support Vector Algorithms, Neural Computation 12.

    Examples
    --------
    >>> from fastkb import NuSVC
    >>> X = [[0.0], [1.0], [2.0], [3.0]]
    >>> NuSVC(kernel="linear").fit(X, [0, 0, 1, 1]).predict([[0.5], [2.5]]).tolist()
    [0, 1]
    """

    def __init__(
        self,
        *,
        nu: float = 0.5,
        kernel: Any = "rbf",
        degree: float = 3,
        gamma: Any = "scale",
        coef0: float = 0.0,
        shrinking: bool = True,
        probability: Any = "deprecated",
        tol: float = 1e-3,
        cache_size: float = 200,
        class_weight: Any = None,
        verbose: Any = False,
        max_iter: int = -1,
        decision_function_shape: str = "ovr",
        break_ties: bool = False,
        random_state: Any = None,
        warm_start: bool = False,
    ) -> None:
        self.nu = nu
        self.kernel = kernel
        self.degree = degree
        self.gamma = gamma
        self.coef0 = coef0
        self.shrinking = shrinking
        self.probability = probability
        self.tol = tol
        self.cache_size = cache_size
        self.class_weight = class_weight
        self.verbose = verbose
        self.max_iter = max_iter
        self.decision_function_shape = decision_function_shape
        self.break_ties = break_ties
        self.random_state = random_state
        self.warm_start = warm_start

    def _problem(self, n_first: int, weight: np.ndarray) -> tuple[Problem, np.ndarray]:
        problem = nu_classification(n_first, weight)
        return problem, start_of_classes(problem, float(self.nu))

    def _result(self, solution: Solution) -> tuple[np.ndarray, float]:
        first, second = solution.offsets
        margin, rho = (first - second) / 2.0, (first + second) / 2.0
        checks.check_margin(margin)
        return solution.beta / margin, rho / margin
