"""Floor 0.4: the checks that all rooms share.

A check refuses what a function cannot take before any work starts. Its error names the argument, the
value and what was expected. What one room alone asks stands in that room's own ``checks.py``.

================ ================================================================================
`scalars.py`      one number, a whole number, a flag
`choices.py`      one of some names; the error suggests the closest
`numbers.py`      what is no real number: masks, dates, complex numbers; whose error it is
`values.py`       tables, tensors and lists as arrays of numbers
`arrays.py`       matrices of finite floats
`labels.py`       the groups of observations
`weights.py`      the weights of observations
`requests.py`     what several calls ask: a level, a number of resamples, a generator
`device.py`       arrays that lie on a GPU
================ ================================================================================

Begin with `scalars.py`.
"""
