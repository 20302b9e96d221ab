r"""Floor 4.5: bands of fitted curves that cover what they say.

A fitted curve is off for three reasons: the noise of the data, the bias of smoothing, and a kernel and a
penalty that were chosen from the same data. A band of percentiles of refits shows the first alone.
Here all three are accounted for, for kernel ridge regression, which is a linear smoother: many
responses are one matrix product.

=================== ==================================================================================
`spectrum.py`       a kernel's axes on the data: one decomposition for every penalty and response
`candidates.py`     many kernels and penalties, weighed by restricted likelihood
`plausible.py`      which ones, for an estimator and its data
`average.py`        the plausible curve and the standard error around it
`own_fit.py`        what the estimator itself makes of responses, its choice included
`calibration.py`    the wild bootstrap: how many standard errors a band takes
`jackknife.py`      prediction bands for new observations: the jackknife+
`study.py`          all of it for one estimator and one data set, computed when asked
=================== ==================================================================================

Begin with `study.py`. :mod:`fastkb.reference.confidence` is the same in plain NumPy, one candidate
and one replicate after the other. How often the bands hold the truth is measured by ``python -m
bench.coverage --bands``.
"""
