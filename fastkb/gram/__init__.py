"""Floor 3: Gram matrices, all values K(xᵢ, yⱼ) of a kernel for the rows of two matrices.

A kernel is a sum over columns (x·y, ‖x - y‖² or ‖x - y‖₁) followed by a function of one number, so that
every kernel here is a row of the table in :mod:`fastkb.scalar.kernels`, computed by the tile engine
(:mod:`fastkb.tile`). Nothing here has a loop over pairs of its own.

================ ================================================================================
`pairwise.py`     the functions under scikit-learn's names, and :func:`fastkb.gram`
`kernels.py`      kernels as objects: `RBF`, `Laplacian`, `Polynomial`, `Sigmoid`, `Linear`
`engine.py`       which row of the table, which driver, which buffers
`units.py`        rows in other units, where a kernel would overflow or underflow
`features.py`     the truncated Taylor feature map of the RBF kernel
`peers.py`        the kernels that scikit-learn computes, and callables
`checks.py`       matrices, widths and ``out``
================ ================================================================================

Begin with `kernels.py`, then `engine.py`.
"""
