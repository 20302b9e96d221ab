"""The choice of λ and γ: every row, or every fold, predicted by a fit to all others.

========================= =======================================================================
`evaluation.py`            one γ at every λ; `sweep.py`: several γ at once
`factorisation.py`         one factorisation for many λ, and which
`residual_operator.py`     what is read off it: residuals, diagonal, blocks, determinant
`leave_one_out.py`         predictions of rows, or of folds, by a fit to all others
`folds.py`                 which rows are left out together, as a splitter says
`criterion.py`             the restricted likelihood, and which of equal candidates wins
`grid.py`                  candidates for λ and γ where the user gives none
========================= =======================================================================

Begin with `evaluation.py`.
"""
