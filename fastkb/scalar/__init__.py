"""Floor 1: functions of one number, which vectorise inside the loops of the floors above.

A new kernel or activation is one formula here: the formula above, its derivative below, what is known
about it beside. Errors are bounded over the whole range and stated.

================ ================================================================================
`kernels.py`      kernels: a sum over columns, followed by one of these functions
`activations.py`  activations of networks, with their derivatives
`elementary.py`   exp and tanh
`smooth.py`       sigmoid, softplus, eˣ - 1, GELU and log(1 + x)
`bits.py`         instructions that Numba's language lacks
`pairwise.py`     sums as NumPy forms them
`source.py`       one source for CPU and CUDA
`cuda.py`         the same functions on CUDA
================ ================================================================================

Begin with `kernels.py`, then `elementary.py`.
"""
