"""Bands of kernel ridge regression: many weighted fits on one Gram matrix.

===================== ===========================================================================
`ridge_band.py`        a band from what is asked for; `checks.py`
`solver_choice.py`     which solver, and why
`replicates.py`        every replicate by that solver, some of them again by another
`kernel_source.py`     the Gram matrix, its diagonal and its columns
`basis.py`             its pivoted factor, with the bound that certifies it
`lowrank.py`           replicates from the factor; in `lowrank_problem.py` and `lowrank_block.py`
                       what they have in common, and the compiled loop
`cholesky.py`          replicates on their distinct rows
`smoother.py`          new responses on the rows as they are
`searched_refits.py`   the choice of the penalty made again in each replicate
===================== ===========================================================================

Begin with `replicates.py`.
"""
