"""The statistic of every resample, and of the data without each observation.

========================= =======================================================================
`evaluators.py`            which of the ways below serves a statistic
`statistics.py`            the statistics that this package knows, by name or by function
`compiled_statistic.py`    those, over drawn rows
`statistic_kernels.py`     the loop over resamples, of formulas in `moment_kernels.py`,
                           `rank_kernels.py` and `correlation_kernels.py`
`run_sums.py`              those that sums make, over runs of rows
`jitted_function.py`       a function that the user compiled with Numba
`python_function.py`       any function, a batch of resamples at a time
`weighted_statistic.py`    of weights instead of rows
`response_statistic.py`    of new responses
`jackknife.py`             the known statistics without each observation
`cuda/`                    the known statistics of one sample on a GPU
========================= =======================================================================

Begin with `evaluators.py`.
"""
