"""Floor 3: kernel ridge regression, and the choice of its parameters by leave-one-out.

    minimise  Σᵢ wᵢ (yᵢ - f(xᵢ))² + λ ‖f‖²     so that     f(x) = Σᵢ aᵢ K(x, xᵢ),  (K + λ W⁻¹) a = y

========================= =====================================================================
`kernel_matrix.py`         which Gram matrix the parameters name, and what is known about it
`dual.py`                  the dual coefficients, in place on one Gram matrix
`leave_one_out.py`         leave-one-out residuals for many λ from one factorisation
`lapack.py`                two factorisations in place that let other threads run
`sweep.py`                 the same for several γ at once
`grid.py`                  candidates for λ and γ where the user gives none
`estimator.py`             :class:`~fastkb.ridge.estimator.KernelRidge`
`path.py`                  :func:`~fastkb.ridge.path.kernel_ridge_path` and its result
`search.py`                :class:`~fastkb.ridge.search.KernelRidgeCV`
========================= =====================================================================
"""
