"""Floor 5: intervals of a statistic, by :func:`fastkb.bootstrap`.

======================= =========================================================================
`confidence.py`          :func:`fastkb.bootstrap`: SciPy's signature, and schemes
`bootstrap_result.py`    :class:`fastkb.BootstrapResult`
`intervals.py`           percentile, basic, BCa, studentized and cheap intervals
`nested.py`              standard errors of resamples, by resampling them again
`checks.py`              what is asked
`statistic_error.py`     the error of a user's function, with the place where it failed
`evaluate/`              the statistic of every resample: compiled, jitted, Python, weighted
======================= =========================================================================

Begin with `confidence.py`.
"""
