r"""Floor 6: bands of fitted curves that cover what they say.

A fitted curve is off for three reasons: the noise of the data, the bias of smoothing, and a kernel and a
penalty that were chosen from the same data. A band of percentiles of refits shows the first alone.
Here all three are accounted for, for kernel ridge regression, which is a linear smoother: many
responses are one matrix product.

=================== ==================================================================================
`band.py`           :func:`~fastkb.bootstrap_band`: where each kind and each model is sent
`sampling.py`       :func:`~fastkb.sampling_band`: fresh samples from a known distribution
`result.py`         :class:`~fastkb.BandResult`, and in `kinds.py` and `parts.py` what it is made of
`other_bands.py`    its bands of other kinds and levels
`simultaneous.py`   how many standard errors hold the whole curve
`saved.py`          bands in files and as data frames; `names.py` what their columns are called
`checks.py`         what may be asked of which model
`ridge/`            replicates of kernel ridge regression
`models/`           replicates of any model that can be fitted again
`networks/`         replicates of networks, trained side by side
`machines/`         replicates of support vector machines, on one kernel matrix
`coverage/`         confidence and prediction bands of kernel ridge regression
=================== ==================================================================================

Begin with `band.py`, then `coverage/study.py`. :mod:`fastkb.reference.confidence` is the same in plain
NumPy, one candidate and one replicate after the other. How often the bands hold the truth is measured
by ``python -m bench.coverage --bands``.
"""
