"""Floor 3: Gram matrices, by name and of kernel objects, on the engine of :mod:`fastkb.tile`.

================ =======================================================================================
`kernels.py`     the kernel objects, one dataclass each: :mod:`fastkb.kernels`
`algebra.py`     their base; sums, products, multiples, length scales
`evaluate.py`    how the parts of a kernel are written to one result, and the buffers they need
`engine.py`      one kernel of the table: stored, added, or times coefficients
`plan.py`        what is decided before: tiles, order of writing, and why
`drive.py`       the tiles of a plan; when distances are made of inner products
`units.py`       rows in units that keep values in a float's range
`pairwise.py`    scikit-learn's functions, derived from the table of :mod:`fastkb.scalar.kernels`
`products.py`    a Gram matrix times coefficients, without the matrix
`lazy.py`        Dask arrays: a lazy Gram matrix, block by block
`peers.py`       the kernels that scikit-learn computes
`features.py`    the Taylor features of the RBF kernel
`checks.py`      matrices, widths, ``out``
================ =======================================================================================

A newcomer begins with `kernels.py`, then `engine.py`. A new kernel is a row of the table, and a dataclass
if it is to have a class.
"""
