"""Floor 3: kernel ridge regression, and the choice of its parameters.

    minimise  Σᵢ wᵢ (yᵢ - b - f(xᵢ))² + λ ‖f‖²   so that   f(x) = Σᵢ aᵢ K(x, xᵢ),  (K + λW⁻¹) a + b 1 = y

with b = 0 unless an intercept is asked for. A newcomer begins with `estimator.py`, and with
`evaluation.py` for the choice.

======================== ==============================================================================
`kernel_matrix.py`        which Gram matrix the parameters name, and what is known about it
`scaling.py`              weights and an intercept, by scaling and centring that matrix
`dual.py`                 the dual coefficients, in place on one Gram matrix
`factorisation.py`        one factorisation for many λ, and which
`residual_operator.py`    what is read off it: residuals, diagonal, blocks, determinant
`leave_one_out.py`        predictions of rows, or of folds, by a fit to all others
`folds.py`                which rows are left out together, as a splitter says
`criterion.py`            the restricted likelihood, and who wins a tie
`evaluation.py`           one γ at every λ: all of this together
`sweep.py`                several γ at once
`grid.py`                 candidates for λ and γ where the user gives none
`lapack.py`               two factorisations in place that let other threads run
`estimator.py`            :class:`~fastkb.ridge.estimator.KernelRidge`
`path.py`                 :func:`~fastkb.ridge.path.kernel_ridge_path` and its result
`search.py`               :class:`~fastkb.ridge.search.KernelRidgeCV`
======================== ==============================================================================
"""
