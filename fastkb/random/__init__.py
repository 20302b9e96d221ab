"""Floor 2: random numbers that are addressed by (seed, replicate), and NumPy's own to the bit.

A resample does not depend on those before it, so that any thread can draw any of them and results are
the same for any number of threads. Where SciPy or scikit-learn draw from NumPy's generators, the same
numbers are drawn here, by all threads.

==================== ============================================================================
`streams.py`          resamples from a counter-based generator, Philox4x32-10
`bounded.py`          whole numbers below bounds of their own
`dirichlet.py`        weights of the Bayesian bootstrap
`orders.py`           random orders
`numpy_indices.py`    the rows of indices of ``Generator.integers``
`numpy_words.py`      the words behind them: PCG64 and Philox
`cuda.py`             the same numbers, and those of `streams.py`, on a device
`cuda_rows.py`        where rows of indices begin and end in NumPy's sequence, on a device
`legacy.py`           the orders of ``RandomState.permutation``
`wide.py`             integers of 128 bits
==================== ============================================================================

Begin with `streams.py`.
"""
