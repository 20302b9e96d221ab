"""Floor 1: scalar functions, each written once for CPU and CUDA, with what is known of it beside.

================== =====================================================================================
`kernels.py`       the table of kernels: what is summed, the function of the sum, what is known of both
`activations.py`   the table of activations, with their derivatives
`elementary.py`    exp, tanh, sin(πx), log(1 + x) and powers, which vectorise inline
`smooth.py`        sigmoid, softplus, GELU, log and what they are made of
`pairwise.py`      NumPy's order of summation; `sums.py` the quickest one
`bits.py`          instructions that Numba's language lacks
`source.py`        one text, other meanings of its names; `cuda.py` those of CUDA
================== =====================================================================================

A newcomer begins with `kernels.py`.
"""
