"""Floor 2.2: dense linear algebra for kernel ridge regression and for bands.

It stands on the micro-kernel of :mod:`fastkb.tile`. Where LAPACK does as well it is called; what is
written here does what LAPACK cannot: many small systems at once, results that do not depend on the number
of threads, and matrices that are never formed.

================ ================================================================================
`cholesky.py`     Cholesky factorisation of one matrix by one thread
`blocked.py`      of one large matrix by all threads
`pivoted.py`      of a Gram matrix of low rank that is never formed
`lanes.py`        small systems, one in each lane of a vector
`lapack.py`       LAPACK and BLAS, called from compiled loops
`quantiles.py`    quantiles of many columns
`sorting.py`      sorting by digits
`statistics.py`   sorting, quantiles and trimmed means for functions of users
================ ================================================================================

Begin with `cholesky.py`.
"""
