"""Floor 5: intervals of a statistic, by :func:`fastkb.bootstrap` and :func:`fastkb.bootstrap_panel`.

======================= =========================================================================
`confidence.py`          :func:`fastkb.bootstrap`: SciPy's signature, and schemes
`bootstrap_result.py`    :class:`fastkb.BootstrapResult`
`panel.py`               :func:`fastkb.bootstrap_panel`: intervals of many series
`panel_data.py`          many series, as arrays, lists, mappings or data frames
`panel_result.py`        :class:`fastkb.PanelResult`
`distribution.py`        from a statistic and resamples to a distribution and its interval
`device.py`              the same with resamples of a GPU
`shards.py`              the same in parts, on an executor of the user's
`intervals.py`           percentile, basic, BCa, studentized and cheap intervals
`nested.py`              standard errors of resamples, by resampling them again
`checks.py`              what is asked
`statistic_error.py`     the error of a user's function, with the place where it failed
`evaluate/`              the statistic of every resample: compiled, jitted, Python, weighted
======================= =========================================================================

Begin with `confidence.py`.
"""
