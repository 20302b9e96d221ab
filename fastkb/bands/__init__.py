r"""Floor 4.5: bands of fitted curves that cover what they say.

A fitted curve is off for three reasons: the noise of the data, the bias of smoothing, and a kernel and a
penalty that were chosen from the same data. A band of percentiles of refits shows the first alone.
Here all three are accounted for, for kernel ridge regression, which is a linear smoother: many
responses are one matrix product.

=================== ==================================================================================
`band.py`           :func:`~fastkb.bootstrap_band`: where each kind and each model is sent
`sampling.py`       :func:`~fastkb.sampling_band`: fresh samples from a known distribution
`result.py`         :class:`~fastkb.BandResult`, and in `kinds.py` and `parts.py` what it is made of
`saved.py`          bands in files and as data frames; `names.py` what their columns are called
`checks.py`         what may be asked of which model
`ridge_band.py`     kernel ridge regression; in `searched_refits.py` with a choice in each refit
`study.py`          one estimator and one data set, from which bands of other kinds are made when asked
`spectrum.py`       a kernel's axes on the data: one decomposition for every penalty and response
`candidates.py`     many kernels and penalties, weighed by restricted likelihood
`plausible.py`      which ones, for an estimator and its data; `levels.py` where inputs have few levels
`neighbourhood.py`  which points lie among the data
`average.py`        the plausible curve and the standard error around it
`own_fit.py`        what the estimator itself makes of responses, its choice included
`calibration.py`    the wild bootstrap: how many standard errors a band takes
`jackknife.py`      prediction bands for new observations: the jackknife+
`model_kinds.py`    models that are refitted, with `simultaneous.py` and `after_bootstrap.py`
=================== ==================================================================================

Begin with `band.py`, then `study.py` and `calibration.py`. :mod:`fastkb.reference.confidence` is the
same in plain NumPy, one candidate and one replicate after the other. How often the bands hold the
truth is measured by ``python -m bench.coverage --bands``.
"""
