"""Floor 4: kernel ridge regression, and the choice of its parameters.

    minimise  Σᵢ wᵢ (yᵢ - b - f(xᵢ))² + λ ‖f‖²   so that   f(x) = Σᵢ aᵢ K(x, xᵢ),  (K + λW⁻¹) a + b 1 = y

with b = 0 unless an intercept is asked for. A newcomer begins with `estimator.py`, and with
`selection/evaluation.py` for the choice.

======================== ==============================================================================
`estimator.py`            :class:`~fastkb.ridge.estimator.KernelRidge`
`kernel_matrix.py`        which Gram matrix the parameters name, and what is known about it
`scaling.py`              weights and an intercept, by scaling and centring that matrix
`dual.py`                 the dual coefficients, in place on one Gram matrix
`conjugate.py`            the same by products with the matrix alone
`cuda.py`                 predictions on a GPU, and fits by conjugate gradients there
`lapack.py`               two factorisations in place that let other threads run
`selection/`              every row, or every fold, predicted by a fit to all others
`path.py`                 :func:`~fastkb.ridge.path.kernel_ridge_path` and its result
`search.py`               :class:`~fastkb.ridge.search.KernelRidgeCV`
`checks.py`               parameters, folds and candidates
======================== ==============================================================================
"""
